/*
 * frontend_start: what the keeper asks for when a peer of a new kind knocks, and the end of those
 * that it gave up.
 */
#ifndef OXV_SERVICE_SUPERVISOR_FRONTEND_START_H
#define OXV_SERVICE_SUPERVISOR_FRONTEND_START_H

#include "service/supervisor/supervisor.h"

/*
 * Takes WANT_FRONTEND, starts the process and answers with its channel, or FRONTEND_FAILED.
 *   OXV_E_FORMAT  the message breaks its shape
 *   or what oxv_channel_put_fds() returns
 */
OXV_MUST_USE enum oxv_status oxv_frontend_start(struct oxv_supervisor *s,
                                                const struct oxv_message *message);

/*
 * Takes FRONTEND_LOST: the frontend sees the end of its channel and has a second to end by itself,
 * then it is killed. It may hang, or hold its peers for ever. One that has ended, or was never
 * started, is no error.
 *   OXV_E_FORMAT  the message breaks its shape
 */
OXV_MUST_USE enum oxv_status oxv_frontend_give_up(struct oxv_supervisor *s,
                                                  const struct oxv_message *message);

#endif
