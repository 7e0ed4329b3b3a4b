#include <openssl/evp.h>

#include "signer/hmac_key.h"
#include "vault/box.h"

static const EVP_MD *
hash_of(enum oxv_signature_method method)
{
    switch (method) {
    case OXV_HMAC_SHA256:
        return EVP_sha256();
    case OXV_HMAC_SHA512:
        return EVP_sha512();
    case OXV_HMAC_SHA1:
        return EVP_sha1();
    case OXV_RSA_SHA1:
    case OXV_RSA_SHA256:
    case OXV_RSA_SHA512:
        break;
    }
    return NULL;
}

/* K0 of a key text: the hash where it is longer than the block, else itself; zeros follow. */
static enum oxv_status
fold(enum oxv_signature_method method, const struct oxv_secret *text, struct oxv_secret **out,
     struct oxv_err *err)
{
    size_t block = oxv_hmac_block_len(method);
    struct oxv_view key = oxv_secret_view(text);
    size_t len = key.len > block ? block / 2 : block;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *k0 = oxv_secret_new(len);

    if (k0 == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a signing key");
    }
    if (key.len <= block) {
        struct oxv_writer w = oxv_writer(oxv_secret_bytes(k0), len);

        oxv_write_view(&w, key);
    } else if (EVP_Digest(key.data, key.len, oxv_secret_bytes(k0), NULL, hash_of(method), NULL) !=
               1) {
        return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL cannot hash");
    }
    *out = oxv_secret_take(&k0);
    return OXV_OK;
}

enum oxv_status
oxv_k0_make(enum oxv_signature_method method, const struct oxv_secret *consumer_secret,
            const struct oxv_secret *token_secret, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *text = NULL;

    if (oxv_hmac_block_len(method) == 0) {
        return oxv_fail(err, OXV_E_USAGE, "only an HMAC method has a key made of two secrets");
    }
    if (oxv_hmac_key_text(oxv_secret_view(consumer_secret), oxv_secret_view(token_secret), &text) !=
        OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a signing key");
    }
    return fold(method, text, out, err);
}
