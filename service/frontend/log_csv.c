#include "service/frontend/log_csv.h"

#include "service/frontend/log_line.h"

/* The order of design.md 7, then what only entry 0 has. */
static const char *const columns[] = {
    "v",
    "seq",
    "epoch",
    "boot",
    "time",
    "mono_us",
    "type",
    "outcome",
    "code",
    "caller",
    "uid",
    "gid",
    "pid",
    "door",
    "connection",
    "kind",
    "method",
    "host",
    "path",
    "url_hash",
    "sig_hash",
    "nonce",
    "ts",
    "key_version",
    "grant",
    "grant_version",
    "cfg",
    "cfg_digest",
    "count",
    "request_id",
    "node",
    "reason",
    "unsigned_since",
    "next_key",
    "vault",
    "origin",
};

#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static bool
is_formula_start(uint8_t c)
{
    return oxv_view_find(oxv_view("=+-@\t\r\0", 7), c) < 7;
}

static void
write_cell(struct oxv_writer *w, struct oxv_view value)
{
    struct oxv_reader r = oxv_reader(value);
    bool is_first = true;
    uint8_t c;

    oxv_write_u8(w, '"');
    while (oxv_log_text_next(&r, &c)) {
        if (is_first && is_formula_start(c)) {
            oxv_write_u8(w, '\'');
        }
        if (c == '"') {
            oxv_write_u8(w, '"');
        }
        oxv_write_u8(w, c);
        is_first = false;
    }
    oxv_write_u8(w, '"');
}

static void
write_end_of_cell(struct oxv_writer *w, size_t column)
{
    oxv_write_text(w, column + 1 < COLUMN_COUNT ? "," : "\r\n");
}

void
oxv_log_csv_header(struct oxv_writer *w)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        write_cell(w, oxv_view_text(columns[i]));
        write_end_of_cell(w, i);
    }
}

static bool
place(struct oxv_view values[COLUMN_COUNT], const struct oxv_log_member *member)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (oxv_view_is(member->name, columns[i])) {
            bool is_new = values[i].data == NULL;

            values[i] = member->value;
            return is_new;
        }
    }
    return false;
}

enum oxv_status
oxv_log_csv_row(struct oxv_writer *w, struct oxv_view line)
{
    struct oxv_view values[COLUMN_COUNT] = { 0 };
    struct oxv_log_line members = oxv_log_line(line);
    struct oxv_log_member member;
    enum oxv_status st;

    while ((st = oxv_log_line_next(&members, &member)) == OXV_OK) {
        if (!place(values, &member)) {
            return OXV_E_FORMAT;
        }
    }
    if (st != OXV_E_NOT_FOUND) {
        return st;
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        write_cell(w, values[i]);
        write_end_of_cell(w, i);
    }
    return OXV_OK;
}
