/* The writer's side: create, append, commit, segments, refusals, and that it breaks for good. */
#include "test_log_support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "vault/log/epoch_key.h"
#include "vault/log/note.h"
#include "vault/log/tree.h"

static void
a_new_log_opens_again_and_goes_on(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;
    uint8_t root[32];
    uint8_t again[32];

    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_size(log), 1);
    assert_string_equal(oxv_log_origin(log), TEST_ORIGIN);
    assert_int_equal(append(log, &entry), 1);
    assert_int_equal(append(log, &entry), 2);
    assert_int_equal(oxv_log_waiting(log), 2);
    assert_int_equal(oxv_log_size(log), 1);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK); /* an empty group */
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_int_equal(oxv_log_size(log), 3);
    assert_int_equal(oxv_log_commits(log), 1);
    oxv_log_root(log, root);
    oxv_log_free(log);
    log = open_log(f, &opened);
    oxv_log_root(log, again);
    assert_int_equal(oxv_log_size(log), 3);
    assert_memory_equal(root, again, sizeof root);
    assert_int_equal(append(log, &entry), 3);
    oxv_log_free(log); /* drops what waits */
    must_verify(f);
}

static void
the_files_of_a_new_log_are_as_documented(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes origin = read_whole(f->fd, "log/origin");
    struct file_bytes vkey = read_whole(f->fd, "log/genesis.vkey");
    struct file_bytes key = read_whole(f->fd, "log/epoch.key");
    struct file_bytes segment = read_whole(f->fd, TEST_SEGMENT);
    struct stat st;

    assert_true(oxv_view_is(oxv_view(origin.data, origin.len), TEST_ORIGIN "\n"));
    assert_int_equal(vkey.len, strlen(f->vkey) + 1);
    assert_memory_equal(vkey.data, f->vkey, strlen(f->vkey));
    assert_int_equal(key.len, 161);
    assert_memory_equal(key.data, "OXVEPKEY\x02\0\0\0\0\0\0\0\0", 17);
    assert_int_equal(fstatat(f->fd, "log/epoch.key", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fstatat(f->fd, "log", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    segment.data[segment.len] = 0;
    assert_non_null(strstr((const char *)segment.data, "\"seq\":0,"));
    assert_non_null(strstr((const char *)segment.data, "\"type\":\"log.genesis\""));
    assert_non_null(strstr((const char *)segment.data, "}\n{\"commit\":{\"epoch\":0,\"root\":\""));
    assert_memory_equal(segment.data + segment.len - 13, "\",\"size\":1}}\n", 13);
    file_bytes_done(&origin);
    file_bytes_done(&vkey);
    file_bytes_done(&key);
    file_bytes_done(&segment);
}

static void
a_second_log_or_a_bad_first_entry_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_entry first = genesis_entry();
    char vkey[OXV_LOG_VKEY_MAX_BYTES] = "untouched";
    struct oxv_err err;

    assert_int_equal(oxv_log_create(f->fd, &first, f->wrap_key, vkey, &err), OXV_E_CONFLICT);
    first.type = OXV_ENTRY_SIGN;
    assert_int_equal(oxv_log_create(f->fd, &first, f->wrap_key, vkey, &err), OXV_E_USAGE);
    first = genesis_entry();
    first.origin = oxv_view_text("with space");
    assert_int_equal(oxv_log_create(f->fd, &first, f->wrap_key, vkey, &err), OXV_E_USAGE);
    assert_string_equal(vkey, "untouched");
}

static void
a_second_writer_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_err err;
    struct findings found;

    assert_int_equal(try_open(f, &err), OXV_E_CONFLICT);
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_true(found.verdict.writer_active);
    oxv_log_free(log);
    assert_int_equal(try_open(f, &err), OXV_OK);
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_false(found.verdict.writer_active);
}

static void
another_key_origin_or_key_file_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct log_fixture other = *f;
    struct oxv_err err;
    struct file_bytes key = read_whole(f->fd, "log/epoch.key");

    other.wrap_key = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);
    assert_int_equal(try_open(&other, &err), OXV_E_FORGED);
    assert_non_null(strstr(err.text, "log/epoch.key was changed, or is that of another vault"));
    oxv_secret_free(other.wrap_key);

    other = *f;
    (void)snprintf(other.vkey, sizeof other.vkey, "%s",
                   "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    assert_int_equal(try_open(&other, &err), OXV_E_FORGED);

    write_whole(f->fd, "log/genesis.vkey", oxv_view_text(other.vkey));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    write_whole(f->fd, "log/genesis.vkey", oxv_view_text(f->vkey));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED); /* without its newline */

    char line[OXV_LOG_VKEY_MAX_BYTES + 1];

    (void)snprintf(line, sizeof line, "%s\n", f->vkey);
    write_whole(f->fd, "log/genesis.vkey", oxv_view_text(line));
    assert_int_equal(try_open(f, &err), OXV_OK);
    key.data[100] ^= 1; /* in the sealed part: damage is no wrong passphrase */
    write_whole(f->fd, "log/epoch.key", oxv_view(key.data, key.len));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    assert_non_null(strstr(err.text, "log/epoch.key was changed"));
    key.data[100] ^= 1;
    write_whole(f->fd, "log/epoch.key", oxv_view(key.data, key.len - 1));
    assert_int_equal(try_open(f, &err), OXV_E_FORMAT);
    assert_int_equal(unlinkat(f->fd, "log/epoch.key", 0), 0);
    assert_int_equal(try_open(f, &err), OXV_E_NOT_FOUND);
    file_bytes_done(&key);
}

/* The key file of another log, made under the same wrap key. */
static void
the_key_file_of_another_log_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_entry first = genesis_entry();
    char path[] = "/tmp/oxv-log-XXXXXX";
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_err err;

    assert_non_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(oxv_log_create(fd, &first, f->wrap_key, vkey, &err), OXV_OK);
    struct file_bytes key = read_whole(fd, "log/epoch.key");

    write_whole(f->fd, "log/epoch.key", oxv_view(key.data, key.len));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED);
    file_bytes_done(&key);
    (void)close(fd);
    remove_tree(path);
}

/* Puts the log's own key back with another claim about its epoch, under the right wrap key. */
static void
must_refuse_key(const struct log_fixture *f, const struct oxv_epoch_key *key, const char *text)
{
    uint8_t buffer[OXV_EPOCH_KEY_FILE_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_err err = { 0 };
    struct oxv_secret *wrap_key = oxv_ratchet(f->wrap_key, key->epoch + 1);

    assert_int_equal(oxv_epoch_key_wrap(key, wrap_key, &w), OXV_OK);
    oxv_secret_free(wrap_key);
    write_whole(f->fd, "log/epoch.key", oxv_view(buffer, w.len));
    enum oxv_status st = try_open(f, &err);

    if (st != (text == NULL ? OXV_OK : OXV_E_FORGED) ||
        (text != NULL && strstr(err.text, text) == NULL)) {
        fail_msg("%s: %s", oxv_status_name(st), err.text);
    }
}

static void
a_log_that_is_not_the_one_its_key_was_made_for_is_refused(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct file_bytes file = read_whole(f->fd, "log/epoch.key");
    struct oxv_secret *wrap_key = oxv_ratchet(f->wrap_key, 1);
    struct oxv_epoch_key key;

    commit_signs(log, 3); /* 4 entries */
    oxv_log_free(log);
    assert_int_equal(oxv_epoch_key_unwrap(oxv_view(file.data, file.len), wrap_key, &key, NULL),
                     OXV_OK);
    oxv_secret_free(wrap_key);
    must_refuse_key(f, &key, NULL);
    key.begin_size = 4;
    must_refuse_key(f, &key, "log/epoch.key was made for another log");
    key.begin_size = 0;
    key.begin_root[31] ^= 1;
    must_refuse_key(f, &key, "log/epoch.key was made for another log");
    key.begin_root[31] ^= 1;
    key.epoch = 1;
    must_refuse_key(f, &key,
                    "the log ends in its epoch 0, but its key is that of epoch 1: it was cut");
    key.epoch = 0;
    must_refuse_key(f, &key, NULL);
    oxv_epoch_key_done(&key);
    file_bytes_done(&file);
}

static void
an_entry_that_cannot_be_written_leaves_the_group_as_it_was(void **state)
{
    struct log_fixture *f = *state;
    static char text[OXV_LOG_ENTRY_MAX_BYTES];
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    uint64_t index = 99;

    memset(text, 'x', sizeof text);
    (void)append(log, &entry);
    entry.reason = oxv_view(text, sizeof text);
    assert_int_equal(oxv_log_append(log, &entry, &index), OXV_E_LIMIT);
    entry.reason = oxv_view_text("\xff");
    assert_int_equal(oxv_log_append(log, &entry, &index), OXV_E_LIMIT);
    assert_int_equal(index, 99);
    assert_int_equal(oxv_log_waiting(log), 1);
    commit_signs(log, 1);
    assert_int_equal(oxv_log_size(log), 3);
    oxv_log_free(log);
    must_verify(f);
}

static void
the_writer_adds_nothing_that_its_own_reader_refuses(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entries[4] = { genesis_entry(), sign_entry(), sign_entry(), sign_entry() };
    uint64_t index = 99;

    entries[1].type = OXV_ENTRY_LOG_EPOCH;
    entries[2].next_key = oxv_view_text(f->vkey);
    entries[3].unsigned_since =
        oxv_view_text("2026-01-02T03:04:05.678901Z"); /* of an allowed one */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(oxv_log_append(log, &entries[i], &index), OXV_E_USAGE);
    }
    assert_int_equal(index, 99);
    assert_int_equal(oxv_log_waiting(log), 0);
    commit_signs(log, 1);
    assert_int_equal(oxv_log_size(log), 2);
    oxv_log_free(log);
    must_verify(f);
    oxv_log_free(open_log(f, &opened));
}

static void
a_group_is_split_where_a_segment_ends(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);
    struct oxv_err err;
    int fd = -1;
    uint64_t first;
    uint64_t bytes;
    struct stat st;
    struct findings found;

    commit_signs(log, 2 * OXV_LOG_SEGMENT_ENTRIES + 9); /* three segments at once */
    assert_int_equal(oxv_log_size(log), 2 * OXV_LOG_SEGMENT_ENTRIES + 10);
    assert_int_equal(oxv_log_commits(log), 3);
    assert_int_equal(oxv_log_open_segment(log, 65535, &fd, &first, &bytes, &err), OXV_OK);
    assert_int_equal(first, 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(bytes, st.st_size);
    (void)close(fd);
    assert_int_equal(oxv_log_open_segment(log, 131072, &fd, &first, &bytes, &err), OXV_OK);
    assert_int_equal(first, 131072);
    assert_int_equal(bytes, oxv_log_segment_bytes(log));
    (void)close(fd);
    assert_int_equal(oxv_log_open_segment(log, 131082, &fd, &first, &bytes, &err), OXV_E_NOT_FOUND);
    oxv_log_free(log);
    log = open_log_of_one_epoch(f, &opened);
    commit_signs(log, 1);
    oxv_log_free(log);
    assert_int_equal(verify(f, &found), OXV_OK);
    assert_int_equal(found.verdict.entries, 2 * OXV_LOG_SEGMENT_ENTRIES + 11);
    assert_int_equal(found.verdict.commits, 5);
}

static void
a_log_that_ends_with_its_segment_goes_on_in_a_new_one(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);

    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES - 1);
    assert_false(is_there(f->fd, "log/seg/000000065536.jsonl"));
    oxv_log_free(log);
    must_verify(f);
    log = open_log_of_one_epoch(f, &opened);
    commit_signs(log, 1);
    assert_true(is_there(f->fd, "log/seg/000000065536.jsonl"));
    oxv_log_free(log);
    must_verify(f);

    /* A kill between the new file and its first write leaves it empty. */
    write_whole(f->fd, "log/seg/000000065536.jsonl", oxv_view("", 0));
    must_verify(f);
    log = open_log_of_one_epoch(f, &opened);
    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_size(log), OXV_LOG_SEGMENT_ENTRIES);
    commit_signs(log, 1);
    oxv_log_free(log);
    must_verify(f);
}

static void
a_deleted_segment_stops_the_log(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err = { 0 };
    uint64_t index;

    (void)append(log, &entry);
    assert_int_equal(unlinkat(f->fd, TEST_SEGMENT, 0), 0);
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_non_null(strstr(err.text, "deleted"));
    assert_true(oxv_log_is_broken(log));
    assert_int_equal(oxv_log_append(log, &entry, &index), OXV_E_IO);
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_int_equal(oxv_log_size(log), 1);
    oxv_log_free(log);
}

static void
a_replaced_or_changed_segment_stops_the_log(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;
    struct file_bytes segment = read_whole(f->fd, TEST_SEGMENT);

    (void)append(log, &entry);
    assert_int_equal(renameat(f->fd, TEST_SEGMENT, f->fd, "log/moved"), 0);
    write_whole(f->fd, TEST_SEGMENT, oxv_view(segment.data, segment.len));
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_true(oxv_log_is_broken(log));
    oxv_log_free(log);

    log = open_log(f, &opened);
    (void)append(log, &entry);
    write_whole(f->fd, TEST_SEGMENT, oxv_view(segment.data, segment.len - 1));
    assert_int_equal(oxv_log_commit(log, &err), OXV_E_IO);
    assert_true(oxv_log_is_broken(log));
    oxv_log_free(log);
    file_bytes_done(&segment);
}

/* In a child, since the limit cannot be taken back. */
static void
a_short_write_breaks_the_log_and_is_recovered(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        struct oxv_log *log = NULL;
        struct oxv_err err;
        struct oxv_entry entry = sign_entry();
        uint64_t index;

        if (oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, &err) != OXV_OK ||
            oxv_log_append(log, &entry, &index) != OXV_OK || /* this one writes zeros ahead */
            oxv_log_commit(log, &err) != OXV_OK || oxv_log_append(log, &entry, &index) != OXV_OK) {
            _exit(1);
        }
        struct rlimit limit = { .rlim_cur = oxv_log_segment_bytes(log) + 50,
                                .rlim_max = oxv_log_segment_bytes(log) + 50 };

        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
            _exit(2);
        }
        _exit(oxv_log_commit(log, &err) == OXV_E_IO && oxv_log_is_broken(log) ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);

    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(opened.torn_bytes, 50);
    assert_int_equal(oxv_log_size(log), 2);
    commit_signs(log, 1);
    oxv_log_free(log);
    must_verify(f);
}

static struct oxv_entry
change(enum oxv_entry_type type, uint64_t cfg, const char *digest)
{
    return (struct oxv_entry){ .type = type, .cfg = cfg, .cfg_digest = oxv_view_text(digest) };
}

static void
opening_tells_the_newest_change_and_whether_it_is_done(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_err err;
    const struct oxv_entry steps[] = {
        change(OXV_ENTRY_CONNECTION_ADD, 1, "aa"), change(OXV_ENTRY_CHANGE_DONE, 1, ""),
        change(OXV_ENTRY_GRANT_ADD, 2, "bb"),      change(OXV_ENTRY_GRANT_ADD, 2, "bb"),
        change(OXV_ENTRY_CHANGE_UNDONE, 2, ""),    change(OXV_ENTRY_CALLER_ADD, 2, "cc"),
        change(OXV_ENTRY_CHANGE_DONE, 2, ""),
    };
    static const struct {
        uint64_t last;
        uint64_t done;
        const char *digest;
    } told[] = {
        { 1, 0, "aa" }, { 1, 1, "aa" }, { 2, 1, "bb" }, { 2, 1, "bb" },
        { 1, 1, "aa" }, { 2, 1, "cc" }, { 2, 2, "cc" },
    };

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct oxv_log *log = open_log(f, &opened);

        (void)append(log, &steps[i]);
        assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
        oxv_log_free(log);
        oxv_log_free(open_log(f, &opened));
        assert_int_equal(opened.last_cfg, told[i].last);
        assert_int_equal(opened.last_done_cfg, told[i].done);
        assert_string_equal(opened.last_cfg_digest, told[i].digest);
        assert_int_equal(opened.before_cfg, i < 2 ? 0 : 1);
        assert_string_equal(opened.before_cfg_digest, i < 2 ? "" : "aa");
    }
}

static void
the_change_in_entry_0_counts_as_done(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_entry first = genesis_entry();
    struct oxv_log_opened opened;
    struct oxv_err err;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/log", f->path);
    remove_tree(path);
    first.cfg = 1;
    first.cfg_digest = oxv_view_text("aa");
    assert_int_equal(oxv_log_create(f->fd, &first, f->wrap_key, f->vkey, &err), OXV_OK);
    oxv_log_free(open_log(f, &opened));
    assert_int_equal(opened.last_cfg, 1);
    assert_int_equal(opened.last_done_cfg, 1);
    assert_string_equal(opened.last_cfg_digest, "aa");
}

static void
time_never_goes_back_even_where_an_event_happened_earlier(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err;

    entry.happened_us = 1000000; /* 1970 */
    (void)append(log, &entry);
    entry.happened_us = UINT64_C(253402300799999999); /* 9999: no event of the future */
    (void)append(log, &entry);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    oxv_log_free(log);
    must_verify(f);

    struct findings found;

    assert_int_equal(verify(f, &found), OXV_OK);
    assert_true(found.verdict.last_time_us <= oxv_clock_wall_us());
    assert_true(found.verdict.first_time_us + UINT64_C(3600000000) > oxv_clock_wall_us());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_log, remove_log)
        TEST(a_new_log_opens_again_and_goes_on),
        TEST(the_files_of_a_new_log_are_as_documented),
        TEST(a_second_log_or_a_bad_first_entry_is_refused),
        TEST(a_second_writer_is_refused),
        TEST(another_key_origin_or_key_file_is_refused),
        TEST(the_key_file_of_another_log_is_refused),
        TEST(a_log_that_is_not_the_one_its_key_was_made_for_is_refused),
        TEST(an_entry_that_cannot_be_written_leaves_the_group_as_it_was),
        TEST(the_writer_adds_nothing_that_its_own_reader_refuses),
        TEST(a_group_is_split_where_a_segment_ends),
        TEST(a_log_that_ends_with_its_segment_goes_on_in_a_new_one),
        TEST(a_deleted_segment_stops_the_log),
        TEST(a_replaced_or_changed_segment_stops_the_log),
        TEST(a_short_write_breaks_the_log_and_is_recovered),
        TEST(opening_tells_the_newest_change_and_whether_it_is_done),
        TEST(the_change_in_entry_0_counts_as_done),
        TEST(time_never_goes_back_even_where_an_event_happened_earlier),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log writer", tests, NULL, NULL);
}
