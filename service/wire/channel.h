/*
 * channel: one end of a SOCK_SEQPACKET pair. Messages are gathered into datagrams and sent
 * together; nothing ever blocks.
 */
#ifndef OXV_SERVICE_WIRE_CHANNEL_H
#define OXV_SERVICE_WIRE_CHANNEL_H

#include "base/cleanup.h"
#include "base/fields.h"
#include "service/wire/wire.h"

struct oxv_channel;

/*
 * Takes the descriptor, sets it non-blocking. `queue_max` is how many datagrams may wait unsent.
 */
OXV_MUST_USE enum oxv_status oxv_channel_new(int fd, size_t queue_max, struct oxv_channel **out,
                                             struct oxv_err *err);
/* Closes. NULL is fine. */
void oxv_channel_free(struct oxv_channel *channel);
int oxv_channel_fd(const struct oxv_channel *channel);

/*
 * Adds a message to the datagram being gathered; a full one is queued and a new one begun.
 *   OXV_E_LIMIT  the payload is too long for any datagram, or breaks its shape
 *   OXV_E_BUSY   queue_max datagrams wait already
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_channel_put(struct oxv_channel *channel, uint8_t type, uint64_t id,
                                             struct oxv_view payload);
OXV_MUST_USE enum oxv_status oxv_channel_put_fields(struct oxv_channel *channel, uint8_t type,
                                                    uint64_t id, const struct oxv_shape *shape,
                                                    const void *payload);
/* As put_fields, of a secret: in a datagram of its own, which is wiped once it is sent. */
OXV_MUST_USE enum oxv_status oxv_channel_put_secret(struct oxv_channel *channel, uint8_t type,
                                                    uint64_t id, const struct oxv_shape *shape,
                                                    const void *payload);
/*
 * As put, in a datagram of its own that carries descriptors. They are duplicated by the kernel when
 * sent; the channel takes them and closes them, also on failure.
 */
OXV_MUST_USE enum oxv_status oxv_channel_put_fds(struct oxv_channel *channel, uint8_t type,
                                                 uint64_t id, struct oxv_view payload,
                                                 const int *fds, size_t fd_count);

/*
 * Sends what is queued and gathered, without blocking.
 *   OXV_E_BUSY  the peer's buffer is full: call again when the descriptor is writable
 *   OXV_E_IO    the peer is gone
 */
OXV_MUST_USE enum oxv_status oxv_channel_flush(struct oxv_channel *channel);
/* Is something unsent? */
bool oxv_channel_is_waiting(const struct oxv_channel *channel);
/* Datagrams sent so far. */
uint64_t oxv_channel_sent(const struct oxv_channel *channel);

/*
 * Receives one datagram, without blocking. *datagram is borrowed until the next receive; received
 * descriptors (O_CLOEXEC) are the caller's, *fd_count is OXV_WIRE_FD_MAX at most.
 *   OXV_E_BUSY       nothing is there
 *   OXV_E_NOT_FOUND  end of file: the peer closed
 *   OXV_E_FORMAT     a datagram, or its control data, was too long
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_channel_receive(struct oxv_channel *channel,
                                                 struct oxv_view *datagram,
                                                 int fds[OXV_WIRE_FD_MAX], size_t *fd_count);

/* Wipes the datagram that was received last: it held a secret. Views into it are worthless then. */
void oxv_channel_wipe_received(struct oxv_channel *channel);

OXV_DEFINE_OWNER(oxv_channel);

#endif
