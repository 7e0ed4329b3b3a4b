#include "signer/nonce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Hands out 0, 1, 2 ... 255, 0 ... */
static void
count_up(void *ctx, uint8_t *out, size_t len)
{
    uint8_t *counter = ctx;

    for (size_t i = 0; i < len; i++) {
        out[i] = (*counter)++;
    }
}

static void
the_first_bytes_pick_the_first_letters(void **state)
{
    (void)state;
    uint8_t counter = 0;
    uint8_t nonce[OXV_NONCE_BYTES];

    oxv_nonce_make(count_up, &counter, nonce);
    assert_memory_equal(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", sizeof nonce);
    assert_int_equal(counter, OXV_NONCE_BYTES);
}

static void
bytes_that_would_favour_a_letter_are_dropped(void **state)
{
    (void)state;
    uint8_t counter = 247; /* 247 is '9', 248 to 255 are dropped, then 0 is 'A' */
    uint8_t nonce[OXV_NONCE_BYTES];

    oxv_nonce_make(count_up, &counter, nonce);
    assert_memory_equal(nonce, "9ABCDEFGHIJKLMNOPQRSTUVWXYZabcde", sizeof nonce);
    assert_int_equal(counter, (247 + 8 + OXV_NONCE_BYTES) % 256);
}

static void
each_letter_is_equally_likely(void **state)
{
    (void)state;
    uint8_t counter = 0;
    unsigned seen[256] = { 0 };
    size_t letters = 0;

    /* 31 nonces are 992 characters: four rounds of the 248 bytes that count. */
    for (int i = 0; i < 31; i++) {
        uint8_t nonce[OXV_NONCE_BYTES];

        oxv_nonce_make(count_up, &counter, nonce);
        for (size_t j = 0; j < sizeof nonce; j++) {
            seen[nonce[j]]++;
        }
    }
    for (size_t i = 0; i < 256; i++) {
        if (seen[i] > 0) {
            letters++;
            assert_int_equal(seen[i], 16);
        }
    }
    assert_int_equal(letters, 62);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bytes_pick_the_first_letters),
        cmocka_unit_test(bytes_that_would_favour_a_letter_are_dropped),
        cmocka_unit_test(each_letter_is_equally_likely),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
