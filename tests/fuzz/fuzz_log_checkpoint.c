/* Notes, checkpoints, cosigners' keys and proof files from outside have one form each. */
#include <stdlib.h>

#include "vault/log/proof_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_note(struct oxv_view bytes)
{
    static const struct oxv_vkey key = { .name = "PeterNeumann" };
    struct oxv_note note;
    struct oxv_saved_head head;
    uint64_t time_s;

    if (oxv_note_parse(bytes, &note, NULL) != OXV_OK) {
        return;
    }
    /* The parts make up the whole, but for the newline between them. */
    if (note.text.len + 1 + note.signatures.len != bytes.len) {
        abort();
    }
    if (oxv_note_check(&note, &key) == OXV_OK ||
        oxv_note_check_cosigner(&note, &key, &time_s) == OXV_OK) {
        abort();
    }
    (void)oxv_checkpoint_parse(note.text, &head, NULL); /* for the sanitizers */
}

static void
check_checkpoint(struct oxv_view text)
{
    uint8_t again[OXV_CHECKPOINT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_saved_head head;

    if (oxv_checkpoint_parse(text, &head, NULL) != OXV_OK) {
        return;
    }
    struct oxv_checkpoint checkpoint = { .origin = head.origin, .size = head.head.size };

    memcpy(checkpoint.root, head.head.root, sizeof checkpoint.root);
    oxv_checkpoint_write(&w, &checkpoint);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), oxv_view_slice(text, 0, w.len))) {
        abort();
    }
}

static void
check_proof_file(struct oxv_view bytes)
{
    static struct oxv_proof_file file;
    static uint8_t again[OXV_PROOF_FILE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);

    if (oxv_proof_file_parse(bytes, &file, NULL) != OXV_OK) {
        return;
    }
    oxv_proof_file_write(&w, &file);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), bytes)) {
        abort();
    }
}

static void
check_cosigner(struct oxv_view text)
{
    uint8_t again[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_vkey key;

    if (oxv_cosigner_parse(text, &key, NULL) != OXV_OK) {
        return;
    }
    oxv_cosigner_write(&w, &key);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), oxv_view_slice(text, 0, w.len))) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_note(oxv_view(data, size));
    check_checkpoint(oxv_view(data, size));
    check_proof_file(oxv_view(data, size));
    check_cosigner(oxv_view(data, size));
    return 0;
}
