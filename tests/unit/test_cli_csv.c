#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/csv.h"

static enum oxv_status
read_all(const void *text, size_t len, char *out, size_t out_size, struct oxv_err *err)
{
    struct oxv_csv csv = { .file = fmemopen((void *)(uintptr_t)text, len, "r") };
    struct oxv_writer w = oxv_writer(out, out_size - 1);
    enum oxv_status st;

    assert_non_null(csv.file);
    while ((st = oxv_csv_next(&csv, err)) == OXV_OK) {
        for (size_t i = 0; i < csv.count; i++) {
            oxv_write_text(&w, "[");
            oxv_write_view(&w, csv.cells[i]);
            oxv_write_text(&w, "]");
        }
        oxv_write_text(&w, "/");
    }
    assert_false(w.failed);
    out[w.len] = '\0';
    (void)fclose(csv.file);
    oxv_csv_done(&csv);
    return st;
}

static void
rows_and_cells_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *cells;
    } good[] = {
        { "a,b\n", "[a][b]/" },
        { "a,b", "[a][b]/" },
        { "a,b\r\nc,d\r\n", "[a][b]/[c][d]/" },
        { ",\n", "[][]/" },
        { "\n", "[]/" },
        { "\"a,b\",\"c\"\"d\"\r\n", "[a,b][c\"d]/" },
        { "\"a\nb\",c\n", "[a\nb][c]/" },
        { "\"\"\n", "[]/" },
        { "\xef\xbb\xbf"
          "a\n",
          "[a]/" },
        { "\xc3\xa9,\xe2\x80\xae\n", "[\xc3\xa9][\xe2\x80\xae]/" },
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct oxv_err err = { 0 };

        assert_int_equal(read_all(good[i].text, strlen(good[i].text), out, sizeof out, &err),
                         OXV_E_NOT_FOUND);
        assert_string_equal(out, good[i].cells);
    }
}

static void
what_breaks_a_rule_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *why;
    } bad[] = {
        { "a\n\"b", 4, "line 2: a quote is not closed" },
        { "a\"b\n", 4, "line 1: a quote within a cell that is not quoted" },
        { "\"a\"b\n", 5, "line 1: something stands behind a closing quote" },
        { "a\rb\n", 4, "line 1: a carriage return without a line feed" },
        { "a\n\xff\n", 4, "line 2: this is no UTF-8" },
        { "\"a\nb\"\nc\x01\n", 9, "line 3: a control character" },
        { "a\0b\n", 4, "line 1: a control character" },
        { "\"a\0\"\n", 5, "line 1: a NUL" },
        { "\xef\xbb"
          "a\n",
          4, "line 1: a control character" },
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oxv_err err = { 0 };

        assert_int_equal(read_all(bad[i].text, bad[i].len, out, sizeof out, &err), OXV_E_FORMAT);
        assert_string_equal(err.text, bad[i].why);
    }
}

static void
a_row_has_its_limits(void **state)
{
    static char text[OXV_CSV_ROW_MAX_BYTES + 2];
    static char out[2 * sizeof text];
    struct oxv_err err = { 0 };

    (void)state;
    memset(text, 'a', sizeof text);
    text[OXV_CSV_ROW_MAX_BYTES] = '\n';
    assert_int_equal(read_all(text, OXV_CSV_ROW_MAX_BYTES + 1, out, sizeof out, &err),
                     OXV_E_NOT_FOUND);
    text[OXV_CSV_ROW_MAX_BYTES] = 'a';
    assert_int_equal(read_all(text, sizeof text, out, sizeof out, &err), OXV_E_LIMIT);
    memset(text, ',', OXV_CSV_COLUMNS_MAX);
    assert_int_equal(read_all(text, OXV_CSV_COLUMNS_MAX - 1, out, sizeof out, &err),
                     OXV_E_NOT_FOUND);
    assert_int_equal(read_all(text, OXV_CSV_COLUMNS_MAX, out, sizeof out, &err), OXV_E_LIMIT);
    assert_string_equal(err.text, "line 1: the row is too long");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_cells_are_read),
        cmocka_unit_test(what_breaks_a_rule_is_told_with_its_line),
        cmocka_unit_test(a_row_has_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
