#include "vault/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hook.h"
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
    oxv_epoch_key_done(&log->key);
    oxv_hasher_free(log->hasher);
    free(log->buffer);
    oxv_closep(&log->file_fd);
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
    log->dir_fd = log->seg_fd = log->file_fd = log->lock_fd = -1;
    log->hasher = oxv_hasher_new();
    log->buffer = malloc(BUFFER_FIRST_BYTES);
    log->buffer_max = BUFFER_FIRST_BYTES;
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
    enum oxv_status st = take_lock(log, err);

    if (st == OXV_OK) {
        *out = oxv_log_take(&log);
    }
    return st;
}

/* Fail closed: without its key this process can sign no further commit. */
static enum oxv_status
break_log(struct oxv_log *log)
{
    log->broken = true;
    oxv_epoch_key_done(&log->key);
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

/* Is it one that the readers' rules (chain.c) refuse at this place? There is no second epoch yet.
 */
static bool
is_against_the_rules(const struct oxv_log *log, const struct oxv_entry *entry)
{
    bool is_first = log->next_tree.size == 0;

    return is_first != (entry->type == OXV_ENTRY_LOG_GENESIS) ||
           entry->type == OXV_ENTRY_LOG_EPOCH || entry->next_key.len > 0 ||
           (entry->unsigned_since.len > 0 && !oxv_entry_may_wait(entry));
}

enum oxv_status
oxv_log_append(struct oxv_log *log, const struct oxv_entry *entry, uint64_t *index)
{
    if (log->broken) {
        return OXV_E_IO;
    }
    if (is_against_the_rules(log, entry)) {
        return OXV_E_USAGE;
    }
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
    if (log->next_tree.size % OXV_LOG_SEGMENT_ENTRIES == 0) {
        close_part(log);
    }
    *index = place.seq;
    return OXV_OK;
}

/* The next segment: an empty file, durable itself and in its directory. */
static enum oxv_status
begin_segment(struct oxv_log *log, uint64_t segment, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];

    oxv_segment_name(segment, name);
    OXV_AUTO(oxv_closep)
    int fd = openat(log->seg_fd, name,
                    O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot create log/seg/%s", name);
    }
    if (fsync(fd) != 0 || fsync(log->seg_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync log/seg/%s", name);
    }
    oxv_closep(&log->file_fd);
    log->file_fd = oxv_fd_take(&fd);
    log->segment = segment;
    log->segment_bytes = 0;
    return OXV_OK;
}

/* Is the file we write to still the one that readers find, and as long as we left it? */
static enum oxv_status
check_file(const struct oxv_log *log, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    struct stat ours;
    struct stat found;

    oxv_segment_name(log->segment, name);
    if (fstat(log->file_fd, &ours) != 0) {
        return oxv_fail_errno(err, "cannot examine log/seg/%s", name);
    }
    if (ours.st_nlink < 1 || fstatat(log->seg_fd, name, &found, AT_SYMLINK_NOFOLLOW) != 0 ||
        found.st_ino != ours.st_ino || found.st_dev != ours.st_dev) {
        return oxv_fail(err, OXV_E_IO, "log/seg/%s was deleted or replaced: signing stops", name);
    }
    if (ours.st_size < 0 || (uint64_t)ours.st_size != log->segment_bytes) {
        return oxv_fail(err, OXV_E_IO, "log/seg/%s was changed by someone else: signing stops",
                        name);
    }
    return OXV_OK;
}

/* One write, one sync. What comes short or fails is not tried again (fsyncgate). */
static enum oxv_status
write_part(struct oxv_log *log, struct oxv_view bytes, struct oxv_err *err)
{
    if (oxv_hook("log.before_write") != 0) {
        return oxv_fail_errno(err, "cannot write the log");
    }
    ssize_t n = write(log->file_fd, bytes.data, bytes.len);

    if (n < 0) {
        return oxv_fail_errno(err, "cannot write the log");
    }
    if ((size_t)n != bytes.len) {
        return oxv_fail(err, OXV_E_IO, "cannot write the log: only %zd of %zu bytes were taken", n,
                        bytes.len);
    }
    if (oxv_hook("log.before_sync") != 0 || fdatasync(log->file_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync the log");
    }
    if (oxv_hook("log.after_sync") != 0) {
        return oxv_fail_errno(err, "the log failed after its sync");
    }
    log->segment_bytes += bytes.len;
    log->commits++;
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

        if (log->file_fd < 0 || part->segment != log->segment) {
            st = begin_segment(log, part->segment, err);
        }
        if (st == OXV_OK) {
            st = check_file(log, err);
        }
        if (st == OXV_OK) {
            st = write_part(log, bytes, err);
        }
        if (st != OXV_OK) {
            return st;
        }
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
    if (log->waiting == 0) {
        return OXV_OK;
    }
    if (log->unclosed > 0) {
        close_part(log);
    }
    if (write_group(log, err) != OXV_OK) {
        return break_log(log);
    }
    log->tree = log->next_tree;
    log->buffer_len = 0;
    log->part_count = 0;
    log->waiting = 0;
    if (log->has_unlogged_torn) {
        if (oxv_torn_mark_logged(log->dir_fd, err) != OXV_OK) {
            return break_log(log);
        }
        log->has_unlogged_torn = false;
    }
    return OXV_OK;
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
    return log->segment_bytes;
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
    *bytes = segment == log->segment ? log->segment_bytes : (uint64_t)st.st_size;
    *first = segment * OXV_LOG_SEGMENT_ENTRIES;
    *fd = oxv_fd_take(&opened);
    return OXV_OK;
}
