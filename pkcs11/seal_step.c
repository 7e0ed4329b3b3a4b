#include "pkcs11/ckr.h"
#include "pkcs11/seal_impl.h"

static const struct oxv_p11_step_ops *const steps[] = {
    &oxv_p11_step_aes_gcm,  &oxv_p11_step_aes_kwp, &oxv_p11_step_oaep_sha256,
    &oxv_p11_step_kwp_wrap, &oxv_p11_step_ecdh,    &oxv_p11_step_oaep_sha1,
    &oxv_p11_step_pkcs1,
};

const struct oxv_p11_step_ops *
oxv_p11_step_of(enum oxv_token_mechanism mechanism)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i]->mechanism == mechanism) {
            return steps[i];
        }
    }
    return NULL;
}

static CK_RV
mechanism_flags(struct oxv_p11_op *op, CK_MECHANISM_TYPE type, CK_FLAGS *flags)
{
    CK_MECHANISM_INFO info = { 0 }; /* SoftHSM 2.6.1 only adds bits to what is there */
    CK_RV rv = op->calls->C_GetMechanismInfo(op->token->slot, type, &info);

    *flags = info.flags;
    op->is_soiled = op->is_soiled || rv != CKR_OK;
    return rv;
}

enum oxv_token_trouble
oxv_p11_step_listed(struct oxv_p11_op *op, const struct oxv_p11_step_ops *ops,
                    struct oxv_p11_fault *fault)
{
    CK_FLAGS flags;
    CK_RV rv = mechanism_flags(op, ops->ckm, &flags);

    if (rv != CKR_OK && ops->mechanism == OXV_TOKEN_AES_KWP_WRAP) {
        rv = mechanism_flags(op, OXV_CKM_AES_KEY_WRAP_KWP, &flags);
    }
    if (rv != CKR_OK) {
        (void)oxv_p11_call_failed(fault, "not listed by the token", rv);
        fault->trouble = OXV_TOKEN_UNFIT; /* whatever code it has for that */
        return OXV_TOKEN_UNFIT;
    }
    return (flags & ops->flags) == ops->flags
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_MECHANISM_INVALID,
                               "listed by the token, but not to encrypt");
}

static enum oxv_token_trouble
prove_round_trip(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_writer *blob,
                 struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *made = NULL;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *back = NULL;
    enum oxv_token_trouble t = step->ops->seal(op, step, &made, blob, fault);

    if (t == OXV_TOKEN_FINE && blob->failed) {
        t = oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "what it makes is too long");
    }
    if (t == OXV_TOKEN_FINE) {
        t = step->ops->open(op, step, oxv_view(blob->data, blob->len), &back, fault);
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (!oxv_secret_equals(made, oxv_secret_view(back))) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the token gives another value than the one that was sealed");
    }
    *value = oxv_secret_take(&made);
    return OXV_TOKEN_FINE;
}

/* What tokens answer to a blob that was changed; anything else would fail a good one too. */
static bool
is_about_blob(const struct oxv_p11_fault *fault)
{
    return (fault->trouble == OXV_TOKEN_DATA && fault->ckr != CKR_MECHANISM_INVALID) ||
           fault->ckr == CKR_GENERAL_ERROR || fault->ckr == CKR_FUNCTION_FAILED ||
           fault->ckr == CKR_DATA_INVALID || fault->ckr == CKR_DATA_LEN_RANGE;
}

static enum oxv_token_trouble
prove_still_opens(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
                  const struct oxv_secret *value, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *back = NULL;
    enum oxv_token_trouble t = step->ops->open(op, step, blob, &back, fault);

    if (t != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, "once more, after a damaged one");
    }
    return oxv_secret_equals(value, oxv_secret_view(back))
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                               "the token gives another value the second time");
}

/* One bit of the blob is wrong: it must not open, or at least not give the value. */
static enum oxv_token_trouble
prove_damage(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
             const struct oxv_secret *value, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *back = NULL;
    enum oxv_token_trouble opened = step->ops->open(op, step, blob, &back, fault);

    if (opened != OXV_TOKEN_FINE && !is_about_blob(fault)) {
        return oxv_p11_fault_prefix(fault, "opening what was damaged");
    }
    enum oxv_token_trouble t = oxv_p11_op_renew(op, fault);

    if (opened != OXV_TOKEN_FINE) {
        return t;
    }
    if (step->ops->may_differ && !oxv_secret_equals(value, oxv_secret_view(back))) {
        return t;
    }
    return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                         "the token opens what was damaged: it does not authenticate");
}

/*
 * Where the host refuses what is damaged (a point off the curve) the token is not asked by it: a
 * second blob must give its own value.
 */
static enum oxv_token_trouble
prove_second(struct oxv_p11_op *op, const struct oxv_p11_step *step, const struct oxv_secret *first,
             struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *second = NULL;
    uint8_t bytes[OXV_TOKEN_BLOB_MAX_BYTES];
    struct oxv_writer blob = oxv_writer(bytes, sizeof bytes);
    enum oxv_token_trouble t = prove_round_trip(op, step, &blob, &second, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    return oxv_secret_equals(first, oxv_secret_view(second))
               ? oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "two seals hold one value")
               : oxv_p11_op_renew(op, fault);
}

static enum oxv_token_trouble
prove_damages(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_writer *blob,
              const struct oxv_secret *value, struct oxv_p11_fault *fault)
{
    const size_t flips[] = { blob->len / 2, blob->len - 1 };

    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        blob->data[flips[i]] ^= 1;
        enum oxv_token_trouble t =
            prove_damage(op, step, oxv_view(blob->data, blob->len), value, fault);

        blob->data[flips[i]] ^= 1;
        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    return OXV_TOKEN_FINE;
}

enum oxv_token_trouble
oxv_p11_step_prove(struct oxv_p11_op *op, const struct oxv_p11_step *step,
                   struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = NULL;
    uint8_t bytes[OXV_TOKEN_BLOB_MAX_BYTES];
    struct oxv_writer blob = oxv_writer(bytes, sizeof bytes);
    enum oxv_token_trouble t = prove_round_trip(op, step, &blob, &value, fault);

    if (t == OXV_TOKEN_FINE && step->ops->prove != NULL) {
        t = step->ops->prove(op, step, fault);
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = step->ops->mechanism == OXV_TOKEN_ECDH ? prove_second(op, step, value, fault)
                                               : prove_damages(op, step, &blob, value, fault);
    return t == OXV_TOKEN_FINE
               ? prove_still_opens(op, step, oxv_view(blob.data, blob.len), value, fault)
               : t;
}
