#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/http_syntax.h"
#include "service/frontend/http_chunked.h"
#include "service/frontend/media_type.h"
#include "service/frontend/target.h"

#define LINE "GET /x HTTP/1.1\r\n"
#define HOST "Host: localhost\r\n"
#define POST "POST /x HTTP/1.1\r\n" HOST
#define GOOD LINE HOST "\r\n"

static enum oxv_status
scan(struct oxv_view in, size_t *head_len, size_t *skipped)
{
    struct oxv_http_scan state = { 0 };
    uint8_t *copy = malloc(in.len == 0 ? 1 : in.len);
    struct oxv_err err;

    assert_non_null(copy);
    memcpy(copy, in.data, in.len);
    enum oxv_status st = oxv_http_scan_head(oxv_view(copy, in.len), &state, head_len, &err);

    *skipped = state.skipped;
    free(copy);
    return st;
}

static enum oxv_status
scan_text(const char *text)
{
    size_t head_len;
    size_t skipped;

    return scan(oxv_view_text(text), &head_len, &skipped);
}

static void
the_end_of_a_head_is_found_wherever_reading_stopped(void **state)
{
    static const char text[] = GOOD "rest";
    const size_t wanted = sizeof GOOD - 1;

    (void)state;
    for (size_t first = 0; first <= sizeof text - 1; first++) {
        struct oxv_http_scan s = { 0 };
        size_t head_len = 77;
        enum oxv_status st = oxv_http_scan_head(oxv_view(text, first), &s, &head_len, NULL);

        if (first < wanted) {
            assert_int_equal(st, OXV_E_BUSY);
            assert_int_equal(head_len, 77);
            st = oxv_http_scan_head(oxv_view(text, sizeof text - 1), &s, &head_len, NULL);
        }
        assert_int_equal(st, OXV_OK);
        assert_int_equal(head_len, wanted);
    }
}

static void
one_empty_line_in_front_is_skipped_and_a_second_is_a_head(void **state)
{
    size_t head_len;
    size_t skipped;

    (void)state;
    assert_int_equal(scan(oxv_view_text("\r\n" GOOD), &head_len, &skipped), OXV_OK);
    assert_int_equal(skipped, 2);
    assert_int_equal(head_len, sizeof GOOD - 1 + 2);
    assert_int_equal(scan(oxv_view_text("\r\n\r\n" GOOD), &head_len, &skipped), OXV_OK);
    assert_int_equal(head_len, 4); /* then it has no request line */
}

static void
bare_line_ends_and_folded_fields_are_refused_as_soon_as_they_are_seen(void **state)
{
    (void)state;
    assert_int_equal(scan_text("GET / HTTP/1.1\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE "Host: x\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE HOST "\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text("\n" GOOD), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE HOST "\rX: y\r\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE HOST "X: \ry\r\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE HOST "\r\r\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text("GET /\r HTTP/1.1\r\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE HOST " folded\r\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE HOST "\tfolded\r\n"), OXV_E_FORMAT);
    assert_int_equal(scan_text(LINE " Host: x\r\n"), OXV_E_FORMAT);
}

static void
a_head_may_have_8192_bytes_and_not_one_more(void **state)
{
    static char text[OXV_HTTP_HEAD_MAX_BYTES + 8];
    const size_t frame = sizeof(LINE HOST "X: ") - 1 + 4;

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        size_t total = OXV_HTTP_HEAD_MAX_BYTES + extra;
        struct oxv_writer w = oxv_writer(text, sizeof text);
        size_t head_len;
        size_t skipped;

        oxv_write_text(&w, LINE HOST "X: ");
        for (size_t i = frame; i < total; i++) {
            oxv_write_u8(&w, 'a');
        }
        oxv_write_text(&w, "\r\n\r\n");
        assert_int_equal(w.len, total);
        assert_int_equal(scan(oxv_view(text, w.len), &head_len, &skipped),
                         extra == 0 ? OXV_OK : OXV_E_LIMIT);
    }
    memset(text, 'a', sizeof text);
    size_t len;
    size_t skipped;

    assert_int_equal(scan(oxv_view(text, OXV_HTTP_HEAD_MAX_BYTES - 1), &len, &skipped), OXV_E_BUSY);
    assert_int_equal(scan(oxv_view(text, OXV_HTTP_HEAD_MAX_BYTES), &len, &skipped), OXV_E_LIMIT);
}

static enum oxv_status
parse(const char *text, struct oxv_http_head *head)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_http_parse_head(oxv_view_text(text), head, &err);

    assert_int_equal(st == OXV_OK, err.text[0] == '\0'); /* a refusal says why */
    return st;
}

static void
a_request_is_read_with_all_that_matters(void **state)
{
    struct oxv_http_head h;

    (void)state;
    assert_int_equal(parse("POST /v1/x?a=b HTTP/1.1\r\nhOST: [::1]:80\r\nUser-Agent: \xc3\xa9\r\n"
                           "CONTENT-type:\t application/json \t\r\nContent-Length: 12\r\n"
                           "Expect: 100-Continue\r\n\r\n",
                           &h),
                     OXV_OK);
    assert_true(oxv_view_is(h.method, "POST"));
    assert_true(oxv_view_is(h.target, "/v1/x?a=b"));
    assert_true(oxv_view_is(h.content_type, "application/json"));
    assert_true(h.has_content_type && h.keeps_alive && h.expects_continue);
    assert_false(h.is_chunked || h.is_http_1_0 || h.has_content_encoding);
    assert_int_equal(h.content_length, 12);
}

static void
keeping_the_connection_follows_version_and_field(void **state)
{
    struct oxv_http_head h;

    (void)state;
    assert_int_equal(parse(GOOD, &h), OXV_OK);
    assert_true(h.keeps_alive);
    assert_int_equal(parse(LINE HOST "Connection: close\r\n\r\n", &h), OXV_OK);
    assert_false(h.keeps_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &h), OXV_OK);
    assert_true(h.is_http_1_0);
    assert_false(h.keeps_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &h), OXV_OK);
    assert_true(h.keeps_alive);
}

static void
chunks_and_encodings_are_told(void **state)
{
    struct oxv_http_head h;

    (void)state;
    assert_int_equal(parse(POST "Transfer-Encoding: Chunked\r\n\r\n", &h), OXV_OK);
    assert_true(h.is_chunked);
    assert_int_equal(h.content_length, 0);
    assert_int_equal(parse(POST "Content-Encoding: gzip\r\n\r\n", &h), OXV_OK);
    assert_true(h.has_content_encoding);
    assert_int_equal(parse(POST "Content-Encoding: identity\r\n\r\n", &h), OXV_OK);
    assert_false(h.has_content_encoding);
    assert_int_equal(parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", &h), OXV_OK);
    assert_false(h.expects_continue);
}

static void
what_two_readers_could_read_differently_is_refused(void **state)
{
    static const char *const bad[] = {
        POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST "Content-Length: 1, 1\r\n\r\n",
        POST "Content-Length: +1\r\n\r\n",
        POST "Content-Length: -1\r\n\r\n",
        POST "Content-Length: 0x1\r\n\r\n",
        POST "Content-Length: 1 1\r\n\r\n",
        POST "Content-Length: \r\n\r\n",
        POST "Content-Length: 18446744073709551616\r\n\r\n",
        POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Transfer-Encoding: chunked, chunked\r\n\r\n",
        POST "Transfer-Encoding: gzip, chunked\r\n\r\n",
        POST "Transfer-Encoding: identity\r\n\r\n",
        POST "Transfer-Encoding: xchunked\r\n\r\n",
        POST "Transfer-Encoding:\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Content-Length : 1\r\n\r\n",
        POST "Content-Length\t: 1\r\n\r\n",
        POST "Content Length: 1\r\n\r\n",
        POST ": 1\r\n\r\n",
        POST "X\r\n\r\n",
        POST "X: a\rb\r\n\r\n",
        POST "\rX: b\r\n\r\n",
        POST "\rContent-Length: 5\r\n\r\n",
        POST "X: a\x01\r\n\r\n",
        POST "X\x80: a\r\n\r\n",
        LINE "\r\n",
        LINE HOST HOST "\r\n",
        LINE "Host: a b\r\n\r\n",
        LINE "Host: a/b\r\n\r\n",
        LINE "Host: u@b\r\n\r\n",
        LINE "Host: \xc3\xa9\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
        POST "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n",
        POST "Expect: something\r\n\r\n",
        "GET / HTTP/2.0\r\n" HOST "\r\n",
        "GET / HTTP/1.2\r\n" HOST "\r\n",
        "GET / HTTP/0.9\r\n" HOST "\r\n",
        "GET / http/1.1\r\n" HOST "\r\n",
        "GET / HXXXX1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.10\r\n" HOST "\r\n",
        "GET / HTTP/01.1\r\n" HOST "\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n" HOST "\r\n",
        "GET /  HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1 \r\n" HOST "\r\n",
        " GET / HTTP/1.1\r\n" HOST "\r\n",
        "GET\t/\tHTTP/1.1\r\n" HOST "\r\n",
        "get / HTTP/1.1\r\n" HOST "\r\n",
        "BREW / HTTP/1.1\r\n" HOST "\r\n",
        "GET x HTTP/1.1\r\n" HOST "\r\n",
        "GET * HTTP/1.1\r\n" HOST "\r\n",
        "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
        "GET http://h/x HTTP/1.1\r\n" HOST "\r\n",
        "CONNECT h:1 HTTP/1.1\r\n" HOST "\r\n",
        "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n",
        "GET /a\tb HTTP/1.1\r\n" HOST "\r\n",
        "GET /a\x7f HTTP/1.1\r\n" HOST "\r\n",
        "GET /a#b HTTP/1.1\r\n" HOST "\r\n",
        "\r\n",
        "",
    };
    struct oxv_http_head h = { .content_length = 99 };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i], &h) == OXV_OK) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_int_equal(h.content_length, 99);
    }
}

static void
a_nul_in_a_head_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD - 1; i++) {
        char text[sizeof GOOD];
        struct oxv_http_head h;

        memcpy(text, GOOD, sizeof text);
        text[i] = '\0';
        assert_int_equal(oxv_http_parse_head(oxv_view(text, sizeof text - 1), &h, NULL),
                         OXV_E_FORMAT);
    }
}

static void
every_truncation_of_a_head_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof GOOD - 1; len++) {
        uint8_t *cut = malloc(len == 0 ? 1 : len);
        struct oxv_http_head h;

        assert_non_null(cut);
        memcpy(cut, GOOD, len);
        assert_int_equal(oxv_http_parse_head(oxv_view(cut, len), &h, NULL), OXV_E_FORMAT);
        free(cut);
    }
}

/* All of `in`, `step` bytes at a time. */
static enum oxv_status
unchunk(const char *in, size_t step, size_t max, struct oxv_buffer *body, size_t *used)
{
    struct oxv_view whole = oxv_view_text(in);
    struct oxv_chunked c = { 0 };
    enum oxv_status st = OXV_E_BUSY;

    *used = 0;
    while (st == OXV_E_BUSY && *used < whole.len) {
        size_t once = 0;

        st = oxv_chunked_read(&c, oxv_view_slice(whole, *used, step), max, body, &once);
        *used += once;
    }
    return st;
}

static void
chunks_are_joined_however_they_arrive(void **state)
{
    static const char in[] = "3\r\nabc\r\n00000a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\nnext";

    (void)state;
    for (size_t step = 1; step < sizeof in; step++) {
        struct oxv_buffer body = { 0 };
        size_t used;

        assert_int_equal(unchunk(in, step, 23, &body, &used), OXV_OK);
        assert_int_equal(used, sizeof in - 1 - 4);
        assert_true(oxv_view_is(oxv_buffer_view(&body), "abc01234567890123456789"));
        oxv_buffer_done(&body);
    }
}

static void
malformed_chunks_are_refused(void **state)
{
    static const char *const bad[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1 \r\nx\r\n",
        "1;ext=1\r\nx\r\n",
        "1\nx\r\n",
        "1\rxx\r\n",
        "1\r\nxy\r\n",
        "1\r\nx\n",
        "1\r\nx\rz",
        "000000001\r\nx\r\n",
        "0\r\nTrailer: x\r\n\r\n",
        "0\r\n\n",
        "0\r\n\rx",
        "0\n\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t step = 1; step < 20; step++) {
            struct oxv_buffer body = { 0 };
            size_t used;

            if (unchunk(bad[i], step, 100, &body, &used) != OXV_E_FORMAT) {
                fail_msg("taken: %s", bad[i]);
            }
            oxv_buffer_done(&body);
        }
    }
}

static void
a_chunked_body_that_exceeds_its_limit_is_refused_by_its_size_alone(void **state)
{
    struct oxv_buffer body = { 0 };
    size_t used;

    (void)state;
    assert_int_equal(unchunk("5\r\nabcde\r\n0\r\n\r\n", 99, 5, &body, &used), OXV_OK);
    oxv_buffer_done(&body);
    assert_int_equal(unchunk("6\r\na", 99, 5, &body, &used), OXV_E_LIMIT);
    oxv_buffer_done(&body);
    assert_int_equal(unchunk("4\r\nabcd\r\n2\r\na", 99, 5, &body, &used), OXV_E_LIMIT);
    oxv_buffer_done(&body);
    assert_int_equal(unchunk("ffffffff\r\na", 99, 5, &body, &used), OXV_E_LIMIT);
    oxv_buffer_done(&body);
}

static void
json_is_known_by_its_media_type(void **state)
{
    static const char *const good[] = { "application/json",
                                        "Application/JSON",
                                        "application/json;charset=utf-8",
                                        "application/json ; Charset=\"UTF-8\"",
                                        "application/json; profile=x; charset=utf-8",
                                        "application/json;" };
    static const char *const bad[] = { "",
                                       "application/jsonl",
                                       "text/json",
                                       "application/problem+json",
                                       "application/x-www-form-urlencoded",
                                       "application/json, text/plain",
                                       "application/json; charset=latin1",
                                       "application/json; charset=utf-8; charset=latin1",
                                       "application/json; charset",
                                       "application/json; =x",
                                       "application/json charset=utf-8" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(oxv_media_type_is_json(oxv_view_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(oxv_media_type_is_json(oxv_view_text(bad[i])));
    }
}

static void
assert_decodes(const char *in, bool is_query, const char *wanted)
{
    uint8_t scratch[64];
    struct oxv_writer w = oxv_writer(scratch, sizeof scratch);
    struct oxv_view out = oxv_view_text("untouched");
    enum oxv_status st = oxv_target_decode(oxv_view_text(in), is_query, &w, &out);

    assert_int_equal(st, wanted == NULL ? OXV_E_FORMAT : OXV_OK);
    assert_true(oxv_view_is(out, wanted == NULL ? "untouched" : wanted));
}

static void
percent_escapes_are_taken_out_strictly(void **state)
{
    (void)state;
    assert_decodes("", false, "");
    assert_decodes("a-b", false, "a-b");
    assert_decodes("a%2Fb%2fc%25", false, "a/b/c%");
    assert_decodes("a+b", false, "a+b");
    assert_decodes("a+b", true, "a b");
    assert_decodes("a%2Bb+", true, "a+b ");
    assert_decodes("%", false, NULL);
    assert_decodes("%4", false, NULL);
    assert_decodes("%4g", false, NULL);
    assert_decodes("%%41", false, NULL);
    assert_decodes("%25252525252525252525252525252525252525252525252525252525252525252525252525"
                   "%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25",
                   false, NULL); /* more than the scratch holds */
}

static void
a_query_is_read_part_by_part(void **state)
{
    uint8_t scratch[64];
    struct oxv_writer w = oxv_writer(scratch, sizeof scratch);
    struct oxv_reader r = oxv_reader(oxv_view_text("a=1&b%3d=x+y&c="));
    struct oxv_query_part part;

    (void)state;
    assert_int_equal(oxv_query_next(&r, &w, &part, NULL), OXV_OK);
    assert_true(oxv_view_is(part.name, "a") && oxv_view_is(part.value, "1"));
    assert_int_equal(oxv_query_next(&r, &w, &part, NULL), OXV_OK);
    assert_true(oxv_view_is(part.name, "b=") && oxv_view_is(part.value, "x y"));
    assert_int_equal(oxv_query_next(&r, &w, &part, NULL), OXV_OK);
    assert_true(oxv_view_is(part.name, "c") && oxv_view_is(part.value, ""));
    assert_int_equal(oxv_query_next(&r, &w, &part, NULL), OXV_E_NOT_FOUND);
}

static void
malformed_queries_are_refused(void **state)
{
    static const char *const bad[] = { "a", "=b", "&a=1", "a=%", "%=1", "a&b=1" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t scratch[64];
        struct oxv_writer w = oxv_writer(scratch, sizeof scratch);
        struct oxv_reader r = oxv_reader(oxv_view_text(bad[i]));
        struct oxv_query_part part;

        assert_int_equal(oxv_query_next(&r, &w, &part, NULL), OXV_E_FORMAT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_head_is_found_wherever_reading_stopped),
        cmocka_unit_test(one_empty_line_in_front_is_skipped_and_a_second_is_a_head),
        cmocka_unit_test(bare_line_ends_and_folded_fields_are_refused_as_soon_as_they_are_seen),
        cmocka_unit_test(a_head_may_have_8192_bytes_and_not_one_more),
        cmocka_unit_test(a_request_is_read_with_all_that_matters),
        cmocka_unit_test(keeping_the_connection_follows_version_and_field),
        cmocka_unit_test(chunks_and_encodings_are_told),
        cmocka_unit_test(what_two_readers_could_read_differently_is_refused),
        cmocka_unit_test(a_nul_in_a_head_is_refused_wherever_it_stands),
        cmocka_unit_test(every_truncation_of_a_head_is_refused),
        cmocka_unit_test(chunks_are_joined_however_they_arrive),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(a_chunked_body_that_exceeds_its_limit_is_refused_by_its_size_alone),
        cmocka_unit_test(json_is_known_by_its_media_type),
        cmocka_unit_test(percent_escapes_are_taken_out_strictly),
        cmocka_unit_test(a_query_is_read_part_by_part),
        cmocka_unit_test(malformed_queries_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
