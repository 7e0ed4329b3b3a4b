/*
 * proof: RFC 6962 inclusion and consistency proofs, made and checked.
 *
 * To make one, a plan says which full subtrees of the tree are needed; their roots are gathered by
 * one pass over the leaves (here), or from files (folder.h); then the plan gives the proof. The
 * checks are those of RFC 9162 section 2.1.3.2 and 2.1.4.2. They look at nothing but their
 * arguments.
 */
#ifndef OXV_VAULT_LOG_PROOF_H
#define OXV_VAULT_LOG_PROOF_H

#include "vault/log/tree.h"

#define OXV_PROOF_SIZE_MAX   ((UINT64_C(1) << 63) - 1) /* of a tree */
#define OXV_PROOF_MAX_HASHES 64u
#define OXV_PROOF_MAX_NODES  128u

/* From the leaf up. */
struct oxv_proof {
    size_t count;
    uint8_t hash[OXV_PROOF_MAX_HASHES][OXV_HASH_BYTES];
};

/* The root of the full subtree over the leaves n * 2^level to (n + 1) * 2^level - 1. */
struct oxv_proof_node {
    unsigned level;
    uint64_t n;
    bool is_known;
    uint8_t hash[OXV_HASH_BYTES];
};

/* Plain data. */
struct oxv_proof_plan {
    size_t node_count;
    struct oxv_proof_node nodes[OXV_PROOF_MAX_NODES];
    size_t hash_count;
    size_t ends[OXV_PROOF_MAX_HASHES]; /* the nodes before ends[i] and from ends[i - 1] on make
                                          hash i: a subtree that need not be full, from the left */
};

/* That leaf `index` is in the tree of `size` leaves. OXV_E_USAGE where there is none of that. */
OXV_MUST_USE enum oxv_status oxv_proof_plan_inclusion(struct oxv_proof_plan *plan, uint64_t index,
                                                      uint64_t size);
/*
 * That the tree of `size` leaves begins with the tree of `old` leaves.
 *   OXV_E_USAGE  old is 0, or above size
 */
OXV_MUST_USE enum oxv_status oxv_proof_plan_consistency(struct oxv_proof_plan *plan, uint64_t old,
                                                        uint64_t size);
/* The root of the first `size` leaves, which are some: the proof's only hash. */
void oxv_proof_plan_root(struct oxv_proof_plan *plan, uint64_t size);
/* Once all nodes are known. */
void oxv_proof_finish(const struct oxv_proof_plan *plan, struct oxv_hasher *hasher,
                      struct oxv_proof *out);

/* A pass over leaves in order; fills in the nodes of a plan. The plan is borrowed. */
struct oxv_proof_pass {
    struct oxv_proof_plan *plan;
    struct oxv_tree tree;
    uint64_t begin; /* leaves before it were skipped */
    size_t next;    /* in `order` */
    size_t order[OXV_PROOF_MAX_NODES];
};

/* Begins at leaf `begin`; only nodes that lie behind it are filled in. */
void oxv_proof_pass_init(struct oxv_proof_pass *pass, struct oxv_proof_plan *plan, uint64_t begin);
/* Takes the next leaf's data. */
void oxv_proof_pass_add(struct oxv_proof_pass *pass, struct oxv_hasher *hasher,
                        struct oxv_view leaf);

/* A root, and of how many leaves. */
struct oxv_proof_head {
    uint64_t size;
    uint8_t root[OXV_HASH_BYTES];
};

/* Is `leaf`, a leaf hash, number `index` of the tree? */
OXV_MUST_USE bool oxv_proof_has_leaf(struct oxv_hasher *hasher, const struct oxv_proof *proof,
                                     uint64_t index, const uint8_t leaf[OXV_HASH_BYTES],
                                     const struct oxv_proof_head *head);
/* Does the tree of `head` begin with the tree of `old`? False for an old one of no leaves. */
OXV_MUST_USE bool oxv_proof_extends(struct oxv_hasher *hasher, const struct oxv_proof *proof,
                                    const struct oxv_proof_head *old,
                                    const struct oxv_proof_head *head);

#endif
