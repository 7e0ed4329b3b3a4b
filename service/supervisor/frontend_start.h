/* frontend_start: what the keeper asks for when a peer of a new kind knocks. */
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

#endif
