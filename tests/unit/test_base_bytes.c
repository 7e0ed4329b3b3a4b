/* Views, the reader and the writer. */
#include "test_base_support.h"

static void
views_compare_by_content(void **state)
{
    (void)state;
    assert_true(oxv_view_equals(oxv_view(NULL, 0), oxv_view("x", 0)));
    assert_true(oxv_view_is(oxv_view("abc", 3), "abc"));
    assert_false(oxv_view_is(oxv_view("abc", 2), "abc"));
    assert_false(oxv_view_is(oxv_view("ab\0", 3), "ab"));
    assert_true(oxv_view_has_prefix(oxv_view_text("oauth_x"), "oauth_"));
    assert_false(oxv_view_has_prefix(oxv_view_text("oauth"), "oauth_"));
    assert_true(oxv_view_has_prefix(oxv_view(NULL, 0), ""));
    assert_true(oxv_view_compare(oxv_view_text("a"), oxv_view_text("b")) < 0);
    assert_true(oxv_view_compare(oxv_view_text("ab"), oxv_view_text("a")) > 0);
    assert_true(oxv_view_compare(oxv_view_text("\xff"), oxv_view_text("a")) > 0);
    assert_int_equal(oxv_view_compare(oxv_view(NULL, 0), oxv_view_text("")), 0);
}

static void
views_are_cut_within_their_bounds(void **state)
{
    struct oxv_view v = oxv_view_text("abcdef");

    (void)state;
    assert_true(oxv_view_is(oxv_view_from(v, 0), "abcdef"));
    assert_true(oxv_view_is(oxv_view_from(v, 4), "ef"));
    assert_int_equal(oxv_view_from(v, 6).len, 0);
    assert_int_equal(oxv_view_from(v, SIZE_MAX).len, 0);
    assert_true(oxv_view_is(oxv_view_slice(v, 1, 2), "bc"));
    assert_true(oxv_view_is(oxv_view_slice(v, 4, SIZE_MAX), "ef"));
    assert_int_equal(oxv_view_slice(v, 7, 1).len, 0);
    assert_int_equal(oxv_view_find(v, 'c'), 2);
    assert_int_equal(oxv_view_find(v, 'z'), 6);
    assert_int_equal(oxv_view_find(oxv_view(NULL, 0), 'z'), 0);
    assert_int_equal(oxv_view_find_last(oxv_view_text("abca"), 'a'), 3);
    assert_int_equal(oxv_view_find_last(v, 'a'), 0);
    assert_int_equal(oxv_view_find_last(v, 'z'), 6);
    assert_int_equal(oxv_view_find_last(oxv_view(NULL, 0), 'z'), 0);
}

static void
integers_are_big_endian(void **state)
{
    static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    struct oxv_reader r = oxv_reader(oxv_view(bytes, sizeof bytes));
    uint8_t one = 0;
    uint16_t two = 0;
    uint32_t four = 0;
    uint64_t eight = 0;

    (void)state;
    assert_true(oxv_read_u8(&r, &one) && oxv_read_u16(&r, &two) && oxv_read_u32(&r, &four) &&
                oxv_read_u64(&r, &eight));
    assert_int_equal(one, 1);
    assert_int_equal(two, 0x0203);
    assert_int_equal(four, 0x04050607);
    assert_true(eight == UINT64_C(0x08090a0b0c0d0e0f));
    assert_true(oxv_reader_at_end(&r));
    assert_false(oxv_read_u8(&r, &one));
}

static void
a_read_that_fails_reads_nothing(void **state)
{
    static const uint8_t bytes[] = { 0, 9, 0, 0, 0, 9, 1, 2 };

    (void)state;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        __attribute__((cleanup(exact_done))) struct exact e = exact_copy(bytes, len);
        struct oxv_reader r = oxv_reader(e.view);
        uint8_t buffer[9] = { 77 };
        uint64_t number = 77;
        struct oxv_view v = oxv_view("untouched", 9);

        assert_false(oxv_read_view16(&r, &v)); /* says 9, has 6 at most */
        assert_false(oxv_read_bytes(&r, buffer, 9));
        assert_false(oxv_read_view(&r, len + 1, &v));
        assert_false(oxv_read_view(&r, SIZE_MAX, &v));
        if (len < 8) {
            assert_false(oxv_read_u64(&r, &number));
        }
        assert_int_equal(r.left.len, len);
        assert_int_equal(buffer[0], 77);
        assert_true(number == 77);
        assert_true(oxv_view_is(v, "untouched"));
    }
}

static void
views_with_a_length_are_read_back(void **state)
{
    uint8_t buffer[64];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view all;
    struct oxv_view v;

    (void)state;
    oxv_write_view16(&w, oxv_view_text("sixteen"));
    oxv_write_view32(&w, oxv_view_text("thirty-two"));
    oxv_write_view16(&w, oxv_view(NULL, 0));
    assert_int_equal(oxv_writer_finish(&w, &all), OXV_OK);
    struct oxv_reader r = oxv_reader(all);

    assert_true(oxv_read_view16(&r, &v) && oxv_view_is(v, "sixteen"));
    assert_true(oxv_read_view32(&r, &v) && oxv_view_is(v, "thirty-two"));
    assert_true(oxv_read_view16(&r, &v) && v.len == 0);
    assert_true(oxv_reader_at_end(&r));
}

static void
integers_that_are_too_wide_fail_the_writer(void **state)
{
    static const struct {
        void (*write)(struct oxv_writer *w, uint64_t value);
        uint64_t most;
    } writes[] = { { oxv_write_u8, UINT8_MAX },
                   { oxv_write_u16, UINT16_MAX },
                   { oxv_write_u32, UINT32_MAX } };
    struct oxv_view all;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t buffer[8];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

        writes[i].write(&w, writes[i].most);
        assert_int_equal(oxv_writer_finish(&w, &all), OXV_OK);
        writes[i].write(&w, writes[i].most + 1);
        assert_int_equal(oxv_writer_finish(&w, &all), OXV_E_LIMIT);
    }
}

static void
a_writer_that_failed_stays_failed_and_in_bounds(void **state)
{
    uint8_t buffer[8] = { 0 };
    struct oxv_writer w = oxv_writer(buffer, 4);
    struct oxv_view all = oxv_view("untouched", 9);

    (void)state;
    oxv_write_text(&w, "abc");
    oxv_write_u16(&w, 0xffff); /* one too many */
    assert_true(w.failed);
    oxv_write_u8(&w, 0xff); /* would fit */
    assert_null(oxv_write_reserve(&w, 0));
    assert_int_equal(oxv_writer_finish(&w, &all), OXV_E_LIMIT);
    assert_true(oxv_view_is(all, "untouched"));
    assert_memory_equal(buffer, "abc\0\0\0\0\0", 8);
    w = oxv_writer(buffer, 4);
    assert_null(oxv_write_reserve(&w, SIZE_MAX));
    assert_true(w.failed);
}

static void
a_length_is_filled_in_afterwards(void **state)
{
    uint8_t buffer[16];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    size_t outer = oxv_write_begin32(&w);
    size_t inner = oxv_write_begin32(&w);

    (void)state;
    oxv_write_text(&w, "xy");
    oxv_write_end32(&w, inner);
    oxv_write_end32(&w, outer);
    assert_int_equal(w.len, 10);
    assert_memory_equal(buffer, "\0\0\0\6\0\0\0\2xy", 10);
    w = oxv_writer(buffer, 3);
    outer = oxv_write_begin32(&w);
    oxv_write_end32(&w, outer);
    assert_true(w.failed);
}

static void
decimals_have_no_leading_zero(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = { { 0, "0" }, { 9, "9" }, { 10, "10" }, { UINT64_MAX, "18446744073709551615" } };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint8_t buffer[20];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

        oxv_write_decimal(&w, cases[i].value);
        assert_false(w.failed);
        assert_true(oxv_view_is(oxv_view(buffer, w.len), cases[i].text));
    }
}

static void
lines_are_read_up_to_the_last_newline(void **state)
{
    struct oxv_reader r = oxv_reader(oxv_view_text("one\n\nthree\nrest"));
    struct oxv_view line = { 0 };

    (void)state;
    assert_true(oxv_read_line(&r, &line));
    assert_true(oxv_view_is(line, "one"));
    assert_true(oxv_read_line(&r, &line));
    assert_int_equal(line.len, 0);
    assert_true(oxv_read_line(&r, &line));
    assert_true(oxv_view_is(line, "three"));
    assert_false(oxv_read_line(&r, &line));
    assert_true(oxv_view_is(line, "three"));
    assert_true(oxv_view_is(r.left, "rest"));
    r = oxv_reader((struct oxv_view){ 0 });
    assert_false(oxv_read_line(&r, &line));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare_by_content),
        cmocka_unit_test(views_are_cut_within_their_bounds),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(a_read_that_fails_reads_nothing),
        cmocka_unit_test(views_with_a_length_are_read_back),
        cmocka_unit_test(lines_are_read_up_to_the_last_newline),
        cmocka_unit_test(integers_that_are_too_wide_fail_the_writer),
        cmocka_unit_test(a_writer_that_failed_stays_failed_and_in_bounds),
        cmocka_unit_test(a_length_is_filled_in_afterwards),
        cmocka_unit_test(decimals_have_no_leading_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
