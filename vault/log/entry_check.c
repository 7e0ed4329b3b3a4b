#include "base/text.h"
#include "vault/log/entry.h"
#include "vault/log/keys.h"

#define TIME_TEXT_CHARS (OXV_TIMESTAMP_BYTES - 1)

/* A line being read; `reason` is set at the first fault, the reader then stands at its place. */
struct checker {
    struct oxv_reader r;
    const char *reason;
};

static bool
refuse(struct checker *c, const char *reason)
{
    c->reason = reason;
    return false;
}

/* As refuse(), at a byte further on. */
static bool
refuse_at(struct checker *c, size_t ahead, const char *reason)
{
    c->r.left = oxv_view_from(c->r.left, ahead);
    return refuse(c, reason);
}

static bool
next_is(const struct checker *c, uint8_t wanted)
{
    return !oxv_reader_at_end(&c->r) && c->r.left.data[0] == wanted;
}

/* The bytes up to the closing quote, which stands in `text` already or is an escaped one. */
static bool
find_string_end(struct checker *c, size_t *len, bool *ascii)
{
    struct oxv_view left = c->r.left;
    size_t i = oxv_plain_ascii_prefix_len(left); /* nearly always up to the quote */

    *ascii = true;
    while (i < left.len && left.data[i] != '"') {
        uint8_t byte = left.data[i];

        if (byte == '\\') {
            i++;
            if (i >= left.len || (left.data[i] != '"' && left.data[i] != '\\')) {
                return refuse_at(c, i, "an escape other than of quote or backslash");
            }
        } else if (byte < 0x20 || byte == 0x7f) {
            return refuse_at(c, i, "a control character");
        } else if (byte >= 0x80) {
            *ascii = false;
        }
        i++;
    }
    if (i >= left.len) {
        return refuse_at(c, i, "a string without an end");
    }
    *len = i;
    return true;
}

/* Steps over bytes that were looked at: cheaper than to read them again. */
static void
skip(struct checker *c, size_t len)
{
    c->r.left = oxv_view_from(c->r.left, len);
}

static bool
read_string(struct checker *c, struct oxv_view *out)
{
    size_t len;
    bool ascii;

    if (!next_is(c, '"')) {
        return refuse(c, "not a string where one must be");
    }
    skip(c, 1);
    if (!find_string_end(c, &len, &ascii)) {
        return false;
    }
    if (len == 0) {
        return refuse(c, "an empty string");
    }
    struct oxv_view text = oxv_view(c->r.left.data, len);

    if (!ascii && !oxv_is_utf8(text)) {
        return refuse_at(c, oxv_utf8_prefix_len(text), "not UTF-8");
    }
    *out = text;
    skip(c, len + 1); /* with the quote */
    return true;
}

static bool
read_number(struct checker *c, uint64_t *out)
{
    struct oxv_view left = c->r.left;
    size_t len = 0;

    while (len < left.len && left.data[len] >= '0' && left.data[len] <= '9') {
        len++;
    }
    if (!oxv_parse_decimal(oxv_view(left.data, len), OXV_LOG_INTEGER_MAX, out)) {
        return refuse(c, "not a plain number below 2^53");
    }
    skip(c, len);
    return true;
}

static bool
read_positive(struct checker *c, uint64_t *out)
{
    struct oxv_reader before = c->r;

    if (!read_number(c, out)) {
        return false;
    }
    if (*out == 0) {
        c->r = before;
        return refuse(c, "a zero that must be left out");
    }
    return true;
}

/* Reads a string and judges it; a fault is told at its first character. */
static bool
read_judged(struct checker *c, struct oxv_view *out, bool (*is_good)(struct oxv_view text),
            const char *reason)
{
    struct oxv_reader before = c->r;

    if (!read_string(c, out)) {
        return false;
    }
    if (!is_good(*out)) {
        c->r = before;
        return refuse(c, reason);
    }
    return true;
}

static bool
is_hash(struct oxv_view text)
{
    return text.len <= OXV_ENTRY_HEX_MAX_CHARS && oxv_entry_is_lower_hex(text);
}

static bool
is_boot(struct oxv_view text)
{
    return text.len == OXV_LOG_BOOT_CHARS && oxv_entry_is_lower_hex(text);
}

static bool
is_path(struct oxv_view text)
{
    size_t escapes = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\\') {
            escapes++;
            i++;
        }
    }
    return text.len - escapes <= OXV_LOG_PATH_MAX_BYTES;
}

static uint64_t
outcome_of(struct oxv_view text)
{
    for (uint64_t outcome = OXV_OUTCOME_ALLOWED; outcome <= OXV_OUTCOME_FAILED; outcome++) {
        if (oxv_view_is(text, oxv_outcome_name(outcome))) {
            return outcome;
        }
    }
    return 0;
}

/* Of this length and with a Z at its end, a time stamp can be written in one way only. */
static bool
parse_time(struct oxv_view text, uint64_t *time_us)
{
    return text.len == TIME_TEXT_CHARS && text.data[TIME_TEXT_CHARS - 1] == 'Z' &&
           oxv_parse_timestamp(text, time_us);
}

static bool
parse_type(struct oxv_view text, uint64_t *value)
{
    enum oxv_entry_type type;
    bool good = oxv_entry_type_parse(text, &type);

    *value = good ? type : 0;
    return good;
}

static bool
parse_outcome(struct oxv_view text, uint64_t *value)
{
    *value = outcome_of(text);
    return *value != 0;
}

/* Reads a string that stands for a number; a fault is told at its first character. */
static bool
read_parsed(struct checker *c, uint64_t *out, bool (*parse)(struct oxv_view text, uint64_t *value),
            const char *reason)
{
    struct oxv_reader before = c->r;
    struct oxv_view text;

    if (!read_string(c, &text)) {
        return false;
    }
    if (!parse(text, out)) {
        c->r = before;
        return refuse(c, reason);
    }
    return true;
}

static bool
read_view_value(struct checker *c, const struct oxv_entry_key *key, struct oxv_entry_line *line)
{
    struct oxv_view text;
    bool good;

    if (key->kind == OXV_ENTRY_KEY_HEX) {
        good = read_judged(c, &text, is_hash, "not lower-case hex");
    } else if (key->kind == OXV_ENTRY_KEY_BOOT) {
        good = read_judged(c, &text, is_boot, "not 32 characters of lower-case hex");
    } else if (key->kind == OXV_ENTRY_KEY_PATH) {
        good = read_judged(c, &text, is_path, "a path that is too long");
    } else {
        good = read_string(c, &text);
    }
    if (good) {
        oxv_entry_key_set_view(key, line, text);
    }
    return good;
}

static bool
read_named_value(struct checker *c, const struct oxv_entry_key *key, struct oxv_entry_line *line)
{
    uint64_t value = 0;
    bool good;

    if (key->kind == OXV_ENTRY_KEY_TYPE) {
        good = read_parsed(c, &value, parse_type, "an unknown type");
    } else if (key->kind == OXV_ENTRY_KEY_OUTCOME) {
        good = read_parsed(c, &value, parse_outcome, "an unknown outcome");
    } else {
        good = read_parsed(c, &value, parse_time, "not a time in UTC with six decimals");
    }
    if (good) {
        oxv_entry_key_set_u64(key, line, value);
    }
    return good;
}

static bool
read_value(struct checker *c, const struct oxv_entry_key *key, struct oxv_entry_line *line)
{
    uint64_t value;

    switch (key->kind) {
    case OXV_ENTRY_KEY_U64:
        if (!read_positive(c, &value)) {
            return false;
        }
        break;
    case OXV_ENTRY_KEY_COUNTER:
    case OXV_ENTRY_KEY_PLUS1:
        if (!read_number(c, &value)) {
            return false;
        }
        value += key->kind == OXV_ENTRY_KEY_PLUS1 ? 1 : 0;
        break;
    case OXV_ENTRY_KEY_TEXT:
    case OXV_ENTRY_KEY_HEX:
    case OXV_ENTRY_KEY_PATH:
    case OXV_ENTRY_KEY_BOOT:
        return read_view_value(c, key, line);
    case OXV_ENTRY_KEY_TYPE:
    case OXV_ENTRY_KEY_OUTCOME:
    case OXV_ENTRY_KEY_TIME:
        return read_named_value(c, key, line);
    }
    oxv_entry_key_set_u64(key, line, value);
    return true;
}

static bool
is_required(const struct oxv_entry_key *key)
{
    return key->kind == OXV_ENTRY_KEY_COUNTER || key->kind == OXV_ENTRY_KEY_BOOT ||
           key->kind == OXV_ENTRY_KEY_TYPE || key->kind == OXV_ENTRY_KEY_TIME;
}

/*
 * Steps over the separator and the key if they are what comes next. Two characters of the name tell
 * most keys apart, and the shortest token, "v":, has four.
 */
static bool
skip_key(struct checker *c, uint8_t separator, const struct oxv_entry_key *key)
{
    struct oxv_view left = c->r.left;

    if (left.len < key->token_len + 1 || left.data[0] != separator ||
        left.data[2] != (uint8_t)key->token[1] || left.data[3] != (uint8_t)key->token[2] ||
        memcmp(left.data + 1, key->token, key->token_len) != 0) {
        return false;
    }
    skip(c, key->token_len + 1);
    return true;
}

static bool
read_line(struct checker *c, struct oxv_entry_line *line)
{
    uint8_t separator = '{';

    for (size_t i = 0; i < oxv_entry_key_count; i++) {
        const struct oxv_entry_key *key = &oxv_entry_keys[i];

        if (skip_key(c, separator, key)) {
            if (!read_value(c, key, line)) {
                return false;
            }
            separator = ',';
        } else if (is_required(key)) {
            return refuse(c, "an unknown, repeated, misplaced or missing key");
        }
    }
    uint8_t brace;

    if (!next_is(c, '}') || !oxv_read_u8(&c->r, &brace)) {
        return refuse(c, "an unknown, repeated or misplaced key");
    }
    if (!oxv_reader_at_end(&c->r)) {
        return refuse(c, "bytes after the object");
    }
    return true;
}

enum oxv_status
oxv_entry_check(struct oxv_view line, struct oxv_entry_line *out, struct oxv_entry_fault *fault)
{
    struct checker c = { .r = oxv_reader(line) };
    struct oxv_entry_line read = { 0 };

    if (line.len > OXV_LOG_ENTRY_MAX_BYTES) {
        *fault = (struct oxv_entry_fault){ OXV_LOG_ENTRY_MAX_BYTES, "a line that is too long" };
        return OXV_E_FORMAT;
    }
    if (!read_line(&c, &read)) {
        *fault = (struct oxv_entry_fault){ line.len - c.r.left.len, c.reason };
        return OXV_E_FORMAT;
    }
    if (read.v != OXV_LOG_FORMAT_VERSION) {
        *fault = (struct oxv_entry_fault){ 0, "an unknown format version" };
        return OXV_E_FORMAT;
    }
    *out = read;
    return OXV_OK;
}
