/*
 * shield: keys that wait in plain memory, encrypted under a key of this process that lies in locked
 * memory (design.md 5.4). Cheaper to open than a sealed record: the record was authenticated when
 * it was loaded, so here nothing but secrecy is wanted.
 */
#ifndef OXV_VAULT_SHIELD_H
#define OXV_VAULT_SHIELD_H

#include "base/bytes.h"
#include "base/secret.h"

#define OXV_SHIELDED_MAX_BYTES 128u

struct oxv_shield {
    struct oxv_secret *key;
    uint64_t used_nonces; /* none is ever used twice, whatever the key */
};

/* One key, encrypted. Release with free(): there is nothing to wipe. */
struct oxv_shielded {
    uint64_t nonce;
    size_t len;
    uint8_t bytes[];
};

/*
 * Draws the key. *shield must be zeroed or done.
 *   OXV_E_MEMORY  no locked memory left
 */
OXV_MUST_USE enum oxv_status oxv_shield_init(struct oxv_shield *shield);
/* Wipes the key. Fine on a zeroed one. */
void oxv_shield_done(struct oxv_shield *shield);
/* Draws another key: what was encrypted before can be opened by nobody any more. */
void oxv_shield_renew(struct oxv_shield *shield);

/* Encrypts at most OXV_SHIELDED_MAX_BYTES. NULL where they are more, or memory is short. */
OXV_MUST_USE struct oxv_shielded *oxv_shield_put(struct oxv_shield *shield, struct oxv_view plain);
/* Writes shielded->len bytes to locked memory of the caller, who wipes them. */
void oxv_shield_open(const struct oxv_shield *shield, const struct oxv_shielded *shielded,
                     uint8_t *plain);

#endif
