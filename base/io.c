#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

void
oxv_closep(int *fd)
{
    int saved = errno;

    if (*fd >= 0) {
        (void)close(*fd); /* what had to be durable was synced before */
        *fd = -1;
    }
    errno = saved;
}

void
oxv_closedirp(DIR **dir)
{
    int saved = errno;

    if (*dir != NULL) {
        (void)closedir(*dir); /* it was only read */
        *dir = NULL;
    }
    errno = saved;
}

bool
oxv_dir_is_empty(int dir_fd)
{
    OXV_AUTO(oxv_closep) int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OXV_AUTO(oxv_closedirp) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    bool empty = dir != NULL;

    if (dir != NULL) {
        (void)oxv_fd_take(&copy); /* dir owns it now */
    }
    while (empty && (entry = readdir(dir)) != NULL) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    return empty;
}

int
oxv_fd_take(int *fd)
{
    int moved = *fd;

    *fd = -1;
    return moved;
}

enum oxv_status
oxv_write_all(int fd, struct oxv_view bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return OXV_E_IO;
        }
        bytes = oxv_view_from(bytes, (size_t)n);
    }
    return OXV_OK;
}

enum oxv_status
oxv_read_up_to(int fd, void *buffer, size_t max, size_t *len)
{
    uint8_t *bytes = buffer;
    size_t got = 0;

    while (got < max) {
        ssize_t n = read(fd, bytes + got, max - got);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return OXV_E_IO;
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    *len = got;
    return OXV_OK;
}

enum oxv_status
oxv_read_to_end(int fd, void *buffer, size_t max, size_t *len)
{
    size_t got;
    uint8_t extra = 0;
    size_t more = 0;
    enum oxv_status st = oxv_read_up_to(fd, buffer, max, &got);

    if (st == OXV_OK && got == max) {
        st = oxv_read_up_to(fd, &extra, 1, &more);
        oxv_wipe(&extra, 1);
    }
    if (st != OXV_OK) {
        return st;
    }
    if (more > 0) {
        return OXV_E_LIMIT;
    }
    *len = got;
    return OXV_OK;
}

enum oxv_status
oxv_read_file_at(int dir_fd, const char *name, void *buffer, size_t max, size_t *len,
                 struct oxv_err *err)
{
    struct stat st;
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        enum oxv_status status = errno == ENOENT ? OXV_E_NOT_FOUND : OXV_E_IO;

        (void)oxv_fail_errno(err, "cannot open %s", name);
        if (err != NULL) {
            err->status = status;
        }
        return status;
    }
    if (fstat(fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot examine %s", name);
    }
    if (!S_ISREG(st.st_mode)) {
        return oxv_fail(err, OXV_E_FORMAT, "%s is not a regular file", name);
    }
    enum oxv_status status = oxv_read_to_end(fd, buffer, max, len);

    if (status == OXV_E_LIMIT) {
        return oxv_fail(err, OXV_E_LIMIT, "%s is longer than %zu bytes", name, max);
    }
    if (status != OXV_OK) {
        return oxv_fail_errno(err, "cannot read %s", name);
    }
    return OXV_OK;
}

enum oxv_status
oxv_replace_file_at(int dir_fd, const char *name, mode_t mode, struct oxv_view bytes,
                    struct oxv_err *err)
{
    char temporary[256];

    if (oxv_format(temporary, sizeof temporary, "%s.tmp", name) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the file name %s is too long", name);
    }
    if (unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT) {
        return oxv_fail_errno(err, "cannot remove an old %s", temporary);
    }
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot create %s", temporary);
    }
    if (fchmod(fd, mode) != 0 || oxv_write_all(fd, bytes) != OXV_OK || fsync(fd) != 0 ||
        renameat(dir_fd, temporary, dir_fd, name) != 0) {
        enum oxv_status status = oxv_fail_errno(err, "cannot write %s", name);

        (void)unlinkat(dir_fd, temporary, 0); /* best effort: the error stands */
        return status;
    }
    if (fsync(dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync the directory of %s", name);
    }
    return OXV_OK;
}

enum oxv_status
oxv_sync_parent(const char *path, struct oxv_err *err)
{
    char copy[PATH_MAX];

    if (oxv_text_copy(oxv_view_text(path), copy, sizeof copy) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the file name %s is too long", path);
    }
    OXV_AUTO(oxv_closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0) {
        return oxv_fail_errno(err, "cannot sync the directory of %s", path);
    }
    return OXV_OK;
}

/* Is the path below systemd's credentials directory, where group bits are an ACL mask? */
static bool
is_systemd_credential(const char *path)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    if (dir == NULL || dir[0] != '/') {
        return false;
    }
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && path[len] == '/' && strstr(path, "/../") == NULL;
}

enum oxv_status
oxv_open_secret_file(const char *path, int *out_fd, struct oxv_err *err)
{
    struct stat st;
    OXV_AUTO(oxv_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 && errno == ELOOP) {
        return oxv_fail(err, OXV_E_DENIED, "%s is a symbolic link: name the file itself", path);
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot open %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return oxv_fail(err, OXV_E_DENIED, "%s is not a regular file", path);
    }
    if (st.st_uid != getuid() && st.st_uid != geteuid() && st.st_uid != 0) {
        return oxv_fail(err, OXV_E_DENIED, "%s belongs to uid %u: it must be yours or root's", path,
                        (unsigned)st.st_uid);
    }
    mode_t forbidden = is_systemd_credential(path) ? S_IRWXO : (S_IRWXG | S_IRWXO);

    if ((st.st_mode & forbidden) != 0) {
        return oxv_fail(err, OXV_E_DENIED,
                        "others can read %s (mode %04o): run chmod 600 on it, and see whether the "
                        "secret is still one",
                        path, (unsigned)(st.st_mode & 07777));
    }
    *out_fd = oxv_fd_take(&fd);
    return OXV_OK;
}

enum oxv_status
oxv_read_secret_fd(int fd, size_t max, bool trim_newline, struct oxv_secret **out,
                   struct oxv_err *err)
{
    /* Two more bytes for the CRLF that may go. */
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *s = oxv_secret_new(max + 2);
    size_t len = 0;

    if (s == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a secret");
    }
    enum oxv_status st = oxv_read_to_end(fd, oxv_secret_bytes(s), max + 2, &len);

    if (st == OXV_E_IO) {
        return oxv_fail_errno(err, "cannot read a secret");
    }
    const uint8_t *bytes = oxv_secret_bytes(s);

    if (st == OXV_OK && trim_newline && len > 0 && bytes[len - 1] == '\n') {
        len--;
        len -= len > 0 && bytes[len - 1] == '\r' ? 1 : 0;
    }
    if (st != OXV_OK || len > max) {
        return oxv_fail(err, OXV_E_LIMIT, "the secret is longer than %zu bytes", max);
    }
    if (len == 0) {
        return oxv_fail(err, OXV_E_LIMIT, "the secret is empty");
    }
    oxv_secret_shorten(s, len);
    *out = oxv_secret_take(&s);
    return OXV_OK;
}

static uint64_t
clock_us(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) != 0 || ts.tv_sec < 0) {
        oxv_bug("clock_gettime failed");
    }
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t
oxv_clock_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

uint64_t
oxv_clock_boot_us(void)
{
    return clock_us(CLOCK_BOOTTIME);
}
