/*
 * state: sealed and open. Opening: derive keys and load the records, open the log and see that it
 * agrees with the database, take over what waited in log/pending.
 */
#ifndef OXV_SERVICE_KEEPER_STATE_H
#define OXV_SERVICE_KEEPER_STATE_H

#include "service/keeper/keeper.h"

/* Opens vault.db and log/pending: the vault is then sealed. */
OXV_MUST_USE enum oxv_status oxv_state_open_sealed(struct oxv_keeper *k, struct oxv_err *err);

/*
 * Opens the vault. `entry` has what is special of the vault.unseal entry (uid, door, reason). On
 * failure the vault is sealed as before; see oxv_state_note_failure().
 *   OXV_E_LOCKED  wrong passphrase or key file
 *   else          damaged or changed: see vault.h and log.h
 */
OXV_MUST_USE enum oxv_status oxv_state_unseal(struct oxv_keeper *k,
                                              const struct oxv_seal_input *input, uint64_t seal_id,
                                              const struct oxv_entry *entry, struct oxv_err *err);
/* Writes the failed unseal to log/pending: once for all seals that one passphrase was tried on. */
void oxv_state_note_failure(struct oxv_keeper *k, const struct oxv_entry *entry,
                            enum oxv_status status);

/* Writes log/checkpoint every 10 s where the log has grown. Call once a turn. */
void oxv_state_checkpoint_tick(struct oxv_keeper *k);

/* Commits what is logged, wipes every key. */
void oxv_state_lock(struct oxv_keeper *k);

/* What is done with material that may open a seal: oxv_state_unseal(), or the same for a copy. */
typedef enum oxv_status (*oxv_unseal_fn)(struct oxv_keeper *k, const struct oxv_seal_input *input,
                                         uint64_t seal_id, const struct oxv_entry *entry,
                                         struct oxv_err *err);
struct oxv_attempt {
    oxv_unseal_fn unseal;
    const struct oxv_entry *entry;
};
/*
 * Reads passphrase or key file and tries it on the seals of its kind of k->vault, which is sealed.
 *   OXV_E_LOCKED  none opens, or it is no passphrase and no key file
 */
OXV_MUST_USE enum oxv_status oxv_state_try_source(struct oxv_keeper *k, enum oxv_source source,
                                                  int fd, const struct oxv_attempt *attempt,
                                                  struct oxv_err *err);
/* Unseals from a descriptor that the supervisor gave (takes it). */
OXV_MUST_USE enum oxv_status oxv_state_unseal_from(struct oxv_keeper *k, enum oxv_source source,
                                                   int fd, struct oxv_err *err);

/* Takes one message of the supervisor; descriptors that it keeps become -1. False ends the read. */
typedef bool (*oxv_control_fn)(struct oxv_keeper *k, const struct oxv_message *message, int *fds,
                               size_t fd_count);
/*
 * Reads what the supervisor has sent, without waiting. False where it is gone, breaks the rules of
 * the channel, or `take` is false.
 */
OXV_MUST_USE bool oxv_state_read_control(struct oxv_keeper *k, oxv_control_fn take);
/* Tells the supervisor, for systemd's status line. */
void oxv_state_tell(struct oxv_keeper *k, uint8_t message_type);

/* Notices a wall clock that jumped against the boot clock; sets now_us and now_boot_us. */
void oxv_state_read_clocks(struct oxv_keeper *k);

#endif
