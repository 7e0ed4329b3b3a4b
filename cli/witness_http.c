#include "cli/witness_http.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http_syntax.h"
#include "base/io.h"

#define BUFFER_BYTES (OXV_HTTP_HEAD_MAX_BYTES + OXV_WITNESS_REQUEST_MAX_BYTES)
#define DEADLINE_US  10000000u /* of a whole request, and of its answer */
#define DRAIN_US     1000000u

enum peer_state {
    PEER_FREE,
    PEER_READS,  /* the request */
    PEER_WRITES, /* the answer */
    PEER_DRAINS, /* what is still under way is dropped, so that the answer is not */
};

/* Request, then answer, in one buffer each. */
struct peer {
    enum peer_state state;
    int fd;
    uint64_t until_us; /* boot clock */
    struct oxv_http_scan scan;
    struct oxv_http_head head;
    size_t head_len; /* 0: not whole yet */
    size_t in_len;
    size_t out_len;
    size_t sent;
    bool was_continued; /* "100 Continue" is out */
    uint8_t in[BUFFER_BYTES];
    uint8_t out[BUFFER_BYTES];
};

struct server {
    int listen_fd;
    int signal_fd;
    struct oxv_witness_dir *dir;
    struct peer peers[OXV_WITNESS_PEERS_MAX];
};

static void
end_peer(struct peer *peer)
{
    oxv_closep(&peer->fd);
    peer->state = PEER_FREE;
}

static void
begin_answer(struct peer *peer, const struct oxv_writer *answer)
{
    if (answer->failed) {
        oxv_bug("an answer that does not fit");
    }
    peer->out_len = answer->len;
    peer->sent = 0;
    peer->state = PEER_WRITES;
    peer->until_us = oxv_clock_boot_us() + DEADLINE_US;
}

static void
refuse(struct peer *peer, unsigned code, const char *text)
{
    struct oxv_writer answer = oxv_writer(peer->out, sizeof peer->out);

    oxv_witness_refuse(code, text, &answer);
    begin_answer(peer, &answer);
}

/* The head is whole. */
static void
take_head(struct peer *peer)
{
    struct oxv_err err = { 0 };
    struct oxv_view bytes = oxv_view(peer->in, peer->head_len);

    if (oxv_http_parse_head(oxv_view_from(bytes, peer->scan.skipped), &peer->head, &err) !=
        OXV_OK) {
        refuse(peer, 400, err.text);
    } else if (peer->head.is_chunked) {
        refuse(peer, 411, "give a Content-Length");
    } else if (peer->head.has_content_encoding) {
        refuse(peer, 400, "the body must not be encoded");
    } else if (peer->head.content_length > OXV_WITNESS_REQUEST_MAX_BYTES) {
        refuse(peer, 413, "the request is too long");
    }
}

/* A client that waits for it sends nothing before. It is so short that it always fits the socket.
 */
static void
say_continue(struct peer *peer)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!peer->head.expects_continue || peer->was_continued) {
        return;
    }
    peer->was_continued = true;
    if (send(peer->fd, text, sizeof text - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof text - 1)) {
        end_peer(peer);
    }
}

static void
look_at_request(struct server *server, struct peer *peer)
{
    struct oxv_err err = { 0 };

    if (peer->head_len == 0) {
        enum oxv_status st = oxv_http_scan_head(oxv_view(peer->in, peer->in_len), &peer->scan,
                                                &peer->head_len, &err);

        if (st == OXV_E_BUSY) {
            return;
        }
        if (st != OXV_OK) {
            refuse(peer, st == OXV_E_LIMIT ? 413 : 400, err.text);
            return;
        }
        take_head(peer);
    }
    if (peer->state != PEER_READS) {
        return;
    }
    struct oxv_view body = oxv_view_from(oxv_view(peer->in, peer->in_len), peer->head_len);

    if (body.len < peer->head.content_length) {
        say_continue(peer);
        return;
    }
    body.len = (size_t)peer->head.content_length; /* what follows is dropped: we close */
    struct oxv_writer answer = oxv_writer(peer->out, sizeof peer->out);

    oxv_witness_answer(server->dir, &peer->head, body, &answer);
    begin_answer(peer, &answer);
}

static void
peer_reads(struct server *server, struct peer *peer)
{
    ssize_t got = recv(peer->fd, &peer->in[peer->in_len], sizeof peer->in - peer->in_len, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        end_peer(peer);
        return;
    }
    peer->in_len += (size_t)got;
    look_at_request(server, peer);
}

static void
peer_writes(struct peer *peer)
{
    ssize_t sent = send(peer->fd, &peer->out[peer->sent], peer->out_len - peer->sent, MSG_NOSIGNAL);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (sent < 0) {
        end_peer(peer);
        return;
    }
    peer->sent += (size_t)sent;
    if (peer->sent == peer->out_len) {
        peer->state = PEER_DRAINS;
        peer->until_us = oxv_clock_boot_us() + DRAIN_US;
        if (shutdown(peer->fd, SHUT_WR) != 0) {
            end_peer(peer);
        }
    }
}

static void
peer_drains(struct peer *peer)
{
    ssize_t got = recv(peer->fd, peer->in, sizeof peer->in, 0);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        end_peer(peer);
    }
}

static void
accept_peer(struct server *server)
{
    for (size_t i = 0; i < OXV_WITNESS_PEERS_MAX; i++) {
        struct peer *peer = &server->peers[i];

        if (peer->state != PEER_FREE) {
            continue;
        }
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            return;
        }
        peer->state = PEER_READS;
        peer->fd = fd;
        peer->until_us = oxv_clock_boot_us() + DEADLINE_US;
        peer->scan = (struct oxv_http_scan){ 0 };
        peer->head_len = 0;
        peer->in_len = 0;
        peer->was_continued = false;
    }
}

static void
serve_peer(struct server *server, struct peer *peer)
{
    switch (peer->state) {
    case PEER_READS:
        peer_reads(server, peer);
        break;
    case PEER_WRITES:
        peer_writes(peer);
        break;
    case PEER_DRAINS:
        peer_drains(peer);
        break;
    case PEER_FREE:
        break;
    }
}

/* What is over time ends. The milliseconds until the next one is; -1: there is none. */
static int
meet_deadlines(struct server *server)
{
    uint64_t now_us = oxv_clock_boot_us();
    uint64_t next_us = UINT64_MAX;

    for (size_t i = 0; i < OXV_WITNESS_PEERS_MAX; i++) {
        struct peer *peer = &server->peers[i];

        if (peer->state != PEER_FREE && peer->until_us <= now_us) {
            end_peer(peer);
        }
        if (peer->state != PEER_FREE && peer->until_us < next_us) {
            next_us = peer->until_us;
        }
    }
    return next_us == UINT64_MAX ? -1 : (int)((next_us - now_us) / 1000u) + 1;
}

/* One round; *goes_on becomes false where a signal came. */
static enum oxv_status
turn(struct server *server, bool *goes_on, struct oxv_err *err)
{
    struct pollfd fds[2 + OXV_WITNESS_PEERS_MAX];
    int timeout_ms = meet_deadlines(server);
    bool has_room = false;

    for (size_t i = 0; i < OXV_WITNESS_PEERS_MAX; i++) {
        const struct peer *peer = &server->peers[i];

        fds[2 + i] = (struct pollfd){ .fd = peer->state == PEER_FREE ? -1 : peer->fd,
                                      .events = peer->state == PEER_WRITES ? POLLOUT : POLLIN };
        has_room = has_room || peer->state == PEER_FREE;
    }
    fds[0] = (struct pollfd){ .fd = server->signal_fd, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = has_room ? server->listen_fd : -1, .events = POLLIN };
    if (poll(fds, 2 + OXV_WITNESS_PEERS_MAX, timeout_ms) < 0) {
        return errno == EINTR ? OXV_OK : oxv_fail_errno(err, "cannot wait for requests");
    }
    *goes_on = fds[0].revents == 0;
    for (size_t i = 0; i < OXV_WITNESS_PEERS_MAX && *goes_on; i++) {
        if (fds[2 + i].revents != 0) {
            serve_peer(server, &server->peers[i]);
        }
    }
    if (fds[1].revents != 0 && *goes_on) {
        accept_peer(server);
    }
    return OXV_OK;
}

static enum oxv_status
watch_signals(struct server *server, struct oxv_err *err)
{
    sigset_t taken;

    (void)sigemptyset(&taken);
    (void)sigaddset(&taken, SIGTERM);
    (void)sigaddset(&taken, SIGINT);
    if (sigprocmask(SIG_BLOCK, &taken, NULL) == 0) {
        server->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    return server->signal_fd >= 0 ? OXV_OK : oxv_fail_errno(err, "cannot watch for signals");
}

enum oxv_status
oxv_witness_serve(int listen_fd, struct oxv_witness_dir *dir, struct oxv_err *err)
{
    struct server *server = calloc(1, sizeof *server);
    bool goes_on = true;

    if (server == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory");
    }
    server->listen_fd = listen_fd;
    server->signal_fd = -1;
    server->dir = dir;
    enum oxv_status st = watch_signals(server, err);

    while (st == OXV_OK && goes_on) {
        st = turn(server, &goes_on, err);
    }
    for (size_t i = 0; i < OXV_WITNESS_PEERS_MAX; i++) {
        if (server->peers[i].state != PEER_FREE) {
            end_peer(&server->peers[i]);
        }
    }
    oxv_closep(&server->signal_fd);
    free(server);
    return st;
}
