#include "service/keeper/audit.h"

#include "base/io.h"
#include "service/keeper/admin.h"
#include "service/keeper/events.h"

#define WAIT_MAX_US 15000000u

/* Every look at the log is an entry of it, durable before what it shows is released. */
static bool
log_read(struct oxv_keeper *k, const struct oxv_request *request, uint64_t type,
         struct oxv_view what, uint64_t *index)
{
    struct oxv_entry entry = {
        .type = type,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = request->uid + 1,
        .door = oxv_view_text(oxv_door_name(request->door)),
        .reason = what,
    };

    if (oxv_event(k, &entry, index) == OXV_OK) {
        return true;
    }
    oxv_answer_problem(k, &request->reply, "log_unavailable",
                       "the read cannot be logged, so it is not allowed");
    return false;
}

void
oxv_audit_info(struct oxv_keeper *k, const struct oxv_request *request)
{
    uint8_t root[32];
    uint64_t index;

    if (!log_read(k, request, OXV_ENTRY_LOG_READ, oxv_view_text("info"), &index)) {
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_log_root(k->log, root);
    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "origin", oxv_log_origin(k->log));
    oxv_doc_text(&doc, "vkey", oxv_vault_node(k->vault)->genesis_vkey);
    oxv_doc_integer(&doc, "size", oxv_log_size(k->log));
    oxv_doc_base64(&doc, "root", oxv_view(root, sizeof root));
    oxv_doc_integer(&doc, "epoch", oxv_log_epoch(k->log));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

/* Of what is durable: the entry about this request is not yet in it. */
void
oxv_audit_checkpoint(struct oxv_keeper *k, const struct oxv_request *request)
{
    uint8_t note[OXV_LOG_CHECKPOINT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(note, sizeof note);
    uint64_t index;

    if (!log_read(k, request, OXV_ENTRY_LOG_READ, oxv_view_text("checkpoint"), &index)) {
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_log_checkpoint(k->log, &w);
    oxv_doc_object(&doc, NULL);
    oxv_doc_text(&doc, "checkpoint", oxv_view(note, w.len));
    oxv_doc_integer(&doc, "size", oxv_log_size(k->log));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

void
oxv_audit_read(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_log_read *msg = request->fields;
    struct oxv_frontend *f = request->reply.frontend;
    bool is_export = oxv_view_is(msg->purpose, "export");
    uint64_t index = 0;

    if (!is_export && !oxv_view_is(msg->purpose, "show") && !oxv_view_is(msg->purpose, "follow")) {
        oxv_frontend_break(k, f, "it reads the log for no purpose that is one");
        return;
    }
    if (f->read_count == OXV_LOG_READS_MAX) {
        oxv_answer_retry(k, &request->reply, "busy", 1, "too many reads of the log are open");
        return;
    }
    if (!log_read(k, request, is_export ? OXV_ENTRY_LOG_EXPORT : OXV_ENTRY_LOG_READ, msg->purpose,
                  &index)) {
        return;
    }
    /* The entry of this read is within the size: it is durable when the answer leaves. */
    struct oxv_msg_log_opened opened = { .read = index + 1, .size = index + 1 };

    f->reads[f->read_count++] = opened.read;
    oxv_answer_fields(k, &request->reply, OXV_MSG_LOG_OPENED, &oxv_msg_log_opened_shape, &opened);
}

/* The place of an open read; OXV_LOG_READS_MAX where there is none of that handle. */
static size_t
find_read(const struct oxv_frontend *f, uint64_t read)
{
    for (size_t i = 0; i < f->read_count; i++) {
        if (f->reads[i] == read) {
            return i;
        }
    }
    return OXV_LOG_READS_MAX;
}

static bool
has_read(struct oxv_keeper *k, const struct oxv_request *request, uint64_t read)
{
    if (find_read(request->reply.frontend, read) == OXV_LOG_READS_MAX) {
        oxv_answer_problem(k, &request->reply, "sealed",
                           "this read is over, as the vault was sealed meanwhile: start it again");
        return false;
    }
    return true;
}

void
oxv_audit_segment(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_log_segment *msg = request->fields;
    struct oxv_msg_log_bytes bytes = { 0 };
    struct oxv_err err = { 0 };
    int fd = -1;

    if (!has_read(k, request, msg->read)) {
        return;
    }
    if (oxv_log_open_segment(k->log, msg->index, &fd, &bytes.first, &bytes.bytes, &err) != OXV_OK) {
        oxv_answer_error(k, &request->reply, &err);
        return;
    }
    bytes.size = oxv_log_size(k->log);
    oxv_answer_fd(k, &request->reply, OXV_MSG_LOG_SEGMENT_FD, &oxv_msg_log_bytes_shape, &bytes, fd);
}

void
oxv_audit_wait(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_log_wait *msg = request->fields;
    struct oxv_frontend *f = request->reply.frontend;

    if (!has_read(k, request, msg->read)) {
        return;
    }
    if (f->wait_count == OXV_LOG_READS_MAX) {
        oxv_answer_retry(k, &request->reply, "busy", 1, "too many waits are open");
        return;
    }
    f->waits[f->wait_count++] = (struct oxv_log_wait){ .request_id = request->reply.id,
                                                       .size = msg->size,
                                                       .until_us = k->now_boot_us + WAIT_MAX_US };
}

void
oxv_audit_close(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_log_segment *msg = request->fields;
    struct oxv_frontend *f = request->reply.frontend;
    size_t at = find_read(f, msg->read);

    (void)k;
    if (at != OXV_LOG_READS_MAX) {
        f->reads[at] = f->reads[--f->read_count];
    }
}

static void
end_wait(struct oxv_keeper *k, struct oxv_frontend *f, uint64_t request_id)
{
    struct oxv_msg_log_size size = { .size = k->log != NULL ? oxv_log_size(k->log) : 0 };
    uint8_t buffer[64];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view payload;

    oxv_fields_encode(&w, &oxv_msg_log_size_shape, &size);
    if (oxv_writer_finish(&w, &payload) != OXV_OK) {
        oxv_bug("a size message does not fit");
    }
    oxv_frontend_send(k, f, OXV_MSG_LOG_SIZE, request_id, payload);
}

static bool
wait_is_over(const struct oxv_keeper *k, const struct oxv_log_wait *wait)
{
    return k->log == NULL || oxv_log_size(k->log) > wait->size || k->now_boot_us >= wait->until_us;
}

void
oxv_audit_tick(struct oxv_keeper *k)
{
    for (struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        size_t kept = 0;

        for (size_t i = 0; i < f->wait_count && !f->broken; i++) {
            if (wait_is_over(k, &f->waits[i])) {
                end_wait(k, f, f->waits[i].request_id);
            } else {
                f->waits[kept++] = f->waits[i];
            }
        }
        f->wait_count = kept;
    }
}

uint64_t
oxv_audit_next_us(const struct oxv_keeper *k)
{
    uint64_t next = UINT64_MAX;

    for (const struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        for (size_t i = 0; i < f->wait_count; i++) {
            next = f->waits[i].until_us < next ? f->waits[i].until_us : next;
        }
    }
    return next;
}

void
oxv_audit_forget(struct oxv_keeper *k)
{
    for (struct oxv_frontend *f = k->frontends; f != NULL; f = f->next) {
        f->read_count = 0;
    }
}
