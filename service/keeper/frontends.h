/*
 * frontends: the keeper's side of its channels. One frontend for each (door, peer uid); one per
 * door for all peers that get nothing but a refusal, which may say that one left and no more.
 */
#ifndef OXV_SERVICE_KEEPER_FRONTENDS_H
#define OXV_SERVICE_KEEPER_FRONTENDS_H

#include "service/keeper/keeper.h"

/* Why a peer gets nothing but one problem. Texts are static. */
struct oxv_refusal {
    const char *code; /* NULL: the peer is served */
    const char *detail;
    bool with_health; /* GET /v1/health is answered all the same */
};

#define OXV_LOG_READS_MAX 16u /* open at once, of one auditor's frontend */

/* A LOG_WAIT that is not answered yet. */
struct oxv_log_wait {
    uint64_t request_id;
    uint64_t size;     /* answer when the log has more entries than this */
    uint64_t until_us; /* boot clock */
};

struct oxv_frontend {
    struct oxv_frontend *next;
    enum oxv_door door;
    uint64_t uid_plus1;          /* 0: the shared one that refuses */
    uint64_t serial;             /* also the generation: never used twice */
    struct oxv_channel *channel; /* NULL until the supervisor has started it */
    struct oxv_view datagram;    /* being worked on, rest in `reader` */
    struct oxv_reader reader;
    bool has_rest;
    bool readable;
    bool wants_write; /* EPOLLOUT is armed */
    bool broken;      /* to be closed at the end of the turn */
    size_t open_requests;
    size_t peers;           /* handed over or waiting */
    uint64_t full_since_us; /* boot clock; 0: not full */
    struct oxv_log_wait waits[OXV_LOG_READS_MAX];
    size_t wait_count;
    uint64_t reads[OXV_LOG_READS_MAX]; /* LOG_READ without LOG_CLOSE: their handles */
    size_t read_count;
    bool by_group;                  /* audit: a peer came in by its group, not as an admin */
    int waiting_fds[OXV_PEERS_MAX]; /* peers that came before the channel */
    struct oxv_refusal waiting_peers[OXV_PEERS_MAX];
    size_t waiting;
};

/*
 * The frontend for this door and uid (0: the refusing one), asking the supervisor for a new one
 * where there is none. NULL where that fails.
 */
struct oxv_frontend *oxv_frontend_for(struct oxv_keeper *k, enum oxv_door door, uint64_t uid_plus1);
/* Hands a peer over; takes the descriptor in any case. */
void oxv_frontend_give_peer(struct oxv_keeper *k, struct oxv_frontend *f, int fd,
                            const struct oxv_refusal *refusal);
/* NULL where that channel is gone; for answers that come turns later. */
struct oxv_frontend *oxv_frontend_by_serial(struct oxv_keeper *k, uint64_t serial);
/* FRONTEND and FRONTEND_FAILED of the supervisor; takes channel_fd. */
void oxv_frontend_started(struct oxv_keeper *k, const struct oxv_msg_frontend *which,
                          int channel_fd);

bool oxv_frontend_is_live(const struct oxv_frontend *f, uint64_t generation);
void oxv_frontend_send(struct oxv_keeper *k, struct oxv_frontend *f, uint8_t type, uint64_t id,
                       struct oxv_view payload);
/* As send, with a descriptor, which it takes. */
void oxv_frontend_send_fd(struct oxv_keeper *k, struct oxv_frontend *f, uint8_t type, uint64_t id,
                          struct oxv_view payload, int fd);
/* Marks it for closing at the end of the turn and logs why. */
void oxv_frontend_break(struct oxv_keeper *k, struct oxv_frontend *f, const char *why);

/* Works on up to OXV_TURN_CHANNEL_REQUESTS_MAX requests of this channel; returns how many. */
size_t oxv_frontend_work(struct oxv_keeper *k, struct oxv_frontend *f);
/* Is there something to work on without waiting? */
bool oxv_frontend_has_work(const struct oxv_frontend *f);
/* After the release: sends, arms EPOLLOUT, closes the full and the broken ones. */
void oxv_frontends_flush(struct oxv_keeper *k);
void oxv_frontends_free(struct oxv_keeper *k);

#endif
