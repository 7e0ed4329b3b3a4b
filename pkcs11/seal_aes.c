#include <sodium.h>

#include "pkcs11/seal_impl.h"

#define GCM_IV_BYTES          12u
#define GCM_APPENDED_IV_BYTES 16u
#define GCM_TAG_BYTES         16u
#define SEALED_BYTES          (OXV_TOKEN_VALUE_BYTES + GCM_TAG_BYTES)
#define KWP_BYTES             (OXV_TOKEN_VALUE_BYTES + 8u)
#define OUT_BYTES             (OXV_TOKEN_VALUE_BYTES + 64u)

/* Never empty: SoftHSM 2.6.1 may abort without. */
#define GCM_AAD "oxvault token seal v1"

static void
gcm_mechanism(CK_GCM_PARAMS *params, CK_MECHANISM *mechanism, uint8_t *iv, size_t iv_len)
{
    *params = (CK_GCM_PARAMS){ .pIv = iv,
                               .ulIvLen = iv_len,
                               .ulIvBits = iv_len * 8, /* NSS refuses 0 */
                               .pAAD = oxv_p11_unconst(GCM_AAD),
                               .ulAADLen = sizeof GCM_AAD - 1,
                               .ulTagBits = GCM_TAG_BYTES * 8 };
    *mechanism = (CK_MECHANISM){ .mechanism = CKM_AES_GCM,
                                 .pParameter = params,
                                 .ulParameterLen = sizeof *params };
}

static size_t
iv_bytes(enum oxv_token_gcm_iv gcm_iv)
{
    return gcm_iv == OXV_TOKEN_GCM_IV_HSM_APPENDED ? GCM_APPENDED_IV_BYTES : GCM_IV_BYTES;
}

struct gcm_sealed {
    uint8_t iv[GCM_APPENDED_IV_BYTES];
    uint8_t bytes[SEALED_BYTES];
};

static enum oxv_token_trouble
unfit(struct oxv_p11_fault *fault, const char *text)
{
    return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "%s", text);
}

/* One encryption; `iv` holds ours for the dialect host, and the token's for the others afterwards.
 */
static enum oxv_token_trouble
gcm_encrypt(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view plain,
            struct gcm_sealed *sealed, struct oxv_p11_fault *fault)
{
    bool appended = step->gcm_iv == OXV_TOKEN_GCM_IV_HSM_APPENDED;
    size_t iv_len = iv_bytes(step->gcm_iv);
    uint8_t iv[GCM_APPENDED_IV_BYTES] = { 0 };
    uint8_t out[OUT_BYTES] = { 0 };
    struct oxv_p11_buffer buffer = { .data = out, .max = sizeof out };
    CK_GCM_PARAMS params;
    CK_MECHANISM mechanism;

    if (step->gcm_iv == OXV_TOKEN_GCM_IV_HOST) {
        memcpy(iv, sealed->iv, iv_len);
    }
    gcm_mechanism(&params, &mechanism, iv, iv_len);
    if (appended) {
        params.ulIvLen = 0; /* Luna: then the token makes one of ulIvBits */
    }
    struct oxv_p11_cipher cipher = { &mechanism, step->key.object };
    enum oxv_token_trouble t = oxv_p11_encrypt(op, &cipher, plain, &buffer, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (buffer.len != SEALED_BYTES + (appended ? iv_len : 0)) {
        return unfit(fault, "the token gives a cipher text of another length");
    }
    if (step->gcm_iv == OXV_TOKEN_GCM_IV_HOST && memcmp(iv, sealed->iv, iv_len) != 0) {
        return unfit(fault, "the token changed the IV that was given to it");
    }
    memcpy(sealed->bytes, out, SEALED_BYTES);
    memcpy(sealed->iv, appended ? out + SEALED_BYTES : iv, iv_len);
    return sodium_is_zero(sealed->iv, iv_len) == 1 ? unfit(fault, "the token made no IV")
                                                   : OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
gcm_seal(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
         struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *made = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    struct gcm_sealed sealed = { 0 };

    if (made == NULL) {
        return oxv_p11_no_memory(fault);
    }
    randombytes_buf(sealed.iv, sizeof sealed.iv);
    enum oxv_token_trouble t = gcm_encrypt(op, step, oxv_secret_view(made), &sealed, fault);

    if (t == OXV_TOKEN_FINE) {
        oxv_write_view(blob, oxv_view(sealed.iv, iv_bytes(step->gcm_iv)));
        oxv_write_view(blob, oxv_view(sealed.bytes, sizeof sealed.bytes));
        *value = oxv_secret_take(&made);
    }
    return t;
}

static enum oxv_token_trouble
gcm_open(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
         struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    struct oxv_reader r = oxv_reader(blob);
    uint8_t iv[GCM_APPENDED_IV_BYTES] = { 0 };
    struct oxv_view sealed;
    CK_GCM_PARAMS params;
    CK_MECHANISM mechanism;

    if (!oxv_read_bytes(&r, iv, iv_bytes(step->gcm_iv)) ||
        !oxv_read_view(&r, SEALED_BYTES, &sealed) || !oxv_reader_at_end(&r)) {
        return oxv_p11_fault(fault, OXV_TOKEN_DATA, CKR_OK, "it has another length");
    }
    gcm_mechanism(&params, &mechanism, iv, iv_bytes(step->gcm_iv));
    struct oxv_p11_cipher cipher = { &mechanism, step->key.object };

    return oxv_p11_decrypt_secret(op, &cipher, sealed, value, fault);
}

/*
 * The dialect is what the token really does. Host: it uses our IV and nothing else, so two IVs give
 * two cipher texts and one gives one. The others: a new one each time.
 */
static enum oxv_token_trouble
gcm_prove(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_p11_fault *fault)
{
    static const uint8_t plain[OXV_TOKEN_VALUE_BYTES] = { 0x5a };
    struct gcm_sealed tries[3] = { 0 };

    randombytes_buf(tries[0].iv, sizeof tries[0].iv);
    randombytes_buf(tries[1].iv, sizeof tries[1].iv);
    memcpy(tries[2].iv, tries[0].iv, sizeof tries[2].iv);
    for (size_t i = 0; i < 3; i++) {
        enum oxv_token_trouble t =
            gcm_encrypt(op, step, oxv_view(plain, sizeof plain), &tries[i], fault);

        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    bool differ = memcmp(tries[0].bytes, tries[1].bytes, SEALED_BYTES) != 0;
    bool same = memcmp(tries[0].bytes, tries[2].bytes, SEALED_BYTES) == 0;

    if (step->gcm_iv == OXV_TOKEN_GCM_IV_HOST) {
        return differ && same ? OXV_TOKEN_FINE
                              : unfit(fault, "the token does not use the IV that is given to it");
    }
    size_t len = iv_bytes(step->gcm_iv);
    bool new_ivs = memcmp(tries[0].iv, tries[1].iv, len) != 0 &&
                   memcmp(tries[0].iv, tries[2].iv, len) != 0 &&
                   memcmp(tries[1].iv, tries[2].iv, len) != 0;

    return differ && !same && new_ivs ? OXV_TOKEN_FINE
                                      : unfit(fault, "the token used one IV twice");
}

static enum oxv_token_trouble
kwp_seal(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
         struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *made = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    CK_MECHANISM mechanism = { .mechanism = OXV_CKM_AES_KEY_WRAP_KWP };
    struct oxv_p11_cipher cipher = { &mechanism, step->key.object };
    uint8_t out[OUT_BYTES];
    struct oxv_p11_buffer buffer = { .data = out, .max = sizeof out };

    if (made == NULL) {
        return oxv_p11_no_memory(fault);
    }
    enum oxv_token_trouble t = oxv_p11_encrypt(op, &cipher, oxv_secret_view(made), &buffer, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (buffer.len != KWP_BYTES) {
        return unfit(fault, "its CKM_AES_KEY_WRAP_KWP is not RFC 5649");
    }
    oxv_write_view(blob, oxv_view(out, buffer.len));
    *value = oxv_secret_take(&made);
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
kwp_open(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
         struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    CK_MECHANISM mechanism = { .mechanism = OXV_CKM_AES_KEY_WRAP_KWP };
    struct oxv_p11_cipher cipher = { &mechanism, step->key.object };

    return blob.len == KWP_BYTES
               ? oxv_p11_decrypt_secret(op, &cipher, blob, value, fault)
               : oxv_p11_fault(fault, OXV_TOKEN_DATA, CKR_OK, "it has another length");
}

const struct oxv_p11_step_ops oxv_p11_step_aes_gcm = {
    .mechanism = OXV_TOKEN_AES_GCM,
    .kind = OXV_P11_SEAL_AES_ENCRYPT,
    .ckm = CKM_AES_GCM,
    .seal = gcm_seal,
    .open = gcm_open,
    .prove = gcm_prove,
};

const struct oxv_p11_step_ops oxv_p11_step_aes_kwp = {
    .mechanism = OXV_TOKEN_AES_KWP_ENCRYPT,
    .kind = OXV_P11_SEAL_AES_ENCRYPT,
    .ckm = OXV_CKM_AES_KEY_WRAP_KWP,
    .flags = CKF_ENCRYPT | CKF_DECRYPT,
    .seal = kwp_seal,
    .open = kwp_open,
};
