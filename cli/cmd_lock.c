#include "cli/command.h"
#include "cli/door.h"

enum oxv_exit
oxv_cmd_lock(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_door_call(cli, "POST", "/v1/admin/lock", oxv_view_text("{}"), &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        (void)puts("The keys are wiped; nothing is signed until: oxvault unseal");
    }
    return OXV_EXIT_DONE;
}
