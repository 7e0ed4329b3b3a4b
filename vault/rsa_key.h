/* rsa_key: RSA signing keys as PKCS#8 DER (RFC 5958, RFC 8017 A.1.2). */
#ifndef OXV_VAULT_RSA_KEY_H
#define OXV_VAULT_RSA_KEY_H

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/status.h"

#define OXV_RSA_MIN_BITS 2048u
#define OXV_RSA_MAX_BITS 4096u /* a signature takes 4 ms; with 8192 bits it would be 65 */

/*
 * Reads the key into OpenSSL; the caller frees it, which wipes it. It is read here and not by
 * OpenSSL's decoders, because those leave copies of the DER in the heap.
 *   OXV_E_USAGE   not an unencrypted RSA key in PKCS#8 DER of OXV_RSA_MIN_BITS..OXV_RSA_MAX_BITS:
 *                 *err says what it is and how to convert it
 *   OXV_E_MEMORY  OpenSSL has no memory for it
 */
OXV_MUST_USE enum oxv_status oxv_rsa_key_load(struct oxv_view der, EVP_PKEY **out,
                                              struct oxv_err *err);

/* PKCS#1 v1.5. `out` has the key's length at least. OXV_E_INTERNAL where OpenSSL refuses. */
OXV_MUST_USE enum oxv_status oxv_rsa_key_sign(EVP_PKEY *key, const EVP_MD *hash,
                                              struct oxv_view message, uint8_t *out,
                                              size_t *out_len, struct oxv_err *err);

/* Loads it, signs, and verifies with the public half: do the parts belong together? */
OXV_MUST_USE enum oxv_status oxv_rsa_key_check(struct oxv_view der, struct oxv_err *err);

static inline void
oxv_pkey_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

#endif
