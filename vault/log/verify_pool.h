/*
 * verify_pool: threads that check segments: each is scanned by itself (verify_part.h), they are
 * joined in order, then their signatures are verified. Stops at the first segment that is not
 * certainly good; everything before it is.
 */
#ifndef OXV_VAULT_LOG_VERIFY_POOL_H
#define OXV_VAULT_LOG_VERIFY_POOL_H

#include "vault/log/verify.h"
#include "vault/log/verify_part.h"

/* How far the check came. */
struct oxv_verify_state {
    struct oxv_chain chain;
    uint64_t segment;    /* next one to check */
    uint64_t offset;     /* end of the last commit, in the segment before it */
    uint64_t signatures; /* verified */
};

struct oxv_verify_pool {
    int seg_fd;
    const struct oxv_vkey *vkey;
    uint64_t end;      /* segments before this one */
    bool ends_in_last; /* the last of them is the log's last one */
    bool finals_only;
    unsigned jobs;                /* threads; 0: as many as there are cores */
    oxv_log_progress_fn progress; /* or NULL */
    void *progress_ctx;
    uint64_t total; /* entries, about */
};

/*
 * Goes on from *state; afterwards state->segment is pool->end, or the segment to look at in order.
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_verify_pool_run(const struct oxv_verify_pool *pool,
                                                 struct oxv_verify_state *state,
                                                 struct oxv_err *err);

#endif
