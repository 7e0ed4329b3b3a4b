/*
 * oauth1: the signature base string (RFC 5849 3.4.1) and the Authorization header (3.5.1).
 *
 * Signing is split in two, because the keyed part may come back later and from elsewhere:
 *   oxv_oauth1_prepare()      gives the base string
 *   the caller                MACs or signs it
 *   oxv_oauth1_write_header() takes the signature
 * Between the two the request must stay as it was; the work area may serve other requests.
 */
#ifndef OXV_SIGNER_OAUTH1_H
#define OXV_SIGNER_OAUTH1_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/signature_method.h"
#include "signer/syntax.h"
#include "signer/url.h"

#define OXV_OAUTH1_MAX_PARAMETERS      4096u
#define OXV_OAUTH1_ENCODED_MAX_BYTES   (256u * 1024u) /* of parameters that need an escape */
#define OXV_OAUTH1_BASE_MAX_BYTES      (512u * 1024u)
#define OXV_OAUTH1_SIGNATURE_MAX_BYTES 1024u /* twice what RSA with 4096 bits has */

/* All borrowed. Names and values are raw bytes, encoded here. */
struct oxv_oauth1_request {
    struct oxv_view method; /* upper-case, from oxv_method_parse() */
    const struct oxv_url *url;
    struct oxv_view form;  /* LIST of name, value, name, value ...: form-encoded body parameters */
    struct oxv_view realm; /* empty: no realm in the header */
    struct oxv_view consumer_key;
    struct oxv_view token; /* empty: no oauth_token */
    struct oxv_view nonce;
    uint64_t timestamp; /* seconds since 1970 */
    enum oxv_signature_method signature_method;
    struct oxv_view extra; /* LIST like form: further protocol parameters, e.g. oauth_callback */
    bool without_version;  /* leaves oauth_version out, as the examples of RFC 5849 do */
};

struct oxv_oauth1_parameter {
    struct oxv_view name; /* both encoded */
    struct oxv_view value;
};

/*
 * About 0.9 MiB, to be allocated once (malloc is fine, no need to zero or wipe: it never holds a
 * key) and used for one request after another. Nothing in it is for the caller.
 */
struct oxv_oauth1_work {
    size_t count;
    struct oxv_writer encoded;
    uint8_t timestamp[20];
    struct oxv_oauth1_parameter parameters[OXV_OAUTH1_MAX_PARAMETERS];
    uint8_t encoded_bytes[OXV_OAUTH1_ENCODED_MAX_BYTES];
    uint8_t base[OXV_OAUTH1_BASE_MAX_BYTES];
};

/*
 * Makes the base string in `work`; the view is good until the next call with the same `work`.
 * `where` may be NULL.
 *   OXV_E_FORMAT  form or extra has a name without a value or is not UTF-8, or a form name begins
 *                 with oauth_; where->offset counts the pairs, from 0
 *   OXV_E_LIMIT   more parameters or bytes than the limits above: *where says which
 */
OXV_MUST_USE enum oxv_status oxv_oauth1_prepare(struct oxv_oauth1_work *work,
                                                const struct oxv_oauth1_request *request,
                                                struct oxv_view *base_string,
                                                struct oxv_syntax_error *where);

/*
 * Writes the value of the Authorization header: OAuth, realm, oauth_consumer_key, oauth_token,
 * oauth_signature_method, oauth_timestamp, oauth_nonce, oauth_version, the extra parameters,
 * oauth_signature. `signature` is raw (not base64), at most OXV_OAUTH1_SIGNATURE_MAX_BYTES.
 */
void oxv_oauth1_write_header(struct oxv_writer *w, const struct oxv_oauth1_request *request,
                             struct oxv_view signature);

#endif
