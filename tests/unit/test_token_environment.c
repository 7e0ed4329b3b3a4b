/* Which variables a token helper gets. */
#include "test_base_support.h"

#include <stdlib.h>
#include <string.h>

#include "base/token_environment.h"

static bool
is_among(char *const variables[], size_t count, const char *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(variables[i], wanted) == 0) {
            return true;
        }
    }
    return false;
}

static void
only_settings_of_modules_are_handed_on(void **state)
{
    char *variables[OXV_TOKEN_ENVIRONMENT_MAX];

    (void)state;
    assert_int_equal(clearenv(), 0);
    assert_int_equal(setenv("HOME", "/home", 1), 0);
    assert_int_equal(setenv("LD_PRELOAD", "/evil.so", 1), 0);
    assert_int_equal(setenv("SOFTHSM2_CONFIG", "/not the name", 1), 0);
    assert_int_equal(setenv("XSOFTHSM2_CONF", "/nor this", 1), 0);
    assert_int_equal(oxv_token_environment(variables), 0);
    assert_int_equal(setenv("SOFTHSM2_CONF", "/etc/softhsm2.conf", 1), 0);
    assert_int_equal(setenv("TPM2_PKCS11_TCTI", "", 1), 0);
    size_t count = oxv_token_environment(variables);

    assert_int_equal(count, 2);
    assert_true(is_among(variables, count, "SOFTHSM2_CONF=/etc/softhsm2.conf"));
    assert_true(is_among(variables, count, "TPM2_PKCS11_TCTI="));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_settings_of_modules_are_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
