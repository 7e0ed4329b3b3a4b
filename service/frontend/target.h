/* target: the texts within the target of a request: parameters of the path and of the query. */
#ifndef OXV_SERVICE_FRONTEND_TARGET_H
#define OXV_SERVICE_FRONTEND_TARGET_H

#include "base/bytes.h"
#include "base/status.h"

/*
 * A piece of a path or query with its percent-escapes taken out; decoded into `scratch` where it
 * has any. In a query a plus is a space.
 *   OXV_E_FORMAT  a malformed escape, or more than the scratch holds. *out is untouched.
 */
OXV_MUST_USE enum oxv_status oxv_target_decode(struct oxv_view piece, bool is_query,
                                               struct oxv_writer *scratch, struct oxv_view *out);

struct oxv_query_part {
    struct oxv_view name;
    struct oxv_view value; /* both decoded */
};

/*
 * The next name=value of a query; *r reads what is between the question mark and the end.
 *   OXV_E_NOT_FOUND  there is no more
 *   OXV_E_FORMAT     it is malformed: *err says how
 */
OXV_MUST_USE enum oxv_status oxv_query_next(struct oxv_reader *r, struct oxv_writer *scratch,
                                            struct oxv_query_part *out, struct oxv_err *err);

#endif
