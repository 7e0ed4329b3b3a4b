/*
 * recent: inclusion proofs of entries that were just committed, without a look at the files.
 *
 * What lies before the group is known by the full subtrees that the tree kept of it; whatever else
 * such a proof needs ends within the group, and is made while its leaves are taken. A proof is then
 * looked up.
 */
#ifndef OXV_VAULT_LOG_RECENT_H
#define OXV_VAULT_LOG_RECENT_H

#include "vault/log/proof.h"

struct oxv_recent;

void oxv_recent_free(struct oxv_recent *recent);
/* Follows a tree from `start` on. NULL where there is no memory. */
OXV_MUST_USE struct oxv_recent *oxv_recent_new(const struct oxv_tree *start);

/* Leaves of the tree that were seen, those before `start` among them. */
uint64_t oxv_recent_size(const struct oxv_recent *recent);

/*
 * Takes the next leaf's data.
 *   OXV_E_MEMORY  no memory: as before, but no further leaf may follow
 */
OXV_MUST_USE enum oxv_status oxv_recent_add(struct oxv_recent *recent, struct oxv_hasher *hasher,
                                            struct oxv_view leaf);

/*
 * That leaf `index` is in the tree of all leaves seen.
 *   OXV_E_NOT_FOUND  it is none of those taken
 */
OXV_MUST_USE enum oxv_status oxv_recent_prove(const struct oxv_recent *recent,
                                              struct oxv_hasher *hasher, uint64_t index,
                                              struct oxv_proof *out);

OXV_DEFINE_OWNER(oxv_recent);

#endif
