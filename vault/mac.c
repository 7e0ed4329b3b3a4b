#include "vault/mac.h"

#include <openssl/crypto.h>

#include "base/secret.h"

/* OpenSSL's own locked heap: ample room for the numbers of one RSA key and for its uses. */
#define SECURE_HEAP_BYTES (512u * 1024u)
#define SECURE_HEAP_UNIT  64u
#define BLOCK_MAX_BYTES   128u /* of SHA-512 */
#define INNER_PAD         0x36u
#define OUTER_PAD         0x5cu

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
    for (size_t i = 0; i < OXV_MAC_HASHES; i++) {
        made.hashes[i] = EVP_MD_fetch(NULL, hashes[i], NULL);
        made.contexts[i] = EVP_MD_CTX_new();
        if (made.hashes[i] == NULL || made.contexts[i] == NULL ||
            EVP_DigestInit_ex2(made.contexts[i], made.hashes[i], NULL) != 1) {
            oxv_mac_done(&made);
            return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL has no %s", hashes[i]);
        }
    }
    *mac = made;
    return OXV_OK;
}

void
oxv_mac_done(struct oxv_mac *mac)
{
    for (size_t i = 0; i < OXV_MAC_HASHES; i++) {
        EVP_MD_CTX_free(mac->contexts[i]);
        EVP_MD_free(mac->hashes[i]);
    }
    *mac = (struct oxv_mac){ 0 };
}

/* False where the method is none of HMAC. */
static bool
hash_of(enum oxv_signature_method method, size_t *out)
{
    switch (method) {
    case OXV_HMAC_SHA256:
        *out = 0;
        return true;
    case OXV_HMAC_SHA512:
        *out = 1;
        return true;
    case OXV_HMAC_SHA1:
        *out = 2;
        return true;
    case OXV_RSA_SHA1:
    case OXV_RSA_SHA256:
    case OXV_RSA_SHA512:
        break;
    }
    return false;
}

static void
wipe_pad(uint8_t (*pad)[BLOCK_MAX_BYTES])
{
    oxv_wipe(*pad, sizeof *pad);
}

/* The hash of a pad and the bytes after it. */
static bool
hash_padded(EVP_MD_CTX *ctx, struct oxv_view pad, struct oxv_view bytes, uint8_t *out)
{
    return EVP_DigestInit_ex2(ctx, NULL, NULL) == 1 &&
           EVP_DigestUpdate(ctx, pad.data, pad.len) == 1 &&
           EVP_DigestUpdate(ctx, bytes.data, bytes.len) == 1 &&
           EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

enum oxv_status
oxv_mac_make(struct oxv_mac *mac, enum oxv_signature_method method, struct oxv_view key,
             struct oxv_view message, struct oxv_view *out)
{
    OXV_AUTO(wipe_pad) uint8_t pad[BLOCK_MAX_BYTES] = { 0 };
    uint8_t inner[OXV_MAC_MAX_BYTES];
    size_t which = 0;

    if (!hash_of(method, &which)) {
        return OXV_E_INTERNAL;
    }
    EVP_MD_CTX *ctx = mac->contexts[which];
    size_t block = (size_t)EVP_MD_get_block_size(mac->hashes[which]);
    size_t len = (size_t)EVP_MD_get_size(mac->hashes[which]);

    if (block > sizeof pad || len > sizeof inner || key.len > block) {
        return OXV_E_INTERNAL;
    }
    memcpy(pad, key.data, key.len);
    for (size_t i = 0; i < block; i++) {
        pad[i] ^= INNER_PAD;
    }
    bool made = hash_padded(ctx, oxv_view(pad, block), message, inner);

    for (size_t i = 0; i < block; i++) {
        pad[i] ^= INNER_PAD ^ OUTER_PAD;
    }
    made = made && hash_padded(ctx, oxv_view(pad, block), oxv_view(inner, len), mac->result);
    /* Sets the state to the hash's own start, and the buffered block to zeros. */
    bool wiped = EVP_DigestInit_ex2(ctx, NULL, NULL) == 1;

    oxv_wipe(inner, sizeof inner);
    if (!made || !wiped) {
        return OXV_E_INTERNAL;
    }
    *out = oxv_view(mac->result, len);
    return OXV_OK;
}
