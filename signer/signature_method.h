/* signature_method: the OAuth 1.0 signature methods by name. */
#ifndef OXV_SIGNER_SIGNATURE_METHOD_H
#define OXV_SIGNER_SIGNATURE_METHOD_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/syntax.h"

/* The numbers are part of stored records. */
enum oxv_signature_method {
    OXV_HMAC_SHA256 = 1,
    OXV_HMAC_SHA512 = 2,
    OXV_HMAC_SHA1 = 3,
    OXV_RSA_SHA1 = 4,
    OXV_RSA_SHA256 = 5,
    OXV_RSA_SHA512 = 6,
};

/* "HMAC-SHA256" and so on, as in oauth_signature_method. */
const char *oxv_signature_method_name(enum oxv_signature_method method);

/*
 * The exact names only. `where` may be NULL.
 *   OXV_E_DENIED  PLAINTEXT: *where says why
 *   OXV_E_FORMAT  no such method. *out is untouched
 */
OXV_MUST_USE enum oxv_status oxv_signature_method_parse(struct oxv_view name,
                                                        enum oxv_signature_method *out,
                                                        struct oxv_syntax_error *where);

/* Is `number` (of a record, of the wire) one of the enum? */
bool oxv_signature_method_known(uint64_t number);
bool oxv_signature_method_is_rsa(enum oxv_signature_method method);

#endif
