/* start: what the keeper does between its START message and its first peer. */
#ifndef OXV_SERVICE_KEEPER_START_H
#define OXV_SERVICE_KEEPER_START_H

#include "service/keeper/keeper.h"

/*
 * Opens from outside what the sandbox will forbid, then sandboxes this process: before the first
 * message is read.
 */
OXV_MUST_USE enum oxv_status oxv_keeper_prepare(struct oxv_keeper *k, const char *dir_path,
                                                struct oxv_err *err);

/* Waits up to 5 s for a predecessor that is dying. OXV_E_CONFLICT where it does not. */
OXV_MUST_USE enum oxv_status oxv_keeper_lock_dir(struct oxv_keeper *k, struct oxv_err *err);

/*
 * Waits for START, locks the vault, opens it (from the source, if there is one) and asks the
 * supervisor to publish the box key.
 */
OXV_MUST_USE enum oxv_status oxv_keeper_start(struct oxv_keeper *k, struct oxv_err *err);

/* /etc/machine-id without its newline; "" where there is none. */
void oxv_read_machine_id(char *out, size_t out_size);

/* Releases everything; wipes the keys. */
void oxv_keeper_done(struct oxv_keeper *k);

#endif
