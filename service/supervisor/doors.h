/* doors: the run directory, the three listening sockets in it, and vault.pub. */
#ifndef OXV_SERVICE_SUPERVISOR_DOORS_H
#define OXV_SERVICE_SUPERVISOR_DOORS_H

#include "base/bytes.h"
#include "base/status.h"
#include "service/supervisor/identity.h"
#include "service/wire/messages.h"

struct oxv_doors {
    int run_fd;              /* -1: not ours */
    int lock_fd;             /* RUN/lock, locked as long as this service lives */
    int fds[OXV_DOOR_END];   /* by enum oxv_door; -1: closed */
    bool made[OXV_DOOR_END]; /* ours to remove; systemd's stay */
};

/* Nothing open; what oxv_doors_close() accepts. */
void oxv_doors_init(struct oxv_doors *doors);

/*
 * Takes the doors that systemd handed over and makes the others in the directory `run`, which is
 * made too (0755) where it is not there. A socket that nobody listens at is replaced. Waits up to
 * 5 s for a dying predecessor.
 *   OXV_E_DENIED    others may write to the directory, or it is a symbolic link
 *   OXV_E_CONFLICT  another service lives there
 *   OXV_E_USAGE     systemd handed over something else
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_doors_open(struct oxv_doors *doors, const char *run,
                                            const struct oxv_identity *identity,
                                            struct oxv_err *err);

/* Writes RUN/vault.pub, for everyone to read. */
OXV_MUST_USE enum oxv_status oxv_doors_publish(const struct oxv_doors *doors, struct oxv_view text,
                                               struct oxv_err *err);

/* Nobody can knock any more: closes the doors, removes those that are ours, and vault.pub. */
void oxv_doors_shut(struct oxv_doors *doors);

/* Shuts them and gives the directory free. */
void oxv_doors_close(struct oxv_doors *doors);

#endif
