/* log verify --manifest: an export against its manifest, and against the log it came from. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/escape.h"
#include "cli/log_files.h"
#include "cli/log_lines.h"
#include "cli/manifest.h"
#include "cli/progress.h"
#include "vault/log/tree.h"
#include "vault/log/verify.h"

static void
closep(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file); /* only read */
    }
}

static enum oxv_exit
wrong(const struct oxv_cli *cli, const char *what)
{
    return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "the export is NOT what its manifest says: %s", what);
}

static enum oxv_exit
read_small(const struct oxv_cli *cli, const char *path, uint8_t *out, size_t max, size_t *len)
{
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open %s", path);
        return oxv_cli_fail(cli, errno == ENOENT ? OXV_EXIT_NOT_FOUND : OXV_EXIT_FAILED, "%s",
                            err.text);
    }
    return oxv_read_to_end(fd, out, max, len) == OXV_OK
               ? OXV_EXIT_DONE
               : oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s cannot be read, or is too long", path);
}

static enum oxv_exit
read_manifest(const struct oxv_cli *cli, const char *path, struct oxv_manifest *out)
{
    static uint8_t text[OXV_MANIFEST_MAX_BYTES];
    struct oxv_err err = { 0 };
    size_t len = 0;
    enum oxv_exit code = read_small(cli, path, text, sizeof text, &len);

    if (code == OXV_EXIT_DONE && oxv_manifest_read(oxv_view(text, len), out, &err) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s is no manifest: %s", path, err.text);
    }
    return code;
}

/* The export beside its manifest. */
static enum oxv_exit
open_export(const struct oxv_cli *cli, const char *path, const struct oxv_manifest *m, FILE **out)
{
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - path + 1);
    char name[PATH_MAX];

    if (oxv_format(name, sizeof name, "%.*s%s", folder, path, m->file) != OXV_OK) {
        return oxv_cli_usage(cli, "the manifest's path is too long");
    }
    *out = fopen(name, "re");
    return *out != NULL ? OXV_EXIT_DONE
                        : oxv_cli_fail(cli, errno == ENOENT ? OXV_EXIT_NOT_FOUND : OXV_EXIT_FAILED,
                                       "cannot open %s: %s", name, strerror(errno));
}

/* A file, a line after the other; zeroed but for the file. */
struct lines {
    FILE *file;
    char *text;
    size_t room;
    size_t len;    /* with its newline */
    bool has_line; /* false: there are no more */
};

static void
lines_done(struct lines *lines)
{
    closep(&lines->file);
    free(lines->text);
}

static void
next_line(struct lines *lines)
{
    ssize_t len = getline(&lines->text, &lines->room, lines->file);

    /* The room that was made for a segment in advance is zeros. */
    lines->has_line = len > 0 && lines->text[0] != '\0';
    lines->len = len > 0 ? (size_t)len : 0;
}

static struct oxv_view
whole_line(const struct lines *lines)
{
    return oxv_view(lines->text, lines->len);
}

/* Without its newline. */
static struct oxv_view
bare_line(const struct lines *lines)
{
    struct oxv_view line = whole_line(lines);

    return oxv_view_slice(line, 0, oxv_view_find(line, '\n'));
}

/* What the file is, counted anew. */
static bool
count_file(struct lines *lines, const struct oxv_manifest *m, struct oxv_manifest *out)
{
    crypto_hash_sha256_state hash;
    bool is_title = strcmp(m->format, "csv") == 0;
    uint64_t seq;

    (void)crypto_hash_sha256_init(&hash); /* none of these can fail */
    for (next_line(lines); lines->has_line; next_line(lines)) {
        (void)crypto_hash_sha256_update(&hash, whole_line(lines).data, lines->len);
        out->bytes += lines->len;
        if (!is_title) {
            if (!oxv_manifest_seq(m->format, bare_line(lines), &seq)) {
                return false;
            }
            out->first = out->entries == 0 ? seq : out->first;
            out->last = seq;
            out->entries++;
        }
        is_title = false;
    }
    (void)crypto_hash_sha256_final(&hash, out->sha256);
    return ferror(lines->file) == 0;
}

static enum oxv_exit
check_file(const struct oxv_cli *cli, const struct oxv_manifest *m, struct lines *lines)
{
    struct oxv_manifest is = { 0 };

    if (!count_file(lines, m, &is)) {
        return wrong(cli, "it cannot be read as such records");
    }
    if (is.bytes != m->bytes || memcmp(is.sha256, m->sha256, sizeof is.sha256) != 0) {
        return wrong(cli, "its SHA-256 is another");
    }
    if (is.entries != m->entries || is.first != m->first || is.last != m->last) {
        return wrong(cli, "it has other entries");
    }
    rewind(lines->file);
    return OXV_EXIT_DONE;
}

/* A walk over the entries of a log that was verified. */
struct walk {
    const struct oxv_manifest *manifest;
    struct oxv_hasher *hasher;
    struct oxv_tree tree;
    struct lines export; /* JSON Lines: the next line that the log has to hold */
    bool compares;
    struct oxv_progress progress;
};

static void
take_entry(struct walk *walk, struct oxv_view line)
{
    oxv_tree_add(&walk->tree, walk->hasher, line);
    if (walk->compares && walk->export.has_line &&
        oxv_view_equals(bare_line(&walk->export), line)) {
        next_line(&walk->export);
    }
    oxv_progress_show(&walk->progress, walk->tree.size);
}

/* The entries of one segment, up to the manifest's size. False where it cannot be read. */
static bool
walk_segment(struct walk *walk, const char *folder)
{
    OXV_AUTO(lines_done) struct lines segment = { .file = NULL };
    uint64_t before = walk->tree.size;
    char path[PATH_MAX];

    if (oxv_format(path, sizeof path, "%s/seg/%012llu.jsonl", folder, (unsigned long long)before) !=
        OXV_OK) {
        return false;
    }
    segment.file = fopen(path, "re");
    if (segment.file == NULL) {
        return false;
    }
    for (next_line(&segment); segment.has_line && walk->tree.size < walk->manifest->size;
         next_line(&segment)) {
        if (!oxv_view_has_prefix(whole_line(&segment), "{\"commit\":")) {
            take_entry(walk, bare_line(&segment));
        }
    }
    return walk->tree.size > before;
}

static enum oxv_exit
walk_log(const struct oxv_cli *cli, const char *folder, struct walk *walk)
{
    uint8_t root[OXV_HASH_BYTES];

    oxv_progress_begin(&walk->progress, "Comparing", walk->manifest->size);
    while (walk->tree.size < walk->manifest->size) {
        if (!walk_segment(walk, folder)) {
            oxv_progress_end(&walk->progress);
            return oxv_cli_fail(cli, OXV_EXIT_FAILED, "entry %llu of the log cannot be read",
                                (unsigned long long)walk->tree.size);
        }
    }
    oxv_progress_end(&walk->progress);
    oxv_tree_root(&walk->tree, walk->hasher, root);
    if (memcmp(root, walk->manifest->root, sizeof root) != 0) {
        return wrong(cli, "the log never had that root");
    }
    if (walk->compares && walk->export.has_line) {
        return wrong(cli, "it holds a line that is not in the log");
    }
    return OXV_EXIT_DONE;
}

/* The first thing that is wrong with the log. */
struct fault {
    bool is_saved; /* the checkpoint is none of this log */
    char reason[OXV_ERR_TEXT_MAX_BYTES];
};

static void
note_fault(void *context, const struct oxv_log_finding *finding)
{
    struct fault *fault = context;

    if (fault->reason[0] == '\0') {
        fault->is_saved = oxv_view_has_prefix(oxv_view_text(finding->file), "saved checkpoint");
        if (oxv_format(fault->reason, sizeof fault->reason, "%s", finding->reason) != OXV_OK) {
            fault->reason[0] = '?';
        }
    }
}

/* Is the log intact, and is the manifest's checkpoint one of it? */
static enum oxv_exit
verify_log(const struct oxv_cli *cli, const char *folder, const char *key_path,
           const struct oxv_manifest *m)
{
    struct fault fault = { .reason = "" };
    struct oxv_log_verify_cfg cfg = { .saved = { oxv_view_text(m->checkpoint) },
                                      .saved_count = 1,
                                      .found = note_fault,
                                      .ctx = &fault };
    struct oxv_log_verdict verdict = { .entries = 0 };
    char text[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_vkey key;
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_log_file_key(cli, key_path, &key);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_vkey_write(&w, &key);
    cfg.vkey = oxv_view(text, w.len);
    enum oxv_status st = oxv_log_verify_with(folder, &cfg, &verdict, &err);

    if (st == OXV_OK) {
        return OXV_EXIT_DONE;
    }
    if (st != OXV_E_FORGED) {
        return oxv_cli_err(cli, &err);
    }
    if (fault.is_saved) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the manifest's checkpoint is none of this log: %s", fault.reason);
    }
    return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                        "the log is NOT what was written (see: log verify without --manifest): %s",
                        fault.reason);
}

static enum oxv_exit
check_log(const struct oxv_cli *cli, const struct oxv_manifest *m, struct lines *export,
          const char *key)
{
    OXV_AUTO(oxv_hasher_freep) struct oxv_hasher *hasher = oxv_hasher_new();
    const char *folder = oxv_cli_option(cli, "log");
    char default_folder[PATH_MAX];
    struct walk walk = { .manifest = m,
                         .hasher = hasher,
                         .export = *export,
                         .compares = strcmp(m->format, "jsonl") == 0 };

    if (hasher == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for SHA-256");
    }
    if (folder == NULL) {
        if (oxv_format(default_folder, sizeof default_folder, "%s/log", cli->dir) != OXV_OK) {
            return oxv_cli_usage(cli, "the vault's path is too long");
        }
        folder = default_folder;
    }
    enum oxv_exit code = verify_log(cli, folder, key, m);

    if (code == OXV_EXIT_DONE) {
        next_line(&walk.export);
        code = walk_log(cli, folder, &walk);
    }
    *export = walk.export; /* its text may have moved */
    return code;
}

static void
print_result(const struct oxv_cli *cli, const struct oxv_manifest *m, bool with_log)
{
    bool compared = with_log && strcmp(m->format, "jsonl") == 0;

    if (cli->json) {
        (void)printf("{\"verdict\":\"intact\",\"entries\":%llu,\"log_checked\":%s,"
                     "\"lines_compared\":%s}\n",
                     (unsigned long long)m->entries, with_log ? "true" : "false",
                     compared ? "true" : "false");
        return;
    }
    (void)printf("%sThe export is what its manifest says:%s %llu entries, SHA-256 as written.\n",
                 oxv_cli_green(cli), oxv_cli_plain(cli), (unsigned long long)m->entries);
    if (!with_log) {
        (void)puts("NOT checked: whether the log holds them. That takes --log and --key.");
        return;
    }
    (void)printf("The log is intact and has the manifest's checkpoint, of %llu entries.\n",
                 (unsigned long long)m->size);
    (void)puts(compared ? "Every line of the export is a line of the log, to the byte."
                        : "NOT checked: that the records say what the log says. Only JSON Lines "
                          "can be compared to the byte.");
}

enum oxv_exit
oxv_manifest_verify(const struct oxv_cli *cli, const char *path)
{
    OXV_AUTO(lines_done) struct lines export = { .file = NULL };
    struct oxv_manifest manifest;
    const char *key = oxv_cli_option(cli, "key");
    enum oxv_exit code;

    if (key == NULL && oxv_cli_option(cli, "log") != NULL) {
        return oxv_cli_usage(cli, "--log needs --key, the log's first key");
    }
    code = read_manifest(cli, path, &manifest);
    code = code == OXV_EXIT_DONE ? open_export(cli, path, &manifest, &export.file) : code;
    code = code == OXV_EXIT_DONE ? check_file(cli, &manifest, &export) : code;
    if (code == OXV_EXIT_DONE && key != NULL) {
        code = check_log(cli, &manifest, &export, key);
    }
    if (code == OXV_EXIT_DONE) {
        print_result(cli, &manifest, key != NULL);
    }
    return code;
}
