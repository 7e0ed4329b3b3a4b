/*
 * init_keeper: runs oxvault-keeper once, to init, restore or adopt, with a token's helper beside it
 * where a token seals.
 */
#ifndef OXV_CLI_INIT_KEEPER_H
#define OXV_CLI_INIT_KEEPER_H

#include <limits.h>

#include "cli/spawn.h"
#include "cli/token_seal.h"

struct oxv_init_run {
    const char *mode;            /* "--init", "--restore", "--adopt" */
    const char *seal;            /* "passphrase", "keyfile" or "token" */
    const char *seal_id;         /* of the only seal to be tried; NULL: any */
    struct oxv_token_seal token; /* init with "token" */
    int secret_fd;               /* what the seal is made with; the keeper's descriptor 3 */
    int backup_fd;               /* restore: its descriptor 5; else -1 */
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

/* Works on cli->dir, which is there and the keeper's; empty unless it is to be adopted. */
enum oxv_exit oxv_init_run(const struct oxv_cli *cli, const struct oxv_init_run *run,
                           struct oxv_init_made *made);

/* {"dir":...,"vault_id":...,"origin":...,"vkey":...,"fingerprint":...} */
void oxv_init_print_json(const struct oxv_cli *cli, const struct oxv_init_made *made);
/* What the auditor needs of a new log. */
void oxv_init_print_key(const struct oxv_cli *cli, const struct oxv_init_made *made);

#endif
