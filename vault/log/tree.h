/*
 * tree: RFC 6962 hashing (section 2.1) of a growing list. What is kept is the compact range: the
 * roots of the largest full subtrees, at most 64 hashes.
 */
#ifndef OXV_VAULT_LOG_TREE_H
#define OXV_VAULT_LOG_TREE_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/status.h"

#define OXV_HASH_BYTES      32u
#define OXV_TREE_MAX_LEVELS 64u

/* SHA-256 by OpenSSL; one for each thread. */
struct oxv_hasher;

void oxv_hasher_free(struct oxv_hasher *hasher);
/* NULL where there is no memory. */
OXV_MUST_USE struct oxv_hasher *oxv_hasher_new(void);
/* RFC 6962: SHA-256(0x00 || leaf), SHA-256(0x01 || left || right); and plain SHA-256. */
void oxv_hash_leaf(struct oxv_hasher *hasher, struct oxv_view leaf, uint8_t out[OXV_HASH_BYTES]);
void oxv_hash_node(struct oxv_hasher *hasher, const uint8_t left[OXV_HASH_BYTES],
                   const uint8_t right[OXV_HASH_BYTES], uint8_t out[OXV_HASH_BYTES]);
void oxv_hash_bytes(struct oxv_hasher *hasher, struct oxv_view bytes, uint8_t out[OXV_HASH_BYTES]);

/* Plain data: zeroed it is the empty tree, and it may be copied. */
struct oxv_tree {
    uint64_t size;
    /* hash[l] is the root of a full subtree of 2^l leaves where bit l of `size` is set. */
    uint8_t hash[OXV_TREE_MAX_LEVELS][OXV_HASH_BYTES];
};

/* Appends a leaf; its data is hashed with the prefix 0x00. */
void oxv_tree_add(struct oxv_tree *tree, struct oxv_hasher *hasher, struct oxv_view leaf);
/*
 * Appends all leaves of `other`. Its size must not exceed the largest power of two that divides the
 * tree's (any size where the tree is empty): then its subtrees are subtrees of the whole.
 */
void oxv_tree_append(struct oxv_tree *tree, struct oxv_hasher *hasher,
                     const struct oxv_tree *other);
/*
 * The root after such an append, `root` being the other tree's own; the other must not be empty.
 */
void oxv_tree_root_with(const struct oxv_tree *tree, struct oxv_hasher *hasher,
                        const uint8_t root[OXV_HASH_BYTES], uint8_t out[OXV_HASH_BYTES]);
/* SHA-256 of nothing for the empty tree. */
void oxv_tree_root(const struct oxv_tree *tree, struct oxv_hasher *hasher,
                   uint8_t out[OXV_HASH_BYTES]);

OXV_DEFINE_OWNER(oxv_hasher);

#endif
