#include "base/http_syntax.h"

#include <http_parser.h>

/* What the callbacks gather. The first thing that is wrong is kept. */
struct gathering {
    struct oxv_http_head head;
    struct oxv_view name; /* of the field whose value comes next */
    const char *wrong;
    unsigned hosts;
    unsigned lengths;
    unsigned encodings; /* Transfer-Encoding */
    unsigned types;
    bool is_complete;
};

bool
oxv_http_text_is(struct oxv_view text, const char *lower)
{
    if (text.len != strlen(lower)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != (uint8_t)lower[i]) {
            return false;
        }
    }
    return true;
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct oxv_view
oxv_http_trim(struct oxv_view text)
{
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    size_t from = 0;

    while (from < text.len && is_blank(text.data[from])) {
        from++;
    }
    return oxv_view_from(text, from);
}

/* One whole line, LF at its end. *is_last where it is the empty one. */
static enum oxv_status
check_line(struct oxv_view line, bool is_first, bool *is_last, struct oxv_err *err)
{
    if (line.len < 2 || line.data[line.len - 2] != '\r') {
        return oxv_fail(err, OXV_E_FORMAT, "a line of the head ends in LF without CR");
    }
    /* The library, as Debian builds it, takes CR and any byte for the end of the head. */
    if (oxv_view_find(line, '\r') != line.len - 2) {
        return oxv_fail(err, OXV_E_FORMAT, "there is a CR without LF in the head");
    }
    if (!is_first && is_blank(line.data[0])) {
        return oxv_fail(err, OXV_E_FORMAT, "a header field is folded over two lines");
    }
    *is_last = line.len == 2;
    return OXV_OK;
}

enum oxv_status
oxv_http_scan_head(struct oxv_view in, struct oxv_http_scan *scan, size_t *head_len,
                   struct oxv_err *err)
{
    for (;;) {
        struct oxv_view rest = oxv_view_from(in, scan->line);
        size_t lf = oxv_view_find(rest, '\n');
        bool is_first = scan->line == scan->skipped;
        bool is_last = false;

        if (scan->line + lf >= OXV_HTTP_HEAD_MAX_BYTES) {
            return oxv_fail(err, OXV_E_LIMIT, "the request's head exceeds %u bytes",
                            OXV_HTTP_HEAD_MAX_BYTES);
        }
        if (lf == rest.len) {
            return OXV_E_BUSY;
        }
        enum oxv_status st = check_line(oxv_view_slice(rest, 0, lf + 1), is_first, &is_last, err);

        if (st != OXV_OK) {
            return st;
        }
        scan->line += lf + 1;
        if (is_last && is_first && scan->skipped == 0) {
            scan->skipped = scan->line; /* RFC 9112 2.2: one empty line may stand in front */
        } else if (is_last) {
            *head_len = scan->line;
            return OXV_OK;
        }
    }
}

static int
refuse(struct gathering *g, const char *wrong)
{
    if (g->wrong == NULL) {
        g->wrong = wrong;
    }
    return 1; /* ends http_parser_execute() */
}

static int
on_url(http_parser *parser, const char *at, size_t len)
{
    struct gathering *g = parser->data;

    g->head.target = oxv_view(at, len);
    if (len == 0 || at[0] != '/') {
        return refuse(g, "the target of the request does not begin with a slash");
    }
    for (size_t i = 0; i < len; i++) {
        if (at[i] <= ' ' || at[i] > '~' || at[i] == '#') {
            return refuse(g, "the target of the request has a byte that no URL has");
        }
    }
    return 0;
}

static int
on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct gathering *g = parser->data;

    g->name = oxv_view(at, len);
    if (oxv_view_find(g->name, ' ') != len) { /* the library takes spaces for part of a name */
        return refuse(g, "there is a space in, or behind, the name of a header field");
    }
    return 0;
}

static bool
is_host_byte(uint8_t c)
{
    return c > ' ' && c < 0x7f && strchr("\"#/<>?@\\^`{|}", c) == NULL;
}

static int
take_host(struct gathering *g, struct oxv_view value)
{
    if (++g->hosts > 1) {
        return refuse(g, "there are two Host fields");
    }
    for (size_t i = 0; i < value.len; i++) {
        if (!is_host_byte(value.data[i])) {
            return refuse(g, "the Host field is malformed");
        }
    }
    return 0;
}

static int
take_transfer_encoding(struct gathering *g, struct oxv_view value)
{
    if (++g->encodings > 1 || !oxv_http_text_is(value, "chunked")) {
        return refuse(g, "the only Transfer-Encoding taken is: chunked");
    }
    g->head.is_chunked = true;
    return 0;
}

static int
take_content_length(struct gathering *g)
{
    if (++g->lengths > 1) {
        return refuse(g, "there are two Content-Length fields");
    }
    return 0; /* the library reads the value */
}

static int
take_content_type(struct gathering *g, struct oxv_view value)
{
    if (++g->types > 1) {
        return refuse(g, "there are two Content-Type fields");
    }
    g->head.content_type = value;
    g->head.has_content_type = true;
    return 0;
}

static int
take_expect(struct gathering *g, struct oxv_view value)
{
    if (!oxv_http_text_is(value, "100-continue")) {
        return refuse(g, "the only Expect taken is: 100-continue");
    }
    g->head.expects_continue = true;
    return 0;
}

static int
on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct gathering *g = parser->data;
    struct oxv_view value = oxv_http_trim(oxv_view(at, len));

    /* The names we care for differ in length or first letter: most fields cost one comparison. */
    if (oxv_http_text_is(g->name, "host")) {
        return take_host(g, value);
    }
    if (oxv_http_text_is(g->name, "content-length")) {
        return take_content_length(g);
    }
    if (oxv_http_text_is(g->name, "content-type")) {
        return take_content_type(g, value);
    }
    if (oxv_http_text_is(g->name, "transfer-encoding")) {
        return take_transfer_encoding(g, value);
    }
    if (oxv_http_text_is(g->name, "expect")) {
        return take_expect(g, value);
    }
    if (oxv_http_text_is(g->name, "content-encoding") && !oxv_http_text_is(value, "identity")) {
        g->head.has_content_encoding = true;
    }
    return 0;
}

static int
on_headers_complete(http_parser *parser)
{
    struct gathering *g = parser->data;

    g->head.is_http_1_0 = parser->http_minor == 0;
    if (g->head.is_chunked && (g->lengths > 0 || g->head.is_http_1_0)) {
        return refuse(g, "Transfer-Encoding beside Content-Length, or in HTTP/1.0");
    }
    if (g->hosts == 0 && !g->head.is_http_1_0) {
        return refuse(g, "there is no Host field");
    }
    if (g->head.is_http_1_0) {
        g->head.expects_continue = false; /* RFC 9110 10.1.1 */
    }
    g->head.content_length = g->lengths > 0 ? parser->content_length : 0;
    g->head.keeps_alive = http_should_keep_alive(parser) != 0;
    g->head.method = oxv_view_text(http_method_str((enum http_method)parser->method));
    g->is_complete = true;
    return 1; /* the body, if any, is not the library's to read */
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

/*
 * Exactly: method, space, target, space, version, CR, LF. The library, as Debian builds it, takes
 * any bytes for "TTP/", and any byte for the very last one of a head.
 */
static enum oxv_status
check_frame(struct oxv_view bytes, struct oxv_err *err)
{
    struct oxv_view line = oxv_view_slice(bytes, 0, oxv_view_find(bytes, '\n') + 1);
    size_t first = oxv_view_find(line, ' ');
    struct oxv_view rest = oxv_view_from(line, first + 1);
    size_t second = oxv_view_find(rest, ' ');
    struct oxv_view version = oxv_view_from(rest, second + 1);

    if (first == 0 || second == 0 || version.len == 0 ||
        oxv_view_find(version, ' ') != version.len) {
        return oxv_fail(err, OXV_E_FORMAT,
                        "the request line is not: method, space, target, space, version");
    }
    if (!oxv_view_is(version, "HTTP/1.1\r\n") && !oxv_view_is(version, "HTTP/1.0\r\n")) {
        return oxv_fail(err, OXV_E_FORMAT, "the version of HTTP is neither 1.0 nor 1.1");
    }
    if (!oxv_view_is(oxv_view_from(bytes, bytes.len - 4), "\r\n\r\n")) {
        return oxv_fail(err, OXV_E_FORMAT, "the head does not end in an empty line");
    }
    return OXV_OK;
}

enum oxv_status
oxv_http_parse_head(struct oxv_view bytes, struct oxv_http_head *out, struct oxv_err *err)
{
    struct gathering g = { 0 };
    http_parser parser;

    enum oxv_status st = check_frame(bytes, err);

    if (st != OXV_OK) {
        return st;
    }
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &g;
    size_t used = http_parser_execute(&parser, &settings, (const char *)bytes.data, bytes.len);

    if (g.wrong != NULL) {
        return oxv_fail(err, OXV_E_FORMAT, "%s", g.wrong);
    }
    if (g.is_complete && used != bytes.len) {
        return oxv_fail(err, OXV_E_FORMAT, "the head has more than one end");
    }
    if (!g.is_complete) {
        return oxv_fail(err, OXV_E_FORMAT, "HTTP syntax: %s",
                        http_errno_description(HTTP_PARSER_ERRNO(&parser)));
    }
    *out = g.head;
    return OXV_OK;
}
