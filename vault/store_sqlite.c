/*
 * The SQLite backend. Each table:
 *   id       INTEGER PRIMARY KEY   never reused
 *   version  INTEGER               the vault's change counter at the last write
 *   record   BLOB                  public part
 *   sealed   BLOB                  secret part
 * The file: application_id "OXVA", user_version OXV_SCHEMA_VERSION, WAL, and nothing else in
 * sqlite_schema. Integers are SQLite's signed 64 bits: ids and versions stay far below 2^63.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hook.h"
#include "base/text.h"
#include "vault/store.h"
#include "vault/vault.h"

#define APPLICATION_ID  0x4f585641 /* "OXVA" */
#define TABLES          ((size_t)OXV_TABLE_END)
#define SQL_MAX_BYTES   256u
#define ROW_MAX_BYTES   (1 << 20)
#define IMPORT_CACHE_KB "-8192" /* of a large transaction; the rest spills to the WAL */

#define TABLE_SQL(name)                                                                            \
    "CREATE TABLE " name "(id INTEGER PRIMARY KEY, version INTEGER NOT NULL, "                     \
    "record BLOB NOT NULL, sealed BLOB NOT NULL) STRICT"

/* In the order of their numbers. */
static const struct {
    const char *name;
    const char *sql;
} tables[TABLES] = {
    { "manifests", TABLE_SQL("manifests") }, { "nodes", TABLE_SQL("nodes") },
    { "seals", TABLE_SQL("seals") },         { "connections", TABLE_SQL("connections") },
    { "callers", TABLE_SQL("callers") },     { "grants", TABLE_SQL("grants") },
    { "admins", TABLE_SQL("admins") },       { "tokens", TABLE_SQL("tokens") },
};

struct oxv_store {
    sqlite3 *db;
    sqlite3_stmt *put[TABLES]; /* prepared at first use */
    sqlite3_stmt *remove[TABLES];
    bool in_transaction;
};

static void
statement_freep(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* repeats the error of the step */
    *statement = NULL;
}

static enum oxv_status
fail_sqlite(struct oxv_err *err, sqlite3 *db, const char *what)
{
    int code = db == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db);
    int primary = code & 0xff;
    enum oxv_status status = OXV_E_STORE;

    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
        status = oxv_fail(err, OXV_E_CONFLICT, "vault.db is open in another process");
    } else if (primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT) {
        status = oxv_fail(err, OXV_E_STORE, "the vault is damaged: vault.db: %s",
                          sqlite3_errstr(primary));
    } else {
        status = oxv_fail(err, OXV_E_STORE, "vault.db: %s: %s", what,
                          db == NULL ? "no memory" : sqlite3_errmsg(db));
    }
    if (err != NULL) {
        err->native = code;
        err->sys_errno = db == NULL ? 0 : sqlite3_system_errno(db);
    }
    return status;
}

static enum oxv_status
run(sqlite3 *db, const char *sql, struct oxv_err *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return fail_sqlite(err, db, sql);
    }
    return OXV_OK;
}

static enum oxv_status
prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct oxv_err *err)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK) {
        return fail_sqlite(err, db, sql);
    }
    return OXV_OK;
}

/* The first column of the first row, as a number and as a text. */
static enum oxv_status
ask(sqlite3 *db, const char *sql, sqlite3_int64 *number, char text[64], struct oxv_err *err)
{
    OXV_AUTO(statement_freep) sqlite3_stmt *statement = NULL;
    enum oxv_status st = prepare(db, sql, &statement, err);

    if (st != OXV_OK) {
        return st;
    }
    if (sqlite3_step(statement) != SQLITE_ROW) {
        return fail_sqlite(err, db, sql);
    }
    *number = sqlite3_column_int64(statement, 0);
    const char *answer = (const char *)sqlite3_column_text(statement, 0);

    if (answer == NULL ||
        oxv_text_copy(oxv_view_text(answer), text, 64) != OXV_OK) { /* longer: no answer we want */
        text[0] = '\0';
    }
    return OXV_OK;
}

static void
sqlite_rollback(struct oxv_store *store)
{
    if (store->in_transaction) {
        store->in_transaction = false;
        /* After some errors SQLite has rolled back by itself and says so: nothing to do. */
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

static void
sqlite_close(struct oxv_store *store)
{
    if (store == NULL) {
        return;
    }
    sqlite_rollback(store);
    for (size_t i = 0; i < TABLES; i++) {
        statement_freep(&store->put[i]);
        statement_freep(&store->remove[i]);
    }
    if (sqlite3_close(store->db) != SQLITE_OK) {
        oxv_bug("sqlite3_close");
    }
    free(store);
}

static void
sqlite_closep(struct oxv_store **store)
{
    sqlite_close(*store);
    *store = NULL;
}

static void
set_limits(sqlite3 *db)
{
    static const struct {
        int id;
        int value;
    } limits[] = {
        { SQLITE_LIMIT_LENGTH, ROW_MAX_BYTES },
        { SQLITE_LIMIT_SQL_LENGTH, 4096 },
        { SQLITE_LIMIT_COLUMN, 16 },
        { SQLITE_LIMIT_EXPR_DEPTH, 16 },
        { SQLITE_LIMIT_COMPOUND_SELECT, 4 },
        { SQLITE_LIMIT_VDBE_OP, 25000 },
        { SQLITE_LIMIT_FUNCTION_ARG, 8 },
        { SQLITE_LIMIT_ATTACHED, 0 },
        { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 16 },
        { SQLITE_LIMIT_VARIABLE_NUMBER, 8 },
        { SQLITE_LIMIT_TRIGGER_DEPTH, 1 },
        { SQLITE_LIMIT_WORKER_THREADS, 0 },
    };

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        (void)sqlite3_limit(db, limits[i].id, limits[i].value); /* returns the old value */
    }
}

static bool
set_flag(sqlite3 *db, int flag, int wanted)
{
    int now = !wanted;

    return sqlite3_db_config(db, flag, wanted, &now) == SQLITE_OK && now == wanted;
}

/* What must hold before a byte of the schema is read. */
static enum oxv_status
configure(sqlite3 *db, struct oxv_err *err)
{
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, 0); /* one process at a time: waiting is the caller's */
    set_limits(db);
    if (!set_flag(db, SQLITE_DBCONFIG_DEFENSIVE, 1) ||
        !set_flag(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0) ||
        !set_flag(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0) ||
        !set_flag(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0) ||
        !set_flag(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)) {
        return oxv_fail(err, OXV_E_STORE, "this SQLite lacks the defensive settings");
    }
    /* EXCLUSIVE before the first read in WAL mode: no shared memory file, and a second process is
     * refused. */
    return run(db,
               "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF;"
               "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
               "PRAGMA synchronous=FULL; PRAGMA cache_size=" IMPORT_CACHE_KB ";",
               err);
}

static enum oxv_status
connect_file(const char *path, struct oxv_store **out, struct oxv_err *err)
{
    OXV_AUTO(sqlite_closep) struct oxv_store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the store");
    }
    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX |
                            SQLITE_OPEN_PRIVATECACHE,
                        NULL) != SQLITE_OK) {
        return fail_sqlite(err, store->db, "open");
    }
    enum oxv_status st = configure(store->db, err);

    if (st != OXV_OK) {
        return st;
    }
    *out = store;
    store = NULL;
    return OXV_OK;
}

static enum oxv_status
check_number(sqlite3 *db, const char *pragma, sqlite3_int64 *number, struct oxv_err *err)
{
    char text[64];

    return ask(db, pragma, number, text, err);
}

static enum oxv_status
use_wal(sqlite3 *db, struct oxv_err *err)
{
    char mode[64];
    sqlite3_int64 number;
    enum oxv_status st = ask(db, "PRAGMA journal_mode=WAL", &number, mode, err);

    if (st == OXV_OK && !oxv_view_is(oxv_view_text(mode), "wal")) {
        st = oxv_fail(err, OXV_E_STORE, "vault.db cannot be put in WAL mode");
    }
    return st;
}

static enum oxv_status
sqlite_create(const char *path, struct oxv_store **out, struct oxv_err *err)
{
    OXV_AUTO(sqlite_closep) struct oxv_store *store = NULL;
    char sql[SQL_MAX_BYTES];
    enum oxv_status st = connect_file(path, &store, err);

    if (st == OXV_OK) {
        st = use_wal(store->db, err);
    }
    if (st == OXV_OK) {
        st = oxv_format(sql, sizeof sql, "BEGIN; PRAGMA application_id=%d; PRAGMA user_version=%u;",
                        APPLICATION_ID, OXV_SCHEMA_VERSION);
    }
    if (st == OXV_OK) {
        st = run(store->db, sql, err);
    }
    for (size_t i = 0; i < TABLES && st == OXV_OK; i++) {
        st = run(store->db, tables[i].sql, err);
    }
    if (st == OXV_OK) {
        st = run(store->db, "COMMIT", err);
    }
    if (st == OXV_OK) {
        *out = store;
        store = NULL;
    }
    return st;
}

static enum oxv_status
check_version(sqlite3 *db, struct oxv_err *err)
{
    sqlite3_int64 application;
    sqlite3_int64 version = 0;
    enum oxv_status st = check_number(db, "PRAGMA application_id", &application, err);

    if (st == OXV_OK) {
        st = check_number(db, "PRAGMA user_version", &version, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    if (application != APPLICATION_ID) {
        return oxv_fail(err, OXV_E_STORE, "vault.db is not a database of oxvault");
    }
    if (version > (sqlite3_int64)OXV_SCHEMA_VERSION) {
        return oxv_fail(err, OXV_E_LIMIT,
                        "this vault has schema version %lld, made by a newer oxvault; this one "
                        "knows up to %u: use a newer oxvault",
                        (long long)version, OXV_SCHEMA_VERSION);
    }
    if (version != (sqlite3_int64)OXV_SCHEMA_VERSION) {
        return oxv_fail(err, OXV_E_STORE, "the vault is damaged: no schema version %lld exists",
                        (long long)version);
    }
    return OXV_OK;
}

static bool
column_is(sqlite3_stmt *statement, int column, const char *wanted)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text != NULL && oxv_view_is(oxv_view_text(text), wanted);
}

/* Is this row of sqlite_schema the table that comes next? */
static bool
schema_row_is(sqlite3_stmt *row, size_t i)
{
    return i < TABLES && column_is(row, 0, "table") && column_is(row, 1, tables[i].name) &&
           column_is(row, 2, tables[i].name) && column_is(row, 3, tables[i].sql);
}

/* Says what is there that should not be, or, where a later table comes too early, what is not. */
static enum oxv_status
fail_schema(sqlite3_stmt *row, size_t i, struct oxv_err *err)
{
    const char *name = (const char *)sqlite3_column_text(row, 1);

    for (size_t later = i + 1; later < TABLES; later++) {
        if (column_is(row, 1, tables[later].name)) {
            return oxv_fail(err, OXV_E_STORE,
                            "the vault was changed from outside: the schema of vault.db lacks %s",
                            tables[i].name);
        }
    }
    return oxv_fail(err, OXV_E_STORE,
                    "the vault was changed from outside: the schema of vault.db has %.60s",
                    name == NULL ? "another entry" : name);
}

static enum oxv_status
check_schema(sqlite3 *db, struct oxv_err *err)
{
    OXV_AUTO(statement_freep) sqlite3_stmt *row = NULL;
    enum oxv_status st =
        prepare(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid", &row,
                err);
    size_t i = 0;

    if (st != OXV_OK) {
        return st;
    }
    for (int step = sqlite3_step(row); step != SQLITE_DONE; step = sqlite3_step(row)) {
        if (step != SQLITE_ROW) {
            return fail_sqlite(err, db, "read the schema");
        }
        if (!schema_row_is(row, i)) {
            return fail_schema(row, i, err);
        }
        i++;
    }
    if (i != TABLES) {
        return oxv_fail(err, OXV_E_STORE,
                        "the vault was changed from outside: the schema of vault.db lacks %s",
                        tables[i].name);
    }
    return OXV_OK;
}

static enum oxv_status
quick_check(sqlite3 *db, struct oxv_err *err)
{
    char answer[64];
    sqlite3_int64 number;
    enum oxv_status st = ask(db, "PRAGMA quick_check(1)", &number, answer, err);

    if (st == OXV_OK && !oxv_view_is(oxv_view_text(answer), "ok")) {
        st = oxv_fail(err, OXV_E_STORE, "the vault is damaged: vault.db: %s", answer);
    }
    return st;
}

static enum oxv_status
sqlite_open(const char *path, struct oxv_store **out, struct oxv_err *err)
{
    OXV_AUTO(sqlite_closep) struct oxv_store *store = NULL;
    enum oxv_status st = connect_file(path, &store, err);

    if (st == OXV_OK) {
        st = check_version(store->db, err);
    }
    if (st == OXV_OK) {
        st = check_schema(store->db, err);
    }
    if (st == OXV_OK) {
        st = quick_check(store->db, err);
    }
    if (st == OXV_OK) {
        st = use_wal(store->db, err);
    }
    if (st == OXV_OK) {
        *out = store;
        store = NULL;
    }
    return st;
}

static struct oxv_view
column_view(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);

    return oxv_view(bytes, (size_t)sqlite3_column_bytes(statement, column));
}

static enum oxv_status
sqlite_load(struct oxv_store *store, int table, oxv_store_row_fn fn, void *ctx, struct oxv_err *err)
{
    OXV_AUTO(statement_freep) sqlite3_stmt *statement = NULL;
    char sql[SQL_MAX_BYTES];
    enum oxv_status st =
        oxv_format(sql, sizeof sql, "SELECT id, version, record, sealed FROM %s ORDER BY id",
                   tables[table].name);

    if (st == OXV_OK) {
        st = prepare(store->db, sql, &statement, err);
    }
    while (st == OXV_OK) {
        int step = sqlite3_step(statement);

        if (step == SQLITE_DONE) {
            return OXV_OK;
        }
        if (step != SQLITE_ROW) {
            return fail_sqlite(err, store->db, "read rows");
        }
        struct oxv_store_row row = {
            .table = table,
            .id = (uint64_t)sqlite3_column_int64(statement, 0),
            .version = (uint64_t)sqlite3_column_int64(statement, 1),
            .record = column_view(statement, 2),
            .sealed = column_view(statement, 3),
        };

        st = fn(ctx, &row, err);
    }
    return st;
}

static enum oxv_status
sqlite_begin(struct oxv_store *store, struct oxv_err *err)
{
    enum oxv_status st = run(store->db, "BEGIN IMMEDIATE", err);

    if (st == OXV_OK) {
        store->in_transaction = true;
    }
    return st;
}

/* The prepared statement in *slot, made from `format` and the table's name where it is new. */
static enum oxv_status
statement_for(struct oxv_store *store, int table, bool removes, sqlite3_stmt **out,
              struct oxv_err *err)
{
    sqlite3_stmt **slot = removes ? &store->remove[table] : &store->put[table];
    char sql[SQL_MAX_BYTES];

    if (*slot == NULL) {
        enum oxv_status st =
            removes ? oxv_format(sql, sizeof sql, "DELETE FROM %s WHERE id=?1", tables[table].name)
                    : oxv_format(sql, sizeof sql,
                                 "INSERT INTO %s VALUES(?1,?2,?3,?4) ON CONFLICT(id) DO UPDATE SET "
                                 "version=?2, record=?3, sealed=?4",
                                 tables[table].name);

        if (st == OXV_OK) {
            st = prepare(store->db, sql, slot, err);
        }
        if (st != OXV_OK) {
            return st;
        }
    }
    *out = *slot;
    return OXV_OK;
}

static enum oxv_status
step_and_reset(struct oxv_store *store, sqlite3_stmt *statement, const char *what,
               struct oxv_err *err)
{
    int step = sqlite3_step(statement);
    enum oxv_status st = step == SQLITE_DONE ? OXV_OK : fail_sqlite(err, store->db, what);

    (void)sqlite3_reset(statement);          /* repeats the error of the step */
    (void)sqlite3_clear_bindings(statement); /* the bytes are the caller's */
    return st;
}

static bool
bind_view(sqlite3_stmt *statement, int at, struct oxv_view bytes)
{
    if (bytes.len == 0) {
        return sqlite3_bind_zeroblob(statement, at, 0) == SQLITE_OK; /* NULL would be SQL's NULL */
    }
    return sqlite3_bind_blob64(statement, at, bytes.data, bytes.len, SQLITE_STATIC) == SQLITE_OK;
}

static enum oxv_status
sqlite_put(struct oxv_store *store, const struct oxv_store_row *row, struct oxv_err *err)
{
    sqlite3_stmt *statement;
    enum oxv_status st = statement_for(store, row->table, false, &statement, err);

    if (st != OXV_OK) {
        return st;
    }
    if (row->id > INT64_MAX || row->version > INT64_MAX ||
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)row->id) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)row->version) != SQLITE_OK ||
        !bind_view(statement, 3, row->record) || !bind_view(statement, 4, row->sealed)) {
        return fail_sqlite(err, store->db, "bind a row");
    }
    return step_and_reset(store, statement, "write a row", err);
}

static enum oxv_status
sqlite_remove(struct oxv_store *store, int table, uint64_t id, struct oxv_err *err)
{
    sqlite3_stmt *statement;
    enum oxv_status st = statement_for(store, table, true, &statement, err);

    if (st != OXV_OK) {
        return st;
    }
    if (sqlite3_bind_int64(statement, 1, (sqlite3_int64)id) != SQLITE_OK) {
        return fail_sqlite(err, store->db, "bind an id");
    }
    return step_and_reset(store, statement, "remove a row", err);
}

static enum oxv_status
sqlite_commit(struct oxv_store *store, struct oxv_err *err)
{
    enum oxv_status st = run(store->db, "COMMIT", err);

    if (st != OXV_OK) {
        sqlite_rollback(store);
        return st;
    }
    store->in_transaction = false;
    return OXV_OK;
}

const struct oxv_store_ops oxv_store_sqlite = {
    .create = sqlite_create,
    .open = sqlite_open,
    .load = sqlite_load,
    .begin = sqlite_begin,
    .put = sqlite_put,
    .remove = sqlite_remove,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .close = sqlite_close,
};
