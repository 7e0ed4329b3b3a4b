/*
 * log_text: entries as CEF, LEEF 2.0 and RFC 5424 syslog lines. A table a format says where each
 * key goes.
 *
 *   CEF      escapes: \| \\ in the header, \= \\ in the extension
 *   LEEF     has no escapes: values have no tab, which ends them; a key ends at its first '='
 *   RFC5424  escapes: \" \\ \] in parameters; behind them the exact line. We have no enterprise
 *            number: 32473 is the one kept for examples (RFC 5612)
 */
#include "base/text.h"
#include "service/frontend/log_format.h"
#include "service/frontend/log_kinds.h"

#define NO_LABEL NULL

/* Where a key of the entry goes: in `key`, and `label` says what that means. */
struct place {
    const char *key;
    enum oxv_log_field field;
    const char *label; /* CEF: of a custom field */
};

static const struct place cef_places[] = {
    { "cn1", OXV_LOG_SEQ, "seq" },
    { "cat", OXV_LOG_TYPE, NO_LABEL },
    { "outcome", OXV_LOG_OUTCOME, NO_LABEL },
    { "reason", OXV_LOG_REASON, NO_LABEL },
    { "suid", OXV_LOG_UID, NO_LABEL },
    { "spid", OXV_LOG_PID, NO_LABEL },
    { "requestMethod", OXV_LOG_METHOD, NO_LABEL },
    { "dhost", OXV_LOG_HOST, NO_LABEL },
    { "request", OXV_LOG_PATH, NO_LABEL },
    { "externalId", OXV_LOG_REQUEST_ID, NO_LABEL },
    { "cnt", OXV_LOG_COUNT, NO_LABEL },
    { "cs2", OXV_LOG_DOOR, "door" },
    { "cs3", OXV_LOG_CONNECTION, "connection" },
    { "cs4", OXV_LOG_KIND, "kind" },
    { "cs5", OXV_LOG_SIG_HASH, "sig_hash" },
    { "cs6", OXV_LOG_NONCE, "nonce" },
    { "cn2", OXV_LOG_GRANT, "grant" },
    { "cn3", OXV_LOG_GRANT_VERSION, "grant_version" },
    { "oxvTime", OXV_LOG_TIME, NO_LABEL },
    { "oxvV", OXV_LOG_V, NO_LABEL },
    { "oxvEpoch", OXV_LOG_EPOCH, NO_LABEL },
    { "oxvBoot", OXV_LOG_BOOT, NO_LABEL },
    { "oxvMonoUs", OXV_LOG_MONO_US, NO_LABEL },
    { "oxvCode", OXV_LOG_CODE, NO_LABEL },
    { "oxvGid", OXV_LOG_GID, NO_LABEL },
    { "oxvUrlHash", OXV_LOG_URL_HASH, NO_LABEL },
    { "oxvTs", OXV_LOG_TS, NO_LABEL },
    { "oxvKeyVersion", OXV_LOG_KEY_VERSION, NO_LABEL },
    { "oxvCfg", OXV_LOG_CFG, NO_LABEL },
    { "oxvCfgDigest", OXV_LOG_CFG_DIGEST, NO_LABEL },
    { "oxvNode", OXV_LOG_NODE, NO_LABEL },
    { "oxvUnsignedSince", OXV_LOG_UNSIGNED_SINCE, NO_LABEL },
    { "oxvNextKey", OXV_LOG_NEXT_KEY, NO_LABEL },
    { "oxvLogKey", OXV_LOG_LOG_KEY, NO_LABEL },
    { "oxvOldOrigin", OXV_LOG_OLD_ORIGIN, NO_LABEL },
    { "oxvOldRoot", OXV_LOG_OLD_ROOT, NO_LABEL },
    { "oxvOldSize", OXV_LOG_OLD_SIZE, NO_LABEL },
    { "oxvVault", OXV_LOG_VAULT, NO_LABEL },
    { "oxvOrigin", OXV_LOG_ORIGIN, NO_LABEL },
};

/* What IBM has a name for; all else goes by its own. */
static const struct place leef_places[] = {
    { "cat", OXV_LOG_TYPE, NO_LABEL },       { "usrName", OXV_LOG_CALLER, NO_LABEL },
    { "action", OXV_LOG_OUTCOME, NO_LABEL }, { "resource", OXV_LOG_CONNECTION, NO_LABEL },
    { "policy", OXV_LOG_GRANT, NO_LABEL },   { "url", OXV_LOG_PATH, NO_LABEL },
};

static bool
is_refusal(const struct oxv_log_fields *f)
{
    return oxv_log_outcome_is(f, "denied") || oxv_log_outcome_is(f, "failed");
}

static void
put_plain(struct oxv_writer *w, uint8_t c)
{
    oxv_write_u8(w, c);
}

/* Fields of a header that end at a pipe; also where the format has no escapes. */
static void
put_cef_header(struct oxv_writer *w, uint8_t c)
{
    if (c == '|' || c == '\\') {
        oxv_write_u8(w, '\\');
    }
    oxv_write_u8(w, c);
}

static void
put_cef(struct oxv_writer *w, uint8_t c)
{
    if (c == '=' || c == '\\') {
        oxv_write_u8(w, '\\');
    }
    oxv_write_u8(w, c);
}

static void
put_param(struct oxv_writer *w, uint8_t c)
{
    if (c == '"' || c == '\\' || c == ']') {
        oxv_write_u8(w, '\\');
    }
    oxv_write_u8(w, c);
}

/* One word of a header of RFC 5424 or LEEF: no blank, no pipe. */
static void
put_word(struct oxv_writer *w, uint8_t c)
{
    oxv_write_u8(w, c == ' ' || c == '|' ? '_' : c);
}

static void
write_key(struct oxv_writer *w, const char *key)
{
    oxv_write_text(w, key);
    oxv_write_u8(w, '=');
}

static void
write_cef_text(struct oxv_writer *w, const char *key, const char *text)
{
    oxv_write_u8(w, ' ');
    write_key(w, key);
    oxv_write_text(w, text);
}

static void
write_cef_place(struct oxv_writer *w, const struct oxv_log_fields *f, const struct place *place)
{
    if (!oxv_log_has(f, place->field)) {
        return;
    }
    oxv_write_u8(w, ' ');
    write_key(w, place->key);
    oxv_log_write_shown(w, f->values[place->field], put_cef);
    if (place->label != NO_LABEL) {
        oxv_write_u8(w, ' ');
        oxv_write_text(w, place->key);
        write_key(w, "Label");
        oxv_write_text(w, place->label);
    }
}

void
oxv_log_cef_record(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    /* A caller asks for signatures; elsewhere it is what is changed. */
    bool is_actor = f->kind->ocsf_class == OXV_OCSF_API_ACTIVITY;
    const struct place caller = { is_actor ? "suser" : "duser", OXV_LOG_CALLER, NO_LABEL };

    oxv_write_text(w, "CEF:0|Oxvault|oxvault|" OXV_VERSION "|");
    oxv_log_write_shown(w, f->values[OXV_LOG_TYPE], put_cef_header);
    oxv_write_u8(w, '|');
    oxv_write_text(w, f->kind->name);
    oxv_write_text(w, is_refusal(f) ? "|6|" : "|2|");
    write_key(w, "rt");
    oxv_write_decimal(w, f->time_us / 1000);
    for (size_t i = 0; i < sizeof cef_places / sizeof cef_places[0]; i++) {
        write_cef_place(w, f, &cef_places[i]);
    }
    write_cef_place(w, f, &caller);
    write_cef_text(w, "cs1", f->leaf);
    write_cef_text(w, "cs1Label", "leaf");
    write_cef_text(w, "msg", "");
    oxv_log_write_line(w, f->line, put_cef);
    oxv_write_u8(w, '\n');
}

static const char *
leef_key(enum oxv_log_field field)
{
    for (size_t i = 0; i < sizeof leef_places / sizeof leef_places[0]; i++) {
        if (leef_places[i].field == field) {
            return leef_places[i].key;
        }
    }
    return oxv_log_field_name(field);
}

void
oxv_log_leef_record(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_write_text(w, "LEEF:2.0|Oxvault|oxvault|" OXV_VERSION "|");
    oxv_log_write_shown(w, f->values[OXV_LOG_TYPE], put_word);
    oxv_write_text(w, "|x09|");
    write_key(w, "devTime");
    oxv_write_decimal(w, f->time_us / 1000);
    oxv_write_text(w, is_refusal(f) ? "\tsev=6" : "\tsev=2");
    for (size_t i = 0; i < OXV_LOG_FIELDS; i++) {
        enum oxv_log_field field = (enum oxv_log_field)i;

        if (oxv_log_has(f, field)) {
            oxv_write_u8(w, '\t');
            write_key(w, leef_key(field));
            oxv_log_write_shown(w, f->values[field], put_plain);
        }
    }
    oxv_write_u8(w, '\t');
    write_key(w, "leaf");
    oxv_write_text(w, f->leaf);
    oxv_write_u8(w, '\n');
}

static void
write_param(struct oxv_writer *w, const char *name, struct oxv_view value)
{
    oxv_write_u8(w, ' ');
    oxv_write_text(w, name);
    oxv_write_text(w, "=\"");
    oxv_log_write_shown(w, value, put_param);
    oxv_write_u8(w, '"');
}

/* Facility 13, log audit; severity error, warning or informational. */
static uint64_t
priority(const struct oxv_log_fields *f)
{
    unsigned severity = oxv_log_outcome_is(f, "failed")   ? 3
                        : oxv_log_outcome_is(f, "denied") ? 4
                                                          : 6;

    return 13u * 8u + severity;
}

/* At most 32 characters; "-" for none. */
static void
write_message_id(struct oxv_writer *w, struct oxv_view type)
{
    struct oxv_view id = oxv_view_slice(type, 0, 32);

    if (id.len == 0 || !oxv_is_plain_ascii(id)) {
        oxv_write_u8(w, '-');
    }
    for (size_t i = 0; oxv_is_plain_ascii(id) && i < id.len; i++) {
        put_word(w, id.data[i]);
    }
}

void
oxv_log_rfc5424_record(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    char time[OXV_TIMESTAMP_BYTES];

    oxv_format_timestamp(f->time_us, time);
    oxv_write_u8(w, '<');
    oxv_write_decimal(w, priority(f));
    oxv_write_text(w, ">1 ");
    oxv_write_text(w, oxv_log_has(f, OXV_LOG_TIME) ? time : "-");
    oxv_write_text(w, " - oxvault - "); /* the log does not know the host's name */
    write_message_id(w, f->values[OXV_LOG_TYPE]);
    oxv_write_text(w, " [audit@32473");
    write_param(w, "seq", f->values[OXV_LOG_SEQ]);
    for (size_t i = 0; i < OXV_LOG_FIELDS; i++) {
        if (i != OXV_LOG_SEQ && oxv_log_has(f, (enum oxv_log_field)i)) {
            write_param(w, oxv_log_field_name((enum oxv_log_field)i), f->values[i]);
        }
    }
    write_param(w, "leaf", oxv_view_text(f->leaf));
    oxv_write_text(w, "][origin software=\"oxvault\" swVersion=\"" OXV_VERSION "\"] ");
    oxv_log_write_line(w, f->line, put_plain);
    oxv_write_u8(w, '\n');
}
