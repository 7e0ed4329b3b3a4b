/* log reconcile: NetSuite's Login Audit Trail beside the signatures of the log. */
#include <errno.h>
#include <string.h>

#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/log_lines.h"
#include "cli/reconcile.h"
#include "vault/log/entry.h"

#define WINDOW_DEFAULT_S 300u /* what NetSuite allows a timestamp to be off */
#define WINDOW_MAX_S     86400u

static const char *const default_titles[OXV_LOGIN_FIELDS] = {
    [OXV_LOGIN_DATE] = "Date",
    [OXV_LOGIN_USER] = "User",
    [OXV_LOGIN_STATUS] = "Status",
    [OXV_LOGIN_TOKEN] = "Token-based Access Token Name",
    [OXV_LOGIN_APPLICATION] = "Token-based Application Name",
    [OXV_LOGIN_DETAIL] = "Detail",
    [OXV_LOGIN_IP] = "IP Address",
};

struct matching {
    struct oxv_logins *logins;
    uint64_t signatures;
};

/* "name=value": the length of the name, or 0. */
static size_t
split(const char *given)
{
    const char *sign = strchr(given, '=');

    return sign == NULL || sign[1] == '\0' ? 0 : (size_t)(sign - given);
}

static enum oxv_exit
read_columns(const struct oxv_cli *cli, struct oxv_login_form *form)
{
    const char *given;
    size_t at = 0;

    memcpy(form->titles, default_titles, sizeof form->titles);
    while ((given = oxv_cli_option_next(cli, "column", &at)) != NULL) {
        size_t len = split(given);
        size_t field = 0;

        while (field < OXV_LOGIN_FIELDS &&
               !oxv_view_is(oxv_view(given, len), oxv_login_field_names[field])) {
            field++;
        }
        if (field == OXV_LOGIN_FIELDS) {
            return oxv_cli_usage(cli,
                                 "--column wants FIELD=TITLE, where FIELD is date, user, status, "
                                 "token, application, detail or ip, not: %s",
                                 given);
        }
        form->titles[field] = given + len + 1;
    }
    return OXV_EXIT_DONE;
}

/* "+05:30", "-08:00", "Z" */
static bool
read_offset(const char *text, int64_t *offset_s)
{
    char stamp[64];
    uint64_t time_us;

    if (oxv_format(stamp, sizeof stamp, "2000-01-02T00:00:00%s", text) != OXV_OK ||
        !oxv_parse_timestamp(oxv_view_text(stamp), &time_us)) {
        return false;
    }
    *offset_s = (int64_t)946771200 - (int64_t)(time_us / 1000000u); /* that day in UTC */
    return true;
}

static enum oxv_exit
read_form(const struct oxv_cli *cli, struct oxv_login_form *form)
{
    static const char *const orders[] = { "mdy", "dmy", "ymd" };
    const char *order = oxv_cli_option(cli, "date-order");
    const char *offset = oxv_cli_option(cli, "utc-offset");
    const char *window = oxv_cli_option(cli, "window");
    size_t i = 0;

    form->window_s = WINDOW_DEFAULT_S;
    while (order != NULL && i < 3 && strcmp(order, orders[i]) != 0) {
        i++;
    }
    if (i == 3) {
        return oxv_cli_usage(cli, "--date-order is mdy, dmy or ymd, not: %s", order);
    }
    form->order = (enum oxv_date_order)i;
    if (offset != NULL && !read_offset(offset, &form->offset_s)) {
        return oxv_cli_usage(cli, "--utc-offset wants an offset like +02:00 or -08:00, not: %s",
                             offset);
    }
    if (window != NULL &&
        !oxv_parse_decimal(oxv_view_text(window), WINDOW_MAX_S, &form->window_s)) {
        return oxv_cli_usage(cli, "--window wants seconds, a day's at most, not: %s", window);
    }
    return read_columns(cli, form);
}

/* Which connection each token is of, where that was said. */
static enum oxv_exit
set_connections(const struct oxv_cli *cli, struct oxv_logins *logins)
{
    const char *given;
    size_t at = 0;

    while ((given = oxv_cli_option_next(cli, "token", &at)) != NULL) {
        size_t len = split(given);

        if (len == 0) {
            return oxv_cli_usage(cli, "--token wants \"TOKEN NAME=CONNECTION\", not: %s", given);
        }
        for (size_t i = 0; i < logins->count; i++) {
            if (oxv_view_equals(oxv_view_text(logins->rows[i].cells[OXV_LOGIN_TOKEN]),
                                oxv_view(given, len))) {
                logins->rows[i].connection = given + len + 1;
            }
        }
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
read_file(const struct oxv_cli *cli, const struct oxv_login_form *form, struct oxv_logins *logins)
{
    const char *name = cli->arguments[0];
    FILE *file = fopen(name, "re");
    struct oxv_err err = { 0 };

    if (file == NULL) {
        return oxv_cli_fail(cli, errno == ENOENT ? OXV_EXIT_NOT_FOUND : OXV_EXIT_FAILED,
                            "cannot open %s: %s", name, strerror(errno));
    }
    enum oxv_status st = oxv_logins_read(logins, file, form, &err);

    (void)fclose(file); /* only read */
    if (st != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s: %s", name, err.text);
    }
    return OXV_EXIT_DONE;
}

static bool
take_signature(void *context, struct oxv_view line)
{
    struct matching *matching = context;
    struct oxv_entry_line parsed;
    struct oxv_entry_fault fault;

    if (oxv_entry_check(line, &parsed, &fault) == OXV_OK) {
        matching->signatures++;
        (void)oxv_logins_match(matching->logins, parsed.time_us, parsed.entry.connection);
    }
    return true;
}

/* The signatures of the time that the logins are of. */
static enum oxv_exit
match(struct oxv_cli *cli, struct matching *matching)
{
    struct oxv_logins *logins = matching->logins;
    char since[OXV_TIMESTAMP_BYTES];
    char until[OXV_TIMESTAMP_BYTES];
    char path[512];
    uint64_t end_us = 0;

    if (logins->count == 0) {
        return OXV_EXIT_DONE;
    }
    for (size_t i = 0; i < logins->count; i++) {
        end_us = logins->rows[i].end_us > end_us ? logins->rows[i].end_us : end_us;
    }
    oxv_format_timestamp(logins->rows[0].begin_us, since);
    oxv_format_timestamp(end_us + 1, until);
    if (oxv_format(path, sizeof path,
                   "/v1/audit/log?purpose=show&format=jsonl&type=sign&outcome=allowed&since=%s"
                   "&until=%s",
                   since, until) != OXV_OK) {
        oxv_bug("a path that is too long");
    }
    return oxv_log_read(cli, path, OXV_LOG_IDLE_S, take_signature, matching);
}

static bool
is_unexplained(const struct oxv_login *login)
{
    return !login->is_signed && !login->is_refused;
}

static const char *
cause_of(const struct oxv_login *login)
{
    const char *cause = oxv_login_cause(login->cells[OXV_LOGIN_DETAIL]);

    return cause == NULL ? "not known: see NetSuite's help on the Login Audit Trail" : cause;
}

static void
print_login(const struct oxv_login *login)
{
    (void)printf("  line %llu:", (unsigned long long)login->line);
    for (size_t f = 0; f < OXV_LOGIN_FIELDS; f++) {
        if (f != OXV_LOGIN_STATUS && login->cells[f][0] != '\0') {
            (void)printf(f == OXV_LOGIN_DATE ? " " : " %s=", oxv_login_field_names[f]);
            oxv_escape_print(stdout, oxv_view_text(login->cells[f]));
        }
    }
    (void)putchar('\n');
}

static void
print_lists(const struct oxv_cli *cli, const struct oxv_logins *logins, size_t unexplained,
            size_t refused)
{
    if (unexplained > 0) {
        (void)printf("%sLogins without a signature in the log:%s a secret is used outside the "
                     "vault.\n",
                     oxv_cli_red(cli), oxv_cli_plain(cli));
    }
    for (size_t i = 0; i < logins->count; i++) {
        if (is_unexplained(&logins->rows[i])) {
            print_login(&logins->rows[i]);
        }
    }
    if (refused > 0) {
        (void)printf("%sLogins that NetSuite refused:%s\n", oxv_cli_yellow(cli),
                     oxv_cli_plain(cli));
    }
    for (size_t i = 0; i < logins->count; i++) {
        if (logins->rows[i].is_refused) {
            print_login(&logins->rows[i]);
            (void)printf("    likely cause: %s%s\n", cause_of(&logins->rows[i]),
                         logins->rows[i].is_signed ? "" : "; not signed by this vault");
        }
    }
}

static void
print_json_login(const struct oxv_login *login, bool is_first)
{
    uint8_t text[OXV_LOGIN_FIELDS * 8192];

    (void)printf(is_first ? "{\"line\":%llu" : ",{\"line\":%llu", (unsigned long long)login->line);
    for (size_t f = 0; f < OXV_LOGIN_FIELDS; f++) {
        struct oxv_writer w = oxv_writer(text, sizeof text);

        oxv_write_json_string(&w, oxv_view_text(login->cells[f]));
        (void)printf(",\"%s\":%.*s", oxv_login_field_names[f], w.failed ? 2 : (int)w.len,
                     w.failed ? "\"\"" : (const char *)w.data);
    }
    if (login->is_refused) {
        (void)printf(",\"cause\":\"%s\"", cause_of(login));
    }
    (void)printf(",\"signed\":%s}", login->is_signed ? "true" : "false");
}

static void
print_json_list(const struct oxv_logins *logins, const char *name, bool refused)
{
    bool is_first = true;

    (void)printf(",\"%s\":[", name);
    for (size_t i = 0; i < logins->count; i++) {
        const struct oxv_login *login = &logins->rows[i];

        if (refused ? login->is_refused : is_unexplained(login)) {
            print_json_login(login, is_first);
            is_first = false;
        }
    }
    (void)putchar(']');
}

static enum oxv_exit
print_result(const struct oxv_cli *cli, const struct matching *matching)
{
    const struct oxv_logins *logins = matching->logins;
    size_t unexplained = 0;
    size_t refused = 0;

    for (size_t i = 0; i < logins->count; i++) {
        unexplained += is_unexplained(&logins->rows[i]) ? 1 : 0;
        refused += logins->rows[i].is_refused ? 1 : 0;
    }
    if (cli->json) {
        (void)printf("{\"logins\":%zu,\"other_rows\":%zu,\"signatures\":%llu", logins->count,
                     logins->others, (unsigned long long)matching->signatures);
        print_json_list(logins, "without_signature", false);
        print_json_list(logins, "refused", true);
        (void)puts("}");
    } else {
        (void)printf("%zu logins by token, %llu signatures in that time; %zu logins without a "
                     "signature, %zu refused; %zu rows are no logins by token.\n",
                     logins->count, (unsigned long long)matching->signatures, unexplained, refused,
                     logins->others);
        print_lists(cli, logins, unexplained, refused);
    }
    return unexplained > 0 ? OXV_EXIT_VERIFY : OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_log_reconcile(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_logins_done) struct oxv_logins logins = { .count = 0 };
    struct matching matching = { .logins = &logins };
    struct oxv_login_form form = { .offset_s = 0 };
    enum oxv_exit code = read_form(cli, &form);

    code = code == OXV_EXIT_DONE ? read_file(cli, &form, &logins) : code;
    code = code == OXV_EXIT_DONE ? set_connections(cli, &logins) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_logins_sort(&logins);
    code = match(cli, &matching);
    return code == OXV_EXIT_DONE ? print_result(cli, &matching) : code;
}
