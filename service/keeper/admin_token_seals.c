/* Requests of the admin door about seals of kind token: they wait for a token. */
#include <stdlib.h>

#include "service/keeper/state.h"
#include "service/keeper/token_ops.h"
#include "service/keeper/token_seal.h"

static void
answer_open(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_request request = oxv_token_op_request(k, op);
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "state", "open");
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request.reply, &doc);
    oxv_token_op_done(k, op);
}

static void
answer_unopened(struct oxv_keeper *k, struct oxv_token_op *op, const struct oxv_entry *entry,
                const struct oxv_err *err)
{
    struct oxv_request request = oxv_token_op_request(k, op);

    if (!oxv_keeper_is_open(k)) {
        oxv_state_note_failure(k, entry, err->status);
    }
    oxv_answer_error(k, &request.reply, err);
    oxv_token_op_done(k, op);
}

static void
unseal_value(struct oxv_keeper *k, void *ctx, struct oxv_secret *value, uint64_t seal_id,
             const struct oxv_err *failed)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *owned = value;
    struct oxv_token_op *op = ctx;
    struct oxv_seal_input input = { .kind = OXV_SEAL_TOKEN, .token_value = owned };
    struct oxv_entry entry = { .uid_plus1 = op->uid + 1,
                               .door = oxv_view_text(oxv_door_name(op->door)) };
    struct oxv_err err = { 0 };

    if (oxv_keeper_is_open(k)) { /* someone was faster */
        answer_open(k, op);
        return;
    }
    if (owned == NULL) {
        answer_unopened(k, op, &entry, failed);
        return;
    }
    if (k->has_to_stop_answering || k->stopping) {
        (void)oxv_fail(&err, OXV_E_BUSY, "the service is stopping");
        answer_unopened(k, op, &entry, &err);
        return;
    }
    if (oxv_state_unseal(k, &input, seal_id, &entry, &err) != OXV_OK) {
        answer_unopened(k, op, &entry, &err);
        return;
    }
    oxv_state_tell(k, OXV_MSG_STATE);
    oxv_token_op_publish(k, op, answer_open);
}

void
oxv_admin_unseal_by_token(struct oxv_keeper *k, const struct oxv_request *request,
                          struct oxv_opened_box *box)
{
    struct oxv_box_unseal fields = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_fields_decode(box->head.payload, &oxv_box_unseal_shape, &fields, &err) != OXV_OK) {
        oxv_answer_error(k, &request->reply, &err);
        return;
    }
    struct oxv_token_op *op = oxv_token_op_new(k, request, OXV_ENTRY_VAULT_UNSEAL, box);

    if (op != NULL) {
        oxv_seal_value(k, fields.seal_id, oxv_token_wish_of(fields.material), unseal_value, op);
    }
}

static struct oxv_box_seal_add
read_box(const struct oxv_token_op *op)
{
    struct oxv_box_seal_add box = { 0 };

    if (oxv_fields_decode(op->box.head.payload, &oxv_box_seal_add_shape, &box, NULL) != OXV_OK) {
        oxv_bug("a box that was decoded before");
    }
    return box;
}

/* Both materials are there. */
static void
add_seal(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_box_seal_add box = read_box(op);
    struct oxv_seal_record record =
        box.kind == OXV_SEAL_TOKEN ? op->sealed->record : oxv_seal_record_of(k, &box);
    struct oxv_seal_input existing =
        oxv_seal_input_of((enum oxv_seal_kind)box.existing_kind, op->existing);
    struct oxv_seal_input added = oxv_seal_input_of((enum oxv_seal_kind)box.kind, op->added);

    if (!oxv_token_op_may_go_on(k, op)) {
        return;
    }
    struct oxv_request request = oxv_token_op_request(k, op);

    oxv_admin_seal_store(k, &request, &existing, &added, &record);
    oxv_token_op_done(k, op);
}

static void
seal_made(struct oxv_keeper *k, void *ctx, struct oxv_secret *value, const struct oxv_err *err)
{
    struct oxv_token_op *op = ctx;

    op->added = value;
    if (value == NULL) {
        oxv_token_op_refuse(k, op, err);
        return;
    }
    add_seal(k, op);
}

static void
new_seal_ready(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, uint64_t trouble)
{
    struct oxv_token_op *op = ctx;
    struct oxv_box_seal_add box = read_box(op);
    struct oxv_msg_helper_seal how = { .key_id = box.key_id,
                                       .generate = box.generate,
                                       .mechanism = box.mechanism,
                                       .gcm_iv = box.gcm_iv,
                                       .allow_oaep_sha1 = box.allow_oaep_sha1,
                                       .allow_pkcs1 = box.allow_pkcs1 };

    if (trouble != OXV_TOKEN_FINE) {
        oxv_token_op_refuse_trouble(k, op, trouble, oxv_view_text(h->text));
        return;
    }
    oxv_seal_make(k, h, &how, op->sealed, (struct oxv_seal_then){ seal_made, op });
}

/* The existing seal is open: now the new one. */
static void
make_new(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_box_seal_add box = read_box(op);
    struct oxv_err err = { 0 };

    if (box.kind != OXV_SEAL_TOKEN) {
        op->added = oxv_secret_copy(box.material);
        if (op->added == NULL) {
            (void)oxv_fail(&err, OXV_E_MEMORY, "no locked memory left");
            oxv_token_op_refuse(k, op, &err);
            return;
        }
        add_seal(k, op);
        return;
    }
    struct oxv_seal_input existing =
        oxv_seal_input_of((enum oxv_seal_kind)box.existing_kind, op->existing);

    /* Before a key is made in the token, where it would stay. */
    if (oxv_vault_check_seal(k->vault, &existing, box.existing_id, &err) != OXV_OK) {
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    struct oxv_helper *h = oxv_token_op_find_or_make(k, op, box.module, box.uri);

    if (h != NULL) {
        oxv_token_want(k, h, oxv_token_wish_of(box.material), new_seal_ready, op);
    }
}

static void
existing_value(struct oxv_keeper *k, void *ctx, struct oxv_secret *value, uint64_t seal_id,
               const struct oxv_err *err)
{
    struct oxv_token_op *op = ctx;

    (void)seal_id;
    op->existing = value;
    if (value == NULL) {
        oxv_token_op_refuse(k, op, err);
        return;
    }
    make_new(k, op);
}

void
oxv_admin_seal_add_by_token(struct oxv_keeper *k, const struct oxv_request *request,
                            struct oxv_opened_box *box)
{
    struct oxv_token_op *op = oxv_token_op_new(k, request, OXV_ENTRY_SEAL_ADD, box);
    struct oxv_err err = { 0 };

    if (op == NULL) {
        return;
    }
    struct oxv_box_seal_add fields = read_box(op);

    op->sealed = calloc(1, sizeof *op->sealed);
    if (op->sealed == NULL) {
        (void)oxv_fail(&err, OXV_E_MEMORY, "no memory left");
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    if (fields.existing_kind == OXV_SEAL_TOKEN) {
        struct oxv_token_wish wish = oxv_token_wish_of(fields.existing_material);

        wish.proves = true; /* the service is logged in: who asks might know nothing */
        oxv_seal_value(k, fields.existing_id, wish, existing_value, op);
        return;
    }
    op->existing = oxv_secret_copy(fields.existing_material);
    if (op->existing == NULL) {
        (void)oxv_fail(&err, OXV_E_MEMORY, "no locked memory left");
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    make_new(k, op);
}
