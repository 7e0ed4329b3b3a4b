/* log show, follow and export: the service selects, this prints or writes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/new_file.h"
#include "cli/times.h"

#define SHOW_DEFAULT   50u
#define LINE_MAX_BYTES (64u * 1024u)
#define EXPORT_IDLE_S  60u

/* Where the pieces of the answer go. */
struct sink {
    const struct oxv_cli *cli;
    int fd;                 /* export */
    struct oxv_buffer line; /* show: what has no newline yet */
    uint64_t entries;
    bool failed;
    int failed_errno;
};

static enum oxv_exit
write_time(const struct oxv_cli *cli, struct oxv_writer *w, const char *option)
{
    const char *value = oxv_cli_option(cli, option);
    char time[OXV_TIMESTAMP_BYTES];

    if (value == NULL) {
        return OXV_EXIT_DONE;
    }
    if (!oxv_times_parse(value, oxv_clock_wall_us(), false, time)) {
        return oxv_cli_usage(cli,
                             "--%s wants a date, a time like 2026-01-31T08:00:00Z, or 2h or 3d "
                             "(ago), not: %s",
                             option, value);
    }
    oxv_write_u8(w, '&');
    oxv_write_text(w, option);
    oxv_write_u8(w, '=');
    oxv_door_encode(w, time);
    return OXV_EXIT_DONE;
}

/* The path with the filters of the command line. */
static enum oxv_exit
make_path(const struct oxv_cli *cli, const char *purpose, const char *format, char *path,
          size_t size)
{
    static const char *const filters[] = { "connection", "caller", "outcome", "type" };
    struct oxv_writer w = oxv_writer(path, size);
    enum oxv_exit code;

    oxv_write_text(&w, "/v1/audit/log?purpose=");
    oxv_write_text(&w, purpose);
    oxv_write_text(&w, "&format=");
    oxv_door_encode(&w, format);
    code = write_time(cli, &w, "since");
    code = code == OXV_EXIT_DONE ? write_time(cli, &w, "until") : code;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const char *value = oxv_cli_option(cli, filters[i]);

        if (value != NULL) {
            oxv_write_u8(&w, '&');
            oxv_write_text(&w, filters[i]);
            oxv_write_u8(&w, '=');
            oxv_door_encode(&w, value);
        }
    }
    oxv_write_u8(&w, 0);
    if (code == OXV_EXIT_DONE && w.failed) {
        return oxv_cli_usage(cli, "the filters are too long");
    }
    return code;
}

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

static void
print_line(struct sink *sink, struct oxv_view line)
{
    sink->entries++;
    if (sink->cli->json) {
        oxv_cli_print(line);
        (void)putchar('\n');
    } else if (oxv_json_check(line, NULL) == OXV_OK && oxv_json_type(line) == OXV_JSON_OBJECT) {
        print_entry(sink->cli, line);
    } else {
        oxv_escape_print(stdout, line);
        (void)putchar('\n');
    }
}

/* Prints whole lines, keeps the rest. */
static bool
show_piece(void *context, struct oxv_view piece)
{
    struct sink *sink = context;

    while (piece.len > 0) {
        const uint8_t *newline = memchr(piece.data, '\n', piece.len);
        size_t len = newline == NULL ? piece.len : (size_t)(newline - piece.data);

        if (!oxv_buffer_add(&sink->line, oxv_view(piece.data, len), LINE_MAX_BYTES)) {
            sink->failed = true;
            return false;
        }
        if (newline != NULL) {
            print_line(sink, oxv_buffer_view(&sink->line));
            oxv_buffer_clear(&sink->line);
            len++;
        }
        piece = oxv_view_from(piece, len);
    }
    (void)fflush(stdout); /* follow is watched; asked at the end */
    return ferror(stdout) == 0;
}

static bool
write_piece(void *context, struct oxv_view piece)
{
    struct sink *sink = context;

    if (oxv_write_all(sink->fd, piece) != OXV_OK) {
        sink->failed = true;
        sink->failed_errno = errno;
        return false;
    }
    for (size_t i = 0; i < piece.len; i++) {
        sink->entries += piece.data[i] == '\n' ? 1 : 0;
    }
    return true;
}

static enum oxv_exit
stream(struct oxv_cli *cli, const char *path, struct sink *sink, oxv_http_sink_fn fn,
       uint32_t idle_timeout_s)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    const struct oxv_http_request request = { .method = "GET",
                                              .path = path,
                                              .sink = fn,
                                              .sink_context = sink,
                                              .endless = true,
                                              .idle_timeout_s = idle_timeout_s };
    struct oxv_client_error error;
    enum oxv_client_code code = oxv_door_try(cli, OXV_CLI_AUDIT, &request, &answer, &error);

    if (code == OXV_CLIENT_OK) {
        return OXV_EXIT_DONE;
    }
    if (sink->failed && sink->failed_errno != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot write: %s", strerror(sink->failed_errno));
    }
    if (sink->failed) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service sent a line that is too long");
    }
    return oxv_cli_client_error(cli, &error);
}

enum oxv_exit
oxv_cmd_log_show(struct oxv_cli *cli)
{
    const char *limit = oxv_cli_option(cli, "limit");
    uint64_t number = SHOW_DEFAULT;
    struct sink sink = { .cli = cli, .fd = -1 };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    char with_limit[OXV_DOOR_PATH_MAX_BYTES + 64];
    enum oxv_exit code = make_path(cli, "show", "jsonl", path, sizeof path);

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
    code = stream(cli, number == 0 ? path : with_limit, &sink, show_piece, EXPORT_IDLE_S);
    oxv_buffer_done(&sink.line);
    if (code == OXV_EXIT_DONE && sink.entries == 0 && !cli->json) {
        (void)fputs("No entry matches.\n", stderr);
    }
    return code;
}

enum oxv_exit
oxv_cmd_log_follow(struct oxv_cli *cli)
{
    struct sink sink = { .cli = cli, .fd = -1 };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code = make_path(cli, "follow", "jsonl", path, sizeof path);

    code = code == OXV_EXIT_DONE ? stream(cli, path, &sink, show_piece, 0) : code;
    oxv_buffer_done(&sink.line);
    return code;
}

static enum oxv_exit
export_to_file(struct oxv_cli *cli, const char *path, const char *name, struct sink *sink)
{
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    struct oxv_err err = { 0 };

    if (oxv_new_file_open(name, &file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    sink->fd = file.fd;
    enum oxv_exit code = stream(cli, path, sink, write_piece, EXPORT_IDLE_S);

    if (code == OXV_EXIT_DONE && oxv_new_file_commit(&file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    return code;
}

enum oxv_exit
oxv_cmd_log_export(struct oxv_cli *cli)
{
    const char *format = oxv_cli_option(cli, "format");
    const char *file = oxv_cli_option(cli, "output");
    struct sink sink = { .cli = cli, .fd = STDOUT_FILENO };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code;

    format = format == NULL ? "jsonl" : format;
    if (strcmp(format, "jsonl") != 0 && strcmp(format, "csv") != 0) {
        return oxv_cli_usage(cli, "--format is jsonl or csv, not: %s", format);
    }
    code = make_path(cli, "export", format, path, sizeof path);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (file == NULL || strcmp(file, "-") == 0) {
        return stream(cli, path, &sink, write_piece, EXPORT_IDLE_S);
    }
    code = export_to_file(cli, path, file, &sink);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    /* CSV begins with a line of titles. */
    sink.entries -= strcmp(format, "csv") == 0 && sink.entries > 0 ? 1 : 0;
    if (cli->json) {
        (void)printf("{\"entries\":%llu}\n", (unsigned long long)sink.entries);
    } else {
        (void)printf("%llu entries are in %s.\n", (unsigned long long)sink.entries, file);
    }
    return OXV_EXIT_DONE;
}
