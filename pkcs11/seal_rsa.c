#include "pkcs11/oaep.h"
#include "pkcs11/seal_impl.h"

/* On the host, with the public key: 0 stands for PKCS#1 v1.5. */
static enum oxv_token_trouble
seal_on_host(const struct oxv_p11_step *step, enum oxv_token_oaep oaep, struct oxv_secret **value,
             struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *made = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);

    if (made == NULL ||
        !oxv_p11_public_encrypt(step->key.public_key, oaep, oxv_secret_view(made), blob)) {
        return oxv_p11_no_memory(fault);
    }
    *value = oxv_secret_take(&made);
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
open_oaep(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
          struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    struct oxv_p11_oaep oaep;

    oxv_p11_oaep(&oaep, step->ops->mechanism == OXV_TOKEN_RSA_OAEP_SHA1 ? OXV_TOKEN_OAEP_SHA1
                                                                        : OXV_TOKEN_OAEP_SHA256);
    struct oxv_p11_cipher cipher = { &oaep.mechanism, step->key.object };

    return oxv_p11_decrypt_secret(op, &cipher, blob, value, fault);
}

static enum oxv_token_trouble
seal_sha256(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
            struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    (void)op; /* no token is needed */
    return seal_on_host(step, OXV_TOKEN_OAEP_SHA256, value, blob, fault);
}

static enum oxv_token_trouble
seal_sha1(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
          struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    (void)op;
    return seal_on_host(step, OXV_TOKEN_OAEP_SHA1, value, blob, fault);
}

static enum oxv_token_trouble
seal_pkcs1(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_secret **value,
           struct oxv_writer *blob, struct oxv_p11_fault *fault)
{
    (void)op;
    return seal_on_host(step, (enum oxv_token_oaep)0, value, blob, fault);
}

/* A token may answer a damaged blob with random bytes (NSS): whoever uses them finds out. */
static enum oxv_token_trouble
open_pkcs1(struct oxv_p11_op *op, const struct oxv_p11_step *step, struct oxv_view blob,
           struct oxv_secret **value, struct oxv_p11_fault *fault)
{
    CK_MECHANISM mechanism = { .mechanism = CKM_RSA_PKCS };
    struct oxv_p11_cipher cipher = { &mechanism, step->key.object };

    return oxv_p11_decrypt_secret(op, &cipher, blob, value, fault);
}

const struct oxv_p11_step_ops oxv_p11_step_oaep_sha256 = {
    .mechanism = OXV_TOKEN_RSA_OAEP_SHA256,
    .kind = OXV_P11_SEAL_RSA,
    .ckm = CKM_RSA_PKCS_OAEP,
    .seal = seal_sha256,
    .open = open_oaep,
};

const struct oxv_p11_step_ops oxv_p11_step_oaep_sha1 = {
    .mechanism = OXV_TOKEN_RSA_OAEP_SHA1,
    .kind = OXV_P11_SEAL_RSA,
    .ckm = CKM_RSA_PKCS_OAEP,
    .seal = seal_sha1,
    .open = open_oaep,
};

const struct oxv_p11_step_ops oxv_p11_step_pkcs1 = {
    .mechanism = OXV_TOKEN_RSA_PKCS1,
    .kind = OXV_P11_SEAL_RSA,
    .ckm = CKM_RSA_PKCS,
    .may_differ = true,
    .seal = seal_pkcs1,
    .open = open_pkcs1,
};
