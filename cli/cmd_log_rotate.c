#include "cli/command.h"
#include "cli/door.h"

enum oxv_exit
oxv_cmd_log_rotate_key(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code =
        oxv_door_call(cli, "POST", "/v1/admin/log/rotate-key", oxv_view_text("{}"), &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        (void)puts("The log's key was replaced: a new epoch has begun.");
    }
    return OXV_EXIT_DONE;
}
