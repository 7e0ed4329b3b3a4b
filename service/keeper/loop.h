/* loop: the keeper's life between START and STOP. */
#ifndef OXV_SERVICE_KEEPER_LOOP_H
#define OXV_SERVICE_KEEPER_LOOP_H

#include "service/keeper/keeper.h"

/*
 * Runs until STOP, or until the supervisor is gone. Returns the exit code. The control channel is
 * set up; the vault is not open yet.
 */
int oxv_keeper_run(struct oxv_keeper *k);

#endif
