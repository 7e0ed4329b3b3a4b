/* writer: the inside of struct oxv_log, shared by log.c (append, commit) and open.c. */
#ifndef OXV_VAULT_LOG_WRITER_H
#define OXV_VAULT_LOG_WRITER_H

#include "vault/log/epoch_key.h"
#include "vault/log/log.h"
#include "vault/log/note.h"
#include "vault/log/segments.h"
#include "vault/log/tail.h"
#include "vault/log/tree.h"

#define OXV_LOG_GROUP_MAX_PARTS 64u

/* What of a group goes to one segment: its lines and their commit line. */
struct oxv_log_part {
    uint64_t segment;
    size_t end; /* in the buffer */
};

struct oxv_log {
    int dir_fd; /* log/ */
    int seg_fd; /* log/seg/ */
    int lock_fd;
    struct oxv_tail tail;
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    char boot[OXV_LOG_BOOT_CHARS + 1];
    struct oxv_epoch_key key;
    struct oxv_hasher *hasher;
    struct oxv_tree tree;      /* committed */
    struct oxv_tree next_tree; /* with the open group */
    uint64_t last_time_us;
    uint64_t last_mono_us;
    uint64_t commits;
    uint8_t *buffer; /* the open group */
    size_t buffer_len;
    size_t buffer_max;
    uint64_t waiting;  /* entries in it */
    uint64_t unclosed; /* of them after the last closed part */
    struct oxv_log_part parts[OXV_LOG_GROUP_MAX_PARTS];
    size_t part_count;
    bool broken;
    bool has_unlogged_torn; /* torn/...new files, to be renamed after the next commit */
};

/* Allocates, draws a boot id, opens log/ and log/seg/ and takes the lock. */
OXV_MUST_USE enum oxv_status oxv_log_attach(int vault_fd, struct oxv_log **out,
                                            struct oxv_err *err);

#endif
