/*
 * uri: a token is named by an RFC 7512 URI. p11-kit decodes; what it lets pass silently is refused
 * here. Rules:
 *  1. "pkcs11:" and attributes token, serial, model, manufacturer, parted by ';'
 *  2. each at most once, none empty, none longer than the token's own field
 *  3. token or serial is among them
 *  4. nothing else: no module-path (code by URI), no pin-value or pin-source (a PIN in a URI is
 *     seen by everybody), no slot-id (changes), no object attributes
 */
#ifndef OXV_PKCS11_URI_H
#define OXV_PKCS11_URI_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "pkcs11/fault.h"

struct oxv_p11_uri;

/*
 * The caller owns *out.
 *   OXV_TOKEN_REFUSED  a rule is broken: *fault says which
 */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_uri_parse(struct oxv_view text, struct oxv_p11_uri **out, struct oxv_p11_fault *fault);
/* The canonical URI of a token: model, manufacturer, serial, token, without those it leaves empty.
 * Returns `out`, which holds "" where it does not fit. */
const char *oxv_p11_uri_of(const CK_TOKEN_INFO *info, char out[OXV_TOKEN_URI_MAX_BYTES + 1]);
/* Do all attributes of the URI equal the token's? */
bool oxv_p11_uri_fits(const struct oxv_p11_uri *uri, const CK_TOKEN_INFO *info);
/* NULL is fine. */
void oxv_p11_uri_free(struct oxv_p11_uri *uri);

/* A space-padded field as text; bytes that are no UTF-8 become '?'. Returns `out`. */
const char *oxv_p11_field(const unsigned char *field, size_t len, char *out, size_t out_size);

OXV_DEFINE_OWNER(oxv_p11_uri);

#endif
