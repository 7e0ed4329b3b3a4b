#include "service/frontend/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/io.h"
#include "service/frontend/calls.h"
#include "service/frontend/peer.h"
#include "service/frontend/stream.h"

#define EVENTS_MAX         256
#define QUEUE_MAX          8u /* datagrams to the keeper that wait in this process */
#define DATAGRAMS_PER_TURN 8u
#define NEVER              UINT64_MAX

static void
update_clock(struct oxv_frontend *f)
{
    f->now_ms = oxv_clock_boot_us() / 1000u;
}

enum oxv_status
oxv_frontend_new(enum oxv_door door, int channel_fd, struct oxv_frontend **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = channel_fd;
    OXV_AUTO(oxv_frontend_freep) struct oxv_frontend *f = calloc(1, sizeof *f);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

    if (f == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory");
    }
    f->door = door;
    f->next_check_ms = NEVER;
    TAILQ_INIT(&f->peers);
    TAILQ_INIT(&f->ready);
    TAILQ_INIT(&f->dirty);
    TAILQ_INIT(&f->dead);
    f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (f->epoll_fd < 0) {
        return oxv_fail_errno(err, "epoll");
    }
    enum oxv_status st = oxv_channel_new(fd, QUEUE_MAX, &f->channel, err);

    if (st != OXV_OK) {
        return st;
    }
    (void)oxv_fd_take(&fd); /* the channel's now */
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, oxv_channel_fd(f->channel), &event) != 0) {
        return oxv_fail_errno(err, "epoll");
    }
    update_clock(f);
    *out = oxv_frontend_take(&f);
    return OXV_OK;
}

static void
end_all(struct oxv_frontend *f)
{
    struct oxv_peer *p;

    while ((p = TAILQ_FIRST(&f->peers)) != NULL) {
        oxv_peer_end(p);
    }
    oxv_peers_bury(f);
}

void
oxv_frontend_free(struct oxv_frontend *f)
{
    if (f == NULL) {
        return;
    }
    end_all(f);
    oxv_channel_free(f->channel);
    oxv_closep(&f->epoll_fd);
    free(f);
}

static enum oxv_status
take_messages(struct oxv_frontend *f, struct oxv_view datagram, int *fd)
{
    struct oxv_reader r;
    struct oxv_message message;
    enum oxv_status st;

    if (!oxv_wire_begin(datagram, &r)) {
        return OXV_E_FORMAT;
    }
    while ((st = oxv_wire_next(&r, &message)) == OXV_OK) {
        if (!oxv_calls_take(f, &message, fd)) {
            return OXV_E_FORMAT;
        }
    }
    return st == OXV_E_NOT_FOUND ? OXV_OK : st;
}

/*
 * One datagram. Its descriptors are taken by its one message, or closed. *more where another one
 * is likely to be there: a long one, or one of several new peers.
 */
static enum oxv_status
take_datagram(struct oxv_frontend *f, bool *more)
{
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;
    enum oxv_status st = oxv_channel_receive(f->channel, &datagram, fds, &fd_count);

    if (st != OXV_OK) {
        return st;
    }
    OXV_AUTO(oxv_closep) int fd = fd_count == 1 ? fds[0] : -1;

    *more = fd_count > 0 || datagram.len >= OXV_WIRE_MAX_BYTES / 4;
    if (fd_count > 1) {
        for (size_t i = 0; i < fd_count; i++) {
            oxv_closep(&fds[i]);
        }
        return OXV_E_FORMAT;
    }
    return take_messages(f, datagram, &fd);
}

static enum oxv_status
receive(struct oxv_frontend *f)
{
    bool more = true;

    for (size_t i = 0; more && i < DATAGRAMS_PER_TURN; i++) {
        enum oxv_status st = take_datagram(f, &more);

        if (st == OXV_E_BUSY) {
            break;
        }
        if (st != OXV_OK) {
            return st;
        }
    }
    return OXV_OK;
}

static void
check_deadlines(struct oxv_frontend *f)
{
    struct oxv_peer *p = TAILQ_FIRST(&f->peers);

    if (f->now_ms < f->next_check_ms) {
        return;
    }
    f->next_check_ms = NEVER;
    while (p != NULL) {
        struct oxv_peer *next = TAILQ_NEXT(p, all);

        if (p->deadline_ms <= f->now_ms) {
            p->deadline_ms = NEVER;
            oxv_peer_on_deadline(p);
        } else if (p->deadline_ms < f->next_check_ms) {
            f->next_check_ms = p->deadline_ms;
        }
        p = next;
    }
}

static void
settle_all(struct oxv_frontend *f)
{
    struct oxv_peer *p;

    while ((p = TAILQ_FIRST(&f->dirty)) != NULL) {
        oxv_peer_settle(p);
        if (p->state != OXV_PEER_DEAD) {
            TAILQ_REMOVE(&f->dirty, p, dirty);
            p->is_dirty = false;
        }
    }
}

static int
timeout_ms(const struct oxv_frontend *f, bool may_wait)
{
    if (!may_wait || f->has_work) {
        return 0;
    }
    if (f->next_check_ms == NEVER) {
        return -1;
    }
    uint64_t wait = f->next_check_ms > f->now_ms ? f->next_check_ms - f->now_ms : 0;

    return wait < INT32_MAX ? (int)wait + 1 : INT32_MAX;
}

static enum oxv_status
work_on(struct oxv_frontend *f, const struct epoll_event *events, int count)
{
    enum oxv_status st = OXV_OK;

    for (int i = 0; i < count; i++) {
        struct oxv_peer *p = events[i].data.ptr;

        if (p != NULL) {
            oxv_peer_on_events(p, events[i].events);
        } else if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            st = receive(f);
        }
    }
    return st;
}

/* The end of a turn: everything that came of it goes out together. */
static void
finish_turn(struct oxv_frontend *f)
{
    check_deadlines(f);
    f->has_work = oxv_streams_run(f);
    do { /* again for batches that were answered without the keeper */
        settle_all(f);
        oxv_calls_pump(f);
    } while (!TAILQ_EMPTY(&f->dirty));
    oxv_peers_bury(f);
}

enum oxv_status
oxv_frontend_turn(struct oxv_frontend *f, bool may_wait, struct oxv_err *err)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(f->epoll_fd, events, EVENTS_MAX, timeout_ms(f, may_wait));

    if (count < 0 && errno != EINTR) {
        return oxv_fail_errno(err, "epoll");
    }
    update_clock(f);
    enum oxv_status st = work_on(f, events, count);

    if (st == OXV_OK) {
        finish_turn(f);
        st = f->is_keeper_gone ? OXV_E_NOT_FOUND : OXV_OK;
    }
    return st == OXV_E_FORMAT ? oxv_fail(err, st, "the keeper sent what it must not") : st;
}

/*
 * What the keeper sent before its end: a reset is told ahead of it, and a send that fails, or an
 * end that is met in the middle of a turn, says nothing about it.
 */
static void
take_rest(struct oxv_frontend *f)
{
    bool more;

    for (unsigned failures = 0; failures < 2;) {
        enum oxv_status st = take_datagram(f, &more);

        failures += st == OXV_OK ? 0 : st == OXV_E_NOT_FOUND ? 1 : 2;
    }
    finish_turn(f);
}

enum oxv_status
oxv_frontend_run(struct oxv_frontend *f, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    while (st == OXV_OK) {
        st = oxv_frontend_turn(f, true, err);
    }
    if (st != OXV_E_NOT_FOUND) {
        return st;
    }
    take_rest(f);
    oxv_calls_fail_all(f);
    end_all(f);
    return OXV_OK;
}
