#include "vault/index.h"

#include <sodium.h>
#include <stdlib.h>

_Static_assert(OXV_INDEX_KEY_BYTES == crypto_shorthash_KEYBYTES, "hash key");

void
oxv_index_init(struct oxv_index *index, oxv_index_key_fn key, const uint8_t *hash_key)
{
    *index = (struct oxv_index){ .key = key, .hash_key = hash_key };
}

void
oxv_index_done(struct oxv_index *index)
{
    free(index->slots);
    index->slots = NULL;
    index->capacity = 0;
    index->count = 0;
}

/* The slot where a search for `key` begins. */
static size_t
home(const struct oxv_index *index, struct oxv_view key)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t value;

    (void)crypto_shorthash(hash, key.data, key.len, index->hash_key); /* returns 0 always */
    memcpy(&value, hash, sizeof value);
    return (size_t)value & (index->capacity - 1);
}

static size_t
next_slot(const struct oxv_index *index, size_t slot)
{
    return (slot + 1) & (index->capacity - 1);
}

/* The slot that holds `key`, or the empty one where it would go. */
static size_t
find(const struct oxv_index *index, struct oxv_view key)
{
    size_t slot = home(index, key);

    while (index->slots[slot] != NULL && !oxv_view_equals(index->key(index->slots[slot]), key)) {
        slot = next_slot(index, slot);
    }
    return slot;
}

enum oxv_status
oxv_index_reserve(struct oxv_index *index, size_t more)
{
    size_t capacity = index->capacity == 0 ? 16 : index->capacity;

    while (capacity / 2 < index->count + more) {
        if (capacity > SIZE_MAX / 4) {
            return OXV_E_MEMORY;
        }
        capacity *= 2;
    }
    if (capacity == index->capacity) {
        return OXV_OK;
    }
    struct oxv_index larger = *index;

    larger.slots = calloc(capacity, sizeof(struct oxv_row *));
    larger.capacity = capacity;
    larger.count = 0;
    if (larger.slots == NULL) {
        return OXV_E_MEMORY;
    }
    for (size_t i = 0; i < index->capacity; i++) {
        if (index->slots[i] != NULL) {
            oxv_index_put(&larger, index->slots[i]);
        }
    }
    free(index->slots);
    *index = larger;
    return OXV_OK;
}

void
oxv_index_put(struct oxv_index *index, struct oxv_row *row)
{
    if (index->count + 1 > index->capacity / 2) {
        oxv_bug("no room in an index");
    }
    size_t slot = find(index, index->key(row));

    if (index->slots[slot] != NULL) {
        oxv_bug("key twice in an index");
    }
    index->slots[slot] = row;
    index->count++;
}

struct oxv_row *
oxv_index_get(const struct oxv_index *index, struct oxv_view key)
{
    return index->capacity == 0 ? NULL : index->slots[find(index, key)];
}

void
oxv_index_replace(struct oxv_index *index, struct oxv_row *row)
{
    size_t slot = index->capacity == 0 ? 0 : find(index, index->key(row));

    if (index->capacity == 0 || index->slots[slot] == NULL) {
        oxv_bug("nothing to replace in an index");
    }
    index->slots[slot] = row;
}

void
oxv_index_remove(struct oxv_index *index, struct oxv_view key)
{
    if (index->capacity == 0) {
        return;
    }
    size_t hole = find(index, key);

    if (index->slots[hole] == NULL) {
        return;
    }
    index->slots[hole] = NULL;
    index->count--;
    /* Those behind the hole that were pushed past it move up, so no search stops too early. */
    for (size_t slot = next_slot(index, hole); index->slots[slot] != NULL;
         slot = next_slot(index, slot)) {
        size_t wanted = home(index, index->key(index->slots[slot]));
        size_t mask = index->capacity - 1;

        if (((slot - wanted) & mask) >= ((slot - hole) & mask)) {
            index->slots[hole] = index->slots[slot];
            index->slots[slot] = NULL;
            hole = slot;
        }
    }
}
