/* writer: the inside of struct oxv_log, shared by log.c (append, commit) and open.c. */
#ifndef OXV_VAULT_LOG_WRITER_H
#define OXV_VAULT_LOG_WRITER_H

#include "vault/log/epoch_key.h"
#include "vault/log/log.h"
#include "vault/log/note.h"
#include "vault/log/segments.h"
#include "vault/log/tail.h"
#include "vault/log/tree.h"
#include "vault/log/wanted.h"

#define OXV_LOG_GROUP_MAX_PARTS 64u
#define OXV_EPOCH_MAX_US        300000000u
#define OXV_EPOCH_MAX_ENTRIES   65536u
#define OXV_EPOCH_RETRY_US      10000000u

/* What of a group goes to one segment: its lines and their commit line. */
struct oxv_log_part {
    uint64_t segment;
    size_t end; /* in the buffer */
};

/* While an epoch's last entry is in the open group: the key that comes then. Its file is there as
 * epoch.key.next. Zeroed: no epoch ends. */
struct oxv_epoch_ending {
    struct oxv_epoch_key key;
    struct oxv_secret *wrap_key;
    struct oxv_epoch_key log_key; /* a new one, where the vault has a new root key */
};

struct oxv_log {
    int dir_fd; /* log/ */
    int seg_fd; /* log/seg/ */
    int lock_fd;
    struct oxv_tail tail;
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    char boot[OXV_LOG_BOOT_CHARS + 1];
    struct oxv_epoch_key key;
    struct oxv_secret *wrap_key; /* of its file: the ratchet's key of this epoch */
    struct oxv_epoch_ending ending;
    struct oxv_epoch_key log_key; /* signs checkpoints in all epochs; only its two keys are used */
    bool is_log_key_named;        /* by a log.key entry */
    bool has_to_end_epoch;        /* with the next commit */
    uint64_t epoch_first_us;      /* boot clock: its first entry; 0 where there is none */
    uint64_t epoch_retry_us;      /* boot clock: not before, as the last try failed */
    uint64_t epoch_max_us;        /* OXV_EPOCH_MAX_..., if not in a test */
    uint64_t epoch_max_entries;
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
    uint64_t checkpoint_size;  /* of log/checkpoint, as far as this process wrote it */
    struct oxv_wanted *wanted; /* proofs of the open group and what follows; NULL: none */
    bool has_unlogged_torn;    /* torn/...new files, to be renamed after the next commit */
};

/* Allocates, draws a boot id, opens log/ and log/seg/ and takes the lock. */
OXV_MUST_USE enum oxv_status oxv_log_attach(int vault_fd, struct oxv_log **out,
                                            struct oxv_err *err);

/* log.c: as oxv_log_append(), without its rules on what others may append. */
OXV_MUST_USE enum oxv_status oxv_log_add(struct oxv_log *log, const struct oxv_entry *entry,
                                         uint64_t *index);
/* Fails closed: without its key this process can sign no further commit. Returns OXV_E_IO. */
enum oxv_status oxv_log_break(struct oxv_log *log);

/* epoch.c */

#define OXV_EPOCH_KEY_NAME      "epoch.key"
#define OXV_EPOCH_NEXT_KEY_NAME "epoch.key.next"

/* Wraps `key` and writes it to log/<name>, durable. */
OXV_MUST_USE enum oxv_status oxv_epoch_key_save(const struct oxv_log *log, const char *name,
                                                const struct oxv_epoch_key *key,
                                                const struct oxv_secret *wrap_key,
                                                struct oxv_err *err);
/* Makes the log key from the ratchet's start. */
OXV_MUST_USE enum oxv_status oxv_log_key_make(const char *origin, const struct oxv_secret *start,
                                              struct oxv_epoch_key *out, struct oxv_err *err);
/* Is it time for a new epoch? Never so for one without an entry. */
bool oxv_epoch_is_due(const struct oxv_log *log);
/*
 * Steps 1 and 2 of design 7: makes the key of the next epoch, writes its file, and adds log.epoch
 * to the open group. On failure the group is as it was. `new_start` is NULL or the start of another
 * ratchet.
 */
OXV_MUST_USE enum oxv_status oxv_epoch_end(struct oxv_log *log, const struct oxv_secret *new_start,
                                           struct oxv_err *err);
/* Steps 3 and 4, after the commit; nothing where no epoch ends. A failure breaks the log. */
OXV_MUST_USE enum oxv_status oxv_epoch_begin(struct oxv_log *log, struct oxv_err *err);
void oxv_epoch_done(struct oxv_log *log); /* wipes */

#endif
