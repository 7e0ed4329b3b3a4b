/* Offline verification: every bit and cut, order, keys, files. */
#include "test_log_hand.h"

#include <time.h>

static void
a_good_log_passes_and_the_verdict_tells_what_was_checked(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();
    struct findings found;
    uint8_t root[32];

    begin_hand(h);
    h->time_us += 5;
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    assert_int_equal(found.count, 0);
    assert_int_equal(found.verdict.entries, 2);
    assert_int_equal(found.verdict.commits, 2);
    assert_int_equal(found.verdict.epochs, 1);
    assert_int_equal(found.verdict.findings, 0);
    assert_int_equal(found.verdict.first_time_us, h->time_us - 5);
    assert_int_equal(found.verdict.last_time_us, h->time_us);
    assert_string_equal(found.verdict.origin, TEST_ORIGIN);
    assert_false(found.verdict.writer_active);
    oxv_tree_root(&h->tree, h->hasher, root);
    assert_memory_equal(found.verdict.root, root, sizeof root);
}

static void
make_small_log(struct hand *h)
{
    struct oxv_entry entry = sign_entry();

    begin_hand(h);
    add_entry(h, &entry, 0);
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
}

static void
every_flipped_bit_is_found_in_its_group(void **state)
{
    struct hand *h = *state;
    struct findings found;
    size_t ends[8];
    size_t group = 0;

    make_small_log(h);
    struct file_bytes whole = { h->bytes, h->len };

    assert_int_equal(commit_ends(&whole, ends, 8), 3);
    for (size_t i = 0; i < h->len; i++) {
        group += i == ends[group] ? 1 : 0;
        for (unsigned bit = 0; bit < 8; bit++) {
            h->bytes[i] ^= (uint8_t)(1u << bit);
            if (verify_hand(h, &found) != OXV_E_FORGED || found.count != 1 ||
                strcmp(found.file, "seg/000000000000.jsonl") != 0 || found.offset > ends[group] ||
                found.offset < (group == 0 ? 0 : ends[group - 1])) {
                fail_msg("byte %zu bit %u: %zu findings, %s at %ju", i, bit, found.count,
                         found.code, (uintmax_t)found.offset);
            }
            h->bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void
every_cut_but_one_after_a_commit_is_a_torn_tail(void **state)
{
    struct hand *h = *state;
    struct findings found;
    size_t ends[8];

    make_small_log(h);
    struct file_bytes whole = { h->bytes, h->len };
    size_t count = commit_ends(&whole, ends, 8);

    for (size_t cut = h->len; cut < SIZE_MAX; cut--) {
        bool is_clean = false;

        for (size_t i = 0; i < count; i++) {
            is_clean = is_clean || cut == ends[i];
        }
        h->len = cut;
        assert_int_equal(verify_hand(h, &found), is_clean ? OXV_OK : OXV_E_FORGED);
        if (!is_clean) {
            assert_string_equal(found.code, "torn_tail");
            assert_int_equal(found.count, 1);
        }
    }
}

static void
a_fault_is_named_by_entry_and_byte(void **state)
{
    struct hand *h = *state;
    struct findings found;
    size_t ends[8];

    make_small_log(h);
    struct file_bytes whole = { h->bytes, h->len };

    (void)commit_ends(&whole, ends, 8);
    h->bytes[h->len] = 0;
    uint8_t *value = (uint8_t *)strstr((char *)h->bytes + ends[1], "acme");

    *value = 'A'; /* still an entry: only the root tells */
    assert_int_equal(verify_hand(h, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "root_mismatch");
    assert_int_equal(found.entry, 3);
    assert_int_equal(found.offset, ends[1]);
    assert_non_null(strstr(found.reason, "the commit line is genuine"));
    *value = 0x01;
    assert_int_equal(verify_hand(h, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "bad_entry");
    assert_int_equal(found.entry, 3);
    assert_int_equal(found.offset, value - h->bytes);
    *value = 'a';

    uint8_t *size = (uint8_t *)strstr((char *)h->bytes + ends[1], "\"size\":4") + 7;

    *size = '5';
    assert_int_equal(verify_hand(h, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "bad_commit");
    assert_int_equal(found.entry, 3);
    assert_int_equal(found.offset, size - h->bytes);
    assert_int_equal(found.verdict.entries, 3);
    assert_int_equal(found.verdict.commits, 2);
}

static void
entries_out_of_order_are_found(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();
    struct oxv_entry_place place;
    size_t len;
    struct oxv_tree tree;

    begin_hand(h);
    len = h->len;
    tree = h->tree;

    place = next_place(h, 0);
    place.seq = 2; /* a gap */
    add_place(h, &entry, &place);
    add_commit(h, 0, 0);
    must_find(h, "bad_order", 1);

    h->len = len;
    h->tree = tree;
    place = next_place(h, 0);
    place.time_us--;
    add_place(h, &entry, &place);
    add_commit(h, 0, 0);
    must_find(h, "bad_order", 1);

    h->len = len;
    h->tree = tree;
    place = next_place(h, 0);
    place.mono_us--;
    add_place(h, &entry, &place);
    add_commit(h, 0, 0);
    must_find(h, "bad_order", 1);

    struct findings found;

    h->len = len;
    h->tree = tree;
    place.boot = "ffeeddccbbaa99887766554433221100"; /* another start counts anew */
    add_place(h, &entry, &place);
    add_commit(h, 0, 0);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
}

static void
genesis_is_entry_0_and_no_other(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();
    struct oxv_entry first = genesis_entry();

    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_genesis", 0);

    h->len = 0;
    h->tree = (struct oxv_tree){ 0 };
    begin_hand(h);
    add_entry(h, &first, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_genesis", 1);

    h->len = 0;
    h->tree = (struct oxv_tree){ 0 };
    first.origin = oxv_view_text("oxvault/other");
    add_entry(h, &first, 0);
    add_commit(h, 0, 0);
    must_find(h, "wrong_origin", 0);
}

static void
a_commit_of_nothing_or_of_an_old_size_is_found(void **state)
{
    struct hand *h = *state;

    begin_hand(h);
    add_commit(h, 0, 0);
    must_find(h, "bad_commit", 0);
}

static void
a_commit_by_another_key_is_found(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();

    begin_hand(h);
    add_entry(h, &entry, 0);
    add_commit(h, 0, 1);
    must_find(h, "bad_signature", 1);
}

static void
another_genesis_key_or_origin_does_not_pass(void **state)
{
    struct hand *h = *state;
    struct findings found;
    char other[OXV_LOG_VKEY_MAX_BYTES];

    make_small_log(h);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    write_vkey(h, 1, other); /* the same origin, another key */
    assert_int_equal(verify_with(h->path, other, &found), OXV_E_FORGED);
    assert_int_equal(found.count, 2);
    assert_string_equal(found.code, "wrong_key");
    assert_string_equal(found.file, "genesis.vkey");

    static const char stranger[] =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    assert_int_equal(verify_with(h->path, stranger, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "wrong_origin");
    assert_int_equal(found.count, 3);
    assert_int_equal(verify_with(h->path, "nonsense", &found), OXV_E_FORMAT);

    write_whole(h->fd, "log/origin", oxv_view_text(TEST_ORIGIN)); /* no newline */
    assert_int_equal(verify_with(h->path, h->vkey, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "wrong_origin");
    assert_int_equal(found.count, 1);
    write_whole(h->fd, "log/origin", oxv_view_text(TEST_ORIGIN "\n"));
    assert_int_equal(unlinkat(h->fd, "log/genesis.vkey", 0), 0);
    assert_int_equal(verify_with(h->path, h->vkey, &found), OXV_OK); /* a copy may lack it */
}

static void
extra_and_missing_files_are_found(void **state)
{
    struct hand *h = *state;
    struct findings found;

    make_small_log(h);
    write_whole(h->fd, "log/seg/000000000000.jsonl~", oxv_view_text(""));
    assert_int_equal(verify_hand(h, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "extra_file");
    assert_string_equal(found.file, "seg/000000000000.jsonl~");
    assert_int_equal(found.count, 1);
    assert_int_equal(unlinkat(h->fd, "log/seg/000000000000.jsonl~", 0), 0);

    write_whole(h->fd, "log/seg/000000065536.jsonl", oxv_view_text(""));
    must_find(h, "short_segment", 4);
    assert_int_equal(renameat(h->fd, "log/seg/000000065536.jsonl", h->fd,
                              "log/seg/000000131072.jsonl"),
                     0);
    assert_int_equal(verify_hand(h, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "short_segment");
    assert_int_equal(unlinkat(h->fd, "log/seg/000000131072.jsonl", 0), 0);

    assert_int_equal(verify_hand(h, &found), OXV_OK);
    assert_int_equal(unlinkat(h->fd, TEST_SEGMENT, 0), 0);
    assert_int_equal(verify_with(h->path, h->vkey, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "missing_segment");
    assert_int_equal(unlinkat(h->fd, "log/seg", AT_REMOVEDIR), 0);
    assert_int_equal(verify_with(h->path, h->vkey, &found), OXV_E_NOT_FOUND);
    assert_int_equal(verify_with("/nonexistent", h->vkey, &found), OXV_E_NOT_FOUND);
}

static void
a_missing_segment_of_three_is_found(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct findings found;

    commit_signs(log, 2 * OXV_LOG_SEGMENT_ENTRIES + 9);
    oxv_log_free(log);
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_int_equal(renameat(f->fd, "log/seg/000000065536.jsonl", f->fd, "log/kept"), 0);
    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "missing_segment");
    assert_string_equal(found.file, "seg/000000065536.jsonl");
    assert_int_equal(found.entry, 65536);
    assert_int_equal(found.verdict.entries, 65536);
    assert_int_equal(renameat(f->fd, "log/kept", f->fd, "log/seg/000000065536.jsonl"), 0);

    /* A cut at a commit within an inner segment is no clean end. */
    struct file_bytes first = read_whole(f->fd, TEST_SEGMENT);
    size_t ends[4];

    assert_int_equal(commit_ends(&first, ends, 4), 2);
    write_whole(f->fd, TEST_SEGMENT, oxv_view(first.data, ends[0]));
    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "short_segment");
    assert_int_equal(found.offset, ends[0]);
    write_whole(f->fd, TEST_SEGMENT, oxv_view(first.data, first.len - 1));
    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "short_segment");

    /* The next segment's entries in this one. */
    struct file_bytes next = read_whole(f->fd, "log/seg/000000065536.jsonl");
    uint8_t *both = malloc(first.len + next.len);

    assert_non_null(both);
    memcpy(both, first.data, first.len);
    memcpy(both + first.len, next.data, next.len);
    write_whole(f->fd, TEST_SEGMENT, oxv_view(both, first.len + next.len));
    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "bad_segment");
    assert_int_equal(found.entry, 65536);
    assert_int_equal(found.offset, first.len);
    free(both);
    file_bytes_done(&first);
    file_bytes_done(&next);
}

/* What another process does to the segment while the verifier waits before it reads again. */
static struct {
    int fd;
    struct oxv_view bytes;
    size_t offset;
    size_t step; /* bytes per wait */
    size_t waits;
} other;

int __wrap_nanosleep(const struct timespec *wait, struct timespec *left);

int
__wrap_nanosleep(const struct timespec *wait, struct timespec *left)
{
    struct oxv_view next = oxv_view_slice(other.bytes, other.step * other.waits, other.step);

    (void)left;
    assert_int_equal(wait->tv_nsec, 250000000);
    assert_int_equal(pwrite(other.fd, next.data, next.len, (off_t)other.offset), (ssize_t)next.len);
    other.offset += next.len;
    other.waits++;
    return 0;
}

/* A log of entry 0 and a group of two, held open by its writer. */
struct busy {
    struct oxv_log *log;
    struct file_bytes whole;
    size_t begin; /* of the group */
};

static void
make_busy(const struct log_fixture *f, struct busy *busy)
{
    struct oxv_log_opened opened;
    size_t ends[4];

    busy->log = open_log(f, &opened);
    commit_signs(busy->log, 2);
    busy->whole = read_whole(f->fd, TEST_SEGMENT);
    assert_int_equal(commit_ends(&busy->whole, ends, 4), 2);
    busy->begin = ends[0];
    busy->whole.len = ends[1];
    other.fd = openat(f->fd, TEST_SEGMENT, O_RDWR | O_CLOEXEC);
    assert_true(other.fd >= 0);
}

static void
busy_done(struct busy *busy)
{
    (void)close(other.fd);
    oxv_log_free(busy->log);
    file_bytes_done(&busy->whole);
}

/* The group is whole, but for zeros from there on; it is written again at `step` bytes per wait. */
static void
unwrite(const struct busy *busy, size_t from, size_t step)
{
    static const uint8_t zeros[4096];
    size_t len = busy->whole.len - from;

    assert_true(len <= sizeof zeros);
    assert_int_equal(pwrite(other.fd, busy->whole.data, from, 0), (ssize_t)from);
    assert_int_equal(pwrite(other.fd, zeros, len, (off_t)from), (ssize_t)len);
    other.bytes = oxv_view(busy->whole.data + from, len);
    other.offset = from;
    other.step = step;
    other.waits = 0;
}

static void
what_an_active_writer_is_just_adding_is_no_finding(void **state)
{
    struct log_fixture *f = *state;
    struct busy busy;
    struct findings found;

    make_busy(f, &busy);
    unwrite(&busy, busy.whole.len - 400, 50); /* for longer than we look */
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_true(found.verdict.writer_active);
    assert_int_equal(found.verdict.entries, 1);
    assert_int_equal(other.waits, 4);
    unwrite(&busy, busy.whole.len - 3, 3); /* the group gets its end in time */
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_int_equal(found.verdict.entries, 3);
    assert_int_equal(other.waits, 1);
    unwrite(&busy, busy.whole.len - 3, 1);
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_int_equal(found.verdict.entries, 3);
    assert_int_equal(other.waits, 3);
    busy_done(&busy);
    must_verify(f);
}

/* A reader can come to one page before the writer and to the next one after it. */
static void
a_page_that_was_read_too_early_is_no_finding(void **state)
{
    struct log_fixture *f = *state;
    struct busy busy;
    struct findings found;
    static const size_t holes[][2] = { { 0, 100 }, { 50, 600 }, { 300, 301 } };

    make_busy(f, &busy);
    for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++) {
        size_t end = busy.begin + holes[i][1];

        unwrite(&busy, busy.begin + holes[i][0], holes[i][1] - holes[i][0]);
        assert_true(end < busy.whole.len);
        assert_int_equal(pwrite(other.fd, busy.whole.data + end, busy.whole.len - end, (off_t)end),
                         (ssize_t)(busy.whole.len - end));
        assert_int_equal(verify(f, &found), OXV_OK);
        assert_int_equal(found.verdict.entries, 3);
        assert_int_equal(other.waits, 1);
    }
    busy_done(&busy);
}

static void
a_hole_that_stays_is_a_finding_though_the_writer_goes_on_behind_it(void **state)
{
    struct log_fixture *f = *state;
    struct busy busy;
    struct findings found;

    make_busy(f, &busy);
    unwrite(&busy, busy.begin, 100);
    other.offset += 500; /* whatever it is, it is no line */
    assert_int_equal(pwrite(other.fd, "x", 1, (off_t)other.offset - 1), 1);
    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_true(found.verdict.writer_active);
    assert_int_equal(other.waits, 1);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.code, "hole");
    assert_int_equal(found.entry, 1);
    assert_int_equal(found.offset, busy.begin);
    assert_int_equal(found.verdict.entries, 1);

    unwrite(&busy, busy.begin, 100); /* a fault that is elsewhere each time is none of a writer's */
    other.bytes = oxv_view("\n\n\n\n\n\n\n\n\n\n", 10);
    other.offset = busy.begin + 10;
    other.step = 1;
    uint8_t line[10] = "{\"boot\":\n";

    assert_int_equal(pwrite(other.fd, line, 9, (off_t)busy.begin), 9);
    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "bad_entry");
    busy_done(&busy);
}

static void
a_tail_that_does_not_move_is_a_finding_whoever_holds_the_lock(void **state)
{
    struct log_fixture *f = *state;
    struct busy busy;
    struct findings found;

    make_busy(f, &busy);
    unwrite(&busy, busy.whole.len - 3, 0);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(verify(f, &found), OXV_E_FORGED);
        assert_int_equal(found.verdict.writer_active, round == 0);
        assert_string_equal(found.code, "torn_tail");
        assert_int_equal(found.entry, 1);
        assert_int_equal(found.offset, busy.begin);
        assert_int_equal(other.waits, 1);
        if (round == 0) {
            write_whole(f->fd, TEST_SEGMENT, oxv_view(busy.whole.data, busy.whole.len));
            busy.whole.data[2] ^= 1; /* damage stays a finding */
            assert_int_equal(pwrite(other.fd, busy.whole.data, 11, 0), 11);
            assert_int_equal(verify(f, &found), OXV_E_FORGED);
            assert_string_equal(found.code, "bad_entry");
            busy.whole.data[2] ^= 1;
            oxv_log_free(busy.log);
            busy.log = NULL;
            write_whole(f->fd, TEST_SEGMENT, oxv_view(busy.whole.data, busy.whole.len - 3));
            other.waits = 1; /* nobody holds the lock: no second look */
        }
    }
    busy_done(&busy);
}

/* The lines are made by another program, so this also tests us against somebody else. */
static void
the_worked_example_of_the_documentation_passes(void **state)
{
    struct hand *h = *state;
    struct file_bytes page = read_whole(AT_FDCWD, "docs/log-format.md");
    struct findings found;
    char *begin;
    char *end;

    page.data[page.len] = 0;
    begin = strstr((char *)page.data, "\n    oxvault/");
    assert_non_null(begin);
    begin += strlen("\n    ");
    end = strchr(begin, '\n');
    assert_int_equal(oxv_text_copy(oxv_view(begin, (size_t)(end - begin)), h->vkey, sizeof h->vkey),
                     OXV_OK);
    assert_int_equal(unlinkat(h->fd, "log/genesis.vkey", 0), 0);
    begin = strstr(end, "```json\n") + strlen("```json\n");
    end = strstr(begin, "```");
    h->len = (size_t)(end - begin);
    memcpy(h->bytes, begin, h->len);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    assert_int_equal(found.verdict.entries, 3);
    assert_int_equal(found.verdict.commits, 2);
    assert_int_equal(found.verdict.root[0], 0xee);
    file_bytes_done(&page);
}

static void
a_line_that_is_too_long_is_found(void **state)
{
    struct hand *h = *state;

    begin_hand(h);
    memset(h->bytes + h->len, 'x', OXV_LOG_ENTRY_MAX_BYTES + 1);
    h->len += OXV_LOG_ENTRY_MAX_BYTES + 1;
    h->bytes[h->len++] = '\n';
    must_find(h, "bad_entry", 1);
}

static void
unsigned_since_in_an_entry_that_cannot_have_waited_is_a_fault(void **state)
{
    struct hand *h = *state;
    struct findings found;
    struct oxv_entry change = { .type = OXV_ENTRY_CALLER_ADD,
                                .outcome = OXV_OUTCOME_ALLOWED,
                                .unsigned_since = oxv_view_text("2026-01-02T03:04:05.678901Z") };

    begin_hand(h);
    add_entry(h, &change, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_pending", 1);
    h->len = 0;
    h->tree = (struct oxv_tree){ 0 };
    change.outcome = OXV_OUTCOME_DENIED;
    begin_hand(h);
    add_entry(h, &change, 0);
    add_commit(h, 0, 0);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    h->len = 0;
    h->tree = (struct oxv_tree){ 0 };
    change.cfg = 1;
    begin_hand(h);
    add_entry(h, &change, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_pending", 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_hand, remove_hand)
        TEST(unsigned_since_in_an_entry_that_cannot_have_waited_is_a_fault),
        TEST(a_good_log_passes_and_the_verdict_tells_what_was_checked),
        TEST(every_flipped_bit_is_found_in_its_group),
        TEST(every_cut_but_one_after_a_commit_is_a_torn_tail),
        TEST(a_fault_is_named_by_entry_and_byte),
        TEST(entries_out_of_order_are_found),
        TEST(genesis_is_entry_0_and_no_other),
        TEST(a_commit_of_nothing_or_of_an_old_size_is_found),
        TEST(a_commit_by_another_key_is_found),
        TEST(another_genesis_key_or_origin_does_not_pass),
        TEST(extra_and_missing_files_are_found),
        TEST(the_worked_example_of_the_documentation_passes),
        TEST(a_line_that_is_too_long_is_found),
        cmocka_unit_test_setup_teardown(a_missing_segment_of_three_is_found, make_log, remove_log),
        cmocka_unit_test_setup_teardown(what_an_active_writer_is_just_adding_is_no_finding,
                                        make_log, remove_log),
        cmocka_unit_test_setup_teardown(a_page_that_was_read_too_early_is_no_finding, make_log,
                                        remove_log),
        cmocka_unit_test_setup_teardown(
            a_hole_that_stays_is_a_finding_though_the_writer_goes_on_behind_it, make_log,
            remove_log),
        cmocka_unit_test_setup_teardown(
            a_tail_that_does_not_move_is_a_finding_whoever_holds_the_lock, make_log, remove_log),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log verify", tests, NULL, NULL);
}
