#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A copy that ends where it ends, so that AddressSanitizer sees a read beyond it. */
static struct oxv_view
exact(struct oxv_view text, uint8_t **copy)
{
    *copy = malloc(text.len == 0 ? 1 : text.len);
    assert_non_null(*copy);
    if (text.len > 0) {
        memcpy(*copy, text.data, text.len);
    }
    return oxv_view(*copy, text.len);
}

static void
expect_good(const char *text)
{
    uint8_t *copy;
    struct oxv_json_fault fault = { .offset = 77, .reason = "untouched" };

    if (oxv_json_check(exact(oxv_view_text(text), &copy), &fault) != OXV_OK) {
        fail_msg("%s: %s at %zu", text, fault.reason, fault.offset);
    }
    assert_int_equal(fault.offset, 77);
    free(copy);
}

static void
expect_bad_bytes(struct oxv_view text, size_t offset, const char *reason)
{
    uint8_t *copy;
    struct oxv_json_fault fault = { 0 };

    assert_int_equal(oxv_json_check(exact(text, &copy), &fault), OXV_E_FORMAT);
    assert_string_equal(fault.reason, reason);
    assert_int_equal(fault.offset, offset);
    free(copy);
}

static void
expect_bad(const char *text, size_t offset, const char *reason)
{
    expect_bad_bytes(oxv_view_text(text), offset, reason);
}

static void
takes_what_rfc_8259_allows(void **state)
{
    (void)state;
    expect_good("{}");
    expect_good("[]");
    expect_good(" \t\r\n{ \"a\" : [ 1 , true , false , null , \"x\" ] }\n");
    expect_good("0");
    expect_good("9007199254740991");
    expect_good("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"");
    expect_good("{\"\":1}");
    expect_good("{\"a\":{\"a\":{\"a\":1}}}");
}

static void
refuses_numbers_that_are_no_plain_integers(void **state)
{
    static const char *const numbers[] = { "[-1]",  "[1.0]", "[1e3]",
                                           "[1E3]", "[01]",  "[9007199254740992]",
                                           "[-0]",  "[00]",  "[99999999999999999999]" };

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        expect_bad(numbers[i], 1, "not a plain integer from 0 to 2^53-1");
    }
    expect_bad("[+1]", 1, "not a JSON value");
    expect_bad("[.5]", 1, "not a JSON value");
    expect_bad("[NaN]", 1, "not a JSON value");
}

static void
refuses_a_name_that_is_there_twice(void **state)
{
    (void)state;
    expect_bad("{\"a\":1,\"b\":2,\"a\":3}", 13, "a name that is there twice");
    expect_bad("{\"b\":{\"a\":1,\"a\":3}}", 12, "a name that is there twice");
    expect_good("{\"a\":1,\"A\":2}");
    expect_bad("{\"\\u0061\":1}", 1, "a name with an escape");
}

static void
refuses_an_object_with_too_many_names(void **state)
{
    char text[1024];
    struct oxv_writer w = oxv_writer(text, sizeof text - 1);
    struct oxv_view whole;

    (void)state;
    oxv_write_text(&w, "{\"x0\":0");
    for (unsigned i = 1; i < OXV_JSON_NAMES_MAX; i++) {
        oxv_write_text(&w, ",\"x");
        oxv_write_decimal(&w, i);
        oxv_write_text(&w, "\":0");
    }
    size_t full = w.len;
    oxv_write_text(&w, "}");
    assert_int_equal(oxv_writer_finish(&w, &whole), OXV_OK);
    assert_int_equal(oxv_json_check(whole, NULL), OXV_OK);
    w.len = full;
    oxv_write_text(&w, ",\"y\":0}");
    assert_int_equal(oxv_writer_finish(&w, &whole), OXV_OK);
    expect_bad_bytes(whole, full + 1, "an object with too many names");
}

static void
refuses_what_c_strings_would_hide(void **state)
{
    (void)state;
    expect_bad_bytes(oxv_view("\"a\0b\"", 5), 2, "a control character");
    expect_bad_bytes(oxv_view("{}\0", 3), 2, "bytes after the value");
    expect_bad("\"\\u0000\"", 7, "a NUL character");
    expect_bad("\"a\nb\"", 2, "a control character");
    expect_bad("\"\x1f\"", 1, "a control character");
}

static void
refuses_text_that_is_not_utf_8(void **state)
{
    (void)state;
    expect_bad("\"\xff\"", 1, "not well-formed UTF-8");
    expect_bad("\"\xed\xa0\x80\"", 1, "not well-formed UTF-8");
    expect_bad("\xef\xbb\xbf{}", 0, "a byte order mark");
    expect_bad("\"\\ud800\"", 7, "half of a surrogate pair");
    expect_bad("\"\\ud800\\u0041\"", 13, "half of a surrogate pair");
    expect_bad("\"\\udc00\"", 7, "half of a surrogate pair");
    expect_bad("\"\\u12g4\"", 3, "\\u without four hex digits");
    expect_bad("\"\\x\"", 2, "an unknown escape");
}

static void
refuses_what_follows_or_is_missing(void **state)
{
    (void)state;
    expect_bad("", 0, "cut off");
    expect_bad("{} {}", 3, "bytes after the value");
    expect_bad("{\"a\":1,}", 7, "not a name in quotes");
    expect_bad("[1,]", 3, "not a JSON value");
    expect_bad("[1 2]", 3, "neither a comma nor the end");
    expect_bad("{\"a\" 1}", 5, "a name without a colon");
    expect_bad("{a:1}", 1, "not a name in quotes");
    expect_bad("tru", 0, "not a JSON value");
    expect_bad("truex", 4, "bytes after the value");
    expect_bad("\"abc", 4, "an unfinished string");
    expect_bad("// x\n1", 0, "not a JSON value");
}

static void
refuses_every_truncation(void **state)
{
    static const char whole[] = "{\"a\":[1,\"x\\u00e9\\n\",{\"b\":true}],\"c\":null}";

    (void)state;
    expect_good(whole);
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        uint8_t *copy;

        assert_int_equal(oxv_json_check(exact(oxv_view(whole, n), &copy), NULL), OXV_E_FORMAT);
        free(copy);
    }
}

static void
nests_as_deep_as_the_limit_says(void **state)
{
    char text[2 * (OXV_JSON_DEPTH_MAX + 1)];

    (void)state;
    memset(text, '[', OXV_JSON_DEPTH_MAX);
    memset(text + OXV_JSON_DEPTH_MAX, ']', OXV_JSON_DEPTH_MAX);
    assert_int_equal(oxv_json_check(oxv_view(text, 2 * OXV_JSON_DEPTH_MAX), NULL), OXV_OK);
    memset(text, '[', OXV_JSON_DEPTH_MAX + 1);
    memset(text + OXV_JSON_DEPTH_MAX + 1, ']', OXV_JSON_DEPTH_MAX + 1);
    expect_bad_bytes(oxv_view(text, sizeof text), OXV_JSON_DEPTH_MAX, "nested too deeply");
}

static void
gets_members_and_items(void **state)
{
    struct oxv_view text =
        oxv_view_text(" { \"n\" : 7 , \"list\" : [ \"a\", {} ,3 ], \"b\":true } ");
    struct oxv_view value;
    struct oxv_view name;
    struct oxv_json_items items;
    uint64_t number = 0;
    bool flag = false;

    (void)state;
    assert_int_equal(oxv_json_check(text, NULL), OXV_OK);
    assert_int_equal(oxv_json_count(text), 3);
    assert_true(oxv_json_get(text, "n", &value) && oxv_json_integer(value, 7, &number));
    assert_int_equal(number, 7);
    assert_false(oxv_json_integer(value, 6, &number));
    assert_true(oxv_json_get(text, "b", &value) && oxv_json_boolean(value, &flag) && flag);
    assert_false(oxv_json_integer(value, 6, &number));
    assert_false(oxv_json_get(text, "N", &value));
    assert_true(oxv_json_get(text, "list", &value));
    assert_int_equal(oxv_json_type(value), OXV_JSON_ARRAY);
    assert_false(oxv_json_get(value, "n", &value));
    items = oxv_json_items(value);
    assert_true(oxv_json_next(&items, &name, &value) && oxv_view_is(value, "\"a\""));
    assert_int_equal(name.len, 0);
    assert_true(oxv_json_next(&items, &name, &value) && oxv_view_is(value, "{}"));
    assert_true(oxv_json_next(&items, &name, &value) && oxv_view_is(value, "3"));
    assert_false(oxv_json_next(&items, &name, &value));
    items = oxv_json_items(oxv_view_text("5"));
    assert_false(oxv_json_next(&items, &name, &value));
}

static void
unescapes_a_string(void **state)
{
    char out[32];
    struct oxv_writer w = oxv_writer(out, sizeof out);
    struct oxv_view text;

    (void)state;
    assert_true(oxv_json_write_string(
        &w, oxv_view_text("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"")));
    assert_int_equal(oxv_writer_finish(&w, &text), OXV_OK);
    assert_true(oxv_view_is(text, "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    w = oxv_writer(out, sizeof out);
    assert_false(oxv_json_write_string(&w, oxv_view_text("12")));
    assert_int_equal(w.len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_rfc_8259_allows),
        cmocka_unit_test(refuses_numbers_that_are_no_plain_integers),
        cmocka_unit_test(refuses_a_name_that_is_there_twice),
        cmocka_unit_test(refuses_an_object_with_too_many_names),
        cmocka_unit_test(refuses_what_c_strings_would_hide),
        cmocka_unit_test(refuses_text_that_is_not_utf_8),
        cmocka_unit_test(refuses_what_follows_or_is_missing),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(nests_as_deep_as_the_limit_says),
        cmocka_unit_test(gets_members_and_items),
        cmocka_unit_test(unescapes_a_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
