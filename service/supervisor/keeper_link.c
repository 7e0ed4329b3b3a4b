#include "service/supervisor/keeper_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "service/supervisor/frontend_start.h"
#include "service/supervisor/helper_start.h"
#include "service/supervisor/notify.h"
#include "service/supervisor/pins.h"
#include "service/supervisor/source.h"

#define QUEUE_MAX          256u
#define TURN_MAX           64u /* datagrams: a keeper that never stops keeps no signal waiting */
#define START_MAX_BYTES    (OXV_SOURCE_PATH_MAX_BYTES + 256u)
#define QUICK_DEATH_US     10000000u
#define FRONTENDS_GRACE_US 2000000u
#define HANG_UP_GRACE_US   1000000u

/* How long to wait before the next start, by the number of replacements that died early. */
static const uint64_t back_off_us[] = { 0, 200000, 1000000, 5000000 };

/* ---- start ---- */

static void
close_control(struct oxv_supervisor *s)
{
    oxv_channel_free(s->control); /* closing takes it out of the epoll too */
    s->control = NULL;
}

/* What the keeper has to know before it has memory for secrets; the rest comes with START. */
static enum oxv_status
spawn_keeper(struct oxv_supervisor *s, int channel_fd, struct oxv_err *err)
{
    const char *argv[7] = { "oxvault-keeper", "--dir", s->options->dir };
    size_t count = 3;

    if (s->options->secret_memory != NULL) {
        argv[count++] = "--secret-memory";
        argv[count++] = s->options->secret_memory;
    }
    if (s->options->memory_unlocked) {
        argv[count++] = "--allow-unlocked-memory";
    }
    struct oxv_child_plan plan = { .path = s->keeper_path,
                                   .argv = argv,
                                   .channel_fd = channel_fd,
                                   .change_user = !s->identity.single_uid,
                                   .uid = s->identity.keeper_uid,
                                   .gid = s->identity.keeper_gid,
                                   .pass_hook = s->keeper_number == 1 };

    return oxv_child_start(&plan, &s->keeper_pid, err);
}

/* The channel's other end goes to the new process. */
static enum oxv_status
spawn_with_channel(struct oxv_supervisor *s, struct oxv_err *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return oxv_fail_errno(err, "cannot make a channel");
    }
    OXV_AUTO(oxv_closep) int ours = pair[0];
    OXV_AUTO(oxv_closep) int theirs = pair[1];
    enum oxv_status st = oxv_channel_new(ours, QUEUE_MAX, &s->control, err);

    if (st != OXV_OK) {
        return st;
    }
    int watched = oxv_fd_take(&ours); /* the channel has it now */
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = watched } };

    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, watched, &event) != 0) {
        return oxv_fail_errno(err, "cannot watch the keeper");
    }
    return spawn_keeper(s, theirs, err);
}

/* *given stays empty where the source gives only once and has given. */
static enum oxv_status
open_source(struct oxv_supervisor *s, struct oxv_source_given *given, struct oxv_err *err)
{
    bool is_first = s->keeper_number == 1;

    *given = (struct oxv_source_given){ .fd = -1 };
    if (!is_first && !oxv_source_is_lasting(s->options)) {
        oxv_say(
            "the keeper was replaced, and what opens the vault was not kept: it is sealed until "
            "you run oxvault --run %s unseal",
            s->options->run);
        return OXV_OK;
    }
    enum oxv_status st = oxv_source_open(s->options, given, err);

    if (st != OXV_OK && !is_first) {
        oxv_say("%s; the vault is sealed until you run oxvault --run %s unseal",
                err == NULL ? "the source is gone" : err->text, s->options->run);
        *given = (struct oxv_source_given){ .fd = -1 };
        return OXV_OK;
    }
    return st;
}

/* Doubles of the doors, then the source, which is moved. Returns how many; 0: it failed. */
static size_t
gather_descriptors(struct oxv_supervisor *s, struct oxv_source_given *given,
                   int fds[OXV_WIRE_FD_MAX])
{
    size_t count = 0;

    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        int fd = fcntl(s->doors.fds[door], F_DUPFD_CLOEXEC, OXV_CHILD_CHANNEL_FD);

        if (fd < 0) {
            while (count > 0) {
                oxv_closep(&fds[--count]);
            }
            return 0;
        }
        fds[count++] = fd;
    }
    if (given->source != OXV_SOURCE_NONE) {
        fds[count++] = oxv_fd_take(&given->fd);
    }
    return count;
}

static enum oxv_status
send_start(struct oxv_supervisor *s, struct oxv_source_given *given, struct oxv_err *err)
{
    const struct oxv_msg_start start = { .source = given->source,
                                         .memory_unlocked = s->options->memory_unlocked,
                                         .require_sandbox = s->options->require_sandbox,
                                         .service_uid_plus1 = (uint64_t)s->identity.keeper_uid + 1,
                                         .admin_gid_plus1 = s->identity.admin_gid_plus1,
                                         .audit_gid_plus1 = s->identity.audit_gid_plus1,
                                         .single_uid = s->identity.single_uid,
                                         .userns_allowed = s->identity.userns,
                                         .source_path = oxv_view_text(given->path),
                                         .replaces = s->was_ready };
    uint8_t buffer[START_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view payload;
    int fds[OXV_WIRE_FD_MAX];

    oxv_fields_encode(&w, &oxv_msg_start_shape, &start);
    enum oxv_status st = oxv_writer_finish(&w, &payload);

    if (st != OXV_OK) {
        return oxv_fail(err, st, "cannot write START: is the name of the source well-formed?");
    }
    size_t count = gather_descriptors(s, given, fds);

    if (count == 0) {
        return oxv_fail_errno(err, "cannot double the doors");
    }
    st = oxv_channel_put_fds(s->control, OXV_MSG_START, 0, payload, fds, count);
    return st == OXV_OK ? OXV_OK : oxv_fail(err, st, "cannot send START");
}

enum oxv_status
oxv_keeper_link_start(struct oxv_supervisor *s, struct oxv_err *err)
{
    OXV_AUTO(oxv_source_done) struct oxv_source_given given = { .fd = -1 };
    OXV_AUTO(oxv_pins_done) struct oxv_pins pins = { .count = 0 };

    s->keeper_number++;
    s->keeper_ready = false;
    s->keeper_started_us = oxv_clock_boot_us();
    enum oxv_status st = open_source(s, &given, err);

    if (st == OXV_OK) {
        st = oxv_pins_open(s, &pins, err);
    }
    if (st == OXV_OK) {
        st = spawn_with_channel(s, err);
    }
    if (st == OXV_OK) {
        st = oxv_pins_send(s, &pins, err);
    }
    if (st == OXV_OK) {
        st = send_start(s, &given, err);
    }
    if (st == OXV_OK) {
        oxv_keeper_link_serve(s);
    } else {
        close_control(s); /* where there is a keeper already, it ends by that */
    }
    return st;
}

/* ---- messages ---- */

static enum oxv_status
take_publish(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_publish publish;
    struct oxv_err err = { 0 };
    enum oxv_status st =
        oxv_fields_decode(message->payload, &oxv_msg_publish_shape, &publish, &err);

    if (st != OXV_OK) {
        return st;
    }
    if (s->stopping) {
        return OXV_OK; /* no door will open */
    }
    st = oxv_doors_publish(&s->doors, publish.text, &err);
    if (st != OXV_OK) {
        oxv_say("%s", err.text);
        oxv_supervisor_stop(s, oxv_supervisor_exit_code(st));
        return OXV_OK;
    }
    return oxv_channel_put(s->control, OXV_MSG_PUBLISHED, message->id, oxv_view(NULL, 0));
}

static void
tell_state(const struct oxv_supervisor *s, bool sealed)
{
    const char *status = sealed ? "STATUS=sealed: run oxvault unseal" : "STATUS=ready";

    if (!s->was_ready) {
        (void)printf("%s\n", sealed ? "oxvaultd up, sealed" : "oxvaultd ready");
        (void)fflush(stdout); /* whoever started this may have closed it */
        oxv_notify("READY=1");
    }
    oxv_notify(status);
}

static enum oxv_status
take_ready(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_ready ready;
    enum oxv_status st = oxv_fields_decode(message->payload, &oxv_msg_ready_shape, &ready, NULL);

    if (st != OXV_OK) {
        return st;
    }
    oxv_source_restore_terminal();
    if (s->was_ready && !s->keeper_ready) {
        oxv_say("the new keeper is up%s", ready.sealed == 1 ? ", sealed" : "");
    }
    tell_state(s, ready.sealed == 1);
    s->keeper_ready = true;
    s->was_ready = true;
    return OXV_OK;
}

static enum oxv_status
take_state(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_ready state;
    enum oxv_status st = oxv_fields_decode(message->payload, &oxv_msg_ready_shape, &state, NULL);

    if (st != OXV_OK || !s->was_ready) {
        return st != OXV_OK ? st : OXV_E_FORMAT;
    }
    oxv_say("the vault is %s", state.sealed == 1 ? "sealed" : "open");
    tell_state(s, state.sealed == 1);
    return OXV_OK;
}

static enum oxv_status
take_refuse(struct oxv_supervisor *s, const struct oxv_message *message)
{
    struct oxv_msg_refuse refuse;
    enum oxv_status st = oxv_fields_decode(message->payload, &oxv_msg_refuse_shape, &refuse, NULL);

    if (st != OXV_OK) {
        return st;
    }
    oxv_source_restore_terminal();
    oxv_say("%.*s", (int)refuse.text.len, (const char *)refuse.text.data);
    /* A token that is away comes back: a service that was up waits for it, and tries again. */
    if (!s->was_ready || (int)refuse.exit_code != oxv_supervisor_exit_code(OXV_E_TOKEN)) {
        oxv_supervisor_stop(s, (int)refuse.exit_code);
    }
    return OXV_OK;
}

static enum oxv_status
take_message(struct oxv_supervisor *s, const struct oxv_message *message)
{
    static const struct {
        uint8_t type;
        enum oxv_status (*take)(struct oxv_supervisor *s, const struct oxv_message *message);
    } table[] = {
        { OXV_MSG_PUBLISH, take_publish },
        { OXV_MSG_READY, take_ready },
        { OXV_MSG_WANT_FRONTEND, oxv_frontend_start },
        { OXV_MSG_REFUSE, take_refuse },
        { OXV_MSG_STATE, take_state },
        { OXV_MSG_FRONTEND_LOST, oxv_frontend_give_up },
        { OXV_MSG_WANT_HELPER, oxv_helper_start },
        { OXV_MSG_HELPER_LOST, oxv_helper_give_up },
    };
    enum oxv_status st = OXV_E_FORMAT;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].type == message->type) {
            st = table[i].take(s, message);
        }
    }
    /* It asks and asks, and takes no answer. */
    return st == OXV_E_BUSY ? OXV_E_LIMIT : st;
}

static enum oxv_status
take_datagram(struct oxv_supervisor *s, struct oxv_view datagram)
{
    struct oxv_reader r;
    struct oxv_message message;
    enum oxv_status st = oxv_wire_begin(datagram, &r) ? OXV_OK : OXV_E_FORMAT;

    while (st == OXV_OK) {
        st = oxv_wire_next(&r, &message);
        if (st == OXV_OK) {
            st = take_message(s, &message);
        }
    }
    return st == OXV_E_NOT_FOUND ? OXV_OK : st;
}

/* OXV_E_BUSY: all is taken. */
static enum oxv_status
take_one(struct oxv_supervisor *s)
{
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;
    enum oxv_status st = oxv_channel_receive(s->control, &datagram, fds, &fd_count);

    if (st != OXV_OK) {
        return st;
    }
    for (size_t i = 0; i < fd_count; i++) {
        oxv_closep(&fds[i]); /* no message to us carries any */
    }
    return take_datagram(s, datagram);
}

/* Watches for room only while something waits. */
static void
watch(struct oxv_supervisor *s)
{
    int fd = oxv_channel_fd(s->control);
    bool waits = oxv_channel_is_waiting(s->control);
    struct epoll_event event = { .events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                 .data = { .fd = fd } };

    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
        oxv_say("cannot watch the keeper: %s", strerror(errno));
    }
}

/* Takes `turn_max` datagrams at most. */
static void
serve(struct oxv_supervisor *s, unsigned turn_max)
{
    enum oxv_status st = s->control == NULL ? OXV_E_BUSY : OXV_OK;

    for (unsigned i = 0; st == OXV_OK && i < turn_max; i++) {
        st = take_one(s);
    }
    if (s->control == NULL) {
        return;
    }
    if (st == OXV_OK || st == OXV_E_BUSY) {
        st = oxv_channel_flush(s->control);
    }
    if (st == OXV_OK || st == OXV_E_BUSY) {
        watch(s);
        return;
    }
    bool hung_up = st == OXV_E_NOT_FOUND || st == OXV_E_IO;

    if (!hung_up) {
        oxv_say("the keeper breaks the rules of its channel (%s)", oxv_status_name(st));
    }
    if (!hung_up && !s->stopping && s->keeper_pid > 0) {
        (void)kill(s->keeper_pid, SIGKILL); /* not yet reaped: the id is still its */
    }
    close_control(s);
    if (hung_up && !s->stopping) {
        /* It is ending: how it ends is worth to know. */
        s->kill_keeper_us = oxv_clock_boot_us() + HANG_UP_GRACE_US;
    }
}

void
oxv_keeper_link_serve(struct oxv_supervisor *s)
{
    serve(s, TURN_MAX);
}

void
oxv_keeper_link_stop(struct oxv_supervisor *s)
{
    if (s->control == NULL) {
        return;
    }
    if (oxv_channel_put(s->control, OXV_MSG_STOP, 0, oxv_view(NULL, 0)) != OXV_OK) {
        s->kill_keeper_us = oxv_clock_boot_us(); /* it takes no message any more */
    }
}

/* ---- end ---- */

static void
say_how_it_ended(const struct oxv_supervisor *s, int wait_status)
{
    const char *when = s->keeper_ready ? "" : " before it was ready";

    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS) {
        oxv_say("the keeper was ended by its sandbox (SIGSYS)%s", when);
    } else if (WIFSIGNALED(wait_status)) {
        oxv_say("the keeper was ended by signal %d (%s)%s", WTERMSIG(wait_status),
                strsignal(WTERMSIG(wait_status)), when);
    } else {
        oxv_say("the keeper ended with exit code %d%s", WEXITSTATUS(wait_status), when);
    }
}

static void
plan_replacement(struct oxv_supervisor *s, uint64_t now_us)
{
    const size_t steps = sizeof back_off_us / sizeof back_off_us[0];
    /* The first keeper is replaced at once, however early it died. */
    bool again = s->keeper_number > 1 && now_us - s->keeper_started_us < QUICK_DEATH_US;

    s->quick_deaths = again ? s->quick_deaths + 1 : 0;
    size_t step = s->quick_deaths < steps ? s->quick_deaths : steps - 1;

    s->start_keeper_us = now_us + back_off_us[step];
    oxv_notify("STATUS=the keeper is being replaced");
}

void
oxv_keeper_link_ended(struct oxv_supervisor *s, int wait_status)
{
    uint64_t now_us = oxv_clock_boot_us();

    s->keeper_pid = 0;  /* reaped: the id may be another's by now */
    serve(s, UINT_MAX); /* its last words: it may have refused */
    close_control(s);
    oxv_source_restore_terminal();
    s->kill_keeper_us = 0;
    s->kill_frontends_us = now_us + FRONTENDS_GRACE_US;
    oxv_children_kill_role(&s->children, OXV_CHILD_HELPER); /* the next ones need the devices */
    if (s->stopping) {
        return;
    }
    say_how_it_ended(s, wait_status);
    if (s->was_ready) {
        plan_replacement(s, now_us);
    } else {
        oxv_supervisor_stop(s, 1);
    }
}
