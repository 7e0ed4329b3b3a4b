/* body: the JSON of a request for a signature. */
#ifndef OXV_CLIENT_BODY_H
#define OXV_CLIENT_BODY_H

#include "client/buffer.h"
#include "client/error.h"

#define OXV_CLIENT_BODY_MAX_BYTES  (64u * 1024u)
#define OXV_CLIENT_BATCH_MAX_BYTES (1024u * 1024u)

/* "oauth1", "token-passport", "connect-password"; NULL for a number that is none. */
const char *oxv_client_kind_name(enum oxv_client_kind kind);

/*
 * The body for one request of `kind`. Writes into *out, which is zeroed or used before.
 *   OXV_CLIENT_USAGE  a member that the kind needs is missing, one that it does not have is there,
 *                     or a text is not UTF-8: *error names it
 *   OXV_CLIENT_PAYLOAD_TOO_LARGE  beyond OXV_CLIENT_BODY_MAX_BYTES, or OXV_CLIENT_BATCH_MAX_BYTES
 */
enum oxv_client_code oxv_client_body_make(struct oxv_buffer *out,
                                          const struct oxv_client_request *request,
                                          enum oxv_client_kind kind,
                                          struct oxv_client_error *error);

/* The body of a batch, each request of its own kind. */
enum oxv_client_code oxv_client_body_make_batch(struct oxv_buffer *out,
                                                const struct oxv_client_request *requests,
                                                size_t count, struct oxv_client_error *error);

#endif
