#include "base/token_names.h"
#include "service/keeper/admin.h"
#include "service/keeper/challenges.h"
#include "service/keeper/connection_keys.h"
#include "service/keeper/policy.h"
#include "signer/signature_method.h"

static void
write_public(struct oxv_writer *doc, const struct oxv_connection *connection)
{
    const struct oxv_connection_record *r = &connection->record;

    oxv_doc_integer(doc, "id", connection->id);
    oxv_doc_text(doc, "name", r->name);
    oxv_doc_cstring(doc, "system", oxv_system_name(r->system));
    oxv_doc_optional(doc, "account_id", r->account_id);
    oxv_doc_text(doc, "consumer_key", r->consumer_key);
    oxv_doc_optional(doc, "token_id", r->token_id);
    oxv_doc_optional(doc, "realm", r->system == OXV_SYSTEM_NETSUITE ? r->account_id : r->realm);
    oxv_doc_optional(doc, "role_id", r->role_id);
    oxv_doc_optional(doc, "application_id", r->application_id);
    oxv_doc_cstring(doc, "signature_method",
                    oxv_signature_method_name((enum oxv_signature_method)r->signature_method));
    oxv_doc_texts(doc, "origins", r->origins);
}

/* The kinds of signature that grants of this caller cover now; 0: no grant. */
static uint64_t
granted_kinds(struct oxv_keeper *k, const struct oxv_caller *caller,
              const struct oxv_connection *connection)
{
    struct oxv_grant *grant;
    uint64_t kinds = 0;

    for (size_t i = 0;
         (grant = oxv_vault_pair_grant(k->vault, caller->id, connection->id, i)) != NULL; i++) {
        kinds |= oxv_policy_kinds_now(k, grant);
    }
    return kinds;
}

static void
write_for_caller(struct oxv_writer *doc, const struct oxv_connection *connection, uint64_t kinds)
{
    oxv_doc_object(doc, NULL);
    write_public(doc, connection);
    oxv_doc_kinds(doc, "kinds", kinds);
    oxv_doc_end(doc);
}

/* Where its key is. */
static void
write_key_place(struct oxv_keeper *k, struct oxv_writer *doc, const struct oxv_connection_record *r)
{
    if (r->key_form == OXV_KEY_IN_VAULT) {
        oxv_doc_cstring(doc, "key", "in vault");
        return;
    }
    const struct oxv_token *token = oxv_vault_token_by_id(k->vault, r->key_token);

    oxv_doc_cstring(doc, "key", "in token");
    oxv_doc_cstring(doc, "key_form", oxv_key_form_name(r->key_form));
    oxv_doc_integer(doc, "key_token", r->key_token);
    oxv_doc_hex(doc, "key_id", r->key_id);
    if (r->key_form == OXV_KEY_UNWRAP && token != NULL &&
        token->record.oaep == OXV_TOKEN_OAEP_SHA1) {
        oxv_doc_cstring(doc, "key_note",
                        "sealed to the token by RSA-OAEP with SHA-1: it can do "
                        "nothing better");
    }
}

static void
write_for_admin(struct oxv_keeper *k, struct oxv_writer *doc,
                const struct oxv_connection *connection)
{
    oxv_doc_object(doc, NULL);
    write_public(doc, connection);
    oxv_doc_integer(doc, "version", connection->version);
    oxv_doc_time(doc, "created", connection->record.created_us);
    write_key_place(k, doc, &connection->record);
    oxv_doc_end(doc);
}

/* A caller without grants would make the keeper walk all rows: this many a request, then it asks
 * again from there. 64 such requests are a turn, which must not take above 5 ms. */
#define ROWS_LOOKED_AT_MAX 300u

void
oxv_view_connections(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_page *page = request->fields;
    const struct oxv_caller *caller = oxv_vault_caller_by_uid(k->vault, request->uid);
    struct oxv_writer doc = oxv_answer_begin(k);
    struct oxv_connection *c = oxv_vault_next_connection(k->vault, page->after);
    uint64_t written = 0;
    uint64_t last = 0;

    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "connections");
    for (size_t seen = 0;
         c != NULL && seen < ROWS_LOOKED_AT_MAX && oxv_page_has_room(&doc, written, page->limit);
         seen++) {
        uint64_t kinds = granted_kinds(k, caller, c);

        if (kinds != 0) {
            write_for_caller(&doc, c, kinds);
            written++;
        }
        last = c->id;
        c = oxv_vault_next_connection(k->vault, last);
    }
    oxv_doc_end(&doc);
    if (c != NULL && last != 0) {
        oxv_doc_integer(&doc, "next", last);
    }
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

void
oxv_view_connection(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_name *msg = request->fields;
    const struct oxv_caller *caller = oxv_vault_caller_by_uid(k->vault, request->uid);
    const struct oxv_connection *connection = oxv_vault_connection(k->vault, msg->name);
    uint64_t kinds = connection != NULL ? granted_kinds(k, caller, connection) : 0;

    if (kinds == 0) {
        oxv_answer_problem(k, &request->reply, "no_grant",
                           "this caller has no grant for such a connection");
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    write_for_caller(&doc, connection, kinds);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

void
oxv_admin_connections(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_page *page = request->fields;
    struct oxv_writer doc = oxv_answer_begin(k);
    struct oxv_connection *c = oxv_vault_next_connection(k->vault, page->after);
    uint64_t written = 0;
    uint64_t last = 0;

    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "connections");
    for (; c != NULL && oxv_page_has_room(&doc, written, page->limit); written++) {
        write_for_admin(k, &doc, c);
        last = c->id;
        c = oxv_vault_next_connection(k->vault, last);
    }
    oxv_doc_end(&doc);
    if (c != NULL) {
        oxv_doc_integer(&doc, "next", last);
    }
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

static struct oxv_connection *
find_or_answer(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_name *msg = request->fields;
    struct oxv_connection *connection = oxv_vault_connection(k->vault, msg->name);

    if (connection == NULL) {
        oxv_answer_problem(k, &request->reply, "not_found", "there is no connection of that name");
    }
    return connection;
}

void
oxv_admin_connection(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_connection *connection = find_or_answer(k, request);

    if (connection != NULL) {
        struct oxv_writer doc = oxv_answer_begin(k);

        write_for_admin(k, &doc, connection);
        oxv_answer_unlogged(k, &request->reply, &doc);
    }
}

enum oxv_status
oxv_connection_from_box(struct oxv_view payload, struct oxv_connection_record *record,
                        struct oxv_connection_secret *secret, struct oxv_err *err)
{
    struct oxv_box_connection box = { 0 };
    enum oxv_status st = oxv_fields_decode(payload, &oxv_box_connection_shape, &box, err);

    if (st == OXV_OK) {
        st = oxv_fields_decode(box.record, &oxv_connection_shape, record, err);
    }
    if (st == OXV_OK) {
        st = oxv_fields_decode(box.secret, &oxv_connection_secret_shape, secret, err);
    }
    if (st == OXV_OK) {
        st = oxv_connection_check(record, err);
    }
    if (st == OXV_OK) {
        st = oxv_connection_secret_check(record, secret, err);
    }
    return st;
}

/* What the frontend says beside the box must be what the box says. */
static enum oxv_status
read_added(const struct oxv_request *request, const struct oxv_opened_box *box,
           struct oxv_connection_record *record, struct oxv_connection_secret *secret,
           struct oxv_err *err)
{
    const struct oxv_msg_named_box *msg = request->fields;
    enum oxv_status st = oxv_connection_from_box(box->head.payload, record, secret, err);

    if (st == OXV_OK && !oxv_view_equals(record->name, msg->name)) {
        return oxv_fail(err, OXV_E_DENIED, "the box was sealed for a connection of another name");
    }
    return st;
}

/* The token is asked first; the answer comes turns later. The box was read before. */
static void
add_in_token(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_opened_box *box)
{
    struct oxv_token_op *op = oxv_token_op_new(k, request, OXV_ENTRY_CONNECTION_ADD, box);
    struct oxv_err err = { 0 };

    if (op == NULL) {
        return;
    }
    if (oxv_connection_from_box(op->box.head.payload, &op->record, &op->secret, &err) != OXV_OK) {
        oxv_bug("a box that was read before");
    }
    op->record.created_us = k->now_us;
    oxv_connection_put_in_token(k, op);
}

void
oxv_admin_connection_add(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_named_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_connection_record record = { 0 };
    struct oxv_connection_secret secret = { 0 };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_CONNECTION_ADD, &box, &err) !=
            OXV_OK ||
        read_added(request, &box, &record, &secret, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_CONNECTION_ADD, &err);
        return;
    }
    if (record.key_form != OXV_KEY_IN_VAULT) {
        add_in_token(k, request, &box);
        return;
    }
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    record.created_us = k->now_us;
    if (oxv_change_put(c.change, OXV_TABLE_CONNECTION, &id, &record, &secret, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_CONNECTION_ADD, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_CONNECTION_ADD, .connection = record.name };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, record.name);
    }
}

void
oxv_admin_connection_remove(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_name *msg = request->fields;
    const struct oxv_connection *connection = find_or_answer(k, request);
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (connection == NULL || !oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    uint64_t id = connection->id;
    OXV_AUTO(oxv_connection_copy_done) struct oxv_connection_copy old = { 0 };
    bool has_old = oxv_connection_copy(k, id, &old);

    if (oxv_change_remove(c.change, OXV_TABLE_CONNECTION, id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_CONNECTION_REMOVE, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_CONNECTION_REMOVE, .connection = msg->name };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        if (has_old) {
            oxv_connection_give_up_key(k, &old, id);
        }
        oxv_admin_answer_id(k, request, id, msg->name);
    }
}
