#include "cli/new_dir.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

static enum oxv_exit
open_directory(const struct oxv_cli *cli, struct oxv_new_dir *dir)
{
    struct oxv_err err = { 0 };

    dir->fd = open(cli->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir->fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open the directory %s", cli->dir);
        return oxv_cli_err(cli, &err);
    }
    if (!oxv_dir_is_empty(dir->fd)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s is not empty: a new vault needs a directory of its own", cli->dir);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_new_dir_check(const struct oxv_cli *cli, struct oxv_new_dir *dir)
{
    struct stat st;

    return lstat(cli->dir, &st) != 0 ? OXV_EXIT_DONE : open_directory(cli, dir);
}

enum oxv_exit
oxv_new_dir_take(const struct oxv_cli *cli, const struct oxv_spawn_user *user,
                 struct oxv_new_dir *dir)
{
    struct oxv_err err = { 0 };

    if (dir->fd < 0) {
        dir->made = mkdir(cli->dir, 0700) == 0;
        if (!dir->made) {
            (void)oxv_fail_errno(&err, "cannot make the directory %s", cli->dir);
            return oxv_cli_err(cli, &err);
        }
        enum oxv_exit code = open_directory(cli, dir);

        if (code != OXV_EXIT_DONE) {
            return code;
        }
    }
    dir->taken = !dir->made && fstat(dir->fd, &dir->was) == 0;
    if ((user->drop && fchown(dir->fd, user->uid, user->gid) != 0) || fchmod(dir->fd, 0700) != 0) {
        (void)oxv_fail_errno(&err, "cannot make %s the service's", cli->dir);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

bool
oxv_new_dir_undo(const struct oxv_cli *cli, const struct oxv_new_dir *dir)
{
    if (dir->fd >= 0 && (dir->made || dir->taken) && !oxv_dir_is_empty(dir->fd)) {
        oxv_cli_warn("%s is not empty: look at what is there before you remove it", cli->dir);
        return false;
    }
    if (dir->made) {
        (void)rmdir(cli->dir); /* stays where something came into it since */
    }
    if (dir->taken && (fchown(dir->fd, dir->was.st_uid, dir->was.st_gid) != 0 ||
                       fchmod(dir->fd, dir->was.st_mode & 07777) != 0)) {
        oxv_cli_warn("%s has another owner or mode than before", cli->dir);
    }
    return true;
}
