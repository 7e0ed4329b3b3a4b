#include "service/frontend/http_chunked.h"

#define SIZE_DIGITS_MAX 8u

static bool
hex_value(uint8_t c, uint64_t *out)
{
    if (c >= '0' && c <= '9') {
        *out = (uint64_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
        *out = (uint64_t)(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
        *out = (uint64_t)(c - 'A') + 10;
    } else {
        return false;
    }
    return true;
}

static bool
step_if(struct oxv_chunked *c, bool good, enum oxv_chunk_state next)
{
    c->state = next;
    return good;
}

static bool
take_size(struct oxv_chunked *c, uint8_t byte)
{
    uint64_t digit;

    if (hex_value(byte, &digit)) {
        c->left = c->left * 16 + digit;
        c->digits++;
        return c->digits <= SIZE_DIGITS_MAX;
    }
    return step_if(c, byte == '\r' && c->digits > 0, OXV_CHUNK_SIZE_LF);
}

/* One byte of what surrounds the data; false where it is another than must be. */
static bool
take_frame(struct oxv_chunked *c, uint8_t byte)
{
    switch (c->state) {
    case OXV_CHUNK_SIZE:
        return take_size(c, byte);
    case OXV_CHUNK_SIZE_LF:
        return step_if(c, byte == '\n', c->left > 0 ? OXV_CHUNK_DATA : OXV_CHUNK_END_CR);
    case OXV_CHUNK_DATA_CR:
        return step_if(c, byte == '\r', OXV_CHUNK_DATA_LF);
    case OXV_CHUNK_DATA_LF:
        c->digits = 0;
        return step_if(c, byte == '\n', OXV_CHUNK_SIZE);
    case OXV_CHUNK_END_CR:
        return step_if(c, byte == '\r', OXV_CHUNK_END_LF);
    case OXV_CHUNK_END_LF:
        return step_if(c, byte == '\n', OXV_CHUNK_DONE);
    case OXV_CHUNK_DATA:
    case OXV_CHUNK_DONE:
        break;
    }
    oxv_bug("chunked: no frame here");
}

static enum oxv_status
take_data(struct oxv_chunked *c, struct oxv_reader *r, size_t body_max, struct oxv_buffer *body)
{
    size_t len = r->left.len < c->left ? r->left.len : (size_t)c->left;
    struct oxv_view data;

    if (c->left > body_max || oxv_buffer_len(body) > body_max - c->left) {
        return OXV_E_LIMIT;
    }
    if (!oxv_read_view(r, len, &data) || !oxv_buffer_append(body, data)) {
        return OXV_E_MEMORY;
    }
    c->left -= len;
    if (c->left == 0) {
        c->state = OXV_CHUNK_DATA_CR;
    }
    return OXV_OK;
}

enum oxv_status
oxv_chunked_read(struct oxv_chunked *c, struct oxv_view in, size_t body_max,
                 struct oxv_buffer *body, size_t *used)
{
    struct oxv_reader r = oxv_reader(in);
    uint8_t byte;

    while (c->state != OXV_CHUNK_DONE && !oxv_reader_at_end(&r)) {
        enum oxv_status st = OXV_OK;

        if (c->state == OXV_CHUNK_DATA) {
            st = take_data(c, &r, body_max, body);
        } else if (!oxv_read_u8(&r, &byte) || !take_frame(c, byte)) {
            st = OXV_E_FORMAT;
        }
        if (st != OXV_OK) {
            return st;
        }
    }
    *used = in.len - r.left.len;
    return c->state == OXV_CHUNK_DONE ? OXV_OK : OXV_E_BUSY;
}
