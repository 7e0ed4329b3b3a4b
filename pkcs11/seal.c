#include "pkcs11/seal.h"

#include "base/text.h"
#include "base/token_names.h"
#include "pkcs11/leftovers.h"
#include "pkcs11/seal_impl.h"

struct sealing {
    const struct oxv_p11_seal_request *request;
    struct oxv_p11_sealed *out;
    struct oxv_secret **value;
    bool had_key; /* there was one to try with */
};

static bool
is_allowed(const struct oxv_p11_seal_request *request, enum oxv_token_mechanism mechanism)
{
    if (request->mechanism != 0) {
        return request->mechanism == mechanism;
    }
    return (mechanism != OXV_TOKEN_RSA_OAEP_SHA1 || request->allow_oaep_sha1) &&
           (mechanism != OXV_TOKEN_RSA_PKCS1 || request->allow_pkcs1);
}

/* What is pinned. */
static void
describe(const struct oxv_p11_step *step, struct oxv_p11_sealed *out)
{
    *out = (struct oxv_p11_sealed){ .mechanism = step->ops->mechanism,
                                    .key_id_len = step->key.id_len };
    if (out->mechanism == OXV_TOKEN_AES_GCM) {
        out->gcm_iv = step->gcm_iv;
    }
    memcpy(out->key_id, step->key.id, step->key.id_len);
    if (step->key.public_key != NULL) {
        oxv_p11_public_hash(step->key.public_key, out->key_hash);
        out->key_hash_len = sizeof out->key_hash;
    }
}

static enum oxv_token_trouble
seal_proven(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct sealing *s,
            struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = NULL;
    struct oxv_p11_sealed sealed;

    describe(step, &sealed);
    struct oxv_writer blob = oxv_writer(sealed.blob, sizeof sealed.blob);
    enum oxv_token_trouble t = step->ops->seal(op, step, &value, &blob, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (blob.failed || oxv_secret_len(value) != OXV_TOKEN_VALUE_BYTES) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "what it makes has another length");
    }
    sealed.blob_len = blob.len;
    *s->out = sealed;
    *s->value = oxv_secret_take(&value);
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
with_key(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct sealing *s,
         struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = oxv_p11_op_renew(op, fault);

    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_step_prove(op, step, fault);
    }
    return t == OXV_TOKEN_FINE ? seal_proven(op, step, s, fault) : t;
}

static enum oxv_token_trouble
try_step(struct oxv_p11_op *op, const struct oxv_p11_step_ops *ops, struct sealing *s,
         struct oxv_p11_fault *fault)
{
    struct oxv_p11_step step = { .ops = ops, .gcm_iv = s->request->gcm_iv };
    enum oxv_token_trouble t = oxv_p11_step_listed(op, ops, fault);

    if (step.gcm_iv == 0) {
        step.gcm_iv = OXV_TOKEN_GCM_IV_HOST;
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = s->request->generate
            ? oxv_p11_seal_key_make(op, ops->kind, true, &step.key, fault)
            : oxv_p11_seal_key_find(op, ops->kind, s->request->key_id, &step.key, fault);
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    s->had_key = true;
    t = with_key(op, &step, s, fault);
    if (t != OXV_TOKEN_FINE) {
        oxv_p11_seal_key_destroy(op, &step.key);
    }
    oxv_p11_seal_key_done(&step.key);
    return t;
}

/* A token that is gone fails in every step, and in this too. */
static CK_RV
device_answers(struct oxv_p11_op *op)
{
    CK_TOKEN_INFO info = { 0 };

    return op->calls->C_GetTokenInfo(op->token->slot, &info);
}

/* Why each step did not work, in one line. */
struct reasons {
    char text[OXV_P11_FAULT_TEXT_MAX_BYTES - 100];
    struct oxv_writer w;
    CK_RV last;
};

static void
add_reason(struct reasons *r, const struct oxv_p11_step_ops *ops, const struct oxv_p11_fault *fault)
{
    oxv_write_text(&r->w, r->w.len == 0 ? "" : "; ");
    oxv_write_text(&r->w, oxv_token_mechanism_name(ops->mechanism));
    oxv_write_text(&r->w, ": ");
    oxv_write_text(&r->w, fault->text);
    r->last = fault->ckr;
}

/* These are about the request or the person, not about the step. */
static bool
ends_ladder(enum oxv_token_trouble trouble)
{
    return trouble == OXV_TOKEN_AMBIGUOUS || trouble == OXV_TOKEN_BUSY ||
           trouble == OXV_TOKEN_PIN || trouble == OXV_TOKEN_NEEDS_PIN;
}

static enum oxv_token_trouble
nothing_works(const struct reasons *r, bool had_key, struct oxv_p11_fault *fault)
{
    char text[sizeof r->text + 1];

    memcpy(text, r->text, r->w.len);
    text[r->w.len] = '\0';
    return had_key
               ? oxv_p11_fault(fault, OXV_TOKEN_UNFIT, r->last, "this token cannot seal: %s", text)
               : oxv_p11_fault(fault, OXV_TOKEN_NO_KEY, CKR_OK,
                               "the token has no key to seal with (--generate makes one): %s",
                               text);
}

static enum oxv_token_trouble
seal_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    struct sealing *s = ctx;
    struct reasons reasons = { 0 };

    reasons.w = oxv_writer(reasons.text, sizeof reasons.text);
    for (enum oxv_token_mechanism m = OXV_TOKEN_AES_GCM; m < OXV_TOKEN_MECHANISM_END; m++) {
        if (!is_allowed(s->request, m)) {
            continue;
        }
        const struct oxv_p11_step_ops *ops = oxv_p11_step_of(m);
        enum oxv_token_trouble t = try_step(op, ops, s, fault);

        if (t == OXV_TOKEN_FINE || ends_ladder(t)) {
            return t;
        }
        add_reason(&reasons, ops, fault);
        CK_RV rv = device_answers(op);

        if (rv != CKR_OK) {
            return oxv_p11_call_failed(fault, "C_GetTokenInfo", rv);
        }
        t = oxv_p11_op_renew(op, fault);
        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    return nothing_works(&reasons, s->had_key || s->request->generate, fault);
}

enum oxv_token_trouble
oxv_p11_seal(struct oxv_p11_token *token, const struct oxv_p11_seal_request *request,
             struct oxv_p11_sealed *out, struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    struct sealing s = { .request = request, .out = out, .value = value };

    if (request->generate && request->key_id.len > 0) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "a key is either made or named, not both");
    }
    enum oxv_token_trouble t =
        oxv_p11_run(token, OXV_P11_RUN_RW | OXV_P11_RUN_PROVES, seal_op, &s, fault);

    oxv_p11_leftovers_sweep(token, t != OXV_TOKEN_FINE);
    return t;
}

struct opening {
    const struct oxv_p11_sealed *sealed;
    struct oxv_secret **value;
};

/*
 * Whatever is wrong with a blob, or with the key under its id, is told in the same words, and
 * without the code: bad padding and a wrong length must not differ (PKCS#1 v1.5).
 */
static enum oxv_token_trouble
does_not_open(struct oxv_p11_fault *fault)
{
    return oxv_p11_fault(
        fault, OXV_TOKEN_DATA, CKR_OK,
        "the token does not open this seal: it was changed, or the token's key was "
        "replaced");
}

static enum oxv_token_trouble
check_key(const struct oxv_p11_seal_key *key, const struct oxv_p11_sealed *sealed,
          struct oxv_p11_fault *fault)
{
    uint8_t hash[32];

    if (key->public_key == NULL) {
        return sealed->key_hash_len == 0 ? OXV_TOKEN_FINE : does_not_open(fault);
    }
    oxv_p11_public_hash(key->public_key, hash);
    return sealed->key_hash_len == sizeof hash && memcmp(hash, sealed->key_hash, sizeof hash) == 0
               ? OXV_TOKEN_FINE
               : does_not_open(fault);
}

static enum oxv_token_trouble
open_with(struct oxv_p11_op *op, const struct oxv_p11_step *step, const struct opening *o,
          struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = NULL;
    struct oxv_view blob = oxv_view(o->sealed->blob, o->sealed->blob_len);
    enum oxv_token_trouble t;

    fault->ckr = CKR_OK;
    t = check_key(&step->key, o->sealed, fault);
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_op_renew(op, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = step->ops->open(op, step, blob, &value, fault);
    }
    if (t == OXV_TOKEN_DATA ||
        (t == OXV_TOKEN_FINE && oxv_secret_len(value) != OXV_TOKEN_VALUE_BYTES)) {
        return does_not_open(fault);
    }
    if (t == OXV_TOKEN_FINE) {
        *o->value = oxv_secret_take(&value);
    }
    return t;
}

static enum oxv_token_trouble
open_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    const struct opening *o = ctx;
    struct oxv_p11_step step = { .ops = oxv_p11_step_of(o->sealed->mechanism),
                                 .gcm_iv = o->sealed->gcm_iv };
    enum oxv_token_trouble t =
        oxv_p11_seal_key_find(op, step.ops->kind,
                              oxv_view(o->sealed->key_id, o->sealed->key_id_len), &step.key, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = open_with(op, &step, o, fault);
    oxv_p11_seal_key_done(&step.key);
    return t;
}

enum oxv_token_trouble
oxv_p11_unseal(struct oxv_p11_token *token, const struct oxv_p11_sealed *sealed,
               struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    struct opening o = { .sealed = sealed, .value = value };
    bool is_gcm = sealed->mechanism == OXV_TOKEN_AES_GCM;

    if (oxv_p11_step_of(sealed->mechanism) == NULL || sealed->key_id_len == 0 ||
        is_gcm != (sealed->gcm_iv != 0)) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "the seal names no mechanism, IV or key that we know");
    }
    enum oxv_token_trouble t =
        oxv_p11_run(token, OXV_P11_RUN_DATA | OXV_P11_RUN_PROVES, open_op, &o, fault);

    return t == OXV_TOKEN_DATA ? does_not_open(fault) : t;
}
