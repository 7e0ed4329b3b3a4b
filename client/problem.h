/* problem: the service's error documents (RFC 9457 with `code`, docs/openapi.yaml). */
#ifndef OXV_CLIENT_PROBLEM_H
#define OXV_CLIENT_PROBLEM_H

#include "client/error.h"

/*
 * Reads a whole document: type, title, status, detail and code, which must agree with each other;
 * other members are a newer service's and are passed over. `http_status` 0 takes the document's
 * own. Fills *error (may be NULL) and returns its code: OXV_CLIENT_BAD_ANSWER where the document is
 * none. retry_after_s is left 0.
 */
enum oxv_client_code oxv_problem_parse(struct oxv_view text, int http_status,
                                       struct oxv_client_error *error);

/* The same for a value that oxv_json_check() has passed already, as within a batch. */
enum oxv_client_code oxv_problem_read(struct oxv_view value, int http_status,
                                      struct oxv_client_error *error);

#endif
