#include "vault/records.h"

#define UID_PLUS1_MAX 0xffffffffu /* the uid -1 means "none" to the kernel */

static const struct oxv_field node_fields[] = {
    OXV_FIELD(struct oxv_node_record, vault_id, 1, OXV_FIELD_BYTES, true, OXV_ID_BYTES,
              OXV_ID_BYTES),
    OXV_FIELD(struct oxv_node_record, node_id, 2, OXV_FIELD_BYTES, true, OXV_ID_BYTES,
              OXV_ID_BYTES),
    OXV_FIELD(struct oxv_node_record, origin, 3, OXV_FIELD_TEXT, true, 1, 128),
    OXV_FIELD(struct oxv_node_record, genesis_vkey, 4, OXV_FIELD_TEXT, true, 1, 256),
    OXV_FIELD(struct oxv_node_record, created_us, 5, OXV_FIELD_U64, true, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_node_record, root_generation, 6, OXV_FIELD_U64, true, 1, UINT32_MAX),
};
const struct oxv_shape oxv_node_shape = OXV_SHAPE(struct oxv_node_record, "node", node_fields);

static const struct oxv_field node_secret_fields[] = {
    OXV_FIELD(struct oxv_node_secret, machine_hash, 1, OXV_FIELD_BYTES, false, 32, 32),
};
const struct oxv_shape oxv_node_secret_shape =
    OXV_SHAPE(struct oxv_node_secret, "node secret", node_secret_fields);

/* The KDF's parameters are wide here: what is out of bounds is reported as damage, see seal.h. */
static const struct oxv_field seal_fields[] = {
    OXV_FIELD(struct oxv_seal_record, kind, 1, OXV_FIELD_U64, true, OXV_SEAL_PASSPHRASE,
              OXV_SEAL_TOKEN),
    OXV_FIELD(struct oxv_seal_record, created_us, 2, OXV_FIELD_U64, true, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_seal_record, kdf_ops, 3, OXV_FIELD_U64, false, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_seal_record, kdf_memory_bytes, 4, OXV_FIELD_U64, false, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_seal_record, kdf_salt, 5, OXV_FIELD_BYTES, false, 16, 16),
    OXV_FIELD(struct oxv_seal_record, check, 6, OXV_FIELD_BYTES, true, 32, 32),
    OXV_FIELD(struct oxv_seal_record, module, 7, OXV_FIELD_TEXT, false, 1,
              OXV_TOKEN_MODULE_MAX_BYTES),
    OXV_FIELD(struct oxv_seal_record, token_uri, 8, OXV_FIELD_TEXT, false, 1,
              OXV_TOKEN_URI_MAX_BYTES),
    OXV_FIELD(struct oxv_seal_record, mechanism, 9, OXV_FIELD_U64, false, 1,
              OXV_TOKEN_MECHANISM_END - 1),
    OXV_FIELD(struct oxv_seal_record, gcm_iv, 10, OXV_FIELD_U64, false, 1,
              OXV_TOKEN_GCM_IV_END - 1),
    OXV_FIELD(struct oxv_seal_record, key_id, 11, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_KEY_ID_MAX_BYTES),
    OXV_FIELD(struct oxv_seal_record, key_hash, 12, OXV_FIELD_BYTES, false, 32, 32),
    OXV_FIELD(struct oxv_seal_record, blob, 13, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_BLOB_MAX_BYTES),
};
const struct oxv_shape oxv_seal_shape = OXV_SHAPE(struct oxv_seal_record, "seal", seal_fields);

static const struct oxv_field connection_fields[] = {
    OXV_FIELD(struct oxv_connection_record, system, 1, OXV_FIELD_U64, true, OXV_SYSTEM_NETSUITE,
              OXV_SYSTEM_OAUTH1),
    OXV_FIELD(struct oxv_connection_record, signature_method, 2, OXV_FIELD_U64, true, 1, 255),
    OXV_FIELD(struct oxv_connection_record, created_us, 3, OXV_FIELD_U64, true, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_connection_record, name, 4, OXV_FIELD_TEXT, true, 1, OXV_NAME_MAX_BYTES),
    OXV_FIELD(struct oxv_connection_record, account_id, 5, OXV_FIELD_TEXT, false, 1, 64),
    OXV_FIELD(struct oxv_connection_record, consumer_key, 6, OXV_FIELD_TEXT, true, 1, 512),
    OXV_FIELD(struct oxv_connection_record, token_id, 7, OXV_FIELD_TEXT, false, 1, 512),
    OXV_FIELD(struct oxv_connection_record, realm, 8, OXV_FIELD_TEXT, false, 1, 512),
    OXV_FIELD(struct oxv_connection_record, role_id, 9, OXV_FIELD_TEXT, false, 1, 128),
    OXV_FIELD(struct oxv_connection_record, application_id, 10, OXV_FIELD_TEXT, false, 1, 128),
    OXV_FIELD(struct oxv_connection_record, origins, 11, OXV_FIELD_LIST, true, 3, 4096),
    OXV_FIELD(struct oxv_connection_record, key_form, 12, OXV_FIELD_U64, false, 1,
              OXV_KEY_FORM_END - 1),
    OXV_FIELD(struct oxv_connection_record, key_token, 13, OXV_FIELD_U64, false, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_connection_record, key_id, 14, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_KEY_ID_MAX_BYTES),
};
const struct oxv_shape oxv_connection_shape =
    OXV_SHAPE(struct oxv_connection_record, "connection", connection_fields);

static const struct oxv_field connection_secret_fields[] = {
    OXV_FIELD(struct oxv_connection_secret, key, 1, OXV_FIELD_BYTES, false, 1, OXV_KEY_MAX_BYTES),
    OXV_FIELD(struct oxv_connection_secret, consumer_secret, 2, OXV_FIELD_BYTES, false, 1,
              OXV_KEPT_SECRET_MAX_BYTES),
    OXV_FIELD(struct oxv_connection_secret, token_secret, 3, OXV_FIELD_BYTES, false, 1,
              OXV_KEPT_SECRET_MAX_BYTES),
    OXV_FIELD(struct oxv_connection_secret, check_value, 4, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_MAC_MAX_BYTES),
};
const struct oxv_shape oxv_connection_secret_shape =
    OXV_SHAPE(struct oxv_connection_secret, "connection secret", connection_secret_fields);

static const struct oxv_field caller_fields[] = {
    OXV_FIELD(struct oxv_caller_record, uid_plus1, 1, OXV_FIELD_U64, true, 1, UID_PLUS1_MAX),
    OXV_FIELD(struct oxv_caller_record, disabled, 2, OXV_FIELD_U64, false, 1, 1),
    OXV_FIELD(struct oxv_caller_record, created_us, 3, OXV_FIELD_U64, true, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_caller_record, name, 4, OXV_FIELD_TEXT, true, 1, OXV_NAME_MAX_BYTES),
};
const struct oxv_shape oxv_caller_shape =
    OXV_SHAPE(struct oxv_caller_record, "caller", caller_fields);

static const struct oxv_field grant_fields[] = {
    OXV_FIELD(struct oxv_grant_record, caller_id, 1, OXV_FIELD_U64, true, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_grant_record, connection_id, 2, OXV_FIELD_U64, true, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_grant_record, kinds, 3, OXV_FIELD_U64, true, 1, OXV_KIND_ALL),
    OXV_FIELD(struct oxv_grant_record, rate_count, 4, OXV_FIELD_U64, false, 1, OXV_RATE_MAX),
    OXV_FIELD(struct oxv_grant_record, rate_period_s, 5, OXV_FIELD_U64, false, 1, 3600),
    OXV_FIELD(struct oxv_grant_record, not_before_us, 6, OXV_FIELD_U64, false, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_grant_record, not_after_us, 7, OXV_FIELD_U64, false, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_grant_record, created_us, 8, OXV_FIELD_U64, true, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_grant_record, methods, 9, OXV_FIELD_LIST, false, 3,
              OXV_GRANT_LIST_MAX_BYTES),
    OXV_FIELD(struct oxv_grant_record, paths, 10, OXV_FIELD_LIST, false, 3,
              OXV_GRANT_LIST_MAX_BYTES),
    OXV_FIELD(struct oxv_grant_record, query, 11, OXV_FIELD_LIST, false, 4,
              OXV_GRANT_LIST_MAX_BYTES),
};
const struct oxv_shape oxv_grant_shape = OXV_SHAPE(struct oxv_grant_record, "grant", grant_fields);

static const struct oxv_field admin_fields[] = {
    OXV_FIELD(struct oxv_admin_record, uid_plus1, 1, OXV_FIELD_U64, true, 1, UID_PLUS1_MAX),
    OXV_FIELD(struct oxv_admin_record, created_us, 2, OXV_FIELD_U64, true, 0, UINT64_MAX),
};
const struct oxv_shape oxv_admin_shape = OXV_SHAPE(struct oxv_admin_record, "admin", admin_fields);

static const struct oxv_field token_fields[] = {
    OXV_FIELD(struct oxv_token_record, created_us, 1, OXV_FIELD_U64, true, 0, UINT64_MAX),
    OXV_FIELD(struct oxv_token_record, module, 2, OXV_FIELD_TEXT, true, 1,
              OXV_TOKEN_MODULE_MAX_BYTES),
    OXV_FIELD(struct oxv_token_record, token_uri, 3, OXV_FIELD_TEXT, true, 1,
              OXV_TOKEN_URI_MAX_BYTES),
    OXV_FIELD(struct oxv_token_record, pair_id, 4, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_KEY_ID_MAX_BYTES),
    OXV_FIELD(struct oxv_token_record, public_key, 5, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_PUBLIC_KEY_MAX_BYTES),
    OXV_FIELD(struct oxv_token_record, oaep, 6, OXV_FIELD_U64, false, 1, OXV_TOKEN_OAEP_SHA1),
};
const struct oxv_shape oxv_token_shape = OXV_SHAPE(struct oxv_token_record, "token", token_fields);

static const struct {
    uint64_t kind;
    const char *name;
} kinds[] = {
    { OXV_KIND_OAUTH1, "oauth1" },
    { OXV_KIND_TOKEN_PASSPORT, "token-passport" },
    { OXV_KIND_CONNECT_PASSWORD, "connect-password" },
};

const char *
oxv_kind_name(uint64_t kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind == kind) {
            return kinds[i].name;
        }
    }
    return NULL;
}

uint64_t
oxv_kind_parse(struct oxv_view name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (oxv_view_is(name, kinds[i].name)) {
            return kinds[i].kind;
        }
    }
    return 0;
}

const char *
oxv_system_name(uint64_t system)
{
    switch (system) {
    case OXV_SYSTEM_NETSUITE:
        return "netsuite";
    case OXV_SYSTEM_OAUTH1:
        return "oauth1";
    default: /* a number from outside, not the enum */
        return NULL;
    }
}

uint64_t
oxv_system_parse(struct oxv_view name)
{
    if (oxv_view_is(name, "netsuite")) {
        return OXV_SYSTEM_NETSUITE;
    }
    return oxv_view_is(name, "oauth1") ? OXV_SYSTEM_OAUTH1 : 0;
}

const char *
oxv_seal_kind_name(uint64_t kind)
{
    switch (kind) {
    case OXV_SEAL_PASSPHRASE:
        return "passphrase";
    case OXV_SEAL_KEYFILE:
        return "keyfile";
    case OXV_SEAL_TOKEN:
        return "token";
    default: /* a number from outside, not the enum */
        return NULL;
    }
}
