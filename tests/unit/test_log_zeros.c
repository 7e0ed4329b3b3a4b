/* Zero bytes written ahead of the lines: who leaves them, who cuts them off, what they may hide. */
#include "test_log_support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NEXT_SEGMENT  "log/seg/000000065536.jsonl"
#define SECTOR        512u
#define GROUP_ENTRIES 8u /* about 2,000 bytes */
#define BUSY_ENTRIES  4000u

static uint8_t zeros[400000]; /* more than a reader takes at once */

/* Opens well, with nothing torn and nothing to log, and leaves exactly these lines. */
static void
must_open_clean(const struct log_fixture *f, const struct file_bytes *lines)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct file_bytes now = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_int_equal(now.len, lines->len);
    assert_memory_equal(now.data, lines->data, now.len);
    oxv_log_free(log);
    assert_false(is_there(f->fd, "log/torn"));
    file_bytes_done(&now);
}

/* The lines, `count` zeros, and these bytes. */
static void
put_behind(const struct log_fixture *f, const struct file_bytes *lines, size_t count,
           struct oxv_view bytes)
{
    int fd = openat(f->fd, TEST_SEGMENT, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(oxv_write_all(fd, oxv_view(lines->data, lines->len)), OXV_OK);
    assert_int_equal(oxv_write_all(fd, oxv_view(zeros, count)), OXV_OK);
    assert_int_equal(oxv_write_all(fd, bytes), OXV_OK);
    (void)close(fd);
    forget_torn(f);
}

/* A log of three entries. */
static struct file_bytes
make_lines(const struct log_fixture *f)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);

    commit_signs(log, 2);
    oxv_log_free(log);
    return read_whole(f->fd, TEST_SEGMENT);
}

static void
must_find(const struct log_fixture *f, const char *code, uint64_t entry, uint64_t offset)
{
    struct findings found;

    assert_int_equal(verify(f, &found), OXV_E_FORGED);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.code, code);
    assert_string_equal(found.file, "seg/000000000000.jsonl");
    assert_int_equal(found.entry, entry);
    assert_int_equal(found.offset, offset);
}

static void
zeros_at_the_end_verify_with_the_lock_and_without_it_and_in_a_copy(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct findings found;
    char copy[72];
    char command[256];
    uint8_t root[32];

    commit_signs(log, 2);
    oxv_log_root(log, root);
    assert_true(file_length(f->fd, TEST_SEGMENT) > oxv_log_segment_bytes(log));
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_true(found.verdict.writer_active);
    assert_int_equal(found.verdict.entries, 3);

    (void)snprintf(copy, sizeof copy, "%s/copy", f->path);
    (void)snprintf(command, sizeof command, "mkdir '%s' && cp -r '%s/log' '%s'", copy, f->path,
                   copy);
    assert_int_equal(system(command), 0);
    oxv_log_free(log);
    must_verify(f);
    assert_int_equal(verify_with(copy, f->vkey, &found), OXV_OK);
    assert_false(found.verdict.writer_active);
    assert_int_equal(found.verdict.entries, 3);
    assert_memory_equal(found.verdict.root, root, sizeof root);
    (void)snprintf(command, sizeof command, "rm '%s/log/lock'", copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(verify_with(copy, f->vkey, &found), OXV_OK);
}

static void
zeros_of_any_length_are_the_end_and_are_cut_by_the_start(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes lines = make_lines(f);
    static const size_t lengths[] = { 1, 511, 512, 16384, 16385, 40000, 262144, sizeof zeros };

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        put_behind(f, &lines, lengths[i], oxv_view("", 0));
        must_verify(f);
        must_open_clean(f, &lines);
    }
    file_bytes_done(&lines);
}

static void
zeros_with_something_behind_them_are_found(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes lines = make_lines(f);
    static const size_t lengths[] = { 1, 511, 16384, 16385, 40000, 262144, sizeof zeros };

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        put_behind(f, &lines, lengths[i], oxv_view_text("x"));
        must_find(f, "hole", 3, lines.len);
        put_behind(f, &lines, lengths[i], oxv_view_text("{}\n"));
        must_find(f, "hole", 3, lines.len);
    }
    file_bytes_done(&lines);
}

/* A line that breaks off is torn, however many zeros follow; with more behind them it is a hole. */
static void
a_line_that_breaks_off_before_zeros_is_named(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes lines = make_lines(f);
    const size_t end = lines.len;
    static const size_t lengths[] = { 1, 16384, 40000, sizeof zeros };

    lines.data = realloc(lines.data, end + 6);
    assert_non_null(lines.data);
    memcpy(lines.data + end, "{\"boot", 6);
    lines.len = end + 6;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct oxv_log_opened opened;

        put_behind(f, &lines, lengths[i], oxv_view("", 0));
        must_find(f, "torn_tail", 3, end);
        oxv_log_free(open_log(f, &opened));
        assert_int_equal(opened.torn_offset, end);
        assert_int_equal(opened.torn_bytes, 6);
        assert_int_equal(file_length(f->fd, TEST_SEGMENT), end);
    }
    put_behind(f, &lines, 40000, oxv_view_text("x"));
    must_find(f, "hole", 3, end + 6);
    put_behind(f, &lines, 100, oxv_view_text("\n")); /* within a line they are part of it */
    must_find(f, "bad_entry", 3, end);               /* where the member begins that is none */
    file_bytes_done(&lines);
}

static void
must_refuse_first(const struct log_fixture *f, const char *text)
{
    struct oxv_err err = { 0 };
    struct file_bytes before = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    if (strstr(err.text, text) == NULL) {
        fail_msg("%s", err.text);
    }
    struct file_bytes after = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, after.len);
    assert_false(is_there(f->fd, "log/torn"));
    file_bytes_done(&before);
    file_bytes_done(&after);
}

static void
zeros_in_a_segment_that_another_follows_are_a_fault(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);
    size_t ends[4];
    char text[128];

    commit_signs(log, 3);
    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES - 4);
    struct file_bytes lines = read_lines(f->fd, TEST_SEGMENT);

    assert_true(file_length(f->fd, TEST_SEGMENT) > lines.len); /* full, but the newest */
    must_verify(f);
    commit_signs(log, 1);
    assert_int_equal(file_length(f->fd, TEST_SEGMENT), lines.len);
    oxv_log_free(log);
    must_verify(f);

    put_behind(f, &lines, 1000, oxv_view("", 0));
    must_find(f, "bad_segment", 65536, lines.len);
    (void)snprintf(text, sizeof text,
                   "entry 65536, log/seg/000000000000.jsonl, byte %zu: ", lines.len);
    must_refuse_first(f, text);
    put_behind(f, &lines, 1000, oxv_view_text("x"));
    must_find(f, "hole", 65536, lines.len);
    must_refuse_first(f, text);

    assert_int_equal(commit_ends(&lines, ends, 4), 3);
    memset(lines.data + ends[0], 0,
           2 * SECTOR); /* a sector at least is zero: damage all the same */
    put_segment(f, lines.data, lines.len);
    must_find(f, "hole", 1, ends[0]);
    (void)snprintf(text, sizeof text, "entry 1, log/seg/000000000000.jsonl, byte %zu: ", ends[0]);
    must_refuse_first(f, text);
    put_segment(f, lines.data, ends[0] + 100); /* ends early, in zeros */
    must_find(f, "short_segment", 1, ends[0]);
    must_refuse_first(f, text);
    file_bytes_done(&lines);
}

/* Commits until the next group begins at byte `wanted` of a sector. */
static void
go_to_byte_of_sector(struct oxv_log *log, size_t wanted)
{
    static char name[2 * SECTOR];
    size_t added = 0; /* bytes of a group of one entry with a short name */

    memset(name, 'n', sizeof name);
    while (oxv_log_segment_bytes(log) % SECTOR != wanted) {
        struct oxv_entry entry = sign_entry();
        struct oxv_err err;
        uint64_t begin = oxv_log_segment_bytes(log);
        size_t more =
            added == 0 ? 0 : (size_t)((2 * SECTOR + wanted - (begin + added) % SECTOR) % SECTOR);

        entry.caller = oxv_view(name, 1 + more);
        (void)append(log, &entry);
        assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
        added = (size_t)(oxv_log_segment_bytes(log) - begin) - more;
    }
}

struct cut {
    struct file_bytes whole;
    size_t begin; /* of the last group */
    uint64_t entries_before;
    size_t sectors; /* that the group touches */
};

/* Has the disk only the sectors of the last write that are in the mask? */
static void
must_survive(const struct log_fixture *f, const struct cut *cut, unsigned mask)
{
    const size_t begin = cut->begin;
    bool is_all = mask + 1 == 1u << cut->sectors;
    uint8_t *bytes = calloc(1, cut->whole.len + 9000);
    size_t last = begin;
    struct oxv_log_opened opened;
    struct findings found;

    assert_non_null(bytes);
    memcpy(bytes, cut->whole.data, begin);
    for (size_t i = begin; i < cut->whole.len; i++) {
        if (mask >> (i / SECTOR - begin / SECTOR) & 1) {
            bytes[i] = cut->whole.data[i];
            last = i + 1;
        }
    }
    put_segment(f, bytes, cut->whole.len + 9000);
    free(bytes);
    assert_int_equal(verify(f, &found), is_all || mask == 0 ? OXV_OK : OXV_E_FORGED);
    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(oxv_log_size(log), cut->entries_before + (is_all ? GROUP_ENTRIES : 0));
    assert_int_equal(opened.torn_bytes, is_all ? 0 : last - begin);
    assert_int_equal(oxv_log_waiting(log), is_all || mask == 0 ? 0 : 1);
    oxv_log_free(log);
    struct file_bytes now = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(now.len, is_all ? cut->whole.len : begin);
    assert_memory_equal(now.data, cut->whole.data, now.len);
    file_bytes_done(&now);
    must_verify(f);
}

static void
whatever_sectors_of_the_last_write_are_there_the_log_opens(void **state)
{
    struct log_fixture *f = *state;
    static const size_t places[] = { 0, 1, 100, 300, 510, 511 };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct oxv_log_opened opened;
        struct oxv_log *log = open_log(f, &opened);
        struct cut cut;

        go_to_byte_of_sector(log, places[i]);
        cut.begin = (size_t)oxv_log_segment_bytes(log);
        cut.entries_before = oxv_log_size(log);
        commit_signs(log, GROUP_ENTRIES);
        oxv_log_free(log);
        cut.whole = read_whole(f->fd, TEST_SEGMENT);
        cut.sectors = (cut.whole.len - 1) / SECTOR - cut.begin / SECTOR + 1;
        assert_int_equal(cut.begin % SECTOR, places[i]);
        assert_true(cut.sectors >= 4 && cut.sectors <= 6);
        for (unsigned mask = 0; mask < 1u << cut.sectors; mask++) {
            must_survive(f, &cut, mask);
        }
        put_segment(f, cut.whole.data, cut.whole.len);
        file_bytes_done(&cut.whole);
    }
}

/* Only the last write can be unfinished: with a commit line and more behind it, it is damage. */
static void
a_zeroed_sector_in_an_older_group_is_damage(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    size_t ends[8];
    char text[64];

    for (unsigned i = 0; i < 3; i++) {
        commit_signs(log, GROUP_ENTRIES);
    }
    oxv_log_free(log);
    struct file_bytes lines = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(commit_ends(&lines, ends, 8), 4);
    for (size_t group = 1; group <= 3; group++) {
        size_t sector = (ends[group - 1] / SECTOR + 1) * SECTOR;
        uint8_t kept[SECTOR];

        assert_true(sector + SECTOR < ends[group]);
        memcpy(kept, lines.data + sector, SECTOR);
        memset(lines.data + sector, 0, SECTOR);
        put_segment(f, lines.data, lines.len);
        if (group < 3) {
            (void)snprintf(text, sizeof text, "byte %zu: ", sector);
            must_refuse_first(f, text);
        } else {
            oxv_log_free(open_log(f, &opened));
            assert_int_equal(opened.torn_offset, ends[group - 1]);
            assert_int_equal(opened.torn_bytes, lines.len - ends[group - 1]);
        }
        memcpy(lines.data + sector, kept, SECTOR);
    }
    file_bytes_done(&lines);
}

/* Child: commits once, limits how long a file may get, fails in the next commit. */
static void
fill_disk(const struct log_fixture *f, size_t room)
{
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened;
    struct oxv_err err = { 0 };
    struct oxv_entry entry = sign_entry();
    uint64_t index;

    if (oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, &err) != OXV_OK ||
        oxv_log_append(log, &entry, &index) != OXV_OK) {
        _exit(1);
    }
    struct rlimit limit = { .rlim_cur = oxv_log_segment_bytes(log) + room,
                            .rlim_max = oxv_log_segment_bytes(log) + room };

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        _exit(2);
    }
    if (oxv_log_commit(log, &err) != OXV_E_IO || !oxv_log_is_broken(log) ||
        (room == 0 && err.sys_errno != EFBIG) || oxv_log_append(log, &entry, &index) != OXV_E_IO ||
        oxv_log_size(log) != 3) {
        _exit(3);
    }
    oxv_log_free(log);
    _exit(0);
}

static void
zeros_that_do_not_fit_break_the_log_and_lose_nothing(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes lines = make_lines(f);
    static const size_t rooms[] = { 0, 50, 2000,
                                    60000 }; /* the lines would fit into the last two */

    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            fill_disk(f, rooms[i]);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(file_length(f->fd, TEST_SEGMENT), lines.len + rooms[i]);
        must_verify(f);
        must_open_clean(f, &lines);
    }
    file_bytes_done(&lines);
}

static void
a_close_cuts_the_zeros_and_a_kill_leaves_them_to_the_next_start(void **state)
{
    struct log_fixture *f = *state;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct oxv_log *log = NULL;
        struct oxv_log_opened opened;
        struct oxv_entry entry = sign_entry();
        uint64_t index;

        if (oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, NULL) != OXV_OK ||
            oxv_log_append(log, &entry, &index) != OXV_OK || oxv_log_commit(log, NULL) != OXV_OK) {
            _exit(1);
        }
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    struct file_bytes lines = read_lines(f->fd, TEST_SEGMENT);

    assert_true(file_length(f->fd, TEST_SEGMENT) >= lines.len + 60000);
    must_verify(f);
    must_open_clean(f, &lines);

    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(oxv_log_size(log), 2);
    commit_signs(log, 1);
    uint64_t bytes = oxv_log_segment_bytes(log);

    assert_true(file_length(f->fd, TEST_SEGMENT) > bytes);
    oxv_log_free(log);
    assert_int_equal(file_length(f->fd, TEST_SEGMENT), bytes);
    file_bytes_done(&lines);
}

static void
a_group_larger_than_what_is_written_ahead_is_as_any_other(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct findings found;
    static const size_t groups[] = { 1, 1000, 1, 8000, 1, 12000, 1 }; /* of up to 2.5 MB */
    size_t size = 1;

    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        commit_signs(log, groups[i]);
        size += groups[i];
        uint64_t length = file_length(f->fd, TEST_SEGMENT);

        assert_int_equal(length % 4096, 0);
        assert_true(length > oxv_log_segment_bytes(log));
        assert_true(length <= oxv_log_segment_bytes(log) + (1u << 20));
        assert_int_equal(verify(f, &found), OXV_OK);
        assert_int_equal(found.verdict.entries, size);
    }
    struct file_bytes lines = read_lines(f->fd, TEST_SEGMENT);

    assert_int_equal(lines.len, oxv_log_segment_bytes(log));
    assert_null(memchr(lines.data, 0, lines.len));
    oxv_log_free(log);
    must_open_clean(f, &lines);
    file_bytes_done(&lines);
}

/* Makes the segment this long. */
static void
set_length(const struct log_fixture *f, uint64_t length)
{
    int fd = openat(f->fd, TEST_SEGMENT, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)length), 0);
    (void)close(fd);
}

static void
a_length_that_somebody_changed_stops_the_log_and_is_left_as_it_is(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_entry entry = sign_entry();

    for (unsigned round = 0; round < 6; round++) {
        struct oxv_log_opened opened;
        struct oxv_log *log = open_log(f, &opened);
        struct oxv_err err = { 0 };

        commit_signs(log, 1);
        uint64_t bytes = oxv_log_segment_bytes(log);
        const uint64_t changed[] = { bytes, bytes + 7, file_length(f->fd, TEST_SEGMENT) + 1 };

        set_length(f, changed[round % 3]);
        if (round < 3) {
            (void)append(log, &entry);
            assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
            assert_non_null(strstr(err.text, "was changed by someone else"));
            assert_true(oxv_log_is_broken(log));
        }
        oxv_log_free(log); /* in the other rounds nobody has seen it */
        assert_int_equal(file_length(f->fd, TEST_SEGMENT), changed[round % 3]);
        must_verify(f);
    }
}

static void
a_full_segment_that_somebody_changed_stops_the_log(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err = { 0 };

    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES - 1);
    uint64_t length = file_length(f->fd, TEST_SEGMENT);

    set_length(f, length + 1);
    (void)append(log, &entry);
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_non_null(strstr(err.text, "log/seg/000000000000.jsonl was changed by someone else"));
    assert_false(is_there(f->fd, NEXT_SEGMENT));
    assert_int_equal(file_length(f->fd, TEST_SEGMENT), length + 1);
    oxv_log_free(log);
    log = open_log_of_one_epoch(f, &opened); /* nothing but zeros: it goes on */
    assert_int_equal(opened.torn_bytes, 0);
    commit_signs(log, 1);
    oxv_log_free(log);
    must_verify(f);
}

/* A new segment in which only zeros were written yet. */
static void
a_kill_before_the_first_lines_of_a_segment_loses_nothing(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);
    struct findings found;

    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES - 1);
    oxv_log_free(log);
    write_whole(f->fd, NEXT_SEGMENT, oxv_view(zeros, 65536));
    must_verify(f);
    log = open_log_of_one_epoch(f, &opened);
    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_int_equal(oxv_log_size(log), OXV_LOG_SEGMENT_ENTRIES);
    assert_int_equal(file_length(f->fd, NEXT_SEGMENT), 0);
    commit_signs(log, 1);
    oxv_log_free(log);
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_int_equal(found.verdict.entries, OXV_LOG_SEGMENT_ENTRIES + 1);
}

/* Child: groups of many sizes, so that they begin and end anywhere in a page, until it is killed.
 */
static void
commit_until_killed(const struct log_fixture *f)
{
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened;
    struct oxv_entry entry = sign_entry();
    uint64_t index;

    if (oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, NULL) != OXV_OK) {
        _exit(1);
    }
    for (size_t group = 0; oxv_log_size(log) < BUSY_ENTRIES; group++) {
        for (size_t i = 0; i < 1 + group % 25; i++) {
            if (oxv_log_append(log, &entry, &index) != OXV_OK) {
                _exit(2);
            }
        }
        if (oxv_log_commit(log, NULL) != OXV_OK) {
            _exit(3);
        }
    }
    for (;;) {
        (void)pause(); /* enough; it holds the lock until the verifier is done */
    }
}

static void
a_verifier_beside_a_busy_writer_finds_nothing(void **state)
{
    struct log_fixture *f = *state;
    struct findings found = { 0 };
    uint64_t entries = 1;
    unsigned moves = 0;
    const uint64_t deadline = oxv_clock_boot_us() + UINT64_C(100000000);
    pid_t pid = fork();

    if (pid == 0) {
        commit_until_killed(f);
    }
    while (entries < BUSY_ENTRIES && oxv_clock_boot_us() < deadline) {
        enum oxv_status st = verify(f, &found);

        if (st != OXV_OK) {
            (void)kill(pid, SIGKILL);
            fail_msg("%s at entry %ju, byte %ju: %s", found.code, (uintmax_t)found.entry,
                     (uintmax_t)found.offset, found.reason);
        }
        assert_true(found.verdict.entries >= entries);
        moves += found.verdict.entries > entries ? 1 : 0;
        entries = found.verdict.entries;
    }
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(moves > 0);
    assert_true(entries >= BUSY_ENTRIES);
    must_verify(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_log, remove_log)
        TEST(zeros_at_the_end_verify_with_the_lock_and_without_it_and_in_a_copy),
        TEST(zeros_of_any_length_are_the_end_and_are_cut_by_the_start),
        TEST(zeros_with_something_behind_them_are_found),
        TEST(a_line_that_breaks_off_before_zeros_is_named),
        TEST(zeros_in_a_segment_that_another_follows_are_a_fault),
        TEST(whatever_sectors_of_the_last_write_are_there_the_log_opens),
        TEST(a_zeroed_sector_in_an_older_group_is_damage),
        TEST(zeros_that_do_not_fit_break_the_log_and_lose_nothing),
        TEST(a_close_cuts_the_zeros_and_a_kill_leaves_them_to_the_next_start),
        TEST(a_group_larger_than_what_is_written_ahead_is_as_any_other),
        TEST(a_length_that_somebody_changed_stops_the_log_and_is_left_as_it_is),
        TEST(a_full_segment_that_somebody_changed_stops_the_log),
        TEST(a_kill_before_the_first_lines_of_a_segment_loses_nothing),
        TEST(a_verifier_beside_a_busy_writer_finds_nothing),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log zeros", tests, NULL, NULL);
}
