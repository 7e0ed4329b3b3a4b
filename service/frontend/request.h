/* request: from the bytes of HTTP to a question for the keeper, or to an answer of our own. */
#ifndef OXV_SERVICE_FRONTEND_REQUEST_H
#define OXV_SERVICE_FRONTEND_REQUEST_H

#include "service/frontend/frontend.h"

/*
 * Goes on with the peer's input as far as it got. The peer is in state HEAD or BODY; where a
 * request is complete, or refused, it is in another one afterwards, or has an answer to send.
 */
void oxv_request_advance(struct oxv_peer *p);

/* Nothing of the request is kept: the next one begins. */
void oxv_request_reset(struct oxv_peer *p);

/* Gives back the peer's share of the room for long bodies. */
void oxv_request_give_room(struct oxv_peer *p);

#endif
