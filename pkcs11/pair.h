/*
 * pair: the RSA pair by which keys of connections get into a token: UNWRAP only, never DECRYPT, and
 * with an unwrap template, so that the token itself makes of a blob nothing but a key that stays.
 */
#ifndef OXV_PKCS11_PAIR_H
#define OXV_PKCS11_PAIR_H

#include "pkcs11/token.h"

struct oxv_p11_pair {
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t id_len;
    uint8_t public_key[OXV_TOKEN_PUBLIC_KEY_MAX_BYTES]; /* SubjectPublicKeyInfo, DER */
    size_t public_key_len;
    enum oxv_token_oaep oaep;
};

/*
 * Finds the pair `key_id`, or makes one where it is empty, and proves it: an unwrap of a key that
 * could leave must be refused, a proper one must work, not be readable, and sign right. A pair that
 * was made and is not so is destroyed.
 *   OXV_TOKEN_UNFIT  the token cannot, or does not keep to it: *fault says what
 *   OXV_TOKEN_NO_KEY, OXV_TOKEN_AMBIGUOUS, OXV_TOKEN_ABSENT, OXV_TOKEN_PIN, OXV_TOKEN_NEEDS_PIN
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_pair(struct oxv_p11_token *token,
                                                 struct oxv_view key_id, bool allow_oaep_sha1,
                                                 struct oxv_p11_pair *out,
                                                 struct oxv_p11_fault *fault);

#endif
