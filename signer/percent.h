/*
 * percent: percent-encoding as OAuth 1.0 wants it (RFC 5849 3.6), and the decoding of one piece of
 * a form (WHATWG URL, application/x-www-form-urlencoded).
 */
#ifndef OXV_SIGNER_PERCENT_H
#define OXV_SIGNER_PERCENT_H

#include "base/bytes.h"

/* Are all bytes unreserved? Then the text encodes itself. */
bool oxv_percent_is_plain(struct oxv_view bytes);

/* The length of what oxv_write_percent() writes. */
size_t oxv_percent_len(struct oxv_view bytes);

/* Unreserved bytes (RFC 3986 2.3) as they are, every other byte as %XX in upper-case hex. */
void oxv_write_percent(struct oxv_writer *w, struct oxv_view bytes);

/* The encoding of an encoding: `encoded` holds only unreserved bytes and %XX. */
void oxv_write_percent_again(struct oxv_writer *w, struct oxv_view encoded);

/* The byte that the %XX at `at` stands for. False where no well-formed escape is there. */
OXV_MUST_USE bool oxv_percent_escape(struct oxv_view text, size_t at, uint8_t *byte);

/*
 * Reads a raw piece of a query or form byte by byte, from *at = 0 on: %XX is a byte, + a space; a
 * malformed escape stands for itself, but oxv_url_parse() lets none through. False at the end.
 */
OXV_MUST_USE bool oxv_form_next(struct oxv_view piece, size_t *at, uint8_t *byte);

/* All of a piece, decoded. */
void oxv_write_form_decoded(struct oxv_writer *w, struct oxv_view piece);

/* All of a piece, decoded and then encoded as by oxv_write_percent(), with no buffer between. */
void oxv_write_form_recoded(struct oxv_writer *w, struct oxv_view piece);

#endif
