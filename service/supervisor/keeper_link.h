/* keeper_link: the one keeper of a supervisor: its start, its messages, its end. */
#ifndef OXV_SERVICE_SUPERVISOR_KEEPER_LINK_H
#define OXV_SERVICE_SUPERVISOR_KEEPER_LINK_H

#include "service/supervisor/supervisor.h"

/*
 * Starts a keeper and sends it the PINs and START. A source that gives only once is given to the
 * first keeper only.
 */
OXV_MUST_USE enum oxv_status oxv_keeper_link_start(struct oxv_supervisor *s, struct oxv_err *err);

/*
 * Takes and answers what is there, then sends what waits. A keeper that breaks the rules of the
 * channel or hangs up is killed, to be reaped.
 */
void oxv_keeper_link_serve(struct oxv_supervisor *s);

/* Sends STOP. */
void oxv_keeper_link_stop(struct oxv_supervisor *s);

/* The keeper was reaped: takes its last messages, forgets it, decides what follows. */
void oxv_keeper_link_ended(struct oxv_supervisor *s, int wait_status);

#endif
