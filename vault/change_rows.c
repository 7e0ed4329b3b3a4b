/* What a change does to rows, before it is committed. */
#include <stdlib.h>

#include "vault/change_impl.h"

/* A row as it will be once this is committed. */
static struct oxv_row *
row_now(const struct oxv_change *change, enum oxv_table table, uint64_t id)
{
    struct oxv_row *row = oxv_registry_by_id(change->added, table, id);

    if (row == NULL) {
        row = oxv_registry_by_id(change->vault->rows, table, id);
        row = row != NULL && row->leaving ? NULL : row;
    }
    return row;
}

/* Rows of a table as they will be. */
static size_t
count_now(const struct oxv_change *change, enum oxv_table table)
{
    size_t count = change->vault->rows->lists[table].count + change->added->by_id[table].count;

    for (size_t i = 0; i < change->leaving.count; i++) {
        count -= change->leaving.rows[i]->table == table ? 1 : 0;
    }
    return count;
}

/* Name or uid in use by another row that stays? */
static enum oxv_status
check_unique(const struct oxv_change *change, const struct oxv_row *row, struct oxv_err *err)
{
    const char *field = NULL;
    const struct oxv_row *other = oxv_registry_clash(change->added, row, &field);

    if (other == NULL) {
        other = oxv_registry_clash(change->vault->rows, row, &field);
    }
    if (other == NULL) {
        return OXV_OK;
    }
    return oxv_fail(err, OXV_E_CONFLICT, "%s %llu has this %s already", oxv_table_name(row->table),
                    (unsigned long long)other->as.head.id, field);
}

static size_t
count_pair(const struct oxv_registry *rows, const struct oxv_grant_record *grant)
{
    size_t count = 0;

    for (const struct oxv_row *row =
             oxv_registry_pair(rows, grant->caller_id, grant->connection_id);
         row != NULL; row = row->next_in_pair) {
        count += row->leaving ? 0 : 1;
    }
    return count;
}

static enum oxv_status
check_grant(const struct oxv_change *change, const struct oxv_row *row, bool is_new,
            struct oxv_err *err)
{
    const struct oxv_grant_record *grant = &row->as.grant.record;

    if (row_now(change, OXV_TABLE_CALLER, grant->caller_id) == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no caller %llu",
                        (unsigned long long)grant->caller_id);
    }
    if (row_now(change, OXV_TABLE_CONNECTION, grant->connection_id) == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no connection %llu",
                        (unsigned long long)grant->connection_id);
    }
    if (is_new && count_pair(change->vault->rows, grant) + count_pair(change->added, grant) >=
                      OXV_PAIR_GRANTS_MAX) {
        return oxv_fail(err, OXV_E_LIMIT, "a caller has at most %u grants for one connection",
                        OXV_PAIR_GRANTS_MAX);
    }
    return OXV_OK;
}

/* The first connection of `rows` from *at on whose key is in the token; *at becomes the next. */
static const struct oxv_row *
next_in_token(const struct oxv_registry *rows, uint64_t token_id, size_t *at)
{
    const struct oxv_row_list *list = &rows->lists[OXV_TABLE_CONNECTION];

    while (*at < list->count) {
        const struct oxv_row *row = list->rows[(*at)++];

        if (!row->leaving && row->as.connection.record.key_form != OXV_KEY_IN_VAULT &&
            row->as.connection.record.key_token == token_id) {
            return row;
        }
    }
    return NULL;
}

/* The CKA_ID of a key is one connection's: else one of two would sign with the other's key. */
static enum oxv_status
check_key_id(const struct oxv_registry *rows, const struct oxv_row *row, struct oxv_err *err)
{
    const struct oxv_connection_record *own = &row->as.connection.record;
    const struct oxv_row *other;
    size_t at = 0;

    while ((other = next_in_token(rows, own->key_token, &at)) != NULL) {
        if (other->as.head.id != row->as.head.id &&
            oxv_view_equals(other->as.connection.record.key_id, own->key_id)) {
            return oxv_fail(err, OXV_E_CONFLICT,
                            "connection %llu has this key of the token already",
                            (unsigned long long)other->as.head.id);
        }
    }
    return OXV_OK;
}

static enum oxv_status
check_key_place(const struct oxv_change *change, const struct oxv_row *row, struct oxv_err *err)
{
    const struct oxv_connection_record *record = &row->as.connection.record;

    if (record->key_form == OXV_KEY_IN_VAULT) {
        return OXV_OK;
    }
    const struct oxv_row *token = row_now(change, OXV_TABLE_TOKEN, record->key_token);

    if (token == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no token %llu",
                        (unsigned long long)record->key_token);
    }
    if (record->key_form == OXV_KEY_UNWRAP && token->as.token.record.pair_id.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "key_form: token %llu has no key that unwraps",
                        (unsigned long long)record->key_token);
    }
    enum oxv_status st = check_key_id(change->vault->rows, row, err);

    return st == OXV_OK ? check_key_id(change->added, row, err) : st;
}

/* How many connections have their key in the token, once this is committed. */
static size_t
count_in_token(const struct oxv_change *change, uint64_t token_id)
{
    size_t count = 0;
    size_t at = 0;

    while (next_in_token(change->vault->rows, token_id, &at) != NULL) {
        count++;
    }
    at = 0;
    while (next_in_token(change->added, token_id, &at) != NULL) {
        count++;
    }
    return count;
}

static bool
is_same_pair(const struct oxv_token_record *a, const struct oxv_token_record *b)
{
    return oxv_view_equals(a->pair_id, b->pair_id) &&
           oxv_view_equals(a->public_key, b->public_key) && a->oaep == b->oaep;
}

/* What was sealed to the pair of a token opens with no other; one may come where there was none. */
static enum oxv_status
check_token(const struct oxv_change *change, const struct oxv_row *row, struct oxv_err *err)
{
    const struct oxv_row *old = row_now(change, OXV_TABLE_TOKEN, row->as.head.id);
    const struct oxv_token_record *now = &row->as.token.record;

    if (old == NULL || count_in_token(change, row->as.head.id) == 0) {
        return OXV_OK;
    }
    const struct oxv_token_record *was = &old->as.token.record;

    if (!oxv_view_equals(was->token_uri, now->token_uri) ||
        (was->pair_id.len != 0 && !is_same_pair(was, now))) {
        return oxv_fail(err, OXV_E_CONFLICT,
                        "token %llu has keys of connections, so neither it nor its pair can become "
                        "another",
                        (unsigned long long)row->as.head.id);
    }
    return OXV_OK;
}

static enum oxv_status
check_new_row(const struct oxv_change *change, const struct oxv_row *row, bool is_new,
              struct oxv_err *err)
{
    enum oxv_status st = check_unique(change, row, err);

    if (st == OXV_OK && row->table == OXV_TABLE_GRANT) {
        st = check_grant(change, row, is_new, err);
    }
    if (st == OXV_OK && row->table == OXV_TABLE_CONNECTION) {
        st = check_key_place(change, row, err);
    }
    if (st == OXV_OK && row->table == OXV_TABLE_TOKEN) {
        st = check_token(change, row, err);
    }
    return st;
}

static enum oxv_status
reserve_leaving(struct oxv_row_list *list)
{
    if (list->count < list->capacity) {
        return OXV_OK;
    }
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    struct oxv_row **rows = reallocarray(list->rows, capacity, sizeof(struct oxv_row *));

    if (rows == NULL) {
        return OXV_E_MEMORY;
    }
    list->rows = rows;
    list->capacity = capacity;
    return OXV_OK;
}

/* Out of the change's view. There is room in `leaving`. */
static void
retire(struct oxv_change *change, struct oxv_row *row)
{
    if (!oxv_manifest_remove(&change->manifest, &change->vault->keys, row)) {
        oxv_bug("a row without a tag");
    }
    if (oxv_registry_by_id(change->added, (enum oxv_table)row->table, row->as.head.id) == row) {
        oxv_registry_unlink(change->added, row);
    } else {
        row->leaving = true; /* signing still finds it until the commit */
        change->leaving.rows[change->leaving.count++] = row;
    }
}

/*
 * Writes the row and takes it over; `old` is the one it replaces, or NULL. All that can be refused
 * was refused before: what fails here spoils the change.
 */
static enum oxv_status
store_row(struct oxv_change *change, struct oxv_row **row, struct oxv_row *old, struct oxv_err *err)
{
    struct oxv_store_row stored = oxv_row_stored(*row);

    if (reserve_leaving(&change->leaving) != OXV_OK ||
        oxv_registry_reserve(change->added, (enum oxv_table)(*row)->table, 1) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a record");
    }
    enum oxv_status st = change->vault->ops->put(change->vault->store, &stored, err);

    if (st != OXV_OK) {
        change->failed = true;
        return st;
    }
    if (old != NULL) {
        retire(change, old);
    }
    if (!oxv_manifest_add(&change->manifest, &change->vault->keys, *row)) {
        oxv_bug("a new row without a tag");
    }
    oxv_registry_put(change->added, oxv_row_take(row));
    return OXV_OK;
}

enum oxv_status
oxv_change_rekey_row(struct oxv_change *change, struct oxv_row *old, struct oxv_row **row,
                     struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    if (reserve_leaving(&change->leaving) != OXV_OK ||
        oxv_registry_reserve(change->added, (enum oxv_table)old->table, 1) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a record");
    }
    if (row == NULL) {
        st = change->vault->ops->remove(change->vault->store, old->table, old->as.head.id, err);
    } else {
        struct oxv_store_row stored = oxv_row_stored(*row);

        st = change->vault->ops->put(change->vault->store, &stored, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    old->leaving = true; /* signing still finds it until the commit */
    change->leaving.rows[change->leaving.count++] = old;
    if (row != NULL) {
        if (!oxv_manifest_add(&change->manifest, &change->new_keys, *row)) {
            oxv_bug("a new row without a tag");
        }
        oxv_registry_put(change->added, oxv_row_take(row));
    }
    return OXV_OK;
}

/* The secret part that a put gives, in change->plain. */
static enum oxv_status
encode_secret(struct oxv_change *change, enum oxv_table table, const void *secret,
              struct oxv_view *plain, struct oxv_err *err)
{
    const struct oxv_shape *shape = oxv_table_secret_shape(table);
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(change->plain), OXV_RECORD_SECRET_MAX_BYTES);

    if (shape == NULL) {
        return oxv_fail(err, OXV_E_USAGE, "%s: has no secret part", oxv_table_name((int)table));
    }
    oxv_fields_encode(&w, shape, secret);
    if (oxv_writer_finish(&w, plain) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "%s: missing, too long or malformed", shape->name);
    }
    return OXV_OK;
}

/* The secret part of the row that is replaced, copied to change->plain. */
static enum oxv_status
keep_secret(struct oxv_change *change, const struct oxv_row *old, struct oxv_view *plain,
            struct oxv_err *err)
{
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(change->plain), OXV_RECORD_SECRET_MAX_BYTES);
    struct oxv_view opened;
    enum oxv_status st = oxv_vault_open_secret(change->vault, old, &opened, err);

    if (st != OXV_OK) {
        return st;
    }
    oxv_write_view(&w, opened);
    oxv_vault_wipe_scratch(change->vault, opened.len);
    return oxv_writer_finish(&w, plain);
}

static enum oxv_status
check_secret(enum oxv_table table, const void *record, struct oxv_view plain, struct oxv_err *err)
{
    const struct oxv_connection_record *connection = record;
    struct oxv_connection_secret secret;

    if (table != OXV_TABLE_CONNECTION) {
        return OXV_OK;
    }
    if (plain.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "key: missing");
    }
    enum oxv_status st = oxv_fields_decode(plain, &oxv_connection_secret_shape, &secret, err);

    if (st == OXV_OK && connection->key_form == OXV_KEY_TOKEN && secret.key.len != 0) {
        return oxv_fail(err, OXV_E_USAGE, "key: it is the token's, the vault keeps none of it");
    }
    return st == OXV_OK ? oxv_connection_secret_check(connection, &secret, err) : st;
}

/* What a put is about, so that its steps have few parameters. */
struct putting {
    enum oxv_table table;
    const void *record;
    const void *secret;
    struct oxv_row *old;
    struct oxv_store_row stored;
};

static enum oxv_status
seal_put(struct oxv_change *change, struct putting *put, struct oxv_err *err)
{
    struct oxv_vault_binding binding = oxv_vault_binding(change->vault);
    struct oxv_view plain = oxv_view(NULL, 0);
    enum oxv_status st = oxv_row_encode(put->record, change->buffers, &put->stored, err);

    if (st == OXV_OK && put->secret != NULL) {
        st = encode_secret(change, put->table, put->secret, &plain, err);
    } else if (st == OXV_OK && put->old != NULL) {
        st = keep_secret(change, put->old, &plain, err);
    }
    if (st == OXV_OK) {
        st = check_secret(put->table, put->record, plain, err);
    }
    if (st == OXV_OK) {
        st = oxv_row_seal(&binding, plain, change->buffers, &put->stored, err);
    }
    /* Whole: where encoding failed half-way, nobody knows how much is in it. */
    oxv_wipe(oxv_secret_bytes(change->plain), OXV_RECORD_SECRET_MAX_BYTES);
    return st;
}

static enum oxv_status
do_put(struct oxv_change *change, struct putting *put, struct oxv_err *err)
{
    OXV_AUTO(oxv_row_freep) struct oxv_row *row = NULL;
    enum oxv_status st = seal_put(change, put, err);

    if (st == OXV_OK) {
        st = oxv_row_new(&put->stored, &row, err);
    }
    if (st == OXV_OK) {
        st = check_new_row(change, row, put->old == NULL, err);
    }
    return st == OXV_OK ? store_row(change, &row, put->old, err) : st;
}

enum oxv_status
oxv_change_put(struct oxv_change *change, enum oxv_table table, uint64_t *id, const void *record,
               const void *secret, struct oxv_err *err)
{
    struct putting put = { .table = table, .record = record, .secret = secret };
    enum oxv_status st = oxv_change_check_usable(change, err);

    if (st != OXV_OK) {
        return st;
    }
    if (table == OXV_TABLE_NODE || table == OXV_TABLE_SEAL || table == OXV_TABLE_END) {
        return oxv_fail(err, OXV_E_USAGE, "this table has no rows that can be put");
    }
    if (*id != 0) {
        put.old = row_now(change, table, *id);
        if (put.old == NULL) {
            return oxv_fail(err, OXV_E_NOT_FOUND, "there is no %s %llu", oxv_table_name((int)table),
                            (unsigned long long)*id);
        }
    }
    put.stored = (struct oxv_store_row){
        .table = (int)table,
        .id = *id != 0 ? *id : change->manifest.last_id[table] + 1,
        .version = change->manifest.counter,
    };
    st = do_put(change, &put, err);
    if (st == OXV_OK) {
        *id = put.stored.id;
    }
    return st;
}

enum oxv_status
oxv_change_add_seal(struct oxv_change *change, const struct oxv_seal_input *existing,
                    const struct oxv_seal_input *added, const struct oxv_seal_record *added_record,
                    uint64_t *id, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *root = NULL;
    OXV_AUTO(oxv_row_freep) struct oxv_row *row = NULL;
    enum oxv_status st = oxv_change_check_usable(change, err);

    if (st != OXV_OK) {
        return st;
    }
    if (count_now(change, OXV_TABLE_SEAL) >= OXV_SEALS_MAX) {
        return oxv_fail(err, OXV_E_LIMIT, "a vault has at most %u seals", OXV_SEALS_MAX);
    }
    struct oxv_vault_binding binding = oxv_vault_binding(change->vault);
    struct oxv_store_row stored = {
        .table = OXV_TABLE_SEAL,
        .id = change->manifest.last_id[OXV_TABLE_SEAL] + 1,
        .version = change->manifest.counter,
    };

    st = oxv_vault_open_root(change->vault, existing, 0, &root, err);
    if (st == OXV_OK) {
        struct oxv_seal_new seal = { .record = added_record, .input = added, .root = root };

        st = oxv_row_make_seal(&binding, &seal, change->buffers, &stored, err);
    }
    oxv_secret_freep(&root);
    if (st == OXV_OK) {
        st = oxv_row_new(&stored, &row, err);
    }
    if (st == OXV_OK) {
        st = store_row(change, &row, NULL, err);
    }
    if (st == OXV_OK) {
        *id = stored.id;
    }
    return st;
}

static enum oxv_status
remove_row(struct oxv_change *change, struct oxv_row *row, struct oxv_err *err)
{
    if (reserve_leaving(&change->leaving) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a change");
    }
    enum oxv_status st =
        change->vault->ops->remove(change->vault->store, row->table, row->as.head.id, err);

    if (st == OXV_OK) {
        retire(change, row);
    }
    return st;
}

static bool
grant_is_of(const struct oxv_row *grant, enum oxv_table table, uint64_t id)
{
    const struct oxv_grant_record *record = &grant->as.grant.record;

    return !grant->leaving &&
           id == (table == OXV_TABLE_CALLER ? record->caller_id : record->connection_id);
}

/* The grants of a caller or connection, of the vault's or the change's own. */
static enum oxv_status
remove_grants(struct oxv_change *change, const struct oxv_registry *rows, enum oxv_table table,
              uint64_t id, struct oxv_err *err)
{
    const struct oxv_row_list *grants = &rows->lists[OXV_TABLE_GRANT];
    enum oxv_status st = OXV_OK;

    for (size_t i = 0; i < grants->count && st == OXV_OK; i++) {
        if (grant_is_of(grants->rows[i], table, id)) {
            st = remove_row(change, grants->rows[i], err);
        }
    }
    return st;
}

static enum oxv_status
check_removable(const struct oxv_change *change, enum oxv_table table, uint64_t id,
                struct oxv_err *err)
{
    if (table == OXV_TABLE_NODE || table == OXV_TABLE_END) {
        return oxv_fail(err, OXV_E_USAGE, "this table has no rows that can be removed");
    }
    if (row_now(change, table, id) == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no %s %llu", oxv_table_name((int)table),
                        (unsigned long long)id);
    }
    if ((table == OXV_TABLE_SEAL || table == OXV_TABLE_ADMIN) && count_now(change, table) == 1) {
        return oxv_fail(err, OXV_E_CONFLICT, "%s %llu is the last one: add another first",
                        oxv_table_name((int)table), (unsigned long long)id);
    }
    size_t used = table == OXV_TABLE_TOKEN ? count_in_token(change, id) : 0;

    if (used > 0) {
        return oxv_fail(err, OXV_E_CONFLICT,
                        "token %llu has the key%s of %zu connection%s: move or remove them first",
                        (unsigned long long)id, used == 1 ? "" : "s", used, used == 1 ? "" : "s");
    }
    return OXV_OK;
}

enum oxv_status
oxv_change_remove(struct oxv_change *change, enum oxv_table table, uint64_t id, struct oxv_err *err)
{
    enum oxv_status st = oxv_change_check_usable(change, err);

    if (st == OXV_OK) {
        st = check_removable(change, table, id, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    if (table == OXV_TABLE_CALLER || table == OXV_TABLE_CONNECTION) {
        st = remove_grants(change, change->vault->rows, table, id, err);
        if (st == OXV_OK) {
            st = remove_grants(change, change->added, table, id, err);
        }
    }
    if (st == OXV_OK) {
        st = remove_row(change, row_now(change, table, id), err);
    }
    if (st != OXV_OK) {
        change->failed = true; /* some rows may be gone already */
    }
    return st;
}
