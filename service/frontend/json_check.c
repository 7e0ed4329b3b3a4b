#include "service/frontend/json_check.h"

#include "base/text.h"
#include "service/frontend/json_string.h"

#define WHERE_MAX_BYTES     128u
#define WHERE_NAME_MAX_CHAR 40u
#define INTEGER_DIGITS_MAX  16u

/* An object or array that is open. */
struct level {
    bool is_object;
    size_t names_before;  /* how many names the levels below have */
    size_t index;         /* of the array's current value */
    struct oxv_view name; /* of the object's current member, escapes and all */
};

struct name {
    uint32_t hash; /* of the name without escapes */
    struct oxv_view text;
};

struct check {
    struct oxv_view text;
    size_t at;
    const char *reason; /* what is wrong, once something is */
    size_t values;
    size_t depth;
    size_t name_count;
    struct level levels[OXV_JSON_DEPTH_MAX];
    struct name names[OXV_JSON_NAMES_MAX];
};

static bool
wrong(struct check *c, const char *reason)
{
    c->reason = reason;
    return false;
}

/* The byte at `at`, or 0 behind the end: a NUL is good nowhere. */
static uint8_t
peek(const struct check *c)
{
    return c->at < c->text.len ? c->text.data[c->at] : 0;
}

static void
skip_blanks(struct check *c)
{
    uint8_t byte = peek(c);

    while (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t') {
        c->at++;
        byte = peek(c);
    }
}

static bool
take_string(struct check *c, struct oxv_view *out)
{
    size_t len;
    const char *reason = oxv_json_string_scan(oxv_view_from(c->text, c->at), &len);

    if (reason != NULL) {
        c->at += len;
        return wrong(c, reason);
    }
    *out = oxv_view_slice(c->text, c->at + 1, len - 2);
    c->at += len;
    return true;
}

static bool
take_number(struct check *c)
{
    size_t begin = c->at;
    uint64_t value;

    while (peek(c) >= '0' && peek(c) <= '9') {
        c->at++;
    }
    struct oxv_view digits = oxv_view_slice(c->text, begin, c->at - begin);
    uint8_t next = peek(c);

    if (next == '.' || next == 'e' || next == 'E' || digits.len > INTEGER_DIGITS_MAX ||
        !oxv_parse_decimal(digits, OXV_JSON_INTEGER_MAX, &value)) {
        c->at = begin;
        return wrong(c, "a number must be a plain integer from 0 to 9007199254740991");
    }
    return true;
}

static bool
take_literal(struct check *c, const char *literal)
{
    if (!oxv_view_has_prefix(oxv_view_from(c->text, c->at), literal)) {
        return wrong(c, "not a JSON value");
    }
    c->at += strlen(literal);
    return true;
}

static bool
open_level(struct check *c, bool is_object)
{
    if (c->depth == OXV_JSON_DEPTH_MAX) {
        return wrong(c, "nested too deeply");
    }
    c->levels[c->depth++] = (struct level){ .is_object = is_object, .names_before = c->name_count };
    c->at++;
    return true;
}

/* One value, or the beginning of an object or array. */
static bool
take_value(struct check *c)
{
    struct oxv_view ignored;

    if (++c->values > OXV_JSON_VALUES_MAX) {
        return wrong(c, "too many values");
    }
    switch (peek(c)) {
    case '{':
        return open_level(c, true);
    case '[':
        return open_level(c, false);
    case '"':
        return take_string(c, &ignored);
    case 't':
        return take_literal(c, "true");
    case 'f':
        return take_literal(c, "false");
    case 'n':
        return take_literal(c, "null");
    case '-':
    case '+':
    case '.':
        return wrong(c, "a number must be a plain integer from 0 to 9007199254740991");
    default:
        return peek(c) >= '0' && peek(c) <= '9' ? take_number(c) : wrong(c, "not a JSON value");
    }
}

static bool
is_known_name(const struct check *c, const struct level *level, const struct name *name)
{
    for (size_t i = level->names_before; i < c->name_count; i++) {
        if (c->names[i].hash == name->hash &&
            oxv_json_string_equals(c->names[i].text, name->text)) {
            return true;
        }
    }
    return false;
}

/* A member's name and its colon. */
static bool
take_name(struct check *c, struct level *level)
{
    struct name name;
    size_t begin = c->at;

    level->name = oxv_view(NULL, 0);
    if (peek(c) != '"') {
        return wrong(c, "the name of a member is missing");
    }
    if (!take_string(c, &name.text)) {
        return false;
    }
    level->name = name.text;
    name.hash = oxv_json_string_hash(name.text);
    if (is_known_name(c, level, &name)) {
        c->at = begin;
        return wrong(c, "is there twice");
    }
    if (c->name_count == OXV_JSON_NAMES_MAX) {
        return wrong(c, "too many members");
    }
    c->names[c->name_count++] = name;
    skip_blanks(c);
    if (peek(c) != ':') {
        return wrong(c, "a colon is missing");
    }
    c->at++;
    skip_blanks(c);
    return true;
}

/* Closes the innermost level if that is what comes next. */
static bool
close_level(struct check *c)
{
    struct level *level = &c->levels[c->depth - 1];

    if (peek(c) != (level->is_object ? '}' : ']')) {
        return false;
    }
    c->at++;
    c->depth--;
    c->name_count = level->names_before;
    return true;
}

/* What stands in front of a value: a name, or nothing in an array. */
static bool
take_lead(struct check *c)
{
    struct level *level = &c->levels[c->depth - 1];

    skip_blanks(c);
    return level->is_object ? take_name(c, level) : true;
}

/* What follows a value: closing brackets, or a comma and the lead of the next value. */
static bool
take_follower(struct check *c)
{
    skip_blanks(c);
    while (c->depth > 0 && close_level(c)) {
        skip_blanks(c);
    }
    if (c->depth == 0) {
        return true;
    }
    if (peek(c) != ',') {
        return wrong(c, "neither a comma nor the end of the object or array");
    }
    c->at++;
    c->levels[c->depth - 1].index++;
    return take_lead(c);
}

static bool
check_object(struct check *c)
{
    skip_blanks(c);
    if (peek(c) != '{') {
        return wrong(c, c->at == c->text.len ? "is empty where a JSON object must be"
                                             : "is not a JSON object");
    }
    do {
        size_t depth = c->depth;

        if (!take_value(c)) {
            return false;
        }
        skip_blanks(c);
        /* Right behind an opening bracket there is a value, or the closing bracket. */
        bool opened = c->depth > depth && !close_level(c);

        if (opened ? !take_lead(c) : !take_follower(c)) {
            return false;
        }
    } while (c->depth > 0);
    return c->at == c->text.len || wrong(c, "bytes follow the JSON object");
}

static void
write_where(const struct check *c, struct oxv_writer *w)
{
    for (size_t i = 0; i < c->depth; i++) {
        const struct level *level = &c->levels[i];

        if (!level->is_object) {
            oxv_write_u8(w, '[');
            oxv_write_decimal(w, level->index);
            oxv_write_u8(w, ']');
        } else if (level->name.len > 0) {
            oxv_write_text(w, w->len > 0 ? "." : "");
            oxv_write_view(w, oxv_view_slice(level->name, 0, WHERE_NAME_MAX_CHAR));
        }
    }
}

enum oxv_status
oxv_json_check(struct oxv_view text, struct oxv_err *err)
{
    struct check c; /* not zeroed: the names are many, and counted */

    c.text = text;
    c.at = 0;
    c.values = 0;
    c.depth = 0;
    c.name_count = 0;
    c.reason = NULL;
    if (check_object(&c)) {
        return OXV_OK;
    }
    char where[WHERE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(where, sizeof where);
    struct oxv_view written;

    write_where(&c, &w);
    if (oxv_writer_finish(&w, &written) != OXV_OK || written.len == 0) {
        written = oxv_view_text("the body");
    }
    return oxv_fail(err, OXV_E_FORMAT, "%.*s: %s (byte %zu)", (int)written.len,
                    (const char *)written.data, c.reason, c.at);
}
