#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/token_names.h"

static void
names_and_numbers_of_mechanisms_and_ivs_match(void **state)
{
    uint64_t back;

    (void)state;
    assert_null(oxv_token_mechanism_name(0));
    assert_null(oxv_token_mechanism_name(OXV_TOKEN_MECHANISM_END));
    for (uint64_t m = 1; m < OXV_TOKEN_MECHANISM_END; m++) {
        back = 0;
        assert_true(oxv_token_mechanism_parse(oxv_view_text(oxv_token_mechanism_name(m)), &back));
        assert_int_equal(back, m);
    }
    assert_null(oxv_token_gcm_iv_name(0));
    for (uint64_t iv = 1; iv < OXV_TOKEN_GCM_IV_END; iv++) {
        back = 0;
        assert_true(oxv_token_gcm_iv_parse(oxv_view_text(oxv_token_gcm_iv_name(iv)), &back));
        assert_int_equal(back, iv);
    }
}

static void
unknown_words_leave_the_output_alone(void **state)
{
    uint64_t out = 77;

    (void)state;
    assert_false(oxv_token_mechanism_parse(oxv_view_text("aes-cbc"), &out));
    assert_false(oxv_token_mechanism_parse(oxv_view_text(""), &out));
    assert_false(oxv_token_gcm_iv_parse(oxv_view_text("Host"), &out));
    assert_int_equal(out, 77);
}

static void
return_codes_have_their_names(void **state)
{
    char name[OXV_CKR_NAME_MAX_BYTES];

    (void)state;
    assert_string_equal(oxv_ckr_name(0, name), "CKR_OK");
    assert_string_equal(oxv_ckr_name(0xa0, name), "CKR_PIN_INCORRECT");
    assert_string_equal(oxv_ckr_name(0x1d1, name), "CKR 0x1d1");
    assert_string_equal(oxv_ckr_name(UINT64_MAX, name), "CKR 0xffffffffffffffff");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_of_mechanisms_and_ivs_match),
        cmocka_unit_test(unknown_words_leave_the_output_alone),
        cmocka_unit_test(return_codes_have_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
