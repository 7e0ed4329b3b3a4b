/* k0: the signing key K0 of an HMAC method, made of the two secrets that are then forgotten. */
#ifndef OXV_VAULT_K0_H
#define OXV_VAULT_K0_H

#include "base/secret.h"
#include "signer/oauth1.h"

/*
 * K0 for a pair of secrets (design.md 5.3): the key text enc(consumer)&enc(token), hashed where it
 * is longer than the block, else zero-padded: 64 bytes for SHA-1 and SHA-256, 128 for SHA-512,
 * except that a hashed key is kept as 32 or 64 bytes as design 5.3 says.
 */
OXV_MUST_USE enum oxv_status oxv_k0_make(enum oxv_signature_method method,
                                         const struct oxv_secret *consumer_secret,
                                         const struct oxv_secret *token_secret,
                                         struct oxv_secret **out, struct oxv_err *err);

#define OXV_K0_ROOM_BYTES 8192u /* enough for two secrets of 1,024 bytes, percent-encoded */

/*
 * The same within `room`, a secret of the caller's of at least OXV_K0_ROOM_BYTES, for many keys one
 * after another. *out borrows it; nothing of the key text stays in it.
 *   OXV_E_USAGE     the method is not an HMAC
 *   OXV_E_LIMIT     the key text is longer than the room
 *   OXV_E_INTERNAL  OpenSSL cannot hash
 */
OXV_MUST_USE enum oxv_status oxv_k0_make_in(enum oxv_signature_method method,
                                            const struct oxv_secret *consumer_secret,
                                            const struct oxv_secret *token_secret,
                                            struct oxv_secret *room, struct oxv_view *out);
/* Says in *err what such a failure means, and returns it. */
enum oxv_status oxv_k0_fail(enum oxv_status status, struct oxv_err *err);

#endif
