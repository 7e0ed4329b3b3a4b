/* nonce: 32 characters that nobody can guess. */
#ifndef OXV_SIGNER_NONCE_H
#define OXV_SIGNER_NONCE_H

#include <stddef.h>
#include <stdint.h>

#define OXV_NONCE_BYTES 32u

/* Fills all `len` bytes, never fails. */
typedef void (*oxv_random_fn)(void *ctx, uint8_t *out, size_t len);

/* Fills `out` from [A-Za-z0-9], each equally likely. No NUL is added. */
void oxv_nonce_make(oxv_random_fn random, void *ctx, uint8_t out[OXV_NONCE_BYTES]);

#endif
