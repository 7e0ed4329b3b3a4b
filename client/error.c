#include "client/error.h"

#include <stdarg.h>
#include <stdio.h>

struct code_name {
    enum oxv_client_code code;
    const char *name;
};

static const struct code_name names[] = {
    { OXV_CLIENT_OK, "ok" },
    { OXV_CLIENT_BAD_REQUEST, "bad_request" },
    { OXV_CLIENT_NO_GRANT, "no_grant" },
    { OXV_CLIENT_UNKNOWN_CALLER, "unknown_caller" },
    { OXV_CLIENT_URL_NOT_ALLOWED, "url_not_allowed" },
    { OXV_CLIENT_NOT_FOUND, "not_found" },
    { OXV_CLIENT_METHOD_NOT_ALLOWED, "method_not_allowed" },
    { OXV_CLIENT_PAYLOAD_TOO_LARGE, "payload_too_large" },
    { OXV_CLIENT_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type" },
    { OXV_CLIENT_UNPROCESSABLE, "unprocessable" },
    { OXV_CLIENT_RATE_LIMITED, "rate_limited" },
    { OXV_CLIENT_SEALED, "sealed" },
    { OXV_CLIENT_TOKEN_UNAVAILABLE, "token_unavailable" },
    { OXV_CLIENT_LOG_UNAVAILABLE, "log_unavailable" },
    { OXV_CLIENT_BUSY, "busy" },
    { OXV_CLIENT_INTERNAL, "internal" },
    { OXV_CLIENT_WRONG_SEAL, "wrong_seal" },
    { OXV_CLIENT_CONFLICT, "conflict" },
    { OXV_CLIENT_OTHER, "other" },
    { OXV_CLIENT_USAGE, "usage" },
    { OXV_CLIENT_MEMORY, "memory" },
    { OXV_CLIENT_UNREACHABLE, "unreachable" },
    { OXV_CLIENT_FORBIDDEN, "forbidden" },
    { OXV_CLIENT_TIMEOUT, "timeout" },
    { OXV_CLIENT_CLOSED, "closed" },
    { OXV_CLIENT_BAD_ANSWER, "bad_answer" },
};

#define NAMES_COUNT (sizeof names / sizeof names[0])

const char *
oxv_client_code_name(enum oxv_client_code code)
{
    for (size_t i = 0; i < NAMES_COUNT; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "other";
}

enum oxv_client_code
oxv_client_code_parse(struct oxv_view name)
{
    for (size_t i = 0; i < NAMES_COUNT; i++) {
        if (names[i].code > OXV_CLIENT_OK && names[i].code < OXV_CLIENT_OTHER &&
            oxv_view_is(name, names[i].name)) {
            return names[i].code;
        }
    }
    return OXV_CLIENT_OTHER;
}

void
oxv_client_make_printable(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
}

enum oxv_client_code
oxv_client_fail(struct oxv_client_error *error, enum oxv_client_code code, const char *fmt, ...)
{
    va_list args;

    if (error == NULL) {
        return code;
    }
    *error = (struct oxv_client_error){ .code = code };
    va_start(args, fmt);
    (void)vsnprintf(error->detail, sizeof error->detail, fmt, args); /* cutting is fine */
    va_end(args);
    oxv_client_make_printable(error->detail);
    return code;
}

enum oxv_client_code
oxv_client_fail_no_place(struct oxv_client_error *error)
{
    return oxv_client_fail(error, OXV_CLIENT_USAGE, "there is no place for the result");
}
