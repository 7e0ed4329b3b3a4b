/* Admin changes: all or nothing, unique, durable, and the same in memory and on the disk. */
#include "test_vault_support.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/hook.h"
#include "vault/change_impl.h"

static enum oxv_status
put_named(struct oxv_change *change, uint64_t *id, const char *name, struct oxv_err *err)
{
    struct netsuite_connection c;

    fill_connection(&c, name);
    return oxv_change_put(change, OXV_TABLE_CONNECTION, id, &c.record, *id == 0 ? &c.secret : NULL,
                          err);
}

static enum oxv_status
put_uid(struct oxv_change *change, enum oxv_table table, uint64_t uid, const char *name,
        struct oxv_err *err)
{
    struct oxv_caller_record caller = { .uid_plus1 = uid + 1,
                                        .created_us = 1,
                                        .name = oxv_view_text(name) };
    struct oxv_admin_record admin = { .uid_plus1 = uid + 1, .created_us = 1 };
    uint64_t id = 0;

    return oxv_change_put(change, table, &id,
                          table == OXV_TABLE_CALLER ? (const void *)&caller : (const void *)&admin,
                          NULL, err);
}

static struct oxv_connection *
find(struct vault_fixture *f, const char *name)
{
    return oxv_vault_connection(f->vault, oxv_view_text(name));
}

/* Memory and disk tell the same. */
static void
check_same_after_restart(struct vault_fixture *f)
{
    char before[65];
    char after[65];
    size_t count = oxv_vault_count(f->vault, OXV_TABLE_CONNECTION);

    oxv_vault_digest_hex(f->vault, before);
    reopen_vault(f);
    oxv_vault_digest_hex(f->vault, after);
    assert_string_equal(before, after);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_CONNECTION), count);
}

static void
nothing_is_seen_before_the_commit_and_all_after_it(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    uint64_t counter;
    char digest[65];
    char committed[65];

    assert_int_equal(put_connection(change, "acme"), 1);
    assert_int_equal(put_connection(change, "beta"), 2);
    assert_null(find(f, "acme"));
    assert_int_equal(oxv_vault_counter(f->vault), 1);
    assert_int_equal(oxv_change_prepare(change, &counter, digest, NULL), OXV_OK);
    assert_int_equal(counter, 2);
    assert_null(find(f, "acme"));
    assert_int_equal(oxv_change_commit(&change, NULL), OXV_OK);
    assert_null(change);
    assert_int_equal(find(f, "acme")->id, 1);
    assert_int_equal(find(f, "beta")->version, 2);
    assert_int_equal(oxv_vault_counter(f->vault), 2);
    oxv_vault_digest_hex(f->vault, committed);
    assert_string_equal(digest, committed);
    check_same_after_restart(f);
}

static void
a_freed_change_leaves_nothing(void **state)
{
    struct vault_fixture *f = *state;
    uint64_t counter;
    char digest[65];

    for (int prepared = 0; prepared < 2; prepared++) {
        struct oxv_change *change = begin_change(f);

        (void)put_connection(change, "acme");
        if (prepared == 1) {
            assert_int_equal(oxv_change_prepare(change, &counter, digest, NULL), OXV_OK);
        }
        oxv_change_free(change);
        assert_null(find(f, "acme"));
        assert_int_equal(oxv_vault_counter(f->vault), 1);
    }
    check_same_after_restart(f);
}

static void
one_change_at_a_time_and_only_while_open(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct oxv_change *second = NULL;

    assert_int_equal(oxv_change_begin(f->vault, &second, NULL), OXV_E_BUSY);
    oxv_change_free(change);
    assert_int_equal(oxv_change_begin(f->vault, &second, NULL), OXV_OK);
    oxv_change_freep(&second);
    oxv_vault_lock(f->vault);
    assert_int_equal(oxv_change_begin(f->vault, &second, NULL), OXV_E_LOCKED);
    assert_null(second);
}

static void
names_and_uids_are_unique(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    (void)add_connection(f, "acme");
    struct oxv_change *change = begin_change(f);

    assert_int_equal(put_named(change, &id, "acme", &err), OXV_E_CONFLICT);
    assert_string_equal(err.text, "connection 1 has this name already");
    assert_int_equal(id, 0);
    (void)put_connection(change, "beta");
    assert_int_equal(put_named(change, &id, "beta", &err), OXV_E_CONFLICT); /* of this change */
    (void)put_caller(change, "order-exchange", 1001);
    assert_int_equal(put_uid(change, OXV_TABLE_CALLER, 1002, "order-exchange", &err),
                     OXV_E_CONFLICT);
    assert_int_equal(put_uid(change, OXV_TABLE_CALLER, 1001, "another", &err), OXV_E_CONFLICT);
    assert_string_equal(err.text, "caller 1 has this uid already");
    assert_int_equal(put_uid(change, OXV_TABLE_ADMIN, TEST_ADMIN_UID, "", &err), OXV_E_CONFLICT);
    assert_int_equal(put_uid(change, OXV_TABLE_ADMIN, 0, "", &err), OXV_OK);
    finish_change(&change); /* a refused put spoils nothing */
    assert_non_null(find(f, "beta"));
    assert_non_null(oxv_vault_caller_by_uid(f->vault, 1001));
    assert_non_null(oxv_vault_caller(f->vault, oxv_view_text("order-exchange")));
    assert_null(oxv_vault_caller_by_uid(f->vault, 1002));
    assert_non_null(oxv_vault_admin_by_uid(f->vault, 0));
    check_same_after_restart(f);
}

static void
a_name_that_was_given_up_can_be_taken_in_the_same_change(void **state)
{
    struct vault_fixture *f = *state;
    uint64_t acme = add_connection(f, "acme");
    uint64_t beta = add_connection(f, "beta");
    struct oxv_change *change = begin_change(f);

    assert_int_equal(put_named(change, &beta, "gamma", NULL), OXV_OK);
    assert_int_equal(put_named(change, &acme, "beta", NULL), OXV_OK);
    assert_int_equal(put_named(change, &beta, "acme", NULL), OXV_OK); /* replaced twice */
    assert_int_equal(find(f, "acme")->id, 1);                         /* still */
    finish_change(&change);
    assert_int_equal(find(f, "acme")->id, 2);
    assert_int_equal(find(f, "beta")->id, 1);
    assert_null(find(f, "gamma"));
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_CONNECTION), 2);
    check_same_after_restart(f);
}

static void
an_id_is_never_given_twice(void **state)
{
    struct vault_fixture *f = *state;

    (void)add_connection(f, "acme");
    struct oxv_change *change = begin_change(f);

    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, 1, NULL), OXV_OK);
    assert_int_equal(put_connection(change, "acme"), 2);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, 2, NULL), OXV_OK);
    finish_change(&change);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_CONNECTION), 0);
    reopen_vault(f);
    assert_int_equal(add_connection(f, "acme"), 3);
}

static void
what_does_not_exist_is_not_found(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct oxv_grant_record grant = plain_grant(1, 1);
    struct oxv_err err = { 0 };
    uint64_t id = 9;
    uint64_t fresh = 0;

    assert_int_equal(put_named(change, &id, "acme", &err), OXV_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no connection 9");
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_GRANT, 1, &err), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_GRANT, &fresh, &grant, NULL, &err),
                     OXV_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no caller 1");
    (void)put_caller(change, "order-exchange", 1001);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_GRANT, &fresh, &grant, NULL, &err),
                     OXV_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no connection 1");
    oxv_change_free(change);
}

static void
a_connection_or_caller_takes_its_grants_along(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    uint64_t acme = put_connection(change, "acme");
    uint64_t beta = put_connection(change, "beta");
    uint64_t first = put_caller(change, "first", 1001);
    uint64_t second = put_caller(change, "second", 1002);

    (void)put_grant(change, first, acme);
    (void)put_grant(change, first, beta);
    uint64_t kept = put_grant(change, second, beta);

    finish_change(&change);
    change = begin_change(f);
    (void)put_grant(change, second, acme); /* of the same change */
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, acme, NULL), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CALLER, first, NULL), OXV_OK);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_GRANT), 3);
    finish_change(&change);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_GRANT), 1);
    assert_int_equal(oxv_vault_pair_grant(f->vault, second, beta, 0)->id, kept);
    assert_null(oxv_vault_pair_grant(f->vault, first, beta, 0));
    assert_null(oxv_vault_pair_grant(f->vault, second, acme, 0));
    check_same_after_restart(f);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_GRANT), 1);
}

static void
grants_of_a_pair_come_in_order_of_id_and_are_limited(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    uint64_t acme = put_connection(change, "acme");
    uint64_t caller = put_caller(change, "order-exchange", 1001);
    struct oxv_grant_record record = plain_grant(caller, acme);
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    for (size_t i = 1; i <= 64; i++) {
        assert_int_equal(put_grant(change, caller, acme), i);
    }
    assert_int_equal(oxv_change_put(change, OXV_TABLE_GRANT, &id, &record, NULL, &err),
                     OXV_E_LIMIT);
    finish_change(&change);
    change = begin_change(f);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_GRANT, 1, NULL), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_GRANT, 33, NULL), OXV_OK);
    id = 2;
    record.rate_count = 5;
    record.rate_period_s = 1;
    assert_int_equal(oxv_change_put(change, OXV_TABLE_GRANT, &id, &record, NULL, &err), OXV_OK);
    finish_change(&change);
    assert_int_equal(oxv_vault_pair_grant(f->vault, caller, acme, 0)->id, 2);
    assert_int_equal(oxv_vault_pair_grant(f->vault, caller, acme, 0)->record.rate_count, 5);
    assert_int_equal(oxv_vault_pair_grant(f->vault, caller, acme, 30)->id, 32);
    assert_int_equal(oxv_vault_pair_grant(f->vault, caller, acme, 31)->id, 34);
    assert_int_equal(oxv_vault_pair_grant(f->vault, caller, acme, 61)->id, 64);
    assert_null(oxv_vault_pair_grant(f->vault, caller, acme, 62));
    check_same_after_restart(f);
    assert_int_equal(oxv_vault_pair_grant(f->vault, caller, acme, 31)->id, 34);
}

static void
rows_that_a_change_does_not_touch_stay_where_they_are(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    uint64_t acme = put_connection(change, "acme");
    uint64_t caller = put_caller(change, "order-exchange", 1001);

    (void)put_grant(change, caller, acme);
    finish_change(&change);
    struct oxv_connection *before = find(f, "acme");
    struct oxv_grant *grant = oxv_vault_grant_by_id(f->vault, 1);

    grant->bucket_full_at_ns = 77;
    (void)add_connection(f, "beta");
    assert_ptr_equal(find(f, "acme"), before);
    assert_int_equal(oxv_vault_grant_by_id(f->vault, 1)->bucket_full_at_ns, 77);
}

static void
the_last_admin_and_the_last_seal_stay(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_change_remove(change, OXV_TABLE_ADMIN, 1, &err), OXV_E_CONFLICT);
    assert_string_equal(err.text, "admin 1 is the last one: add another first");
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_SEAL, 1, &err), OXV_E_CONFLICT);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_NODE, 1, &err), OXV_E_USAGE);
    assert_int_equal(put_uid(change, OXV_TABLE_ADMIN, 0, "", &err), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_ADMIN, 1, &err), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_ADMIN, 2, &err), OXV_E_CONFLICT);
    finish_change(&change);
    assert_null(oxv_vault_admin_by_uid(f->vault, TEST_ADMIN_UID));
    assert_non_null(oxv_vault_admin_by_uid(f->vault, 0));
}

static enum oxv_status
add_seal(struct oxv_change *change, const struct oxv_secret *existing,
         const struct oxv_secret *added, struct oxv_err *err)
{
    struct oxv_seal_input old = keyfile_input(existing);
    struct oxv_seal_input new = keyfile_input(added);
    struct oxv_seal_record record = { .kind = OXV_SEAL_KEYFILE, .created_us = 1 };
    uint64_t id = 0;

    return oxv_change_add_seal(change, &old, &new, &record, &id, err);
}

static void
a_second_seal_opens_the_vault_and_replaces_the_first(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct oxv_err err = { 0 };
    const struct oxv_seal *seals = NULL;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *second = oxv_secret_random(OXV_KEYFILE_BYTES);

    assert_int_equal(add_seal(change, second, second, &err), OXV_E_LOCKED); /* needs an old one */
    assert_int_equal(add_seal(change, f->keyfile, second, &err), OXV_OK);
    finish_change(&change);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 2);
    assert_int_equal(seals[1].id, 2);
    reopen_vault(f);
    change = begin_change(f);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_SEAL, 1, &err), OXV_OK);
    finish_change(&change);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 1);
    oxv_vault_lock(f->vault);
    assert_int_equal(unseal_vault(f, &err), OXV_E_LOCKED);
    assert_string_equal(err.text, "wrong key file, or seal 2 was changed");
    oxv_secret_free(f->keyfile);
    f->keyfile = oxv_secret_take(&second);
    assert_int_equal(unseal_vault(f, &err), OXV_OK);
}

static void
at_most_16_seals(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct oxv_err err = { 0 };

    for (size_t i = 2; i <= OXV_SEALS_MAX; i++) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = oxv_secret_random(OXV_KEYFILE_BYTES);

        assert_int_equal(add_seal(change, f->keyfile, key, &err), OXV_OK);
    }
    assert_int_equal(add_seal(change, f->keyfile, f->keyfile, &err), OXV_E_LIMIT);
    finish_change(&change);
    check_same_after_restart(f);
}

static void
what_breaks_a_rule_is_not_put(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    fill_connection(&c, "acme");
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, NULL, &err),
                     OXV_E_USAGE);
    assert_string_equal(err.text, "key: missing");
    c.secret.key.len = 31;
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, &err),
                     OXV_E_USAGE);
    fill_connection(&c, "no spaces");
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, &err),
                     OXV_E_USAGE);
    assert_contains(err.text, "name:");
    assert_int_equal(oxv_change_put(change, OXV_TABLE_SEAL, &id, &c.record, NULL, &err),
                     OXV_E_USAGE);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_NODE, &id, &c.record, NULL, &err),
                     OXV_E_USAGE);
    assert_int_equal(put_connection(change, "acme"), 1); /* no id was used up */
    /* A method that the kept key does not fit. */
    id = 1;
    fill_connection(&c, "acme");
    c.record.system = OXV_SYSTEM_OAUTH1;
    c.record.account_id = oxv_view(NULL, 0);
    c.record.signature_method = OXV_HMAC_SHA512;
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, NULL, &err),
                     OXV_E_USAGE);
    assert_contains(err.text, "key: 64 or 128 bytes for HMAC-SHA512");
    oxv_change_free(change);
}

static void
locking_undoes_an_open_change(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    uint64_t id = 0;
    uint64_t counter;
    char digest[65];
    uint64_t acme = add_connection(f, "acme");

    for (int prepared = 0; prepared < 2; prepared++) {
        struct oxv_change *change = begin_change(f);

        (void)put_connection(change, "beta");
        assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, acme, NULL), OXV_OK);
        if (prepared == 1) {
            assert_int_equal(oxv_change_prepare(change, &counter, digest, NULL), OXV_OK);
        }
        oxv_vault_lock(f->vault);
        if (prepared == 1) {
            assert_int_equal(oxv_change_commit(&change, &err), OXV_E_LOCKED);
        } else {
            assert_int_equal(put_named(change, &id, "gamma", &err), OXV_E_LOCKED);
            assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, 1, &err),
                             OXV_E_LOCKED);
            assert_int_equal(oxv_change_prepare(change, &counter, digest, &err), OXV_E_LOCKED);
            oxv_change_freep(&change);
        }
        assert_null(change);
        assert_int_equal(unseal_vault(f, &err), OXV_OK);
        assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_CONNECTION), 1);
        assert_non_null(find(f, "acme"));
    }
}

static void
a_vault_closed_with_a_change_open_is_unchanged(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);

    (void)put_connection(change, "acme");
    reopen_vault(f);
    oxv_change_free(change);
    assert_null(find(f, "acme"));
}

static void
signing_goes_on_while_a_change_is_open(void **state)
{
    struct vault_fixture *f = *state;
    uint64_t acme = add_connection(f, "acme");
    struct oxv_change *change = begin_change(f);
    uint8_t before[OXV_SIGNATURE_MAX_BYTES];
    uint8_t during[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;

    assert_int_equal(oxv_vault_sign(f->vault, find(f, "acme"), oxv_view_text("m"), before, &len,
                                    NULL),
                     OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, acme, NULL), OXV_OK);
    assert_int_equal(put_connection(change, "acme"), 2);
    assert_int_equal(oxv_vault_sign(f->vault, find(f, "acme"), oxv_view_text("m"), during, &len,
                                    NULL),
                     OXV_OK);
    assert_int_equal(len, 32);
    assert_memory_equal(before, during, 32);
    assert_int_equal(find(f, "acme")->id, 1);
    finish_change(&change);
    assert_int_equal(find(f, "acme")->id, 2);
}

static void
a_replaced_row_keeps_its_secret_or_takes_a_new_one(void **state)
{
    struct vault_fixture *f = *state;
    uint64_t id = add_connection(f, "acme");
    struct netsuite_connection c;
    uint8_t old[OXV_SIGNATURE_MAX_BYTES];
    uint8_t now[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;

    assert_int_equal(oxv_vault_sign(f->vault, find(f, "acme"), oxv_view_text("m"), old, &len, NULL),
                     OXV_OK);
    struct oxv_change *change = begin_change(f);

    assert_int_equal(put_named(change, &id, "renamed", NULL), OXV_OK);
    finish_change(&change);
    assert_int_equal(oxv_vault_sign(f->vault, find(f, "renamed"), oxv_view_text("m"), now, &len,
                                    NULL),
                     OXV_OK);
    assert_memory_equal(old, now, 32);
    change = begin_change(f);
    fill_connection(&c, "renamed");
    memset(c.key, 'n', sizeof c.key);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, NULL),
                     OXV_OK);
    finish_change(&change);
    reopen_vault(f);
    assert_int_equal(oxv_vault_sign(f->vault, find(f, "renamed"), oxv_view_text("m"), now, &len,
                                    NULL),
                     OXV_OK);
    assert_memory_not_equal(old, now, 32);
}

static void
a_large_change_fits_and_can_be_undone(void **state)
{
    struct vault_fixture *f = *state;
    char name[32];
    const size_t many = 5000;

    for (int round = 0; round < 2; round++) {
        struct oxv_change *change = begin_change(f);

        for (size_t i = 0; i < many; i++) {
            assert_int_equal(oxv_format(name, sizeof name, "c-%zu", i), OXV_OK);
            (void)put_connection(change, name);
        }
        if (round == 0) {
            oxv_change_free(change);
            assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_CONNECTION), 0);
        } else {
            finish_change(&change);
        }
    }
    check_same_after_restart(f);
    assert_int_equal(find(f, "c-4999")->id, many);
    struct oxv_change *change = begin_change(f);

    for (uint64_t id = 1; id <= many; id++) {
        if (id % 3 != 0) {
            assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, id, NULL), OXV_OK);
        }
    }
    finish_change(&change);
    check_same_after_restart(f);
    uint64_t wanted = 3;

    for (struct oxv_connection *c = oxv_vault_next_connection(f->vault, 0); c != NULL;
         c = oxv_vault_next_connection(f->vault, c->id)) {
        assert_int_equal(c->id, wanted);
        assert_ptr_equal(oxv_vault_connection_by_id(f->vault, c->id), c);
        assert_ptr_equal(oxv_vault_connection(f->vault, c->record.name), c);
        wanted += 3;
    }
    assert_int_equal(wanted, 5001);
}

/* A small model beside the vault: which names exist, and with which id. */
#define MODEL_NAMES 12u

static void
random_step(struct oxv_change *change, uint64_t ids[MODEL_NAMES], unsigned *seed)
{
    size_t which = (size_t)rand_r(seed) % MODEL_NAMES;
    char name[16];

    assert_int_equal(oxv_format(name, sizeof name, "n%zu", which), OXV_OK);
    if (ids[which] == 0) {
        ids[which] = put_connection(change, name);
        return;
    }
    uint64_t id = ids[which];

    if (rand_r(seed) % 2 == 0) {
        assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, id, NULL), OXV_OK);
        ids[which] = 0;
    } else {
        assert_int_equal(put_named(change, &id, name, NULL), OXV_OK);
    }
}

static void
random_changes_agree_with_a_model(void **state)
{
    struct vault_fixture *f = *state;
    uint64_t ids[MODEL_NAMES] = { 0 };
    unsigned seed = 20240607;

    for (size_t round = 0; round < 60; round++) {
        struct oxv_change *change = begin_change(f);
        uint64_t tried[MODEL_NAMES];

        memcpy(tried, ids, sizeof ids);
        for (int i = rand_r(&seed) % 20; i > 0; i--) {
            random_step(change, tried, &seed);
        }
        if (rand_r(&seed) % 3 == 0) {
            oxv_change_freep(&change);
        } else {
            finish_change(&change);
            memcpy(ids, tried, sizeof ids);
        }
        for (size_t i = 0; i < MODEL_NAMES; i++) {
            char name[16];

            assert_int_equal(oxv_format(name, sizeof name, "n%zu", i), OXV_OK);
            struct oxv_connection *c = find(f, name);

            assert_int_equal(c == NULL ? 0 : c->id, ids[i]);
        }
        if (round % 10 == 9) {
            check_same_after_restart(f);
        }
    }
}

static bool
is_wiped(const struct oxv_secret *secret)
{
    struct oxv_view bytes = oxv_secret_view(secret);

    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0) {
            return false;
        }
    }
    return bytes.len > 0;
}

static void
no_put_leaves_the_secret_part_behind_taken_or_refused(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    static const uint8_t too_long[OXV_KEPT_SECRET_MAX_BYTES + 1] = { 1 };
    struct netsuite_connection c;
    uint64_t id = 0;

    fill_connection(&c, "acme");
    c.secret.token_secret = oxv_view(too_long, sizeof too_long); /* after the key is encoded */
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, NULL),
                     OXV_E_USAGE);
    assert_true(is_wiped(change->plain));
    c.secret.token_secret = oxv_view(NULL, 0);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, NULL),
                     OXV_OK);
    assert_true(is_wiped(change->plain));
    oxv_change_free(change);
}

#ifdef OXV_TEST_HOOKS
/* A child that dies at `hook` while it adds "acme"; its digest comes back through the pipe. */
static void
die_in_a_change(struct vault_fixture *f, const char *hook, char digest[65])
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    oxv_vault_freep(&f->vault);
    pid_t child = fork();

    if (child == 0) {
        uint64_t counter;
        char mine[65];

        reopen_vault(f);
        (void)setenv("OXV_HOOK", hook, 1);
        struct oxv_change *change = begin_change(f);

        (void)put_connection(change, "acme");
        if (oxv_change_prepare(change, &counter, mine, NULL) != OXV_OK ||
            oxv_write_all(ends[1], oxv_view(mine, 65)) != OXV_OK) {
            _exit(2);
        }
        _exit(oxv_change_commit(&change, NULL) == OXV_OK ? 0 : 1);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(read(ends[0], digest, 65), 65);
    (void)close(ends[0]);
    (void)close(ends[1]);
    reopen_vault(f);
}

/* What the log tells after a change 2 that lacks its change.done. */
static struct oxv_log_opened
logged_second_change(const char *digest, const char *before)
{
    struct oxv_log_opened opened = { .last_cfg = 2, .last_done_cfg = 1, .before_cfg = 1 };

    (void)snprintf(opened.last_cfg_digest, sizeof opened.last_cfg_digest, "%s", digest);
    (void)snprintf(opened.before_cfg_digest, sizeof opened.before_cfg_digest, "%s", before);
    return opened;
}

static void
a_kill_before_the_commit_leaves_the_vault_one_behind(void **state)
{
    struct vault_fixture *f = *state;
    char digest[65];
    char before[65];
    enum oxv_log_agreement agreement = OXV_AGREES;

    oxv_vault_digest_hex(f->vault, before);
    die_in_a_change(f, "vault.before_commit:1", digest);
    assert_null(find(f, "acme"));
    assert_int_equal(oxv_vault_counter(f->vault), 1);
    struct oxv_log_opened opened = logged_second_change(digest, before);

    assert_int_equal(oxv_vault_compare_log(f->vault, &opened, &agreement, NULL), OXV_OK);
    assert_int_equal(agreement, OXV_ONE_BEHIND);
}

static void
a_kill_after_the_commit_loses_nothing(void **state)
{
    struct vault_fixture *f = *state;
    char digest[65];
    char before[65];
    enum oxv_log_agreement agreement = OXV_AGREES;

    oxv_vault_digest_hex(f->vault, before);
    die_in_a_change(f, "vault.after_commit:1", digest);
    assert_non_null(find(f, "acme"));
    struct oxv_log_opened opened = logged_second_change(digest, before);

    assert_int_equal(oxv_vault_compare_log(f->vault, &opened, &agreement, NULL), OXV_OK);
    assert_int_equal(agreement, OXV_AGREES_NOT_DONE);
}

static void
a_commit_that_fails_changes_no_record_and_stops_further_changes(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct oxv_change *next = NULL;
    struct oxv_err err = { 0 };
    uint64_t counter;
    char digest[65];

    (void)put_connection(change, "acme");
    assert_int_equal(oxv_change_prepare(change, &counter, digest, &err), OXV_OK);
    (void)setenv("OXV_HOOK", "vault.before_commit:fail:1", 1);
    assert_int_equal(oxv_change_commit(&change, &err), OXV_E_STORE);
    (void)unsetenv("OXV_HOOK");
    assert_null(change);
    assert_null(find(f, "acme"));
    assert_int_equal(oxv_change_begin(f->vault, &next, &err), OXV_E_STORE);
    reopen_vault(f);
    assert_int_equal(add_connection(f, "acme"), 1);
}
#endif

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, vault_setup, vault_teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_is_seen_before_the_commit_and_all_after_it),
        T(a_freed_change_leaves_nothing),
        T(one_change_at_a_time_and_only_while_open),
        T(names_and_uids_are_unique),
        T(a_name_that_was_given_up_can_be_taken_in_the_same_change),
        T(an_id_is_never_given_twice),
        T(what_does_not_exist_is_not_found),
        T(a_connection_or_caller_takes_its_grants_along),
        T(grants_of_a_pair_come_in_order_of_id_and_are_limited),
        T(rows_that_a_change_does_not_touch_stay_where_they_are),
        T(the_last_admin_and_the_last_seal_stay),
        T(a_second_seal_opens_the_vault_and_replaces_the_first),
        T(at_most_16_seals),
        T(what_breaks_a_rule_is_not_put),
        T(locking_undoes_an_open_change),
        T(a_vault_closed_with_a_change_open_is_unchanged),
        T(signing_goes_on_while_a_change_is_open),
        T(a_replaced_row_keeps_its_secret_or_takes_a_new_one),
        T(a_large_change_fits_and_can_be_undone),
        T(random_changes_agree_with_a_model),
        T(no_put_leaves_the_secret_part_behind_taken_or_refused),
#ifdef OXV_TEST_HOOKS
        T(a_kill_before_the_commit_leaves_the_vault_one_behind),
        T(a_kill_after_the_commit_loses_nothing),
        T(a_commit_that_fails_changes_no_record_and_stops_further_changes),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
