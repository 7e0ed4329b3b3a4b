#include "service/frontend/reply.h"

#include "base/text.h"
#include "service/frontend/peer.h"
#include "service/frontend/problem.h"
#include "service/frontend/request.h"
#include "service/wire/doc.h"

#define HEAD_MAX_BYTES   512u
#define CHUNK_HEAD_BYTES 18u /* hex digits of a size_t, CR LF */
#define PLAIN_TEXT       "text/plain; version=0.0.4"
#define PROBLEM_JSON     "application/problem+json"
#define APPLICATION_JSON "application/json"

static bool
must_end(const struct oxv_peer *p)
{
    return !p->request.keeps_alive || p->request.is_early || oxv_buffer_len(&p->refusal) > 0;
}

static void
write_connection(const struct oxv_peer *p, struct oxv_writer *w)
{
    if (must_end(p)) {
        oxv_write_text(w, "Connection: close\r\n");
    } else if (p->request.is_http_1_0) {
        oxv_write_text(w, "Connection: keep-alive\r\n");
    }
}

static void
write_head(const struct oxv_peer *p, struct oxv_writer *w, const struct oxv_reply *reply,
           size_t body_len)
{
    oxv_write_text(w, "HTTP/1.1 ");
    oxv_write_text(w, oxv_problem_status_text(reply->status));
    oxv_write_text(w, "\r\nContent-Type: ");
    oxv_write_text(w, reply->type);
    oxv_write_text(w, "\r\nContent-Length: ");
    oxv_write_decimal(w, body_len);
    oxv_write_text(w, "\r\nCache-Control: no-store\r\n");
    if (reply->allow != NULL) {
        oxv_write_text(w, "Allow: ");
        oxv_write_text(w, reply->allow);
        oxv_write_text(w, "\r\n");
    }
    if (reply->retry_after_s > 0) {
        oxv_write_text(w, "Retry-After: ");
        oxv_write_decimal(w, reply->retry_after_s);
        oxv_write_text(w, "\r\n");
    }
    write_connection(p, w);
    oxv_write_text(w, "\r\n");
}

void
oxv_reply_begin(struct oxv_peer *p, const struct oxv_reply *reply, size_t body_len)
{
    uint8_t *room = oxv_buffer_reserve(&p->out, HEAD_MAX_BYTES + body_len);
    struct oxv_writer w = oxv_writer(room, HEAD_MAX_BYTES);
    struct oxv_view head;

    if (room == NULL) {
        oxv_peer_end(p);
        return;
    }
    write_head(p, &w, reply, body_len);
    if (oxv_writer_finish(&w, &head) != OXV_OK) {
        oxv_bug("the head of an answer is too long");
    }
    oxv_buffer_grow(&p->out, head.len);
}

void
oxv_reply_append(struct oxv_peer *p, struct oxv_view bytes)
{
    if (p->state == OXV_PEER_DEAD || p->request.is_head) {
        return;
    }
    if (!oxv_buffer_append(&p->out, bytes)) {
        oxv_peer_end(p);
    }
}

void
oxv_reply_end(struct oxv_peer *p)
{
    if (p->state == OXV_PEER_DEAD) {
        return;
    }
    if (must_end(p)) {
        p->state = OXV_PEER_ENDING;
    } else {
        oxv_request_reset(p);
    }
    oxv_peer_touch(p);
}

static void
send_whole(struct oxv_peer *p, const struct oxv_reply *reply, struct oxv_view body)
{
    oxv_reply_begin(p, reply, body.len);
    oxv_reply_append(p, body);
    oxv_reply_end(p);
}

void
oxv_reply_json(struct oxv_peer *p, struct oxv_view json)
{
    send_whole(p, &(struct oxv_reply){ .status = 200, .type = APPLICATION_JSON }, json);
}

struct oxv_view
oxv_reply_render_own(struct oxv_frontend *f, const char *code, const char *detail)
{
    const struct oxv_problem *problem = oxv_problem_find(oxv_view_text(code));
    struct oxv_writer w = oxv_writer(f->scratch, sizeof f->scratch);
    struct oxv_view json;

    if (problem == NULL) {
        oxv_bug("unknown code of a problem");
    }
    oxv_problem_write(&w, problem, oxv_view_text(detail));
    if (oxv_writer_finish(&w, &json) != OXV_OK) {
        oxv_bug("a problem is too long");
    }
    return json;
}

void
oxv_reply_problem(struct oxv_peer *p, const char *code, const char *detail)
{
    struct oxv_view json = oxv_reply_render_own(p->frontend, code, detail);
    struct oxv_reply reply = { .status = oxv_problem_find(oxv_view_text(code))->status,
                               .type = PROBLEM_JSON,
                               .retry_after_s = oxv_view_is(oxv_view_text(code), OXV_CODE_BUSY) };

    send_whole(p, &reply, json);
}

void
oxv_reply_not_allowed(struct oxv_peer *p, const char *allow)
{
    struct oxv_reply reply = { .status = 405, .type = PROBLEM_JSON, .allow = allow };
    char detail[128];

    if (oxv_format(detail, sizeof detail, "this path takes: %s", allow) != OXV_OK) {
        oxv_bug("the list of methods is too long");
    }
    send_whole(p, &reply, oxv_reply_render_own(p->frontend, OXV_CODE_METHOD_NOT_ALLOWED, detail));
}

void
oxv_reply_refusal(struct oxv_peer *p)
{
    struct oxv_reply reply = { .status = p->refusal_status, .type = PROBLEM_JSON };

    send_whole(p, &reply, oxv_buffer_view(&p->refusal));
}

bool
oxv_reply_render_doc(struct oxv_frontend *f, struct oxv_view doc, struct oxv_view *json)
{
    struct oxv_writer w = oxv_writer(f->scratch, sizeof f->scratch);
    enum oxv_status st = oxv_doc_to_json(doc, &w);

    if (st == OXV_E_LIMIT) { /* escapes made it longer than any document of sense */
        *json = oxv_reply_render_own(f, OXV_CODE_INTERNAL, "the answer is too long");
        return true;
    }
    return st == OXV_OK && oxv_writer_finish(&w, json) == OXV_OK;
}

bool
oxv_reply_render_problem(struct oxv_frontend *f, struct oxv_view payload, struct oxv_view *json,
                         struct oxv_reply *reply)
{
    struct oxv_msg_problem message;
    struct oxv_writer w = oxv_writer(f->scratch, sizeof f->scratch);

    if (oxv_fields_decode(payload, &oxv_msg_problem_shape, &message, NULL) != OXV_OK) {
        return false;
    }
    const struct oxv_problem *problem = oxv_problem_find(message.code);

    if (problem == NULL) {
        return false;
    }
    oxv_problem_write(&w, problem, message.detail);
    *reply = (struct oxv_reply){ .status = problem->status,
                                 .type = PROBLEM_JSON,
                                 .retry_after_s = message.retry_after_s };
    return oxv_writer_finish(&w, json) == OXV_OK;
}

bool
oxv_reply_keeper_problem(struct oxv_peer *p, struct oxv_view payload)
{
    struct oxv_view json;
    struct oxv_reply reply;

    if (!oxv_reply_render_problem(p->frontend, payload, &json, &reply)) {
        return false;
    }
    send_whole(p, &reply, json);
    return true;
}

bool
oxv_reply_doc(struct oxv_peer *p, struct oxv_view doc)
{
    struct oxv_view body;

    if (p->request.endpoint->style == OXV_STYLE_TEXT) {
        if (!oxv_doc_find_text(doc, "text", &body)) {
            return false;
        }
        send_whole(p, &(struct oxv_reply){ .status = 200, .type = PLAIN_TEXT }, body);
        return true;
    }
    if (!oxv_reply_render_doc(p->frontend, doc, &body)) {
        return false;
    }
    oxv_reply_json(p, body);
    return true;
}

void
oxv_reply_stream_begin(struct oxv_peer *p, const char *type)
{
    uint8_t *room = oxv_buffer_reserve(&p->out, HEAD_MAX_BYTES);
    struct oxv_writer w = oxv_writer(room, HEAD_MAX_BYTES);
    struct oxv_view head;

    if (room == NULL) {
        oxv_peer_end(p);
        return;
    }
    if (p->request.is_http_1_0) { /* it knows no chunks: the end of the connection is the end */
        p->request.keeps_alive = false;
    }
    oxv_write_text(&w, "HTTP/1.1 200 OK\r\nContent-Type: ");
    oxv_write_text(&w, type);
    oxv_write_text(&w, "\r\nCache-Control: no-store\r\n");
    oxv_write_text(&w, p->request.is_http_1_0 ? "" : "Transfer-Encoding: chunked\r\n");
    write_connection(p, &w);
    oxv_write_text(&w, "\r\n");
    if (oxv_writer_finish(&w, &head) != OXV_OK) {
        oxv_bug("the head of an answer is too long");
    }
    oxv_buffer_grow(&p->out, head.len);
    oxv_peer_touch(p);
}

void
oxv_reply_stream_piece(struct oxv_peer *p, struct oxv_view bytes)
{
    char size[CHUNK_HEAD_BYTES + 1];

    if (bytes.len == 0) {
        return; /* an empty chunk would be the last one */
    }
    if (p->request.is_http_1_0) {
        oxv_reply_append(p, bytes);
    } else if (oxv_format(size, sizeof size, "%zx\r\n", bytes.len) == OXV_OK) {
        oxv_reply_append(p, oxv_view_text(size));
        oxv_reply_append(p, bytes);
        oxv_reply_append(p, oxv_view_text("\r\n"));
    }
    if (p->state != OXV_PEER_DEAD) {
        oxv_peer_touch(p);
    }
}

void
oxv_reply_stream_end(struct oxv_peer *p)
{
    if (!p->request.is_http_1_0) {
        oxv_reply_append(p, oxv_view_text("0\r\n\r\n"));
    }
    oxv_reply_end(p);
}
