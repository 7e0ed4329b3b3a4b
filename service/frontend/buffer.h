/* buffer: bytes that come in at the end and go out at the front; the peers' input and output. */
#ifndef OXV_SERVICE_FRONTEND_BUFFER_H
#define OXV_SERVICE_FRONTEND_BUFFER_H

#include "base/bytes.h"

/* Zeroed it is empty and owns nothing. */
struct oxv_buffer {
    uint8_t *data;
    size_t start; /* consumed so far */
    size_t end;
    size_t size; /* of the allocation */
};

/* Frees the memory; the buffer is empty afterwards. */
void oxv_buffer_done(struct oxv_buffer *b);

size_t oxv_buffer_len(const struct oxv_buffer *b);
/* What is in it; borrowed until the next call that changes the buffer. */
struct oxv_view oxv_buffer_view(const struct oxv_buffer *b);

/*
 * Room for `len` more bytes behind what is there, to be told by oxv_buffer_grow() once written.
 * NULL where there is no memory; the content stays.
 */
OXV_MUST_USE uint8_t *oxv_buffer_reserve(struct oxv_buffer *b, size_t len);
/* `len` bytes of the room reserved last were written. */
void oxv_buffer_grow(struct oxv_buffer *b, size_t len);
/* False where there is no memory. */
OXV_MUST_USE bool oxv_buffer_append(struct oxv_buffer *b, struct oxv_view bytes);

/* Drops `len` bytes at the front. More than there are is a bug. */
void oxv_buffer_consume(struct oxv_buffer *b, size_t len);
/* Gives memory above `keep` bytes back, unless more than that is in the buffer. */
void oxv_buffer_shrink(struct oxv_buffer *b, size_t keep);

#endif
