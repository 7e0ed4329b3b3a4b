/* newest: the head of a log that is being written, as a checkpoint for others to keep. */
#include "vault/log/checkpoint.h"
#include "vault/log/writer.h"

_Static_assert(OXV_CHECKPOINT_NOTE_MAX_BYTES <= OXV_LOG_CHECKPOINT_MAX_BYTES, "a note must fit");

void
oxv_log_checkpoint(const struct oxv_log *log, struct oxv_writer *w)
{
    struct oxv_checkpoint checkpoint = { .origin = log->origin, .size = log->tree.size };
    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES];

    oxv_tree_root(&log->tree, log->hasher, checkpoint.root);
    oxv_checkpoint_sign(&checkpoint, log->key.secret_key, signature);
    oxv_checkpoint_write_note(w, &checkpoint, log->key.public_key, signature);
}
