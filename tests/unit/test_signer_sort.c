#include "signer/sort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_MAX 300u

static int
order(const struct oxv_oauth1_parameter *a, const struct oxv_oauth1_parameter *b)
{
    int names = oxv_view_compare(a->name, b->name);

    return names != 0 ? names : oxv_view_compare(a->value, b->value);
}

/* A reproducible sequence; the numbers are Knuth's. */
static uint64_t
next_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void
every_length_is_sorted_and_loses_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "a", "a%20", "a-", "aa", "B", "b", "z", "~", "%2A" };
    uint64_t seed = 1;

    for (size_t count = 0; count <= COUNT_MAX; count++) {
        struct oxv_oauth1_parameter items[COUNT_MAX + 1];
        size_t before = 0;
        size_t after = 0;

        for (size_t i = 0; i < count; i++) {
            items[i].name = oxv_view_text(texts[next_number(&seed) % 10]);
            items[i].value = oxv_view_text(texts[next_number(&seed) % 10]);
            before += items[i].name.len * 7 + items[i].value.len;
        }
        oxv_sort_parameters(items, count);
        for (size_t i = 0; i < count; i++) {
            after += items[i].name.len * 7 + items[i].value.len;
            assert_true(i == 0 || order(&items[i - 1], &items[i]) <= 0);
        }
        assert_int_equal(before, after);
    }
}

static void
names_go_before_values_and_prefixes_first(void **state)
{
    (void)state;
    struct oxv_oauth1_parameter items[] = {
        { oxv_view_text("b"), oxv_view_text("") },   { oxv_view_text("a"), oxv_view_text("2") },
        { oxv_view_text("aa"), oxv_view_text("0") }, { oxv_view_text("a"), oxv_view_text("10") },
        { oxv_view_text("A"), oxv_view_text("9") },
    };
    static const char *const wanted[] = { "9", "10", "2", "0", "" };

    oxv_sort_parameters(items, sizeof items / sizeof items[0]);
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        assert_true(oxv_view_is(items[i].value, wanted[i]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_sorted_and_loses_nothing),
        cmocka_unit_test(names_go_before_values_and_prefixes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
