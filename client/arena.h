/* arena: the memory of one result, given back as a whole. Wiped when freed. */
#ifndef OXV_CLIENT_ARENA_H
#define OXV_CLIENT_ARENA_H

#include "base/bytes.h"
#include "base/cleanup.h"

struct oxv_arena;

OXV_MUST_USE struct oxv_arena *oxv_arena_new(void);
void oxv_arena_free(struct oxv_arena *arena);

/* Zeroed, aligned for any struct; count * size bytes. NULL where memory is out. */
OXV_MUST_USE void *oxv_arena_get(struct oxv_arena *arena, size_t count, size_t size);

OXV_DEFINE_OWNER(oxv_arena);

#endif
