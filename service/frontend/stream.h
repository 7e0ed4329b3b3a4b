/*
 * stream: GET /v1/audit/log. The keeper logs the read and hands over descriptors of the log's
 * segments; here they are filtered and formatted, a piece at a time, in constant memory.
 */
#ifndef OXV_SERVICE_FRONTEND_STREAM_H
#define OXV_SERVICE_FRONTEND_STREAM_H

#include "service/frontend/frontend.h"

/*
 * Asks the keeper for a read.
 *   OXV_E_FORMAT  the query is malformed: *err names the parameter
 *   OXV_E_BUSY    too many reads are at work
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_stream_begin(struct oxv_peer *p, struct oxv_view query,
                                              struct oxv_err *err);
/* NULL is fine. */
void oxv_stream_free(struct oxv_frontend *f, struct oxv_log_stream *stream);

/*
 * An answer to LOG_READ, LOG_SEGMENT or LOG_WAIT; takes *fd where there is one. False where it
 * breaks the rules of messages.h.
 */
OXV_MUST_USE bool oxv_stream_answer(struct oxv_frontend *f, const struct oxv_call *call,
                                    const struct oxv_message *message, int *fd);

/* One step of each stream that can take one. True where some can take another at once. */
bool oxv_streams_run(struct oxv_frontend *f);

#endif
