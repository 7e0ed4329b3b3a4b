#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/records.h"
#include "cli/times.h"
#include "vault/records.h"

#define BODY_MAX_BYTES 32768u

/* One JSON array from all values of an option, each split at its commas. */
struct list {
    struct oxv_writer *w;
    const char *option;
    bool split;
    bool pairs; /* NAME=VALUE becomes ["NAME","VALUE"] */
    size_t count;
};

static enum oxv_exit
write_pair(const struct oxv_cli *cli, struct list *list, struct oxv_view item)
{
    const uint8_t *equals = item.len == 0 ? NULL : memchr(item.data, '=', item.len);

    if (equals == NULL || equals == item.data) {
        return oxv_cli_usage(cli, "--%s wants NAME=VALUE, not: %.*s", list->option, (int)item.len,
                             (const char *)item.data);
    }
    size_t name_len = (size_t)(equals - item.data);

    oxv_write_u8(list->w, '[');
    oxv_write_json_string(list->w, oxv_view(item.data, name_len));
    oxv_write_u8(list->w, ',');
    oxv_write_json_string(list->w, oxv_view_from(item, name_len + 1));
    oxv_write_u8(list->w, ']');
    return OXV_EXIT_DONE;
}

static enum oxv_exit
write_item(const struct oxv_cli *cli, struct list *list, struct oxv_view item)
{
    if (item.len == 0) {
        return oxv_cli_usage(cli, "--%s has an empty part", list->option);
    }
    oxv_write_text(list->w, list->count++ == 0 ? "" : ",");
    if (list->pairs) {
        return write_pair(cli, list, item);
    }
    oxv_write_json_string(list->w, item);
    return OXV_EXIT_DONE;
}

/* The item up to the next comma into `w`, with "\," as a comma; returns how far it read. */
static size_t
next_item(struct oxv_view text, bool split, struct oxv_writer *w)
{
    size_t i = 0;

    while (i < text.len && !(split && text.data[i] == ',')) {
        if (split && text.data[i] == '\\' && i + 1 < text.len && text.data[i + 1] == ',') {
            i++;
        }
        oxv_write_u8(w, text.data[i++]);
    }
    return i;
}

static enum oxv_exit
write_value(const struct oxv_cli *cli, struct list *list, const char *value)
{
    struct oxv_view left = oxv_view_text(value);

    for (;;) {
        uint8_t buffer[4096];
        struct oxv_writer item = oxv_writer(buffer, sizeof buffer);
        size_t read = next_item(left, list->split, &item);
        enum oxv_exit code;

        if (item.failed) {
            return oxv_cli_usage(cli, "--%s is too long", list->option);
        }
        code = write_item(cli, list, oxv_view(item.data, item.len));
        if (code != OXV_EXIT_DONE || read == left.len) {
            return code;
        }
        left = oxv_view_from(left, read + 1);
    }
}

static enum oxv_exit
write_list(const struct oxv_cli *cli, struct oxv_writer *w, const char *option, const char *member)
{
    struct list list = { .w = w,
                         .option = option,
                         .split = strcmp(option, "path") != 0,
                         .pairs = strcmp(option, "query") == 0 };
    size_t at = 0;
    enum oxv_exit code = OXV_EXIT_DONE;

    if (!oxv_cli_flag(cli, option)) {
        return OXV_EXIT_DONE;
    }
    oxv_write_text(w, ",\"");
    oxv_write_text(w, member);
    oxv_write_text(w, "\":[");
    for (const char *value = oxv_cli_option_next(cli, option, &at);
         value != NULL && code == OXV_EXIT_DONE; value = oxv_cli_option_next(cli, option, &at)) {
        code = write_value(cli, &list, value);
    }
    oxv_write_u8(w, ']');
    return code;
}

static enum oxv_exit
write_time(const struct oxv_cli *cli, struct oxv_writer *w, const char *option, const char *member)
{
    const char *value = oxv_cli_option(cli, option);
    char time[OXV_TIMESTAMP_BYTES];

    if (value == NULL) {
        return OXV_EXIT_DONE;
    }
    if (!oxv_times_parse(value, oxv_clock_wall_us(), true, time)) {
        return oxv_cli_usage(cli,
                             "--%s wants a date, a time like 2026-12-31T23:59:59Z, or +30d, not: "
                             "%s",
                             option, value);
    }
    oxv_write_text(w, ",\"");
    oxv_write_text(w, member);
    oxv_write_text(w, "\":\"");
    oxv_write_text(w, time);
    oxv_write_u8(w, '"');
    return OXV_EXIT_DONE;
}

static bool
has_kind(const struct oxv_cli *cli, const char *kind)
{
    size_t at = 0;

    for (const char *value = oxv_cli_option_next(cli, "kind", &at); value != NULL;
         value = oxv_cli_option_next(cli, "kind", &at)) {
        struct oxv_view left = oxv_view_text(value);

        while (left.len > 0) {
            uint8_t buffer[64];
            struct oxv_writer item = oxv_writer(buffer, sizeof buffer);
            size_t read = next_item(left, true, &item);

            if (oxv_view_is(oxv_view(item.data, item.len), kind)) {
                return true;
            }
            left = oxv_view_from(left, read + 1);
        }
    }
    return false;
}

static enum oxv_exit
check_kinds(const struct oxv_cli *cli)
{
    bool oauth1 = has_kind(cli, oxv_kind_name(OXV_KIND_OAUTH1));

    if (!oxv_cli_flag(cli, "kind")) {
        return oxv_cli_usage(cli, "--kind is needed: oauth1, token-passport, connect-password");
    }
    if (oauth1 && !oxv_cli_flag(cli, "path")) {
        return oxv_cli_usage(cli, "kind oauth1 needs at least one --path, such as '/services/**'");
    }
    if (!oauth1 &&
        (oxv_cli_flag(cli, "path") || oxv_cli_flag(cli, "method") || oxv_cli_flag(cli, "query"))) {
        return oxv_cli_usage(cli, "--path, --method and --query bind kind oauth1 only");
    }
    return OXV_EXIT_DONE;
}

/* What these two open is not in the grant's limits: say so. */
static void
explain(const struct oxv_cli *cli)
{
    if (has_kind(cli, oxv_kind_name(OXV_KIND_TOKEN_PASSPORT))) {
        (void)printf("token-passport opens every SOAP operation of the connection's role: its "
                     "signature covers account and token, not the request.%s\n",
                     has_kind(cli, oxv_kind_name(OXV_KIND_OAUTH1)) ? " --path and --method do not "
                                                                     "bind it."
                                                                   : "");
    }
    if (has_kind(cli, oxv_kind_name(OXV_KIND_CONNECT_PASSWORD))) {
        (void)puts("connect-password opens one SuiteAnalytics Connect session each: any query that "
                   "the connection's role may run.");
    }
}

enum oxv_exit
oxv_cmd_grant_add(struct oxv_cli *cli)
{
    static uint8_t buffer[BODY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    const char *rate = oxv_cli_option(cli, "rate");
    char done[512];
    enum oxv_exit code = check_kinds(cli);

    oxv_write_text(&w, "{\"caller\":");
    oxv_write_json_string(&w, oxv_view_text(cli->arguments[0]));
    oxv_write_text(&w, ",\"connection\":");
    oxv_write_json_string(&w, oxv_view_text(cli->arguments[1]));
    code = code == OXV_EXIT_DONE ? write_list(cli, &w, "kind", "kinds") : code;
    code = code == OXV_EXIT_DONE ? write_list(cli, &w, "method", "methods") : code;
    code = code == OXV_EXIT_DONE ? write_list(cli, &w, "path", "paths") : code;
    code = code == OXV_EXIT_DONE ? write_list(cli, &w, "query", "query") : code;
    if (rate != NULL) {
        oxv_write_text(&w, ",\"rate\":");
        oxv_write_json_string(&w, oxv_view_text(rate));
    }
    code = code == OXV_EXIT_DONE ? write_time(cli, &w, "not-before", "not_before") : code;
    code = code == OXV_EXIT_DONE ? write_time(cli, &w, "not-after", "not_after") : code;
    oxv_write_u8(&w, '}');
    if (code == OXV_EXIT_DONE && oxv_format(done, sizeof done, "%s may have signatures of %s now.",
                                            cli->arguments[0], cli->arguments[1]) != OXV_OK) {
        code = oxv_cli_usage(cli, "the names are too long");
    }
    code = code == OXV_EXIT_DONE ? oxv_records_post(cli, "/v1/admin/grants", &w, done) : code;
    if (code == OXV_EXIT_DONE && !cli->json) {
        explain(cli);
    }
    return code;
}

static void
add_query(struct oxv_listing *table, struct oxv_view item)
{
    char buffer[2048];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view pair;
    bool listed = oxv_json_get(item, "query", &list);
    struct oxv_json_items pairs = oxv_json_items(list);

    while (listed && oxv_json_next(&pairs, &name, &pair)) {
        struct oxv_json_items parts = oxv_json_items(pair);
        struct oxv_view part;

        oxv_write_text(&w, w.len == 0 ? "" : ",");
        for (bool first = true; oxv_json_next(&parts, &name, &part); first = false) {
            oxv_write_text(&w, first ? "" : "=");
            if (!oxv_json_write_string(&w, part)) {
                oxv_write_view(&w, part);
            }
        }
    }
    oxv_listing_add(table, oxv_view(w.data, w.len));
}

static void
add_row(struct oxv_listing *table, struct oxv_view item)
{
    static const char *const before[] = {
        "id", "caller", "connection", "kinds", "methods", "paths"
    };
    static const char *const after[] = { "rate", "not_before", "not_after" };

    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        oxv_listing_add_member(table, item, before[i]);
    }
    add_query(table, item);
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        oxv_listing_add_member(table, item, after[i]);
    }
}

enum oxv_exit
oxv_cmd_grant_list(struct oxv_cli *cli)
{
    static const char *const titles[] = { "ID",         "CALLER",    "CONNECTION", "KINDS",
                                          "METHODS",    "PATHS",     "QUERY",      "RATE",
                                          "NOT BEFORE", "NOT AFTER", NULL };
    static const char *const filters[] = { "caller", "connection" };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    struct oxv_writer w = oxv_writer(path, sizeof path);
    const struct oxv_record_list list = { path, "grants", titles, add_row,
                                          "There are no grants: oxvault grant add" };
    const char *mark = "?";

    oxv_write_text(&w, "/v1/admin/grants");
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const char *value = oxv_cli_option(cli, filters[i]);

        if (value != NULL) {
            oxv_write_text(&w, mark);
            oxv_write_text(&w, filters[i]);
            oxv_write_u8(&w, '=');
            oxv_door_encode(&w, value);
            mark = "&";
        }
    }
    oxv_write_u8(&w, 0);
    return w.failed ? oxv_cli_usage(cli, "the names are too long") : oxv_records_list(cli, &list);
}

enum oxv_exit
oxv_cmd_grant_remove(struct oxv_cli *cli)
{
    static const struct oxv_record_act act = { "DELETE", "/v1/admin/grants/", "", "Grant ",
                                               " is removed." };

    return oxv_records_act(cli, &act, cli->arguments[0]);
}
