/*
 * fresh: an empty directory that becomes a vault, by init or restore. From begin to end it has the
 * file OXV_VAULT_UNFINISHED, which open refuses.
 */
#ifndef OXV_VAULT_FRESH_H
#define OXV_VAULT_FRESH_H

#include "vault/vault_impl.h"

/* OXV_E_CONFLICT: the directory is not empty. */
OXV_MUST_USE enum oxv_status oxv_fresh_check(int dir_fd, struct oxv_err *err);
/* The mark, durable. Statuses as oxv_fresh_check(). */
OXV_MUST_USE enum oxv_status oxv_fresh_begin(int dir_fd, struct oxv_err *err);
/* vault.db with all rows of the lists and the manifest, durable. */
OXV_MUST_USE enum oxv_status oxv_fresh_store(int dir_fd, const struct oxv_row_list *lists,
                                             size_t list_count,
                                             const struct oxv_store_row *manifest,
                                             struct oxv_err *err);
/* Takes the mark away: from now on it is a vault. */
OXV_MUST_USE enum oxv_status oxv_fresh_end(int dir_fd, struct oxv_err *err);

#endif
