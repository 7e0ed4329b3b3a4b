/* The library against a service of the test's own: what it sends, and what it makes of answers. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "client_fake_door.h"
#include "include/oxvault/client.h"

#define OAUTH1_ANSWER                                                                              \
    "{\"authorization\":\"OAuth realm=\\\"x\\\"\",\"timestamp\":1508242306,\"nonce\":\"abc\","     \
    "\"log\":{\"origin\":\"oxvault/1/2\",\"index\":7}}"
#define PASSPORT_ANSWER                                                                            \
    "{\"account\":\"A\",\"consumer_key\":\"CK\",\"token\":\"T\",\"nonce\":\"N\","                  \
    "\"timestamp\":12,\"signature\":{\"algorithm\":\"HMAC-SHA256\",\"value\":\"S=\"},"             \
    "\"xml\":\"<a/>\",\"log\":{\"origin\":\"o\",\"index\":0}}"
#define PASSWORD_ANSWER                                                                            \
    "{\"user\":\"TBA\",\"password\":\"p&q\",\"log\":{\"origin\":\"o\",\"index\":9}}"
#define PROBLEM(code, status, detail)                                                              \
    "{\"type\":\"urn:oxvault:error:" code "\",\"title\":\"T\",\"status\":" status                  \
    ",\"detail\":\"" detail "\",\"code\":\"" code "\"}"

/* What the next requests are answered with, and what the last one was. */
struct script {
    _Atomic(const char *) status;
    _Atomic(const char *) extra;
    _Atomic(const char *) body;
    char target[256];
    char got[4096];
    unsigned requests;
};

struct fixture {
    char directory[64];
    char path[96];
    struct script script;
    struct fake_door *door;
    struct oxv_client *client;
};

static void
remember(struct script *script, const struct fake_request *request)
{
    const uint8_t *space = memchr(request->head.data, '\r', request->head.len);
    size_t len = (size_t)(space - request->head.data);

    assert_true(len < sizeof script->target && request->body.len < sizeof script->got);
    memcpy(script->target, request->head.data, len);
    script->target[len] = '\0';
    memcpy(script->got, request->body.data, request->body.len);
    script->got[request->body.len] = '\0';
    script->requests++;
}

static bool
answer_script(void *context, const struct fake_request *request)
{
    struct script *script = context;

    remember(script, request);
    fake_answer(request, script->status, script->extra, script->body);
    return true;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct oxv_client_options options = { .total_timeout_ms = 10000 };
    struct oxv_client_error error;

    assert_non_null(f);
    memcpy(f->directory, "/tmp/oxv-client-XXXXXX", 23);
    assert_non_null(mkdtemp(f->directory));
    assert_true(snprintf(f->path, sizeof f->path, "%s/sign.sock", f->directory) > 0);
    f->script.status = "200 OK";
    f->script.extra = "";
    f->script.body = OAUTH1_ANSWER;
    f->door = fake_door_start(f->path, answer_script, &f->script);
    assert_int_equal(oxv_client_open(f->path, &options, &f->client, &error), OXV_CLIENT_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    oxv_client_close(f->client);
    fake_door_stop(f->door);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(f->directory), 0);
    free(f);
    return 0;
}

static const struct oxv_client_request get_request = { .connection = "acme",
                                                       .method = "GET",
                                                       .url = "https://h/p?a=\"1\"" };

static void
sends_an_oauth1_request_and_reads_its_answer(void **state)
{
    struct fixture *f = *state;
    const struct oxv_client_pair form[] = { { "a b", "c" }, { "a b", "" } };
    struct oxv_client_request request = get_request;
    struct oxv_client_oauth1 *result = NULL;
    struct oxv_client_error error = { .http_status = 7 };

    request.form = form;
    request.form_count = 2;
    assert_int_equal(oxv_client_sign_oauth1(f->client, &request, &result, &error), OXV_CLIENT_OK);
    assert_int_equal(error.code, OXV_CLIENT_OK);
    assert_int_equal(error.http_status, 0);
    assert_string_equal(f->script.target, "POST /v1/sign/oauth1 HTTP/1.1");
    assert_string_equal(f->script.got,
                        "{\"connection\":\"acme\",\"method\":\"GET\",\"url\":\"https://h/"
                        "p?a=\\\"1\\\"\",\"form\":[[\"a b\",\"c\"],[\"a b\",\"\"]]}");
    assert_string_equal(result->authorization, "OAuth realm=\"x\"");
    assert_int_equal(result->timestamp, 1508242306);
    assert_string_equal(result->nonce, "abc");
    assert_string_equal(result->log_origin, "oxvault/1/2");
    assert_int_equal(result->log_index, 7);
    oxv_client_oauth1_free(result);
}

static void
sends_a_token_passport_request_and_reads_its_answer(void **state)
{
    struct fixture *f = *state;
    const struct oxv_client_request request = { .connection = "acme", .version = "2025_1" };
    struct oxv_client_token_passport *result = NULL;

    f->script.body = PASSPORT_ANSWER;
    assert_int_equal(oxv_client_sign_token_passport(f->client, &request, &result, NULL),
                     OXV_CLIENT_OK);
    assert_string_equal(f->script.target, "POST /v1/sign/token-passport HTTP/1.1");
    assert_string_equal(f->script.got, "{\"connection\":\"acme\",\"version\":\"2025_1\"}");
    assert_string_equal(result->account, "A");
    assert_string_equal(result->consumer_key, "CK");
    assert_string_equal(result->token, "T");
    assert_string_equal(result->nonce, "N");
    assert_int_equal(result->timestamp, 12);
    assert_string_equal(result->signature_algorithm, "HMAC-SHA256");
    assert_string_equal(result->signature_value, "S=");
    assert_string_equal(result->xml, "<a/>");
    oxv_client_token_passport_free(result);
}

static void
sends_a_connect_password_request_and_reads_its_answer(void **state)
{
    struct fixture *f = *state;
    const struct oxv_client_request request = { .connection = "acme" };
    struct oxv_client_connect_password *result = NULL;

    f->script.body = PASSWORD_ANSWER;
    assert_int_equal(oxv_client_sign_connect_password(f->client, &request, &result, NULL),
                     OXV_CLIENT_OK);
    assert_string_equal(f->script.target, "POST /v1/sign/connect-password HTTP/1.1");
    assert_string_equal(f->script.got, "{\"connection\":\"acme\"}");
    assert_string_equal(result->user, "TBA");
    assert_string_equal(result->password, "p&q");
    assert_int_equal(result->log_index, 9);
    oxv_client_connect_password_free(result);
}

#define WITH_PROOF(members) members "\"log\":{\"origin\":\"o\",\"index\":7,\"proof\":\"a\\nb\\n\"}}"
#define PROVED_OAUTH1       WITH_PROOF("{\"authorization\":\"OAuth x\",\"timestamp\":1,\"nonce\":\"N\",")
#define PROVED_PASSPORT                                                                            \
    WITH_PROOF(                                                                                    \
        "{\"account\":\"A\",\"consumer_key\":\"CK\",\"token\":\"T\",\"nonce\":\"N\","              \
        "\"timestamp\":12,\"signature\":{\"algorithm\":\"x\",\"value\":\"S=\"},\"xml\":\"<a/>\",")
#define PROVED_PASSWORD WITH_PROOF("{\"user\":\"TBA\",\"password\":\"p\",")

static void
asks_for_a_proof_and_gives_it_out(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_request request = get_request;
    struct oxv_client_oauth1 *oauth1 = NULL;
    struct oxv_client_token_passport *passport = NULL;
    struct oxv_client_connect_password *password = NULL;

    request.proof = 1;
    f->script.body = PROVED_OAUTH1;
    assert_int_equal(oxv_client_sign_oauth1(f->client, &request, &oauth1, NULL), OXV_CLIENT_OK);
    assert_non_null(strstr(f->script.got, ",\"proof\":true}"));
    assert_string_equal(oxv_client_oauth1_proof(oauth1), "a\nb\n");
    assert_int_equal(oauth1->log_index, 7);
    oxv_client_oauth1_free(oauth1);
    request.method = request.url = NULL;
    f->script.body = PROVED_PASSPORT;
    assert_int_equal(oxv_client_sign_token_passport(f->client, &request, &passport, NULL),
                     OXV_CLIENT_OK);
    assert_string_equal(f->script.got, "{\"connection\":\"acme\",\"proof\":true}");
    assert_string_equal(oxv_client_token_passport_proof(passport), "a\nb\n");
    oxv_client_token_passport_free(passport);
    f->script.body = PROVED_PASSWORD;
    assert_int_equal(oxv_client_sign_connect_password(f->client, &request, &password, NULL),
                     OXV_CLIENT_OK);
    assert_string_equal(oxv_client_connect_password_proof(password), "a\nb\n");
    oxv_client_connect_password_free(password);
}

static void
without_a_proof_it_is_empty(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_oauth1 *result = NULL;

    assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, NULL), OXV_CLIENT_OK);
    assert_string_equal(oxv_client_oauth1_proof(result), "");
    oxv_client_oauth1_free(result);
    assert_string_equal(oxv_client_oauth1_proof(NULL), "");
    assert_string_equal(oxv_client_token_passport_proof(NULL), "");
    assert_string_equal(oxv_client_connect_password_proof(NULL), "");
}

static void
a_batch_gives_out_proofs_by_item(void **state)
{
    const struct oxv_client_request requests[] = {
        { .kind = OXV_CLIENT_OAUTH1, .connection = "a", .method = "GET", .url = "u", .proof = 1 },
        { .kind = OXV_CLIENT_TOKEN_PASSPORT, .connection = "b" },
        { .kind = OXV_CLIENT_CONNECT_PASSWORD, .connection = "c", .proof = 1 },
    };
    struct fixture *f = *state;
    struct oxv_client_batch *batch = NULL;

    f->script.body = "{\"responses\":[" PROVED_OAUTH1 "," PASSPORT_ANSWER "," PROVED_PASSWORD "]}";
    assert_int_equal(oxv_client_sign_batch(f->client, requests, 3, &batch, NULL), OXV_CLIENT_OK);
    assert_string_equal(f->script.got,
                        "{\"requests\":[{\"connection\":\"a\",\"kind\":\"oauth1\",\"method\":\"GET"
                        "\",\"url\":\"u\",\"proof\":true},{\"connection\":\"b\",\"kind\":"
                        "\"token-passport\"},{\"connection\":\"c\",\"kind\":\"connect-password\","
                        "\"proof\":true}]}");
    assert_string_equal(oxv_client_oauth1_proof(batch->items[0].oauth1), "a\nb\n");
    assert_string_equal(oxv_client_token_passport_proof(batch->items[1].token_passport), "");
    assert_string_equal(oxv_client_connect_password_proof(batch->items[2].connect_password),
                        "a\nb\n");
    oxv_client_batch_free(batch);
}

static void
refuses_a_wrong_call_without_sending(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_oauth1 *result = NULL;
    struct oxv_client_token_passport *passport = NULL;
    struct oxv_client_error error;
    const struct oxv_client_request no_url = { .connection = "acme", .method = "GET" };
    const struct oxv_client_request bad_text = { .connection = "\xff", .method = "G", .url = "u" };

    assert_int_equal(oxv_client_sign_oauth1(f->client, &no_url, &result, &error), OXV_CLIENT_USAGE);
    assert_string_equal(error.detail, "url is missing");
    assert_int_equal(oxv_client_sign_oauth1(f->client, &bad_text, &result, &error),
                     OXV_CLIENT_USAGE);
    assert_string_equal(error.detail, "connection is not well-formed UTF-8");
    assert_int_equal(oxv_client_sign_oauth1(NULL, &get_request, &result, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_sign_token_passport(f->client, &get_request, &passport, &error),
                     OXV_CLIENT_USAGE);
    assert_string_equal(error.detail, "method does not go with this kind");
    assert_null(result);
    assert_null(passport);
    assert_int_equal(f->script.requests, 0);
}

static void
refuses_a_request_beyond_64_kib(void **state)
{
    struct fixture *f = *state;
    char *url = calloc(1, 70000);
    struct oxv_client_request request = get_request;
    struct oxv_client_oauth1 *result = NULL;

    assert_non_null(url);
    memset(url, 'a', 69999);
    request.url = url;
    assert_int_equal(oxv_client_sign_oauth1(f->client, &request, &result, NULL),
                     OXV_CLIENT_PAYLOAD_TOO_LARGE);
    assert_int_equal(f->script.requests, 0);
    free(url);
}

static void
gives_a_problem_as_a_typed_error(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_oauth1 *result = NULL;
    struct oxv_client_error error;

    f->script.status = "429 Too Many Requests";
    f->script.extra = "Retry-After: 3\r\n";
    f->script.body = PROBLEM("rate_limited", "429", "wait\\na bit");
    assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, &error),
                     OXV_CLIENT_RATE_LIMITED);
    assert_null(result);
    assert_int_equal(error.code, OXV_CLIENT_RATE_LIMITED);
    assert_int_equal(error.http_status, 429);
    assert_int_equal(error.retry_after_s, 3);
    assert_string_equal(error.problem, "rate_limited");
    assert_string_equal(error.detail, "wait?a bit");
}

static void
knows_every_code_of_the_service(void **state)
{
    static const struct {
        const char *status;
        const char *body;
        enum oxv_client_code code;
    } cases[] = {
        { "400 x", PROBLEM("bad_request", "400", "d"), OXV_CLIENT_BAD_REQUEST },
        { "403 x", PROBLEM("no_grant", "403", "d"), OXV_CLIENT_NO_GRANT },
        { "403 x", PROBLEM("unknown_caller", "403", "d"), OXV_CLIENT_UNKNOWN_CALLER },
        { "403 x", PROBLEM("url_not_allowed", "403", "d"), OXV_CLIENT_URL_NOT_ALLOWED },
        { "404 x", PROBLEM("not_found", "404", "d"), OXV_CLIENT_NOT_FOUND },
        { "405 x", PROBLEM("method_not_allowed", "405", "d"), OXV_CLIENT_METHOD_NOT_ALLOWED },
        { "413 x", PROBLEM("payload_too_large", "413", "d"), OXV_CLIENT_PAYLOAD_TOO_LARGE },
        { "415 x", PROBLEM("unsupported_media_type", "415", "d"),
          OXV_CLIENT_UNSUPPORTED_MEDIA_TYPE },
        { "422 x", PROBLEM("unprocessable", "422", "d"), OXV_CLIENT_UNPROCESSABLE },
        { "429 x", PROBLEM("rate_limited", "429", "d"), OXV_CLIENT_RATE_LIMITED },
        { "503 x", PROBLEM("sealed", "503", "d"), OXV_CLIENT_SEALED },
        { "503 x", PROBLEM("token_unavailable", "503", "d"), OXV_CLIENT_TOKEN_UNAVAILABLE },
        { "503 x", PROBLEM("log_unavailable", "503", "d"), OXV_CLIENT_LOG_UNAVAILABLE },
        { "503 x", PROBLEM("busy", "503", "d"), OXV_CLIENT_BUSY },
        { "500 x", PROBLEM("internal", "500", "d"), OXV_CLIENT_INTERNAL },
        { "403 x", PROBLEM("wrong_seal", "403", "d"), OXV_CLIENT_WRONG_SEAL },
        { "409 x", PROBLEM("conflict", "409", "d"), OXV_CLIENT_CONFLICT },
        { "418 x", PROBLEM("teapot", "418", "d"), OXV_CLIENT_OTHER },
        { "404 x", PROBLEM("timeout", "404", "d"), OXV_CLIENT_OTHER }, /* ours, not the service's */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oxv_client_oauth1 *result = NULL;
        struct oxv_client_error error;

        f->script.status = cases[i].status;
        f->script.body = cases[i].body;
        assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, &error),
                         cases[i].code);
        assert_int_equal(error.code, cases[i].code);
        if (cases[i].code != OXV_CLIENT_OTHER) {
            assert_string_equal(oxv_client_code_name(error.code), error.problem);
        }
    }
}

static void
takes_no_other_error_document(void **state)
{
    static const char *const bodies[] = {
        "",
        "nonsense",
        "{}",
        PROBLEM("sealed", "500", "d"), /* not the status of the answer */
        "{\"type\":\"urn:oxvault:error:busy\",\"title\":\"T\",\"status\":503,\"detail\":\"d\","
        "\"code\":\"sealed\"}",
        "{\"title\":\"T\",\"status\":503,\"detail\":\"d\",\"code\":\"sealed\"}",
        "{\"type\":\"urn:oxvault:error:sealed\",\"title\":\"T\",\"status\":503,\"detail\":7,"
        "\"code\":\"sealed\"}",
        "{\"type\":\"urn:oxvault:error:sealed\",\"title\":\"T\",\"status\":503,\"detail\":\"d\","
        "\"code\":\"sealed\",\"code\":\"sealed\"}",
    };
    struct fixture *f = *state;

    f->script.status = "503 x";
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct oxv_client_oauth1 *result = NULL;
        struct oxv_client_error error;

        f->script.body = bodies[i];
        assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, &error),
                         OXV_CLIENT_BAD_ANSWER);
        assert_int_equal(error.http_status, 503);
    }
}

static void
takes_no_answer_that_is_cut_or_of_another_shape(void **state)
{
    static const char *const bodies[] = {
        "[]",
        "7",
        "{}",
        OAUTH1_ANSWER "x",
        "{\"authorization\":7,\"timestamp\":1,\"nonce\":\"a\",\"log\":{\"origin\":\"o\","
        "\"index\":1}}",
        "{\"authorization\":\"a\",\"timestamp\":\"1\",\"nonce\":\"a\",\"log\":{\"origin\":\"o\","
        "\"index\":1}}",
        "{\"authorization\":\"a\",\"timestamp\":1.5,\"nonce\":\"a\",\"log\":{\"origin\":\"o\","
        "\"index\":1}}",
        "{\"authorization\":\"a\",\"timestamp\":1,\"nonce\":\"a\",\"log\":[]}",
        "{\"authorization\":\"a\\u0000b\",\"timestamp\":1,\"nonce\":\"a\",\"log\":{\"origin\":"
        "\"o\",\"index\":1}}",
        "{\"authorization\":\"a\",\"authorization\":\"b\",\"timestamp\":1,\"nonce\":\"a\",\"log\":"
        "{\"origin\":\"o\",\"index\":1}}",
    };
    struct fixture *f = *state;
    struct oxv_client_oauth1 *result = NULL;

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        f->script.body = bodies[i];
        assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, NULL),
                         OXV_CLIENT_BAD_ANSWER);
        assert_null(result);
    }
    for (size_t len = 0; len < sizeof OAUTH1_ANSWER - 1; len++) {
        static char cut[sizeof OAUTH1_ANSWER][sizeof OAUTH1_ANSWER]; /* the door's thread reads */

        memcpy(cut[len], OAUTH1_ANSWER, len);
        f->script.body = cut[len];
        assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, NULL),
                         OXV_CLIENT_BAD_ANSWER);
    }
}

static void
passes_over_members_of_a_newer_service(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_oauth1 *result = NULL;

    f->script.body =
        "{\"new\":[{}],\"authorization\":\"a\",\"timestamp\":1,\"nonce\":\"n\",\"log\":"
        "{\"origin\":\"o\",\"index\":1,\"new\":null}}";
    assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, NULL), OXV_CLIENT_OK);
    assert_string_equal(result->authorization, "a");
    oxv_client_oauth1_free(result);
    f->script.status = "503 x";
    f->script.body =
        "{\"instance\":{\"n\":[1]},\"type\":\"urn:oxvault:error:sealed\",\"title\":\"T\","
        "\"status\":503,\"detail\":\"d\",\"code\":\"sealed\",\"more\":null}";
    assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, NULL),
                     OXV_CLIENT_SEALED);
}

static void
wants_a_place_for_the_result(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_error error;

    assert_int_equal(oxv_client_open("/x", NULL, NULL, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, NULL, &error),
                     OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_sign_token_passport(f->client, &get_request, NULL, &error),
                     OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_sign_connect_password(f->client, &get_request, NULL, &error),
                     OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_sign_batch(f->client, &get_request, 1, NULL, &error),
                     OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_connections(f->client, NULL, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_connection(f->client, "a", NULL, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_health(f->client, NULL, &error), OXV_CLIENT_USAGE);
    assert_string_equal(error.detail, "there is no place for the result");
    assert_string_equal(f->script.target, ""); /* nothing was sent */
}

static void
gives_each_request_of_a_batch_its_answer(void **state)
{
    const struct oxv_client_request requests[] = {
        { .kind = OXV_CLIENT_OAUTH1, .connection = "a", .method = "GET", .url = "u" },
        { .kind = OXV_CLIENT_TOKEN_PASSPORT, .connection = "b" },
        { .kind = OXV_CLIENT_CONNECT_PASSWORD, .connection = "c" },
        { .kind = OXV_CLIENT_CONNECT_PASSWORD, .connection = "d" },
    };
    struct fixture *f = *state;
    struct oxv_client_batch *batch = NULL;

    f->script.body = "{\"responses\":[" OAUTH1_ANSWER "," PASSPORT_ANSWER
                     "," PROBLEM("no_grant", "403", "none") "," PASSWORD_ANSWER "]}";
    assert_int_equal(oxv_client_sign_batch(f->client, requests, 4, &batch, NULL), OXV_CLIENT_OK);
    assert_string_equal(f->script.target, "POST /v1/sign/batch HTTP/1.1");
    assert_string_equal(f->script.got,
                        "{\"requests\":[{\"connection\":\"a\",\"kind\":\"oauth1\",\"method\":\"GET"
                        "\",\"url\":\"u\"},{\"connection\":\"b\",\"kind\":\"token-passport\"},{"
                        "\"connection\":\"c\",\"kind\":\"connect-password\"},{\"connection\":\"d\","
                        "\"kind\":\"connect-password\"}]}");
    assert_int_equal(batch->count, 4);
    assert_string_equal(batch->items[0].oauth1->nonce, "abc");
    assert_null(batch->items[0].error);
    assert_string_equal(batch->items[1].token_passport->xml, "<a/>");
    assert_null(batch->items[1].oauth1);
    assert_int_equal(batch->items[2].error->code, OXV_CLIENT_NO_GRANT);
    assert_string_equal(batch->items[2].error->detail, "none");
    assert_null(batch->items[2].connect_password);
    assert_string_equal(batch->items[3].connect_password->user, "TBA");
    oxv_client_batch_free(batch);
}

static void
takes_no_batch_with_another_number_of_answers(void **state)
{
    const struct oxv_client_request request = { .kind = OXV_CLIENT_CONNECT_PASSWORD,
                                                .connection = "c" };
    static const char *const bodies[] = { "{\"responses\":[]}", "{\"responses\":{}}",
                                          "{\"responses\":[" PASSWORD_ANSWER "," PASSWORD_ANSWER
                                          "]}",
                                          "{\"responses\":[{\"type\":\"x\"}]}",
                                          "{\"responses\":[7]}" };
    struct fixture *f = *state;
    struct oxv_client_batch *batch = NULL;

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        f->script.body = bodies[i];
        assert_int_equal(oxv_client_sign_batch(f->client, &request, 1, &batch, NULL),
                         OXV_CLIENT_BAD_ANSWER);
        assert_null(batch);
    }
    assert_int_equal(oxv_client_sign_batch(f->client, &request, 0, &batch, NULL), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_sign_batch(f->client, &request, OXV_CLIENT_BATCH_MAX + 1, &batch,
                                           NULL),
                     OXV_CLIENT_USAGE);
}

static bool
answer_pages(void *context, const struct fake_request *request)
{
    struct script *script = context;
    bool second;

    remember(script, request);
    second = strstr(script->target, "after=4") != NULL;
    fake_answer(request, "200 OK", "",
                second ? "{\"connections\":[{\"id\":9,\"name\":\"z\",\"system\":\"oauth1\","
                         "\"signature_method\":\"HMAC-SHA1\",\"origins\":[],\"kinds\":[]}]}"
                       : "{\"connections\":[{\"id\":4,\"name\":\"a\",\"system\":\"netsuite\","
                         "\"account_id\":\"1_SB1\",\"signature_method\":\"HMAC-SHA256\","
                         "\"origins\":[\"https://x\",\"https://y\"],\"kinds\":[\"oauth1\"]}],"
                         "\"next\":4}");
    return true;
}

/* The service may find nothing for this caller in as much as it looks at for one page. */
static bool
answer_empty_pages(void *context, const struct fake_request *request)
{
    struct script *script = context;

    remember(script, request);
    if (strstr(script->target, "after=") == NULL) {
        fake_answer(request, "200 OK", "", "{\"connections\":[],\"next\":10}");
    } else if (strstr(script->target, "after=10") != NULL) {
        fake_answer(request, "200 OK", "", "{\"connections\":[],\"next\":20}");
    } else {
        fake_answer(request, "200 OK", "",
                    "{\"connections\":[{\"id\":29,\"name\":\"z\",\"system\":\"oauth1\","
                    "\"signature_method\":\"HMAC-SHA1\",\"origins\":[],\"kinds\":[]}]}");
    }
    return true;
}

static void
goes_on_over_empty_pages(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_connections *list = NULL;

    fake_door_stop(f->door);
    f->door = fake_door_start(f->path, answer_empty_pages, &f->script);
    assert_int_equal(oxv_client_connections(f->client, &list, NULL), OXV_CLIENT_OK);
    assert_int_equal(list->count, 1);
    assert_string_equal(list->items[0].name, "z");
    assert_string_equal(f->script.target, "GET /v1/connections?after=20 HTTP/1.1");
    oxv_client_connections_free(list);
}

static void
lists_connections_over_all_pages(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_connections *list = NULL;

    fake_door_stop(f->door);
    f->door = fake_door_start(f->path, answer_pages, &f->script);
    assert_int_equal(oxv_client_connections(f->client, &list, NULL), OXV_CLIENT_OK);
    assert_int_equal(f->script.requests, 2);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->items[0].name, "a");
    assert_string_equal(list->items[0].account_id, "1_SB1");
    assert_string_equal(list->items[0].token_id, "");
    assert_string_equal(list->items[0].origins[1], "https://y");
    assert_null(list->items[0].origins[2]);
    assert_string_equal(list->items[0].kinds[0], "oauth1");
    assert_int_equal(list->items[1].id, 9);
    assert_null(list->items[1].kinds[0]);
    oxv_client_connections_free(list);
}

static void
does_not_follow_pages_that_do_not_end(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_connections *list = NULL;

    f->script.body = "{\"connections\":[],\"next\":5}";
    assert_int_equal(oxv_client_connections(f->client, &list, NULL), OXV_CLIENT_BAD_ANSWER);
    assert_null(list);
    assert_int_equal(f->script.requests, 2);
}

static void
asks_for_one_connection_by_a_name_that_is_one(void **state)
{
    static const char *const no_names[] = { "", "a/b", "..", "a b", "a?b", "\xc3\xa9" };
    struct fixture *f = *state;
    struct oxv_client_connection *connection = NULL;

    for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++) {
        assert_int_equal(oxv_client_connection(f->client, no_names[i], &connection, NULL),
                         OXV_CLIENT_USAGE);
    }
    assert_int_equal(f->script.requests, 0);
    f->script.body = "{\"id\":1,\"name\":\"a\",\"system\":\"oauth1\",\"signature_method\":\"m\"}";
    assert_int_equal(oxv_client_connection(f->client, "a.b-c_D9", &connection, NULL),
                     OXV_CLIENT_OK);
    assert_string_equal(f->script.target, "GET /v1/connections/a.b-c_D9 HTTP/1.1");
    assert_string_equal(connection->realm, "");
    assert_null(connection->origins[0]);
    oxv_client_connection_free(connection);
}

static void
reads_the_health(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_health *health = NULL;

    f->script.body = "{\"state\":\"sealed\",\"detail\":\"run it\",\"version\":\"1\",\"seals\":[]}";
    assert_int_equal(oxv_client_health(f->client, &health, NULL), OXV_CLIENT_OK);
    assert_string_equal(f->script.target, "GET /v1/health HTTP/1.1");
    assert_string_equal(health->state, "sealed");
    assert_string_equal(health->detail, "run it");
    assert_string_equal(health->clock, "");
    oxv_client_health_free(health);
}

static void
asks_no_proxy_of_the_environment(void **state)
{
    struct fixture *f = *state;
    struct oxv_client_oauth1 *result = NULL;

    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:9", 1), 0);
    assert_int_equal(oxv_client_sign_oauth1(f->client, &get_request, &result, NULL), OXV_CLIENT_OK);
    oxv_client_oauth1_free(result);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
}

static void
frees_nothing_without_harm(void **state)
{
    (void)state;
    oxv_client_close(NULL);
    oxv_client_oauth1_free(NULL);
    oxv_client_token_passport_free(NULL);
    oxv_client_connect_password_free(NULL);
    oxv_client_batch_free(NULL);
    oxv_client_connections_free(NULL);
    oxv_client_connection_free(NULL);
    oxv_client_health_free(NULL);
    assert_string_equal(oxv_client_version(), OXV_VERSION);
    assert_string_equal(oxv_client_code_name((enum oxv_client_code)77), "other");
}

#define WITH_DOOR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DOOR(sends_an_oauth1_request_and_reads_its_answer),
        WITH_DOOR(sends_a_token_passport_request_and_reads_its_answer),
        WITH_DOOR(sends_a_connect_password_request_and_reads_its_answer),
        WITH_DOOR(asks_for_a_proof_and_gives_it_out),
        WITH_DOOR(without_a_proof_it_is_empty),
        WITH_DOOR(a_batch_gives_out_proofs_by_item),
        WITH_DOOR(refuses_a_wrong_call_without_sending),
        WITH_DOOR(refuses_a_request_beyond_64_kib),
        WITH_DOOR(gives_a_problem_as_a_typed_error),
        WITH_DOOR(knows_every_code_of_the_service),
        WITH_DOOR(takes_no_other_error_document),
        WITH_DOOR(takes_no_answer_that_is_cut_or_of_another_shape),
        WITH_DOOR(passes_over_members_of_a_newer_service),
        WITH_DOOR(wants_a_place_for_the_result),
        WITH_DOOR(gives_each_request_of_a_batch_its_answer),
        WITH_DOOR(takes_no_batch_with_another_number_of_answers),
        WITH_DOOR(lists_connections_over_all_pages),
        WITH_DOOR(goes_on_over_empty_pages),
        WITH_DOOR(does_not_follow_pages_that_do_not_end),
        WITH_DOOR(asks_for_one_connection_by_a_name_that_is_one),
        WITH_DOOR(reads_the_health),
        WITH_DOOR(asks_no_proxy_of_the_environment),
        cmocka_unit_test(frees_nothing_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
