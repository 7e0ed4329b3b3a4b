/* Shielded keys: ciphertext in plain memory, opened by the one key of the process. */
#include "test_vault_support.h"

#include <stdlib.h>

#include "vault/shield.h"

static const uint8_t plain[OXV_SHIELDED_MAX_BYTES] = "a signing key";

static void
what_was_shielded_is_ciphertext_and_comes_out(void **state)
{
    struct oxv_shield shield = { 0 };

    (void)state;
    assert_int_equal(oxv_shield_init(&shield), OXV_OK);
    for (size_t len = 8; len <= sizeof plain; len++) {
        struct oxv_shielded *made = oxv_shield_put(&shield, oxv_view(plain, len));
        uint8_t out[sizeof plain + 1] = { 0 };

        assert_non_null(made);
        assert_int_equal(made->len, len);
        assert_memory_not_equal(made->bytes, plain, len);
        out[len] = 7;
        oxv_shield_open(&shield, made, out);
        assert_memory_equal(out, plain, len);
        assert_int_equal(out[len], 7);
        free(made);
    }
    oxv_shield_done(&shield);
}

static void
no_two_are_encrypted_alike(void **state)
{
    struct oxv_shield shield = { 0 };

    (void)state;
    assert_int_equal(oxv_shield_init(&shield), OXV_OK);
    struct oxv_shielded *one = oxv_shield_put(&shield, oxv_view(plain, 32));
    struct oxv_shielded *two = oxv_shield_put(&shield, oxv_view(plain, 32));

    assert_int_not_equal(one->nonce, two->nonce);
    assert_memory_not_equal(one->bytes, two->bytes, 32);
    free(one);
    free(two);
    oxv_shield_done(&shield);
}

static void
a_renewed_shield_opens_nothing_from_before(void **state)
{
    struct oxv_shield shield = { 0 };
    uint8_t out[32];

    (void)state;
    assert_int_equal(oxv_shield_init(&shield), OXV_OK);
    struct oxv_shielded *before = oxv_shield_put(&shield, oxv_view(plain, 32));

    oxv_shield_renew(&shield);
    oxv_shield_open(&shield, before, out);
    assert_memory_not_equal(out, plain, 32);
    struct oxv_shielded *after = oxv_shield_put(&shield, oxv_view(plain, 32));

    assert_int_not_equal(before->nonce, after->nonce); /* the nonces go on */
    free(before);
    free(after);
    oxv_shield_done(&shield);
}

static void
what_is_too_long_stays_where_it_is(void **state)
{
    struct oxv_shield shield = { 0 };
    uint8_t longer[OXV_SHIELDED_MAX_BYTES + 1] = { 0 };

    (void)state;
    assert_int_equal(oxv_shield_init(&shield), OXV_OK);
    assert_null(oxv_shield_put(&shield, oxv_view(longer, sizeof longer)));
    oxv_shield_done(&shield);
    oxv_shield_done(&shield);
}

static int
group_setup(void **state)
{
    (void)state;
    setup_secrets();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_shielded_is_ciphertext_and_comes_out),
        cmocka_unit_test(no_two_are_encrypted_alike),
        cmocka_unit_test(a_renewed_shield_opens_nothing_from_before),
        cmocka_unit_test(what_is_too_long_stays_where_it_is),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
