/*
 * report: what log report shows, counted from the entries one after another. Bounded: so many names
 * and so many entries of a list are kept, of the rest only the number; the time axis gets coarser.
 */
#ifndef OXV_CLI_REPORT_H
#define OXV_CLI_REPORT_H

#include "base/cleanup.h"
#include "base/text.h"
#include "vault/log/entry.h"

#define OXV_TALLY_NAMES_MAX  4096u
#define OXV_TALLY_SLOTS      8192u
#define OXV_SPAN_BUCKETS     120u
#define OXV_KEPT_LINES_MAX   500u
#define OXV_KEPT_GAPS_MAX    200u
#define OXV_TALLY_NAME_BYTES 256u /* what is longer is cut, and shown so */

/* How often, by outcome. */
struct oxv_counts {
    uint64_t allowed;
    uint64_t denied;
    uint64_t failed;
};

struct oxv_tally_row {
    char name[OXV_TALLY_NAME_BYTES]; /* as in the entry, escapes taken out */
    struct oxv_counts counts;
};

/* Counts by name. */
struct oxv_tally {
    struct oxv_tally_row **rows; /* OXV_TALLY_NAMES_MAX of them */
    uint16_t *slots;             /* number of a row plus one, by hash */
    size_t count;
    struct oxv_counts others; /* of names beyond the last */
};

/* Counts over time, in buckets of a width that grows. */
struct oxv_span {
    uint64_t begin_s; /* 0: nothing yet */
    size_t width;     /* which of the widths */
    size_t used;      /* buckets */
    struct oxv_counts buckets[OXV_SPAN_BUCKETS];
};

uint64_t oxv_span_width_s(const struct oxv_span *span);

/* The last of some entries, as lines. */
struct oxv_kept {
    uint64_t count; /* of all */
    struct oxv_view lines[OXV_KEPT_LINES_MAX];
};

/* A time without the service: from its last entry to the first one after its next start. */
struct oxv_gap {
    uint64_t from_us;
    uint64_t to_us;
    bool was_stopped; /* else it was killed, or the power failed */
};

struct oxv_report {
    uint64_t from_us; /* entries before are not counted */
    uint64_t to_us;   /* nor those of this moment and later */
    uint64_t entries;
    uint64_t first_us;
    uint64_t last_us;
    struct oxv_counts signatures; /* requests for them */
    struct oxv_counts refusals;   /* of every type; a line may stand for several */
    uint64_t readings;            /* of the log */
    struct oxv_tally by_connection;
    struct oxv_tally by_caller;
    struct oxv_tally by_kind;
    struct oxv_tally by_code;
    struct oxv_tally by_type;
    struct oxv_tally by_reader;
    struct oxv_span span;
    struct oxv_kept changes;
    struct oxv_kept unseals;
    struct oxv_kept clocks;
    struct oxv_kept repairs; /* what the log says of itself: recovery, pending, keys */
    uint64_t gap_count;
    struct oxv_gap gaps[OXV_KEPT_GAPS_MAX];
    uint64_t next_seq; /* across all entries, counted or not */
    uint64_t missing;
    bool has_last; /* the members below are of the entry before */
    bool last_was_stop;
    uint64_t last_time_us;
    char last_boot[OXV_LOG_BOOT_CHARS];
};

/* NULL where memory is out. */
OXV_MUST_USE struct oxv_report *oxv_report_new(void);
void oxv_report_free(struct oxv_report *report);

/*
 * Counts one entry.
 *   OXV_E_FORMAT  it is none
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_report_add(struct oxv_report *report, struct oxv_view line);

/* The rows, those with the highest sums first. */
void oxv_tally_sort(struct oxv_tally *tally);
uint64_t oxv_counts_sum(const struct oxv_counts *counts);

OXV_DEFINE_OWNER(oxv_report);

#endif
