/* token_seal: how a seal of kind token is to be made, as the options of init and seal add say. */
#ifndef OXV_CLI_TOKEN_SEAL_H
#define OXV_CLI_TOKEN_SEAL_H

#include "base/token_terms.h"
#include "cli/cli.h"

struct oxv_token_seal {
    const char *module;
    const char *uri;
    const char *key_id_hex; /* NULL: the key that fits */
    uint8_t key_id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t key_id_len;
    bool generate;
    const char *mechanism_name; /* NULL: the best that works */
    uint64_t mechanism;         /* 0: likewise */
    const char *gcm_iv_name;    /* NULL: host */
    uint64_t gcm_iv;            /* 0: likewise */
    bool allow_oaep_sha1;
    bool allow_pkcs1;
};

/* Is one of the options given that only a seal of kind token has? */
bool oxv_token_seal_is_asked(const struct oxv_cli *cli);

/*
 * Reads and checks them all: --module, --generate, --key-id, --mechanism, --gcm-iv,
 * --allow-oaep-sha1, --allow-pkcs1, which the command must have. Borrows `uri` and the line.
 */
enum oxv_exit oxv_token_seal_read(const struct oxv_cli *cli, const char *uri,
                                  struct oxv_token_seal *out);

/* An absolute path, or the name of a module of p11-kit. */
enum oxv_exit oxv_token_module_check(const struct oxv_cli *cli, const char *module);

/* Hex of 1 to OXV_TOKEN_KEY_ID_MAX_BYTES bytes. */
enum oxv_exit oxv_token_key_id_read(const struct oxv_cli *cli, const char *hex,
                                    uint8_t out[OXV_TOKEN_KEY_ID_MAX_BYTES], size_t *len);

#endif
