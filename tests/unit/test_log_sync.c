/*
 * What reaches the disk before a call returns. The linker puts these functions between us and libc
 * (-Wl,--wrap): each call is noted with the file it was for.
 */
#include "test_log_support.h"

#define CALLS_MAX 64u
#define PENDING   "log/pending"

enum call_kind {
    CALL_WRITE,
    CALL_PWRITE,
    CALL_FDATASYNC,
    CALL_FSYNC,
    CALL_FTRUNCATE,
};

struct call {
    enum call_kind kind;
    ino_t file;
    uint64_t offset; /* of a pwrite */
    size_t bytes;
};

static struct call calls[CALLS_MAX];
static size_t call_count;
static bool is_noting = true;
static bool fail_fdatasync;
static bool fail_pwrite;
static size_t pwrite_takes; /* where it fails; 0: none, no space is left */

static void
note(enum call_kind kind, int fd, off_t offset, size_t bytes)
{
    struct stat st;

    if (!is_noting) {
        return;
    }
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(call_count < CALLS_MAX);
    calls[call_count++] = (struct call){ kind, st.st_ino, (uint64_t)offset, bytes };
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);

ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
    if (fd > STDERR_FILENO) {
        note(CALL_WRITE, fd, 0, len);
    }
    return __real_write(fd, bytes, len);
}

ssize_t
__wrap_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    note(CALL_PWRITE, fd, offset, len);
    if (fail_pwrite && pwrite_takes == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (fail_pwrite && pwrite_takes < len) {
        len = pwrite_takes;
    }
    return __real_pwrite(fd, bytes, len, offset);
}

int
__wrap_fdatasync(int fd)
{
    note(CALL_FDATASYNC, fd, 0, 0);
    if (fail_fdatasync) {
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(fd);
}

int
__wrap_fsync(int fd)
{
    note(CALL_FSYNC, fd, 0, 0);
    return __real_fsync(fd);
}

int
__wrap_ftruncate(int fd, off_t len)
{
    note(CALL_FTRUNCATE, fd, 0, (size_t)len);
    return __real_ftruncate(fd, len);
}

static ino_t
inode_of(const struct log_fixture *f, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_ino;
}

static void
assert_call(size_t i, enum call_kind kind, ino_t file)
{
    assert_true(i < call_count);
    assert_int_equal(calls[i].kind, kind);
    assert_int_equal(calls[i].file, file);
}

static void
assert_pwrite(size_t i, ino_t file, uint64_t offset, uint64_t bytes)
{
    assert_call(i, CALL_PWRITE, file);
    assert_int_equal(calls[i].offset, offset);
    assert_int_equal(calls[i].bytes, bytes);
}

static void
a_commit_returns_after_one_write_and_one_sync_in_this_order(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;
    ino_t segment = inode_of(f, TEST_SEGMENT);

    commit_signs(log, 1); /* with the zeros that the others overwrite */
    uint64_t length = file_length(f->fd, TEST_SEGMENT);

    for (size_t round = 0; round < 3; round++) {
        uint64_t before = oxv_log_segment_bytes(log);

        (void)append(log, &entry);
        (void)append(log, &entry);
        call_count = 0;
        assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
        assert_int_equal(call_count, 2);
        assert_pwrite(0, segment, before, oxv_log_segment_bytes(log) - before);
        assert_call(1, CALL_FDATASYNC, segment);
        assert_int_equal(file_length(f->fd, TEST_SEGMENT), length);
    }
    oxv_log_free(log);
}

/* Only over zeros that the disk has does a commit change no record of the file system. */
static void
zeros_are_synced_before_the_lines_that_overwrite_them(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    ino_t segment = inode_of(f, TEST_SEGMENT);
    uint64_t before = oxv_log_segment_bytes(log);

    assert_int_equal(file_length(f->fd, TEST_SEGMENT), before);
    call_count = 0;
    commit_signs(log, 2);
    uint64_t length = file_length(f->fd, TEST_SEGMENT);
    uint64_t after = oxv_log_segment_bytes(log);

    assert_int_equal(length % 4096, 0);
    assert_true(length >= after + 61440 && length <= after + 65536);
    assert_int_equal(call_count, 4);
    assert_pwrite(0, segment, before, length - before);
    assert_call(1, CALL_FDATASYNC, segment);
    assert_pwrite(2, segment, before, after - before);
    assert_call(3, CALL_FDATASYNC, segment);
    call_count = 0;
    oxv_log_free(log);
    assert_int_equal(call_count, 1);
    assert_call(0, CALL_FTRUNCATE, segment);
    assert_int_equal(calls[0].bytes, after);
    assert_int_equal(file_length(f->fd, TEST_SEGMENT), after);
}

/* Only the newest segment may end in zeros, whatever happens. */
static void
a_full_segment_is_cut_and_synced_before_the_next_one_is_there(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);
    ino_t first = inode_of(f, TEST_SEGMENT);

    is_noting = false;
    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES - 1);
    is_noting = true;
    uint64_t full = oxv_log_segment_bytes(log);

    assert_true(file_length(f->fd, TEST_SEGMENT) > full);
    call_count = 0;
    commit_signs(log, 1);
    ino_t next = inode_of(f, "log/seg/000000065536.jsonl");

    assert_int_equal(call_count, 8);
    assert_call(0, CALL_FTRUNCATE, first);
    assert_int_equal(calls[0].bytes, full);
    assert_call(1, CALL_FSYNC, first);
    assert_call(2, CALL_FSYNC, next);
    assert_call(3, CALL_FSYNC, inode_of(f, "log/seg"));
    assert_call(4, CALL_PWRITE, next); /* zeros, lines */
    assert_call(5, CALL_FDATASYNC, next);
    assert_call(6, CALL_PWRITE, next);
    assert_call(7, CALL_FDATASYNC, next);
    assert_int_equal(file_length(f->fd, TEST_SEGMENT), full);
    oxv_log_free(log);
    must_verify(f);
}

static void
a_commit_whose_sync_fails_fails_and_syncs_no_second_time(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;

    commit_signs(log, 1);
    (void)append(log, &entry);
    call_count = 0;
    fail_fdatasync = true;
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    fail_fdatasync = false;
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_int_equal(call_count, 2);
    assert_call(0, CALL_PWRITE, inode_of(f, TEST_SEGMENT));
    assert_call(1, CALL_FDATASYNC, inode_of(f, TEST_SEGMENT));
    oxv_log_free(log); /* and nothing is cut */
    assert_int_equal(call_count, 2);
}

static void
must_be_as_before(const struct log_fixture *f, const struct file_bytes *lines)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct file_bytes now = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_int_equal(now.len, lines->len);
    assert_memory_equal(now.data, lines->data, now.len);
    commit_signs(log, 1);
    oxv_log_free(log);
    must_verify(f);
    file_bytes_done(&now);
}

/* A full disk, or one that fails: no line is written, and none is lost. */
static void
zeros_that_cannot_be_written_break_the_log_and_lose_nothing(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;

    for (unsigned round = 0; round < 4; round++) {
        struct oxv_log_opened opened;
        struct oxv_log *log = open_log(f, &opened);
        struct file_bytes before = read_whole(f->fd, TEST_SEGMENT);
        uint64_t size = oxv_log_size(log);

        (void)append(log, &entry);
        call_count = 0;
        fail_fdatasync = round == 0;
        fail_pwrite = round != 0;
        pwrite_takes = round == 3 ? 5000 : 0;
        assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
        fail_fdatasync = fail_pwrite = false;
        assert_int_equal(err.sys_errno, round == 0 ? EIO : round < 3 ? ENOSPC : 0);
        assert_true(oxv_log_is_broken(log));
        assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
        assert_int_equal(call_count, round == 0 ? 2 : 1);
        assert_int_equal(oxv_log_size(log), size);
        oxv_log_free(log);
        assert_int_equal(call_count, round == 0 ? 2 : 1);
        must_verify(f); /* zeros may be there: no finding */
        must_be_as_before(f, &before);
        file_bytes_done(&before);
    }
}

/* After a failed sync the disk may lack what the kernel shows: the start writes it once more. */
static void
the_start_writes_and_syncs_the_last_group_again(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    ino_t segment = inode_of(f, TEST_SEGMENT);
    size_t ends[8];

    commit_signs(log, 2);
    commit_signs(log, 3);
    oxv_log_free(log);
    struct file_bytes whole = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(commit_ends(&whole, ends, 8), 3);
    call_count = 0;
    oxv_log_free(open_log(f, &opened));
    assert_call(0, CALL_PWRITE, segment);
    assert_int_equal(calls[0].offset, ends[1]);
    assert_int_equal(calls[0].bytes, ends[2] - ends[1]);
    assert_call(1, CALL_FSYNC, segment);
    struct file_bytes again = read_whole(f->fd, TEST_SEGMENT);

    assert_int_equal(again.len, whole.len);
    assert_memory_equal(again.data, whole.data, whole.len);
    file_bytes_done(&whole);
    file_bytes_done(&again);
}

static void
an_event_while_sealed_is_synced_before_it_counts_as_kept(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = NULL;
    struct oxv_entry entry = { .type = OXV_ENTRY_PEER, .outcome = OXV_OUTCOME_DENIED };
    struct oxv_err err;

    assert_int_equal(oxv_log_pending_open(f->fd, &pending, &err), OXV_OK);
    ino_t file = inode_of(f, PENDING);

    call_count = 0;
    assert_int_equal(oxv_log_pending_add(pending, &entry, &err), OXV_OK);
    assert_int_equal(call_count, 4); /* the header, the record */
    for (size_t i = 0; i < 4; i += 2) {
        assert_call(i, CALL_PWRITE, file);
        assert_call(i + 1, CALL_FDATASYNC, file);
    }
    entry.type = OXV_ENTRY_LOG_READ; /* only counted */
    call_count = 0;
    assert_int_equal(oxv_log_pending_add(pending, &entry, &err), OXV_OK);
    assert_int_equal(call_count, 2);
    assert_call(1, CALL_FDATASYNC, file);
    fail_fdatasync = true;
    assert_int_equal(oxv_log_pending_add(pending, &entry, &err), OXV_E_IO);
    fail_fdatasync = false;
    call_count = 0;
    assert_int_equal(oxv_log_pending_clear(f->fd, &err), OXV_OK);
    assert_int_equal(call_count, 2);
    assert_call(0, CALL_FTRUNCATE, file);
    assert_call(1, CALL_FDATASYNC, file);
    oxv_log_pending_free(pending);
}

static int
make_log_anew(void **state)
{
    call_count = 0;
    fail_fdatasync = false;
    return make_log(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_log_anew, remove_log)
        TEST(a_commit_returns_after_one_write_and_one_sync_in_this_order),
        TEST(zeros_are_synced_before_the_lines_that_overwrite_them),
        TEST(a_full_segment_is_cut_and_synced_before_the_next_one_is_there),
        TEST(zeros_that_cannot_be_written_break_the_log_and_lose_nothing),
        TEST(a_commit_whose_sync_fails_fails_and_syncs_no_second_time),
        TEST(the_start_writes_and_syncs_the_last_group_again),
        TEST(an_event_while_sealed_is_synced_before_it_counts_as_kept),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log sync", tests, NULL, NULL);
}
