/* The reader of lines: what it makes of lines, cuts and zero bytes, wherever its buffer ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "vault/log/entry.h"
#include "vault/log/lines.h"

#define BUFFER_BYTES 262144u /* of the reader */
#define FILE_MAX     (3u * BUFFER_BYTES)

struct wanted {
    enum oxv_line_kind kind;
    uint64_t offset;
    struct oxv_view text;
};

static uint8_t bytes[FILE_MAX];

static void
must_read(size_t len, const struct wanted *wanted, size_t count)
{
    OXV_AUTO(oxv_closep) int fd = memfd_create("lines", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(oxv_write_all(fd, oxv_view(bytes, len)), OXV_OK);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    OXV_AUTO(oxv_lines_freep) struct oxv_lines *lines = oxv_lines_new(fd);

    assert_non_null(lines);
    for (size_t i = 0; i < count + 2; i++) { /* END stays END */
        const struct wanted end = { .kind = OXV_LINE_END, .offset = len };
        const struct wanted *w = i < count ? &wanted[i] : &end;
        struct oxv_line line;

        assert_int_equal(oxv_lines_next(lines, &line), OXV_OK);
        assert_int_equal(line.kind, w->kind);
        assert_int_equal(line.offset, w->offset);
        assert_true(oxv_view_equals(line.text, w->text));
    }
}

static void
lines_cuts_and_holes_are_told_apart(void **state)
{
    static const char text[] = "one\n\ntwo\0x\nthr\0\0four\0\0\0\nfive";
    const struct wanted wanted[] = {
        { OXV_LINE_WHOLE, 0, oxv_view("one", 3) },
        { OXV_LINE_WHOLE, 4, oxv_view("", 0) },
        { OXV_LINE_WHOLE, 5, oxv_view("two\0x", 5) }, /* zeros within a line are part of it */
        { OXV_LINE_WHOLE, 11, oxv_view("thr\0\0four\0\0\0", 12) },
        { OXV_LINE_PARTIAL, 24, oxv_view("five", 4) },
    };

    (void)state;
    memcpy(bytes, text, sizeof text - 1);
    must_read(sizeof text - 1, wanted, 5);
    must_read(0, NULL, 0);
}

static void
zeros_where_a_line_begins_are_a_hole_or_the_end(void **state)
{
    static const size_t lengths[] = { 1, 2, 16384, 16385, BUFFER_BYTES - 4, BUFFER_BYTES };

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t end = 4 + lengths[i];
        const struct wanted hole[] = {
            { OXV_LINE_WHOLE, 0, oxv_view("one", 3) },
            { OXV_LINE_HOLE, 4, { 0 } },
            { OXV_LINE_WHOLE, end, oxv_view("two", 3) },
            { OXV_LINE_ZEROS, end + 4, { 0 } },
        };
        const struct wanted zeros[] = { { OXV_LINE_WHOLE, 0, oxv_view("one", 3) },
                                        { OXV_LINE_ZEROS, 4, { 0 } } };

        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, "one\n", 4);
        must_read(end, zeros, 2);
        memcpy(bytes + end, "two\n", 4);
        must_read(end + 4 + lengths[i], hole, 4);
        must_read(end + 4, hole, 3);
    }
}

static void
a_line_that_breaks_off_ends_at_the_first_zero(void **state)
{
    static const size_t lengths[] = { 1, 16384 - 4, 16384, BUFFER_BYTES };

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t end = 8 + lengths[i];
        const struct wanted cut[] = { { OXV_LINE_WHOLE, 0, oxv_view("one", 3) },
                                      { OXV_LINE_PARTIAL, 4, oxv_view("half", 4) },
                                      { OXV_LINE_ZEROS, 8, { 0 } } };
        const struct wanted hole[] = { { OXV_LINE_WHOLE, 0, oxv_view("one", 3) },
                                       { OXV_LINE_PARTIAL, 4, oxv_view("half", 4) },
                                       { OXV_LINE_HOLE, 8, { 0 } },
                                       { OXV_LINE_PARTIAL, end, oxv_view("x", 1) } };

        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, "one\nhalf", 8);
        must_read(end, cut, 3);
        bytes[end] = 'x';
        must_read(end + 1, hole, 4);
    }
}

static void
the_longest_line_is_one_and_the_next_longer_is_not(void **state)
{
    const size_t max = OXV_LOG_ENTRY_MAX_BYTES;
    const struct wanted whole[] = { { OXV_LINE_WHOLE, 0, oxv_view(bytes, max) } };
    const struct wanted cut[] = { { OXV_LINE_PARTIAL, 0, oxv_view(bytes, max) } };
    const struct wanted more[] = {
        { OXV_LINE_LONG, 0, oxv_view(bytes, OXV_LINES_KEPT_BYTES) },
        { OXV_LINE_WHOLE, max + 2, oxv_view("x", 1) },
    };
    const struct wanted never[] = { { OXV_LINE_LONG, 0, oxv_view("", 0) } };

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    must_read(max, cut, 1);
    must_read(sizeof bytes, never, 1);
    bytes[max] = '\n';
    must_read(max + 1, whole, 1);
    bytes[max] = 'x';
    bytes[max + 1] = '\n';
    bytes[max + 3] = '\n';
    must_read(max + 4, more, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_cuts_and_holes_are_told_apart),
        cmocka_unit_test(zeros_where_a_line_begins_are_a_hole_or_the_end),
        cmocka_unit_test(a_line_that_breaks_off_ends_at_the_first_zero),
        cmocka_unit_test(the_longest_line_is_one_and_the_next_longer_is_not),
    };

    return cmocka_run_group_tests_name("log lines", tests, NULL, NULL);
}
