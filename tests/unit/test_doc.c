#include "service/wire/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

static struct oxv_view
sample(uint8_t buffer[512])
{
    struct oxv_writer w = oxv_writer(buffer, 512);
    struct oxv_view doc;

    oxv_doc_object(&w, NULL);
    oxv_doc_cstring(&w, "text", "a\"b\\c\n\x01\x7f\xc3\xa9");
    oxv_doc_integer(&w, "zero", 0);
    oxv_doc_integer(&w, "most", (UINT64_C(1) << 53) - 1);
    oxv_doc_bool(&w, "yes", true);
    oxv_doc_bool(&w, "no", false);
    oxv_doc_list(&w, "list");
    oxv_doc_cstring(&w, NULL, "");
    oxv_doc_object(&w, NULL);
    oxv_doc_end(&w);
    oxv_doc_list(&w, NULL);
    oxv_doc_integer(&w, NULL, 7);
    oxv_doc_bool(&w, NULL, true);
    oxv_doc_end(&w);
    oxv_doc_end(&w);
    oxv_doc_object(&w, "in");
    oxv_doc_cstring(&w, "x", "y");
    oxv_doc_end(&w);
    oxv_doc_end(&w);
    assert_int_equal(oxv_writer_finish(&w, &doc), OXV_OK);
    return doc;
}

static const char sample_json[] =
    "{\"text\":\"a\\\"b\\\\c\\n\\u0001\x7f\xc3\xa9\",\"zero\":0,\"most\":9007199254740991,"
    "\"yes\":true,\"no\":false,\"list\":[\"\",{},[7,true]],\"in\":{\"x\":\"y\"}}";

static void
a_document_becomes_the_json_it_stands_for(void **state)
{
    uint8_t buffer[512];
    char json[512];
    struct oxv_writer w = oxv_writer(json, sizeof json);

    (void)state;
    assert_int_equal(oxv_doc_to_json(sample(buffer), &w), OXV_OK);
    assert_int_equal(w.len, sizeof sample_json - 1);
    assert_memory_equal(json, sample_json, w.len);
}

static void
every_truncation_and_a_trailing_byte_are_refused(void **state)
{
    uint8_t buffer[512] = { 0 };
    char json[512];
    struct oxv_view doc = sample(buffer);

    (void)state;
    for (size_t len = 0; len <= doc.len + 1; len++) {
        uint8_t *cut = malloc(len == 0 ? 1 : len);
        struct oxv_writer w = oxv_writer(json, sizeof json);

        assert_non_null(cut);
        memcpy(cut, buffer, len);
        assert_int_equal(oxv_doc_to_json(oxv_view(cut, len), &w),
                         len == doc.len ? OXV_OK : OXV_E_FORMAT);
        free(cut);
    }
}

static void
every_size_of_output_that_is_too_small_is_told(void **state)
{
    uint8_t buffer[512];
    char json[512];
    struct oxv_view doc = sample(buffer);

    (void)state;
    for (size_t max = 0; max < sizeof sample_json - 1; max++) {
        struct oxv_writer w = oxv_writer(json, max);

        assert_int_equal(oxv_doc_to_json(doc, &w), OXV_E_LIMIT);
    }
}

static enum oxv_status
nested(size_t depth)
{
    uint8_t buffer[512];
    char json[512];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_writer out = oxv_writer(json, sizeof json);

    oxv_doc_object(&w, NULL);
    for (size_t i = 1; i < depth; i++) {
        oxv_doc_list(&w, i == 1 ? "l" : NULL);
    }
    for (size_t i = 0; i < depth; i++) {
        oxv_doc_end(&w);
    }
    return oxv_doc_to_json(oxv_view(buffer, w.len), &out);
}

static void
objects_and_lists_nest_to_the_limit_and_no_deeper(void **state)
{
    (void)state;
    assert_int_equal(nested(1), OXV_OK);
    assert_int_equal(nested(OXV_DOC_MAX_DEPTH), OXV_OK);
    assert_int_equal(nested(OXV_DOC_MAX_DEPTH + 1), OXV_E_FORMAT);
}

static enum oxv_status
to_json(const void *bytes, size_t len)
{
    char json[512];
    struct oxv_writer w = oxv_writer(json, sizeof json);

    return oxv_doc_to_json(oxv_view(bytes, len), &w);
}

#define REFUSED(literal) assert_int_equal(to_json(literal, sizeof(literal) - 1), OXV_E_FORMAT)

static void
what_is_no_document_is_refused(void **state)
{
    (void)state;
    assert_int_equal(to_json("\1\0", 2), OXV_OK);
    REFUSED("\2\0");                          /* a list at the top */
    REFUSED("\3\0\0\0\1x");                   /* a text at the top */
    REFUSED("\7\0");                          /* an unknown kind */
    REFUSED("\1\7\0\1x\0");                   /* the same within */
    REFUSED("\1\3\0\1x\0\0\0\1\xff\0");       /* not UTF-8 */
    REFUSED("\1\3\0\1\xff\0\0\0\1x\0");       /* a name that is not */
    REFUSED("\1\4\0\1x\0\x20\0\0\0\0\0\0\0"); /* 2^53 */
    REFUSED("\1\3\0\1x\xff\xff\xff\xff\0");   /* a length beyond all */
    REFUSED("\1\0\0");
}

static void
the_writer_refuses_integers_that_json_cannot_hold(void **state)
{
    uint8_t buffer[64];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    (void)state;
    oxv_doc_integer(&w, "x", UINT64_C(1) << 53);
    assert_true(w.failed);
}

static void
a_text_is_found_by_its_name_and_only_before_what_is_nested(void **state)
{
    uint8_t buffer[512];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view found = oxv_view_text("untouched");

    (void)state;
    oxv_doc_object(&w, NULL);
    oxv_doc_integer(&w, "n", 3);
    oxv_doc_bool(&w, "b", true);
    oxv_doc_cstring(&w, "first", "1");
    oxv_doc_cstring(&w, "second", "2");
    oxv_doc_object(&w, "in");
    oxv_doc_cstring(&w, "third", "3");
    oxv_doc_end(&w);
    oxv_doc_end(&w);
    struct oxv_view doc = oxv_view(buffer, w.len);

    assert_true(oxv_doc_find_text(doc, "second", &found));
    assert_true(oxv_view_is(found, "2"));
    assert_false(oxv_doc_find_text(doc, "third", &found));
    assert_false(oxv_doc_find_text(doc, "n", &found));
    assert_false(oxv_doc_find_text(oxv_view("\2\0", 2), "n", &found));
    assert_true(oxv_view_is(found, "2"));
    const size_t first_end = 1 + 12 + 4 + 13; /* of the member `first` */

    for (size_t len = 0; len < 40; len++) {
        uint8_t *cut = malloc(len == 0 ? 1 : len);

        assert_non_null(cut);
        memcpy(cut, buffer, len);
        assert_int_equal(oxv_doc_find_text(oxv_view(cut, len), "first", &found), len >= first_end);
        free(cut);
    }
}

static void
utf8_is_checked_wherever_it_stands_in_a_text(void **state)
{
    uint8_t text[40];

    (void)state;
    for (size_t len = 0; len <= sizeof text; len++) {
        for (size_t bad = 0; bad < len; bad++) {
            memset(text, 'a', sizeof text);
            text[bad] = 0xff;
            assert_int_equal(oxv_utf8_prefix_len(oxv_view(text, len)), bad);
        }
        memset(text, 'a', sizeof text);
        assert_true(oxv_is_utf8(oxv_view(text, len)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_the_json_it_stands_for),
        cmocka_unit_test(every_truncation_and_a_trailing_byte_are_refused),
        cmocka_unit_test(every_size_of_output_that_is_too_small_is_told),
        cmocka_unit_test(objects_and_lists_nest_to_the_limit_and_no_deeper),
        cmocka_unit_test(what_is_no_document_is_refused),
        cmocka_unit_test(the_writer_refuses_integers_that_json_cannot_hold),
        cmocka_unit_test(a_text_is_found_by_its_name_and_only_before_what_is_nested),
        cmocka_unit_test(utf8_is_checked_wherever_it_stands_in_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
