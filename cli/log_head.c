#include "cli/log_head.h"

#include "base/text.h"
#include "cli/door.h"
#include "cli/log_files.h"
#include "cli/progress.h"

#define READ_ALL_PATH "/v1/audit/log?purpose=export&format=jsonl"

static enum oxv_exit
take_note(const struct oxv_cli *cli, const char *where, struct oxv_view bytes,
          struct oxv_log_head *head)
{
    struct oxv_note note;
    struct oxv_err err = { 0 };

    if (oxv_note_parse(bytes, &note, &err) != OXV_OK ||
        oxv_checkpoint_parse(note.text, &head->said, &err) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s: %s", where, err.text);
    }
    if (oxv_text_copy(bytes, head->note, sizeof head->note) != OXV_OK) {
        oxv_bug("a note that is longer than a note");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_log_ask_head(struct oxv_cli *cli, struct oxv_log_head *head)
{
    char note[OXV_LOG_CHECKPOINT_MAX_BYTES + 1];
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_AUDIT, "/v1/audit/checkpoint", &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&answer), "checkpoint", note, sizeof note);
    return take_note(cli, "the service's checkpoint", oxv_view_text(note), head);
}

enum oxv_exit
oxv_log_read_head(const struct oxv_cli *cli, const char *path, struct oxv_log_head *head)
{
    OXV_AUTO(oxv_log_file_done) struct oxv_log_file file = { 0 };
    enum oxv_exit code = oxv_log_file_read(cli, path, &file);

    return code == OXV_EXIT_DONE ? take_note(cli, path, oxv_log_file_view(&file), head) : code;
}

struct reading {
    struct oxv_hasher *hasher;
    struct oxv_tree tree;
    uint64_t size;
    oxv_log_line_fn fn;
    void *context;
    bool stopped;
    struct oxv_progress progress;
};

static bool
take_entry(void *context, struct oxv_view line)
{
    struct reading *r = context;

    if (r->tree.size == r->size) {
        return false; /* entries that are newer than the checkpoint */
    }
    oxv_tree_add(&r->tree, r->hasher, line);
    oxv_progress_show(&r->progress, r->tree.size);
    r->stopped = !r->fn(r->context, line);
    return !r->stopped;
}

enum oxv_exit
oxv_log_read_all(struct oxv_cli *cli, const struct oxv_log_head *head, struct oxv_hasher *hasher,
                 oxv_log_line_fn fn, void *context)
{
    const struct oxv_proof_head *wanted = &head->said.head;
    struct reading r = { .hasher = hasher, .size = wanted->size, .fn = fn, .context = context };
    uint8_t root[OXV_HASH_BYTES];

    oxv_progress_begin(&r.progress, "Reading", wanted->size);
    enum oxv_exit code = oxv_log_read(cli, READ_ALL_PATH, OXV_LOG_IDLE_S, take_entry, &r);

    oxv_progress_end(&r.progress);
    if (code != OXV_EXIT_DONE || r.stopped) {
        return code;
    }
    oxv_tree_root(&r.tree, hasher, root);
    if (r.tree.size != wanted->size || memcmp(root, wanted->root, sizeof root) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_VERIFY,
                            "the entries are not those of the log's own checkpoint: run log verify "
                            "on a copy of the log");
    }
    return OXV_EXIT_DONE;
}
