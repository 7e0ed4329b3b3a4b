/* cli_csv: rows of CSV; what was read is written again, quoted, and must read the same. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
write_row(struct oxv_writer *w, const struct oxv_csv *csv)
{
    for (size_t i = 0; i < csv->count; i++) {
        oxv_write_text(w, i == 0 ? "\"" : ",\"");
        for (size_t at = 0; at < csv->cells[i].len; at++) {
            oxv_write_text(w, csv->cells[i].data[at] == '"' ? "\"" : "");
            oxv_write_u8(w, csv->cells[i].data[at]);
        }
        oxv_write_u8(w, '"');
    }
    oxv_write_text(w, "\r\n");
}

static void
read_again(struct oxv_view text, const struct oxv_csv *first)
{
    struct oxv_csv again = { .file = fmemopen((void *)(uintptr_t)text.data, text.len, "r") };
    struct oxv_err err = { 0 };

    require(again.file != NULL);
    require(oxv_csv_next(&again, &err) == OXV_OK && again.count == first->count);
    for (size_t i = 0; i < first->count; i++) {
        require(oxv_view_equals(again.cells[i], first->cells[i]));
    }
    require(oxv_csv_next(&again, &err) == OXV_E_NOT_FOUND);
    (void)fclose(again.file);
    oxv_csv_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t written[3 * OXV_CSV_ROW_MAX_BYTES];
    struct oxv_err err = { 0 };
    enum oxv_status st;

    if (size == 0) {
        return 0;
    }
    struct oxv_csv csv = { .file = fmemopen((void *)(uintptr_t)data, size, "r") };

    require(csv.file != NULL);
    while ((st = oxv_csv_next(&csv, &err)) == OXV_OK) {
        struct oxv_writer w = oxv_writer(written, sizeof written);

        require(csv.count > 0 && csv.count <= OXV_CSV_COLUMNS_MAX);
        for (size_t i = 0; i < csv.count; i++) {
            require(oxv_is_utf8(csv.cells[i]));
        }
        write_row(&w, &csv);
        require(!w.failed);
        read_again(oxv_view(w.data, w.len), &csv);
    }
    require(st == OXV_E_NOT_FOUND || err.text[0] != '\0');
    (void)fclose(csv.file);
    oxv_csv_done(&csv);
    return 0;
}
