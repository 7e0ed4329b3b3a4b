#include "service/frontend/problem.h"

#include "base/text.h"

#define DETAIL_MAX_BYTES 1024u /* as in messages.h */

static const struct oxv_problem problems[] = {
    { OXV_CODE_BAD_REQUEST, "The request is malformed", 400 },
    { "no_grant", "No grant allows this", 403 },
    { "unknown_caller", "This user is not a caller", 403 },
    { "url_not_allowed", "No grant covers this URL", 403 },
    { "wrong_seal", "This passphrase, key file or PIN does not open it", 403 },
    { OXV_CODE_NOT_FOUND, "There is no such thing", 404 },
    { OXV_CODE_METHOD_NOT_ALLOWED, "The method is not allowed here", 405 },
    { "conflict", "This does not fit the present state", 409 },
    { OXV_CODE_PAYLOAD_TOO_LARGE, "The request is too large", 413 },
    { OXV_CODE_UNSUPPORTED_MEDIA_TYPE, "The body is not JSON", 415 },
    { "unprocessable", "The URL or the method cannot be signed", 422 },
    { "rate_limited", "Too many requests", 429 },
    { OXV_CODE_INTERNAL, "A defect of the service", 500 },
    { "sealed", "The vault is sealed", 503 },
    { "token_unavailable", "The token is not available", 503 },
    { "log_unavailable", "The access log cannot be written", 503 },
    { OXV_CODE_BUSY, "The service is busy", 503 },
};

#define PROBLEM_COUNT (sizeof problems / sizeof problems[0])

const struct oxv_problem *
oxv_problem_find(struct oxv_view code)
{
    for (size_t i = 0; i < PROBLEM_COUNT; i++) {
        if (oxv_view_is(code, problems[i].code)) {
            return &problems[i];
        }
    }
    return NULL;
}

const char *
oxv_problem_status_text(unsigned status)
{
    switch (status) {
    case 200:
        return "200 OK";
    case 400:
        return "400 Bad Request";
    case 403:
        return "403 Forbidden";
    case 404:
        return "404 Not Found";
    case 405:
        return "405 Method Not Allowed";
    case 409:
        return "409 Conflict";
    case 413:
        return "413 Content Too Large";
    case 415:
        return "415 Unsupported Media Type";
    case 422:
        return "422 Unprocessable Content";
    case 429:
        return "429 Too Many Requests";
    case 500:
        return "500 Internal Server Error";
    case 503:
        return "503 Service Unavailable";
    default:
        return NULL;
    }
}

/* A text that was cut may end within a character: what is not UTF-8 becomes question marks. */
static void
write_detail(struct oxv_writer *w, struct oxv_view detail)
{
    uint8_t bytes[DETAIL_MAX_BYTES];
    size_t len = detail.len < sizeof bytes ? detail.len : sizeof bytes;

    if (len > 0) {
        memcpy(bytes, detail.data, len);
    }
    for (size_t at = 0; at < len; at++) {
        at += oxv_utf8_prefix_len(oxv_view_slice(oxv_view(bytes, len), at, len));
        if (at < len) {
            bytes[at] = '?';
        }
    }
    oxv_write_json_string(w, oxv_view(bytes, len));
}

void
oxv_problem_write(struct oxv_writer *w, const struct oxv_problem *problem, struct oxv_view detail)
{
    oxv_write_text(w, "{\"type\":\"urn:oxvault:error:");
    oxv_write_text(w, problem->code);
    oxv_write_text(w, "\",\"title\":\"");
    oxv_write_text(w, problem->title);
    oxv_write_text(w, "\",\"status\":");
    oxv_write_decimal(w, problem->status);
    oxv_write_text(w, ",\"detail\":");
    write_detail(w, detail);
    oxv_write_text(w, ",\"code\":\"");
    oxv_write_text(w, problem->code);
    oxv_write_text(w, "\"}");
}
