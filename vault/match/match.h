/*
 * match: does a request fall under a grant or a connection's origins (design 9, "Grants")? Pure.
 *
 * A path glob is a path in which `*` stands for any bytes within a segment and `**` for any bytes.
 * All else is compared byte by byte: %2f is not %2F, and %41 is not A.
 *  1. a path with a dot segment matches nothing, see oxv_path_check()
 *  2. an encoded slash or backslash ends a segment as a slash does: `*` does not cover it
 *  3. a path that begins with /rest/, in whatever spelling (/rest./ too, as some servers drop dots
 *     at the end of a segment), is matched by no glob with a wildcard
 */
#ifndef OXV_VAULT_MATCH_H
#define OXV_VAULT_MATCH_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/syntax.h"
#include "signer/url.h"

#define OXV_GLOB_MAX_BYTES 512u

/*
 * Refuses dot segments: also percent-encoded, percent-encoded twice, behind an encoded slash or
 * backslash, followed by ";..." or beside blanks and controls (some servers cut those off); and a
 * NUL, encoded once or twice. `where` may be NULL.
 *   OXV_E_DENIED  where->offset is that of the segment, of the escape of a NUL, or of an escape
 *                 that hides three layers
 */
OXV_MUST_USE enum oxv_status oxv_path_check(struct oxv_view path, struct oxv_syntax_error *where);

/*
 * A glob begins with "/", has at most OXV_GLOB_MAX_BYTES, only bytes that a URL's path can have,
 * well-formed escapes, no three * in a row and no dot segment. `where` may be NULL; it is filled
 * where the answer is false.
 */
OXV_MUST_USE bool oxv_path_glob_valid(struct oxv_view glob, struct oxv_syntax_error *where);

/* Time is linear in the path for any glob. A glob that is not valid matches nothing. */
OXV_MUST_USE bool oxv_path_glob_match(struct oxv_view glob, struct oxv_view path);

/*
 * `required` is a LIST of name, value, name, value ..., decoded. Each must be in the query,
 * decoded, and its name exactly once. An empty list is matched by any query; a list that is
 * malformed or names a name twice by none. A query with a raw ";" matches no list but the empty
 * one: some servers end a pair there, so they would see other names than we do.
 */
OXV_MUST_USE bool oxv_query_match(const struct oxv_url *url, struct oxv_view required);

/*
 * Does the form (LIST of name, value ..., decoded) leave alone what the grant fixes: has no pair of
 * it a name of `required`? Servers merge the two. Any form matches an empty `required`; a malformed
 * one matches no other.
 */
OXV_MUST_USE bool oxv_form_match(struct oxv_view form, struct oxv_view required);

/* Is `method` (from oxv_method_parse()) in the LIST? An empty list has none. */
OXV_MUST_USE bool oxv_method_match(struct oxv_view methods, struct oxv_view method);

/* Is the URL's origin in the LIST of origins, each as oxv_origin_normalise() writes it? */
OXV_MUST_USE bool oxv_origin_match(struct oxv_view origins, const struct oxv_url *url);

#endif
