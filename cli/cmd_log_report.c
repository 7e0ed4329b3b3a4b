/* log report: the whole log is read through the service, counted, and shown on one HTML page. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/log_files.h"
#include "cli/log_lines.h"
#include "cli/manifest.h"
#include "cli/new_file.h"
#include "cli/progress.h"
#include "cli/report_page.h"
#include "cli/times.h"
#include "vault/log/tree.h"
#include "vault/log/verify.h"

#define READ_ALL_PATH "/v1/audit/log?purpose=export&format=jsonl"

struct reading {
    struct oxv_report *report;
    struct oxv_hasher *hasher;
    struct oxv_tree tree;
    struct oxv_manifest head; /* the checkpoint that was asked for before */
    bool has_root;            /* the tree had its size */
    bool is_same;             /* and its root */
    struct oxv_progress progress;
    enum oxv_status failed;
};

/* What is known of the log, and the texts of it. */
struct judgement {
    struct oxv_report_verdict verdict;
    char text[1024];
    char fingerprint[OXV_LOG_FINGERPRINT_BYTES];
    char reason[OXV_ERR_TEXT_MAX_BYTES];
};

static void
compare_root(struct reading *reading)
{
    uint8_t root[OXV_HASH_BYTES];

    if (reading->tree.size == reading->head.size) {
        oxv_tree_root(&reading->tree, reading->hasher, root);
        reading->has_root = true;
        reading->is_same = memcmp(root, reading->head.root, sizeof root) == 0;
    }
}

static bool
take_line(void *context, struct oxv_view line)
{
    struct reading *reading = context;

    oxv_tree_add(&reading->tree, reading->hasher, line);
    compare_root(reading);
    reading->failed = oxv_report_add(reading->report, line);
    oxv_progress_show(&reading->progress, reading->tree.size);
    return reading->failed == OXV_OK;
}

static enum oxv_exit
read_all(struct oxv_cli *cli, struct reading *reading)
{
    enum oxv_exit code = oxv_manifest_ask_log(cli, &reading->head);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_progress_begin(&reading->progress, "Reading", reading->head.size);
    code = oxv_log_read(cli, READ_ALL_PATH, OXV_LOG_IDLE_S, take_line, reading);
    oxv_progress_end(&reading->progress);
    if (code == OXV_EXIT_DONE && reading->failed != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            reading->failed == OXV_E_MEMORY
                                ? "no memory for the report"
                                : "the service sent a line that is no entry of a log");
    }
    return code;
}

static void
note_fault(void *context, const struct oxv_log_finding *finding)
{
    struct judgement *j = context;

    if (j->reason[0] == '\0' &&
        oxv_format(j->reason, sizeof j->reason, "entry %llu, %s byte %llu: %s",
                   (unsigned long long)finding->entry, finding->file,
                   (unsigned long long)finding->offset, finding->reason) != OXV_OK) {
        j->reason[0] = '?';
    }
}

static void
judge(struct judgement *j, enum oxv_report_grade grade, const char *title, const char *text)
{
    j->verdict.grade = grade;
    j->verdict.title = title;
    if (oxv_format(j->text, sizeof j->text, "%s", text) != OXV_OK) {
        oxv_bug("a verdict that is too long");
    }
}

/* What the reading alone shows. */
static void
judge_reading(struct judgement *j, const struct reading *reading)
{
    if (!reading->is_same || reading->report->missing > 0) {
        judge(j, OXV_REPORT_BAD, "The entries are NOT those of the log's checkpoint",
              reading->has_root
                  ? "The entries that the service gave have another root than the one "
                    "it signed."
                  : "The service gave fewer entries than it signed for.");
        return;
    }
    judge(j, OXV_REPORT_PARTLY, "The entries are those of the service's checkpoint",
          "Counted from entry 0, they have the root that the service named. NOT checked: "
          "signatures, and whether another log was put in the place of this one. That takes the "
          "log's first key: log report --key FILE.");
}

/* And the folder, where the auditor's key is given. */
static enum oxv_exit
judge_folder(const struct oxv_cli *cli, struct judgement *j, const char *folder, const char *key)
{
    struct oxv_log_verify_cfg cfg = { .saved = { oxv_view_text(j->verdict.checkpoint) },
                                      .saved_count = 1,
                                      .found = note_fault,
                                      .ctx = j };
    struct oxv_log_verdict verdict = { .entries = 0 };
    char text[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_vkey vkey;
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_log_file_key(cli, key, &vkey);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_vkey_write(&w, &vkey);
    cfg.vkey = oxv_view(text, w.len);
    enum oxv_status st = oxv_log_verify_with(folder, &cfg, &verdict, &err);

    if (st != OXV_OK && st != OXV_E_FORGED) {
        return oxv_cli_err(cli, &err);
    }
    if (oxv_log_vkey_fingerprint(cfg.vkey, j->fingerprint, sizeof j->fingerprint) == OXV_OK) {
        j->verdict.fingerprint = j->fingerprint;
    }
    if (st == OXV_E_FORGED) {
        judge(j, OXV_REPORT_BAD, "The log is NOT what was written", j->reason);
    } else if (j->verdict.grade != OXV_REPORT_BAD) {
        judge(j, OXV_REPORT_GOOD, "The log is intact",
              "Every entry, every root and every signature was checked from the log's first key "
              "on, and the entries below are those of its checkpoint. NOT checked: whether newer "
              "entries were cut off; that is seen with a checkpoint from before.");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
find_verdict(const struct oxv_cli *cli, const struct reading *reading, struct judgement *j)
{
    const char *key = oxv_cli_option(cli, "key");
    const char *folder = oxv_cli_option(cli, "log");
    char default_folder[PATH_MAX];

    j->verdict = (struct oxv_report_verdict){ .text = j->text,
                                              .checkpoint = reading->head.checkpoint,
                                              .origin = reading->head.origin,
                                              .size = reading->head.size };
    memcpy(j->verdict.root, reading->head.root, sizeof j->verdict.root);
    judge_reading(j, reading);
    if (key == NULL) {
        return OXV_EXIT_DONE;
    }
    if (folder == NULL) {
        if (oxv_format(default_folder, sizeof default_folder, "%s/log", cli->dir) != OXV_OK) {
            return oxv_cli_usage(cli, "the vault's path is too long");
        }
        folder = default_folder;
    }
    return judge_folder(cli, j, folder, key);
}

static enum oxv_exit
write_page(const struct oxv_cli *cli, struct oxv_report *report, const struct judgement *j,
           struct oxv_new_file *file)
{
    int fd = dup(file->fd);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    struct oxv_err err = { 0 };

    if (out == NULL) {
        oxv_closep(&fd);
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot write: %s", strerror(errno));
    }
    oxv_report_print(out, report, &j->verdict, oxv_cli_option(cli, "from"),
                     oxv_cli_option(cli, "to"));
    bool failed = ferror(out) != 0;

    if (fclose(out) != 0 || failed) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot write: %s", strerror(errno));
    }
    return oxv_new_file_commit(file, &err) == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

static enum oxv_exit
read_bound(const struct oxv_cli *cli, const char *option, uint64_t *time_us)
{
    const char *value = oxv_cli_option(cli, option);
    char time[OXV_TIMESTAMP_BYTES];

    if (value == NULL) {
        return OXV_EXIT_DONE;
    }
    if (!oxv_times_parse(value, oxv_clock_wall_us(), false, time) ||
        !oxv_parse_timestamp(oxv_view_text(time), time_us)) {
        return oxv_cli_usage(cli,
                             "--%s wants a date, a time like 2026-01-31T08:00:00Z, or 2h or 3d "
                             "(ago), not: %s",
                             option, value);
    }
    return OXV_EXIT_DONE;
}

static void
print_result(const struct oxv_cli *cli, const struct oxv_report *r, const struct judgement *j,
             const char *file)
{
    static const char *const words[] = { "intact", "unchecked", "faulty" };

    if (cli->json) {
        (void)printf("{\"verdict\":\"%s\",\"entries\":%llu,\"signatures\":%llu,\"denied\":%llu,"
                     "\"failed\":%llu}\n",
                     words[j->verdict.grade], (unsigned long long)r->entries,
                     (unsigned long long)r->signatures.allowed,
                     (unsigned long long)r->refusals.denied,
                     (unsigned long long)r->refusals.failed);
        return;
    }
    (void)printf("%s.\n", j->verdict.title);
    (void)printf("The report on %llu entries is in %s.\n", (unsigned long long)r->entries, file);
}

enum oxv_exit
oxv_cmd_log_report(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_report_freep) struct oxv_report *report = oxv_report_new();
    OXV_AUTO(oxv_hasher_freep) struct oxv_hasher *hasher = oxv_hasher_new();
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    static struct reading reading;
    static struct judgement judgement;
    const char *name = oxv_cli_option(cli, "output");
    struct oxv_err err = { 0 };

    if (name == NULL) {
        return oxv_cli_usage(cli, "--output FILE is needed");
    }
    if (oxv_cli_option(cli, "log") != NULL && oxv_cli_option(cli, "key") == NULL) {
        return oxv_cli_usage(cli, "--log needs --key, the log's first key");
    }
    if (report == NULL || hasher == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for the report");
    }
    reading.report = report;
    reading.hasher = hasher;
    enum oxv_exit code = read_bound(cli, "from", &report->from_us);

    code = code == OXV_EXIT_DONE ? read_bound(cli, "to", &report->to_us) : code;
    if (code == OXV_EXIT_DONE && report->from_us >= report->to_us) {
        return oxv_cli_usage(cli, "--from must be before --to");
    }
    if (code == OXV_EXIT_DONE && oxv_new_file_open(name, &file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    code = code == OXV_EXIT_DONE ? read_all(cli, &reading) : code;
    code = code == OXV_EXIT_DONE ? find_verdict(cli, &reading, &judgement) : code;
    code = code == OXV_EXIT_DONE ? write_page(cli, report, &judgement, &file) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    print_result(cli, report, &judgement, name);
    return judgement.verdict.grade == OXV_REPORT_BAD ? OXV_EXIT_VERIFY : OXV_EXIT_DONE;
}
