/* keys: all subkeys of the root key, and those of a seal's material, in one place (design.md 5.1).
 */
#ifndef OXV_VAULT_KEYS_H
#define OXV_VAULT_KEYS_H

#include "base/secret.h"

#define OXV_SUBKEY_BYTES 32u

/* Under the root key. Numbers are fixed: they are ids of crypto_kdf_derive_from_key(). */
enum oxv_subkey {
    OXV_SUBKEY_RECORD = 1,   /* seals rows */
    OXV_SUBKEY_MANIFEST = 2, /* seals the manifest */
    OXV_SUBKEY_ROW_HASH = 3, /* hashes rows for the manifest's sum */
    OXV_SUBKEY_DIGEST = 4,   /* hashes the manifest for the log */
    OXV_SUBKEY_LOG_WRAP = 5, /* wraps the log's epoch.key */
    OXV_SUBKEY_URL_HASH = 6, /* url_hash of the log */
    OXV_SUBKEY_MACHINE = 7,  /* hashes the machine id */
    OXV_SUBKEY_BACKUP = 9,   /* wraps the key of a backup */
    OXV_SUBKEY_END = 10,
};

/* Under a seal's material: another context, so no number clashes with those above. */
enum oxv_seal_subkey {
    OXV_SEAL_SUBKEY_WRAP = 1,  /* encrypts the root key */
    OXV_SEAL_SUBKEY_CHECK = 2, /* is stored, tells a wrong passphrase from damage */
};

struct oxv_keys {
    struct oxv_secret *subkeys[OXV_SUBKEY_END];
};

/*
 * Fills *keys, which must be empty. `root` has OXV_ROOT_KEY_BYTES and can be wiped afterwards.
 *   OXV_E_MEMORY  *keys stays empty
 */
OXV_MUST_USE enum oxv_status oxv_keys_derive(struct oxv_keys *keys, const struct oxv_secret *root,
                                             struct oxv_err *err);
/* Wipes. Fine on an empty one. */
void oxv_keys_done(struct oxv_keys *keys);
/* Only while derived. */
const uint8_t *oxv_keys_get(const struct oxv_keys *keys, enum oxv_subkey which);

/* A subkey of a seal's 32-byte material, into `out`, which the caller wipes. */
void oxv_seal_subkey(const struct oxv_secret *material, enum oxv_seal_subkey which,
                     uint8_t out[OXV_SUBKEY_BYTES]);

#endif
