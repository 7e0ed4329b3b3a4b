/* Creating, opening, unsealing and locking a vault. */
#include "test_vault_support.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "base/hook.h"

static void
a_new_vault_has_one_seal_one_admin_and_change_1(void **state)
{
    struct vault_fixture *f = *state;
    const struct oxv_seal *seals = NULL;
    struct oxv_admin *admin = oxv_vault_admin_by_uid(f->vault, TEST_ADMIN_UID);

    assert_true(oxv_vault_is_open(f->vault));
    assert_int_equal(oxv_vault_counter(f->vault), 1);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 1);
    assert_int_equal(seals[0].id, 1);
    assert_int_equal(seals[0].record.kind, OXV_SEAL_KEYFILE);
    assert_non_null(admin);
    assert_int_equal(admin->record.uid_plus1, TEST_ADMIN_UID + 1);
    assert_null(oxv_vault_admin_by_uid(f->vault, 0));
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_CONNECTION), 0);
    assert_true(oxv_view_is(oxv_vault_node(f->vault)->genesis_vkey, f->vkey));
    assert_memory_equal(oxv_vault_node(f->vault)->vault_id.data, oxv_vault_id(f->vault),
                        OXV_ID_BYTES);
    assert_non_null(oxv_vault_log_wrap_key(f->vault));
}

static void
the_log_of_a_new_vault_agrees_with_it(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_log *log = NULL;
    struct oxv_log_opened opened = { 0 };
    enum oxv_log_agreement agreement = OXV_ONE_BEHIND;
    struct oxv_err err = { 0 };

    if (oxv_log_open(f->fd, f->vkey, oxv_vault_log_wrap_key(f->vault), &log, &opened, &err) !=
        OXV_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(opened.last_cfg, 1);
    assert_int_equal(oxv_vault_compare_log(f->vault, &opened, &agreement, &err), OXV_OK);
    assert_int_equal(agreement, OXV_AGREES);
    oxv_log_free(log);
}

/* What the log would have told: its last change, whether that is done, and the change before. */
static struct oxv_log_opened
logged(uint64_t last, const char *digest, uint64_t done, const char *before_digest)
{
    struct oxv_log_opened opened = { .last_cfg = last,
                                     .last_done_cfg = done,
                                     .before_cfg = last > 0 ? last - 1 : 0 };

    (void)snprintf(opened.last_cfg_digest, sizeof opened.last_cfg_digest, "%s", digest);
    (void)snprintf(opened.before_cfg_digest, sizeof opened.before_cfg_digest, "%s", before_digest);
    return opened;
}

static void
must_agree(struct vault_fixture *f, const struct oxv_log_opened *opened,
           enum oxv_log_agreement wanted)
{
    enum oxv_log_agreement agreement = (enum oxv_log_agreement)99;
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_vault_compare_log(f->vault, opened, &agreement, &err), OXV_OK);
    assert_int_equal(agreement, wanted);
}

static void
must_disagree(struct vault_fixture *f, const struct oxv_log_opened *opened, const char *text)
{
    enum oxv_log_agreement agreement = OXV_ONE_BEHIND;
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_vault_compare_log(f->vault, opened, &agreement, &err), OXV_E_FORGED);
    assert_contains(err.text, text);
    assert_int_equal(agreement, OXV_ONE_BEHIND); /* untouched on failure */
}

static void
the_log_decides_what_of_the_database_is_accepted(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_log_opened opened;
    char digest[65];

    (void)add_connection(f, "acme"); /* now at 2 */
    oxv_vault_digest_hex(f->vault, digest);
    assert_int_equal(strlen(digest), 64);
    opened = logged(2, digest, 2, "x");
    must_agree(f, &opened, OXV_AGREES);
    opened = logged(2, digest, 1, "x");
    must_agree(f, &opened, OXV_AGREES_NOT_DONE);
    opened = logged(3, "x", 2, digest);
    must_agree(f, &opened, OXV_ONE_BEHIND);
    opened = logged(3, "x", 3, digest);
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 3");
    opened = logged(4, "x", 2, digest);
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 4");
    opened = logged(1, "x", 1, digest);
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 1");
    opened = logged(0, "", 0, "");
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 0");
    digest[0] = digest[0] == '0' ? '1' : '0';
    opened = logged(2, digest, 2, "x");
    must_disagree(f, &opened, "both are at change 2");
}

static void
one_behind_are_only_the_records_that_the_log_knows(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_log_opened opened;
    char digest[65];

    (void)add_connection(f, "acme"); /* now at 2 */
    oxv_vault_digest_hex(f->vault, digest);
    opened = logged(3, "x", 2, digest);
    opened.before_cfg = 1; /* the digest is right, the change is another */
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 3");
    digest[63] = digest[63] == '0' ? '1' : '0';
    opened = logged(3, "x", 2, digest); /* a change 2 that was undone, put back */
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 3");
    opened = logged(3, "x", 2, "");
    must_disagree(f, &opened, "vault.db is at change 2, the log at change 3");
}

static void
files_are_for_the_owner_alone_whatever_the_umask(void **state)
{
    struct vault_fixture *f = *state;
    struct stat st;
    mode_t old = umask(0);

    create_vault(f);
    reopen_vault(f);
    (void)add_connection(f, "acme");
    (void)umask(old);
    assert_int_equal(fstatat(f->fd, "vault.db", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fstatat(f->fd, "vault.db-wal", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_not_equal(fstatat(f->fd, "vault.db-shm", &st, AT_SYMLINK_NOFOLLOW), 0);
}

static void
init_refuses_a_directory_that_is_not_empty(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    struct oxv_seal_input input = keyfile_input(f->keyfile);
    struct oxv_seal_record record = { .kind = OXV_SEAL_KEYFILE };
    struct oxv_vault_new options = { .seal = &input, .seal_record = &record };
    int fd = openat(f->fd, "something", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(oxv_vault_create(f->fd, &options, f->vkey, sizeof f->vkey, &err),
                     OXV_E_CONFLICT);
    assert_contains(err.text, "not empty: it has something");
}

static void
init_refuses_parameters_out_of_bounds_and_leaves_nothing(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    uint8_t salt[16];
    struct oxv_seal_record record = { 0 };
    struct oxv_seal_input input = { .kind = OXV_SEAL_PASSPHRASE, .stretched = f->keyfile };
    struct oxv_vault_new options = { .seal = &input, .seal_record = &record };

    oxv_passphrase_parameters(&record, salt);
    record.kdf_ops = 17;
    assert_int_equal(oxv_vault_create(f->fd, &options, f->vkey, sizeof f->vkey, &err), OXV_E_USAGE);
    assert_int_equal(rmdir(f->path), 0); /* it is empty */
    assert_int_equal(mkdir(f->path, 0700), 0);
}

static void
an_empty_directory_has_no_vault(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };

    assert_int_equal(open_vault(f, &err), OXV_E_NOT_FOUND);
    assert_contains(err.text, "there is no vault in");
}

static void
another_directory_than_the_one_opened_is_refused(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };

    oxv_vault_freep(&f->vault);
    assert_int_equal(oxv_vault_open("/tmp", f->fd, &f->vault, &err), OXV_E_USAGE);
    assert_null(f->vault);
}

static void
a_symbolic_link_is_no_vault(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };

    oxv_vault_freep(&f->vault);
    assert_int_equal(renameat(f->fd, "vault.db", f->fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("elsewhere", f->fd, "vault.db"), 0);
    assert_int_equal(open_vault(f, &err), OXV_E_STORE);
    assert_contains(err.text, "not a regular file");
}

static void
a_second_process_is_refused(void **state)
{
    struct vault_fixture *f = *state;
    pid_t child = fork();

    if (child == 0) {
        struct oxv_vault *second = NULL;
        struct oxv_err err = { 0 };
        enum oxv_status st = oxv_vault_open(f->path, f->fd, &second, &err);

        _exit(st == OXV_E_CONFLICT && strstr(err.text, "another process") != NULL ? 0 : 1);
    }
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
another_key_file_opens_nothing(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *other = oxv_secret_random(OXV_KEYFILE_BYTES);
    struct oxv_seal_input input = keyfile_input(other);

    oxv_vault_lock(f->vault);
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_LOCKED);
    assert_string_equal(err.text, "wrong key file, or seal 1 was changed");
    assert_false(oxv_vault_is_open(f->vault));
    assert_int_equal(unseal_vault(f, &err), OXV_OK);
}

static void
material_of_another_kind_or_length_is_refused(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *shorter = oxv_secret_random(31);
    struct oxv_seal_input input = { .kind = OXV_SEAL_PASSPHRASE, .stretched = f->keyfile };

    oxv_vault_lock(f->vault);
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_LOCKED);
    assert_string_equal(err.text, "the vault has no passphrase seal");
    input = keyfile_input(shorter);
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_USAGE);
    assert_string_equal(err.text, "a key file has exactly 32 bytes");
    input = keyfile_input(f->keyfile);
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 7, test_machine(), &err), OXV_E_LOCKED);
    input.stretched = f->keyfile;
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_USAGE);
}

static struct oxv_secret *
stretch(const struct oxv_seal_record *record, const char *passphrase)
{
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *text = oxv_secret_copy(oxv_view_text(passphrase));
    struct oxv_secret *out = NULL;

    assert_non_null(text);
    assert_int_equal(oxv_passphrase_stretch(text, record, &out, NULL), OXV_OK);
    return out;
}

/* Parameters that are quick. */
static void
quick_parameters(struct oxv_seal_record *record, uint8_t salt[16])
{
    oxv_passphrase_parameters(record, salt);
    record->kdf_ops = 1;
    record->kdf_memory_bytes = 8u << 20;
}

static void
a_passphrase_opens_what_it_sealed_and_no_other_does(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    uint8_t salt[16];
    struct oxv_seal_record record = { 0 };
    const struct oxv_seal *seals = NULL;

    quick_parameters(&record, salt);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *right = stretch(&record, "correct horse");
    struct oxv_seal_input input = { .kind = OXV_SEAL_PASSPHRASE, .stretched = right };
    struct oxv_vault_new options = { .seal = &input, .seal_record = &record };

    assert_int_equal(oxv_vault_create(f->fd, &options, f->vkey, sizeof f->vkey, &err), OXV_OK);
    assert_int_equal(open_vault(f, &err), OXV_OK);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 1); /* its parameters are readable */
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *wrong = stretch(&seals[0].record, "wrong horse");

    input.stretched = wrong;
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_LOCKED);
    assert_string_equal(err.text, "wrong passphrase, or seal 1 was changed");
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *again = stretch(&seals[0].record, "correct horse");

    input.stretched = again;
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 1, oxv_view(NULL, 0), &err), OXV_OK);
    assert_false(oxv_vault_is_machine_bound(f->vault)); /* made without a machine id */
}

static void
kdf_parameters_out_of_bounds_are_damage_and_nothing_is_computed(void **state)
{
    static const struct {
        uint64_t ops;
        uint64_t memory;
    } bad[] = {
        { 0, 8u << 20 },        { 17, 8u << 20 }, { UINT64_MAX, 8u << 20 },
        { 1, (8u << 20) - 1u }, { 1, 0 },         { 1, (UINT64_C(1) << 30) + 1 },
        { 1, UINT64_MAX },
    };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *text = oxv_secret_copy(oxv_view_text("p"));

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t salt[16];
        struct oxv_seal_record record = { 0 };
        struct oxv_secret *out = NULL;
        struct oxv_err err = { 0 };

        oxv_passphrase_parameters(&record, salt);
        record.kdf_ops = bad[i].ops;
        record.kdf_memory_bytes = bad[i].memory;
        uint64_t before = oxv_clock_boot_us();

        assert_int_equal(oxv_passphrase_stretch(text, &record, &out, &err), OXV_E_FORGED);
        assert_true(oxv_clock_boot_us() - before < 100000);
        assert_null(out);
        assert_contains(err.text, "out of bounds");
    }
}

static void
the_vault_is_bound_to_its_machine(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    struct oxv_seal_input input = keyfile_input(f->keyfile);

    assert_true(oxv_vault_is_machine_bound(f->vault));
    oxv_vault_lock(f->vault);
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, oxv_view_text("another"), &err),
                     OXV_E_CONFLICT);
    assert_contains(err.text, "oxvault adopt");
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, oxv_view(NULL, 0), &err),
                     OXV_E_CONFLICT);
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, oxv_view_text("uninitialized\n"), &err),
                     OXV_E_CONFLICT);
    assert_false(oxv_vault_is_open(f->vault));
    /* A newline more or less is the same machine. */
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0,
                                      oxv_view(TEST_MACHINE, sizeof TEST_MACHINE - 2), &err),
                     OXV_OK);
}

static void
a_locked_vault_has_no_records_and_signs_nothing(void **state)
{
    struct vault_fixture *f = *state;
    const struct oxv_seal *seals = NULL;
    char hash[65];

    (void)add_connection(f, "acme");
    assert_non_null(oxv_vault_connection(f->vault, oxv_view_text("acme")));
    oxv_vault_lock(f->vault);
    assert_false(oxv_vault_is_open(f->vault));
    assert_null(oxv_vault_connection(f->vault, oxv_view_text("acme")));
    assert_null(oxv_vault_next_connection(f->vault, 0));
    assert_null(oxv_vault_admin_by_uid(f->vault, TEST_ADMIN_UID));
    assert_null(oxv_vault_log_wrap_key(f->vault));
    assert_int_equal(oxv_vault_url_hash(f->vault, oxv_view_text("https://h/"), hash), OXV_E_LOCKED);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 1);
    assert_int_equal(unseal_vault(f, NULL), OXV_OK);
    assert_non_null(oxv_vault_connection(f->vault, oxv_view_text("acme")));
    assert_int_equal(unseal_vault(f, NULL), OXV_E_CONFLICT); /* open already */
}

static void
records_survive_a_restart(void **state)
{
    struct vault_fixture *f = *state;
    char before[65];
    char after[65];
    uint64_t id = add_connection(f, "acme");

    oxv_vault_digest_hex(f->vault, before);
    reopen_vault(f);
    oxv_vault_digest_hex(f->vault, after);
    assert_string_equal(before, after);
    assert_int_equal(oxv_vault_counter(f->vault), 2);
    struct oxv_connection *c = oxv_vault_connection(f->vault, oxv_view_text("acme"));

    assert_non_null(c);
    assert_int_equal(c->id, id);
    assert_int_equal(c->version, 2);
    assert_true(oxv_view_is(c->record.account_id, "123456_SB1"));
}

#ifdef OXV_TEST_HOOKS
static void
a_kill_at_any_step_of_init_leaves_what_open_refuses(void **state)
{
    static const char *const hooks[] = { "vault.create.marking:1", "vault.create.marked:1",
                                         "vault.create.logged:1", "vault.create.stored:1" };

    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        struct vault_fixture *f;

        (void)vault_setup_empty((void **)&f);
        pid_t child = fork();

        if (child == 0) {
            (void)setenv("OXV_HOOK", hooks[i], 1);
            create_vault(f);
            _exit(0);
        }
        int status = 0;

        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        struct oxv_err err = { 0 };

        assert_int_equal(open_vault(f, &err), OXV_E_STORE);
        assert_contains(err.text, "init or restore did not finish");
        (void)vault_teardown((void **)&f);
    }
    (void)state;
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_VAULT(test)    cmocka_unit_test_setup_teardown(test, vault_setup, vault_teardown)
#define WITHOUT_VAULT(test) cmocka_unit_test_setup_teardown(test, vault_setup_empty, vault_teardown)
        WITH_VAULT(a_new_vault_has_one_seal_one_admin_and_change_1),
        WITH_VAULT(the_log_of_a_new_vault_agrees_with_it),
        WITH_VAULT(the_log_decides_what_of_the_database_is_accepted),
        WITH_VAULT(one_behind_are_only_the_records_that_the_log_knows),
        WITHOUT_VAULT(files_are_for_the_owner_alone_whatever_the_umask),
        WITHOUT_VAULT(init_refuses_a_directory_that_is_not_empty),
        WITHOUT_VAULT(init_refuses_parameters_out_of_bounds_and_leaves_nothing),
        WITHOUT_VAULT(an_empty_directory_has_no_vault),
        WITH_VAULT(another_directory_than_the_one_opened_is_refused),
        WITH_VAULT(a_symbolic_link_is_no_vault),
        WITH_VAULT(a_second_process_is_refused),
        WITH_VAULT(another_key_file_opens_nothing),
        WITH_VAULT(material_of_another_kind_or_length_is_refused),
        WITHOUT_VAULT(a_passphrase_opens_what_it_sealed_and_no_other_does),
        WITHOUT_VAULT(kdf_parameters_out_of_bounds_are_damage_and_nothing_is_computed),
        WITH_VAULT(the_vault_is_bound_to_its_machine),
        WITH_VAULT(a_locked_vault_has_no_records_and_signs_nothing),
        WITH_VAULT(records_survive_a_restart),
#ifdef OXV_TEST_HOOKS
        cmocka_unit_test(a_kill_at_any_step_of_init_leaves_what_open_refuses),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
