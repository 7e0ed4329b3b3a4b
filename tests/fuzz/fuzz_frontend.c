/*
 * fuzz_frontend: a whole frontend, its peer and its keeper. The first byte picks the door. Then
 * come pieces, each with a head of two bytes: what it is (below) and how long; the frontend has a
 * turn after each.
 *   0 bytes of the peer    1 bytes of a datagram of the keeper
 *   2 an answer of the keeper to the oldest question, of this type and payload
 *   3 another peer         4 the peer says no more
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "service/frontend/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PEERS_MAX 4u

struct world {
    struct oxv_frontend *frontend;
    struct oxv_channel *keeper;
    int peers[PEERS_MAX];
    size_t peer_count;
    uint64_t question; /* the oldest one, 0: none */
};

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
add_peer(struct world *w)
{
    int fds[2];

    if (w->peer_count == PEERS_MAX) {
        return;
    }
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    require(oxv_channel_put_fds(w->keeper, OXV_MSG_PEER, 0, oxv_view(NULL, 0), &fds[1], 1) ==
            OXV_OK);
    w->peers[w->peer_count++] = fds[0];
}

static void
take_questions(struct world *w)
{
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count;

    while (oxv_channel_receive(w->keeper, &datagram, fds, &fd_count) == OXV_OK) {
        struct oxv_reader r;
        struct oxv_message m;
        enum oxv_status st;

        require(fd_count == 0 && oxv_wire_begin(datagram, &r));
        while ((st = oxv_wire_next(&r, &m)) == OXV_OK) {
            require(m.type < OXV_MSG_DOC);
            w->question = w->question == 0 ? m.id : w->question;
        }
        require(st == OXV_E_NOT_FOUND);
    }
}

static void
answer(struct world *w, struct oxv_view bytes)
{
    struct oxv_view payload = oxv_view_from(bytes, 1);

    if (bytes.len == 0 || w->question == 0) {
        return;
    }
    if (bytes.data[0] == OXV_MSG_LOG_SEGMENT_FD) {
        int null = open("/dev/zero", O_RDONLY | O_CLOEXEC);

        require(oxv_channel_put_fds(w->keeper, bytes.data[0], w->question, payload, &null, 1) ==
                OXV_OK);
    } else {
        require(oxv_channel_put(w->keeper, bytes.data[0], w->question, payload) == OXV_OK);
    }
    w->question = 0;
}

static void
play(struct world *w, uint8_t what, struct oxv_view bytes)
{
    int peer = w->peers[w->peer_count - 1];

    switch (what % 5) {
    case 0:
        (void)send(peer, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 1:
        (void)send(oxv_channel_fd(w->keeper), bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 2:
        answer(w, bytes);
        break;
    case 3:
        add_peer(w);
        break;
    default:
        (void)shutdown(peer, SHUT_WR);
        break;
    }
}

static void
run(struct world *w, struct oxv_view script)
{
    struct oxv_reader r = oxv_reader(script);
    struct oxv_err err;
    uint8_t what;
    uint8_t len;

    add_peer(w);
    while (oxv_read_u8(&r, &what) && oxv_read_u8(&r, &len)) {
        struct oxv_view bytes;

        if (!oxv_read_view(&r, len < r.left.len ? len : r.left.len, &bytes)) {
            return;
        }
        play(w, what, bytes);
        enum oxv_status st = oxv_channel_flush(w->keeper);

        if (st == OXV_OK) {
            st = oxv_frontend_turn(w->frontend, false, &err);
        }
        if (st != OXV_OK) {
            return;
        }
        take_questions(w);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = { 0 };
    int fds[2];

    if (size < 1) {
        return 0;
    }
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    require(oxv_channel_new(fds[0], 16, &w.keeper, NULL) == OXV_OK);
    require(oxv_frontend_new((enum oxv_door)(data[0] % 3 + 1), fds[1], &w.frontend, NULL) ==
            OXV_OK);
    run(&w, oxv_view(data + 1, size - 1));
    for (size_t i = 0; i < w.peer_count; i++) {
        oxv_closep(&w.peers[i]);
    }
    oxv_channel_free(w.keeper);
    require(oxv_frontend_run(w.frontend, NULL) != OXV_E_IO);
    oxv_frontend_free(w.frontend);
    return 0;
}
