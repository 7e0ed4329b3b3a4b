#include "cli/command.h"
#include "cli/door.h"

enum oxv_exit
oxv_cmd_log_rotate_key(struct oxv_cli *cli)
{
    return oxv_door_order(cli, "/v1/admin/log/rotate-key",
                          "The log's key was replaced: a new epoch has begun.");
}
