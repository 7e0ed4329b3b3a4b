#include "vault/log/wanted.h"

#include <stdlib.h>

#include "base/hook.h"
#include "vault/log/commit.h"
#include "vault/log/proof_file.h"
#include "vault/log/writer.h"

#define FIRST_ROOM 16u

/* Header, index, hashes with their newlines, checkpoint; all but the entry. */
#define PROOF_BYTES (64u + OXV_PROOF_MAX_HASHES * 45u + OXV_LOG_CHECKPOINT_MAX_BYTES)

_Static_assert(PROOF_BYTES + (OXV_LOG_ENTRY_MAX_BYTES + 2u) / 3u * 4u <= OXV_LOG_PROOF_MAX_BYTES,
               "a proof of the longest entry must fit");

/* An entry that is to be proved. The line is on the heap: the group's buffer moves. */
struct line {
    uint64_t index;
    size_t len;
    uint8_t *bytes;
};

struct oxv_wanted {
    struct oxv_recent *recent;
    bool has_failed; /* no memory for a leaf: no proof can be made any more */
    size_t count;
    size_t room;
    struct line *lines;
    uint64_t note_size; /* of the tree that the note is about; 0: there is none yet */
    size_t note_len;
    uint8_t note[OXV_LOG_CHECKPOINT_MAX_BYTES];
};

void
oxv_wanted_free(struct oxv_wanted *wanted)
{
    if (wanted == NULL) {
        return;
    }
    for (size_t i = 0; i < wanted->count; i++) {
        free(wanted->lines[i].bytes);
    }
    free(wanted->lines);
    oxv_recent_free(wanted->recent);
    free(wanted);
}

static enum oxv_status
begin(struct oxv_log *log)
{
    OXV_AUTO(oxv_wanted_freep) struct oxv_wanted *wanted = calloc(1, sizeof *wanted);

    if (wanted == NULL) {
        return OXV_E_MEMORY;
    }
    wanted->recent = oxv_recent_new(&log->tree);
    if (wanted->recent == NULL) {
        return OXV_E_MEMORY;
    }
    log->wanted = oxv_wanted_take(&wanted);
    return OXV_OK;
}

/* The last entry's line of the open group; a commit line may follow it. */
static struct oxv_view
last_line(const struct oxv_log *log)
{
    struct oxv_view lines = oxv_view(log->buffer, log->buffer_len);
    struct oxv_view line;

    do {
        lines = oxv_view_slice(lines, 0, lines.len - 1); /* without its newline */
        size_t newline = oxv_view_find_last(lines, '\n');
        size_t from = newline == lines.len ? 0 : newline + 1;

        line = oxv_view_from(lines, from);
        lines = oxv_view_slice(lines, 0, from);
    } while (oxv_commit_is_line(line) && lines.len > 0);
    return line;
}

static enum oxv_status
keep_line(struct oxv_wanted *wanted, uint64_t index, struct oxv_view line)
{
    if (wanted->count == wanted->room) {
        size_t room = wanted->room == 0 ? FIRST_ROOM : 2 * wanted->room;
        struct line *lines = reallocarray(wanted->lines, room, sizeof *lines);

        if (lines == NULL) {
            return OXV_E_MEMORY;
        }
        wanted->lines = lines;
        wanted->room = room;
    }
    uint8_t *bytes = malloc(line.len);

    if (bytes == NULL) {
        return OXV_E_MEMORY;
    }
    memcpy(bytes, line.data, line.len);
    wanted->lines[wanted->count++] =
        (struct line){ .index = index, .len = line.len, .bytes = bytes };
    return OXV_OK;
}

enum oxv_status
oxv_log_want_proof(struct oxv_log *log, size_t *max_bytes)
{
    if (log->broken) {
        return OXV_E_IO;
    }
    if (log->waiting == 0) {
        return OXV_E_USAGE;
    }
    enum oxv_status st = log->wanted == NULL ? begin(log) : OXV_OK;
    struct oxv_view line = last_line(log);

    st = st == OXV_OK ? keep_line(log->wanted, log->next_tree.size - 1, line) : st;
    if (st == OXV_OK) {
        *max_bytes = PROOF_BYTES + (line.len + 2) / 3 * 4;
    }
    return st;
}

void
oxv_wanted_take_group(struct oxv_log *log)
{
    struct oxv_wanted *wanted = log->wanted;
    struct oxv_reader r = oxv_reader(oxv_view(log->buffer, log->buffer_len));
    struct oxv_view line;

    wanted->has_failed = wanted->has_failed || oxv_hook("log.proof.memory") != 0;
    while (!wanted->has_failed && oxv_read_line(&r, &line)) {
        wanted->has_failed = !oxv_commit_is_line(line) &&
                             oxv_recent_add(wanted->recent, log->hasher, line) != OXV_OK;
    }
}

static const struct line *
find(const struct oxv_wanted *wanted, uint64_t index)
{
    for (size_t i = 0; wanted != NULL && i < wanted->count; i++) {
        if (wanted->lines[i].index == index) {
            return &wanted->lines[i];
        }
    }
    return NULL;
}

/* One checkpoint for all proofs of a group: its signatures are what costs. */
static struct oxv_view
newest_note(const struct oxv_log *log, struct oxv_wanted *wanted)
{
    if (wanted->note_size != log->tree.size) {
        struct oxv_writer w = oxv_writer(wanted->note, sizeof wanted->note);

        oxv_log_checkpoint(log, &w);
        if (w.failed) {
            oxv_bug("a checkpoint that does not fit");
        }
        wanted->note_len = w.len;
        wanted->note_size = log->tree.size;
    }
    return oxv_view(wanted->note, wanted->note_len);
}

enum oxv_status
oxv_log_write_proof(struct oxv_log *log, uint64_t index, struct oxv_writer *w)
{
    struct oxv_wanted *wanted = log->wanted;
    const struct line *line = find(wanted, index);
    struct oxv_proof_file file = { .kind = OXV_PROOF_OF_ENTRY, .number = index };

    if (log->broken) {
        return OXV_E_IO;
    }
    if (line == NULL) {
        return OXV_E_NOT_FOUND;
    }
    if (wanted->has_failed) {
        return OXV_E_MEMORY;
    }
    enum oxv_status st = oxv_recent_prove(wanted->recent, log->hasher, index, &file.proof);

    if (st != OXV_OK) {
        return st; /* it still waits */
    }
    file.note = newest_note(log, wanted);
    file.extra_len = line->len;
    memcpy(file.extra, line->bytes, line->len);
    oxv_proof_file_write(w, &file);
    return w->failed ? OXV_E_LIMIT : OXV_OK;
}

void
oxv_log_forget_proofs(struct oxv_log *log)
{
    oxv_wanted_freep(&log->wanted);
}
