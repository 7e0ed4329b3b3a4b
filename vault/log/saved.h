/* saved: checkpoints that an auditor kept, and whether a log contains them; for verify. */
#ifndef OXV_VAULT_LOG_SAVED_H
#define OXV_VAULT_LOG_SAVED_H

#include "vault/log/chain.h"
#include "vault/log/checkpoint.h"
#include "vault/log/verify.h"

#define OXV_SAVED_NAME_BYTES 32u

/* In ascending order of size. */
struct oxv_saved {
    size_t count;
    struct oxv_chain_mark marks[OXV_LOG_SAVED_MAX]; /* to be filled in by the walk */
    struct oxv_saved_head heads[OXV_LOG_SAVED_MAX];
    struct oxv_note notes[OXV_LOG_SAVED_MAX]; /* borrowed */
    size_t numbers[OXV_LOG_SAVED_MAX];        /* as given, from 1 */
    bool is_foreign[OXV_LOG_SAVED_MAX];       /* of another origin */
};

/*
 * Reads the notes of *cfg.
 *   OXV_E_USAGE  one is malformed, or there are too many: *err says which
 */
OXV_MUST_USE enum oxv_status oxv_saved_parse(struct oxv_saved *saved,
                                             const struct oxv_log_verify_cfg *cfg,
                                             const char *origin, struct oxv_err *err);

/*
 * After the walk, which found `entries` committed entries: is checkpoint `i` not one of this log?
 * Then *finding says why; it borrows `file`, which is filled in.
 */
OXV_MUST_USE bool oxv_saved_is_missing(const struct oxv_saved *saved, size_t i, uint64_t entries,
                                       char file[OXV_SAVED_NAME_BYTES],
                                       struct oxv_log_finding *finding);

#endif
