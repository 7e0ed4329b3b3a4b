#include <sodium.h>

#include "pkcs11/seal_impl.h"

#define SHARED_BYTES 32u
#define INFO         "oxvault token seal v1 ecdh"

static void
mac(const uint8_t key[32], struct oxv_view a, struct oxv_view b, uint8_t out[32])
{
    crypto_auth_hmacsha256_state state;

    (void)crypto_auth_hmacsha256_init(&state, key, 32); /* these three always return 0 */
    (void)crypto_auth_hmacsha256_update(&state, a.data, a.len);
    (void)crypto_auth_hmacsha256_update(&state, b.data, b.len);
    (void)crypto_auth_hmacsha256_final(&state, out);
    oxv_wipe(&state, sizeof state);
}

/*
 * HKDF-SHA256 (RFC 5869), no salt, one block, with both public keys in its info: the x coordinate
 * is no uniform key by itself. A token's own KDF is not asked for: SoftHSM has none.
 */
static enum oxv_token_trouble
derive(const struct oxv_p11_step *step, struct oxv_view shared, struct oxv_view point,
       struct oxv_secret **out, struct oxv_p11_fault *fault)
{
    static const uint8_t no_salt[32] = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_new(OXV_TOKEN_VALUE_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *prk = oxv_secret_new(32);
    uint8_t info[sizeof INFO - 1 + OXV_P11_POINT_BYTES + 32 + 1];
    struct oxv_writer w = oxv_writer(info, sizeof info);
    uint8_t hash[32];

    if (value == NULL || prk == NULL) {
        return oxv_p11_no_memory(fault);
    }
    oxv_p11_public_hash(step->key.public_key, hash);
    oxv_write_text(&w, INFO);
    oxv_write_view(&w, point);
    oxv_write_view(&w, oxv_view(hash, sizeof hash));
    oxv_write_u8(&w, 1);
    mac(no_salt, shared, oxv_view(NULL, 0), oxv_secret_bytes(prk));
    mac(oxv_secret_bytes(prk), oxv_view(info, w.len), oxv_view(NULL, 0), oxv_secret_bytes(value));
    *out = oxv_secret_take(&value);
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
ecdh_seal(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
          struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *shared = NULL;
    uint8_t point[OXV_P11_POINT_BYTES];
    struct oxv_writer w = oxv_writer(point, sizeof point);

    (void)op; /* no token is needed */
    if (!oxv_p11_public_agree(step->key.public_key, &w, &shared)) {
        return oxv_p11_no_memory(fault);
    }
    oxv_write_view(blob, oxv_view(point, sizeof point));
    return derive(step, oxv_secret_view(shared), oxv_view(point, sizeof point), value, fault);
}

/* The x coordinate as a readable session object, read and destroyed. */
static enum oxv_token_trouble
agree(struct oxv_p11_op *op, CK_OBJECT_HANDLE key, struct oxv_view point, struct oxv_secret *shared,
      struct oxv_p11_fault *fault)
{
    CK_ECDH1_DERIVE_PARAMS params = { .kdf = CKD_NULL,
                                      .ulPublicDataLen = point.len,
                                      .pPublicData = oxv_p11_unconst(point.data) };
    CK_MECHANISM mechanism = { .mechanism = CKM_ECDH1_DERIVE,
                               .pParameter = &params,
                               .ulParameterLen = sizeof params };
    struct oxv_p11_template t = { 0 };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct oxv_p11_buffer buffer = { .data = oxv_secret_bytes(shared),
                                     .max = oxv_secret_len(shared) };

    oxv_p11_template_number(&t, CKA_CLASS, CKO_SECRET_KEY);
    oxv_p11_template_number(&t, CKA_KEY_TYPE, CKK_GENERIC_SECRET);
    oxv_p11_template_number(&t, CKA_VALUE_LEN, SHARED_BYTES);
    oxv_p11_template_flag(&t, CKA_TOKEN, false);
    oxv_p11_template_flag(&t, CKA_SENSITIVE, false);
    oxv_p11_template_flag(&t, CKA_EXTRACTABLE, true);
    oxv_p11_lock(&op->token->objects);
    CK_RV rv = op->calls->C_DeriveKey(op->session, &mechanism, key, t.items, t.count, &object);

    oxv_p11_unlock(&op->token->objects);
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_DeriveKey", rv);
    }
    bool is_read = oxv_p11_read_bytes(op, object, CKA_VALUE, &buffer);

    oxv_p11_destroy(op, object);
    return is_read && buffer.len == SHARED_BYTES
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_ATTRIBUTE_SENSITIVE,
                               "the token does not give the value of a derived key");
}

static enum oxv_token_trouble
ecdh_open(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
          struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *shared = oxv_secret_new(SHARED_BYTES);

    if (shared == NULL) {
        return oxv_p11_no_memory(fault);
    }
    /* A token that multiplies points off the curve gives its private key away bit by bit. */
    if (blob.len != OXV_P11_POINT_BYTES || !oxv_p11_is_point(blob)) {
        return oxv_p11_fault(fault, OXV_TOKEN_DATA, CKR_OK, "it is no point on the curve");
    }
    enum oxv_token_trouble t = agree(op, step->key.object, blob, shared, fault);

    return t == OXV_TOKEN_FINE ? derive(step, oxv_secret_view(shared), blob, value, fault) : t;
}

const struct oxv_p11_step_ops oxv_p11_step_ecdh = {
    .mechanism = OXV_TOKEN_ECDH,
    .kind = OXV_P11_SEAL_EC,
    .ckm = CKM_ECDH1_DERIVE,
    .may_differ = true,
    .seal = ecdh_seal,
    .open = ecdh_open,
};
