#include "client/body.h"

#include "base/text.h"

const char *
oxv_client_kind_name(enum oxv_client_kind kind)
{
    switch (kind) {
    case OXV_CLIENT_OAUTH1:
        return "oauth1";
    case OXV_CLIENT_TOKEN_PASSPORT:
        return "token-passport";
    case OXV_CLIENT_CONNECT_PASSWORD:
        return "connect-password";
    }
    return NULL;
}

static enum oxv_client_code
check_text(const char *name, const char *value, bool wanted, bool allowed,
           struct oxv_client_error *error)
{
    if (value == NULL && wanted) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "%s is missing", name);
    }
    if (value != NULL && !allowed) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "%s does not go with this kind", name);
    }
    if (value != NULL && !oxv_is_utf8(oxv_view_text(value))) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "%s is not well-formed UTF-8", name);
    }
    return OXV_CLIENT_OK;
}

static enum oxv_client_code
check_form(const struct oxv_client_request *request, bool allowed, struct oxv_client_error *error)
{
    if (request->form_count > 0 && (!allowed || request->form == NULL)) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "%s",
                               allowed ? "form is missing" : "form does not go with this kind");
    }
    for (size_t i = 0; i < request->form_count; i++) {
        enum oxv_client_code code =
            check_text("a form name", request->form[i].name, true, true, error);

        if (code == OXV_CLIENT_OK) {
            code = check_text("a form value", request->form[i].value, true, true, error);
        }
        if (code != OXV_CLIENT_OK) {
            return code;
        }
    }
    return OXV_CLIENT_OK;
}

static enum oxv_client_code
check_request(const struct oxv_client_request *request, enum oxv_client_kind kind,
              struct oxv_client_error *error)
{
    bool oauth1 = kind == OXV_CLIENT_OAUTH1;
    bool passport = kind == OXV_CLIENT_TOKEN_PASSPORT;
    enum oxv_client_code code;

    if (oxv_client_kind_name(kind) == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "there is no kind %d", (int)kind);
    }
    code = check_text("connection", request->connection, true, true, error);
    if (code == OXV_CLIENT_OK) {
        code = check_text("method", request->method, oauth1, oauth1, error);
    }
    if (code == OXV_CLIENT_OK) {
        code = check_text("url", request->url, oauth1, oauth1, error);
    }
    if (code == OXV_CLIENT_OK) {
        code = check_text("version", request->version, false, passport, error);
    }
    return code == OXV_CLIENT_OK ? check_form(request, oauth1, error) : code;
}

static void
write_member(struct oxv_writer *w, const char *name, const char *value)
{
    if (value == NULL) {
        return;
    }
    oxv_write_text(w, ",\"");
    oxv_write_text(w, name);
    oxv_write_text(w, "\":");
    oxv_write_json_string(w, oxv_view_text(value));
}

static void
write_form(struct oxv_writer *w, const struct oxv_client_request *request)
{
    if (request->form_count == 0) {
        return;
    }
    oxv_write_text(w, ",\"form\":[");
    for (size_t i = 0; i < request->form_count; i++) {
        oxv_write_text(w, i == 0 ? "[" : ",[");
        oxv_write_json_string(w, oxv_view_text(request->form[i].name));
        oxv_write_u8(w, ',');
        oxv_write_json_string(w, oxv_view_text(request->form[i].value));
        oxv_write_u8(w, ']');
    }
    oxv_write_u8(w, ']');
}

static enum oxv_client_code
write_request(struct oxv_writer *w, const struct oxv_client_request *request,
              enum oxv_client_kind kind, bool name_kind, struct oxv_client_error *error)
{
    enum oxv_client_code code = check_request(request, kind, error);

    if (code != OXV_CLIENT_OK) {
        return code;
    }
    oxv_write_text(w, "{\"connection\":");
    oxv_write_json_string(w, oxv_view_text(request->connection));
    write_member(w, "kind", name_kind ? oxv_client_kind_name(kind) : NULL);
    write_member(w, "method", request->method);
    write_member(w, "url", request->url);
    write_form(w, request);
    write_member(w, "version", request->version);
    oxv_write_text(w, request->proof != 0 ? ",\"proof\":true" : "");
    oxv_write_u8(w, '}');
    return OXV_CLIENT_OK;
}

static enum oxv_client_code
finish(struct oxv_buffer *out, const struct oxv_writer *w, struct oxv_client_error *error)
{
    if (w->failed) {
        return oxv_client_fail(error, OXV_CLIENT_PAYLOAD_TOO_LARGE,
                               "the request is longer than %zu bytes", w->max);
    }
    out->len = w->len;
    return OXV_CLIENT_OK;
}

enum oxv_client_code
oxv_client_body_make(struct oxv_buffer *out, const struct oxv_client_request *request,
                     enum oxv_client_kind kind, struct oxv_client_error *error)
{
    oxv_buffer_clear(out);
    if (!oxv_buffer_reserve(out, OXV_CLIENT_BODY_MAX_BYTES)) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    struct oxv_writer w = oxv_writer(out->data, OXV_CLIENT_BODY_MAX_BYTES);
    enum oxv_client_code code = write_request(&w, request, kind, false, error);

    return code == OXV_CLIENT_OK ? finish(out, &w, error) : code;
}

enum oxv_client_code
oxv_client_body_make_batch(struct oxv_buffer *out, const struct oxv_client_request *requests,
                           size_t count, struct oxv_client_error *error)
{
    oxv_buffer_clear(out);
    if (!oxv_buffer_reserve(out, OXV_CLIENT_BATCH_MAX_BYTES)) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    struct oxv_writer w = oxv_writer(out->data, OXV_CLIENT_BATCH_MAX_BYTES);

    oxv_write_text(&w, "{\"requests\":[");
    for (size_t i = 0; i < count; i++) {
        enum oxv_client_code code;

        oxv_write_text(&w, i == 0 ? "" : ",");
        code = write_request(&w, &requests[i], requests[i].kind, true, error);
        if (code != OXV_CLIENT_OK) {
            return code;
        }
    }
    oxv_write_text(&w, "]}");
    return finish(out, &w, error);
}
