/*
 * log checkpoint and log prove: the newest signed head, and proofs that lead to it, or to one that
 * was kept. The service's entries are read once, and nothing of them is kept but a few hashes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/log_files.h"
#include "cli/log_head.h"
#include "cli/new_file.h"
#include "vault/log/folder.h"

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

/* What is to be proved, and what the entries give for it. */
struct proving {
    struct oxv_hasher *hasher;
    struct oxv_log_head head;
    struct oxv_log_head kept; /* of a proof of growth from a checkpoint: the older one */
    bool has_kept;
    struct oxv_proof_head old; /* of a proof of growth: as the entries have it */
    struct oxv_proof_plan plan;
    struct oxv_proof_pass pass;
    struct oxv_proof_file file;
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

static struct proving *
proving_new(void)
{
    OXV_AUTO(proving_freep) struct proving *p = calloc(1, sizeof *p);

    if (p != NULL) {
        p->hasher = oxv_hasher_new();
    }
    return p != NULL && p->hasher != NULL ? proving_take(&p) : NULL;
}

enum oxv_exit
oxv_cmd_log_checkpoint(struct oxv_cli *cli)
{
    OXV_AUTO(proving_freep) struct proving *p = proving_new();

    if (p == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
    }
    enum oxv_exit code = oxv_log_ask_head(cli, &p->head);

    return code == OXV_EXIT_DONE ? put_text(cli, oxv_view_text(p->head.note), "checkpoint") : code;
}

static bool
take_entry(void *context, struct oxv_view line)
{
    struct proving *p = context;
    struct oxv_tree *tree = &p->pass.tree;

    if (p->file.kind == OXV_PROOF_OF_ENTRY && tree->size == p->file.number &&
        line.len <= sizeof p->file.extra) {
        memcpy(p->file.extra, line.data, line.len);
        p->file.extra_len = line.len;
    }
    oxv_proof_pass_add(&p->pass, p->hasher, line);
    if (p->file.kind == OXV_PROOF_OF_GROWTH && tree->size == p->file.number) {
        p->old.size = tree->size;
        oxv_tree_root(tree, p->hasher, p->old.root);
    }
    return true;
}

/* From the service's entries. */
static enum oxv_exit
prove_running(struct oxv_cli *cli, struct proving *p)
{
    oxv_proof_pass_init(&p->pass, &p->plan, 0);
    enum oxv_exit code = oxv_log_read_all(cli, &p->head, p->hasher, take_entry, p);

    if (code == OXV_EXIT_DONE) {
        oxv_proof_finish(&p->plan, p->hasher, &p->file.proof);
    }
    return code;
}

/* From a copy of the folder. */
static enum oxv_exit
prove_folder(struct oxv_cli *cli, const char *folder, struct proving *p)
{
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open %s", folder);
        return oxv_cli_err(cli, &err);
    }
    enum oxv_status st = oxv_folder_prove(fd, &p->head.said.head, &p->file, &p->old, &err);

    return st == OXV_OK         ? OXV_EXIT_DONE
           : st == OXV_E_FORGED ? oxv_cli_fail(cli, OXV_EXIT_VERIFY, "%s", err.text)
                                : oxv_cli_err(cli, &err);
}

/* OLD is a number of entries, or a checkpoint that was kept. */
static enum oxv_exit
plan_growth(struct oxv_cli *cli, const char *from, struct proving *p)
{
    p->file.kind = OXV_PROOF_OF_GROWTH;
    if (!oxv_parse_decimal(oxv_view_text(from), OXV_PROOF_SIZE_MAX, &p->file.number)) {
        enum oxv_exit code = oxv_log_read_head(cli, from, &p->kept);

        if (code != OXV_EXIT_DONE) {
            return code;
        }
        if (strcmp(p->kept.said.origin, p->head.said.origin) != 0) {
            return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "%s is the checkpoint of another log", from);
        }
        p->file.number = p->kept.said.head.size;
        p->has_kept = true;
    }
    if (p->file.number > p->head.said.head.size) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY, "the log has %llu entries, fewer than the %llu",
                            (unsigned long long)p->head.said.head.size,
                            (unsigned long long)p->file.number);
    }
    if (oxv_proof_plan_consistency(&p->plan, p->file.number, p->head.said.head.size) != OXV_OK) {
        return oxv_cli_usage(cli, "every log begins with no entries: there is nothing to prove");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
plan_entry(struct oxv_cli *cli, const char *index, struct proving *p)
{
    if (!oxv_parse_decimal(oxv_view_text(index), OXV_PROOF_SIZE_MAX, &p->file.number)) {
        return oxv_cli_usage(cli, "INDEX is the number of an entry, from 0 on, not: %s", index);
    }
    if (oxv_proof_plan_inclusion(&p->plan, p->file.number, p->head.said.head.size) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "the log has %llu entries, no entry %s",
                            (unsigned long long)p->head.said.head.size, index);
    }
    return OXV_EXIT_DONE;
}

/* The head that the proof is to lead to, and what is to be proved. */
static enum oxv_exit
begin(struct oxv_cli *cli, struct proving *p)
{
    const char *from = oxv_cli_option(cli, "from");
    const char *checkpoint = oxv_cli_option(cli, "checkpoint");
    enum oxv_exit code;

    if ((from != NULL) == (cli->arguments_count > 0)) {
        return oxv_cli_usage(cli, "give the INDEX of an entry, or --from with what was before");
    }
    if ((oxv_cli_option(cli, "log") != NULL) != (checkpoint != NULL)) {
        return oxv_cli_usage(cli, "--log and --checkpoint go together: a copy of the log, and the "
                                  "checkpoint that the proof shall lead to");
    }
    code = checkpoint == NULL ? oxv_log_ask_head(cli, &p->head)
                              : oxv_log_read_head(cli, checkpoint, &p->head);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    p->file.note = oxv_view_text(p->head.note);
    return from != NULL ? plan_growth(cli, from, p) : plan_entry(cli, cli->arguments[0], p);
}

enum oxv_exit
oxv_cmd_log_prove(struct oxv_cli *cli)
{
    static uint8_t buffer[OXV_PROOF_FILE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    OXV_AUTO(proving_freep) struct proving *p = proving_new();
    const char *folder = oxv_cli_option(cli, "log");
    struct oxv_view text;

    if (p == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
    }
    enum oxv_exit code = begin(cli, p);

    if (code == OXV_EXIT_DONE) {
        code = folder == NULL ? prove_running(cli, p) : prove_folder(cli, folder, p);
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (p->has_kept && memcmp(p->old.root, p->kept.said.head.root, OXV_HASH_BYTES) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the log does not contain the checkpoint: its first %llu entries are "
                            "others now",
                            (unsigned long long)p->old.size);
    }
    oxv_proof_file_write(&w, &p->file);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_bug("a proof does not fit");
    }
    return put_text(cli, text, "proof");
}
