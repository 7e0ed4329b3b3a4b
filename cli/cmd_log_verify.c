/* log verify: offline, with a key that came another way than the log did. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/escape.h"
#include "include/oxvault/verify.h"

#define KEY_MAX_BYTES    1024u
#define REPORT_MAX_BYTES 65536u

static const char key_from_folder[] = "key taken from the log itself: a replaced log would pass";

/* What verification finds, gathered as JSON where that is wanted. */
struct report {
    const struct oxv_cli *cli;
    struct oxv_writer findings;
    uint64_t count;
};

static void
write_text_member(struct oxv_writer *w, const char *name, const char *value)
{
    oxv_write_u8(w, '"');
    oxv_write_text(w, name);
    oxv_write_text(w, "\":");
    oxv_write_json_string(w, oxv_view_text(value));
}

static void
write_number_member(struct oxv_writer *w, const char *name, uint64_t value)
{
    oxv_write_u8(w, '"');
    oxv_write_text(w, name);
    oxv_write_text(w, "\":");
    oxv_write_decimal(w, value);
}

static void
print_finding(const struct oxv_cli *cli, const struct oxv_verify_finding *finding)
{
    (void)printf("%sentry %llu%s, ", oxv_cli_red(cli), (unsigned long long)finding->entry,
                 oxv_cli_plain(cli));
    oxv_escape_print(stdout, oxv_view_text(finding->file));
    (void)printf(" byte %llu: ", (unsigned long long)finding->offset);
    oxv_escape_print(stdout, oxv_view_text(finding->reason));
    (void)printf(" (%s)\n", finding->code);
}

static void
found(void *context, const struct oxv_verify_finding *finding)
{
    struct report *report = context;
    struct oxv_writer *w = &report->findings;

    if (!report->cli->json) {
        print_finding(report->cli, finding);
        return;
    }
    oxv_write_text(w, report->count++ == 0 ? "{" : ",{");
    write_text_member(w, "code", finding->code);
    oxv_write_u8(w, ',');
    write_number_member(w, "entry", finding->entry);
    oxv_write_u8(w, ',');
    write_text_member(w, "file", finding->file);
    oxv_write_u8(w, ',');
    write_number_member(w, "offset", finding->offset);
    oxv_write_u8(w, ',');
    write_text_member(w, "reason", finding->reason);
    oxv_write_u8(w, '}');
}

static enum oxv_exit
read_key(const struct oxv_cli *cli, const char *path, char out[KEY_MAX_BYTES + 1])
{
    struct oxv_err err = { 0 };
    size_t len = 0;
    OXV_AUTO(oxv_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open the key %s", path);
        return oxv_cli_err(cli, &err);
    }
    if (oxv_read_to_end(fd, out, KEY_MAX_BYTES, &len) != OXV_OK || memchr(out, 0, len) != NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is no key of a log", path);
    }
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r')) {
        len--;
    }
    out[len] = '\0';
    return OXV_EXIT_DONE;
}

/* Does the key lie in the folder that it is to judge? */
static bool
is_inside(const char *folder, const char *key)
{
    char *real_folder = realpath(folder, NULL);
    char *real_key = realpath(key, NULL);
    size_t len = real_folder == NULL ? 0 : strlen(real_folder);
    bool inside = real_folder != NULL && real_key != NULL &&
                  strncmp(real_folder, real_key, len) == 0 && real_key[len] == '/';

    free(real_folder);
    free(real_key);
    return inside;
}

static const char *
verdict_word(enum oxv_verify_code code)
{
    return code == OXV_VERIFY_OK ? "intact" : "faulty";
}

static void
print_json(const struct report *report, const struct oxv_verify_verdict *verdict,
           enum oxv_verify_code code, bool own_key)
{
    static uint8_t buffer[REPORT_MAX_BYTES + 4096];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    char time[OXV_TIMESTAMP_BYTES];
    struct oxv_view text;

    oxv_write_u8(&w, '{');
    write_text_member(&w, "verdict", verdict_word(code));
    oxv_write_text(&w, ",\"findings\":[");
    oxv_write_view(&w, oxv_view(report->findings.data, report->findings.len));
    oxv_write_text(&w, "],");
    write_number_member(&w, "entries", verdict->entries);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "commits", verdict->commits);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "epochs", verdict->epochs);
    oxv_write_u8(&w, ',');
    write_text_member(&w, "origin", verdict->origin);
    oxv_write_text(&w, ",\"root\":\"");
    oxv_write_base64(&w, oxv_view(verdict->root, sizeof verdict->root));
    oxv_write_text(&w, "\",");
    oxv_format_timestamp(verdict->first_time_us, time);
    write_text_member(&w, "first_time", verdict->entries > 0 ? time : "");
    oxv_write_u8(&w, ',');
    oxv_format_timestamp(verdict->last_time_us, time);
    write_text_member(&w, "last_time", verdict->entries > 0 ? time : "");
    oxv_write_text(&w, ",\"writer_active\":");
    oxv_write_text(&w, verdict->writer_active != 0 ? "true" : "false");
    oxv_write_text(&w, ",\"key_from_log\":");
    oxv_write_text(&w, own_key ? "true}\n" : "false}\n");
    if (oxv_writer_finish(&w, &text) == OXV_OK) {
        oxv_cli_print(text);
    }
}

static void
print_verdict(const struct oxv_cli *cli, const struct oxv_verify_verdict *verdict,
              enum oxv_verify_code code, bool own_key)
{
    char first[OXV_TIMESTAMP_BYTES];
    char last[OXV_TIMESTAMP_BYTES];

    if (code == OXV_VERIFY_OK) {
        (void)printf("%sThe log is intact.%s\n", oxv_cli_green(cli), oxv_cli_plain(cli));
    } else {
        (void)printf("%sThe log is NOT what was written.%s Nothing from there on counts.\n",
                     oxv_cli_red(cli), oxv_cli_plain(cli));
    }
    (void)printf("%llu entries under %llu signatures were checked",
                 (unsigned long long)verdict->entries, (unsigned long long)verdict->commits);
    if (verdict->entries > 0) {
        oxv_format_timestamp(verdict->first_time_us, first);
        oxv_format_timestamp(verdict->last_time_us, last);
        (void)printf(", from %s to %s", first, last);
    }
    (void)puts(".");
    if (verdict->origin[0] != '\0') {
        (void)fputs("Origin: ", stdout);
        oxv_escape_print(stdout, oxv_view_text(verdict->origin));
        (void)putchar('\n');
    }
    if (verdict->writer_active != 0) {
        (void)puts("A service has this log open; what it is writing right now was left out.");
    }
    if (own_key) {
        (void)printf("%s%s%s\n", oxv_cli_yellow(cli), key_from_folder, oxv_cli_plain(cli));
    }
}

static enum oxv_exit
exit_of(enum oxv_verify_code code)
{
    switch (code) {
    case OXV_VERIFY_OK:
        return OXV_EXIT_DONE;
    case OXV_VERIFY_FOUND:
        return OXV_EXIT_VERIFY;
    case OXV_VERIFY_NOT_FOUND:
        return OXV_EXIT_NOT_FOUND;
    case OXV_VERIFY_BAD_KEY:
    case OXV_VERIFY_UNREADABLE:
    case OXV_VERIFY_FAILED:
        return OXV_EXIT_FAILED;
    }
    return OXV_EXIT_FAILED;
}

static enum oxv_exit
verify(const struct oxv_cli *cli, const char *folder, const char *key_path)
{
    static uint8_t findings[REPORT_MAX_BYTES];
    struct report report = { .cli = cli, .findings = oxv_writer(findings, sizeof findings) };
    struct oxv_verify_verdict verdict;
    char key[KEY_MAX_BYTES + 1];
    bool own_key = is_inside(folder, key_path);
    enum oxv_exit code = read_key(cli, key_path, key);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    enum oxv_verify_code result = oxv_verify_log(folder, key, found, &report, &verdict);

    code = exit_of(result);
    if (result > OXV_VERIFY_FOUND) {
        return oxv_cli_fail(cli, code, "%s",
                            verdict.detail[0] == '\0' ? "the log cannot be checked"
                                                      : verdict.detail);
    }
    if (cli->json) {
        print_json(&report, &verdict, result, own_key);
    } else {
        print_verdict(cli, &verdict, result, own_key);
    }
    return code;
}

enum oxv_exit
oxv_cmd_log_verify(struct oxv_cli *cli)
{
    const char *folder = oxv_cli_option(cli, "log");
    const char *key = oxv_cli_option(cli, "key");
    char default_folder[PATH_MAX];

    if (key == NULL) {
        return oxv_cli_usage(cli, "--key is needed: the log's first key as `oxvault init` printed "
                                  "it (log/genesis.vkey is a copy that the log's holder can "
                                  "replace)");
    }
    if (folder == NULL) {
        if (oxv_format(default_folder, sizeof default_folder, "%s/log", cli->dir) != OXV_OK) {
            return oxv_cli_usage(cli, "the vault's path is too long");
        }
        folder = default_folder;
    }
    return verify(cli, folder, key);
}
