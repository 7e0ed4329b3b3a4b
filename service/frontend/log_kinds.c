#include "service/frontend/log_kinds.h"

#define OTHER     OXV_OCSF_ACTIVITY_OTHER
#define LOG       OXV_OCSF_EVENT_LOG_ACTIVITY
#define LOGIN     OXV_OCSF_AUTHENTICATION
#define ENTITY    OXV_OCSF_ENTITY_MANAGEMENT
#define LIFECYCLE OXV_OCSF_APPLICATION_LIFECYCLE
#define API       OXV_OCSF_API_ACTIVITY

/* The first row that fits counts, so exact types stand before beginnings. */
static const struct oxv_log_kind kinds[] = {
    { "sign", "Signature", API, OTHER, "api", "access" },
    { "admin", "Request of an admin", API, OTHER, "api", "access" },
    { "peer", "Peer at a door", API, OTHER, "api", "access" },
    { "frontend", "Frontend replaced", LIFECYCLE, OTHER, "configuration", "info" },
    { "service.start", "Service started", LIFECYCLE, 3, "configuration", "info" },
    { "service.stop", "Service stopped", LIFECYCLE, 4, "configuration", "info" },
    { "vault.unseal", "Vault unsealed", LIFECYCLE, 6, "configuration", "access" },
    { "vault.lock", "Vault locked", LIFECYCLE, 7, "configuration", "access" },
    { "clock.step", "Clock stepped", LIFECYCLE, OTHER, "configuration", "info" },
    { "token.login", "Login to a token", LOGIN, 1, "authentication", "start" },
    { "token.state", "State of a token", LIFECYCLE, OTHER, "configuration", "info" },
    { "log.export", "Log exported", LOG, 3, "configuration", "access" },
    { "log.epoch", "Key of the log changed", LOG, 5, "configuration", "change" },
    { "log.key", "Key of the log named", LOG, OTHER, "configuration", "info" },
    { "log.rotate", "New epoch asked for", LOG, 5, "configuration", "change" },
    { "log.prune", "Old entries reduced to hashes", LOG, 2, "configuration", "deletion" },
    { "log.archive", "Log archived", LOG, 4, "configuration", "access" },
    { "witness.state", "State of a witness", LIFECYCLE, OTHER, "configuration", "info" },
    { "space.state", "Room for the log", LIFECYCLE, OTHER, "configuration", "info" },
    { "vault.backup", "Backup made", ENTITY, OTHER, "configuration", "access" },
    { "vault.rekey", "New root key", ENTITY, 3, "configuration", "change" },
    { "log.read", "Log read", LOG, OTHER, "configuration", "access" },
    { "log.", "Event of the log", LOG, OTHER, "configuration", "info" },
    { "change.", "Change of the vault", ENTITY, 3, "configuration", "change" },
    { "connection.add", "Connection added", ENTITY, 1, "configuration", "creation" },
    { "connection.move", "Key of a connection moved", ENTITY, 3, "configuration", "change" },
    { "connection.remove", "Connection removed", ENTITY, 4, "configuration", "deletion" },
    { "caller.add", "Caller added", ENTITY, 1, "iam", "creation" },
    { "caller.disable", "Caller disabled", ENTITY, 9, "iam", "change" },
    { "caller.enable", "Caller enabled", ENTITY, 8, "iam", "change" },
    { "caller.remove", "Caller removed", ENTITY, 4, "iam", "deletion" },
    { "grant.add", "Grant added", ENTITY, 1, "iam", "creation" },
    { "grant.remove", "Grant removed", ENTITY, 4, "iam", "deletion" },
    { "admin.add", "Admin added", ENTITY, 1, "iam", "creation" },
    { "admin.remove", "Admin removed", ENTITY, 4, "iam", "deletion" },
    { "seal.add", "Seal added", ENTITY, 1, "configuration", "creation" },
    { "seal.remove", "Seal removed", ENTITY, 4, "configuration", "deletion" },
    { "token.add", "Token added", ENTITY, 1, "configuration", "creation" },
    { "token.remove", "Token removed", ENTITY, 4, "configuration", "deletion" },
    { "vault.", "Event of the vault", LIFECYCLE, OTHER, "configuration", "info" },
    { "", "Event", LIFECYCLE, OTHER, "configuration", "info" },
};

static bool
fits(const struct oxv_log_kind *kind, struct oxv_view type)
{
    size_t len = strlen(kind->type);

    return len == 0 || oxv_view_is(type, kind->type) ||
           (kind->type[len - 1] == '.' && oxv_view_has_prefix(type, kind->type));
}

const struct oxv_log_kind *
oxv_log_kind_of(struct oxv_view type)
{
    size_t i = 0;

    while (!fits(&kinds[i], type)) {
        i++;
    }
    return &kinds[i];
}
