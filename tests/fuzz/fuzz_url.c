/* fuzz_url: all of the input is a URL. */
#include <stdlib.h>

#include "signer/percent.h"
#include "signer/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The normal form of the origin must be a URL with the same origin. */
static void
check_origin(const struct oxv_url *url)
{
    uint8_t buffer[OXV_URL_ORIGIN_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;
    struct oxv_url again;

    oxv_url_write_origin(&w, url);
    require(oxv_writer_finish(&w, &text) == OXV_OK);
    require(oxv_url_parse(text, &again, NULL) == OXV_OK);
    require(again.https == url->https && again.port == url->port);
    require(
        oxv_view_equals(oxv_view(again.host, again.host_len), oxv_view(url->host, url->host_len)));
    require(oxv_view_is(again.path, "/") && !again.has_query);
}

static void
check_query(const struct oxv_url *url)
{
    static uint8_t buffer[OXV_URL_MAX_BYTES];
    struct oxv_view left = url->query;
    struct oxv_query_pair pair;

    while (oxv_query_next(&left, &pair)) {
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

        oxv_write_form_decoded(&w, pair.name);
        require(!w.failed && !oxv_view_has_prefix(oxv_view(buffer, w.len), "oauth_"));
        oxv_write_form_decoded(&w, pair.value);
        require(!w.failed);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_url url = { .port = 7 };
    struct oxv_syntax_error where = { 0 };

    if (oxv_url_parse(oxv_view(data, size), &url, &where) != OXV_OK) {
        require(where.offset <= size && where.reason != NULL && url.port == 7);
        return 0;
    }
    require(url.path.len > 0 && url.path.data[0] == '/');
    require(url.host_len > 0 && url.host_len <= OXV_URL_HOST_MAX_BYTES && url.port > 0);
    check_origin(&url);
    check_query(&url);
    return 0;
}
