/* helper_start: token helpers, one for each token that the keeper wants to use. */
#ifndef OXV_SERVICE_SUPERVISOR_HELPER_START_H
#define OXV_SERVICE_SUPERVISOR_HELPER_START_H

#include "service/supervisor/supervisor.h"

/*
 * Takes WANT_HELPER, starts the process and answers with its channel, or HELPER_FAILED.
 *   OXV_E_FORMAT  the message breaks its shape
 *   or what oxv_channel_put_fds() returns
 */
OXV_MUST_USE enum oxv_status oxv_helper_start(struct oxv_supervisor *s,
                                              const struct oxv_message *message);

/*
 * Takes HELPER_LOST: kills it, without grace where it hangs in a vendor's module, as the next one
 * needs the device. With 1 as the message's id it is an orderly end: 2 s to go by itself. One that
 * has ended, or was never started, is no error. OXV_E_FORMAT  the message breaks its shape
 */
OXV_MUST_USE enum oxv_status oxv_helper_give_up(struct oxv_supervisor *s,
                                                const struct oxv_message *message);

#endif
