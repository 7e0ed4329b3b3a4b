#include "service/keeper/helper.h"

#include <stdio.h>
#include <sys/epoll.h>

#include "base/hook.h"
#include "base/io.h"
#include "service/keeper/answers.h"
#include "service/keeper/tokens.h"

#define QUEUE_MAX_DATAGRAMS 256u
#define MESSAGES_MAX        128u       /* of one helper in one turn */
#define STUCK_US            120000000u /* a call that waits for others may take so much longer */

/* Addresses that only serve as names for epoll: an event may outlive the helper it was for. */
static char tags[OXV_HELPERS_MAX];

struct helper_call {
    uint8_t type;
    uint8_t answer;
    const struct oxv_shape *shape;
    uint64_t timeout_us;
};

static const struct helper_call calls[] = {
    { OXV_MSG_HELPER_OPEN, OXV_MSG_HELPER_TOKEN, &oxv_msg_helper_open_shape, OXV_HELPER_CALL_US },
    { OXV_MSG_HELPER_LOGIN, OXV_MSG_HELPER_TOKEN, &oxv_msg_helper_login_shape, OXV_HELPER_CALL_US },
    { OXV_MSG_HELPER_PAIR, OXV_MSG_HELPER_PUBLIC, &oxv_msg_helper_pair_shape, OXV_HELPER_SLOW_US },
    { OXV_MSG_HELPER_LOAD, OXV_MSG_HELPER_KEY, &oxv_msg_helper_load_shape, OXV_HELPER_CALL_US },
    { OXV_MSG_HELPER_SIGN, OXV_MSG_HELPER_MAC, &oxv_msg_helper_sign_shape, OXV_HELPER_SIGN_US },
    { OXV_MSG_HELPER_DROP, OXV_MSG_HELPER_DONE, &oxv_msg_helper_drop_shape, OXV_HELPER_SIGN_US },
    { OXV_MSG_HELPER_SEAL, OXV_MSG_HELPER_SEALED, &oxv_msg_helper_seal_shape, OXV_HELPER_SLOW_US },
    { OXV_MSG_HELPER_UNSEAL, OXV_MSG_HELPER_VALUE, &oxv_msg_helper_unseal_shape,
      OXV_HELPER_CALL_US },
};

/* init has nobody to answer to. */
static bool
has_room(const struct oxv_keeper *k)
{
    return k->answers == NULL || oxv_answers_have_room(k);
}

static const struct oxv_shape *
answer_shape(uint8_t type)
{
    switch (type) {
    case OXV_MSG_HELPER_TOKEN:
        return &oxv_msg_helper_token_shape;
    case OXV_MSG_HELPER_PUBLIC:
        return &oxv_msg_helper_public_shape;
    case OXV_MSG_HELPER_KEY:
        return &oxv_msg_helper_key_shape;
    case OXV_MSG_HELPER_MAC:
        return &oxv_msg_helper_mac_shape;
    case OXV_MSG_HELPER_DONE:
        return &oxv_msg_empty_shape;
    case OXV_MSG_HELPER_SEALED:
        return &oxv_msg_helper_sealed_shape;
    case OXV_MSG_HELPER_VALUE:
        return &oxv_msg_helper_value_shape;
    case OXV_MSG_HELPER_TROUBLE:
        return &oxv_msg_helper_trouble_shape;
    default:
        return NULL;
    }
}

static const struct helper_call *
find_call(uint8_t type)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i].type == type) {
            return &calls[i];
        }
    }
    return NULL;
}

static void *
tag_of(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        if (k->tokens->items[i] == h) {
            return &tags[i];
        }
    }
    oxv_bug("a helper that is in no place");
}

bool
oxv_helper_event(struct oxv_keeper *k, const void *tag, uint32_t events)
{
    const char *place = tag;

    if (place < &tags[0] || place >= &tags[OXV_HELPERS_MAX]) {
        return false;
    }
    struct oxv_helper *h = k->tokens->items[place - tags];

    if (h != NULL && (events & ~(uint32_t)EPOLLOUT) != 0) {
        h->process.readable = true;
    }
    return true;
}

bool
oxv_helper_start(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_msg_id wanted = { .id = ++k->next_serial };

    if (k->control == NULL || oxv_channel_put_fields(k->control, OXV_MSG_WANT_HELPER, 0,
                                                     &oxv_msg_id_shape, &wanted) != OXV_OK) {
        return false;
    }
    h->process.serial = wanted.id;
    h->process.started_us = oxv_clock_boot_us();
    h->process.is_hung = false;
    return true;
}

static struct oxv_helper *
by_serial(const struct oxv_keeper *k, uint64_t serial)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && serial != 0 && h->process.serial == serial) {
            return h;
        }
    }
    return NULL;
}

/* False, and nothing is kept, where that fails; takes the descriptor. */
static bool
open_channel(struct oxv_keeper *k, struct oxv_helper *h, int fd, struct oxv_err *err)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = tag_of(k, h) };
    OXV_AUTO(oxv_closep) int owned = fd;
    OXV_AUTO(oxv_channel_freep) struct oxv_channel *channel = NULL;

    if (oxv_channel_new(owned, QUEUE_MAX_DATAGRAMS, &channel, err) != OXV_OK) {
        return false;
    }
    (void)oxv_fd_take(&owned);
    if (k->epoll_fd >= 0 && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        (void)oxv_fail_errno(err, "a token helper's channel");
        return false;
    }
    h->process.channel = oxv_channel_take(&channel);
    return true;
}

void
oxv_helper_started(struct oxv_keeper *k, uint64_t serial, int channel_fd)
{
    OXV_AUTO(oxv_closep) int fd = channel_fd;
    struct oxv_helper *h = by_serial(k, serial);

    if (h == NULL || h->process.channel != NULL) {
        return; /* given up meanwhile: at the end of its channel it ends */
    }
    if (fd < 0 || !open_channel(k, h, oxv_fd_take(&fd), NULL)) {
        h->process.serial = 0;
        oxv_token_on_ended(k, h, "its helper could not be started");
        return;
    }
    oxv_token_on_started(k, h);
}

enum oxv_status
oxv_helper_attach(struct oxv_keeper *k, struct oxv_helper *h, int fd, struct oxv_err *err)
{
    if (!open_channel(k, h, fd, err)) {
        return OXV_E_IO;
    }
    oxv_token_on_started(k, h);
    return OXV_OK;
}

void
oxv_helper_break(struct oxv_helper *h, const char *why)
{
    if (h->process.broken == NULL) {
        h->process.broken = why;
    }
}

static void
finish_call(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_call *call,
            const struct oxv_call_result *result)
{
    oxv_call_fn done = call->done;
    void *ctx = call->ctx;

    *call = (struct oxv_call){ 0 };
    h->process.call_count--;
    h->process.answered_us = result->end == OXV_CALL_ANSWERED ? oxv_clock_boot_us() : 0;
    if (done != NULL) {
        done(k, h, ctx, result);
    }
}

static const char *
end_text(enum oxv_call_end end)
{
    switch (end) {
    case OXV_CALL_LATE:
        return "it did not answer in time";
    case OXV_CALL_LOST:
        return "its helper ended";
    case OXV_CALL_DROPPED:
        return "the vault is sealed";
    case OXV_CALL_ANSWERED:
        break;
    }
    return "";
}

/* One that comes too late, or that nobody may have any more, is a signature all the same. */
static void
wipe_mac(struct oxv_helper_process *p)
{
    if (p->has_mac && p->channel != NULL) {
        oxv_channel_wipe_received(p->channel);
    }
    p->has_mac = false;
}

void
oxv_helper_end(struct oxv_keeper *k, struct oxv_helper *h, enum oxv_call_end end)
{
    struct oxv_helper_process *p = &h->process;
    struct oxv_call_result result = { .end = end,
                                      .trouble = OXV_TOKEN_ABSENT,
                                      .text = oxv_view_text(end_text(end)) };
    struct oxv_msg_id lost = { .id = p->serial };

    wipe_mac(p);
    if (p->channel != NULL) {
        /* A process that is just being started may still hold it, and events of it would come. */
        (void)epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, oxv_channel_fd(p->channel), NULL);
        oxv_channel_freep(&p->channel);
    }
    if (p->serial != 0 && k->control != NULL &&
        oxv_channel_put_fields(k->control, OXV_MSG_HELPER_LOST, end == OXV_CALL_DROPPED,
                               &oxv_msg_id_shape, &lost) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: the supervisor does not read\n");
    }
    p->serial = 0;
    p->has_rest = false;
    p->readable = false;
    p->wants_write = false;
    p->broken = NULL;
    for (size_t i = 0; i < OXV_HELPER_CALLS_MAX && p->call_count > 0; i++) {
        if (p->calls[i].id != 0) {
            finish_call(k, h, &p->calls[i], &result);
        }
    }
}

static struct oxv_call *
free_call(struct oxv_helper_process *p)
{
    for (size_t i = 0; i < OXV_HELPER_CALLS_MAX; i++) {
        if (p->calls[i].id == 0) {
            return &p->calls[i];
        }
    }
    return NULL;
}

/* When it has been silent for too long, or does all but this. */
static uint64_t
due_us(const struct oxv_helper_process *p, const struct oxv_call *call)
{
    uint64_t silent_us =
        (call->sent_us > p->answered_us ? call->sent_us : p->answered_us) + call->timeout_us;
    uint64_t stuck_us = call->sent_us + call->timeout_us + STUCK_US;

    return silent_us < stuck_us ? silent_us : stuck_us;
}

/* A person at a PIN pad needs longer than a token does. */
static uint64_t
timeout_of(const struct helper_call *what, const void *fields)
{
    if (what->type == OXV_MSG_HELPER_LOGIN &&
        ((const struct oxv_msg_helper_login *)fields)->pin.len == 0) {
        return OXV_HELPER_PAD_US;
    }
    return what->type == OXV_MSG_HELPER_LOGIN  ? oxv_hook_number("token.login_us", what->timeout_us)
           : what->type == OXV_MSG_HELPER_OPEN ? oxv_hook_number("token.open_us", what->timeout_us)
                                               : what->timeout_us;
}

static bool
carries_secret(uint8_t type)
{
    return type == OXV_MSG_HELPER_LOGIN || type == OXV_MSG_HELPER_LOAD;
}

enum oxv_status
oxv_helper_call(struct oxv_keeper *k, struct oxv_helper *h, uint8_t type, const void *fields,
                struct oxv_call_then then)
{
    struct oxv_helper_process *p = &h->process;
    const struct helper_call *what = find_call(type);

    if (what == NULL) {
        oxv_bug("a message that is no call of a helper");
    }
    if (p->channel == NULL || p->broken != NULL || k->tokens->is_locking) {
        return OXV_E_TOKEN;
    }
    struct oxv_call *call = free_call(p);

    if (call == NULL) {
        return OXV_E_BUSY;
    }
    /* Its place is in the id, so that an answer finds it at once; no id comes twice. */
    uint64_t id = ++p->next_call * OXV_HELPER_CALLS_MAX + (uint64_t)(call - p->calls);
    enum oxv_status st = carries_secret(type)
                             ? oxv_channel_put_secret(p->channel, type, id, what->shape, fields)
                             : oxv_channel_put_fields(p->channel, type, id, what->shape, fields);

    if (st != OXV_OK) {
        return OXV_E_BUSY;
    }
    *call = (struct oxv_call){ .id = id,
                               .wanted = what->answer,
                               .timeout_us = timeout_of(what, fields),
                               .sent_us = oxv_clock_boot_us(),
                               .done = then.done,
                               .ctx = then.ctx };
    uint64_t due = due_us(p, call);

    p->check_us = p->call_count == 0 || due < p->check_us ? due : p->check_us;
    p->call_count++;
    return OXV_OK;
}

void
oxv_helper_forget(struct oxv_helper *h, const void *ctx)
{
    for (size_t i = 0; i < OXV_HELPER_CALLS_MAX; i++) {
        if (h->process.calls[i].id != 0 && h->process.calls[i].ctx == ctx) {
            h->process.calls[i].done = NULL;
            h->process.calls[i].ctx = NULL;
        }
    }
}

static void
answer_trouble(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_call *call,
               const struct oxv_msg_helper_trouble *trouble)
{
    struct oxv_call_result result = { .trouble = trouble->trouble,
                                      .ckr = trouble->ckr,
                                      .text = trouble->text,
                                      .refused_salt = trouble->refused_salt,
                                      .refused_hash = trouble->refused_hash,
                                      .login_failed = trouble->login_failed != 0 };

    if (result.trouble == OXV_TOKEN_FINE) {
        oxv_helper_break(h, "it told of a trouble that is none");
        return;
    }
    finish_call(k, h, call, &result);
}

static void
take_answer(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_message *message,
            const void *fields)
{
    struct oxv_call *call = &h->process.calls[message->id % OXV_HELPER_CALLS_MAX];

    if (message->id == 0 || call->id != message->id) {
        oxv_helper_break(h, "it answered what nobody had asked");
        return;
    }
    if (message->type == OXV_MSG_HELPER_TROUBLE) {
        answer_trouble(k, h, call, fields);
        return;
    }
    if (message->type != call->wanted) {
        oxv_helper_break(h, "it answered with another message");
        return;
    }
    struct oxv_call_result result = { .fields = fields };

    finish_call(k, h, call, &result);
}

static void
take_message(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_message *message)
{
    const struct oxv_shape *shape = answer_shape(message->type);
    _Alignas(max_align_t) uint8_t fields[512];

    if (shape == NULL || shape->struct_size > sizeof fields ||
        oxv_fields_decode(message->payload, shape, fields, NULL) != OXV_OK) {
        oxv_helper_break(h, "it sent a malformed message");
        return;
    }
    if (message->type == OXV_MSG_HELPER_TOKEN && message->id == 0) {
        oxv_token_on_told(k, h, (const struct oxv_msg_helper_token *)(const void *)fields);
    } else {
        take_answer(k, h, message, fields);
    }
}

/* Gets the next datagram where none is being worked on. */
static bool
next_datagram(struct oxv_helper_process *p)
{
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;

    if (p->has_rest) {
        return true;
    }
    enum oxv_status st = oxv_channel_receive(p->channel, &datagram, fds, &fd_count);

    if (st == OXV_E_BUSY) {
        p->readable = false;
        return false;
    }
    for (size_t i = 0; st == OXV_OK && i < fd_count; i++) {
        oxv_closep(&fds[i]);
    }
    if (st != OXV_OK || fd_count > 0 || !oxv_wire_begin(datagram, &p->reader)) {
        p->broken = st == OXV_E_NOT_FOUND || st == OXV_E_IO ? "its helper ended"
                                                            : "it sent what it must not";
        return false;
    }
    p->has_rest = true;
    return true;
}

static bool
holds_secret(const struct oxv_message *message)
{
    return message->type == OXV_MSG_HELPER_SEALED || message->type == OXV_MSG_HELPER_VALUE;
}

static void
read_messages(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_helper_process *p = &h->process;

    for (size_t taken = 0; taken < MESSAGES_MAX && p->channel != NULL && p->broken == NULL &&
                           has_room(k) && next_datagram(p);
         taken++) {
        struct oxv_message message;
        enum oxv_status st = oxv_wire_next(&p->reader, &message);

        if (st == OXV_E_NOT_FOUND) {
            p->has_rest = false;
            wipe_mac(p);
            continue;
        }
        if (st != OXV_OK) {
            p->broken = "it sent a malformed datagram";
            return;
        }
        bool is_secret = holds_secret(&message);

        p->has_mac = p->has_mac || message.type == OXV_MSG_HELPER_MAC;
        take_message(k, h, &message);
        if (is_secret && p->channel != NULL) { /* what shares the datagram is lost with it */
            p->broken = p->broken != NULL || oxv_reader_at_end(&p->reader)
                            ? p->broken
                            : "it sent a secret with something else";
            oxv_channel_wipe_received(p->channel);
            p->has_rest = false;
        }
    }
}

static void
check_deadlines(struct oxv_helper *h, uint64_t now_us)
{
    struct oxv_helper_process *p = &h->process;
    uint64_t next_us = UINT64_MAX;

    if (p->call_count == 0 || now_us < p->check_us) { /* an answer since only makes it later */
        return;
    }
    for (size_t i = 0; i < OXV_HELPER_CALLS_MAX; i++) {
        if (p->calls[i].id == 0) {
            continue;
        }
        uint64_t due = due_us(p, &p->calls[i]);

        if (due <= now_us) {
            p->is_hung = true;
            oxv_helper_break(h, "it did not answer in time");
        }
        next_us = due < next_us ? due : next_us;
    }
    p->check_us = next_us;
}

void
oxv_helper_work(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_helper_process *p = &h->process;
    uint64_t now_us = oxv_clock_boot_us();

    if (p->channel != NULL && p->broken == NULL && (p->readable || p->has_rest)) {
        read_messages(k, h);
    }
    check_deadlines(h, now_us);
    if (p->channel == NULL && p->serial != 0 && now_us - p->started_us > OXV_HELPER_START_US) {
        p->is_hung = true;
        oxv_helper_break(h, "its helper was not started in time");
    }
    if (p->broken != NULL) {
        const char *why = p->broken;

        oxv_helper_end(k, h, p->is_hung ? OXV_CALL_LATE : OXV_CALL_LOST);
        oxv_token_on_ended(k, h, why);
    }
}

static void
watch_writable(struct oxv_keeper *k, struct oxv_helper *h, bool wanted)
{
    struct epoll_event event = { .events = wanted ? (uint32_t)EPOLLIN | (uint32_t)EPOLLOUT
                                                  : (uint32_t)EPOLLIN,
                                 .data.ptr = tag_of(k, h) };

    if (h->process.wants_write == wanted || k->epoll_fd < 0) {
        return;
    }
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, oxv_channel_fd(h->process.channel), &event) != 0) {
        oxv_helper_break(h, "its channel cannot be watched");
        return;
    }
    h->process.wants_write = wanted;
}

void
oxv_helper_flush(struct oxv_keeper *k, struct oxv_helper *h)
{
    if (h->process.channel == NULL || h->process.broken != NULL) {
        return;
    }
    enum oxv_status st = oxv_channel_flush(h->process.channel);

    if (st == OXV_OK || st == OXV_E_BUSY) {
        watch_writable(k, h, st == OXV_E_BUSY); /* one that never reads is ended by a deadline */
    } else {
        oxv_helper_break(h, "its helper ended");
    }
}

uint64_t
oxv_helper_next_us(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    const struct oxv_helper_process *p = &h->process;
    uint64_t next_us = p->call_count > 0 ? p->check_us : UINT64_MAX;

    if (p->broken != NULL || (p->channel != NULL && (p->readable || p->has_rest) && has_room(k))) {
        return 0;
    }
    if (p->channel == NULL && p->serial != 0 && p->started_us + OXV_HELPER_START_US < next_us) {
        next_us = p->started_us + OXV_HELPER_START_US + 1;
    }
    return next_us;
}
