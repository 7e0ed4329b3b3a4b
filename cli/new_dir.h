/* new_dir: the directory of a vault that init or restore is to make. */
#ifndef OXV_CLI_NEW_DIR_H
#define OXV_CLI_NEW_DIR_H

#include <sys/stat.h>

#include "cli/spawn.h"

struct oxv_new_dir {
    int fd; /* -1: not opened; owned by the caller */
    bool made;
    bool taken;      /* it was there, and was made the service's */
    struct stat was; /* with taken */
};

/* Before anything is asked for or made: cli->dir must be empty where it is there. */
enum oxv_exit oxv_new_dir_check(const struct oxv_cli *cli, struct oxv_new_dir *dir);
/* Makes it where it is not there, 0700 and the user's. */
enum oxv_exit oxv_new_dir_take(const struct oxv_cli *cli, const struct oxv_spawn_user *user,
                               struct oxv_new_dir *dir);
/*
 * After a failure: removes what was made and puts back what was changed. False, with a warning,
 * where there is something in it: then it stays as it is.
 */
bool oxv_new_dir_undo(const struct oxv_cli *cli, const struct oxv_new_dir *dir);

#endif
