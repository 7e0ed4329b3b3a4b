/* token_look: what a module and its tokens can do, without a service: runs oxvault-token. */
#ifndef OXV_CLI_TOKEN_LOOK_H
#define OXV_CLI_TOKEN_LOOK_H

#include "cli/cli.h"

/* The tokens that one module sees now. The command has --libexec and --users. */
enum oxv_exit oxv_token_look_list(const struct oxv_cli *cli, const char *module);

#endif
