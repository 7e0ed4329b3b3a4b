#include "vault/vault_impl.h"

#define PREFIX_BYTES (sizeof OXV_KEY_CHECK_PREFIX - 1) /* the NUL that it begins with counts */

_Static_assert(PREFIX_BYTES + OXV_TOKEN_KEY_ID_MAX_BYTES <= OXV_KEY_CHECK_MESSAGE_MAX_BYTES,
               "a check message fits");

bool
oxv_key_check_message(struct oxv_writer *w, struct oxv_view key_id)
{
    oxv_write_view(w, oxv_view(OXV_KEY_CHECK_PREFIX, PREFIX_BYTES));
    oxv_write_view(w, key_id);
    return !w->failed;
}

/* Copies what an authentic row holds. */
static enum oxv_status
copy_parts(const struct oxv_connection_secret *parts, struct oxv_secret **blob,
           struct oxv_secret **check_value, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = oxv_secret_copy(parts->key);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *check = oxv_secret_copy(parts->check_value);

    if (key == NULL || check == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a key of a token");
    }
    *blob = oxv_secret_take(&key);
    *check_value = oxv_secret_take(&check);
    return OXV_OK;
}

enum oxv_status
oxv_vault_token_key(struct oxv_vault *vault, struct oxv_connection *connection,
                    struct oxv_secret **blob, struct oxv_secret **check_value, struct oxv_err *err)
{
    /* A connection is the beginning of its row, see struct oxv_row. */
    const struct oxv_row *row = (const struct oxv_row *)(void *)connection;
    struct oxv_connection_secret parts;
    struct oxv_view secret;

    if (!vault->is_open) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault is sealed");
    }
    if (connection->record.key_form == OXV_KEY_IN_VAULT) {
        return oxv_fail(err, OXV_E_USAGE, "connection %llu: its key is in the vault",
                        (unsigned long long)connection->id);
    }
    enum oxv_status st = oxv_vault_open_secret(vault, row, &secret, err);

    if (st != OXV_OK) {
        return st;
    }
    st = oxv_fields_decode(secret, &oxv_connection_secret_shape, &parts, err);
    st = st == OXV_OK ? copy_parts(&parts, blob, check_value, err) : st;
    oxv_vault_wipe_scratch(vault, secret.len);
    return st;
}
