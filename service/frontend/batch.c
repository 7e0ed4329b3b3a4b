#include "service/frontend/batch.h"

#include <stdlib.h>

#include "service/frontend/calls.h"
#include "service/frontend/json_map.h"
#include "service/frontend/peer.h"
#include "service/frontend/problem.h"
#include "service/frontend/reply.h"

#define ANSWERS_MAX_BYTES 8388608u /* of one batch */
/* Out at once: a batch would fill a token's queue (96), and keep a caller's other requests from the
 * credits. */
#define OPEN_MAX  64u
#define BEGINNING "{\"responses\":["
#define END       "]}"

/* Where an item's JSON is in `text`; no length: not answered yet. */
struct answer {
    size_t offset;
    size_t len;
};

struct oxv_batch {
    cJSON *object;
    cJSON *next; /* the next item to send */
    size_t next_index;
    size_t count;
    size_t answered;
    bool wants_proofs; /* of each item that does not say otherwise */
    struct oxv_buffer text;
    struct answer answers[]; /* count */
};

/* What stands beside the requests: `proof`. */
static enum oxv_status
read_members(const cJSON *object, bool *wants_proofs, struct oxv_err *err)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, object)
    {
        bool is_proof = strcmp(member->string, "proof") == 0;

        if (is_proof && !cJSON_IsBool(member)) {
            return oxv_fail(err, OXV_E_FORMAT, "proof: must be true or false");
        }
        if (!is_proof && strcmp(member->string, "requests") != 0) {
            return oxv_fail(err, OXV_E_FORMAT, "%.64s: is not known here", member->string);
        }
        *wants_proofs = *wants_proofs || cJSON_IsTrue(member);
    }
    return OXV_OK;
}

static cJSON *
find_requests(const cJSON *object, bool *wants_proofs, struct oxv_err *err)
{
    cJSON *requests = cJSON_GetObjectItemCaseSensitive(object, "requests");

    if (read_members(object, wants_proofs, err) != OXV_OK) {
        return NULL;
    }
    if (!cJSON_IsArray(requests)) {
        (void)oxv_fail(err, OXV_E_FORMAT, "requests: must be an array of objects");
        return NULL;
    }
    return requests;
}

enum oxv_status
oxv_batch_begin(struct oxv_peer *p, cJSON *object, struct oxv_err *err)
{
    bool wants_proofs = false;
    cJSON *requests = find_requests(object, &wants_proofs, err);

    if (requests == NULL) {
        cJSON_Delete(object);
        return OXV_E_FORMAT;
    }
    size_t count = (size_t)cJSON_GetArraySize(requests);

    if (count == 0 || count > OXV_BATCH_MAX) {
        cJSON_Delete(object);
        return oxv_fail(err, OXV_E_FORMAT, "requests: must have 1 to %u items", OXV_BATCH_MAX);
    }
    struct oxv_batch *batch = p->frontend->batch_count == OXV_BATCHES_MAX
                                  ? NULL
                                  : calloc(1, sizeof *batch + count * sizeof batch->answers[0]);

    if (batch == NULL) {
        cJSON_Delete(object);
        return oxv_fail(err, OXV_E_BUSY, "too many batches of this user are at work");
    }
    batch->object = object;
    batch->next = requests->child;
    batch->count = count;
    batch->wants_proofs = wants_proofs;
    p->batch = batch;
    p->holds_batch = true;
    p->frontend->batch_count++;
    return OXV_OK;
}

void
oxv_batch_free(struct oxv_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    cJSON_Delete(batch->object);
    oxv_buffer_done(&batch->text);
    free(batch);
}

void
oxv_batch_leave(struct oxv_peer *p)
{
    if (p->holds_batch && p->batch == NULL) {
        p->holds_batch = false;
        p->frontend->batch_count--;
    }
}

static void
write_reply(struct oxv_peer *p, struct oxv_batch *batch)
{
    struct oxv_view text = oxv_buffer_view(&batch->text);
    size_t len = sizeof BEGINNING - 1 + text.len + (batch->count - 1) + sizeof END - 1;

    oxv_reply_begin(p, &(struct oxv_reply){ .status = 200, .type = "application/json" }, len);
    oxv_reply_append(p, oxv_view_text(BEGINNING));
    for (size_t i = 0; i < batch->count; i++) {
        oxv_reply_append(p, oxv_view_text(i > 0 ? "," : ""));
        oxv_reply_append(p, oxv_view_slice(text, batch->answers[i].offset, batch->answers[i].len));
    }
    oxv_reply_append(p, oxv_view_text(END));
    oxv_reply_end(p);
}

void
oxv_batch_answer(struct oxv_peer *p, size_t item, struct oxv_view json)
{
    struct oxv_batch *batch = p->batch;

    if (oxv_buffer_len(&batch->text) + json.len > ANSWERS_MAX_BYTES) {
        json = oxv_reply_render_own(p->frontend, OXV_CODE_INTERNAL,
                                    "the answers of this batch are too long: send a smaller one");
    }
    batch->answers[item] =
        (struct answer){ .offset = oxv_buffer_len(&batch->text), .len = json.len };
    if (!oxv_buffer_append(&batch->text, json)) {
        oxv_peer_end(p);
        return;
    }
    if (++batch->answered == batch->count) {
        p->batch = NULL;
        write_reply(p, batch);
        oxv_batch_free(batch);
    } else if (batch->next != NULL) {
        oxv_call_queue(p);
    }
}

/* The endpoint that this item would have had alone. */
static const struct oxv_endpoint *
find_kind(const cJSON *item, struct oxv_err *err)
{
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(item, "kind");
    const struct oxv_endpoint *endpoint = NULL;

    if (!cJSON_IsObject(item)) {
        (void)oxv_fail(err, OXV_E_FORMAT, "an item of requests must be an object");
    } else if (kind == NULL) {
        (void)oxv_fail(err, OXV_E_FORMAT, "kind: is missing");
    } else if (!cJSON_IsString(kind)) {
        (void)oxv_fail(err, OXV_E_FORMAT, "kind: must be a string");
    } else {
        endpoint = oxv_endpoint_of_kind(oxv_view_text(kind->valuestring));
        if (endpoint == NULL) {
            (void)oxv_fail(err, OXV_E_FORMAT, "kind: %.64s is none", kind->valuestring);
        }
    }
    return endpoint;
}

static enum oxv_status
map_item(struct oxv_frontend *f, const struct oxv_batch *batch, struct oxv_msg_sign *out,
         struct oxv_err *err)
{
    const cJSON *item = batch->next;
    const struct oxv_endpoint *endpoint = find_kind(item, err);

    if (endpoint == NULL) {
        return OXV_E_FORMAT;
    }
    struct oxv_writer scratch = oxv_writer(f->scratch, sizeof f->scratch);
    struct oxv_mapping m = oxv_endpoint_mapping(endpoint, out, &scratch);

    m.ignores = "kind";
    enum oxv_status st = oxv_map_object(&m, item, err);

    if (batch->wants_proofs && (m.filled & oxv_map_bit(m.shape, "proof")) == 0) {
        out->proof = 1;
    }
    return st == OXV_OK ? oxv_map_finish(&m, err) : st;
}

/* Steps to the next item; the one behind it is no longer needed. */
static void
step(struct oxv_batch *batch)
{
    batch->next = batch->next->next;
    batch->next_index++;
}

static enum oxv_status
put_item(struct oxv_peer *p, struct oxv_call *call, struct oxv_err *err)
{
    struct oxv_frontend *f = p->frontend;
    struct oxv_msg_sign message = { 0 };
    enum oxv_status st = map_item(f, p->batch, &message, err);

    if (st != OXV_OK) {
        return st;
    }
    call->item = p->batch->next_index;
    st = oxv_channel_put_fields(f->channel, OXV_MSG_SIGN, call->id, &oxv_msg_sign_shape, &message);
    if (st == OXV_E_LIMIT) {
        (void)oxv_fail(err, st, "this item does not fit one message to the keeper");
    } else if (st == OXV_E_MEMORY) {
        (void)oxv_fail(err, st, "no memory");
    }
    return st;
}

static const char *
code_of(enum oxv_status st)
{
    if (st == OXV_E_FORMAT) {
        return OXV_CODE_BAD_REQUEST;
    }
    return st == OXV_E_LIMIT ? OXV_CODE_PAYLOAD_TOO_LARGE : OXV_CODE_INTERNAL;
}

enum oxv_batch_step
oxv_batch_send(struct oxv_peer *p)
{
    struct oxv_frontend *f = p->frontend;

    while (p->batch != NULL && p->batch->next != NULL) {
        size_t item = p->batch->next_index;
        struct oxv_err err = { 0 };

        if (item - p->batch->answered >= OPEN_MAX) {
            return OXV_BATCH_PAUSED;
        }
        struct oxv_call *call = oxv_call_open(f, p, OXV_MSG_SIGN);
        enum oxv_status st = call == NULL ? OXV_E_BUSY : put_item(p, call, &err);

        if (st == OXV_OK) {
            step(p->batch);
            return OXV_BATCH_SENT;
        }
        if (call != NULL) {
            oxv_call_free(f, call);
        }
        if (st == OXV_E_BUSY) {
            return OXV_BATCH_BLOCKED;
        }
        step(p->batch);
        oxv_batch_answer(p, item, oxv_reply_render_own(f, code_of(st), err.text));
    }
    return OXV_BATCH_DONE;
}
