#include "service/supervisor/frontend_start.h"

#include "base/io.h"
#include "service/supervisor/notify.h"
#include "service/supervisor/spawn.h"

#define DATA_MAX_BYTES    (UINT64_C(1) << 30)
#define GIVEN_UP_GRACE_US 1000000u

/* Returns the keeper's end of the new channel in *out. */
static enum oxv_status
spawn_frontend(struct oxv_supervisor *s, const struct oxv_msg_frontend *wanted, int *out,
               struct oxv_err *err)
{
    const char *argv[] = { "oxvault-frontend", oxv_door_name(wanted->door), NULL };
    struct oxv_child_plan plan = { .path = s->frontend_path,
                                   .argv = argv,
                                   .change_user = !s->identity.single_uid,
                                   .uid = s->identity.frontend_uid,
                                   .gid = s->identity.frontend_gid,
                                   .data_max_bytes = DATA_MAX_BYTES };

    return oxv_spawn(s, OXV_CHILD_FRONTEND, wanted->serial, &plan, out, err);
}

static enum oxv_status
decode(const struct oxv_message *message, struct oxv_msg_frontend *out)
{
    enum oxv_status st = oxv_fields_decode(message->payload, &oxv_msg_frontend_shape, out, NULL);

    return st == OXV_OK && oxv_door_name(out->door) == NULL ? OXV_E_FORMAT : st;
}

enum oxv_status
oxv_frontend_start(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_frontend wanted;
    struct oxv_err err = { 0 };
    int fd = -1;

    if (decode(message, &wanted) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    if (s->stopping || spawn_frontend(s, &wanted, &fd, &err) != OXV_OK) {
        if (!s->stopping) {
            oxv_say("no frontend for the door %s: %s", oxv_door_name(wanted.door), err.text);
        }
        return oxv_channel_put(s->control, OXV_MSG_FRONTEND_FAILED, message->id, message->payload);
    }
    return oxv_channel_put_fds(s->control, OXV_MSG_FRONTEND, message->id, message->payload, &fd, 1);
}

enum oxv_status
oxv_frontend_give_up(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_frontend lost;

    if (decode(message, &lost) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    /* WANT_FRONTEND came before this on the same channel: what is not known now never will be. */
    const struct oxv_child child = { .role = OXV_CHILD_FRONTEND,
                                     .keeper = s->keeper_number,
                                     .serial = lost.serial,
                                     .kill_us = oxv_clock_boot_us() + GIVEN_UP_GRACE_US };

    oxv_children_give_up(&s->children, &child);
    return OXV_OK;
}
