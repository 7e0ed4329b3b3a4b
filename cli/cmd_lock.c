#include "cli/command.h"
#include "cli/door.h"

enum oxv_exit
oxv_cmd_lock(struct oxv_cli *cli)
{
    return oxv_door_order(cli, "/v1/admin/lock",
                          "The keys are wiped; nothing is signed until: oxvault unseal");
}
