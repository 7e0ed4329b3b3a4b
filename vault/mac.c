#include "vault/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include "base/text.h"

/* OpenSSL's own locked heap: ample room for the numbers of one RSA key and for its uses. */
#define SECURE_HEAP_BYTES (512u * 1024u)
#define SECURE_HEAP_UNIT  64u
#define ZERO_KEY_BYTES    32u

/* The digest's name is part of the context, so that setting a key fetches nothing. */
static EVP_MAC_CTX *
context_new(EVP_MAC *hmac, const char *hash)
{
    char name[8];
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);

    if (ctx == NULL || oxv_text_copy(oxv_view_text(hash), name, sizeof name) != OXV_OK) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    OSSL_PARAM params[2] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                             OSSL_PARAM_construct_end() };

    if (EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

enum oxv_status
oxv_mac_init(struct oxv_mac *mac, struct oxv_err *err)
{
    static const char *const hashes[OXV_MAC_HASHES] = { "SHA256", "SHA512", "SHA1" };
    struct oxv_mac made = { 0 };

    /* 2: it works, but could not be locked: then the locked memory of base/secret.h was refused
     * too, or that was allowed. */
    if (CRYPTO_secure_malloc_initialized() != 1 &&
        CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_UNIT) == 0) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for OpenSSL");
    }
    made.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (made.hmac == NULL) {
        return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL has no HMAC");
    }
    for (size_t i = 0; i < OXV_MAC_HASHES; i++) {
        made.contexts[i] = context_new(made.hmac, hashes[i]);
        if (made.contexts[i] == NULL) {
            oxv_mac_done(&made);
            return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL has no HMAC with %s", hashes[i]);
        }
    }
    *mac = made;
    return OXV_OK;
}

void
oxv_mac_done(struct oxv_mac *mac)
{
    for (size_t i = 0; i < OXV_MAC_HASHES; i++) {
        EVP_MAC_CTX_free(mac->contexts[i]);
    }
    EVP_MAC_free(mac->hmac);
    *mac = (struct oxv_mac){ 0 };
}

static EVP_MAC_CTX *
context_of(const struct oxv_mac *mac, enum oxv_signature_method method)
{
    switch (method) {
    case OXV_HMAC_SHA256:
        return mac->contexts[0];
    case OXV_HMAC_SHA512:
        return mac->contexts[1];
    case OXV_HMAC_SHA1:
        return mac->contexts[2];
    case OXV_RSA_SHA1:
    case OXV_RSA_SHA256:
    case OXV_RSA_SHA512:
        break;
    }
    return NULL;
}

enum oxv_status
oxv_mac_make(struct oxv_mac *mac, enum oxv_signature_method method, struct oxv_view key,
             struct oxv_view message, struct oxv_view *out)
{
    static const uint8_t zeros[ZERO_KEY_BYTES];
    EVP_MAC_CTX *ctx = context_of(mac, method);
    size_t len = 0;

    if (ctx == NULL) {
        return OXV_E_INTERNAL;
    }
    bool made = EVP_MAC_init(ctx, key.data, key.len, NULL) == 1 &&
                EVP_MAC_update(ctx, message.data, message.len) == 1 &&
                EVP_MAC_final(ctx, mac->result, &len, sizeof mac->result) == 1;
    bool wiped = EVP_MAC_init(ctx, zeros, sizeof zeros, NULL) == 1;

    if (!made || !wiped) {
        return OXV_E_INTERNAL;
    }
    *out = oxv_view(mac->result, len);
    return OXV_OK;
}
