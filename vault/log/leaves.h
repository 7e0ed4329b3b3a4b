/* leaves: the entries of a log folder in order, without its commit lines. Nothing is verified. */
#ifndef OXV_VAULT_LOG_LEAVES_H
#define OXV_VAULT_LOG_LEAVES_H

#include "base/bytes.h"

/* Takes one entry, without its newline; borrowed for the call. Not OXV_OK ends the reading. */
typedef enum oxv_status (*oxv_leaf_fn)(void *ctx, struct oxv_view line);

/* Entries `begin` to `end` - 1. */
struct oxv_leaf_range {
    uint64_t begin;
    uint64_t end;
};

/*
 * Calls fn for each entry of the range, in constant memory; what fn returns is returned, with *err
 * as fn left it. `seg_fd` is the directory log/seg.
 *   OXV_E_FORGED  there are fewer entries, or lines that are none: *err says where
 *   OXV_E_IO, OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_leaves_each(int seg_fd, struct oxv_leaf_range range,
                                             oxv_leaf_fn fn, void *ctx, struct oxv_err *err);

#endif
