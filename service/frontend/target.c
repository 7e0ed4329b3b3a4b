#include "service/frontend/target.h"

#include "base/text.h"

#define ESCAPE_BYTES 3u

static bool
is_plain(struct oxv_view piece, bool is_query)
{
    return oxv_view_find(piece, '%') == piece.len &&
           (!is_query || oxv_view_find(piece, '+') == piece.len);
}

enum oxv_status
oxv_target_decode(struct oxv_view piece, bool is_query, struct oxv_writer *scratch,
                  struct oxv_view *out)
{
    struct oxv_reader r = oxv_reader(piece);
    size_t begin = scratch->len;
    struct oxv_view digits;
    uint8_t byte;

    if (is_plain(piece, is_query)) {
        *out = piece;
        return OXV_OK;
    }
    while (oxv_read_u8(&r, &byte)) {
        if (byte == '%') {
            if (!oxv_read_view(&r, ESCAPE_BYTES - 1, &digits) || !oxv_parse_hex(digits, &byte, 1)) {
                return OXV_E_FORMAT;
            }
        } else if (byte == '+' && is_query) {
            byte = ' ';
        }
        oxv_write_u8(scratch, byte);
    }
    if (scratch->failed) {
        return OXV_E_FORMAT;
    }
    *out = oxv_view(&scratch->data[begin], scratch->len - begin);
    return OXV_OK;
}

/* Up to the next ampersand. */
static struct oxv_view
take_part(struct oxv_reader *r)
{
    struct oxv_view part = { 0 };
    uint8_t ampersand;

    if (!oxv_read_view(r, oxv_view_find(r->left, '&'), &part) ||
        (!oxv_reader_at_end(r) && !oxv_read_u8(r, &ampersand))) {
        oxv_bug("query: less than was found");
    }
    return part;
}

enum oxv_status
oxv_query_next(struct oxv_reader *r, struct oxv_writer *scratch, struct oxv_query_part *out,
               struct oxv_err *err)
{
    struct oxv_query_part decoded;

    if (oxv_reader_at_end(r)) {
        return OXV_E_NOT_FOUND;
    }
    struct oxv_view part = take_part(r);
    size_t equals = oxv_view_find(part, '=');

    if (equals == 0 || equals == part.len) {
        return oxv_fail(err, OXV_E_FORMAT, "the query must be name=value, joined by &");
    }
    if (oxv_target_decode(oxv_view_slice(part, 0, equals), true, scratch, &decoded.name) !=
            OXV_OK ||
        oxv_target_decode(oxv_view_from(part, equals + 1), true, scratch, &decoded.value) !=
            OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "the query has a malformed percent-escape");
    }
    *out = decoded;
    return OXV_OK;
}
