#include "vault/log/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/saved.h"
#include "vault/log/verify_pool.h"
#include "vault/log/verify_state.h"

#define SETTLE_MS 250 /* longer than the kernel holds up a writer between two pages (200 ms) */
#define LOOKS_MAX 5u  /* at an end that looks different each time */

struct verifier {
    int dir_fd;
    int seg_fd;
    struct oxv_hasher *hasher;
    struct oxv_vkey vkey;
    const struct oxv_log_verify_cfg *cfg;
    struct oxv_saved saved;
    struct oxv_verify_state state;
    bool is_resumed; /* *state is from an earlier verification */
    struct oxv_log_verdict verdict;
};

static void
verifier_done(struct verifier *v)
{
    oxv_closep(&v->dir_fd);
    oxv_closep(&v->seg_fd);
    oxv_hasher_free(v->hasher);
}

static void
report(struct verifier *v, const struct oxv_log_finding *finding)
{
    v->verdict.findings++;
    if (v->cfg->found != NULL) {
        v->cfg->found(v->cfg->ctx, finding);
    }
}

static void
report_file(struct verifier *v, const char *code, const char *file, const char *reason)
{
    struct oxv_log_finding finding = { .code = code, .file = file, .reason = reason };

    report(v, &finding);
}

static enum oxv_status
open_directory(int at, const char *path, const char *shown, int *fd, struct oxv_err *err)
{
    *fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0) {
        return OXV_OK;
    }
    enum oxv_status st = errno == ENOENT || errno == ENOTDIR ? OXV_E_NOT_FOUND : OXV_E_IO;

    (void)oxv_fail_errno(err, "%s is no log folder that can be read", shown);
    if (err != NULL) {
        err->status = st;
    }
    return st;
}

/* Holds somebody the writer's lock? Without the file (in a copy) nobody does. */
static bool
is_writer_active(const struct verifier *v)
{
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    OXV_AUTO(oxv_closep)
    int fd = openat(v->dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Is the file one line that says `wanted`? */
static enum oxv_status
read_line_file(const struct verifier *v, const char *name, const char *wanted, bool *is_it,
               struct oxv_err *err)
{
    char text[OXV_LOG_VKEY_MAX_BYTES + 1];
    size_t len = 0;
    enum oxv_status st = oxv_read_file_at(v->dir_fd, name, text, sizeof text, &len, err);

    *is_it = st == OXV_OK && len > 0 && text[len - 1] == '\n' &&
             oxv_view_is(oxv_view(text, len - 1), wanted);
    return st;
}

static enum oxv_status
check_names(struct verifier *v, struct oxv_err *err)
{
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(vkey, sizeof vkey - 1);
    bool is_it;
    enum oxv_status st = read_line_file(v, "origin", v->vkey.name, &is_it, err);

    if (st == OXV_E_IO) {
        return st;
    }
    if (!is_it) {
        report_file(v, "wrong_origin", "origin", "the file is missing or names another log");
    }
    oxv_vkey_write(&w, &v->vkey);
    vkey[w.len] = '\0';
    st = read_line_file(v, "genesis.vkey", vkey, &is_it, err);
    if (st == OXV_E_IO) {
        return st;
    }
    if (!is_it && st != OXV_E_NOT_FOUND) { /* a copy may do without it */
        report_file(v, "wrong_key", "genesis.vkey",
                    "the file holds another key than the one given");
    }
    return OXV_OK;
}

static void
report_segment(struct verifier *v, const char *code, uint64_t n, const char *reason)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    char path[OXV_SEGMENT_PATH_BYTES];
    struct oxv_log_finding finding = {
        .code = code, .file = path, .entry = n * OXV_LOG_SEGMENT_ENTRIES, .reason = reason
    };

    oxv_segment_name(n, name);
    if (oxv_format(path, sizeof path, "seg/%s", name) != OXV_OK) {
        oxv_bug("a segment's name has a fixed length");
    }
    report(v, &finding);
}

/* Says where: at a byte of an entry, at a byte of a commit line, or at a whole group. */
static void
report_fault(struct verifier *v, const struct oxv_walk *walk)
{
    const struct oxv_chain_fault *fault = &walk->fault;
    uint64_t size = walk->chain.tree.size;
    char name[OXV_SEGMENT_NAME_BYTES];
    char path[OXV_SEGMENT_PATH_BYTES];
    char reason[160];
    struct oxv_log_finding finding = {
        .code = fault->code,
        .file = path,
        .entry = size,
        .offset = walk->end_offset + fault->offset,
        .reason = fault->reason,
    };

    oxv_segment_name(walk->segment, name);
    if (oxv_format(path, sizeof path, "seg/%s", name) != OXV_OK) {
        oxv_bug("a segment's name has a fixed length");
    }
    if (fault->place == OXV_CHAIN_IN_COMMIT && size > 0) {
        finding.entry = size - 1;
    }
    if (fault->place == OXV_CHAIN_IN_GROUP) {
        finding.entry = walk->chain.committed;
        finding.offset = walk->good_offset;
        if (oxv_format(reason, sizeof reason, "entries %ju to %ju: %s",
                       (uintmax_t)walk->chain.committed, (uintmax_t)(size - 1),
                       fault->reason) == OXV_OK) {
            finding.reason = reason;
        }
    }
    report(v, &finding);
}

static void
report_torn(struct verifier *v, struct oxv_walk *walk)
{
    walk->fault = (struct oxv_chain_fault){
        .code = "torn_tail",
        .reason = "bytes follow the last valid commit, or there is none",
    };
    walk->end_offset = walk->good_offset;
    walk->chain = walk->good;
    report_fault(v, walk);
}

static void
settle(void)
{
    struct timespec wait = { .tv_nsec = SETTLE_MS * 1000000L };

    (void)nanosleep(&wait, NULL); /* a shorter wait only makes a finding less likely to vanish */
}

/* Where a walk of the last segment ended, and how. */
struct sight {
    uint64_t committed;
    uint64_t offset;
    enum oxv_walk_end end;
};

static bool
is_same_sight(const struct sight *a, const struct sight *b)
{
    return a->committed == b->committed && a->offset == b->offset && a->end == b->end;
}

static enum oxv_status
look(const struct verifier *v, struct oxv_walk *walk, uint64_t n, struct sight *seen,
     struct oxv_err *err)
{
    enum oxv_status st = oxv_walk_segment(walk, v->seg_fd, n, true, &seen->end, err);

    seen->committed = walk->good.committed;
    seen->offset =
        seen->end == OXV_WALK_FAULT ? walk->end_offset + walk->fault.offset : walk->stop_offset;
    return st;
}

/*
 * The last segment: what a writer is just adding is no finding. It may be read half written, even
 * with zeros where the rest is there already, but the next time it looks otherwise; what looks the
 * same again is nothing that anyone is adding.
 */
static enum oxv_status
walk_last(struct verifier *v, struct oxv_walk *walk, uint64_t n, struct oxv_err *err)
{
    const struct oxv_walk before = *walk;
    struct sight seen = { 0 };
    struct sight last;
    enum oxv_status st = look(v, walk, n, &seen, err);
    bool is_moving = v->verdict.writer_active;

    for (unsigned looks = 1;
         st == OXV_OK && is_moving && seen.end != OXV_WALK_CLEAN && looks < LOOKS_MAX; looks++) {
        settle();
        last = seen;
        *walk = before;
        st = look(v, walk, n, &seen, err);
        is_moving = !is_same_sight(&seen, &last);
    }
    if (st != OXV_OK) {
        return st;
    }
    if (seen.end == OXV_WALK_FAULT) {
        report_fault(v, walk);
    } else if (walk->good.committed == 0 || (seen.end == OXV_WALK_TORN && !is_moving)) {
        report_torn(v, walk);
    }
    return OXV_OK;
}

/* A segment in the chain's order, by the rules alone; *is_good: go on with the next one. */
static enum oxv_status
walk_in_order(struct verifier *v, uint64_t n, bool is_last, bool *is_good, struct oxv_err *err)
{
    struct oxv_walk walk;
    uint64_t findings = v->verdict.findings;
    enum oxv_walk_end end = OXV_WALK_CLEAN;
    enum oxv_status st;

    oxv_walk_init(&walk, &v->state.chain);
    walk.begin_offset =
        v->state.chain.committed > n * OXV_LOG_SEGMENT_ENTRIES ? v->state.offset : 0;
    if (is_last) {
        st = walk_last(v, &walk, n, err);
    } else {
        st = oxv_walk_segment(&walk, v->seg_fd, n, false, &end, err);
        if (st == OXV_OK && end == OXV_WALK_FAULT) {
            report_fault(v, &walk);
        }
    }
    v->verdict.in_order++;
    v->state.signatures += walk.good.commits - v->state.chain.commits;
    v->state.chain = walk.good;
    v->state.offset = walk.good_offset > 0 ? walk.good_offset : v->state.offset;
    v->state.segment = n + 1;
    *is_good = v->verdict.findings == findings;
    return st;
}

/* The first segment that a saved checkpoint speaks of: its root is taken on the way. */
static uint64_t
marked_segment(const struct oxv_chain *chain)
{
    return chain->mark_next < chain->mark_count
               ? (chain->marks[chain->mark_next].size - 1) / OXV_LOG_SEGMENT_ENTRIES
               : UINT64_MAX;
}

/* As many segments as are good in parallel, then one in order, and so on. */
static enum oxv_status
walk_all(struct verifier *v, const struct oxv_segments *segments, struct oxv_err *err)
{
    bool has_last = !segments->has_gap && segments->count > 0;
    struct oxv_verify_pool pool = { .seg_fd = v->seg_fd,
                                    .vkey = &v->vkey,
                                    .finals_only = v->cfg->finals_only,
                                    .jobs = v->cfg->jobs,
                                    .progress = v->cfg->progress,
                                    .progress_ctx = v->cfg->progress_ctx,
                                    .total = segments->count * OXV_LOG_SEGMENT_ENTRIES };
    enum oxv_status st = OXV_OK;
    bool is_good = true;

    while (st == OXV_OK && is_good && v->state.segment < segments->count) {
        uint64_t marked = marked_segment(&v->state.chain);
        bool is_within = v->state.chain.committed > v->state.segment * OXV_LOG_SEGMENT_ENTRIES;

        pool.end = is_within                  ? v->state.segment
                   : marked < segments->count ? marked
                                              : segments->count;
        pool.ends_in_last = has_last && pool.end == segments->count;
        st = oxv_verify_pool_run(&pool, &v->state, err);
        if (st == OXV_OK && v->state.segment < segments->count) {
            uint64_t n = v->state.segment;

            st = walk_in_order(v, n, has_last && n == segments->count - 1, &is_good, err);
        }
    }
    if (st == OXV_OK && is_good && !has_last) {
        report_segment(v, "missing_segment", segments->count, "the file is missing");
    }
    return st;
}

static void
begin_chain(struct verifier *v)
{
    struct oxv_chain *chain = &v->state.chain;

    if (!v->is_resumed) {
        oxv_chain_init(chain, v->hasher, &v->vkey);
    }
    chain->marks = v->saved.marks;
    chain->mark_count = v->saved.count;
}

/* Is the log still the one that the state was saved of? Then its entries need no reading. */
static enum oxv_status
check_state(struct verifier *v, bool *is_good, struct oxv_err *err)
{
    struct oxv_log_finding finding;

    *is_good = true;
    if (!v->is_resumed) {
        return OXV_OK;
    }
    enum oxv_status st = oxv_verify_state_find(&v->state, v->seg_fd, &finding, err);

    if (st == OXV_E_FORGED) {
        report(v, &finding);
        *is_good = false;
        return OXV_OK;
    }
    v->verdict.resumed = v->state.chain.committed;
    return st;
}

static enum oxv_status
check_entries(struct verifier *v, struct oxv_err *err)
{
    struct oxv_segments segments;
    const struct oxv_chain *good = &v->state.chain;
    char path[OXV_SEGMENT_PATH_BYTES + sizeof segments.foreign];
    bool is_good;
    enum oxv_status st = oxv_segments_list(v->seg_fd, &segments, err);

    if (st != OXV_OK) {
        return st;
    }
    if (segments.foreign[0] != '\0' &&
        oxv_format(path, sizeof path, "seg/%s", segments.foreign) == OXV_OK) {
        report_file(v, "extra_file", path, "this is no segment");
    }
    st = check_state(v, &is_good, err);
    if (st != OXV_OK || !is_good) {
        return st;
    }
    begin_chain(v);
    st = walk_all(v, &segments, err);
    v->verdict.entries = good->committed;
    v->verdict.commits = good->commits;
    v->verdict.signatures = v->state.signatures;
    v->verdict.epochs = good->epoch + 1;
    v->verdict.first_time_us = good->first_time_us;
    v->verdict.last_time_us = good->last_time_us;
    memcpy(v->verdict.root, good->root, sizeof v->verdict.root);
    return st;
}

/* What of the saved checkpoints is not in the log. */
static void
check_saved(struct verifier *v)
{
    for (size_t i = 0; i < v->saved.count; i++) {
        struct oxv_log_finding finding;
        char file[OXV_SAVED_NAME_BYTES];

        if (oxv_saved_is_missing(&v->saved, i, v->verdict.entries, file, &finding)) {
            report(v, &finding);
            continue;
        }
        v->verdict.heads++;
        v->verdict.head_size = v->saved.marks[i].size; /* ascending */
    }
}

/* The state of an earlier verification, and the checkpoints that can still be compared then. */
static enum oxv_status
read_saved(struct verifier *v, struct oxv_err *err)
{
    enum oxv_status st = oxv_saved_parse(&v->saved, v->cfg, v->vkey.name, err);

    if (st != OXV_OK || v->cfg->state.len == 0) {
        return st;
    }
    st = oxv_verify_state_parse(v->cfg->state, &v->vkey, v->hasher, &v->state, err);
    if (st != OXV_OK) {
        return st;
    }
    v->is_resumed = true;
    if (v->saved.count > 0 && v->saved.marks[0].size <= v->state.chain.committed) {
        return oxv_fail(err, OXV_E_USAGE,
                        "saved checkpoint %zu is older than the saved state, which knows no root "
                        "before its own: verify without the state",
                        v->saved.numbers[0]);
    }
    return OXV_OK;
}

static enum oxv_status
start(struct verifier *v, const char *log_path, struct oxv_err *err)
{
    if (sodium_init() < 0) {
        return oxv_fail(err, OXV_E_INTERNAL, "libsodium does not start");
    }
    v->hasher = oxv_hasher_new();
    if (v->hasher == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory to hash with");
    }
    enum oxv_status st = oxv_vkey_parse(v->cfg->vkey, &v->vkey, err);

    if (st == OXV_OK) {
        st = read_saved(v, err);
    }
    if (st == OXV_OK) {
        st = open_directory(AT_FDCWD, log_path, log_path, &v->dir_fd, err);
    }
    if (st == OXV_OK) {
        st = open_directory(v->dir_fd, "seg", log_path, &v->seg_fd, err);
    }
    if (st == OXV_OK) {
        memcpy(v->verdict.origin, v->vkey.name, sizeof v->verdict.origin);
        v->verdict.writer_active = is_writer_active(v);
    }
    return st;
}

enum oxv_status
oxv_log_verify_with(const char *log_path, const struct oxv_log_verify_cfg *cfg,
                    struct oxv_log_verdict *verdict, struct oxv_err *err)
{
    OXV_AUTO(verifier_done)
    struct verifier v = { .dir_fd = -1, .seg_fd = -1, .cfg = cfg };
    enum oxv_status st = start(&v, log_path, err);

    if (st == OXV_OK) {
        st = check_names(&v, err);
    }
    if (st == OXV_OK) {
        st = check_entries(&v, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    check_saved(&v);
    *verdict = v.verdict;
    if (v.verdict.findings > 0) {
        return oxv_fail(err, OXV_E_FORGED, "the log did not pass: %ju finding(s)",
                        (uintmax_t)v.verdict.findings);
    }
    if (cfg->state_to != NULL) {
        oxv_verify_state_write(cfg->state_to, &v.state, &v.vkey, v.hasher);
    }
    return OXV_OK;
}

enum oxv_status
oxv_log_verify(const char *log_path, struct oxv_view vkey, oxv_log_finding_fn found, void *ctx,
               struct oxv_log_verdict *verdict, struct oxv_err *err)
{
    struct oxv_log_verify_cfg cfg = { .vkey = vkey, .jobs = 1, .found = found, .ctx = ctx };

    return oxv_log_verify_with(log_path, &cfg, verdict, err);
}

enum oxv_status
oxv_log_vkey_fingerprint(struct oxv_view vkey, char *out, size_t out_size)
{
    struct oxv_vkey parsed;
    uint8_t digest[crypto_hash_sha256_BYTES];
    char text[OXV_LOG_FINGERPRINT_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    if (oxv_vkey_parse(vkey, &parsed, NULL) != OXV_OK) {
        return OXV_E_FORMAT;
    }
    if (vkey.data[vkey.len - 1] == '\n') {
        vkey.len--;
    }
    (void)crypto_hash_sha256(digest, vkey.data, vkey.len); /* returns 0, always */
    oxv_write_text(&w, "SHA256:");
    oxv_write_base64(&w, oxv_view(digest, sizeof digest));
    if (w.failed) {
        oxv_bug("a fingerprint has a fixed length");
    }
    return oxv_text_copy(oxv_view(text, w.len - 1), out, out_size); /* without its padding */
}
