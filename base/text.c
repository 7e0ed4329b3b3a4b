#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

enum oxv_status
oxv_format(char *out, size_t out_size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(out, out_size, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= out_size) {
        if (out_size > 0) {
            out[0] = '\0';
        }
        return OXV_E_LIMIT;
    }
    return OXV_OK;
}

enum oxv_status
oxv_text_copy(struct oxv_view from, char *out, size_t out_size)
{
    if (out_size == 0) {
        return OXV_E_LIMIT;
    }
    out[0] = '\0';
    if (from.len >= out_size) {
        return OXV_E_LIMIT;
    }
    if (from.len == 0) {
        return OXV_OK;
    }
    if (memchr(from.data, 0, from.len) != NULL) {
        return OXV_E_FORMAT;
    }
    memcpy(out, from.data, from.len);
    out[from.len] = '\0';
    return OXV_OK;
}

/* The length of the sequence that starts at `at`, or 0 where it is ill-formed. */
static size_t
utf8_sequence_len(struct oxv_view text, size_t at)
{
    const uint8_t *p = text.data + at;
    size_t left = text.len - at;
    size_t len;
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xbf;

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        second_min = p[0] == 0xe0 ? 0xa0 : 0x80;
        second_max = p[0] == 0xed ? 0x9f : 0xbf;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        second_min = p[0] == 0xf0 ? 0x90 : 0x80;
        second_max = p[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (left < len || p[1] < second_min || p[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

#define EACH_BYTE(b) ((b)*UINT64_C(0x0101010101010101))

/* The next eight bytes; the caller has seen that they are there. */
static uint64_t
word_at(struct oxv_view text, size_t at)
{
    uint64_t word;

    memcpy(&word, text.data + at, sizeof word);
    return word;
}

/* How many bytes from `at` on are ASCII for sure: nearly every text is, so eight at a time. */
static size_t
ascii_run_len(struct oxv_view text, size_t at)
{
    size_t begin = at;

    while (text.len - at >= 8 && (word_at(text, at) & EACH_BYTE(0x80)) == 0) {
        at += 8;
    }
    return at - begin;
}

size_t
oxv_utf8_prefix_len(struct oxv_view text)
{
    size_t at = ascii_run_len(text, 0);

    while (at < text.len) {
        size_t len = utf8_sequence_len(text, at);

        if (len == 0) {
            return at;
        }
        at += len;
    }
    return at;
}

bool
oxv_is_utf8(struct oxv_view text)
{
    return oxv_utf8_prefix_len(text) == text.len;
}

/* Is one of these eight bytes a control, a quote or a backslash? May say yes beyond ASCII. */
static bool
needs_json_escape(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t backslash = word ^ EACH_BYTE('\\');

    /* A byte below n borrows into its top bit when n is subtracted. */
    return (((word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1)) |
             word) &
            EACH_BYTE(0x80)) != 0;
}

size_t
oxv_plain_ascii_prefix_len(struct oxv_view text)
{
    size_t at = 0;

    /* Adding 1 takes DEL, and nothing else that is left, to the top bit. */
    while (text.len - at >= 8 && !needs_json_escape(word_at(text, at)) &&
           ((word_at(text, at) + EACH_BYTE(1)) & EACH_BYTE(0x80)) == 0) {
        at += 8;
    }
    for (; at < text.len; at++) {
        uint8_t c = text.data[at];

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            return at;
        }
    }
    return at;
}

bool
oxv_is_plain_ascii(struct oxv_view text)
{
    return oxv_plain_ascii_prefix_len(text) == text.len;
}

bool
oxv_is_printable_utf8(struct oxv_view text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return false;
        }
    }
    return oxv_is_utf8(text);
}

bool
oxv_parse_decimal(struct oxv_view text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (text.len == 0 || (text.len > 1 && text.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value)) {
            return false;
        }
    }
    if (value > max) {
        return false;
    }
    *out = value;
    return true;
}

void
oxv_write_hex(struct oxv_writer *w, struct oxv_view bytes)
{
    static const char digits[] = "0123456789abcdef";

    uint8_t *place = oxv_write_reserve(w, 2 * bytes.len);

    if (place == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        place[2 * i] = (uint8_t)digits[bytes.data[i] >> 4];
        place[2 * i + 1] = (uint8_t)digits[bytes.data[i] & 15];
    }
}

bool
oxv_parse_hex(struct oxv_view text, uint8_t *out, size_t out_len)
{
    size_t len;

    if (text.len != 2 * out_len) {
        return false;
    }
    return sodium_hex2bin(out, out_len, (const char *)text.data, text.len, NULL, &len, NULL) == 0 &&
           len == out_len;
}

void
oxv_write_base64(struct oxv_writer *w, struct oxv_view bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *place = oxv_write_reserve(w, (bytes.len + 2) / 3 * 4);

    if (place == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;

        group |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= n > 2 ? (uint32_t)bytes.data[i + 2] : 0;
        *place++ = (uint8_t)alphabet[group >> 18];
        *place++ = (uint8_t)alphabet[group >> 12 & 63];
        *place++ = n > 1 ? (uint8_t)alphabet[group >> 6 & 63] : (uint8_t)'=';
        *place++ = n > 2 ? (uint8_t)alphabet[group & 63] : (uint8_t)'=';
    }
}

bool
oxv_parse_base64(struct oxv_view text, uint8_t *out, size_t out_max, size_t *out_len)
{
    if (text.len == 0) {
        *out_len = 0;
        return true;
    }
    /* libsodium 1.0.18 takes the byte 0x80 for a slash where char is signed. */
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    size_t len;
    const char *end;

    if (sodium_base642bin(out, out_max, (const char *)text.data, text.len, NULL, &len, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != (const char *)text.data + text.len) {
        return false;
    }
    *out_len = len;
    return true;
}

static void
write_json_control(struct oxv_writer *w, uint8_t c)
{
    static const char short_escape[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
    };

    if (c < sizeof short_escape && short_escape[c] != 0) {
        oxv_write_u8(w, '\\');
        oxv_write_u8(w, (uint8_t)short_escape[c]);
        return;
    }
    oxv_write_text(w, "\\u00");
    oxv_write_hex(w, oxv_view(&c, 1));
}

void
oxv_write_json_string(struct oxv_writer *w, struct oxv_view text)
{
    size_t run = 0; /* start of the bytes that need no escape */

    if (!oxv_is_utf8(text)) {
        w->failed = true;
        return;
    }
    oxv_write_u8(w, '"');
    for (size_t i = 0; i < text.len; i++) {
        while (text.len - i >= 8 && !needs_json_escape(word_at(text, i))) {
            i += 8;
        }
        if (i == text.len) {
            break;
        }
        uint8_t c = text.data[i];

        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        oxv_write_view(w, oxv_view(text.data + run, i - run));
        run = i + 1;
        if (c < 0x20) {
            write_json_control(w, c);
        } else {
            oxv_write_u8(w, '\\');
            oxv_write_u8(w, c);
        }
    }
    oxv_write_view(w, oxv_view_from(text, run));
    oxv_write_u8(w, '"');
}

/* `count` digits with leading zeroes. */
static char *
put_digits(char *at, size_t count, uint64_t value)
{
    for (size_t i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

/* By hand, not by printf: each entry of the log has one. */
void
oxv_format_timestamp(uint64_t time_us, char out[OXV_TIMESTAMP_BYTES])
{
    if (time_us > OXV_TIMESTAMP_MAX_US) {
        time_us = OXV_TIMESTAMP_MAX_US;
    }
    time_t seconds = (time_t)(time_us / 1000000u);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL) {
        oxv_bug("gmtime_r fails on a year of four digits");
    }
    const struct {
        size_t count;
        int value;
        char after;
    } parts[] = { { 4, tm.tm_year + 1900, '-' }, { 2, tm.tm_mon + 1, '-' }, { 2, tm.tm_mday, 'T' },
                  { 2, tm.tm_hour, ':' },        { 2, tm.tm_min, ':' },     { 2, tm.tm_sec, '.' } };
    char *at = out;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        at = put_digits(at, parts[i].count, (uint64_t)parts[i].value);
        *at++ = parts[i].after;
    }
    at = put_digits(at, 6, time_us % 1000000u);
    *at++ = 'Z';
    *at = '\0';
}

static bool
read_digits(struct oxv_reader *r, size_t count, int min, int max, int *out)
{
    struct oxv_view v;
    int value = 0;

    if (!oxv_read_view(r, count, &v)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (v.data[i] < '0' || v.data[i] > '9') {
            return false;
        }
        value = value * 10 + (v.data[i] - '0');
    }
    *out = value;
    return value >= min && value <= max;
}

static bool
read_char(struct oxv_reader *r, char wanted)
{
    uint8_t c;

    return oxv_read_u8(r, &c) && c == (uint8_t)wanted;
}

static bool
read_fraction(struct oxv_reader *r, uint64_t *us)
{
    uint64_t scale = 100000;

    *us = 0;
    if (oxv_reader_at_end(r) || r->left.data[0] != '.') {
        return true;
    }
    if (!read_char(r, '.') || oxv_reader_at_end(r) || r->left.data[0] < '0' ||
        r->left.data[0] > '9') {
        return false;
    }
    while (!oxv_reader_at_end(r) && r->left.data[0] >= '0' && r->left.data[0] <= '9') {
        uint8_t digit;

        if (scale == 0 || !oxv_read_u8(r, &digit)) {
            return false;
        }
        *us += scale * (uint64_t)(digit - '0');
        scale /= 10;
    }
    return true;
}

static bool
read_zone(struct oxv_reader *r, int64_t *offset_s)
{
    uint8_t sign;
    int hours;
    int minutes;

    if (!oxv_read_u8(r, &sign)) {
        return false;
    }
    if (sign == 'Z') {
        *offset_s = 0;
        return true;
    }
    if ((sign != '+' && sign != '-') || !read_digits(r, 2, 0, 23, &hours) || !read_char(r, ':') ||
        !read_digits(r, 2, 0, 59, &minutes)) {
        return false;
    }
    *offset_s = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    if (sign == '-') {
        *offset_s = -*offset_s;
    }
    return true;
}

/* What was read of a time stamp. */
struct civil {
    int year, month, day, hour, minute, second;
};

static bool
is_day_of_month(const struct civil *c)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

    return c->day <= days[c->month - 1] + (c->month == 2 && is_leap ? 1 : 0);
}

/* Since 1970, UTC. Counts years from March, so that the leap day is the last one. */
static int64_t
civil_seconds(const struct civil *c)
{
    int64_t year = c->month <= 2 ? c->year - 1 : c->year;
    int64_t month = c->month <= 2 ? c->month + 9 : c->month - 3;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 +
                   c->day - 1 - 719468; /* from 0000-03-01 to 1970-01-01 */

    return ((days * 24 + c->hour) * 60 + c->minute) * 60 + c->second;
}

bool
oxv_parse_timestamp(struct oxv_view text, uint64_t *time_us)
{
    struct oxv_reader r = oxv_reader(text);
    struct civil c = { 0 };
    uint64_t fraction_us = 0;
    int64_t offset_s = 0;

    if (!read_digits(&r, 4, 1970, 9999, &c.year) || !read_char(&r, '-') ||
        !read_digits(&r, 2, 1, 12, &c.month) || !read_char(&r, '-') ||
        !read_digits(&r, 2, 1, 31, &c.day) || !is_day_of_month(&c)) {
        return false;
    }
    if (!oxv_reader_at_end(&r) &&
        (!read_char(&r, 'T') || !read_digits(&r, 2, 0, 23, &c.hour) || !read_char(&r, ':') ||
         !read_digits(&r, 2, 0, 59, &c.minute) || !read_char(&r, ':') ||
         !read_digits(&r, 2, 0, 59, &c.second) || !read_fraction(&r, &fraction_us) ||
         !read_zone(&r, &offset_s) || !oxv_reader_at_end(&r))) {
        return false;
    }
    int64_t seconds = civil_seconds(&c) - offset_s;

    if (seconds < 0 || seconds > (int64_t)(OXV_TIMESTAMP_MAX_US / 1000000u)) {
        return false;
    }
    *time_us = (uint64_t)seconds * 1000000u + fraction_us;
    return true;
}
