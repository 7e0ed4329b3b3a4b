/*
 * fuzz_http: the first byte says in what steps the rest, a request, arrives. The head must be found
 * and read alike however it arrives, and so must a body in chunks.
 */
#include <stdlib.h>

#include "base/http_syntax.h"
#include "service/frontend/http_chunked.h"
#include "service/frontend/media_type.h"
#include "service/frontend/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX_BYTES 1000u

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static enum oxv_status
scan(struct oxv_view in, size_t step, size_t *head_len, size_t *skipped)
{
    struct oxv_http_scan s = { 0 };
    enum oxv_status st = OXV_E_BUSY;

    for (size_t have = step; st == OXV_E_BUSY; have += step) {
        st = oxv_http_scan_head(oxv_view_slice(in, 0, have), &s, head_len, NULL);
        if (have >= in.len) {
            break;
        }
    }
    *skipped = s.skipped;
    return st;
}

/* A head that was taken has lines of one kind, and one end. */
static void
check_lines(struct oxv_view head)
{
    for (size_t i = 0; i < head.len; i++) {
        bool cr = head.data[i] == '\r';
        bool lf = i + 1 < head.len && head.data[i + 1] == '\n';

        require(i + 1 == head.len || cr == lf);
        require(!cr || i + 4 >= head.len || head.data[i + 2] != '\r');
    }
}

static enum oxv_status
unchunk(struct oxv_view in, size_t step, struct oxv_buffer *body)
{
    struct oxv_chunked c = { 0 };
    enum oxv_status st = OXV_E_BUSY;
    size_t at = 0;

    while (st == OXV_E_BUSY && at < in.len) {
        size_t used = 0;

        st = oxv_chunked_read(&c, oxv_view_slice(in, at, step), BODY_MAX_BYTES, body, &used);
        at += used;
    }
    return st;
}

static void
compare_chunks(struct oxv_view in, size_t step)
{
    struct oxv_buffer whole = { 0 };
    struct oxv_buffer pieces = { 0 };
    enum oxv_status st = unchunk(in, SIZE_MAX, &whole);

    require(unchunk(in, step, &pieces) == st);
    require(oxv_buffer_len(&whole) <= BODY_MAX_BYTES);
    if (st == OXV_OK) {
        require(oxv_view_equals(oxv_buffer_view(&whole), oxv_buffer_view(&pieces)));
    }
    oxv_buffer_done(&whole);
    oxv_buffer_done(&pieces);
}

static void
read_target(struct oxv_view target)
{
    uint8_t bytes[512];
    struct oxv_writer scratch = oxv_writer(bytes, sizeof bytes);
    struct oxv_reader r = oxv_reader(oxv_view_from(target, oxv_view_find(target, '?') + 1));
    struct oxv_query_part part;

    require(target.len > 0 && target.data[0] == '/');
    while (oxv_query_next(&r, &scratch, &part, NULL) == OXV_OK) {
        require(part.name.len > 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_http_head head;
    size_t len = 0;
    size_t len_again = 0;
    size_t skipped;

    if (size < 2) {
        return 0;
    }
    struct oxv_view in = oxv_view(data + 1, size - 1);
    size_t step = (size_t)data[0] + 1;
    enum oxv_status st = scan(in, SIZE_MAX / 2, &len, &skipped);

    require(scan(in, step, &len_again, &skipped) == st && len == len_again);
    compare_chunks(in, step);
    if (st != OXV_OK) {
        return 0;
    }
    require(len <= OXV_HTTP_HEAD_MAX_BYTES && len <= in.len);
    if (oxv_http_parse_head(oxv_view_slice(in, skipped, len - skipped), &head, NULL) == OXV_OK) {
        check_lines(oxv_view_slice(in, skipped, len - skipped));
        read_target(head.target);
        (void)oxv_media_type_is_json(head.content_type);
        require(!head.is_chunked || head.content_length == 0);
        compare_chunks(oxv_view_from(in, len), step);
    }
    return 0;
}
