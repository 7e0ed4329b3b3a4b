#include "signer/percent.h"

#include "signer/chars.h"

#define ESCAPE_BYTES 3u /* %XX */

static size_t
encoded_byte_len(uint8_t byte)
{
    return oxv_char_is(byte, OXV_CHAR_UNRESERVED) ? 1 : ESCAPE_BYTES;
}

/* Writes to out[at] and returns where the next byte goes. */
static size_t
put_encoded_byte(uint8_t *out, size_t at, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";

    if (oxv_char_is(byte, OXV_CHAR_UNRESERVED)) {
        out[at] = byte;
        return at + 1;
    }
    out[at] = '%';
    out[at + 1] = (uint8_t)digits[byte >> 4];
    out[at + 2] = (uint8_t)digits[byte & 15];
    return at + ESCAPE_BYTES;
}

size_t
oxv_percent_len(struct oxv_view bytes)
{
    size_t escapes = 0; /* counted without a branch: this is the hottest loop of a signature */

    for (size_t i = 0; i < bytes.len; i++) {
        escapes += !oxv_char_is(bytes.data[i], OXV_CHAR_UNRESERVED);
    }
    return bytes.len + escapes * (ESCAPE_BYTES - 1);
}

void
oxv_write_percent(struct oxv_writer *w, struct oxv_view bytes)
{
    size_t len = oxv_percent_len(bytes);

    if (len == bytes.len) {
        oxv_write_view(w, bytes);
        return;
    }
    uint8_t *place = oxv_write_reserve(w, len);

    if (place == NULL) {
        return;
    }
    for (size_t i = 0, at = 0; i < bytes.len; i++) {
        at = put_encoded_byte(place, at, bytes.data[i]);
    }
}

void
oxv_write_percent_again(struct oxv_writer *w, struct oxv_view encoded)
{
    const uint8_t *found;

    while (encoded.len > 0 && (found = memchr(encoded.data, '%', encoded.len)) != NULL) {
        size_t run = (size_t)(found - encoded.data) + 1;

        oxv_write_view(w, oxv_view(encoded.data, run));
        oxv_write_view(w, oxv_view("25", 2));
        encoded = oxv_view_from(encoded, run);
    }
    oxv_write_view(w, encoded);
}

static uint8_t
hex_value(uint8_t digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : oxv_char_lower(digit) - 'a' + 10);
}

bool
oxv_percent_escape(struct oxv_view text, size_t at, uint8_t *byte)
{
    if (at >= text.len || text.len - at < ESCAPE_BYTES || text.data[at] != '%' ||
        !oxv_char_is(text.data[at + 1], OXV_CHAR_HEX) ||
        !oxv_char_is(text.data[at + 2], OXV_CHAR_HEX)) {
        return false;
    }
    *byte = (uint8_t)(hex_value(text.data[at + 1]) << 4 | hex_value(text.data[at + 2]));
    return true;
}

bool
oxv_form_next(struct oxv_view piece, size_t *at, uint8_t *byte)
{
    if (*at >= piece.len) {
        return false;
    }
    if (oxv_percent_escape(piece, *at, byte)) {
        *at += ESCAPE_BYTES;
        return true;
    }
    *byte = piece.data[*at] == '+' ? ' ' : piece.data[*at];
    *at += 1;
    return true;
}

void
oxv_write_form_decoded(struct oxv_writer *w, struct oxv_view piece)
{
    uint8_t byte;
    size_t at = 0;

    while (oxv_form_next(piece, &at, &byte)) {
        oxv_write_u8(w, byte);
    }
}

static size_t
recoded_len(struct oxv_view piece)
{
    uint8_t byte;
    size_t at = 0;
    size_t len = 0;

    while (oxv_form_next(piece, &at, &byte)) {
        len += encoded_byte_len(byte);
    }
    return len;
}

void
oxv_write_form_recoded(struct oxv_writer *w, struct oxv_view piece)
{
    uint8_t *place = oxv_write_reserve(w, recoded_len(piece));
    uint8_t byte;
    size_t at = 0;
    size_t to = 0;

    if (place == NULL) {
        return;
    }
    while (oxv_form_next(piece, &at, &byte)) {
        to = put_encoded_byte(place, to, byte);
    }
}
