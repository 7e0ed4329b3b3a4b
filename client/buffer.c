#include "client/buffer.h"

#include <stdlib.h>

#include "base/secret.h"

#define FIRST_CAPACITY 4096u

bool
oxv_buffer_reserve(struct oxv_buffer *buffer, size_t capacity)
{
    if (capacity <= buffer->capacity) {
        return true;
    }
    /* No realloc(): it would leave a copy behind that nobody wipes. */
    uint8_t *data = malloc(capacity);

    if (data == NULL) {
        return false;
    }
    if (buffer->len > 0) {
        memcpy(data, buffer->data, buffer->len);
        oxv_wipe(buffer->data, buffer->len);
    }
    free(buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

static bool
grow(struct oxv_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity == 0 ? FIRST_CAPACITY : buffer->capacity;

    while (capacity < needed) {
        capacity *= 2;
    }
    return oxv_buffer_reserve(buffer, capacity);
}

bool
oxv_buffer_add(struct oxv_buffer *buffer, struct oxv_view bytes, size_t max)
{
    if (max > SIZE_MAX / 4 || buffer->len > max || bytes.len > max - buffer->len) {
        return false;
    }
    if (bytes.len == 0) {
        return true;
    }
    if (!grow(buffer, buffer->len + bytes.len)) {
        return false;
    }
    memcpy(buffer->data + buffer->len, bytes.data, bytes.len);
    buffer->len += bytes.len;
    return true;
}

void
oxv_buffer_clear(struct oxv_buffer *buffer)
{
    if (buffer->len > 0) {
        oxv_wipe(buffer->data, buffer->len);
    }
    buffer->len = 0;
}

void
oxv_buffer_done(struct oxv_buffer *buffer)
{
    oxv_buffer_clear(buffer);
    free(buffer->data);
    *buffer = (struct oxv_buffer){ 0 };
}
