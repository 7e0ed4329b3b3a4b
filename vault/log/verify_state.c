#include "vault/log/verify_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/io.h"
#include "base/text.h"

static const char format_line[] = "oxvault log verify state 1\n";

/* What is kept. The segment follows from the size. */
struct kept {
    struct oxv_view vkey; /* the log's first key; its name is the origin */
    struct oxv_view boot;
    struct oxv_view public_key;
    struct oxv_view epoch_root;
    struct oxv_view root;
    struct oxv_view log_key;
    struct oxv_view tree; /* roots of the full subtrees, the smallest first */
    uint64_t size;
    uint64_t commits;
    uint64_t signatures;
    uint64_t epoch;
    uint64_t epoch_size;
    uint64_t offset;
    uint64_t first_time_us;
    uint64_t last_time_us;
    uint64_t last_mono_us;
};

#define KEPT(member, tag, type, required, min, max)                                                \
    OXV_FIELD(struct kept, member, tag, OXV_FIELD_##type, required, min, max)

static const struct oxv_field kept_fields[] = {
    KEPT(vkey, 1, TEXT, true, 1, OXV_LOG_VKEY_MAX_BYTES - 1),
    KEPT(size, 2, U64, true, 1, OXV_LOG_INTEGER_MAX),
    KEPT(root, 3, BYTES, true, OXV_HASH_BYTES, OXV_HASH_BYTES),
    KEPT(tree, 4, BYTES, true, OXV_HASH_BYTES, OXV_TREE_MAX_LEVELS *OXV_HASH_BYTES),
    KEPT(commits, 5, U64, true, 1, OXV_LOG_INTEGER_MAX),
    KEPT(signatures, 6, U64, true, 1, OXV_LOG_INTEGER_MAX),
    KEPT(epoch, 7, U64, false, 1, OXV_LOG_INTEGER_MAX),
    KEPT(epoch_size, 8, U64, false, 1, OXV_LOG_INTEGER_MAX),
    KEPT(epoch_root, 9, BYTES, true, OXV_HASH_BYTES, OXV_HASH_BYTES),
    KEPT(public_key, 10, BYTES, true, OXV_NOTE_PUBLIC_KEY_BYTES, OXV_NOTE_PUBLIC_KEY_BYTES),
    KEPT(offset, 11, U64, true, 1, INT64_MAX),
    KEPT(first_time_us, 12, U64, false, 1, OXV_TIMESTAMP_MAX_US),
    KEPT(last_time_us, 13, U64, false, 1, OXV_TIMESTAMP_MAX_US),
    KEPT(last_mono_us, 14, U64, false, 1, OXV_LOG_INTEGER_MAX),
    KEPT(boot, 15, TEXT, true, OXV_LOG_BOOT_CHARS, OXV_LOG_BOOT_CHARS),
    KEPT(log_key, 16, BYTES, false, OXV_NOTE_PUBLIC_KEY_BYTES, OXV_NOTE_PUBLIC_KEY_BYTES),
};

static const struct oxv_shape kept_shape = OXV_SHAPE(struct kept, "the saved state", kept_fields);

static void
write_vkey(const struct oxv_vkey *vkey, char out[OXV_LOG_VKEY_MAX_BYTES], struct oxv_view *text)
{
    struct oxv_writer w = oxv_writer(out, OXV_LOG_VKEY_MAX_BYTES);

    oxv_vkey_write(&w, vkey);
    if (oxv_writer_finish(&w, text) != OXV_OK) {
        oxv_bug("a verifier key that does not fit");
    }
}

void
oxv_verify_state_write(struct oxv_writer *w, const struct oxv_verify_state *state,
                       const struct oxv_vkey *genesis, struct oxv_hasher *hasher)
{
    const struct oxv_chain *chain = &state->chain;
    uint8_t tree[OXV_TREE_MAX_LEVELS * OXV_HASH_BYTES];
    struct oxv_writer t = oxv_writer(tree, sizeof tree);
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    uint8_t digest[OXV_HASH_BYTES];
    size_t begin = w->len;
    struct kept kept = {
        .boot = oxv_view_text(chain->boot),
        .public_key = oxv_view(chain->public_key, sizeof chain->public_key),
        .epoch_root = oxv_view(chain->epoch_root, sizeof chain->epoch_root),
        .log_key = oxv_view(chain->log_key, chain->has_log_key ? sizeof chain->log_key : 0),
        .root = oxv_view(chain->root, sizeof chain->root),
        .size = chain->committed,
        .commits = chain->commits,
        .signatures = state->signatures,
        .epoch = chain->epoch,
        .epoch_size = chain->epoch_size,
        .offset = state->offset,
        .first_time_us = chain->first_time_us,
        .last_time_us = chain->last_time_us,
        .last_mono_us = chain->last_mono_us,
    };

    for (unsigned level = 0; level < OXV_TREE_MAX_LEVELS; level++) {
        if ((chain->tree.size >> level & 1) != 0) {
            oxv_write_view(&t, oxv_view(chain->tree.hash[level], OXV_HASH_BYTES));
        }
    }
    kept.tree = oxv_view(tree, t.len);
    write_vkey(genesis, vkey, &kept.vkey);
    oxv_write_text(w, format_line);
    oxv_fields_encode(w, &kept_shape, &kept);
    if (!w->failed) {
        oxv_hash_bytes(hasher, oxv_view_from(oxv_view(w->data, w->len), begin), digest);
        oxv_write_view(w, oxv_view(digest, sizeof digest));
    }
}

static enum oxv_status
refuse(struct oxv_err *err, const char *why)
{
    return oxv_fail(err, OXV_E_USAGE, "the saved state %s", why);
}

static bool
read_tree(const struct kept *kept, struct oxv_chain *chain)
{
    struct oxv_reader r = oxv_reader(kept->tree);
    uint8_t root[OXV_HASH_BYTES];

    chain->tree.size = kept->size;
    for (unsigned level = 0; level < OXV_TREE_MAX_LEVELS; level++) {
        if ((kept->size >> level & 1) != 0 &&
            !oxv_read_bytes(&r, chain->tree.hash[level], OXV_HASH_BYTES)) {
            return false;
        }
    }
    oxv_tree_root(&chain->tree, chain->hasher, root);
    return oxv_reader_at_end(&r) && oxv_view_equals(oxv_view(root, sizeof root), kept->root);
}

static bool
read_chain(const struct kept *kept, struct oxv_chain *chain)
{
    struct oxv_reader key = oxv_reader(kept->public_key);
    struct oxv_reader root = oxv_reader(kept->root);
    struct oxv_reader epoch_root = oxv_reader(kept->epoch_root);

    struct oxv_reader log_key = oxv_reader(kept->log_key);

    chain->has_log_key = kept->log_key.len > 0;
    chain->committed = kept->size;
    chain->commits = kept->commits;
    chain->epoch = kept->epoch;
    chain->epoch_size = kept->epoch_size;
    chain->first_time_us = kept->first_time_us;
    chain->last_time_us = kept->last_time_us;
    chain->last_mono_us = kept->last_mono_us;
    return (!chain->has_log_key ||
            oxv_read_bytes(&log_key, chain->log_key, sizeof chain->log_key)) &&
           read_tree(kept, chain) &&
           oxv_read_bytes(&key, chain->public_key, sizeof chain->public_key) &&
           oxv_read_bytes(&root, chain->root, sizeof chain->root) &&
           oxv_read_bytes(&epoch_root, chain->epoch_root, sizeof chain->epoch_root) &&
           oxv_text_copy(kept->boot, chain->boot, sizeof chain->boot) == OXV_OK;
}

/* The fields, without the line before and the digest behind them. */
static bool
open_state(struct oxv_view bytes, struct oxv_hasher *hasher, struct oxv_view *fields)
{
    size_t begin = sizeof format_line - 1;
    uint8_t digest[OXV_HASH_BYTES];

    if (!oxv_view_has_prefix(bytes, format_line) || bytes.len < begin + OXV_HASH_BYTES) {
        return false;
    }
    size_t end = bytes.len - OXV_HASH_BYTES;

    oxv_hash_bytes(hasher, oxv_view_slice(bytes, 0, end), digest);
    *fields = oxv_view_slice(bytes, begin, end - begin);
    return oxv_view_equals(oxv_view_from(bytes, end), oxv_view(digest, sizeof digest));
}

enum oxv_status
oxv_verify_state_parse(struct oxv_view bytes, const struct oxv_vkey *genesis,
                       struct oxv_hasher *hasher, struct oxv_verify_state *out, struct oxv_err *err)
{
    struct oxv_verify_state state = { .signatures = 0 };
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_view fields;
    struct oxv_view wanted;
    struct kept kept;

    if (!open_state(bytes, hasher, &fields) ||
        oxv_fields_decode(fields, &kept_shape, &kept, NULL) != OXV_OK) {
        return refuse(err, "was not saved by log verify, or is damaged");
    }
    write_vkey(genesis, vkey, &wanted);
    if (!oxv_view_equals(kept.vkey, wanted)) {
        return refuse(err, "is of another log or key");
    }
    oxv_chain_init(&state.chain, hasher, genesis);
    if (!read_chain(&kept, &state.chain) || kept.signatures > kept.commits ||
        kept.epoch_size >= kept.size + 1) {
        return refuse(err, "contradicts itself");
    }
    state.segment = (kept.size - 1) / OXV_LOG_SEGMENT_ENTRIES; /* its end is looked at again */
    state.offset = kept.offset;
    state.signatures = kept.signatures;
    *out = state;
    return OXV_OK;
}

/* The line that ends at the state's place. */
static enum oxv_status
read_commit(const struct oxv_verify_state *state, int seg_fd, struct oxv_commit *commit,
            struct oxv_err *err)
{
    uint8_t buffer[OXV_COMMIT_MAX_BYTES + 1];
    char name[OXV_SEGMENT_NAME_BYTES];
    uint64_t segment = (state->chain.committed - 1) / OXV_LOG_SEGMENT_ENTRIES;
    ssize_t got;
    size_t len = state->offset < sizeof buffer ? (size_t)state->offset : sizeof buffer;

    oxv_segment_name(segment, name);
    OXV_AUTO(oxv_closep)
    int fd = openat(seg_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        return errno == ENOENT ? OXV_E_NOT_FOUND
                               : oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    do {
        got = pread(fd, buffer, len, (off_t)(state->offset - len));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return oxv_fail_errno(err, "cannot read log/seg/%s", name);
    }
    if ((size_t)got < len || buffer[len - 1] == 0) { /* zeros are put there ahead of lines */
        return OXV_E_NOT_FOUND;
    }
    struct oxv_view line = oxv_view(buffer, len - 1);

    for (size_t at = len - 1; at-- > 0;) {
        if (buffer[at] == '\n') {
            line = oxv_view_from(line, at + 1);
            break;
        }
    }
    return buffer[len - 1] == '\n' && oxv_commit_parse(line, commit) ? OXV_OK : OXV_E_FORGED;
}

enum oxv_status
oxv_verify_state_find(const struct oxv_verify_state *state, int seg_fd,
                      struct oxv_log_finding *finding, struct oxv_err *err)
{
    struct oxv_commit commit;
    enum oxv_status st = read_commit(state, seg_fd, &commit, err);

    *finding = (struct oxv_log_finding){ .file = "saved state",
                                         .entry = state->chain.committed - 1,
                                         .offset = state->offset };
    if (st == OXV_E_NOT_FOUND) {
        finding->code = "checkpoint_ahead";
        finding->reason = "the log was longer when the state was saved: its end is missing";
        return OXV_E_FORGED;
    }
    if (st == OXV_E_FORGED ||
        (st == OXV_OK && (commit.size != state->chain.committed ||
                          memcmp(commit.root, state->chain.root, sizeof commit.root) != 0))) {
        finding->code = "checkpoint_differs";
        finding->reason = "where the saved state ends, the log has not the commit line of then";
        return OXV_E_FORGED;
    }
    return st;
}
