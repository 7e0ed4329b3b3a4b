/*
 * epoch_key: the file epoch.key, the current epoch's signing key under a wrap key.
 *
 *   offset  bytes  what
 *        0      8  magic "OXVEPKEY"
 *        8      1  format: 1 = wrapped by a subkey of the vault; 2 = by the ratchet of ratchet.h.
 *                  What is written has format 2
 *        9      8  epoch
 *       17     32  Ed25519 public key
 *       49     24  nonce
 *       73     88  XChaCha20-Poly1305 of: seed (32), size (8) and root (32) of the log when the
 *                  epoch began; then the tag (16)
 *
 * Integers are big-endian. Validity:
 *  1. the file has exactly 161 bytes
 *  2. magic and format are as above
 *  3. the tag is right under the wrap key, with bytes 0..72 as associated data
 *  4. the public key is that of the seed
 */
#ifndef OXV_VAULT_LOG_EPOCH_KEY_H
#define OXV_VAULT_LOG_EPOCH_KEY_H

#include "vault/log/note.h"

#define OXV_EPOCH_KEY_FORMAT_SUBKEY  1u
#define OXV_EPOCH_KEY_FORMAT_RATCHET 2u
#define OXV_EPOCH_KEY_FILE_BYTES     161u

/* Zeroed it is empty. */
struct oxv_epoch_key {
    uint64_t epoch;
    uint64_t begin_size;
    uint8_t begin_root[OXV_HASH_BYTES];
    uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES];
    struct oxv_secret *secret_key; /* owned; libsodium's form */
};

/* What a key file says of itself, before it is opened: nothing of it is authenticated. */
struct oxv_epoch_key_claim {
    uint8_t format;
    uint64_t epoch;
    uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES];
};

/* OXV_E_FORMAT: rule 1 or 2 is broken. *out is then untouched. */
OXV_MUST_USE enum oxv_status
oxv_epoch_key_claim(struct oxv_view file, struct oxv_epoch_key_claim *out, struct oxv_err *err);

/* Wipes the key. */
void oxv_epoch_key_done(struct oxv_epoch_key *key);

/* A new key for an epoch that begins at this size and root. OXV_E_MEMORY: no locked memory. */
OXV_MUST_USE enum oxv_status oxv_epoch_key_init(struct oxv_epoch_key *key, uint64_t epoch,
                                                uint64_t begin_size,
                                                const uint8_t begin_root[OXV_HASH_BYTES]);

/* Expands a seed of OXV_NOTE_SEED_BYTES, which is only borrowed. OXV_E_MEMORY: no locked memory. */
OXV_MUST_USE enum oxv_status oxv_epoch_key_expand(struct oxv_epoch_key *key,
                                                  const uint8_t seed[OXV_NOTE_SEED_BYTES]);

/* Appends the file's bytes, wrapped under the ratchet's key of this epoch. OXV_E_MEMORY: no locked
 * memory. */
OXV_MUST_USE enum oxv_status oxv_epoch_key_wrap(const struct oxv_epoch_key *key,
                                                const struct oxv_secret *wrap_key,
                                                struct oxv_writer *w);

/*
 *   OXV_E_FORMAT  rule 1 or 2 is broken
 *   OXV_E_FORGED  rule 3 or 4 is broken: a changed file, or one under another wrap key. The wrap
 *                 key comes from an open vault, so no passphrase was wrong
 *   OXV_E_MEMORY  no locked memory
 * *out is untouched on failure; else the caller owns it.
 */
OXV_MUST_USE enum oxv_status oxv_epoch_key_unwrap(struct oxv_view file,
                                                  const struct oxv_secret *wrap_key,
                                                  struct oxv_epoch_key *out, struct oxv_err *err);

#endif
