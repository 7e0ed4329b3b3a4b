#include "pkcs11/seal_impl.h"

#define KWP_BYTES 40u /* of 32 bytes, by RFC 5649; another length is another format */
#define OUT_BYTES 128u

/* 0x210A is RFC 5649 on SoftHSM and PKCS#7 with key wrap on NSS: the length tells. */
static const CK_MECHANISM_TYPE mechanisms[] = { OXV_CKM_AES_KEY_WRAP_KWP,
                                                OXV_CKM_AES_KEY_WRAP_PAD };

static uint8_t
low_byte(CK_MECHANISM_TYPE mechanism)
{
    return (uint8_t)(mechanism & 0xff);
}

static void
value_template(struct oxv_p11_template *t)
{
    *t = (struct oxv_p11_template){ 0 };
    oxv_p11_template_number(t, CKA_CLASS, CKO_SECRET_KEY);
    oxv_p11_template_number(t, CKA_KEY_TYPE, CKK_GENERIC_SECRET);
    oxv_p11_template_flag(t, CKA_TOKEN, false);
    oxv_p11_template_flag(t, CKA_PRIVATE, true);
    oxv_p11_template_flag(t, CKA_SENSITIVE, false);
    oxv_p11_template_flag(t, CKA_EXTRACTABLE, true);
}

static enum oxv_token_trouble
wrap_with(struct oxv_p11_op *op, const struct oxv_p11_step *step, CK_MECHANISM_TYPE type,
          struct oxv_view plain, struct oxv_writer *blob)
{
    CK_MECHANISM mechanism = { .mechanism = type };
    struct oxv_p11_template t;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    uint8_t out[OUT_BYTES];
    CK_ULONG len = sizeof out;

    value_template(&t);
    oxv_p11_template_bytes(&t, CKA_VALUE, plain);
    oxv_p11_lock(&op->token->objects);
    CK_RV rv = op->calls->C_CreateObject(op->session, t.items, t.count, &object);

    oxv_p11_unlock(&op->token->objects);
    if (rv == CKR_OK) {
        rv = op->calls->C_WrapKey(op->session, &mechanism, step->key.object, object, out, &len);
        oxv_p11_destroy(op, object);
    }
    if (rv != CKR_OK || len != KWP_BYTES) {
        return OXV_TOKEN_UNFIT;
    }
    oxv_write_u8(blob, low_byte(type));
    oxv_write_view(blob, oxv_view(out, len));
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
wrap_seal(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
          struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *made = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);

    if (made == NULL) {
        return oxv_p11_no_memory(fault);
    }
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        if (wrap_with(op, step, mechanisms[i], oxv_secret_view(made), blob) == OXV_TOKEN_FINE) {
            *value = oxv_secret_take(&made);
            return OXV_TOKEN_FINE;
        }
        if (oxv_p11_op_renew(op, fault) != OXV_TOKEN_FINE) {
            return fault->trouble;
        }
    }
    return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_MECHANISM_INVALID,
                         "C_WrapKey does not wrap a readable session key by RFC 5649");
}

/* The value of a session object, which is destroyed then. */
static enum oxv_token_trouble
read_and_destroy(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_secret **out,
                 struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_new(OUT_BYTES);

    if (value == NULL) {
        oxv_p11_destroy(op, object);
        return oxv_p11_no_memory(fault);
    }
    struct oxv_p11_buffer buffer = { .data = oxv_secret_bytes(value), .max = OUT_BYTES };
    bool is_read = oxv_p11_read_bytes(op, object, CKA_VALUE, &buffer);

    oxv_p11_destroy(op, object);
    if (!is_read) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_ATTRIBUTE_SENSITIVE,
                             "the token does not give the value of an unwrapped key");
    }
    oxv_secret_shorten(value, buffer.len);
    *out = oxv_secret_take(&value);
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
wrap_open(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
          struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    struct oxv_reader r = oxv_reader(blob);
    uint8_t low = 0;
    struct oxv_view wrapped;
    CK_MECHANISM mechanism = { 0 };
    struct oxv_p11_template t;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;

    if (!oxv_read_u8(&r, &low) || !oxv_read_view(&r, KWP_BYTES, &wrapped) ||
        !oxv_reader_at_end(&r)) {
        return oxv_p11_fault(fault, OXV_TOKEN_DATA, CKR_OK, "it has another length");
    }
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        if (low_byte(mechanisms[i]) == low) {
            mechanism.mechanism = mechanisms[i];
        }
    }
    if (mechanism.mechanism == 0) {
        return oxv_p11_fault(fault, OXV_TOKEN_DATA, CKR_OK, "it names another mechanism");
    }
    value_template(&t);
    oxv_p11_lock(&op->token->objects);
    CK_RV rv = op->calls->C_UnwrapKey(op->session, &mechanism, step->key.object,
                                      oxv_p11_unconst(wrapped.data), wrapped.len, t.items, t.count,
                                      &object);

    oxv_p11_unlock(&op->token->objects);
    if (rv == CKR_MECHANISM_INVALID) { /* it was proven when the seal was made: a changed byte */
        return oxv_p11_fault(fault, OXV_TOKEN_DATA, rv, "it names another mechanism");
    }
    return rv == CKR_OK ? read_and_destroy(op, object, value, fault)
                        : oxv_p11_call_failed(fault, "C_UnwrapKey", rv);
}

const struct oxv_p11_step_ops oxv_p11_step_kwp_wrap = {
    .mechanism = OXV_TOKEN_AES_KWP_WRAP,
    .kind = OXV_P11_SEAL_AES_WRAP,
    .ckm = OXV_CKM_AES_KEY_WRAP_PAD, /* or KWP, see oxv_p11_step_listed() */
    .seal = wrap_seal,
    .open = wrap_open,
};
