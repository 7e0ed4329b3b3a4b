/*
 * copies: a vault from a backup, and one that moved, was cloned or put back. Each becomes a node
 * of its own: new node id, new log, whose first entries name the log before. No log is continued.
 */
#ifndef OXV_VAULT_COPIES_H
#define OXV_VAULT_COPIES_H

#include "vault/vault.h"

/* What the new node is told. */
struct oxv_copy {
    struct oxv_view machine_id; /* as oxv_vault_new has it */
    uint64_t uid_plus1;         /* who does it; 0: unknown */
    uint64_t old_size;          /* of the old log, as far as it is known */
    struct oxv_view old_root;   /* 32 bytes; empty: nothing of the old log is known */
    struct oxv_view reason;     /* of the entry */
};

/*
 * Makes vault.db and log/ in the empty directory dir_fd of a vault that oxv_vault_unseal_copy()
 * has opened.
 *   OXV_E_CONFLICT  the directory is not empty
 */
OXV_MUST_USE enum oxv_status oxv_vault_restore(const struct oxv_vault *from, int dir_fd,
                                               const struct oxv_copy *copy, struct oxv_err *err);

/*
 * Makes a new node of the vault itself, whose directory is dir_fd, locked by the caller. The old
 * log folder becomes log.<8 digits of the old node's id>. A kill leaves either the old node or,
 * after oxv_vault_finish_adopt(), the new one:
 *   1 adopt.new/log with its first two entries, durable   2 the database names the new node
 *   3 log becomes log.<old>, adopt.new/log becomes log
 */
OXV_MUST_USE enum oxv_status oxv_vault_adopt(struct oxv_vault *vault, int dir_fd,
                                             const struct oxv_copy *copy, struct oxv_err *err);

/*
 * Step 3, where a kill came before or within it. Call it after oxv_vault_open(), before the log is
 * touched. It does nothing where there is nothing to finish.
 */
OXV_MUST_USE enum oxv_status oxv_vault_finish_adopt(const struct oxv_vault *vault, int dir_fd,
                                                    struct oxv_err *err);

#endif
