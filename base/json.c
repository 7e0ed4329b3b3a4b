#include "base/json.h"

#include "base/text.h"

struct scan {
    struct oxv_view text;
    size_t at;
    const char *reason; /* set by the first rule that is broken; `at` is then where */
};

/* The names of one object so far, to find one that comes twice. */
struct names {
    size_t count;
    struct oxv_view seen[OXV_JSON_NAMES_MAX];
};

static bool read_value(struct scan *s, unsigned depth);

static bool
refuse(struct scan *s, const char *reason)
{
    if (s->reason == NULL) {
        s->reason = reason;
    }
    return false;
}

/* The byte at hand; 0 at the end, which is no byte of any JSON text. */
static uint8_t
peek(const struct scan *s)
{
    return s->at < s->text.len ? s->text.data[s->at] : 0;
}

static void
skip_space(struct scan *s)
{
    while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r') {
        s->at++;
    }
}

static bool
read_literal(struct scan *s, const char *word)
{
    if (!oxv_view_has_prefix(oxv_view_from(s->text, s->at), word)) {
        return refuse(s, "not a JSON value");
    }
    s->at += strlen(word);
    return true;
}

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool
read_number(struct scan *s)
{
    size_t start = s->at;
    uint64_t value;

    while (is_digit(peek(s))) {
        s->at++;
    }
    struct oxv_view digits = oxv_view(s->text.data + start, s->at - start);

    if (peek(s) == '.' || peek(s) == 'e' || peek(s) == 'E' ||
        !oxv_parse_decimal(digits, OXV_JSON_INTEGER_MAX, &value)) {
        s->at = start;
        return refuse(s, "not a plain integer from 0 to 2^53-1");
    }
    return true;
}

/* Four hex digits, of either case. */
static bool
read_hex4(struct scan *s, uint32_t *out)
{
    uint8_t bytes[2];
    struct oxv_view digits = oxv_view_from(s->text, s->at);

    digits.len = digits.len > 4 ? 4 : digits.len;
    if (!oxv_parse_hex(digits, bytes, sizeof bytes)) {
        return refuse(s, "\\u without four hex digits");
    }
    s->at += 4;
    *out = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

/* What follows "\u". */
static bool
read_unicode_escape(struct scan *s, uint32_t *code_point)
{
    uint32_t high;
    uint32_t low;

    if (!read_hex4(s, &high)) {
        return false;
    }
    if (high == 0) {
        return refuse(s, "a NUL character");
    }
    if (high < 0xd800 || high > 0xdfff) {
        *code_point = high;
        return true;
    }
    if (high > 0xdbff || !oxv_view_has_prefix(oxv_view_from(s->text, s->at), "\\u")) {
        return refuse(s, "half of a surrogate pair");
    }
    s->at += 2;
    if (!read_hex4(s, &low)) {
        return false;
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return refuse(s, "half of a surrogate pair");
    }
    *code_point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* What follows a backslash. */
static bool
read_escape(struct scan *s, uint32_t *code_point)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t"; /* escape, character */
    uint8_t c = peek(s);

    if (c == 'u') {
        s->at++;
        return read_unicode_escape(s, code_point);
    }
    for (size_t i = 0; i + 1 < sizeof plain; i += 2) {
        if (c == (uint8_t)plain[i]) {
            s->at++;
            *code_point = (uint8_t)plain[i + 1];
            return true;
        }
    }
    return refuse(s, "an unknown escape");
}

static void
write_utf8(struct oxv_writer *w, uint32_t c)
{
    if (c < 0x80) {
        oxv_write_u8(w, c);
        return;
    }
    if (c < 0x800) {
        oxv_write_u8(w, 0xc0 | c >> 6);
    } else if (c < 0x10000) {
        oxv_write_u8(w, 0xe0 | c >> 12);
        oxv_write_u8(w, 0x80 | (c >> 6 & 0x3f));
    } else {
        oxv_write_u8(w, 0xf0 | c >> 18);
        oxv_write_u8(w, 0x80 | (c >> 12 & 0x3f));
        oxv_write_u8(w, 0x80 | (c >> 6 & 0x3f));
    }
    oxv_write_u8(w, 0x80 | (c & 0x3f));
}

/* A string with its quotes; its text goes to `w` where that is not NULL. */
static bool
read_string(struct scan *s, struct oxv_writer *w)
{
    uint32_t code_point;

    s->at++; /* the quote that brought us here */
    for (;;) {
        size_t run = s->at;

        while (peek(s) >= 0x20 && peek(s) != '"' && peek(s) != '\\') {
            s->at++;
        }
        if (w != NULL) {
            oxv_write_view(w, oxv_view(s->text.data + run, s->at - run));
        }
        if (peek(s) == '"') {
            s->at++;
            return true;
        }
        if (peek(s) != '\\') {
            return refuse(s, s->at < s->text.len ? "a control character" : "an unfinished string");
        }
        s->at++;
        if (!read_escape(s, &code_point)) {
            return false;
        }
        if (w != NULL) {
            write_utf8(w, code_point);
        }
    }
}

static bool
add_name(struct scan *s, struct names *names, size_t start, struct oxv_view name)
{
    const char *reason = NULL;

    if (name.len > 0 && memchr(name.data, '\\', name.len) != NULL) {
        reason = "a name with an escape";
    } else if (names->count == OXV_JSON_NAMES_MAX) {
        reason = "an object with too many names";
    }
    for (size_t i = 0; i < names->count && reason == NULL; i++) {
        if (oxv_view_equals(names->seen[i], name)) {
            reason = "a name that is there twice";
        }
    }
    if (reason != NULL) {
        s->at = start;
        return refuse(s, reason);
    }
    names->seen[names->count++] = name;
    return true;
}

/* A name, the colon, and the space around them; *name is without quotes. */
static bool
read_name(struct scan *s, struct oxv_view *name)
{
    size_t start = s->at;

    if (peek(s) != '"') {
        return refuse(s, "not a name in quotes");
    }
    if (!read_string(s, NULL)) {
        return false;
    }
    *name = oxv_view(s->text.data + start + 1, s->at - start - 2);
    skip_space(s);
    if (peek(s) != ':') {
        return refuse(s, "a name without a colon");
    }
    s->at++;
    return true;
}

/* The comma or the closing bracket. */
static bool
read_separator(struct scan *s, uint8_t close, bool *end)
{
    skip_space(s);
    *end = peek(s) == close;
    if (!*end && peek(s) != ',') {
        return refuse(s, s->at < s->text.len ? "neither a comma nor the end" : "cut off");
    }
    s->at++;
    skip_space(s);
    return true;
}

static bool
read_object(struct scan *s, unsigned depth)
{
    struct names names;
    bool end = false;

    names.count = 0;
    s->at++;
    skip_space(s);
    if (peek(s) == '}') {
        s->at++;
        return true;
    }
    while (!end) {
        size_t start = s->at;
        struct oxv_view name;

        if (!read_name(s, &name) || !add_name(s, &names, start, name) ||
            !read_value(s, depth + 1) || !read_separator(s, '}', &end)) {
            return false;
        }
    }
    return true;
}

static bool
read_array(struct scan *s, unsigned depth)
{
    bool end = false;

    s->at++;
    skip_space(s);
    if (peek(s) == ']') {
        s->at++;
        return true;
    }
    while (!end) {
        if (!read_value(s, depth + 1) || !read_separator(s, ']', &end)) {
            return false;
        }
    }
    return true;
}

static bool
read_value(struct scan *s, unsigned depth)
{
    skip_space(s);
    if (depth > OXV_JSON_DEPTH_MAX) {
        return refuse(s, "nested too deeply");
    }
    switch (peek(s)) {
    case '{':
        return read_object(s, depth);
    case '[':
        return read_array(s, depth);
    case '"':
        return read_string(s, NULL);
    case 't':
        return read_literal(s, "true");
    case 'f':
        return read_literal(s, "false");
    case 'n':
        return read_literal(s, "null");
    case '-':
        return refuse(s, "not a plain integer from 0 to 2^53-1");
    default:
        break;
    }
    if (s->at == s->text.len) {
        return refuse(s, "cut off");
    }
    return is_digit(peek(s)) ? read_number(s) : refuse(s, "not a JSON value");
}

enum oxv_status
oxv_json_check(struct oxv_view text, struct oxv_json_fault *fault)
{
    struct scan s = { .text = text };
    size_t utf8_len = oxv_utf8_prefix_len(text);

    if (utf8_len < text.len) {
        s.at = utf8_len;
        (void)refuse(&s, "not well-formed UTF-8");
    } else if (oxv_view_has_prefix(text, "\xef\xbb\xbf")) {
        (void)refuse(&s, "a byte order mark");
    } else if (read_value(&s, 1)) {
        skip_space(&s);
        if (s.at < text.len) {
            (void)refuse(&s, "bytes after the value");
        }
    }
    if (s.reason == NULL) {
        return OXV_OK;
    }
    if (fault != NULL) {
        *fault = (struct oxv_json_fault){ .offset = s.at, .reason = s.reason };
    }
    return OXV_E_FORMAT;
}

/* At the first byte of the value. */
static struct scan
scan_of(struct oxv_view value)
{
    struct scan s = { .text = value };

    skip_space(&s);
    return s;
}

enum oxv_json_type
oxv_json_type(struct oxv_view value)
{
    struct scan s = scan_of(value);

    switch (peek(&s)) {
    case '{':
        return OXV_JSON_OBJECT;
    case '[':
        return OXV_JSON_ARRAY;
    case '"':
        return OXV_JSON_STRING;
    case 't':
    case 'f':
        return OXV_JSON_BOOLEAN;
    case 'n':
        return OXV_JSON_NULL;
    default:
        return OXV_JSON_INTEGER;
    }
}

struct oxv_json_items
oxv_json_items(struct oxv_view value)
{
    struct scan s = scan_of(value);

    if (peek(&s) != '{' && peek(&s) != '[') {
        s.at = value.len;
    } else {
        s.at++;
    }
    return (struct oxv_json_items){ .text = value, .at = s.at };
}

bool
oxv_json_next(struct oxv_json_items *items, struct oxv_view *name, struct oxv_view *value)
{
    struct scan s = { .text = items->text, .at = items->at };
    struct scan first = scan_of(items->text);
    struct oxv_view found_name = { .data = NULL, .len = 0 };

    skip_space(&s);
    if (s.at >= s.text.len || peek(&s) == '}' || peek(&s) == ']') {
        return false;
    }
    if (peek(&first) == '{' && !read_name(&s, &found_name)) {
        return false;
    }
    skip_space(&s);
    size_t start = s.at;

    if (!read_value(&s, 1)) {
        return false;
    }
    *name = found_name;
    *value = oxv_view(s.text.data + start, s.at - start);
    skip_space(&s);
    s.at += peek(&s) == ',' ? 1 : 0;
    items->at = s.at;
    return true;
}

size_t
oxv_json_count(struct oxv_view value)
{
    struct oxv_json_items items = oxv_json_items(value);
    struct oxv_view name;
    struct oxv_view item;
    size_t count = 0;

    while (oxv_json_next(&items, &name, &item)) {
        count++;
    }
    return count;
}

bool
oxv_json_get(struct oxv_view object, const char *name, struct oxv_view *value)
{
    struct oxv_json_items items = oxv_json_items(object);
    struct oxv_view found;
    struct oxv_view candidate;

    if (oxv_json_type(object) != OXV_JSON_OBJECT) {
        return false;
    }
    while (oxv_json_next(&items, &found, &candidate)) {
        if (oxv_view_is(found, name)) {
            *value = candidate;
            return true;
        }
    }
    return false;
}

bool
oxv_json_write_string(struct oxv_writer *w, struct oxv_view value)
{
    struct scan s = scan_of(value);

    return peek(&s) == '"' && read_string(&s, w);
}

bool
oxv_json_integer(struct oxv_view value, uint64_t max, uint64_t *out)
{
    struct scan s = scan_of(value);

    return oxv_json_type(value) == OXV_JSON_INTEGER &&
           oxv_parse_decimal(oxv_view_from(value, s.at), max, out);
}

bool
oxv_json_boolean(struct oxv_view value, bool *out)
{
    struct scan s = scan_of(value);

    if (oxv_json_type(value) != OXV_JSON_BOOLEAN) {
        return false;
    }
    *out = peek(&s) == 't';
    return true;
}
