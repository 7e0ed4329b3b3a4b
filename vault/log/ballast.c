#include "vault/log/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"

/* So much must be free beside the ballast, else the disk would be full again at once. */
#define SPARE_BYTES (UINT64_C(2) << 20)

static enum oxv_status
open_ballast(int dir_fd, int flags, int *fd, uint64_t *bytes, struct oxv_err *err)
{
    struct stat st;

    *fd = openat(dir_fd, OXV_BALLAST_NAME, O_RDWR | flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                 0600);
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot open log/" OXV_BALLAST_NAME);
    }
    if (!S_ISREG(st.st_mode) || st.st_size < 0) {
        return oxv_fail(err, OXV_E_IO, "log/" OXV_BALLAST_NAME " is no regular file");
    }
    /* A hole is no room: a copy of the log may have made one of it. */
    uint64_t allocated = (uint64_t)st.st_blocks * 512u;

    *bytes = (uint64_t)st.st_size < allocated ? (uint64_t)st.st_size : allocated;
    return OXV_OK;
}

static bool
has_no_room(int number)
{
    return number == ENOSPC || number == EDQUOT;
}

enum oxv_status
oxv_ballast_fill(int dir_fd, bool *is_full, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    struct oxv_space space = { 0 };
    uint64_t bytes = 0;

    *is_full = true;
    errno = 0;
    if (open_ballast(dir_fd, O_CREAT, &fd, &bytes, err) != OXV_OK) {
        return has_no_room(errno) ? OXV_OK : OXV_E_IO;
    }
    if (bytes >= OXV_BALLAST_BYTES) {
        *is_full = false;
        return OXV_OK;
    }
    enum oxv_status st = oxv_space_read(fd, &space, err);

    if (st != OXV_OK || space.free_bytes < OXV_BALLAST_BYTES - bytes + SPARE_BYTES) {
        return st;
    }
    int number = posix_fallocate(fd, 0, (off_t)OXV_BALLAST_BYTES);

    if (has_no_room(number)) {
        if (ftruncate(fd, (off_t)bytes) != 0) { /* it may have taken what there was */
            return oxv_fail_errno(err, "cannot cut log/" OXV_BALLAST_NAME);
        }
        return OXV_OK;
    }
    if (number != 0) {
        errno = number;
        return oxv_fail_errno(err, "cannot make log/" OXV_BALLAST_NAME);
    }
    *is_full = false;
    return OXV_OK;
}

enum oxv_status
oxv_ballast_give(int dir_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    uint64_t bytes = 0;
    enum oxv_status st = open_ballast(dir_fd, 0, &fd, &bytes, err);

    if (st != OXV_OK) {
        return errno == ENOENT ? OXV_E_NOT_FOUND : st;
    }
    if (bytes == 0) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "log/" OXV_BALLAST_NAME " is used up");
    }
    uint64_t left = bytes > OXV_BALLAST_PART_BYTES ? bytes - OXV_BALLAST_PART_BYTES : 0;

    /* Synced, as some file systems give the blocks back only then. */
    if (ftruncate(fd, (off_t)left) != 0 || fsync(fd) != 0) {
        return oxv_fail_errno(err, "cannot cut log/" OXV_BALLAST_NAME);
    }
    return OXV_OK;
}

enum oxv_status
oxv_space_read(int fd, struct oxv_space *out, struct oxv_err *err)
{
    struct statvfs vfs;

    if (fstatvfs(fd, &vfs) != 0) {
        return oxv_fail_errno(err, "cannot ask the log's file system for its room");
    }
    uint64_t used = (uint64_t)(vfs.f_blocks - vfs.f_bfree);
    uint64_t usable = used + (uint64_t)vfs.f_bavail;

    *out = (struct oxv_space){
        .total_bytes = usable * vfs.f_frsize,
        .free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize,
        .used_percent = usable == 0 ? 0 : (unsigned)((used * 100 + usable - 1) / usable),
    };
    return OXV_OK;
}
