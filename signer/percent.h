/*
 * percent: percent-encoding as OAuth 1.0 wants it (RFC 5849 3.6), and the decoding of one piece of
 * a form (WHATWG URL, application/x-www-form-urlencoded).
 */
#ifndef OXV_SIGNER_PERCENT_H
#define OXV_SIGNER_PERCENT_H

#include "base/bytes.h"

/* A-Z a-z 0-9 - . _ ~ (RFC 3986 2.3)? */
bool oxv_is_unreserved(uint8_t byte);
/* Only such bytes? Then the text is its own encoding. Empty is. */
bool oxv_is_all_unreserved(struct oxv_view bytes);

/* Unreserved bytes as they are, every other byte as %XX in upper-case hex. */
void oxv_write_percent(struct oxv_writer *w, struct oxv_view bytes);

/* The encoding of an encoding: `encoded` holds only unreserved bytes and %XX. */
void oxv_write_percent_again(struct oxv_writer *w, struct oxv_view encoded);

/*
 * Decodes a raw piece of a query or form: %XX is a byte, + a space. Makes the writer fail at an
 * escape that is malformed; oxv_url_parse() lets none through.
 */
void oxv_write_form_decoded(struct oxv_writer *w, struct oxv_view piece);

/* The same, then encoded as by oxv_write_percent(), without a buffer between. */
void oxv_write_form_recoded(struct oxv_writer *w, struct oxv_view piece);

/*
 * The byte at `at` and where the next one begins, with %XX decoded; a malformed escape stands for
 * its own first byte. False at the end of the text.
 */
OXV_MUST_USE bool oxv_percent_next(struct oxv_view text, size_t at, uint8_t *byte, size_t *next);

/* The byte that the %XX at `at` stands for. False where there is no well-formed escape. */
OXV_MUST_USE bool oxv_percent_escape(struct oxv_view text, size_t at, uint8_t *byte);

#endif
