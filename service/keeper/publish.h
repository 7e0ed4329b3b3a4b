/* publish: RUN/vault.pub, which the supervisor writes for the keeper. */
#ifndef OXV_SERVICE_KEEPER_PUBLISH_H
#define OXV_SERVICE_KEEPER_PUBLISH_H

#include "service/keeper/keeper.h"

/*
 * Sends the text of vault.pub: the key for sealed boxes, and while the vault is open those of the
 * tokens that unwrap. Call it when one of them has changed.
 */
OXV_MUST_USE enum oxv_status oxv_keeper_publish(struct oxv_keeper *k, struct oxv_err *err);

#endif
