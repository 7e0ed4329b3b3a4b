#include "service/supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/token_environment.h"

#define EXIT_NOT_STARTED    127
#define VARIABLE_MAX_BYTES  512u
#define VARIABLES_MAX       5u
#define CHILDREN_ROOM_FIRST 16u

/* Between fork and exec: nothing is returned to the service's code. */
_Noreturn static void
give_up(const struct oxv_child_plan *plan, const char *what)
{
    (void)dprintf(STDERR_FILENO, "oxvaultd: cannot start %s: %s: %s\n", plan->path, what,
                  strerror(errno));
    _exit(EXIT_NOT_STARTED);
}

static void
arrange_descriptors(const struct oxv_child_plan *plan)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        give_up(plan, "descriptors");
    }
    int placed = plan->channel_fd == OXV_CHILD_CHANNEL_FD
                     ? fcntl(plan->channel_fd, F_SETFD, 0)
                     : dup2(plan->channel_fd, OXV_CHILD_CHANNEL_FD);

    if (placed < 0 || close_range(OXV_CHILD_CHANNEL_FD + 1, ~0u, 0) != 0) {
        give_up(plan, "descriptors");
    }
}

static void
change_user(const struct oxv_child_plan *plan)
{
    if (!plan->change_user) {
        return;
    }
    if (setgroups(plan->group_count, plan->groups) != 0 ||
        setresgid(plan->gid, plan->gid, plan->gid) != 0 ||
        setresuid(plan->uid, plan->uid, plan->uid) != 0) {
        give_up(plan, "change of user");
    }
}

/* After the change of user, which makes the kernel forget it. */
static void
die_with_parent(const struct oxv_child_plan *plan, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        give_up(plan, "prctl");
    }
    if (getppid() != parent) {
        _exit(EXIT_NOT_STARTED);
    }
}

/* One peer must not make its frontend eat the machine. */
static void
limit_memory(const struct oxv_child_plan *plan)
{
#ifdef OXV_SANITIZED /* whose shadow memory is far larger */
    (void)plan;
#else
    struct rlimit data;

    if (plan->data_max_bytes == 0) {
        return;
    }
    if (getrlimit(RLIMIT_DATA, &data) != 0) {
        give_up(plan, "limits");
    }
    if (data.rlim_max > plan->data_max_bytes) {
        data.rlim_max = plan->data_max_bytes;
    }
    if (data.rlim_cur > data.rlim_max) {
        data.rlim_cur = data.rlim_max;
    }
    if (setrlimit(RLIMIT_DATA, &data) != 0) {
        give_up(plan, "limits");
    }
#endif
}

static void
reset_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

struct environment {
    char text[VARIABLES_MAX][VARIABLE_MAX_BYTES];
    char *variables[VARIABLES_MAX + OXV_TOKEN_ENVIRONMENT_MAX + 1]; /* a NULL behind the last */
    size_t count;
};

static void
add_variable(struct environment *e, const char *name, const char *value)
{
    if (value != NULL &&
        oxv_format(e->text[e->count], VARIABLE_MAX_BYTES, "%s=%s", name, value) == OXV_OK) {
        e->variables[e->count] = e->text[e->count];
        e->count++;
    }
}

static void
fill_environment(struct environment *e, const struct oxv_child_plan *plan)
{
    add_variable(e, "OPENSSL_CONF", "/dev/null");
#ifdef OXV_SANITIZED
    add_variable(e, "ASAN_OPTIONS", getenv("ASAN_OPTIONS"));
    add_variable(e, "LSAN_OPTIONS", getenv("LSAN_OPTIONS"));
    add_variable(e, "UBSAN_OPTIONS", getenv("UBSAN_OPTIONS"));
#endif
#ifdef OXV_TEST_HOOKS
    add_variable(e, "OXV_HOOK", plan->pass_hook ? getenv("OXV_HOOK") : NULL);
#endif
    if (plan->pass_token_environment) {
        e->count += oxv_token_environment(&e->variables[e->count]);
    }
}

_Noreturn static void
become(const struct oxv_child_plan *plan, pid_t parent)
{
    struct environment environment = { .count = 0 };

    fill_environment(&environment, plan);
    arrange_descriptors(plan);
    change_user(plan);
    die_with_parent(plan, parent);
    reset_signals();
    limit_memory(plan);
    /* execve() does not write to argv, but its type dates from before const. */
    (void)execve(plan->path, (char *const *)(uintptr_t)plan->argv, environment.variables);
    give_up(plan, "execve");
}

enum oxv_status
oxv_child_start(const struct oxv_child_plan *plan, pid_t *out, struct oxv_err *err)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0) {
        return oxv_fail_errno(err, "cannot fork");
    }
    if (pid == 0) {
        become(plan, parent);
    }
    *out = pid;
    return OXV_OK;
}

const char *
oxv_child_role_name(enum oxv_child_role role)
{
    return role == OXV_CHILD_HELPER ? "token helper" : "frontend";
}

bool
oxv_children_reserve(struct oxv_children *children)
{
    if (children->count < children->room) {
        return true;
    }
    size_t room = children->room == 0 ? CHILDREN_ROOM_FIRST : 2 * children->room;
    struct oxv_child *list =
        room > OXV_CHILDREN_MAX ? NULL : reallocarray(children->list, room, sizeof *list);

    if (list == NULL) {
        return false;
    }
    children->list = list;
    children->room = room;
    return true;
}

void
oxv_children_add(struct oxv_children *children, const struct oxv_child *child)
{
    if (children->count == children->room) {
        oxv_bug("a child without a reserved place");
    }
    children->list[children->count++] = *child;
}

bool
oxv_children_remove(struct oxv_children *children, pid_t pid, struct oxv_child *out)
{
    for (size_t i = 0; i < children->count; i++) {
        if (children->list[i].pid == pid) {
            if (out != NULL) {
                *out = children->list[i];
            }
            children->list[i] = children->list[--children->count];
            return true;
        }
    }
    return false;
}

void
oxv_children_kill_before(const struct oxv_children *children, unsigned keeper)
{
    for (size_t i = 0; i < children->count; i++) {
        if (children->list[i].keeper < keeper) {
            (void)kill(children->list[i].pid, SIGKILL); /* not yet reaped: the id is still its */
        }
    }
}

void
oxv_children_kill_role(const struct oxv_children *children, enum oxv_child_role role)
{
    for (size_t i = 0; i < children->count; i++) {
        if (children->list[i].role == role) {
            (void)kill(children->list[i].pid, SIGKILL); /* not yet reaped: the id is still its */
        }
    }
}

void
oxv_children_give_up(struct oxv_children *children, const struct oxv_child *lost)
{
    for (size_t i = 0; i < children->count; i++) {
        struct oxv_child *child = &children->list[i];

        if (child->role == lost->role && child->keeper == lost->keeper &&
            child->serial == lost->serial && child->kill_us == 0) {
            child->kill_us = lost->kill_us;
        }
    }
}

size_t
oxv_children_kill_due(struct oxv_children *children, uint64_t now_us)
{
    size_t frontends = 0;

    for (size_t i = 0; i < children->count; i++) {
        struct oxv_child *child = &children->list[i];

        if (child->kill_us != 0 && child->kill_us <= now_us) {
            (void)kill(child->pid, SIGKILL); /* not yet reaped: the id is still its */
            child->kill_us = 0;
            frontends += child->role == OXV_CHILD_FRONTEND;
        }
    }
    return frontends;
}

uint64_t
oxv_children_next_kill_us(const struct oxv_children *children)
{
    uint64_t next_us = UINT64_MAX;

    for (size_t i = 0; i < children->count; i++) {
        uint64_t kill_us = children->list[i].kill_us;

        if (kill_us != 0 && kill_us < next_us) {
            next_us = kill_us;
        }
    }
    return next_us;
}

void
oxv_children_done(struct oxv_children *children)
{
    free(children->list);
    *children = (struct oxv_children){ 0 };
}
