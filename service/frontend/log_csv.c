/*
 * log_csv: entries as CSV (RFC 4180): every field quoted, CR LF behind each row, always the same
 * columns. A cell that a spreadsheet could take for a formula gets an apostrophe in front, so CSV
 * is for looking at; what can be verified is JSON Lines.
 */
#include "service/frontend/log_format.h"

static bool
is_formula_start(uint8_t c)
{
    return oxv_view_find(oxv_view("=+-@", 4), c) < 4; /* controls are escaped anyway */
}

static void
put_quoted(struct oxv_writer *w, uint8_t c)
{
    if (c == '"') {
        oxv_write_u8(w, '"');
    }
    oxv_write_u8(w, c);
}

static void
write_cell(struct oxv_writer *w, struct oxv_view value)
{
    oxv_write_u8(w, '"');
    if (value.len > 0 && is_formula_start(value.data[0])) {
        oxv_write_u8(w, '\'');
    }
    oxv_log_write_shown(w, value, put_quoted);
    oxv_write_text(w, "\",");
}

void
oxv_log_csv_begin(struct oxv_writer *w)
{
    for (size_t i = 0; i < OXV_LOG_FIELDS; i++) {
        write_cell(w, oxv_view_text(oxv_log_field_name((enum oxv_log_field)i)));
    }
    oxv_write_text(w, "\"leaf_hash\",\"line\"\r\n");
}

void
oxv_log_csv_record(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    for (size_t i = 0; i < OXV_LOG_FIELDS; i++) {
        write_cell(w, f->values[i]);
    }
    write_cell(w, oxv_view_text(f->leaf));
    oxv_write_u8(w, '"');
    oxv_log_write_line(w, f->line, put_quoted);
    oxv_write_text(w, "\"\r\n");
}
