#include "signer/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef void (*write_fn)(struct oxv_writer *w, struct oxv_view bytes);

static void
assert_writes(write_fn write, const char *in, const char *wanted)
{
    uint8_t buffer[256];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view out;

    write(&w, oxv_view_text(in));
    assert_int_equal(oxv_writer_finish(&w, &out), OXV_OK);
    assert_int_equal(out.len, strlen(wanted));
    assert_memory_equal(out.data, wanted, out.len);
}

static void
unreserved_bytes_stay_and_all_others_become_upper_case_escapes(void **state)
{
    (void)state;
    assert_writes(oxv_write_percent, "", "");
    assert_writes(oxv_write_percent, "AZaz09-._~", "AZaz09-._~");
    assert_writes(oxv_write_percent, "a b+c!*'()", "a%20b%2Bc%21%2A%27%28%29");
    assert_writes(oxv_write_percent, "%2f&=", "%252f%26%3D");
    assert_writes(oxv_write_percent, "\xc3\xa9\xe2\x82\xac", "%C3%A9%E2%82%AC");
}

static void
every_byte_is_written_as_rfc_5849_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        uint8_t buffer[8];
        char wanted[8];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        bool plain = (i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z') ||
                     i == '-' || i == '.' || i == '_' || i == '~';

        oxv_write_percent(&w, oxv_view(&byte, 1));
        (void)snprintf(wanted, sizeof wanted, plain ? "%c" : "%%%02X", i);
        assert_int_equal(w.len, strlen(wanted));
        assert_memory_equal(buffer, wanted, w.len);
        assert_int_equal(oxv_percent_len(oxv_view(&byte, 1)), w.len);
        assert_true(oxv_percent_is_plain(oxv_view(&byte, 1)) == plain);
    }
}

static void
encoding_again_touches_the_percent_sign_alone(void **state)
{
    (void)state;
    assert_writes(oxv_write_percent_again, "", "");
    assert_writes(oxv_write_percent_again, "abc", "abc");
    assert_writes(oxv_write_percent_again, "%20", "%2520");
    assert_writes(oxv_write_percent_again, "a%20%2Bb%", "a%2520%252Bb%25");
}

static void
a_form_piece_is_decoded(void **state)
{
    (void)state;
    assert_writes(oxv_write_form_decoded, "", "");
    assert_writes(oxv_write_form_decoded, "a+b%20c%2B", "a b c+");
    assert_writes(oxv_write_form_decoded, "%C3%a9%41",
                  "\xc3\xa9"
                  "A");
    assert_writes(oxv_write_form_decoded, "%zz%4", "%zz%4");
}

static void
recoding_a_form_piece_is_decoding_and_encoding(void **state)
{
    (void)state;
    assert_writes(oxv_write_form_recoded, "", "");
    assert_writes(oxv_write_form_recoded, "a+b%20c%2B%41~", "a%20b%20c%2BA~");
    assert_writes(oxv_write_form_recoded, "%3d%253D", "%3D%253D");
    assert_writes(oxv_write_form_recoded, "!*'();:@,/?$", "%21%2A%27%28%29%3B%3A%40%2C%2F%3F%24");
}

static void
an_escape_needs_two_hex_digits_within_the_text(void **state)
{
    (void)state;
    uint8_t byte = 7;

    assert_true(oxv_percent_escape(oxv_view_text("%4a"), 0, &byte));
    assert_int_equal(byte, 0x4a);
    assert_true(oxv_percent_escape(oxv_view_text("x%Ff"), 1, &byte));
    assert_int_equal(byte, 0xff);
    byte = 7;
    assert_false(oxv_percent_escape(oxv_view_text("%4a"), 1, &byte));
    assert_false(oxv_percent_escape(oxv_view_text("%4a"), 3, &byte));
    assert_false(oxv_percent_escape(oxv_view_text("%4a"), 4, &byte));
    assert_false(oxv_percent_escape(oxv_view_text("%4"), 0, &byte));
    assert_false(oxv_percent_escape(oxv_view_text("%"), 0, &byte));
    assert_false(oxv_percent_escape(oxv_view_text("%4g"), 0, &byte));
    assert_false(oxv_percent_escape(oxv_view_text("%g4"), 0, &byte));
    assert_false(oxv_percent_escape(oxv_view(NULL, 0), 0, &byte));
    assert_int_equal(byte, 7);
}

static void
a_writer_without_room_fails_and_keeps_to_its_bounds(void **state)
{
    (void)state;
    static const write_fn writes[] = { oxv_write_percent, oxv_write_form_recoded };

    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        for (size_t max = 0; max <= 5; max++) {
            uint8_t *buffer = malloc(max + 1); /* ends where it is full: ASan watches */
            struct oxv_writer w = oxv_writer(buffer, max);

            assert_non_null(buffer);
            writes[i](&w, oxv_view_text("a b"));
            assert_int_equal(w.failed, max < 5);
            free(buffer);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unreserved_bytes_stay_and_all_others_become_upper_case_escapes),
        cmocka_unit_test(every_byte_is_written_as_rfc_5849_says),
        cmocka_unit_test(encoding_again_touches_the_percent_sign_alone),
        cmocka_unit_test(a_form_piece_is_decoded),
        cmocka_unit_test(recoding_a_form_piece_is_decoding_and_encoding),
        cmocka_unit_test(an_escape_needs_two_hex_digits_within_the_text),
        cmocka_unit_test(a_writer_without_room_fails_and_keeps_to_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
