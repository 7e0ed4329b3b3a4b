/* Connections whose key goes into a token, or leaves one: the key is proven before the change. */
#include "service/keeper/connection_keys.h"

#include <sodium.h>

/* What was made for a request that fails goes again. */
static void
undo(struct oxv_keeper *k, struct oxv_token_op *op)
{
    if (op->loaded.key != 0) {
        oxv_key_drop(k, op->helper, &op->loaded,
                     op->is_made ? op->record.key_id : oxv_view(NULL, 0));
    }
}

static enum oxv_status
find_conflict(struct oxv_keeper *k, const struct oxv_token_op *op, struct oxv_err *err)
{
    const struct oxv_connection *c = oxv_vault_connection(k->vault, op->record.name);

    if (op->connection_id == 0 && c != NULL) {
        (void)oxv_fail(err, OXV_E_CONFLICT, "there is a connection of that name already");
    } else if (op->connection_id != 0 &&
               (c == NULL || c->id != op->connection_id || c->version != op->connection_version)) {
        (void)oxv_fail(err, OXV_E_CONFLICT, "the connection was changed meanwhile");
    }
    return err->status;
}

void
oxv_connection_give_up_key(struct oxv_keeper *k, struct oxv_connection_copy *copy,
                           uint64_t connection_id)
{
    const struct oxv_connection_record *old = &copy->record;
    struct oxv_helper *h = oxv_token_of_row(k, old->key_token);
    struct oxv_token_key *key = h != NULL ? oxv_token_key_find(h, connection_id) : NULL;

    if (h == NULL || old->key_form == OXV_KEY_IN_VAULT) {
        return;
    }
    if (old->key_form == OXV_KEY_TOKEN) {
        oxv_key_destroy(k, h, old, connection_id, oxv_secret_take(&copy->check));
    } else if (key != NULL && key->state == OXV_KEY_LOADED) {
        struct oxv_key_loaded loaded = { .key = key->key, .generation = key->generation };

        key->state = OXV_KEY_UNLOADED;
        oxv_key_drop(k, h, &loaded, oxv_view(NULL, 0));
    }
}

/* The key that the connection had; not where it is the very key that was just proven. */
static void
give_up_old(struct oxv_keeper *k, const struct oxv_token_op *op, struct oxv_connection_copy *copy)
{
    struct oxv_connection_record *old = &copy->record;

    if (op->record.key_form != OXV_KEY_IN_VAULT && old->key_form == OXV_KEY_TOKEN &&
        op->record.key_token == old->key_token && oxv_view_equals(op->record.key_id, old->key_id)) {
        old->key_form = OXV_KEY_PRE_PROVISIONED; /* its handle goes, the object stays */
    }
    oxv_connection_give_up_key(k, copy, op->connection_id);
}

static void
commit(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_request request = oxv_token_op_request(k, op);
    struct oxv_connection_secret secret = op->secret;
    struct oxv_entry entry = { .type = op->entry_type, .connection = op->record.name };
    OXV_AUTO(oxv_connection_copy_done) struct oxv_connection_copy old = { 0 };
    bool has_old = oxv_connection_copy(k, op->connection_id, &old);
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    uint64_t id = op->connection_id;

    if (op->record.key_form == OXV_KEY_TOKEN) {
        secret.key = oxv_view(NULL, 0); /* it is in the token now, and nowhere else */
    }
    if (!oxv_admin_change_begin(&c, k, &request)) {
        undo(k, op);
        oxv_token_op_done(k, op);
        return;
    }
    if (oxv_change_put(c.change, OXV_TABLE_CONNECTION, &id, &op->record, &secret, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, op->entry_type, &err);
        undo(k, op);
    } else if (oxv_admin_change_finish(&c, &entry, 1)) {
        if (has_old) {
            give_up_old(k, op, &old);
        }
        if (op->loaded.key != 0) {
            oxv_token_key_set(k, op->helper, id, &op->loaded);
        }
        oxv_admin_answer_id(k, &request, id, op->record.name);
    } else if (!k->has_to_end) { /* else the next start knows whether the change stands */
        undo(k, op);
    }
    oxv_token_op_done(k, op);
}

static void
key_loaded(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
           const struct oxv_key_loaded *loaded)
{
    struct oxv_token_op *op = ctx;
    struct oxv_err err = { 0 };

    if (loaded->trouble != OXV_TOKEN_FINE) {
        (void)oxv_token_fail(h, loaded->trouble, loaded->text, &err);
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    op->loaded = *loaded;
    op->loaded.text = oxv_view(NULL, 0);
    if (!oxv_keeper_is_open(k) || k->tokens->is_locking || k->stopping ||
        oxv_vault_admin_by_uid(k->vault, op->uid) == NULL) {
        undo(k, op);
        if (oxv_token_op_may_go_on(k, op)) {
            oxv_bug("a request that may and may not go on");
        }
        return;
    }
    if (find_conflict(k, op, &err) != OXV_OK) {
        undo(k, op);
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    commit(k, op);
}

static void
token_ready(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, uint64_t trouble)
{
    struct oxv_token_op *op = ctx;
    struct oxv_key_wanted wanted = { .record = &op->record };
    struct oxv_err err = { 0 };

    if (trouble != OXV_TOKEN_FINE) {
        oxv_token_op_refuse_trouble(k, op, trouble, oxv_view_text(h->text));
        return;
    }
    if (!oxv_token_op_may_go_on(k, op)) {
        return;
    }
    wanted.check = oxv_secret_copy(op->secret.check_value);
    if (op->record.key_form == OXV_KEY_UNWRAP) {
        wanted.blob = oxv_secret_copy(op->secret.key);
    } else if (op->secret.key.len > 0) {
        wanted.key = oxv_secret_copy(op->secret.key);
    }
    if (wanted.check == NULL ||
        (op->secret.key.len > 0 && wanted.blob == NULL && wanted.key == NULL)) {
        oxv_secret_freep(&wanted.check);
        (void)oxv_fail(&err, OXV_E_MEMORY, "no locked memory left");
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    op->is_made = wanted.key != NULL;
    oxv_key_load(k, h, &wanted, key_loaded, op);
}

/* What can be said before the token is asked. */
static enum oxv_status
check_before(struct oxv_keeper *k, const struct oxv_token_op *op, struct oxv_err *err)
{
    const struct oxv_token *token = oxv_vault_token_by_id(k->vault, op->record.key_token);

    if (token == NULL || oxv_token_of_row(k, op->record.key_token) == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "key_token: there is no token of that id");
    }
    if (op->record.key_form == OXV_KEY_UNWRAP && token->record.pair_id.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "that token has no pair that unwraps keys");
    }
    if (op->record.key_form == OXV_KEY_TOKEN && op->secret.key.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "key: missing; it is to be made in the token");
    }
    return find_conflict(k, op, err);
}

void
oxv_connection_put_in_token(struct oxv_keeper *k, struct oxv_token_op *op)
{
    struct oxv_err err = { 0 };

    if (check_before(k, op, &err) != OXV_OK) {
        oxv_token_op_refuse(k, op, &err);
        return;
    }
    struct oxv_helper *h = oxv_token_of_row(k, op->record.key_token);

    oxv_token_op_hold(op, h);
    oxv_token_want(k, h, (struct oxv_token_wish){ .is_asked = true }, token_ready, op);
}

/* All but where its key is must be as it was. */
static bool
is_same_but_key(const struct oxv_connection_record *a, const struct oxv_connection_record *b)
{
    return a->system == b->system && a->signature_method == b->signature_method &&
           oxv_view_equals(a->name, b->name) && oxv_view_equals(a->account_id, b->account_id) &&
           oxv_view_equals(a->consumer_key, b->consumer_key) &&
           oxv_view_equals(a->token_id, b->token_id) && oxv_view_equals(a->realm, b->realm) &&
           oxv_view_equals(a->role_id, b->role_id) &&
           oxv_view_equals(a->application_id, b->application_id) &&
           oxv_view_equals(a->origins, b->origins);
}

/* Does the key that was entered again make the check value that is stored of the old one? */
static bool
is_key_of_token(struct oxv_keeper *k, struct oxv_connection *c, struct oxv_view old_check,
                struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *blob = NULL;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *check = NULL;

    return oxv_vault_token_key(k->vault, c, &blob, &check, err) == OXV_OK &&
           oxv_secret_equals(check, old_check);
}

/* The same of a key in the vault, which makes the check value of the new place itself. */
static bool
is_key_of_vault(struct oxv_keeper *k, struct oxv_connection *c, const struct oxv_token_op *moved,
                struct oxv_err *err)
{
    uint8_t text[OXV_KEY_CHECK_MESSAGE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    uint8_t made[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;

    if (!oxv_key_check_message(&w, moved->record.key_id) ||
        oxv_vault_sign(k->vault, c, oxv_view(text, w.len), made, &len, err) != OXV_OK) {
        return false;
    }
    bool same = len == moved->secret.check_value.len &&
                sodium_memcmp(made, moved->secret.check_value.data, len) == 0;

    oxv_wipe(made, sizeof made);
    return same;
}

/* A mistyped secret would replace the only good key by one that signs wrongly. */
static enum oxv_status
check_secrets(struct oxv_keeper *k, struct oxv_connection *c, const struct oxv_opened_box *box,
              const struct oxv_token_op *moved, struct oxv_err *err)
{
    struct oxv_box_connection fields = { 0 };
    struct oxv_err why = { 0 };
    bool same = false;

    if (oxv_fields_decode(box->head.payload, &oxv_box_connection_shape, &fields, NULL) != OXV_OK) {
        oxv_bug("a box that was decoded before");
    }
    if (fields.new_secrets != 0) {
        return OXV_OK;
    }
    same = c->record.key_form == OXV_KEY_IN_VAULT ? is_key_of_vault(k, c, moved, &why)
                                                  : is_key_of_token(k, c, fields.old_check, &why);
    if (why.status != OXV_OK) {
        *err = why;
        return why.status;
    }
    return same ? OXV_OK
                : oxv_fail(err, OXV_E_DENIED,
                           "these secrets make another key than the connection has: nothing was "
                           "changed. If they are new, say --new-secrets");
}

static enum oxv_status
read_moved(struct oxv_keeper *k, const struct oxv_request *request,
           const struct oxv_opened_box *box, struct oxv_token_op *out, struct oxv_err *err)
{
    const struct oxv_msg_named_box *msg = request->fields;
    struct oxv_connection *c = oxv_vault_connection(k->vault, msg->name);
    enum oxv_status st =
        oxv_connection_from_box(box->head.payload, &out->record, &out->secret, err);

    if (st != OXV_OK) {
        return st;
    }
    if (c == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no connection of that name");
    }
    if (!is_same_but_key(&c->record, &out->record)) {
        return oxv_fail(err, OXV_E_DENIED,
                        "the box says something else of this connection than the vault: only where "
                        "its key is can be moved");
    }
    if (c->record.key_form == OXV_KEY_IN_VAULT && out->record.key_form == OXV_KEY_IN_VAULT) {
        return oxv_fail(err, OXV_E_CONFLICT, "its key is in the vault already");
    }
    out->record.created_us = c->record.created_us;
    out->connection_id = c->id;
    out->connection_version = c->version;
    return check_secrets(k, c, box, out, err);
}

void
oxv_admin_connection_move(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_named_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_token_op moved = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_CONNECTION_MOVE, &box, &err) !=
            OXV_OK ||
        read_moved(k, request, &box, &moved, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_CONNECTION_MOVE, &err);
        return;
    }
    struct oxv_token_op *op = oxv_token_op_new(k, request, OXV_ENTRY_CONNECTION_MOVE, &box);

    if (op == NULL) {
        return;
    }
    op->record = moved.record;
    op->secret = moved.secret;
    op->connection_id = moved.connection_id;
    op->connection_version = moved.connection_version;
    if (op->record.key_form == OXV_KEY_IN_VAULT) {
        commit(k, op);
    } else {
        oxv_connection_put_in_token(k, op);
    }
}

bool
oxv_connection_copy(struct oxv_keeper *k, uint64_t id, struct oxv_connection_copy *out)
{
    struct oxv_connection *c = id != 0 ? oxv_vault_connection_by_id(k->vault, id) : NULL;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *blob = NULL;
    struct oxv_writer w = oxv_writer(out->bytes, sizeof out->bytes);
    struct oxv_view bytes;

    if (c == NULL) {
        return false;
    }
    if (c->record.key_form == OXV_KEY_TOKEN &&
        oxv_vault_token_key(k->vault, c, &blob, &out->check, NULL) != OXV_OK) {
        out->check = NULL; /* no memory: then it is not destroyed, and the log says so */
    }
    oxv_fields_encode(&w, &oxv_connection_shape, &c->record);
    return oxv_writer_finish(&w, &bytes) == OXV_OK &&
           oxv_fields_decode(bytes, &oxv_connection_shape, &out->record, NULL) == OXV_OK;
}

void
oxv_connection_copy_done(struct oxv_connection_copy *copy)
{
    oxv_secret_freep(&copy->check);
}
