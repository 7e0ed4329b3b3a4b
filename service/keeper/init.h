/* init: the keeper's one-shot mode, run by `oxvault init` as the service's user. */
#ifndef OXV_SERVICE_KEEPER_INIT_H
#define OXV_SERVICE_KEEPER_INIT_H

#include "service/keeper/keeper.h"

struct oxv_init_options {
    const char *dir_path;
    enum oxv_seal_kind seal;
    uint64_t admin_uid;
};

/*
 * Makes a vault in the empty directory; the passphrase or key file comes from `source_fd`. Prints
 * vault_id=, origin=, vkey= and fingerprint= on stdout. Returns the exit code of design 10; what
 * went wrong is one line on stderr.
 */
int oxv_keeper_init(const struct oxv_init_options *options, int source_fd);

#endif
