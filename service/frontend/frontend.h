/*
 * frontend: one process that speaks HTTP and JSON for one peer uid at one door. One thread, one
 * epoll loop. What its modules share:
 *
 *   loop     waits, receives from the keeper, watches the time       peer     bytes in and out
 *   calls    questions to the keeper: credits, order, answers        request  HTTP to a question
 *   batch    many signatures in one request                          reply    an answer to HTTP
 *   stream   the access log, filtered
 *
 * Way of a request: peer reads bytes, request makes them a question, calls sends all questions of a
 * turn in one datagram and gets the answers, reply writes them into the peer's output, peer sends.
 * A peer has one request at work at a time, so pipelined ones are answered in their order.
 */
#ifndef OXV_SERVICE_FRONTEND_FRONTEND_H
#define OXV_SERVICE_FRONTEND_FRONTEND_H

#include <sys/queue.h>

#include "base/http_syntax.h"
#include "service/frontend/buffer.h"
#include "service/frontend/endpoints.h"
#include "service/frontend/http_chunked.h"
#include "service/wire/channel.h"

#define OXV_REQUEST_TIMEOUT_MS 60000u  /* from its first byte to its last */
#define OXV_IDLE_TIMEOUT_MS    300000u /* between requests */
#define OXV_REFUSED_TIMEOUT_MS 5000u   /* for a refused peer to ask what it will not get */
#define OXV_TAKE_TIMEOUT_MS    60000u  /* for a peer to take some of its answer */
#define OXV_LINGER_TIMEOUT_MS  2000u
#define OXV_LINGER_MAX_BYTES   1048576u
#define OXV_FRONTEND_PEERS_MAX 1024u     /* the keeper hands over half as many */
#define OXV_BATCHES_MAX        32u       /* until their answers are taken: each may hold some MiB */
#define OXV_BODIES_MAX_BYTES   67108864u /* of all long ones while they arrive */
#define OXV_STREAMS_MAX        64u       /* of the log, at once */
#define OXV_SCRATCH_BYTES      262144u

enum oxv_peer_state {
    OXV_PEER_HEAD,   /* between requests, or within a head */
    OXV_PEER_BODY,   /* within a body */
    OXV_PEER_ASKED,  /* the keeper has the question */
    OXV_PEER_STREAM, /* the answer comes piece by piece */
    OXV_PEER_ENDING, /* the last answer goes out */
    OXV_PEER_LINGER, /* what still comes in is dropped */
    OXV_PEER_DEAD,   /* to be freed at the end of the turn */
};

struct oxv_batch;
struct oxv_log_stream;
struct oxv_frontend;

/* What is remembered of the request at work. */
struct oxv_request {
    const struct oxv_endpoint *endpoint; /* NULL before it is found */
    size_t head_len;                     /* at the start of the input */
    uint64_t body_len;
    bool is_head; /* the method HEAD: the answer has no body */
    bool is_http_1_0;
    bool keeps_alive;
    bool is_chunked;
    bool is_early; /* it is answered before it was read to its end */
};

struct oxv_peer {
    TAILQ_ENTRY(oxv_peer) all;
    TAILQ_ENTRY(oxv_peer) ready; /* has a question to send */
    TAILQ_ENTRY(oxv_peer) dirty; /* something happened: to be looked after this turn */
    struct oxv_frontend *frontend;
    int fd;
    enum oxv_peer_state state;
    uint32_t interest; /* epoll events asked for */
    bool is_ready;
    bool is_dirty;
    bool at_eof;  /* the peer sends no more */
    bool blocked; /* the last send did not take all */
    bool started; /* the first byte of a request has come */
    uint64_t deadline_ms;
    size_t lingered_bytes;
    size_t open_calls;

    struct oxv_buffer in;
    struct oxv_buffer out;
    struct oxv_http_scan scan;
    struct oxv_chunked chunked;
    struct oxv_buffer unchunked; /* head and body of a chunked request */
    struct oxv_request request;

    uint8_t question; /* type of the message that waits to be sent, 0: none */
    struct oxv_buffer payload;
    size_t body_room;              /* its share of OXV_BODIES_MAX_BYTES */
    bool holds_batch;              /* counts as one of OXV_BATCHES_MAX */
    struct oxv_batch *batch;       /* owned; NULL: none */
    struct oxv_log_stream *stream; /* owned; NULL: none */

    struct oxv_buffer refusal; /* as a problem document; empty: the peer is served */
    unsigned refusal_status;
    struct oxv_buffer health; /* JSON of the one answer that a refused peer may get */
};

TAILQ_HEAD(oxv_peer_list, oxv_peer);

/* Will it be refused whatever it asks? */
static inline bool
oxv_peer_is_refused(const struct oxv_peer *p)
{
    return p->refusal.end > p->refusal.start;
}

/* A question the keeper has. */
struct oxv_call {
    uint64_t id; /* 0: free */
    uint8_t question;
    struct oxv_peer *peer; /* NULL: it has gone */
    size_t item;           /* of a batch */
};

struct oxv_frontend {
    enum oxv_door door;
    int epoll_fd;
    struct oxv_channel *channel;
    bool channel_blocked; /* EPOLLOUT is asked for */
    bool is_keeper_gone;
    bool has_work; /* the next turn need not wait for anything */
    uint64_t now_ms;
    uint64_t next_check_ms; /* no deadline comes before */
    size_t peer_count;
    size_t batch_count;
    size_t body_room; /* given to peers, of OXV_BODIES_MAX_BYTES */
    struct oxv_peer_list peers;
    struct oxv_peer_list ready;
    struct oxv_peer_list dirty;
    struct oxv_peer_list dead;

    struct oxv_call calls[OXV_WIRE_CREDITS];
    size_t open_calls;
    size_t next_call; /* where to look for a free one */
    uint64_t call_serial;
    size_t closed_untold; /* peers of which the keeper does not know yet that they ended */
    uint64_t reads_untold[OXV_WIRE_CREDITS]; /* of the log, to be closed */
    size_t read_untold_count;

    uint64_t log_size; /* the largest the keeper has told */
    bool log_wait_open;
    uint64_t log_wait_read; /* the read it was asked for */
    size_t stream_count;

    uint8_t scratch[OXV_SCRATCH_BYTES]; /* both within one function's work */
    uint8_t chunk[OXV_WIRE_MAX_BYTES];
};

#endif
