#include "service/frontend/calls.h"

#include <sys/epoll.h>

#include "base/io.h"
#include "service/frontend/batch.h"
#include "service/frontend/peer.h"
#include "service/frontend/problem.h"
#include "service/frontend/reply.h"
#include "service/frontend/stream.h"

#define SLOT_BITS 8u
/* Closing a read of the log has no answer, and so no credit of its own: leave room for it. */
#define AUDIT_CREDITS (OXV_WIRE_CREDITS / 2)

_Static_assert(OXV_WIRE_CREDITS <= 1u << SLOT_BITS, "an id must hold its slot");

void
oxv_call_queue(struct oxv_peer *p)
{
    if (!p->is_ready) {
        p->is_ready = true;
        TAILQ_INSERT_TAIL(&p->frontend->ready, p, ready);
    }
}

bool
oxv_call_ask(struct oxv_peer *p, uint8_t question, const struct oxv_shape *shape,
             const void *fields)
{
    struct oxv_writer w = oxv_writer(p->frontend->chunk, OXV_WIRE_PAYLOAD_MAX_BYTES);
    struct oxv_view payload;

    oxv_fields_encode(&w, shape, fields);
    if (oxv_writer_finish(&w, &payload) != OXV_OK || !oxv_buffer_append(&p->payload, payload)) {
        return false;
    }
    p->question = question;
    oxv_call_queue(p);
    return true;
}

struct oxv_call *
oxv_call_open(struct oxv_frontend *f, struct oxv_peer *p, uint8_t question)
{
    size_t credits = f->door == OXV_DOOR_AUDIT ? AUDIT_CREDITS : OXV_WIRE_CREDITS;

    if (f->open_calls >= credits) {
        return NULL;
    }
    while (f->calls[f->next_call].id != 0) {
        f->next_call = (f->next_call + 1) % OXV_WIRE_CREDITS;
    }
    struct oxv_call *call = &f->calls[f->next_call];

    *call = (struct oxv_call){ .id = ++f->call_serial << SLOT_BITS | f->next_call,
                               .question = question,
                               .peer = p };
    f->next_call = (f->next_call + 1) % OXV_WIRE_CREDITS;
    f->open_calls++;
    if (p != NULL) {
        p->open_calls++;
    }
    return call;
}

void
oxv_call_free(struct oxv_frontend *f, struct oxv_call *call)
{
    if (call->peer != NULL) {
        call->peer->open_calls--;
    }
    *call = (struct oxv_call){ 0 };
    f->open_calls--;
}

void
oxv_call_close_read(struct oxv_frontend *f, uint64_t read)
{
    if (f->read_untold_count == OXV_WIRE_CREDITS) {
        oxv_bug("more reads of the log than there can be");
    }
    f->reads_untold[f->read_untold_count++] = read;
}

/* What the keeper is told without being asked. False where the channel takes no more. */
static bool
tell_ends(struct oxv_frontend *f)
{
    while (f->closed_untold > 0) {
        if (oxv_channel_put(f->channel, OXV_MSG_PEER_CLOSED, 0, oxv_view(NULL, 0)) != OXV_OK) {
            return false;
        }
        f->closed_untold--;
    }
    while (f->read_untold_count > 0) {
        struct oxv_msg_log_segment over = { .read = f->reads_untold[f->read_untold_count - 1] };

        if (oxv_channel_put_fields(f->channel, OXV_MSG_LOG_CLOSE, 0, &oxv_msg_log_segment_shape,
                                   &over) != OXV_OK) {
            return false;
        }
        f->read_untold_count--;
    }
    return true;
}

/* One kept question of a peer. */
static bool
send_question(struct oxv_peer *p)
{
    struct oxv_frontend *f = p->frontend;
    struct oxv_call *call = oxv_call_open(f, p, p->question);

    if (call == NULL) {
        return false;
    }
    if (oxv_channel_put(f->channel, p->question, call->id, oxv_buffer_view(&p->payload)) !=
        OXV_OK) {
        oxv_call_free(f, call);
        return false;
    }
    p->question = 0;
    oxv_buffer_consume(&p->payload, oxv_buffer_len(&p->payload));
    return true;
}

/* Takes turns: a peer with a batch goes to the end of the queue after each question. */
static bool
send_first(struct oxv_frontend *f)
{
    struct oxv_peer *p = TAILQ_FIRST(&f->ready);
    bool has_more = p->batch != NULL;

    if (p->question != 0) {
        if (!send_question(p)) {
            return false;
        }
    } else if (has_more) {
        enum oxv_batch_step step = oxv_batch_send(p);

        if (step == OXV_BATCH_BLOCKED) {
            return false;
        }
        has_more = step == OXV_BATCH_SENT;
    }
    if (p->state == OXV_PEER_DEAD) {
        return true; /* has left the queue */
    }
    TAILQ_REMOVE(&f->ready, p, ready);
    p->is_ready = false;
    if (has_more) {
        oxv_call_queue(p);
    }
    return true;
}

static void
watch_channel(struct oxv_frontend *f, bool blocked)
{
    struct epoll_event event = { .events = EPOLLIN | (blocked ? (uint32_t)EPOLLOUT : 0),
                                 .data.ptr = NULL };

    if (f->channel_blocked == blocked) {
        return;
    }
    f->channel_blocked = blocked;
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, oxv_channel_fd(f->channel), &event) != 0) {
        f->is_keeper_gone = true;
    }
}

void
oxv_calls_pump(struct oxv_frontend *f)
{
    bool more = true;

    while (more) {
        bool put = tell_ends(f);

        while (put && TAILQ_FIRST(&f->ready) != NULL) {
            put = send_first(f);
        }
        bool was_waiting = oxv_channel_is_waiting(f->channel);
        enum oxv_status st = oxv_channel_flush(f->channel);

        if (st != OXV_OK && st != OXV_E_BUSY) {
            f->is_keeper_gone = true;
        }
        watch_channel(f, st == OXV_E_BUSY);
        /* Again only where the queue was full and is not any more. */
        more = !put && was_waiting && st == OXV_OK;
    }
}

void
oxv_calls_forget(struct oxv_peer *p)
{
    struct oxv_frontend *f = p->frontend;

    for (size_t i = 0; p->open_calls > 0 && i < OXV_WIRE_CREDITS; i++) {
        if (f->calls[i].peer == p) {
            f->calls[i].peer = NULL;
            p->open_calls--;
        }
    }
    if (p->is_ready) {
        TAILQ_REMOVE(&f->ready, p, ready);
        p->is_ready = false;
    }
}

static bool
adopt_peer(struct oxv_frontend *f, const struct oxv_message *message, int *fd)
{
    struct oxv_msg_peer peer;

    if (*fd < 0 ||
        oxv_fields_decode(message->payload, &oxv_msg_peer_shape, &peer, NULL) != OXV_OK) {
        return false;
    }
    enum oxv_status st = oxv_peer_adopt(f, oxv_fd_take(fd), &peer);

    if (st != OXV_OK && st != OXV_E_FORMAT) {
        f->closed_untold++; /* it never became one of ours */
    }
    return st != OXV_E_FORMAT;
}

static bool
answer_batch_item(struct oxv_peer *p, size_t item, const struct oxv_message *message)
{
    struct oxv_view json;
    struct oxv_reply ignored;
    bool good = message->type == OXV_MSG_DOC
                    ? oxv_reply_render_doc(p->frontend, message->payload, &json)
                    : oxv_reply_render_problem(p->frontend, message->payload, &json, &ignored);

    if (good) {
        oxv_batch_answer(p, item, json);
    }
    return good;
}

static bool
answer(struct oxv_peer *p, const struct oxv_call *call, const struct oxv_message *message)
{
    if (message->type != OXV_MSG_DOC && message->type != OXV_MSG_PROBLEM) {
        return false;
    }
    if (p == NULL) {
        return true;
    }
    if (p->batch != NULL) {
        return answer_batch_item(p, call->item, message);
    }
    return message->type == OXV_MSG_DOC ? oxv_reply_doc(p, message->payload)
                                        : oxv_reply_keeper_problem(p, message->payload);
}

bool
oxv_calls_take(struct oxv_frontend *f, const struct oxv_message *message, int *fd)
{
    if (message->type == OXV_MSG_PEER) {
        return adopt_peer(f, message, fd);
    }
    struct oxv_call *open = &f->calls[message->id % OXV_WIRE_CREDITS];
    struct oxv_call call = *open;

    if (message->id == 0 || call.id != message->id ||
        (*fd >= 0 && message->type != OXV_MSG_LOG_SEGMENT_FD)) {
        return false;
    }
    oxv_call_free(f, open);
    if (call.question >= OXV_MSG_LOG_READ && call.question <= OXV_MSG_LOG_WAIT) {
        return oxv_stream_answer(f, &call, message, fd);
    }
    return answer(call.peer, &call, message);
}

void
oxv_calls_fail_all(struct oxv_frontend *f)
{
    struct oxv_peer *p = TAILQ_FIRST(&f->peers);

    while (p != NULL) {
        struct oxv_peer *next = TAILQ_NEXT(p, all);

        if (p->state == OXV_PEER_ASKED) {
            p->request.keeps_alive = false;
            oxv_reply_problem(p, OXV_CODE_BUSY,
                              "the signing service restarted; the request may be in the log: "
                              "send it again");
            oxv_peer_settle(p);
        } else if (p->state == OXV_PEER_STREAM) {
            oxv_peer_end(p);
        }
        p = next;
    }
}
