/*
 * log_format: the forms in which entries of the access log go out. Each is one record a line, and
 * without a byte order mark. Only JSON Lines is the log itself; the others are views of it. They
 * carry the leaf hash of the entry and, but for LEEF, its exact line.
 */
#ifndef OXV_SERVICE_FRONTEND_LOG_FORMAT_H
#define OXV_SERVICE_FRONTEND_LOG_FORMAT_H

#include "service/frontend/log_fields.h"
#include "service/frontend/log_line.h"

/*
 * No record is longer. The line goes into it at most twice, once taken apart; two bytes of it (a
 * C1 control) become at most eight, and names and labels fit into what is added.
 */
#define OXV_LOG_RECORD_MAX_BYTES (8u * OXV_LOG_LINE_MAX_BYTES + 8192u)

struct oxv_log_format {
    const char *name;
    const char *media_type;
    void (*begin)(struct oxv_writer *w); /* before the first record; NULL: nothing */
    /* One record and its end of line. NULL: the line as it stands. */
    void (*record)(struct oxv_writer *w, const struct oxv_log_fields *fields);
};

/* The format of that name, or NULL. Without a name: JSON Lines. */
const struct oxv_log_format *oxv_log_format_find(struct oxv_view name);

/*
 * One entry as a record.
 *   OXV_E_FORMAT  it is no entry, or has a member twice or one that is not known
 */
OXV_MUST_USE enum oxv_status oxv_log_format_record(const struct oxv_log_format *format,
                                                   struct oxv_writer *w, struct oxv_view line);

/* The formats: log_csv.c, log_json.c, log_text.c. */
void oxv_log_csv_begin(struct oxv_writer *w);
void oxv_log_csv_record(struct oxv_writer *w, const struct oxv_log_fields *fields);
void oxv_log_ocsf_record(struct oxv_writer *w, const struct oxv_log_fields *fields);
void oxv_log_ecs_record(struct oxv_writer *w, const struct oxv_log_fields *fields);
void oxv_log_cef_record(struct oxv_writer *w, const struct oxv_log_fields *fields);
void oxv_log_leef_record(struct oxv_writer *w, const struct oxv_log_fields *fields);
void oxv_log_rfc5424_record(struct oxv_writer *w, const struct oxv_log_fields *fields);

#endif
