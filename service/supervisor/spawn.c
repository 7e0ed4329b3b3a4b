#include "service/supervisor/spawn.h"

#include <sys/socket.h>

#include "base/io.h"

enum oxv_status
oxv_spawn(struct oxv_supervisor *s, enum oxv_child_role role, uint64_t serial,
          struct oxv_child_plan *plan, int *out, struct oxv_err *err)
{
    struct oxv_child child = { .role = role, .keeper = s->keeper_number, .serial = serial };
    int pair[2];

    if (!oxv_children_reserve(&s->children)) {
        return oxv_fail(err, OXV_E_LIMIT, "too many processes, or no memory");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return oxv_fail_errno(err, "cannot make a channel");
    }
    OXV_AUTO(oxv_closep) int keepers = pair[0];
    OXV_AUTO(oxv_closep) int childs = pair[1];

    plan->channel_fd = childs;
    plan->pass_hook = s->keeper_number == 1;
    enum oxv_status st = oxv_child_start(plan, &child.pid, err);

    if (st == OXV_OK) {
        oxv_children_add(&s->children, &child);
        *out = oxv_fd_take(&keepers);
    }
    return st;
}
