/* `connection import`: many boxes, one change, one log group. */
#include <sodium.h>
#include <stdlib.h>

#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/challenges.h"
#include "service/keeper/events.h"

#define IMPORT_SILENT_US 60000000u

struct oxv_import {
    char session[OXV_SESSION_CHARS + 1];
    uint64_t uid;
    uint64_t last_us; /* boot clock, of the last chunk */
    uint64_t chunks;
    uint64_t count;
    struct oxv_change *change;
    uint8_t *names; /* LIST of what was added, for the log */
    size_t names_len;
    size_t names_max;
};

static void
import_free(struct oxv_import *import)
{
    if (import != NULL) {
        oxv_change_free(import->change);
        free(import->names);
        free(import);
    }
}

void
oxv_import_drop(struct oxv_keeper *k)
{
    import_free(k->import);
    k->import = NULL;
}

void
oxv_import_tick(struct oxv_keeper *k)
{
    if (k->import != NULL && k->now_boot_us - k->import->last_us > IMPORT_SILENT_US) {
        oxv_import_drop(k);
    }
}

static void
answer_challenge(struct oxv_keeper *k, const struct oxv_request *request)
{
    uint8_t challenge[OXV_CHALLENGE_BYTES];
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_challenge_make(k, request->uid, challenge);
    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "session", k->import->session);
    oxv_doc_integer(&doc, "received", k->import->count);
    oxv_doc_base64(&doc, "challenge", oxv_view(challenge, sizeof challenge));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

void
oxv_session_draw(char session[OXV_SESSION_CHARS + 1])
{
    uint8_t bytes[OXV_SESSION_CHARS / 2];

    randombytes_buf(bytes, sizeof bytes);
    (void)sodium_bin2hex(session, OXV_SESSION_CHARS + 1, bytes, sizeof bytes); /* its buffer */
}

void
oxv_import_begin(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_admin_change c;

    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    struct oxv_import *import = calloc(1, sizeof *import);

    if (import == NULL) {
        struct oxv_err err = { 0 };

        (void)oxv_fail(&err, OXV_E_MEMORY, "no memory for an import");
        oxv_admin_change_refuse(&c, OXV_ENTRY_CONNECTION_ADD, &err);
        return;
    }
    oxv_session_draw(import->session);
    import->uid = request->uid;
    import->last_us = k->now_boot_us;
    import->change = oxv_change_take(&c.change);
    k->import = import;
    answer_challenge(k, request);
}

/* The running import, if it is this admin's and of this name. */
static struct oxv_import *
find_import(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_view session)
{
    struct oxv_import *import = k->import;

    if (import == NULL || import->uid != request->uid || !oxv_view_is(session, import->session)) {
        oxv_answer_problem(k, &request->reply, "not_found",
                           "there is no such import (an import ends after a minute of silence): "
                           "run the command again");
        return NULL;
    }
    import->last_us = k->now_boot_us;
    return import;
}

static enum oxv_status
remember_name(struct oxv_import *import, struct oxv_view name)
{
    if (import->names_max - import->names_len < name.len + 2) {
        size_t wanted = import->names_max * 2 + 4096;
        uint8_t *grown = realloc(import->names, wanted);

        if (grown == NULL) {
            return OXV_E_MEMORY;
        }
        import->names = grown;
        import->names_max = wanted;
    }
    struct oxv_writer w = oxv_writer(import->names, import->names_max);

    w.len = import->names_len;
    oxv_list_add(&w, name);
    if (w.failed) {
        return OXV_E_LIMIT;
    }
    import->names_len = w.len;
    return OXV_OK;
}

static enum oxv_status
add_one(struct oxv_keeper *k, struct oxv_view payload, struct oxv_err *err)
{
    struct oxv_import *import = k->import;
    struct oxv_connection_record record = { 0 };
    struct oxv_connection_secret secret = { 0 };
    uint64_t id = 0;
    enum oxv_status st = oxv_connection_from_box(payload, &record, &secret, err);

    if (st != OXV_OK) {
        oxv_err_prefix(err, "connection %llu of this import",
                       (unsigned long long)import->count + 1);
        return st;
    }
    if (record.key_form != OXV_KEY_IN_VAULT) {
        return oxv_fail(err, OXV_E_USAGE,
                        "connection %llu of this import has its key in a token: add it by "
                        "`oxvault connection add --in-token`",
                        (unsigned long long)import->count + 1);
    }
    record.created_us = k->now_us;
    st = oxv_change_put(import->change, OXV_TABLE_CONNECTION, &id, &record, &secret, err);
    if (st == OXV_OK && remember_name(import, record.name) != OXV_OK) {
        st = oxv_fail(err, OXV_E_MEMORY, "no memory for the import");
    }
    if (st == OXV_OK) {
        import->count++;
    }
    return st;
}

static enum oxv_status
add_chunk(struct oxv_keeper *k, const struct oxv_box_import *chunk, struct oxv_err *err)
{
    struct oxv_import *import = k->import;
    struct oxv_reader r = oxv_reader(chunk->connections);
    struct oxv_view item;
    enum oxv_status st = OXV_OK;

    if (!oxv_view_is(chunk->session, import->session) || chunk->chunk != import->chunks + 1) {
        return oxv_fail(err, OXV_E_DENIED, "the box belongs to another import or place in it");
    }
    import->chunks++;
    while (st == OXV_OK && oxv_list_next(&r, &item)) {
        st = add_one(k, item, err);
    }
    return st;
}

/* One bad connection ends the whole import: nothing of it stays. */
static void
give_up(struct oxv_keeper *k, const struct oxv_request *request, const struct oxv_err *err)
{
    oxv_import_drop(k);
    oxv_admin_refuse(k, request, OXV_ENTRY_CONNECTION_ADD, err);
}

void
oxv_import_chunk(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_import_chunk *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_box_import chunk = { 0 };
    struct oxv_err err = { 0 };

    if (find_import(k, request, msg->session) == NULL) {
        return;
    }
    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_CONNECTION_IMPORT, &box, &err) !=
            OXV_OK ||
        oxv_fields_decode(box.head.payload, &oxv_box_import_shape, &chunk, &err) != OXV_OK ||
        add_chunk(k, &chunk, &err) != OXV_OK) {
        give_up(k, request, &err);
        return;
    }
    answer_challenge(k, request);
}

static struct oxv_entry *
make_entries(const struct oxv_import *import)
{
    struct oxv_entry *entries = calloc(import->count, sizeof *entries);
    struct oxv_reader r = oxv_reader(oxv_view(import->names, import->names_len));

    for (size_t i = 0; entries != NULL && i < import->count; i++) {
        entries[i].type = OXV_ENTRY_CONNECTION_ADD;
        if (!oxv_list_next(&r, &entries[i].connection)) {
            oxv_bug("an import forgot a name");
        }
    }
    return entries;
}

static void
answer_count(struct oxv_keeper *k, const struct oxv_request *request, uint64_t count)
{
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_integer(&doc, "count", count);
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

void
oxv_import_commit(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_import_commit *msg = request->fields;
    struct oxv_import *import = find_import(k, request, msg->session);
    struct oxv_err err = { 0 };

    if (import == NULL) {
        return;
    }
    if (msg->count != import->count || import->count == 0) {
        (void)oxv_fail(&err, OXV_E_USAGE, "%llu connections were sent, %llu arrived",
                       (unsigned long long)msg->count, (unsigned long long)import->count);
        give_up(k, request, &err);
        return;
    }
    struct oxv_entry *entries = make_entries(import);

    if (entries == NULL) {
        (void)oxv_fail(&err, OXV_E_MEMORY, "no memory for the import's log entries");
        give_up(k, request, &err);
        return;
    }
    struct oxv_admin_change c = { .k = k,
                                  .request = request,
                                  .change = oxv_change_take(&import->change) };
    bool stands = oxv_admin_change_finish(&c, entries, import->count);

    free(entries);
    if (stands) {
        answer_count(k, request, import->count);
    }
    oxv_import_drop(k);
}

void
oxv_import_abort(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_session *msg = request->fields;

    if (find_import(k, request, msg->session) == NULL) {
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_import_drop(k);
    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "state", "aborted");
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}
