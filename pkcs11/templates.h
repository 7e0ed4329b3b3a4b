/*
 * templates: the attributes of every object that we make, all of them explicit: what a token puts
 * where nothing is said differs (opencryptoki and NSS: extractable).
 */
#ifndef OXV_PKCS11_TEMPLATES_H
#define OXV_PKCS11_TEMPLATES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/token_terms.h"
#include "pkcs11/cryptoki.h"

#define OXV_P11_ATTRIBUTES_MAX 24u

/* Attributes of one object. Must not be copied: attributes point into it. */
struct oxv_p11_template {
    CK_ATTRIBUTE items[OXV_P11_ATTRIBUTES_MAX];
    size_t count;
    CK_ULONG numbers[OXV_P11_ATTRIBUTES_MAX];
    CK_ATTRIBUTE nested[3];
};

/* A template that is full already is a bug. Bytes are borrowed. */
void oxv_p11_template_flag(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, bool value);
void oxv_p11_template_number(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value);
void oxv_p11_template_bytes(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type,
                            struct oxv_view value);
/* Changes the value of a flag that is there; one that is not there is a bug. */
void oxv_p11_template_change(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, bool value);

/* Of one object of ours. */
struct oxv_p11_identity {
    struct oxv_view id;
    struct oxv_view label; /* may be empty */
    bool on_token;         /* else a session object */
};

/* A key that does HMAC and nothing else, and stays: without its value. */
void oxv_p11_template_hmac(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                           CK_KEY_TYPE type);
/* An AES-256 key for C_GenerateKey: encrypts (`wraps` false) or wraps, never both. */
void oxv_p11_template_aes(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                          bool wraps);

/* What a pair is for, and nothing else. */
enum oxv_p11_pair_use {
    OXV_P11_PAIR_DECRYPT, /* seals */
    OXV_P11_PAIR_UNWRAP,  /* keys of connections */
    OXV_P11_PAIR_DERIVE,  /* ECDH */
};
/* RSA-3072, or P-256 for DERIVE. */
void oxv_p11_template_public(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                             enum oxv_p11_pair_use use);
void oxv_p11_template_private(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                              enum oxv_p11_pair_use use);

/* CKK_SHA256_HMAC and its kin, and CKM_SHA256_HMAC. */
CK_KEY_TYPE oxv_p11_hmac_type(enum oxv_token_hash hash);
CK_MECHANISM_TYPE oxv_p11_hmac_mechanism(enum oxv_token_hash hash);
/* Bytes of the MAC, and of the hash's block, which is what K0 is padded to. */
size_t oxv_p11_mac_bytes(enum oxv_token_hash hash);
size_t oxv_p11_block_bytes(enum oxv_token_hash hash);

#endif
