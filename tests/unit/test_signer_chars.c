#include "signer/chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ALPHA "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"

/* strchr() finds the NUL of every text. */
static bool
is_one_of(unsigned byte, const char *list)
{
    return byte != 0 && strchr(list, (int)byte) != NULL;
}

static void
every_byte_has_the_classes_of_its_rfc(void **state)
{
    (void)state;
    static const struct {
        enum oxv_char_class wanted;
        const char *members;
    } classes[] = {
        { OXV_CHAR_UNRESERVED, ALPHA DIGIT "-._~" },
        { OXV_CHAR_PATH, ALPHA DIGIT "-._~"
                                     "!$&'()*+,;="
                                     ":@/" },
        { OXV_CHAR_QUERY, ALPHA DIGIT "-._~"
                                      "!$&'()*+,;="
                                      ":@/?" },
        { OXV_CHAR_HOST, ALPHA DIGIT "-._" },
        { OXV_CHAR_TOKEN, ALPHA DIGIT "!#$%&'*+-.^_`|~" },
        { OXV_CHAR_HEX, DIGIT "ABCDEFabcdef" },
    };

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            assert_int_equal(oxv_char_is((uint8_t)byte, classes[i].wanted),
                             is_one_of(byte, classes[i].members));
        }
    }
}

static void
case_changes_for_ascii_letters_only(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool upper = byte >= 'A' && byte <= 'Z';
        bool lower = byte >= 'a' && byte <= 'z';

        assert_int_equal(oxv_char_lower((uint8_t)byte), upper ? byte + 32 : byte);
        assert_int_equal(oxv_char_upper((uint8_t)byte), lower ? byte - 32 : byte);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_has_the_classes_of_its_rfc),
        cmocka_unit_test(case_changes_for_ascii_letters_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
