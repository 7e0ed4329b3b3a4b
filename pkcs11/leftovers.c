#include "pkcs11/leftovers.h"

#include "pkcs11/objects.h"

void
oxv_p11_destroy_made(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_view id)
{
    oxv_p11_lock(&op->token->objects);
    CK_RV rv = op->calls->C_DestroyObject(op->session, object);

    oxv_p11_unlock(&op->token->objects);
    if (rv != CKR_OK) {
        op->is_soiled = true;
        oxv_p11_leftovers_add(op->token, id);
    }
}

void
oxv_p11_leftovers_add(struct oxv_p11_token *token, struct oxv_view id)
{
    if (id.len != OXV_TOKEN_KEY_ID_BYTES) {
        return; /* not one of our random ones: it may be another's */
    }
    oxv_p11_lock(&token->keys_lock);
    if (token->leftover_count < OXV_P11_LEFTOVERS_MAX) {
        memcpy(token->leftovers[token->leftover_count++], id.data, id.len);
    }
    oxv_p11_unlock(&token->keys_lock);
}

struct sweeping {
    uint8_t ids[OXV_P11_LEFTOVERS_MAX][OXV_TOKEN_KEY_ID_BYTES];
    size_t count;
    bool was_refused; /* something would not go */
};

static enum oxv_token_trouble
sweep_id(struct oxv_p11_op *op, struct sweeping *s, struct oxv_view id, struct oxv_p11_fault *fault)
{
    struct oxv_p11_template what = { 0 };
    struct oxv_p11_found found;

    oxv_p11_template_bytes(&what, CKA_ID, id);
    enum oxv_token_trouble t = oxv_p11_find(op, &what, &found, fault);

    for (size_t n = 0; t == OXV_TOKEN_FINE && n < found.count; n++) {
        if (!oxv_p11_is_ours(op, found.objects[n])) {
            continue;
        }
        oxv_p11_lock(&op->token->objects);
        bool gone = op->calls->C_DestroyObject(op->session, found.objects[n]) == CKR_OK;

        oxv_p11_unlock(&op->token->objects);
        if (!gone) {
            s->was_refused = true;
            t = oxv_p11_op_renew(op, fault);
        }
    }
    return t;
}

static enum oxv_token_trouble
sweep_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    struct sweeping *s = ctx;
    enum oxv_token_trouble t = OXV_TOKEN_FINE;

    s->was_refused = false;
    for (size_t i = 0; t == OXV_TOKEN_FINE && i < s->count; i++) {
        t = sweep_id(op, s, oxv_view(s->ids[i], sizeof s->ids[i]), fault);
    }
    return t;
}

/* Nobody could log in again at a PIN pad. */
static bool
has_pin_pad(struct oxv_p11_token *token)
{
    struct oxv_p11_status status;

    oxv_p11_token_status(token, &status);
    return status.has_pin_pad;
}

static void
take_leftovers(struct oxv_p11_token *token, struct sweeping *out)
{
    oxv_p11_lock(&token->keys_lock);
    out->count = token->leftover_count;
    memcpy(out->ids, token->leftovers, sizeof out->ids);
    token->leftover_count = 0;
    oxv_p11_unlock(&token->keys_lock);
}

void
oxv_p11_leftovers_sweep(struct oxv_p11_token *token, bool may_recover)
{
    struct sweeping s = { 0 };
    struct oxv_p11_fault fault;

    if (oxv_p11_token_next_try_us(token) != 0) {
        return;
    }
    take_leftovers(token, &s);
    if (s.count == 0) {
        return;
    }
    enum oxv_token_trouble t = oxv_p11_run(token, OXV_P11_RUN_RW, sweep_op, &s, &fault);

    bool waits = s.was_refused && !may_recover;

    if (t == OXV_TOKEN_FINE && s.was_refused && may_recover && !has_pin_pad(token)) {
        oxv_p11_write_lock(token);
        t = oxv_p11_recover_locked(token, &fault);
        oxv_p11_release(token);
        if (t == OXV_TOKEN_FINE) {
            t = oxv_p11_run(token, OXV_P11_RUN_RW, sweep_op, &s, &fault);
        }
    }
    for (size_t i = 0; (waits || t == OXV_TOKEN_ABSENT) && i < s.count; i++) {
        oxv_p11_leftovers_add(token, oxv_view(s.ids[i], sizeof s.ids[i]));
    }
}
