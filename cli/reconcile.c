#include "cli/reconcile.h"

#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "cli/csv.h"

const char *const oxv_login_field_names[OXV_LOGIN_FIELDS] = {
    [OXV_LOGIN_DATE] = "date",     [OXV_LOGIN_USER] = "user",
    [OXV_LOGIN_STATUS] = "status", [OXV_LOGIN_TOKEN] = "token",
    [OXV_LOGIN_DETAIL] = "detail", [OXV_LOGIN_APPLICATION] = "application",
    [OXV_LOGIN_IP] = "ip",
};

/* The details of token logins, as Oracle documents them. */
static const struct {
    const char *detail;
    const char *cause;
} causes[] = {
    { "consumer_key_unknown", "wrong consumer key, or wrong account or sandbox" },
    { "consumer_key_refused", "the integration record is blocked: set its state to Enabled" },
    { "token_rejected", "the token is revoked, or of another integration or account" },
    { "permission_denied", "user or role inactive, or the role may not log in with tokens" },
    { "InvalidSignature", "wrong secret: import it again" },
    { "UnknownAlgorithm", "the signature method is not HMAC-SHA256" },
    { "InvalidTimestamp", "the clock is wrong by over 5 minutes, or the request waited: see NTP" },
    { "nonce_used", "the request was sent twice: each attempt needs a signature of its own" },
    { "NonceUsed", "the request was sent twice: each attempt needs a signature of its own" },
    { "nonce_rejected", "the nonce is too short: not one of this vault" },
    { "parameter_rejected", "an OAuth parameter is doubled, empty or malformed" },
    { "MissingTokenPassportRequiredFields", "a field of the TokenPassport is missing" },
    { "VersionRejected", "oauth_version is not 1.0" },
    { "FeatureDisabled", "Token-based Authentication is switched off in the account" },
    { "temporary_locked", "too many failed logins: wait 30 minutes" },
};

const char *
oxv_login_cause(const char *detail)
{
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (strcasecmp(detail, causes[i].detail) == 0) {
            return causes[i].cause;
        }
    }
    return NULL;
}

static void
login_done(struct oxv_login *login)
{
    for (size_t i = 0; i < OXV_LOGIN_FIELDS; i++) {
        free(login->cells[i]);
    }
}

void
oxv_logins_done(struct oxv_logins *logins)
{
    for (size_t i = 0; i < logins->count; i++) {
        login_done(&logins->rows[i]);
    }
    free(logins->rows);
    *logins = (struct oxv_logins){ .count = 0 };
}

/* Digits, at most `max` of them. */
static bool
take_number(struct oxv_view *text, size_t max, uint64_t *out)
{
    size_t len = 0;
    uint64_t number = 0;

    while (len < text->len && len < max && text->data[len] >= '0' && text->data[len] <= '9') {
        number = number * 10 + (uint64_t)(text->data[len] - '0');
        len++;
    }
    *text = oxv_view_from(*text, len);
    *out = number;
    return len > 0;
}

static bool
take_one_of(struct oxv_view *text, const char *choices)
{
    bool there = text->len > 0 && text->data[0] != '\0' && strchr(choices, text->data[0]) != NULL;

    *text = oxv_view_from(*text, there ? 1 : 0);
    return there;
}

static bool
take_date(struct oxv_view *text, enum oxv_date_order order, uint64_t date[3])
{
    uint64_t part[3];
    static const size_t places[][3] = { { 2, 0, 1 }, { 2, 1, 0 }, { 0, 1, 2 } };

    if (!take_number(text, 4, &part[0]) || !take_one_of(text, "/.-") ||
        !take_number(text, 2, &part[1]) || !take_one_of(text, "/.-") ||
        !take_number(text, 4, &part[2])) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        date[i] = part[places[order][i]];
    }
    return true;
}

/* "3:04 pm", "15:04:05", with nothing behind. */
static bool
take_clock(struct oxv_view text, uint64_t clock[3], bool *has_seconds)
{
    clock[2] = 0;
    if (!take_number(&text, 2, &clock[0]) || !take_one_of(&text, ":") ||
        !take_number(&text, 2, &clock[1])) {
        return false;
    }
    *has_seconds = take_one_of(&text, ":");
    if (*has_seconds && !take_number(&text, 2, &clock[2])) {
        return false;
    }
    (void)take_one_of(&text, " ");
    if (text.len == 0) {
        return true;
    }
    bool is_pm = text.data[0] == 'p' || text.data[0] == 'P';

    if (clock[0] < 1 || clock[0] > 12 || !take_one_of(&text, "apAP") || !take_one_of(&text, "mM") ||
        text.len > 0) {
        return false;
    }
    clock[0] = clock[0] % 12 + (is_pm ? 12 : 0);
    return true;
}

bool
oxv_login_time(struct oxv_view text, const struct oxv_login_form *form, uint64_t *time_us,
               uint64_t *precision_us)
{
    char iso[64];
    uint64_t date[3];
    uint64_t clock[3];
    bool has_seconds = true;

    *precision_us = 1000000u;
    if (text.len > 10 && oxv_parse_timestamp(text, time_us)) {
        return true; /* RFC 3339 says its offset itself */
    }
    if (!take_date(&text, form->order, date) || !take_one_of(&text, " ") ||
        !take_clock(text, clock, &has_seconds) ||
        oxv_format(iso, sizeof iso, "%04llu-%02llu-%02lluT%02llu:%02llu:%02lluZ",
                   (unsigned long long)date[0], (unsigned long long)date[1],
                   (unsigned long long)date[2], (unsigned long long)clock[0],
                   (unsigned long long)clock[1], (unsigned long long)clock[2]) != OXV_OK ||
        !oxv_parse_timestamp(oxv_view_text(iso), time_us)) {
        return false;
    }
    *precision_us = has_seconds ? 1000000u : 60000000u;
    int64_t at_us = (int64_t)*time_us - form->offset_s * 1000000;

    *time_us = (uint64_t)at_us;
    return at_us >= 0;
}

/* Where each field is in the rows; OXV_CSV_COLUMNS_MAX: nowhere. */
static enum oxv_status
find_columns(const struct oxv_csv *csv, const struct oxv_login_form *form,
             size_t places[OXV_LOGIN_FIELDS], struct oxv_err *err)
{
    for (size_t f = 0; f < OXV_LOGIN_FIELDS; f++) {
        places[f] = OXV_CSV_COLUMNS_MAX;
        for (size_t i = 0; i < csv->count; i++) {
            if (oxv_view_is(csv->cells[i], form->titles[f])) {
                places[f] = i;
            }
        }
    }
    if (places[OXV_LOGIN_DATE] == OXV_CSV_COLUMNS_MAX) {
        return oxv_fail(err, OXV_E_FORMAT, "there is no column \"%s\" (see --column date=TITLE)",
                        form->titles[OXV_LOGIN_DATE]);
    }
    if (places[OXV_LOGIN_USER] == OXV_CSV_COLUMNS_MAX) {
        return oxv_fail(err, OXV_E_FORMAT, "there is no column \"%s\" (see --column user=TITLE)",
                        form->titles[OXV_LOGIN_USER]);
    }
    return OXV_OK;
}

static bool
fill_cells(struct oxv_login *login, const struct oxv_csv *csv,
           const size_t places[OXV_LOGIN_FIELDS])
{
    for (size_t f = 0; f < OXV_LOGIN_FIELDS; f++) {
        struct oxv_view cell = places[f] < csv->count ? csv->cells[places[f]] : oxv_view("", 0);

        login->cells[f] = malloc(cell.len + 1);
        if (login->cells[f] == NULL) {
            return false;
        }
        struct oxv_writer w = oxv_writer(login->cells[f], cell.len);

        oxv_write_view(&w, cell);
        login->cells[f][cell.len] = '\0';
    }
    return true;
}

/* A status says so; without one, a detail is only there where something was wrong. */
static bool
is_refused(const struct oxv_login *login)
{
    const char *status = login->cells[OXV_LOGIN_STATUS];

    return status[0] != '\0' ? strcasecmp(status, "success") != 0
                             : login->cells[OXV_LOGIN_DETAIL][0] != '\0';
}

static bool
make_room(struct oxv_logins *logins)
{
    size_t room = logins->room == 0 ? 256 : logins->room * 2;

    if (logins->count < logins->room) {
        return true;
    }
    struct oxv_login *rows = realloc(logins->rows, room * sizeof *rows);

    if (rows == NULL) {
        return false;
    }
    logins->rows = rows;
    logins->room = room;
    return true;
}

static enum oxv_status
add_row(struct oxv_logins *logins, const struct oxv_csv *csv, const size_t places[OXV_LOGIN_FIELDS],
        const struct oxv_login_form *form, struct oxv_err *err)
{
    struct oxv_login login = { .line = csv->line };
    struct oxv_view date = csv->cells[places[OXV_LOGIN_DATE]];
    uint64_t precision_us;
    uint64_t time_us;
    uint64_t window_us = form->window_s * 1000000u;

    if (!oxv_login_time(date, form, &time_us, &precision_us)) {
        return oxv_fail(err, OXV_E_FORMAT,
                        "line %llu: this is no time in the form of --date-order: %.*s",
                        (unsigned long long)csv->line, (int)(date.len < 40 ? date.len : 40),
                        (const char *)date.data);
    }
    login.begin_us = time_us > window_us ? time_us - window_us : 0;
    login.end_us = time_us + precision_us + window_us;
    if (!make_room(logins) || !fill_cells(&login, csv, places)) {
        login_done(&login);
        return oxv_fail(err, OXV_E_MEMORY, "no memory for so many logins");
    }
    login.is_refused = is_refused(&login);
    logins->rows[logins->count++] = login;
    return OXV_OK;
}

static enum oxv_status
take_row(struct oxv_logins *logins, const struct oxv_csv *csv,
         const size_t places[OXV_LOGIN_FIELDS], const struct oxv_login_form *form, size_t width,
         struct oxv_err *err)
{
    size_t token = places[OXV_LOGIN_TOKEN];

    if (csv->count == 1 && csv->cells[0].len == 0) {
        return OXV_OK; /* an empty line */
    }
    if (csv->count != width) {
        return oxv_fail(err, OXV_E_FORMAT, "line %llu: it has %zu cells, the titles are %zu",
                        (unsigned long long)csv->line, csv->count, width);
    }
    if (token < width && csv->cells[token].len == 0) {
        logins->others++;
        return OXV_OK;
    }
    if (logins->count == OXV_LOGINS_MAX) {
        return oxv_fail(err, OXV_E_LIMIT, "there are more than %u logins: take a shorter time",
                        OXV_LOGINS_MAX);
    }
    return add_row(logins, csv, places, form, err);
}

enum oxv_status
oxv_logins_read(struct oxv_logins *logins, FILE *file, const struct oxv_login_form *form,
                struct oxv_err *err)
{
    OXV_AUTO(oxv_csv_done) struct oxv_csv csv = { .file = file };
    size_t places[OXV_LOGIN_FIELDS];
    enum oxv_status st = oxv_csv_next(&csv, err);

    if (st == OXV_E_NOT_FOUND) {
        return oxv_fail(err, OXV_E_FORMAT, "the file is empty");
    }
    st = st == OXV_OK ? find_columns(&csv, form, places, err) : st;
    size_t width = csv.count;

    while (st == OXV_OK) {
        st = oxv_csv_next(&csv, err);
        st = st == OXV_OK ? take_row(logins, &csv, places, form, width, err) : st;
    }
    return st == OXV_E_NOT_FOUND ? OXV_OK : st;
}

static int
compare(const void *a, const void *b)
{
    const struct oxv_login *left = a;
    const struct oxv_login *right = b;

    if (left->begin_us != right->begin_us) {
        return left->begin_us < right->begin_us ? -1 : 1;
    }
    return left->line < right->line ? -1 : 1;
}

void
oxv_logins_sort(struct oxv_logins *logins)
{
    if (logins->count > 0) {
        qsort(logins->rows, logins->count, sizeof *logins->rows, compare);
    }
}

bool
oxv_logins_match(struct oxv_logins *logins, uint64_t time_us, struct oxv_view connection)
{
    struct oxv_login *best = NULL;

    while (logins->first < logins->count && (logins->rows[logins->first].is_signed ||
                                             logins->rows[logins->first].end_us < time_us)) {
        logins->first++;
    }
    for (size_t i = logins->first; i < logins->count && logins->rows[i].begin_us <= time_us; i++) {
        struct oxv_login *row = &logins->rows[i];

        /* The one whose time is over first: so as many as can be get one. */
        if (!row->is_signed && row->end_us >= time_us &&
            (row->connection == NULL || oxv_view_is(connection, row->connection)) &&
            (best == NULL || row->end_us < best->end_us)) {
            best = row;
        }
    }
    if (best != NULL) {
        best->is_signed = true;
    }
    return best != NULL;
}
