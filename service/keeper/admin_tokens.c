/* Requests of the admin door about tokens that sign for connections. */
#include "base/token_names.h"
#include "service/keeper/events.h"
#include "service/keeper/publish.h"
#include "service/keeper/software_mac.h"
#include "service/keeper/token_ops.h"
#include "service/keeper/token_pins.h"

#define PUBLIC_HASH_BYTES 32u

void
oxv_admin_tokens(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_token_docs_write(k, &doc, false);
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

static void
answer_added(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_request request = oxv_token_op_request(k, op);
    const struct oxv_token *t =
        oxv_keeper_is_open(k) ? oxv_vault_token_by_id(k->vault, op->row_id) : NULL;
    uint8_t hash[PUBLIC_HASH_BYTES];

    if (t == NULL) {
        oxv_answer_problem(k, &request.reply, "not_found", "the token was removed meanwhile");
        oxv_token_op_done(k, op);
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);
    bool has_pair = t->record.public_key.len > 0;

    oxv_doc_object(&doc, NULL);
    oxv_doc_integer(&doc, "id", t->id);
    oxv_doc_text(&doc, "token_uri", t->record.token_uri);
    oxv_doc_cstring(&doc, "form", oxv_key_form_name(has_pair ? OXV_KEY_UNWRAP : OXV_KEY_TOKEN));
    if (has_pair && oxv_sha256(t->record.public_key, hash)) {
        oxv_doc_cstring(&doc, "oaep", oxv_token_oaep_name(t->record.oaep));
        oxv_doc_hex(&doc, "public_key_sha256", oxv_view(hash, sizeof hash));
    }
    oxv_doc_bool(&doc, "added", !op->was_there);
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request.reply, &doc);
    oxv_token_op_done(k, op);
}

/* The row as it is now, or a new one. `pair` is NULL where keys are made as objects of the token.
 */
static enum oxv_status
fill_record(struct oxv_keeper *k, struct oxv_token_op *op, const struct oxv_msg_helper_public *pair,
            struct oxv_token_record *out, struct oxv_err *err)
{
    const struct oxv_token *row = oxv_vault_token_by_uri(k->vault, oxv_view_text(op->helper->uri));

    op->was_there = row != NULL;
    op->row_id = row != NULL ? row->id : 0;
    if (row == NULL && oxv_vault_count(k->vault, OXV_TABLE_TOKEN) >= OXV_TOKEN_ROWS_MAX) {
        return oxv_fail(err, OXV_E_LIMIT, "there are %u tokens already", OXV_TOKEN_ROWS_MAX);
    }
    *out = row != NULL ? row->record
                       : (struct oxv_token_record){ .created_us = k->now_us,
                                                    .module = oxv_view_text(op->helper->module),
                                                    .token_uri = oxv_view_text(op->helper->uri) };
    if (pair != NULL && out->public_key.len == 0) {
        out->pair_id = pair->key_id;
        out->public_key = pair->public_key;
        out->oaep = pair->oaep;
    }
    return OXV_OK;
}

/* A change is worth it for a new row, and for a pair where there was none. */
static bool
says_something_new(const struct oxv_keeper *k, const struct oxv_token_op *op,
                   const struct oxv_token_record *record)
{
    const struct oxv_token *row = oxv_vault_token_by_id(k->vault, op->row_id);

    return row == NULL || row->record.public_key.len != record->public_key.len;
}

static void
store(struct oxv_keeper *k, struct oxv_token_op *op, const struct oxv_msg_helper_public *pair)
{
    struct oxv_token_record record = { 0 };
    struct oxv_entry entry = { .type = OXV_ENTRY_TOKEN_ADD,
                               .reason = oxv_view_text(op->helper->label) };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (!oxv_token_op_may_go_on(k, op)) {
        return;
    }
    struct oxv_request request = oxv_token_op_request(k, op);

    if (fill_record(k, op, pair, &record, &err) != OXV_OK) {
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    if (!says_something_new(k, op, &record)) {
        oxv_token_op_publish(k, op, answer_added);
        return;
    }
    if (!oxv_admin_change_begin(&c, k, &request)) {
        oxv_token_op_done(k, op);
        return;
    }
    if (oxv_change_put(c.change, OXV_TABLE_TOKEN, &op->row_id, &record, NULL, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_TOKEN_ADD, &err);
        oxv_token_op_done(k, op);
        return;
    }
    if (!oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_token_op_done(k, op);
        return;
    }
    oxv_tokens_adopt(k);
    oxv_token_op_publish(k, op, answer_added);
}

static void
pair_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
          const struct oxv_call_result *result)
{
    struct oxv_token_op *op = ctx;

    if (result->trouble == OXV_TOKEN_FINE) {
        store(k, op, result->fields);
    } else if (result->trouble == OXV_TOKEN_UNFIT) {
        store(k, op, NULL); /* it cannot unwrap as we need it: its keys are made as objects */
    } else {
        oxv_token_on_trouble(k, h, result);
        oxv_token_op_refuse_trouble(k, op, result->trouble, result->text);
    }
}

static struct oxv_box_token_add
read_box(const struct oxv_token_op *op)
{
    struct oxv_box_token_add box = { 0 };

    if (oxv_fields_decode(op->box.head.payload, &oxv_box_token_add_shape, &box, NULL) != OXV_OK) {
        oxv_bug("a box that was decoded before");
    }
    return box;
}

static void
add_ready(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, uint64_t trouble)
{
    struct oxv_token_op *op = ctx;
    struct oxv_box_token_add box = read_box(op);
    struct oxv_msg_helper_pair message = { .key_id = box.pair_id, .allow_oaep_sha1 = 1 };
    struct oxv_token_record record = { 0 };
    struct oxv_err err = { 0 };

    if (trouble != OXV_TOKEN_FINE) {
        oxv_token_op_refuse_trouble(k, op, trouble, oxv_view_text(h->text));
        return;
    }
    if (!oxv_token_op_may_go_on(k, op)) {
        return;
    }
    if (fill_record(k, op, NULL, &record, &err) != OXV_OK) { /* before a pair is made */
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    if (box.objects_only != 0 || record.public_key.len > 0) {
        store(k, op, NULL);
    } else if (oxv_helper_call(k, h, OXV_MSG_HELPER_PAIR, &message,
                               (struct oxv_call_then){ pair_done, op }) != OXV_OK) {
        oxv_token_op_refuse_trouble(k, op, OXV_TOKEN_BUSY, oxv_view(NULL, 0));
    }
}

void
oxv_admin_token_add(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_box_token_add fields = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_TOKEN_ADD, &box, &err) != OXV_OK ||
        oxv_fields_decode(box.head.payload, &oxv_box_token_add_shape, &fields, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_TOKEN_ADD, &err);
        return;
    }
    struct oxv_token_op *op = oxv_token_op_new(k, request, OXV_ENTRY_TOKEN_ADD, &box);
    struct oxv_helper *h =
        op != NULL ? oxv_token_op_find_or_make(k, op, fields.module, fields.uri) : NULL;

    if (h != NULL) {
        oxv_token_want(k, h, oxv_token_wish_of(fields.pin), add_ready, op);
    }
}

static void
login_ready(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, uint64_t trouble)
{
    struct oxv_token_op *op = ctx;
    struct oxv_entry entry = { .type = OXV_ENTRY_TOKEN_LOGIN,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .uid_plus1 = op->uid + 1,
                               .door = oxv_view_text(oxv_door_name(op->door)),
                               .reason = oxv_view_text(h->label) };

    if (trouble != OXV_TOKEN_FINE) {
        oxv_token_op_refuse_trouble(k, op, trouble, oxv_view_text(h->text));
        return;
    }
    if (!oxv_token_op_may_go_on(k, op)) {
        return;
    }
    struct oxv_request request = oxv_token_op_request(k, op);
    struct oxv_writer doc = oxv_answer_begin(k);

    (void)oxv_event(k, &entry, NULL);
    oxv_doc_object(&doc, NULL);
    if (h->row_id != 0) {
        oxv_doc_integer(&doc, "id", h->row_id);
    }
    oxv_doc_cstring(&doc, "uri", h->uri);
    oxv_doc_cstring(&doc, "state", oxv_token_word(h));
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request.reply, &doc);
    oxv_token_op_done(k, op);
}

/* The token of a row, or with id 0 that of the first seal. */
static struct oxv_helper *
find_token(struct oxv_keeper *k, uint64_t id)
{
    struct oxv_helper *h = NULL;

    for (size_t i = 0; i < OXV_HELPERS_MAX && h == NULL; i++) {
        struct oxv_helper *item = k->tokens->items[i];

        if (item != NULL && (id != 0 ? item->row_id == id : item->seal_id != 0)) {
            h = item;
        }
    }
    return h;
}

void
oxv_admin_token_login(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_box_token_login fields = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_TOKEN_LOGIN, &box, &err) != OXV_OK ||
        oxv_fields_decode(box.head.payload, &oxv_box_token_login_shape, &fields, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_TOKEN_LOGIN, &err);
        return;
    }
    struct oxv_helper *h = find_token(k, fields.id);

    if (h == NULL) {
        oxv_answer_problem(k, &request->reply, "not_found", "there is no such token");
        return;
    }
    struct oxv_token_op *op = oxv_token_op_new(k, request, OXV_ENTRY_TOKEN_LOGIN, &box);

    if (op != NULL) {
        oxv_token_op_hold(op, h);
        oxv_token_want(k, h, oxv_token_wish_of(fields.pin), login_ready, op);
    }
}

void
oxv_admin_token_remove(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_id *msg = request->fields;
    const struct oxv_token *token = oxv_vault_token_by_id(k->vault, msg->id);
    struct oxv_helper *h = oxv_token_of_row(k, msg->id);
    struct oxv_entry entry = { .type = OXV_ENTRY_TOKEN_REMOVE };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (token == NULL) {
        oxv_answer_problem(k, &request->reply, "not_found", "there is no token of that id");
        return;
    }
    if (h != NULL) {
        entry.reason = oxv_view_text(h->label);
    }
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_remove(c.change, OXV_TABLE_TOKEN, msg->id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_TOKEN_REMOVE, &err);
        return;
    }
    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_tokens_adopt(k);
        if (oxv_keeper_publish(k, &err) != OXV_OK) {
            oxv_answer_error(k, &request->reply, &err);
            return;
        }
        oxv_admin_answer_id(k, request, msg->id, oxv_view(NULL, 0));
    }
}
