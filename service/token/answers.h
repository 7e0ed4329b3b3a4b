/* answers: what goes to the keeper, from any thread: the channel itself is for one at a time. */
#ifndef OXV_SERVICE_TOKEN_ANSWERS_H
#define OXV_SERVICE_TOKEN_ANSWERS_H

#include "service/token/helper.h"

/* Gathers an answer; oxv_answers_send() sends. A channel that is full for good is broken. */
void oxv_answer(struct oxv_helper *h, uint8_t type, uint64_t id, const struct oxv_shape *shape,
                const void *payload);
/* As oxv_answer, of a secret: in a datagram of its own, wiped once it is sent. */
void oxv_answer_secret(struct oxv_helper *h, uint8_t type, uint64_t id,
                       const struct oxv_shape *shape, const void *payload);
/* HELPER_TROUBLE. A refused PIN goes with it, so that the keeper can remember it. */
void oxv_answer_trouble(struct oxv_helper *h, uint64_t id, const struct oxv_p11_fault *fault);
/* HELPER_TOKEN: how the token is now. */
void oxv_answer_token(struct oxv_helper *h, uint64_t id);

/* Tells the keeper of a change that it does not know yet (HELPER_TOKEN with id 0). */
void oxv_answers_announce(struct oxv_helper *h);
/* Sends what is gathered; what does not fit now is sent when the main thread finds room. */
void oxv_answers_send(struct oxv_helper *h);
/* Wakes the main thread. */
void oxv_answers_wake(struct oxv_helper *h);

#endif
