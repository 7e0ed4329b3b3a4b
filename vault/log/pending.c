/*
 * pending: the file log/pending, events while sealed.
 *
 *   offset  bytes  what
 *        0      8  magic "OXVPEND1"
 *        8      8  how many events were only counted
 *       16         records: u32 length, then that many bytes: struct oxv_entry as fields
 *                  (base/fields.h, oxv_entry_shape)
 *
 * Integers are big-endian. The file is not authenticated, so a damaged part is no error: it is
 * counted. A record whose frame is whole but whose fields are not is skipped; an unfinished frame
 * ends the file. A record that the service does not write while sealed (oxv_entry_may_wait()) is
 * refused and counted apart: somebody else wrote it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/log.h"

#define FILE_NAME      "log/pending"
#define FILE_MAX_BYTES 65536u
#define MAGIC          "OXVPEND1"
#define HEADER_BYTES   16u
#define COUNTER_OFFSET 8
#define RECORD_MAX     (OXV_LOG_ENTRY_MAX_BYTES + 4u)

struct oxv_log_pending {
    int fd;
    uint64_t size;    /* of header and whole records; 0: nothing is written yet */
    uint64_t counted; /* as in the header */
};

void
oxv_log_pending_free(struct oxv_log_pending *pending)
{
    if (pending != NULL) {
        oxv_closep(&pending->fd);
        free(pending);
    }
}

/* The file's whole part. */
struct contents {
    struct oxv_view records;
    uint64_t counted; /* by the header, and one for an unfinished end */
    uint64_t whole;   /* bytes up to the unfinished end */
};

/* The header may hold any number: it stops at the highest. */
static uint64_t
one_more(uint64_t counted)
{
    return counted < UINT64_MAX ? counted + 1 : counted;
}

static struct contents
examine(struct oxv_view file)
{
    struct contents c = { .counted = 0 };
    struct oxv_reader r = oxv_reader(file);
    struct oxv_view magic;
    struct oxv_view record;

    if (oxv_reader_at_end(&r)) {
        return c;
    }
    if (!oxv_read_view(&r, strlen(MAGIC), &magic) || !oxv_view_is(magic, MAGIC) ||
        !oxv_read_u64(&r, &c.counted)) {
        c.counted = 1;
        return c;
    }
    c.records = r.left;
    while (oxv_read_view32(&r, &record)) {
    }
    c.counted = oxv_reader_at_end(&r) ? c.counted : one_more(c.counted);
    c.records.len -= r.left.len;
    c.whole = file.len - r.left.len;
    return c;
}

/* Of a file that is longer than we ever make it, only so much is read. */
static enum oxv_status
read_file(int fd, uint8_t buffer[FILE_MAX_BYTES], struct oxv_view *file)
{
    size_t len = FILE_MAX_BYTES;
    enum oxv_status st = oxv_read_to_end(fd, buffer, FILE_MAX_BYTES, &len);

    if (st == OXV_OK || st == OXV_E_LIMIT) {
        *file = oxv_view(buffer, len);
        return OXV_OK;
    }
    return st;
}

static enum oxv_status
write_at(int fd, struct oxv_view bytes, uint64_t offset, struct oxv_err *err)
{
    ssize_t n = pwrite(fd, bytes.data, bytes.len, (off_t)offset);

    if (n >= 0 && (size_t)n != bytes.len) {
        errno = ENOSPC;
    }
    if (n < 0 || (size_t)n != bytes.len || fdatasync(fd) != 0) {
        return oxv_fail_errno(err, "cannot write " FILE_NAME);
    }
    return OXV_OK;
}

static enum oxv_status
write_counter(struct oxv_log_pending *pending, uint64_t counted, struct oxv_err *err)
{
    uint8_t buffer[HEADER_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    oxv_write_text(&w, MAGIC);
    oxv_write_u64(&w, counted);
    enum oxv_status st = write_at(pending->fd, oxv_view(buffer, sizeof buffer), 0, err);

    if (st == OXV_OK) {
        pending->counted = counted;
        pending->size = pending->size < HEADER_BYTES ? HEADER_BYTES : pending->size;
    }
    return st;
}

/* Counts an unfinished end, then cuts it off: a kill between the two counts it twice. */
static enum oxv_status
mend(struct oxv_log_pending *pending, struct oxv_err *err)
{
    uint8_t buffer[FILE_MAX_BYTES];
    struct oxv_view file;
    struct stat st;

    if (read_file(pending->fd, buffer, &file) != OXV_OK || fstat(pending->fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot read " FILE_NAME);
    }
    struct contents c = examine(file);

    pending->counted = c.counted;
    pending->size = c.whole;
    if ((uint64_t)st.st_size == c.whole) {
        return OXV_OK;
    }
    enum oxv_status status = write_counter(pending, c.counted, err);

    if (status == OXV_OK &&
        (ftruncate(pending->fd, (off_t)pending->size) != 0 || fdatasync(pending->fd) != 0)) {
        return oxv_fail_errno(err, "cannot cut " FILE_NAME);
    }
    return status;
}

/* A FIFO or a device of that name must not hold the start. OXV_E_NOT_FOUND: there is no file. */
static enum oxv_status
open_file(int vault_fd, int flags, int *out, struct oxv_err *err)
{
    struct stat st;
    OXV_AUTO(oxv_closep)
    int fd = openat(vault_fd, FILE_NAME, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0 && errno == ENOENT) {
        return OXV_E_NOT_FOUND;
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot open " FILE_NAME);
    }
    if (!S_ISREG(st.st_mode)) {
        return oxv_fail(err, OXV_E_FORMAT, FILE_NAME " is not a regular file");
    }
    *out = oxv_fd_take(&fd);
    return OXV_OK;
}

enum oxv_status
oxv_log_pending_open(int vault_fd, struct oxv_log_pending **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_log_pending_freep)
    struct oxv_log_pending *pending = calloc(1, sizeof *pending);

    if (pending == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for " FILE_NAME);
    }
    OXV_AUTO(oxv_closep)
    int dir_fd = openat(vault_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    pending->fd = -1;
    if (dir_fd < 0) {
        return oxv_fail_errno(err, "cannot open the directory log");
    }
    enum oxv_status st = open_file(vault_fd, O_RDWR | O_CREAT, &pending->fd, err);

    if (st == OXV_OK && fsync(dir_fd) != 0) {
        st = oxv_fail_errno(err, "cannot sync the directory log");
    }
    if (st == OXV_OK) {
        st = mend(pending, err);
    }

    if (st == OXV_OK) {
        *out = oxv_log_pending_take(&pending);
    }
    return st;
}

/* Is it what the service writes while sealed, as it writes it? */
static bool
may_wait(const struct oxv_entry *entry)
{
    return oxv_entry_may_wait(entry) && entry->unsigned_since.len == 0;
}

/* Has oxv_log_pending_clear() emptied the file since? */
static enum oxv_status
notice_clear(struct oxv_log_pending *pending, struct oxv_err *err)
{
    struct stat st;

    if (fstat(pending->fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot examine " FILE_NAME);
    }
    if (st.st_size == 0) {
        pending->size = 0;
        pending->counted = 0;
    }
    return pending->size == 0 ? write_counter(pending, 0, err) : OXV_OK;
}

enum oxv_status
oxv_log_pending_add(struct oxv_log_pending *pending, const struct oxv_entry *entry,
                    struct oxv_err *err)
{
    uint8_t buffer[RECORD_MAX];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_entry stamped = *entry;
    enum oxv_status st = notice_clear(pending, err);

    if (st != OXV_OK) {
        return st;
    }
    stamped.happened_us = entry->happened_us != 0 ? entry->happened_us : oxv_clock_wall_us();
    size_t begin = oxv_write_begin32(&w);

    oxv_fields_encode(&w, &oxv_entry_shape, &stamped);
    oxv_write_end32(&w, begin);
    if (w.failed || !may_wait(entry) || pending->size + w.len > FILE_MAX_BYTES) {
        return write_counter(pending, one_more(pending->counted), err);
    }
    st = write_at(pending->fd, oxv_view(buffer, w.len), pending->size, err);
    if (st == OXV_OK) {
        pending->size += w.len;
    }
    return st;
}

static enum oxv_status
append_record(struct oxv_log *log, struct oxv_view record)
{
    struct oxv_entry entry;
    char since[OXV_TIMESTAMP_BYTES];
    uint64_t index;

    if (oxv_fields_decode(record, &oxv_entry_shape, &entry, NULL) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    if (!may_wait(&entry)) {
        return OXV_E_FORGED;
    }
    oxv_format_timestamp(entry.happened_us, since);
    entry.unsigned_since = oxv_view_text(since);
    return oxv_log_append(log, &entry, &index);
}

/* One entry for events of which only the number is left. */
static enum oxv_status
append_counted(struct oxv_log *log, uint64_t counted, const char *reason, size_t *appended)
{
    struct oxv_entry entry = {
        .type = OXV_ENTRY_LOG_PENDING,
        .outcome = OXV_OUTCOME_FAILED,
        .count = counted < OXV_LOG_INTEGER_MAX ? counted : OXV_LOG_INTEGER_MAX,
        .reason = oxv_view_text(reason),
    };
    uint64_t index;

    if (counted == 0) {
        return OXV_OK;
    }
    ++*appended;
    return oxv_log_append(log, &entry, &index);
}

static enum oxv_status
append_all(struct oxv_log *log, const struct contents *c, size_t *count)
{
    struct oxv_reader r = oxv_reader(c->records);
    struct oxv_view record;
    uint64_t counted = c->counted;
    uint64_t refused = 0;
    size_t appended = 0;

    while (oxv_read_view32(&r, &record)) {
        enum oxv_status st = append_record(log, record);

        if (st == OXV_OK) {
            appended++;
        } else if (st == OXV_E_FORMAT || st == OXV_E_LIMIT) {
            counted = one_more(counted);
        } else if (st == OXV_E_FORGED) {
            refused++;
        } else {
            return st;
        }
    }
    enum oxv_status st =
        append_counted(log, counted, "events while sealed that were only counted", &appended);

    if (st == OXV_OK) {
        st = append_counted(log, refused,
                            "refused: records in log/pending that the service does not write there",
                            &appended);
    }
    if (st == OXV_OK) {
        *count = appended;
    }
    return st;
}

enum oxv_status
oxv_log_pending_append(int vault_fd, struct oxv_log *log, size_t *count, struct oxv_err *err)
{
    uint8_t buffer[FILE_MAX_BYTES];
    struct oxv_view file;
    OXV_AUTO(oxv_closep) int fd = -1;
    enum oxv_status st = open_file(vault_fd, O_RDONLY, &fd, err);

    if (st == OXV_E_NOT_FOUND) {
        *count = 0;
        return OXV_OK;
    }
    if (st != OXV_OK) {
        return st;
    }
    if (read_file(fd, buffer, &file) != OXV_OK) {
        return oxv_fail_errno(err, "cannot read " FILE_NAME);
    }
    struct contents c = examine(file);

    st = append_all(log, &c, count);

    if (st != OXV_OK) {
        return oxv_fail(err, st, "cannot log what waits in " FILE_NAME);
    }
    return OXV_OK;
}

enum oxv_status
oxv_log_pending_clear(int vault_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    enum oxv_status st = open_file(vault_fd, O_RDWR, &fd, err);

    if (st == OXV_E_NOT_FOUND) {
        return OXV_OK;
    }
    if (st == OXV_OK && (ftruncate(fd, 0) != 0 || fdatasync(fd) != 0)) {
        return oxv_fail_errno(err, "cannot empty " FILE_NAME);
    }
    return st;
}
