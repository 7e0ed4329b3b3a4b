/* init: the keeper's one-shot mode, run by `oxvault init` as the service's user. */
#ifndef OXV_SERVICE_KEEPER_INIT_H
#define OXV_SERVICE_KEEPER_INIT_H

#include "service/keeper/keeper.h"

#define OXV_INIT_HELPER_FD 4 /* the channel to a token helper that the command has started */

struct oxv_init_options {
    const char *dir_path;
    enum oxv_seal_kind seal;
    uint64_t admin_uid;
    /* a seal of kind token; the source is then that of its PIN, which may be empty */
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
 * Makes a vault in the empty directory; the passphrase or key file comes from `source_fd`. Prints
 * vault_id=, origin=, vkey= and fingerprint= on stdout. Returns the exit code of design 10; what
 * went wrong is one line on stderr.
 */
int oxv_keeper_init(const struct oxv_init_options *options, int source_fd);

#endif
