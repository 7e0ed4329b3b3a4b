/* oxvaultd: the supervisor. Options and wiring only. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/supervisor/notify.h"
#include "service/supervisor/options.h"
#include "service/supervisor/supervisor.h"

/* A closed 0, 1 or 2 would be the number of the next socket, and messages would go there. */
static void
fill_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}

static int
run(const struct oxv_supervisor_options *options)
{
    __attribute__((cleanup(oxv_supervisor_close))) struct oxv_supervisor supervisor = { 0 };
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_supervisor_open(&supervisor, options, &err);

    if (st != OXV_OK) {
        oxv_say("%s", err.text);
        return oxv_supervisor_exit_code(st);
    }
    return oxv_supervisor_run(&supervisor);
}

int
main(int argc, char **argv)
{
    struct oxv_supervisor_options options;
    struct oxv_err err = { 0 };

    fill_standard_descriptors();
    enum oxv_status st = oxv_supervisor_options_parse(argc, argv, &options, &err);

    if (st != OXV_OK) {
        oxv_say("%s", err.text);
        return oxv_supervisor_exit_code(st);
    }
    if (options.help) {
        oxv_supervisor_print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (options.version) {
        (void)printf("oxvaultd %s\n", OXV_VERSION);
        return EXIT_SUCCESS;
    }
    return run(&options);
}
