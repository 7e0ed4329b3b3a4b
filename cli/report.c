#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

/* Each divides the next, so buckets can be added up. */
static const uint64_t widths_s[] = { 1,    5,     15,    60,     300,     900,
                                     3600, 21600, 86400, 604800, 2419200, 31449600 };

#define WIDTHS (sizeof widths_s / sizeof widths_s[0])

uint64_t
oxv_span_width_s(const struct oxv_span *span)
{
    return widths_s[span->width];
}

uint64_t
oxv_counts_sum(const struct oxv_counts *counts)
{
    return counts->allowed + counts->denied + counts->failed;
}

static void
add_counts(struct oxv_counts *to, const struct oxv_counts *more)
{
    to->allowed += more->allowed;
    to->denied += more->denied;
    to->failed += more->failed;
}

static bool
tally_init(struct oxv_tally *tally)
{
    tally->rows = calloc(OXV_TALLY_NAMES_MAX, sizeof *tally->rows);
    tally->slots = calloc(OXV_TALLY_SLOTS, sizeof *tally->slots);
    return tally->rows != NULL && tally->slots != NULL;
}

static void
tally_done(struct oxv_tally *tally)
{
    for (size_t i = 0; i < tally->count; i++) {
        free(tally->rows[i]);
    }
    free(tally->rows);
    free(tally->slots);
}

/* FNV-1a: names are few, and a chain of equal hashes costs time only. */
static size_t
slot_of(const char *name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; name[i] != '\0'; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    }
    return hash % OXV_TALLY_SLOTS;
}

/* A value of an entry without its escapes; what does not fit is cut between characters. */
static void
copy_name(struct oxv_view value, char out[OXV_TALLY_NAME_BYTES])
{
    struct oxv_writer w = oxv_writer(out, OXV_TALLY_NAME_BYTES - 4);

    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '\\' && i + 1 < value.len) {
            i++;
        }
        oxv_write_u8(&w, value.data[i]);
    }
    if (w.failed) {
        w.len = oxv_utf8_prefix_len(oxv_view(w.data, w.len));
        memcpy(out + w.len, "...", 3);
        w.len += 3;
    }
    out[w.len] = '\0';
}

/* The row of that name, made where there is none; NULL where there is no room for it. */
static struct oxv_tally_row *
find_row(struct oxv_tally *tally, const char *name, bool *no_memory)
{
    size_t slot = slot_of(name);

    while (tally->slots[slot] != 0) {
        struct oxv_tally_row *row = tally->rows[tally->slots[slot] - 1u];

        if (strcmp(row->name, name) == 0) {
            return row;
        }
        slot = (slot + 1) % OXV_TALLY_SLOTS;
    }
    if (tally->count == OXV_TALLY_NAMES_MAX) {
        return NULL;
    }
    struct oxv_tally_row *row = calloc(1, sizeof *row);

    *no_memory = row == NULL;
    if (row != NULL) {
        memcpy(row->name, name, strlen(name) + 1);
        tally->rows[tally->count++] = row;
        tally->slots[slot] = (uint16_t)tally->count;
    }
    return row;
}

/* An entry without that member is not counted by it. */
static enum oxv_status
tally_add(struct oxv_tally *tally, struct oxv_view value, const struct oxv_counts *counts)
{
    char name[OXV_TALLY_NAME_BYTES];
    bool no_memory = false;

    if (value.len == 0) {
        return OXV_OK;
    }
    copy_name(value, name);
    struct oxv_tally_row *row = find_row(tally, name, &no_memory);

    add_counts(row == NULL ? &tally->others : &row->counts, counts);
    return no_memory ? OXV_E_MEMORY : OXV_OK;
}

static int
compare_rows(const void *a, const void *b)
{
    const struct oxv_tally_row *const *left = a;
    const struct oxv_tally_row *const *right = b;
    uint64_t x = oxv_counts_sum(&(*left)->counts);
    uint64_t y = oxv_counts_sum(&(*right)->counts);

    if (x != y) {
        return x > y ? -1 : 1;
    }
    return strcmp((*left)->name, (*right)->name);
}

void
oxv_tally_sort(struct oxv_tally *tally)
{
    qsort(tally->rows, tally->count, sizeof(struct oxv_tally_row *), compare_rows);
    memset(tally->slots, 0, OXV_TALLY_SLOTS * sizeof *tally->slots); /* no more names */
}

/* Makes the buckets wide enough for a time to come. */
static void
widen(struct oxv_span *span)
{
    struct oxv_counts old[OXV_SPAN_BUCKETS];
    uint64_t width = widths_s[span->width];
    uint64_t wider = widths_s[span->width + 1];
    uint64_t begin_s = span->begin_s - span->begin_s % wider;

    memcpy(old, span->buckets, sizeof old);
    memset(span->buckets, 0, sizeof span->buckets);
    for (size_t i = 0; i < span->used; i++) {
        size_t to = (size_t)((span->begin_s + i * width - begin_s) / wider);

        add_counts(&span->buckets[to], &old[i]);
    }
    span->used = (size_t)((span->begin_s + (span->used - 1) * width - begin_s) / wider) + 1;
    span->begin_s = begin_s;
    span->width++;
}

/* The log's time never decreases, so a new entry is of the last bucket or a later one. */
static void
span_add(struct oxv_span *span, uint64_t time_s, const struct oxv_counts *counts)
{
    if (span->used == 0) {
        span->begin_s = time_s;
        span->used = 1;
    }
    time_s = time_s < span->begin_s ? span->begin_s : time_s;
    while ((time_s - span->begin_s) / widths_s[span->width] >= OXV_SPAN_BUCKETS &&
           span->width + 1 < WIDTHS) {
        widen(span);
    }
    size_t at = (size_t)((time_s - span->begin_s) / widths_s[span->width]);

    at = at < OXV_SPAN_BUCKETS ? at : OXV_SPAN_BUCKETS - 1;
    span->used = at + 1 > span->used ? at + 1 : span->used;
    add_counts(&span->buckets[at], counts);
}

static enum oxv_status
keep(struct oxv_kept *kept, struct oxv_view line)
{
    uint8_t *copy = malloc(line.len);
    struct oxv_view *place = &kept->lines[kept->count % OXV_KEPT_LINES_MAX];

    if (copy == NULL) {
        return OXV_E_MEMORY;
    }
    memcpy(copy, line.data, line.len);
    free((void *)(uintptr_t)place->data); /* ours: the one it takes the place of */
    *place = oxv_view(copy, line.len);
    kept->count++;
    return OXV_OK;
}

static void
kept_done(struct oxv_kept *kept)
{
    for (size_t i = 0; i < OXV_KEPT_LINES_MAX; i++) {
        free((void *)(uintptr_t)kept->lines[i].data);
    }
}

static struct oxv_tally *
tally_at(struct oxv_report *r, size_t i)
{
    struct oxv_tally *const all[] = { &r->by_connection, &r->by_caller, &r->by_kind,
                                      &r->by_code,       &r->by_type,   &r->by_reader };

    return i < sizeof all / sizeof all[0] ? all[i] : NULL;
}

struct oxv_report *
oxv_report_new(void)
{
    OXV_AUTO(oxv_report_freep) struct oxv_report *r = calloc(1, sizeof *r);
    struct oxv_tally *tally;

    if (r == NULL) {
        return NULL;
    }
    r->to_us = UINT64_MAX;
    for (size_t i = 0; (tally = tally_at(r, i)) != NULL; i++) {
        if (!tally_init(tally)) {
            return NULL;
        }
    }
    return oxv_report_take(&r);
}

void
oxv_report_free(struct oxv_report *r)
{
    struct oxv_tally *tally;

    if (r == NULL) {
        return;
    }
    for (size_t i = 0; (tally = tally_at(r, i)) != NULL; i++) {
        tally_done(tally);
    }
    kept_done(&r->changes);
    kept_done(&r->unseals);
    kept_done(&r->clocks);
    kept_done(&r->repairs);
    free(r);
}

/* The list an entry belongs into, or NULL. */
static struct oxv_kept *
list_of(struct oxv_report *r, enum oxv_entry_type type)
{
    struct oxv_view name = oxv_view_text(oxv_entry_type_name(type));

    if (type == OXV_ENTRY_CLOCK_STEP) {
        return &r->clocks;
    }
    /* A change that was done is listed as what it was. */
    if (type == OXV_ENTRY_LOG_READ || type == OXV_ENTRY_LOG_EXPORT || type == OXV_ENTRY_SIGN ||
        type == OXV_ENTRY_PEER || type == OXV_ENTRY_ADMIN || type == OXV_ENTRY_CHANGE_DONE) {
        return NULL;
    }
    if (oxv_view_has_prefix(name, "vault.") || oxv_view_has_prefix(name, "service.") ||
        type == OXV_ENTRY_TOKEN_LOGIN) {
        return &r->unseals;
    }
    if (oxv_view_has_prefix(name, "log.") || type == OXV_ENTRY_FRONTEND) {
        return &r->repairs;
    }
    return type == OXV_ENTRY_TOKEN_STATE ? NULL : &r->changes;
}

static struct oxv_counts
counts_of(const struct oxv_entry *entry)
{
    struct oxv_counts counts = { 0 };
    uint64_t n = entry->count == 0 || entry->type == OXV_ENTRY_LOG_RECOVERY ? 1 : entry->count;

    counts.denied = entry->outcome == OXV_OUTCOME_DENIED ? n : 0;
    counts.failed = entry->outcome == OXV_OUTCOME_FAILED ? n : 0;
    counts.allowed = counts.denied + counts.failed == 0 ? n : 0;
    return counts;
}

static enum oxv_status
count_reader(struct oxv_report *r, const struct oxv_entry *entry, const struct oxv_counts *counts)
{
    char uid[32] = "";

    r->readings += oxv_counts_sum(counts);
    if (entry->uid_plus1 > 0 &&
        oxv_format(uid, sizeof uid, "%llu", (unsigned long long)(entry->uid_plus1 - 1)) != OXV_OK) {
        oxv_bug("a uid that is too long");
    }
    return tally_add(&r->by_reader, oxv_view_text(uid), counts);
}

/* A signature, or a request that got none. */
static enum oxv_status
count_signature(struct oxv_report *r, const struct oxv_entry *entry,
                const struct oxv_counts *counts)
{
    enum oxv_status st = tally_add(&r->by_connection, entry->connection, counts);

    add_counts(&r->signatures, counts);
    st = st == OXV_OK ? tally_add(&r->by_caller, entry->caller, counts) : st;
    return st == OXV_OK ? tally_add(&r->by_kind, entry->kind, counts) : st;
}

static enum oxv_status
count(struct oxv_report *r, const struct oxv_entry_line *parsed, struct oxv_view line)
{
    const struct oxv_entry *entry = &parsed->entry;
    enum oxv_entry_type type = (enum oxv_entry_type)entry->type;
    struct oxv_counts counts = counts_of(entry);
    struct oxv_counts refused = { .denied = counts.denied, .failed = counts.failed };
    struct oxv_counts shown = refused;
    struct oxv_kept *list = list_of(r, type);
    enum oxv_status st = OXV_OK;

    r->first_us = r->entries == 0 ? parsed->time_us : r->first_us;
    r->last_us = parsed->time_us;
    r->entries++;
    add_counts(&r->refusals, &refused);
    if (type == OXV_ENTRY_SIGN) {
        shown.allowed = counts.allowed;
        st = count_signature(r, entry, &counts);
    } else if (type == OXV_ENTRY_LOG_READ || type == OXV_ENTRY_LOG_EXPORT) {
        st = count_reader(r, entry, &counts);
    }
    span_add(&r->span, parsed->time_us / 1000000u, &shown);
    st = st == OXV_OK ? tally_add(&r->by_code, entry->code, &counts) : st;
    st = st == OXV_OK
             ? tally_add(&r->by_type, oxv_view_text(oxv_entry_type_name(entry->type)), &counts)
             : st;
    return st == OXV_OK && list != NULL ? keep(list, line) : st;
}

/* Between two entries: another run of the service, or entries that are not there. */
static void
look_between(struct oxv_report *r, const struct oxv_entry_line *parsed)
{
    bool is_other = r->has_last && memcmp(r->last_boot, parsed->boot.data, parsed->boot.len) != 0;
    bool is_wanted = parsed->time_us >= r->from_us && parsed->time_us < r->to_us;

    if (is_other && is_wanted) {
        r->gaps[r->gap_count++ % OXV_KEPT_GAPS_MAX] = (struct oxv_gap){
            .from_us = r->last_time_us, .to_us = parsed->time_us, .was_stopped = r->last_was_stop
        };
    }
    if (parsed->seq > r->next_seq) {
        r->missing += parsed->seq - r->next_seq;
    }
    r->next_seq = parsed->seq + 1;
    r->has_last = true;
    /* Whoever made the vault ended without a word, as it should. */
    r->last_was_stop =
        parsed->entry.type == OXV_ENTRY_SERVICE_STOP || parsed->entry.type == OXV_ENTRY_LOG_GENESIS;
    r->last_time_us = parsed->time_us;
    memcpy(r->last_boot, parsed->boot.data, sizeof r->last_boot);
}

enum oxv_status
oxv_report_add(struct oxv_report *r, struct oxv_view line)
{
    struct oxv_entry_line parsed;
    struct oxv_entry_fault fault;
    enum oxv_status st = oxv_entry_check(line, &parsed, &fault);

    if (st != OXV_OK) {
        return st;
    }
    look_between(r, &parsed);
    if (parsed.time_us < r->from_us || parsed.time_us >= r->to_us) {
        return OXV_OK;
    }
    return count(r, &parsed, line);
}
