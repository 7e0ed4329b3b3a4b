/*
 * change: one admin change, all or nothing. Order (design.md 5.2), kept by the keeper:
 *   1 begin, put and remove        (an open SQLite transaction)
 *   2 prepare                      (the new counter and digest)
 *   3 the log entries with cfg and cfg_digest, durable
 *   4 commit                       (SQLite commit; the loaded records change here)
 *   5 change.done, durable
 *   6 the answer
 */
#ifndef OXV_VAULT_CHANGE_H
#define OXV_VAULT_CHANGE_H

#include "vault/vault.h"

struct oxv_change;

/* OXV_E_BUSY where a change is open already. */
OXV_MUST_USE enum oxv_status oxv_change_begin(struct oxv_vault *vault, struct oxv_change **out,
                                              struct oxv_err *err);

/*
 * Puts a row. *id 0 makes a new one and is set; else that row is replaced (OXV_E_NOT_FOUND where it
 * does not exist). Unique: connection name, caller name, caller uid, admin uid, token URI, key of a
 * token (OXV_E_CONFLICT).
 * `secret` may be NULL: a new row has an empty secret part, a replaced one keeps its own.
 *   OXV_E_USAGE      a record or secret breaks its rules, or a new connection has no key
 *   OXV_E_USAGE      also: K0 itself with form TOKEN, or form UNWRAP with a token without a pair
 *   OXV_E_NOT_FOUND  also: a grant names a caller or connection that is not there
 *   OXV_E_NOT_FOUND  also: a connection names a token that is not there
 *   OXV_E_CONFLICT   also: a token that connections use becomes another, or its pair does
 *   OXV_E_LIMIT      more than OXV_PAIR_GRANTS_MAX grants of a caller for one connection
 *   OXV_E_STORE      the disk failed: the change can only be freed
 */
OXV_MUST_USE enum oxv_status oxv_change_put(struct oxv_change *change, enum oxv_table table,
                                            uint64_t *id, const void *record, const void *secret,
                                            struct oxv_err *err);
/*
 * Adds a seal for this vault. The root key is not in memory: `existing` opens a seal again to get
 * it, for this call only. All of *added_record is kept but its check value, which is made here.
 */
OXV_MUST_USE enum oxv_status oxv_change_add_seal(struct oxv_change *change,
                                                 const struct oxv_seal_input *existing,
                                                 const struct oxv_seal_input *added,
                                                 const struct oxv_seal_record *added_record,
                                                 uint64_t *id, struct oxv_err *err);
/* Removing a connection or a caller removes its grants too. The last seal or admin, and a token
 * that has keys of connections: OXV_E_CONFLICT. */
OXV_MUST_USE enum oxv_status oxv_change_remove(struct oxv_change *change, enum oxv_table table,
                                               uint64_t id, struct oxv_err *err);

/* Afterwards nothing can be put any more. digest_hex: 64 characters and NUL. */
OXV_MUST_USE enum oxv_status oxv_change_prepare(struct oxv_change *change, uint64_t *counter,
                                                char digest_hex[65], struct oxv_err *err);
/*
 * Frees *change in any case and sets it to NULL.
 *   OXV_E_STORE   the loaded records are unchanged, but whether the disk has the change only the
 *                 next open can tell: log nothing about it, take no further change, end the process
 *   OXV_E_LOCKED  the vault was locked meanwhile: nothing was changed
 */
OXV_MUST_USE enum oxv_status oxv_change_commit(struct oxv_change **change, struct oxv_err *err);
/* Rolls back unless committed. NULL is fine. */
void oxv_change_free(struct oxv_change *change);

OXV_DEFINE_OWNER(oxv_change);

#endif
