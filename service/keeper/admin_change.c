#include <stdio.h>

#include "base/hook.h"
#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/events.h"

#define PAGE_ROW_MAX_BYTES 24576u /* no row of a list is longer, see the limits in records.h */

void
oxv_admin_refuse(struct oxv_keeper *k, const struct oxv_request *request, uint64_t entry_type,
                 const struct oxv_err *err)
{
    struct oxv_entry entry = {
        .type = entry_type,
        .outcome = OXV_OUTCOME_DENIED,
        .uid_plus1 = request->uid + 1,
        .door = oxv_view_text(oxv_door_name(request->door)),
        .code = oxv_view_text(oxv_code_of_status(err->status)),
    };

    oxv_event_denied(k, request->uid + 1, &entry);
    oxv_answer_error(k, &request->reply, err);
}

bool
oxv_admin_change_begin(struct oxv_admin_change *c, struct oxv_keeper *k,
                       const struct oxv_request *request)
{
    struct oxv_err err = { 0 };

    *c = (struct oxv_admin_change){ .k = k, .request = request };
    if (k->import != NULL) {
        oxv_answer_problem(k, &request->reply, "conflict",
                           "an import is running: wait for its end, then send this again");
        return false;
    }
    if (oxv_change_begin(k->vault, &c->change, &err) != OXV_OK) {
        oxv_answer_error(k, &request->reply, &err);
        return false;
    }
    return true;
}

void
oxv_admin_change_refuse(struct oxv_admin_change *c, uint64_t entry_type, const struct oxv_err *err)
{
    oxv_change_freep(&c->change);
    oxv_admin_refuse(c->k, c->request, entry_type, err);
}

static void
fill_entry(const struct oxv_admin_change *c, struct oxv_entry *entry, uint64_t counter,
           const char *digest)
{
    entry->outcome = OXV_OUTCOME_ALLOWED;
    entry->uid_plus1 = c->request->uid + 1;
    entry->door = oxv_view_text(oxv_door_name(c->request->door));
    entry->cfg = counter;
    entry->cfg_digest = oxv_view_text(digest);
}

/* What opens the vault, and what is allowed, belongs to the epoch's end (design.md 7). */
static void
end_epoch_for(struct oxv_log *log, const struct oxv_entry *entries, size_t entry_count)
{
    for (size_t i = 0; i < entry_count; i++) {
        uint64_t type = entries[i].type;

        if (type == OXV_ENTRY_SEAL_ADD || type == OXV_ENTRY_SEAL_REMOVE ||
            type == OXV_ENTRY_GRANT_ADD || type == OXV_ENTRY_GRANT_REMOVE) {
            oxv_log_end_epoch(log);
        }
    }
}

/* The log goes first, and is durable. */
static bool
log_intent(struct oxv_admin_change *c, struct oxv_entry *entries, size_t entry_count,
           uint64_t *counter, struct oxv_err *err)
{
    char digest[65];
    enum oxv_status st = oxv_change_prepare(c->change, counter, digest, err);

    for (size_t i = 0; st == OXV_OK && i < entry_count; i++) {
        fill_entry(c, &entries[i], *counter, digest);
        st = oxv_log_append(c->k->log, &entries[i], &(uint64_t){ 0 });
        if (st != OXV_OK) {
            (void)oxv_fail(err, st, "the change cannot be logged");
        }
    }
    return st == OXV_OK && oxv_log_commit(c->k->log, err) == OXV_OK;
}

static void
log_done(struct oxv_admin_change *c, uint64_t counter)
{
    struct oxv_entry entry = {
        .type = OXV_ENTRY_CHANGE_DONE,
        .outcome = OXV_OUTCOME_ALLOWED,
        .cfg = counter,
    };

    (void)oxv_event(c->k, &entry, NULL); /* durable with the turn's commit, before the answer */
}

/*
 * Between the log's word and the database's only the next start can tell which of them stands: this
 * process ends unanswered, and recovery logs change.done or change.undone.
 */
static void
end_in_doubt(struct oxv_admin_change *c, const struct oxv_err *err)
{
    (void)fprintf(stderr, "oxvault-keeper: a change is in doubt, so the keeper starts again: %s\n",
                  err->text);
    oxv_change_freep(&c->change);
    c->k->has_to_end = true;
}

bool
oxv_admin_change_finish(struct oxv_admin_change *c, struct oxv_entry *entries, size_t entry_count)
{
    struct oxv_err err = { 0 };
    uint64_t counter = 0;

    end_epoch_for(c->k->log, entries, entry_count);
    if (!log_intent(c, entries, entry_count, &counter, &err)) {
        if (!oxv_log_is_broken(c->k->log)) {
            end_in_doubt(c, &err);
            return false;
        }
        /* Nothing can follow in a broken log, so nothing can be mistaken at the next start. */
        oxv_change_freep(&c->change);
        oxv_answer_error(c->k, &c->request->reply, &err); /* becomes log_unavailable */
        return false;
    }
    if (oxv_hook("keeper.before_change_commit") != 0 ||
        oxv_change_commit(&c->change, &err) != OXV_OK) {
        end_in_doubt(c, &err);
        return false;
    }
    if (oxv_hook("keeper.after_change_commit") != 0) {
        oxv_bug("this hook has no failure");
    }
    log_done(c, counter);
    return true;
}

void
oxv_admin_answer_id(struct oxv_keeper *k, const struct oxv_request *request, uint64_t id,
                    struct oxv_view name)
{
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_integer(&doc, "id", id);
    oxv_doc_optional(&doc, "name", name);
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

bool
oxv_page_has_room(const struct oxv_writer *doc, uint64_t written, uint64_t limit)
{
    return (limit == 0 || written < limit) && doc->max - doc->len > PAGE_ROW_MAX_BYTES;
}

void
oxv_doc_time(struct oxv_writer *doc, const char *name, uint64_t time_us)
{
    char text[OXV_TIMESTAMP_BYTES];

    if (time_us != 0) {
        oxv_format_timestamp(time_us, text);
        oxv_doc_cstring(doc, name, text);
    }
}

/* A text member with bytes as `encode` spells them; they are ids, salts and hashes: short. */
static void
doc_encoded(struct oxv_writer *doc, const char *name, struct oxv_view bytes,
            void (*encode)(struct oxv_writer *w, struct oxv_view bytes))
{
    uint8_t text[128];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_view view;

    encode(&w, bytes);
    if (oxv_writer_finish(&w, &view) != OXV_OK) {
        oxv_bug("an encoded member does not fit");
    }
    oxv_doc_text(doc, name, view);
}

void
oxv_doc_hex(struct oxv_writer *doc, const char *name, struct oxv_view bytes)
{
    doc_encoded(doc, name, bytes, oxv_write_hex);
}

void
oxv_doc_base64(struct oxv_writer *doc, const char *name, struct oxv_view bytes)
{
    doc_encoded(doc, name, bytes, oxv_write_base64);
}

void
oxv_doc_optional(struct oxv_writer *doc, const char *name, struct oxv_view text)
{
    if (text.len > 0) {
        oxv_doc_text(doc, name, text);
    }
}

void
oxv_doc_texts(struct oxv_writer *doc, const char *name, struct oxv_view list)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view item;

    oxv_doc_list(doc, name);
    while (oxv_list_next(&r, &item)) {
        oxv_doc_text(doc, NULL, item);
    }
    oxv_doc_end(doc);
}

void
oxv_doc_kinds(struct oxv_writer *doc, const char *name, uint64_t kinds)
{
    oxv_doc_list(doc, name);
    for (uint64_t bit = 1; bit <= OXV_KIND_ALL; bit <<= 1) {
        if ((kinds & bit) != 0) {
            oxv_doc_cstring(doc, NULL, oxv_kind_name(bit));
        }
    }
    oxv_doc_end(doc);
}
