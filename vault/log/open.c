#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/log.h"
#include "vault/log/ratchet.h"
#include "vault/log/torn.h"
#include "vault/log/writer.h"

#define COPY_BYTES 65536u

static enum oxv_status
write_text_file(int dir_fd, const char *name, const char *text, struct oxv_err *err)
{
    char line[OXV_LOG_VKEY_MAX_BYTES + 1];

    if (oxv_format(line, sizeof line, "%s\n", text) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the text of log/%s is too long", name);
    }
    return oxv_replace_file_at(dir_fd, name, 0644, oxv_view_text(line), err);
}

static enum oxv_status
make_directories(int vault_fd, struct oxv_err *err)
{
    if (mkdirat(vault_fd, "log", 0700) != 0) {
        if (errno == EEXIST) {
            return oxv_fail(err, OXV_E_CONFLICT, "there is a log already");
        }
        return oxv_fail_errno(err, "cannot create the directory log");
    }
    if (mkdirat(vault_fd, "log/seg", 0700) != 0) {
        return oxv_fail_errno(err, "cannot create the directory log/seg");
    }
    return OXV_OK;
}

/* A new key, its file, and the two files that name it. */
static enum oxv_status
make_key(struct oxv_log *log, const struct oxv_secret *wrap_key, char *vkey_text,
         struct oxv_err *err)
{
    uint8_t empty_root[OXV_HASH_BYTES];
    struct oxv_writer w = oxv_writer(vkey_text, OXV_LOG_VKEY_MAX_BYTES - 1);

    oxv_tree_root(&log->tree, log->hasher, empty_root);
    log->wrap_key = oxv_ratchet(wrap_key, 1);
    if (log->wrap_key == NULL || oxv_epoch_key_init(&log->key, 0, 0, empty_root) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the log's key");
    }
    struct oxv_vkey vkey = oxv_vkey_of(log->origin, log->key.public_key);

    oxv_vkey_write(&w, &vkey);
    if (w.failed) {
        return oxv_fail(err, OXV_E_LIMIT, "the log's origin is too long");
    }
    vkey_text[w.len] = '\0';

    enum oxv_status st = write_text_file(log->dir_fd, "origin", log->origin, err);

    if (st == OXV_OK) {
        st = write_text_file(log->dir_fd, "genesis.vkey", vkey_text, err);
    }
    return st == OXV_OK ? oxv_epoch_key_save(log, OXV_EPOCH_KEY_NAME, &log->key, log->wrap_key, err)
                        : st;
}

enum oxv_status
oxv_log_create(int vault_fd, const struct oxv_entry *first, const struct oxv_secret *wrap_key,
               char vkey[OXV_LOG_VKEY_MAX_BYTES], struct oxv_err *err)
{
    OXV_AUTO(oxv_log_freep) struct oxv_log *log = NULL;
    char vkey_text[OXV_LOG_VKEY_MAX_BYTES];
    uint64_t index;

    if (first->type != OXV_ENTRY_LOG_GENESIS || !oxv_note_is_name(first->origin) ||
        first->origin.len >= OXV_LOG_ORIGIN_MAX_BYTES) {
        return oxv_fail(err, OXV_E_USAGE, "entry 0 must be log.genesis and name the origin");
    }
    enum oxv_status st = make_directories(vault_fd, err);

    if (st == OXV_OK) {
        st = oxv_log_attach(vault_fd, &log, err);
    }
    if (st == OXV_OK) {
        st = oxv_text_copy(first->origin, log->origin, sizeof log->origin);
    }
    if (st == OXV_OK) {
        st = make_key(log, wrap_key, vkey_text, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    st = oxv_log_append(log, first, &index);
    if (st != OXV_OK) {
        return oxv_fail(err, st, "entry 0 is malformed");
    }
    st = oxv_log_commit(log, err);
    if (st != OXV_OK) {
        return st;
    }
    if (fsync(log->dir_fd) != 0 || fsync(vault_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync the directory log");
    }
    memcpy(vkey, vkey_text, sizeof vkey_text);
    return OXV_OK;
}

/* Is log/<name> the one line that it must be? */
static enum oxv_status
check_text_file(int dir_fd, const char *name, const char *wanted, struct oxv_err *err)
{
    char text[OXV_LOG_VKEY_MAX_BYTES + 1];
    size_t len = 0;
    enum oxv_status st = oxv_read_file_at(dir_fd, name, text, sizeof text, &len, err);

    if (st == OXV_E_IO) {
        return st;
    }
    if (st != OXV_OK || len == 0 || text[len - 1] != '\n' ||
        !oxv_view_is(oxv_view(text, len - 1), wanted)) {
        return oxv_fail(err, OXV_E_FORGED, "log/%s is not the one this vault remembers", name);
    }
    return OXV_OK;
}

static enum oxv_status
read_names(struct oxv_log *log, const char *genesis_vkey, struct oxv_vkey *vkey,
           struct oxv_err *err)
{
    enum oxv_status st = oxv_vkey_parse(oxv_view_text(genesis_vkey), vkey, err);

    if (st != OXV_OK) {
        return st;
    }
    memcpy(log->origin, vkey->name, sizeof log->origin);
    st = check_text_file(log->dir_fd, "origin", log->origin, err);
    return st == OXV_OK ? check_text_file(log->dir_fd, "genesis.vkey", genesis_vkey, err) : st;
}

static enum oxv_status
list_segments(const struct oxv_log *log, uint64_t *count, struct oxv_err *err)
{
    struct oxv_segments segments;
    enum oxv_status st = oxv_segments_list(log->seg_fd, &segments, err);

    if (st != OXV_OK) {
        return st;
    }
    if (segments.has_gap || segments.count == 0) {
        char name[OXV_SEGMENT_NAME_BYTES];

        oxv_segment_name(segments.count, name);
        return oxv_fail(err, OXV_E_FORGED, "log/seg/%s is missing", name);
    }
    if (segments.foreign[0] != '\0') {
        return oxv_fail(err, OXV_E_FORGED, "log/seg holds a file that is no segment: %.80s",
                        segments.foreign);
    }
    *count = segments.count;
    return OXV_OK;
}

static enum oxv_status
tell_fault(const struct oxv_walk *walk, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];

    oxv_segment_name(walk->segment, name);
    return oxv_fail(err, OXV_E_FORGED,
                    "the log was damaged or changed: entry %ju, log/seg/%s, byte %ju: %s",
                    (uintmax_t)walk->chain.tree.size, name,
                    (uintmax_t)(walk->end_offset + walk->fault.offset), walk->fault.reason);
}

/* A fault in the last segment may be what a write left that never finished. */
static enum oxv_status
judge_end(const struct oxv_log *log, struct oxv_walk *walk, enum oxv_walk_end end,
          struct oxv_err *err)
{
    bool is_torn = true;

    if (end == OXV_WALK_CLEAN) {
        return OXV_OK;
    }
    enum oxv_status st = oxv_torn_judge(walk, log->seg_fd, &is_torn, err);

    if (st != OXV_OK) {
        return st;
    }
    if (is_torn) {
        return OXV_OK;
    }
    if (end == OXV_WALK_TORN) {
        walk->fault = (struct oxv_chain_fault){ .code = "bad_commit",
                                                .reason = "the last commit line is damaged" };
    }
    return tell_fault(walk, err);
}

static enum oxv_status
walk_all(const struct oxv_log *log, const struct oxv_vkey *vkey, struct oxv_walk *walk,
         struct oxv_err *err)
{
    struct oxv_chain empty;
    uint64_t count = 0;
    enum oxv_walk_end end = OXV_WALK_CLEAN;
    enum oxv_status st = list_segments(log, &count, err);

    if (st != OXV_OK) {
        return st;
    }
    oxv_chain_init(&empty, log->hasher, vkey);
    oxv_walk_init(walk, &empty);
    for (uint64_t n = 0; n < count; n++) {
        bool is_last = n + 1 == count;

        st = oxv_walk_segment(walk, log->seg_fd, n, is_last, &end, err);
        if (st != OXV_OK) {
            return st;
        }
        if (end == OXV_WALK_FAULT && !is_last) {
            return tell_fault(walk, err);
        }
    }
    return judge_end(log, walk, end, err);
}

/* A key file as it lies there. */
struct key_file {
    bool is_there;
    uint8_t bytes[OXV_EPOCH_KEY_FILE_BYTES + 1]; /* one more tells that it is too long */
    size_t len;
    struct oxv_epoch_key_claim claim;
};

static enum oxv_status
read_key_file(const struct oxv_log *log, const char *name, struct key_file *file,
              struct oxv_err *err)
{
    enum oxv_status st =
        oxv_read_file_at(log->dir_fd, name, file->bytes, sizeof file->bytes, &file->len, err);

    if (st != OXV_OK) {
        return st;
    }
    file->is_there = true;
    return oxv_epoch_key_claim(oxv_view(file->bytes, file->len), &file->claim, err);
}

static bool
is_key_of(const struct key_file *file, const struct oxv_chain *good)
{
    return file->is_there && file->claim.epoch == good->epoch &&
           memcmp(file->claim.public_key, good->public_key, sizeof good->public_key) == 0;
}

/* Opens the key file under the ratchet's key of its epoch, which is that of the log. */
static enum oxv_status
open_key_file(struct oxv_log *log, const struct key_file *file, const struct oxv_secret *start,
              struct oxv_err *err)
{
    bool is_old = file->claim.format == OXV_EPOCH_KEY_FORMAT_SUBKEY;

    log->wrap_key = oxv_ratchet(start, file->claim.epoch + 1);
    if (log->wrap_key == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the log's key");
    }
    log->has_to_end_epoch = is_old; /* the next file is wrapped as it should be */
    return oxv_epoch_key_unwrap(oxv_view(file->bytes, file->len), is_old ? start : log->wrap_key,
                                &log->key, err);
}

/* Is this the log that the key file was made for, and no shorter one? */
static enum oxv_status
check_key(const struct oxv_log *log, const struct oxv_chain *good, struct oxv_err *err)
{
    const struct oxv_epoch_key *key = &log->key;

    if (key->begin_size != good->epoch_size ||
        memcmp(key->begin_root, good->epoch_root, sizeof key->begin_root) != 0) {
        return oxv_fail(err, OXV_E_FORGED, "log/epoch.key was made for another log");
    }
    return OXV_OK;
}

/* Neither file is that of the log's epoch: says why. */
static enum oxv_status
refuse_keys(const struct key_file *key, const struct oxv_chain *good, struct oxv_err *err)
{
    if (key->claim.epoch > good->epoch) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the log ends in its epoch %ju, but its key is that of epoch %ju: it was "
                        "cut",
                        (uintmax_t)good->epoch, (uintmax_t)key->claim.epoch);
    }
    return oxv_fail(err, OXV_E_FORGED, "log/epoch.key is not the key of the log's epoch %ju",
                    (uintmax_t)good->epoch);
}

/* What take_key() found; of the file beside epoch.key. */
struct next_key {
    bool is_there;
    bool is_taken; /* it is the key of the log's epoch */
};

/*
 * Takes the file whose key the log names (design.md 7): a kill while an epoch ended can have left
 * the next key's file beside it, before or after the log named that key.
 */
static enum oxv_status
take_key(struct oxv_log *log, const struct oxv_chain *good, const struct oxv_secret *start,
         struct next_key *found, struct oxv_err *err)
{
    struct key_file key = { 0 };
    struct key_file next = { 0 };

    if (good->committed == 0) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the log holds no valid commit: entry 0, log/seg/000000000000.jsonl, "
                        "byte 0");
    }
    enum oxv_status st = read_key_file(log, OXV_EPOCH_KEY_NAME, &key, err);
    struct oxv_err ignored = { 0 };
    enum oxv_status of_next = read_key_file(log, OXV_EPOCH_NEXT_KEY_NAME, &next, &ignored);

    if (of_next == OXV_E_IO) {
        return oxv_fail(err, of_next, "%s", ignored.text);
    }
    bool takes_next = of_next == OXV_OK && is_key_of(&next, good);

    if (!takes_next && st != OXV_OK) {
        return st;
    }
    if (!takes_next && !is_key_of(&key, good)) {
        return refuse_keys(&key, good, err);
    }
    st = open_key_file(log, takes_next ? &next : &key, start, err);
    if (st == OXV_OK) {
        st = check_key(log, good, err);
    }
    *found = (struct next_key){ .is_there = next.is_there, .is_taken = takes_next };
    return st;
}

/* Makes the folder what take_key() found it to be. */
static enum oxv_status
settle_key_files(const struct oxv_log *log, const struct next_key *found, struct oxv_err *err)
{
    if (!found->is_there) {
        return OXV_OK;
    }
    int failed = found->is_taken ? renameat(log->dir_fd, OXV_EPOCH_NEXT_KEY_NAME, log->dir_fd,
                                            OXV_EPOCH_KEY_NAME)
                                 : unlinkat(log->dir_fd, OXV_EPOCH_NEXT_KEY_NAME, 0);

    if (failed != 0 || fsync(log->dir_fd) != 0) {
        return oxv_fail_errno(err, "cannot put log/%s in its place", OXV_EPOCH_NEXT_KEY_NAME);
    }
    return OXV_OK;
}

/*
 * Writes the last group once more where it stands. After a failed sync the kernel may hold bytes
 * that it counts as written and that the disk has not; so they become dirty again.
 */
static enum oxv_status
rewrite_last_group(const struct oxv_walk *walk, int seg_fd, const char *name, struct oxv_err *err)
{
    uint8_t buffer[COPY_BYTES];
    uint64_t at = walk->group_offset;
    OXV_AUTO(oxv_closep) int fd = openat(seg_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    while (at < walk->good_offset) {
        uint64_t left = walk->good_offset - at;
        ssize_t n =
            pread(fd, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer, (off_t)at);
        ssize_t taken = n > 0 ? pwrite(fd, buffer, (size_t)n, (off_t)at) : n;

        if (n <= 0 || taken != n) {
            errno = taken < 0 ? errno : EIO; /* it ended early, or came short */
            return oxv_fail_errno(err, "cannot write log/seg/%s again", name);
        }
        at += (uint64_t)n;
    }
    if (fsync(fd) != 0 || fsync(seg_fd) != 0) {
        return oxv_fail_errno(err, "cannot sync log/seg/%s", name);
    }
    return OXV_OK;
}

/* Makes the writer go on where the walk's last commit ended. */
static enum oxv_status
continue_after(struct oxv_log *log, const struct oxv_walk *walk, struct oxv_err *err)
{
    const struct oxv_chain *good = &walk->good;
    char name[OXV_SEGMENT_NAME_BYTES];

    oxv_segment_name(walk->segment, name);
    enum oxv_status st = rewrite_last_group(walk, log->seg_fd, name, err);

    if (st != OXV_OK) {
        return st;
    }
    st = oxv_tail_continue(&log->tail, walk->segment, walk->good_offset, err);
    if (st != OXV_OK) {
        return st;
    }
    log->tree = good->tree;
    log->next_tree = good->tree;
    log->last_time_us = good->last_time_us;
    log->epoch_first_us = good->committed > good->epoch_size ? oxv_clock_boot_us() : 0;
    log->is_log_key_named = good->has_log_key && memcmp(good->log_key, log->log_key.public_key,
                                                        sizeof good->log_key) == 0;
    return OXV_OK;
}

static enum oxv_status
append_recovery(void *ctx, const struct oxv_torn *torn)
{
    struct oxv_log *log = ctx;
    struct oxv_entry entry = {
        .type = OXV_ENTRY_LOG_RECOVERY,
        .outcome = OXV_OUTCOME_ALLOWED,
        .count = torn->bytes,
        .reason = oxv_view_text(torn->name),
    };
    uint64_t index;

    log->has_unlogged_torn = true;
    return oxv_log_append(log, &entry, &index);
}

/* Puts a torn end aside, and begins the open group with entries for all that no entry names yet. */
static enum oxv_status
recover(struct oxv_log *log, const struct oxv_walk *walk, struct oxv_log_opened *opened,
        struct oxv_err *err)
{
    struct oxv_torn torn;
    enum oxv_status st = oxv_torn_put_aside(walk, log->dir_fd, log->seg_fd, &torn, err);

    if (st == OXV_OK) {
        st = continue_after(log, walk, err);
    }
    if (st == OXV_OK) {
        st = oxv_torn_each_unlogged(log->dir_fd, append_recovery, log, err);
    }
    if (st != OXV_OK || torn.bytes == 0) {
        return st;
    }
    opened->torn_bytes = torn.bytes;
    opened->torn_offset = torn.offset;
    return oxv_format(opened->torn_file, sizeof opened->torn_file, "torn/%s", torn.name);
}

enum oxv_status
oxv_log_open(int vault_fd, const char *genesis_vkey, const struct oxv_secret *wrap_key,
             struct oxv_log **out, struct oxv_log_opened *opened, struct oxv_err *err)
{
    OXV_AUTO(oxv_log_freep) struct oxv_log *log = NULL;
    struct oxv_log_opened told = { 0 };
    struct next_key next = { 0 };
    struct oxv_vkey vkey;
    struct oxv_walk walk;
    enum oxv_status st = oxv_log_attach(vault_fd, &log, err);

    if (st == OXV_OK) {
        st = read_names(log, genesis_vkey, &vkey, err);
    }
    if (st == OXV_OK) {
        st = walk_all(log, &vkey, &walk, err);
    }
    if (st == OXV_OK) {
        st = take_key(log, &walk.good, wrap_key, &next, err);
    }
    if (st == OXV_OK) {
        st = oxv_log_key_make(log->origin, wrap_key, &log->log_key, err);
    }
    if (st == OXV_OK) {
        st = settle_key_files(log, &next, err);
    }
    if (st == OXV_OK) {
        st = recover(log, &walk, &told, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    told.last_cfg = walk.good.cfg.last;
    told.last_done_cfg = walk.good.cfg.last_done;
    told.before_cfg = walk.good.cfg.before;
    memcpy(told.before_cfg_digest, walk.good.cfg.before_digest, sizeof told.before_cfg_digest);
    memcpy(told.last_cfg_digest, walk.good.cfg.last_digest, sizeof told.last_cfg_digest);
    *opened = told;
    *out = oxv_log_take(&log);
    return OXV_OK;
}
