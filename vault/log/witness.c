#include "vault/log/witness.h"

enum oxv_status
oxv_witness_parse(struct oxv_view body, struct oxv_witness_request *out, struct oxv_err *err)
{
    enum oxv_status st = body.len > OXV_WITNESS_REQUEST_MAX_BYTES
                             ? oxv_fail(err, OXV_E_FORMAT, "the request is too long")
                             : oxv_proof_file_parse(body, &out->file, err);

    if (st == OXV_OK &&
        (out->file.kind != OXV_PROOF_OF_GROWTH || out->file.proof.count > OXV_WITNESS_PROOF_MAX)) {
        st = oxv_fail(err, OXV_E_FORMAT, "this is no proof of growth of at most %u hashes",
                      OXV_WITNESS_PROOF_MAX);
    }
    if (st == OXV_OK) {
        st = oxv_note_parse(out->file.note, &out->note, err);
    }
    return st != OXV_OK ? st : oxv_checkpoint_parse(out->note.text, &out->said, err);
}

/* By one key at least, and forged by none. */
static bool
is_signed(const struct oxv_note *note, const struct oxv_witnessed_log *log)
{
    bool by_one = false;

    for (size_t i = 0; i < log->key_count; i++) {
        enum oxv_status st = oxv_note_check(note, &log->keys[i]);

        if (st == OXV_E_FORGED) {
            return false;
        }
        by_one = by_one || st == OXV_OK;
    }
    return by_one;
}

/* Does the log begin with what was cosigned? The sizes fit already. */
static bool
extends(struct oxv_hasher *hasher, const struct oxv_witness_request *request,
        const struct oxv_proof_head *old)
{
    if (old->size == 0) { /* every log begins with no entries: nothing is to be proved */
        uint8_t empty[OXV_HASH_BYTES];

        oxv_hash_bytes(hasher, oxv_view(NULL, 0), empty);
        return request->file.proof.count == 0 &&
               (request->said.head.size > 0 ||
                memcmp(request->said.head.root, empty, sizeof empty) == 0);
    }
    return oxv_proof_extends(hasher, &request->file.proof, old, &request->said.head);
}

enum oxv_witness_verdict
oxv_witness_judge(struct oxv_hasher *hasher, const struct oxv_witness_request *request,
                  const struct oxv_witnessed_log *log)
{
    if (log->key_count == 0) {
        return OXV_WITNESS_UNKNOWN;
    }
    if (!is_signed(&request->note, log)) {
        return OXV_WITNESS_UNSIGNED;
    }
    if (request->file.number > request->said.head.size) {
        return OXV_WITNESS_MALFORMED;
    }
    if (request->file.number != log->head.size) {
        return OXV_WITNESS_OTHER_SIZE;
    }
    return extends(hasher, request, &log->head) ? OXV_WITNESS_GROWN : OXV_WITNESS_NOT_GROWN;
}

/* Lines by others are not kept: nobody checked them. */
static void
write_log_lines(struct oxv_writer *w, const struct oxv_note *note,
                const struct oxv_witnessed_log *log)
{
    struct oxv_reader r = oxv_reader(note->signatures);
    struct oxv_note one = { .text = note->text };
    struct oxv_view line;

    while (oxv_read_line(&r, &line)) {
        bool is_known = false;

        one.signatures = oxv_view(line.data, line.len + 1); /* with its newline */
        for (size_t i = 0; i < log->key_count && !is_known; i++) {
            is_known = oxv_note_check(&one, &log->keys[i]) == OXV_OK;
        }
        if (is_known) {
            oxv_write_view(w, one.signatures);
        }
    }
}

void
oxv_witness_cosign(const struct oxv_witness_request *request, const struct oxv_witnessed_log *log,
                   const struct oxv_witness_signer *signer, struct oxv_writer *note,
                   struct oxv_writer *line)
{
    uint8_t cosignature[OXV_COSIGNATURE_BYTES];
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];
    struct oxv_view signature = oxv_view(cosignature, sizeof cosignature);

    oxv_cosign(request->note.text, signer->secret_key, signer->time_s, cosignature);
    oxv_cosigner_key_id(signer->witness, id);
    oxv_note_write_signature(line, signer->witness->name, id, signature);
    oxv_write_view(note, request->note.text);
    oxv_write_u8(note, '\n');
    write_log_lines(note, &request->note, log);
    oxv_note_write_signature(note, signer->witness->name, id, signature);
}
