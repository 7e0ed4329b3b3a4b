/* log show and follow: the service selects, this prints. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/log_lines.h"

#define SHOW_DEFAULT 50u

struct shown {
    const struct oxv_cli *cli;
    uint64_t entries;
};

static void
print_member(const char *label, struct oxv_view entry, const char *name)
{
    char text[4096];
    struct oxv_view value;

    if (!oxv_json_get(entry, name, &value)) {
        return;
    }
    (void)printf(" %s", label);
    if (oxv_json_type(value) == OXV_JSON_STRING) {
        oxv_door_text(entry, name, text, sizeof text);
        oxv_escape_print(stdout, oxv_view_text(text));
    } else {
        oxv_escape_print(stdout, value);
    }
}

static const char *
outcome_color(const struct oxv_cli *cli, const char *outcome)
{
    if (strcmp(outcome, "allowed") == 0) {
        return oxv_cli_green(cli);
    }
    return strcmp(outcome, "denied") == 0 ? oxv_cli_yellow(cli) : oxv_cli_red(cli);
}

/* One entry for people: what there is of it, in the order one asks for it. */
static void
print_entry(const struct oxv_cli *cli, struct oxv_view entry)
{
    static const char *const members[] = { "caller", "connection", "kind", "method",
                                           "host",   "path",       "code", "reason",
                                           "count",  "grant",      "uid" };
    char time[40];
    char type[40];
    char outcome[16];

    oxv_door_text(entry, "time", time, sizeof time);
    oxv_door_text(entry, "type", type, sizeof type);
    oxv_door_text(entry, "outcome", outcome, sizeof outcome);
    (void)printf("%7llu ", (unsigned long long)oxv_door_integer(entry, "seq", 0));
    oxv_escape_print(stdout, oxv_view_text(time));
    (void)putchar(' ');
    oxv_escape_print(stdout, oxv_view_text(type));
    if (outcome[0] != '\0') {
        (void)printf(" %s", outcome_color(cli, outcome));
        oxv_escape_print(stdout, oxv_view_text(outcome));
        (void)fputs(oxv_cli_plain(cli), stdout);
    }
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char label[32];

        if (oxv_format(label, sizeof label, "%s=", members[i]) != OXV_OK) {
            oxv_bug("a label that is too long");
        }
        print_member(label, entry, members[i]);
    }
    (void)putchar('\n');
}

/* Follow is watched, so each line goes out at once; whether all did is asked at the end. */
static bool
print_line(void *context, struct oxv_view line)
{
    struct shown *shown = context;

    shown->entries++;
    if (shown->cli->json) {
        oxv_cli_print(line);
        (void)putchar('\n');
    } else if (oxv_json_check(line, NULL) == OXV_OK && oxv_json_type(line) == OXV_JSON_OBJECT) {
        print_entry(shown->cli, line);
    } else {
        oxv_escape_print(stdout, line);
        (void)putchar('\n');
    }
    (void)fflush(stdout);
    return ferror(stdout) == 0;
}

enum oxv_exit
oxv_cmd_log_show(struct oxv_cli *cli)
{
    const char *limit = oxv_cli_option(cli, "limit");
    uint64_t number = SHOW_DEFAULT;
    struct shown shown = { .cli = cli };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    char with_limit[OXV_DOOR_PATH_MAX_BYTES + 64];
    enum oxv_exit code = oxv_log_make_path(cli, "show", "jsonl", path, sizeof path);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (limit != NULL && !oxv_parse_decimal(oxv_view_text(limit), OXV_JSON_INTEGER_MAX, &number)) {
        return oxv_cli_usage(cli, "--limit wants a number, not: %s", limit);
    }
    if (oxv_format(with_limit, sizeof with_limit, "%s&limit=%llu", path,
                   (unsigned long long)number) != OXV_OK) {
        oxv_bug("a path that is too long");
    }
    code = oxv_log_read(cli, number == 0 ? path : with_limit, OXV_LOG_IDLE_S, print_line, &shown);
    if (code == OXV_EXIT_DONE && shown.entries == 0 && !cli->json) {
        (void)fputs("No entry matches.\n", stderr);
    }
    return code;
}

enum oxv_exit
oxv_cmd_log_follow(struct oxv_cli *cli)
{
    struct shown shown = { .cli = cli };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code = oxv_log_make_path(cli, "follow", "jsonl", path, sizeof path);

    return code == OXV_EXIT_DONE ? oxv_log_read(cli, path, 0, print_line, &shown) : code;
}
