/*
 * public_key: the public half of a pair in the token, and what is done with it on the host, by
 * OpenSSL: sealing needs no token.
 */
#ifndef OXV_PKCS11_PUBLIC_KEY_H
#define OXV_PKCS11_PUBLIC_KEY_H

#include "base/secret.h"
#include "pkcs11/objects.h"

#define OXV_P11_POINT_BYTES 65u /* P-256, uncompressed */

struct oxv_p11_public;

/*
 * Reads it: the modulus from the private key `object` where the token gives it there, else from the
 * public one of the same id. The caller owns *out.
 *   OXV_TOKEN_NO_KEY, OXV_TOKEN_AMBIGUOUS  the public key object
 *   OXV_TOKEN_UNFIT  neither RSA of 2048 to 8192 bits nor EC on P-256, or nonsense
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_public_read(struct oxv_p11_op *op,
                                                        CK_OBJECT_HANDLE object, struct oxv_view id,
                                                        struct oxv_p11_public **out,
                                                        struct oxv_p11_fault *fault);
/* NULL is fine. */
void oxv_p11_public_free(struct oxv_p11_public *key);

/* What we make has so many; an older key with less may seal, which a probe tells. */
#define OXV_P11_RSA_BITS 3072u

/* CKK_RSA or CKK_EC. */
CK_KEY_TYPE oxv_p11_public_type(const struct oxv_p11_public *key);
/* Of the modulus, or of the curve. */
size_t oxv_p11_public_bits(const struct oxv_p11_public *key);
/* SubjectPublicKeyInfo, DER; borrowed. */
struct oxv_view oxv_p11_public_der(const struct oxv_p11_public *key);
/* SHA-256 of the DER. */
void oxv_p11_public_hash(const struct oxv_p11_public *key, uint8_t out[32]);

/*
 * Encrypts a few bytes to an RSA key: OAEP with that hash, or PKCS#1 v1.5 where `oaep` is 0. Makes
 * `blob` fail, and returns false, where it does not fit or OpenSSL does not.
 */
OXV_MUST_USE bool oxv_p11_public_encrypt(const struct oxv_p11_public *key, enum oxv_token_oaep oaep,
                                         struct oxv_view plain, struct oxv_writer *blob);

/*
 * ECDH with a fresh key: its public point goes to `blob`, the x coordinate (32 bytes) to *shared,
 * which the caller owns. False where OpenSSL, or memory, fails.
 */
OXV_MUST_USE bool oxv_p11_public_agree(const struct oxv_p11_public *key, struct oxv_writer *blob,
                                       struct oxv_secret **shared);
/* Is it a point on P-256, uncompressed? A token may not check what it multiplies. */
OXV_MUST_USE bool oxv_p11_is_point(struct oxv_view point);

OXV_DEFINE_OWNER(oxv_p11_public);

#endif
