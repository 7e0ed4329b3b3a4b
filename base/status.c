#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Of a text that was cut: its length without a character whose end is missing. */
static size_t
whole_len(const char *text, size_t len)
{
    size_t start = len;

    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0xc0 &&
        !oxv_is_utf8(oxv_view(&text[start - 1], len - start + 1))) {
        return start - 1;
    }
    return len;
}

/* C0, DEL and C1 (U+0080 to U+009F: a terminal may obey those too), in well-formed text. */
static void
replace_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == 0xc2 && (unsigned char)text[i + 1] <= 0x9f) {
            text[i++] = '?';
            text[i] = '?';
        } else if (c < 0x20 || c == 0x7f) {
            text[i] = '?';
        }
    }
}

static void
make_printable(char *text)
{
    size_t len = strlen(text);
    size_t at = 0;

    if (len == OXV_ERR_TEXT_MAX_BYTES - 1) {
        len = whole_len(text, len);
        text[len] = '\0';
    }
    while (at < len) {
        size_t good = oxv_utf8_prefix_len(oxv_view(&text[at], len - at));

        replace_controls(&text[at], good);
        at += good;
        if (at < len) {
            text[at++] = '?';
        }
    }
}

static void set_text(struct oxv_err *err, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
set_text(struct oxv_err *err, const char *fmt, va_list args)
{
    /* Cutting a text for people is no error. */
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    make_printable(err->text);
}

enum oxv_status
oxv_fail(struct oxv_err *err, enum oxv_status status, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;

        *err = (struct oxv_err){ .status = status };
        va_start(args, fmt);
        set_text(err, fmt, args);
        va_end(args);
    }
    return status;
}

enum oxv_status
oxv_fail_errno(struct oxv_err *err, const char *fmt, ...)
{
    int saved = errno;

    if (err != NULL) {
        va_list args;

        *err = (struct oxv_err){ .status = OXV_E_IO, .sys_errno = saved };
        va_start(args, fmt);
        set_text(err, fmt, args);
        va_end(args);

        size_t len = strlen(err->text);
        (void)snprintf(err->text + len, sizeof err->text - len, ": %s", strerror(saved));
        make_printable(err->text);
    }
    return OXV_E_IO;
}

void
oxv_err_prefix(struct oxv_err *err, const char *fmt, ...)
{
    if (err == NULL) {
        return;
    }
    struct oxv_err old = *err;
    va_list args;

    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);

    size_t len = strlen(err->text);
    (void)snprintf(err->text + len, sizeof err->text - len, ": %s", old.text);
    make_printable(err->text);
}

const char *
oxv_status_name(enum oxv_status status)
{
    switch (status) {
    case OXV_OK:
        return "ok";
    case OXV_E_USAGE:
        return "usage";
    case OXV_E_FORMAT:
        return "format";
    case OXV_E_DENIED:
        return "denied";
    case OXV_E_LOCKED:
        return "locked";
    case OXV_E_NOT_FOUND:
        return "not found";
    case OXV_E_CONFLICT:
        return "conflict";
    case OXV_E_FORGED:
        return "forged";
    case OXV_E_LIMIT:
        return "limit";
    case OXV_E_BUSY:
        return "busy";
    case OXV_E_IO:
        return "io";
    case OXV_E_TOKEN:
        return "token";
    case OXV_E_STORE:
        return "store";
    case OXV_E_MEMORY:
        return "memory";
    case OXV_E_INTERNAL:
        return "internal";
    }
    return "unknown";
}

_Noreturn void
oxv_bug_at(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "oxvault: bug at %s:%d: %s\n", file, line, what);
    abort();
}
