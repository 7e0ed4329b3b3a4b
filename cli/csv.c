#include "cli/csv.h"

#include <stdlib.h>

#include "base/text.h"

/* The row at hand: cells one after another in the text. */
struct row {
    struct oxv_csv *csv;
    struct oxv_writer w;
    size_t begin; /* of the cell at hand */
    struct oxv_err *err;
};

void
oxv_csv_done(struct oxv_csv *csv)
{
    free(csv->text);
    csv->text = NULL;
}

static enum oxv_status
fault(const struct row *row, const char *what)
{
    return oxv_fail(row->err, OXV_E_FORMAT, "line %llu: %s", (unsigned long long)row->csv->line,
                    what);
}

static int
next_byte(struct oxv_csv *csv)
{
    int c = getc(csv->file);

    csv->lines += c == '\n' ? 1 : 0;
    return c;
}

static enum oxv_status
end_cell(struct row *row)
{
    struct oxv_csv *csv = row->csv;
    struct oxv_view cell = oxv_view_from(oxv_view(row->w.data, row->w.len), row->begin);

    if (row->w.failed || csv->count == OXV_CSV_COLUMNS_MAX) {
        return oxv_fail(row->err, OXV_E_LIMIT, "line %llu: the row is too long",
                        (unsigned long long)csv->line);
    }
    if (!oxv_is_utf8(cell)) {
        return fault(row, "this is no UTF-8");
    }
    csv->cells[csv->count++] = cell;
    row->begin = row->w.len;
    return OXV_OK;
}

/* What follows a cell: a comma, or the end of the row. */
static enum oxv_status
take_end(struct row *row, int c, bool *more)
{
    if (c == '\r') {
        c = next_byte(row->csv);
        if (c != '\n') {
            return fault(row, "a carriage return without a line feed");
        }
    }
    if (c != ',' && c != '\n' && c != EOF) {
        return fault(row, "something stands behind a closing quote");
    }
    *more = c == ',';
    return end_cell(row);
}

static enum oxv_status
take_quoted(struct row *row, bool *more)
{
    for (int c = next_byte(row->csv); c != EOF; c = next_byte(row->csv)) {
        if (c == '"') {
            c = next_byte(row->csv);
            if (c != '"') {
                return take_end(row, c, more);
            }
        }
        if (c == '\0') {
            return fault(row, "a NUL");
        }
        oxv_write_u8(&row->w, (uint8_t)c);
        if (row->w.failed) {
            return end_cell(row);
        }
    }
    return fault(row, "a quote is not closed");
}

static enum oxv_status
take_plain(struct row *row, int c, bool *more)
{
    while (c != ',' && c != '\r' && c != '\n' && c != EOF) {
        if (c == '"') {
            return fault(row, "a quote within a cell that is not quoted");
        }
        if (c < 0x20 && c != '\t') {
            return fault(row, "a control character");
        }
        oxv_write_u8(&row->w, (uint8_t)c);
        if (row->w.failed) {
            return end_cell(row);
        }
        c = next_byte(row->csv);
    }
    return take_end(row, c, more);
}

/* The first byte of the file that is not part of a byte order mark. */
static int
skip_mark(struct oxv_csv *csv, int c)
{
    static const int rest[] = { 0xbb, 0xbf };

    if (csv->line != 1 || c != 0xef) {
        return c;
    }
    for (size_t i = 0; i < 2; i++) {
        if (next_byte(csv) != rest[i]) {
            return 0; /* a NUL is as good a fault as any */
        }
    }
    return next_byte(csv);
}

enum oxv_status
oxv_csv_next(struct oxv_csv *csv, struct oxv_err *err)
{
    struct row row = { .csv = csv, .err = err };
    enum oxv_status st = OXV_OK;
    bool more = true;

    csv->text = csv->text == NULL ? malloc(OXV_CSV_ROW_MAX_BYTES) : csv->text;
    if (csv->text == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a row");
    }
    row.w = oxv_writer(csv->text, OXV_CSV_ROW_MAX_BYTES);
    csv->line = csv->lines + 1;
    csv->count = 0;
    int c = skip_mark(csv, next_byte(csv));

    if (c == EOF) {
        return ferror(csv->file) != 0 ? oxv_fail_errno(err, "cannot read") : OXV_E_NOT_FOUND;
    }
    while (st == OXV_OK && more) {
        st = c == '"' ? take_quoted(&row, &more) : take_plain(&row, c, &more);
        c = st == OXV_OK && more ? next_byte(csv) : c;
    }
    if (st == OXV_OK && ferror(csv->file) != 0) {
        return oxv_fail_errno(err, "cannot read");
    }
    return st;
}
