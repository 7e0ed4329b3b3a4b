/* verify in parallel, and from a saved state: the same findings as the walk in order. */
#include "test_log_hand.h"

#include "vault/log/segments.h"

#define EPOCH_ENTRIES 40u

/* A log of any length; `hand` keeps keys, tree and folder. */
struct big {
    struct hand *hand;
    int fd;
    uint64_t epoch;
};

static void
flush(struct big *b)
{
    assert_int_equal(oxv_write_all(b->fd, oxv_view(b->hand->bytes, b->hand->len)), OXV_OK);
    b->hand->len = 0;
}

static void
open_segment(struct big *b)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    char path[OXV_SEGMENT_PATH_BYTES + 8];

    oxv_segment_name(b->hand->tree.size / OXV_LOG_SEGMENT_ENTRIES, name);
    (void)snprintf(path, sizeof path, "log/seg/%s", name);
    b->fd = openat(b->hand->fd, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(b->fd >= 0);
}

/* The two keys of `hand` take turns. */
static void
end_epoch(struct big *b)
{
    char next[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_entry entry = { .type = OXV_ENTRY_LOG_EPOCH, .outcome = OXV_OUTCOME_ALLOWED };

    write_vkey(b->hand, (b->epoch + 1) % 2, next);
    entry.next_key = oxv_view_text(next);
    add_entry(b->hand, &entry, b->epoch);
    add_commit(b->hand, b->epoch, b->epoch % 2);
    b->epoch++;
    flush(b);
}

static void
extend(struct big *b, uint64_t entries, uint64_t group, uint64_t epoch_entries)
{
    struct hand *h = b->hand;
    struct oxv_entry sign = { .type = OXV_ENTRY_SIGN, .outcome = OXV_OUTCOME_ALLOWED };

    open_segment(b);
    for (uint64_t waiting = 0, i = 1; i <= entries; i++) {
        h->time_us += 10;
        h->mono_us += 10;
        if (i % epoch_entries == 0 && (h->tree.size + 1) % OXV_LOG_SEGMENT_ENTRIES != 0) {
            end_epoch(b);
            waiting = 0;
            continue;
        }
        add_entry(h, &sign, b->epoch);
        waiting++;
        bool is_full = h->tree.size % OXV_LOG_SEGMENT_ENTRIES == 0;

        if (waiting == group || is_full || i == entries) {
            add_commit(h, b->epoch, b->epoch % 2);
            flush(b);
            waiting = 0;
        }
        if (is_full && i < entries) {
            (void)close(b->fd);
            open_segment(b);
        }
    }
    (void)close(b->fd);
}

static struct big
begin_big(struct hand *h)
{
    struct big b = { .hand = h };

    begin_hand(h);
    open_segment(&b);
    flush(&b);
    (void)close(b.fd);
    return b;
}

/* The first finding, kept. */
struct first {
    uint64_t count;
    char code[40];
    char reason[160];
    uint64_t entry;
    uint64_t offset;
};

static void
keep(void *ctx, const struct oxv_log_finding *finding)
{
    struct first *first = ctx;

    if (first->count++ > 0) {
        return;
    }
    (void)snprintf(first->code, sizeof first->code, "%s", finding->code);
    (void)snprintf(first->reason, sizeof first->reason, "%s", finding->reason);
    first->entry = finding->entry;
    first->offset = finding->offset;
}

struct outcome {
    enum oxv_status status;
    struct first first;
    struct oxv_log_verdict verdict;
    uint8_t state[OXV_LOG_STATE_MAX_BYTES];
    size_t state_len;
    struct oxv_err err;
};

static void
judge(const struct hand *h, struct oxv_log_verify_cfg cfg, struct outcome *out)
{
    char path[80];
    struct oxv_writer w = oxv_writer(out->state, sizeof out->state);

    memset(&out->first, 0, sizeof out->first);
    memset(&out->verdict, 0, sizeof out->verdict);
    (void)snprintf(path, sizeof path, "%s/log", h->path);
    cfg.vkey = oxv_view_text(h->vkey);
    cfg.found = keep;
    cfg.ctx = &out->first;
    cfg.state_to = &w;
    out->status = oxv_log_verify_with(path, &cfg, &out->verdict, &out->err);
    assert_false(w.failed);
    out->state_len = w.len;
}

/* What the rules alone say of the only segment. */
static enum oxv_walk_end
walk(const struct hand *h, struct oxv_walk *out)
{
    struct oxv_vkey vkey;
    struct oxv_chain empty;
    enum oxv_walk_end end;
    int seg_fd = openat(h->fd, "log/seg", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(oxv_vkey_parse(oxv_view_text(h->vkey), &vkey, NULL), OXV_OK);
    oxv_chain_init(&empty, h->hasher, &vkey);
    oxv_walk_init(out, &empty);
    assert_int_equal(oxv_walk_segment(out, seg_fd, 0, true, &end, NULL), OXV_OK);
    (void)close(seg_fd);
    return end;
}

static uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Flips a bit, or takes out, doubles or exchanges some bytes. */
static size_t
mutate(uint8_t *bytes, size_t len, uint32_t *seed)
{
    size_t at = next_random(seed) % len;
    size_t count = 1 + next_random(seed) % 300;

    count = count < len - at ? count : len - at;
    switch (next_random(seed) % 4) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << next_random(seed) % 8);
        return len;
    case 1:
        memmove(bytes + at, bytes + at + count, len - at - count);
        return len - count;
    case 2:
        memmove(bytes + at + count, bytes + at, len - at - count);
        return len;
    default:
        return at; /* cut off */
    }
}

static void
a_mutated_log_gets_the_finding_of_the_walk_in_order(void **state)
{
    struct hand *h = *state;
    struct big b = begin_big(h);
    uint32_t seed = 20260102;

    extend(&b, 150, 7, EPOCH_ENTRIES);
    struct file_bytes whole = read_whole(h->fd, TEST_SEGMENT);
    uint8_t *bytes = malloc(whole.len);

    assert_non_null(bytes);
    for (unsigned i = 0; i < 400; i++) {
        struct outcome out;
        struct oxv_walk walked;

        memcpy(bytes, whole.data, whole.len);
        write_whole(h->fd, TEST_SEGMENT, oxv_view(bytes, mutate(bytes, whole.len, &seed)));
        enum oxv_walk_end end = walk(h, &walked);

        judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 + i % 3 }, &out);
        bool is_good = end == OXV_WALK_CLEAN && walked.good.committed > 0;

        assert_int_equal(out.status, is_good ? OXV_OK : OXV_E_FORGED);
        assert_int_equal(out.verdict.entries, walked.good.committed);
        assert_int_equal(out.verdict.commits, walked.good.commits);
        assert_int_equal(out.verdict.signatures, walked.good.commits);
        assert_memory_equal(out.verdict.root, walked.good.root, OXV_HASH_BYTES);
        if (end == OXV_WALK_FAULT) {
            assert_string_equal(out.first.code, walked.fault.code);
            assert_non_null(strstr(out.first.reason, walked.fault.reason));
            assert_int_equal(out.first.offset, walked.fault.place == OXV_CHAIN_IN_GROUP
                                                   ? walked.good_offset
                                                   : walked.end_offset + walked.fault.offset);
        }
    }
    free(bytes);
    file_bytes_done(&whole);
}

static void
must_be_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->status, b->status);
    assert_memory_equal(&a->first, &b->first, sizeof a->first);
    assert_int_equal(a->verdict.entries, b->verdict.entries);
    assert_int_equal(a->verdict.commits, b->verdict.commits);
    assert_int_equal(a->verdict.signatures, b->verdict.signatures);
    assert_int_equal(a->verdict.epochs, b->verdict.epochs);
    assert_memory_equal(a->verdict.root, b->verdict.root, OXV_HASH_BYTES);
    assert_int_equal(a->state_len, b->state_len);
    assert_memory_equal(a->state, b->state, a->state_len);
}

static void
patch(const struct hand *h, const char *name, uint64_t offset, uint8_t byte)
{
    int fd = openat(h->fd, name, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
}

/* Three segments: joined without a walk in order, whatever the number of threads. */
static void
segments_are_joined_as_if_walked_in_order(void **state)
{
    struct hand *h = *state;
    struct big b = begin_big(h);
    struct outcome one;
    struct outcome other;

    extend(&b, 2 * OXV_LOG_SEGMENT_ENTRIES + 500, 200, 30000);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &one);
    assert_int_equal(one.status, OXV_OK);
    assert_int_equal(one.verdict.in_order, 0);
    assert_int_equal(one.verdict.entries, h->tree.size);
    assert_int_equal(one.verdict.signatures, one.verdict.commits);
    uint8_t root[OXV_HASH_BYTES];

    oxv_tree_root(&h->tree, h->hasher, root);
    assert_memory_equal(one.verdict.root, root, sizeof root);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 8 }, &other);
    must_be_same(&one, &other);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 2, .finals_only = true }, &other);
    assert_int_equal(other.status, OXV_OK);
    assert_int_equal(other.verdict.in_order, 0);
    assert_int_equal(other.verdict.signatures, b.epoch + 3); /* and the last one of each segment */
    for (uint64_t byte = 40000; byte < 9000000; byte += 3000000) {
        static const char name[] = "log/seg/000000065536.jsonl";
        struct file_bytes file = read_whole(h->fd, name);

        patch(h, name, byte, file.data[byte] ^ 1u);
        judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &one);
        judge(h, (struct oxv_log_verify_cfg){ .jobs = 8 }, &other);
        assert_int_equal(one.status, OXV_E_FORGED);
        assert_int_equal(one.verdict.in_order, 1);
        must_be_same(&one, &other);
        patch(h, name, byte, file.data[byte]);
        file_bytes_done(&file);
    }
}

/* Replaces the first byte of the signature in the last commit line but `back`. */
static void
spoil_signature(const struct hand *h, unsigned back)
{
    struct file_bytes file = read_whole(h->fd, TEST_SEGMENT);
    size_t at = file.len - 7;

    for (unsigned seen = 0; seen <= back; at--) {
        seen += memcmp(file.data + at, "\"sig\":\"", 7) == 0 ? 1 : 0;
    }
    at++;
    patch(h, TEST_SEGMENT, at + 7, file.data[at + 7] == 'A' ? 'B' : 'A');
    file_bytes_done(&file);
}

static void
only_inner_signatures_are_left_out(void **state)
{
    struct hand *h = *state;
    struct big b = begin_big(h);
    struct outcome out;

    extend(&b, 30, 5, 1000);
    spoil_signature(h, 1);
    judge(h, (struct oxv_log_verify_cfg){ .finals_only = true, .jobs = 2 }, &out);
    assert_int_equal(out.status, OXV_OK);
    assert_int_equal(out.verdict.signatures, 1);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 2 }, &out);
    assert_int_equal(out.status, OXV_E_FORGED);
    assert_string_equal(out.first.code, "bad_signature");
    spoil_signature(h, 0);
    judge(h, (struct oxv_log_verify_cfg){ .finals_only = true, .jobs = 2 }, &out);
    assert_int_equal(out.status, OXV_E_FORGED);
    assert_string_equal(out.first.code, "bad_signature");
}

static void
a_state_goes_on_where_it_was_saved(void **state)
{
    struct hand *h = *state;
    struct big b = begin_big(h);
    struct outcome first;
    struct outcome next;
    struct outcome whole;

    extend(&b, 100, 7, EPOCH_ENTRIES);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &first);
    assert_int_equal(first.status, OXV_OK);
    struct oxv_log_verify_cfg cfg = { .jobs = 1, .state = oxv_view(first.state, first.state_len) };

    judge(h, cfg, &next); /* nothing new */
    must_be_same(&first, &next);
    assert_int_equal(next.verdict.resumed, 101);
    extend(&b, 90, 7, EPOCH_ENTRIES);
    judge(h, cfg, &next);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &whole);
    must_be_same(&whole, &next);
    assert_int_equal(next.verdict.resumed, 101);
    assert_int_equal(next.verdict.entries, 191);
    assert_int_equal(next.verdict.first_time_us, whole.verdict.first_time_us);
    assert_int_equal(next.verdict.last_time_us, whole.verdict.last_time_us);
}

static void
a_log_that_is_not_the_one_of_the_state_is_a_finding(void **state)
{
    struct hand *h = *state;
    struct big b = begin_big(h);
    struct outcome first;
    struct outcome out;

    extend(&b, 40, 7, 1000);
    struct file_bytes shorter = read_whole(h->fd, TEST_SEGMENT);

    extend(&b, 40, 7, 1000);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &first);
    struct oxv_log_verify_cfg cfg = { .state = oxv_view(first.state, first.state_len) };

    write_whole(h->fd, TEST_SEGMENT, oxv_view(shorter.data, shorter.len));
    judge(h, cfg, &out);
    assert_int_equal(out.status, OXV_E_FORGED);
    assert_string_equal(out.first.code, "checkpoint_ahead");
    assert_int_equal(out.first.entry, 80);
    h->tree = (struct oxv_tree){ 0 }; /* another history of the same length, by the same key */
    h->time_us++;
    assert_int_equal(unlinkat(h->fd, TEST_SEGMENT, 0), 0);
    b = begin_big(h);
    extend(&b, 40, 7, 1000);
    extend(&b, 40, 7, 1000);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &out);
    assert_int_equal(out.status, OXV_OK);
    judge(h, cfg, &out);
    assert_int_equal(out.status, OXV_E_FORGED);
    assert_string_equal(out.first.code, "checkpoint_differs");
    file_bytes_done(&shorter);
}

static void
a_damaged_or_foreign_state_is_refused(void **state)
{
    struct hand *h = *state;
    struct big b = begin_big(h);
    struct outcome first;
    struct outcome out;

    extend(&b, 20, 7, 1000);
    judge(h, (struct oxv_log_verify_cfg){ .jobs = 1 }, &first);
    for (size_t i = 0; i < first.state_len; i++) {
        first.state[i] ^= 1;
        judge(h, (struct oxv_log_verify_cfg){ .state = oxv_view(first.state, first.state_len) },
              &out);
        assert_int_equal(out.status, OXV_E_USAGE);
        first.state[i] ^= 1;
        judge(h, (struct oxv_log_verify_cfg){ .state = oxv_view(first.state, i) }, &out);
        assert_int_equal(out.status, i == 0 ? OXV_OK : OXV_E_USAGE); /* empty: none was given */
    }
    write_vkey(h, 1, h->vkey);
    judge(h, (struct oxv_log_verify_cfg){ .state = oxv_view(first.state, first.state_len) }, &out);
    assert_int_equal(out.status, OXV_E_USAGE);
    assert_string_equal(out.err.text, "the saved state is of another log or key");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_mutated_log_gets_the_finding_of_the_walk_in_order,
                                        make_hand, remove_hand),
        cmocka_unit_test_setup_teardown(segments_are_joined_as_if_walked_in_order, make_hand,
                                        remove_hand),
        cmocka_unit_test_setup_teardown(only_inner_signatures_are_left_out, make_hand, remove_hand),
        cmocka_unit_test_setup_teardown(a_state_goes_on_where_it_was_saved, make_hand, remove_hand),
        cmocka_unit_test_setup_teardown(a_log_that_is_not_the_one_of_the_state_is_a_finding,
                                        make_hand, remove_hand),
        cmocka_unit_test_setup_teardown(a_damaged_or_foreign_state_is_refused, make_hand,
                                        remove_hand),
    };

    if (sodium_init() < 0) {
        return 1;
    }
    return cmocka_run_group_tests_name("log parallel", tests, NULL, NULL);
}
