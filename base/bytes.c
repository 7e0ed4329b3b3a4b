#include "base/bytes.h"

bool
oxv_view_equals(struct oxv_view a, struct oxv_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool
oxv_view_is(struct oxv_view a, const char *text)
{
    return oxv_view_equals(a, oxv_view_text(text));
}

int
oxv_view_compare(struct oxv_view a, struct oxv_view b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool
oxv_view_has_prefix(struct oxv_view whole, const char *prefix)
{
    size_t len = strlen(prefix);

    return whole.len >= len && (len == 0 || memcmp(whole.data, prefix, len) == 0);
}

struct oxv_view
oxv_view_from(struct oxv_view whole, size_t from)
{
    if (from >= whole.len) {
        return oxv_view(NULL, 0);
    }
    return oxv_view(whole.data + from, whole.len - from);
}

struct oxv_view
oxv_view_slice(struct oxv_view whole, size_t from, size_t len)
{
    struct oxv_view rest = oxv_view_from(whole, from);

    return oxv_view(rest.data, len < rest.len ? len : rest.len);
}

size_t
oxv_view_find(struct oxv_view whole, uint8_t byte)
{
    const uint8_t *place = whole.len == 0 ? NULL : memchr(whole.data, byte, whole.len);

    return place == NULL ? whole.len : (size_t)(place - whole.data);
}

size_t
oxv_view_find_last(struct oxv_view whole, uint8_t byte)
{
    const uint8_t *place = whole.len == 0 ? NULL : memrchr(whole.data, byte, whole.len);

    return place == NULL ? whole.len : (size_t)(place - whole.data);
}

bool
oxv_read_view(struct oxv_reader *r, size_t len, struct oxv_view *out)
{
    if (len > r->left.len) {
        return false;
    }
    *out = oxv_view(r->left.data, len);
    r->left =
        len == r->left.len ? oxv_view(NULL, 0) : oxv_view(r->left.data + len, r->left.len - len);
    return true;
}

bool
oxv_read_bytes(struct oxv_reader *r, uint8_t *out, size_t len)
{
    struct oxv_view v;

    if (!oxv_read_view(r, len, &v)) {
        return false;
    }
    if (len > 0) {
        memcpy(out, v.data, len);
    }
    return true;
}

static bool
read_integer(struct oxv_reader *r, size_t width, uint64_t *out)
{
    struct oxv_view v;
    uint64_t value = 0;

    if (!oxv_read_view(r, width, &v)) {
        return false;
    }
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | v.data[i];
    }
    *out = value;
    return true;
}

bool
oxv_read_u8(struct oxv_reader *r, uint8_t *out)
{
    return oxv_read_bytes(r, out, 1);
}

bool
oxv_read_u16(struct oxv_reader *r, uint16_t *out)
{
    uint64_t value;

    if (!read_integer(r, 2, &value)) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}

bool
oxv_read_u32(struct oxv_reader *r, uint32_t *out)
{
    uint64_t value;

    if (!read_integer(r, 4, &value)) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool
oxv_read_u64(struct oxv_reader *r, uint64_t *out)
{
    return read_integer(r, 8, out);
}

bool
oxv_read_view16(struct oxv_reader *r, struct oxv_view *out)
{
    struct oxv_reader probe = *r;
    uint16_t len;

    if (!oxv_read_u16(&probe, &len) || !oxv_read_view(&probe, len, out)) {
        return false;
    }
    *r = probe;
    return true;
}

bool
oxv_read_view32(struct oxv_reader *r, struct oxv_view *out)
{
    struct oxv_reader probe = *r;
    uint32_t len;

    if (!oxv_read_u32(&probe, &len) || !oxv_read_view(&probe, len, out)) {
        return false;
    }
    *r = probe;
    return true;
}

bool
oxv_read_line(struct oxv_reader *r, struct oxv_view *out)
{
    size_t len = oxv_view_find(r->left, '\n');

    if (len == r->left.len) {
        return false;
    }
    *out = oxv_view_slice(r->left, 0, len);
    r->left = oxv_view_from(r->left, len + 1);
    return true;
}

bool
oxv_reader_at_end(const struct oxv_reader *r)
{
    return r->left.len == 0;
}

uint8_t *
oxv_write_reserve(struct oxv_writer *w, size_t len)
{
    if (w->failed || len > w->max - w->len) {
        w->failed = true;
        return NULL;
    }
    uint8_t *place = w->data + w->len;

    w->len += len;
    return place;
}

void
oxv_write_view(struct oxv_writer *w, struct oxv_view bytes)
{
    uint8_t *place = oxv_write_reserve(w, bytes.len);

    if (place != NULL && bytes.len > 0) {
        memcpy(place, bytes.data, bytes.len);
    }
}

static void
put_integer(uint8_t *place, size_t width, uint64_t value)
{
    for (size_t i = width; i > 0; i--) {
        place[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

static void
write_integer(struct oxv_writer *w, size_t width, uint64_t value)
{
    if (width < 8 && value >> (8 * width) != 0) {
        w->failed = true;
        return;
    }
    uint8_t *place = oxv_write_reserve(w, width);

    if (place != NULL) {
        put_integer(place, width, value);
    }
}

void
oxv_write_u8(struct oxv_writer *w, uint64_t value)
{
    if (!w->failed && w->len < w->max && value <= UINT8_MAX) { /* nearly every write of ours */
        w->data[w->len] = (uint8_t)value;
        w->len++;
        return;
    }
    w->failed = true;
}

void
oxv_write_u16(struct oxv_writer *w, uint64_t value)
{
    write_integer(w, 2, value);
}

void
oxv_write_u32(struct oxv_writer *w, uint64_t value)
{
    write_integer(w, 4, value);
}

void
oxv_write_u64(struct oxv_writer *w, uint64_t value)
{
    write_integer(w, 8, value);
}

void
oxv_write_view16(struct oxv_writer *w, struct oxv_view bytes)
{
    oxv_write_u16(w, bytes.len);
    oxv_write_view(w, bytes);
}

void
oxv_write_view32(struct oxv_writer *w, struct oxv_view bytes)
{
    oxv_write_u32(w, bytes.len);
    oxv_write_view(w, bytes);
}

void
oxv_write_text(struct oxv_writer *w, const char *text)
{
    oxv_write_view(w, oxv_view_text(text));
}

void
oxv_write_decimal(struct oxv_writer *w, uint64_t value)
{
    uint8_t digits[20];
    size_t n = sizeof digits;

    do {
        digits[--n] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    oxv_write_view(w, oxv_view(digits + n, sizeof digits - n));
}

size_t
oxv_write_begin32(struct oxv_writer *w)
{
    size_t begin = w->len;

    oxv_write_u32(w, 0);
    return begin;
}

void
oxv_write_end32(struct oxv_writer *w, size_t begin)
{
    if (w->failed) {
        return;
    }
    size_t len = w->len - begin - 4;

    if (len > UINT32_MAX) {
        w->failed = true;
        return;
    }
    put_integer(w->data + begin, 4, len);
}

enum oxv_status
oxv_writer_finish(const struct oxv_writer *w, struct oxv_view *out)
{
    if (w->failed) {
        return OXV_E_LIMIT;
    }
    *out = oxv_view(w->data, w->len);
    return OXV_OK;
}
