#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"

#define ARGUMENTS_MAX 40
#define SPARE_FD      16 /* above all that have a place */

static enum oxv_exit
check_users_option(const struct oxv_cli *cli, const char *users)
{
    if (users != NULL && strcmp(users, "none") != 0 && strcmp(users, "roles") != 0) {
        return oxv_cli_usage(cli, "--users is roles or none, not: %s", users);
    }
    if (geteuid() != 0 && users != NULL && strcmp(users, "roles") == 0) {
        return oxv_cli_usage(cli, "--users roles needs root");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_spawn_find_user(const struct oxv_cli *cli, const char *name, struct oxv_spawn_user *out)
{
    const char *users = oxv_cli_option(cli, "users");
    enum oxv_exit code = check_users_option(cli, users);

    *out = (struct oxv_spawn_user){ .group_count = OXV_SPAWN_GROUPS_MAX };
    if (code != OXV_EXIT_DONE || geteuid() != 0 || (users != NULL && strcmp(users, "none") == 0)) {
        return code;
    }
    const struct passwd *user = getpwnam(name);

    if (user == NULL) {
        return oxv_cli_usage(cli,
                             "there is no user %s on this machine. Make the users of the service "
                             "(systemd-sysusers, or scripts/build), or run all as root with "
                             "--users none, which separates less",
                             name);
    }
    out->drop = true;
    out->uid = user->pw_uid;
    out->gid = user->pw_gid;
    if (getgrouplist(name, out->gid, out->groups, &out->group_count) < 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the user %s is in more than %d groups", name,
                            OXV_SPAWN_GROUPS_MAX);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_spawn_find(const struct oxv_cli *cli, const char *program, char *out, size_t out_size)
{
    const char *libexec = oxv_cli_option(cli, "libexec");
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    enum oxv_status st = OXV_E_LIMIT;

    out[0] = '\0';
    if (libexec != NULL) {
        st = oxv_format(out, out_size, "%s/%s", libexec, program);
    } else if (len > 0) {
        own[len] = '\0';
        char *slash = strrchr(own, '/');

        if (slash != NULL) {
            *slash = '\0';
            st = oxv_format(out, out_size, "%s/../libexec/oxvault/%s", own, program);
        }
    }
    if (st != OXV_OK || access(out, F_OK) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s is not where it is installed, %s: name its folder with --libexec",
                            program, out);
    }
    return OXV_EXIT_DONE;
}

/* Every descriptor at its place, and no other open. */
static bool
place_fds(const struct oxv_spawn *spawn)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = spawn->output >= 0 ? spawn->output : STDERR_FILENO;
    int spare[OXV_SPAWN_FDS_MAX];
    unsigned last = OXV_SPAWN_FIRST_FD;

    /* First out of each other's way; dup2() onto itself would keep close-on-exec. */
    for (size_t i = 0; i < OXV_SPAWN_FDS_MAX; i++) {
        spare[i] = spawn->fds[i] < 0 ? -1 : fcntl(spawn->fds[i], F_DUPFD, SPARE_FD);
        if (spawn->fds[i] >= 0 && spare[i] < 0) {
            return false;
        }
    }
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0) {
        return false;
    }
    for (unsigned i = 0; i < OXV_SPAWN_FDS_MAX; i++) {
        unsigned number = OXV_SPAWN_FIRST_FD + i;

        if (spare[i] < 0) {
            (void)close((int)number); /* it may not be open */
        } else if (dup2(spare[i], (int)number) < 0) {
            return false;
        } else {
            last = number + 1;
        }
    }
    return close_range(last, ~0u, 0) == 0;
}

static bool
become_user(const struct oxv_spawn_user *user)
{
    return !user->drop || (setgroups((size_t)user->group_count, user->groups) == 0 &&
                           setresgid(user->gid, user->gid, user->gid) == 0 &&
                           setresuid(user->uid, user->uid, user->uid) == 0);
}

/* Runs in the child, and does not return. */
static _Noreturn void
become(const struct oxv_spawn *spawn)
{
    char *argv[ARGUMENTS_MAX];
    size_t count = 0;

    while (spawn->arguments[count] != NULL && count + 1 < ARGUMENTS_MAX) {
        /* exec takes char *, and copies what it points to. */
        argv[count] = strdup(spawn->arguments[count]);
        count++;
    }
    argv[count] = NULL;
    if (spawn->arguments[count] != NULL || !place_fds(spawn) || !become_user(&spawn->user) ||
        (spawn->dies_with_us && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)) {
        _exit(OXV_EXIT_FAILED);
    }
    (void)execve(spawn->path, argv, spawn->environment);
    static const char message[] = "oxvault: a program of the service cannot be run\n";

    (void)!write(STDERR_FILENO, message, sizeof message - 1); /* nowhere else to say it */
    _exit(OXV_EXIT_FAILED);
}

static const char *
name_of(const struct oxv_spawn *spawn)
{
    const char *slash = strrchr(spawn->path, '/');

    return slash == NULL ? spawn->path : slash + 1;
}

enum oxv_exit
oxv_spawn_start(const struct oxv_cli *cli, const struct oxv_spawn *spawn, pid_t *out)
{
    pid_t child = fork();

    if (child == 0) {
        become(spawn);
    }
    if (child < 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s cannot be started: %s", name_of(spawn),
                            strerror(errno));
    }
    *out = child;
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_spawn_wait(const struct oxv_cli *cli, const struct oxv_spawn *spawn, pid_t pid)
{
    int status = 0;
    pid_t ended;

    do {
        ended = waitpid(pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended == pid && WIFEXITED(status) && WEXITSTATUS(status) <= OXV_EXIT_UNREACHABLE) {
        return (enum oxv_exit)WEXITSTATUS(status);
    }
    return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s ended in an unexpected way (%d)", name_of(spawn),
                        status);
}
