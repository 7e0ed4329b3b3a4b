/* epoch: the end of one epoch and the begin of the next (design.md 7), and the log key. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"
#include "vault/log/ratchet.h"
#include "vault/log/writer.h"

static void
wipe_ending(struct oxv_epoch_ending *ending)
{
    oxv_epoch_key_done(&ending->key);
    oxv_epoch_key_done(&ending->log_key);
    oxv_secret_freep(&ending->wrap_key);
}

void
oxv_epoch_done(struct oxv_log *log)
{
    wipe_ending(&log->ending);
    oxv_epoch_key_done(&log->key);
    oxv_epoch_key_done(&log->log_key);
    oxv_secret_freep(&log->wrap_key);
}

enum oxv_status
oxv_epoch_key_save(const struct oxv_log *log, const char *name, const struct oxv_epoch_key *key,
                   const struct oxv_secret *wrap_key, struct oxv_err *err)
{
    uint8_t buffer[OXV_EPOCH_KEY_FILE_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view file;

    if (oxv_epoch_key_wrap(key, wrap_key, &w) != OXV_OK || oxv_writer_finish(&w, &file) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the log's key");
    }
    return oxv_replace_file_at(log->dir_fd, name, 0600, file, err);
}

enum oxv_status
oxv_log_key_make(const char *origin, const struct oxv_secret *start, struct oxv_epoch_key *out,
                 struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *seed = oxv_log_key_seed(start, origin);
    struct oxv_epoch_key made = { 0 };

    if (seed == NULL || oxv_epoch_key_expand(&made, oxv_secret_view(seed).data) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the log's key");
    }
    oxv_epoch_key_done(out);
    *out = made;
    return OXV_OK;
}

/* Entries of the current epoch, those in the open group among them. */
static uint64_t
entries_of_epoch(const struct oxv_log *log)
{
    return log->next_tree.size - log->key.begin_size;
}

uint64_t
oxv_log_epoch_ends_us(const struct oxv_log *log)
{
    if (log->broken || entries_of_epoch(log) == 0) {
        return UINT64_MAX;
    }
    uint64_t due = log->has_to_end_epoch || entries_of_epoch(log) >= log->epoch_max_entries
                       ? 0
                       : log->epoch_first_us + log->epoch_max_us;

    return due > log->epoch_retry_us ? due : log->epoch_retry_us;
}

bool
oxv_epoch_is_due(const struct oxv_log *log)
{
    uint64_t due = oxv_log_epoch_ends_us(log);

    return log->ending.wrap_key == NULL && due != UINT64_MAX && due <= oxv_clock_boot_us();
}

void
oxv_log_end_epoch(struct oxv_log *log)
{
    log->has_to_end_epoch = true;
}

uint64_t
oxv_log_epoch(const struct oxv_log *log)
{
    return log->key.epoch;
}

static enum oxv_status
vkey_text(const struct oxv_log *log, const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
          struct oxv_writer *w)
{
    struct oxv_vkey vkey = oxv_vkey_of(log->origin, public_key);

    oxv_vkey_write(w, &vkey);
    return w->failed ? OXV_E_LIMIT : OXV_OK;
}

enum oxv_status
oxv_log_name_key(struct oxv_log *log)
{
    uint8_t text[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    uint64_t index;

    if (log->broken) {
        return OXV_E_IO;
    }
    if (log->is_log_key_named) {
        return OXV_OK;
    }
    enum oxv_status st = vkey_text(log, log->log_key.public_key, &w);

    if (st != OXV_OK) {
        return st;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_LOG_KEY,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .log_key = oxv_view(text, w.len) };

    st = oxv_log_add(log, &entry, &index);
    log->is_log_key_named = st == OXV_OK;
    return st;
}

/* Makes the keys that come: of the epoch, of its file, and of the log where the root is new. */
static enum oxv_status
make_ending(const struct oxv_log *log, const struct oxv_secret *new_start,
            struct oxv_epoch_ending *out, struct oxv_err *err)
{
    static const uint8_t unknown[OXV_HASH_BYTES]; /* set when the last entry is composed */
    struct oxv_epoch_ending made = { 0 };
    enum oxv_status st = oxv_epoch_key_init(&made.key, log->key.epoch + 1, 0, unknown);

    made.wrap_key = new_start == NULL ? oxv_ratchet(log->wrap_key, 1)
                                      : oxv_ratchet(new_start, log->key.epoch + 2);
    if (st == OXV_OK && new_start != NULL) {
        st = oxv_log_key_make(log->origin, new_start, &made.log_key, err);
    }
    if (st != OXV_OK || made.wrap_key == NULL) {
        wipe_ending(&made);
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the log's next key");
    }
    *out = made;
    return OXV_OK;
}

/* The epoch's last entry; where the next one begins is then known. */
static enum oxv_status
add_last_entry(struct oxv_log *log, struct oxv_epoch_key *next)
{
    uint8_t text[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    uint64_t index;
    enum oxv_status st = vkey_text(log, next->public_key, &w);

    if (st != OXV_OK) {
        return st;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_LOG_EPOCH,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .next_key = oxv_view(text, w.len) };

    st = oxv_log_add(log, &entry, &index);
    if (st == OXV_OK) {
        next->begin_size = log->next_tree.size;
        oxv_tree_root(&log->next_tree, log->hasher, next->begin_root);
    }
    return st;
}

/* What an added entry changes, so that it can be taken back. */
struct group_mark {
    struct oxv_tree next_tree;
    uint64_t last_time_us, last_mono_us, epoch_first_us;
    uint64_t waiting, unclosed;
    size_t buffer_len, part_count;
};

static struct group_mark
mark_group(const struct oxv_log *log)
{
    return (struct group_mark){ .next_tree = log->next_tree,
                                .last_time_us = log->last_time_us,
                                .last_mono_us = log->last_mono_us,
                                .epoch_first_us = log->epoch_first_us,
                                .waiting = log->waiting,
                                .unclosed = log->unclosed,
                                .buffer_len = log->buffer_len,
                                .part_count = log->part_count };
}

static void
back_to_mark(struct oxv_log *log, const struct group_mark *mark)
{
    log->next_tree = mark->next_tree;
    log->last_time_us = mark->last_time_us;
    log->last_mono_us = mark->last_mono_us;
    log->epoch_first_us = mark->epoch_first_us;
    log->waiting = mark->waiting;
    log->unclosed = mark->unclosed;
    log->buffer_len = mark->buffer_len;
    log->part_count = mark->part_count;
}

enum oxv_status
oxv_epoch_end(struct oxv_log *log, const struct oxv_secret *new_start, struct oxv_err *err)
{
    struct oxv_epoch_ending made;
    struct group_mark before = mark_group(log);
    enum oxv_status st = make_ending(log, new_start, &made, err);

    if (st != OXV_OK) {
        return st;
    }
    st = add_last_entry(log, &made.key);
    if (st != OXV_OK) {
        st = oxv_fail(err, st, "the epoch's last entry does not fit the open group");
    } else {
        st = oxv_epoch_key_save(log, OXV_EPOCH_NEXT_KEY_NAME, &made.key, made.wrap_key, err);
    }
    if (st != OXV_OK) {
        back_to_mark(log, &before);
        wipe_ending(&made);
        return st;
    }
    (void)oxv_hook("log.epoch.next_key");
    log->ending = made;
    return OXV_OK;
}

enum oxv_status
oxv_epoch_begin(struct oxv_log *log, struct oxv_err *err)
{
    struct oxv_epoch_ending *ending = &log->ending;

    if (ending->wrap_key == NULL) {
        return OXV_OK;
    }
    if (oxv_hook("log.epoch.final") != 0 ||
        renameat(log->dir_fd, OXV_EPOCH_NEXT_KEY_NAME, log->dir_fd, OXV_EPOCH_KEY_NAME) != 0 ||
        oxv_hook("log.epoch.renamed") != 0 || fsync(log->dir_fd) != 0) {
        (void)oxv_fail_errno(err, "cannot put the log's next key in its place");
        return oxv_log_break(log);
    }
    (void)oxv_hook("log.epoch.durable");
    oxv_epoch_key_done(&log->key);
    oxv_secret_freep(&log->wrap_key);
    log->key = ending->key;
    log->wrap_key = ending->wrap_key;
    if (ending->log_key.secret_key != NULL) {
        oxv_epoch_key_done(&log->log_key);
        log->log_key = ending->log_key;
        log->is_log_key_named = false;
    }
    *ending = (struct oxv_epoch_ending){ 0 };
    log->has_to_end_epoch = false;
    log->epoch_first_us = 0;
    log->epoch_retry_us = 0;
    return OXV_OK;
}
