/* The oxvault command: parses the line, runs the command of the table. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/escape.h"

#define DIR_DEFAULT "/var/lib/oxvault"
#define RUN_DEFAULT "/run/oxvault"

static const char *
from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? otherwise : value;
}

static bool
wants_color(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) == 1 && from_environment("NO_COLOR", NULL) == NULL &&
           terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static enum oxv_exit
show_help(const struct oxv_cli *cli, const char *group)
{
    if (cli->command != NULL) {
        oxv_help_command(stdout, cli->command);
    } else if (group != NULL) {
        oxv_help_group(stdout, group);
    } else {
        oxv_help_all(stdout);
    }
    return OXV_EXIT_DONE;
}

int
main(int argc, char **argv)
{
    struct oxv_cli cli = { .dir = from_environment("OXVAULT_DIR", DIR_DEFAULT),
                           .run = from_environment("OXVAULT_RUN", RUN_DEFAULT),
                           .color = wants_color() };
    const char *group = NULL;
    bool help = false;

    oxv_escape_setup();
    enum oxv_exit code = oxv_command_parse(argc, argv, &cli, &group, &help);

    if (code == OXV_EXIT_DONE) {
        code = help ? show_help(&cli, group) : cli.command->run(&cli);
    }
    oxv_cli_done(&cli);
    return (int)oxv_cli_finish(code);
}
