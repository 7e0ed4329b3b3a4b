/* hmac_key: the text of an OAuth 1.0 HMAC key (RFC 5849 3.4.2), as needed once, at import. */
#ifndef OXV_SIGNER_HMAC_KEY_H
#define OXV_SIGNER_HMAC_KEY_H

#include "base/bytes.h"
#include "base/secret.h"
#include "base/status.h"
#include "signer/signature_method.h"

/*
 * Joins enc(consumer_secret) "&" enc(token_secret). The & stays where one is empty. The caller
 * owns *out and makes K0 of it (design 5.3).
 *   OXV_E_MEMORY  no locked memory left; *out is untouched
 */
OXV_MUST_USE enum oxv_status oxv_hmac_key_text(struct oxv_view consumer_secret,
                                               struct oxv_view token_secret,
                                               struct oxv_secret **out);

/* The same text, appended to `w`, which must lie in locked memory. */
void oxv_hmac_key_write(struct oxv_writer *w, struct oxv_view consumer_secret,
                        struct oxv_view token_secret);

/* The block length of the method's hash: a longer key is hashed first (RFC 2104). 0 for RSA. */
size_t oxv_hmac_block_len(enum oxv_signature_method method);
/* The length of the method's MAC: 32, 64 or 20. 0 for RSA. */
size_t oxv_hmac_len(enum oxv_signature_method method);

#endif
