#include "service/keeper/dispatch.h"

#include "service/keeper/admin.h"
#include "service/keeper/audit.h"
#include "service/keeper/events.h"
#include "service/keeper/health.h"
#include "service/keeper/sign.h"

#define SIGN  (1u << OXV_DOOR_SIGN)
#define ADMIN (1u << OXV_DOOR_ADMIN)
#define AUDIT (1u << OXV_DOOR_AUDIT)

struct route {
    uint8_t type;
    unsigned doors;
    bool while_sealed;
    const struct oxv_shape *shape;
    oxv_request_fn handle;
};

static const struct route routes[] = {
    { OXV_MSG_SIGN, SIGN, false, &oxv_msg_sign_shape, oxv_sign_request },
    { OXV_MSG_CONNECTIONS, SIGN, false, &oxv_msg_page_shape, oxv_view_connections },
    { OXV_MSG_CONNECTION, SIGN, false, &oxv_msg_name_shape, oxv_view_connection },
    { OXV_MSG_HEALTH, SIGN | ADMIN | AUDIT, true, &oxv_msg_empty_shape, oxv_health_request },
    { OXV_MSG_METRICS, SIGN, false, &oxv_msg_empty_shape, oxv_metrics_request },
    { OXV_MSG_STATUS, ADMIN, true, &oxv_msg_empty_shape, oxv_status_request },
    { OXV_MSG_DOCTOR, ADMIN, false, &oxv_msg_empty_shape, oxv_doctor_request },
    { OXV_MSG_CHALLENGE, ADMIN, true, &oxv_msg_empty_shape, oxv_admin_challenge },
    { OXV_MSG_UNSEAL, ADMIN, true, &oxv_msg_box_shape, oxv_admin_unseal },
    { OXV_MSG_LOCK, ADMIN, false, &oxv_msg_empty_shape, oxv_admin_lock },
    { OXV_MSG_SEALS, ADMIN, false, &oxv_msg_empty_shape, oxv_admin_seals },
    { OXV_MSG_SEAL_ADD, ADMIN, false, &oxv_msg_box_shape, oxv_admin_seal_add },
    { OXV_MSG_SEAL_REMOVE, ADMIN, false, &oxv_msg_id_shape, oxv_admin_seal_remove },
    { OXV_MSG_ADMIN_CONNECTIONS, ADMIN, false, &oxv_msg_page_shape, oxv_admin_connections },
    { OXV_MSG_ADMIN_CONNECTION, ADMIN, false, &oxv_msg_name_shape, oxv_admin_connection },
    { OXV_MSG_ADMIN_CONNECTION_ADD, ADMIN, false, &oxv_msg_named_box_shape,
      oxv_admin_connection_add },
    { OXV_MSG_ADMIN_CONNECTION_REMOVE, ADMIN, false, &oxv_msg_name_shape,
      oxv_admin_connection_remove },
    { OXV_MSG_ADMIN_CONNECTION_MOVE, ADMIN, false, &oxv_msg_named_box_shape,
      oxv_admin_connection_move },
    { OXV_MSG_TOKENS, ADMIN, false, &oxv_msg_empty_shape, oxv_admin_tokens },
    { OXV_MSG_TOKEN_ADD, ADMIN, false, &oxv_msg_box_shape, oxv_admin_token_add },
    { OXV_MSG_TOKEN_LOGIN, ADMIN, false, &oxv_msg_box_shape, oxv_admin_token_login },
    { OXV_MSG_TOKEN_REMOVE, ADMIN, false, &oxv_msg_id_shape, oxv_admin_token_remove },
    { OXV_MSG_IMPORT_BEGIN, ADMIN, false, &oxv_msg_empty_shape, oxv_import_begin },
    { OXV_MSG_IMPORT_CHUNK, ADMIN, false, &oxv_msg_import_chunk_shape, oxv_import_chunk },
    { OXV_MSG_IMPORT_COMMIT, ADMIN, false, &oxv_msg_import_commit_shape, oxv_import_commit },
    { OXV_MSG_IMPORT_ABORT, ADMIN, false, &oxv_msg_session_shape, oxv_import_abort },
    { OXV_MSG_REKEY, ADMIN, false, &oxv_msg_box_shape, oxv_admin_rekey },
    { OXV_MSG_BACKUP_BEGIN, ADMIN, false, &oxv_msg_empty_shape, oxv_admin_backup_begin },
    { OXV_MSG_BACKUP_NEXT, ADMIN, false, &oxv_msg_session_shape, oxv_admin_backup_next },
    { OXV_MSG_LOG_ROTATE_KEY, ADMIN, false, &oxv_msg_empty_shape, oxv_admin_log_rotate_key },
    { OXV_MSG_CALLERS, ADMIN, false, &oxv_msg_page_shape, oxv_admin_callers },
    { OXV_MSG_CALLER_ADD, ADMIN, false, &oxv_msg_caller_add_shape, oxv_admin_caller_add },
    { OXV_MSG_CALLER_DISABLE, ADMIN, false, &oxv_msg_name_shape, oxv_admin_caller_disable },
    { OXV_MSG_CALLER_ENABLE, ADMIN, false, &oxv_msg_name_shape, oxv_admin_caller_enable },
    { OXV_MSG_CALLER_REMOVE, ADMIN, false, &oxv_msg_name_shape, oxv_admin_caller_remove },
    { OXV_MSG_GRANTS, ADMIN, false, &oxv_msg_grants_shape, oxv_admin_grants },
    { OXV_MSG_GRANT_ADD, ADMIN, false, &oxv_msg_grant_add_shape, oxv_admin_grant_add },
    { OXV_MSG_GRANT_REMOVE, ADMIN, false, &oxv_msg_id_shape, oxv_admin_grant_remove },
    { OXV_MSG_ADMINS, ADMIN, false, &oxv_msg_empty_shape, oxv_admin_admins },
    { OXV_MSG_ADMIN_ADD, ADMIN, false, &oxv_msg_uid_shape, oxv_admin_admin_add },
    { OXV_MSG_ADMIN_REMOVE, ADMIN, false, &oxv_msg_uid_shape, oxv_admin_admin_remove },
    { OXV_MSG_LOG_INFO, AUDIT, false, &oxv_msg_empty_shape, oxv_audit_info },
    { OXV_MSG_LOG_READ, AUDIT, false, &oxv_msg_log_read_shape, oxv_audit_read },
    { OXV_MSG_LOG_SEGMENT, AUDIT, false, &oxv_msg_log_segment_shape, oxv_audit_segment },
    { OXV_MSG_LOG_WAIT, AUDIT, false, &oxv_msg_log_wait_shape, oxv_audit_wait },
    { OXV_MSG_LOG_CLOSE, AUDIT, false, &oxv_msg_log_segment_shape, oxv_audit_close },
    { OXV_MSG_LOG_CHECKPOINT, AUDIT, false, &oxv_msg_empty_shape, oxv_audit_checkpoint },
};

static const struct route *
find_route(uint8_t type, enum oxv_door door)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (routes[i].type == type && (routes[i].doors & (1u << door)) != 0) {
            return &routes[i];
        }
    }
    return NULL;
}

/* A peer may have lost its rights since it connected: asked again for each request. */
static bool
refuse_without_rights(struct oxv_keeper *k, const struct oxv_request *request)
{
    bool allowed = true;

    if (!oxv_keeper_is_open(k)) {
        return false; /* who may come in while sealed was decided at the door */
    }
    if (request->door == OXV_DOOR_ADMIN) {
        allowed = oxv_vault_admin_by_uid(k->vault, request->uid) != NULL;
    } else if (request->door == OXV_DOOR_SIGN) {
        const struct oxv_caller *caller = oxv_vault_caller_by_uid(k->vault, request->uid);

        allowed = caller != NULL && caller->record.disabled == 0;
    } else if (!request->reply.frontend->by_group) {
        allowed = oxv_vault_admin_by_uid(k->vault, request->uid) != NULL;
    }
    if (allowed) {
        return false;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_PEER,
                               .outcome = OXV_OUTCOME_DENIED,
                               .uid_plus1 = request->uid + 1,
                               .door = oxv_view_text(oxv_door_name(request->door)),
                               .code = oxv_view_text("unknown_caller") };

    oxv_event_denied(k, request->uid + 1, &entry);
    oxv_answer_problem(k, &request->reply, "unknown_caller",
                       "uid %llu has no right at this door (any more): ask the vault's admin",
                       (unsigned long long)request->uid);
    return true;
}

void
oxv_dispatch(struct oxv_keeper *k, struct oxv_frontend *f, const struct oxv_message *message)
{
    const struct route *route = find_route(message->type, f->door);
    _Alignas(max_align_t) uint8_t fields[512];

    if (route == NULL || route->shape->struct_size > sizeof fields ||
        oxv_fields_decode(message->payload, route->shape, fields, NULL) != OXV_OK) {
        oxv_frontend_break(k, f, "it sent a message that its door does not have");
        return;
    }
    struct oxv_request request = {
        .reply = { .frontend = f, .generation = f->serial, .id = message->id },
        .door = f->door,
        .uid = f->uid_plus1 - 1,
        .fields = fields,
    };

    if (!oxv_keeper_is_open(k) && !route->while_sealed) {
        oxv_answer_problem(k, &request.reply, "sealed",
                           "the vault is sealed: an operator must run `oxvault unseal`");
        return;
    }
    if (route->type != OXV_MSG_HEALTH && refuse_without_rights(k, &request)) {
        return;
    }
    route->handle(k, &request);
}
