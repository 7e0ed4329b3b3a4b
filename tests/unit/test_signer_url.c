#include "signer/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOOD "HTTPS://Host.example:8443/a%2Fb;c?x=%C3%A9&y=+&&z#"

static enum oxv_status
parse(const char *text, struct oxv_url *url, struct oxv_syntax_error *where)
{
    return oxv_url_parse(oxv_view_text(text), url, where);
}

static struct oxv_url
must_parse(const char *text)
{
    struct oxv_url url;
    struct oxv_syntax_error where = { 0 };

    if (parse(text, &url, &where) != OXV_OK) {
        fail_msg("%s: refused at %zu: %s", text, where.offset, where.reason);
    }
    return url;
}

static void
assert_view(struct oxv_view view, const char *wanted)
{
    assert_int_equal(view.len, strlen(wanted));
    assert_true(oxv_view_is(view, wanted));
}

static void
assert_origin(const char *text, const char *wanted)
{
    struct oxv_url url = must_parse(text);
    uint8_t buffer[OXV_URL_ORIGIN_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view origin;

    oxv_url_write_origin(&w, &url);
    assert_int_equal(oxv_writer_finish(&w, &origin), OXV_OK);
    assert_view(origin, wanted);
}

static void
a_url_is_taken_apart(void **state)
{
    (void)state;
    struct oxv_url url = must_parse("HTTPS://Acme.Example:8443/A/!b%2fc?q=1+2&&x");

    assert_true(url.https);
    assert_string_equal(url.host, "acme.example");
    assert_int_equal(url.host_len, 12);
    assert_int_equal(url.port, 8443);
    assert_false(url.default_port);
    assert_view(url.path, "/A/!b%2fc");
    assert_true(url.has_query);
    assert_view(url.query, "q=1+2&&x");
    assert_view(url.text, "HTTPS://Acme.Example:8443/A/!b%2fc?q=1+2&&x");
}

static void
what_is_missing_has_its_default(void **state)
{
    (void)state;
    struct oxv_url url = must_parse("https://h");

    assert_view(url.path, "/");
    assert_false(url.has_query);
    assert_int_equal(url.query.len, 0);
    assert_int_equal(url.port, 443);
    url = must_parse("http://h?");
    assert_false(url.https);
    assert_view(url.path, "/");
    assert_true(url.has_query);
    assert_int_equal(url.query.len, 0);
    assert_int_equal(url.port, 80);
    url = must_parse("https://h?a=/?");
    assert_view(url.query, "a=/?");
    url = must_parse("https://h/a;");
    assert_view(url.path, "/a;");
    url = must_parse("https://h//a//");
    assert_view(url.path, "//a//");
}

static void
the_origin_is_lower_case_and_without_the_default_port(void **state)
{
    (void)state;
    assert_origin("hTTps://H.Example/x", "https://h.example");
    assert_origin("https://h:443/", "https://h");
    assert_origin("https://h:/", "https://h");
    assert_origin("https://h:", "https://h");
    assert_origin("https://h:80", "https://h:80");
    assert_origin("http://h:80", "http://h");
    assert_origin("http://h:443?x", "http://h:443");
    assert_origin("https://h:65535", "https://h:65535");
    assert_origin("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443");
    assert_origin("http://[::1]", "http://[::1]");
    assert_origin("https://[::FFFF:1.2.3.4]:443", "https://[::ffff:1.2.3.4]");
    assert_origin("https://a_b-c.d.", "https://a_b-c.d.");
}

/* From design 9, each with the byte it is about. */
static const struct {
    const char *text;
    size_t offset;
    const char *reason;
} refused[] = {
    { "", 0, "the URL must begin with https:// or http://" },
    { "https:/h", 0, "the URL must begin with https:// or http://" },
    { "ftp://h/", 0, "the URL must begin with https:// or http://" },
    { " https://h/", 0, "the URL must begin with https:// or http://" },
    { "//h/", 0, "the URL must begin with https:// or http://" },
    { "/a", 0, "the URL must begin with https:// or http://" },
    { "https://", 8, "the host is missing" },
    { "https:///a", 8, "the host is missing" },
    { "https://?a", 8, "the host is missing" },
    { "https://:443/", 8, "the host is missing" },
    { "https://u@h/", 9, "a user name or password in the URL" },
    { "https://u:p@h/", 11, "a user name or password in the URL" },
    { "https://@h/", 8, "a user name or password in the URL" },
    { "https://h@", 9, "a user name or password in the URL" },
    { "https://good\\@evil/", 13, "a user name or password in the URL" },
    { "https://h#", 9, "a fragment is never sent to a server" },
    { "https://h/a#b", 11, "a fragment is never sent to a server" },
    { "https://h/a?b#c", 13, "a fragment is never sent to a server" },
    { "https://h/a\nb", 11, "a control character" },
    { "https://h/a\x7f", 11, "a control character" },
    { "https://h/?a\x01", 12, "a control character" },
    { "https://h\r/", 9, "a control character" },
    { "https://h/a b", 11, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/?a b", 12, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h /", 9, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/\"", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/<", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/>", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/\\", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h\\a", 9, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/^", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/`", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/{", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/|", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/}", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/[", 10, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/?]", 11, "a byte that a URL cannot have here: percent-encode it" },
    { "https://a%62c/", 9, "a byte that a URL cannot have here: percent-encode it" },
    { "https://a,b/", 9, "a byte that a URL cannot have here: percent-encode it" },
    { "https://h/\xc3\xa9", 10, "a byte outside ASCII: percent-encode it" },
    { "https://h/?\xff", 11, "a byte outside ASCII: percent-encode it" },
    { "https://\xc3\xa9/", 8, "a byte outside ASCII: percent-encode it" },
    { "https://h/%", 10, "a % without two hex digits" },
    { "https://h/%4", 10, "a % without two hex digits" },
    { "https://h/a%4g", 11, "a % without two hex digits" },
    { "https://h/?a=%", 13, "a % without two hex digits" },
    { "https://h/?%%41", 11, "a % without two hex digits" },
    { "https://h/%00", 10, "a zero byte in the path" },
    { "https://h/a/b%00c?x", 13, "a zero byte in the path" },
    { "https://h/%ff", 10, "escapes that are not UTF-8" },
    { "https://h/%80", 10, "escapes that are not UTF-8" },
    { "https://h/?a=%ff", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%C3", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%C3A9", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%C3%28", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%C0%AE", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%ED%A0%80", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%F5%80%80%80", 13, "escapes that are not UTF-8" },
    { "https://h/?a=%C3%A9%E2%82&b", 19, "escapes that are not UTF-8" },
    { "https://h/?oauth_token=1", 11, "a parameter name that begins with oauth_" },
    { "https://h/?a=1&&oauth_x", 16, "a parameter name that begins with oauth_" },
    { "https://h/?a&%6Fauth%5fx=1", 13, "a parameter name that begins with oauth_" },
    { "https://h?oauth_", 10, "a parameter name that begins with oauth_" },
    { "https://h:0/", 10, "the port must be 1 to 65535" },
    { "https://h:65536/", 10, "the port must be 1 to 65535" },
    { "https://h:99999999999999999999/", 10, "the port must be 1 to 65535" },
    { "https://h:0443/", 10, "the port must be 1 to 65535" },
    { "https://h:4x/", 10, "the port must be 1 to 65535" },
    { "https://h:-1/", 10, "the port must be 1 to 65535" },
    { "https://h:1:2/", 10, "the port must be 1 to 65535" },
    { "https://[::1/", 8, "a [ without its ]" },
    { "https://[", 8, "a [ without its ]" },
    { "https://[]/", 9, "not an IPv6 address" },
    { "https://[::g]/", 9, "not an IPv6 address" },
    { "https://[1.2.3.4]/", 9, "not an IPv6 address" },
    { "https://[fe80::1%25eth0]/", 9, "not an IPv6 address" },
    { "https://[v1.x]/", 9, "not an IPv6 address" },
    { "https://[::1]x/", 13, "a byte that a URL cannot have here: percent-encode it" },
    { "https://x[::1]/", 9, "a byte that a URL cannot have here: percent-encode it" },
};

static void
each_refusal_of_the_design_names_its_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct oxv_url url = { .port = 7 };
        struct oxv_syntax_error where = { 0 };

        if (parse(refused[i].text, &url, &where) != OXV_E_FORMAT ||
            where.offset != refused[i].offset || strcmp(where.reason, refused[i].reason) != 0) {
            fail_msg("%s: at %zu: %s", refused[i].text, where.offset, where.reason);
        }
        assert_int_equal(url.port, 7);
        assert_int_equal(parse(refused[i].text, &url, NULL), OXV_E_FORMAT);
    }
}

static void
what_only_looks_forbidden_is_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "https://h/?OAUTH_x=1",
        "https://h/?xoauth_=1",
        "https://h/?a=oauth_token",
        "https://h/?oauth=1",
        "https://h/?a=%00",
        "https://h/%01%7F",
        "https://h/@:!$&'()*+,;=~",
        "https://h/?@:!$&'()*+,;=~/?",
        "https://h/%F4%8F%BF%BF",
        "https://h/%EF%BF%BE",
        "https://h/a@b",
        "https://1.2.3.4/",
        "https://h/?=",
        "https://h/?=x&&&",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)must_parse(texts[i]);
    }
}

static void
every_byte_is_taken_in_the_path_and_query_just_where_rfc_3986_allows(void **state)
{
    (void)state;
    static const char path_bytes[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        "-._~!$&'()*+,;=:@/?";
    static const char query_bytes[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        "-._~!$&'()*+,;=:@/?";

    for (int byte = 1; byte < 256; byte++) {
        char text[32];
        struct oxv_url url;

        (void)snprintf(text, sizeof text, "https://h/a%c", byte);
        assert_int_equal(parse(text, &url, NULL) == OXV_OK, strchr(path_bytes, byte) != NULL);
        (void)snprintf(text, sizeof text, "https://h/?a%c", byte);
        assert_int_equal(parse(text, &url, NULL) == OXV_OK, strchr(query_bytes, byte) != NULL);
    }
    assert_int_equal(oxv_url_parse(oxv_view("https://h/\0", 11), &(struct oxv_url){ 0 }, NULL),
                     OXV_E_FORMAT);
}

static void
every_truncation_stays_within_the_text(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof GOOD; len++) {
        uint8_t *text = malloc(len + 1); /* one more: malloc(0) may be NULL */
        struct oxv_url url;
        struct oxv_syntax_error where = { 0 };

        assert_non_null(text);
        uint8_t *exact = realloc(text, len > 0 ? len : 1);

        assert_non_null(exact);
        memcpy(exact, GOOD, len);
        if (oxv_url_parse(oxv_view(exact, len), &url, &where) != OXV_OK) {
            assert_true(where.offset <= len);
            assert_non_null(where.reason);
        } else {
            assert_true(url.path.len > 0 && url.host_len > 0);
        }
        free(exact);
    }
}

static void
lengths_have_limits(void **state)
{
    (void)state;
    static char text[OXV_URL_MAX_BYTES + 2];
    struct oxv_url url;
    struct oxv_syntax_error where = { 0 };

    memset(text, 'a', OXV_URL_MAX_BYTES + 1);
    memcpy(text, "https://h/", 10);
    assert_int_equal(oxv_url_parse(oxv_view(text, OXV_URL_MAX_BYTES), &url, &where), OXV_OK);
    assert_int_equal(oxv_url_parse(oxv_view(text, OXV_URL_MAX_BYTES + 1), &url, &where),
                     OXV_E_LIMIT);
    assert_int_equal(where.offset, OXV_URL_MAX_BYTES);
    text[9] = 'a'; /* now all of it is host */
    text[8 + OXV_URL_HOST_MAX_BYTES] = '/';
    assert_int_equal(oxv_url_parse(oxv_view(text, 300), &url, &where), OXV_OK);
    assert_int_equal(url.host_len, OXV_URL_HOST_MAX_BYTES);
    text[8 + OXV_URL_HOST_MAX_BYTES] = 'a';
    text[9 + OXV_URL_HOST_MAX_BYTES] = '/';
    assert_int_equal(oxv_url_parse(oxv_view(text, 300), &url, &where), OXV_E_LIMIT);
    assert_int_equal(where.offset, 8 + OXV_URL_HOST_MAX_BYTES);
}

static void
a_query_is_read_pair_by_pair(void **state)
{
    (void)state;
    struct oxv_view left = oxv_view_text("&&a=1&b&=&c==2&=x&&a=&");
    static const char *const pairs[][2] = { { "a", "1" },  { "b", "" }, { "", "" },
                                            { "c", "=2" }, { "", "x" }, { "a", "" } };
    struct oxv_query_pair pair;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_true(oxv_query_next(&left, &pair));
        assert_view(pair.name, pairs[i][0]);
        assert_view(pair.value, pairs[i][1]);
    }
    assert_false(oxv_query_next(&left, &pair));
    left = oxv_view(NULL, 0);
    assert_false(oxv_query_next(&left, &pair));
}

static void
only_addresses_of_this_machine_are_loopback(void **state)
{
    (void)state;
    static const char *const near[] = { "http://localhost:8080/", "http://LOCALHOST",
                                        "http://127.0.0.1:1/", "https://127.9.9.9",
                                        "http://[::1]:8080" };
    static const char *const far[] = { "http://127.example.com",
                                       "http://127.0.0.1.example.com",
                                       "http://localhost.example",
                                       "http://128.0.0.1",
                                       "http://[::2]",
                                       "http://127.1" };

    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        struct oxv_url url = must_parse(near[i]);

        assert_true(oxv_url_is_loopback(&url));
    }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        struct oxv_url url = must_parse(far[i]);

        assert_false(oxv_url_is_loopback(&url));
    }
}

static enum oxv_status
normalise(const char *text, char *out, size_t size, struct oxv_syntax_error *where)
{
    struct oxv_writer w = oxv_writer(out, size - 1);
    enum oxv_status st = oxv_origin_normalise(oxv_view_text(text), &w, where);

    out[w.len] = '\0';
    return st;
}

static void
an_origin_is_normalised_or_refused(void **state)
{
    (void)state;
    char out[OXV_URL_ORIGIN_MAX_BYTES + 1];
    struct oxv_syntax_error where = { 0 };

    assert_int_equal(normalise("HTTPS://Acme.Example:443/", out, sizeof out, &where), OXV_OK);
    assert_string_equal(out, "https://acme.example");
    assert_int_equal(normalise("http://127.0.0.1:8080", out, sizeof out, &where), OXV_OK);
    assert_string_equal(out, "http://127.0.0.1:8080");
    assert_int_equal(normalise("https://h/a", out, sizeof out, &where), OXV_E_FORMAT);
    assert_string_equal(where.reason, "an origin has no path and no query");
    assert_string_equal(out, "");
    assert_int_equal(normalise("https://h?", out, sizeof out, &where), OXV_E_FORMAT);
    assert_int_equal(normalise("http://h", out, sizeof out, &where), OXV_E_FORMAT);
    assert_string_equal(where.reason, "http is for test servers on loopback only");
    assert_int_equal(normalise("https://u@h", out, sizeof out, &where), OXV_E_FORMAT);
    assert_int_equal(where.offset, 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(what_is_missing_has_its_default),
        cmocka_unit_test(the_origin_is_lower_case_and_without_the_default_port),
        cmocka_unit_test(each_refusal_of_the_design_names_its_byte),
        cmocka_unit_test(what_only_looks_forbidden_is_taken),
        cmocka_unit_test(every_byte_is_taken_in_the_path_and_query_just_where_rfc_3986_allows),
        cmocka_unit_test(every_truncation_stays_within_the_text),
        cmocka_unit_test(lengths_have_limits),
        cmocka_unit_test(a_query_is_read_pair_by_pair),
        cmocka_unit_test(only_addresses_of_this_machine_are_loopback),
        cmocka_unit_test(an_origin_is_normalised_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
