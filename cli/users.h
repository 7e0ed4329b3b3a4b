/* users: --uid and --user of the command line. */
#ifndef OXV_CLI_USERS_H
#define OXV_CLI_USERS_H

#include "cli/cli.h"

/* The one of --uid and --user that was given. */
enum oxv_exit oxv_users_uid(const struct oxv_cli *cli, uint64_t *uid);
/* "1001 (order-exchange)", or the number alone where it has no name here. */
void oxv_users_describe(uint64_t uid, char *out, size_t out_size);

#endif
