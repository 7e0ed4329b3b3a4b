/*
 * witness: what a witness decides (C2SP tlog-witness), without network and files: it cosigns a
 * checkpoint only where the log's key signed it and the log only grew since the last one.
 *
 * A request is a proof of growth (proof_file.h), at most OXV_WITNESS_PROOF_MAX hashes. What a
 * witness remembers of a log is the note that it cosigned last.
 */
#ifndef OXV_VAULT_LOG_WITNESS_H
#define OXV_VAULT_LOG_WITNESS_H

#include "vault/log/proof_file.h"

#define OXV_WITNESS_PROOF_MAX 63u
#define OXV_WITNESS_KEYS_MAX  16u /* of one log */
/* "old", the hashes, a note. */
#define OXV_WITNESS_REQUEST_MAX_BYTES (OXV_NOTE_MAX_BYTES + 4096u)
/* A line of a cosignature. */
#define OXV_COSIGNATURE_LINE_MAX_BYTES (OXV_LOG_ORIGIN_MAX_BYTES + 128u)

/* The answers, as HTTP status codes. */
enum oxv_witness_verdict {
    OXV_WITNESS_GROWN = 200,      /* to be cosigned */
    OXV_WITNESS_MALFORMED = 400,  /* no request, or old is above the checkpoint's size */
    OXV_WITNESS_UNSIGNED = 403,   /* not signed by a key of the log, or forged */
    OXV_WITNESS_UNKNOWN = 404,    /* of a log that the witness does not know */
    OXV_WITNESS_OTHER_SIZE = 409, /* old is not the size that was cosigned last */
    OXV_WITNESS_NOT_GROWN = 422,  /* the proof does not hold, or another root of the same size */
};

/* Views borrow the bytes it was read from. Large. */
struct oxv_witness_request {
    struct oxv_proof_file file;
    struct oxv_note note;
    struct oxv_saved_head said;
};

/* What the witness knows of the log that a request is about. */
struct oxv_witnessed_log {
    struct oxv_vkey keys[OXV_WITNESS_KEYS_MAX];
    size_t key_count;           /* 0: it does not know it */
    struct oxv_proof_head head; /* cosigned last; of size 0: nothing yet */
};

/*
 * Reads a request to the byte.
 *   OXV_E_FORMAT  it is none. *out is then of no use.
 */
OXV_MUST_USE enum oxv_status
oxv_witness_parse(struct oxv_view body, struct oxv_witness_request *out, struct oxv_err *err);

/* What the answer to it is. Cosigns nothing and remembers nothing: that is for the caller. */
OXV_MUST_USE enum oxv_witness_verdict oxv_witness_judge(struct oxv_hasher *hasher,
                                                        const struct oxv_witness_request *request,
                                                        const struct oxv_witnessed_log *log);

/*
 * Appends to `note` what the witness has to remember, a note again: the checkpoint, the lines by
 * keys of the log, and the cosignature; and to `line` the cosignature alone, the answer.
 * `secret_key` is a libsodium secret key of OXV_NOTE_SECRET_KEY_BYTES and belongs to `witness`.
 */
struct oxv_witness_signer {
    const struct oxv_vkey *witness;
    const struct oxv_secret *secret_key;
    uint64_t time_s;
};
void oxv_witness_cosign(const struct oxv_witness_request *request,
                        const struct oxv_witnessed_log *log,
                        const struct oxv_witness_signer *signer, struct oxv_writer *note,
                        struct oxv_writer *line);

#endif
