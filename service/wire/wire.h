/*
 * wire: the datagrams between keeper, frontends and supervisor (design.md 3). SOCK_SEQPACKET,
 * several messages in one datagram.
 *
 *   datagram  u8 version (1), then messages up to its end
 *   message   u8 type, u64 id, u32 length, payload of that length
 *
 * Rules: 1. at most OXV_WIRE_MAX_BYTES a datagram  2. at least one message  3. the payload follows
 * the shape of its type (messages.h)  4. whatever breaks a rule closes the channel.
 */
#ifndef OXV_SERVICE_WIRE_WIRE_H
#define OXV_SERVICE_WIRE_WIRE_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_WIRE_VERSION    1u
#define OXV_WIRE_MAX_BYTES  65536u
#define OXV_WIRE_HEAD_BYTES 13u  /* of a message */
#define OXV_WIRE_CREDITS    256u /* requests open at once on one channel */
#define OXV_WIRE_FD_MAX     4u   /* descriptors with one datagram */

/* The largest payload that fits a datagram of its own. */
#define OXV_WIRE_PAYLOAD_MAX_BYTES (OXV_WIRE_MAX_BYTES - 1u - OXV_WIRE_HEAD_BYTES)

struct oxv_message {
    uint8_t type;
    uint64_t id; /* chosen by the asking side, echoed in the answer */
    struct oxv_view payload;
};

/* Reads the version byte; false where it is another one or nothing follows. */
OXV_MUST_USE bool oxv_wire_begin(struct oxv_view datagram, struct oxv_reader *r);
/*
 * The next message. OXV_E_NOT_FOUND at the clean end of the datagram, OXV_E_FORMAT where it is
 * malformed.
 */
OXV_MUST_USE enum oxv_status oxv_wire_next(struct oxv_reader *r, struct oxv_message *out);

#endif
