#include "vault/log/tree.h"

/*
 * The functions for one algorithm: those of EVP cost 150 ns more a hash, as much as the hash of a
 * node itself.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>

struct oxv_hasher {
    SHA256_CTX ctx;
};

void
oxv_hasher_free(struct oxv_hasher *hasher)
{
    free(hasher);
}

struct oxv_hasher *
oxv_hasher_new(void)
{
    return calloc(1, sizeof(struct oxv_hasher));
}

/* Hashing memory cannot fail. */
static void
hash(struct oxv_hasher *hasher, struct oxv_view prefix, struct oxv_view bytes,
     uint8_t out[OXV_HASH_BYTES])
{
    if (SHA256_Init(&hasher->ctx) != 1 ||
        SHA256_Update(&hasher->ctx, prefix.data, prefix.len) != 1 ||
        SHA256_Update(&hasher->ctx, bytes.data, bytes.len) != 1 ||
        SHA256_Final(out, &hasher->ctx) != 1) {
        oxv_bug("SHA-256 failed");
    }
}

void
oxv_hash_leaf(struct oxv_hasher *hasher, struct oxv_view leaf, uint8_t out[OXV_HASH_BYTES])
{
    static const uint8_t prefix = 0x00;

    hash(hasher, oxv_view(&prefix, 1), leaf, out);
}

void
oxv_hash_node(struct oxv_hasher *hasher, const uint8_t left[OXV_HASH_BYTES],
              const uint8_t right[OXV_HASH_BYTES], uint8_t out[OXV_HASH_BYTES])
{
    uint8_t both[1 + 2 * OXV_HASH_BYTES];

    both[0] = 0x01;
    memcpy(both + 1, left, OXV_HASH_BYTES);
    memcpy(both + 1 + OXV_HASH_BYTES, right, OXV_HASH_BYTES);
    hash(hasher, oxv_view(both, sizeof both), oxv_view("", 0), out);
}

void
oxv_hash_bytes(struct oxv_hasher *hasher, struct oxv_view bytes, uint8_t out[OXV_HASH_BYTES])
{
    hash(hasher, oxv_view("", 0), bytes, out);
}

static bool
has_level(const struct oxv_tree *tree, unsigned level)
{
    return (tree->size >> level & 1) != 0;
}

/* Appends a full subtree of 2^level leaves; the tree has no smaller one. */
static void
add_subtree(struct oxv_tree *tree, struct oxv_hasher *hasher, const uint8_t hash[OXV_HASH_BYTES],
            unsigned level)
{
    uint8_t carry[OXV_HASH_BYTES];
    uint64_t leaves = UINT64_C(1) << level;

    if (tree->size > UINT64_MAX - leaves) {
        oxv_bug("the tree is full");
    }
    memcpy(carry, hash, sizeof carry);
    while (has_level(tree, level)) {
        oxv_hash_node(hasher, tree->hash[level], carry, carry);
        level++;
    }
    memcpy(tree->hash[level], carry, OXV_HASH_BYTES);
    tree->size += leaves;
}

void
oxv_tree_append(struct oxv_tree *tree, struct oxv_hasher *hasher, const struct oxv_tree *other)
{
    uint64_t step = tree->size & (~tree->size + 1); /* the largest power of two that divides it */

    if (tree->size != 0 && other->size > step) {
        oxv_bug("a tree appended where it does not fit");
    }
    for (unsigned level = OXV_TREE_MAX_LEVELS; level-- > 0;) {
        if (has_level(other, level)) {
            add_subtree(tree, hasher, other->hash[level], level);
        }
    }
}

void
oxv_tree_root_with(const struct oxv_tree *tree, struct oxv_hasher *hasher,
                   const uint8_t root[OXV_HASH_BYTES], uint8_t out[OXV_HASH_BYTES])
{
    uint8_t whole[OXV_HASH_BYTES];

    memcpy(whole, root, sizeof whole);
    for (unsigned level = 0; level < OXV_TREE_MAX_LEVELS; level++) {
        if (has_level(tree, level)) {
            oxv_hash_node(hasher, tree->hash[level], whole, whole);
        }
    }
    memcpy(out, whole, sizeof whole);
}

void
oxv_tree_add(struct oxv_tree *tree, struct oxv_hasher *hasher, struct oxv_view leaf)
{
    uint8_t hash[OXV_HASH_BYTES];

    oxv_hash_leaf(hasher, leaf, hash);
    add_subtree(tree, hasher, hash, 0);
}

void
oxv_tree_root(const struct oxv_tree *tree, struct oxv_hasher *hasher, uint8_t out[OXV_HASH_BYTES])
{
    uint8_t root[OXV_HASH_BYTES];
    bool begun = false;

    for (unsigned level = 0; level < OXV_TREE_MAX_LEVELS; level++) {
        if (!has_level(tree, level)) {
            continue;
        }
        if (begun) {
            oxv_hash_node(hasher, tree->hash[level], root, root);
        } else {
            memcpy(root, tree->hash[level], OXV_HASH_BYTES);
            begun = true;
        }
    }
    if (!begun) {
        oxv_hash_bytes(hasher, oxv_view("", 0), root);
    }
    memcpy(out, root, OXV_HASH_BYTES);
}
