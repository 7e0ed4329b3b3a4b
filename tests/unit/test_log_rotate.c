/* The end of an epoch by the writer: keys, files, their order, and what a kill leaves behind. */
#include "test_log_support.h"

#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>

#include "vault/log/checkpoint.h"

#define KEY_FILE   "log/epoch.key"
#define NEXT_FILE  "log/epoch.key.next"
#define IN_THE_WAY "log/epoch.key.next.tmp" /* a directory of this name fails the file's write */

static void
must_rotate(struct oxv_log *log)
{
    struct oxv_err err = { 0 };

    if (oxv_log_rotate(log, NULL, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
}

static struct oxv_epoch_key_claim
claim_of(const struct log_fixture *f, const char *name)
{
    struct file_bytes file = read_whole(f->fd, name);
    struct oxv_epoch_key_claim claim = { 0 };

    assert_int_equal(oxv_epoch_key_claim(oxv_view(file.data, file.len), &claim, NULL), OXV_OK);
    file_bytes_done(&file);
    return claim;
}

/* Does the key file open under this key of the ratchet? */
static bool
opens(const struct log_fixture *f, const struct oxv_secret *start, uint64_t steps)
{
    struct file_bytes file = read_whole(f->fd, KEY_FILE);
    struct oxv_secret *wrap_key = oxv_ratchet(start, steps);
    struct oxv_epoch_key key = { 0 };
    enum oxv_status st = oxv_epoch_key_unwrap(oxv_view(file.data, file.len), wrap_key, &key, NULL);

    oxv_epoch_key_done(&key);
    oxv_secret_free(wrap_key);
    file_bytes_done(&file);
    return st == OXV_OK;
}

static void
must_have_epochs(const struct log_fixture *f, uint64_t epochs, uint64_t entries)
{
    struct findings found;

    assert_int_equal(verify(f, &found), OXV_OK);
    assert_int_equal(found.verdict.epochs, epochs);
    assert_int_equal(found.verdict.entries, entries);
}

static void
each_step_of_the_ratchet_hashes_the_key_before(void **state)
{
    const struct log_fixture *f = *state;
    static const uint8_t message[] = { 'a', 'u', 'd', 'i', 't', '-', 'w', 'r', 'a', 'p' };
    uint8_t expected[OXV_LOG_WRAP_KEY_BYTES];
    uint8_t before[OXV_LOG_WRAP_KEY_BYTES];

    memcpy(expected, oxv_secret_view(f->wrap_key).data, sizeof expected);
    for (uint64_t steps = 0; steps < 4; steps++) {
        struct oxv_secret *key = oxv_ratchet(f->wrap_key, steps);

        assert_memory_equal(oxv_secret_view(key).data, expected, sizeof expected);
        oxv_secret_free(key);
        memcpy(before, expected, sizeof before);
        assert_int_equal(crypto_generichash(expected, sizeof expected, message, sizeof message,
                                            before, sizeof before),
                         0);
    }
}

static void
an_epoch_ends_with_its_group_and_the_next_key_takes_over(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();

    assert_true(opens(f, f->wrap_key, 1));
    assert_false(opens(f, f->wrap_key, 0)); /* the start wraps nothing */
    (void)append(log, &entry);
    must_rotate(log);
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_int_equal(oxv_log_size(log), 3);
    assert_int_equal(oxv_log_epoch(log), 1);
    assert_true(opens(f, f->wrap_key, 2));
    assert_false(opens(f, f->wrap_key, 1));
    assert_false(is_there(f->fd, NEXT_FILE));
    commit_signs(log, 1);
    must_rotate(log); /* also where nothing waits */
    oxv_log_free(log);
    must_have_epochs(f, 3, 5);
    assert_int_equal(claim_of(f, KEY_FILE).epoch, 2);
    log = open_log(f, &opened);
    assert_int_equal(oxv_log_epoch(log), 2);
    commit_signs(log, 1);
    oxv_log_free(log);
    must_have_epochs(f, 3, 6);
}

static void
the_log_keeps_the_key_of_its_epoch_and_none_from_before(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);

    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        struct oxv_secret *used = oxv_ratchet(f->wrap_key, epoch + 1);

        assert_memory_equal(oxv_secret_view(log->wrap_key).data, oxv_secret_view(used).data,
                            OXV_LOG_WRAP_KEY_BYTES);
        assert_null(log->ending.wrap_key);
        oxv_secret_free(used);
        must_rotate(log);
    }
    oxv_log_free(log);
}

static void
an_epoch_ends_by_its_entries_by_its_age_and_when_told(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_err err;

    log->epoch_max_entries = 4; /* genesis is the first */
    commit_signs(log, 2);
    assert_int_equal(oxv_log_epoch(log), 0);
    commit_signs(log, 1);
    assert_int_equal(oxv_log_epoch(log), 1);
    assert_true(oxv_log_epoch_ends_us(log) == UINT64_MAX); /* it has no entry */

    uint64_t before_us = oxv_clock_boot_us();

    commit_signs(log, 1);
    assert_in_range(oxv_log_epoch_ends_us(log), before_us + 300000000u,
                    oxv_clock_boot_us() + 300000000u);
    log->epoch_max_us = 0;
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK); /* nothing waits, but the time is up */
    assert_int_equal(oxv_log_epoch(log), 2);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    assert_int_equal(oxv_log_epoch(log), 2);

    log->epoch_max_us = OXV_EPOCH_MAX_US;
    commit_signs(log, 1);
    oxv_log_end_epoch(log);
    assert_int_equal(oxv_log_epoch_ends_us(log), 0);
    commit_signs(log, 1);
    assert_int_equal(oxv_log_epoch(log), 3);
    uint64_t size = oxv_log_size(log);

    oxv_log_free(log);
    must_have_epochs(f, 4, size);
}

static void
a_next_key_that_cannot_be_written_leaves_the_epoch_and_the_group_as_they_were(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err = { 0 };

    assert_int_equal(mkdirat(f->fd, IN_THE_WAY, 0700), 0);
    (void)append(log, &entry);
    assert_int_equal(oxv_log_rotate(log, NULL, &err), OXV_E_IO);
    assert_false(oxv_log_is_broken(log));
    assert_int_equal(oxv_log_waiting(log), 1);
    oxv_log_end_epoch(log);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK); /* what waits is committed all the same */
    assert_int_equal(oxv_log_epoch(log), 0);
    assert_int_equal(oxv_log_size(log), 2);
    assert_true(oxv_log_epoch_ends_us(log) > oxv_clock_boot_us() + 9000000u);
    assert_int_equal(unlinkat(f->fd, IN_THE_WAY, AT_REMOVEDIR), 0);
    commit_signs(log, 1);
    assert_int_equal(oxv_log_epoch(log), 0); /* not at once again */
    log->epoch_retry_us = 0;
    commit_signs(log, 1);
    assert_int_equal(oxv_log_epoch(log), 1);
    oxv_log_free(log);
    must_have_epochs(f, 2, 5);
}

/* What the two files can hold. */
enum content { NONE, KEY_0, KEY_1, GARBAGE, CONTENTS };

static void
put_key_file(const struct log_fixture *f, const char *name, enum content content,
             const struct file_bytes keys[2])
{
    (void)unlinkat(f->fd, name, 0); /* it may not be there */
    if (content == KEY_0 || content == KEY_1) {
        const struct file_bytes *key = &keys[content - KEY_0];

        write_whole(f->fd, name, oxv_view(key->data, key->len));
    } else if (content == GARBAGE) {
        write_whole(f->fd, name, oxv_view_text("OXVEPKEY, broken off"));
    }
}

static void
must_settle(const struct log_fixture *f, uint64_t epoch, enum content key, enum content next)
{
    enum content wanted = epoch == 0 ? KEY_0 : KEY_1;
    struct oxv_log_opened opened;
    struct oxv_log *log = NULL;
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, &err);

    if ((st == OXV_OK) != (key == wanted || next == wanted)) {
        fail_msg("epoch %ju, key %d, next %d: %s %s", (uintmax_t)epoch, key, next,
                 oxv_status_name(st), err.text);
    }
    if (st != OXV_OK) {
        assert_int_equal(is_there(f->fd, NEXT_FILE), next != NONE); /* left as it is */
        return;
    }
    assert_int_equal(oxv_log_epoch(log), epoch);
    assert_int_equal(claim_of(f, KEY_FILE).epoch, epoch);
    assert_false(is_there(f->fd, NEXT_FILE));
    commit_signs(log, 1);
    must_rotate(log);
    oxv_log_free(log);
    must_have_epochs(f, epoch + 2, epoch == 0 ? 4 : 5);
}

static void
the_file_whose_key_the_log_names_is_taken_in_every_combination(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct file_bytes keys[2];
    struct file_bytes segments[2];

    commit_signs(log, 1);
    keys[0] = read_whole(f->fd, KEY_FILE);
    segments[0] = read_lines(f->fd, TEST_SEGMENT);
    must_rotate(log);
    keys[1] = read_whole(f->fd, KEY_FILE);
    segments[1] = read_lines(f->fd, TEST_SEGMENT);
    oxv_log_free(log);
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        for (enum content key = NONE; key < CONTENTS; key++) {
            for (enum content next = NONE; next < CONTENTS; next++) {
                put_segment(f, segments[epoch].data, segments[epoch].len);
                put_key_file(f, KEY_FILE, key, keys);
                put_key_file(f, NEXT_FILE, next, keys);
                must_settle(f, epoch, key, next);
            }
        }
    }
    for (size_t i = 0; i < 2; i++) {
        file_bytes_done(&keys[i]);
        file_bytes_done(&segments[i]);
    }
}

/* The file that releases before the ratchet wrote: under its start, in epoch 0. */
static void
write_old_format(const struct log_fixture *f)
{
    struct file_bytes file = read_whole(f->fd, KEY_FILE);
    struct oxv_secret *wrap_key = oxv_ratchet(f->wrap_key, 1);
    struct oxv_epoch_key key = { 0 };
    uint8_t old[OXV_EPOCH_KEY_FILE_BYTES];
    uint8_t plain[72] = { 0 };

    assert_int_equal(oxv_epoch_key_unwrap(oxv_view(file.data, file.len), wrap_key, &key, NULL),
                     OXV_OK);
    memcpy(old, file.data, 73);
    old[8] = 1;
    memcpy(plain, oxv_secret_view(key.secret_key).data, 32);
    memcpy(plain + 40, key.begin_root, 32);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(old + 73, NULL, plain, sizeof plain,
                                                                old, 73, NULL, old + 49,
                                                                oxv_secret_view(f->wrap_key).data),
                     0);
    write_whole(f->fd, KEY_FILE, oxv_view(old, sizeof old));
    oxv_epoch_key_done(&key);
    oxv_secret_free(wrap_key);
    file_bytes_done(&file);
}

static void
a_key_file_without_ratchet_is_opened_once_more(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;

    write_old_format(f);
    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(claim_of(f, KEY_FILE).format, OXV_EPOCH_KEY_FORMAT_SUBKEY);
    commit_signs(log, 1); /* as the service does with the unseal's entry */
    assert_int_equal(oxv_log_epoch(log), 1);
    oxv_log_free(log);
    assert_int_equal(claim_of(f, KEY_FILE).format, OXV_EPOCH_KEY_FORMAT_RATCHET);
    assert_true(opens(f, f->wrap_key, 2));
    must_have_epochs(f, 2, 3);
    oxv_log_free(open_log(f, &opened));
}

static void
after_a_new_root_key_the_ratchet_goes_on_from_the_new_start(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_secret *old_start = f->wrap_key;
    struct oxv_secret *new_start = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);
    uint8_t old_log_key[OXV_NOTE_PUBLIC_KEY_BYTES];
    struct oxv_err err = { 0 };

    must_rotate(log);
    memcpy(old_log_key, log->log_key.public_key, sizeof old_log_key);
    assert_int_equal(oxv_log_rotate(log, new_start, &err), OXV_OK);
    assert_memory_not_equal(old_log_key, log->log_key.public_key, sizeof old_log_key);
    assert_int_equal(oxv_log_waiting(log), 1); /* log.key */
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    must_rotate(log);
    oxv_log_free(log);
    assert_true(opens(f, new_start, 4));
    assert_int_equal(try_open(f, &err), OXV_E_FORGED); /* under the old start */
    f->wrap_key = new_start;
    log = open_log(f, &opened);
    assert_int_equal(oxv_log_name_key(log), OXV_OK);
    assert_int_equal(oxv_log_waiting(log), 0); /* it is named already */
    oxv_log_free(log);
    must_have_epochs(f, 4, 5);
    oxv_secret_free(old_start);
}

static struct oxv_vkey
key_of(const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES])
{
    struct oxv_vkey key = { .name = TEST_ORIGIN };

    memcpy(key.public_key, public_key, sizeof key.public_key);
    return key;
}

static void
a_checkpoint_has_the_lines_of_the_log_key_and_of_the_epochs(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_err err = { 0 };
    struct stat st;
    struct oxv_note note;

    assert_int_equal(oxv_log_name_key(log), OXV_OK);
    assert_int_equal(oxv_log_name_key(log), OXV_OK); /* once is enough */
    assert_int_equal(oxv_log_waiting(log), 1);
    must_rotate(log);
    assert_int_equal(oxv_log_save_checkpoint(log, &err), OXV_OK);
    struct file_bytes file = read_whole(f->fd, "log/checkpoint");
    struct oxv_vkey log_key = key_of(log->log_key.public_key);
    struct oxv_vkey epoch_key = key_of(log->key.public_key);
    struct oxv_vkey genesis;

    assert_int_equal(fstatat(f->fd, "log/checkpoint", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(oxv_note_parse(oxv_view(file.data, file.len), &note, NULL), OXV_OK);
    assert_int_equal(oxv_note_check(&note, &log_key), OXV_OK);
    assert_int_equal(oxv_note_check(&note, &epoch_key), OXV_OK);
    assert_int_equal(oxv_vkey_parse(oxv_view_text(f->vkey), &genesis, NULL), OXV_OK);
    assert_int_equal(oxv_note_check(&note, &genesis), OXV_E_NOT_FOUND); /* its epoch is over */
    file_bytes_done(&file);

    assert_int_equal(unlinkat(f->fd, "log/checkpoint", 0), 0);
    assert_int_equal(oxv_log_save_checkpoint(log, &err), OXV_OK);
    assert_false(is_there(f->fd, "log/checkpoint")); /* it has not grown */
    commit_signs(log, 1);
    assert_int_equal(oxv_log_save_checkpoint(log, &err), OXV_OK);
    assert_true(is_there(f->fd, "log/checkpoint"));
    oxv_log_free(log);
}

/* Changes a character in the signature of line `n` (from 0) of a note's signatures. */
static void
damage_line(struct file_bytes *note, unsigned n)
{
    struct oxv_view text = oxv_view(note->data, note->len);

    for (size_t i = oxv_view_find(text, 0xe2); i < note->len; i++) {
        if (note->data[i] == '\n' && n-- == 0) {
            note->data[i - 20] = note->data[i - 20] == 'A' ? 'B' : 'A';
            return;
        }
    }
    fail_msg("no such line");
}

static enum oxv_status
verify_saved(const struct log_fixture *f, const struct file_bytes *note, struct findings *found)
{
    struct oxv_log_verify_cfg cfg = { .vkey = oxv_view_text(f->vkey),
                                      .saved = { oxv_view(note->data, note->len) },
                                      .saved_count = 1,
                                      .found = keep_first,
                                      .ctx = found };
    char path[96];
    struct oxv_err err;

    *found = (struct findings){ 0 };
    (void)snprintf(path, sizeof path, "%s/log", f->path);
    return oxv_log_verify_with(path, &cfg, &found->verdict, &err);
}

static void
a_saved_checkpoint_counts_by_either_line_and_by_no_false_one(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_err err = { 0 };
    struct findings found;

    assert_int_equal(oxv_log_name_key(log), OXV_OK);
    must_rotate(log);
    assert_int_equal(oxv_log_save_checkpoint(log, &err), OXV_OK);
    commit_signs(log, 1);
    oxv_log_free(log);
    struct file_bytes note = read_whole(f->fd, "log/checkpoint");

    assert_int_equal(verify_saved(f, &note, &found), OXV_OK);
    assert_int_equal(found.verdict.heads, 1);
    for (unsigned line = 0; line < 2; line++) {
        struct file_bytes damaged = read_whole(f->fd, "log/checkpoint");

        damage_line(&damaged, line);
        assert_int_equal(verify_saved(f, &damaged, &found), OXV_E_FORGED);
        assert_string_equal(found.code, "checkpoint_signature");
        file_bytes_done(&damaged);
    }
    size_t first = oxv_view_find(oxv_view(note.data, note.len), 0xe2); /* an em dash begins so */
    struct oxv_view lines = oxv_view_from(oxv_view(note.data, note.len), first);
    size_t second = first + oxv_view_find(lines, '\n') + 1;

    memmove(note.data + first, note.data + second, note.len - second); /* the log key's alone */
    note.len -= second - first;
    assert_int_equal(verify_saved(f, &note, &found), OXV_OK);
    file_bytes_done(&note);
}

#ifdef OXV_TEST_HOOKS

/* Child: one entry and the end of its epoch, as far as it gets. */
static void
rotate_and_exit(const struct log_fixture *f, const char *hook)
{
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened;
    struct oxv_entry entry = sign_entry();
    uint64_t index;

    if (oxv_log_open(f->fd, f->vkey, f->wrap_key, &log, &opened, NULL) != OXV_OK ||
        oxv_log_append(log, &entry, &index) != OXV_OK || setenv("OXV_HOOK", hook, 1) != 0) {
        _exit(1);
    }
    _exit(oxv_log_rotate(log, NULL, NULL) == OXV_E_IO && oxv_log_is_broken(log) ? 3 : 2);
}

static int
rotate_in_child(const struct log_fixture *f, const char *hook)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        rotate_and_exit(f, hook);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* A kill at each step: the log opens, in the epoch that its entries say, and goes on. */
static void
a_kill_at_any_step_loses_nothing_and_the_log_goes_on(void **state)
{
    struct log_fixture *f = *state;
    static const struct {
        const char *hook;
        bool has_ended;
    } steps[] = {
        { "log.epoch.next_key:1", false }, { "log.before_write:1", false },
        { "log.after_sync:1", true },      { "log.epoch.final:1", true },
        { "log.epoch.renamed:1", true },   { "log.epoch.durable:1", true },
    };
    uint64_t epoch = 0;
    uint64_t size = 1;

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct oxv_log_opened opened;
        int status = rotate_in_child(f, steps[i].hook);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
            fail_msg("%s: the child was not killed", steps[i].hook);
        }
        epoch += steps[i].has_ended ? 1 : 0;
        size += steps[i].has_ended ? 2 : 0;
        struct oxv_log *log = open_log(f, &opened);

        assert_int_equal(oxv_log_epoch(log), epoch);
        assert_int_equal(oxv_log_size(log), size);
        assert_int_equal(claim_of(f, KEY_FILE).epoch, epoch);
        assert_false(is_there(f->fd, NEXT_FILE));
        commit_signs(log, 1);
        must_rotate(log);
        oxv_log_free(log);
        epoch++;
        size += 2;
        must_have_epochs(f, epoch + 1, size);
    }
}

/* A failure behind the final commit: the old key signs no more, the next start has the new one. */
static void
a_failure_behind_the_final_commit_breaks_the_log(void **state)
{
    struct log_fixture *f = *state;
    static const char *const hooks[] = { "log.epoch.final:fail:1", "log.epoch.renamed:fail:1" };

    for (uint64_t i = 0; i < 2; i++) {
        struct oxv_log_opened opened;
        int status = rotate_in_child(f, hooks[i]);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 3);
        struct oxv_log *log = open_log(f, &opened);

        assert_int_equal(oxv_log_epoch(log), i + 1);
        commit_signs(log, 1);
        oxv_log_free(log);
    }
    must_have_epochs(f, 3, 7);
}

#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_log, remove_log)
        TEST(each_step_of_the_ratchet_hashes_the_key_before),
        TEST(an_epoch_ends_with_its_group_and_the_next_key_takes_over),
        TEST(the_log_keeps_the_key_of_its_epoch_and_none_from_before),
        TEST(an_epoch_ends_by_its_entries_by_its_age_and_when_told),
        TEST(a_next_key_that_cannot_be_written_leaves_the_epoch_and_the_group_as_they_were),
        TEST(the_file_whose_key_the_log_names_is_taken_in_every_combination),
        TEST(a_key_file_without_ratchet_is_opened_once_more),
        TEST(after_a_new_root_key_the_ratchet_goes_on_from_the_new_start),
        TEST(a_checkpoint_has_the_lines_of_the_log_key_and_of_the_epochs),
        TEST(a_saved_checkpoint_counts_by_either_line_and_by_no_false_one),
#ifdef OXV_TEST_HOOKS
        TEST(a_kill_at_any_step_loses_nothing_and_the_log_goes_on),
        TEST(a_failure_behind_the_final_commit_breaks_the_log),
#endif
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log rotate", tests, NULL, NULL);
}
