/*
 * url: the one parser of the URL that a caller wants to call. The grant check, the base string and
 * the log entry are all made from its result, never from the text.
 *
 *   URL   = scheme "://" host [ ":" [ port ] ] [ path ] [ "?" query ]
 *   scheme  http or https, in any case
 *   host    A-Z a-z 0-9 - . _ or an IPv6 address in [ ]
 *   port    1..65535, no leading zero; empty is the default port
 *   path    begins with "/"; RFC 3986 pchar and "/"
 *   query   RFC 3986 pchar, "/" and "?"
 * Refused, each with its position:
 *  1. no or another scheme, no host, userinfo, a fragment
 *  2. bytes that RFC 3986 does not allow raw: control characters, non-ASCII, space, " < > \ ^ ` { |
 * } and [ ] outside an IPv6 host
 *  3. a % without two hex digits; %00 in the path; escapes that are not well-formed UTF-8
 *  4. a query name that, decoded, begins with oauth_ (RFC 5849 3.1)
 *  5. more than OXV_URL_MAX_BYTES; a host of more than OXV_URL_HOST_MAX_BYTES
 */
#ifndef OXV_SIGNER_URL_H
#define OXV_SIGNER_URL_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/syntax.h"

#define OXV_URL_MAX_BYTES      8192u
#define OXV_URL_HOST_MAX_BYTES 255u
/* "https://", host, ":65535" */
#define OXV_URL_ORIGIN_MAX_BYTES (8u + OXV_URL_HOST_MAX_BYTES + 6u)

/* Filled by oxv_url_parse() alone. The views borrow the text that was parsed. */
struct oxv_url {
    struct oxv_view text;
    bool https;                            /* else http */
    bool default_port;                     /* 443 for https, 80 for http */
    bool has_query;                        /* there was a "?" */
    uint16_t port;                         /* effective */
    char host[OXV_URL_HOST_MAX_BYTES + 1]; /* lower-cased, with [] for IPv6, NUL-terminated */
    size_t host_len;
    struct oxv_view path;  /* as it stands; "/" where it was empty */
    struct oxv_view query; /* raw, without "?" */
};

/*
 * Parses all of `text`, which must outlive *out. `where` may be NULL.
 *   OXV_E_FORMAT  refused: *where says why and at which byte; *out is untouched
 *   OXV_E_LIMIT   a length of rule 5, likewise
 */
OXV_MUST_USE enum oxv_status oxv_url_parse(struct oxv_view text, struct oxv_url *out,
                                           struct oxv_syntax_error *where);

/* scheme "://" host, and ":" port where it is not the default one (RFC 5849 3.4.1.2). */
void oxv_url_write_origin(struct oxv_writer *w, const struct oxv_url *url);

/*
 * Parses the origin an admin names: a URL with an empty path or "/" and no "?", and writes its
 * normal form. http is for loopback only (design 9). `where` may be NULL.
 *   OXV_E_FORMAT, OXV_E_LIMIT  as oxv_url_parse(); nothing is written
 */
OXV_MUST_USE enum oxv_status oxv_origin_normalise(struct oxv_view text, struct oxv_writer *w,
                                                  struct oxv_syntax_error *where);

/* localhost, 127.x.x.x or [::1]? */
bool oxv_url_is_loopback(const struct oxv_url *url);

/* A name and a value as they stand in the query; decode with oxv_write_form_decoded(). */
struct oxv_query_pair {
    struct oxv_view name;
    struct oxv_view value; /* empty where there was no "=" */
};

/*
 * Takes the next pair from *left, which starts as the whole query; empty parts between && are
 * skipped. False at the end.
 */
OXV_MUST_USE bool oxv_query_next(struct oxv_view *left, struct oxv_query_pair *out);

#endif
