/*
 * fuzz_glob: the input is, each with a u16 length, a glob, a path, a query, and then a LIST of
 * required query pairs.
 */
#include <stdlib.h>

#include "vault/match/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_glob(struct oxv_view glob, struct oxv_view path)
{
    bool has_star = glob.len > 0 && memchr(glob.data, '*', glob.len) != NULL;
    bool matched = oxv_path_glob_match(glob, path);
    struct oxv_syntax_error where = { 0 };

    if (!oxv_path_glob_valid(glob, &where)) {
        require(!matched && where.offset <= glob.len && where.reason != NULL);
    } else if (!has_star) {
        require(matched == oxv_view_equals(glob, path));
    } else if (matched) {
        /* What any glob with a wildcard matches, the widest one does. */
        require(oxv_path_glob_match(oxv_view_text("/**"), path));
        require(oxv_path_check(path, NULL) == OXV_OK);
    }
}

/* A dot segment in plain sight must never pass, whatever surrounds it. */
static void
check_dots(struct oxv_view path)
{
    static const char dots[] = "/../";
    struct oxv_syntax_error where = { 0 };

    if (path.len >= 4 && memmem(path.data, path.len, dots, 4) != NULL) {
        require(oxv_path_check(path, &where) == OXV_E_DENIED);
        require(where.offset < path.len && where.reason != NULL);
    }
}

static void
check_query(struct oxv_view query, struct oxv_view required)
{
    uint8_t buffer[OXV_URL_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;
    struct oxv_url url;

    oxv_write_text(&w, "https://h/?");
    oxv_write_view(&w, query);
    if (oxv_writer_finish(&w, &text) == OXV_OK && oxv_url_parse(text, &url, NULL) == OXV_OK) {
        bool matched = oxv_query_match(&url, required);

        require(required.len > 0 || matched);
        require(url.query.len > 0 || required.len == 0 || !matched);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_reader r = oxv_reader(oxv_view(data, size));
    struct oxv_view glob;
    struct oxv_view path;
    struct oxv_view query;

    if (oxv_read_view16(&r, &glob) && oxv_read_view16(&r, &path) && oxv_read_view16(&r, &query)) {
        check_glob(glob, path);
        check_dots(path);
        check_query(query, r.left);
    }
    return 0;
}
