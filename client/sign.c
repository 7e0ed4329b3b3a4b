#include "client/answer.h"
#include "client/body.h"
#include "client/client.h"

/* What tells the three kinds of signature apart. */
struct sign_path {
    enum oxv_client_kind kind;
    const char *path;
    const struct oxv_answer_shape *shape;
};

static enum oxv_client_code
sign(struct oxv_client *client, const struct sign_path *path,
     const struct oxv_client_request *request, void **out, struct oxv_client_error *error)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer body = { 0 };
    struct oxv_http_request http = { .method = "POST", .path = path->path };
    enum oxv_client_code code;

    if (client == NULL || request == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "the client or the request is NULL");
    }
    code = oxv_client_body_make(&body, request, path->kind, error);
    if (code != OXV_CLIENT_OK) {
        return code;
    }
    http.body = oxv_buffer_view(&body);
    code = oxv_http_request(client->http, &http, &answer, error);
    if (code != OXV_CLIENT_OK) {
        return code;
    }
    return oxv_answer_parse(path->shape, oxv_buffer_view(&answer.body), out, error);
}

enum oxv_client_code
oxv_client_sign_oauth1(struct oxv_client *client, const struct oxv_client_request *request,
                       struct oxv_client_oauth1 **out, struct oxv_client_error *error)
{
    static const struct sign_path path = { OXV_CLIENT_OAUTH1, "/v1/sign/oauth1",
                                           &oxv_answer_oauth1 };
    void *result = NULL;

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    enum oxv_client_code code = sign(client, &path, request, &result, error);

    *out = result;
    return code;
}

enum oxv_client_code
oxv_client_sign_token_passport(struct oxv_client *client, const struct oxv_client_request *request,
                               struct oxv_client_token_passport **out,
                               struct oxv_client_error *error)
{
    static const struct sign_path path = { OXV_CLIENT_TOKEN_PASSPORT, "/v1/sign/token-passport",
                                           &oxv_answer_token_passport };
    void *result = NULL;

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    enum oxv_client_code code = sign(client, &path, request, &result, error);

    *out = result;
    return code;
}

enum oxv_client_code
oxv_client_sign_connect_password(struct oxv_client *client,
                                 const struct oxv_client_request *request,
                                 struct oxv_client_connect_password **out,
                                 struct oxv_client_error *error)
{
    static const struct sign_path path = { OXV_CLIENT_CONNECT_PASSWORD, "/v1/sign/connect-password",
                                           &oxv_answer_connect_password };
    void *result = NULL;

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    enum oxv_client_code code = sign(client, &path, request, &result, error);

    *out = result;
    return code;
}

/* Each result was made as the first member of a struct of these. */
const char *
oxv_client_oauth1_proof(const struct oxv_client_oauth1 *result)
{
    return result == NULL ? "" : ((const struct oxv_proved_oauth1 *)result)->proof;
}

const char *
oxv_client_token_passport_proof(const struct oxv_client_token_passport *result)
{
    return result == NULL ? "" : ((const struct oxv_proved_token_passport *)result)->proof;
}

const char *
oxv_client_connect_password_proof(const struct oxv_client_connect_password *result)
{
    return result == NULL ? "" : ((const struct oxv_proved_connect_password *)result)->proof;
}

void
oxv_client_oauth1_free(struct oxv_client_oauth1 *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}

void
oxv_client_token_passport_free(struct oxv_client_token_passport *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}

void
oxv_client_connect_password_free(struct oxv_client_connect_password *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}
