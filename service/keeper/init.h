/*
 * init: the keeper's one-shot modes, run by `oxvault init`, `restore` and `adopt` as the service's
 * user.
 */
#ifndef OXV_SERVICE_KEEPER_INIT_H
#define OXV_SERVICE_KEEPER_INIT_H

#include "service/keeper/keeper.h"

#define OXV_INIT_HELPER_FD 4 /* the channel to a token helper that the command has started */
#define OXV_INIT_BACKUP_FD 5 /* the backup to be restored */

enum oxv_init_mode {
    OXV_MODE_NONE, /* the service */
    OXV_MODE_INIT,
    OXV_MODE_RESTORE,
    OXV_MODE_ADOPT,
};

struct oxv_helper;

struct oxv_init_options {
    enum oxv_init_mode mode;
    const char *dir_path;
    enum oxv_seal_kind seal;
    uint64_t admin_uid;
    uint64_t seal_id; /* restore, adopt by a token: the only seal to be tried; 0: any */
    /* init: a seal of kind token; the source is then that of its PIN, which may be empty */
    const char *module;
    const char *token_uri;
    uint8_t key_id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t key_id_len;
    bool generate;
    uint64_t mechanism;
    uint64_t gcm_iv;
    bool allow_oaep_sha1;
    bool allow_pkcs1;
};

/*
 * Makes a vault in the empty directory, or a new node of the one that is there (adopt); the
 * passphrase, key file or PIN comes from `source_fd`. Prints vault_id=, origin=, vkey= and
 * fingerprint= on stdout. Returns the exit code of design 10; what went wrong is one line on
 * stderr.
 */
int oxv_keeper_init(const struct oxv_init_options *options, int source_fd);

/* copy.c: the modes for vaults that are there. */
OXV_MUST_USE enum oxv_status oxv_init_restore(struct oxv_keeper *k,
                                              const struct oxv_init_options *options, int source_fd,
                                              struct oxv_err *err);
OXV_MUST_USE enum oxv_status oxv_init_adopt(struct oxv_keeper *k,
                                            const struct oxv_init_options *options, int source_fd,
                                            struct oxv_err *err);

/* What the modes share. Opens vault.db anew and prints what it says. */
OXV_MUST_USE enum oxv_status oxv_init_print(struct oxv_keeper *k, struct oxv_err *err);
struct oxv_init_token {
    struct oxv_view module;
    struct oxv_view uri;
};
/* The token with its PIN (none: there may be a PIN pad), logged in. *out is k's. */
OXV_MUST_USE enum oxv_status oxv_init_open_token(struct oxv_keeper *k,
                                                 const struct oxv_init_token *token, int source_fd,
                                                 struct oxv_helper **out, struct oxv_err *err);
/*
 * Works on tokens until *is_done. Where that is given up the helper ends here: what it is asked
 * tells of its end.
 */
OXV_MUST_USE enum oxv_status oxv_init_pump(struct oxv_keeper *k, const bool *is_done,
                                           uint64_t timeout_us, struct oxv_err *err);

#endif
