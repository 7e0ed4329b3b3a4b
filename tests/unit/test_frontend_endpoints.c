#include "service/frontend/endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/frontend/problem.h"
#include "vault/records.h"

static enum oxv_status
find(enum oxv_door door, const char *method, const char *target, struct oxv_route *route,
     char allow[OXV_ALLOW_MAX_BYTES])
{
    return oxv_route_find(door, oxv_view_text(method), oxv_view_text(target), route, allow);
}

static void
a_request_finds_its_endpoint_with_path_and_query(void **state)
{
    struct oxv_route r;
    char allow[OXV_ALLOW_MAX_BYTES];

    (void)state;
    assert_int_equal(find(OXV_DOOR_SIGN, "POST", "/v1/sign/oauth1", &r, allow), OXV_OK);
    assert_int_equal(r.endpoint->message, OXV_MSG_SIGN);
    assert_false(r.has_query);
    assert_int_equal(r.text_count, 0);
    assert_int_equal(find(OXV_DOOR_SIGN, "GET", "/v1/connections/a%2Fb?x=1?y", &r, allow), OXV_OK);
    assert_int_equal(r.endpoint->message, OXV_MSG_CONNECTION);
    assert_int_equal(r.text_count, 1);
    assert_true(oxv_view_is(r.texts[0].name, "name") && oxv_view_is(r.texts[0].value, "a%2Fb"));
    assert_true(r.has_query && oxv_view_is(r.query, "x=1?y"));
    assert_int_equal(find(OXV_DOOR_ADMIN, "POST", "/v1/admin/imports/s/chunks", &r, allow), OXV_OK);
    assert_int_equal(r.endpoint->message, OXV_MSG_IMPORT_CHUNK);
    assert_true(oxv_view_is(r.texts[0].name, "session") && oxv_view_is(r.texts[0].value, "s"));
}

static void
what_is_no_path_of_the_door_is_not_found(void **state)
{
    static const char *const none[] = { "/",
                                        "/v1",
                                        "/v1/",
                                        "/v1/sign",
                                        "/v1/sign/",
                                        "/v1/sign/oauth1/",
                                        "//v1/sign/oauth1",
                                        "/v1//sign/oauth1",
                                        "/v1/sign/OAUTH1",
                                        "/v1/sign/oauth%31",
                                        "/v1/sign/oauth1/x",
                                        "/v1/./sign/oauth1",
                                        "/v1/connections/",
                                        "/v1/connections/a/b",
                                        "/v1/admin/status",
                                        "/v1/audit/info",
                                        "/metrics/",
                                        "/?/metrics" };
    struct oxv_route r = { .text_count = 42 };
    char allow[OXV_ALLOW_MAX_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(find(OXV_DOOR_SIGN, "POST", none[i], &r, allow), OXV_E_NOT_FOUND);
        assert_int_equal(find(OXV_DOOR_SIGN, "GET", none[i], &r, allow), OXV_E_NOT_FOUND);
        assert_int_equal(r.text_count, 42);
    }
    assert_int_equal(find(OXV_DOOR_AUDIT, "GET", "/metrics", &r, allow), OXV_E_NOT_FOUND);
    assert_int_equal(find(OXV_DOOR_ADMIN, "POST", "/v1/sign/oauth1", &r, allow), OXV_E_NOT_FOUND);
}

static void
another_method_is_told_those_that_are_taken(void **state)
{
    struct oxv_route r;
    char allow[OXV_ALLOW_MAX_BYTES];

    (void)state;
    assert_int_equal(find(OXV_DOOR_SIGN, "GET", "/v1/sign/oauth1", &r, allow), OXV_E_USAGE);
    assert_string_equal(allow, "POST");
    assert_int_equal(find(OXV_DOOR_SIGN, "HEAD", "/v1/health", &r, allow), OXV_E_USAGE);
    assert_string_equal(allow, "GET");
    assert_int_equal(find(OXV_DOOR_ADMIN, "PUT", "/v1/admin/connections", &r, allow), OXV_E_USAGE);
    assert_string_equal(allow, "GET, POST");
    assert_int_equal(find(OXV_DOOR_ADMIN, "POST", "/v1/admin/connections/x", &r, allow),
                     OXV_E_USAGE);
    assert_string_equal(allow, "GET, DELETE");
}

static void
every_endpoint_is_found_by_its_own_path_and_has_its_path_members(void **state)
{
    (void)state;
    assert_true(oxv_endpoint_count() > 30);
    assert_null(oxv_endpoint_at(oxv_endpoint_count()));
    for (size_t i = 0; i < oxv_endpoint_count(); i++) {
        const struct oxv_endpoint *e = oxv_endpoint_at(i);
        struct oxv_route r;
        char allow[OXV_ALLOW_MAX_BYTES];

        for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
            bool is_there = (e->doors & 1u << door) != 0;

            assert_int_equal(find(door, e->method, e->path, &r, allow) == OXV_OK, is_there);
            if (is_there) {
                assert_ptr_equal(r.endpoint, e);
                for (size_t t = 0; t < r.text_count; t++) { /* "{name}" stands for itself here */
                    char name[32];

                    assert_true(r.texts[t].name.len < sizeof name);
                    memcpy(name, r.texts[t].name.data, r.texts[t].name.len);
                    name[r.texts[t].name.len] = '\0';
                    assert_true(oxv_map_bit(e->shape, name) != 0);
                }
            }
        }
    }
}

/* The whole of a text file, to be freed. */
static char *
read_text(const char *path)
{
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);

    assert_true(size > 0);
    rewind(file);
    char *text = malloc((size_t)size + 1);

    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    text[size] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static bool
is_written(const char *yaml, const struct oxv_endpoint *e)
{
    char path[128];
    char method[16];

    (void)snprintf(path, sizeof path, "\n  %s:\n", e->path);
    (void)snprintf(method, sizeof method, "\n    %s:\n", e->method);
    for (char *p = method; *p != '\0'; p++) {
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
    }
    const char *begin = strstr(yaml, path);

    if (begin == NULL) {
        return false;
    }
    const char *found = strstr(begin, method);
    const char *next = strstr(begin + strlen(path), "\n  /");

    return found != NULL && (next == NULL || found < next);
}

/* The other direction is tests/integration/test_openapi.py. */
static void
every_endpoint_is_written_in_the_openapi_document(void **state)
{
    char *yaml = read_text("docs/openapi.yaml");

    (void)state;
    for (size_t i = 0; i < oxv_endpoint_count(); i++) {
        if (!is_written(yaml, oxv_endpoint_at(i))) {
            fail_msg("%s %s", oxv_endpoint_at(i)->method, oxv_endpoint_at(i)->path);
        }
    }
    assert_false(
        is_written(yaml, &(struct oxv_endpoint){ .method = "PUT", .path = "/v1/sign/oauth1" }));
    assert_false(
        is_written(yaml, &(struct oxv_endpoint){ .method = "GET", .path = "/v1/nothing" }));
    free(yaml);
}

static void
kinds_of_signature_are_those_of_the_vault(void **state)
{
    (void)state;
    for (uint64_t kind = 1; kind <= OXV_KIND_ALL; kind <<= 1) {
        const struct oxv_endpoint *e = oxv_endpoint_of_kind(oxv_view_text(oxv_kind_name(kind)));

        assert_non_null(e);
        assert_int_equal(e->kind, kind);
    }
    assert_null(oxv_endpoint_of_kind(oxv_view_text("batch")));
    assert_null(oxv_endpoint_of_kind(oxv_view_text("")));
    assert_null(oxv_endpoint_of_kind(oxv_view_text("OAuth1")));
}

static enum oxv_status
map(const char *kind, const char *text, struct oxv_msg_sign *out, struct oxv_err *err)
{
    uint8_t bytes[256];
    struct oxv_writer scratch = oxv_writer(bytes, sizeof bytes);
    cJSON *json = cJSON_Parse(text);
    struct oxv_mapping m =
        oxv_endpoint_mapping(oxv_endpoint_of_kind(oxv_view_text(kind)), out, &scratch);
    enum oxv_status st = oxv_map_object(&m, json, err);

    if (st == OXV_OK) {
        st = oxv_map_finish(&m, err);
    }
    cJSON_Delete(json);
    return st;
}

static void
each_kind_takes_its_own_members(void **state)
{
    struct oxv_msg_sign out = { 0 };
    struct oxv_err err;

    (void)state;
    assert_int_equal(map("oauth1", "{\"connection\":\"c\",\"method\":\"GET\",\"url\":\"u\"}", &out,
                         &err),
                     OXV_OK);
    assert_int_equal(out.kind, OXV_KIND_OAUTH1);
    assert_int_equal(map("oauth1", "{\"connection\":\"c\",\"method\":\"GET\"}", &out, &err),
                     OXV_OK); /* out still has the url: mapping needs a zeroed struct */
    out = (struct oxv_msg_sign){ 0 };
    assert_int_equal(map("oauth1", "{\"connection\":\"c\",\"method\":\"GET\"}", &out, &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "url: is missing");
    assert_int_equal(map("oauth1", "{\"connection\":\"c\",\"version\":\"x\"}", &out, &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "version: is not known here");
    assert_int_equal(map("oauth1", "{\"kind\":2}", &out, &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "kind: is not known here");
    out = (struct oxv_msg_sign){ 0 };
    assert_int_equal(map("token-passport", "{\"connection\":\"c\",\"version\":\"v\"}", &out, &err),
                     OXV_OK);
    assert_int_equal(out.kind, OXV_KIND_TOKEN_PASSPORT);
    assert_int_equal(map("connect-password", "{\"connection\":\"c\",\"url\":\"u\"}", &out, &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "url: is not known here");
}

static void
each_kind_takes_the_flag_for_a_proof(void **state)
{
    static const char *const kinds[] = { "oauth1", "token-passport", "connect-password" };
    static const char *const others[] = { "1", "0", "\"true\"", "null", "[]", "{}" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct oxv_msg_sign out = { .method = oxv_view_text("GET"), .url = oxv_view_text("u") };
        struct oxv_err err;

        assert_int_equal(map(kinds[i], "{\"connection\":\"c\",\"proof\":true}", &out, &err),
                         OXV_OK);
        assert_int_equal(out.proof, 1);
        assert_int_equal(map(kinds[i], "{\"connection\":\"c\",\"proof\":false}", &out, &err),
                         OXV_OK);
        assert_int_equal(out.proof, 0);
        for (size_t j = 0; j < sizeof others / sizeof others[0]; j++) {
            char json[64];

            (void)snprintf(json, sizeof json, "{\"connection\":\"c\",\"proof\":%s}", others[j]);
            assert_int_equal(map(kinds[i], json, &out, &err), OXV_E_FORMAT);
            assert_string_equal(err.text, "proof: must be true or false");
        }
    }
}

static void
health_is_known_at_a_sealed_door(void **state)
{
    (void)state;
    assert_true(oxv_target_is_health(oxv_view_text("GET"), oxv_view_text("/v1/health")));
    assert_true(oxv_target_is_health(oxv_view_text("GET"), oxv_view_text("/v1/health?")));
    assert_false(oxv_target_is_health(oxv_view_text("POST"), oxv_view_text("/v1/health")));
    assert_false(oxv_target_is_health(oxv_view_text("GET"), oxv_view_text("/v1/health/x")));
}

static void
every_code_has_a_status_with_a_text_and_makes_a_document(void **state)
{
    static const struct {
        const char *code;
        unsigned status;
    } wanted[] = {
        { "bad_request", 400 },
        { "no_grant", 403 },
        { "unknown_caller", 403 },
        { "url_not_allowed", 403 },
        { "wrong_seal", 403 },
        { "not_found", 404 },
        { "method_not_allowed", 405 },
        { "conflict", 409 },
        { "payload_too_large", 413 },
        { "unsupported_media_type", 415 },
        { "unprocessable", 422 },
        { "rate_limited", 429 },
        { "internal", 500 },
        { "sealed", 503 },
        { "token_unavailable", 503 },
        { "log_unavailable", 503 },
        { "busy", 503 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct oxv_problem *p = oxv_problem_find(oxv_view_text(wanted[i].code));
        char json[512];
        struct oxv_writer w = oxv_writer(json, sizeof json);

        assert_non_null(p);
        assert_int_equal(p->status, wanted[i].status);
        assert_non_null(oxv_problem_status_text(p->status));
        oxv_problem_write(&w, p, oxv_view_text("a \"detail\""));
        assert_false(w.failed);
        cJSON *doc = cJSON_ParseWithLength(json, w.len);

        assert_non_null(doc);
        assert_int_equal(cJSON_GetArraySize(doc), 5);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "code")), wanted[i].code);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "detail")),
                            "a \"detail\"");
        cJSON_Delete(doc);
    }
    assert_null(oxv_problem_find(oxv_view_text("nothing")));
    assert_null(oxv_problem_find(oxv_view_text("")));
    assert_null(oxv_problem_status_text(418));
}

static void
of_a_detail_what_is_not_utf8_becomes_question_marks(void **state)
{
    char json[512];
    struct oxv_writer w = oxv_writer(json, sizeof json - 1);

    (void)state;
    oxv_problem_write(&w, oxv_problem_find(oxv_view_text("busy")),
                      oxv_view_text("ab\xff"
                                    "c\xc3\xa9\xe2\x82"));
    assert_false(w.failed);
    json[w.len] = '\0';
    assert_non_null(strstr(json, "\"detail\":\"ab?c\xc3\xa9??\","));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_finds_its_endpoint_with_path_and_query),
        cmocka_unit_test(what_is_no_path_of_the_door_is_not_found),
        cmocka_unit_test(another_method_is_told_those_that_are_taken),
        cmocka_unit_test(every_endpoint_is_found_by_its_own_path_and_has_its_path_members),
        cmocka_unit_test(every_endpoint_is_written_in_the_openapi_document),
        cmocka_unit_test(kinds_of_signature_are_those_of_the_vault),
        cmocka_unit_test(each_kind_takes_its_own_members),
        cmocka_unit_test(each_kind_takes_the_flag_for_a_proof),
        cmocka_unit_test(health_is_known_at_a_sealed_door),
        cmocka_unit_test(every_code_has_a_status_with_a_text_and_makes_a_document),
        cmocka_unit_test(of_a_detail_what_is_not_utf8_becomes_question_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
