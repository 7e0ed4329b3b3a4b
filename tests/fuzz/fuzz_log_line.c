/* fuzz_log_line: up to the first newline a query, behind it a line of the access log. */
#include <stdlib.h>

#include "base/text.h"
#include "service/frontend/log_format.h"
#include "service/frontend/log_line.h"
#include "service/frontend/log_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool
is_entry(struct oxv_view line)
{
    struct oxv_log_line l = oxv_log_line(line);
    struct oxv_log_member member;
    enum oxv_status st;

    while ((st = oxv_log_line_next(&l, &member)) == OXV_OK) {
        require(member.name.len > 0 && member.value.len < line.len);
    }
    return st == OXV_E_NOT_FOUND;
}

static void
write_in_every_format(struct oxv_view line, bool entry)
{
    static const char *const formats[] = { "csv", "ocsf", "ecs", "cef", "leef", "rfc5424" };
    static uint8_t record[OXV_LOG_RECORD_MAX_BYTES];

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const struct oxv_log_format *format = oxv_log_format_find(oxv_view_text(formats[i]));
        struct oxv_writer w = oxv_writer(record, sizeof record);

        if (oxv_log_format_record(format, &w, line) != OXV_OK) {
            continue;
        }
        /* The room that stream.c leaves is enough for what the log can hold. */
        require(entry && (!w.failed || !oxv_is_utf8(line)));
        require(w.failed || oxv_view_find(oxv_view(w.data, w.len), '\n') == w.len - 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_view in = oxv_view(data, size);
    size_t newline = oxv_view_find(in, '\n');
    struct oxv_view line = oxv_view_from(in, newline + 1);
    struct oxv_log_query query;
    struct oxv_err err = { 0 };

    if (line.len > OXV_LOG_LINE_MAX_BYTES) {
        return 0;
    }
    bool entry = is_entry(line);

    write_in_every_format(line, entry);
    if (oxv_log_query_parse(oxv_view_slice(in, 0, newline), &query, &err) == OXV_OK) {
        require((oxv_log_query_match(&query, line) == OXV_E_FORMAT) == !entry);
    } else {
        require(err.text[0] != '\0');
    }
    return 0;
}
