/*
 * checkpoint: signed notes and checkpoints that come from outside (C2SP signed-note,
 * tlog-checkpoint, tlog-cosignature): read strictly, checked, written.
 *
 *   text, each line with its newline; an empty line; then lines, at most OXV_NOTE_SIGNATURES_MAX:
 *   "\u2014 <name> <base64(key id || signature)>\n"
 *
 * The text of a checkpoint is three lines (note.h); other lines may follow them, none of them
 * empty. They are signed too, and mean nothing here.
 */
#ifndef OXV_VAULT_LOG_CHECKPOINT_H
#define OXV_VAULT_LOG_CHECKPOINT_H

#include "vault/log/note.h"
#include "vault/log/proof.h"

#define OXV_NOTE_SIGNATURES_MAX 100u
#define OXV_NOTE_MAX_BYTES      65536u
#define OXV_COSIGNATURE_BYTES   72u /* time and signature */
/* A signature line of a log's key, with its newline. */
#define OXV_NOTE_LINE_MAX_BYTES (4u + OXV_LOG_ORIGIN_MAX_BYTES + 1u + 92u + 1u)
/* A checkpoint and its signature by one key. */
#define OXV_CHECKPOINT_NOTE_MAX_BYTES (OXV_CHECKPOINT_MAX_BYTES + 1u + OXV_NOTE_LINE_MAX_BYTES)

/* A note in its two parts; both borrow it. */
struct oxv_note {
    struct oxv_view text;       /* with its last newline: what is signed */
    struct oxv_view signatures; /* the lines */
};

/*
 * Splits a note and checks its form to the byte, the signatures' base64 included.
 *   OXV_E_FORMAT  it is none. *out is untouched.
 */
OXV_MUST_USE enum oxv_status oxv_note_parse(struct oxv_view bytes, struct oxv_note *out,
                                            struct oxv_err *err);

/*
 * Is the note signed by the key of a log?
 *   OXV_E_NOT_FOUND  no line is of that key
 *   OXV_E_FORGED     a line says it is of that key, and is not
 */
OXV_MUST_USE enum oxv_status oxv_note_check(const struct oxv_note *note,
                                            const struct oxv_vkey *key);
/*
 * Did the witness cosign it (type 0x04)? *time_s is when it says it did, the latest of several
 * times. Failures as above; *time_s is then untouched.
 */
OXV_MUST_USE enum oxv_status oxv_note_check_cosigner(const struct oxv_note *note,
                                                     const struct oxv_vkey *witness,
                                                     uint64_t *time_s);

/* What a witness signs with its secret key: a time, and the text of a note. */
void oxv_cosign(struct oxv_view text, const struct oxv_secret *secret_key, uint64_t time_s,
                uint8_t out[OXV_COSIGNATURE_BYTES]);

/* Appends a signature line with its newline. */
void oxv_note_write_signature(struct oxv_writer *w, const char *name,
                              const uint8_t id[OXV_NOTE_KEY_ID_BYTES], struct oxv_view signature);
/* Appends a whole note: the checkpoint, signed by one key whose name is its origin. */
void oxv_checkpoint_write_note(struct oxv_writer *w, const struct oxv_checkpoint *checkpoint,
                               const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
                               const uint8_t signature[OXV_NOTE_SIGNATURE_BYTES]);

/* A checkpoint as read. */
struct oxv_saved_head {
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    struct oxv_proof_head head;
};

/*
 * Reads the text of a checkpoint.
 *   OXV_E_FORMAT  it is none, or its origin is longer than one of ours. *out is untouched.
 */
OXV_MUST_USE enum oxv_status oxv_checkpoint_parse(struct oxv_view text, struct oxv_saved_head *out,
                                                  struct oxv_err *err);

#endif
