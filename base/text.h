/* text: bounded formatting, UTF-8, hex, strict decimals and base64, JSON strings, time stamps. */
#ifndef OXV_BASE_TEXT_H
#define OXV_BASE_TEXT_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_TIMESTAMP_BYTES  28u /* "2026-01-02T03:04:05.678901Z" and its NUL */
#define OXV_TIMESTAMP_MAX_US UINT64_C(253402300799999999) /* the last one of the year 9999 */

/* snprintf that fails with OXV_E_LIMIT instead of cutting; `out` then holds "". */
OXV_MUST_USE enum oxv_status oxv_format(char *out, size_t out_size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Copies a view to a NUL-terminated string. OXV_E_LIMIT where it does not fit, OXV_E_FORMAT where
 * it holds a NUL; `out` then holds "".
 */
OXV_MUST_USE enum oxv_status oxv_text_copy(struct oxv_view from, char *out, size_t out_size);

/* Well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, nothing overlong)? Empty is. */
bool oxv_is_utf8(struct oxv_view text);
/* The offset of the first byte that is not well-formed UTF-8, or text.len. */
size_t oxv_utf8_prefix_len(struct oxv_view text);
/* How many bytes from the beginning on are printable ASCII other than quote and backslash. */
size_t oxv_plain_ascii_prefix_len(struct oxv_view text);
/* Printable ASCII without quote and backslash: a JSON string as it stands? */
bool oxv_is_plain_ascii(struct oxv_view text);
/* UTF-8 without NUL, other C0 controls or DEL? */
bool oxv_is_printable_utf8(struct oxv_view text);

/* Decimal digits only: no sign, space or leading zero. False beyond `max`. */
OXV_MUST_USE bool oxv_parse_decimal(struct oxv_view text, uint64_t max, uint64_t *out);

/* Lower-case hex; writes 2 * bytes.len characters. */
void oxv_write_hex(struct oxv_writer *w, struct oxv_view bytes);
/* Exactly out_len bytes of hex of either case. */
OXV_MUST_USE bool oxv_parse_hex(struct oxv_view text, uint8_t *out, size_t out_len);

/* RFC 4648 section 4, with padding. */
void oxv_write_base64(struct oxv_writer *w, struct oxv_view bytes);
/* Strict: padding demanded, no white space, unused bits zero. False where it exceeds out_max. */
OXV_MUST_USE bool oxv_parse_base64(struct oxv_view text, uint8_t *out, size_t out_max,
                                   size_t *out_len);

/*
 * A JSON string with its quotes, with the escapes of RFC 8785 3.2.2.2 and no others. The text must
 * be well-formed UTF-8: makes the writer fail otherwise.
 */
void oxv_write_json_string(struct oxv_writer *w, struct oxv_view text);

/*
 * RFC 3339, UTC, six decimals. `time_us` counts microseconds since 1970; one beyond
 * OXV_TIMESTAMP_MAX_US, which the form cannot hold, is written as that one.
 */
void oxv_format_timestamp(uint64_t time_us, char out[OXV_TIMESTAMP_BYTES]);
/*
 * RFC 3339 with Z or an offset, 0 to 6 decimals, or a date alone (midnight UTC). False on anything
 * else, before 1970, and after 9999 (in UTC, the offset taken off).
 */
OXV_MUST_USE bool oxv_parse_timestamp(struct oxv_view text, uint64_t *time_us);

#endif
