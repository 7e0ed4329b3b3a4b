#include "service/wire/messages.h"

#define NAME_MAX_BYTES    256u /* what is no valid name is refused by the keeper, with a reason */
#define TEXT_MAX_BYTES    1024u
#define BOX_MAX_BYTES     49152u
#define PUBLISH_MAX_BYTES 61440u /* a line for each token */
#define LIST_MAX_BYTES    16384u
#define ID_MAX            (UINT64_C(1) << 53)
#define FLAG_MAX          1u
#define UID_MAX           UINT32_MAX

#define U64(T, m, tag, max_)          OXV_FIELD(struct T, m, tag, OXV_FIELD_U64, false, 1, max_)
#define U64_REQUIRED(T, m, tag, max_) OXV_FIELD(struct T, m, tag, OXV_FIELD_U64, true, 0, max_)
#define FLAG(T, m, tag)               OXV_FIELD(struct T, m, tag, OXV_FIELD_FLAG, false, 1, FLAG_MAX)
#define TEXT(T, m, tag, max_)         OXV_FIELD(struct T, m, tag, OXV_FIELD_TEXT, false, 1, max_)
#define STRING(T, m, tag, max_)       OXV_FIELD(struct T, m, tag, OXV_FIELD_STRING, false, 1, max_)
#define STRING_REQUIRED(T, m, tag, max_)                                                           \
    OXV_FIELD(struct T, m, tag, OXV_FIELD_STRING, true, 0, max_)
#define BYTES(T, m, tag, max_)          OXV_FIELD(struct T, m, tag, OXV_FIELD_BYTES, false, 1, max_)
#define BYTES_REQUIRED(T, m, tag, max_) OXV_FIELD(struct T, m, tag, OXV_FIELD_BYTES, true, 0, max_)
#define LIST(T, m, tag, max_)           OXV_FIELD(struct T, m, tag, OXV_FIELD_LIST, false, 1, max_)
#define LIST_REQUIRED(T, m, tag, max_)  OXV_FIELD(struct T, m, tag, OXV_FIELD_LIST, true, 0, max_)
#define PAIRS(T, m, tag, max_)          OXV_FIELD(struct T, m, tag, OXV_FIELD_PAIRS, false, 1, max_)

/* oxv_msg_x_shape from the table x_fields. */
#define SHAPE(x)                                                                                   \
    const struct oxv_shape oxv_msg_##x##_shape = OXV_SHAPE(struct oxv_msg_##x, #x, x##_fields)

const struct oxv_shape oxv_msg_empty_shape = { .name = "empty",
                                               .struct_size = sizeof(struct oxv_msg_empty) };

static const struct oxv_field sign_fields[] = {
    U64_REQUIRED(oxv_msg_sign, kind, 1, 255),
    STRING_REQUIRED(oxv_msg_sign, connection, 2, NAME_MAX_BYTES),
    STRING(oxv_msg_sign, method, 3, NAME_MAX_BYTES),
    STRING(oxv_msg_sign, url, 4, OXV_URL_TEXT_MAX_BYTES),
    PAIRS(oxv_msg_sign, form, 5, OXV_WIRE_PAYLOAD_MAX_BYTES),
    STRING(oxv_msg_sign, version, 6, NAME_MAX_BYTES),
    FLAG(oxv_msg_sign, proof, 7),
};
SHAPE(sign);

static const struct oxv_field page_fields[] = {
    U64(oxv_msg_page, after, 1, ID_MAX),
    U64(oxv_msg_page, limit, 2, 1000),
};
SHAPE(page);

static const struct oxv_field name_fields[] = {
    STRING_REQUIRED(oxv_msg_name, name, 1, NAME_MAX_BYTES),
};
SHAPE(name);

static const struct oxv_field id_fields[] = {
    U64_REQUIRED(oxv_msg_id, id, 1, ID_MAX),
};
SHAPE(id);

static const struct oxv_field uid_fields[] = {
    U64_REQUIRED(oxv_msg_uid, uid, 1, UID_MAX),
};
SHAPE(uid);

static const struct oxv_field box_fields[] = {
    BYTES_REQUIRED(oxv_msg_box, box, 1, BOX_MAX_BYTES),
};
SHAPE(box);

static const struct oxv_field named_box_fields[] = {
    STRING_REQUIRED(oxv_msg_named_box, name, 1, NAME_MAX_BYTES),
    BYTES_REQUIRED(oxv_msg_named_box, box, 2, BOX_MAX_BYTES),
};
SHAPE(named_box);

static const struct oxv_field session_fields[] = {
    STRING_REQUIRED(oxv_msg_session, session, 1, NAME_MAX_BYTES),
};
SHAPE(session);

static const struct oxv_field import_chunk_fields[] = {
    STRING_REQUIRED(oxv_msg_import_chunk, session, 1, NAME_MAX_BYTES),
    BYTES_REQUIRED(oxv_msg_import_chunk, box, 2, BOX_MAX_BYTES),
};
SHAPE(import_chunk);

static const struct oxv_field import_commit_fields[] = {
    STRING_REQUIRED(oxv_msg_import_commit, session, 1, NAME_MAX_BYTES),
    U64_REQUIRED(oxv_msg_import_commit, count, 2, ID_MAX),
};
SHAPE(import_commit);

static const struct oxv_field caller_add_fields[] = {
    STRING_REQUIRED(oxv_msg_caller_add, name, 1, NAME_MAX_BYTES),
    U64_REQUIRED(oxv_msg_caller_add, uid, 2, UID_MAX),
};
SHAPE(caller_add);

static const struct oxv_field grants_fields[] = {
    U64(oxv_msg_grants, after, 1, ID_MAX),
    U64(oxv_msg_grants, limit, 2, 1000),
    STRING(oxv_msg_grants, caller, 3, NAME_MAX_BYTES),
    STRING(oxv_msg_grants, connection, 4, NAME_MAX_BYTES),
};
SHAPE(grants);

static const struct oxv_field grant_add_fields[] = {
    STRING_REQUIRED(oxv_msg_grant_add, caller, 1, NAME_MAX_BYTES),
    STRING_REQUIRED(oxv_msg_grant_add, connection, 2, NAME_MAX_BYTES),
    LIST_REQUIRED(oxv_msg_grant_add, kinds, 3, LIST_MAX_BYTES),
    LIST(oxv_msg_grant_add, methods, 4, LIST_MAX_BYTES),
    LIST(oxv_msg_grant_add, paths, 5, LIST_MAX_BYTES),
    PAIRS(oxv_msg_grant_add, query, 6, LIST_MAX_BYTES),
    STRING(oxv_msg_grant_add, rate, 7, NAME_MAX_BYTES),
    STRING(oxv_msg_grant_add, not_before, 8, NAME_MAX_BYTES),
    STRING(oxv_msg_grant_add, not_after, 9, NAME_MAX_BYTES),
};
SHAPE(grant_add);

static const struct oxv_field log_read_fields[] = {
    TEXT(oxv_msg_log_read, purpose, 1, 16),
    TEXT(oxv_msg_log_read, format, 2, 16),
};
SHAPE(log_read);

static const struct oxv_field log_opened_fields[] = {
    U64_REQUIRED(oxv_msg_log_opened, read, 1, UINT64_MAX),
    U64_REQUIRED(oxv_msg_log_opened, size, 2, UINT64_MAX),
};
SHAPE(log_opened);

static const struct oxv_field log_segment_fields[] = {
    U64_REQUIRED(oxv_msg_log_segment, read, 1, UINT64_MAX),
    U64(oxv_msg_log_segment, index, 2, UINT64_MAX),
};
SHAPE(log_segment);

static const struct oxv_field log_bytes_fields[] = {
    U64(oxv_msg_log_bytes, first, 1, UINT64_MAX),
    U64_REQUIRED(oxv_msg_log_bytes, bytes, 2, UINT64_MAX),
    U64_REQUIRED(oxv_msg_log_bytes, size, 3, UINT64_MAX),
};
SHAPE(log_bytes);

static const struct oxv_field log_wait_fields[] = {
    U64_REQUIRED(oxv_msg_log_wait, read, 1, UINT64_MAX),
    U64(oxv_msg_log_wait, size, 2, UINT64_MAX),
};
SHAPE(log_wait);

static const struct oxv_field log_size_fields[] = {
    U64_REQUIRED(oxv_msg_log_size, size, 1, UINT64_MAX),
};
SHAPE(log_size);

static const struct oxv_field problem_fields[] = {
    TEXT(oxv_msg_problem, code, 1, 64),
    TEXT(oxv_msg_problem, detail, 2, TEXT_MAX_BYTES),
    U64(oxv_msg_problem, retry_after_s, 3, 86400),
};
SHAPE(problem);

static const struct oxv_field peer_fields[] = {
    TEXT(oxv_msg_peer, refuse_code, 1, 64),
    TEXT(oxv_msg_peer, refuse_detail, 2, TEXT_MAX_BYTES),
    BYTES(oxv_msg_peer, health, 3, LIST_MAX_BYTES),
};
SHAPE(peer);

static const struct oxv_field publish_fields[] = {
    BYTES_REQUIRED(oxv_msg_publish, text, 1, PUBLISH_MAX_BYTES),
};
SHAPE(publish);

static const struct oxv_field ready_fields[] = {
    U64_REQUIRED(oxv_msg_ready, sealed, 1, FLAG_MAX),
};
SHAPE(ready);

static const struct oxv_field frontend_fields[] = {
    U64_REQUIRED(oxv_msg_frontend, door, 1, OXV_DOOR_END - 1),
    U64(oxv_msg_frontend, uid_plus1, 2, UINT64_C(1) << 32),
    U64_REQUIRED(oxv_msg_frontend, serial, 3, UINT64_MAX),
};
SHAPE(frontend);

static const struct oxv_field refuse_fields[] = {
    U64_REQUIRED(oxv_msg_refuse, exit_code, 1, 255),
    TEXT(oxv_msg_refuse, text, 2, TEXT_MAX_BYTES),
};
SHAPE(refuse);

static const struct oxv_field start_fields[] = {
    U64(oxv_msg_start, source, 1, OXV_SOURCE_TERMINAL),
    U64(oxv_msg_start, memory_unlocked, 2, FLAG_MAX),
    U64(oxv_msg_start, require_sandbox, 3, FLAG_MAX),
    U64_REQUIRED(oxv_msg_start, service_uid_plus1, 4, UINT64_C(1) << 32),
    U64(oxv_msg_start, admin_gid_plus1, 5, UINT64_C(1) << 32),
    U64(oxv_msg_start, audit_gid_plus1, 6, UINT64_C(1) << 32),
    U64(oxv_msg_start, single_uid, 7, FLAG_MAX),
    U64(oxv_msg_start, userns_allowed, 8, FLAG_MAX),
    STRING(oxv_msg_start, source_path, 9, 4096),
    U64(oxv_msg_start, replaces, 10, FLAG_MAX),
};
SHAPE(start);

static const struct oxv_field pin_fields[] = {
    STRING(oxv_msg_pin, label, 1, 32),
    STRING(oxv_msg_pin, path, 2, 4096),
};
SHAPE(pin);

static const struct oxv_field helper_open_fields[] = {
    STRING_REQUIRED(oxv_msg_helper_open, module, 1, OXV_TOKEN_MODULE_MAX_BYTES),
    STRING_REQUIRED(oxv_msg_helper_open, uri, 2, OXV_TOKEN_URI_MAX_BYTES),
    U64(oxv_msg_helper_open, workers, 3, 64),
};
SHAPE(helper_open);

static const struct oxv_field helper_token_fields[] = {
    STRING(oxv_msg_helper_token, uri, 1, OXV_TOKEN_URI_MAX_BYTES),
    STRING(oxv_msg_helper_token, label, 2, 256),
    U64(oxv_msg_helper_token, trouble, 3, OXV_TOKEN_TROUBLE_END - 1),
    U64(oxv_msg_helper_token, ckr, 4, UINT64_MAX),
    U64(oxv_msg_helper_token, logged_in, 5, FLAG_MAX),
    U64(oxv_msg_helper_token, pin_state, 6, 3),
    U64(oxv_msg_helper_token, pin_pad, 7, FLAG_MAX),
    U64(oxv_msg_helper_token, generation, 8, UINT64_MAX),
    U64(oxv_msg_helper_token, workers, 9, 64),
    STRING(oxv_msg_helper_token, text, 10, TEXT_MAX_BYTES),
    BYTES(oxv_msg_helper_token, refused_salt, 11, 64),
    BYTES(oxv_msg_helper_token, refused_hash, 12, 64),
};
SHAPE(helper_token);

static const struct oxv_field helper_login_fields[] = {
    BYTES(oxv_msg_helper_login, pin, 1, OXV_TOKEN_PIN_MAX_BYTES),
    BYTES(oxv_msg_helper_login, refused_salt, 2, 64),
    BYTES(oxv_msg_helper_login, refused_hash, 3, 256),
    U64(oxv_msg_helper_login, again, 4, FLAG_MAX),
};
SHAPE(helper_login);

static const struct oxv_field helper_pair_fields[] = {
    BYTES(oxv_msg_helper_pair, key_id, 1, OXV_TOKEN_KEY_ID_MAX_BYTES),
    U64(oxv_msg_helper_pair, allow_oaep_sha1, 2, FLAG_MAX),
};
SHAPE(helper_pair);

static const struct oxv_field helper_public_fields[] = {
    BYTES_REQUIRED(oxv_msg_helper_public, key_id, 1, OXV_TOKEN_KEY_ID_MAX_BYTES),
    BYTES_REQUIRED(oxv_msg_helper_public, public_key, 2, OXV_TOKEN_PUBLIC_KEY_MAX_BYTES),
    U64(oxv_msg_helper_public, oaep, 3, OXV_TOKEN_OAEP_SHA1),
};
SHAPE(helper_public);

static const struct oxv_field helper_load_fields[] = {
    U64(oxv_msg_helper_load, form, 1, OXV_KEY_FORM_END - 1),
    U64(oxv_msg_helper_load, hash, 2, OXV_TOKEN_SHA1),
    BYTES_REQUIRED(oxv_msg_helper_load, key_id, 3, OXV_TOKEN_KEY_ID_MAX_BYTES),
    BYTES(oxv_msg_helper_load, pair_id, 4, OXV_TOKEN_KEY_ID_MAX_BYTES),
    U64(oxv_msg_helper_load, oaep, 5, OXV_TOKEN_OAEP_SHA1),
    BYTES(oxv_msg_helper_load, blob, 6, OXV_TOKEN_BLOB_MAX_BYTES),
    BYTES(oxv_msg_helper_load, key, 7, 128),
    STRING(oxv_msg_helper_load, label, 8, 128),
};
SHAPE(helper_load);

static const struct oxv_field helper_key_fields[] = {
    U64_REQUIRED(oxv_msg_helper_key, key, 1, UINT64_MAX),
    U64_REQUIRED(oxv_msg_helper_key, generation, 2, UINT64_MAX),
};
SHAPE(helper_key);

static const struct oxv_field helper_sign_fields[] = {
    U64_REQUIRED(oxv_msg_helper_sign, key, 1, UINT64_MAX),
    U64_REQUIRED(oxv_msg_helper_sign, generation, 2, UINT64_MAX),
    BYTES(oxv_msg_helper_sign, message, 3, OXV_TOKEN_MESSAGE_MAX_BYTES),
};
SHAPE(helper_sign);

static const struct oxv_field helper_mac_fields[] = {
    BYTES_REQUIRED(oxv_msg_helper_mac, mac, 1, OXV_TOKEN_MAC_MAX_BYTES),
};
SHAPE(helper_mac);

static const struct oxv_field helper_drop_fields[] = {
    U64_REQUIRED(oxv_msg_helper_drop, key, 1, UINT64_MAX),
    U64_REQUIRED(oxv_msg_helper_drop, generation, 2, UINT64_MAX),
    U64(oxv_msg_helper_drop, destroy, 3, FLAG_MAX),
};
SHAPE(helper_drop);

static const struct oxv_field helper_seal_fields[] = {
    BYTES(oxv_msg_helper_seal, key_id, 1, OXV_TOKEN_KEY_ID_MAX_BYTES),
    U64(oxv_msg_helper_seal, generate, 2, FLAG_MAX),
    U64(oxv_msg_helper_seal, mechanism, 3, OXV_TOKEN_MECHANISM_END - 1),
    U64(oxv_msg_helper_seal, gcm_iv, 4, OXV_TOKEN_GCM_IV_END - 1),
    U64(oxv_msg_helper_seal, allow_oaep_sha1, 5, FLAG_MAX),
    U64(oxv_msg_helper_seal, allow_pkcs1, 6, FLAG_MAX),
};
SHAPE(helper_seal);

static const struct oxv_field helper_sealed_fields[] = {
    U64(oxv_msg_helper_sealed, mechanism, 1, OXV_TOKEN_MECHANISM_END - 1),
    U64(oxv_msg_helper_sealed, gcm_iv, 2, OXV_TOKEN_GCM_IV_END - 1),
    BYTES_REQUIRED(oxv_msg_helper_sealed, key_id, 3, OXV_TOKEN_KEY_ID_MAX_BYTES),
    BYTES(oxv_msg_helper_sealed, key_hash, 4, 32),
    BYTES_REQUIRED(oxv_msg_helper_sealed, blob, 5, OXV_TOKEN_BLOB_MAX_BYTES),
    BYTES_REQUIRED(oxv_msg_helper_sealed, value, 6, OXV_TOKEN_VALUE_BYTES),
};
SHAPE(helper_sealed);

static const struct oxv_field helper_unseal_fields[] = {
    U64(oxv_msg_helper_unseal, mechanism, 1, OXV_TOKEN_MECHANISM_END - 1),
    U64(oxv_msg_helper_unseal, gcm_iv, 2, OXV_TOKEN_GCM_IV_END - 1),
    BYTES_REQUIRED(oxv_msg_helper_unseal, key_id, 3, OXV_TOKEN_KEY_ID_MAX_BYTES),
    BYTES(oxv_msg_helper_unseal, key_hash, 4, 32),
    BYTES_REQUIRED(oxv_msg_helper_unseal, blob, 5, OXV_TOKEN_BLOB_MAX_BYTES),
};
SHAPE(helper_unseal);

static const struct oxv_field helper_value_fields[] = {
    BYTES_REQUIRED(oxv_msg_helper_value, value, 1, OXV_TOKEN_VALUE_BYTES),
};
SHAPE(helper_value);

static const struct oxv_field helper_trouble_fields[] = {
    U64(oxv_msg_helper_trouble, trouble, 1, OXV_TOKEN_TROUBLE_END - 1),
    U64(oxv_msg_helper_trouble, ckr, 2, UINT64_MAX),
    STRING(oxv_msg_helper_trouble, text, 3, TEXT_MAX_BYTES),
    BYTES(oxv_msg_helper_trouble, refused_salt, 4, 64),
    BYTES(oxv_msg_helper_trouble, refused_hash, 5, 64),
    U64(oxv_msg_helper_trouble, login_failed, 6, FLAG_MAX),
};
SHAPE(helper_trouble);

const char *
oxv_door_name(uint64_t door)
{
    static const char *const names[OXV_DOOR_END] = {
        [OXV_DOOR_SIGN] = "sign", [OXV_DOOR_ADMIN] = "admin", [OXV_DOOR_AUDIT] = "audit"
    };

    return door < OXV_DOOR_END ? names[door] : NULL;
}

bool
oxv_door_parse(struct oxv_view name, enum oxv_door *out)
{
    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        if (oxv_view_is(name, oxv_door_name(door))) {
            *out = door;
            return true;
        }
    }
    return false;
}
