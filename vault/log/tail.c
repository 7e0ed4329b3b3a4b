#include "vault/log/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "vault/log/segments.h"

#define BLOCK_BYTES 4096u
/* Written ahead at once: as much as there is, within these. A MiB takes a millisecond or so of the
 * disk, and about 1,700 entries. */
#define AHEAD_MIN_BYTES (UINT64_C(1) << 16)
#define AHEAD_MAX_BYTES (UINT64_C(1) << 20)

void
oxv_tail_init(struct oxv_tail *tail, int seg_fd)
{
    *tail = (struct oxv_tail){ .seg_fd = seg_fd, .fd = -1 };
}

/* Is the file as long as we left it? What somebody else did to it is theirs to explain, not ours
 * to cut off or to fill up. */
static bool
is_our_length(const struct oxv_tail *tail, const struct stat *st)
{
    return st->st_size >= 0 && (uint64_t)st->st_size == tail->allocated;
}

void
oxv_tail_done(struct oxv_tail *tail, bool cut)
{
    struct stat st;

    if (cut && tail->fd >= 0 && tail->bytes < tail->allocated && fstat(tail->fd, &st) == 0 &&
        is_our_length(tail, &st)) {
        /* Where it fails the zeros stay, which is as after a kill. */
        (void)!ftruncate(tail->fd, (off_t)tail->bytes);
    }
    oxv_closep(&tail->fd);
}

enum oxv_status
oxv_tail_continue(struct oxv_tail *tail, uint64_t segment, uint64_t bytes, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    struct stat st;

    oxv_segment_name(segment, name);
    oxv_closep(&tail->fd);
    tail->fd = openat(tail->seg_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (tail->fd < 0 || fstat(tail->fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    if (st.st_size < 0 || (uint64_t)st.st_size != bytes) {
        return oxv_fail(err, OXV_E_IO, "log/seg/%s was changed by someone else", name);
    }
    tail->segment = segment;
    tail->bytes = bytes;
    tail->allocated = bytes;
    return OXV_OK;
}

/* Is the file we write to still the one that readers find, and as long as we left it? */
static enum oxv_status
check_file(const struct oxv_tail *tail, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    struct stat ours;
    struct stat found;

    oxv_segment_name(tail->segment, name);
    if (fstat(tail->fd, &ours) != 0) {
        return oxv_fail_errno(err, "cannot examine log/seg/%s", name);
    }
    if (ours.st_nlink < 1 || fstatat(tail->seg_fd, name, &found, AT_SYMLINK_NOFOLLOW) != 0 ||
        found.st_ino != ours.st_ino || found.st_dev != ours.st_dev) {
        return oxv_fail(err, OXV_E_IO, "log/seg/%s was deleted or replaced: signing stops", name);
    }
    if (!is_our_length(tail, &ours)) {
        return oxv_fail(err, OXV_E_IO, "log/seg/%s was changed by someone else: signing stops",
                        name);
    }
    return OXV_OK;
}

/* Cut before the next segment is there: only the newest one may end in zeros. */
static enum oxv_status
end_segment(const struct oxv_tail *tail, struct oxv_err *err)
{
    enum oxv_status st = tail->fd < 0 ? OXV_OK : check_file(tail, err);

    if (st != OXV_OK || tail->bytes == tail->allocated) {
        return st;
    }
    if (ftruncate(tail->fd, (off_t)tail->bytes) != 0 || fsync(tail->fd) != 0) {
        return oxv_fail_errno(err, "cannot cut the zeros off the log's full segment");
    }
    return OXV_OK;
}

enum oxv_status
oxv_tail_begin(struct oxv_tail *tail, uint64_t segment, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    enum oxv_status st = end_segment(tail, err);

    if (st != OXV_OK) {
        return st;
    }
    oxv_segment_name(segment, name);
    OXV_AUTO(oxv_closep)
    int fd = openat(tail->seg_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot create log/seg/%s", name);
    }
    if (fsync(fd) != 0 || fsync(tail->seg_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync log/seg/%s", name);
    }
    oxv_closep(&tail->fd);
    tail->fd = oxv_fd_take(&fd);
    tail->segment = segment;
    tail->bytes = 0;
    tail->allocated = 0;
    return OXV_OK;
}

static enum oxv_status
fail_write(ssize_t taken, size_t len, struct oxv_err *err)
{
    if (taken < 0) {
        return oxv_fail_errno(err, "cannot write the log");
    }
    return oxv_fail(err, OXV_E_IO, "cannot write the log: only %zd of %zu bytes were taken", taken,
                    len);
}

static uint64_t
ahead_of(uint64_t bytes)
{
    uint64_t ahead = bytes < AHEAD_MAX_BYTES ? bytes : AHEAD_MAX_BYTES;

    return ahead < AHEAD_MIN_BYTES ? AHEAD_MIN_BYTES : ahead;
}

/* Zeros for what is going to be written and more, durable. */
static enum oxv_status
write_ahead(struct oxv_tail *tail, uint64_t end, struct oxv_err *err)
{
    static const uint8_t zeros[65536];

    if (end <= tail->allocated) {
        return OXV_OK;
    }
    uint64_t at = tail->allocated;
    uint64_t wanted = (end + ahead_of(end)) / BLOCK_BYTES * BLOCK_BYTES;

    while (at < wanted) {
        size_t len = wanted - at < sizeof zeros ? (size_t)(wanted - at) : sizeof zeros;
        ssize_t n = pwrite(tail->fd, zeros, len, (off_t)at);

        if (n != (ssize_t)len) {
            return fail_write(n, len, err);
        }
        at += len;
    }
    if (fdatasync(tail->fd) != 0) {
        return oxv_fail_errno(err, "cannot sync the log");
    }
    tail->allocated = wanted;
    return OXV_OK;
}

static enum oxv_status
prepare(struct oxv_tail *tail, uint64_t end, struct oxv_err *err)
{
    enum oxv_status st = check_file(tail, err);

    if (st == OXV_OK && oxv_hook("log.before_write") != 0) {
        st = oxv_fail_errno(err, "cannot write the log");
    }
    return st == OXV_OK ? write_ahead(tail, end, err) : st;
}

enum oxv_status
oxv_tail_write(struct oxv_tail *tail, struct oxv_view lines, struct oxv_err *err)
{
    enum oxv_status st = prepare(tail, tail->bytes + lines.len, err);

    if (st != OXV_OK) {
        return st;
    }
    ssize_t n = pwrite(tail->fd, lines.data, lines.len, (off_t)tail->bytes);

    if (n < 0 || (size_t)n != lines.len) {
        return fail_write(n, lines.len, err);
    }
    if (oxv_hook("log.before_sync") != 0 || fdatasync(tail->fd) != 0) {
        return oxv_fail_errno(err, "cannot sync the log");
    }
    if (oxv_hook("log.after_sync") != 0) {
        return oxv_fail_errno(err, "the log failed after its sync");
    }
    tail->bytes += lines.len;
    return OXV_OK;
}
