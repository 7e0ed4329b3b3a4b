/* What the start does with a log that was cut, damaged, or whose writer was killed. */
#include "test_log_support.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define GROUP_ENTRIES 2u
#define GROUPS        2u

/* A log of entry 0 and a few groups of entries. */
static struct file_bytes
make_groups(const struct log_fixture *f)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);

    for (size_t i = 0; i < GROUPS; i++) {
        commit_signs(log, GROUP_ENTRIES);
    }
    oxv_log_free(log);
    return read_whole(f->fd, TEST_SEGMENT);
}

static void
every_cut_but_one_after_a_commit_is_put_aside_and_logged(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    size_t ends[8];
    size_t count = commit_ends(&whole, ends, 8);

    assert_int_equal(count, 1 + GROUPS);
    for (size_t cut = whole.len; cut >= ends[0]; cut--) {
        struct oxv_log_opened opened;
        size_t kept = 0;

        while (kept + 1 < count && ends[kept + 1] <= cut) {
            kept++;
        }
        put_segment(f, whole.data, cut);
        struct oxv_log *log = open_log(f, &opened);

        assert_int_equal(oxv_log_size(log), 1 + kept * GROUP_ENTRIES);
        assert_int_equal(opened.torn_bytes, cut - ends[kept]);
        assert_int_equal(oxv_log_waiting(log), cut == ends[kept] ? 0 : 1);
        if (cut != ends[kept] && cut % 16 == 0) {
            char name[128];

            assert_int_equal(opened.torn_offset, ends[kept]);
            (void)snprintf(name, sizeof name, "log/%s.new", opened.torn_file);
            struct file_bytes torn = read_whole(f->fd, name);

            assert_int_equal(torn.len, cut - ends[kept]);
            assert_memory_equal(torn.data, whole.data + ends[kept], torn.len);
            file_bytes_done(&torn);
            commit_signs(log, 1);
            (void)snprintf(name, sizeof name, "log/%s", opened.torn_file);
            assert_true(is_there(f->fd, name));
        }
        oxv_log_free(log);
        must_verify(f);
    }
    file_bytes_done(&whole);
}

static void
a_log_cut_within_its_first_group_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    size_t ends[8];
    struct oxv_err err;

    (void)commit_ends(&whole, ends, 8);
    for (size_t cut = 0; cut < ends[0]; cut++) {
        put_segment(f, whole.data, cut);
        assert_int_equal(try_open(f, &err), OXV_E_FORGED);

        struct file_bytes now = read_whole(f->fd, TEST_SEGMENT);

        assert_int_equal(now.len, cut); /* left as it was */
        file_bytes_done(&now);
    }
    file_bytes_done(&whole);
}

static void
must_refuse(const struct log_fixture *f, const struct file_bytes *changed, size_t at)
{
    struct oxv_err err = { 0 };

    put_segment(f, changed->data, changed->len);
    if (try_open(f, &err) != OXV_E_FORGED) {
        fail_msg("byte %zu of %zu changed to %02x: %s", at, changed->len, changed->data[at],
                 err.text);
    }
    assert_non_null(strstr(err.text, "entry "));
    assert_non_null(strstr(err.text, "log/seg/000000000000.jsonl, byte "));
    assert_false(is_there(f->fd, "log/torn"));
}

/* The two bytes that can be zero because a sector was never written: a sector may end before the
 * log's last newline, and after the first byte of the last group. */
static bool
may_be_unwritten(const struct file_bytes *whole, size_t at)
{
    size_t ends[8];
    size_t count = commit_ends(whole, ends, 8);

    return at + 1 == whole->len || (at == ends[count - 2] && at % 512 == 511);
}

static void
must_count_as_torn(const struct log_fixture *f, const struct file_bytes *changed, size_t begin)
{
    struct oxv_log_opened opened;

    put_segment(f, changed->data, changed->len);
    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(oxv_log_size(log), 1 + (GROUPS - 1) * GROUP_ENTRIES);
    assert_int_equal(opened.torn_offset, begin);
    assert_int_equal(opened.torn_bytes,
                     changed->len - begin - (changed->data[changed->len - 1] == 0 ? 1 : 0));
    oxv_log_free(log);
    forget_torn(f);
}

static void
every_changed_byte_is_refused_even_in_the_last_group(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    size_t ends[8];
    size_t count = commit_ends(&whole, ends, 8);

    for (size_t i = 0; i < whole.len; i++) {
        const uint8_t good = whole.data[i];
        const uint8_t bad[] = { (uint8_t)(good ^ (1u << i % 8)), '\n', 0 };

        for (size_t k = 0; k < sizeof bad; k++) {
            bool is_torn = bad[k] == 0 && may_be_unwritten(&whole, i);

            whole.data[i] = bad[k];
            if (is_torn) {
                must_count_as_torn(f, &whole, ends[count - 2]);
            } else if (bad[k] != good) {
                must_refuse(f, &whole, i);
            }
            whole.data[i] = good;
        }
    }
    put_segment(f, whole.data, whole.len);
    oxv_log_free(open_log(f, &(struct oxv_log_opened){ 0 }));
    file_bytes_done(&whole);
}

static void
the_refusal_names_the_byte(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    struct oxv_err err;
    char wanted[64];

    whole.data[whole.len] = 0;
    uint8_t *at = (uint8_t *)strstr((char *)whole.data, "\"seq\":3,") + 1;

    (void)snprintf(wanted, sizeof wanted, "entry 3, log/seg/000000000000.jsonl, byte %td",
                   at - whole.data - 2); /* the separator before an unknown key */
    *at = 'S';
    put_segment(f, whole.data, whole.len);
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    assert_non_null(strstr(err.text, wanted));
    file_bytes_done(&whole);
}

/* Makes the last `len` bytes of the log these, then opens it. */
static enum oxv_status
open_with_tail(const struct log_fixture *f, const struct file_bytes *whole, struct oxv_view tail,
               struct oxv_log_opened *opened)
{
    struct oxv_log *log = NULL;
    struct oxv_err err;
    uint8_t *bytes = malloc(whole->len + tail.len + 1);

    assert_non_null(bytes);
    memcpy(bytes, whole->data, whole->len);
    memcpy(bytes + whole->len, tail.data, tail.len);
    put_segment(f, bytes, whole->len + tail.len);
    free(bytes);
    enum oxv_status st = oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, opened, &err);

    oxv_log_free(log);
    return st;
}

static void
garbage_and_holes_after_the_last_commit_are_torn(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    struct oxv_log_opened opened;
    static uint8_t zeros[40001];
    static const char *const tails[] = { "x", "\n", "{\"boot\":", "garbage\nmore garbage\n",
                                         "{\"commit\":{\"epoch\":0,\"root\":\"" };

    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        struct oxv_view tail = oxv_view_text(tails[i]);

        assert_int_equal(open_with_tail(f, &whole, tail, &opened), OXV_OK);
        assert_int_equal(opened.torn_bytes, tail.len);
    }
    struct oxv_view tail = oxv_view(zeros, sizeof zeros);

    assert_int_equal(open_with_tail(f, &whole, tail, &opened), OXV_OK);
    assert_int_equal(opened.torn_bytes, 0); /* written ahead: nothing is lost */
    assert_false(is_there(f->fd, "log/torn"));
    assert_int_equal(file_length(f->fd, TEST_SEGMENT), whole.len);
    zeros[39000] = 'x';
    assert_int_equal(open_with_tail(f, &whole, tail, &opened), OXV_OK);
    assert_int_equal(opened.torn_bytes, 39001); /* with the zeros before it, without those behind */
    assert_int_equal(opened.torn_offset, whole.len);
    file_bytes_done(&whole);
}

static void
a_hole_before_a_whole_commit_line_is_damage(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    struct oxv_err err;
    size_t ends[8];
    size_t count = commit_ends(&whole, ends, 8);

    memset(whole.data + ends[count - 2], 0, 100);
    put_segment(f, whole.data, whole.len);
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    memset(whole.data + ends[count - 2], 0, whole.len - ends[count - 2] - 1);
    put_segment(f, whole.data, whole.len); /* nothing of the commit line is left: a hole */
    assert_int_equal(try_open(f, &err), OXV_OK);
    file_bytes_done(&whole);
}

static void
a_commit_line_of_somebody_else_at_the_end_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    struct oxv_log_opened opened;
    size_t ends[8];
    size_t count = commit_ends(&whole, ends, 8);
    size_t begin = ends[count - 1];

    while (begin > 0 && (begin == ends[count - 1] || whole.data[begin - 1] != '\n')) {
        begin--;
    }
    struct oxv_view again = oxv_view(whole.data + begin, ends[count - 1] - begin);

    assert_int_equal(open_with_tail(f, &whole, again, &opened), OXV_E_FORGED);
    again.len--; /* without its newline it is no whole line */
    assert_int_equal(open_with_tail(f, &whole, again, &opened), OXV_OK);
    file_bytes_done(&whole);
}

static void
a_recovery_is_logged_even_when_the_first_try_is_killed(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_groups(f);
    struct oxv_log_opened opened;

    assert_int_equal(open_with_tail(f, &whole, oxv_view_text("torn"), &opened), OXV_OK);
    assert_int_equal(opened.torn_bytes, 4);

    struct oxv_log *log = open_log(f, &opened); /* the cut is made, the entry is not */

    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_waiting(log), 1);
    commit_signs(log, 1);
    oxv_log_free(log);
    log = open_log(f, &opened);
    assert_int_equal(oxv_log_waiting(log), 0);
    oxv_log_free(log);

    struct file_bytes now = read_whole(f->fd, TEST_SEGMENT);
    char wanted[64];

    now.data[now.len] = 0;
    (void)snprintf(wanted, sizeof wanted, "\"reason\":\"%zu-", whole.len);
    assert_non_null(strstr((char *)now.data, "\"type\":\"log.recovery\""));
    assert_non_null(strstr((char *)now.data, "\"count\":4,"));
    assert_non_null(strstr((char *)now.data, wanted));
    must_verify(f);
    file_bytes_done(&whole);
    file_bytes_done(&now);
}

static void
missing_and_foreign_segment_files_are_refused(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_err err;

    write_whole(f->fd, "log/seg/notes.txt", oxv_view_text("x"));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    assert_int_equal(unlinkat(f->fd, "log/seg/notes.txt", 0), 0);
    write_whole(f->fd, "log/seg/000000131072.jsonl", oxv_view_text("x"));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    assert_int_equal(renameat(f->fd, "log/seg/000000131072.jsonl", f->fd,
                              "log/seg/000000065536.jsonl"),
                     0);
    assert_int_equal(try_open(f, &err), OXV_E_FORGED); /* segment 0 is not full */
    assert_int_equal(unlinkat(f->fd, "log/seg/000000065536.jsonl", 0), 0);
    assert_int_equal(try_open(f, &err), OXV_OK);
    assert_int_equal(unlinkat(f->fd, TEST_SEGMENT, 0), 0);
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
}

static void
a_segment_behind_a_symbolic_link_is_not_followed(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_err err = { 0 };
    struct findings found;

    assert_int_equal(renameat(f->fd, TEST_SEGMENT, f->fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("../../elsewhere", f->fd, TEST_SEGMENT), 0);
    struct file_bytes reached = read_whole(f->fd, TEST_SEGMENT); /* the link is good */

    assert_int_equal(try_open(f, &err), OXV_E_IO);
    assert_int_equal(err.sys_errno, ELOOP);
    assert_int_equal(verify(f, &found), OXV_E_IO);
    file_bytes_done(&reached);
}

/* Two segments: one group of a few entries, one that fills the first segment and begins the next.
 */
static struct file_bytes
make_two_segments(const struct log_fixture *f)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);

    commit_signs(log, 3);
    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES);
    oxv_log_free(log);
    return read_whole(f->fd, TEST_SEGMENT);
}

/* Opening must refuse, name what `text` says, and leave both segments as they are. */
static void
must_refuse_older(const struct log_fixture *f, const struct file_bytes *changed, const char *text)
{
    struct oxv_err err = { 0 };
    enum oxv_status st;

    write_whole(f->fd, TEST_SEGMENT, oxv_view(changed->data, changed->len));
    st = try_open(f, &err);
    if (st != OXV_E_FORGED || strstr(err.text, text) == NULL ||
        strstr(err.text, "log/seg/000000000000.jsonl, byte ") == NULL) {
        fail_msg("%s: %s", oxv_status_name(st), err.text);
    }
    assert_false(is_there(f->fd, "log/torn"));
}

static void
a_damaged_older_segment_is_refused_wherever_it_is_damaged(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes whole = make_two_segments(f);
    size_t ends[8];

    assert_int_equal(commit_ends(&whole, ends, 8), 3);
    for (size_t i = 0; i < 3; i++) { /* the signatures of inner commit lines too */
        uint8_t *at = whole.data + ends[i] - 60;
        const uint8_t signed_one = *at;

        *at = signed_one == 'A' ? 'B' : 'A';
        must_refuse_older(f, &whole, "not signed by the epoch's key");
        *at = signed_one;
    }
    uint8_t *in_boot = &whole.data[ends[0] + 30]; /* a random hex character: stays one */
    const uint8_t good = *in_boot;

    *in_boot = good == 'a' ? 'b' : 'a';
    must_refuse_older(f, &whole, "an entry was changed");
    *in_boot = good;
    whole.len = ends[1]; /* cut after a commit, yet another segment follows */
    must_refuse_older(f, &whole, "ends early");
    whole.len = ends[2] - 1;
    must_refuse_older(f, &whole, "ends within a line");
    whole.len = ends[2];
    write_whole(f->fd, TEST_SEGMENT, oxv_view(whole.data, whole.len));
    oxv_log_free(open_log(f, &(struct oxv_log_opened){ 0 }));
    file_bytes_done(&whole);
}

/* Child: commits groups forever, telling after each how large the log is known to be. */
static void
commit_forever(const struct log_fixture *f, int out)
{
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened;
    struct oxv_err err;
    struct oxv_entry entry = sign_entry();

    if (oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, &err) != OXV_OK) {
        _exit(1);
    }
    for (;;) {
        uint64_t index;

        for (size_t i = 0; i < GROUP_ENTRIES; i++) {
            if (oxv_log_append(log, &entry, &index) != OXV_OK) {
                _exit(2);
            }
        }
        if (oxv_log_commit(log, &err) != OXV_OK) {
            _exit(3);
        }
        uint64_t size = oxv_log_size(log);

        if (write(out, &size, sizeof size) != (ssize_t)sizeof size) {
            _exit(4);
        }
    }
}

/* Runs the child until it dies; returns the last size it told, or the size before. */
static uint64_t
run_until_killed(const struct log_fixture *f, const char *hook, long kill_after_us, int *status)
{
    int fds[2];
    uint64_t told = 0;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();

    if (pid == 0) {
        if (hook != NULL && setenv("OXV_HOOK", hook, 1) != 0) {
            _exit(5);
        }
        commit_forever(f, fds[1]);
    }
    (void)close(fds[1]);
    if (kill_after_us > 0) {
        struct timespec wait = { .tv_nsec = kill_after_us * 1000 };

        (void)nanosleep(&wait, NULL);
        (void)kill(pid, SIGKILL);
    }
    uint64_t size;

    while (read(fds[0], &size, sizeof size) == (ssize_t)sizeof size) {
        told = size;
    }
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    return told;
}

static void
no_released_entry_is_lost_when_the_writer_is_killed_at_random(void **state)
{
    struct log_fixture *f = *state;
    uint64_t known = 1;

    for (long round = 1; round <= 20; round++) {
        struct oxv_log_opened opened;
        int status;
        uint64_t told = run_until_killed(f, NULL, 1000 + round * 1700, &status);

        assert_true(WIFSIGNALED(status));
        known = told > known ? told : known;
        struct oxv_log *log = open_log(f, &opened);

        assert_true(oxv_log_size(log) >= known);
        known = oxv_log_size(log);
        if (round % 3 == 0) {
            commit_signs(log, 1);
            known = oxv_log_size(log);
        }
        oxv_log_free(log);
        must_verify(f);
    }
}

#ifdef OXV_TEST_HOOKS

static uint64_t
size_now(const struct log_fixture *f)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    uint64_t size = oxv_log_size(log);

    assert_int_equal(opened.torn_bytes, 0); /* a kill at a hook never halves a write */
    oxv_log_free(log);
    must_verify(f);
    return size;
}

static void
no_released_entry_is_lost_when_the_writer_is_killed_at_a_hook(void **state)
{
    struct log_fixture *f = *state;
    static const struct {
        const char *name;
        uint64_t written; /* entries that reached the file without being released */
    } hooks[] = {
        { "log.before_write", 0 },
        { "log.before_sync", GROUP_ENTRIES },
        { "log.after_sync", GROUP_ENTRIES },
    };
    uint64_t before = 1;

    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        for (unsigned n = 1; n <= 3; n++) {
            char hook[64];
            int status;

            (void)snprintf(hook, sizeof hook, "%s:%u", hooks[i].name, n);
            uint64_t told = run_until_killed(f, hook, 0, &status);

            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGKILL);
            told = told == 0 ? before : told;
            assert_int_equal(told, before + (n - 1) * GROUP_ENTRIES);
            before = size_now(f);
            assert_int_equal(before, told + hooks[i].written);
        }
    }
}

/* Child: the second commit fails; after that the log must be of no more use. */
static void
fail_once(const struct log_fixture *f, const char *hook)
{
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened;
    struct oxv_err err;
    struct oxv_entry entry = sign_entry();
    uint64_t index;

    if (setenv("OXV_HOOK", hook, 1) != 0 ||
        oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, &err) != OXV_OK ||
        oxv_log_append(log, &entry, &index) != OXV_OK || oxv_log_commit(log, &err) != OXV_OK ||
        oxv_log_append(log, &entry, &index) != OXV_OK) {
        _exit(1);
    }
    uint64_t size = oxv_log_size(log);

    if (oxv_log_commit(log, &err) != OXV_E_IO || err.sys_errno != EIO || !oxv_log_is_broken(log) ||
        oxv_log_size(log) != size) {
        _exit(2);
    }
    if (oxv_log_append(log, &entry, &index) != OXV_E_IO ||
        oxv_log_commit(log, &err) != OXV_E_IO) { /* no second try, though the hook is past */
        _exit(3);
    }
    _exit(0);
}

static void
a_failed_write_or_sync_breaks_the_log_for_good(void **state)
{
    struct log_fixture *f = *state;
    static const struct {
        const char *hook;
        uint64_t kept;
    } hooks[] = {
        { "log.before_write:fail:2", 1 },
        { "log.before_sync:fail:2", 2 },
        { "log.after_sync:fail:2", 2 },
    };
    uint64_t size = 1;

    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            fail_once(f, hooks[i].hook);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        size += hooks[i].kept;
        assert_int_equal(size_now(f), size);
    }
}

#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_log, remove_log)
        TEST(every_cut_but_one_after_a_commit_is_put_aside_and_logged),
        TEST(a_log_cut_within_its_first_group_is_refused),
        TEST(every_changed_byte_is_refused_even_in_the_last_group),
        TEST(the_refusal_names_the_byte),
        TEST(garbage_and_holes_after_the_last_commit_are_torn),
        TEST(a_hole_before_a_whole_commit_line_is_damage),
        TEST(a_commit_line_of_somebody_else_at_the_end_is_refused),
        TEST(a_recovery_is_logged_even_when_the_first_try_is_killed),
        TEST(missing_and_foreign_segment_files_are_refused),
        TEST(a_segment_behind_a_symbolic_link_is_not_followed),
        TEST(a_damaged_older_segment_is_refused_wherever_it_is_damaged),
        TEST(no_released_entry_is_lost_when_the_writer_is_killed_at_random),
#ifdef OXV_TEST_HOOKS
        TEST(no_released_entry_is_lost_when_the_writer_is_killed_at_a_hook),
        TEST(a_failed_write_or_sync_breaks_the_log_for_good),
#endif
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log recovery", tests, NULL, NULL);
}
