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
static bool fail_fdatasync;

static void
note(enum call_kind kind, int fd, off_t offset, size_t bytes)
{
    struct stat st;

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
a_commit_returns_after_one_write_and_one_sync_in_this_order(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;
    struct stat before;
    ino_t segment = inode_of(f, TEST_SEGMENT);

    assert_int_equal(fstatat(f->fd, TEST_SEGMENT, &before, 0), 0);
    for (size_t round = 0; round < 3; round++) {
        struct stat after;

        (void)append(log, &entry);
        (void)append(log, &entry);
        call_count = 0;
        assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
        assert_int_equal(call_count, 2);
        assert_call(0, CALL_WRITE, segment);
        assert_call(1, CALL_FDATASYNC, segment);
        assert_int_equal(fstatat(f->fd, TEST_SEGMENT, &after, 0), 0);
        assert_int_equal(after.st_size - before.st_size, calls[0].bytes);
        before = after;
    }
    oxv_log_free(log);
}

static void
a_commit_whose_sync_fails_fails_and_syncs_no_second_time(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;

    (void)append(log, &entry);
    call_count = 0;
    fail_fdatasync = true;
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    fail_fdatasync = false;
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_int_equal(call_count, 2);
    assert_call(1, CALL_FDATASYNC, inode_of(f, TEST_SEGMENT));
    oxv_log_free(log);
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
        TEST(a_commit_whose_sync_fails_fails_and_syncs_no_second_time),
        TEST(the_start_writes_and_syncs_the_last_group_again),
        TEST(an_event_while_sealed_is_synced_before_it_counts_as_kept),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log sync", tests, NULL, NULL);
}
