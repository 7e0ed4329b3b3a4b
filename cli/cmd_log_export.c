/* log export: the service selects and formats, this writes, and a manifest beside it. */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/log_export.h"
#include "cli/log_lines.h"
#include "cli/manifest.h"
#include "cli/new_file.h"
#include "cli/progress.h"

static const char *const formats[] = { "jsonl", "csv", "ocsf", "ecs", "cef", "leef", "rfc5424" };

struct export
{
    int fd;
    struct oxv_log_splitter splitter;
    struct oxv_manifest manifest;
    crypto_hash_sha256_state hash;
    struct oxv_progress progress;
    bool has_title;     /* CSV: its first line is no record */
    uint64_t piece_seq; /* of the last record of the piece at hand */
    bool is_unknown;    /* a record does not say which entry it is */
    int failed_errno;
};

static bool
take_record(void *context, struct oxv_view record)
{
    struct export *e = context;
    uint64_t seq;

    if (e->has_title) {
        e->has_title = false;
        return true;
    }
    if (!oxv_manifest_seq(e->manifest.format, record, &seq)) {
        e->is_unknown = true;
        return false;
    }
    e->manifest.first = e->manifest.entries == 0 ? seq : e->manifest.first;
    e->manifest.last = seq;
    e->manifest.entries++;
    return true;
}

static bool
take_piece(void *context, struct oxv_view piece)
{
    struct export *e = context;

    if (oxv_write_all(e->fd, piece) != OXV_OK) {
        e->failed_errno = errno;
        return false;
    }
    e->manifest.bytes += piece.len;
    (void)crypto_hash_sha256_update(&e->hash, piece.data, piece.len); /* cannot fail */
    if (!oxv_log_split(&e->splitter, piece)) {
        return false;
    }
    oxv_progress_show(&e->progress, e->manifest.last);
    return true;
}

static enum oxv_exit
stream(struct oxv_cli *cli, const char *path, struct export *e)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    const struct oxv_http_request request = { .method = "GET",
                                              .path = path,
                                              .sink = take_piece,
                                              .sink_context = e,
                                              .endless = true,
                                              .idle_timeout_s = OXV_LOG_IDLE_S };
    struct oxv_client_error error;
    enum oxv_client_code code;

    e->splitter = (struct oxv_log_splitter){ .fn = take_record, .context = e };
    e->has_title = strcmp(e->manifest.format, "csv") == 0;
    code = oxv_door_try(cli, OXV_CLI_AUDIT, &request, &answer, &error);
    oxv_buffer_done(&e->splitter.rest);
    oxv_progress_end(&e->progress);
    if (code == OXV_CLIENT_OK) {
        (void)crypto_hash_sha256_final(&e->hash, e->manifest.sha256); /* cannot fail */
        return OXV_EXIT_DONE;
    }
    if (e->failed_errno != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot write: %s", strerror(e->failed_errno));
    }
    if (e->splitter.failed) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service sent a line that is too long");
    }
    if (e->is_unknown) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service sent a record without its index");
    }
    return oxv_cli_client_error(cli, &error);
}

/* Only where somebody watches: each question is an entry of the log. */
static enum oxv_exit
begin_progress(struct oxv_cli *cli, struct export *e)
{
    struct oxv_manifest head = { 0 };
    enum oxv_exit code = OXV_EXIT_DONE;

    if (isatty(STDERR_FILENO) == 1) {
        code = oxv_manifest_ask_log(cli, &head);
        oxv_progress_begin(&e->progress, "Exporting", head.size);
    }
    return code;
}

static enum oxv_exit
write_manifest(struct oxv_cli *cli, const char *name, const struct oxv_manifest *manifest)
{
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    uint8_t text[OXV_MANIFEST_MAX_BYTES];
    uint8_t filters[OXV_MANIFEST_MAX_BYTES / 2];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_writer filter_object = oxv_writer(filters, sizeof filters);
    struct oxv_view whole;
    struct oxv_err err = { 0 };

    oxv_manifest_write_filters(cli, &filter_object);
    oxv_manifest_write(&w, manifest, oxv_view(filter_object.data, filter_object.len));
    if (filter_object.failed || oxv_writer_finish(&w, &whole) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the manifest would be too long");
    }
    if (oxv_new_file_open(name, &file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (oxv_write_all(file.fd, whole) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot write %s: %s", name, strerror(errno));
    }
    return oxv_new_file_commit(&file, &err) == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

/* An older manifest would be one of another file, so it goes before the new file gets its name. */
static enum oxv_exit
give_name(struct oxv_cli *cli, struct oxv_new_file *file, const char *manifest)
{
    struct oxv_err err = { 0 };

    if (unlink(manifest) != 0 && errno != ENOENT) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot replace %s: %s", manifest,
                            strerror(errno));
    }
    return oxv_new_file_commit(file, &err) == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

static enum oxv_exit
to_file(struct oxv_cli *cli, const char *path, const char *name, struct export *e)
{
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    char manifest[OXV_NEW_FILE_PATH_BYTES];
    const char *slash = strrchr(name, '/');
    struct oxv_err err = { 0 };
    enum oxv_exit code;

    if (oxv_format(manifest, sizeof manifest, "%s" OXV_MANIFEST_SUFFIX, name) != OXV_OK ||
        oxv_format(e->manifest.file, sizeof e->manifest.file, "%s",
                   slash == NULL ? name : slash + 1) != OXV_OK) {
        return oxv_cli_usage(cli, "the file name is too long");
    }
    if (oxv_new_file_open(name, &file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    e->fd = file.fd;
    code = begin_progress(cli, e);
    code = code == OXV_EXIT_DONE ? stream(cli, path, e) : code;
    /* After the export, so that the root covers all of it. */
    code = code == OXV_EXIT_DONE ? oxv_manifest_ask_log(cli, &e->manifest) : code;
    code = code == OXV_EXIT_DONE ? give_name(cli, &file, manifest) : code;
    return code == OXV_EXIT_DONE ? write_manifest(cli, manifest, &e->manifest) : code;
}

static void
print_result(const struct oxv_cli *cli, const char *name, const struct oxv_manifest *manifest)
{
    uint8_t text[2 * OXV_NEW_FILE_PATH_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    if (!cli->json) {
        (void)printf("%llu entries are in %s.\n", (unsigned long long)manifest->entries, name);
        return;
    }
    oxv_write_text(&w, "{\"entries\":");
    oxv_write_decimal(&w, manifest->entries);
    oxv_write_text(&w, ",\"sha256\":\"");
    oxv_write_hex(&w, oxv_view(manifest->sha256, sizeof manifest->sha256));
    oxv_write_text(&w, "\"}\n");
    oxv_cli_print(oxv_view(w.data, w.len));
}

static const char *
find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(name, formats[i]) == 0) {
            return formats[i];
        }
    }
    return NULL;
}

enum oxv_exit
oxv_cmd_log_export(struct oxv_cli *cli)
{
    const char *given = oxv_cli_option(cli, "format");
    const char *format = find_format(given == NULL ? "jsonl" : given);
    const char *file = oxv_cli_option(cli, "output");
    struct export e = { .fd = STDOUT_FILENO };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code;

    if (given != NULL && strcmp(given, "tiles") == 0) {
        return oxv_log_export_tiles(cli);
    }
    if (format == NULL) {
        return oxv_cli_usage(
            cli, "--format is jsonl, csv, ocsf, ecs, cef, leef, rfc5424 or tiles, not: %s", given);
    }
    (void)crypto_hash_sha256_init(&e.hash); /* cannot fail */
    if (oxv_format(e.manifest.format, sizeof e.manifest.format, "%s", format) != OXV_OK) {
        oxv_bug("a format with a long name");
    }
    code = oxv_log_make_path(cli, "export", format, path, sizeof path);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (file == NULL || strcmp(file, "-") == 0) {
        return stream(cli, path, &e);
    }
    code = to_file(cli, path, file, &e);
    if (code == OXV_EXIT_DONE) {
        print_result(cli, file, &e.manifest);
    }
    return code;
}
