/* Files and descriptors, errors, and the hook. */
#include "test_base_support.h"

#include <limits.h>
#include <time.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"

struct directory {
    char path[64];
    int fd;
};

static int
setup(void **state)
{
    struct directory *d = calloc(1, sizeof *d);
    struct oxv_err err;

    assert_non_null(d);
    assert_int_equal(oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, &err), OXV_OK);
    assert_int_equal(oxv_format(d->path, sizeof d->path, "%s", "/tmp/oxv-test-io-XXXXXX"), OXV_OK);
    assert_non_null(mkdtemp(d->path));
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = d;
    return 0;
}

static int
teardown(void **state)
{
    struct directory *d = *state;
    static const char *const names[] = { "file", "file.tmp", "link", "fifo" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlinkat(d->fd, names[i], 0);
    }
    (void)rmdir(d->path);
    oxv_closep(&d->fd);
    free(d);
    return 0;
}

static void
write_file(const struct directory *d, mode_t mode, const char *text)
{
    struct oxv_err err = { 0 };

    if (oxv_replace_file_at(d->fd, "file", mode, oxv_view_text(text), &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
}

static void
a_file_is_replaced_whole_with_its_mode(void **state)
{
    struct directory *d = *state;
    struct stat st;
    char buffer[16];
    size_t len = 0;
    mode_t old = umask(077);

    write_file(d, 0644, "first");
    (void)umask(old);
    write_file(d, 0644, "second");
    assert_int_equal(fstatat(d->fd, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(oxv_read_file_at(d->fd, "file", buffer, sizeof buffer, &len, NULL), OXV_OK);
    assert_true(oxv_view_is(oxv_view(buffer, len), "second"));
    assert_int_equal(faccessat(d->fd, "file.tmp", F_OK, 0), -1);
}

static void
what_lies_where_the_new_file_is_written_goes(void **state)
{
    struct directory *d = *state;
    struct stat st;

    (void)alarm(20); /* a FIFO would hold the writer for ever */
    assert_int_equal(mkfifoat(d->fd, "file.tmp", 0666), 0);
    write_file(d, 0600, "first");
    assert_int_equal(symlinkat("link", d->fd, "file.tmp"), 0);
    write_file(d, 0600, "second");
    (void)alarm(0);
    assert_int_equal(fstatat(d->fd, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_size == 6);
    assert_int_equal(faccessat(d->fd, "link", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void
the_directory_of_a_name_is_synced_or_named(void **state)
{
    struct oxv_err err = { 0 };
    static char long_path[PATH_MAX + 1];

    (void)state;
    assert_int_equal(oxv_sync_parent("no-such-file-here", &err), OXV_OK);
    assert_int_equal(oxv_sync_parent("/tmp/x", NULL), OXV_OK);
    assert_int_equal(oxv_sync_parent("/no-such-directory/x", &err), OXV_E_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    memset(long_path, 'x', PATH_MAX);
    assert_int_equal(oxv_sync_parent(long_path, &err), OXV_E_LIMIT);
}

static void
reading_tells_what_is_wrong(void **state)
{
    struct directory *d = *state;
    struct oxv_err err = { 0 };
    char buffer[8] = "old";
    size_t len = 77;

    assert_int_equal(oxv_read_file_at(d->fd, "file", buffer, 8, &len, &err), OXV_E_NOT_FOUND);
    write_file(d, 0600, "eight...");
    assert_int_equal(oxv_read_file_at(d->fd, "file", buffer, 7, &len, &err), OXV_E_LIMIT);
    assert_string_equal(err.text, "file is longer than 7 bytes");
    assert_int_equal(symlinkat("file", d->fd, "link"), 0);
    assert_int_equal(oxv_read_file_at(d->fd, "link", buffer, 8, &len, &err), OXV_E_IO);
    assert_int_equal(err.sys_errno, ELOOP);
    assert_int_equal(oxv_read_file_at(d->fd, ".", buffer, 8, &len, &err), OXV_E_FORMAT);
    assert_int_equal(mkfifoat(d->fd, "fifo", 0600), 0);
    assert_int_equal(oxv_read_file_at(d->fd, "fifo", buffer, 8, &len, &err), OXV_E_FORMAT);
    assert_int_equal(len, 77);
    assert_int_equal(oxv_read_file_at(d->fd, "file", buffer, 8, &len, &err), OXV_OK);
    assert_int_equal(len, 8);
}

static void
secret_files_belong_to_the_reader_alone(void **state)
{
    struct directory *d = *state;
    struct oxv_err err = { 0 };
    char path[80];
    int fd = -1;

    assert_int_equal(oxv_format(path, sizeof path, "%s/file", d->path), OXV_OK);
    assert_int_equal(oxv_open_secret_file(path, &fd, &err), OXV_E_IO);
    for (mode_t bit = 1; bit <= 0100; bit <<= 1) {
        bool forbidden = bit < 0100;

        write_file(d, (mode_t)(0600 | bit), "secret");
        enum oxv_status st = oxv_open_secret_file(path, &fd, &err);

        assert_int_equal(st, forbidden ? OXV_E_DENIED : OXV_OK);
        if (forbidden) {
            assert_non_null(strstr(err.text, "chmod 600"));
            assert_int_equal(fd, -1);
        }
        oxv_closep(&fd);
    }
    write_file(d, 0640, "secret");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", d->path, 1), 0); /* an ACL mask there */
    assert_int_equal(oxv_open_secret_file(path, &fd, &err), OXV_OK);
    oxv_closep(&fd);
    write_file(d, 0604, "secret");
    assert_int_equal(oxv_open_secret_file(path, &fd, &err), OXV_E_DENIED);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/tmp/oxv-test-i", 1), 0); /* no prefix */
    write_file(d, 0640, "secret");
    assert_int_equal(oxv_open_secret_file(path, &fd, &err), OXV_E_DENIED);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(symlinkat("file", d->fd, "link"), 0);
    assert_int_equal(oxv_format(path, sizeof path, "%s/link", d->path), OXV_OK);
    assert_int_equal(oxv_open_secret_file(path, &fd, &err), OXV_E_DENIED);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(oxv_open_secret_file(d->path, &fd, &err), OXV_E_DENIED);
    if (geteuid() == 0) {
        write_file(d, 0600, "secret");
        assert_int_equal(fchownat(d->fd, "file", 65534, 65534, 0), 0);
        assert_int_equal(oxv_format(path, sizeof path, "%s/file", d->path), OXV_OK);
        assert_int_equal(oxv_open_secret_file(path, &fd, &err), OXV_E_DENIED);
        assert_non_null(strstr(err.text, "belongs to uid 65534"));
    }
    assert_int_equal(fd, -1);
}

/* What reading `text` as a secret of at most 8 bytes gives. */
static enum oxv_status
read_secret(const char *text, bool trim, struct oxv_secret **out)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(oxv_write_all(ends[1], oxv_view_text(text)), OXV_OK);
    (void)close(ends[1]);
    enum oxv_status st = oxv_read_secret_fd(ends[0], 8, trim, out, NULL);

    (void)close(ends[0]);
    return st;
}

static void
secrets_are_read_with_one_newline_less(void **state)
{
    static const struct {
        const char *text;
        bool trim;
        const char *wanted; /* NULL: refused */
    } cases[] = {
        { "secret", true, "secret" },
        { "secret\n", true, "secret" },
        { "secret\r\n", true, "secret" },
        { "secret\n\n", true, "secret\n" },
        { "secret\r", true, "secret\r" },
        { "secret\n", false, "secret\n" },
        { "12345678", true, "12345678" },
        { "12345678\r\n", true, "12345678" },
        { "123456789", true, NULL },
        { "12345678\n", false, NULL },
        { "123456789012345", true, NULL },
        { "", true, NULL },
        { "\n", true, NULL },
        { "\r\n", true, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *s = NULL;
        enum oxv_status st = read_secret(cases[i].text, cases[i].trim, &s);

        assert_int_equal(st, cases[i].wanted == NULL ? OXV_E_LIMIT : OXV_OK);
        assert_int_equal(s != NULL, st == OXV_OK);
        if (st == OXV_OK) {
            assert_true(oxv_view_is(oxv_secret_view(s), cases[i].wanted));
        }
    }
}

static void
closing_keeps_errno_and_the_descriptor_is_gone(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int moved = oxv_fd_take(&fd);

    (void)state;
    assert_int_equal(fd, -1);
    errno = EAGAIN;
    oxv_closep(&moved);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(moved, -1);
    oxv_closep(&moved);
    assert_int_equal(oxv_write_all(-1, oxv_view_text("x")), OXV_E_IO);
    assert_int_equal(errno, EBADF);
    assert_int_equal(oxv_write_all(-1, oxv_view(NULL, 0)), OXV_OK);
}

static void
clocks_run_in_microseconds(void **state)
{
    uint64_t wall = oxv_clock_wall_us();
    uint64_t boot = oxv_clock_boot_us();

    (void)state;
    assert_true(wall / 1000000 + 2 >= (uint64_t)time(NULL));
    assert_true(wall / 1000000 <= (uint64_t)time(NULL) + 2);
    assert_int_equal(usleep(2000), 0);
    assert_true(oxv_clock_boot_us() >= boot + 2000);
}

static void
errors_are_one_printable_line_and_cut(void **state)
{
    struct oxv_err err = { 0 };
    char text[300];

    (void)state;
    assert_int_equal(oxv_fail(&err, OXV_E_DENIED, "a\nb%c%s", 127, "\t"), OXV_E_DENIED);
    assert_string_equal(err.text, "a?b??");
    assert_int_equal(err.status, OXV_E_DENIED);
    memset(text, 'x', sizeof text);
    text[299] = '\0';
    assert_int_equal(oxv_fail(&err, OXV_E_LIMIT, "%s", text), OXV_E_LIMIT);
    assert_int_equal(strlen(err.text), OXV_ERR_TEXT_MAX_BYTES - 1);
    errno = ENOENT;
    assert_int_equal(oxv_fail_errno(&err, "cannot open %s", "x"), OXV_E_IO);
    assert_string_equal(err.text, "cannot open x: No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
    oxv_err_prefix(&err, "vault %d", 1);
    assert_string_equal(err.text, "vault 1: cannot open x: No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(oxv_fail(NULL, OXV_E_BUSY, "x"), OXV_E_BUSY);
    oxv_err_prefix(NULL, "x");
}

static void
errors_keep_whole_characters_and_no_control(void **state)
{
    struct oxv_err err = { 0 };
    char text[300];

    (void)state;
    (void)oxv_fail(&err, OXV_E_DENIED, "%s", "caf\xc3\xa9 \xf0\x9f\x94\x91 \xe2\x82");
    assert_string_equal(err.text, "caf\xc3\xa9 \xf0\x9f\x94\x91 ??");
    (void)oxv_fail(&err, OXV_E_DENIED, "a\xc2\x9b%s\xff\xc2\xa0z", "\x80");
    assert_string_equal(err.text, "a????\xc2\xa0z");
    for (size_t begin = 251; begin <= 256; begin++) { /* a key of four bytes at the cut */
        memset(text, 'x', sizeof text);
        memcpy(text + begin, "\xf0\x9f\x94\x91", 5);
        (void)oxv_fail(&err, OXV_E_LIMIT, "%s", text);
        assert_int_equal(strlen(err.text), begin <= 251 || begin >= 255 ? 255 : begin);
        assert_true(oxv_is_utf8(oxv_view_text(err.text)));
        assert_null(strchr(err.text, '?'));
        text[begin - 2] = '\0'; /* the same where a prefix makes it too long */
        (void)oxv_fail(&err, OXV_E_LIMIT, "%s\xf0\x9f\x94\x91", text + 4);
        oxv_err_prefix(&err, "%s", "ab");
        assert_true(oxv_is_utf8(oxv_view_text(err.text)));
        assert_null(strchr(err.text, '?'));
    }
}

static void
every_status_has_a_name(void **state)
{
    (void)state;
    for (enum oxv_status st = OXV_OK; st <= OXV_E_INTERNAL; st++) {
        assert_string_not_equal(oxv_status_name(st), "unknown");
        for (enum oxv_status other = OXV_OK; other < st; other++) {
            assert_string_not_equal(oxv_status_name(st), oxv_status_name(other));
        }
    }
}

#ifdef OXV_TEST_HOOKS
static void
a_hook_counts_its_own_arrivals(void **state)
{
    (void)state;
    pid_t child = fork();

    if (child == 0) {
        (void)setenv("OXV_HOOK", "here:fail:2", 1);
        bool right = oxv_hook("her") == 0 && oxv_hook("here") == 0 && oxv_hook("here") == -1 &&
                     errno == EIO && oxv_hook("here") == 0;

        (void)setenv("OXV_HOOK", "there:4", 1); /* the count goes on */
        _exit(right && oxv_hook("there") == 0 ? 0 : 1);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
#endif

/* The descriptor can be asked again: it was not read itself. */
static void
an_empty_directory_has_nothing_but_its_dots(void **state)
{
    struct directory *d = *state;

    assert_true(oxv_dir_is_empty(d->fd));
    OXV_AUTO(oxv_closep) int fd = openat(d->fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_false(oxv_dir_is_empty(d->fd));
    assert_false(oxv_dir_is_empty(fd)); /* no directory */
    assert_int_equal(unlinkat(d->fd, "file", 0), 0);
    assert_true(oxv_dir_is_empty(d->fd));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_file_is_replaced_whole_with_its_mode),
        T(what_lies_where_the_new_file_is_written_goes),
        T(the_directory_of_a_name_is_synced_or_named),
        T(an_empty_directory_has_nothing_but_its_dots),
        T(reading_tells_what_is_wrong),
        T(secret_files_belong_to_the_reader_alone),
        T(secrets_are_read_with_one_newline_less),
        T(closing_keeps_errno_and_the_descriptor_is_gone),
        T(clocks_run_in_microseconds),
        T(errors_are_one_printable_line_and_cut),
        T(errors_keep_whole_characters_and_no_control),
        T(every_status_has_a_name),
#ifdef OXV_TEST_HOOKS
        T(a_hook_counts_its_own_arrivals),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
