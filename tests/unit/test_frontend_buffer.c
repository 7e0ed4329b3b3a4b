#include "service/frontend/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
bytes_come_out_in_the_order_they_went_in(void **state)
{
    struct oxv_buffer b = { 0 };
    uint8_t next_in = 0;
    uint8_t next_out = 0;

    (void)state;
    for (size_t round = 0; round < 3000; round++) {
        uint8_t piece[97];

        for (size_t i = 0; i < sizeof piece; i++) {
            piece[i] = next_in++;
        }
        assert_true(oxv_buffer_append(&b, oxv_view(piece, sizeof piece)));
        struct oxv_view view = oxv_buffer_view(&b);
        size_t take = view.len < 89 ? view.len : 89 + round % 10;

        for (size_t i = 0; i < take; i++) {
            assert_int_equal(view.data[i], next_out++);
        }
        oxv_buffer_consume(&b, take);
    }
    assert_true(b.size < 65536); /* what was consumed makes room */
    oxv_buffer_done(&b);
    assert_int_equal(oxv_buffer_len(&b), 0);
}

static void
an_empty_buffer_is_empty_and_gives_its_memory_back(void **state)
{
    struct oxv_buffer b = { 0 };

    (void)state;
    assert_int_equal(oxv_buffer_view(&b).len, 0);
    assert_true(oxv_buffer_append(&b, oxv_view(NULL, 0)));
    assert_null(b.data);
    uint8_t *room = oxv_buffer_reserve(&b, 100000);

    assert_non_null(room);
    memset(room, 'x', 100000);
    oxv_buffer_grow(&b, 100000);
    oxv_buffer_shrink(&b, 10);
    assert_int_equal(oxv_buffer_len(&b), 100000); /* not while something is in it */
    oxv_buffer_consume(&b, 99999);
    oxv_buffer_shrink(&b, 4096);
    assert_int_equal(b.size, 4096);
    assert_true(oxv_view_is(oxv_buffer_view(&b), "x"));
    oxv_buffer_consume(&b, 1);
    oxv_buffer_shrink(&b, 1000000);
    assert_non_null(b.data);
    oxv_buffer_shrink(&b, 10);
    assert_null(b.data);
    oxv_buffer_done(&b);
}

static void
a_size_beyond_all_memory_is_refused_and_the_content_stays(void **state)
{
    struct oxv_buffer b = { 0 };

    (void)state;
    assert_true(oxv_buffer_append(&b, oxv_view_text("abc")));
    assert_null(oxv_buffer_reserve(&b, SIZE_MAX));
    assert_null(oxv_buffer_reserve(&b, SIZE_MAX - 3));
    assert_true(oxv_view_is(oxv_buffer_view(&b), "abc"));
    oxv_buffer_done(&b);
}

static void
slices_and_finds_stay_within_their_view(void **state)
{
    struct oxv_view v = oxv_view_text("abcab");

    (void)state;
    assert_true(oxv_view_is(oxv_view_slice(v, 1, 2), "bc"));
    assert_true(oxv_view_is(oxv_view_slice(v, 3, 99), "ab"));
    assert_int_equal(oxv_view_slice(v, 5, 1).len, 0);
    assert_int_equal(oxv_view_slice(v, SIZE_MAX, SIZE_MAX).len, 0);
    assert_int_equal(oxv_view_find(v, 'a'), 0);
    assert_int_equal(oxv_view_find(v, 'c'), 2);
    assert_int_equal(oxv_view_find(v, 'x'), 5);
    assert_int_equal(oxv_view_find(oxv_view(NULL, 0), 'x'), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(an_empty_buffer_is_empty_and_gives_its_memory_back),
        cmocka_unit_test(a_size_beyond_all_memory_is_refused_and_the_content_stays),
        cmocka_unit_test(slices_and_finds_stay_within_their_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
