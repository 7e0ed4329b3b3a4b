#include "service/frontend/request.h"

#include "service/frontend/batch.h"
#include "service/frontend/calls.h"
#include "service/frontend/json_check.h"
#include "service/frontend/media_type.h"
#include "service/frontend/peer.h"
#include "service/frontend/problem.h"
#include "service/frontend/reply.h"
#include "service/frontend/stream.h"
#include "service/frontend/target.h"

#define KEEP_BYTES 16384u /* of a buffer, between requests */

/* A head, read; its views borrow the peer's input. */
struct parsed {
    struct oxv_http_head head;
    struct oxv_route route;
};

/* Room for the struct of any shape that a request fills. */
union any_message {
    struct oxv_msg_sign sign;
    struct oxv_msg_grants grants;
    struct oxv_msg_grant_add grant_add;
    struct oxv_msg_named_box named_box;
    struct oxv_msg_page page;
    struct oxv_msg_name name;
    struct oxv_msg_id id;
    struct oxv_msg_uid uid;
    struct oxv_msg_session session;
    struct oxv_msg_import_chunk import_chunk;
    struct oxv_msg_import_commit import_commit;
    struct oxv_msg_caller_add caller_add;
};

static void
deletep(cJSON **json)
{
    cJSON_Delete(*json);
}

void
oxv_request_reset(struct oxv_peer *p)
{
    p->request = (struct oxv_request){ 0 };
    p->scan = (struct oxv_http_scan){ 0 };
    p->chunked = (struct oxv_chunked){ 0 };
    p->state = OXV_PEER_HEAD;
    p->started = false;
    oxv_buffer_shrink(&p->in, KEEP_BYTES);
    oxv_buffer_shrink(&p->payload, KEEP_BYTES);
    oxv_request_give_room(p);
    oxv_peer_set_deadline(p, OXV_IDLE_TIMEOUT_MS);
}

/* More has to arrive. */
static void
wait_for_more(struct oxv_peer *p)
{
    if (p->at_eof) {
        p->request.is_early = true;
        oxv_reply_problem(p, OXV_CODE_BAD_REQUEST, "the request ends before its end");
    } else if (!p->started) {
        p->started = true;
        if (!oxv_peer_is_refused(p)) {
            oxv_peer_set_deadline(p, OXV_REQUEST_TIMEOUT_MS);
        }
    }
}

/*
 * Before an answer to a request that is not read to its end: where all of it is here it is
 * dropped, and the connection stays; else this is its last answer.
 */
static void
skip_request(struct oxv_peer *p)
{
    struct oxv_request *r = &p->request;
    size_t here = oxv_buffer_len(&p->in);

    if (r->head_len == 0 || r->is_chunked || here < r->head_len ||
        here - r->head_len < r->body_len) {
        r->is_early = true;
        return;
    }
    oxv_buffer_consume(&p->in, r->head_len + (size_t)r->body_len);
}

static bool
refuse(struct oxv_peer *p, const char *code, const char *detail)
{
    skip_request(p);
    oxv_reply_problem(p, code, detail);
    return false;
}

static bool
admit_refused(struct oxv_peer *p, const struct oxv_http_head *head)
{
    bool is_health = oxv_target_is_health(head->method, head->target);

    skip_request(p);
    if (is_health && oxv_buffer_len(&p->health) > 0) {
        oxv_reply_json(p, oxv_buffer_view(&p->health));
    } else {
        oxv_reply_refusal(p);
    }
    return false;
}

static bool
admit_route(struct oxv_peer *p, struct parsed *parsed)
{
    char allow[OXV_ALLOW_MAX_BYTES];
    enum oxv_status st = oxv_route_find(p->frontend->door, parsed->head.method, parsed->head.target,
                                        &parsed->route, allow);

    if (st == OXV_E_USAGE) {
        skip_request(p);
        oxv_reply_not_allowed(p, allow);
        return false;
    }
    if (st != OXV_OK) {
        return refuse(p, OXV_CODE_NOT_FOUND, "there is no such path at this door");
    }
    p->request.endpoint = parsed->route.endpoint;
    return true;
}

static size_t
body_max(const struct oxv_endpoint *endpoint)
{
    return endpoint->style == OXV_STYLE_BATCH ? OXV_BATCH_BODY_MAX_BYTES : OXV_BODY_MAX_BYTES;
}

void
oxv_request_give_room(struct oxv_peer *p)
{
    p->frontend->body_room -= p->body_room;
    p->body_room = 0;
}

/* A long body takes its room from what all peers share, before it is read. */
static bool
take_room(struct oxv_peer *p, const struct oxv_http_head *head)
{
    struct oxv_frontend *f = p->frontend;
    size_t wanted = head->is_chunked ? body_max(p->request.endpoint) : (size_t)head->content_length;

    if (wanted <= KEEP_BYTES) {
        return true;
    }
    if (wanted > OXV_BODIES_MAX_BYTES - f->body_room) {
        return refuse(p, OXV_CODE_BUSY, "too many long requests of this user arrive at once");
    }
    f->body_room += wanted;
    p->body_room = wanted;
    return true;
}

/* What can be said about a body before it is read. */
static bool
admit_body(struct oxv_peer *p, const struct oxv_http_head *head)
{
    const struct oxv_endpoint *endpoint = p->request.endpoint;

    if (head->content_length > body_max(endpoint)) {
        return refuse(p, OXV_CODE_PAYLOAD_TOO_LARGE,
                      endpoint->style == OXV_STYLE_BATCH ? "the body exceeds 1 MiB"
                                                         : "the body exceeds 64 KiB");
    }
    if (endpoint->input != OXV_INPUT_BODY) {
        return head->content_length == 0 && !head->is_chunked
                   ? true
                   : refuse(p, OXV_CODE_BAD_REQUEST, "this request takes no body");
    }
    if ((head->has_content_type && !oxv_media_type_is_json(head->content_type)) ||
        head->has_content_encoding) {
        return refuse(p, OXV_CODE_UNSUPPORTED_MEDIA_TYPE,
                      "the body must be application/json in UTF-8, not encoded further");
    }
    return take_room(p, head);
}

static bool
admit(struct oxv_peer *p, struct parsed *parsed)
{
    if (oxv_peer_is_refused(p)) {
        return admit_refused(p, &parsed->head);
    }
    return admit_route(p, parsed) && admit_body(p, &parsed->head);
}

/* A chunked request is kept as if it had come in one piece: head, then body. */
static bool
begin_body(struct oxv_peer *p, const struct oxv_http_head *head)
{
    struct oxv_request *r = &p->request;
    bool is_here = oxv_buffer_len(&p->in) > r->head_len;

    p->state = OXV_PEER_BODY;
    if (head->expects_continue && !is_here && (r->is_chunked || r->body_len > 0) &&
        !oxv_buffer_append(&p->out, oxv_view_text("HTTP/1.1 100 Continue\r\n\r\n"))) {
        return false;
    }
    if (r->is_chunked) {
        struct oxv_view bytes = oxv_view_slice(oxv_buffer_view(&p->in), 0, r->head_len);

        if (!oxv_buffer_append(&p->unchunked, bytes)) {
            return false;
        }
        oxv_buffer_consume(&p->in, r->head_len);
    }
    return true;
}

static void
remember(struct oxv_request *r, size_t head_len, const struct oxv_http_head *head)
{
    r->head_len = head_len;
    r->body_len = head->content_length;
    r->is_chunked = head->is_chunked;
    r->is_http_1_0 = head->is_http_1_0;
    r->keeps_alive = head->keeps_alive;
    r->is_head = oxv_view_is(head->method, "HEAD");
}

/* False where the head is not complete, or was answered. */
static bool
take_head(struct oxv_peer *p, struct parsed *parsed)
{
    struct oxv_view in = oxv_buffer_view(&p->in);
    struct oxv_err err = { 0 };
    size_t head_len;

    if (in.len == 0) {
        if (p->at_eof) {
            oxv_peer_end(p);
        }
        return false;
    }
    enum oxv_status st = oxv_http_scan_head(in, &p->scan, &head_len, &err);

    if (st == OXV_E_BUSY) {
        wait_for_more(p);
        return false;
    }
    if (st == OXV_OK) {
        struct oxv_view bytes = oxv_view_slice(in, p->scan.skipped, head_len - p->scan.skipped);

        st = oxv_http_parse_head(bytes, &parsed->head, &err);
    }
    if (st != OXV_OK) {
        return refuse(p, st == OXV_E_LIMIT ? OXV_CODE_PAYLOAD_TOO_LARGE : OXV_CODE_BAD_REQUEST,
                      err.text);
    }
    remember(&p->request, head_len, &parsed->head);
    if (!admit(p, parsed)) {
        return false;
    }
    if (!begin_body(p, &parsed->head)) {
        oxv_peer_end(p);
        return false;
    }
    return true;
}

static enum oxv_status
map_path(const struct oxv_route *route, struct oxv_mapping *m, struct oxv_err *err)
{
    for (size_t i = 0; i < route->text_count; i++) {
        struct oxv_view value;
        enum oxv_status st = oxv_target_decode(route->texts[i].value, false, m->scratch, &value);

        if (st != OXV_OK) {
            return oxv_fail(err, st, "the path has a malformed percent-escape");
        }
        st = oxv_map_text(m, route->texts[i].name, value, err);
        if (st != OXV_OK) {
            return st;
        }
    }
    return OXV_OK;
}

static enum oxv_status
map_query(const struct oxv_route *route, struct oxv_mapping *m, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(route->query);
    struct oxv_query_part part;
    enum oxv_status st;

    if (route->has_query && route->endpoint->input != OXV_INPUT_QUERY) {
        return oxv_fail(err, OXV_E_FORMAT, "this request takes no query");
    }
    while ((st = oxv_query_next(&r, m->scratch, &part, err)) == OXV_OK) {
        st = oxv_map_text(m, part.name, part.value, err);
        if (st != OXV_OK) {
            return st;
        }
    }
    return st == OXV_E_NOT_FOUND ? OXV_OK : st;
}

static enum oxv_status
parse_json(struct oxv_view body, cJSON **out, struct oxv_err *err)
{
    enum oxv_status st = oxv_json_check(body, err);

    if (st != OXV_OK) {
        return st;
    }
    *out = cJSON_ParseWithLength((const char *)body.data, body.len);
    return *out == NULL ? oxv_fail(err, OXV_E_MEMORY, "no memory for the request") : OXV_OK;
}

static enum oxv_status
ask_plain(struct oxv_peer *p, const struct oxv_route *route, struct oxv_view body,
          struct oxv_err *err)
{
    OXV_AUTO(deletep) cJSON *object = NULL; /* the message's views borrow it */
    union any_message message = { 0 };
    struct oxv_frontend *f = p->frontend;
    struct oxv_writer scratch = oxv_writer(f->scratch, sizeof f->scratch);
    struct oxv_mapping m = oxv_endpoint_mapping(route->endpoint, &message, &scratch);
    enum oxv_status st = map_path(route, &m, err);

    if (st == OXV_OK) {
        st = map_query(route, &m, err);
    }
    if (st == OXV_OK && body.len > 0) {
        st = parse_json(body, &object, err);
        if (st == OXV_OK) {
            st = oxv_map_object(&m, object, err);
        }
    }
    if (st == OXV_OK) {
        st = oxv_map_finish(&m, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    return oxv_call_ask(p, route->endpoint->message, m.shape, &message)
               ? OXV_OK
               : oxv_fail(err, OXV_E_LIMIT, "the request does not fit one message to the keeper");
}

static enum oxv_status
ask_batch(struct oxv_peer *p, const struct oxv_route *route, struct oxv_view body,
          struct oxv_err *err)
{
    cJSON *object = NULL;
    enum oxv_status st = route->has_query
                             ? oxv_fail(err, OXV_E_FORMAT, "this request takes no query")
                             : parse_json(body, &object, err);

    if (st == OXV_OK) {
        st = oxv_batch_begin(p, object, err);
    }
    if (st == OXV_OK) {
        oxv_call_queue(p);
    }
    return st;
}

static const char *
code_of(enum oxv_status st)
{
    if (st == OXV_E_FORMAT) {
        return OXV_CODE_BAD_REQUEST;
    }
    if (st == OXV_E_LIMIT) {
        return OXV_CODE_PAYLOAD_TOO_LARGE;
    }
    return st == OXV_E_BUSY ? OXV_CODE_BUSY : OXV_CODE_INTERNAL;
}

static void
ask(struct oxv_peer *p, const struct oxv_route *route, struct oxv_view body)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = OXV_E_INTERNAL;

    p->state = OXV_PEER_ASKED;
    oxv_peer_set_deadline(p, UINT64_MAX);
    switch (route->endpoint->style) {
    case OXV_STYLE_PLAIN:
    case OXV_STYLE_TEXT:
        st = ask_plain(p, route, body, &err);
        break;
    case OXV_STYLE_BATCH:
        st = ask_batch(p, route, body, &err);
        break;
    case OXV_STYLE_LOG:
        st = oxv_stream_begin(p, route->query, &err);
        break;
    }
    if (st != OXV_OK) {
        oxv_reply_problem(p, code_of(st), err.text);
    }
}

/* The head again, where it was read in an earlier turn: its bytes may have moved since. */
static void
read_again(struct oxv_peer *p, struct oxv_view head, struct parsed *parsed)
{
    char allow[OXV_ALLOW_MAX_BYTES];

    if (oxv_http_parse_head(oxv_view_from(head, p->scan.skipped), &parsed->head, NULL) != OXV_OK ||
        oxv_route_find(p->frontend->door, parsed->head.method, parsed->head.target, &parsed->route,
                       allow) != OXV_OK) {
        oxv_bug("a head that was good is not any more");
    }
}

static void
take_chunked_body(struct oxv_peer *p)
{
    struct oxv_request *r = &p->request;
    struct parsed parsed;
    size_t used = 0;
    enum oxv_status st =
        oxv_chunked_read(&p->chunked, oxv_buffer_view(&p->in), r->head_len + body_max(r->endpoint),
                         &p->unchunked, &used);

    if (st == OXV_E_FORMAT) {
        (void)refuse(p, OXV_CODE_BAD_REQUEST, "the chunks of the body are malformed");
        return;
    }
    if (st == OXV_E_LIMIT) {
        (void)refuse(p, OXV_CODE_PAYLOAD_TOO_LARGE, "the body is too large");
        return;
    }
    if (st == OXV_E_MEMORY) {
        oxv_peer_end(p);
        return;
    }
    oxv_buffer_consume(&p->in, used);
    if (st == OXV_E_BUSY) {
        wait_for_more(p);
        return;
    }
    struct oxv_view whole = oxv_buffer_view(&p->unchunked);
    size_t head_len = r->head_len;

    read_again(p, oxv_view_slice(whole, 0, head_len), &parsed);
    ask(p, &parsed.route, oxv_view_from(whole, head_len));
    oxv_buffer_done(&p->unchunked);
    oxv_request_give_room(p);
}

/* `parsed` is NULL where the head was read in an earlier turn. */
static void
take_plain_body(struct oxv_peer *p, struct parsed *parsed)
{
    struct oxv_view in = oxv_buffer_view(&p->in);
    size_t head_len = p->request.head_len;
    size_t body_len = (size_t)p->request.body_len;
    struct parsed again;

    if (in.len - head_len < body_len) {
        wait_for_more(p);
        return;
    }
    if (parsed == NULL) {
        read_again(p, oxv_view_slice(in, 0, head_len), &again);
        parsed = &again;
    }
    ask(p, &parsed->route, oxv_view_slice(in, head_len, body_len));
    oxv_buffer_consume(&p->in, head_len + body_len);
    oxv_buffer_shrink(&p->in, KEEP_BYTES);
    oxv_request_give_room(p);
}

void
oxv_request_advance(struct oxv_peer *p)
{
    struct parsed parsed;
    bool is_new = p->state == OXV_PEER_HEAD;

    if (is_new && !take_head(p, &parsed)) {
        return;
    }
    if (p->request.is_chunked) {
        take_chunked_body(p);
    } else {
        take_plain_body(p, is_new ? &parsed : NULL);
    }
}
