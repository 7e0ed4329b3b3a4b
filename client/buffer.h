/* buffer: bytes that grow up to a limit, as an answer's body does. Wiped when freed. */
#ifndef OXV_CLIENT_BUFFER_H
#define OXV_CLIENT_BUFFER_H

#include "base/bytes.h"

/* Zeroed is empty. */
struct oxv_buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

/* False, and nothing is added, where it would exceed `max` or memory. */
OXV_MUST_USE bool oxv_buffer_add(struct oxv_buffer *buffer, struct oxv_view bytes, size_t max);
/* Makes room for `capacity` bytes at `data`. False where memory is out. */
OXV_MUST_USE bool oxv_buffer_reserve(struct oxv_buffer *buffer, size_t capacity);
/* Empty again, the memory is kept. */
void oxv_buffer_clear(struct oxv_buffer *buffer);
void oxv_buffer_done(struct oxv_buffer *buffer);

static inline struct oxv_view
oxv_buffer_view(const struct oxv_buffer *buffer)
{
    return oxv_view(buffer->data, buffer->len);
}

#endif
