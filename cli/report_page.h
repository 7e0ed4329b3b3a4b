/*
 * report_page: a report as one HTML file: no script, nothing loaded, nothing linked. Every text of
 * an entry is escaped, and what hides or reorders text is shown as \u{202E}.
 */
#ifndef OXV_CLI_REPORT_PAGE_H
#define OXV_CLI_REPORT_PAGE_H

#include <stdio.h>

#include "cli/report.h"

enum oxv_report_grade { OXV_REPORT_GOOD, OXV_REPORT_PARTLY, OXV_REPORT_BAD };

/* What is said of the log itself. Texts are borrowed. */
struct oxv_report_verdict {
    enum oxv_report_grade grade;
    const char *title;
    const char *text;
    const char *fingerprint; /* of the key it was checked with; NULL: none */
    const char *checkpoint;  /* a signed note */
    const char *origin;
    uint64_t size;
    uint8_t root[32];
};

/* `from` and `to` as they were asked for, or NULL. What could not be written is for ferror(). */
void oxv_report_print(FILE *out, struct oxv_report *report,
                      const struct oxv_report_verdict *verdict, const char *from, const char *to);

/* For the parts of the page: a text for people, as it stands or as a value of an entry. */
void oxv_page_text(FILE *out, const char *text);
void oxv_page_value(FILE *out, struct oxv_view value);
/* With commas between thousands. */
void oxv_page_number(FILE *out, uint64_t number);
/* "2026-01-02 03:04:05" */
void oxv_page_time(FILE *out, uint64_t time_us);

/* report_chart: signatures and refusals over time, as SVG. */
void oxv_page_chart(FILE *out, const struct oxv_span *span);

#endif
