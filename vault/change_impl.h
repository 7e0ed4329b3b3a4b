/* change_impl: the insides of struct oxv_change, for change.c and change_rows.c alone. */
#ifndef OXV_VAULT_CHANGE_IMPL_H
#define OXV_VAULT_CHANGE_IMPL_H

#include "vault/change.h"
#include "vault/vault_impl.h"

struct oxv_change {
    struct oxv_vault *vault; /* NULL once abandoned */
    struct oxv_manifest manifest;
    struct oxv_registry *added;  /* new rows and new versions of rows */
    struct oxv_row_list leaving; /* rows of the vault that go, or are replaced by one in `added` */
    struct oxv_row_buffers *buffers;
    struct oxv_secret *plain;    /* an encoded secret part, for one put */
    struct oxv_keys new_keys;    /* of a rekey; else empty */
    struct oxv_secret *new_root; /* while rows are sealed anew */
    bool prepared;
    bool failed; /* a write failed half-way: only rolling back is left */
};

/*
 * Can rows be put and removed still?
 *   OXV_E_LOCKED  the vault was locked meanwhile
 *   OXV_E_STORE   an earlier step failed half-way
 */
OXV_MUST_USE enum oxv_status oxv_change_check_usable(const struct oxv_change *change,
                                                     struct oxv_err *err);

/* What the change seals under: with a rekey, the new keys. */
struct oxv_vault_binding oxv_change_binding(const struct oxv_change *change);

/* A rekey's row in place of an old one, or (NULL) none; it is taken. Sums are not touched before.
 */
OXV_MUST_USE enum oxv_status oxv_change_rekey_row(struct oxv_change *change, struct oxv_row *old,
                                                  struct oxv_row **row, struct oxv_err *err);

#endif
