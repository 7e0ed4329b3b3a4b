/* spawn: starts a program of the service (keeper, token helper) with just what it needs. */
#ifndef OXV_CLI_SPAWN_H
#define OXV_CLI_SPAWN_H

#include <sys/types.h>

#include "cli/cli.h"

#define OXV_SPAWN_FIRST_FD   3
#define OXV_SPAWN_GROUPS_MAX 32
#define OXV_SPAWN_FDS_MAX    3u

/* The user that a program runs as. */
struct oxv_spawn_user {
    bool drop; /* false: this user, and nothing below counts */
    uid_t uid;
    gid_t gid;
    gid_t groups[OXV_SPAWN_GROUPS_MAX];
    int group_count;
};

struct oxv_spawn {
    const char *path;
    const char *const *arguments; /* ends with NULL */
    char *const *environment;     /* likewise */
    int fds[OXV_SPAWN_FDS_MAX];   /* become 3, 4, 5; -1: not open there. Borrowed */
    int output;                   /* becomes 1; -1: stderr. Borrowed */
    bool dies_with_us;            /* killed when this process ends */
    struct oxv_spawn_user user;
};

/*
 * The user of this name, with its groups. As another user than root, or with --users none, nothing
 * is dropped; the command must have that option.
 */
enum oxv_exit oxv_spawn_find_user(const struct oxv_cli *cli, const char *name,
                                  struct oxv_spawn_user *out);

/*
 * The path of a program of libexec: in --libexec, which the command must have, or where it is
 * installed beside this one.
 */
enum oxv_exit oxv_spawn_find(const struct oxv_cli *cli, const char *program, char *out,
                             size_t out_size);

/* Standard input of the child is /dev/null. Returns its pid. */
enum oxv_exit oxv_spawn_start(const struct oxv_cli *cli, const struct oxv_spawn *spawn, pid_t *out);

/*
 * Waits. The exit code of the child is that of the command, which the child has said the reason of
 * on stderr; anything else is said here.
 */
enum oxv_exit oxv_spawn_wait(const struct oxv_cli *cli, const struct oxv_spawn *spawn, pid_t pid);

#endif
