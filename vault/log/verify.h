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

struct oxv_log_verdict {
    uint64_t entries; /* checked and covered by a valid commit */
    uint64_t commits;
    uint64_t epochs;
    uint64_t findings;
    uint64_t first_time_us, last_time_us;
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    uint8_t root[32];
    bool writer_active;   /* the writer's lock is held: bytes it is just adding are no finding */
    bool key_from_folder; /* the caller sets it; the text of the verdict then warns */
    size_t heads;         /* saved checkpoints that the log was found to contain */
    uint64_t head_size;   /* the largest of them: what is cut off behind it is not seen */
};

/*
 * Checks the folder `log_path`: origin, every line's canonical form and order, every root, every
 * commit signature, the chain of keys from `vkey` (the text of genesis.vkey) on. Stops at the
 * first fault of the entries' chain; reports it through `found`. Constant memory. Where the
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

#define OXV_LOG_SAVED_MAX 64u

struct oxv_log_verify_cfg {
    struct oxv_view vkey;                     /* the log's first key */
    struct oxv_view saved[OXV_LOG_SAVED_MAX]; /* checkpoints that were kept: signed notes */
    size_t saved_count;
    oxv_log_finding_fn found;
    void *ctx;
};

/*
 * As oxv_log_verify(), and is each saved checkpoint one of this log? Else it is a finding, in the
 * file "saved checkpoint N": of another log, signed by none of the keys that could, of more entries
 * than there are, or of other ones.
 *   OXV_E_USAGE  a saved checkpoint is malformed: *err says which
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
