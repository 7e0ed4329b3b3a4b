/* init_keeper: runs oxvault-keeper --init, with a token's helper beside it where a token seals. */
#ifndef OXV_CLI_INIT_KEEPER_H
#define OXV_CLI_INIT_KEEPER_H

#include <limits.h>

#include "cli/spawn.h"
#include "cli/token_seal.h"

struct oxv_init_run {
    const char *seal;            /* "passphrase", "keyfile" or "token" */
    struct oxv_token_seal token; /* with "token" */
    int secret_fd;               /* what the seal is made with; the keeper's descriptor 3 */
    struct oxv_spawn_user user;  /* the keeper's */
    char keeper[PATH_MAX];
};

/* What the keeper printed. */
struct oxv_init_made {
    char vault_id[64];
    char origin[128];
    char vkey[256];
    char fingerprint[128];
};

/* Fills run->keeper. */
enum oxv_exit oxv_init_find(const struct oxv_cli *cli, struct oxv_init_run *run);

/* Makes the vault in cli->dir, which is there, empty, and the keeper's. */
enum oxv_exit oxv_init_run(const struct oxv_cli *cli, const struct oxv_init_run *run,
                           struct oxv_init_made *made);

#endif
