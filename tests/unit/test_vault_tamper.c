/* Whatever someone with write access does to vault.db, the vault does not open, and says why. */
#include "test_vault_support.h"

#include <sqlite3.h>

/* An open vault with two connections, a caller, a grant and two seals; at change 3. */
struct tampered {
    struct vault_fixture vault;
    struct oxv_secret *second_keyfile;
    uint64_t acme;
    uint64_t beta;
};

static int
setup(void **state)
{
    struct tampered *t = calloc(1, sizeof *t);
    struct vault_fixture *f = &t->vault;
    struct oxv_err err = { 0 };

    assert_non_null(t);
    setup_secrets();
    make_directory(f);
    f->keyfile = oxv_secret_random(OXV_KEYFILE_BYTES);
    t->second_keyfile = oxv_secret_random(OXV_KEYFILE_BYTES);
    create_vault(f);
    reopen_vault(f);

    struct oxv_change *change = begin_change(f);

    t->acme = put_connection(change, "acme");
    t->beta = put_connection(change, "beta");
    (void)put_grant(change, put_caller(change, "order-exchange", 1001), t->acme);
    finish_change(&change);
    change = begin_change(f);

    struct oxv_seal_input existing = keyfile_input(f->keyfile);
    struct oxv_seal_input added = keyfile_input(t->second_keyfile);
    struct oxv_seal_record record = { .kind = OXV_SEAL_KEYFILE, .created_us = 5 };
    uint64_t id = 0;

    assert_int_equal(oxv_change_add_seal(change, &existing, &added, &record, &id, &err), OXV_OK);
    assert_int_equal(id, 2);
    finish_change(&change);
    *state = t;
    return 0;
}

static int
teardown(void **state)
{
    struct tampered *t = *state;

    oxv_vault_freep(&t->vault.vault);
    oxv_secret_freep(&t->vault.keyfile);
    oxv_secret_freep(&t->second_keyfile);
    oxv_closep(&t->vault.fd);
    remove_tree(AT_FDCWD, t->vault.path);
    free(t);
    return 0;
}

static sqlite3 *
open_database(const struct tampered *t)
{
    char path[128];
    sqlite3 *db = NULL;

    assert_int_equal(oxv_format(path, sizeof path, "%s/vault.db", t->vault.path), OXV_OK);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void
run_sql(sqlite3 *db, const char *sql)
{
    char *text = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
}

/* Closes the vault and edits its database as a stranger would. `saved` is a database beside it. */
static void
edit(struct tampered *t, const char *sql)
{
    char attach[160];

    oxv_vault_freep(&t->vault.vault);
    sqlite3 *db = open_database(t);

    assert_int_equal(oxv_format(attach, sizeof attach, "ATTACH '%s/saved.db' AS saved",
                                t->vault.path),
                     OXV_OK);
    run_sql(db, attach);
    run_sql(db, sql);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Keeps the rows of a table as they are now, as saved.old. */
static void
save(struct tampered *t, const char *table)
{
    char sql[160];

    assert_int_equal(oxv_format(sql, sizeof sql, "CREATE TABLE saved.old AS SELECT * FROM %s",
                                table),
                     OXV_OK);
    edit(t, sql);
}

/* Flips one bit of a blob; `column` is record or sealed. False where there is no such byte. */
static bool
flip(struct tampered *t, const char *table, const char *column, uint64_t id, size_t at)
{
    oxv_vault_freep(&t->vault.vault);
    sqlite3 *db = open_database(t);
    sqlite3_blob *blob = NULL;
    uint8_t byte = 0;
    bool flipped = false;

    assert_int_equal(sqlite3_blob_open(db, "main", table, column, (sqlite3_int64)id, 1, &blob),
                     SQLITE_OK);
    if (at < (size_t)sqlite3_blob_bytes(blob)) {
        assert_int_equal(sqlite3_blob_read(blob, &byte, 1, (int)at), SQLITE_OK);
        byte ^= 0x01;
        assert_int_equal(sqlite3_blob_write(blob, &byte, 1, (int)at), SQLITE_OK);
        flipped = true;
    }
    assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return flipped;
}

/* What opening and unsealing says. */
static enum oxv_status
try_open(struct tampered *t, struct oxv_err *err)
{
    struct vault_fixture *f = &t->vault;

    *err = (struct oxv_err){ 0 };
    oxv_vault_freep(&f->vault);
    enum oxv_status st = open_vault(f, err);

    if (st == OXV_OK) {
        st = unseal_vault(f, err);
        assert_int_equal(oxv_vault_is_open(f->vault), st == OXV_OK);
    }
    return st;
}

static void
expect(struct tampered *t, enum oxv_status wanted, const char *text)
{
    struct oxv_err err;
    enum oxv_status st = try_open(t, &err);

    if (st != wanted) {
        fail_msg("%s instead of %s: %s", oxv_status_name(st), oxv_status_name(wanted), err.text);
    }
    assert_contains(err.text, text);
}

static void
an_untouched_database_opens(void **state)
{
    expect(*state, OXV_OK, "");
    edit(*state, "VACUUM"); /* other bytes, the same rows */
    expect(*state, OXV_OK, "");
}

static void
an_edited_row_is_named(void **state)
{
    static const struct {
        const char *table;
        uint64_t id;
        const char *text;
    } rows[] = {
        { "connections", 2, "changed from outside: connection 2" },
        { "callers", 1, "changed from outside: caller 1" },
        { "grants", 1, "changed from outside: grant 1" },
        { "admins", 1, "changed from outside: admin 1" },
        { "seals", 2, "changed from outside: seal 2" }, /* not the one that opens the vault */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t at = 0; flip(*state, rows[i].table, "sealed", rows[i].id, at); at += 7) {
            expect(*state, OXV_E_FORGED, rows[i].text);
            assert_true(flip(*state, rows[i].table, "sealed", rows[i].id, at));
        }
        assert_true(flip(*state, rows[i].table, "record", rows[i].id, 25));
        expect(*state, OXV_E_FORGED, rows[i].text);
        assert_true(flip(*state, rows[i].table, "record", rows[i].id, 25));
    }
    expect(*state, OXV_OK, "");
}

static void
every_byte_of_a_connection_counts(void **state)
{
    size_t at = 0;

    for (; flip(*state, "connections", "record", 1, at); at += 5) {
        expect(*state, OXV_E_FORGED, "connection 1");
        assert_true(flip(*state, "connections", "record", 1, at));
    }
    assert_true(at > 300);
}

/* Change 4: seal 3 of kind token, a token, and two connections whose keys are in it. */
static void
add_tokens(struct tampered *t)
{
    struct vault_fixture *f = &t->vault;
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_random(OXV_TOKEN_VALUE_BYTES);
    struct oxv_seal_input existing = keyfile_input(f->keyfile);
    struct oxv_seal_input added = token_input(value);
    struct oxv_seal_record record = token_seal_record();
    struct oxv_change *change = begin_change(f);

    assert_int_equal(oxv_change_add_seal(change, &existing, &added, &record, &id, &err), OXV_OK);
    assert_int_equal(put_token(change, "serial=1", true), 1);
    id = 0;
    fill_token_connection(&c, "unwrap", OXV_KEY_UNWRAP);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, &err),
                     OXV_OK);
    id = 0;
    fill_token_connection(&c, "object", OXV_KEY_TOKEN);
    assert_int_equal(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, &err),
                     OXV_OK);
    finish_change(&change);
}

static void
every_byte_about_a_token_counts(void **state)
{
    static const struct {
        const char *table;
        const char *column;
        uint64_t id;
        const char *text;
        size_t step;
    } parts[] = {
        { "tokens", "record", 1, "changed from outside: token 1", 1 },
        { "tokens", "sealed", 1, "changed from outside: token 1", 1 },
        { "seals", "record", 3, "changed from outside: seal 3", 1 }, /* not what opens the vault */
        { "seals", "sealed", 3, "changed from outside: seal 3", 1 },
        { "connections", "record", 3, "changed from outside: connection 3", 3 },
        { "connections", "sealed", 3, "changed from outside: connection 3", 3 },
        { "connections", "record", 4, "changed from outside: connection 4", 3 },
        { "connections", "sealed", 4, "changed from outside: connection 4", 1 },
    };

    add_tokens(*state);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t at = 0;

        while (flip(*state, parts[i].table, parts[i].column, parts[i].id, at)) {
            struct oxv_err err;
            enum oxv_status st = try_open(*state, &err);

            /* Of a seal, a damaged form is found while it is sealed still. */
            if (st != OXV_E_FORGED && st != OXV_E_STORE) {
                fail_msg("%s: byte %zu of %s", oxv_status_name(st), at, parts[i].text);
            }
            assert_contains(err.text, parts[i].text);
            assert_true(flip(*state, parts[i].table, parts[i].column, parts[i].id, at));
            at += parts[i].step;
        }
        assert_true(at > 50);
    }
    expect(*state, OXV_OK, "");
}

static void
a_key_that_is_given_to_another_connection_is_named(void **state)
{
    add_tokens(*state);
    edit(*state, "UPDATE connections SET sealed=(SELECT sealed FROM connections WHERE id=3) "
                 "WHERE id=4");
    expect(*state, OXV_E_FORGED, "connection 4");
}

static void
a_removed_token_names_both_counters(void **state)
{
    add_tokens(*state);
    edit(*state, "DELETE FROM tokens WHERE id=1");
    expect(*state, OXV_E_FORGED,
           "expected 12 rows at change 4, found 11 rows with changes up to 4");
}

static void
an_older_token_put_back_names_both_counters(void **state)
{
    struct tampered *t = *state;
    struct token_fields fields;
    uint64_t id = 1;

    add_tokens(t);
    save(t, "tokens");
    reopen_vault(&t->vault);
    struct oxv_change *change = begin_change(&t->vault);

    fill_token(&fields, "serial=1", true);
    fields.record.module = oxv_view_text("/opt/vendor/new.so");
    assert_int_equal(oxv_change_put(change, OXV_TABLE_TOKEN, &id, &fields.record, NULL, NULL),
                     OXV_OK);
    finish_change(&change);
    edit(t, "DELETE FROM tokens; INSERT INTO tokens SELECT * FROM saved.old");
    expect(t, OXV_E_FORGED, "expected 12 rows at change 5, found 12 rows with changes up to 4");
}

static void
an_edited_version_is_found(void **state)
{
    edit(*state, "UPDATE connections SET version=3 WHERE id=1");
    expect(*state, OXV_E_FORGED, "connection 1");
}

static void
swapped_rows_are_named(void **state)
{
    edit(*state, "UPDATE connections SET id=99 WHERE id=1;"
                 "UPDATE connections SET id=1 WHERE id=2; UPDATE connections SET id=2 WHERE id=99");
    expect(*state, OXV_E_FORGED, "connection 1");
}

static void
swapped_secrets_are_named(void **state)
{
    edit(*state,
         "CREATE TEMP TABLE t AS SELECT id, sealed FROM connections;"
         "UPDATE connections SET sealed=(SELECT sealed FROM t WHERE t.id=3-connections.id)");
    expect(*state, OXV_E_FORGED, "connection 1");
}

static void
a_secret_under_the_public_part_of_another_is_named(void **state)
{
    edit(*state, "UPDATE connections SET record=(SELECT record FROM connections WHERE id=1) "
                 "WHERE id=2");
    expect(*state, OXV_E_FORGED, "connection 2");
}

static void
a_removed_row_names_both_counters(void **state)
{
    edit(*state, "DELETE FROM connections WHERE id=2");
    expect(*state, OXV_E_FORGED, "expected 8 rows at change 3, found 7 rows with changes up to 3");
}

static void
a_removed_seal_names_both_counters(void **state)
{
    edit(*state, "DELETE FROM seals WHERE id=2");
    expect(*state, OXV_E_FORGED, "expected 8 rows at change 3, found 7 rows with changes up to 2");
}

static void
a_row_copied_to_another_id_is_named(void **state)
{
    edit(*state, "INSERT INTO connections SELECT 17, version, record, sealed FROM connections "
                 "WHERE id=1");
    expect(*state, OXV_E_FORGED, "connection 17");
}

static void
a_row_of_another_table_is_named(void **state)
{
    edit(*state, "INSERT INTO grants SELECT 2, version, record, sealed FROM callers WHERE id=1");
    expect(*state, OXV_E_FORGED, "grant 2");
}

static void
an_older_version_of_a_row_names_both_counters(void **state)
{
    struct tampered *t = *state;

    save(t, "callers");
    reopen_vault(&t->vault);
    {
        struct oxv_caller *caller = oxv_vault_caller_by_uid(t->vault.vault, 1001);
        struct oxv_caller_record record = caller->record;
        struct oxv_change *change = begin_change(&t->vault);
        uint64_t id = caller->id;

        record.disabled = 1;
        assert_int_equal(oxv_change_put(change, OXV_TABLE_CALLER, &id, &record, NULL, NULL),
                         OXV_OK);
        finish_change(&change);
    }
    edit(t, "DELETE FROM callers; INSERT INTO callers SELECT * FROM saved.old");
    expect(t, OXV_E_FORGED, "expected 8 rows at change 4, found 8 rows with changes up to 3");
}

static void
a_removed_row_put_back_names_both_counters(void **state)
{
    struct tampered *t = *state;

    save(t, "grants");
    reopen_vault(&t->vault);
    struct oxv_change *change = begin_change(&t->vault);

    assert_int_equal(oxv_change_remove(change, OXV_TABLE_GRANT, 1, NULL), OXV_OK);
    finish_change(&change);
    edit(t, "INSERT INTO grants SELECT * FROM saved.old");
    expect(t, OXV_E_FORGED, "expected 7 rows at change 4, found 8 rows with changes up to 3");
}

static void
a_removed_row_whose_name_was_given_again_is_named_when_put_back(void **state)
{
    struct tampered *t = *state;

    save(t, "connections");
    reopen_vault(&t->vault);
    struct oxv_change *change = begin_change(&t->vault);

    assert_int_equal(oxv_change_remove(change, OXV_TABLE_CONNECTION, t->beta, NULL), OXV_OK);
    assert_int_equal(put_connection(change, "beta"), 3); /* an id is never given again */
    finish_change(&change);
    edit(t, "INSERT INTO connections SELECT * FROM saved.old WHERE id=2");
    expect(t, OXV_E_FORGED, "connection 2 and 3 have the same name");
}

static void
an_older_manifest_names_both_counters(void **state)
{
    struct tampered *t = *state;

    save(t, "manifests");
    reopen_vault(&t->vault);
    (void)add_connection(&t->vault, "gamma");
    edit(t, "DELETE FROM manifests; INSERT INTO manifests SELECT * FROM saved.old");
    expect(t, OXV_E_FORGED, "expected 8 rows at change 3, found 9 rows with changes up to 4");
}

static void
the_manifest_cannot_be_edited_or_removed(void **state)
{
    for (size_t at = 0; flip(*state, "manifests", "sealed", 1, at); at += 3) {
        expect(*state, OXV_E_FORGED, "manifest 1");
        assert_true(flip(*state, "manifests", "sealed", 1, at));
    }
    for (size_t at = 0; flip(*state, "manifests", "record", 1, at); at += 3) {
        expect(*state, OXV_E_FORGED, "manifest 1");
        assert_true(flip(*state, "manifests", "record", 1, at));
    }
    edit(*state, "INSERT INTO manifests SELECT 2, version, record, sealed FROM manifests");
    expect(*state, OXV_E_FORGED, "manifest 2");
    edit(*state, "DELETE FROM manifests");
    expect(*state, OXV_E_FORGED, "its manifest is gone");
}

/* A vault with one passphrase seal of quick parameters. */
static void
make_passphrase_vault(struct vault_fixture *f, const char *passphrase)
{
    uint8_t salt[16];
    struct oxv_seal_record record = { 0 };
    struct oxv_secret *stretched = NULL;
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *text = oxv_secret_copy(oxv_view_text(passphrase));

    oxv_passphrase_parameters(&record, salt);
    record.kdf_ops = 1;
    record.kdf_memory_bytes = 8u << 20;
    assert_int_equal(oxv_passphrase_stretch(text, &record, &stretched, NULL), OXV_OK);
    struct oxv_seal_input input = { .kind = OXV_SEAL_PASSPHRASE, .stretched = stretched };
    struct oxv_vault_new options = { .seal = &input, .seal_record = &record };

    assert_int_equal(oxv_vault_create(f->fd, &options, f->vkey, sizeof f->vkey, NULL), OXV_OK);
    oxv_secret_free(stretched);
}

/* Writes a seal's public part to its row, as a stranger would. */
static void
put_seal_record(struct tampered *t, const struct oxv_seal_record *record)
{
    uint8_t encoded[512];
    struct oxv_writer w = oxv_writer(encoded, sizeof encoded);
    sqlite3_stmt *statement = NULL;

    assert_int_equal(oxv_record_encode(&w, &oxv_seal_shape, record, NULL), OXV_OK);
    oxv_vault_freep(&t->vault.vault);
    sqlite3 *db = open_database(t);

    assert_int_equal(sqlite3_prepare_v2(db, "UPDATE seals SET record=? WHERE id=1", -1, &statement,
                                        NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(statement, 1, encoded, (int)w.len, SQLITE_STATIC),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Opens with the right passphrase, stretched as the row now says. */
static void
expect_passphrase(struct tampered *t, const char *passphrase, enum oxv_status wanted)
{
    struct vault_fixture *f = &t->vault;
    struct oxv_err err = { 0 };
    const struct oxv_seal *seals = NULL;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *stretched = NULL;
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *text = oxv_secret_copy(oxv_view_text(passphrase));

    oxv_vault_freep(&f->vault);
    assert_int_equal(open_vault(f, &err), OXV_OK);
    assert_int_equal(oxv_vault_seals(f->vault, &seals), 1);
    assert_int_equal(oxv_passphrase_stretch(text, &seals[0].record, &stretched, NULL), OXV_OK);
    struct oxv_seal_input input = { .kind = OXV_SEAL_PASSPHRASE, .stretched = stretched };

    assert_int_equal(oxv_vault_unseal(f->vault, &input, 0, oxv_view(NULL, 0), &err), wanted);
    assert_string_equal(err.text,
                        wanted == OXV_OK ? "" : "wrong passphrase, or seal 1 was changed");
}

static void
a_passphrase_seal_changed_in_salt_or_parameters_says_wrong_or_changed(void **state)
{
    struct tampered *t = *state;
    const struct oxv_seal *seals = NULL;
    uint8_t salt[16];
    uint8_t check[32];

    make_passphrase_vault(&t->vault, "correct horse");
    expect_passphrase(t, "correct horse", OXV_OK);
    assert_int_equal(oxv_vault_seals(t->vault.vault, &seals), 1);
    struct oxv_seal_record record = seals[0].record; /* its views die with the vault */

    assert_int_equal(record.kdf_salt.len, sizeof salt);
    assert_int_equal(record.check.len, sizeof check);
    memcpy(salt, record.kdf_salt.data, sizeof salt);
    memcpy(check, record.check.data, sizeof check);
    record.kdf_salt = oxv_view(salt, sizeof salt);
    record.check = oxv_view(check, sizeof check);

    salt[15] ^= 1;
    put_seal_record(t, &record);
    expect_passphrase(t, "correct horse", OXV_E_LOCKED);
    salt[15] ^= 1;
    record.kdf_ops = 2;
    put_seal_record(t, &record);
    expect_passphrase(t, "correct horse", OXV_E_LOCKED);
    record.kdf_ops = 1;
    record.kdf_memory_bytes = 9u << 20;
    put_seal_record(t, &record);
    expect_passphrase(t, "correct horse", OXV_E_LOCKED);
    record.kdf_memory_bytes = 8u << 20;
    put_seal_record(t, &record);
    expect_passphrase(t, "correct horse", OXV_OK); /* as it was */
}

static int
setup_empty(void **state)
{
    struct tampered *t = calloc(1, sizeof *t);

    assert_non_null(t);
    setup_secrets();
    make_directory(&t->vault);
    *state = t;
    return 0;
}

static void
the_seal_that_opens_the_vault_says_wrong_key_or_changed(void **state)
{
    /* The check value is the last 32 bytes of the record. */
    struct tampered *t = *state;
    size_t check = 0;
    struct oxv_seal_input second = keyfile_input(t->second_keyfile);
    struct oxv_err err = { 0 };

    while (flip(t, "seals", "record", 1, check)) {
        assert_true(flip(t, "seals", "record", 1, check));
        check++;
    }
    assert_true(flip(t, "seals", "record", 1, check - 1));
    expect(t, OXV_E_LOCKED, "wrong key file, or seal 1 or 2 was changed");
    /* Another seal opens it and finds the edited one. */
    assert_int_equal(oxv_vault_unseal(t->vault.vault, &second, 0, test_machine(), &err),
                     OXV_E_FORGED);
    assert_contains(err.text, "seal 1");
    assert_true(flip(t, "seals", "record", 1, check - 1));
    /* The right key and a damaged blob. */
    assert_true(flip(t, "seals", "sealed", 1, 40));
    expect(t, OXV_E_FORGED, "damaged or was changed from outside: seal 1");
}

static void
a_seal_with_the_blob_of_another_is_damaged(void **state)
{
    edit(*state, "UPDATE seals SET sealed=(SELECT sealed FROM seals WHERE id=2) WHERE id=1");
    expect(*state, OXV_E_FORGED, "seal 1");
}

static void
an_edited_node_is_found(void **state)
{
    struct tampered *t = *state;

    /* Tag and length of the first field, then the vault id, which every blob is bound to. */
    assert_true(flip(t, "nodes", "record", 1, 5));
    expect(t, OXV_E_FORGED, "the vault id in node 1");
    assert_true(flip(t, "nodes", "record", 1, 5));
    assert_true(flip(t, "nodes", "record", 1, 30)); /* the node id */
    expect(t, OXV_E_FORGED, "node 1");
    assert_true(flip(t, "nodes", "record", 1, 30));
    assert_true(flip(t, "nodes", "record", 1, 0)); /* no record at all */
    expect(t, OXV_E_STORE, "node 1");
    edit(t, "DELETE FROM nodes");
    expect(t, OXV_E_STORE, "node 1 is not there");
}

static void
another_schema_is_refused(void **state)
{
    static const struct {
        const char *change;
        const char *back;
        const char *text;
    } cases[] = {
        { "CREATE TABLE extra(a)", "DROP TABLE extra", "the schema of vault.db has extra" },
        { "CREATE VIEW look AS SELECT 1", "DROP VIEW look", "the schema of vault.db has look" },
        { "CREATE INDEX quick ON grants(version)", "DROP INDEX quick", "has quick" },
        { "CREATE TRIGGER t AFTER INSERT ON grants BEGIN DELETE FROM admins; END", "DROP TRIGGER t",
          "has t" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        edit(*state, cases[i].change);
        expect(*state, OXV_E_STORE, cases[i].text);
        edit(*state, cases[i].back);
    }
    expect(*state, OXV_OK, "");
    edit(*state, "ALTER TABLE admins ADD COLUMN more TEXT");
    expect(*state, OXV_E_STORE, "has admins");
}

static void
a_missing_table_is_named(void **state)
{
    edit(*state, "DROP TABLE tokens");
    expect(*state, OXV_E_STORE, "lacks tokens");
    edit(*state, "DROP TABLE callers");
    expect(*state, OXV_E_STORE, "lacks callers");
}

static void
a_newer_schema_version_says_to_use_a_newer_program(void **state)
{
    edit(*state, "PRAGMA user_version=2");
    expect(*state, OXV_E_LIMIT,
           "this vault has schema version 2, made by a newer oxvault; this one knows up to 1: use "
           "a newer oxvault");
    edit(*state, "PRAGMA user_version=0");
    expect(*state, OXV_E_STORE, "no schema version 0");
    edit(*state, "PRAGMA user_version=1; PRAGMA application_id=7");
    expect(*state, OXV_E_STORE, "not a database of oxvault");
}

static void
what_is_no_database_is_damaged(void **state)
{
    struct tampered *t = *state;
    int fd;

    oxv_vault_freep(&t->vault.vault);
    fd = openat(t->vault.fd, "vault.db", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "no database here", 16, 0), 16);
    expect(t, OXV_E_STORE, "the vault is damaged");
    assert_int_equal(ftruncate(fd, 0), 0);
    expect(t, OXV_E_STORE, "not a database of oxvault");
    (void)close(fd);
}

static void
damaged_pages_are_found(void **state)
{
    struct tampered *t = *state;
    struct stat st;

    oxv_vault_freep(&t->vault.vault);
    int fd = openat(t->vault.fd, "vault.db", O_RDWR | O_CLOEXEC);

    assert_int_equal(fstat(fd, &st), 0);
    for (off_t page = 4096; page < st.st_size; page += 4096) {
        uint8_t saved[64];
        static const uint8_t junk[64] = { 0x0d, 0xff, 0xff, 0xff, 0xff, 0xff };
        struct oxv_err err;

        assert_int_equal(pread(fd, saved, sizeof saved, page), sizeof saved);
        assert_int_equal(pwrite(fd, junk, sizeof junk, page), sizeof junk);
        enum oxv_status status = try_open(t, &err);

        assert_true(status == OXV_E_STORE || status == OXV_E_FORGED);
        oxv_vault_freep(&t->vault.vault);
        assert_int_equal(pwrite(fd, saved, sizeof saved, page), sizeof saved);
    }
    (void)close(fd);
    expect(t, OXV_OK, "");
}

/* Copies a file of the vault to another name in its directory. */
static void
copy_file(const struct tampered *t, const char *from, const char *to)
{
    static uint8_t buffer[1 << 22];
    size_t len = 0;
    struct oxv_err err;

    if (oxv_read_file_at(t->vault.fd, from, buffer, sizeof buffer, &len, &err) != OXV_OK ||
        oxv_replace_file_at(t->vault.fd, to, 0600, oxv_view(buffer, len), &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
}

/* The counters of a running log: it knows the newest change and that it was done. */
static void
compare_with_log(struct tampered *t, uint64_t logged, const char *digest, const char *text)
{
    enum oxv_log_agreement agreement;
    struct oxv_err err = { 0 };
    struct oxv_log_opened opened = { .last_cfg = logged, .last_done_cfg = logged };

    (void)snprintf(opened.last_cfg_digest, sizeof opened.last_cfg_digest, "%s", digest);
    assert_int_equal(oxv_vault_compare_log(t->vault.vault, &opened, &agreement, &err),
                     OXV_E_FORGED);
    assert_contains(err.text, text);
}

static void
a_database_copied_without_its_wal_is_refused_by_the_log(void **state)
{
    struct tampered *t = *state;
    char digest[65];

    reopen_vault(&t->vault); /* the WAL is empty now */
    (void)add_connection(&t->vault, "gamma");
    oxv_vault_digest_hex(t->vault.vault, digest);
    copy_file(t, "vault.db", "copy"); /* without vault.db-wal */
    oxv_vault_freep(&t->vault.vault);
    assert_int_equal(renameat(t->vault.fd, "copy", t->vault.fd, "vault.db"), 0);
    expect(t, OXV_OK, ""); /* it is a whole older vault: only the log can tell */
    assert_int_equal(oxv_vault_counter(t->vault.vault), 3);
    compare_with_log(t, 4, digest, "vault.db is at change 3, the log at change 4");
}

static void
yesterdays_database_beside_todays_log_is_refused(void **state)
{
    struct tampered *t = *state;
    char digest[65];

    oxv_vault_freep(&t->vault.vault);
    copy_file(t, "vault.db", "yesterday");
    reopen_vault(&t->vault);
    (void)add_connection(&t->vault, "gamma");
    (void)add_connection(&t->vault, "delta");
    oxv_vault_digest_hex(t->vault.vault, digest);
    oxv_vault_freep(&t->vault.vault);
    assert_int_equal(renameat(t->vault.fd, "yesterday", t->vault.fd, "vault.db"), 0);
    expect(t, OXV_OK, "");
    compare_with_log(t, 5, digest, "vault.db is at change 3, the log at change 5");
}

static void
a_database_put_back_and_changed_again_is_refused(void **state)
{
    struct tampered *t = *state;
    char digest[65];

    oxv_vault_freep(&t->vault.vault);
    copy_file(t, "vault.db", "yesterday");
    reopen_vault(&t->vault);
    (void)add_connection(&t->vault, "gamma");
    oxv_vault_digest_hex(t->vault.vault, digest);
    oxv_vault_freep(&t->vault.vault);
    assert_int_equal(renameat(t->vault.fd, "yesterday", t->vault.fd, "vault.db"), 0);
    reopen_vault(&t->vault);
    (void)add_connection(&t->vault, "other"); /* the same counter, another content */
    compare_with_log(t, 4, digest, "both are at change 4");
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_untouched_database_opens),
        T(an_edited_row_is_named),
        T(every_byte_of_a_connection_counts),
        T(every_byte_about_a_token_counts),
        T(a_key_that_is_given_to_another_connection_is_named),
        T(a_removed_token_names_both_counters),
        T(an_older_token_put_back_names_both_counters),
        T(an_edited_version_is_found),
        T(swapped_rows_are_named),
        T(swapped_secrets_are_named),
        T(a_secret_under_the_public_part_of_another_is_named),
        T(a_removed_row_names_both_counters),
        T(a_removed_seal_names_both_counters),
        T(a_row_copied_to_another_id_is_named),
        T(a_row_of_another_table_is_named),
        T(an_older_version_of_a_row_names_both_counters),
        T(a_removed_row_put_back_names_both_counters),
        T(a_removed_row_whose_name_was_given_again_is_named_when_put_back),
        T(an_older_manifest_names_both_counters),
        T(the_manifest_cannot_be_edited_or_removed),
        cmocka_unit_test_setup_teardown(
            a_passphrase_seal_changed_in_salt_or_parameters_says_wrong_or_changed, setup_empty,
            teardown),
        T(the_seal_that_opens_the_vault_says_wrong_key_or_changed),
        T(a_seal_with_the_blob_of_another_is_damaged),
        T(an_edited_node_is_found),
        T(another_schema_is_refused),
        T(a_missing_table_is_named),
        T(a_newer_schema_version_says_to_use_a_newer_program),
        T(what_is_no_database_is_damaged),
        T(damaged_pages_are_found),
        T(a_database_copied_without_its_wal_is_refused_by_the_log),
        T(yesterdays_database_beside_todays_log_is_refused),
        T(a_database_put_back_and_changed_again_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
