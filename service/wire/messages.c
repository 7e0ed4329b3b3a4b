#include "service/wire/messages.h"

#define NAME_MAX_BYTES 256u /* what is no valid name is refused by the keeper, with a reason */
#define TEXT_MAX_BYTES 1024u
#define BOX_MAX_BYTES  49152u
#define LIST_MAX_BYTES 16384u
#define ID_MAX         (UINT64_C(1) << 53)
#define FLAG_MAX       1u
#define UID_MAX        UINT32_MAX

#define U64(T, m, tag, max_)          OXV_FIELD(struct T, m, tag, OXV_FIELD_U64, false, 1, max_)
#define U64_REQUIRED(T, m, tag, max_) OXV_FIELD(struct T, m, tag, OXV_FIELD_U64, true, 0, max_)
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
    BYTES_REQUIRED(oxv_msg_publish, text, 1, TEXT_MAX_BYTES),
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
};
SHAPE(start);

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
