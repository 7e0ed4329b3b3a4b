/* peer: one connection: its bytes in and out, its deadlines, its end. */
#ifndef OXV_SERVICE_FRONTEND_PEER_H
#define OXV_SERVICE_FRONTEND_PEER_H

#include "service/frontend/frontend.h"

/* Takes a connected socket, also on failure. `message` says whether the peer is refused. */
OXV_MUST_USE enum oxv_status oxv_peer_adopt(struct oxv_frontend *f, int fd,
                                            const struct oxv_msg_peer *message);

/* What epoll reported. */
void oxv_peer_on_events(struct oxv_peer *p, uint32_t events);
/* Its deadline has passed. */
void oxv_peer_on_deadline(struct oxv_peer *p);
void oxv_peer_set_deadline(struct oxv_peer *p, uint64_t in_ms);

/* Something was written to its output, or its state changed: see oxv_peer_settle(). */
void oxv_peer_touch(struct oxv_peer *p);
/*
 * Sends what can be sent, goes on with what follows from it (the next request, the end), and asks
 * epoll for what it waits for now.
 */
void oxv_peer_settle(struct oxv_peer *p);

/* Ends the connection at once. The struct stays until oxv_peers_bury(). */
void oxv_peer_end(struct oxv_peer *p);
/* Frees the ended ones. */
void oxv_peers_bury(struct oxv_frontend *f);

#endif
