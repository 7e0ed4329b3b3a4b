/*
 * child: starts keeper, frontends and token helpers as executables of their own, and keeps the list
 * of those that belong to a keeper.
 */
#ifndef OXV_SERVICE_SUPERVISOR_CHILD_H
#define OXV_SERVICE_SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

#define OXV_CHILD_CHANNEL_FD 3 /* where a child finds its channel */

struct oxv_child_plan {
    const char *path;
    const char *const *argv; /* ends with NULL */
    int channel_fd;          /* borrowed */
    bool change_user;        /* to uid and gid, without other groups than these */
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* borrowed */
    size_t group_count;
    uint64_t data_max_bytes;     /* RLIMIT_DATA, so of all its own memory; 0: no limit */
    bool pass_hook;              /* a build with OXV_TEST_HOOKS: hand on OXV_HOOK */
    bool pass_token_environment; /* what oxv_token_environment() lists */
};

/*
 * Forks and executes: descriptor 0 is /dev/null, 1 and 2 are our stderr, 3 is the channel and
 * nothing else is open; the environment holds OPENSSL_CONF=/dev/null and what the plan passes on.
 * The child is killed when this process dies. What fails in the child is said on stderr; it then
 * exits with 127. OXV_E_IO  fork failed
 */
OXV_MUST_USE enum oxv_status oxv_child_start(const struct oxv_child_plan *plan, pid_t *out,
                                             struct oxv_err *err);

/* Each has serials of its own. */
enum oxv_child_role { OXV_CHILD_FRONTEND, OXV_CHILD_HELPER };
/* "frontend", "token helper" */
const char *oxv_child_role_name(enum oxv_child_role role);

/* The frontends and token helpers that live. */
struct oxv_children {
    struct oxv_child {
        pid_t pid;
        enum oxv_child_role role;
        unsigned keeper;  /* the number of the keeper it belongs to */
        uint64_t serial;  /* that keeper's name for it */
        uint64_t kill_us; /* boot clock; 0: it is not given up */
    } * list;
    size_t count;
    size_t room;
};

/* False where there are OXV_CHILDREN_MAX already, or no memory. */
#define OXV_CHILDREN_MAX 4096u
OXV_MUST_USE bool oxv_children_reserve(struct oxv_children *children);
/* After a reserve. */
void oxv_children_add(struct oxv_children *children, const struct oxv_child *child);
/* False where it is none of them; else *out, which may be NULL, is what it was. */
OXV_MUST_USE bool oxv_children_remove(struct oxv_children *children, pid_t pid,
                                      struct oxv_child *out);
/* SIGKILL to all that belong to a keeper before number `keeper`. */
void oxv_children_kill_before(const struct oxv_children *children, unsigned keeper);
/* SIGKILL to all of that role. */
void oxv_children_kill_role(const struct oxv_children *children, enum oxv_child_role role);
/*
 * Gives up the one that `lost` names by role, keeper and serial: it is killed at lost->kill_us,
 * unless it has ended by itself. Nothing where there is none; a time that is set already stays.
 */
void oxv_children_give_up(struct oxv_children *children, const struct oxv_child *lost);
/* SIGKILL to those whose time has come. Returns how many of them were frontends. */
size_t oxv_children_kill_due(struct oxv_children *children, uint64_t now_us);
/* When the next one is to be killed; UINT64_MAX: never. */
uint64_t oxv_children_next_kill_us(const struct oxv_children *children);
void oxv_children_done(struct oxv_children *children);

#endif
