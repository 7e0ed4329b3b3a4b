/*
 * blob: a sealed blob, the one way in which anything is encrypted at rest (design.md 5.1, 5.2).
 *
 *   offset  bytes  what
 *        0      4  "OXVB"
 *        4      1  format, 1
 *        5      1  purpose, enum oxv_blob_purpose
 *        6      1  algorithm, 1: XChaCha20-Poly1305 (libsodium's _ietf)
 *        7      4  root generation, big-endian
 *       11     24  nonce, fresh and random for each write
 *       35      n  ciphertext, as long as the plaintext
 *   35 + n     16  tag
 *
 * Associated data: the 35 bytes above, then
 *   "oxvault blob v1"  15 bytes
 *   vault id           16
 *   table               1
 *   id                  8, big-endian
 *   version             8
 *   record              u32 length and the bytes, as stored
 *   bound               u32 length and the bytes: see struct oxv_blob_place
 *
 * A blob is valid where 1. it has 51 bytes or more, 2. magic, format and algorithm are those above,
 * 3. purpose and generation are those expected, 4. the tag fits all of it and the place.
 */
#ifndef OXV_VAULT_BLOB_H
#define OXV_VAULT_BLOB_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_BLOB_HEADER_BYTES 35u
#define OXV_BLOB_TAG_BYTES    16u
#define OXV_BLOB_EXTRA_BYTES  (OXV_BLOB_HEADER_BYTES + OXV_BLOB_TAG_BYTES)
#define OXV_BLOB_KEY_BYTES    32u

/* Numbers are fixed. */
enum oxv_blob_purpose {
    OXV_BLOB_RECORD = 1,    /* secret part of a row */
    OXV_BLOB_MANIFEST = 2,  /* secret part of the manifest */
    OXV_BLOB_SEAL = 3,      /* the root key under a seal */
    OXV_BLOB_BACKUP = 4,    /* the key of a backup */
    OXV_BLOB_OLD_START = 5, /* where the log's ratchet started before a rekey */
};

/* Where a blob belongs; all of it is authenticated, none of it is in the blob. */
struct oxv_blob_place {
    enum oxv_blob_purpose purpose;
    const uint8_t *vault_id;  /* OXV_ID_BYTES */
    uint32_t root_generation; /* 0 when opening: any */
    uint8_t table;
    uint64_t id;
    uint64_t version;
    struct oxv_view record;
    struct oxv_view bound; /* more bytes stored beside the blob; empty for most rows */
};

/* Appends the blob. Makes the writer fail where it does not fit. */
void oxv_blob_seal(struct oxv_writer *w, const uint8_t key[OXV_BLOB_KEY_BYTES],
                   const struct oxv_blob_place *place, struct oxv_view plain);

/*
 * Writes the plaintext into `out`, which the caller keeps in locked memory.
 *   OXV_E_FORGED  not a valid blob of this place and key
 *   OXV_E_LIMIT   more than out_max bytes; nothing was decrypted
 */
OXV_MUST_USE enum oxv_status oxv_blob_open(struct oxv_view blob,
                                           const uint8_t key[OXV_BLOB_KEY_BYTES],
                                           const struct oxv_blob_place *place,
                                           struct oxv_writer *out);

/* The same check without decrypting anything. */
OXV_MUST_USE bool oxv_blob_is_authentic(struct oxv_view blob, const uint8_t key[OXV_BLOB_KEY_BYTES],
                                        const struct oxv_blob_place *place);

/* The last OXV_BLOB_TAG_BYTES; empty where it is too short to have a tag. */
struct oxv_view oxv_blob_tag(struct oxv_view blob);

#endif
