/* batch: POST /v1/sign/batch: many signatures in one request, each with an answer of its own. */
#ifndef OXV_SERVICE_FRONTEND_BATCH_H
#define OXV_SERVICE_FRONTEND_BATCH_H

#include <cjson/cJSON.h>

#include "service/frontend/frontend.h"

enum oxv_batch_step {
    OXV_BATCH_SENT,    /* one question went out */
    OXV_BATCH_BLOCKED, /* the channel takes no more now, or there is no credit */
    OXV_BATCH_PAUSED,  /* enough questions are out: an answer puts the peer into the queue again */
    OXV_BATCH_DONE,    /* all questions are out; or the answer is complete and written */
};

/*
 * Begins with the object {"requests": [...]}, which is taken.
 *   OXV_E_FORMAT  it has not that form, or holds none or too many: *err names what
 *   OXV_E_BUSY    too many batches are at work
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_batch_begin(struct oxv_peer *p, cJSON *object,
                                             struct oxv_err *err);
/* NULL is fine. */
void oxv_batch_free(struct oxv_batch *batch);
/* Makes room for another batch where this peer has none any more, and has taken its answer. */
void oxv_batch_leave(struct oxv_peer *p);

/* Sends the next question; answers by itself what cannot be sent. */
enum oxv_batch_step oxv_batch_send(struct oxv_peer *p);
/* The JSON of one item's answer; writes the peer's answer when it was the last. */
void oxv_batch_answer(struct oxv_peer *p, size_t item, struct oxv_view json);

#endif
