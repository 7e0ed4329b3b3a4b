#include "base/json.h"
#include "client/answer.h"
#include "client/body.h"
#include "client/client.h"
#include "client/problem.h"

/* The answer to one request goes into its member by kind. */
static enum oxv_client_code
read_signature(struct oxv_view value, struct oxv_arena *arena, struct oxv_client_batch_item *item,
               struct oxv_client_error *error)
{
    const struct oxv_answer_shape *shape = &oxv_answer_oauth1;

    shape = item->kind == OXV_CLIENT_TOKEN_PASSPORT ? &oxv_answer_token_passport : shape;
    shape = item->kind == OXV_CLIENT_CONNECT_PASSWORD ? &oxv_answer_connect_password : shape;
    void *result = oxv_arena_get(arena, 1, shape->struct_size);

    if (result == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    item->oauth1 = item->kind == OXV_CLIENT_OAUTH1 ? result : NULL;
    item->token_passport = item->kind == OXV_CLIENT_TOKEN_PASSPORT ? result : NULL;
    item->connect_password = item->kind == OXV_CLIENT_CONNECT_PASSWORD ? result : NULL;
    return oxv_answer_read(shape, value, arena, result, error);
}

static enum oxv_client_code
read_item(struct oxv_view value, struct oxv_arena *arena, struct oxv_client_batch_item *item,
          struct oxv_client_error *error)
{
    struct oxv_view type;

    if (!oxv_json_get(value, "type", &type)) { /* only problems have one */
        return read_signature(value, arena, item, error);
    }
    struct oxv_client_error *problem = oxv_arena_get(arena, 1, sizeof *problem);

    if (problem == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    if (oxv_problem_read(value, 0, problem) == OXV_CLIENT_BAD_ANSWER) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "%s", problem->detail);
    }
    item->error = problem;
    return OXV_CLIENT_OK;
}

static enum oxv_client_code
read_items(struct oxv_view text, const struct oxv_client_request *requests,
           struct oxv_client_batch *batch, struct oxv_client_batch_item *items,
           struct oxv_client_error *error)
{
    struct oxv_view list;
    struct oxv_view name;
    struct oxv_view value;
    struct oxv_json_fault fault;

    if (oxv_json_check(text, &fault) != OXV_OK) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the answer is not good JSON: %s",
                               fault.reason);
    }
    if (!oxv_json_get(text, "responses", &list) || oxv_json_type(list) != OXV_JSON_ARRAY ||
        oxv_json_count(list) != batch->count) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER,
                               "the answer does not have one response for each request");
    }
    struct oxv_json_items left = oxv_json_items(list);

    for (size_t i = 0; oxv_json_next(&left, &name, &value); i++) {
        items[i].kind = requests[i].kind;
        enum oxv_client_code code = read_item(value, batch->storage, &items[i], error);

        if (code != OXV_CLIENT_OK) {
            return code;
        }
    }
    batch->items = items;
    return OXV_CLIENT_OK;
}

static enum oxv_client_code
read_batch(struct oxv_view text, const struct oxv_client_request *requests, size_t count,
           struct oxv_client_batch **out, struct oxv_client_error *error)
{
    OXV_AUTO(oxv_arena_freep) struct oxv_arena *arena = oxv_arena_new();
    struct oxv_client_batch *batch = arena == NULL ? NULL : oxv_arena_get(arena, 1, sizeof *batch);
    struct oxv_client_batch_item *items =
        batch == NULL ? NULL : oxv_arena_get(arena, count, sizeof *items);

    if (items == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    batch->count = count;
    batch->storage = arena;
    enum oxv_client_code code = read_items(text, requests, batch, items, error);

    if (code == OXV_CLIENT_OK) {
        *out = batch;
        (void)oxv_arena_take(&arena); /* it went with the batch */
    }
    return code;
}

enum oxv_client_code
oxv_client_sign_batch(struct oxv_client *client, const struct oxv_client_request *requests,
                      size_t count, struct oxv_client_batch **out, struct oxv_client_error *error)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer body = { 0 };
    struct oxv_http_request http = { .method = "POST", .path = "/v1/sign/batch" };
    enum oxv_client_code code;

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    *out = NULL;
    if (client == NULL || requests == NULL || count == 0 || count > OXV_CLIENT_BATCH_MAX) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "a batch has 1 to %u requests",
                               OXV_CLIENT_BATCH_MAX);
    }
    code = oxv_client_body_make_batch(&body, requests, count, error);
    if (code != OXV_CLIENT_OK) {
        return code;
    }
    http.body = oxv_buffer_view(&body);
    code = oxv_http_request(client->http, &http, &answer, error);
    if (code != OXV_CLIENT_OK) {
        return code;
    }
    return read_batch(oxv_buffer_view(&answer.body), requests, count, out, error);
}

void
oxv_client_batch_free(struct oxv_client_batch *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}
