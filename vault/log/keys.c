#include "vault/log/keys.h"

#define KEY(name, kind_, member)                                                                   \
    {                                                                                              \
        .token = "\"" name "\":", .token_len = sizeof("\"" name "\":") - 1,                        \
        .kind = OXV_ENTRY_KEY_##kind_, .offset = offsetof(struct oxv_entry_line, member)           \
    }

const struct oxv_entry_key oxv_entry_keys[] = {
    KEY("boot", BOOT, boot),
    KEY("caller", TEXT, entry.caller),
    KEY("cfg", U64, entry.cfg),
    KEY("cfg_digest", HEX, entry.cfg_digest),
    KEY("code", TEXT, entry.code),
    KEY("connection", TEXT, entry.connection),
    KEY("count", U64, entry.count),
    KEY("door", TEXT, entry.door),
    KEY("epoch", COUNTER, epoch),
    KEY("gid", PLUS1, entry.gid_plus1),
    KEY("grant", U64, entry.grant),
    KEY("grant_version", U64, entry.grant_version),
    KEY("host", TEXT, entry.host),
    KEY("key_version", U64, entry.key_version),
    KEY("kind", TEXT, entry.kind),
    KEY("log_key", TEXT, entry.log_key),
    KEY("method", TEXT, entry.method),
    KEY("mono_us", COUNTER, mono_us),
    KEY("next_key", TEXT, entry.next_key),
    KEY("node", TEXT, entry.node),
    KEY("nonce", TEXT, entry.nonce),
    KEY("old_origin", TEXT, entry.old_origin),
    KEY("old_root", HEX, entry.old_root),
    KEY("old_size", U64, entry.old_size),
    KEY("origin", TEXT, entry.origin),
    KEY("outcome", OUTCOME, entry.outcome),
    KEY("path", PATH, entry.path),
    KEY("pid", U64, entry.pid),
    KEY("reason", TEXT, entry.reason),
    KEY("request_id", TEXT, entry.request_id),
    KEY("seq", COUNTER, seq),
    KEY("sig_hash", HEX, entry.sig_hash),
    KEY("time", TIME, time_us),
    KEY("ts", U64, entry.ts),
    KEY("type", TYPE, entry.type),
    KEY("uid", PLUS1, entry.uid_plus1),
    KEY("unsigned_since", TEXT, entry.unsigned_since),
    KEY("url_hash", HEX, entry.url_hash),
    KEY("v", COUNTER, v),
    KEY("vault", TEXT, entry.vault),
};
const size_t oxv_entry_key_count = sizeof oxv_entry_keys / sizeof oxv_entry_keys[0];

uint64_t
oxv_entry_key_u64(const struct oxv_entry_key *key, const struct oxv_entry_line *line)
{
    uint64_t value;

    memcpy(&value, (const uint8_t *)line + key->offset, sizeof value);
    return value;
}

struct oxv_view
oxv_entry_key_view(const struct oxv_entry_key *key, const struct oxv_entry_line *line)
{
    struct oxv_view value;

    memcpy(&value, (const uint8_t *)line + key->offset, sizeof value);
    return value;
}

void
oxv_entry_key_set_u64(const struct oxv_entry_key *key, struct oxv_entry_line *line, uint64_t value)
{
    memcpy((uint8_t *)line + key->offset, &value, sizeof value);
}

void
oxv_entry_key_set_view(const struct oxv_entry_key *key, struct oxv_entry_line *line,
                       struct oxv_view value)
{
    memcpy((uint8_t *)line + key->offset, &value, sizeof value);
}

bool
oxv_entry_is_lower_hex(struct oxv_view text)
{
    uint8_t others = 0; /* without a branch: three such texts stand in each entry */

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        others |= (uint8_t)(((uint8_t)(c - '0') >= 10) & ((uint8_t)(c - 'a') >= 6));
    }
    return others == 0;
}
