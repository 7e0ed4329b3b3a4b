#include "vault/row.h"

#include <stdlib.h>

#include "vault/seal.h"

static const struct {
    const char *name;
    const struct oxv_shape *shape;
    const struct oxv_shape *secret_shape;
} tables[] = {
    [OXV_STORE_MANIFEST] = { "manifest", NULL, NULL },
    [OXV_TABLE_NODE] = { "node", &oxv_node_shape, &oxv_node_secret_shape },
    [OXV_TABLE_SEAL] = { "seal", &oxv_seal_shape, NULL },
    [OXV_TABLE_CONNECTION] = { "connection", &oxv_connection_shape, &oxv_connection_secret_shape },
    [OXV_TABLE_CALLER] = { "caller", &oxv_caller_shape, NULL },
    [OXV_TABLE_GRANT] = { "grant", &oxv_grant_shape, NULL },
    [OXV_TABLE_ADMIN] = { "admin", &oxv_admin_shape, NULL },
    [OXV_TABLE_TOKEN] = { "token", &oxv_token_shape, NULL },
};

_Static_assert(sizeof tables / sizeof tables[0] == OXV_TABLE_END, "a row per table");

const char *
oxv_table_name(int table)
{
    return tables[table].name;
}

const struct oxv_shape *
oxv_table_shape(enum oxv_table table)
{
    return tables[table].shape;
}

const struct oxv_shape *
oxv_table_secret_shape(enum oxv_table table)
{
    return tables[table].secret_shape;
}

/* The rules that span fields. */
static enum oxv_status
check_row(const struct oxv_row *row, struct oxv_err *err)
{
    switch ((enum oxv_table)row->table) {
    case OXV_TABLE_CONNECTION:
        return oxv_connection_check(&row->as.connection.record, err);
    case OXV_TABLE_CALLER:
        return oxv_caller_check(&row->as.caller.record, err);
    case OXV_TABLE_GRANT:
        return oxv_grant_check(&row->as.grant.record, err);
    case OXV_TABLE_NODE:
    case OXV_TABLE_SEAL: /* its parameters are checked where it is used: damage, not usage */
    case OXV_TABLE_ADMIN:
    case OXV_TABLE_END:
        break;
    case OXV_TABLE_TOKEN:
        return oxv_token_check(&row->as.token.record, err);
    }
    return OXV_OK;
}

/* Where the table's record is decoded to. */
static void *
record_of(struct oxv_row *row)
{
    switch ((enum oxv_table)row->table) {
    case OXV_TABLE_NODE:
        return &row->as.node.record;
    case OXV_TABLE_SEAL:
        return &row->as.seal.record;
    case OXV_TABLE_CONNECTION:
        return &row->as.connection.record;
    case OXV_TABLE_CALLER:
        return &row->as.caller.record;
    case OXV_TABLE_GRANT:
        return &row->as.grant.record;
    case OXV_TABLE_ADMIN:
        return &row->as.admin.record;
    case OXV_TABLE_TOKEN:
        return &row->as.token.record;
    case OXV_TABLE_END:
        break;
    }
    oxv_bug("a row of no table");
}

static enum oxv_status
decode(struct oxv_row *row, struct oxv_err *err)
{
    enum oxv_status st =
        oxv_fields_decode(oxv_row_record(row), tables[row->table].shape, record_of(row), err);

    return st == OXV_OK ? check_row(row, err) : st;
}

enum oxv_status
oxv_row_new(const struct oxv_store_row *stored, struct oxv_row **out, struct oxv_err *err)
{
    if (stored->record.len > OXV_RECORD_MAX_BYTES ||
        stored->sealed.len > OXV_RECORD_SECRET_MAX_BYTES + OXV_BLOB_EXTRA_BYTES) {
        return oxv_fail(err, OXV_E_FORMAT, "too long");
    }
    OXV_AUTO(oxv_row_freep)
    struct oxv_row *row = calloc(1, sizeof *row + stored->record.len + stored->sealed.len);

    if (row == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a record");
    }
    struct oxv_writer w = oxv_writer(row->bytes, stored->record.len + stored->sealed.len);

    oxv_write_view(&w, stored->record);
    oxv_write_view(&w, stored->sealed);
    row->as.head.id = stored->id;
    row->as.head.version = stored->version;
    row->table = (uint8_t)stored->table;
    row->record_len = (uint32_t)stored->record.len;
    row->sealed_len = (uint32_t)stored->sealed.len;
    enum oxv_status st = decode(row, err);

    if (st == OXV_OK) {
        *out = oxv_row_take(&row);
    }
    return st;
}

void
oxv_row_free(struct oxv_row *row)
{
    if (row != NULL && row->holds > 0) {
        row->holds--;
    } else if (row != NULL) {
        free(row->key);
        free(row); /* no secret in clear */
    }
}

struct oxv_row *
oxv_row_hold(struct oxv_row *row)
{
    row->holds++;
    return row;
}

struct oxv_view
oxv_row_record(const struct oxv_row *row)
{
    return oxv_view(row->bytes, row->record_len);
}

struct oxv_view
oxv_row_sealed(const struct oxv_row *row)
{
    struct oxv_view all = oxv_view(row->bytes, (size_t)row->record_len + row->sealed_len);

    return oxv_view_from(all, row->record_len);
}

bool
oxv_row_blob(const struct oxv_row *row, struct oxv_view *blob, struct oxv_view *bound)
{
    if (row->table == OXV_TABLE_SEAL) {
        return oxv_seal_split(oxv_row_sealed(row), bound, blob);
    }
    *bound = oxv_view(NULL, 0);
    *blob = oxv_row_sealed(row);
    return blob->len >= OXV_BLOB_EXTRA_BYTES;
}

struct oxv_store_row
oxv_row_stored(const struct oxv_row *row)
{
    return (struct oxv_store_row){
        .table = row->table,
        .id = row->as.head.id,
        .version = row->as.head.version,
        .record = oxv_row_record(row),
        .sealed = oxv_row_sealed(row),
    };
}

struct oxv_blob_place
oxv_row_place(const struct oxv_row *row, const uint8_t *vault_id, uint32_t root_generation)
{
    return (struct oxv_blob_place){
        .purpose = OXV_BLOB_RECORD,
        .vault_id = vault_id,
        .root_generation = root_generation,
        .table = row->table,
        .id = row->as.head.id,
        .version = row->as.head.version,
        .record = oxv_row_record(row),
    };
}
