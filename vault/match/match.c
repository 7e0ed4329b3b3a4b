#include "vault/match/match.h"

#include "base/fields.h"
#include "signer/chars.h"
#include "signer/percent.h"
#include "vault/match/glob.h"

/* A server may decode twice; a path that is encoded three times has no honest use. */
#define LAYERS_MAX 2u

/*
 * The byte at `at` after `layers` rounds of percent-decoding, and where the next one begins. An
 * escape of a later round may be spelled with escapes itself. False at the end.
 */
static bool
decoded_byte(struct oxv_view path, size_t at, unsigned layers, uint8_t *byte, size_t *next)
{
    uint8_t digits[3] = "%";
    size_t end;

    if (layers == 0) {
        if (at >= path.len) {
            return false;
        }
        *byte = path.data[at];
        *next = at + 1;
        return true;
    }
    if (!decoded_byte(path, at, layers - 1, byte, next)) {
        return false;
    }
    if (*byte == '%' && decoded_byte(path, *next, layers - 1, &digits[1], &end) &&
        decoded_byte(path, end, layers - 1, &digits[2], &end) &&
        oxv_percent_escape(oxv_view(digits, sizeof digits), 0, byte)) {
        *next = end;
    }
    return true;
}

static bool
is_separator(uint8_t byte)
{
    return byte == '/' || byte == '\\';
}

size_t
oxv_path_separator_len(struct oxv_view path, size_t at)
{
    uint8_t byte;
    size_t next;

    if (path.data[at] != '%') {
        return is_separator(path.data[at]) ? 1 : 0;
    }
    return decoded_byte(path, at, LAYERS_MAX, &byte, &next) && is_separator(byte) ? next - at : 0;
}

/*
 * The part of a segment before ";", lower-cased and decoded, without blanks and controls: servers
 * may drop the rest.
 */
struct segment {
    size_t offset;
    char head[5]; /* its first bytes, enough for "rest" */
    size_t head_len;
    size_t bare_len; /* of the whole part, without the dots at its end: servers may drop those */
    bool last;       /* no slash follows */
};

static bool
head_is(const struct segment *segment, const char *lower)
{
    return segment->head_len == strlen(lower) &&
           memcmp(segment->head, lower, segment->head_len) == 0;
}

static bool
is_blank(uint8_t byte)
{
    return byte <= ' ' || byte == 0x7f;
}

/* Reads the segment at *at and the slash behind it. False at the end of the path. */
static bool
next_segment(struct oxv_view path, unsigned layers, size_t *at, struct segment *out)
{
    bool in_head = true;
    size_t len = 0;
    uint8_t byte;
    size_t next;

    if (*at >= path.len) {
        return false;
    }
    *out = (struct segment){ .offset = *at, .last = true };
    while (decoded_byte(path, *at, layers, &byte, &next)) {
        *at = next;
        if (is_separator(byte)) {
            out->last = false;
            break;
        }
        in_head = in_head && byte != ';';
        if (is_blank(byte)) {
            continue; /* servers may trim them off: dots beside one are dots */
        }
        len += in_head ? 1 : 0;
        out->bare_len = in_head && byte != '.' ? len : out->bare_len;
        if (in_head && out->head_len < sizeof out->head) {
            out->head[out->head_len++] = (char)oxv_char_lower(byte);
        }
    }
    return true;
}

static bool
has_escape(struct oxv_view path)
{
    return path.len > 0 && memchr(path.data, '%', path.len) != NULL;
}

/* Is there an escape after all rounds of decoding? *offset is that of its first raw byte. */
static bool
hides_more_layers(struct oxv_view path, size_t *offset)
{
    uint8_t byte;
    size_t after_two;
    size_t after_three;

    for (size_t at = 0; decoded_byte(path, at, LAYERS_MAX, &byte, &after_two); at = after_two) {
        if (byte == '%' && decoded_byte(path, at, LAYERS_MAX + 1, &byte, &after_three) &&
            after_three != after_two) {
            *offset = at;
            return true;
        }
    }
    return false;
}

/* As above; no round makes a NUL vanish, so the last one shows those of all. */
static bool
hides_nul(struct oxv_view path, unsigned layers, size_t *offset)
{
    uint8_t byte;
    size_t next;

    for (size_t at = 0; decoded_byte(path, at, layers, &byte, &next); at = next) {
        if (byte == 0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

/*
 * Most paths have no escape and no segment that begins with a dot: then there is nothing to decode
 * and no dot segment.
 */
static bool
is_harmless(struct oxv_view path)
{
    const uint8_t *dot = path.len > 0 ? memchr(path.data, '.', path.len) : NULL;

    while (dot != NULL) {
        size_t at = (size_t)(dot - path.data);

        if (at == 0 || is_separator(path.data[at - 1])) {
            return false;
        }
        dot = memchr(dot + 1, '.', path.len - at - 1);
    }
    return !has_escape(path);
}

enum oxv_status
oxv_path_check(struct oxv_view path, struct oxv_syntax_error *where)
{
    if (is_harmless(path)) {
        return OXV_OK;
    }
    /*
     * The last round shows the dot segments of all: neither dots nor slashes are hex digits, so no
     * later round can swallow them.
     */
    unsigned layers = has_escape(path) ? LAYERS_MAX : 0;
    struct segment segment;
    size_t at = 0;

    while (next_segment(path, layers, &at, &segment)) {
        if (head_is(&segment, ".") || head_is(&segment, "..")) {
            return oxv_refuse(where, OXV_E_DENIED, segment.offset, "a dot segment in the path");
        }
    }
    if (layers > 0 && hides_nul(path, layers, &at)) {
        return oxv_refuse(where, OXV_E_DENIED, at, "a NUL in the path");
    }
    if (layers > 0 && hides_more_layers(path, &at)) {
        return oxv_refuse(where, OXV_E_DENIED, at, "a path that is percent-encoded three times");
    }
    return OXV_OK;
}

static bool
is_bare_rest(const struct segment *segment)
{
    return segment->bare_len == 4 && memcmp(segment->head, "rest", 4) == 0;
}

/* Does the path begin with /rest/, for a server that decodes `layers` times? */
static bool
begins_with_rest(struct oxv_view path, unsigned layers)
{
    struct segment segment;
    size_t at = 0;

    while (next_segment(path, layers, &at, &segment)) {
        if (segment.bare_len > 0) { /* servers take // for / */
            return is_bare_rest(&segment) && !segment.last;
        }
    }
    return false;
}

bool
oxv_path_is_rest(struct oxv_view path)
{
    unsigned layers = has_escape(path) ? LAYERS_MAX : 0;

    for (unsigned n = 0; n <= layers; n++) {
        if (begins_with_rest(path, n)) {
            return true;
        }
    }
    return false;
}

/* Does the raw piece of a query decode to `text`? */
static bool
decodes_to(struct oxv_view piece, struct oxv_view text)
{
    uint8_t byte;
    size_t at = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (!oxv_form_next(piece, &at, &byte) || byte != text.data[i]) {
            return false;
        }
    }
    return at == piece.len;
}

/* Is the name there exactly once, and with this value? */
static bool
query_has(struct oxv_view query, struct oxv_view name, struct oxv_view value)
{
    struct oxv_query_pair pair;
    size_t found = 0;
    bool equal = false;

    while (oxv_query_next(&query, &pair)) {
        if (decodes_to(pair.name, name)) {
            found++;
            equal = decodes_to(pair.value, value);
        }
    }
    return found == 1 && equal;
}

/* Does a pair of the list (its names stand at every second place) have this name? */
static bool
pairs_have(struct oxv_view pairs, struct oxv_view wanted)
{
    struct oxv_reader r = oxv_reader(pairs);
    struct oxv_view name;
    struct oxv_view value;

    while (oxv_list_next(&r, &name) && oxv_list_next(&r, &value)) {
        if (oxv_view_equals(name, wanted)) {
            return true;
        }
    }
    return false;
}

bool
oxv_query_match(const struct oxv_url *url, struct oxv_view required)
{
    struct oxv_reader r = oxv_reader(required);
    struct oxv_view query = url->query;
    struct oxv_view name;
    struct oxv_view value;

    if (required.len > 0 && query.len > 0 && memchr(query.data, ';', query.len) != NULL) {
        return false;
    }
    while (!oxv_reader_at_end(&r)) {
        if (!oxv_list_next(&r, &name) || !oxv_list_next(&r, &value) || pairs_have(r.left, name) ||
            !query_has(query, name, value)) {
            return false;
        }
    }
    return true;
}

bool
oxv_form_match(struct oxv_view form, struct oxv_view required)
{
    struct oxv_reader r = oxv_reader(form);
    struct oxv_view name;
    struct oxv_view value;

    if (required.len == 0) {
        return true;
    }
    while (!oxv_reader_at_end(&r)) {
        if (!oxv_list_next(&r, &name) || !oxv_list_next(&r, &value) || pairs_have(required, name)) {
            return false;
        }
    }
    return true;
}

static bool
list_has(struct oxv_view list, struct oxv_view wanted)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view item;

    while (oxv_list_next(&r, &item)) {
        if (oxv_view_equals(item, wanted)) {
            return true;
        }
    }
    return false;
}

bool
oxv_method_match(struct oxv_view methods, struct oxv_view method)
{
    return list_has(methods, method);
}

bool
oxv_origin_match(struct oxv_view origins, const struct oxv_url *url)
{
    uint8_t buffer[OXV_URL_ORIGIN_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view origin;

    oxv_url_write_origin(&w, url);
    return oxv_writer_finish(&w, &origin) == OXV_OK && list_has(origins, origin);
}
