/*
 * json_string: the strings of JSON as they stand, between their quotes: is one good, and do two
 * mean the same? RFC 8259 7, without NUL and without lone surrogates.
 */
#ifndef OXV_SERVICE_FRONTEND_JSON_STRING_H
#define OXV_SERVICE_FRONTEND_JSON_STRING_H

#include "base/bytes.h"

/*
 * `text` begins with a quote. NULL where a good string begins there, of *len bytes with its
 * quotes; else the reason, and *len is where it goes wrong.
 */
OXV_MUST_USE const char *oxv_json_string_scan(struct oxv_view text, size_t *len);

/*
 * For strings that were found good, without their quotes. The next character, escapes taken out,
 * as UTF-8 of *len bytes; false at the end.
 */
OXV_MUST_USE bool oxv_json_string_next(struct oxv_reader *r, uint8_t out[4], size_t *len);
/* Do both stand for the same text? */
bool oxv_json_string_equals(struct oxv_view a, struct oxv_view b);
/* Equal for equal texts. Not keyed: only ever a filter before oxv_json_string_equals(). */
uint32_t oxv_json_string_hash(struct oxv_view text);

#endif
