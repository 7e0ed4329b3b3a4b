/* Tokens in the vault: seals of kind token, rows of tokens, connections whose key is in one. */
#include "test_vault_support.h"

#include "vault/seal.h"

static struct oxv_connection *
find(struct vault_fixture *f, const char *name)
{
    return oxv_vault_connection(f->vault, oxv_view_text(name));
}

static enum oxv_status
put_in_token(struct oxv_change *change, uint64_t *id, const struct netsuite_connection *c,
             struct oxv_err *err)
{
    return oxv_change_put(change, OXV_TABLE_CONNECTION, id, &c->record, &c->secret, err);
}

/* One more connection with its key in token 1; its CKA_ID is that of the name's first letter. */
static uint64_t
add_in_token(struct oxv_change *change, const char *name, uint64_t form)
{
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    fill_token_connection(&c, name, form);
    if (put_in_token(change, &id, &c, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
    return id;
}

static void
a_token_is_found_by_id_and_uri(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct token_fields t;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    assert_int_equal(put_token(change, "serial=1", true), 1);
    assert_int_equal(put_token(change, "serial=2", false), 2);
    fill_token(&t, "serial=1", false);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err),
                     OXV_E_CONFLICT);
    assert_string_equal(err.text, "token 1 has this token_uri already");
    assert_null(oxv_vault_token_by_id(f->vault, 1));
    finish_change(&change);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_TOKEN), 2);
        assert_int_equal(oxv_vault_token_by_uri(f->vault, t.record.token_uri)->id, 1);
        assert_int_equal(oxv_vault_token_by_id(f->vault, 1)->record.oaep, OXV_TOKEN_OAEP_SHA1);
        assert_int_equal(oxv_vault_next_token(f->vault, 1)->record.pair_id.len, 0);
        assert_null(oxv_vault_next_token(f->vault, 2));
        assert_null(oxv_vault_token_by_uri(f->vault, oxv_view_text("pkcs11:token=ci")));
        reopen_vault(f);
    }
    oxv_vault_lock(f->vault);
    assert_null(oxv_vault_token_by_id(f->vault, 1));
}

static void
a_token_without_a_whole_pair_is_not_put(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct token_fields t;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    fill_token(&t, "serial=1", true);
    t.record.oaep = 0;
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err),
                     OXV_E_USAGE);
    fill_token(&t, "serial=1", false);
    t.record.module = oxv_view(NULL, 0);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err),
                     OXV_E_USAGE);
    assert_contains(err.text, "token: module is missing");
    assert_int_equal(id, 0);
    oxv_change_free(change);
}

static void
a_connection_names_a_token_that_is_there(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    fill_token_connection(&c, "acme", OXV_KEY_TOKEN);
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no token 1");
    (void)put_token(change, "serial=1", false);
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_OK); /* of this very change */
    id = 0;
    fill_token_connection(&c, "beta", OXV_KEY_UNWRAP);
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_E_USAGE);
    assert_string_equal(err.text, "key_form: token 1 has no key that unwraps");
    finish_change(&change);
    change = begin_change(f);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, 1, &err), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_TOKEN, 1, &err), OXV_OK);
    fill_token_connection(&c, "gamma", OXV_KEY_TOKEN);
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_E_NOT_FOUND); /* it leaves */
    finish_change(&change);
    assert_int_equal(oxv_vault_count(f->vault, OXV_TABLE_TOKEN), 0);
}

static void
k0_of_a_token_is_never_stored(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    (void)put_token(change, "serial=1", true);
    fill_token_connection(&c, "acme", OXV_KEY_TOKEN);
    c.secret.key = oxv_view(c.key, 32);
    assert_int_equal(oxv_connection_secret_check(&c.record, &c.secret, NULL), OXV_OK);
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_E_USAGE);
    assert_string_equal(err.text, "key: it is the token's, the vault keeps none of it");
    c.secret.key = oxv_view(NULL, 0);
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_OK);
    oxv_change_free(change);
}

static void
a_key_of_a_token_is_one_connections(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    (void)put_token(change, "serial=1", true);
    (void)put_token(change, "serial=2", true);
    (void)add_in_token(change, "acme", OXV_KEY_TOKEN);
    for (int committed = 0; committed < 2; committed++) {
        fill_token_connection(&c, "another", OXV_KEY_UNWRAP); /* the same CKA_ID */
        assert_int_equal(put_in_token(change, &id, &c, &err), OXV_E_CONFLICT);
        assert_string_equal(err.text, "connection 1 has this key of the token already");
        finish_change(&change);
        change = begin_change(f);
    }
    c.record.key_token = 2;
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_OK); /* in another token */
    id = 1;
    fill_token_connection(&c, "acme", OXV_KEY_UNWRAP); /* a connection may keep its own */
    assert_int_equal(put_in_token(change, &id, &c, &err), OXV_OK);
    finish_change(&change);
}

static void
a_token_with_keys_is_neither_removed_nor_exchanged(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct token_fields t;
    struct oxv_err err = { 0 };
    uint64_t id = put_token(change, "serial=1", true);
    uint64_t second = 0;

    (void)add_in_token(change, "acme", OXV_KEY_UNWRAP);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_TOKEN, id, &err), OXV_E_CONFLICT);
    oxv_change_freep(&change);
    change = begin_change(f);
    (void)put_token(change, "serial=1", true);
    (void)add_in_token(change, "acme", OXV_KEY_UNWRAP);
    second = add_in_token(change, "beta", OXV_KEY_TOKEN);
    finish_change(&change);
    change = begin_change(f);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_TOKEN, id, &err), OXV_E_CONFLICT);
    assert_string_equal(err.text,
                        "token 1 has the keys of 2 connections: move or remove them first");
    oxv_change_freep(&change);
    change = begin_change(f);
    fill_token(&t, "serial=1", true);
    t.record.module = oxv_view_text("/opt/vendor/new.so"); /* the module may move */
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err), OXV_OK);
    t.public_key[7] ^= 1;
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err),
                     OXV_E_CONFLICT);
    assert_contains(err.text, "token 1 has keys of connections");
    fill_token(&t, "serial=9", true);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err),
                     OXV_E_CONFLICT);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, second, &err), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, 1, &err), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_TOKEN, id, &err), OXV_OK);
    finish_change(&change);
    assert_null(oxv_vault_token_by_id(f->vault, id));
}

static void
assert_uses(const struct vault_fixture *f, uint64_t first, uint64_t second)
{
    assert_int_equal(oxv_vault_connections_in_token(f->vault, 1), first);
    assert_int_equal(oxv_vault_connections_in_token(f->vault, 2), second);
    assert_int_equal(oxv_vault_connections_in_token(f->vault, 3), 0);
}

static void
connections_in_tokens_are_counted_as_they_change(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct token_fields t;
    struct netsuite_connection c;
    uint64_t first = put_token(change, "serial=1", true);
    uint64_t id;

    (void)put_token(change, "serial=2", true);
    (void)add_in_token(change, "acme", OXV_KEY_UNWRAP);
    id = add_in_token(change, "beta", OXV_KEY_TOKEN);
    (void)add_in_token(change, "gone", OXV_KEY_TOKEN);
    assert_uses(f, 0, 0); /* not before the commit */
    finish_change(&change);
    assert_uses(f, 3, 0);
    change = begin_change(f);
    fill_token_connection(&c, "beta", OXV_KEY_TOKEN);
    c.record.key_token = 2;
    assert_int_equal(put_in_token(change, &id, &c, NULL), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, 3, NULL), OXV_OK);
    fill_token(&t, "serial=1", true);
    t.record.module = oxv_view_text("/opt/vendor/new.so");
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &first, &t.record, NULL, NULL),
                     OXV_OK);
    finish_change(&change);
    assert_uses(f, 1, 1);
    change = begin_change(f);
    (void)add_in_token(change, "lost", OXV_KEY_TOKEN);
    oxv_change_freep(&change); /* given up */
    assert_uses(f, 1, 1);
    reopen_vault(f);
    assert_uses(f, 1, 1);
    oxv_vault_lock(f->vault);
    assert_uses(f, 0, 0);
}

static void
a_token_without_a_pair_may_get_one_later(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct token_fields t;
    uint64_t id = put_token(change, "serial=1", false);

    (void)add_in_token(change, "acme", OXV_KEY_TOKEN);
    finish_change(&change);
    change = begin_change(f);
    fill_token(&t, "serial=1", true);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, NULL), OXV_OK);
    (void)add_in_token(change, "beta", OXV_KEY_UNWRAP);
    fill_token(&t, "serial=1", false); /* and not lose it again */
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, NULL),
                     OXV_E_CONFLICT);
    finish_change(&change);
}

static void
moving_to_the_vault_frees_the_token(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct netsuite_connection c;
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;
    uint64_t id;

    (void)put_token(change, "serial=1", true);
    id = add_in_token(change, "acme", OXV_KEY_UNWRAP);
    finish_change(&change);
    change = begin_change(f);
    fill_connection(&c, "acme");
    assert_int_equal(put_in_token(change, &id, &c, NULL), OXV_OK);
    assert_int_equal(oxv_change_remove(change, OXV_TABLE_TOKEN, 1, NULL), OXV_OK);
    finish_change(&change);
    assert_int_equal(oxv_vault_sign(f->vault, find(f, "acme"), oxv_view_text("m"), signature, &len,
                                    NULL),
                     OXV_OK);
    assert_int_equal(len, 32);
}

static void
the_vault_signs_with_no_key_of_a_token(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES] = { 7 };
    struct oxv_err err = { 0 };
    size_t len = 7;

    (void)put_token(change, "serial=1", true);
    (void)add_in_token(change, "unwrap", OXV_KEY_UNWRAP);
    (void)add_in_token(change, "token", OXV_KEY_TOKEN);
    (void)add_in_token(change, "pre", OXV_KEY_PRE_PROVISIONED);
    finish_change(&change);
    static const char *const names[] = { "unwrap", "token", "pre" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(oxv_vault_sign(f->vault, find(f, names[i]), oxv_view_text("m"), signature,
                                        &len, &err),
                         OXV_E_USAGE);
        assert_contains(err.text, "its key is in a token");
        assert_int_equal(len, 7);
        assert_int_equal(signature[0], 7);
    }
}

static void
the_blob_and_the_check_value_come_back(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_change *change = begin_change(f);
    struct netsuite_connection c;
    struct oxv_secret *blob = NULL;
    struct oxv_secret *check = NULL;
    struct oxv_err err = { 0 };

    (void)put_token(change, "serial=1", true);
    (void)add_in_token(change, "unwrap", OXV_KEY_UNWRAP);
    (void)add_in_token(change, "token", OXV_KEY_TOKEN);
    (void)put_connection(change, "acme");
    finish_change(&change);
    reopen_vault(f);
    fill_token_connection(&c, "unwrap", OXV_KEY_UNWRAP);
    assert_int_equal(oxv_vault_token_key(f->vault, find(f, "unwrap"), &blob, &check, &err), OXV_OK);
    assert_true(oxv_secret_equals(blob, c.secret.key));
    assert_true(oxv_secret_equals(check, c.secret.check_value));
    oxv_secret_freep(&blob);
    oxv_secret_freep(&check);
    assert_int_equal(oxv_vault_token_key(f->vault, find(f, "token"), &blob, &check, &err), OXV_OK);
    assert_int_equal(oxv_secret_len(blob), 0);
    assert_int_equal(oxv_secret_len(check), 32);
    oxv_secret_freep(&blob);
    oxv_secret_freep(&check);
    assert_int_equal(oxv_vault_token_key(f->vault, find(f, "acme"), &blob, &check, &err),
                     OXV_E_USAGE);
    assert_null(blob);
    assert_null(check);
}

static void
a_check_message_is_the_prefix_and_the_key_id(void **state)
{
    uint8_t buffer[OXV_KEY_CHECK_MESSAGE_MAX_BYTES];
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_writer narrow = oxv_writer(buffer, 30);

    (void)state;
    memset(id, 0xab, sizeof id);
    assert_true(oxv_key_check_message(&w, oxv_view(id, 16)));
    assert_int_equal(w.len, 31);
    assert_memory_equal(buffer, "\0oxvault kat v1\xab\xab", 17);
    assert_false(oxv_key_check_message(&narrow, oxv_view(id, 16)));
    w = oxv_writer(buffer, sizeof buffer);
    assert_true(oxv_key_check_message(&w, oxv_view(id, sizeof id)));
}

/* --- seals --- */

static enum oxv_status
add_token_seal(struct vault_fixture *f, const struct oxv_secret *value,
               const struct oxv_seal_record *record, struct oxv_err *err)
{
    struct oxv_change *change = begin_change(f);
    struct oxv_seal_input existing = keyfile_input(f->keyfile);
    struct oxv_seal_input added = token_input(value);
    uint64_t id = 0;
    enum oxv_status st = oxv_change_add_seal(change, &existing, &added, record, &id, err);

    if (st == OXV_OK) {
        assert_int_equal(id, 2);
        finish_change(&change);
    }
    oxv_change_free(change);
    return st;
}

static void
check_pinned(const struct oxv_seal_record *got)
{
    struct oxv_seal_record wanted = token_seal_record();

    assert_int_equal(got->kind, OXV_SEAL_TOKEN);
    assert_int_equal(got->created_us, wanted.created_us);
    assert_int_equal(got->mechanism, wanted.mechanism);
    assert_int_equal(got->gcm_iv, wanted.gcm_iv);
    assert_true(oxv_view_equals(got->module, wanted.module));
    assert_true(oxv_view_equals(got->token_uri, wanted.token_uri));
    assert_true(oxv_view_equals(got->key_id, wanted.key_id));
    assert_true(oxv_view_equals(got->key_hash, wanted.key_hash));
    assert_true(oxv_view_equals(got->blob, wanted.blob));
    assert_int_equal(got->check.len, 32);
}

static void
a_token_seal_opens_the_vault_and_keeps_all_that_unseal_needs(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    const struct oxv_seal *seals = NULL;
    struct oxv_seal_record record = token_seal_record();
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *other = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    struct oxv_seal_input right = token_input(value);
    struct oxv_seal_input wrong = token_input(other);

    assert_int_equal(add_token_seal(f, value, &record, &err), OXV_OK);
    oxv_vault_freep(&f->vault);
    assert_int_equal(open_vault(f, &err), OXV_OK);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 2); /* readable while sealed */
    check_pinned(&seals[1].record);
    assert_int_equal(oxv_vault_unseal(f->vault, &wrong, 0, test_machine(), &err), OXV_E_LOCKED);
    assert_string_equal(err.text, "wrong token value, or seal 2 was changed");
    assert_int_equal(oxv_vault_unseal(f->vault, &wrong, 1, test_machine(), &err), OXV_E_LOCKED);
    assert_string_equal(err.text, "the vault has no token seal of that number");
    assert_int_equal(oxv_vault_unseal(f->vault, &right, 0, test_machine(), &err), OXV_OK);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 2);
    check_pinned(&seals[1].record);
}

static void
material_is_checked_without_opening_the_vault(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *other = oxv_secret_random(OXV_KEYFILE_BYTES);
    struct oxv_seal_input right = keyfile_input(f->keyfile);
    struct oxv_seal_input wrong = keyfile_input(other);

    for (int sealed = 0; sealed < 2; sealed++) {
        assert_int_equal(oxv_vault_check_seal(f->vault, &right, 0, &err), OXV_OK);
        assert_int_equal(oxv_vault_check_seal(f->vault, &right, 1, &err), OXV_OK);
        assert_int_equal(oxv_vault_check_seal(f->vault, &right, 2, &err), OXV_E_LOCKED);
        assert_int_equal(oxv_vault_check_seal(f->vault, &wrong, 0, &err), OXV_E_LOCKED);
        assert_string_equal(err.text, "wrong key file, or seal 1 was changed");
        assert_int_equal(oxv_vault_is_open(f->vault), sealed == 0);
        oxv_vault_lock(f->vault);
    }
}

static void
a_token_seal_that_says_not_all_is_not_made(void **state)
{
    struct vault_fixture *f = *state;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);

    for (int missing = 0; missing < 7; missing++) {
        struct oxv_seal_record record = token_seal_record();
        struct oxv_err err = { 0 };

        record.module.len = missing == 0 ? 0 : record.module.len;
        record.token_uri.len = missing == 1 ? 0 : record.token_uri.len;
        record.mechanism = missing == 2 ? 0 : record.mechanism;
        record.key_id.len = missing == 3 ? 0 : record.key_id.len;
        record.blob.len = missing == 4 ? 0 : record.blob.len;
        record.gcm_iv = missing == 5 ? 0 : record.gcm_iv;
        record.mechanism = missing == 6 ? OXV_TOKEN_RSA_OAEP_SHA256 : record.mechanism;
        assert_int_equal(oxv_seal_parameters_check(&record, NULL), OXV_E_FORGED);
        assert_int_equal(add_token_seal(f, value, &record, &err), OXV_E_USAGE);
        assert_string_equal(err.text, "seal: kind or parameters are out of bounds");
    }
}

static void
a_token_value_is_of_its_kind_and_length(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    struct oxv_seal_record record = token_seal_record();
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *narrow = oxv_secret_random(31);
    struct oxv_seal_input input = token_input(narrow);

    assert_int_equal(add_token_seal(f, narrow, &record, &err), OXV_E_USAGE);
    assert_string_equal(err.text, "a token's value has exactly 32 bytes");
    assert_int_equal(add_token_seal(f, value, &record, &err), OXV_OK);
    oxv_vault_lock(f->vault);
    input.token_value = value;
    input.keyfile = value; /* two materials at once */
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_USAGE);
    input = (struct oxv_seal_input){ .kind = OXV_SEAL_TOKEN, .stretched = value };
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_USAGE);
    assert_string_equal(err.text, "no passphrase, key file or token value was given");
    input = keyfile_input(value); /* the right bytes as another kind */
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, test_machine(), &err), OXV_E_LOCKED);
    assert_false(oxv_vault_is_open(f->vault));
}

static void
a_vault_is_made_with_a_token_seal_alone(void **state)
{
    struct vault_fixture *f = *state;
    struct oxv_err err = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    struct oxv_seal_input input = token_input(value);
    struct oxv_seal_record record = token_seal_record();
    const struct oxv_seal *seals = NULL;
    struct oxv_vault_new options = { .seal = &input, .seal_record = &record };

    assert_int_equal(oxv_vault_create(f->fd, &options, f->vkey, sizeof f->vkey, &err), OXV_OK);
    assert_int_equal(open_vault(f, &err), OXV_OK);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 1);
    assert_true(oxv_view_equals(seals[0].record.blob, record.blob));
    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, oxv_view(NULL, 0), &err), OXV_OK);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, vault_setup, vault_teardown)
    const struct CMUnitTest tests[] = {
        T(a_token_is_found_by_id_and_uri),
        T(a_token_without_a_whole_pair_is_not_put),
        T(a_connection_names_a_token_that_is_there),
        T(k0_of_a_token_is_never_stored),
        T(a_key_of_a_token_is_one_connections),
        T(a_token_with_keys_is_neither_removed_nor_exchanged),
        T(connections_in_tokens_are_counted_as_they_change),
        T(a_token_without_a_pair_may_get_one_later),
        T(moving_to_the_vault_frees_the_token),
        T(the_vault_signs_with_no_key_of_a_token),
        T(the_blob_and_the_check_value_come_back),
        cmocka_unit_test(a_check_message_is_the_prefix_and_the_key_id),
        T(a_token_seal_opens_the_vault_and_keeps_all_that_unseal_needs),
        T(material_is_checked_without_opening_the_vault),
        T(a_token_seal_that_says_not_all_is_not_made),
        T(a_token_value_is_of_its_kind_and_length),
        cmocka_unit_test_setup_teardown(a_vault_is_made_with_a_token_seal_alone, vault_setup_empty,
                                        vault_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
