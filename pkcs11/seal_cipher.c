#include "pkcs11/seal_impl.h"

#define PLAIN_BUFFER_BYTES (OXV_TOKEN_BLOB_MAX_BYTES + 64u)

enum oxv_token_trouble
oxv_p11_no_memory(struct oxv_p11_fault *fault)
{
    return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory");
}

static enum oxv_token_trouble
finish(CK_RV rv, const char *call, CK_ULONG len, struct oxv_p11_buffer *out,
       struct oxv_p11_fault *fault)
{
    if (rv == CKR_OK && len <= out->max) {
        out->len = len;
        return OXV_TOKEN_FINE;
    }
    /* NSS leaves plain text there that failed its tag. */
    oxv_wipe(out->data, out->max);
    return rv != CKR_OK ? oxv_p11_call_failed(fault, call, rv)
                        : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                                        "%s: the module tells a length beyond the buffer", call);
}

/* Never a size query first: NSS tells 32 for GCM of 32. */
enum oxv_token_trouble
oxv_p11_encrypt(struct oxv_p11_op *op, const struct oxv_p11_cipher *cipher, struct oxv_view in,
                struct oxv_p11_buffer *out, struct oxv_p11_fault *fault)
{
    CK_ULONG len = out->max;
    CK_RV rv = op->calls->C_EncryptInit(op->session, cipher->mechanism, cipher->key);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_EncryptInit", rv);
    }
    rv = op->calls->C_Encrypt(op->session, oxv_p11_unconst(in.data), in.len, out->data, &len);
    return finish(rv, "C_Encrypt", len, out, fault);
}

enum oxv_token_trouble
oxv_p11_decrypt(struct oxv_p11_op *op, const struct oxv_p11_cipher *cipher, struct oxv_view in,
                struct oxv_p11_buffer *out, struct oxv_p11_fault *fault)
{
    CK_ULONG len = out->max;
    CK_RV rv = op->calls->C_DecryptInit(op->session, cipher->mechanism, cipher->key);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_DecryptInit", rv);
    }
    rv = op->calls->C_Decrypt(op->session, oxv_p11_unconst(in.data), in.len, out->data, &len);
    return finish(rv, "C_Decrypt", len, out, fault);
}

enum oxv_token_trouble
oxv_p11_decrypt_secret(struct oxv_p11_op *op, const struct oxv_p11_cipher *cipher,
                       struct oxv_view in, struct oxv_secret **out, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = oxv_secret_new(PLAIN_BUFFER_BYTES);

    if (plain == NULL) {
        return oxv_p11_no_memory(fault);
    }
    struct oxv_p11_buffer buffer = { .data = oxv_secret_bytes(plain), .max = PLAIN_BUFFER_BYTES };
    enum oxv_token_trouble t = oxv_p11_decrypt(op, cipher, in, &buffer, fault);

    if (t == OXV_TOKEN_FINE) {
        oxv_secret_shorten(plain, buffer.len);
        *out = oxv_secret_take(&plain);
    }
    return t;
}
