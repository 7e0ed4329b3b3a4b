/*
 * log_csv: entries as CSV (RFC 4180): every field quoted, CR LF behind each row, always the same
 * columns. A cell that a spreadsheet could take for a formula gets an apostrophe in front, so CSV
 * is for looking at; what can be verified is JSON Lines.
 */
#ifndef OXV_SERVICE_FRONTEND_LOG_CSV_H
#define OXV_SERVICE_FRONTEND_LOG_CSV_H

#include "base/bytes.h"
#include "base/status.h"

/* The row of names. */
void oxv_log_csv_header(struct oxv_writer *w);
/*
 * One entry as a row.
 *   OXV_E_FORMAT  it is no entry, or has a member twice or one without a column
 */
OXV_MUST_USE enum oxv_status oxv_log_csv_row(struct oxv_writer *w, struct oxv_view line);

#endif
