#include "vault/k0.h"

#include <openssl/evp.h>

#include "signer/hmac_key.h"

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

/*
 * K0 of the key text that `room` begins with, in its place: the hash where it is longer than the
 * block, else itself; zeros follow. *len becomes its length.
 */
static enum oxv_status
fold(enum oxv_signature_method method, struct oxv_secret *room, size_t text_len, size_t *len)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;
    uint8_t *bytes = oxv_secret_bytes(room);
    size_t block = oxv_hmac_block_len(method);
    size_t kept = text_len;

    *len = block;
    if (text_len > block) {
        if (EVP_Digest(bytes, text_len, hash, &hash_len, hash_of(method), NULL) != 1) {
            oxv_wipe(bytes, text_len);
            return OXV_E_INTERNAL;
        }
        memcpy(bytes, hash, hash_len);
        oxv_wipe(hash, sizeof hash);
        kept = hash_len;
        *len = block / 2;
    }
    oxv_wipe(bytes + kept, oxv_secret_len(room) - kept);
    return OXV_OK;
}

enum oxv_status
oxv_k0_make_in(enum oxv_signature_method method, const struct oxv_secret *consumer_secret,
               const struct oxv_secret *token_secret, struct oxv_secret *room, struct oxv_view *out)
{
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(room), oxv_secret_len(room));
    struct oxv_view text;
    size_t len;

    if (oxv_hmac_block_len(method) == 0) {
        return OXV_E_USAGE;
    }
    oxv_hmac_key_write(&w, oxv_secret_view(consumer_secret), oxv_secret_view(token_secret));
    if (oxv_secret_len(room) < oxv_hmac_block_len(method) ||
        oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_wipe(oxv_secret_bytes(room), oxv_secret_len(room));
        return OXV_E_LIMIT;
    }
    enum oxv_status st = fold(method, room, text.len, &len);

    if (st == OXV_OK) {
        *out = oxv_view(oxv_secret_bytes(room), len);
    }
    return st;
}

enum oxv_status
oxv_k0_fail(enum oxv_status st, struct oxv_err *err)
{
    return oxv_fail(err, st, "%s",
                    st == OXV_E_USAGE   ? "only an HMAC method has a key made of two secrets"
                    : st == OXV_E_LIMIT ? "the two secrets are too long"
                                        : "OpenSSL cannot hash");
}

enum oxv_status
oxv_k0_make(enum oxv_signature_method method, const struct oxv_secret *consumer_secret,
            const struct oxv_secret *token_secret, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *room = oxv_secret_new(OXV_K0_ROOM_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *k0 = NULL;
    struct oxv_view key = { .data = NULL, .len = 0 };

    if (room == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a signing key");
    }
    enum oxv_status st = oxv_k0_make_in(method, consumer_secret, token_secret, room, &key);

    if (st != OXV_OK) {
        return oxv_k0_fail(st, err);
    }
    k0 = oxv_secret_copy(key);
    if (k0 == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a signing key");
    }
    *out = oxv_secret_take(&k0);
    return OXV_OK;
}
