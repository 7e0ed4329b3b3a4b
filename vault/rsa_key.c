/*
 * DER as far as it is needed here (X.690 10.1): tag, length in its shortest form, contents.
 *   PrivateKeyInfo  SEQUENCE { INTEGER 0, SEQUENCE { OID rsaEncryption, NULL }, OCTET STRING key }
 *   key             SEQUENCE { INTEGER 0, n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p }
 * Rules: 1. nothing follows either SEQUENCE, but attributes [0] may follow the OCTET STRING;
 * 2. integers are positive and in their shortest form.
 */
#include "vault/rsa_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "vault/vault.h"

#define TAG_INTEGER    0x02
#define TAG_OCTETS     0x04
#define TAG_SEQUENCE   0x30
#define TAG_ATTRIBUTES 0xa0
#define NUMBERS        8u

_Static_assert(OXV_RSA_MAX_BITS / 8 <= OXV_SIGNATURE_MAX_BYTES, "a signature has its place");

/* OID 1.2.840.113549.1.1.1 and NULL */
static const uint8_t rsa_algorithm[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                         0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };

static const char *const number_names[NUMBERS] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

struct numbers {
    BIGNUM *number[NUMBERS];
};

static void
numbers_done(struct numbers *numbers)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        BN_clear_free(numbers->number[i]);
    }
}

static void
builder_freep(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

static void
params_freep(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params); /* wipes what came from secure numbers */
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void
md_ctx_freep(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static bool
read_length(struct oxv_reader *r, size_t *out)
{
    uint8_t first;
    uint8_t one;
    uint16_t two;

    if (!oxv_read_u8(r, &first)) {
        return false;
    }
    if (first < 0x80) {
        *out = first;
        return true;
    }
    if (first == 0x81 && oxv_read_u8(r, &one)) {
        *out = one;
        return one >= 0x80;
    }
    if (first == 0x82 && oxv_read_u16(r, &two)) {
        *out = two;
        return two >= 0x100;
    }
    return false;
}

static bool
read_element(struct oxv_reader *r, uint8_t tag, struct oxv_view *contents)
{
    struct oxv_reader probe = *r;
    uint8_t found;
    size_t len;

    if (!oxv_read_u8(&probe, &found) || found != tag || !read_length(&probe, &len) ||
        !oxv_read_view(&probe, len, contents)) {
        return false;
    }
    *r = probe;
    return true;
}

static bool
read_zero(struct oxv_reader *r)
{
    struct oxv_view value;

    return read_element(r, TAG_INTEGER, &value) && value.len == 1 && value.data[0] == 0;
}

static bool
read_number(struct oxv_reader *r, BIGNUM **out)
{
    struct oxv_view v;

    if (!read_element(r, TAG_INTEGER, &v) || v.len == 0 || v.data[0] >= 0x80 ||
        (v.data[0] == 0 && (v.len == 1 || v.data[1] < 0x80))) {
        return false;
    }
    *out = BN_secure_new();
    return *out != NULL && BN_bin2bn(v.data, (int)v.len, *out) != NULL;
}

/* The RSAPrivateKey within. False: not PKCS#8, or of another algorithm. */
static bool
unwrap_pkcs8(struct oxv_view der, struct oxv_view *key)
{
    struct oxv_reader whole = oxv_reader(der);
    struct oxv_view info;
    struct oxv_view algorithm;
    struct oxv_view attributes;

    if (!read_element(&whole, TAG_SEQUENCE, &info) || !oxv_reader_at_end(&whole)) {
        return false;
    }
    struct oxv_reader r = oxv_reader(info);

    if (!read_zero(&r) || !read_element(&r, TAG_SEQUENCE, &algorithm) ||
        !oxv_view_equals(algorithm, oxv_view(rsa_algorithm, sizeof rsa_algorithm)) ||
        !read_element(&r, TAG_OCTETS, key)) {
        return false;
    }
    return oxv_reader_at_end(&r) ||
           (read_element(&r, TAG_ATTRIBUTES, &attributes) && oxv_reader_at_end(&r));
}

static bool
read_numbers(struct oxv_view key, struct numbers *out)
{
    struct oxv_reader whole = oxv_reader(key);
    struct oxv_view body;

    if (!read_element(&whole, TAG_SEQUENCE, &body) || !oxv_reader_at_end(&whole)) {
        return false;
    }
    struct oxv_reader r = oxv_reader(body);

    if (!read_zero(&r)) {
        return false;
    }
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!read_number(&r, &out->number[i])) {
            return false;
        }
    }
    return oxv_reader_at_end(&r);
}

/* For people whose key is almost right. */
static enum oxv_status
say_what_it_is(struct oxv_view der, struct oxv_err *err)
{
    struct oxv_reader whole = oxv_reader(der);
    struct oxv_view body = oxv_view(NULL, 0);
    struct oxv_view inner;

    if (oxv_view_has_prefix(der, "-----BEGIN")) {
        return oxv_fail(err, OXV_E_USAGE, "key: PEM text where PKCS#8 DER is wanted");
    }
    if (!read_element(&whole, TAG_SEQUENCE, &body)) {
        return oxv_fail(err, OXV_E_USAGE, "key: not a private key in PKCS#8 DER");
    }
    struct oxv_reader r = oxv_reader(body);

    if (read_element(&r, TAG_SEQUENCE, &inner)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "key: an encrypted key, or a certificate: decrypt it first, with openssl "
                        "pkcs8 -topk8 -nocrypt");
    }
    if (read_zero(&r) && read_element(&r, TAG_INTEGER, &inner)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "key: PKCS#1; convert it to PKCS#8 with openssl pkcs8 -topk8 -nocrypt");
    }
    if (read_element(&r, TAG_SEQUENCE, &inner) &&
        !oxv_view_equals(inner, oxv_view(rsa_algorithm, sizeof rsa_algorithm))) {
        return oxv_fail(err, OXV_E_USAGE, "key: a private key, but not for RSA");
    }
    return oxv_fail(err, OXV_E_USAGE, "key: not a well-formed private key in PKCS#8 DER");
}

static enum oxv_status
build(const struct numbers *numbers, EVP_PKEY **out, struct oxv_err *err)
{
    OXV_AUTO(builder_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OXV_AUTO(params_freep) OSSL_PARAM *params = NULL;
    OXV_AUTO(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    bool pushed = builder != NULL && ctx != NULL;

    for (size_t i = 0; i < NUMBERS && pushed; i++) {
        pushed = OSSL_PARAM_BLD_push_BN(builder, number_names[i], numbers->number[i]) == 1;
    }
    if (pushed) {
        params = OSSL_PARAM_BLD_to_param(builder);
    }
    if (params == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for an RSA key");
    }
    if (EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, out, EVP_PKEY_KEYPAIR, params) != 1) {
        return oxv_fail(err, OXV_E_USAGE, "key: OpenSSL refuses this RSA key");
    }
    return OXV_OK;
}

enum oxv_status
oxv_rsa_key_load(struct oxv_view der, EVP_PKEY **out, struct oxv_err *err)
{
    OXV_AUTO(numbers_done) struct numbers numbers = { 0 };
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    struct oxv_view inner;

    if (!unwrap_pkcs8(der, &inner) || !read_numbers(inner, &numbers)) {
        return say_what_it_is(der, err);
    }
    int bits = BN_num_bits(numbers.number[0]);

    if (bits < (int)OXV_RSA_MIN_BITS || bits > (int)OXV_RSA_MAX_BITS) {
        return oxv_fail(err, OXV_E_USAGE, "key: RSA with %d bits; %u to %u are taken", bits,
                        OXV_RSA_MIN_BITS, OXV_RSA_MAX_BITS);
    }
    enum oxv_status st = build(&numbers, &key, err);

    if (st == OXV_OK) {
        *out = key;
        key = NULL;
    }
    return st;
}

enum oxv_status
oxv_rsa_key_sign(EVP_PKEY *key, const EVP_MD *hash, struct oxv_view message, uint8_t *out,
                 size_t *out_len, struct oxv_err *err)
{
    OXV_AUTO(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = OXV_SIGNATURE_MAX_BYTES;

    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, hash, NULL, key) != 1 ||
        EVP_DigestSign(ctx, out, &len, message.data, message.len) != 1) {
        return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL cannot sign with this RSA key");
    }
    *out_len = len;
    return OXV_OK;
}

enum oxv_status
oxv_rsa_key_check(struct oxv_view der, struct oxv_err *err)
{
    static const char probe[] = "oxvault: do the two halves belong together?";
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    OXV_AUTO(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;
    enum oxv_status st = oxv_rsa_key_load(der, &key, err);

    if (st != OXV_OK) {
        return st;
    }
    if (oxv_rsa_key_sign(key, EVP_sha256(), oxv_view_text(probe), signature, &len, NULL) !=
            OXV_OK ||
        ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestVerify(ctx, signature, len, (const unsigned char *)probe, sizeof probe - 1) !=
            1) {
        return oxv_fail(err, OXV_E_USAGE, "key: the parts of this RSA key do not fit together");
    }
    return OXV_OK;
}
