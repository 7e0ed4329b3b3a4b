/* log verify --proof: one proof against the checkpoint in it, with nothing but a key. */
#include <string.h>

#include "base/text.h"
#include "cli/escape.h"
#include "cli/log_files.h"

/* A proof, opened: the checkpoint in it is signed by the key. */
struct opened {
    struct oxv_log_file bytes;
    struct oxv_proof_file file;
    struct oxv_saved_head head;
    struct oxv_vkey key;
    struct oxv_hasher *hasher;
};

static void
opened_done(struct opened *o)
{
    oxv_log_file_done(&o->bytes);
    oxv_hasher_free(o->hasher);
}

/* A checkpoint of the key's log, signed by it. */
static enum oxv_exit
open_note(const struct oxv_cli *cli, const struct opened *o, struct oxv_view bytes,
          struct oxv_saved_head *head)
{
    struct oxv_note note;
    struct oxv_err err = { 0 };

    if (oxv_note_parse(bytes, &note, &err) != OXV_OK ||
        oxv_checkpoint_parse(note.text, head, &err) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s", err.text);
    }
    if (strcmp(head->origin, o->key.name) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "the checkpoint is of another log than the key");
    }
    if (oxv_note_check(&note, &o->key) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "the checkpoint is not signed by this key");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
open_proof(const struct oxv_cli *cli, const char *path, const char *key, struct opened *o)
{
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_log_file_key(cli, key, &o->key);

    code = code == OXV_EXIT_DONE ? oxv_log_file_read(cli, path, &o->bytes) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    o->hasher = oxv_hasher_new();
    if (o->hasher == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory to hash with");
    }
    if (oxv_proof_file_parse(oxv_log_file_view(&o->bytes), &o->file, &err) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s: %s", path, err.text);
    }
    return open_note(cli, o, o->file.note, &o->head);
}

/* The entry that the proof is about: of --entry, or what came with the proof. */
static enum oxv_exit
find_entry(const struct oxv_cli *cli, const struct opened *o, struct oxv_log_file *given,
           struct oxv_view *entry)
{
    const char *path = oxv_cli_option(cli, "entry");

    *entry = oxv_view(o->file.extra, o->file.extra_len);
    if (path == NULL) {
        return o->file.extra_len > 0
                   ? OXV_EXIT_DONE
                   : oxv_cli_usage(cli, "the proof does not hold its entry: give it by --entry");
    }
    enum oxv_exit code = oxv_log_file_read(cli, path, given);

    *entry = oxv_log_file_view(given);
    if (entry->len > 0 && entry->data[entry->len - 1] == '\n') {
        entry->len--;
    }
    return code;
}

/* The end of the verdict, which is the same for all. */
static void
print_origin(const struct opened *o)
{
    (void)fputs("Origin: ", stdout);
    oxv_escape_print(stdout, oxv_view_text(o->head.origin));
    (void)puts("\nNOT checked: whether others are shown the same log, as no witness was asked.");
}

static void
print_json(const struct opened *o, const char *number, struct oxv_view entry)
{
    static uint8_t buffer[8u * OXV_PROOF_FILE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;

    oxv_write_text(&w, "{\"verdict\":\"proved\",\"origin\":");
    oxv_write_json_string(&w, oxv_view_text(o->head.origin));
    oxv_write_text(&w, ",\"");
    oxv_write_text(&w, number);
    oxv_write_text(&w, "\":");
    oxv_write_decimal(&w, o->file.number);
    oxv_write_text(&w, ",\"size\":");
    oxv_write_decimal(&w, o->head.head.size);
    oxv_write_text(&w, ",\"root\":\"");
    oxv_write_base64(&w, oxv_view(o->head.head.root, OXV_HASH_BYTES));
    if (entry.len > 0) {
        oxv_write_text(&w, "\",\"entry\":");
        oxv_write_json_string(&w, entry);
        oxv_write_text(&w, ",\"not_checked\":[\"witness\"]}\n");
    } else {
        oxv_write_text(&w, "\",\"not_checked\":[\"witness\"]}\n");
    }
    if (oxv_writer_finish(&w, &text) == OXV_OK) {
        oxv_cli_print(text);
    }
}

static enum oxv_exit
verify_entry(const struct oxv_cli *cli, const struct opened *o)
{
    OXV_AUTO(oxv_log_file_done) struct oxv_log_file given = { 0 };
    uint8_t leaf[OXV_HASH_BYTES];
    size_t at = 0;
    struct oxv_view entry;
    enum oxv_exit code = find_entry(cli, o, &given, &entry);

    if (oxv_cli_option_next(cli, "checkpoint", &at) != NULL) {
        return oxv_cli_usage(cli, "--checkpoint goes with a folder, or with a proof of growth");
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_hash_leaf(o->hasher, entry, leaf);
    if (!oxv_proof_has_leaf(o->hasher, &o->file.proof, o->file.number, leaf, &o->head.head)) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "the proof does not hold: this is not entry %llu",
                            (unsigned long long)o->file.number);
    }
    if (cli->json) {
        print_json(o, "index", entry);
        return OXV_EXIT_DONE;
    }
    (void)printf("%sThe proof holds:%s entry %llu of the %llu in the log is\n", oxv_cli_green(cli),
                 oxv_cli_plain(cli), (unsigned long long)o->file.number,
                 (unsigned long long)o->head.head.size);
    oxv_escape_print(stdout, entry);
    (void)putchar('\n');
    print_origin(o);
    return OXV_EXIT_DONE;
}

static enum oxv_exit
verify_growth(const struct oxv_cli *cli, const struct opened *o)
{
    OXV_AUTO(oxv_log_file_done) struct oxv_log_file bytes = { 0 };
    struct oxv_saved_head old;
    size_t at = 0;
    const char *path = oxv_cli_option_next(cli, "checkpoint", &at);

    if (path == NULL || oxv_cli_option_next(cli, "checkpoint", &at) != NULL ||
        oxv_cli_option(cli, "entry") != NULL) {
        return oxv_cli_usage(cli, "a proof of growth wants one --checkpoint, the older one");
    }
    enum oxv_exit code = oxv_log_file_read(cli, path, &bytes);

    code = code == OXV_EXIT_DONE ? open_note(cli, o, oxv_log_file_view(&bytes), &old) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (old.head.size != o->file.number) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the proof begins at %llu entries, the checkpoint has %llu",
                            (unsigned long long)o->file.number, (unsigned long long)old.head.size);
    }
    if (!oxv_proof_extends(o->hasher, &o->file.proof, &old.head, &o->head.head)) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the proof does not hold: the log does not contain the checkpoint");
    }
    if (cli->json) {
        print_json(o, "old", (struct oxv_view){ 0 });
        return OXV_EXIT_DONE;
    }
    (void)printf("%sThe proof holds:%s the log of %llu entries begins with the %llu of the "
                 "checkpoint.\n",
                 oxv_cli_green(cli), oxv_cli_plain(cli), (unsigned long long)o->head.head.size,
                 (unsigned long long)old.head.size);
    print_origin(o);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_log_verify_proof(struct oxv_cli *cli, const char *proof, const char *key)
{
    OXV_AUTO(opened_done) struct opened o = { .hasher = NULL };

    if (oxv_cli_option(cli, "log") != NULL) {
        return oxv_cli_usage(cli, "--proof needs no --log");
    }
    enum oxv_exit code = open_proof(cli, proof, key, &o);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    return o.file.kind == OXV_PROOF_OF_ENTRY ? verify_entry(cli, &o) : verify_growth(cli, &o);
}
