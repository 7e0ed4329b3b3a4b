#include "service/frontend/log_fields.h"

#include <sodium.h>

#include "base/shown.h"
#include "base/text.h"
#include "service/frontend/log_kinds.h"
#include "service/frontend/log_line.h"

static const char *const names[OXV_LOG_FIELDS] = {
    [OXV_LOG_V] = "v",
    [OXV_LOG_SEQ] = "seq",
    [OXV_LOG_EPOCH] = "epoch",
    [OXV_LOG_BOOT] = "boot",
    [OXV_LOG_TIME] = "time",
    [OXV_LOG_MONO_US] = "mono_us",
    [OXV_LOG_TYPE] = "type",
    [OXV_LOG_OUTCOME] = "outcome",
    [OXV_LOG_CODE] = "code",
    [OXV_LOG_CALLER] = "caller",
    [OXV_LOG_UID] = "uid",
    [OXV_LOG_GID] = "gid",
    [OXV_LOG_PID] = "pid",
    [OXV_LOG_DOOR] = "door",
    [OXV_LOG_CONNECTION] = "connection",
    [OXV_LOG_KIND] = "kind",
    [OXV_LOG_METHOD] = "method",
    [OXV_LOG_HOST] = "host",
    [OXV_LOG_PATH] = "path",
    [OXV_LOG_URL_HASH] = "url_hash",
    [OXV_LOG_SIG_HASH] = "sig_hash",
    [OXV_LOG_NONCE] = "nonce",
    [OXV_LOG_TS] = "ts",
    [OXV_LOG_KEY_VERSION] = "key_version",
    [OXV_LOG_GRANT] = "grant",
    [OXV_LOG_GRANT_VERSION] = "grant_version",
    [OXV_LOG_CFG] = "cfg",
    [OXV_LOG_CFG_DIGEST] = "cfg_digest",
    [OXV_LOG_COUNT] = "count",
    [OXV_LOG_REQUEST_ID] = "request_id",
    [OXV_LOG_NODE] = "node",
    [OXV_LOG_REASON] = "reason",
    [OXV_LOG_UNSIGNED_SINCE] = "unsigned_since",
    [OXV_LOG_NEXT_KEY] = "next_key",
    [OXV_LOG_LOG_KEY] = "log_key",
    [OXV_LOG_OLD_ORIGIN] = "old_origin",
    [OXV_LOG_OLD_ROOT] = "old_root",
    [OXV_LOG_OLD_SIZE] = "old_size",
    [OXV_LOG_VAULT] = "vault",
    [OXV_LOG_ORIGIN] = "origin",
};

const char *
oxv_log_field_name(enum oxv_log_field field)
{
    return names[field];
}

static bool
place(struct oxv_log_fields *f, const struct oxv_log_member *member)
{
    for (size_t i = 0; i < OXV_LOG_FIELDS; i++) {
        if (oxv_view_is(member->name, names[i])) {
            bool is_new = f->values[i].data == NULL;

            f->values[i] = member->value;
            f->is_text[i] = member->is_text;
            return is_new;
        }
    }
    return false;
}

static void
hash_leaf(struct oxv_view line, char out[65])
{
    static const uint8_t prefix[1] = { 0 };
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    struct oxv_writer w = oxv_writer(out, 64);

    /* None of these can fail. */
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, prefix, sizeof prefix);
    (void)crypto_hash_sha256_update(&state, line.data, line.len);
    (void)crypto_hash_sha256_final(&state, hash);
    oxv_write_hex(&w, oxv_view(hash, sizeof hash));
    out[64] = '\0';
}

enum oxv_status
oxv_log_fields_read(struct oxv_view line, struct oxv_log_fields *out)
{
    struct oxv_log_line members = oxv_log_line(line);
    struct oxv_log_member member;
    enum oxv_status st;

    *out = (struct oxv_log_fields){ .line = line };
    while ((st = oxv_log_line_next(&members, &member)) == OXV_OK) {
        if (!place(out, &member)) {
            return OXV_E_FORMAT;
        }
    }
    if (st != OXV_E_NOT_FOUND) {
        return st;
    }
    if (!oxv_parse_timestamp(out->values[OXV_LOG_TIME], &out->time_us)) {
        out->time_us = 0;
    }
    out->kind = oxv_log_kind_of(out->values[OXV_LOG_TYPE]);
    hash_leaf(line, out->leaf);
    return OXV_OK;
}

bool
oxv_log_outcome_is(const struct oxv_log_fields *f, const char *outcome)
{
    return oxv_view_is(f->values[OXV_LOG_OUTCOME], outcome);
}

/* How one character that is hidden, or a byte that is none, is written. */
typedef void (*hidden_fn)(struct oxv_writer *w, uint32_t c, bool is_char, oxv_log_put_fn put);

static void
put_text(struct oxv_writer *w, const char *text, oxv_log_put_fn put)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        put(w, (uint8_t)text[i]);
    }
}

static void
show_hidden(struct oxv_writer *w, uint32_t c, bool is_char, oxv_log_put_fn put)
{
    char code[16];

    if (oxv_format(code, sizeof code, is_char ? "\\u{%02X}" : "\\x{%02X}", (unsigned)c) != OXV_OK) {
        oxv_bug("an escape that is too long");
    }
    put_text(w, code, put);
}

/* RFC 8259 section 7; a byte that is no character becomes the replacement character. */
static void
escape_hidden(struct oxv_writer *w, uint32_t c, bool is_char, oxv_log_put_fn put)
{
    char code[16];
    unsigned unit = is_char ? (unsigned)c : 0xfffdu;
    enum oxv_status st;

    if (unit > 0xffff) {
        st = oxv_format(code, sizeof code, "\\u%04x\\u%04x", 0xd800u + ((unit - 0x10000u) >> 10),
                        0xdc00u + ((unit - 0x10000u) & 0x3ffu));
    } else {
        st = oxv_format(code, sizeof code, "\\u%04x", unit);
    }
    if (st != OXV_OK) {
        oxv_bug("an escape that is too long");
    }
    put_text(w, code, put);
}

static void
put_as_it_is(struct oxv_writer *w, uint8_t c)
{
    oxv_write_u8(w, c);
}

/* JSON's own escapes are no text of the value, so they pass by `put`. */
static void
escape_hidden_in_json(struct oxv_writer *w, uint32_t c, bool is_char, oxv_log_put_fn put)
{
    (void)put;
    escape_hidden(w, c, is_char, put_as_it_is);
}

static void
write_each(struct oxv_writer *w, struct oxv_view text, bool is_value, oxv_log_put_fn put,
           hidden_fn hidden)
{
    while (text.len > 0) {
        uint32_t c;
        size_t len;

        if (is_value && text.data[0] == '\\' && text.len > 1) {
            text = oxv_view_from(text, 1); /* what it escapes is a character like others */
        }
        bool is_char = oxv_utf8_first(text, &c, &len);

        if (!is_char || oxv_char_is_hidden(c)) {
            hidden(w, c, is_char, put);
        } else if (c < 0x80) {
            put(w, (uint8_t)c);
        } else {
            oxv_write_view(w, oxv_view(text.data, len));
        }
        text = oxv_view_from(text, len);
    }
}

void
oxv_log_write_shown(struct oxv_writer *w, struct oxv_view value, oxv_log_put_fn put)
{
    write_each(w, value, true, put, show_hidden);
}

void
oxv_log_write_line(struct oxv_writer *w, struct oxv_view line, oxv_log_put_fn put)
{
    write_each(w, line, false, put, escape_hidden);
}

static void
put_json(struct oxv_writer *w, uint8_t c)
{
    if (c == '"' || c == '\\') {
        oxv_write_u8(w, '\\');
    }
    oxv_write_u8(w, c);
}

void
oxv_log_write_json(struct oxv_writer *w, struct oxv_view value)
{
    oxv_write_u8(w, '"');
    write_each(w, value, true, put_json, escape_hidden_in_json);
    oxv_write_u8(w, '"');
}

void
oxv_log_write_json_line(struct oxv_writer *w, struct oxv_view line)
{
    oxv_write_u8(w, '"');
    write_each(w, line, false, put_json, escape_hidden_in_json);
    oxv_write_u8(w, '"');
}
