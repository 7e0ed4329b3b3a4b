#include "signer/percent.h"

#include "signer/chars.h"

#define ESCAPE_BYTES 3u /* %XX */

static size_t
encoded_byte_len(uint8_t byte)
{
    return oxv_char_is(byte, OXV_CHAR_UNRESERVED) ? 1 : ESCAPE_BYTES;
}

/*
 * Writes to out[at] and returns where the next byte goes. There must be room for an escape, since
 * one is written in any case, and overwritten where it was none: no branch for the processor to
 * guess wrong at each slash.
 */
static inline size_t
put_encoded_byte(uint8_t *out, size_t at, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    bool plain = oxv_char_is(byte, OXV_CHAR_UNRESERVED);

    out[at] = plain ? byte : (uint8_t)'%';
    out[at + 1] = (uint8_t)digits[byte >> 4];
    out[at + 2] = (uint8_t)digits[byte & 15];
    return at + (plain ? 1 : ESCAPE_BYTES);
}

/* The same for out of which only what is needed is there. */
static size_t
put_encoded_byte_exact(uint8_t *out, size_t at, uint8_t byte)
{
    uint8_t escape[ESCAPE_BYTES];
    size_t len = put_encoded_byte(escape, 0, byte);

    memcpy(out + at, escape, len);
    return at + len;
}

/* Is there room for `len` bytes even if all of them are escaped? */
static bool
has_room_for_escapes(const struct oxv_writer *w, size_t len)
{
    return !w->failed && len <= (w->max - w->len) / ESCAPE_BYTES;
}

bool
oxv_percent_is_plain(struct oxv_view bytes)
{
    uint8_t all = OXV_CHAR_UNRESERVED; /* without a branch: the hottest loop of a signature */

    for (size_t i = 0; i < bytes.len; i++) {
        all &= oxv_char_classes[bytes.data[i]];
    }
    return all != 0;
}

size_t
oxv_percent_len(struct oxv_view bytes)
{
    size_t escapes = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        escapes += !oxv_char_is(bytes.data[i], OXV_CHAR_UNRESERVED);
    }
    return bytes.len + escapes * (ESCAPE_BYTES - 1);
}

void
oxv_write_percent(struct oxv_writer *w, struct oxv_view bytes)
{
    if (oxv_percent_is_plain(bytes)) {
        oxv_write_view(w, bytes);
        return;
    }
    if (has_room_for_escapes(w, bytes.len)) {
        size_t at = w->len;

        for (size_t i = 0; i < bytes.len; i++) {
            at = put_encoded_byte(w->data, at, bytes.data[i]);
        }
        w->len = at;
        return;
    }
    uint8_t *place = oxv_write_reserve(w, oxv_percent_len(bytes));

    if (place == NULL) {
        return;
    }
    for (size_t i = 0, at = 0; i < bytes.len; i++) {
        at = put_encoded_byte_exact(place, at, bytes.data[i]);
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
    uint8_t byte;
    size_t at = 0;
    size_t to = 0;

    if (has_room_for_escapes(w, piece.len)) {
        for (to = w->len; oxv_form_next(piece, &at, &byte);) {
            to = put_encoded_byte(w->data, to, byte);
        }
        w->len = to;
        return;
    }
    uint8_t *place = oxv_write_reserve(w, recoded_len(piece));

    if (place == NULL) {
        return;
    }
    while (oxv_form_next(piece, &at, &byte)) {
        to = put_encoded_byte_exact(place, to, byte);
    }
}
