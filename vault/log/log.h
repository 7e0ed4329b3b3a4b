/*
 * log: the writer's side of the access log (design.md 7): entries are gathered, then made durable
 * as one group by one write and one fdatasync, then the caller releases its answers.
 *
 * Once a write or a sync has failed the log is broken for good: every later call fails, nothing is
 * retried; recovery happens at the next open.
 */
#ifndef OXV_VAULT_LOG_LOG_H
#define OXV_VAULT_LOG_LOG_H

#include "base/secret.h"
#include "vault/log/entry.h"

#define OXV_LOG_SEGMENT_ENTRIES      65536u
#define OXV_LOG_ORIGIN_MAX_BYTES     96u  /* "oxvault/<32 hex>/<32 hex>" and its NUL */
#define OXV_LOG_VKEY_MAX_BYTES       200u /* "name+hash+key" and its NUL */
#define OXV_LOG_WRAP_KEY_BYTES       32u
#define OXV_LOG_CHECKPOINT_MAX_BYTES 768u
#define OXV_LOG_PROOF_MAX_BYTES      26624u /* as oxv_log_write_proof() writes it */

struct oxv_log;

/* Told once at open. */
struct oxv_log_opened {
    uint64_t torn_bytes;      /* bytes put aside now; 0 where the log ended cleanly */
    uint64_t torn_offset;     /* in the segment that was torn */
    char torn_file[96];       /* where they are, below log/ (until the next commit with ".new") */
    uint64_t last_cfg;        /* highest cfg of a change entry that has no change.undone, 0: none */
    uint64_t last_done_cfg;   /* highest cfg of a change.done entry or of entry 0, 0: none */
    uint64_t before_cfg;      /* the change before last_cfg, 0: none */
    char last_cfg_digest[65]; /* of last_cfg: its cfg_digest, hex */
    char before_cfg_digest[65];
};

/*
 * Makes the log of a new vault below the directory vault_fd: log/, origin, genesis.vkey,
 * epoch.key (wrapped under the ratchet that starts from wrap_key) and the first segment with entry
 * 0 committed. `first` is entry 0 and carries vault, node and origin. The key's C2SP verifier key
 * is left in vkey. All files and directories are synced.
 *   OXV_E_CONFLICT  there is a log already
 */
OXV_MUST_USE enum oxv_status oxv_log_create(int vault_fd, const struct oxv_entry *first,
                                            const struct oxv_secret *wrap_key,
                                            char vkey[OXV_LOG_VKEY_MAX_BYTES], struct oxv_err *err);

/*
 * Opens the log for writing: reads it whole, checks it (all hashes and all signatures), puts a torn
 * tail aside and then appends a log.recovery entry for it (committed with the next group).
 * `genesis_vkey` is the key the vault remembers; `wrap_key` is the ratchet's start: the log keeps
 * only what is needed from here on, so the caller wipes its own.
 *
 *   OXV_E_FORGED    a bad byte before the last valid commit, or another key: *err says entry,
 *                   file and byte; or epoch.key does not open under wrap_key
 *   OXV_E_CONFLICT  another process holds the log (lock)
 *   OXV_E_FORMAT    epoch.key is no key file, or has an unknown format; genesis_vkey is no key
 *   OXV_E_IO, OXV_E_NOT_FOUND  a file or directory cannot be read
 */
OXV_MUST_USE enum oxv_status oxv_log_open(int vault_fd, const char *genesis_vkey,
                                          const struct oxv_secret *wrap_key, struct oxv_log **out,
                                          struct oxv_log_opened *opened, struct oxv_err *err);

/* Wipes the key. Uncommitted entries are dropped. NULL is fine. */
void oxv_log_free(struct oxv_log *log);

/*
 * Adds an entry to the open group; nothing is written yet. Gives it seq, time and mono_us; seq and
 * time never decrease, mono_us not within one boot id (a machine that starts again counts from 0).
 * *index is its leaf index.
 *
 *   OXV_E_USAGE   a reader would refuse the entry here: log.genesis that is not entry 0;
 *                 unsigned_since in an entry that cannot have waited (oxv_entry_may_wait()); or it
 *                 is the log's own: log.epoch, log.key, or one with a next_key or log_key
 *   OXV_E_LIMIT   oxv_entry_write() refuses the entry (too long, or a text that is not
 *                 well-formed), or the group holds more than 4,000,000 entries
 *   OXV_E_MEMORY  no memory for the group
 *   OXV_E_IO      the log is broken
 *
 * On failure nothing was added.
 */
OXV_MUST_USE enum oxv_status oxv_log_append(struct oxv_log *log, const struct oxv_entry *entry,
                                            uint64_t *index);

/* How many entries wait in the open group. */
size_t oxv_log_waiting(const struct oxv_log *log);

/*
 * Makes the group durable: lines and commit line in one write, one fdatasync (two of each where
 * the group crosses a segment's end, or where zeros have to be written ahead, see tail.h). Only
 * after OXV_OK may answers leave. An empty group is OXV_OK and does nothing. A failure breaks the
 * log.
 *
 * Where an epoch is due to end (300 s after its first entry, 65,536 entries, or asked for) the
 * group gets log.epoch as its last entry, also an empty one, and the next epoch's key takes over.
 * If that key's file cannot be written the epoch goes on, and it is tried again 10 s later.
 */
OXV_MUST_USE enum oxv_status oxv_log_commit(struct oxv_log *log, struct oxv_err *err);

/* The next commit ends the epoch: after an unseal, a change of seals or grants. Not where the epoch
 * has no entry, and will have none by then. */
void oxv_log_end_epoch(struct oxv_log *log);
/* Boot-clock time (us) at which the epoch ends by itself; UINT64_MAX: not without an entry. */
uint64_t oxv_log_epoch_ends_us(const struct oxv_log *log);
/*
 * Ends the epoch now (design.md 7): makes the next key, writes epoch.key.next, appends log.epoch,
 * commits all that waits (also where nothing did), makes the file the current one and wipes the old
 * key. With `new_start`, the wrap key of a new root key, or NULL: the next key is wrapped under the
 * ratchet that starts there, and there is a new log key, which a log.key entry in the then open
 * group names. After OXV_OK answers may leave as after a commit.
 *
 *   any, log not broken  the next key could not be made durable: nothing was appended or committed,
 *                        the group waits as before and the epoch goes on
 *   any, log broken      as oxv_log_commit()
 */
OXV_MUST_USE enum oxv_status oxv_log_rotate(struct oxv_log *log, const struct oxv_secret *new_start,
                                            struct oxv_err *err);
/* The current epoch. */
uint64_t oxv_log_epoch(const struct oxv_log *log);

/*
 * Names the log key by a log.key entry in the open group, where no entry has named this one yet.
 * Statuses as oxv_log_append().
 */
OXV_MUST_USE enum oxv_status oxv_log_name_key(struct oxv_log *log);

bool oxv_log_is_broken(const struct oxv_log *log);

/* Committed entries, committed bytes of the newest segment, commits since the log was opened. */
uint64_t oxv_log_size(const struct oxv_log *log);
uint64_t oxv_log_segment_bytes(const struct oxv_log *log);
uint64_t oxv_log_commits(const struct oxv_log *log);
const char *oxv_log_origin(const struct oxv_log *log);
/* The head: RFC 6962 root over the committed entries. */
void oxv_log_root(const struct oxv_log *log, uint8_t root[32]);
/*
 * Appends the head as a checkpoint, signed by the log key (once it is named) and the current
 * epoch's key: a C2SP signed note of at most OXV_LOG_CHECKPOINT_MAX_BYTES.
 */
void oxv_log_checkpoint(const struct oxv_log *log, struct oxv_writer *w);
/*
 * Asks for a proof of the entry that was appended last and still waits. *max_bytes is a length that
 * the proof will not exceed. Until oxv_log_forget_proofs() each commit then costs the hash of its
 * entries once more.
 *   OXV_E_USAGE   no entry waits
 *   OXV_E_MEMORY, OXV_E_IO (the log is broken)  there will be none
 */
OXV_MUST_USE enum oxv_status oxv_log_want_proof(struct oxv_log *log, size_t *max_bytes);
/*
 * Once it is committed: appends the proof that entry `index` is in the log, a C2SP tlog-proof with
 * the entry's line as `extra` and the head's checkpoint (proof_file.h).
 *   OXV_E_NOT_FOUND  it was not asked for, or is not committed
 *   OXV_E_MEMORY     there was no memory for the hashes
 *   OXV_E_IO         the log is broken
 *   OXV_E_LIMIT      it does not fit the writer
 */
OXV_MUST_USE enum oxv_status oxv_log_write_proof(struct oxv_log *log, uint64_t index,
                                                 struct oxv_writer *w);
/* Ends what oxv_log_want_proof() began. */
void oxv_log_forget_proofs(struct oxv_log *log);
/*
 * Replaces log/checkpoint by the head's, where the log has grown since it was written last. Not
 * synced: it is made from the segments at will.
 *   OXV_E_IO  it cannot be written; the log is none the worse for it
 */
OXV_MUST_USE enum oxv_status oxv_log_save_checkpoint(struct oxv_log *log, struct oxv_err *err);

/*
 * For readers: opens the segment that holds entry `index` read-only. *first is the index of its
 * first entry, *bytes how many bytes of it are committed now. The caller owns *fd.
 *   OXV_E_NOT_FOUND  there is no such entry yet
 */
OXV_MUST_USE enum oxv_status oxv_log_open_segment(const struct oxv_log *log, uint64_t index,
                                                  int *fd, uint64_t *first, uint64_t *bytes,
                                                  struct oxv_err *err);

/*
 * While sealed: events go to log/pending, unsigned, one fdatasync each, 64 KiB at most, then they
 * are only counted. vault_fd is the vault's directory. What an earlier kill left unfinished in the
 * file is cut off and counted.
 *   OXV_E_FORMAT  what is there is no regular file
 */
struct oxv_log_pending;
OXV_MUST_USE enum oxv_status oxv_log_pending_open(int vault_fd, struct oxv_log_pending **out,
                                                  struct oxv_err *err);
void oxv_log_pending_free(struct oxv_log_pending *pending);
/*
 * Durable when it returns OXV_OK. Without a happened_us the event happened now. An event that the
 * file cannot hold (full, or a member outside of oxv_entry_shape), or that cannot happen while
 * sealed (oxv_entry_may_wait()), is counted.
 */
OXV_MUST_USE enum oxv_status oxv_log_pending_add(struct oxv_log_pending *pending,
                                                 const struct oxv_entry *entry,
                                                 struct oxv_err *err);
/*
 * After unseal: appends what waits there to the open group, marked `unsigned_since` with the time
 * of the event, and one log.pending entry with a count for what was only counted or is damaged. The
 * file is not authenticated: a record that the service itself does not write there is not taken
 * over but counted in a log.pending entry of its own. *count is how many entries were appended; 0
 * where there is no such file. The file is emptied by oxv_log_pending_clear() once the group is
 * committed; a kill between the two repeats the entries, it never loses one.
 */
OXV_MUST_USE enum oxv_status oxv_log_pending_append(int vault_fd, struct oxv_log *log,
                                                    size_t *count, struct oxv_err *err);
OXV_MUST_USE enum oxv_status oxv_log_pending_clear(int vault_fd, struct oxv_err *err);

OXV_DEFINE_OWNER(oxv_log);
OXV_DEFINE_OWNER(oxv_log_pending);

#endif
