#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/shown.h"

static void
characters_of_every_length_are_taken_apart(void **state)
{
    static const struct {
        const char *text;
        uint32_t c;
        size_t len;
    } good[] = { { "a\xc3", 'a', 1 },
                 { "\xc3\xa9z", 0xe9, 2 },
                 { "\xe2\x80\xae!", 0x202e, 3 },
                 { "\xf0\x9f\x94\x91x", 0x1f511, 4 } };
    uint32_t c;
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(oxv_utf8_first(oxv_view_text(good[i].text), &c, &len));
        assert_int_equal(c, good[i].c);
        assert_int_equal(len, good[i].len);
    }
}

static void
a_byte_that_begins_no_character_is_told(void **state)
{
    static const char *const bad[] = { "\xff",     "\x80",         "\xc3",         "\xc3(",
                                       "\xe2\x80", "\xed\xa0\x80", "\xf0\x9f\x94", "\xc0\x80" };
    uint32_t c;
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(oxv_utf8_first(oxv_view_text(bad[i]), &c, &len));
        assert_int_equal(c, (uint8_t)bad[i][0]);
        assert_int_equal(len, 1);
    }
}

static void
controls_and_what_reorders_text_are_hidden(void **state)
{
    static const uint32_t hidden[] = { 0,      '\n',   0x1b,    0x7f,    0x85,   0xad,
                                       0x200b, 0x200f, 0x2028,  0x202a,  0x202e, 0x2066,
                                       0x2069, 0xfeff, 0xe0041, 0x10ffff };
    static const uint32_t plain[] = { ' ', '~', '<', 0xa0, 0xe9, 0x2013, 0x4e2d, 0x1f511 };

    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        assert_true(oxv_char_is_hidden(hidden[i]));
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        assert_false(oxv_char_is_hidden(plain[i]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_every_length_are_taken_apart),
        cmocka_unit_test(a_byte_that_begins_no_character_is_told),
        cmocka_unit_test(controls_and_what_reorders_text_are_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
