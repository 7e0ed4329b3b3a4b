/* loop: waits for the keeper, the peers and the time, in turns. */
#ifndef OXV_SERVICE_FRONTEND_LOOP_H
#define OXV_SERVICE_FRONTEND_LOOP_H

#include "service/frontend/frontend.h"

/*
 * Takes the channel's descriptor, also on failure.
 *   OXV_E_IO, OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_frontend_new(enum oxv_door door, int channel_fd,
                                              struct oxv_frontend **out, struct oxv_err *err);
/* NULL is fine. */
void oxv_frontend_free(struct oxv_frontend *f);

/*
 * One turn: takes what is there, and sends what comes of it. With `may_wait` it waits for something
 * to be there.
 *   OXV_E_NOT_FOUND  the keeper closed the channel
 *   OXV_E_FORMAT     it broke the rules of the wire
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_frontend_turn(struct oxv_frontend *f, bool may_wait,
                                               struct oxv_err *err);

/*
 * Serves until the keeper closes the channel.
 *   OXV_OK        it did
 *   OXV_E_FORMAT  it broke the rules of the wire
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_frontend_run(struct oxv_frontend *f, struct oxv_err *err);

OXV_DEFINE_OWNER(oxv_frontend);

#endif
