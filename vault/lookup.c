#include "vault/vault_impl.h"

/* A connection, caller, grant or admin is the beginning of its row; NULL stays NULL. */
struct oxv_connection *
oxv_vault_connection(struct oxv_vault *vault, struct oxv_view name)
{
    struct oxv_row *row = oxv_registry_find(vault->rows, OXV_BY_CONNECTION_NAME, name);

    return row == NULL ? NULL : &row->as.connection;
}

struct oxv_connection *
oxv_vault_connection_by_id(struct oxv_vault *vault, uint64_t id)
{
    struct oxv_row *row = oxv_registry_by_id(vault->rows, OXV_TABLE_CONNECTION, id);

    return row == NULL ? NULL : &row->as.connection;
}

struct oxv_caller *
oxv_vault_caller_by_uid(struct oxv_vault *vault, uint64_t uid)
{
    struct oxv_row *row = oxv_registry_by_uid(vault->rows, OXV_BY_CALLER_UID, uid);

    return row == NULL ? NULL : &row->as.caller;
}

struct oxv_caller *
oxv_vault_caller(struct oxv_vault *vault, struct oxv_view name)
{
    struct oxv_row *row = oxv_registry_find(vault->rows, OXV_BY_CALLER_NAME, name);

    return row == NULL ? NULL : &row->as.caller;
}

struct oxv_caller *
oxv_vault_caller_by_id(struct oxv_vault *vault, uint64_t id)
{
    struct oxv_row *row = oxv_registry_by_id(vault->rows, OXV_TABLE_CALLER, id);

    return row == NULL ? NULL : &row->as.caller;
}

struct oxv_grant *
oxv_vault_grant_by_id(struct oxv_vault *vault, uint64_t id)
{
    struct oxv_row *row = oxv_registry_by_id(vault->rows, OXV_TABLE_GRANT, id);

    return row == NULL ? NULL : &row->as.grant;
}

struct oxv_admin *
oxv_vault_admin_by_uid(struct oxv_vault *vault, uint64_t uid)
{
    struct oxv_row *row = oxv_registry_by_uid(vault->rows, OXV_BY_ADMIN_UID, uid);

    return row == NULL ? NULL : &row->as.admin;
}

struct oxv_grant *
oxv_vault_pair_grant(struct oxv_vault *vault, uint64_t caller_id, uint64_t connection_id, size_t i)
{
    struct oxv_row *row = oxv_registry_pair(vault->rows, caller_id, connection_id);

    while (row != NULL && i > 0) {
        row = row->next_in_pair;
        i--;
    }
    return row == NULL ? NULL : &row->as.grant;
}

struct oxv_connection *
oxv_vault_next_connection(struct oxv_vault *vault, uint64_t after)
{
    struct oxv_row *row = oxv_registry_next(vault->rows, OXV_TABLE_CONNECTION, after);

    return row == NULL ? NULL : &row->as.connection;
}

struct oxv_caller *
oxv_vault_next_caller(struct oxv_vault *vault, uint64_t after)
{
    struct oxv_row *row = oxv_registry_next(vault->rows, OXV_TABLE_CALLER, after);

    return row == NULL ? NULL : &row->as.caller;
}

struct oxv_grant *
oxv_vault_next_grant(struct oxv_vault *vault, uint64_t after)
{
    struct oxv_row *row = oxv_registry_next(vault->rows, OXV_TABLE_GRANT, after);

    return row == NULL ? NULL : &row->as.grant;
}

struct oxv_admin *
oxv_vault_next_admin(struct oxv_vault *vault, uint64_t after)
{
    struct oxv_row *row = oxv_registry_next(vault->rows, OXV_TABLE_ADMIN, after);

    return row == NULL ? NULL : &row->as.admin;
}

struct oxv_token *
oxv_vault_next_token(struct oxv_vault *vault, uint64_t after)
{
    struct oxv_row *row = oxv_registry_next(vault->rows, OXV_TABLE_TOKEN, after);

    return row == NULL ? NULL : &row->as.token;
}

uint64_t
oxv_vault_connections_in_token(const struct oxv_vault *vault, uint64_t id)
{
    return oxv_registry_token_use(vault->rows, id);
}

struct oxv_token *
oxv_vault_token_by_id(struct oxv_vault *vault, uint64_t id)
{
    struct oxv_row *row = oxv_registry_by_id(vault->rows, OXV_TABLE_TOKEN, id);

    return row == NULL ? NULL : &row->as.token;
}

struct oxv_token *
oxv_vault_token_by_uri(struct oxv_vault *vault, struct oxv_view token_uri)
{
    struct oxv_row *row = oxv_registry_find(vault->rows, OXV_BY_TOKEN_URI, token_uri);

    return row == NULL ? NULL : &row->as.token;
}

size_t
oxv_vault_count(const struct oxv_vault *vault, enum oxv_table table)
{
    return vault->rows->lists[table].count;
}
