#include "pkcs11/public_key.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#define RSA_BITS_MIN       2048
#define RSA_BITS_MAX       8192
#define NUMBER_MAX_BYTES   1024u
#define EXPONENT_MAX_BYTES 8u
#define DER_POINT_HEAD     2u /* an OCTET STRING of OXV_P11_POINT_BYTES */

struct oxv_p11_public {
    CK_KEY_TYPE type;
    EVP_PKEY *pkey;
    uint8_t der[OXV_TOKEN_PUBLIC_KEY_MAX_BYTES];
    size_t der_len;
};

static inline void
free_bld(OSSL_PARAM_BLD **bld)
{
    OSSL_PARAM_BLD_free(*bld);
}
static inline void
free_params(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}
static inline void
free_bn(BIGNUM **number)
{
    BN_free(*number);
}
static inline void
free_pkey(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}
static inline void
free_pkey_ctx(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

void
oxv_p11_public_free(struct oxv_p11_public *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}

CK_KEY_TYPE
oxv_p11_public_type(const struct oxv_p11_public *key)
{
    return key->type;
}

struct oxv_view
oxv_p11_public_der(const struct oxv_p11_public *key)
{
    return oxv_view(key->der, key->der_len);
}

void
oxv_p11_public_hash(const struct oxv_p11_public *key, uint8_t out[32])
{
    (void)crypto_hash_sha256(out, key->der, key->der_len); /* always 0 */
}

/* NULL where OpenSSL does not take it. */
static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *bld)
{
    OXV_AUTO(free_params) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    OXV_AUTO(free_pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        return NULL;
    }
    return pkey;
}

static EVP_PKEY *
rsa_key(struct oxv_view modulus, struct oxv_view exponent)
{
    OXV_AUTO(free_bld) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OXV_AUTO(free_bn) BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    OXV_AUTO(free_bn) BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);

    if (bld == NULL || n == NULL || e == NULL || BN_num_bits(n) < RSA_BITS_MIN ||
        BN_num_bits(n) > RSA_BITS_MAX || !BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) != 1) {
        return NULL;
    }
    return from_params("RSA", bld);
}

/* Also whether the point is on the curve: OpenSSL refuses others. */
static EVP_PKEY *
point_key(struct oxv_view point)
{
    OXV_AUTO(free_bld) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

    if (bld == NULL || point.len != OXV_P11_POINT_BYTES || point.data[0] != 0x04 ||
        OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) !=
            1) {
        return NULL;
    }
    return from_params("EC", bld);
}

bool
oxv_p11_is_point(struct oxv_view point)
{
    OXV_AUTO(free_pkey) EVP_PKEY *key = point_key(point);

    return key != NULL;
}

static bool
write_der(struct oxv_p11_public *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key->pkey, &der);
    bool fits = len > 0 && (size_t)len <= sizeof key->der;

    if (fits) {
        memcpy(key->der, der, (size_t)len);
        key->der_len = (size_t)len;
    }
    OPENSSL_free(der);
    return fits;
}

/* Of the private key where it has them: then nobody can swap the public object alone. */
static enum oxv_token_trouble
read_rsa(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_view id, EVP_PKEY **out,
         struct oxv_p11_fault *fault)
{
    uint8_t modulus[NUMBER_MAX_BYTES];
    uint8_t exponent[EXPONENT_MAX_BYTES];
    struct oxv_p11_buffer n = { .data = modulus, .max = sizeof modulus };
    struct oxv_p11_buffer e = { .data = exponent, .max = sizeof exponent };

    if (!oxv_p11_read_bytes(op, object, CKA_MODULUS, &n) || n.len == 0 ||
        !oxv_p11_read_bytes(op, object, CKA_PUBLIC_EXPONENT, &e) || e.len == 0) {
        enum oxv_token_trouble t = oxv_p11_find_one(op, CKO_PUBLIC_KEY, id, &object, fault);

        if (t != OXV_TOKEN_FINE) {
            return oxv_p11_fault_prefix(fault, "the public key");
        }
        if (!oxv_p11_read_bytes(op, object, CKA_MODULUS, &n) ||
            !oxv_p11_read_bytes(op, object, CKA_PUBLIC_EXPONENT, &e)) {
            return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                                 "the token does not give the modulus of its RSA key");
        }
    }
    *out = rsa_key(oxv_view(n.data, n.len), oxv_view(e.data, e.len));
    return *out != NULL ? OXV_TOKEN_FINE
                        : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                                        "the RSA key must have 2048 to 8192 bits");
}

/* Tokens give the point as it is, or within an OCTET STRING, as the standard says. */
static enum oxv_token_trouble
read_point(struct oxv_p11_op *op, struct oxv_view id, EVP_PKEY **out, struct oxv_p11_fault *fault)
{
    uint8_t bytes[DER_POINT_HEAD + OXV_P11_POINT_BYTES];
    struct oxv_p11_buffer point = { .data = bytes, .max = sizeof bytes };
    CK_OBJECT_HANDLE object;
    enum oxv_token_trouble t = oxv_p11_find_one(op, CKO_PUBLIC_KEY, id, &object, fault);

    if (t != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, "the public key");
    }
    if (oxv_p11_read_bytes(op, object, CKA_EC_POINT, &point)) {
        struct oxv_view raw = oxv_view(bytes, point.len);

        if (raw.len == sizeof bytes && bytes[0] == 0x04 && bytes[1] == OXV_P11_POINT_BYTES) {
            raw = oxv_view_from(raw, DER_POINT_HEAD);
        }
        *out = point_key(raw);
    }
    return *out != NULL
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "the EC key must be one on P-256");
}

enum oxv_token_trouble
oxv_p11_public_read(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_view id,
                    struct oxv_p11_public **out, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_public_freep) struct oxv_p11_public *key = calloc(1, sizeof *key);
    enum oxv_token_trouble t;

    if (key == NULL) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory");
    }
    if (!oxv_p11_read_number(op, object, CKA_KEY_TYPE, &key->type) ||
        (key->type != CKK_RSA && key->type != CKK_EC)) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "the key is neither RSA nor EC");
    }
    t = key->type == CKK_RSA ? read_rsa(op, object, id, &key->pkey, fault)
                             : read_point(op, id, &key->pkey, fault);
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (!write_der(key)) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "the public key is too long");
    }
    *out = oxv_p11_public_take(&key);
    return OXV_TOKEN_FINE;
}

size_t
oxv_p11_public_bits(const struct oxv_p11_public *key)
{
    return (size_t)EVP_PKEY_get_bits(key->pkey);
}

static bool
set_padding(EVP_PKEY_CTX *ctx, enum oxv_token_oaep oaep)
{
    const EVP_MD *md = oaep == OXV_TOKEN_OAEP_SHA1 ? EVP_sha1() : EVP_sha256();

    if (oaep == 0) {
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    }
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
}

bool
oxv_p11_public_encrypt(const struct oxv_p11_public *key, enum oxv_token_oaep oaep,
                       struct oxv_view plain, struct oxv_writer *blob)
{
    OXV_AUTO(free_pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    size_t len = (size_t)EVP_PKEY_get_size(key->pkey);
    uint8_t *place = oxv_write_reserve(blob, len);
    size_t written = len;

    bool ok = place != NULL && ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
              set_padding(ctx, oaep) &&
              EVP_PKEY_encrypt(ctx, place, &written, plain.data, plain.len) == 1 && written == len;

    blob->failed = blob->failed || !ok;
    return ok;
}

bool
oxv_p11_public_agree(const struct oxv_p11_public *key, struct oxv_writer *blob,
                     struct oxv_secret **shared)
{
    OXV_AUTO(free_pkey) EVP_PKEY *fresh = EVP_EC_gen("prime256v1");
    OXV_AUTO(free_pkey_ctx)
    EVP_PKEY_CTX *ctx = fresh == NULL ? NULL : EVP_PKEY_CTX_new(fresh, NULL);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *x = oxv_secret_new(32);
    uint8_t *point = oxv_write_reserve(blob, OXV_P11_POINT_BYTES);
    size_t point_len = 0;
    size_t len = 32;

    bool ok = ctx != NULL && x != NULL && point != NULL &&
              EVP_PKEY_get_octet_string_param(fresh, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                              OXV_P11_POINT_BYTES, &point_len) == 1 &&
              point_len == OXV_P11_POINT_BYTES && point[0] == 0x04 &&
              EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, key->pkey) == 1 &&
              EVP_PKEY_derive(ctx, oxv_secret_bytes(x), &len) == 1 && len == 32;

    blob->failed = blob->failed || !ok;
    if (ok) {
        *shared = oxv_secret_take(&x);
    }
    return ok;
}
