#include "cli/command.h"
#include "include/oxvault/client.h"

enum oxv_exit
oxv_cmd_version(struct oxv_cli *cli)
{
    (void)printf(cli->json ? "{\"version\":\"%s\"}\n" : "oxvault %s\n", oxv_client_version());
    return OXV_EXIT_DONE;
}
