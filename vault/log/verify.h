/* verify: checks a copy of a log folder offline, trusting only the key it is given. */
#ifndef OXV_VAULT_LOG_VERIFY_H
#define OXV_VAULT_LOG_VERIFY_H

#include "vault/log/log.h"

/* One thing that is wrong. Borrowed for the call. */
struct oxv_log_finding {
    const char *code;   /* stable: "root_mismatch", "bad_signature", "bad_entry", "torn_tail", ...;
                           docs/log-format.md lists them */
    const char *file;   /* below the log folder, e.g. "seg/000000000000.jsonl" */
    uint64_t entry;     /* leaf index that is concerned */
    uint64_t offset;    /* byte offset in the file */
    const char *reason; /* one line for people */
};

typedef void (*oxv_log_finding_fn)(void *ctx, const struct oxv_log_finding *finding);

/* Called now and then by the thread that verifies: `done` of about `total` entries. */
typedef void (*oxv_log_progress_fn)(void *ctx, uint64_t done, uint64_t total);

struct oxv_log_verdict {
    uint64_t entries; /* checked and covered by a valid commit */
    uint64_t commits;
    uint64_t epochs;
    uint64_t signatures; /* of commits, verified; fewer than `commits` where only finals are */
    uint64_t findings;
    uint64_t resumed;  /* entries that an earlier verification vouches for, see cfg.state */
    uint64_t in_order; /* segments that had to be walked in order, by one thread */
    uint64_t first_time_us, last_time_us;
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    uint8_t root[32];
    bool writer_active;   /* the writer's lock is held: bytes it is just adding are no finding */
    bool key_from_folder; /* the caller sets it; the text of the verdict then warns */
    size_t heads;         /* saved checkpoints that the log was found to contain */
    uint64_t head_size;   /* the largest of them: what is cut off behind it is not seen */
};

/*
 * By one thread. Checks the folder `log_path`: origin, every line's canonical form and order, every
 * root, every commit signature, the chain of keys from `vkey` (the text of genesis.vkey) on. Stops
 * at the first fault of the entries' chain; reports it through `found`. Constant memory. Where the
 * writer's lock is held and the end is not clean, it rereads; an end that looks the same twice is a
 * finding all the same, and so is a fault that is still there after a few times.
 *   OXV_OK        no finding
 *   OXV_E_FORGED  one or more findings
 *   OXV_E_FORMAT  the key is not a verifier key
 *   OXV_E_IO, OXV_E_NOT_FOUND  the folder cannot be read
 */
OXV_MUST_USE enum oxv_status oxv_log_verify(const char *log_path, struct oxv_view vkey,
                                            oxv_log_finding_fn found, void *ctx,
                                            struct oxv_log_verdict *verdict, struct oxv_err *err);

#define OXV_LOG_SAVED_MAX       64u
#define OXV_LOG_STATE_MAX_BYTES 4096u

struct oxv_log_verify_cfg {
    struct oxv_view vkey;                     /* the log's first key */
    struct oxv_view saved[OXV_LOG_SAVED_MAX]; /* checkpoints that were kept: signed notes */
    size_t saved_count;
    struct oxv_view state;       /* from an earlier verification, to go on there; empty: none */
    struct oxv_writer *state_to; /* where the new one goes if there is no finding; or NULL */
    bool finals_only;            /* verify only the signatures on which all others depend: final
                                    ones of epochs, the last one, one a segment, saved ones */
    unsigned jobs;               /* threads; 0: one for each core */
    oxv_log_finding_fn found;
    void *ctx;
    oxv_log_progress_fn progress; /* or NULL */
    void *progress_ctx;
};

/*
 * As oxv_log_verify(), and is each saved checkpoint one of this log? Else it is a finding, in the
 * file "saved checkpoint N": of another log, signed by none of the keys that could, of more entries
 * than there are, or of other ones. A state is one more such checkpoint ("saved state"); entries
 * before it are not read again, so saved checkpoints below it are refused.
 *   OXV_E_USAGE  a saved checkpoint or the state is malformed, or not for this: *err says which
 */
OXV_MUST_USE enum oxv_status oxv_log_verify_with(const char *log_path,
                                                 const struct oxv_log_verify_cfg *cfg,
                                                 struct oxv_log_verdict *verdict,
                                                 struct oxv_err *err);

#define OXV_LOG_FINGERPRINT_BYTES 51u /* with its NUL */

/*
 * The fingerprint an admin reads out to an auditor: "SHA256:" and base64 without padding of the
 * SHA-256 of the verifier key's text (without newline).
 *   OXV_E_FORMAT  this is no verifier key
 *   OXV_E_LIMIT   out_size is below OXV_LOG_FINGERPRINT_BYTES
 */
OXV_MUST_USE enum oxv_status oxv_log_vkey_fingerprint(struct oxv_view vkey, char *out,
                                                      size_t out_size);

#endif
