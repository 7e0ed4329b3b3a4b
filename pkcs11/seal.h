/*
 * seal: 32 secret bytes that only the token gives back. What is pinned at sealing (mechanism, IV
 * dialect, key id, hash of the public key) is what unsealing does, or it fails.
 *
 * The blob, by mechanism:
 *   aes-gcm          IV (12 or 16 bytes), ciphertext (32), tag (16)
 *   aes-kwp          RFC 5649, 40 bytes
 *   rsa-*            the RSA ciphertext
 *   aes-kwp-wrap     u8: the low byte of the mechanism's number (0x0a or 0x0b), RFC 5649 (40 bytes)
 *   ecdh             the ephemeral public point on P-256, uncompressed (65 bytes)
 */
#ifndef OXV_PKCS11_SEAL_H
#define OXV_PKCS11_SEAL_H

#include "base/secret.h"
#include "pkcs11/token.h"

struct oxv_p11_seal_request {
    struct oxv_view key_id; /* empty: the one that fits, or with `generate` a new one */
    bool generate;
    enum oxv_token_mechanism mechanism; /* 0: the best that works */
    enum oxv_token_gcm_iv gcm_iv;       /* 0: host */
    bool allow_oaep_sha1;
    bool allow_pkcs1;
};

/* What is pinned. */
struct oxv_p11_sealed {
    enum oxv_token_mechanism mechanism;
    enum oxv_token_gcm_iv gcm_iv; /* 0 but for aes-gcm */
    uint8_t key_id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t key_id_len;
    uint8_t key_hash[32]; /* SHA-256 of the public key's DER */
    size_t key_hash_len;  /* 0: a secret key has none */
    uint8_t blob[OXV_TOKEN_BLOB_MAX_BYTES];
    size_t blob_len;
};

/*
 * Finds or makes a key, proves the mechanism by a round trip and by a damaged blob that must not
 * give the value, and seals a fresh value of OXV_TOKEN_VALUE_BYTES, which the caller owns. A key
 * that was made, but does not do, is destroyed.
 *   OXV_TOKEN_UNFIT      no step of the ladder works: *fault says why each one does not
 *   OXV_TOKEN_NO_KEY     there is no key that fits, and `generate` is not asked for
 *   OXV_TOKEN_AMBIGUOUS  several keys fit: *fault lists them
 *   OXV_TOKEN_ABSENT, OXV_TOKEN_PIN, OXV_TOKEN_NEEDS_PIN, OXV_TOKEN_BUSY
 */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_seal(struct oxv_p11_token *token, const struct oxv_p11_seal_request *request,
             struct oxv_p11_sealed *out, struct oxv_secret **value, struct oxv_p11_fault *fault);

/*
 * Gives the value back; the caller owns it.
 *   OXV_TOKEN_DATA    the blob does not open, or the key is another one: one text for all of it
 *   OXV_TOKEN_NO_KEY, OXV_TOKEN_AMBIGUOUS, OXV_TOKEN_UNFIT, OXV_TOKEN_ABSENT, OXV_TOKEN_PIN,
 *   OXV_TOKEN_NEEDS_PIN, OXV_TOKEN_BUSY
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_unseal(struct oxv_p11_token *token,
                                                   const struct oxv_p11_sealed *sealed,
                                                   struct oxv_secret **value,
                                                   struct oxv_p11_fault *fault);

#endif
