/* How SQLite is set up once a vault is open: asked of its own connection, caught as it is made. */
#include "test_vault_support.h"

#include <sqlite3.h>

static sqlite3 *caught;

int __real_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);

int
__wrap_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs)
{
    int code = __real_sqlite3_open_v2(path, db, flags, vfs);

    assert_true((flags & SQLITE_OPEN_NOFOLLOW) != 0);
    assert_true((flags & SQLITE_OPEN_CREATE) == 0);
    caught = *db;
    return code;
}

static void
assert_pragma(const char *name, const char *wanted)
{
    char sql[64];
    sqlite3_stmt *statement = NULL;

    assert_int_equal(oxv_format(sql, sizeof sql, "PRAGMA %s", name), OXV_OK);
    assert_int_equal(sqlite3_prepare_v2(caught, sql, -1, &statement, NULL), SQLITE_OK);
    int code = sqlite3_step(statement);
    const char *value =
        code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "nothing";

    if (strcmp(value, wanted) != 0) {
        fail_msg("%s is %s", name, value);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
}

static void
assert_setting(int setting, int wanted)
{
    int value = -1;

    assert_int_equal(sqlite3_db_config(caught, setting, -1, &value), SQLITE_OK);
    assert_int_equal(value, wanted);
}

static void
assert_set_up(void)
{
    assert_pragma("synchronous", "2");
    assert_pragma("journal_mode", "wal");
    assert_pragma("locking_mode", "exclusive");
    assert_pragma("trusted_schema", "0");
    assert_pragma("cell_size_check", "1");
    assert_pragma("temp_store", "2");
    assert_setting(SQLITE_DBCONFIG_DEFENSIVE, 1);
    assert_setting(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
    assert_setting(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0);
    assert_setting(SQLITE_DBCONFIG_ENABLE_VIEW, 0);
    assert_setting(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0);
    assert_int_equal(sqlite3_limit(caught, SQLITE_LIMIT_ATTACHED, -1), 0);
    assert_int_equal(sqlite3_limit(caught, SQLITE_LIMIT_LENGTH, -1), 1 << 20);
}

static void
the_database_is_durable_and_trusts_no_schema(void **state)
{
    struct vault_fixture *f = *state;

    assert_set_up();
    (void)add_connection(f, "acme"); /* nor does a change alter it */
    assert_set_up();
    caught = NULL;
    reopen_vault(f);
    assert_non_null(caught);
    assert_set_up();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_database_is_durable_and_trusts_no_schema, vault_setup,
                                        vault_teardown),
    };

    return cmocka_run_group_tests_name("vault store", tests, NULL, NULL);
}
