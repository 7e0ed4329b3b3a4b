#include "vault/log/torn.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/lines.h"

#define COPY_BYTES        65536u
#define HASH_PREFIX_BYTES 8u
#define NEW_END           ".new"
#define SECTOR_BYTES      512u /* the least that a disk writes whole */
/* So many bytes of a commit line may differ for it still to be that commit line, damaged. */
#define DAMAGE_MAX_BYTES 8u

static enum oxv_status
open_segment(int seg_fd, uint64_t n, int flags, int *fd, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];

    oxv_segment_name(n, name);
    *fd = openat(seg_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0) {
        return oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    return OXV_OK;
}

/* Takes the next bytes of a copy. */
typedef enum oxv_status (*chunk_fn)(void *ctx, struct oxv_view chunk);

static enum oxv_status
hash_chunk(void *ctx, struct oxv_view chunk)
{
    (void)crypto_hash_sha256_update(ctx, chunk.data, chunk.len); /* returns 0, always */
    return OXV_OK;
}

static enum oxv_status
write_chunk(void *ctx, struct oxv_view chunk)
{
    const int *fd = ctx;

    return oxv_write_all(*fd, chunk);
}

/* Hands the bytes from..end of the file to fn. */
static enum oxv_status
each_chunk(int fd, uint64_t from, uint64_t end, chunk_fn fn, void *ctx)
{
    uint8_t buffer[COPY_BYTES];

    while (from < end) {
        uint64_t want = end - from < sizeof buffer ? end - from : sizeof buffer;
        ssize_t n = pread(fd, buffer, (size_t)want, (off_t)from);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return OXV_E_IO;
        }
        enum oxv_status st = fn(ctx, oxv_view(buffer, (size_t)n));

        if (st != OXV_OK) {
            return st;
        }
        from += (uint64_t)n;
    }
    return OXV_OK;
}

/* Of the whole commit lines, with their newlines, in what is left of the file. */
struct commits {
    bool any;
    bool is_followed; /* the first of them is, by anything but zeros */
};

static enum oxv_status
find_commit_line(int fd, struct commits *found)
{
    struct oxv_line line = { .kind = OXV_LINE_WHOLE };
    OXV_AUTO(oxv_lines_freep) struct oxv_lines *lines = oxv_lines_new(fd);

    if (lines == NULL) {
        return OXV_E_MEMORY;
    }
    *found = (struct commits){ 0 };
    while (line.kind != OXV_LINE_END && !found->is_followed) {
        enum oxv_status st = oxv_lines_next(lines, &line);

        if (st != OXV_OK) {
            return st;
        }
        if (found->any) {
            found->is_followed = line.kind != OXV_LINE_ZEROS && line.kind != OXV_LINE_END;
        } else {
            found->any = (line.kind == OXV_LINE_WHOLE || line.kind == OXV_LINE_LONG) &&
                         oxv_commit_ends_line(line.text);
        }
    }
    return OXV_OK;
}

/* What a pass over the bytes from `offset` on found. */
struct remains {
    uint64_t begin;
    uint64_t offset;      /* of the next chunk */
    uint64_t end;         /* after the last byte that is not zero */
    uint64_t zeros;       /* how many zero bytes stand before `offset` without a break */
    bool has_zero_sector; /* before `end` */
};

static enum oxv_status
take_chunk(void *ctx, struct oxv_view chunk)
{
    struct remains *found = ctx;

    for (size_t i = 0; i < chunk.len; i++) {
        uint64_t at = found->offset + i;

        if (chunk.data[i] == 0) {
            found->zeros++;
            continue;
        }
        /* The run before this byte: does it cover a sector from its first byte to its last? */
        uint64_t begin = at - found->zeros;
        uint64_t sector = (begin + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;

        if (begin == found->begin) { /* what stands before it in its sector was written earlier */
            sector = begin / SECTOR_BYTES * SECTOR_BYTES;
        }
        found->has_zero_sector = found->has_zero_sector || sector + SECTOR_BYTES <= at;
        found->zeros = 0;
        found->end = at + 1;
    }
    found->offset += chunk.len;
    return OXV_OK;
}

/* OXV_E_IO with errno kept. */
static enum oxv_status
look_through(int fd, uint64_t from, struct remains *found)
{
    struct stat st;

    *found = (struct remains){ .begin = from, .offset = from, .end = from };
    if (fstat(fd, &st) != 0) {
        return OXV_E_IO;
    }
    return each_chunk(fd, from, (uint64_t)st.st_size, take_chunk, found);
}

/* Is all that follows the good lines the commit line they wait for, with a few bytes changed? */
static enum oxv_status
find_damaged_commit(const struct oxv_walk *walk, int fd, uint64_t end, bool *found)
{
    const struct oxv_chain *chain = &walk->chain;
    struct oxv_commit expected = { .epoch = chain->epoch, .size = chain->tree.size };
    uint8_t rest[OXV_COMMIT_MAX_BYTES + 1];
    uint64_t left = end > walk->end_offset ? end - walk->end_offset : 0;
    ssize_t n =
        pread(fd, rest, left < sizeof rest ? (size_t)left : sizeof rest, (off_t)walk->end_offset);

    if (n < 0) {
        return OXV_E_IO;
    }
    *found = false;
    if (n > 0 && !oxv_chain_is_committed(chain)) {
        oxv_tree_root(&chain->tree, chain->hasher, expected.root);
        /* The last byte stands for the newline, damaged or not. */
        *found =
            oxv_commit_compare(oxv_view(rest, (size_t)n - 1), &expected).count <= DAMAGE_MAX_BYTES;
    }
    return OXV_OK;
}

enum oxv_status
oxv_torn_judge(const struct oxv_walk *walk, int seg_fd, bool *is_torn, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    struct remains remains;
    struct commits commits;
    bool damaged = false;
    enum oxv_status st = open_segment(seg_fd, walk->segment, O_RDONLY, &fd, err);

    if (st != OXV_OK) {
        return st;
    }
    if (lseek(fd, (off_t)walk->good_offset, SEEK_SET) < 0) {
        return oxv_fail_errno(err, "cannot read the log's last segment");
    }
    st = find_commit_line(fd, &commits);
    if (st == OXV_OK) {
        st = look_through(fd, walk->good_offset, &remains);
    }
    if (st == OXV_OK) {
        st = find_damaged_commit(walk, fd, remains.end, &damaged);
    }
    if (st == OXV_E_MEMORY) {
        return oxv_fail(err, st, "no memory to read the log");
    }
    if (st != OXV_OK) {
        return oxv_fail_errno(err, "cannot read the log's last segment");
    }
    /* A write holds one commit line, its last: what follows one was written after a sync of it. */
    *is_torn = remains.has_zero_sector ? !commits.is_followed : (!commits.any && !damaged);
    return OXV_OK;
}

static enum oxv_status
name_torn(int fd, struct oxv_torn *torn)
{
    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    char hex[2 * HASH_PREFIX_BYTES + 1];

    (void)crypto_hash_sha256_init(&state); /* these two return 0, always */
    enum oxv_status st =
        each_chunk(fd, torn->offset, torn->offset + torn->bytes, hash_chunk, &state);

    (void)crypto_hash_sha256_final(&state, digest);
    if (st != OXV_OK) {
        return st;
    }
    (void)sodium_bin2hex(hex, sizeof hex, digest, HASH_PREFIX_BYTES); /* returns its buffer */
    return oxv_format(torn->name, sizeof torn->name, "%ju-%s", (uintmax_t)torn->offset, hex);
}

static int
open_torn_dir(int dir_fd)
{
    return openat(dir_fd, "torn", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Makes the copy durable: the file, its name, and the name of its directory. */
static enum oxv_status
copy_torn(int fd, int dir_fd, const struct oxv_torn *torn)
{
    char name[OXV_TORN_NAME_BYTES + sizeof NEW_END];

    if (oxv_format(name, sizeof name, "%s" NEW_END, torn->name) != OXV_OK ||
        (mkdirat(dir_fd, "torn", 0700) != 0 && errno != EEXIST)) {
        return OXV_E_IO;
    }
    OXV_AUTO(oxv_closep) int torn_fd = open_torn_dir(dir_fd);
    OXV_AUTO(oxv_closep)
    int copy =
        torn_fd < 0
            ? -1
            : openat(torn_fd, name,
                     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (copy < 0 ||
        each_chunk(fd, torn->offset, torn->offset + torn->bytes, write_chunk, &copy) != OXV_OK ||
        fsync(copy) != 0 || fsync(torn_fd) != 0 || fsync(dir_fd) != 0) {
        return OXV_E_IO;
    }
    return OXV_OK;
}

enum oxv_status
oxv_torn_put_aside(const struct oxv_walk *walk, int dir_fd, int seg_fd, struct oxv_torn *torn,
                   struct oxv_err *err)
{
    struct oxv_torn found = { .offset = walk->good_offset };
    struct remains remains;
    OXV_AUTO(oxv_closep) int fd = -1;
    enum oxv_status status = open_segment(seg_fd, walk->segment, O_RDWR, &fd, err);

    if (status != OXV_OK) {
        return status;
    }
    if (look_through(fd, found.offset, &remains) != OXV_OK) {
        return oxv_fail_errno(err, "cannot read the log's last segment");
    }
    found.bytes = remains.end - found.offset;
    if (found.bytes > 0 &&
        (name_torn(fd, &found) != OXV_OK || copy_torn(fd, dir_fd, &found) != OXV_OK)) {
        return oxv_fail_errno(err, "cannot put the torn end of the log aside in log/torn");
    }
    if (remains.offset > found.offset &&
        (ftruncate(fd, (off_t)found.offset) != 0 || fsync(fd) != 0)) {
        return oxv_fail_errno(err, "cannot cut the torn end off the log");
    }
    *torn = found;
    return OXV_OK;
}

/* "x.new" -> "x"; false for every other name. */
static bool
strip_new(const char *name, char out[OXV_TORN_NAME_BYTES])
{
    struct oxv_view view = oxv_view_text(name);
    size_t end = strlen(NEW_END);

    if (view.len <= end || !oxv_view_is(oxv_view_from(view, view.len - end), NEW_END)) {
        return false;
    }
    return oxv_text_copy(oxv_view(view.data, view.len - end), out, OXV_TORN_NAME_BYTES) == OXV_OK;
}

static enum oxv_status
visit(int torn_fd, const char *item, oxv_torn_fn fn, void *ctx)
{
    struct oxv_torn torn = { 0 };
    struct stat st;

    if (!strip_new(item, torn.name)) {
        return OXV_OK;
    }
    if (fstatat(torn_fd, item, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_size < 0) {
        return OXV_E_IO;
    }
    torn.bytes = (uint64_t)st.st_size;
    return fn(ctx, &torn);
}

enum oxv_status
oxv_torn_each_unlogged(int dir_fd, oxv_torn_fn fn, void *ctx, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int torn_fd = open_torn_dir(dir_fd);

    if (torn_fd < 0 && errno == ENOENT) {
        return OXV_OK;
    }
    OXV_AUTO(oxv_closep)
    int listed = torn_fd < 0 ? -1 : openat(torn_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OXV_AUTO(oxv_closedirp) DIR *dir = listed < 0 ? NULL : fdopendir(listed);

    if (dir == NULL) {
        return oxv_fail_errno(err, "cannot list log/torn");
    }
    (void)oxv_fd_take(&listed); /* the DIR owns it now */
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(dir);

        if (item == NULL) {
            break;
        }
        enum oxv_status st = visit(torn_fd, item->d_name, fn, ctx);

        if (st != OXV_OK) {
            return oxv_fail(err, st, "cannot log what waits in log/torn/%s", item->d_name);
        }
    }
    return errno == 0 ? OXV_OK : oxv_fail_errno(err, "cannot list log/torn");
}

static enum oxv_status
rename_logged(void *ctx, const struct oxv_torn *torn)
{
    const int *torn_fd = ctx;
    char name[OXV_TORN_NAME_BYTES + sizeof NEW_END];

    if (oxv_format(name, sizeof name, "%s" NEW_END, torn->name) != OXV_OK ||
        renameat(*torn_fd, name, *torn_fd, torn->name) != 0) {
        return OXV_E_IO;
    }
    return OXV_OK;
}

enum oxv_status
oxv_torn_mark_logged(int dir_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int torn_fd = open_torn_dir(dir_fd);

    if (torn_fd < 0) {
        return oxv_fail_errno(err, "cannot open log/torn");
    }
    enum oxv_status st = oxv_torn_each_unlogged(dir_fd, rename_logged, &torn_fd, err);

    if (st == OXV_OK && fsync(torn_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync log/torn");
    }
    return st;
}
