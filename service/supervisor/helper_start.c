#include "service/supervisor/helper_start.h"

#include "base/io.h"
#include "service/supervisor/notify.h"
#include "service/supervisor/spawn.h"

#define ORDERLY_GRACE_US 2000000u /* it gives the token its sessions back: a YubiHSM has 16 */

/* A module may need much memory: there is no limit but the machine's. */
static enum oxv_status
spawn_helper(struct oxv_supervisor *s, uint64_t serial, int *out, struct oxv_err *err)
{
    /* The helper trusts modules of its own user only where there is no other, and only us in that.
     */
    const char *argv[] = { "oxvault-token", s->identity.single_uid ? "--one-user" : NULL, NULL };
    struct oxv_child_plan plan = { .path = s->helper_path,
                                   .argv = argv,
                                   .change_user = !s->identity.single_uid,
                                   .uid = s->identity.token_uid,
                                   .gid = s->identity.token_gid,
                                   .groups = s->identity.token_groups,
                                   .group_count = s->identity.token_group_count,
                                   .pass_token_environment = true };

    return oxv_spawn(s, OXV_CHILD_HELPER, serial, &plan, out, err);
}

enum oxv_status
oxv_helper_start(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_id wanted;
    struct oxv_err err = { 0 };
    int fd = -1;

    if (oxv_fields_decode(message->payload, &oxv_msg_id_shape, &wanted, NULL) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    if (s->stopping || spawn_helper(s, wanted.id, &fd, &err) != OXV_OK) {
        if (!s->stopping) {
            oxv_say("no token helper: %s", err.text);
        }
        return oxv_channel_put(s->control, OXV_MSG_HELPER_FAILED, message->id, message->payload);
    }
    return oxv_channel_put_fds(s->control, OXV_MSG_HELPER, message->id, message->payload, &fd, 1);
}

enum oxv_status
oxv_helper_give_up(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_id lost;

    if (oxv_fields_decode(message->payload, &oxv_msg_id_shape, &lost, NULL) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    uint64_t grace_us = message->id == 1 ? ORDERLY_GRACE_US : 0;
    const struct oxv_child child = { .role = OXV_CHILD_HELPER,
                                     .keeper = s->keeper_number,
                                     .serial = lost.id,
                                     .kill_us = oxv_clock_boot_us() + grace_us };

    oxv_children_give_up(&s->children, &child); /* when its time comes meet_deadlines() kills it */
    return OXV_OK;
}
