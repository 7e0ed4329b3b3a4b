/* Formatting and the strict parsers of small texts. */
#include "test_base_support.h"

#include "base/text.h"

static void
formatting_never_cuts(void **state)
{
    char out[5] = "old";

    (void)state;
    assert_int_equal(oxv_format(out, sizeof out, "%s", "four"), OXV_OK);
    assert_string_equal(out, "four");
    assert_int_equal(oxv_format(out, sizeof out, "%s", "fiver"), OXV_E_LIMIT);
    assert_string_equal(out, "");
    assert_int_equal(oxv_format(out, 0, "%s", "x"), OXV_E_LIMIT);
}

static void
copies_end_in_nul_and_hold_none(void **state)
{
    char out[5] = "old";

    (void)state;
    assert_int_equal(oxv_text_copy(oxv_view_text("four"), out, sizeof out), OXV_OK);
    assert_string_equal(out, "four");
    assert_int_equal(oxv_text_copy(oxv_view_text("fiver"), out, sizeof out), OXV_E_LIMIT);
    assert_string_equal(out, "");
    assert_int_equal(oxv_text_copy(oxv_view("a\0b", 3), out, sizeof out), OXV_E_FORMAT);
    assert_string_equal(out, "");
    assert_int_equal(oxv_text_copy(oxv_view(NULL, 0), out, sizeof out), OXV_OK);
    assert_string_equal(out, "");
    assert_int_equal(oxv_text_copy(oxv_view(NULL, 0), out, 0), OXV_E_LIMIT);
}

/* Writes a code point as UTF-8 would be written, also where it may not be. */
static size_t
encode(uint32_t point, size_t len, uint8_t out[4])
{
    static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = len; i > 1; i--) {
        out[i - 1] = (uint8_t)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = len == 1 ? (uint8_t)point : (uint8_t)(lead[len] | point);
    return len;
}

static void
every_code_point_and_every_overlong_form_is_judged_right(void **state)
{
    static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000 };
    static const uint32_t beyond[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
    uint8_t bytes[4];

    (void)state;
    for (size_t len = 1; len <= 4; len++) {
        for (uint32_t point = 0; point < beyond[len]; point++) {
            bool good =
                point >= first[len] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
            struct oxv_view text = oxv_view(bytes, encode(point, len, bytes));

            if (oxv_is_utf8(text) != good) {
                fail_msg("U+%04X in %zu bytes", point, len);
            }
        }
    }
}

static void
utf8_is_judged_at_every_offset_and_length(void **state)
{
    static const char whole[] = "plain ascii, then \303\244\342\202\254\360\237\230\200 and more";
    size_t len = sizeof whole - 1;

    (void)state;
    for (size_t from = 0; from <= len; from++) {
        for (size_t n = 0; from + n <= len; n++) {
            __attribute__((cleanup(exact_done))) struct exact e = exact_copy(whole + from, n);
            size_t good = 0; /* naively: steps that make a whole text */

            for (size_t i = 0; i <= n; i++) {
                good = oxv_is_utf8(oxv_view(e.view.data, i)) ? i : good;
            }
            assert_int_equal(oxv_utf8_prefix_len(e.view), good);
        }
    }
}

static void
broken_utf8_behind_long_ascii_is_found(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        uint8_t text[41];

        memset(text, 'a', sizeof text);
        text[at] = 0xff;
        assert_int_equal(oxv_utf8_prefix_len(oxv_view(text, sizeof text)), at);
    }
}

static void
printable_means_no_control_characters(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        for (size_t at = 0; at < 20; at++) { /* at every offset of a wide step */
            uint8_t text[20];

            memset(text, 'a', sizeof text);
            text[at] = (uint8_t)c;
            assert_int_equal(oxv_is_printable_utf8(oxv_view(text, sizeof text)),
                             c >= 0x20 && c != 0x7f);
        }
    }
    assert_true(oxv_is_printable_utf8(oxv_view_text("\303\244 \342\202\254")));
    assert_false(oxv_is_printable_utf8(oxv_view_text("\303")));
    assert_true(oxv_is_printable_utf8(oxv_view(NULL, 0)));
}

static void
decimals_are_digits_alone(void **state)
{
    static const char *const bad[] = { "",
                                       "+1",
                                       "-1",
                                       " 1",
                                       "1 ",
                                       "01",
                                       "00",
                                       "0x1",
                                       "1.",
                                       "1e",
                                       "a",
                                       "\n1",
                                       "18446744073709551616",
                                       "99999999999999999999" };
    uint64_t value = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(oxv_parse_decimal(oxv_view_text(bad[i]), UINT64_MAX, &value));
    }
    assert_false(oxv_parse_decimal(oxv_view_text("101"), 100, &value));
    assert_true(value == 7);
    assert_true(oxv_parse_decimal(oxv_view_text("100"), 100, &value) && value == 100);
    assert_true(oxv_parse_decimal(oxv_view_text("0"), 0, &value) && value == 0);
    assert_true(oxv_parse_decimal(oxv_view_text("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

static void
hex_has_exactly_the_length(void **state)
{
    uint8_t out[3] = { 7, 7, 7 };
    char text[7] = { 0 };
    struct oxv_writer w = oxv_writer(text, 6);

    (void)state;
    assert_true(oxv_parse_hex(oxv_view_text("00fFAb"), out, 3));
    assert_memory_equal(out, "\x00\xff\xab", 3);
    assert_false(oxv_parse_hex(oxv_view_text("00fFA"), out, 3));
    assert_false(oxv_parse_hex(oxv_view_text("00fFAb0"), out, 3));
    assert_false(oxv_parse_hex(oxv_view_text("00fFA "), out, 3));
    assert_false(oxv_parse_hex(oxv_view_text("0g0000"), out, 3));
    assert_false(oxv_parse_hex(oxv_view_text("0x0000"), out, 3));
    oxv_write_hex(&w, oxv_view("\x00\xff\xab", 3));
    assert_string_equal(text, "00ffab");
    oxv_write_hex(&w, oxv_view("x", 1));
    assert_true(w.failed);
}

static void
base64_has_one_spelling(void **state)
{
    static const struct {
        const char *plain;
        const char *text;
    } good[] = { { "", "" },
                 { "f", "Zg==" },
                 { "fo", "Zm8=" },
                 { "foo", "Zm9v" },
                 { "foob", "Zm9vYg==" },
                 { "fooba", "Zm9vYmE=" },
                 { "foobar", "Zm9vYmFy" } }; /* RFC 4648, 10 */
    static const char *const bad[] = { "Zg",    "Zg=",      "Zg===",  "Zh==",   "Zm9=", "Zm8",
                                       "Zm9v ", " Zm9v",    "Zm\n9v", "Zm-_",   "=",    "====",
                                       "Z",     "Zg==Zg==", "Zm9v=",  "Zm9vYg=" };
    uint8_t out[16];
    size_t len = 77;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[16] = { 0 };
        struct oxv_writer w = oxv_writer(text, sizeof text);

        oxv_write_base64(&w, oxv_view_text(good[i].plain));
        assert_string_equal(text, good[i].text);
        assert_true(oxv_parse_base64(oxv_view_text(text), out, sizeof out, &len));
        assert_true(oxv_view_is(oxv_view(out, len), good[i].plain));
    }
    len = 77;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (oxv_parse_base64(oxv_view_text(bad[i]), out, sizeof out, &len)) {
            fail_msg("%s was accepted", bad[i]);
        }
    }
    assert_false(oxv_parse_base64(oxv_view_text("Zm9vYmFy"), out, 5, &len));
    assert_int_equal(len, 77);
}

static void
base64_round_trips_every_byte(void **state)
{
    uint8_t bytes[256];
    uint8_t back[256];
    char text[400];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    oxv_write_base64(&w, oxv_view(bytes, sizeof bytes));
    assert_true(oxv_parse_base64(oxv_view(text, w.len), back, sizeof back, &len));
    assert_int_equal(len, sizeof bytes);
    assert_memory_equal(bytes, back, sizeof bytes);
}

static void
json_strings_follow_rfc_8785(void **state)
{
    char text[128] = { 0 };
    struct oxv_writer w = oxv_writer(text, sizeof text);

    (void)state;
    oxv_write_json_string(&w, oxv_view("a\"\\/\b\t\n\f\r\x01\x1f\x7f\303\244", 14));
    assert_false(w.failed);
    assert_string_equal(text, "\"a\\\"\\\\/\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\303\244\"");
    w = oxv_writer(text, sizeof text);
    oxv_write_json_string(&w, oxv_view("\0", 1));
    assert_memory_equal(text, "\"\\u0000\"", 8);
    oxv_write_json_string(&w, oxv_view_text("\xff"));
    assert_true(w.failed);
}

static void
time_stamps_are_written_as_rfc_3339(void **state)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { 1, "1970-01-01T00:00:00.000001Z" },
        { UINT64_C(951782399999999), "2000-02-28T23:59:59.999999Z" },
        { UINT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
        { UINT64_C(4107542399000000), "2100-02-28T23:59:59.000000Z" },
        { UINT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z" },
        { UINT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[OXV_TIMESTAMP_BYTES];
        uint64_t back = 0;

        oxv_format_timestamp(cases[i].us, text);
        assert_string_equal(text, cases[i].text);
        assert_true(oxv_parse_timestamp(oxv_view_text(text), &back) && back == cases[i].us);
    }
}

static void
a_time_beyond_the_last_is_written_as_the_last(void **state)
{
    static const uint64_t beyond[] = { OXV_TIMESTAMP_MAX_US + 1, UINT64_C(253402387139000000),
                                       (uint64_t)INT64_MAX, UINT64_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        char text[OXV_TIMESTAMP_BYTES];

        oxv_format_timestamp(beyond[i], text);
        assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
    }
}

static void
time_stamps_are_read_with_offsets_fractions_and_dates(void **state)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {
        { "1970-01-02", UINT64_C(86400000000) },
        { "1970-01-01T00:00:01Z", 1000000 },
        { "1970-01-01T00:00:00.5Z", 500000 },
        { "1970-01-01T00:00:00.000001Z", 1 },
        { "1970-01-01T02:00:00+01:30", UINT64_C(1800000000) },
        { "1970-01-01T00:00:00-00:30", UINT64_C(1800000000) },
        { "9999-12-31T23:59:59.999999Z", OXV_TIMESTAMP_MAX_US },
        { "9999-12-31T23:59:59.999999+00:00", OXV_TIMESTAMP_MAX_US },
        { "9999-12-31T23:59:59.999999-00:00", OXV_TIMESTAMP_MAX_US },
        { "9999-12-31T22:59:59.999999-01:00", OXV_TIMESTAMP_MAX_US },
        { "9999-12-31T23:59:59+23:59", UINT64_C(253402214459000000) },
    };
    static const char *const bad[] = {
        "",
        "1970",
        "1970-01-01T",
        "1970-13-01",
        "1970-00-01",
        "1970-01-32",
        "1970-02-29",
        "2100-02-29",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567Z",
        "1970-01-01T00:00:00z",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01",
        "1970-01-01T00:00:00Z ",
        " 1970-01-01",
        "1970-1-1",
        "1969-12-31T23:00:00-02:00", /* the year alone says no */
        "1970-01-01T00:00:00+01:00", /* before 1970 */
        "9999-12-31T23:59:59-23:59", /* after 9999 */
        "9999-12-31T23:59:00-00:01",
        "9999-12-31T23:00:00-01:00",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t us = 7;
        bool read = oxv_parse_timestamp(oxv_view_text(good[i].text), &us);

        if (!read || us != good[i].us) {
            fail_msg("%s", good[i].text);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t us = 7;

        if (oxv_parse_timestamp(oxv_view_text(bad[i]), &us) || us != 7) {
            fail_msg("%s was accepted", bad[i]);
        }
    }
}

/* The same, a byte at a time. */
static bool
is_plain_by_bytes(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < 0x20 || bytes[i] > 0x7e || bytes[i] == '"' || bytes[i] == '\\') {
            return false;
        }
    }
    return true;
}

static void
plain_ascii_is_told_for_each_byte_at_each_place(void **state)
{
    uint8_t text[19];

    (void)state;
    for (size_t len = 0; len <= sizeof text; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, 'a', sizeof text);
                text[at] = (uint8_t)byte;
                assert_int_equal(oxv_is_plain_ascii(oxv_view(text, len)),
                                 is_plain_by_bytes(text, len));
            }
        }
    }
    assert_true(oxv_is_plain_ascii(oxv_view(NULL, 0)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_ascii_is_told_for_each_byte_at_each_place),
        cmocka_unit_test(formatting_never_cuts),
        cmocka_unit_test(copies_end_in_nul_and_hold_none),
        cmocka_unit_test(every_code_point_and_every_overlong_form_is_judged_right),
        cmocka_unit_test(utf8_is_judged_at_every_offset_and_length),
        cmocka_unit_test(broken_utf8_behind_long_ascii_is_found),
        cmocka_unit_test(printable_means_no_control_characters),
        cmocka_unit_test(decimals_are_digits_alone),
        cmocka_unit_test(hex_has_exactly_the_length),
        cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(base64_round_trips_every_byte),
        cmocka_unit_test(json_strings_follow_rfc_8785),
        cmocka_unit_test(time_stamps_are_written_as_rfc_3339),
        cmocka_unit_test(a_time_beyond_the_last_is_written_as_the_last),
        cmocka_unit_test(time_stamps_are_read_with_offsets_fractions_and_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
