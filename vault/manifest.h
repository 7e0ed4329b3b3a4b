/*
 * manifest: what ties all rows together (design.md 5.2). A row of its own, sealed under its own
 * subkey; its version is the change counter.
 *
 *   record  shape "manifest": counter, rows, last ids (u64 per table, enum oxv_table 1..7)
 *   sealed  32 bytes sum, 32 bytes node hash
 *
 * sum: mod 2^256, little-endian, over the hash of every row but the node's. Row hash: BLAKE2b-256
 * keyed with OXV_SUBKEY_ROW_HASH over table (u8), id (u64), version (u64), tag of the row's blob.
 * The node's row is kept apart because it holds the log's first key, which is born after entry 0
 * of the log has named the digest.
 * digest: BLAKE2b-256 keyed with OXV_SUBKEY_DIGEST over counter, rows, last ids, sum.
 */
#ifndef OXV_VAULT_MANIFEST_H
#define OXV_VAULT_MANIFEST_H

#include "vault/keys.h"
#include "vault/row.h"

#define OXV_MANIFEST_SUM_BYTES 32u

struct oxv_manifest {
    uint64_t counter; /* of changes; 1 after init */
    uint64_t rows;    /* the node's too */
    uint64_t last_id[OXV_TABLE_END];
    uint8_t sum[OXV_MANIFEST_SUM_BYTES];
    uint8_t node_hash[OXV_MANIFEST_SUM_BYTES];
};

/* What every blob of one vault has in common. Borrowed. */
struct oxv_vault_binding {
    const struct oxv_keys *keys;
    const uint8_t *vault_id;
    uint32_t root_generation;
};

/* A buffer that holds an encoded manifest row. */
struct oxv_manifest_row {
    uint8_t record[128];
    uint8_t sealed[128];
    struct oxv_store_row row; /* borrows the two */
};

/* Takes a row in, or out: false where its blob is too short to have a tag. */
OXV_MUST_USE bool oxv_manifest_add(struct oxv_manifest *m, const struct oxv_keys *keys,
                                   const struct oxv_row *row);
OXV_MUST_USE bool oxv_manifest_remove(struct oxv_manifest *m, const struct oxv_keys *keys,
                                      const struct oxv_row *row);

/* Same sum and node hash? In constant time. */
bool oxv_manifest_sums_equal(const struct oxv_manifest *a, const struct oxv_manifest *b);

/* Makes the row to be stored. */
void oxv_manifest_seal(const struct oxv_manifest *m, const struct oxv_vault_binding *binding,
                       struct oxv_manifest_row *out);

/*
 * Opens what was loaded.
 *   OXV_E_FORGED  changed from outside
 */
OXV_MUST_USE enum oxv_status oxv_manifest_open(const struct oxv_store_row *row,
                                               const struct oxv_vault_binding *binding,
                                               struct oxv_manifest *out, struct oxv_err *err);

/* Lower-case hex and NUL. */
void oxv_manifest_digest_hex(const struct oxv_manifest *m, const struct oxv_keys *keys,
                             char out[65]);

#endif
