/*
 * torn: what follows the last valid commit when the log is opened: told apart from damage, put
 * aside below log/torn/, cut off.
 *
 * A file there is called <offset in its segment>-<first 16 hex characters of its SHA-256>; as long
 * as no durable log.recovery entry names it, with ".new" after that.
 */
#ifndef OXV_VAULT_LOG_TORN_H
#define OXV_VAULT_LOG_TORN_H

#include "vault/log/segments.h"

#define OXV_TORN_NAME_BYTES 64u

struct oxv_torn {
    uint64_t offset; /* in the segment */
    uint64_t bytes;
    char name[OXV_TORN_NAME_BYTES]; /* below log/torn/, without ".new" */
};

/*
 * Can the bytes after walk->good_offset in the last segment stem from a write that never finished?
 * So it is where a sector among them is still zero, and no more than one group can have been there.
 * *is_torn is false where no sector is zero and the bytes of a whole commit line are there, so that
 * its group was written to the end and then damaged. docs/log-format.md states the rule.
 *   OXV_E_IO  the segment cannot be read
 */
OXV_MUST_USE enum oxv_status oxv_torn_judge(const struct oxv_walk *walk, int seg_fd, bool *is_torn,
                                            struct oxv_err *err);

/*
 * Copies the bytes after walk->good_offset to log/torn/, syncs the copy, cuts the segment, syncs
 * it. Zero bytes at the end are only cut off. torn->bytes is 0 where there is nothing else.
 */
OXV_MUST_USE enum oxv_status oxv_torn_put_aside(const struct oxv_walk *walk, int dir_fd, int seg_fd,
                                                struct oxv_torn *torn, struct oxv_err *err);

typedef enum oxv_status (*oxv_torn_fn)(void *ctx, const struct oxv_torn *torn);

/* Calls fn for each file that no durable entry names (its offset is 0); stops where that fails. */
OXV_MUST_USE enum oxv_status oxv_torn_each_unlogged(int dir_fd, oxv_torn_fn fn, void *ctx,
                                                    struct oxv_err *err);

/* Takes ".new" off all names; called once the entries that name them are durable. */
OXV_MUST_USE enum oxv_status oxv_torn_mark_logged(int dir_fd, struct oxv_err *err);

#endif
