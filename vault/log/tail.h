/*
 * tail: the newest segment while it is written. Its file is longer than its lines: behind them
 * stand zero bytes, written and synced ahead, so that a commit only overwrites bytes and changes
 * none of the file system's own records: one write of the disk instead of two. They are cut off
 * when the segment is full or the log is closed; after a kill they are still there
 * (docs/log-format.md).
 */
#ifndef OXV_VAULT_LOG_TAIL_H
#define OXV_VAULT_LOG_TAIL_H

#include "base/bytes.h"
#include "base/status.h"

struct oxv_tail {
    int seg_fd;         /* log/seg/, borrowed */
    int fd;             /* the newest segment, -1 before the first */
    uint64_t segment;   /* its number */
    uint64_t bytes;     /* durable lines */
    uint64_t allocated; /* length of the file: lines, then zeros */
};

/* Nothing is open. */
void oxv_tail_init(struct oxv_tail *tail, int seg_fd);
/*
 * Closes. With `cut` the zeros are cut off; without it all stays as it is, for the next open to
 * judge. Fine on an initialised one.
 */
void oxv_tail_done(struct oxv_tail *tail, bool cut);

/* Goes on in an existing segment after its first `bytes` bytes, which end it. */
OXV_MUST_USE enum oxv_status oxv_tail_continue(struct oxv_tail *tail, uint64_t segment,
                                               uint64_t bytes, struct oxv_err *err);
/*
 * Cuts the zeros off the segment that is full, and makes the next one, durable in its directory.
 *   OXV_E_IO  also: the full segment was deleted, replaced or changed by somebody else
 */
OXV_MUST_USE enum oxv_status oxv_tail_begin(struct oxv_tail *tail, uint64_t segment,
                                            struct oxv_err *err);

/*
 * One write and one sync, at the end of the lines; and now and then zeros before that. What comes
 * short or fails is not tried again (fsyncgate).
 *   OXV_E_IO  also: the file is not the one that readers find, or somebody else changed its length
 */
OXV_MUST_USE enum oxv_status oxv_tail_write(struct oxv_tail *tail, struct oxv_view lines,
                                            struct oxv_err *err);

#endif
