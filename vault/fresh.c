#include "vault/fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"

enum oxv_status
oxv_fresh_check(int dir_fd, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OXV_AUTO(oxv_closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        return oxv_fail_errno(err, "cannot read the directory");
    }
    (void)oxv_fd_take(&fd); /* dir owns it now */
    errno = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct oxv_view name = oxv_view_text(entry->d_name);

        if (oxv_view_is(name, OXV_VAULT_UNFINISHED)) {
            return oxv_fail(
                err, OXV_E_CONFLICT,
                "an earlier init or restore did not finish here: empty the directory first");
        }
        if (!oxv_view_is(name, ".") && !oxv_view_is(name, "..")) {
            return oxv_fail(err, OXV_E_CONFLICT, "the directory is not empty: it has %.100s",
                            entry->d_name);
        }
    }
    return errno == 0 ? OXV_OK : oxv_fail_errno(err, "cannot read the directory");
}

static enum oxv_status
put_list(struct oxv_store *store, const struct oxv_row_list *list, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    for (size_t i = 0; i < list->count && st == OXV_OK; i++) {
        struct oxv_store_row stored = oxv_row_stored(list->rows[i]);

        st = oxv_store_sqlite.put(store, &stored, err);
    }
    return st;
}

/* An empty vault.db of mode 0600, and its path. SQLite gives vault.db-wal the same mode. */
static enum oxv_status
make_file(int dir_fd, char *path, size_t path_size, struct oxv_err *err)
{
    char link[64];
    char dir[PATH_MAX];
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, OXV_VAULT_DB, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, 0600) != 0) {
        return oxv_fail_errno(err, "cannot create %s", OXV_VAULT_DB);
    }
    if (oxv_format(link, sizeof link, "/proc/self/fd/%d", dir_fd) != OXV_OK ||
        realpath(link, dir) == NULL ||
        oxv_format(path, path_size, "%s/%s", dir, OXV_VAULT_DB) != OXV_OK) {
        return oxv_fail_errno(err, "cannot tell the path of the vault");
    }
    return OXV_OK;
}

enum oxv_status
oxv_fresh_store(int dir_fd, const struct oxv_row_list *lists, size_t list_count,
                const struct oxv_store_row *manifest, struct oxv_err *err)
{
    char path[PATH_MAX];
    struct oxv_store *store = NULL;
    enum oxv_status st = make_file(dir_fd, path, sizeof path, err);

    st = st == OXV_OK ? oxv_store_sqlite.create(path, &store, err) : st;
    st = st == OXV_OK ? oxv_store_sqlite.begin(store, err) : st;
    for (size_t i = 0; i < list_count && st == OXV_OK; i++) {
        st = put_list(store, &lists[i], err);
    }
    st = st == OXV_OK ? oxv_store_sqlite.put(store, manifest, err) : st;
    st = st == OXV_OK ? oxv_store_sqlite.commit(store, err) : st;
    oxv_store_sqlite.close(store);
    if (st == OXV_OK && fsync(dir_fd) != 0) {
        st = oxv_fail_errno(err, "cannot sync the vault's directory");
    }
    return st;
}

/* The mark has its name from the first moment: a kill leaves it, empty or not, and nothing else. */
enum oxv_status
oxv_fresh_begin(int dir_fd, struct oxv_err *err)
{
    static const char text[] = "oxvault init or restore did not finish here. Empty the directory, "
                               "run it again.\n";
    enum oxv_status st = oxv_fresh_check(dir_fd, err);

    if (st != OXV_OK) {
        return st;
    }
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, OXV_VAULT_UNFINISHED,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    (void)oxv_hook("vault.create.marking");
    if (fd < 0 || oxv_write_all(fd, oxv_view_text(text)) != OXV_OK || fsync(fd) != 0 ||
        fsync(dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot write %s", OXV_VAULT_UNFINISHED);
    }
    return OXV_OK;
}

enum oxv_status
oxv_fresh_end(int dir_fd, struct oxv_err *err)
{
    if (unlinkat(dir_fd, OXV_VAULT_UNFINISHED, 0) != 0 || fsync(dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot take the mark of an unfinished vault away");
    }
    return OXV_OK;
}
