/* spawn: a child that the keeper asked for, and the channel between the two. */
#ifndef OXV_SERVICE_SUPERVISOR_SPAWN_H
#define OXV_SERVICE_SUPERVISOR_SPAWN_H

#include "service/supervisor/supervisor.h"

/*
 * Starts it; plan->channel_fd and plan->pass_hook are filled in. *out is the keeper's end of the
 * channel, the caller's to close. The child is listed as that keeper's.
 *   OXV_E_LIMIT  there are too many already, or no memory
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_spawn(struct oxv_supervisor *s, enum oxv_child_role role,
                                       uint64_t serial, struct oxv_child_plan *plan, int *out,
                                       struct oxv_err *err);

#endif
