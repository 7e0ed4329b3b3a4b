#include "service/supervisor/frontend_start.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "service/supervisor/notify.h"

#define PAYLOAD_MAX_BYTES 64u
#define DATA_MAX_BYTES    (UINT64_C(1) << 30)
#define GIVEN_UP_GRACE_US 1000000u

/* Returns the keeper's end of the new channel in *out. */
static enum oxv_status
spawn_frontend(struct oxv_supervisor *s, const struct oxv_msg_frontend *wanted, int *out,
               struct oxv_err *err)
{
    const char *argv[] = { "oxvault-frontend", oxv_door_name(wanted->door), NULL };
    int pair[2];
    pid_t pid;

    if (!oxv_children_reserve(&s->frontends)) {
        return oxv_fail(err, OXV_E_LIMIT, "too many frontends, or no memory");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return oxv_fail_errno(err, "cannot make a channel");
    }
    OXV_AUTO(oxv_closep) int keepers = pair[0];
    OXV_AUTO(oxv_closep) int frontends = pair[1];
    struct oxv_child_plan plan = { .path = s->frontend_path,
                                   .argv = argv,
                                   .channel_fd = frontends,
                                   .change_user = !s->identity.single_uid,
                                   .uid = s->identity.frontend_uid,
                                   .gid = s->identity.frontend_gid,
                                   .data_max_bytes = DATA_MAX_BYTES,
                                   .pass_hook = s->keeper_number == 1 };
    enum oxv_status st = oxv_child_start(&plan, &pid, err);

    if (st == OXV_OK) {
        oxv_children_add(&s->frontends, pid, s->keeper_number, wanted->serial);
        *out = oxv_fd_take(&keepers);
    }
    return st;
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
        return oxv_channel_put_fields(s->control, OXV_MSG_FRONTEND_FAILED, message->id,
                                      &oxv_msg_frontend_shape, &wanted);
    }
    uint8_t buffer[PAYLOAD_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view payload;

    oxv_fields_encode(&w, &oxv_msg_frontend_shape, &wanted);
    if (oxv_writer_finish(&w, &payload) != OXV_OK) {
        oxv_bug("what was decoded cannot be encoded");
    }
    return oxv_channel_put_fds(s->control, OXV_MSG_FRONTEND, message->id, payload, &fd, 1);
}

enum oxv_status
oxv_frontend_give_up(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_frontend lost;

    if (decode(message, &lost) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    /* WANT_FRONTEND came before this on the same channel: what is not known now never will be. */
    oxv_children_give_up(&s->frontends, s->keeper_number, lost.serial,
                         oxv_clock_boot_us() + GIVEN_UP_GRACE_US);
    return OXV_OK;
}
