/*
 * proof_file: proofs as files that need nothing else, each with the checkpoint it leads to.
 *
 * That an entry is in the log (C2SP tlog-proof):
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>          left out where there is none; not proved by anything in the file
 *   index <decimal>
 *   <base64 of a hash>      from the leaf's sibling up
 *
 *   <checkpoint>
 * That the log begins with an older one (the body of C2SP tlog-witness add-checkpoint):
 *   old <decimal>
 *   <base64 of a hash>
 *
 *   <checkpoint>
 */
#ifndef OXV_VAULT_LOG_PROOF_FILE_H
#define OXV_VAULT_LOG_PROOF_FILE_H

#include "vault/log/checkpoint.h"

/* Hashes, the longest entry as `extra`, a note. */
#define OXV_PROOF_FILE_MAX_BYTES (OXV_NOTE_MAX_BYTES + 32768u)

enum oxv_proof_kind {
    OXV_PROOF_OF_ENTRY,
    OXV_PROOF_OF_GROWTH,
};

struct oxv_proof_file {
    enum oxv_proof_kind kind;
    uint64_t number; /* index of the entry, or size of the older log */
    struct oxv_proof proof;
    struct oxv_view note; /* borrowed */
    size_t extra_len;     /* 0: none */
    uint8_t extra[OXV_LOG_ENTRY_MAX_BYTES];
};

/* Appends it. `note` is written as it stands. */
void oxv_proof_file_write(struct oxv_writer *w, const struct oxv_proof_file *file);

/*
 * Reads exactly what oxv_proof_file_write() writes; the note is not looked at.
 *   OXV_E_FORMAT  it is none; *out is then of no use
 */
OXV_MUST_USE enum oxv_status oxv_proof_file_parse(struct oxv_view bytes, struct oxv_proof_file *out,
                                                  struct oxv_err *err);

#endif
