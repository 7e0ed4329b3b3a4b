#include "service/frontend/log_format.h"

static const struct oxv_log_format formats[] = {
    { "jsonl", "application/jsonl", NULL, NULL },
    { "csv", "text/csv", oxv_log_csv_begin, oxv_log_csv_record },
    { "ocsf", "application/x-ndjson", NULL, oxv_log_ocsf_record },
    { "ecs", "application/x-ndjson", NULL, oxv_log_ecs_record },
    { "cef", "text/plain", NULL, oxv_log_cef_record },
    { "leef", "text/plain", NULL, oxv_log_leef_record },
    { "rfc5424", "text/plain", NULL, oxv_log_rfc5424_record },
};

const struct oxv_log_format *
oxv_log_format_find(struct oxv_view name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (name.len == 0 || oxv_view_is(name, formats[i].name)) {
            return &formats[i];
        }
    }
    return NULL;
}

enum oxv_status
oxv_log_format_record(const struct oxv_log_format *format, struct oxv_writer *w,
                      struct oxv_view line)
{
    struct oxv_log_fields fields;

    if (format->record == NULL) {
        oxv_write_view(w, line);
        oxv_write_u8(w, '\n');
        return OXV_OK;
    }
    enum oxv_status st = oxv_log_fields_read(line, &fields);

    if (st == OXV_OK) {
        format->record(w, &fields);
    }
    return st;
}
