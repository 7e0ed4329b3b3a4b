/* io: descriptors and files: whole reads and writes, safe opening of files with secrets, clocks. */
#ifndef OXV_BASE_IO_H
#define OXV_BASE_IO_H

#include <dirent.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/status.h"

/* For OXV_AUTO(oxv_closep): closes unless -1, keeps errno. */
void oxv_closep(int *fd);
/* Moves a descriptor out of *fd, which becomes -1. */
int oxv_fd_take(int *fd);

/* For OXV_AUTO(oxv_closedirp): closes a directory that was only read, unless NULL; keeps errno. */
void oxv_closedirp(DIR **dir);

/* Is there nothing in the directory but . and ..? False also where it cannot be read. */
bool oxv_dir_is_empty(int dir_fd);

/* Writes all bytes, resuming after EINTR and short writes. OXV_E_IO with errno kept. */
OXV_MUST_USE enum oxv_status oxv_write_all(int fd, struct oxv_view bytes);

/*
 * Reads until end of file into `buffer`. OXV_E_LIMIT where there is more than `max`, OXV_E_IO with
 * errno kept. *len is untouched on failure.
 */
OXV_MUST_USE enum oxv_status oxv_read_to_end(int fd, void *buffer, size_t max, size_t *len);

/* Reads `len` bytes, or fewer where the file ends before; OXV_E_IO with errno kept. */
OXV_MUST_USE enum oxv_status oxv_read_up_to(int fd, void *buffer, size_t len, size_t *got);

/* Opens below the directory `dir_fd` with O_CLOEXEC|O_NOFOLLOW and reads the whole regular file. */
OXV_MUST_USE enum oxv_status oxv_read_file_at(int dir_fd, const char *name, void *buffer,
                                              size_t max, size_t *len, struct oxv_err *err);

/*
 * Replaces dir_fd/name: writes name.tmp, syncs it, renames, syncs the directory. Mode as given,
 * whatever the umask. A name.tmp that is there already, left by a kill or of another kind, goes.
 */
OXV_MUST_USE enum oxv_status oxv_replace_file_at(int dir_fd, const char *name, mode_t mode,
                                                 struct oxv_view bytes, struct oxv_err *err);

/* Makes the name of a new or renamed file last: syncs the directory that `path` is in. */
OXV_MUST_USE enum oxv_status oxv_sync_parent(const char *path, struct oxv_err *err);

/*
 * Opens a file that holds a secret: it must be regular, no symlink, owned by the invoker or root,
 * without rights for group and others. Below $CREDENTIALS_DIRECTORY (systemd) the group bits are
 * not checked: there they are an ACL mask. *out_fd is owned by the caller.
 *   OXV_E_DENIED  one of these rules is broken: *err names file, rule and the chmod that mends it
 *   OXV_E_IO      it cannot be opened
 */
OXV_MUST_USE enum oxv_status oxv_open_secret_file(const char *path, int *out_fd,
                                                  struct oxv_err *err);

/*
 * Reads a descriptor to its end into a secret of 1..max bytes. With `trim_newline` one trailing LF
 * or CRLF goes.
 *   OXV_E_LIMIT  empty, or more than max bytes
 */
OXV_MUST_USE enum oxv_status oxv_read_secret_fd(int fd, size_t max, bool trim_newline,
                                                struct oxv_secret **out, struct oxv_err *err);

/* Microseconds since 1970 (CLOCK_REALTIME). */
uint64_t oxv_clock_wall_us(void);
/* Microseconds since boot, suspend included (CLOCK_BOOTTIME). */
uint64_t oxv_clock_boot_us(void);

#endif
