/* The room that the log keeps for itself: really there, and given away part by part. */
#include "vault/log/ballast.h"

#include "test_log_support.h"

static uint64_t
allocated_bytes(const struct log_fixture *f)
{
    struct stat st;

    assert_int_equal(fstatat(f->fd, OXV_BALLAST_NAME, &st, AT_SYMLINK_NOFOLLOW), 0);
    return (uint64_t)st.st_blocks * 512u;
}

static void
it_is_allocated_and_made_whole_again(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_err err = { 0 };
    bool is_full = true;

    assert_int_equal(oxv_ballast_fill(f->fd, &is_full, &err), OXV_OK);
    assert_false(is_full);
    assert_int_equal(file_length(f->fd, OXV_BALLAST_NAME), OXV_BALLAST_BYTES);
    assert_true(allocated_bytes(f) >= OXV_BALLAST_BYTES);
    for (uint64_t left = OXV_BALLAST_BYTES; left > 0; left -= OXV_BALLAST_PART_BYTES) {
        assert_int_equal(file_length(f->fd, OXV_BALLAST_NAME), left);
        assert_int_equal(oxv_ballast_give(f->fd, &err), OXV_OK);
    }
    assert_int_equal(oxv_ballast_give(f->fd, &err), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_ballast_fill(f->fd, &is_full, &err), OXV_OK);
    assert_false(is_full);
    assert_true(allocated_bytes(f) >= OXV_BALLAST_BYTES);
}

static void
a_hole_is_no_room(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_err err = { 0 };
    bool is_full = true;

    write_whole(f->fd, OXV_BALLAST_NAME, oxv_view("", 0));
    assert_int_equal(fchmodat(f->fd, OXV_BALLAST_NAME, 0600, 0), 0);
    int fd = openat(f->fd, OXV_BALLAST_NAME, O_RDWR | O_CLOEXEC);

    assert_int_equal(ftruncate(fd, (off_t)OXV_BALLAST_BYTES), 0);
    (void)close(fd);
    assert_int_equal(oxv_ballast_give(f->fd, &err), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_ballast_fill(f->fd, &is_full, &err), OXV_OK);
    assert_false(is_full);
    assert_true(allocated_bytes(f) >= OXV_BALLAST_BYTES);
}

static void
what_is_no_file_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_err err = { 0 };
    bool is_full;

    assert_int_equal(symlinkat("elsewhere", f->fd, OXV_BALLAST_NAME), 0);
    assert_int_equal(oxv_ballast_fill(f->fd, &is_full, &err), OXV_E_IO);
    assert_false(is_there(f->fd, "elsewhere"));
}

static void
the_file_system_says_how_full_it_is(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_space space;
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_space_read(f->fd, &space, &err), OXV_OK);
    assert_true(space.total_bytes >= space.free_bytes && space.used_percent <= 100);
    assert_int_equal(oxv_space_read(-1, &space, &err), OXV_E_IO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_allocated_and_made_whole_again, make_log, remove_log),
        cmocka_unit_test_setup_teardown(a_hole_is_no_room, make_log, remove_log),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, make_log, remove_log),
        cmocka_unit_test_setup_teardown(the_file_system_says_how_full_it_is, make_log, remove_log),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log ballast", tests, NULL, NULL);
}
