/* Rekey: the same records under a new root key; killed at any step one of the two opens all. */
#include "test_vault_support.h"

#include <sys/wait.h>

#include "vault/rekey.h"

static const uint8_t second_key[OXV_KEYFILE_BYTES] = "the bytes of a second key file .";

static void
add_second_seal(struct vault_fixture *f)
{
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *second = oxv_secret_copy(oxv_view(second_key, sizeof second_key));
    struct oxv_seal_input existing = keyfile_input(f->keyfile);
    struct oxv_seal_input added = keyfile_input(second);
    struct oxv_seal_record record = { .kind = OXV_SEAL_KEYFILE, .created_us = 5 };
    struct oxv_change *change = begin_change(f);
    uint64_t id = 0;

    assert_int_equal(oxv_change_add_seal(change, &existing, &added, &record, &id, NULL), OXV_OK);
    finish_change(&change);
}

static enum oxv_status
rekey(struct vault_fixture *f, struct oxv_change *change, bool drop_others, struct oxv_err *err)
{
    struct oxv_seal_input input = keyfile_input(f->keyfile);
    const struct oxv_rekey_seal kept = { 1, &input };
    const struct oxv_rekey how = { .kept = &kept,
                                   .kept_count = 1,
                                   .drop_others = drop_others,
                                   .machine_id = test_machine(),
                                   .dir_fd = f->fd };

    return oxv_change_rekey(change, &how, err);
}

static void
must_rekey(struct vault_fixture *f)
{
    struct oxv_change *change = begin_change(f);
    struct oxv_err err = { 0 };

    if (rekey(f, change, true, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
    finish_change(&change);
}

static void
sign(struct vault_fixture *f, uint8_t out[32])
{
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    struct oxv_connection *acme = oxv_vault_connection(f->vault, oxv_view_text("acme"));
    size_t len = 0;

    assert_non_null(acme);
    assert_int_equal(oxv_vault_sign(f->vault, acme, oxv_view_text("m"), signature, &len, NULL),
                     OXV_OK);
    assert_int_equal(len, 32);
    memcpy(out, signature, 32);
}

static void
records_and_signatures_are_the_same_under_a_new_root_key(void **state)
{
    struct vault_fixture *f = *state;
    uint8_t before[32];
    uint8_t after[32];
    struct oxv_change *change = begin_change(f);
    uint64_t connection = put_connection(change, "acme");
    uint64_t caller = put_caller(change, "orders", 1001);

    (void)put_grant(change, caller, connection);
    (void)put_token(change, "serial=1", true);
    finish_change(&change);
    sign(f, before);
    uint64_t version = oxv_vault_connection(f->vault, oxv_view_text("acme"))->version;

    must_rekey(f);
    sign(f, after); /* at once */
    assert_memory_equal(before, after, sizeof before);
    reopen_vault(f);
    sign(f, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(oxv_vault_node(f->vault)->root_generation, 2);
    assert_int_equal(oxv_vault_connection(f->vault, oxv_view_text("acme"))->version, version);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_GRANT), 1);
    assert_true(oxv_vault_is_machine_bound(f->vault));
    (void)add_connection(f, "more"); /* and changes go on */
    must_rekey(f);
    reopen_vault(f);
    assert_int_equal(oxv_vault_node(f->vault)->root_generation, 3);
    assert_non_null(oxv_vault_connection(f->vault, oxv_view_text("more")));
}

static void
a_seal_that_is_not_given_goes_only_when_that_is_said(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *second = oxv_secret_copy(oxv_view(second_key, sizeof second_key));
    struct oxv_seal_input input = keyfile_input(second);

    add_second_seal(f);
    struct oxv_change *change = begin_change(f);

    assert_int_equal(rekey(f, change, false, &err), OXV_E_CONFLICT);
    assert_contains(err.text, "seal 2");
    assert_contains(err.text, "--drop-other-seals");
    oxv_change_free(change);
    assert_int_equal(oxv_vault_check_seal(f->vault, &input, 0, &err), OXV_OK);
    must_rekey(f);
    assert_int_equal(oxv_vault_check_seal(f->vault, &input, 0, &err), OXV_E_LOCKED);
    reopen_vault(f);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_SEAL), 1);
}

static void
a_wrong_material_changes_nothing(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *wrong = oxv_secret_random(OXV_KEYFILE_BYTES);
    struct oxv_seal_input input = keyfile_input(wrong);
    const struct oxv_rekey_seal kept = { 1, &input };
    const struct oxv_rekey how = { .kept = &kept, .kept_count = 1, .dir_fd = f->fd };
    struct oxv_change *change = begin_change(f);

    assert_int_equal(oxv_change_rekey(change, &how, &err), OXV_E_LOCKED);
    oxv_change_free(change);
    assert_int_equal(faccessat(f->fd, "rekey.old", F_OK, 0), -1);
    reopen_vault(f);
    assert_int_equal(oxv_vault_node(f->vault)->root_generation, 1);
}

static void
the_old_start_of_the_ratchet_opens_under_the_new_root_key_alone(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *start = oxv_secret_copy(oxv_secret_view(oxv_vault_log_wrap_key(f->vault)));
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *found = NULL;
    struct oxv_change *change = begin_change(f);

    assert_int_equal(rekey(f, change, true, &err), OXV_OK);
    assert_int_equal(oxv_rekey_old_start(f->vault, f->fd, &found, &err), OXV_E_NOT_FOUND);
    finish_change(&change);
    assert_int_equal(oxv_rekey_old_start(f->vault, f->fd, &found, &err), OXV_OK);
    assert_true(oxv_secret_equals(found, oxv_secret_view(start)));
    assert_false(oxv_secret_equals(oxv_vault_log_wrap_key(f->vault), oxv_secret_view(start)));
    assert_int_equal(oxv_rekey_forget(f->fd, &err), OXV_OK);
    assert_int_equal(oxv_rekey_forget(f->fd, &err), OXV_OK);
}

#ifdef OXV_TEST_HOOKS
static void
a_killed_rekey_leaves_the_old_root_key_or_the_new_one(void **state)
{
    static const struct {
        const char *hook;
        uint64_t generation;
    } points[] = { { "vault.rekey.kept:1", 1 },
                   { "vault.before_commit:1", 1 },
                   { "vault.after_commit:1", 2 } };

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        void *own = NULL;

        assert_int_equal(vault_setup(&own), 0);
        struct vault_fixture *f = own;

        (void)add_connection(f, "acme");
        oxv_vault_freep(&f->vault);
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            reopen_vault(f);
            (void)setenv("OXV_HOOK", points[i].hook, 1);
            must_rekey(f);
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        reopen_vault(f);
        assert_int_equal(oxv_vault_node(f->vault)->root_generation, points[i].generation);
        assert_non_null(oxv_vault_connection(f->vault, oxv_view_text("acme")));
        assert_int_equal(vault_teardown(&own), 0);
    }
}
#endif

int
main(void)
{
#define VAULT_TEST(name) cmocka_unit_test_setup_teardown(name, vault_setup, vault_teardown)
    const struct CMUnitTest tests[] = {
        VAULT_TEST(records_and_signatures_are_the_same_under_a_new_root_key),
        VAULT_TEST(a_seal_that_is_not_given_goes_only_when_that_is_said),
        VAULT_TEST(a_wrong_material_changes_nothing),
        VAULT_TEST(the_old_start_of_the_ratchet_opens_under_the_new_root_key_alone),
#ifdef OXV_TEST_HOOKS
        cmocka_unit_test(a_killed_rekey_leaves_the_old_root_key_or_the_new_one),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
