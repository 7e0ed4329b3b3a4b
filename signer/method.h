/* method: the HTTP method of the request to be signed. */
#ifndef OXV_SIGNER_METHOD_H
#define OXV_SIGNER_METHOD_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/syntax.h"

#define OXV_METHOD_MAX_BYTES 32u

struct oxv_method {
    char text[OXV_METHOD_MAX_BYTES + 1]; /* upper-cased, NUL-terminated */
    size_t len;
};

/*
 * Accepts a token of RFC 9110 5.6.2 and upper-cases its letters. `where` may be NULL.
 *   OXV_E_FORMAT  empty, or a byte that no token has: *where names it; *out is untouched
 *   OXV_E_LIMIT   more than OXV_METHOD_MAX_BYTES, likewise
 */
OXV_MUST_USE enum oxv_status oxv_method_parse(struct oxv_view text, struct oxv_method *out,
                                              struct oxv_syntax_error *where);

/* Borrows *method. */
static inline struct oxv_view
oxv_method_view(const struct oxv_method *method)
{
    return oxv_view(method->text, method->len);
}

#endif
