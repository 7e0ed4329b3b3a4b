/* index: an open-addressing hash table of rows, keyed by some bytes of them (SipHash, random key).
 */
#ifndef OXV_VAULT_INDEX_H
#define OXV_VAULT_INDEX_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_INDEX_KEY_BYTES 16u

struct oxv_row;

/* The bytes that a row is found by; they do not change while it is in an index. */
typedef struct oxv_view (*oxv_index_key_fn)(const struct oxv_row *row);

struct oxv_index {
    struct oxv_row **slots; /* capacity is 0 or a power of two; at most half are used */
    size_t capacity;
    size_t count;
    oxv_index_key_fn key;
    const uint8_t
        *hash_key; /* OXV_INDEX_KEY_BYTES, borrowed: random, so nobody can make rows clash */
};

void oxv_index_init(struct oxv_index *index, oxv_index_key_fn key, const uint8_t *hash_key);
void oxv_index_done(struct oxv_index *index);
/* Makes room for `more` rows. OXV_E_MEMORY: nothing changed. */
OXV_MUST_USE enum oxv_status oxv_index_reserve(struct oxv_index *index, size_t more);
/* There must be room, and no row with the same key. */
void oxv_index_put(struct oxv_index *index, struct oxv_row *row);
struct oxv_row *oxv_index_get(const struct oxv_index *index, struct oxv_view key);
/* Puts `row` where the row with the same key is. */
void oxv_index_replace(struct oxv_index *index, struct oxv_row *row);
void oxv_index_remove(struct oxv_index *index, struct oxv_view key);

#endif
