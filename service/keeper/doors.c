#include "service/keeper/doors.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/io.h"
#include "service/keeper/events.h"
#include "service/keeper/frontends.h"

#define OVERFLOW_UID    65534u /* what the kernel says for a uid without a mapping */
#define PEER_GROUPS_MAX 1024u

static const struct oxv_refusal served = { .code = NULL };
static const struct oxv_refusal sealed = {
    .code = "sealed",
    .detail = "the vault is sealed: an operator must run `oxvault unseal`",
    .with_health = true,
};
static const struct oxv_refusal unknown = {
    .code = "unknown_caller",
    .detail = "this uid has no right at this door: an admin can add it",
};

static bool
is_in_group(int fd, const struct ucred *peer, uint64_t gid_plus1)
{
    gid_t groups[PEER_GROUPS_MAX];
    socklen_t len = sizeof groups;

    if (gid_plus1 == 0) {
        return false;
    }
    gid_t wanted = (gid_t)(gid_plus1 - 1);

    if (peer->gid == wanted) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0) {
        return false;
    }
    for (size_t i = 0; i < len / sizeof groups[0]; i++) {
        if (groups[i] == wanted) {
            return true;
        }
    }
    return false;
}

/* While sealed nobody's rights are known: root, the service's own user and the admin group. */
static bool
may_unseal(const struct oxv_keeper *k, int fd, const struct ucred *peer)
{
    return peer->uid == 0 || peer->uid == k->options.service_uid ||
           is_in_group(fd, peer, k->options.admin_gid_plus1);
}

static const struct oxv_refusal *
judge(struct oxv_keeper *k, enum oxv_door door, int fd, const struct ucred *peer)
{
    bool open = oxv_keeper_is_open(k);

    if (peer->uid == OVERFLOW_UID || peer->uid == (uid_t)-1) {
        return &unknown;
    }
    switch (door) {
    case OXV_DOOR_SIGN:
        if (!open) {
            return &sealed;
        }
        const struct oxv_caller *caller = oxv_vault_caller_by_uid(k->vault, peer->uid);

        return caller != NULL && caller->record.disabled == 0 ? &served : &unknown;
    case OXV_DOOR_ADMIN:
        if (!open) {
            return may_unseal(k, fd, peer) ? &served : &unknown;
        }
        return oxv_vault_admin_by_uid(k->vault, peer->uid) != NULL ? &served : &unknown;
    case OXV_DOOR_AUDIT:
        if (!open) {
            return &sealed;
        }
        return oxv_vault_admin_by_uid(k->vault, peer->uid) != NULL ||
                       is_in_group(fd, peer, k->options.audit_gid_plus1)
                   ? &served
                   : &unknown;
    case OXV_DOOR_END:
        break;
    }
    return &unknown;
}

static void
log_unknown(struct oxv_keeper *k, enum oxv_door door, const struct ucred *peer)
{
    struct oxv_entry entry = {
        .type = OXV_ENTRY_PEER,
        .outcome = OXV_OUTCOME_DENIED,
        .uid_plus1 = (uint64_t)peer->uid + 1,
        .gid_plus1 = (uint64_t)peer->gid + 1,
        .pid = peer->pid > 0 ? (uint64_t)peer->pid : 0,
        .door = oxv_view_text(oxv_door_name(door)),
        .code = oxv_view_text("unknown_caller"),
    };

    oxv_event_peer(k, door, &entry);
}

/* Told without reading, so that nothing of a peer beyond its share costs more than this. */
static enum oxv_status
write_busy(struct oxv_writer *w, const char *detail)
{
    static const char *const head = "{\"type\":\"urn:oxvault:error:busy\",\"title\":\"Busy\","
                                    "\"status\":503,\"detail\":\"";
    static const char *const tail = "\",\"code\":\"busy\"}\n";
    struct oxv_view whole;

    oxv_write_text(w, "HTTP/1.1 503 Service Unavailable\r\n"
                      "Content-Type: application/problem+json\r\nContent-Length: ");
    oxv_write_decimal(w, strlen(head) + strlen(detail) + strlen(tail));
    oxv_write_text(w, "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n");
    oxv_write_text(w, head);
    oxv_write_text(w, detail);
    oxv_write_text(w, tail);
    return oxv_writer_finish(w, &whole);
}

/* The answer is best effort; the close is what counts. */
static void
turn_away(int fd, bool is_served)
{
    uint8_t answer[512];
    struct oxv_writer w = oxv_writer(answer, sizeof answer);

    if (write_busy(&w, is_served ? "this user has too many connections open at this door: close "
                                   "some, or keep them for reuse"
                                 : "too many peers are being told that they get nothing here: "
                                   "try again") != OXV_OK) {
        oxv_bug("a busy answer does not fit");
    }
    (void)send(fd, answer, w.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    oxv_closep(&fd);
}

static void
admit(struct oxv_keeper *k, enum oxv_door door, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof peer) {
        oxv_closep(&fd);
        return;
    }
    const struct oxv_refusal *refusal = judge(k, door, fd, &peer);
    bool is_served = refusal->code == NULL;

    if (refusal == &unknown) {
        log_unknown(k, door, &peer);
    }
    struct oxv_frontend *f = oxv_frontend_for(k, door, is_served ? (uint64_t)peer.uid + 1 : 0);

    if (f == NULL || f->peers >= (is_served ? OXV_PEERS_MAX : OXV_PEERS_UNKNOWN_MAX)) {
        k->counters.peers_refused++;
        turn_away(fd, is_served);
        return;
    }
    k->counters.peers++;
    f->by_group = f->by_group || is_in_group(fd, &peer, k->options.audit_gid_plus1);
    oxv_frontend_give_peer(k, f, fd, refusal);
}

void
oxv_door_accept(struct oxv_keeper *k, enum oxv_door door)
{
    for (size_t i = 0; i < OXV_TURN_ACCEPTS_MAX; i++) {
        int fd = accept4(k->door_fds[door], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            admit(k, door, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            k->doors_rest_until_us = k->now_boot_us + OXV_DOORS_REST_US;
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}
