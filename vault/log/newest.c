/* newest: the head of a log that is being written, as a checkpoint for others to keep. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "vault/log/checkpoint.h"
#include "vault/log/writer.h"

#define FILE_NAME     "checkpoint"
#define NEW_FILE_NAME "checkpoint.tmp"

_Static_assert(OXV_CHECKPOINT_NOTE_MAX_BYTES + OXV_NOTE_LINE_MAX_BYTES <=
                   OXV_LOG_CHECKPOINT_MAX_BYTES,
               "a note with two signatures must fit");

void
oxv_log_checkpoint(const struct oxv_log *log, struct oxv_writer *w)
{
    struct oxv_checkpoint checkpoint = { .origin = log->origin, .size = log->tree.size };
    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES];
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];

    oxv_tree_root(&log->tree, log->hasher, checkpoint.root);
    oxv_checkpoint_sign(&checkpoint, log->key.secret_key, signature);
    oxv_checkpoint_write_note(w, &checkpoint, log->key.public_key, signature);
    if (!log->is_log_key_named) {
        return;
    }
    oxv_note_key_id(log->origin, log->log_key.public_key, id);
    oxv_checkpoint_sign(&checkpoint, log->log_key.secret_key, signature);
    oxv_note_write_signature(w, log->origin, id, oxv_view(signature, sizeof signature));
}

enum oxv_status
oxv_log_save_checkpoint(struct oxv_log *log, struct oxv_err *err)
{
    uint8_t note[OXV_LOG_CHECKPOINT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(note, sizeof note);
    struct oxv_view text;

    if (log->broken || log->tree.size == log->checkpoint_size) {
        return OXV_OK;
    }
    oxv_log_checkpoint(log, &w);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_bug("a checkpoint that does not fit");
    }
    OXV_AUTO(oxv_closep)
    int fd = openat(log->dir_fd, NEW_FILE_NAME,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0 || fchmod(fd, 0644) != 0 || oxv_write_all(fd, text) != OXV_OK ||
        renameat(log->dir_fd, NEW_FILE_NAME, log->dir_fd, FILE_NAME) != 0) {
        return oxv_fail_errno(err, "cannot write log/%s", FILE_NAME);
    }
    log->checkpoint_size = log->tree.size;
    return OXV_OK;
}
