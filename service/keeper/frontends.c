#include "service/keeper/frontends.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/io.h"
#include "service/keeper/answers.h"
#include "service/keeper/dispatch.h"
#include "service/keeper/events.h"
#include "service/keeper/health.h"

/* A share of peers, each in a datagram of its own with its descriptor, and answers beside them. */
#define QUEUE_MAX_DATAGRAMS (2u * OXV_PEERS_MAX)

bool
oxv_frontend_is_live(const struct oxv_frontend *f, uint64_t generation)
{
    return f != NULL && f->serial == generation && !f->broken && f->channel != NULL;
}

void
oxv_frontend_break(struct oxv_keeper *k, struct oxv_frontend *f, const char *why)
{
    if (f->broken) {
        return;
    }
    f->broken = true;
    k->counters.frontends_lost++;
    if (!k->stopping) {
        oxv_event_frontend(k, f->door, f->uid_plus1, why);
    }
}

static struct oxv_frontend *
find(struct oxv_keeper *k, enum oxv_door door, uint64_t uid_plus1)
{
    for (struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        if (f->door == door && f->uid_plus1 == uid_plus1 && !f->broken) {
            return f;
        }
    }
    return NULL;
}

struct oxv_frontend *
oxv_frontend_for(struct oxv_keeper *k, enum oxv_door door, uint64_t uid_plus1)
{
    struct oxv_frontend *f = find(k, door, uid_plus1);

    if (f != NULL) {
        return f;
    }
    struct oxv_msg_frontend wanted = { .door = door,
                                       .uid_plus1 = uid_plus1,
                                       .serial = ++k->next_serial };

    if (oxv_channel_put_fields(k->control, OXV_MSG_WANT_FRONTEND, 0, &oxv_msg_frontend_shape,
                               &wanted) != OXV_OK) {
        return NULL;
    }
    f = calloc(1, sizeof *f);
    if (f == NULL) {
        return NULL; /* the supervisor's answer will find nothing and be dropped */
    }
    f->door = door;
    f->uid_plus1 = uid_plus1;
    f->serial = wanted.serial;
    f->next = k->frontends;
    k->frontends = f;
    return f;
}

static void
put_peer(struct oxv_keeper *k, struct oxv_frontend *f, int fd, const struct oxv_refusal *refusal)
{
    uint8_t buffer[OXV_HEALTH_MAX_BYTES + 1024];
    uint8_t health[OXV_HEALTH_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_msg_peer peer = { 0 };
    struct oxv_view payload;

    if (refusal->code != NULL) {
        peer.refuse_code = oxv_view_text(refusal->code);
        peer.refuse_detail = oxv_view_text(refusal->detail);
    }
    if (refusal->with_health) {
        struct oxv_writer doc = oxv_writer(health, sizeof health);

        oxv_health_write(k, &doc);
        if (oxv_writer_finish(&doc, &peer.health) != OXV_OK) {
            oxv_bug("health does not fit");
        }
    }
    oxv_fields_encode(&w, &oxv_msg_peer_shape, &peer);
    if (oxv_writer_finish(&w, &payload) != OXV_OK) {
        oxv_bug("a peer message does not fit");
    }
    if (oxv_channel_put_fds(f->channel, OXV_MSG_PEER, 0, payload, &fd, 1) != OXV_OK) {
        oxv_frontend_break(k, f, "it does not take its peers");
    }
}

void
oxv_frontend_give_peer(struct oxv_keeper *k, struct oxv_frontend *f, int fd,
                       const struct oxv_refusal *refusal)
{
    if (f->channel == NULL && f->waiting == OXV_PEERS_MAX) {
        oxv_closep(&fd);
        return;
    }
    f->peers++;
    if (f->channel != NULL) {
        put_peer(k, f, fd, refusal);
        return;
    }
    f->waiting_peers[f->waiting] = *refusal;
    f->waiting_fds[f->waiting++] = fd;
}

struct oxv_frontend *
oxv_frontend_by_serial(struct oxv_keeper *k, uint64_t serial)
{
    for (struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        if (f->serial == serial && !f->broken) {
            return f;
        }
    }
    return NULL;
}

void
oxv_frontend_started(struct oxv_keeper *k, const struct oxv_msg_frontend *which, int channel_fd)
{
    struct oxv_frontend *f = oxv_frontend_by_serial(k, which->serial);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = f };

    if (f == NULL || f->channel != NULL) {
        oxv_closep(&channel_fd);
        return;
    }
    if (channel_fd < 0 ||
        oxv_channel_new(channel_fd, QUEUE_MAX_DATAGRAMS, &f->channel, NULL) != OXV_OK) {
        oxv_closep(&channel_fd);
        oxv_frontend_break(k, f, "it could not be started");
        return;
    }
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, channel_fd, &event) != 0) {
        oxv_frontend_break(k, f, "its channel cannot be watched");
        return;
    }
    k->counters.frontends_started++;
    for (size_t i = 0; i < f->waiting; i++) {
        put_peer(k, f, f->waiting_fds[i], &f->waiting_peers[i]);
    }
    f->waiting = 0;
}

void
oxv_frontend_send(struct oxv_keeper *k, struct oxv_frontend *f, uint8_t type, uint64_t id,
                  struct oxv_view payload)
{
    f->open_requests -= f->open_requests > 0 ? 1 : 0;
    if (oxv_channel_put(f->channel, type, id, payload) != OXV_OK) {
        oxv_frontend_break(k, f, "it does not take its answers");
    }
}

void
oxv_frontend_send_fd(struct oxv_keeper *k, struct oxv_frontend *f, uint8_t type, uint64_t id,
                     struct oxv_view payload, int fd)
{
    f->open_requests -= f->open_requests > 0 ? 1 : 0;
    if (oxv_channel_put_fds(f->channel, type, id, payload, &fd, 1) != OXV_OK) {
        oxv_frontend_break(k, f, "it does not take its answers");
    }
}

/* A request that gets an answer costs a credit until that answer is queued. */
static bool
costs_credit(uint8_t type)
{
    return type != OXV_MSG_PEER_CLOSED && type != OXV_MSG_LOG_CLOSE;
}

/* Counts the requests of a datagram; false where it is malformed. */
static bool
count_requests(struct oxv_view datagram, size_t *count)
{
    struct oxv_reader r;
    struct oxv_message message;
    enum oxv_status st = oxv_wire_begin(datagram, &r) ? OXV_OK : OXV_E_FORMAT;

    *count = 0;
    while (st == OXV_OK) {
        st = oxv_wire_next(&r, &message);
        if (st == OXV_OK && costs_credit(message.type)) {
            (*count)++;
        }
    }
    return st == OXV_E_NOT_FOUND;
}

/* Gets the next datagram where none is being worked on. */
static bool
next_datagram(struct oxv_keeper *k, struct oxv_frontend *f)
{
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;

    if (f->has_rest) {
        return true;
    }
    enum oxv_status st = oxv_channel_receive(f->channel, &f->datagram, fds, &fd_count);

    if (st == OXV_E_BUSY) {
        f->readable = false;
        return false;
    }
    if (st != OXV_OK) {
        oxv_frontend_break(k, f, st == OXV_E_NOT_FOUND ? "it ended" : "its channel failed");
        return false;
    }
    for (size_t i = 0; i < fd_count; i++) {
        oxv_closep(&fds[i]);
    }
    size_t requests = 0;

    if (fd_count > 0 || !count_requests(f->datagram, &requests) ||
        !oxv_wire_begin(f->datagram, &f->reader)) {
        oxv_frontend_break(k, f, "it sent what it must not");
        return false;
    }
    f->open_requests += requests;
    if (f->open_requests > OXV_WIRE_CREDITS) {
        oxv_frontend_break(k, f, "it has more requests open than its credit");
        return false;
    }
    k->counters.datagrams_in++;
    f->has_rest = true;
    return true;
}

static void
take_message(struct oxv_keeper *k, struct oxv_frontend *f, const struct oxv_message *message)
{
    if (message->type == OXV_MSG_PEER_CLOSED) {
        if (f->peers == 0 || message->payload.len > 0) {
            oxv_frontend_break(k, f, "it closed more peers than it had");
            return;
        }
        f->peers--;
        return;
    }
    if (f->uid_plus1 == 0) {
        oxv_frontend_break(k, f, "it refuses peers: it has no right to ask");
        return;
    }
    k->counters.requests++;
    oxv_dispatch(k, f, message);
}

size_t
oxv_frontend_work(struct oxv_keeper *k, struct oxv_frontend *f)
{
    size_t taken = 0;

    while (taken < OXV_TURN_CHANNEL_REQUESTS_MAX && !f->broken && !k->has_to_end &&
           oxv_answers_have_room(k) && next_datagram(k, f)) {
        struct oxv_message message;
        enum oxv_status st = oxv_wire_next(&f->reader, &message);

        if (st == OXV_E_NOT_FOUND) {
            f->has_rest = false;
            continue;
        }
        if (st != OXV_OK) {
            oxv_frontend_break(k, f, "it sent a malformed datagram");
            break;
        }
        take_message(k, f, &message);
        taken++;
    }
    return taken;
}

bool
oxv_frontend_has_work(const struct oxv_frontend *f)
{
    /* One that does not take its answers gets no further questions in. */
    return f->channel != NULL && !f->broken && !f->wants_write && (f->has_rest || f->readable);
}

static void
watch_writable(struct oxv_keeper *k, struct oxv_frontend *f, bool wanted)
{
    /* While its answers wait nothing is read: to be told that something is there would spin. */
    struct epoll_event event = { .events = wanted ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN,
                                 .data.ptr = f };

    if (f->wants_write == wanted) {
        return;
    }
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, oxv_channel_fd(f->channel), &event) != 0) {
        oxv_frontend_break(k, f, "its channel cannot be watched");
        return;
    }
    f->wants_write = wanted;
}

static void
flush_one(struct oxv_keeper *k, struct oxv_frontend *f)
{
    uint64_t sent_before = oxv_channel_sent(f->channel);
    enum oxv_status st = oxv_channel_flush(f->channel);

    k->counters.datagrams_out += oxv_channel_sent(f->channel) - sent_before;
    if (st == OXV_OK) {
        f->full_since_us = 0;
        watch_writable(k, f, false);
        return;
    }
    if (st != OXV_E_BUSY) {
        oxv_frontend_break(k, f, "it ended");
        return;
    }
    if (f->full_since_us == 0) {
        f->full_since_us = k->now_boot_us;
    } else if (k->now_boot_us - f->full_since_us > OXV_CHANNEL_FULL_MAX_US) {
        oxv_frontend_break(k, f, "it did not read for 5 seconds");
        return;
    }
    watch_writable(k, f, true);
}

static void
frontend_free(struct oxv_keeper *k, struct oxv_frontend *f)
{
    if (f->channel != NULL) {
        /* A process that is just being started may still hold it, and events of it would come. */
        (void)epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, oxv_channel_fd(f->channel), NULL);
    }
    for (size_t i = 0; i < f->waiting; i++) {
        oxv_closep(&f->waiting_fds[i]);
    }
    oxv_channel_free(f->channel);
    free(f);
}

/* One that hangs, or is hostile, would live on with its peers' sockets. */
static void
tell_lost(struct oxv_keeper *k, const struct oxv_frontend *f)
{
    struct oxv_msg_frontend lost = { .door = f->door,
                                     .uid_plus1 = f->uid_plus1,
                                     .serial = f->serial };

    if (oxv_channel_put_fields(k->control, OXV_MSG_FRONTEND_LOST, 0, &oxv_msg_frontend_shape,
                               &lost) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: the supervisor does not read\n");
    }
}

void
oxv_frontends_flush(struct oxv_keeper *k)
{
    struct oxv_frontend **link = &k->frontends;

    while (*link != NULL) {
        struct oxv_frontend *f = *link;

        if (f->channel != NULL && !f->broken) {
            flush_one(k, f);
        }
        if (f->broken) {
            *link = f->next;
            tell_lost(k, f);
            frontend_free(k, f);
        } else {
            link = &f->next;
        }
    }
}

void
oxv_frontends_free(struct oxv_keeper *k)
{
    while (k->frontends != NULL) {
        struct oxv_frontend *next = k->frontends->next;

        frontend_free(k, k->frontends);
        k->frontends = next;
    }
}
