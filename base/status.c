#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = '?';
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
