#include "vault/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/torn.h"
#include "vault/log/writer.h"

/* Room for one more line and the commit line after it. */
#define ROOM_BYTES         (OXV_LOG_ENTRY_MAX_BYTES + 1 + OXV_COMMIT_MAX_BYTES + 1)
#define BUFFER_FIRST_BYTES 262144u

void
oxv_log_free(struct oxv_log *log)
{
    if (log == NULL) {
        return;
    }
    oxv_epoch_done(log);
    oxv_wanted_free(log->wanted);
    oxv_hasher_free(log->hasher);
    free(log->buffer);
    oxv_tail_done(&log->tail, !log->broken);
    oxv_closep(&log->seg_fd);
    oxv_closep(&log->dir_fd);
    oxv_closep(&log->lock_fd);
    free(log);
}

static enum oxv_status
take_lock(struct oxv_log *log, struct oxv_err *err)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    log->lock_fd = openat(log->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->lock_fd < 0) {
        return oxv_fail_errno(err, "cannot open log/lock");
    }
    if (fcntl(log->lock_fd, F_OFD_SETLK, &lock) == 0) {
        return OXV_OK;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return oxv_fail(err, OXV_E_CONFLICT, "another process is writing this log");
    }
    return oxv_fail_errno(err, "cannot lock log/lock");
}

enum oxv_status
oxv_log_attach(int vault_fd, struct oxv_log **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_log_freep) struct oxv_log *log = calloc(1, sizeof *log);
    uint8_t boot[OXV_LOG_BOOT_CHARS / 2];

    if (log == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the log");
    }
    log->dir_fd = log->seg_fd = log->lock_fd = -1;
    oxv_tail_init(&log->tail, -1);
    log->hasher = oxv_hasher_new();
    log->buffer = malloc(BUFFER_FIRST_BYTES);
    log->buffer_max = BUFFER_FIRST_BYTES;
    log->epoch_max_us = OXV_EPOCH_MAX_US;
    log->epoch_max_entries = OXV_EPOCH_MAX_ENTRIES;
    if (log->hasher == NULL || log->buffer == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the log");
    }
    randombytes_buf(boot, sizeof boot);
    (void)sodium_bin2hex(log->boot, sizeof log->boot, boot, sizeof boot); /* returns its buffer */
    log->dir_fd = openat(vault_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (log->dir_fd < 0) {
        return oxv_fail_errno(err, "cannot open the directory log");
    }
    log->seg_fd = openat(log->dir_fd, "seg", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (log->seg_fd < 0) {
        return oxv_fail_errno(err, "cannot open the directory log/seg");
    }
    oxv_tail_init(&log->tail, log->seg_fd);
    enum oxv_status st = take_lock(log, err);

    if (st == OXV_OK) {
        *out = oxv_log_take(&log);
    }
    return st;
}

enum oxv_status
oxv_log_break(struct oxv_log *log)
{
    log->broken = true;
    oxv_epoch_done(log);
    return OXV_E_IO;
}

static enum oxv_status
make_room(struct oxv_log *log)
{
    if (log->buffer_max - log->buffer_len >= ROOM_BYTES) {
        return OXV_OK;
    }
    size_t max;

    if (__builtin_mul_overflow(log->buffer_max, (size_t)2, &max)) {
        return OXV_E_MEMORY;
    }
    uint8_t *larger = realloc(log->buffer, max);

    if (larger == NULL) {
        return OXV_E_MEMORY;
    }
    log->buffer = larger;
    log->buffer_max = max;
    return OXV_OK;
}

/* Adds the commit line for the entries since the last part, for which there is room. */
static void
close_part(struct oxv_log *log)
{
    struct oxv_checkpoint checkpoint = { .origin = log->origin, .size = log->next_tree.size };
    struct oxv_commit commit = { .epoch = log->key.epoch, .size = log->next_tree.size };
    struct oxv_writer w = oxv_writer(log->buffer, log->buffer_max);
    uint64_t segment = (log->next_tree.size - 1) / OXV_LOG_SEGMENT_ENTRIES;

    oxv_tree_root(&log->next_tree, log->hasher, checkpoint.root);
    memcpy(commit.root, checkpoint.root, sizeof commit.root);
    oxv_checkpoint_sign(&checkpoint, log->key.secret_key, commit.signature);
    w.len = log->buffer_len;
    oxv_commit_write(&w, &commit);
    oxv_write_u8(&w, '\n');
    if (w.failed) {
        oxv_bug("no room was kept for the commit line");
    }
    log->buffer_len = w.len;
    log->parts[log->part_count] = (struct oxv_log_part){ .segment = segment, .end = w.len };
    log->part_count++;
    log->unclosed = 0;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Where and when the entry is, as the log sees it. An event that waited keeps its time. */
static struct oxv_entry_place
place_of(const struct oxv_log *log, const struct oxv_entry *entry)
{
    uint64_t now = oxv_clock_wall_us();
    bool has_waited = entry->happened_us != 0 && entry->happened_us < now;

    return (struct oxv_entry_place){
        .seq = log->next_tree.size,
        .epoch = log->key.epoch,
        .time_us = later(log->last_time_us, has_waited ? entry->happened_us : now),
        .mono_us = later(log->last_mono_us, oxv_clock_boot_us()),
        .boot = log->boot,
    };
}

/* Is it one that the readers' rules (chain.c) refuse at this place, or that only the log writes? */
static bool
is_against_the_rules(const struct oxv_log *log, const struct oxv_entry *entry)
{
    bool is_first = log->next_tree.size == 0;

    return is_first != (entry->type == OXV_ENTRY_LOG_GENESIS) ||
           entry->type == OXV_ENTRY_LOG_EPOCH || entry->next_key.len > 0 ||
           entry->type == OXV_ENTRY_LOG_KEY || entry->log_key.len > 0 ||
           (entry->unsigned_since.len > 0 && !oxv_entry_may_wait(entry));
}

enum oxv_status
oxv_log_append(struct oxv_log *log, const struct oxv_entry *entry, uint64_t *index)
{
    if (log->broken) {
        return OXV_E_IO;
    }
    return is_against_the_rules(log, entry) ? OXV_E_USAGE : oxv_log_add(log, entry, index);
}

enum oxv_status
oxv_log_add(struct oxv_log *log, const struct oxv_entry *entry, uint64_t *index)
{
    if (log->part_count >= OXV_LOG_GROUP_MAX_PARTS - 1) {
        return OXV_E_LIMIT;
    }
    enum oxv_status st = make_room(log);

    if (st != OXV_OK) {
        return st;
    }
    struct oxv_entry_place place = place_of(log, entry);
    struct oxv_writer w = oxv_writer(log->buffer, log->buffer_len + OXV_LOG_ENTRY_MAX_BYTES + 1);
    size_t begin = log->buffer_len;

    w.len = begin;
    oxv_entry_write(&w, entry, &place);
    if (w.failed) {
        return OXV_E_LIMIT;
    }
    struct oxv_view line = oxv_view_from(oxv_view(log->buffer, w.len), begin);

    oxv_tree_add(&log->next_tree, log->hasher, line);
    oxv_write_u8(&w, '\n');
    log->buffer_len = w.len;
    log->last_time_us = place.time_us;
    log->last_mono_us = place.mono_us;
    log->waiting++;
    log->unclosed++;
    log->epoch_first_us = log->epoch_first_us == 0 ? place.mono_us : log->epoch_first_us;
    if (log->next_tree.size % OXV_LOG_SEGMENT_ENTRIES == 0) {
        close_part(log);
    }
    *index = place.seq;
    return OXV_OK;
}

static enum oxv_status
write_group(struct oxv_log *log, struct oxv_err *err)
{
    size_t begin = 0;

    for (size_t i = 0; i < log->part_count; i++) {
        const struct oxv_log_part *part = &log->parts[i];
        struct oxv_view bytes = oxv_view_from(oxv_view(log->buffer, part->end), begin);
        enum oxv_status st = OXV_OK;

        if (log->tail.fd < 0 || part->segment != log->tail.segment) {
            st = oxv_tail_begin(&log->tail, part->segment, err);
        }
        if (st == OXV_OK) {
            st = oxv_tail_write(&log->tail, bytes, err);
        }
        if (st != OXV_OK) {
            return st;
        }
        log->commits++;
        begin = part->end;
    }
    return OXV_OK;
}

enum oxv_status
oxv_log_commit(struct oxv_log *log, struct oxv_err *err)
{
    if (log->broken) {
        return oxv_fail(err, OXV_E_IO, "the log is broken since an earlier failure: restart");
    }
    if (oxv_epoch_is_due(log) && oxv_epoch_end(log, NULL, err) != OXV_OK) {
        log->epoch_retry_us = oxv_clock_boot_us() + OXV_EPOCH_RETRY_US;
    }
    if (log->waiting == 0) {
        return OXV_OK;
    }
    if (log->unclosed > 0) {
        close_part(log);
    }
    if (write_group(log, err) != OXV_OK) {
        return oxv_log_break(log);
    }
    if (log->wanted != NULL) {
        oxv_wanted_take_group(log);
    }
    log->tree = log->next_tree;
    log->buffer_len = 0;
    log->part_count = 0;
    log->waiting = 0;
    if (log->has_unlogged_torn) {
        if (oxv_torn_mark_logged(log->dir_fd, err) != OXV_OK) {
            return oxv_log_break(log);
        }
        log->has_unlogged_torn = false;
    }
    return oxv_epoch_begin(log, err);
}

enum oxv_status
oxv_log_rotate(struct oxv_log *log, const struct oxv_secret *new_start, struct oxv_err *err)
{
    if (log->broken) {
        return oxv_fail(err, OXV_E_IO, "the log is broken since an earlier failure: restart");
    }
    enum oxv_status st = oxv_epoch_end(log, new_start, err);

    st = st == OXV_OK ? oxv_log_commit(log, err) : st;
    if (st == OXV_OK && new_start != NULL && oxv_log_name_key(log) != OXV_OK) {
        return oxv_fail(err, OXV_E_IO, "the new log key cannot be named");
    }
    return st;
}

size_t
oxv_log_waiting(const struct oxv_log *log)
{
    return log->waiting;
}

bool
oxv_log_is_broken(const struct oxv_log *log)
{
    return log->broken;
}

uint64_t
oxv_log_size(const struct oxv_log *log)
{
    return log->tree.size;
}

uint64_t
oxv_log_segment_bytes(const struct oxv_log *log)
{
    return log->tail.bytes;
}

uint64_t
oxv_log_commits(const struct oxv_log *log)
{
    return log->commits;
}

const char *
oxv_log_origin(const struct oxv_log *log)
{
    return log->origin;
}

void
oxv_log_root(const struct oxv_log *log, uint8_t root[32])
{
    oxv_tree_root(&log->tree, log->hasher, root);
}

enum oxv_status
oxv_log_open_segment(const struct oxv_log *log, uint64_t index, int *fd, uint64_t *first,
                     uint64_t *bytes, struct oxv_err *err)
{
    uint64_t segment = index / OXV_LOG_SEGMENT_ENTRIES;
    char name[OXV_SEGMENT_NAME_BYTES];
    struct stat st;

    if (index >= log->tree.size) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "the log has no entry %ju yet", (uintmax_t)index);
    }
    oxv_segment_name(segment, name);
    OXV_AUTO(oxv_closep)
    int opened = openat(log->seg_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (opened < 0 || fstat(opened, &st) != 0) {
        return oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    *bytes = segment == log->tail.segment ? log->tail.bytes : (uint64_t)st.st_size;
    *first = segment * OXV_LOG_SEGMENT_ENTRIES;
    *fd = oxv_fd_take(&opened);
    return OXV_OK;
}
