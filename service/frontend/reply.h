/* reply: answers as HTTP. Each moves the peer on to its next request, or to its end. */
#ifndef OXV_SERVICE_FRONTEND_REPLY_H
#define OXV_SERVICE_FRONTEND_REPLY_H

#include "service/frontend/frontend.h"

struct oxv_reply {
    unsigned status;
    const char *type;       /* Content-Type */
    const char *allow;      /* NULL: none */
    uint64_t retry_after_s; /* 0: none */
};

/* Status, fields and the length of the body; then exactly that many bytes follow by append. */
void oxv_reply_begin(struct oxv_peer *p, const struct oxv_reply *reply, size_t body_len);
void oxv_reply_append(struct oxv_peer *p, struct oxv_view bytes);
void oxv_reply_end(struct oxv_peer *p);

void oxv_reply_json(struct oxv_peer *p, struct oxv_view json);
/* A problem of our own; `code` is in the list. */
void oxv_reply_problem(struct oxv_peer *p, const char *code, const char *detail);
void oxv_reply_not_allowed(struct oxv_peer *p, const char *allow);
/* The refusal of a refused peer. */
void oxv_reply_refusal(struct oxv_peer *p);

/*
 * The keeper's answers. False where they break the rules of doc.h or messages.h.
 * `text` may be one document of ours or of the keeper's.
 */
OXV_MUST_USE bool oxv_reply_doc(struct oxv_peer *p, struct oxv_view doc);
OXV_MUST_USE bool oxv_reply_keeper_problem(struct oxv_peer *p, struct oxv_view payload);

/* The keeper's answers as JSON in f->scratch, for oxv_reply_doc() and for batches. */
OXV_MUST_USE bool oxv_reply_render_doc(struct oxv_frontend *f, struct oxv_view doc,
                                       struct oxv_view *json);
OXV_MUST_USE bool oxv_reply_render_problem(struct oxv_frontend *f, struct oxv_view payload,
                                           struct oxv_view *json, struct oxv_reply *reply);
struct oxv_view oxv_reply_render_own(struct oxv_frontend *f, const char *code, const char *detail);

/* The head of an answer that comes in pieces, then pieces, then the last one. */
void oxv_reply_stream_begin(struct oxv_peer *p, const char *type);
void oxv_reply_stream_piece(struct oxv_peer *p, struct oxv_view bytes);
void oxv_reply_stream_end(struct oxv_peer *p);

#endif
