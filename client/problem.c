#include "client/problem.h"

#include "base/json.h"
#include "base/text.h"

#define TYPE_PREFIX      "urn:oxvault:error:"
#define STATUS_MIN       400
#define STATUS_MAX       599
#define TITLE_MAX_BYTES  256u
#define PREFIX_MAX_BYTES (sizeof TYPE_PREFIX + OXV_CLIENT_PROBLEM_MAX_BYTES)

/* The text of a string member, NUL-terminated, cut on a character boundary where `cut` allows. */
static bool
read_text(struct oxv_view object, const char *name, char *out, size_t out_size, bool cut)
{
    char whole[8192];
    struct oxv_writer w = oxv_writer(whole, sizeof whole);
    struct oxv_view value;
    struct oxv_view text;

    if (!oxv_json_get(object, name, &value) || !oxv_json_write_string(&w, value) ||
        oxv_writer_finish(&w, &text) != OXV_OK) {
        return false;
    }
    if (cut && text.len >= out_size) {
        text.len = out_size - 1;
        text.len = oxv_utf8_prefix_len(text);
    }
    return oxv_text_copy(text, out, out_size) == OXV_OK;
}

static bool
read_members(struct oxv_view value, int http_status, struct oxv_client_error *out)
{
    char type[PREFIX_MAX_BYTES];
    char wanted[PREFIX_MAX_BYTES];
    char title[TITLE_MAX_BYTES];
    struct oxv_view status_value;
    uint64_t status;

    if (oxv_json_type(value) != OXV_JSON_OBJECT ||
        !read_text(value, "type", type, sizeof type, false) ||
        !read_text(value, "title", title, sizeof title, true) ||
        !read_text(value, "code", out->problem, sizeof out->problem, false) ||
        !read_text(value, "detail", out->detail, sizeof out->detail, true) ||
        !oxv_json_get(value, "status", &status_value) ||
        !oxv_json_integer(status_value, STATUS_MAX, &status) || status < STATUS_MIN ||
        oxv_format(wanted, sizeof wanted, "%s%s", TYPE_PREFIX, out->problem) != OXV_OK ||
        strcmp(type, wanted) != 0) {
        return false;
    }
    oxv_client_make_printable(out->problem);
    oxv_client_make_printable(out->detail);
    out->http_status = (int)status;
    return http_status == 0 || http_status == (int)status;
}

enum oxv_client_code
oxv_problem_read(struct oxv_view value, int http_status, struct oxv_client_error *error)
{
    struct oxv_client_error read = { 0 };

    if (!read_members(value, http_status, &read)) {
        enum oxv_client_code code = oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER,
                                                    "the answer is no error document of oxvault");

        if (error != NULL) {
            error->http_status = http_status;
        }
        return code;
    }
    read.code = oxv_client_code_parse(oxv_view_text(read.problem));
    if (error != NULL) {
        *error = read;
    }
    return read.code;
}

enum oxv_client_code
oxv_problem_parse(struct oxv_view text, int http_status, struct oxv_client_error *error)
{
    struct oxv_view none = { .data = NULL, .len = 0 };

    return oxv_problem_read(oxv_json_check(text, NULL) == OXV_OK ? text : none, http_status, error);
}
