#include <string.h>

#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"

enum oxv_exit
oxv_cmd_health(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char state[32];
    char detail[1024];
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_SIGN, "/v1/health", &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&answer), "state", state, sizeof state);
    oxv_door_text(oxv_buffer_view(&answer), "detail", detail, sizeof detail);
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        oxv_escape_print(stdout, oxv_view_text(state));
        (void)fputs(detail[0] == '\0' ? "" : ": ", stdout);
        oxv_escape_print(stdout, oxv_view_text(detail));
        (void)putchar('\n');
    }
    return strcmp(state, "open") == 0 ? OXV_EXIT_DONE : OXV_EXIT_LOCKED;
}
