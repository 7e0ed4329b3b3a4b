/* log verify: offline, with a key that came another way than the log did. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/escape.h"
#include "cli/log_files.h"
#include "cli/manifest.h"
#include "cli/new_file.h"
#include "cli/progress.h"

#define REPORT_MAX_BYTES 65536u
#define JOBS_MAX         32u

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
print_finding(const struct oxv_cli *cli, const struct oxv_log_finding *finding)
{
    (void)printf("%sentry %llu%s, ", oxv_cli_red(cli), (unsigned long long)finding->entry,
                 oxv_cli_plain(cli));
    oxv_escape_print(stdout, oxv_view_text(finding->file));
    if (!oxv_view_has_prefix(oxv_view_text(finding->code), "checkpoint_")) {
        (void)printf(" byte %llu", (unsigned long long)finding->offset);
    }
    (void)fputs(": ", stdout);
    oxv_escape_print(stdout, oxv_view_text(finding->reason));
    (void)printf(" (%s)\n", finding->code);
}

static void
found(void *context, const struct oxv_log_finding *finding)
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

/* The verdict, and what it was reached with. */
struct judged {
    const struct oxv_log_verdict *verdict;
    bool is_intact;
    size_t saved; /* checkpoints that were given */
    bool own_key;
    char fingerprint[OXV_LOG_FINGERPRINT_BYTES];
};

/* Commits whose root was checked, their signature not. */
static uint64_t
skipped(const struct judged *judged)
{
    return judged->verdict->commits - judged->verdict->signatures;
}

static void
write_not_checked(struct oxv_writer *w, const struct judged *judged)
{
    oxv_write_text(w, ",\"not_checked\":[");
    oxv_write_text(w, judged->verdict->heads == 0 ? "\"saved_checkpoint\"," : "");
    oxv_write_text(w, skipped(judged) > 0 ? "\"inner_signatures\"," : "");
    oxv_write_text(w, "\"witness\"]");
}

static void
write_times(struct oxv_writer *w, const struct oxv_log_verdict *verdict)
{
    char time[OXV_TIMESTAMP_BYTES];

    oxv_format_timestamp(verdict->first_time_us, time);
    write_text_member(w, "first_time", verdict->entries > 0 ? time : "");
    oxv_write_u8(w, ',');
    oxv_format_timestamp(verdict->last_time_us, time);
    write_text_member(w, "last_time", verdict->entries > 0 ? time : "");
}

static void
print_json(const struct report *report, const struct judged *judged)
{
    static uint8_t buffer[REPORT_MAX_BYTES + 4096];
    const struct oxv_log_verdict *verdict = judged->verdict;
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;

    oxv_write_u8(&w, '{');
    write_text_member(&w, "verdict", judged->is_intact ? "intact" : "faulty");
    oxv_write_text(&w, ",\"findings\":[");
    oxv_write_view(&w, oxv_view(report->findings.data, report->findings.len));
    oxv_write_text(&w, "],");
    write_number_member(&w, "entries", verdict->entries);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "commits", verdict->commits);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "signatures", verdict->signatures);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "epochs", verdict->epochs);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "resumed_from", verdict->resumed);
    oxv_write_u8(&w, ',');
    write_text_member(&w, "key", judged->fingerprint);
    oxv_write_u8(&w, ',');
    write_text_member(&w, "origin", verdict->origin);
    oxv_write_text(&w, ",\"root\":\"");
    oxv_write_base64(&w, oxv_view(verdict->root, sizeof verdict->root));
    oxv_write_text(&w, "\",");
    write_times(&w, verdict);
    oxv_write_text(&w, ",\"writer_active\":");
    oxv_write_text(&w, verdict->writer_active ? "true," : "false,");
    write_number_member(&w, "checkpoints", verdict->heads);
    oxv_write_u8(&w, ',');
    write_number_member(&w, "compared_up_to", verdict->head_size);
    write_not_checked(&w, judged);
    oxv_write_text(&w, ",\"key_from_log\":");
    oxv_write_text(&w, judged->own_key ? "true}\n" : "false}\n");
    if (oxv_writer_finish(&w, &text) == OXV_OK) {
        oxv_cli_print(text);
    }
}

static void
print_headline(const struct oxv_cli *cli, const struct judged *judged)
{
    const struct oxv_log_verdict *verdict = judged->verdict;
    bool only_saved = verdict->findings == judged->saved - verdict->heads;

    if (judged->is_intact) {
        (void)printf("%sThe log is intact.%s\n", oxv_cli_green(cli), oxv_cli_plain(cli));
    } else if (only_saved) {
        (void)printf("%sThe log is NOT the one that was seen before:%s it agrees with itself, and "
                     "lacks a checkpoint that was kept.\n",
                     oxv_cli_red(cli), oxv_cli_plain(cli));
    } else {
        (void)printf("%sThe log is NOT what was written.%s Nothing from there on counts.\n",
                     oxv_cli_red(cli), oxv_cli_plain(cli));
    }
}

/* What an auditor must know the verdict does not cover. */
static void
print_limits(const struct oxv_cli *cli, const struct judged *judged)
{
    const struct oxv_log_verdict *verdict = judged->verdict;

    if (verdict->heads > 0) {
        (void)printf("It contains %s, up to entry %llu.\n",
                     judged->saved == 1                ? "the checkpoint that was kept"
                     : verdict->heads == judged->saved ? "all checkpoints that were kept"
                                                       : "some of the checkpoints that were kept",
                     (unsigned long long)(verdict->head_size - 1));
        (void)puts("NOT checked: whether entries behind that were cut off or exchanged by one who "
                   "holds the current key, as no witness was asked.");
    } else {
        (void)puts("NOT checked: whether entries at the end were cut off or exchanged by one who "
                   "holds the current key, as there is no saved checkpoint (--checkpoint) and no "
                   "witness was asked.");
    }
    if (skipped(judged) > 0) {
        (void)printf("NOT checked: %llu inner signatures (--finals-only). A signature of the same "
                     "epoch covers what they sign.\n",
                     (unsigned long long)skipped(judged));
    }
    if (judged->own_key) {
        (void)printf("%s%s%s\n", oxv_cli_yellow(cli), key_from_folder, oxv_cli_plain(cli));
    }
}

/* The head that the entries have: what a checkpoint of this log must say. */
static void
print_head(const struct oxv_log_verdict *verdict)
{
    uint8_t text[64];
    char first[OXV_TIMESTAMP_BYTES];
    char last[OXV_TIMESTAMP_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    oxv_format_timestamp(verdict->first_time_us, first);
    oxv_format_timestamp(verdict->last_time_us, last);
    oxv_write_base64(&w, oxv_view(verdict->root, sizeof verdict->root));
    (void)printf("Times: %s to %s\nCheckpoint: size %llu, root %.*s\n", first, last,
                 (unsigned long long)verdict->entries, (int)w.len, (const char *)w.data);
}

static void
print_verdict(const struct oxv_cli *cli, const struct judged *judged)
{
    const struct oxv_log_verdict *verdict = judged->verdict;

    print_headline(cli, judged);
    (void)printf("%llu entries under %llu commits in %llu epochs were checked, with %llu "
                 "signatures.\n",
                 (unsigned long long)verdict->entries, (unsigned long long)verdict->commits,
                 (unsigned long long)verdict->epochs, (unsigned long long)verdict->signatures);
    if (verdict->resumed > 0) {
        (void)printf("The first %llu of them were checked when the state was saved; they were not "
                     "read again.\n",
                     (unsigned long long)verdict->resumed);
    }
    if (verdict->origin[0] != '\0') {
        (void)fputs("Origin: ", stdout);
        oxv_escape_print(stdout, oxv_view_text(verdict->origin));
        (void)putchar('\n');
    }
    (void)printf("Key: %s (%s)\n", judged->fingerprint,
                 judged->own_key ? "from the log's own folder" : "as given");
    if (verdict->entries > 0) {
        print_head(verdict);
    }
    if (verdict->writer_active) {
        (void)puts("A service has this log open; what it is writing right now was left out.");
    }
    print_limits(cli, judged);
}

/* The checkpoints that were given, read whole. */
struct saved_files {
    size_t count;
    struct oxv_log_file files[OXV_LOG_SAVED_MAX];
};

static void
saved_files_done(struct saved_files *saved)
{
    for (size_t i = 0; i < saved->count; i++) {
        oxv_log_file_done(&saved->files[i]);
    }
}

static enum oxv_exit
read_saved(const struct oxv_cli *cli, struct saved_files *saved, struct oxv_log_verify_cfg *cfg)
{
    const char *path;
    size_t at = 0;

    while ((path = oxv_cli_option_next(cli, "checkpoint", &at)) != NULL) {
        if (saved->count == OXV_LOG_SAVED_MAX) {
            return oxv_cli_usage(cli, "at most %u checkpoints at a time", OXV_LOG_SAVED_MAX);
        }
        enum oxv_exit code = oxv_log_file_read(cli, path, &saved->files[saved->count]);

        if (code != OXV_EXIT_DONE) {
            return code;
        }
        cfg->saved[saved->count] = oxv_log_file_view(&saved->files[saved->count]);
        cfg->saved_count = ++saved->count;
    }
    return OXV_EXIT_DONE;
}

static void
show_progress(void *context, uint64_t done, uint64_t total)
{
    struct oxv_progress *progress = context;

    progress->total = total;
    oxv_progress_show(progress, done);
}

/* The state of an earlier verification; none where the file is not there yet. */
static enum oxv_exit
read_state(const struct oxv_cli *cli, struct oxv_log_file *file, struct oxv_log_verify_cfg *cfg)
{
    const char *path = oxv_cli_option(cli, "state");

    if (path == NULL || (access(path, F_OK) != 0 && errno == ENOENT)) {
        return OXV_EXIT_DONE;
    }
    enum oxv_exit code = oxv_log_file_read(cli, path, file);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    cfg->state = oxv_log_file_view(file);
    return cfg->state.len > 0 ? OXV_EXIT_DONE
                              : oxv_cli_fail(cli, OXV_EXIT_FAILED, "the saved state is empty");
}

static enum oxv_exit
write_state(const struct oxv_cli *cli, const char *path, const struct oxv_writer *w)
{
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    struct oxv_err err = { 0 };
    enum oxv_status st = w->failed ? oxv_fail(&err, OXV_E_LIMIT, "the state is too long") : OXV_OK;

    st = st == OXV_OK ? oxv_new_file_open(path, &file, &err) : st;
    if (st == OXV_OK && oxv_write_all(file.fd, oxv_view(w->data, w->len)) != OXV_OK) {
        st = oxv_fail_errno(&err, "cannot write the state");
    }
    st = st == OXV_OK ? oxv_new_file_commit(&file, &err) : st;
    return st == OXV_OK ? OXV_EXIT_DONE : oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s", err.text);
}

/* What the options say, but for the key. */
struct wish {
    struct oxv_log_verify_cfg cfg;
    struct saved_files saved;
    struct oxv_log_file state;
};

static void
wish_done(struct wish *wish)
{
    saved_files_done(&wish->saved);
    oxv_log_file_done(&wish->state);
}

static enum oxv_exit
read_wish(const struct oxv_cli *cli, struct wish *wish)
{
    const char *jobs = oxv_cli_option(cli, "jobs");
    uint64_t number = 0;

    if (jobs != NULL &&
        (!oxv_parse_decimal(oxv_view_text(jobs), JOBS_MAX, &number) || number == 0)) {
        return oxv_cli_usage(cli, "--jobs takes a number from 1 to %u", JOBS_MAX);
    }
    wish->cfg.jobs = (unsigned)number;
    wish->cfg.finals_only = oxv_cli_option(cli, "finals-only") != NULL;
    enum oxv_exit code = read_saved(cli, &wish->saved, &wish->cfg);

    return code == OXV_EXIT_DONE ? read_state(cli, &wish->state, &wish->cfg) : code;
}

static enum oxv_status
run(struct oxv_log_verify_cfg *cfg, const char *folder, struct judged *judged,
    struct oxv_log_verdict *verdict, struct oxv_err *err)
{
    struct oxv_progress progress;

    oxv_progress_begin(&progress, "verifying", 1);
    cfg->progress = show_progress;
    cfg->progress_ctx = &progress;
    enum oxv_status st = oxv_log_verify_with(folder, cfg, verdict, err);

    oxv_progress_end(&progress);
    if (oxv_log_vkey_fingerprint(cfg->vkey, judged->fingerprint, sizeof judged->fingerprint) !=
        OXV_OK) {
        oxv_bug("a key that was parsed has a fingerprint");
    }
    judged->is_intact = st == OXV_OK;
    return st;
}

static enum oxv_exit
verify(const struct oxv_cli *cli, const char *folder, const char *key_path)
{
    static uint8_t findings[REPORT_MAX_BYTES];
    static uint8_t state[OXV_LOG_STATE_MAX_BYTES];
    struct report report = { .cli = cli, .findings = oxv_writer(findings, sizeof findings) };
    struct oxv_writer new_state = oxv_writer(state, sizeof state);
    OXV_AUTO(wish_done) struct wish wish = { .cfg = { .found = found, .ctx = &report } };
    struct oxv_log_verdict verdict = { .entries = 0 };
    char key[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(key, sizeof key);
    struct oxv_vkey vkey;
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_log_file_key(cli, key_path, &vkey);

    code = code == OXV_EXIT_DONE ? read_wish(cli, &wish) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_vkey_write(&w, &vkey);
    wish.cfg.vkey = oxv_view(key, w.len);
    wish.cfg.state_to = &new_state;
    struct judged judged = { .verdict = &verdict,
                             .saved = wish.saved.count,
                             .own_key = is_inside(folder, key_path) };
    enum oxv_status st = run(&wish.cfg, folder, &judged, &verdict, &err);

    if (st != OXV_OK && st != OXV_E_FORGED) {
        return oxv_cli_fail(cli, st == OXV_E_NOT_FOUND ? OXV_EXIT_NOT_FOUND : OXV_EXIT_FAILED, "%s",
                            err.text);
    }
    if (cli->json) {
        print_json(&report, &judged);
    } else {
        print_verdict(cli, &judged);
    }
    if (st != OXV_OK) {
        return OXV_EXIT_VERIFY;
    }
    const char *path = oxv_cli_option(cli, "state");

    return path == NULL ? OXV_EXIT_DONE : write_state(cli, path, &new_state);
}

enum oxv_exit
oxv_cmd_log_verify(struct oxv_cli *cli)
{
    const char *folder = oxv_cli_option(cli, "log");
    const char *key = oxv_cli_option(cli, "key");
    const char *proof = oxv_cli_option(cli, "proof");
    char default_folder[PATH_MAX];

    if (oxv_cli_option(cli, "manifest") != NULL) {
        return oxv_manifest_verify(cli, oxv_cli_option(cli, "manifest"));
    }
    if (key == NULL) {
        return oxv_cli_usage(cli, "--key is needed: the log's first key as `oxvault init` printed "
                                  "it (log/genesis.vkey is a copy that the log's holder can "
                                  "replace)");
    }
    if (proof != NULL) {
        return oxv_log_verify_proof(cli, proof, key);
    }
    if (oxv_cli_option(cli, "entry") != NULL) {
        return oxv_cli_usage(cli, "--entry goes with --proof");
    }
    if (folder == NULL) {
        if (oxv_format(default_folder, sizeof default_folder, "%s/log", cli->dir) != OXV_OK) {
            return oxv_cli_usage(cli, "the vault's path is too long");
        }
        folder = default_folder;
    }
    return verify(cli, folder, key);
}
