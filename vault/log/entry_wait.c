#include "vault/log/entry.h"

/* Of these only refusals and failures happen while sealed: what succeeds needs the open log. */
static bool
is_refusal(const struct oxv_entry *entry)
{
    return entry->outcome == OXV_OUTCOME_DENIED || entry->outcome == OXV_OUTCOME_FAILED;
}

static bool
may_type_wait(const struct oxv_entry *entry)
{
    if (entry->type >= OXV_ENTRY_TYPE_END) {
        return false;
    }
    switch ((enum oxv_entry_type)entry->type) {
    case OXV_ENTRY_SERVICE_START:
    case OXV_ENTRY_SERVICE_STOP:
    case OXV_ENTRY_CLOCK_STEP:
    case OXV_ENTRY_VAULT_LOCK:
    case OXV_ENTRY_PEER:
    case OXV_ENTRY_FRONTEND:
    case OXV_ENTRY_LOG_PENDING:
        return true;
    case OXV_ENTRY_VAULT_UNSEAL:
    case OXV_ENTRY_SIGN:
    case OXV_ENTRY_ADMIN:
    case OXV_ENTRY_SEAL_ADD:
    case OXV_ENTRY_SEAL_REMOVE:
    case OXV_ENTRY_CONNECTION_ADD:
    case OXV_ENTRY_CONNECTION_REMOVE:
    case OXV_ENTRY_CONNECTION_MOVE:
    case OXV_ENTRY_TOKEN_ADD:
    case OXV_ENTRY_TOKEN_REMOVE:
    case OXV_ENTRY_TOKEN_LOGIN:
    case OXV_ENTRY_TOKEN_STATE:
    case OXV_ENTRY_CALLER_ADD:
    case OXV_ENTRY_CALLER_DISABLE:
    case OXV_ENTRY_CALLER_ENABLE:
    case OXV_ENTRY_CALLER_REMOVE:
    case OXV_ENTRY_GRANT_ADD:
    case OXV_ENTRY_GRANT_REMOVE:
    case OXV_ENTRY_ADMIN_ADD:
    case OXV_ENTRY_ADMIN_REMOVE:
    case OXV_ENTRY_LOG_ROTATE:
    case OXV_ENTRY_LOG_PRUNE:
    case OXV_ENTRY_LOG_ARCHIVE:
    case OXV_ENTRY_VAULT_BACKUP:
    case OXV_ENTRY_VAULT_REKEY:
        return is_refusal(entry);
    case OXV_ENTRY_LOG_GENESIS:
    case OXV_ENTRY_LOG_EPOCH:
    case OXV_ENTRY_LOG_RECOVERY:
    case OXV_ENTRY_LOG_READ:
    case OXV_ENTRY_LOG_EXPORT:
    case OXV_ENTRY_CHANGE_DONE:
    case OXV_ENTRY_CHANGE_UNDONE:
    case OXV_ENTRY_LOG_KEY:
    case OXV_ENTRY_WITNESS_STATE:
    case OXV_ENTRY_SPACE_STATE:
    case OXV_ENTRY_VAULT_RESTORE:
    case OXV_ENTRY_VAULT_ADOPT:
    case OXV_ENTRY_TYPE_END:
        break;
    }
    return false;
}

bool
oxv_entry_may_wait(const struct oxv_entry *entry)
{
    return may_type_wait(entry) && entry->cfg == 0 && entry->cfg_digest.len == 0 &&
           entry->next_key.len == 0 && entry->origin.len == 0 && entry->vault.len == 0 &&
           entry->node.len == 0 && entry->log_key.len == 0 && entry->old_origin.len == 0 &&
           entry->old_root.len == 0 && entry->old_size == 0;
}
