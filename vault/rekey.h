/*
 * rekey: a new root key (design.md 5.1). Every row is sealed anew in one change; seals whose
 * material is not there go. What was sealed under the old root key, a removed seal or an old
 * backup, opens the vault no more. The order of change.h, with three steps more:
 *   1 begin, oxv_change_rekey()    (rekey.old: the ratchet's old start, under the new root key)
 *   2 prepare   3 the entry   4 commit, and change.done in the open group
 *   5 oxv_log_rotate() with the new wrap key   6 oxv_rekey_forget()
 * A kill before 4 leaves the old root key; after it the new one, and where 5 was not reached the
 * log opens by oxv_rekey_old_start(), and the next start does 5 and 6.
 */
#ifndef OXV_VAULT_REKEY_H
#define OXV_VAULT_REKEY_H

#include "vault/change.h"

/* A seal that stays: its row, and material that opens it. */
struct oxv_rekey_seal {
    uint64_t id;
    const struct oxv_seal_input *input;
};
struct oxv_rekey {
    const struct oxv_rekey_seal *kept;
    size_t kept_count;
    bool drop_others;
    struct oxv_view machine_id; /* for the node's bond, where it has one */
    int dir_fd;                 /* the vault's directory */
};

/*
 * Fills a change that is empty.
 *   OXV_E_USAGE     no seal is kept
 *   OXV_E_LOCKED    a material does not open its seal
 *   OXV_E_CONFLICT  other seals are there, and drop_others is not set: *err names them
 */
OXV_MUST_USE enum oxv_status oxv_change_rekey(struct oxv_change *change,
                                              const struct oxv_rekey *how, struct oxv_err *err);

/*
 * Of an open vault: where the ratchet of its log started before its last rekey.
 *   OXV_E_NOT_FOUND  nothing is left of a rekey, or only of one that was undone
 */
OXV_MUST_USE enum oxv_status oxv_rekey_old_start(const struct oxv_vault *vault, int dir_fd,
                                                 struct oxv_secret **out, struct oxv_err *err);
/* Once the log has a key under the vault's own start. */
OXV_MUST_USE enum oxv_status oxv_rekey_forget(int dir_fd, struct oxv_err *err);

#endif
