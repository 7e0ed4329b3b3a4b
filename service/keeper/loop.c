#include "service/keeper/loop.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/answers.h"
#include "service/keeper/audit.h"
#include "service/keeper/doors.h"
#include "service/keeper/events.h"
#include "service/keeper/frontends.h"
#include "service/keeper/start.h"
#include "service/keeper/state.h"
#include "service/keeper/token_seal.h"
#include "service/keeper/tokens.h"

#define EVENTS_MAX     128
#define FINISH_WAIT_MS 20

/* Where giving way took so long, not again for a while. */
#define GIVE_WAY_MAX_US  1000u
#define GIVE_WAY_REST_US 1000000u

/* epoll's data pointer of what is no frontend: addresses that only serve as names. */
static int control_tag;
static int door_tags[OXV_DOOR_END];

static bool
watch(struct oxv_keeper *k, int fd, void *tag)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = tag };

    return epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool
watch_doors(struct oxv_keeper *k)
{
    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        if (!watch(k, k->door_fds[door], &door_tags[door])) {
            return false;
        }
    }
    k->accepting = true;
    return true;
}

static void
unwatch_doors(struct oxv_keeper *k)
{
    for (enum oxv_door door = OXV_DOOR_SIGN; k->accepting && door < OXV_DOOR_END; door++) {
        if (epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, k->door_fds[door], NULL) != 0) {
            oxv_bug("a door cannot be unwatched");
        }
    }
    k->accepting = false;
}

/* One message of the supervisor. False where the keeper must end. */
static bool
take_control(struct oxv_keeper *k, const struct oxv_message *message, int *fds, size_t fd_count)
{
    struct oxv_msg_frontend which;

    switch (message->type) {
    case OXV_MSG_PUBLISHED:
        k->tokens->confirmed++;
        if (k->is_published) {
            return true; /* once more, with other tokens */
        }
        if (!watch_doors(k)) {
            return false;
        }
        k->is_published = true;
        oxv_state_tell(k, OXV_MSG_READY);
        return true;
    case OXV_MSG_FRONTEND:
    case OXV_MSG_FRONTEND_FAILED:
        if (oxv_fields_decode(message->payload, &oxv_msg_frontend_shape, &which, NULL) != OXV_OK) {
            return false;
        }
        oxv_frontend_started(k, &which, fd_count > 0 ? oxv_fd_take(&fds[0]) : -1);
        return true;
    case OXV_MSG_HELPER:
    case OXV_MSG_HELPER_FAILED:
        return oxv_tokens_take_control(k, message, fds, fd_count);
    case OXV_MSG_STOP:
        k->stopping = true;
        unwatch_doors(k);
        return true;
    default:
        return false;
    }
}

static int
timeout_ms(const struct oxv_keeper *k)
{
    uint64_t next = oxv_events_next_us(k);
    uint64_t audit = oxv_audit_next_us(k);
    uint64_t now = oxv_clock_boot_us();

    uint64_t tokens = oxv_tokens_next_us(k);

    next = audit < next ? audit : next;
    next = tokens < next ? tokens : next;
    if (k->doors_rest_until_us != 0 && k->doors_rest_until_us < next) {
        next = k->doors_rest_until_us;
    }
    for (const struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        if (oxv_frontend_has_work(f)) {
            return 0;
        }
        if (f->full_since_us != 0 && f->full_since_us + OXV_CHANNEL_FULL_MAX_US < next) {
            next = f->full_since_us + OXV_CHANNEL_FULL_MAX_US + 1;
        }
    }
    if (next <= now) {
        return 0;
    }
    /* A second at most: the clocks are compared, and an import that went silent is given up. */
    uint64_t wait_ms = (next - now) / 1000 + 1;

    return wait_ms < 1000 ? (int)wait_ms : 1000;
}

/* One round: of each channel up to its share. Returns how many requests of this turn are taken. */
static size_t
work_on_channels(struct oxv_keeper *k, size_t taken)
{
    for (struct oxv_frontend *f = k->frontends; f != NULL && !k->has_to_end; f = f->next) {
        if (taken + OXV_TURN_CHANNEL_REQUESTS_MAX > OXV_TURN_REQUESTS_MAX ||
            !oxv_answers_have_room(k)) {
            break;
        }
        if (oxv_frontend_has_work(f)) {
            taken += oxv_frontend_work(k, f);
        }
    }
    return taken;
}

/* The first of the list goes last next time, so that nobody is always behind the turn's limit. */
static void
rotate_frontends(struct oxv_keeper *k)
{
    struct oxv_frontend *first = k->frontends;
    struct oxv_frontend **link = &k->frontends;

    if (first == NULL || first->next == NULL) {
        return;
    }
    k->frontends = first->next;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    first->next = NULL;
    *link = first;
}

static void
end_turn(struct oxv_keeper *k)
{
    oxv_events_tick(k);
    oxv_import_tick(k);
    oxv_admin_backup_tick(k);
    oxv_answers_release(k);
    oxv_state_checkpoint_tick(k);
    oxv_audit_tick(k);
    oxv_frontends_flush(k);
    rotate_frontends(k);
}

/* Out of descriptors: unwatched for a while, else epoll would tell of the same peers at once. */
static bool
rest_doors(struct oxv_keeper *k)
{
    if (k->doors_rest_until_us == 0 || k->stopping) {
        return true;
    }
    if (k->accepting) {
        unwatch_doors(k);
        return true;
    }
    if (k->now_boot_us < k->doors_rest_until_us) {
        return true;
    }
    k->doors_rest_until_us = 0;
    return watch_doors(k);
}

/* False where the keeper must end. */
static bool
take_events(struct oxv_keeper *k, int wait_ms, bool doors[OXV_DOOR_END])
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(k->epoll_fd, events, EVENTS_MAX, wait_ms);

    if (n < 0 && errno != EINTR) {
        return false;
    }
    oxv_state_read_clocks(k);
    for (int i = 0; i < n; i++) {
        void *tag = events[i].data.ptr;

        if (tag == &control_tag) {
            if (!oxv_state_read_control(k, take_control)) {
                return false;
            }
        } else if (tag >= (void *)&door_tags[0] && tag < (void *)&door_tags[OXV_DOOR_END]) {
            doors[(int *)tag - door_tags] = true;
        } else if (oxv_helper_event(k, tag, events[i].events)) {
            continue;
        } else if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            ((struct oxv_frontend *)tag)->readable = true;
        }
    }
    return true;
}

/*
 * Lets who shares our core go first. Where nobody does it costs a system call. Where someone takes
 * the core for long we do without for a while: false.
 */
static bool
give_way(struct oxv_keeper *k)
{
    uint64_t before_us = oxv_clock_boot_us();

    if (before_us < k->gives_way_from_us) {
        return false;
    }
    (void)sched_yield(); /* cannot fail on Linux */
    uint64_t after_us = oxv_clock_boot_us();

    if (after_us - before_us > GIVE_WAY_MAX_US) {
        k->gives_way_from_us = after_us + GIVE_WAY_REST_US;
    }
    return true;
}

/*
 * Takes requests as long as there are any, for ONE commit: a commit takes the disk as long as some
 * twenty requests take us. Frontends that are just writing to us get the core in between, else the
 * peers fall into groups that alternate, and each commit is for a few. False where the keeper must
 * end.
 */
static bool
take_requests(struct oxv_keeper *k, bool doors[OXV_DOOR_END])
{
    size_t taken = work_on_channels(k, 0);
    size_t before = 0;

    while (taken > before && taken + OXV_TURN_CHANNEL_REQUESTS_MAX <= OXV_TURN_REQUESTS_MAX &&
           !k->has_to_end && give_way(k)) {
        before = taken;
        if (!take_events(k, 0, doors)) {
            return false;
        }
        taken = work_on_channels(k, taken);
    }
    return !k->has_to_end;
}

static bool
turn(struct oxv_keeper *k)
{
    bool doors[OXV_DOOR_END] = { false };

    if (!take_events(k, timeout_ms(k), doors) || !take_requests(k, doors)) {
        return false;
    }
    oxv_tokens_work(k);
    oxv_token_seal_work(k);
    if (k->has_to_end) {
        return false;
    }
    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        if (doors[door] && k->accepting && k->doors_rest_until_us == 0) {
            oxv_door_accept(k, door); /* level-triggered: what is left comes again */
        }
    }
    if (!rest_doors(k)) {
        return false;
    }
    end_turn(k);
    /* Full means that the supervisor hangs: it is not waited for. */
    return oxv_channel_flush(k->control) != OXV_E_IO;
}

static void
log_start_or_stop(struct oxv_keeper *k, enum oxv_entry_type type)
{
    struct oxv_entry entry = { .type = type,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .pid = (uint64_t)getpid(),
                               .happened_us = k->now_us };

    (void)oxv_event(k, &entry, NULL); /* a broken log is reported where it is committed */
}

/* Is a request waiting that was sent before STOP? */
static bool
has_work_in_hand(const struct oxv_keeper *k)
{
    for (const struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        if (oxv_frontend_has_work(f) ||
            (f->channel != NULL && oxv_channel_is_waiting(f->channel))) {
            return true;
        }
    }
    return false;
}

/* After STOP: answers what is in hand, for two seconds at most. */
static void
finish_work(struct oxv_keeper *k)
{
    uint64_t until_us = oxv_clock_boot_us() + 2000000u;

    for (struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        f->readable = true; /* look once more at each */
    }
    while ((has_work_in_hand(k) || oxv_tokens_are_busy(k)) && !k->has_to_end &&
           oxv_clock_boot_us() < until_us) {
        bool doors[OXV_DOOR_END] = { false };

        /* What tokens answer comes by epoll; without them nothing is waited for. */
        if (oxv_tokens_are_busy(k) && !take_events(k, FINISH_WAIT_MS, doors)) {
            break;
        }
        oxv_state_read_clocks(k);
        oxv_tokens_work(k);
        (void)work_on_channels(k, 0);
        if (!k->has_to_end) {
            end_turn(k);
        }
    }
}

static int
refuse(struct oxv_keeper *k, const struct oxv_err *err)
{
    struct oxv_msg_refuse message = { .exit_code = 1, .text = oxv_view_text(err->text) };
    struct pollfd writable = { .fd = oxv_channel_fd(k->control), .events = POLLOUT };

    if (err->status == OXV_E_LOCKED) {
        message.exit_code = OXV_EXIT_LOCKED;
    } else if (err->status == OXV_E_FORGED) {
        message.exit_code = OXV_EXIT_FORGED;
    } else if (err->status == OXV_E_TOKEN) {
        message.exit_code = OXV_EXIT_TOKEN;
    }
    if (!oxv_is_printable_utf8(message.text)) {
        message.text = oxv_view_text("the vault cannot be opened");
    }
    if (oxv_channel_put_fields(k->control, OXV_MSG_REFUSE, 0, &oxv_msg_refuse_shape, &message) !=
            OXV_OK ||
        (oxv_channel_flush(k->control) == OXV_E_BUSY && poll(&writable, 1, 1000) == 1 &&
         oxv_channel_flush(k->control) != OXV_OK)) {
        (void)fprintf(stderr, "oxvault-keeper: %s\n", err->text);
    }
    return (int)message.exit_code;
}

int
oxv_keeper_run(struct oxv_keeper *k)
{
    struct oxv_err err = { 0 };

    if (oxv_keeper_start(k, &err) != OXV_OK) {
        oxv_state_lock(k);
        return k->stopping ? 0 : refuse(k, &err);
    }
    if (!watch(k, oxv_channel_fd(k->control), &control_tag)) {
        (void)oxv_fail_errno(&err, "epoll");
        return refuse(k, &err);
    }
    log_start_or_stop(k, OXV_ENTRY_SERVICE_START);
    end_turn(k);
    bool alive = oxv_channel_flush(k->control) == OXV_OK;

    while (alive && !k->stopping) {
        alive = turn(k);
    }
    if (k->stopping && !k->has_to_end) {
        finish_work(k);
    }
    if (k->stopping && !k->has_to_end) {
        oxv_tokens_lock(k); /* what is in a token has its entry and its answer before the end */
        end_turn(k);
    }
    if (k->stopping && !k->has_to_end) {
        log_start_or_stop(k, OXV_ENTRY_SERVICE_STOP);
        end_turn(k);
    }
    if (k->has_to_end) { /* what waits in the group belongs to the change in doubt */
        oxv_log_freep(&k->log);
    }
    oxv_state_lock(k);
    return k->has_to_end || k->has_to_stop_answering || !k->stopping ? 1 : 0;
}
