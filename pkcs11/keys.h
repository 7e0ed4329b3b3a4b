/*
 * keys: keys of HMAC in the token. A handle is valid in the generation that gave it: after the
 * token was away all are stale, and have to be loaded again.
 */
#ifndef OXV_PKCS11_KEYS_H
#define OXV_PKCS11_KEYS_H

#include "base/secret.h"
#include "pkcs11/token.h"

struct oxv_p11_key {
    uint64_t key;
    uint64_t generation;
};

struct oxv_p11_load {
    enum oxv_key_form form; /* not IN_VAULT */
    enum oxv_token_hash hash;
    struct oxv_view key_id;         /* CKA_ID */
    struct oxv_view pair_id;        /* UNWRAP: of the pair that unwraps */
    enum oxv_token_oaep oaep;       /* UNWRAP */
    struct oxv_view blob;           /* UNWRAP */
    const struct oxv_secret *value; /* TOKEN: K0, to be made there; NULL: it is there */
    struct oxv_view label;          /* TOKEN: CKA_LABEL of one that is made */
};

/*
 * Finds, unwraps or makes a key and reads its attributes back: it must be sensitive and not
 * extractable, and its value must not be readable. What was made, and is not so, is destroyed.
 *   OXV_TOKEN_NO_KEY     no such key (or pair); nothing was made in its place
 *   OXV_TOKEN_AMBIGUOUS  the id fits several; or it is to be made and is there
 *   OXV_TOKEN_UNFIT      the token cannot, or would not keep it
 *   OXV_TOKEN_DATA       the blob does not open
 *   OXV_TOKEN_ABSENT, OXV_TOKEN_PIN, OXV_TOKEN_NEEDS_PIN, OXV_TOKEN_REFUSED
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_key_load(struct oxv_p11_token *token,
                                                     const struct oxv_p11_load *load,
                                                     struct oxv_p11_key *out,
                                                     struct oxv_p11_fault *fault);

struct oxv_p11_mac {
    uint8_t bytes[OXV_TOKEN_MAC_MAX_BYTES];
    size_t len; /* that of the key's hash */
};

/*
 * The HMAC over `message`. On failure *out is wiped.
 *   OXV_TOKEN_STALE  load the key again
 *   OXV_TOKEN_UNFIT  the message is too long for the token, or the module gave no proper MAC
 *   OXV_TOKEN_ABSENT, OXV_TOKEN_PIN, OXV_TOKEN_NEEDS_PIN
 */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_key_sign(struct oxv_p11_token *token, struct oxv_p11_key key, struct oxv_view message,
                 struct oxv_p11_mac *out, struct oxv_p11_fault *fault);

/*
 * Forgets a key; with `destroy` also the object of the token, where the form is TOKEN. One that is
 * gone already is no failure.
 *   OXV_TOKEN_STALE  to be destroyed, but of an older generation: load it first
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_key_drop(struct oxv_p11_token *token,
                                                     struct oxv_p11_key key, bool destroy,
                                                     struct oxv_p11_fault *fault);

#endif
