/* `oxvault backup`: the file leaves in pieces, as they are asked for; one backup at a time. */
#include <stdlib.h>

#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/events.h"
#include "vault/backup.h"

#define BACKUP_SILENT_US 60000000u
#define BASE64_MAX_BYTES (4u * ((OXV_BACKUP_PIECE_MAX_BYTES + 2u) / 3u))

struct oxv_backup_session {
    char session[OXV_SESSION_CHARS + 1];
    uint64_t uid;
    uint64_t last_us; /* boot clock, of the last request */
    uint64_t pieces;  /* given */
    struct oxv_backup *backup;
    uint8_t piece[OXV_BACKUP_PIECE_MAX_BYTES];
    uint8_t text[BASE64_MAX_BYTES];
};

void
oxv_admin_backup_drop(struct oxv_keeper *k)
{
    if (k->backup != NULL) {
        oxv_backup_free(k->backup->backup);
        free(k->backup);
        k->backup = NULL;
    }
}

void
oxv_admin_backup_tick(struct oxv_keeper *k)
{
    if (k->backup != NULL && k->now_boot_us - k->backup->last_us > BACKUP_SILENT_US) {
        oxv_admin_backup_drop(k);
    }
}

/* Of what is durable: the entry about this backup is not yet in it. */
static enum oxv_status
begin(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_err *err)
{
    uint8_t root[32];
    uint8_t note[OXV_LOG_CHECKPOINT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(note, sizeof note);

    oxv_log_root(k->log, root);
    oxv_log_checkpoint(k->log, &w);
    const struct oxv_backup_log log = { .size = oxv_log_size(k->log),
                                        .root = oxv_view(root, sizeof root),
                                        .checkpoint = oxv_view(note, w.len) };

    k->backup = calloc(1, sizeof *k->backup);
    if (k->backup == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a backup");
    }
    oxv_session_draw(k->backup->session);
    k->backup->uid = request->uid;
    k->backup->last_us = k->now_boot_us;
    return oxv_backup_new(k->vault, &log, &k->backup->backup, err);
}

static enum oxv_status
log_backup(struct oxv_keeper *k, const struct oxv_request *request)
{
    char reason[64];
    struct oxv_entry entry = {
        .type = OXV_ENTRY_VAULT_BACKUP,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = request->uid + 1,
        .door = oxv_view_text(oxv_door_name(request->door)),
        .count = oxv_backup_rows(k->backup->backup),
    };

    if (oxv_format(reason, sizeof reason, "records as of change %llu",
                   (unsigned long long)oxv_vault_counter(k->vault)) != OXV_OK) {
        oxv_bug("a counter does not fit");
    }
    entry.reason = oxv_view_text(reason);
    return oxv_event(k, &entry, NULL);
}

/* The answer leaves when the entry is durable, and no byte of the file before it. */
void
oxv_admin_backup_begin(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_err err = { 0 };

    if (k->backup != NULL && k->backup->uid != request->uid) {
        oxv_answer_retry(k, &request->reply, "busy", 10,
                         "another admin's backup is running: wait for its end");
        return;
    }
    oxv_admin_backup_drop(k);
    if (begin(k, request, &err) != OXV_OK) {
        oxv_admin_backup_drop(k);
        oxv_admin_refuse(k, request, OXV_ENTRY_VAULT_BACKUP, &err);
        return;
    }
    if (log_backup(k, request) != OXV_OK) {
        oxv_admin_backup_drop(k);
        oxv_answer_problem(k, &request->reply, "log_unavailable",
                           "the backup cannot be logged, so it is not allowed");
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "session", k->backup->session);
    oxv_doc_integer(&doc, "rows", oxv_backup_rows(k->backup->backup));
    oxv_doc_integer(&doc, "change", oxv_vault_counter(k->vault));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

void
oxv_admin_backup_next(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_session *msg = request->fields;
    struct oxv_backup_session *s = k->backup;

    if (s == NULL || s->uid != request->uid || !oxv_view_is(msg->session, s->session)) {
        oxv_answer_problem(k, &request->reply, "not_found",
                           "there is no such backup (it ends after a minute of silence, and when "
                           "the vault is sealed): run the command again");
        return;
    }
    struct oxv_writer piece = oxv_writer(s->piece, sizeof s->piece);
    struct oxv_writer text = oxv_writer(s->text, sizeof s->text);
    struct oxv_writer doc = oxv_answer_begin(k);

    s->last_us = k->now_boot_us;
    oxv_backup_piece(s->backup, &piece);
    oxv_write_base64(&text, oxv_view(s->piece, piece.len));
    oxv_doc_object(&doc, NULL);
    oxv_doc_integer(&doc, "piece", s->pieces++);
    oxv_doc_integer(&doc, "rows", oxv_backup_rows_given(s->backup));
    oxv_doc_bool(&doc, "last", oxv_backup_at_end(s->backup));
    oxv_doc_text(&doc, "data", oxv_view(s->text, text.len));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
    if (oxv_backup_at_end(s->backup)) {
        oxv_admin_backup_drop(k);
    }
}
