#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/frontend/json_check.h"
#include "service/frontend/json_map.h"
#include "service/frontend/json_string.h"
#include "service/wire/messages.h"

static enum oxv_status
check_bytes(const void *bytes, size_t len, struct oxv_err *err)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    enum oxv_status st = oxv_json_check(oxv_view(copy, len), err);

    free(copy);
    return st;
}

static enum oxv_status
check(const char *text, struct oxv_err *err)
{
    return check_bytes(text, strlen(text), err);
}

static void
assert_good(const char *text)
{
    struct oxv_err err = { 0 };

    if (check(text, &err) != OXV_OK) {
        fail_msg("%s: %s", text, err.text);
    }
}

/* Refused, and the text for people begins so. */
static void
assert_bad(const char *text, const char *begins)
{
    struct oxv_err err = { 0 };

    if (check(text, &err) != OXV_E_FORMAT) {
        fail_msg("taken: %s", text);
    }
    if (!oxv_view_has_prefix(oxv_view_text(err.text), begins)) {
        fail_msg("%s: %s", text, err.text);
    }
}

static void
objects_of_our_kind_are_taken(void **state)
{
    (void)state;
    assert_good("{}");
    assert_good(" \t\r\n{ \n } \t\r\n");
    assert_good("{\"a\":1,\"b\":[],\"c\":{},\"d\":\"x\",\"e\":true,\"f\":false,\"g\":null}");
    assert_good("{ \"a\" : [ 1 , [ 2 , { } ] , \"\" ] , \"b\" : 0 }");
    assert_good("{\"n\":9007199254740991}");
    assert_good("{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\x7f\xf0\x9f\x98\x80\"}");
    assert_good("{\"\":1,\"a\":{\"\":1}}");
    assert_good("{\"a\":1,\"A\":2}"); /* names have a case */
    assert_good("{\"a\":{\"x\":1},\"b\":{\"x\":1}}");
    assert_good("{\"a\":[{\"x\":1},{\"x\":1}]}");
}

static void
what_is_no_object_is_refused(void **state)
{
    (void)state;
    assert_bad("", "the body: is empty");
    assert_bad(" ", "the body: is empty");
    assert_bad("[]", "the body: is not a JSON object");
    assert_bad("1", "the body: is not a JSON object");
    assert_bad("\"x\"", "the body: is not a JSON object");
    assert_bad("null", "the body: is not a JSON object");
    assert_bad("\xef\xbb\xbf{}", "the body: is not a JSON object");
    assert_bad("\xff\xfe{", "the body: is not a JSON object");
    assert_bad("{}x", "the body: bytes follow the JSON object (byte 2)");
    assert_bad("{}{}", "the body: bytes follow");
    assert_bad("{\"a\":1}}", "the body: bytes follow");
    assert_bad("{\"a\":1},", "the body: bytes follow");
    assert_bad("{", "the body: the name of a member is missing");
}

static void
broken_syntax_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_bad("{\"a\"}", "a: a colon is missing (byte 4)");
    assert_bad("{\"a\" 1}", "a: a colon is missing");
    assert_bad("{\"a\":}", "a: not a JSON value");
    assert_bad("{\"a\":1,}", "the body: the name of a member is missing");
    assert_bad("{,}", "the body: the name of a member is missing");
    assert_bad("{a:1}", "the body: the name of a member is missing");
    assert_bad("{'a':1}", "the body: the name of a member is missing");
    assert_bad("{\"a\":1 \"b\":2}", "a: neither a comma");
    assert_bad("{\"a\":[1,]}", "a[1]: not a JSON value");
    assert_bad("{\"a\":[1 2]}", "a[0]: neither a comma");
    assert_bad("{\"a\":[1}", "a[0]: neither a comma");
    assert_bad("{\"a\":[}", "a[0]: not a JSON value");
    assert_bad("{\"a\":{]}", "a: the name of a member is missing");
    assert_bad("{\"a\":tru}", "a: not a JSON value");
    assert_bad("{\"a\":True}", "a: not a JSON value");
    assert_bad("{\"a\":truex}", "a: neither a comma");
    assert_bad("{\"a\":NaN}", "a: not a JSON value");
    assert_bad("{\"a\":/**/1}", "a: not a JSON value");
    assert_bad("{\"a\":1//\n}", "a: neither a comma");
    assert_bad("{\"a\":\v1}", "a: not a JSON value");
    assert_bad("{\"a\":\xc2\xa0 1}", "a: not a JSON value");
    assert_bad("{\"requests\":[{\"x\":1},{\"url\":\"\\q\"}]}",
               "requests[1].url: a malformed escape");
}

static void
numbers_are_plain_integers_in_range(void **state)
{
    static const char *const bad[] = { "-1",
                                       "-0",
                                       "+1",
                                       "1.0",
                                       "1.",
                                       ".5",
                                       "1e3",
                                       "1E3",
                                       "01",
                                       "00",
                                       "0x1",
                                       "1e",
                                       "-",
                                       "9007199254740992",
                                       "99999999999999999999999",
                                       "1_0",
                                       "٣" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];

        (void)snprintf(text, sizeof text, "{\"n\":%s}", bad[i]);
        assert_bad(text, "n: ");
        (void)snprintf(text, sizeof text, "{\"n\":[0,%s]}", bad[i]);
        assert_bad(text, "n[1]: ");
    }
}

static void
control_characters_and_nul_are_refused_in_every_string(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x20; c++) {
        char value[] = "{\"a\":\"x?y\"}";
        char name[] = "{\"a?\":1}";
        struct oxv_err err = { 0 };

        value[7] = (char)c;
        name[3] = (char)c;
        assert_int_equal(check_bytes(value, sizeof value - 1, &err), OXV_E_FORMAT);
        assert_string_equal(err.text, "a: a control character within a string (byte 7)");
        assert_int_equal(check_bytes(name, sizeof name - 1, &err), OXV_E_FORMAT);
    }
    assert_bad("{\"a\":\"\\u0000\"}", "a: an escaped NUL");
    assert_bad("{\"a\\u0000\":1}", "the body: an escaped NUL");
    assert_int_equal(check_bytes("{}\0", 3, NULL), OXV_E_FORMAT);
    assert_int_equal(check_bytes("{\0}", 3, NULL), OXV_E_FORMAT);
}

static void
strings_are_utf8_without_lone_surrogates(void **state)
{
    (void)state;
    assert_bad("{\"a\":\"\xff\"}", "a: not UTF-8 (byte 6)");
    assert_bad("{\"a\":\"xy\xc3\"}", "a: not UTF-8 (byte 8)");
    assert_bad("{\"a\":\"\xc0\x80\"}", "a: not UTF-8");
    assert_bad("{\"a\":\"\xed\xa0\x80\"}", "a: not UTF-8");
    assert_bad("{\"a\":\"\xf4\x90\x80\x80\"}", "a: not UTF-8");
    assert_bad("{\"\xff\":1}", "the body: not UTF-8");
    assert_bad("{\"a\":\"\\ud800\"}", "a: a surrogate");
    assert_bad("{\"a\":\"\\udc00\"}", "a: a surrogate");
    assert_bad("{\"a\":\"\\ud800\\ud800\"}", "a: a surrogate");
    assert_bad("{\"a\":\"\\ud800x\"}", "a: a surrogate");
    assert_bad("{\"a\":\"\\ud800\\u0041\"}", "a: a surrogate");
    assert_bad("{\"a\":\"\\udc00\\ud800\"}", "a: a surrogate");
    assert_bad("{\"a\":\"\\u12\"}", "a: a malformed escape");
    assert_bad("{\"a\":\"\\u12g4\"}", "a: a malformed escape");
    assert_bad("{\"a\":\"\\U0041\"}", "a: a malformed escape");
    assert_bad("{\"a\":\"\\x41\"}", "a: a malformed escape");
    assert_bad("{\"a\":\"\\", "a: a string without an end");
    assert_bad("{\"a\":\"x", "a: a string without an end");
    assert_bad("{\"a\":\"x\\\"}", "a: a string without an end");
}

static void
no_name_is_there_twice_in_whatever_spelling(void **state)
{
    (void)state;
    assert_bad("{\"a\":1,\"a\":1}", "a: is there twice (byte 7)");
    assert_bad("{\"a\":1,\"b\":2,\"\\u0061\":1}", "\\u0061: is there twice");
    assert_bad("{\"\\u0061\":1,\"a\":1}", "a: is there twice");
    assert_bad("{\"/\":1,\"\\/\":1}", "\\/: is there twice");
    assert_bad("{\"\":1,\"\":1}", "the body: is there twice");
    assert_bad("{\"x\":{\"a\":{},\"a\":1}}", "x.a: is there twice");
    assert_bad("{\"x\":[{\"a\":1},{\"a\":1,\"a\":2}]}", "x[1].a: is there twice");
    assert_bad("{\"\xc3\xa9\":1,\"\\u00e9\":1}", "\\u00e9: is there twice");
    assert_bad("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}", "\\ud83d\\ude00: is there twice");
    assert_bad("{\"a\":{\"b\":1},\"c\":1,\"a\":2}", "a: is there twice");
}

static void
nesting_has_a_limit(void **state)
{
    char text[64] = "{\"a\":";
    struct oxv_writer w = oxv_writer(text, sizeof text - 1);

    (void)state;
    oxv_write_text(&w, "{\"a\":");
    for (size_t i = 1; i < OXV_JSON_DEPTH_MAX; i++) {
        oxv_write_u8(&w, '[');
    }
    for (size_t i = 1; i < OXV_JSON_DEPTH_MAX; i++) {
        oxv_write_u8(&w, ']');
    }
    oxv_write_text(&w, "}");
    assert_int_equal(check_bytes(text, w.len, NULL), OXV_OK);
    w.len = 0;
    oxv_write_text(&w, "{\"a\":");
    for (size_t i = 1; i <= OXV_JSON_DEPTH_MAX; i++) {
        oxv_write_u8(&w, '[');
    }
    text[w.len] = '\0';
    assert_bad(text, "a[0][0][0][0][0][0][0]: nested too deeply");
}

static void
members_and_values_have_a_limit(void **state)
{
    static char text[OXV_JSON_VALUES_MAX * 2 + 64];
    struct oxv_err err = { 0 };

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct oxv_writer w = oxv_writer(text, sizeof text);

        for (size_t i = 0; i < OXV_JSON_NAMES_MAX + extra; i++) {
            char member[32];

            (void)snprintf(member, sizeof member, "%s\"n%zu\":1", i == 0 ? "{" : ",", i);
            oxv_write_text(&w, member);
        }
        oxv_write_text(&w, "}");
        assert_int_equal(check_bytes(text, w.len, &err), extra == 0 ? OXV_OK : OXV_E_FORMAT);

        w.len = 0;
        oxv_write_text(&w, "{\"a\":[1");
        for (size_t i = 3; i < OXV_JSON_VALUES_MAX + extra; i++) {
            oxv_write_text(&w, ",1");
        }
        oxv_write_text(&w, "]}");
        assert_int_equal(check_bytes(text, w.len, &err), extra == 0 ? OXV_OK : OXV_E_FORMAT);
    }
    assert_string_equal(err.text, "a[99998]: too many values (byte 200002)");
}

static void
every_truncation_and_every_other_byte_is_judged_as_cjson_would_or_more_strictly(void **state)
{
    static const char text[] =
        " {\"a\":[1,{\"b\":\"\\ud83d\\ude00\xc3\xa9\\n\"},null],\"c\":{\"d\":12,\"e\":true}}";

    (void)state;
    assert_good(text);
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_int_equal(check_bytes(text, len, NULL), OXV_E_FORMAT);
    }
    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (unsigned c = 0; c < 256; c++) {
            char changed[sizeof text];

            memcpy(changed, text, sizeof text);
            changed[i] = (char)c;
            if (check_bytes(changed, sizeof text - 1, NULL) == OXV_OK) {
                cJSON *json = cJSON_ParseWithLength(changed, sizeof text - 1);

                assert_non_null(json);
                cJSON_Delete(json);
            }
        }
    }
}

static void
a_name_from_outside_is_shown_printable_and_short(void **state)
{
    char text[400] = "{\"";
    struct oxv_err err = { 0 };

    (void)state;
    memset(text + 2, 'n', 300);
    memcpy(text + 302, "\":x", 4);
    assert_int_equal(check(text, &err), OXV_E_FORMAT);
    assert_true(strlen(err.text) < 100);
    assert_int_equal(check("{\"\xc3\xa9\x7f\":x}", &err), OXV_E_FORMAT);
    for (const char *p = err.text; *p != '\0'; p++) {
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
}

/* A mapping of JSON to `shape`, with all that goes with it. */
struct mapped {
    cJSON *json;
    struct oxv_err err;
    _Alignas(max_align_t) uint8_t out[512];
    uint8_t scratch[2048];
};

static enum oxv_status
map(struct mapped *m, const struct oxv_shape *shape, const char *text)
{
    struct oxv_writer scratch = oxv_writer(m->scratch, sizeof m->scratch);
    struct oxv_mapping mapping = {
        .shape = shape, .out = m->out, .scratch = &scratch, .takes = OXV_MAP_ALL
    };

    memset(m->out, 0, sizeof m->out);
    m->err.text[0] = '\0';
    assert_good(text);
    m->json = cJSON_Parse(text);
    assert_non_null(m->json);
    enum oxv_status st = oxv_map_object(&mapping, m->json, &m->err);

    return st == OXV_OK ? oxv_map_finish(&mapping, &m->err) : st;
}

static void
assert_not_mapped(const struct oxv_shape *shape, const char *text, const char *why)
{
    struct mapped m;

    assert_int_equal(map(&m, shape, text), OXV_E_FORMAT);
    assert_string_equal(m.err.text, why);
    cJSON_Delete(m.json);
}

static void
assert_list(struct oxv_view list, const char *const *items)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view item;

    for (size_t i = 0; items[i] != NULL; i++) {
        assert_true(oxv_list_next(&r, &item));
        assert_true(oxv_view_is(item, items[i]));
    }
    assert_false(oxv_list_next(&r, &item));
}

static void
every_member_of_a_grant_is_mapped(void **state)
{
    struct mapped m;

    (void)state;
    assert_int_equal(map(&m, &oxv_msg_grant_add_shape,
                         "{\"caller\":\"c\",\"connection\":\"\",\"kinds\":[\"oauth1\",\"\"],"
                         "\"methods\":[],\"query\":{\"a\":\"1\",\"b\":\"\"},\"rate\":\"\"}"),
                     OXV_OK);
    const struct oxv_msg_grant_add *g = (const struct oxv_msg_grant_add *)(const void *)m.out;

    assert_true(oxv_view_is(g->caller, "c"));
    assert_int_equal(g->connection.len, 0);
    assert_list(g->kinds, (const char *[]){ "oauth1", "", NULL });
    assert_list(g->query, (const char *[]){ "a", "1", "b", "", NULL });
    assert_int_equal(g->methods.len + g->rate.len + g->paths.len + g->not_after.len, 0);
    cJSON_Delete(m.json);

    assert_int_equal(map(&m, &oxv_msg_grant_add_shape,
                         "{\"caller\":\"c\",\"connection\":\"d\",\"kinds\":[\"x\"],"
                         "\"query\":[[\"a\",\"1\"],[\"a\",\"\\u00e9\"]]}"),
                     OXV_OK);
    assert_list(g->query, (const char *[]){ "a", "1", "a", "\xc3\xa9", NULL });
    cJSON_Delete(m.json);
}

static void
integers_and_bytes_are_mapped(void **state)
{
    struct mapped m;
    const struct oxv_msg_caller_add *c = (const struct oxv_msg_caller_add *)(const void *)m.out;
    const struct oxv_msg_box *b = (const struct oxv_msg_box *)(const void *)m.out;

    (void)state;
    assert_int_equal(map(&m, &oxv_msg_caller_add_shape, "{\"name\":\"n\",\"uid\":4294967295}"),
                     OXV_OK);
    assert_int_equal(c->uid, UINT32_MAX);
    cJSON_Delete(m.json);
    assert_int_equal(map(&m, &oxv_msg_box_shape, "{\"box\":\"AP8=\"}"), OXV_OK);
    assert_int_equal(b->box.len, 2);
    assert_memory_equal(b->box.data, "\0\xff", 2);
    cJSON_Delete(m.json);
}

static void
what_does_not_fit_the_shape_is_refused_by_name(void **state)
{
    (void)state;
    assert_not_mapped(&oxv_msg_caller_add_shape, "{}", "name: is missing");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"name\":\"n\"}", "uid: is missing");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"name\":\"n\",\"uid\":1,\"x\":1}",
                      "x: is not known here");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"Name\":\"n\"}", "Name: is not known here");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"name\":1}", "name: must be a string");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"name\":null}", "name: must be a string");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"uid\":\"1\"}", "uid: must be an integer");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"uid\":true}", "uid: must be an integer");
    assert_not_mapped(&oxv_msg_caller_add_shape, "{\"uid\":4294967296}",
                      "uid: must be 0 to 4294967295");
    assert_not_mapped(&oxv_msg_box_shape, "{\"box\":\"A\"}", "box: must be base64 with padding");
    assert_not_mapped(&oxv_msg_box_shape, "{\"box\":\"AP9=\"}", "box: must be base64 with padding");
    assert_not_mapped(&oxv_msg_box_shape, "{\"box\":\"AA==AA==\"}",
                      "box: must be base64 with padding");
    assert_not_mapped(&oxv_msg_box_shape, "{\"box\":[]}", "box: must be a string");
    assert_not_mapped(&oxv_msg_grant_add_shape, "{\"kinds\":\"x\"}",
                      "kinds: must be an array of strings");
    assert_not_mapped(&oxv_msg_grant_add_shape, "{\"kinds\":[1]}",
                      "kinds: must be an array of strings");
    assert_not_mapped(&oxv_msg_grant_add_shape, "{\"kinds\":{}}",
                      "kinds: must be an array of strings");
}

static void
pairs_have_two_forms_and_no_third(void **state)
{
    static const char *const bad[] = { "\"x\"",       "1",         "{\"a\":1}",
                                       "[\"a\"]",     "[[\"a\"]]", "[[\"a\",\"b\",\"c\"]]",
                                       "[[\"a\",1]]", "[{}]",      "[[]]",
                                       "{\"a\":[]}" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];

        (void)snprintf(text, sizeof text, "{\"query\":%s}", bad[i]);
        assert_not_mapped(&oxv_msg_grant_add_shape, text,
                          "query: must be an object with string values, or an array of "
                          "[name, value] pairs");
    }
}

static void
values_that_are_too_long_are_refused(void **state)
{
    char text[4096];

    (void)state;
    (void)snprintf(text, sizeof text, "{\"name\":\"%0256d\"}", 0);
    struct mapped m;

    assert_int_equal(map(&m, &oxv_msg_name_shape, text), OXV_OK);
    cJSON_Delete(m.json);
    (void)snprintf(text, sizeof text, "{\"name\":\"%0257d\"}", 0);
    assert_not_mapped(&oxv_msg_name_shape, text, "name: must have 0 to 256 bytes");
    (void)snprintf(text, sizeof text, "{\"kinds\":[\"%02100d\"]}", 0);
    assert_not_mapped(&oxv_msg_grant_add_shape, text, "kinds: is too long");
}

static void
only_what_may_come_from_here_is_taken(void **state)
{
    struct oxv_msg_sign out = { 0 };
    uint8_t bytes[64];
    struct oxv_writer scratch = oxv_writer(bytes, sizeof bytes);
    struct oxv_err err = { 0 };
    const struct oxv_shape *shape = &oxv_msg_sign_shape;
    struct oxv_mapping m = { .shape = shape,
                             .out = &out,
                             .scratch = &scratch,
                             .takes = oxv_map_bit(shape, "connection"),
                             .needs = oxv_map_bit(shape, "url"),
                             .filled = oxv_map_bit(shape, "kind"),
                             .ignores = "kind" };
    cJSON *json = cJSON_Parse("{\"kind\":1,\"connection\":\"c\"}");

    (void)state;
    assert_int_equal(oxv_map_object(&m, json, &err), OXV_OK);
    assert_int_equal(out.kind, 0);
    assert_int_equal(oxv_map_finish(&m, &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "url: is missing");
    cJSON_Delete(json);
    json = cJSON_Parse("{\"url\":\"x\"}");
    assert_int_equal(oxv_map_object(&m, json, &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "url: is not known here");
    cJSON_Delete(json);
    assert_int_equal(oxv_map_bit(shape, "nothing"), 0);
}

static void
texts_of_a_url_are_mapped(void **state)
{
    struct oxv_msg_grants out = { 0 };
    uint8_t bytes[64];
    struct oxv_writer scratch = oxv_writer(bytes, sizeof bytes);
    struct oxv_err err = { 0 };
    struct oxv_mapping m = {
        .shape = &oxv_msg_grants_shape, .out = &out, .scratch = &scratch, .takes = OXV_MAP_ALL
    };

    (void)state;
    assert_int_equal(oxv_map_text(&m, oxv_view_text("limit"), oxv_view_text("10"), &err), OXV_OK);
    assert_int_equal(out.limit, 10);
    assert_int_equal(oxv_map_text(&m, oxv_view_text("limit"), oxv_view_text("10"), &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "limit: is there twice");
    assert_int_equal(oxv_map_text(&m, oxv_view_text("after"), oxv_view_text(""), &err), OXV_OK);
    assert_int_equal(oxv_map_text(&m, oxv_view_text("caller"), oxv_view_text("c"), &err), OXV_OK);
    assert_true(oxv_view_is(out.caller, "c"));
    m.filled = 0;
    assert_int_equal(oxv_map_text(&m, oxv_view_text("limit"), oxv_view_text("1001"), &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "limit: must be 1 to 1000");
    m.filled = 0;
    assert_int_equal(oxv_map_text(&m, oxv_view_text("limit"), oxv_view_text("1x"), &err),
                     OXV_E_FORMAT);
    assert_int_equal(oxv_map_text(&m, oxv_view_text("caller"), oxv_view("\xff", 1), &err),
                     OXV_E_FORMAT);
    m.filled = 0;
    assert_int_equal(oxv_map_text(&m, oxv_view_text("caller"), oxv_view("a\0", 2), &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "caller: must be UTF-8 without NUL");
    assert_int_equal(oxv_map_text(&m, oxv_view_text("x"), oxv_view_text("1"), &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "x: is not known here");
}

static void
strings_that_mean_the_same_are_equal_and_hash_alike(void **state)
{
    static const char *const same[][2] = {
        { "", "" },
        { "abc", "\\u0061b\\u0063" },
        { "\\n\\t\\\\\\\"\\/", "\\u000a\\u0009\\u005c\\u0022/" },
        { "\xc3\xa9\xe2\x82\xac", "\\u00e9\\u20AC" },
        { "\xf0\x9f\x98\x80x", "\\ud83d\\ude00x" },
    };
    static const char *const other[][2] = { { "a", "" },
                                            { "a", "ab" },
                                            { "\\u0061", "\\u0062" },
                                            { "a\\u0062", "a" },
                                            { "\\\\n", "\\n" } };

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct oxv_view a = oxv_view_text(same[i][0]);
        struct oxv_view b = oxv_view_text(same[i][1]);

        assert_true(oxv_json_string_equals(a, b) && oxv_json_string_equals(b, a));
        assert_int_equal(oxv_json_string_hash(a), oxv_json_string_hash(b));
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        assert_false(
            oxv_json_string_equals(oxv_view_text(other[i][0]), oxv_view_text(other[i][1])));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_our_kind_are_taken),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(broken_syntax_is_refused_with_its_place),
        cmocka_unit_test(numbers_are_plain_integers_in_range),
        cmocka_unit_test(control_characters_and_nul_are_refused_in_every_string),
        cmocka_unit_test(strings_are_utf8_without_lone_surrogates),
        cmocka_unit_test(no_name_is_there_twice_in_whatever_spelling),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(members_and_values_have_a_limit),
        cmocka_unit_test(
            every_truncation_and_every_other_byte_is_judged_as_cjson_would_or_more_strictly),
        cmocka_unit_test(a_name_from_outside_is_shown_printable_and_short),
        cmocka_unit_test(every_member_of_a_grant_is_mapped),
        cmocka_unit_test(integers_and_bytes_are_mapped),
        cmocka_unit_test(what_does_not_fit_the_shape_is_refused_by_name),
        cmocka_unit_test(pairs_have_two_forms_and_no_third),
        cmocka_unit_test(values_that_are_too_long_are_refused),
        cmocka_unit_test(only_what_may_come_from_here_is_taken),
        cmocka_unit_test(texts_of_a_url_are_mapped),
        cmocka_unit_test(strings_that_mean_the_same_are_equal_and_hash_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
