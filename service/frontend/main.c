/* oxvault-frontend <sign|admin|audit>: started by the supervisor, its channel is descriptor 3. */
#include <stdio.h>
#include <time.h>

#include "service/frontend/loop.h"
#include "service/sandbox/sandbox.h"

#define CHANNEL_FD 3

static int
complain(const struct oxv_err *err)
{
    (void)fprintf(stderr, "oxvault-frontend: %s\n", err->text); /* nobody else to tell */
    return 1;
}

int
main(int argc, char **argv)
{
    OXV_AUTO(oxv_frontend_freep) struct oxv_frontend *frontend = NULL;
    struct oxv_sandbox_report report;
    struct oxv_err err = { 0 };
    enum oxv_door door;

    if (oxv_sandbox_wants_probe(argc, argv)) {
        return oxv_sandbox_probe("frontend", NULL, argv[2], stdout);
    }
    if (argc != 2 || !oxv_door_parse(oxv_view_text(argv[1]), &door)) {
        (void)fputs("oxvault-frontend is started by oxvaultd, see oxvaultd(8)\n", stderr);
        return 2;
    }
    tzset(); /* else the first timegm() looks for a file of time zones, and the filter ends us */
    if (oxv_process_harden(&err) != OXV_OK || oxv_sandbox_frontend(&report, &err) != OXV_OK) {
        return complain(&err);
    }
    if (oxv_frontend_new(door, CHANNEL_FD, &frontend, &err) != OXV_OK ||
        oxv_frontend_run(frontend, &err) != OXV_OK) {
        return complain(&err);
    }
    return 0;
}
