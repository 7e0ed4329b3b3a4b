/* Backup, restore and adopt: what comes out is the same vault as a new node, or nothing. */
#include "test_vault_support.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "vault/backup.h"
#include "vault/copies.h"
#include "vault/log/verify.h"

#define LOG_SIZE 42u

static const uint8_t log_root[32] = { 7 };

/* A whole backup in memory. */
struct file {
    uint8_t *bytes;
    size_t len;
};

static void
file_done(struct file *file)
{
    free(file->bytes);
}

static struct oxv_backup *
begin_backup(struct vault_fixture *f)
{
    const struct oxv_backup_log log = { .size = LOG_SIZE,
                                        .root = oxv_view(log_root, sizeof log_root),
                                        .checkpoint = oxv_view_text("a\nnote\n") };
    struct oxv_backup *backup = NULL;
    struct oxv_err err = { 0 };

    if (oxv_backup_new(f->vault, &log, &backup, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
    return backup;
}

static struct file
finish_backup(struct oxv_backup *backup)
{
    struct file file = { 0 };

    while (!oxv_backup_at_end(backup)) {
        struct oxv_writer w;

        file.bytes = realloc(file.bytes, file.len + OXV_BACKUP_PIECE_MAX_BYTES);
        assert_non_null(file.bytes);
        w = oxv_writer(file.bytes, file.len + OXV_BACKUP_PIECE_MAX_BYTES);
        w.len = file.len;
        oxv_backup_piece(backup, &w);
        assert_false(w.failed);
        file.len = w.len;
    }
    assert_int_equal(oxv_backup_rows_given(backup), oxv_backup_rows(backup));
    oxv_backup_free(backup);
    return file;
}

static int
descriptor_of(const uint8_t *bytes, size_t len)
{
    int fd = memfd_create("backup", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(oxv_write_all(fd, oxv_view(bytes, len)), OXV_OK);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Opens and unseals it with the key file. */
static enum oxv_status
open_backup(struct vault_fixture *f, const uint8_t *bytes, size_t len, struct oxv_vault **out,
            const struct oxv_backup_head **head, struct oxv_err *err)
{
    struct oxv_seal_input input = keyfile_input(f->keyfile);
    enum oxv_status st = oxv_backup_open(descriptor_of(bytes, len), out, head, err);

    return st == OXV_OK ? oxv_vault_unseal_copy(*out, &input, 0, err) : st;
}

static void
fill(struct vault_fixture *f)
{
    struct oxv_change *change = begin_change(f);
    uint64_t connection = put_connection(change, "acme");
    uint64_t caller = put_caller(change, "orders", 1001);

    (void)put_grant(change, caller, connection);
    (void)put_token(change, "serial=1", true);
    finish_change(&change);
}

static void
a_restored_vault_has_the_records_and_is_a_new_node(void **state)
{
    struct vault_fixture *f = *state;
    struct vault_fixture other = { .keyfile = f->keyfile };
    struct oxv_vault *copy = NULL;
    const struct oxv_backup_head *head = NULL;
    struct oxv_err err = { 0 };

    fill(f);
    OXV_AUTO(file_done) struct file file = finish_backup(begin_backup(f));

    make_directory(&other);
    assert_int_equal(open_backup(f, file.bytes, file.len, &copy, &head, &err), OXV_OK);
    assert_int_equal(head->log_size, LOG_SIZE);
    assert_true(oxv_view_is(head->checkpoint, "a\nnote\n"));
    const struct oxv_copy how = { .machine_id = test_machine(),
                                  .old_size = head->log_size,
                                  .old_root = head->log_root };

    assert_int_equal(oxv_vault_restore(copy, other.fd, &how, &err), OXV_OK);
    reopen_vault(&other);
    assert_memory_equal(oxv_vault_id(other.vault), oxv_vault_id(f->vault), OXV_ID_BYTES);
    assert_false(
        oxv_view_equals(oxv_vault_node(other.vault)->node_id, oxv_vault_node(f->vault)->node_id));
    assert_int_equal(oxv_vault_counter(other.vault), oxv_vault_counter(f->vault) + 1);
    for (enum oxv_table t = OXV_TABLE_SEAL; t < OXV_TABLE_END; t++) {
        assert_int_equal(oxv_vault_count(other.vault, t), oxv_vault_count(f->vault, t));
    }
    struct oxv_connection *a = oxv_vault_connection(f->vault, oxv_view_text("acme"));
    struct oxv_connection *b = oxv_vault_connection(other.vault, oxv_view_text("acme"));
    uint8_t one[OXV_SIGNATURE_MAX_BYTES];
    uint8_t two[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;

    assert_int_equal(oxv_vault_sign(f->vault, a, oxv_view_text("m"), one, &len, &err), OXV_OK);
    assert_int_equal(oxv_vault_sign(other.vault, b, oxv_view_text("m"), two, &len, &err), OXV_OK);
    assert_memory_equal(one, two, len);
    oxv_vault_free(copy);
    oxv_vault_freep(&other.vault);
    oxv_closep(&other.fd);
    remove_tree(AT_FDCWD, other.path);
}

/* The text of a log's only segment. */
static void
read_log(int dir_fd, const char *folder, char *out, size_t out_size)
{
    char path[128];
    size_t len = 0;

    assert_int_equal(oxv_format(path, sizeof path, "%s/seg/000000000000.jsonl", folder), OXV_OK);
    OXV_AUTO(oxv_closep) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(oxv_read_up_to(fd, out, out_size - 1, &len), OXV_OK);
    out[len] = '\0';
}

static void
the_new_log_says_what_it_comes_after(void **state)
{
    struct vault_fixture *f = *state;
    struct vault_fixture other = { .keyfile = f->keyfile };
    struct oxv_vault *copy = NULL;
    const struct oxv_backup_head *head = NULL;
    struct oxv_err err = { 0 };
    char expected[256];
    char text[16384];
    OXV_AUTO(file_done) struct file file = finish_backup(begin_backup(f));
    struct oxv_view origin = oxv_vault_node(f->vault)->origin;

    make_directory(&other);
    assert_int_equal(open_backup(f, file.bytes, file.len, &copy, &head, &err), OXV_OK);
    const struct oxv_copy how = { .machine_id = test_machine(),
                                  .old_size = head->log_size,
                                  .old_root = head->log_root };

    assert_int_equal(oxv_vault_restore(copy, other.fd, &how, &err), OXV_OK);
    read_log(other.fd, "log", text, sizeof text);
    assert_contains(text, "\"type\":\"log.genesis\"");
    assert_contains(text, "\"type\":\"vault.restore\"");
    assert_contains(text, "\"old_size\":42");
    assert_contains(text, "\"old_root\":\"0700000000000000");
    assert_int_equal(oxv_format(expected, sizeof expected, "\"old_origin\":\"%.*s\"",
                                (int)origin.len, (const char *)origin.data),
                     OXV_OK);
    assert_contains(text, expected);
    /* And nothing else can be restored there. */
    assert_int_equal(oxv_vault_restore(copy, other.fd, &how, &err), OXV_E_CONFLICT);
    oxv_vault_free(copy);
    oxv_closep(&other.fd);
    remove_tree(AT_FDCWD, other.path);
}

static void
a_backup_is_as_the_vault_was_at_its_begin(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_vault *copy = NULL;
    const struct oxv_backup_head *head = NULL;
    struct oxv_err err = { 0 };

    for (unsigned i = 0; i < 300; i++) { /* several chunks */
        char name[32];

        assert_int_equal(oxv_format(name, sizeof name, "c%u", i), OXV_OK);
        (void)add_connection(f, name);
    }
    uint64_t counter = oxv_vault_counter(f->vault);
    struct oxv_backup *backup = begin_backup(f);
    struct oxv_change *change = begin_change(f);

    for (uint64_t id = 1; id <= 300; id++) {
        assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, id, &err), OXV_OK);
    }
    (void)put_connection(change, "c1");
    finish_change(&change);
    OXV_AUTO(file_done) struct file file = finish_backup(backup);

    assert_int_equal(open_backup(f, file.bytes, file.len, &copy, &head, &err), OXV_OK);
    assert_int_equal(oxv_vault_counter(copy), counter);
    assert_int_equal(oxv_vault_count(copy, OXV_TABLE_CONNECTION), 300);
    oxv_vault_free(copy);
}

static void
a_backup_that_was_cut_or_changed_is_refused(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };

    fill(f);
    OXV_AUTO(file_done) struct file file = finish_backup(begin_backup(f));

    for (size_t i = 0; i <= file.len; i++) { /* cut, changed, and one byte longer */
        for (int changes = i < file.len ? 1 : 0; changes >= 0; changes--) {
            struct oxv_vault *copy = NULL;
            const struct oxv_backup_head *head = NULL;
            size_t len = changes != 0 || i == file.len ? file.len : i;
            uint8_t *bytes = calloc(1, len + 1);

            assert_non_null(bytes);
            memcpy(bytes, file.bytes, len);
            bytes[i < len ? i : len] ^= (uint8_t)changes;
            enum oxv_status st =
                open_backup(f, bytes, i == file.len ? len + 1 : len, &copy, &head, &err);

            if (st != OXV_E_FORMAT && st != OXV_E_FORGED && st != OXV_E_STORE &&
                st != OXV_E_LOCKED) { /* LOCKED: the seal itself was changed */
                fail_msg("byte %zu, change %d: status %d", i, changes, (int)st);
            }
            assert_true(copy == NULL || !oxv_vault_is_open(copy));
            oxv_vault_free(copy);
            free(bytes);
        }
    }
}

static void
another_key_file_opens_no_backup(void **state)
{
    struct vault_fixture *f = *state;
    OXV_AUTO(file_done) struct file file = finish_backup(begin_backup(f));
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *wrong = oxv_secret_random(OXV_KEYFILE_BYTES);
    struct oxv_seal_input input = keyfile_input(wrong);
    struct oxv_vault *copy = NULL;
    const struct oxv_backup_head *head = NULL;
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_backup_open(descriptor_of(file.bytes, file.len), &copy, &head, &err),
                     OXV_OK);
    assert_int_equal(oxv_vault_unseal_copy(copy, &input, 0, &err), OXV_E_LOCKED);
    oxv_vault_free(copy);
}

static void
nothing_of_a_backup_is_readable_but_its_head(void **state)
{
    struct vault_fixture *f = *state;

    fill(f);
    OXV_AUTO(file_done) struct file file = finish_backup(begin_backup(f));

    assert_null(memmem(file.bytes, file.len, "acme", 4));
    assert_null(memmem(file.bytes, file.len, "orders", 6));
    assert_non_null(memmem(file.bytes, file.len, "a\nnote\n", 7));
}

/* The vault on another machine, opened by its key file. */
static void
open_copy(struct vault_fixture *f)
{
    struct oxv_seal_input input = keyfile_input(f->keyfile);
    struct oxv_err err = { 0 };

    oxv_vault_freep(&f->vault);
    if (open_vault(f, &err) != OXV_OK ||
        oxv_vault_unseal_copy(f->vault, &input, 0, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
}

static enum oxv_status
adopt(struct vault_fixture *f, struct oxv_err *err)
{
    const struct oxv_copy how = { .machine_id = oxv_view_text("another machine"),
                                  .old_size = 1,
                                  .old_root = oxv_view(log_root, sizeof log_root) };

    return oxv_vault_adopt(f->vault, f->fd, &how, err);
}

/* Does the vault open on that machine, with the log that belongs to it? */
static bool
opens_there(struct vault_fixture *f, struct oxv_err *err)
{
    struct oxv_seal_input input = keyfile_input(f->keyfile);
    struct oxv_log_opened opened = { 0 };
    enum oxv_log_agreement agreement;
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    OXV_AUTO(oxv_log_freep) struct oxv_log *log = NULL;

    oxv_vault_freep(&f->vault);
    if (open_vault(f, err) != OXV_OK || oxv_vault_finish_adopt(f->vault, f->fd, err) != OXV_OK ||
        oxv_vault_unseal(f->vault, &input, 0, oxv_view_text("another machine"), err) != OXV_OK) {
        return false;
    }
    assert_int_equal(oxv_text_copy(oxv_vault_node(f->vault)->genesis_vkey, vkey, sizeof vkey),
                     OXV_OK);
    return oxv_log_open(f->fd, vkey, oxv_vault_log_wrap_key(f->vault), &log, &opened, err) ==
               OXV_OK &&
           oxv_vault_compare_log(f->vault, &opened, &agreement, err) == OXV_OK &&
           agreement == OXV_AGREES;
}

static void
an_adopted_vault_is_a_new_node_and_keeps_the_old_log_aside(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    char folder[32];
    char old_id[9] = "";
    char text[16384];
    struct oxv_writer w = oxv_writer(old_id, 8);

    fill(f);
    oxv_write_hex(&w, oxv_view_slice(oxv_vault_node(f->vault)->node_id, 0, 4));
    assert_false(opens_there(f, &err));
    assert_contains(err.text, "oxvault adopt");
    open_copy(f);
    assert_int_equal(adopt(f, &err), OXV_OK);
    if (!opens_there(f, &err)) {
        fail_msg("%s", err.text);
    }
    assert_non_null(oxv_vault_connection(f->vault, oxv_view_text("acme")));
    read_log(f->fd, "log", text, sizeof text);
    assert_contains(text, "\"type\":\"vault.adopt\"");
    assert_int_equal(oxv_format(folder, sizeof folder, "log.%s", old_id), OXV_OK);
    read_log(f->fd, folder, text, sizeof text);
    assert_null(strstr(text, "vault.adopt"));
    /* And once more: each old log has its own folder. */
    open_copy(f);
    assert_int_equal(adopt(f, &err), OXV_OK);
    assert_true(opens_there(f, &err));
}

#ifdef OXV_TEST_HOOKS
/* Adopts in a process that is killed at the hook. */
static void
adopt_until(struct vault_fixture *f, const char *hook)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct oxv_seal_input input = keyfile_input(f->keyfile);

        if (setenv("OXV_HOOK", hook, 1) == 0 && open_vault(f, NULL) == OXV_OK &&
            oxv_vault_unseal_copy(f->vault, &input, 0, NULL) == OXV_OK) {
            (void)adopt(f, NULL);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
a_killed_adopt_leaves_the_old_node_or_the_new_one(void **state)
{
    static const struct {
        const char *hook;
        bool is_new;
    } points[] = { { "vault.adopt.begun:1", false },   { "vault.adopt.logged:1", false },
                   { "vault.adopt.storing:1", false }, { "vault.adopt.stored:1", true },
                   { "vault.adopt.aside:1", true },    { "vault.adopt.swapped:1", true } };

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        void *own = NULL;
        struct oxv_err err = { 0 };

        assert_int_equal(vault_setup(&own), 0);
        struct vault_fixture *f = own;

        oxv_vault_freep(&f->vault);
        adopt_until(f, points[i].hook);
        bool opens = opens_there(f, &err);

        if (opens != points[i].is_new) {
            fail_msg("%s: %s", points[i].hook, err.text);
        }
        if (!opens) { /* what the refusal says can be done, and works */
            assert_contains(err.text, "oxvault adopt");
            open_copy(f);
            assert_int_equal(adopt(f, &err), OXV_OK);
            assert_true(opens_there(f, &err));
        }
        assert_int_equal(faccessat(f->fd, "adopt.new", F_OK, 0), -1);
        assert_int_equal(vault_teardown(&own), 0);
    }
    (void)state;
}
#endif

int
main(void)
{
#define VAULT_TEST(name) cmocka_unit_test_setup_teardown(name, vault_setup, vault_teardown)
    const struct CMUnitTest tests[] = {
        VAULT_TEST(a_restored_vault_has_the_records_and_is_a_new_node),
        VAULT_TEST(the_new_log_says_what_it_comes_after),
        VAULT_TEST(a_backup_is_as_the_vault_was_at_its_begin),
        VAULT_TEST(a_backup_that_was_cut_or_changed_is_refused),
        VAULT_TEST(another_key_file_opens_no_backup),
        VAULT_TEST(nothing_of_a_backup_is_readable_but_its_head),
        VAULT_TEST(an_adopted_vault_is_a_new_node_and_keeps_the_old_log_aside),
#ifdef OXV_TEST_HOOKS
        cmocka_unit_test(a_killed_adopt_leaves_the_old_node_or_the_new_one),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
