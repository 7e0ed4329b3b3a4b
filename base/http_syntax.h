/*
 * http_syntax: the head of an HTTP/1.1 request (RFC 9112). The one file that knows libhttp_parser.
 *
 * What that library lets through is refused here: obsolete line folding, a bare LF or CR, a space
 * before the colon, spaces more than the two of the request line, Transfer-Encoding in HTTP/1.0, in
 * two fields, beside a Content-Length or other than exactly "chunked", versions other than 1.0
 * and 1.1, no, a second or a malformed Host, targets that do not begin with a slash or that have
 * bytes outside of printable ASCII or a fragment, heads above OXV_HTTP_HEAD_MAX_BYTES.
 */
#ifndef OXV_BASE_HTTP_SYNTAX_H
#define OXV_BASE_HTTP_SYNTAX_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_HTTP_HEAD_MAX_BYTES 8192u /* request line, fields and the empty line */

/* Views borrow the bytes of the head. */
struct oxv_http_head {
    struct oxv_view method; /* "GET" */
    struct oxv_view target; /* path and query, as they stand */
    struct oxv_view content_type;
    uint64_t content_length; /* 0 where there is none */
    bool has_content_type;
    bool has_content_encoding; /* one that is not "identity" */
    bool is_chunked;
    bool is_http_1_0;
    bool keeps_alive;      /* the peer wants to send more requests on this connection */
    bool expects_continue; /* HTTP/1.1 only */
};

/* How far a head has been looked at. Zero it at the start of each request. */
struct oxv_http_scan {
    size_t line;    /* where the current line begins */
    size_t skipped; /* an empty line in front of the request line */
};

/*
 * Looks for the end of the head at the start of `in`, going on where *scan left off. On OXV_OK
 * *head_len bytes, of which the first scan->skipped are to be ignored, are the head.
 *   OXV_E_BUSY    it has not arrived yet
 *   OXV_E_LIMIT   it exceeds OXV_HTTP_HEAD_MAX_BYTES
 *   OXV_E_FORMAT  it is malformed: *err says how
 */
OXV_MUST_USE enum oxv_status oxv_http_scan_head(struct oxv_view in, struct oxv_http_scan *scan,
                                                size_t *head_len, struct oxv_err *err);

/*
 * Reads a whole head, from its request line to the empty line.
 *   OXV_E_FORMAT  it is malformed: *err says how. *out is untouched.
 */
OXV_MUST_USE enum oxv_status oxv_http_parse_head(struct oxv_view bytes, struct oxv_http_head *out,
                                                 struct oxv_err *err);

/* ASCII without case; `lower` is in lower case. */
bool oxv_http_text_is(struct oxv_view text, const char *lower);
/* Without spaces and tabs at both ends. */
struct oxv_view oxv_http_trim(struct oxv_view text);

#endif
