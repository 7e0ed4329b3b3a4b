/*
 * http_chunked: the body of a request in chunks (RFC 9112 7.1), taken out of its frames.
 *
 *   chunk  1 to 8 hex digits, CR LF, that many bytes, CR LF
 *   body   chunks, then a chunk of no bytes
 *
 * Chunk extensions and trailer fields are refused: nobody sends them, and they are where two
 * readers of one message come to disagree. So is every line end but CR LF.
 */
#ifndef OXV_SERVICE_FRONTEND_HTTP_CHUNKED_H
#define OXV_SERVICE_FRONTEND_HTTP_CHUNKED_H

#include "base/bytes.h"
#include "service/frontend/buffer.h"

enum oxv_chunk_state {
    OXV_CHUNK_SIZE,
    OXV_CHUNK_SIZE_LF,
    OXV_CHUNK_DATA,
    OXV_CHUNK_DATA_CR,
    OXV_CHUNK_DATA_LF,
    OXV_CHUNK_END_CR,
    OXV_CHUNK_END_LF,
    OXV_CHUNK_DONE,
};

/* Zero it at the start of each body. */
struct oxv_chunked {
    enum oxv_chunk_state state;
    size_t digits; /* of the size, read so far */
    uint64_t left; /* of the chunk's bytes */
};

/*
 * Goes on with `in`, of which *used bytes are done with, and appends what the chunks hold to
 * `body`, which may come to body_max bytes.
 *   OXV_OK        the body is complete
 *   OXV_E_BUSY    more has to arrive; all of `in` is used
 *   OXV_E_FORMAT  a rule is broken
 *   OXV_E_LIMIT   it exceeds body_max
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_chunked_read(struct oxv_chunked *c, struct oxv_view in,
                                              size_t body_max, struct oxv_buffer *body,
                                              size_t *used);

#endif
