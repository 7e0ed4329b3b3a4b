#include "vault/log/entry.h"

#include "base/text.h"
#include "vault/log/keys.h"

static const char *const type_names[OXV_ENTRY_TYPE_END] = {
    [OXV_ENTRY_LOG_GENESIS] = "log.genesis",
    [OXV_ENTRY_LOG_EPOCH] = "log.epoch",
    [OXV_ENTRY_LOG_RECOVERY] = "log.recovery",
    [OXV_ENTRY_LOG_READ] = "log.read",
    [OXV_ENTRY_LOG_EXPORT] = "log.export",
    [OXV_ENTRY_SERVICE_START] = "service.start",
    [OXV_ENTRY_SERVICE_STOP] = "service.stop",
    [OXV_ENTRY_CLOCK_STEP] = "clock.step",
    [OXV_ENTRY_VAULT_UNSEAL] = "vault.unseal",
    [OXV_ENTRY_VAULT_LOCK] = "vault.lock",
    [OXV_ENTRY_CHANGE_DONE] = "change.done",
    [OXV_ENTRY_CHANGE_UNDONE] = "change.undone",
    [OXV_ENTRY_SEAL_ADD] = "seal.add",
    [OXV_ENTRY_SEAL_REMOVE] = "seal.remove",
    [OXV_ENTRY_CONNECTION_ADD] = "connection.add",
    [OXV_ENTRY_CONNECTION_REMOVE] = "connection.remove",
    [OXV_ENTRY_CALLER_ADD] = "caller.add",
    [OXV_ENTRY_CALLER_DISABLE] = "caller.disable",
    [OXV_ENTRY_CALLER_ENABLE] = "caller.enable",
    [OXV_ENTRY_CALLER_REMOVE] = "caller.remove",
    [OXV_ENTRY_GRANT_ADD] = "grant.add",
    [OXV_ENTRY_GRANT_REMOVE] = "grant.remove",
    [OXV_ENTRY_ADMIN_ADD] = "admin.add",
    [OXV_ENTRY_ADMIN_REMOVE] = "admin.remove",
    [OXV_ENTRY_SIGN] = "sign",
    [OXV_ENTRY_PEER] = "peer",
    [OXV_ENTRY_FRONTEND] = "frontend",
    [OXV_ENTRY_ADMIN] = "admin",
    [OXV_ENTRY_LOG_PENDING] = "log.pending",
    [OXV_ENTRY_TOKEN_ADD] = "token.add",
    [OXV_ENTRY_TOKEN_REMOVE] = "token.remove",
    [OXV_ENTRY_TOKEN_LOGIN] = "token.login",
    [OXV_ENTRY_TOKEN_STATE] = "token.state",
    [OXV_ENTRY_CONNECTION_MOVE] = "connection.move",
    [OXV_ENTRY_LOG_KEY] = "log.key",
    [OXV_ENTRY_LOG_ROTATE] = "log.rotate",
    [OXV_ENTRY_LOG_PRUNE] = "log.prune",
    [OXV_ENTRY_LOG_ARCHIVE] = "log.archive",
    [OXV_ENTRY_WITNESS_STATE] = "witness.state",
    [OXV_ENTRY_SPACE_STATE] = "space.state",
    [OXV_ENTRY_VAULT_BACKUP] = "vault.backup",
    [OXV_ENTRY_VAULT_RESTORE] = "vault.restore",
    [OXV_ENTRY_VAULT_ADOPT] = "vault.adopt",
    [OXV_ENTRY_VAULT_REKEY] = "vault.rekey",
};

#define TEXT_MAX_BYTES 1024u
#define PATH_MAX_BYTES 8192u

#define U64_FIELD(tag, member, max)                                                                \
    OXV_FIELD(struct oxv_entry, member, tag, OXV_FIELD_U64, false, 1, max)
#define TEXT_FIELD(tag, member, max)                                                               \
    OXV_FIELD(struct oxv_entry, member, tag, OXV_FIELD_TEXT, false, 1, max)

static const struct oxv_field entry_fields[] = {
    OXV_FIELD(struct oxv_entry, type, 1, OXV_FIELD_U64, true, 1, OXV_ENTRY_TYPE_END - 1),
    U64_FIELD(2, outcome, OXV_OUTCOME_FAILED),
    U64_FIELD(3, uid_plus1, OXV_LOG_INTEGER_MAX),
    U64_FIELD(4, gid_plus1, OXV_LOG_INTEGER_MAX),
    U64_FIELD(5, pid, OXV_LOG_INTEGER_MAX),
    U64_FIELD(6, ts, OXV_LOG_INTEGER_MAX),
    U64_FIELD(7, key_version, OXV_LOG_INTEGER_MAX),
    U64_FIELD(8, grant, OXV_LOG_INTEGER_MAX),
    U64_FIELD(9, grant_version, OXV_LOG_INTEGER_MAX),
    U64_FIELD(10, cfg, OXV_LOG_INTEGER_MAX),
    U64_FIELD(11, count, OXV_LOG_INTEGER_MAX),
    U64_FIELD(12, happened_us, OXV_TIMESTAMP_MAX_US),
    TEXT_FIELD(13, code, TEXT_MAX_BYTES),
    TEXT_FIELD(14, caller, TEXT_MAX_BYTES),
    TEXT_FIELD(15, door, TEXT_MAX_BYTES),
    TEXT_FIELD(16, connection, TEXT_MAX_BYTES),
    TEXT_FIELD(17, kind, TEXT_MAX_BYTES),
    TEXT_FIELD(18, method, TEXT_MAX_BYTES),
    TEXT_FIELD(19, host, TEXT_MAX_BYTES),
    TEXT_FIELD(20, path, PATH_MAX_BYTES),
    TEXT_FIELD(21, url_hash, OXV_ENTRY_HEX_MAX_CHARS),
    TEXT_FIELD(22, sig_hash, OXV_ENTRY_HEX_MAX_CHARS),
    TEXT_FIELD(23, nonce, TEXT_MAX_BYTES),
    TEXT_FIELD(24, cfg_digest, OXV_ENTRY_HEX_MAX_CHARS),
    TEXT_FIELD(25, request_id, TEXT_MAX_BYTES),
    TEXT_FIELD(26, node, TEXT_MAX_BYTES),
    TEXT_FIELD(27, vault, TEXT_MAX_BYTES),
    TEXT_FIELD(28, origin, TEXT_MAX_BYTES),
    TEXT_FIELD(29, reason, TEXT_MAX_BYTES),
    TEXT_FIELD(30, unsigned_since, TEXT_MAX_BYTES),
    TEXT_FIELD(31, next_key, TEXT_MAX_BYTES),
    TEXT_FIELD(32, log_key, TEXT_MAX_BYTES),
    TEXT_FIELD(33, old_origin, TEXT_MAX_BYTES),
    TEXT_FIELD(34, old_root, OXV_ENTRY_HEX_MAX_CHARS),
    U64_FIELD(35, old_size, OXV_LOG_INTEGER_MAX),
};

const struct oxv_shape oxv_entry_shape = OXV_SHAPE(struct oxv_entry, "log entry", entry_fields);

const char *
oxv_entry_type_name(uint64_t type)
{
    return type < OXV_ENTRY_TYPE_END ? type_names[type] : NULL;
}

bool
oxv_entry_type_parse(struct oxv_view name, enum oxv_entry_type *out)
{
    for (unsigned type = 1; type < OXV_ENTRY_TYPE_END; type++) {
        const char *known = type_names[type];

        if (name.len > 0 && name.data[0] == (uint8_t)known[0] && oxv_view_is(name, known)) {
            *out = (enum oxv_entry_type)type;
            return true;
        }
    }
    return false;
}

const char *
oxv_outcome_name(uint64_t outcome)
{
    switch (outcome) {
    case OXV_OUTCOME_ALLOWED:
        return "allowed";
    case OXV_OUTCOME_DENIED:
        return "denied";
    case OXV_OUTCOME_FAILED:
        return "failed";
    }
    return NULL;
}

/* A text that needs no escape. */
static void
write_quoted(struct oxv_writer *w, struct oxv_view text)
{
    uint8_t *place = oxv_write_reserve(w, text.len + 2);

    if (place == NULL) {
        return;
    }
    place[0] = '"';
    if (text.len > 0) {
        memcpy(place + 1, text.data, text.len);
    }
    place[text.len + 1] = '"';
}

static void
write_text(struct oxv_writer *w, struct oxv_view text)
{
    /* Nearly every text is: no second look. */
    if (oxv_is_plain_ascii(text)) {
        write_quoted(w, text);
        return;
    }
    if (!oxv_is_printable_utf8(text)) {
        w->failed = true;
        return;
    }
    oxv_write_json_string(w, text);
}

static void
write_path(struct oxv_writer *w, struct oxv_view path)
{
    if (path.len > OXV_LOG_PATH_MAX_BYTES) {
        size_t len = OXV_LOG_PATH_MAX_BYTES;

        while (len > 0 && (path.data[len] & 0xc0) == 0x80) {
            len--; /* no character is cut in two */
        }
        path.len = len;
    }
    write_text(w, path);
}

static void
write_hex_text(struct oxv_writer *w, struct oxv_view text)
{
    if (text.len > OXV_ENTRY_HEX_MAX_CHARS || !oxv_entry_is_lower_hex(text)) {
        w->failed = true;
        return;
    }
    write_quoted(w, text);
}

static void
write_number(struct oxv_writer *w, uint64_t value)
{
    if (value > OXV_LOG_INTEGER_MAX) {
        w->failed = true;
        return;
    }
    oxv_write_decimal(w, value);
}

static void
write_name(struct oxv_writer *w, const char *name)
{
    if (name == NULL) {
        w->failed = true;
        return;
    }
    write_text(w, oxv_view_text(name));
}

static void
write_time(struct oxv_writer *w, uint64_t time_us)
{
    char text[OXV_TIMESTAMP_BYTES];

    if (time_us > OXV_TIMESTAMP_MAX_US) {
        w->failed = true;
        return;
    }
    oxv_format_timestamp(time_us, text);
    write_text(w, oxv_view_text(text));
}

static bool
is_present(const struct oxv_entry_key *key, const struct oxv_entry_line *line)
{
    switch (key->kind) {
    case OXV_ENTRY_KEY_U64:
    case OXV_ENTRY_KEY_PLUS1:
    case OXV_ENTRY_KEY_OUTCOME:
        return oxv_entry_key_u64(key, line) != 0;
    case OXV_ENTRY_KEY_TEXT:
    case OXV_ENTRY_KEY_HEX:
    case OXV_ENTRY_KEY_PATH:
        return oxv_entry_key_view(key, line).len != 0;
    case OXV_ENTRY_KEY_COUNTER:
    case OXV_ENTRY_KEY_BOOT:
    case OXV_ENTRY_KEY_TYPE:
    case OXV_ENTRY_KEY_TIME:
        break;
    }
    return true;
}

static void
write_value(struct oxv_writer *w, const struct oxv_entry_key *key,
            const struct oxv_entry_line *line)
{
    switch (key->kind) {
    case OXV_ENTRY_KEY_U64:
    case OXV_ENTRY_KEY_COUNTER:
        write_number(w, oxv_entry_key_u64(key, line));
        break;
    case OXV_ENTRY_KEY_PLUS1:
        write_number(w, oxv_entry_key_u64(key, line) - 1);
        break;
    case OXV_ENTRY_KEY_TEXT:
        write_text(w, oxv_entry_key_view(key, line));
        break;
    case OXV_ENTRY_KEY_PATH:
        write_path(w, oxv_entry_key_view(key, line));
        break;
    case OXV_ENTRY_KEY_HEX:
    case OXV_ENTRY_KEY_BOOT:
        write_hex_text(w, oxv_entry_key_view(key, line));
        break;
    case OXV_ENTRY_KEY_TYPE:
        write_name(w, oxv_entry_type_name(oxv_entry_key_u64(key, line)));
        break;
    case OXV_ENTRY_KEY_OUTCOME:
        write_name(w, oxv_outcome_name(oxv_entry_key_u64(key, line)));
        break;
    case OXV_ENTRY_KEY_TIME:
        write_time(w, oxv_entry_key_u64(key, line));
        break;
    }
}

void
oxv_entry_write(struct oxv_writer *w, const struct oxv_entry *entry,
                const struct oxv_entry_place *place)
{
    struct oxv_entry_line line = { .entry = *entry,
                                   .boot = oxv_view_text(place->boot),
                                   .seq = place->seq,
                                   .epoch = place->epoch,
                                   .time_us = place->time_us,
                                   .mono_us = place->mono_us,
                                   .v = OXV_LOG_FORMAT_VERSION };
    size_t begin = w->len;
    uint8_t separator = '{';

    if (line.boot.len != OXV_LOG_BOOT_CHARS) {
        w->failed = true;
    }
    for (size_t i = 0; i < oxv_entry_key_count; i++) {
        const struct oxv_entry_key *key = &oxv_entry_keys[i];

        if (is_present(key, &line)) {
            oxv_write_u8(w, separator);
            oxv_write_view(w, oxv_view(key->token, key->token_len));
            write_value(w, key, &line);
            separator = ',';
        }
    }
    oxv_write_u8(w, '}');
    if (w->len - begin > OXV_LOG_ENTRY_MAX_BYTES) {
        w->failed = true;
    }
}
