#include "service/frontend/json_string.h"

#include "base/text.h"

#define UNIT_BYTES 6u /* backslash, u, four digits */

static const char lone_surrogate[] = "a surrogate without its other half";

/* The UTF-16 unit whose escape is at the start of `text`; false where there is no such escape. */
static bool
read_unit(struct oxv_view text, uint32_t *unit)
{
    uint8_t bytes[2];

    if (text.len < UNIT_BYTES || text.data[0] != '\\' || text.data[1] != 'u' ||
        !oxv_parse_hex(oxv_view_slice(text, 2, 4), bytes, sizeof bytes)) {
        return false;
    }
    *unit = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

static bool
is_high_surrogate(uint32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool
is_low_surrogate(uint32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static const char *
scan_unit(struct oxv_view text, size_t *len)
{
    uint32_t unit;
    uint32_t low;

    if (!read_unit(text, &unit)) {
        return "a malformed escape";
    }
    if (unit == 0) {
        return "an escaped NUL";
    }
    *len = UNIT_BYTES;
    if (is_low_surrogate(unit)) {
        return lone_surrogate;
    }
    if (is_high_surrogate(unit)) {
        if (!read_unit(oxv_view_from(text, UNIT_BYTES), &low) || !is_low_surrogate(low)) {
            return lone_surrogate;
        }
        *len = 2u * UNIT_BYTES;
    }
    return NULL;
}

/* An escape at the start of `text`, of *len bytes. */
static const char *
scan_escape(struct oxv_view text, size_t *len)
{
    if (text.len < 2) {
        return "a string without an end";
    }
    if (text.data[1] == 'u') {
        return scan_unit(text, len);
    }
    *len = 2;
    return oxv_view_find(oxv_view_text("\"\\/bfnrt"), text.data[1]) < 8 ? NULL
                                                                        : "a malformed escape";
}

const char *
oxv_json_string_scan(struct oxv_view text, size_t *len)
{
    bool ascii = true;
    size_t i = 1;

    while (i < text.len && text.data[i] != '"') {
        uint8_t byte = text.data[i];
        size_t step = 1;

        if (byte < 0x20) {
            *len = i;
            return "a control character within a string";
        }
        if (byte == '\\') {
            const char *reason = scan_escape(oxv_view_from(text, i), &step);

            if (reason != NULL) {
                *len = i;
                return reason;
            }
        }
        ascii = ascii && byte < 0x80;
        i += step;
    }
    if (i >= text.len) {
        *len = text.len;
        return "a string without an end";
    }
    struct oxv_view content = oxv_view_slice(text, 1, i - 1);

    if (!ascii && !oxv_is_utf8(content)) {
        *len = 1 + oxv_utf8_prefix_len(content);
        return "not UTF-8";
    }
    *len = i + 1;
    return NULL;
}

static size_t
put_utf8(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static uint8_t
short_escape(uint8_t c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* quote, backslash, slash stand for themselves */
    }
}

bool
oxv_json_string_next(struct oxv_reader *r, uint8_t out[4], size_t *len)
{
    struct oxv_view skipped;
    uint32_t unit;
    uint32_t low;

    *len = 1;
    if (read_unit(r->left, &unit)) {
        size_t units = 1;

        if (is_high_surrogate(unit) && read_unit(oxv_view_from(r->left, UNIT_BYTES), &low)) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            units = 2;
        }
        *len = put_utf8(unit, out);
        return oxv_read_view(r, units * UNIT_BYTES, &skipped);
    }
    if (!oxv_read_u8(r, &out[0])) {
        return false;
    }
    if (out[0] == '\\') {
        if (!oxv_read_u8(r, &out[0])) {
            return false;
        }
        out[0] = short_escape(out[0]);
    }
    return true; /* a byte of raw UTF-8 at a time is as good as a character */
}

static bool
has_escape(struct oxv_view text)
{
    return oxv_view_find(text, '\\') != text.len;
}

bool
oxv_json_string_equals(struct oxv_view a, struct oxv_view b)
{
    if (!has_escape(a) && !has_escape(b)) {
        return oxv_view_equals(a, b);
    }
    /* A character may be one piece on one side and bytes on the other: compare byte by byte. */
    struct oxv_reader ra = oxv_reader(a);
    struct oxv_reader rb = oxv_reader(b);
    uint8_t pa[4];
    uint8_t pb[4];
    size_t la = 0;
    size_t lb = 0;
    size_t ia = 0;
    size_t ib = 0;

    for (;;) {
        bool more_a = ia < la || (ia = 0, oxv_json_string_next(&ra, pa, &la));
        bool more_b = ib < lb || (ib = 0, oxv_json_string_next(&rb, pb, &lb));

        if (!more_a || !more_b) {
            return more_a == more_b;
        }
        if (pa[ia++] != pb[ib++]) {
            return false;
        }
    }
}

uint32_t
oxv_json_string_hash(struct oxv_view text)
{
    struct oxv_reader r = oxv_reader(text);
    uint32_t hash = 2166136261u; /* FNV-1a */
    uint8_t piece[4];
    size_t len;

    if (!has_escape(text)) {
        for (size_t i = 0; i < text.len; i++) {
            hash = (hash ^ text.data[i]) * 16777619u;
        }
        return hash;
    }
    while (oxv_json_string_next(&r, piece, &len)) {
        for (size_t i = 0; i < len; i++) {
            hash = (hash ^ piece[i]) * 16777619u;
        }
    }
    return hash;
}
