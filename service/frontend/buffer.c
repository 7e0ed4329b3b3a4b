#include "service/frontend/buffer.h"

#include <stdlib.h>

#define SIZE_MIN_BYTES 2048u

void
oxv_buffer_done(struct oxv_buffer *b)
{
    free(b->data);
    *b = (struct oxv_buffer){ 0 };
}

size_t
oxv_buffer_len(const struct oxv_buffer *b)
{
    return b->end - b->start;
}

struct oxv_view
oxv_buffer_view(const struct oxv_buffer *b)
{
    return oxv_view_from(oxv_view(b->data, b->end), b->start);
}

static bool
enlarge(struct oxv_buffer *b, size_t needed)
{
    size_t size = b->size < SIZE_MIN_BYTES ? SIZE_MIN_BYTES : b->size;

    while (size < needed) {
        if (__builtin_mul_overflow(size, 2u, &size)) {
            return false;
        }
    }
    uint8_t *data = realloc(b->data, size);

    if (data == NULL) {
        return false;
    }
    b->data = data;
    b->size = size;
    return true;
}

uint8_t *
oxv_buffer_reserve(struct oxv_buffer *b, size_t len)
{
    size_t needed;

    if (b->start > 0 && b->size - b->end < len) {
        memmove(b->data, oxv_buffer_view(b).data, oxv_buffer_len(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (__builtin_add_overflow(b->end, len, &needed) || (needed > b->size && !enlarge(b, needed))) {
        return NULL;
    }
    return &b->data[b->end];
}

void
oxv_buffer_grow(struct oxv_buffer *b, size_t len)
{
    if (len > b->size - b->end) {
        oxv_bug("buffer: more written than reserved");
    }
    b->end += len;
}

bool
oxv_buffer_append(struct oxv_buffer *b, struct oxv_view bytes)
{
    if (bytes.len == 0) {
        return true;
    }
    uint8_t *room = oxv_buffer_reserve(b, bytes.len);

    if (room == NULL) {
        return false;
    }
    memcpy(room, bytes.data, bytes.len);
    oxv_buffer_grow(b, bytes.len);
    return true;
}

void
oxv_buffer_consume(struct oxv_buffer *b, size_t len)
{
    if (len > oxv_buffer_len(b)) {
        oxv_bug("buffer: more consumed than there is");
    }
    b->start += len;
    if (b->start == b->end) {
        b->start = 0;
        b->end = 0;
    }
}

void
oxv_buffer_shrink(struct oxv_buffer *b, size_t keep)
{
    size_t len = oxv_buffer_len(b);

    if (len == 0 && b->size > keep) {
        oxv_buffer_done(b);
    }
    if (b->size <= keep || len > keep) {
        return;
    }
    memmove(b->data, oxv_buffer_view(b).data, len);
    b->start = 0;
    b->end = len;
    uint8_t *data = realloc(b->data, keep);

    if (data != NULL) { /* else it stays as it is */
        b->data = data;
        b->size = keep;
    }
}
