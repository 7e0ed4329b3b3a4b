#include "service/frontend/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/io.h"
#include "service/frontend/batch.h"
#include "service/frontend/calls.h"
#include "service/frontend/problem.h"
#include "service/frontend/reply.h"
#include "service/frontend/request.h"
#include "service/frontend/stream.h"
#include "service/wire/doc.h"

#define READ_BYTES 4096u
#define KEEP_BYTES 16384u /* of a buffer, between requests */
#define NEVER      UINT64_MAX

void
oxv_peer_set_deadline(struct oxv_peer *p, uint64_t in_ms)
{
    p->deadline_ms = in_ms == NEVER ? NEVER : p->frontend->now_ms + in_ms;
    if (p->deadline_ms < p->frontend->next_check_ms) {
        p->frontend->next_check_ms = p->deadline_ms;
    }
}

/* Refused peers get their one answer from here. */
static bool
keep_refusal(struct oxv_peer *p, const struct oxv_msg_peer *message)
{
    struct oxv_frontend *f = p->frontend;
    const struct oxv_problem *problem = oxv_problem_find(message->refuse_code);
    struct oxv_writer w = oxv_writer(f->scratch, sizeof f->scratch);
    struct oxv_view json;

    if (message->refuse_code.len == 0) {
        return true;
    }
    if (problem == NULL) {
        return false;
    }
    oxv_problem_write(&w, problem, message->refuse_detail);
    p->refusal_status = problem->status;
    if (oxv_writer_finish(&w, &json) != OXV_OK || !oxv_buffer_append(&p->refusal, json)) {
        return false;
    }
    if (message->health.len == 0) {
        return true;
    }
    return oxv_reply_render_doc(f, message->health, &json) && oxv_buffer_append(&p->health, json);
}

static void
peer_free(struct oxv_peer *p)
{
    oxv_closep(&p->fd);
    oxv_buffer_done(&p->in);
    oxv_buffer_done(&p->out);
    oxv_buffer_done(&p->unchunked);
    oxv_buffer_done(&p->payload);
    oxv_buffer_done(&p->refusal);
    oxv_buffer_done(&p->health);
    free(p);
}

enum oxv_status
oxv_peer_adopt(struct oxv_frontend *f, int fd, const struct oxv_msg_peer *message)
{
    struct oxv_peer *p = calloc(1, sizeof *p);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };

    if (p == NULL) {
        oxv_closep(&fd);
        return OXV_E_MEMORY;
    }
    p->fd = fd;
    p->frontend = f;
    p->interest = EPOLLIN;
    if (!keep_refusal(p, message)) {
        peer_free(p);
        return OXV_E_FORMAT;
    }
    if (f->peer_count == OXV_FRONTEND_PEERS_MAX ||
        epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        peer_free(p);
        return OXV_E_LIMIT;
    }
    TAILQ_INSERT_TAIL(&f->peers, p, all);
    f->peer_count++;
    oxv_peer_set_deadline(p, oxv_peer_is_refused(p) ? OXV_REFUSED_TIMEOUT_MS : OXV_IDLE_TIMEOUT_MS);
    oxv_peer_on_events(p, EPOLLIN); /* most have sent their request already */
    return OXV_OK;
}

void
oxv_peer_touch(struct oxv_peer *p)
{
    if (!p->is_dirty) {
        p->is_dirty = true;
        TAILQ_INSERT_TAIL(&p->frontend->dirty, p, dirty);
    }
}

void
oxv_peer_end(struct oxv_peer *p)
{
    struct oxv_frontend *f = p->frontend;

    if (p->state == OXV_PEER_DEAD) {
        return;
    }
    p->state = OXV_PEER_DEAD;
    oxv_calls_forget(p);
    oxv_batch_free(p->batch);
    p->batch = NULL;
    oxv_batch_leave(p);
    oxv_request_give_room(p);
    oxv_stream_free(f, p->stream);
    p->stream = NULL;
    /* The keeper may not have closed its copy yet, which would keep the socket in the set. */
    (void)epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL); /* fails only for what is not in it */
    oxv_closep(&p->fd);
    if (p->is_dirty) {
        TAILQ_REMOVE(&f->dirty, p, dirty);
        p->is_dirty = false;
    }
    f->closed_untold++;
    f->peer_count--;
    TAILQ_REMOVE(&f->peers, p, all);
    TAILQ_INSERT_TAIL(&f->dead, p, all);
}

void
oxv_peers_bury(struct oxv_frontend *f)
{
    struct oxv_peer *p;

    while ((p = TAILQ_FIRST(&f->dead)) != NULL) {
        TAILQ_REMOVE(&f->dead, p, all);
        peer_free(p);
    }
}

/* For a peer whose end was decided: its bytes are read so that it can read ours. */
static void
drop_input(struct oxv_peer *p)
{
    struct oxv_frontend *f = p->frontend;
    ssize_t n = recv(p->fd, f->scratch, sizeof f->scratch, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        oxv_peer_end(p);
        return;
    }
    p->lingered_bytes += n > 0 ? (size_t)n : 0;
    if (p->lingered_bytes > OXV_LINGER_MAX_BYTES) {
        oxv_peer_end(p);
    }
}

/* How much to read at once: little at first, so that an idle peer has a small buffer. */
static size_t
read_size(const struct oxv_peer *p)
{
    return p->state == OXV_PEER_BODY ? 4 * READ_BYTES : READ_BYTES;
}

static void
read_input(struct oxv_peer *p)
{
    size_t size = read_size(p);
    uint8_t *room = oxv_buffer_reserve(&p->in, size);

    if (room == NULL) {
        oxv_peer_end(p);
        return;
    }
    ssize_t n = recv(p->fd, room, size, MSG_DONTWAIT);

    if (n > 0) {
        oxv_buffer_grow(&p->in, (size_t)n);
    } else if (n == 0) {
        p->at_eof = true;
    } else if (errno == EAGAIN || errno == EINTR) {
        return;
    } else {
        oxv_peer_end(p);
        return;
    }
    oxv_peer_touch(p);
}

void
oxv_peer_on_events(struct oxv_peer *p, uint32_t events)
{
    if (p->state == OXV_PEER_DEAD) {
        return;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        oxv_peer_end(p); /* there is nobody to answer */
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        p->blocked = false;
        oxv_peer_touch(p);
    }
    if ((events & EPOLLIN) == 0) {
        return;
    }
    if (p->state == OXV_PEER_LINGER) {
        drop_input(p);
    } else {
        read_input(p);
    }
}

void
oxv_peer_on_deadline(struct oxv_peer *p)
{
    bool is_slow = (p->state == OXV_PEER_HEAD && p->started) || p->state == OXV_PEER_BODY;

    if (p->blocked || !is_slow) {
        oxv_peer_end(p);
        return;
    }
    p->request.is_early = true;
    if (oxv_peer_is_refused(p)) {
        oxv_reply_refusal(p);
        return;
    }
    oxv_reply_problem(p, OXV_CODE_BAD_REQUEST, "the request did not arrive within 60 seconds");
}

/* All is sent: what the peer may take time for now. */
static void
restart_clock(struct oxv_peer *p)
{
    if (p->state == OXV_PEER_ASKED || p->state == OXV_PEER_STREAM) {
        oxv_peer_set_deadline(p, NEVER);
    } else if (p->state == OXV_PEER_HEAD && !p->started) {
        oxv_peer_set_deadline(p, OXV_IDLE_TIMEOUT_MS);
    }
}

/* False where not all could be sent, or the peer is gone. */
static bool
flush(struct oxv_peer *p)
{
    struct oxv_view rest = oxv_buffer_view(&p->out);

    if (rest.len == 0) {
        return true;
    }
    if (p->blocked) {
        return false;
    }
    struct iovec iov = { .iov_base = p->out.data + p->out.start, .iov_len = rest.len };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n = sendmsg(p->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        oxv_peer_end(p);
        return false;
    }
    oxv_buffer_consume(&p->out, n > 0 ? (size_t)n : 0);
    if (n == (ssize_t)rest.len) {
        oxv_buffer_shrink(&p->out, KEEP_BYTES);
        oxv_batch_leave(p);
        restart_clock(p);
        return true;
    }
    p->blocked = true;
    oxv_peer_set_deadline(p, OXV_TAKE_TIMEOUT_MS);
    return false;
}

/* The last answer is out. */
static void
finish(struct oxv_peer *p)
{
    bool is_read = !p->request.is_early && oxv_buffer_len(&p->in) == 0;

    if (p->at_eof || is_read || shutdown(p->fd, SHUT_WR) != 0) {
        oxv_peer_end(p);
        return;
    }
    p->state = OXV_PEER_LINGER;
    oxv_buffer_done(&p->in);
    oxv_peer_set_deadline(p, OXV_LINGER_TIMEOUT_MS);
}

static bool
wants_input(const struct oxv_peer *p)
{
    if (p->state == OXV_PEER_LINGER) {
        return true;
    }
    if (p->at_eof || p->blocked || p->state == OXV_PEER_ENDING) {
        return false;
    }
    return p->state == OXV_PEER_BODY || oxv_buffer_len(&p->in) < OXV_HTTP_HEAD_MAX_BYTES;
}

static void
watch(struct oxv_peer *p)
{
    uint32_t wanted =
        (wants_input(p) ? (uint32_t)EPOLLIN : 0) | (p->blocked ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = { .events = wanted, .data.ptr = p };

    if (wanted == p->interest) {
        return;
    }
    if (epoll_ctl(p->frontend->epoll_fd, EPOLL_CTL_MOD, p->fd, &event) != 0) {
        oxv_peer_end(p);
        return;
    }
    p->interest = wanted;
}

/* What waits for nothing but its own output: the next step. False where there is none now. */
static bool
go_on(struct oxv_peer *p)
{
    switch (p->state) {
    case OXV_PEER_ENDING:
        finish(p);
        return false;
    case OXV_PEER_HEAD:
    case OXV_PEER_BODY:
        oxv_request_advance(p);
        return p->state != OXV_PEER_DEAD && oxv_buffer_len(&p->out) > 0;
    case OXV_PEER_ASKED:
    case OXV_PEER_STREAM:
    case OXV_PEER_LINGER:
    case OXV_PEER_DEAD:
        break;
    }
    return false;
}

void
oxv_peer_settle(struct oxv_peer *p)
{

    while (flush(p) && go_on(p)) {
    }
    if (p->state == OXV_PEER_DEAD) {
        return;
    }
    watch(p);
}
