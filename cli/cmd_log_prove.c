/*
 * log checkpoint and log prove: the newest signed head, and proofs that lead to it. The entries are
 * read once, whatever is to be proved; nothing of them is kept but a few hashes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/door.h"
#include "cli/log_files.h"
#include "cli/log_lines.h"
#include "cli/new_file.h"
#include "cli/progress.h"

#define READ_ALL_PATH "/v1/audit/log?purpose=export&format=jsonl"

static enum oxv_exit
get_checkpoint(struct oxv_cli *cli, char note[OXV_LOG_CHECKPOINT_MAX_BYTES])
{
    struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_AUDIT, "/v1/audit/checkpoint", &answer);

    if (code == OXV_EXIT_DONE) {
        oxv_door_text(oxv_buffer_view(&answer), "checkpoint", note, OXV_LOG_CHECKPOINT_MAX_BYTES);
    }
    oxv_buffer_done(&answer);
    return code;
}

/* To --output, or to standard output. */
static enum oxv_exit
put_out(struct oxv_cli *cli, struct oxv_view text, const char *what)
{
    const char *path = oxv_cli_option(cli, "output");
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file file = { .fd = -1 };
    struct oxv_err err = { 0 };

    if (path == NULL || strcmp(path, "-") == 0) {
        oxv_cli_print(text);
        return OXV_EXIT_DONE;
    }
    if (oxv_new_file_open(path, &file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (oxv_write_all(file.fd, text) != OXV_OK) {
        (void)oxv_fail_errno(&err, "cannot write %s", path);
        return oxv_cli_err(cli, &err);
    }
    if (oxv_new_file_commit(&file, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    if (!cli->json) {
        (void)printf("The %s is in %s.\n", what, path);
    }
    return OXV_EXIT_DONE;
}

/* With --json the text is a member of an object. */
static enum oxv_exit
put_text(struct oxv_cli *cli, struct oxv_view text, const char *what)
{
    static uint8_t buffer[8u * OXV_PROOF_FILE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view json;

    if (!cli->json || oxv_cli_option(cli, "output") != NULL) {
        return put_out(cli, text, what);
    }
    oxv_write_text(&w, "{\"");
    oxv_write_text(&w, what);
    oxv_write_text(&w, "\":");
    oxv_write_json_string(&w, text);
    oxv_write_text(&w, "}\n");
    if (oxv_writer_finish(&w, &json) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the %s is too long", what);
    }
    oxv_cli_print(json);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_log_checkpoint(struct oxv_cli *cli)
{
    char note[OXV_LOG_CHECKPOINT_MAX_BYTES];
    enum oxv_exit code = get_checkpoint(cli, note);

    return code == OXV_EXIT_DONE ? put_text(cli, oxv_view_text(note), "checkpoint") : code;
}

/* What is to be proved, and what the entries give for it. */
struct proving {
    struct oxv_hasher *hasher;
    struct oxv_proof_head head;
    struct oxv_proof_head old; /* of a proof of growth */
    bool knows_old_root;
    uint8_t old_root[OXV_HASH_BYTES]; /* as the entries have it */
    struct oxv_proof_plan plan;
    struct oxv_proof_pass pass;
    struct oxv_proof_file file;
    struct oxv_progress progress;
    char note[OXV_LOG_CHECKPOINT_MAX_BYTES];
};

static void
proving_free(struct proving *p)
{
    if (p != NULL) {
        oxv_hasher_free(p->hasher);
        free(p);
    }
}

OXV_DEFINE_OWNER(proving);

static bool
take_entry(void *context, struct oxv_view line)
{
    struct proving *p = context;
    struct oxv_tree *tree = &p->pass.tree;

    if (tree->size == p->head.size) {
        return false; /* entries that are newer than the checkpoint */
    }
    if (p->file.kind == OXV_PROOF_OF_ENTRY && tree->size == p->file.number &&
        line.len <= sizeof p->file.extra) {
        memcpy(p->file.extra, line.data, line.len);
        p->file.extra_len = line.len;
    }
    oxv_proof_pass_add(&p->pass, p->hasher, line);
    if (tree->size == p->old.size) {
        oxv_tree_root(tree, p->hasher, p->old_root);
    }
    oxv_progress_show(&p->progress, tree->size);
    return true;
}

/* Reads all entries; they must be those of the checkpoint. */
static enum oxv_exit
read_entries(struct oxv_cli *cli, struct proving *p)
{
    uint8_t root[OXV_HASH_BYTES];

    oxv_proof_pass_init(&p->pass, &p->plan, 0);
    oxv_progress_begin(&p->progress, "entries", p->head.size);
    enum oxv_exit code = oxv_log_read(cli, READ_ALL_PATH, OXV_LOG_IDLE_S, take_entry, p);

    oxv_progress_end(&p->progress);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_tree_root(&p->pass.tree, p->hasher, root);
    if (p->pass.tree.size != p->head.size || memcmp(root, p->head.root, sizeof root) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the entries are not those of the log's own checkpoint: run log verify "
                            "on a copy of the log");
    }
    if (p->knows_old_root && memcmp(p->old_root, p->old.root, sizeof p->old_root) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the log does not contain the checkpoint: its first %llu entries are "
                            "others now",
                            (unsigned long long)p->old.size);
    }
    return OXV_EXIT_DONE;
}

/* OLD is a number of entries, or a checkpoint that was kept. */
static enum oxv_exit
read_old(struct oxv_cli *cli, const char *from, const char *origin, struct proving *p)
{
    OXV_AUTO(oxv_log_file_done) struct oxv_log_file file = { 0 };
    struct oxv_saved_head old = { .head = { .size = 0 } };
    struct oxv_note note;
    struct oxv_err err = { 0 };

    if (!oxv_parse_decimal(oxv_view_text(from), OXV_PROOF_SIZE_MAX, &p->old.size)) {
        enum oxv_exit code = oxv_log_file_read(cli, from, &file);

        if (code != OXV_EXIT_DONE) {
            return code;
        }
        if (oxv_note_parse(oxv_log_file_view(&file), &note, &err) != OXV_OK ||
            oxv_checkpoint_parse(note.text, &old, &err) != OXV_OK) {
            return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s: %s", from, err.text);
        }
        if (strcmp(old.origin, origin) != 0) {
            return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "%s is the checkpoint of another log", from);
        }
        p->old = old.head;
        p->knows_old_root = true;
    }
    p->file.kind = OXV_PROOF_OF_GROWTH;
    p->file.number = p->old.size;
    if (p->old.size > p->head.size) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "the log has %llu entries, fewer than the %llu",
                            (unsigned long long)p->head.size, (unsigned long long)p->old.size);
    }
    if (oxv_proof_plan_consistency(&p->plan, p->old.size, p->head.size) != OXV_OK) {
        return oxv_cli_usage(cli, "every log begins with no entries: there is nothing to prove");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
read_index(struct oxv_cli *cli, const char *index, struct proving *p)
{
    if (!oxv_parse_decimal(oxv_view_text(index), OXV_PROOF_SIZE_MAX, &p->file.number)) {
        return oxv_cli_usage(cli, "INDEX is the number of an entry, from 0 on, not: %s", index);
    }
    if (oxv_proof_plan_inclusion(&p->plan, p->file.number, p->head.size) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "the log has %llu entries, no entry %s",
                            (unsigned long long)p->head.size, index);
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
begin(struct oxv_cli *cli, struct proving *p)
{
    const char *from = oxv_cli_option(cli, "from");
    struct oxv_saved_head head;
    struct oxv_note note;
    struct oxv_err err = { 0 };
    enum oxv_exit code = get_checkpoint(cli, p->note);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_note_parse(oxv_view_text(p->note), &note, &err) != OXV_OK ||
        oxv_checkpoint_parse(note.text, &head, &err) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's checkpoint: %s", err.text);
    }
    p->head = head.head;
    p->file.note = oxv_view_text(p->note);
    return from != NULL ? read_old(cli, from, head.origin, p)
                        : read_index(cli, cli->arguments[0], p);
}

enum oxv_exit
oxv_cmd_log_prove(struct oxv_cli *cli)
{
    static uint8_t buffer[OXV_PROOF_FILE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    OXV_AUTO(proving_freep) struct proving *p = calloc(1, sizeof *p);
    struct oxv_view text;

    if ((oxv_cli_option(cli, "from") != NULL) == (cli->arguments_count > 0)) {
        return oxv_cli_usage(cli, "give the INDEX of an entry, or --from with what was before");
    }
    if (p == NULL || (p->hasher = oxv_hasher_new()) == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
    }
    enum oxv_exit code = begin(cli, p);

    code = code == OXV_EXIT_DONE ? read_entries(cli, p) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_proof_finish(&p->plan, p->hasher, &p->file.proof);
    oxv_proof_file_write(&w, &p->file);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_bug("a proof does not fit");
    }
    return put_text(cli, text, "proof");
}
