/* calls: questions to the keeper: at most OXV_WIRE_CREDITS open, each answered once. */
#ifndef OXV_SERVICE_FRONTEND_CALLS_H
#define OXV_SERVICE_FRONTEND_CALLS_H

#include "service/frontend/frontend.h"

/*
 * Keeps one question of this peer until there is credit for it. False where it does not fit a
 * message.
 */
OXV_MUST_USE bool oxv_call_ask(struct oxv_peer *p, uint8_t question, const struct oxv_shape *shape,
                               const void *fields);
/* Puts a peer in the queue of those that have something to send. */
void oxv_call_queue(struct oxv_peer *p);

/* The keeper is to know that this read of the log is over. */
void oxv_call_close_read(struct oxv_frontend *f, uint64_t read);

/* Opens a call for a message that is about to be put; NULL where there is no credit. */
struct oxv_call *oxv_call_open(struct oxv_frontend *f, struct oxv_peer *p, uint8_t question);
void oxv_call_free(struct oxv_frontend *f, struct oxv_call *call);

/* Sends what there is credit and room for, all in as few datagrams as can be. */
void oxv_calls_pump(struct oxv_frontend *f);
/* The peer ends: its answers are dropped when they come. */
void oxv_calls_forget(struct oxv_peer *p);

/*
 * Handles one message of the keeper; takes *fd where it is one that has a descriptor (it becomes
 * -1). False where the message breaks the rules.
 */
OXV_MUST_USE bool oxv_calls_take(struct oxv_frontend *f, const struct oxv_message *message,
                                 int *fd);
/* The keeper is gone: everyone who waits is told so. */
void oxv_calls_fail_all(struct oxv_frontend *f);

#endif
