#include "vault/log/recent.h"

#include <stdlib.h>

#define FIRST_ROOM 64u

struct hash {
    uint8_t bytes[OXV_HASH_BYTES];
};

/* The full subtrees of one height that ended behind the start: number `first` and those after. */
struct level {
    uint64_t first;
    size_t count;
    size_t room;
    struct hash *nodes;
};

struct oxv_recent {
    struct oxv_tree start;
    uint64_t size;
    struct level levels[OXV_TREE_MAX_LEVELS];
};

void
oxv_recent_free(struct oxv_recent *recent)
{
    for (size_t i = 0; recent != NULL && i < OXV_TREE_MAX_LEVELS; i++) {
        free(recent->levels[i].nodes);
    }
    free(recent);
}

struct oxv_recent *
oxv_recent_new(const struct oxv_tree *start)
{
    struct oxv_recent *recent = calloc(1, sizeof *recent);

    if (recent == NULL) {
        return NULL;
    }
    recent->start = *start;
    recent->size = start->size;
    for (unsigned i = 0; i < OXV_TREE_MAX_LEVELS; i++) {
        recent->levels[i].first = start->size >> i;
    }
    return recent;
}

uint64_t
oxv_recent_size(const struct oxv_recent *recent)
{
    return recent->size;
}

static bool
push(struct level *level, const struct hash *hash)
{
    if (level->count == level->room) {
        size_t room = level->room == 0 ? FIRST_ROOM : 2 * level->room;
        struct hash *nodes = reallocarray(level->nodes, room, sizeof *nodes);

        if (nodes == NULL) {
            return false;
        }
        level->nodes = nodes;
        level->room = room;
    }
    level->nodes[level->count++] = *hash;
    return true;
}

/*
 * Subtree number n of that height, where it is known; else NULL. One that ended before the start
 * and is looked for is the last of its height, and the tree has kept it.
 */
static const uint8_t *
find(const struct oxv_recent *recent, unsigned height, uint64_t n)
{
    const struct level *level = &recent->levels[height];

    if (n >= level->first) {
        return n - level->first < level->count ? level->nodes[n - level->first].bytes : NULL;
    }
    bool is_kept = n + 1 == level->first && (level->first & 1) != 0;

    return is_kept ? recent->start.hash[height] : NULL;
}

enum oxv_status
oxv_recent_add(struct oxv_recent *recent, struct oxv_hasher *hasher, struct oxv_view leaf)
{
    uint64_t n = recent->size;
    unsigned height = 0;
    struct hash hash;

    oxv_hash_leaf(hasher, leaf, hash.bytes);
    while (push(&recent->levels[height], &hash)) {
        if ((n & 1) == 0) {
            recent->size++;
            return OXV_OK;
        }
        const uint8_t *left = find(recent, height, n - 1);

        if (left == NULL || height + 1 == OXV_TREE_MAX_LEVELS) {
            oxv_bug("a subtree has no left half");
        }
        oxv_hash_node(hasher, left, hash.bytes, hash.bytes);
        n >>= 1;
        height++;
    }
    return OXV_E_MEMORY;
}

enum oxv_status
oxv_recent_prove(const struct oxv_recent *recent, struct oxv_hasher *hasher, uint64_t index,
                 struct oxv_proof *out)
{
    struct oxv_proof_plan plan;

    if (index < recent->start.size ||
        oxv_proof_plan_inclusion(&plan, index, recent->size) != OXV_OK) {
        return OXV_E_NOT_FOUND;
    }
    for (size_t i = 0; i < plan.node_count; i++) {
        struct oxv_proof_node *node = &plan.nodes[i];
        const uint8_t *hash = find(recent, node->level, node->n);

        if (hash == NULL) {
            oxv_bug("a subtree of a recent proof is not known");
        }
        memcpy(node->hash, hash, sizeof node->hash);
        node->is_known = true;
    }
    oxv_proof_finish(&plan, hasher, out);
    return OXV_OK;
}
