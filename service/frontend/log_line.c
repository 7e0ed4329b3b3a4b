#include "service/frontend/log_line.h"

#define COMMIT_BEGINNING "{\"commit\":{"

bool
oxv_log_line_is_commit(struct oxv_view line)
{
    return oxv_view_has_prefix(line, COMMIT_BEGINNING);
}

static bool
take(struct oxv_reader *r, uint8_t wanted)
{
    uint8_t byte;

    return oxv_read_u8(r, &byte) && byte == wanted;
}

static bool
take_name(struct oxv_reader *r, struct oxv_view *out)
{
    if (!take(r, '"') || !oxv_read_view(r, oxv_view_find(r->left, '"'), out) || out->len == 0) {
        return false;
    }
    for (size_t i = 0; i < out->len; i++) {
        uint8_t c = out->data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') {
            return false;
        }
    }
    return take(r, '"') && take(r, ':');
}

static bool
take_text(struct oxv_reader *r, struct oxv_view *out)
{
    struct oxv_view left = r->left;
    size_t i = 0;

    while (i < left.len && left.data[i] != '"') {
        uint8_t c = left.data[i];

        if (c < 0x20 || c == 0x7f) {
            return false;
        }
        if (c == '\\') {
            i++;
            if (i == left.len || (left.data[i] != '"' && left.data[i] != '\\')) {
                return false;
            }
        }
        i++;
    }
    return oxv_read_view(r, i, out) && take(r, '"');
}

static bool
take_digits(struct oxv_reader *r, struct oxv_view *out)
{
    size_t len = 0;

    while (len < r->left.len && r->left.data[len] >= '0' && r->left.data[len] <= '9') {
        len++;
    }
    return len > 0 && oxv_read_view(r, len, out);
}

static bool
take_member(struct oxv_reader *r, struct oxv_log_member *out)
{
    if (!take_name(r, &out->name) || oxv_reader_at_end(r)) {
        return false;
    }
    out->is_text = r->left.data[0] == '"';
    if (!out->is_text) {
        return take_digits(r, &out->value);
    }
    return take(r, '"') && take_text(r, &out->value);
}

enum oxv_status
oxv_log_line_next(struct oxv_log_line *line, struct oxv_log_member *out)
{
    struct oxv_log_member member;
    uint8_t byte;

    if (!oxv_read_u8(&line->r, &byte)) {
        return OXV_E_FORMAT;
    }
    if (line->is_begun && byte == '}') {
        return oxv_reader_at_end(&line->r) ? OXV_E_NOT_FOUND : OXV_E_FORMAT;
    }
    if (byte != (line->is_begun ? ',' : '{') || !take_member(&line->r, &member)) {
        return OXV_E_FORMAT;
    }
    line->is_begun = true;
    *out = member;
    return OXV_OK;
}

bool
oxv_log_text_next(struct oxv_reader *r, uint8_t *byte)
{
    return oxv_read_u8(r, byte) && (*byte != '\\' || oxv_read_u8(r, byte));
}

bool
oxv_log_text_is(struct oxv_view value, struct oxv_view text)
{
    struct oxv_reader r = oxv_reader(value);
    uint8_t byte;

    for (size_t i = 0; i < text.len; i++) {
        if (!oxv_log_text_next(&r, &byte) || byte != text.data[i]) {
            return false;
        }
    }
    return oxv_reader_at_end(&r);
}
