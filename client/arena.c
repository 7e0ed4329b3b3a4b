#include "client/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/secret.h"

#define BLOCK_BYTES 2048u /* what most results need */

struct block {
    struct block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

struct oxv_arena {
    struct block *blocks; /* the newest first */
};

struct oxv_arena *
oxv_arena_new(void)
{
    return calloc(1, sizeof(struct oxv_arena));
}

void
oxv_arena_free(struct oxv_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    while (arena->blocks != NULL) {
        struct block *block = arena->blocks;

        arena->blocks = block->next;
        oxv_wipe(block->bytes, block->used);
        free(block);
    }
    free(arena);
}

static struct block *
add_block(struct oxv_arena *arena, size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);

    if (block != NULL) {
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *
oxv_arena_get(struct oxv_arena *arena, size_t count, size_t size)
{
    struct block *block = arena->blocks;
    size_t wanted;

    if (__builtin_mul_overflow(count, size, &wanted) || wanted > SIZE_MAX / 4) {
        return NULL;
    }
    wanted = (wanted + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (block == NULL || block->size - block->used < wanted) {
        block = add_block(arena, wanted > BLOCK_BYTES ? wanted : BLOCK_BYTES);
    }
    if (block == NULL) {
        return NULL;
    }
    void *place = block->bytes + block->used;

    block->used += wanted;
    return place;
}
