#include "vault/match/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/fields.h"

static bool
matches(const char *glob, const char *path)
{
    return oxv_path_glob_match(oxv_view_text(glob), oxv_view_text(path));
}

static void
assert_matches(const char *glob, const char *path)
{
    if (!matches(glob, path)) {
        fail_msg("%s does not match %s", glob, path);
    }
}

static void
assert_differs(const char *glob, const char *path)
{
    if (matches(glob, path)) {
        fail_msg("%s matches %s", glob, path);
    }
}

static void
a_glob_without_stars_matches_its_own_bytes_only(void **state)
{
    (void)state;
    assert_matches("/", "/");
    assert_matches("/a/b", "/a/b");
    assert_matches("/a%2Fb", "/a%2Fb");
    assert_differs("/a/b", "/a/b/");
    assert_differs("/a/b", "/a/bc");
    assert_differs("/a/b", "/a");
    assert_differs("/a/b", "/A/b");
    assert_differs("/a/b", "/a%2Fb");
    assert_differs("/a%2Fb", "/a%2fb");
    assert_differs("/a%2Fb", "/a/b");
    assert_differs("/a", "/%61");
    assert_differs("/a", "");
}

static void
one_star_stays_within_a_segment(void **state)
{
    (void)state;
    assert_matches("/*", "/");
    assert_matches("/*", "/a");
    assert_differs("/*", "/a/");
    assert_matches("/a/*/c", "/a/b/c");
    assert_matches("/a/*/c", "/a//c");
    assert_differs("/a/*/c", "/a/b/b/c");
    assert_matches("/a*c", "/abcbc");
    assert_differs("/a*c", "/abcb");
    assert_differs("/a*c", "/ab/c");
    assert_matches("/*a*b*", "/xaybz");
    assert_differs("/*a*b*", "/xbya");
    assert_matches("/v1/*/x*y/z", "/v1/q/xy/z");
    assert_matches("/*/x/y", "/ax/x/y");
}

static void
two_stars_cross_segments(void **state)
{
    (void)state;
    assert_matches("/services/**", "/services/");
    assert_matches("/services/**", "/services/rest/record/v1/employee/40");
    assert_differs("/services/**", "/services");
    assert_differs("/services/**", "/servicesx/");
    assert_differs("/services/**", "/x/services/");
    assert_matches("/**", "/");
    assert_matches("/**/x", "/a/b/x");
    assert_differs("/**/x", "/x");
    assert_matches("/**x", "/x");
    assert_matches("/a/**/b/*/c", "/a/x/y/b/z/c");
    assert_differs("/a/**/b/*/c", "/a/x/y/b/z/z/c");
    assert_matches("/a/**/b/*/c", "/a/b/b/b/c/b/x/c");
    assert_matches("/**a*b**c", "/xaxb/axb/yc");
}

static void
an_encoded_slash_or_backslash_ends_a_segment(void **state)
{
    (void)state;
    static const char *const slashes[] = { "/",     "%2F",   "%2f",       "%5C", "%5c",    "%252F",
                                           "%252f", "%255c", "%25%32%66", "\\",  "%%32%46" };

    for (size_t i = 0; i < sizeof slashes / sizeof slashes[0]; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/a/b%sc", slashes[i]);
        assert_differs("/a/*", path);
        assert_differs("/a/*c", path);
        assert_differs("/a/b*c", path);
        assert_matches("/a/**", path);
        assert_matches("/a/b**c", path);
    }
    assert_matches("/a/*%2Fc", "/a/b%2Fc");
    assert_differs("/a/*2Fc", "/a/b%2Fc");
    assert_differs("/a/*Fc", "/a/b%2Fc");
    assert_matches("/a/*", "/a/b%41%2E%252E%3B");
}

/* The machine keeps its states in words; a star on either side of each border. */
static void
globs_of_every_length_match_rightly(void **state)
{
    (void)state;
    for (size_t len = 8; len <= OXV_GLOB_MAX_BYTES; len++) {
        char glob[OXV_GLOB_MAX_BYTES + 1];
        char path[OXV_GLOB_MAX_BYTES + 16];

        memset(glob, 'a', len);
        glob[0] = '/';
        glob[3] = '*';
        glob[len - 2] = '*';
        glob[len] = '\0';
        memset(path, 'a', len + 10);
        path[0] = '/';
        path[len + 10] = '\0';
        assert_matches(glob, path);
        path[4] = 'b'; /* the first star covers it */
        assert_matches(glob, path);
        path[len + 8] = 'b'; /* the second star covers it */
        assert_matches(glob, path);
        path[len + 8] = '/';
        assert_differs(glob, path);
        path[len + 8] = 'a';
        path[len + 9] = 'b'; /* the last literal differs */
        assert_differs(glob, path);
        path[len - 4] = '\0'; /* two bytes shorter than the literals alone */
        assert_differs(glob, path);
    }
}

static void
a_glob_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char glob[OXV_GLOB_MAX_BYTES + 2];
    struct oxv_syntax_error where = { 0 };

    memset(glob, 'a', sizeof glob);
    glob[0] = '/';
    glob[OXV_GLOB_MAX_BYTES + 1] = '\0';
    assert_false(oxv_path_glob_valid(oxv_view_text(glob), &where));
    assert_int_equal(where.offset, OXV_GLOB_MAX_BYTES);
    assert_differs(glob, glob);
    glob[OXV_GLOB_MAX_BYTES] = '\0';
    assert_true(oxv_path_glob_valid(oxv_view_text(glob), NULL));
    assert_matches(glob, glob);
}

/* A slow and plain matcher to compare with; `*` and `**` over a small alphabet. */
static bool
matches_slowly(const char *glob, const char *path)
{
    if (*glob == '\0') {
        return *path == '\0';
    }
    if (*glob != '*') {
        return *path == *glob && matches_slowly(glob + 1, path + 1);
    }
    bool across = glob[1] == '*';
    const char *rest = glob + (across ? 2 : 1);

    for (;; path++) {
        if (matches_slowly(rest, path)) {
            return true;
        }
        if (*path == '\0' || (!across && *path == '/')) {
            return false;
        }
    }
}

static void
random_globs_match_as_a_plain_matcher_says(void **state)
{
    (void)state;
    uint64_t seed = 7;
    size_t hits = 0;

    for (int round = 0; round < 200000; round++) {
        char text[2][12];

        for (int k = 0; k < 2; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            size_t len = 1 + (seed >> 60) % 10;

            text[k][0] = '/';
            for (size_t i = 1; i < len; i++) {
                text[k][i] = (k == 0 ? "ab/**" : "aab/a")[(seed >> (20 + 4 * i) & 15) % 5];
            }
            text[k][len] = '\0';
        }
        if (strstr(text[0], "***") != NULL) {
            assert_differs(text[0], text[1]);
            continue;
        }
        bool wanted = matches_slowly(text[0], text[1]);

        hits += wanted;
        if (matches(text[0], text[1]) != wanted) {
            fail_msg("%s, %s: wanted %d", text[0], text[1], wanted);
        }
    }
    assert_true(hits > 5000);
}

static void
no_glob_takes_long(void **state)
{
    (void)state;
    static char path[OXV_URL_MAX_BYTES];
    static char glob[OXV_GLOB_MAX_BYTES];
    struct timespec before;
    struct timespec after;

    memset(path, 'a', sizeof path);
    path[0] = '/';
    for (size_t i = 0; i < sizeof glob; i++) {
        glob[i] = i % 2 == 0 ? 'a' : '*';
    }
    glob[0] = '/';
    glob[sizeof glob - 1] = 'b';
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
    for (int i = 0; i < 10; i++) {
        assert_false(oxv_path_glob_match(oxv_view(glob, sizeof glob), oxv_view(path, sizeof path)));
    }
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
    /* Some 100 us each; a backtracking matcher would not come back. */
    assert_true(after.tv_sec - before.tv_sec <= 1);
}

static void
globs_that_mean_nothing_are_refused_with_their_byte(void **state)
{
    (void)state;
    static const struct {
        const char *glob;
        size_t offset;
        const char *reason;
    } refused[] = {
        { "", 0, "a path begins with /" },
        { "a", 0, "a path begins with /" },
        { "*", 0, "a path begins with /" },
        { "**", 0, "a path begins with /" },
        { "/***", 3, "three * in a row" },
        { "/a/****", 5, "three * in a row" },
        { "/%", 1, "a % without two hex digits" },
        { "/a%2*", 2, "a % without two hex digits" },
        { "/a b", 2, "a byte that a path cannot have here: percent-encode it" },
        { "/a?b", 2, "a byte that a path cannot have here: percent-encode it" },
        { "/a#", 2, "a byte that a path cannot have here: percent-encode it" },
        { "/\\", 1, "a byte that a path cannot have here: percent-encode it" },
        { "/[a]", 1, "a byte that a path cannot have here: percent-encode it" },
        { "/\xc3\xa9", 1, "a byte that a path cannot have here: percent-encode it" },
        { "/a/../b", 3, "a dot segment in the path" },
        { "/a/%2e%2E/**", 3, "a dot segment in the path" },
        { "/.", 1, "a dot segment in the path" },
    };
    static const char *const good[] = {
        "/",    "/**",  "/a/*/b/**/c*",      "/!x/$&'()+,;=:@-._~%2F",
        "/...", "/a.b", "/rest/revoketoken", "/*.nl"
    };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct oxv_syntax_error where = { 0 };

        assert_false(oxv_path_glob_valid(oxv_view_text(refused[i].glob), &where));
        assert_int_equal(where.offset, refused[i].offset);
        assert_string_equal(where.reason, refused[i].reason);
        assert_false(oxv_path_glob_valid(oxv_view_text(refused[i].glob), NULL));
        assert_differs(refused[i].glob, refused[i].glob);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(oxv_path_glob_valid(oxv_view_text(good[i]), NULL));
    }
}

static void
dot_segments_are_refused_in_every_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t offset;
    } refused[] = {
        { "/.", 1 },
        { "/..", 1 },
        { "/a/./b", 3 },
        { "/a/../b", 3 },
        { "/a/%2e%2e/b", 3 },
        { "/a/.%2E/b", 3 },
        { "/a/%2E./b", 3 },
        { "/a/%2e", 3 },
        { "/a%2F..%2Fb", 5 },
        { "/a%2f%2e%2e%2fb", 5 },
        { "/a%5C..%5cb", 5 },
        { "/a%5c.", 5 },
        { "/a\\..\\b", 3 },
        { "/a/..;/b", 3 },
        { "/a/..;x=1/b", 3 },
        { "/a/.;", 3 },
        { "/a/..%3B/b", 3 },
        { "/a/%252e%252E/b", 3 },
        { "/a%252f..", 7 },
        { "/a/%25%32%65/b", 3 },
        { "/a/%2%65%2%65", 3 },
    };
    static const char *const good[] = { "/",        "/...",    "/a.b",        "/.a",    "/a..",
                                        "/%2e%2ea", "/a/;..",  "/a/x;../b",   "/a%2Fb", "//a//",
                                        "/a%25b",   "/%25%25", "/100%2525/x", "/..a/b", "" };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct oxv_syntax_error where = { 0 };

        if (oxv_path_check(oxv_view_text(refused[i].path), &where) != OXV_E_DENIED ||
            where.offset != refused[i].offset) {
            fail_msg("%s: at %zu", refused[i].path, where.offset);
        }
        assert_string_equal(where.reason, "a dot segment in the path");
        assert_differs("/**", refused[i].path);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(oxv_path_check(oxv_view_text(good[i]), NULL), OXV_OK);
    }
}

static void
a_hidden_nul_is_refused_after_each_round_of_decoding(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t offset;
    } refused[] = { { "/a%00", 2 }, { "/a%2500", 2 }, { "/a%25%30%30", 2 }, { "/a%%30%30", 2 } };
    static const char *const good[] = { "/a%20b",   "/%7e", "/%c3%a9",    "/%25",
                                        "/a%2520b", "/%80", "/a/%0d%0ax", "/%7f" };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct oxv_syntax_error where = { 0 };

        if (oxv_path_check(oxv_view_text(refused[i].path), &where) != OXV_E_DENIED ||
            where.offset != refused[i].offset) {
            fail_msg("%s: at %zu", refused[i].path, where.offset);
        }
        assert_string_equal(where.reason, "a NUL in the path");
        assert_differs("/**", refused[i].path);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(oxv_path_check(oxv_view_text(good[i]), NULL), OXV_OK);
    }
}

static void
dots_beside_blanks_and_controls_are_dot_segments(void **state)
{
    (void)state;
    static const char *const refused[] = { "/a/..%20/b", "/a/..%09",     "/a/%20../b",
                                           "/a/.%0a/b",  "/a/..%2520/b", "/a/..%2509;x/b" };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct oxv_syntax_error where = { 0 };

        assert_int_equal(oxv_path_check(oxv_view_text(refused[i]), &where), OXV_E_DENIED);
        assert_string_equal(where.reason, "a dot segment in the path");
        assert_differs("/**", refused[i]);
    }
    assert_matches("/a/**", "/a/..%20x/b");
}

static void
a_path_encoded_three_times_is_refused(void **state)
{
    (void)state;
    struct oxv_syntax_error where = { 0 };

    assert_int_equal(oxv_path_check(oxv_view_text("/ab/%25252e"), &where), OXV_E_DENIED);
    assert_int_equal(where.offset, 4);
    assert_string_equal(where.reason, "a path that is percent-encoded three times");
    assert_int_equal(oxv_path_check(oxv_view_text("/%252541"), &where), OXV_E_DENIED);
    assert_differs("/**", "/%252541");
    assert_matches("/**", "/%2541");
}

static void
token_endpoints_are_matched_by_their_literal_path_only(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/rest%20/a",  "/rest%09/a",  "/%20rest%2509/a",  "/rest/revoketoken", "/rest/",
        "/rest/a/b",   "//rest/a",    "/%72est/a",        "/%72%65%73%74/a",   "/REST/a",
        "/Rest/a",     "/rest%2Fa",   "/rest%5ca",        "/%2Frest/a",        "/rest;x=1/a",
        "/;a/rest/b",  "/%2572est/a", "/rest%252Fa",      "/rest\\a",          "///rest//a",
        "/rest%3B1/a", "/%5crest/a",  "/;a%252Fb/rest/c", "/;a%2f;b/rest/c",   "/%25%37%32est/a",
        "/rest./a",    "/rest.../a",  "/Rest%2e/a",       "/rest.%252E/a",     "/rest.;x/a",
        "/.../rest/a",
    };
    static const char *const globs[] = { "/**", "/*/**", "/**/a", "/rest/*",  "/rest/**", "/**a",
                                         "/*",  "/*a",   "//**",  "/*rest/*", "/;**" };

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t j = 0; j < sizeof globs / sizeof globs[0]; j++) {
            assert_differs(globs[j], paths[i]);
        }
    }
    assert_matches("/rest/revoketoken", "/rest/revoketoken");
    assert_matches("/rest/", "/rest/");
    assert_differs("/rest/revoketoken", "/%72est/revoketoken");
    assert_differs("/rest/revoketoken", "/rest/tokeninfo");
}

static void
what_only_resembles_a_token_endpoint_is_matched(void **state)
{
    (void)state;
    static const char *const paths[] = { "/rest",      "/restlet/a", "/services/rest/record",
                                         "/app/rest/", "/arest/b",   "/rest.nl/a",
                                         "/res/t",     "/r/est/a",   "/.rest/a",
                                         "/rest.",     "/rest.x./a", "/re.st/a",
                                         "/resta./a" };

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_matches("/**", paths[i]);
    }
}

/* A LIST of the texts up to NULL. */
static struct oxv_view
list_of(uint8_t *buffer, size_t size, const char *const *texts)
{
    struct oxv_writer w = oxv_writer(buffer, size);

    for (; *texts != NULL; texts++) {
        oxv_list_add(&w, oxv_view_text(*texts));
    }
    assert_false(w.failed);
    return oxv_view(buffer, w.len);
}

static bool
query_matches(const char *query, const char *const *required)
{
    uint8_t buffer[256];
    char text[256];
    struct oxv_url url;

    (void)snprintf(text, sizeof text, "https://h/%s", query);
    assert_int_equal(oxv_url_parse(oxv_view_text(text), &url, NULL), OXV_OK);
    return oxv_query_match(&url, list_of(buffer, sizeof buffer, required));
}

static void
required_query_pairs_must_each_be_there_once(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    static const char *const restlet[] = { "script", "508", "deploy", "1", NULL };
    static const char *const spaced[] = { "a b", "c+d\xc3\xa9", NULL };
    static const char *const empty[] = { "x", "", NULL };
    static const char *const odd[] = { "script", NULL };

    assert_true(query_matches("", none));
    assert_true(query_matches("?a=1", none));
    assert_true(query_matches("?script=508&deploy=1", restlet));
    assert_true(query_matches("?x=1&deploy=1&&script=508&x=2", restlet));
    assert_true(query_matches("?%73cript=%3508&deploy=%31", restlet));
    assert_false(query_matches("", restlet));
    assert_false(query_matches("?script=508", restlet));
    assert_false(query_matches("?script=508&deploy=2", restlet));
    assert_false(query_matches("?script=5080&deploy=1", restlet));
    assert_false(query_matches("?script=50&deploy=1", restlet));
    assert_false(query_matches("?Script=508&deploy=1", restlet));
    assert_false(query_matches("?script=508&deploy=1&script=508", restlet));
    assert_false(query_matches("?script=509&deploy=1&script=508", restlet));
    assert_false(query_matches("?script=508&deploy=1&%73cript=9", restlet));
    assert_false(query_matches("?script=508&deploy=1&script", restlet));
    assert_true(query_matches("?a+b=c%2Bd%C3%A9", spaced));
    assert_true(query_matches("?a%20b=c%2bd%c3%a9", spaced));
    assert_false(query_matches("?a+b=c+d%C3%A9", spaced));
    assert_true(query_matches("?x", empty));
    assert_true(query_matches("?x=", empty));
    assert_false(query_matches("?x=&x", empty));
    assert_false(query_matches("?x=1", empty));
    assert_false(query_matches("?script=", odd));
    assert_false(query_matches("?script", odd));
}

static void
a_list_that_names_a_name_twice_matches_nothing(void **state)
{
    (void)state;
    static const char *const same[] = { "a", "1", "a", "1", NULL };
    static const char *const other[] = { "a", "1", "b", "2", "a", "3", NULL };
    static const char *const value_alike[] = { "a", "b", "b", "a", NULL };

    assert_false(query_matches("?a=1", same));
    assert_false(query_matches("?a=1&a=1", same));
    assert_false(query_matches("?a=1&b=2", other));
    assert_true(query_matches("?a=b&b=a", value_alike));
}

static void
a_raw_semicolon_hides_no_pair_from_a_grant_that_fixes_some(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    static const char *const script[] = { "script", "508", NULL };

    assert_false(query_matches("?x=1;script=999&script=508", script));
    assert_false(query_matches("?script=508&x=1;script=999", script));
    assert_false(query_matches("?script=508;", script));
    assert_true(query_matches("?script=508&x=1%3Bscript=999", script)); /* encoded: no separator */
    assert_true(query_matches("?x=1;script=999", none));
}

static bool
form_matches(const char *const *form, const char *const *required)
{
    uint8_t form_bytes[256];
    uint8_t required_bytes[256];

    return oxv_form_match(list_of(form_bytes, sizeof form_bytes, form),
                          list_of(required_bytes, sizeof required_bytes, required));
}

static void
a_form_must_leave_alone_what_the_grant_fixes(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    static const char *const script[] = { "script", "508", "deploy", "1", NULL };
    static const char *const other[] = { "x", "script", "y", "", NULL };
    static const char *const same[] = { "x", "1", "deploy", "1", NULL };
    static const char *const odd[] = { "x", NULL };

    assert_true(form_matches(none, none));
    assert_true(form_matches(same, none));
    assert_true(form_matches(odd, none)); /* not ours to refuse */
    assert_true(form_matches(none, script));
    assert_true(form_matches(other, script));
    assert_false(form_matches(same, script));
    assert_false(form_matches(odd, script));
}

static void
a_truncated_list_of_pairs_matches_nothing(void **state)
{
    (void)state;
    static const char *const pair[] = { "a", "1", NULL };
    uint8_t buffer[64];
    struct oxv_view list = list_of(buffer, sizeof buffer, pair);
    struct oxv_url url;

    assert_int_equal(oxv_url_parse(oxv_view_text("https://h/?a=1"), &url, NULL), OXV_OK);
    assert_true(oxv_query_match(&url, list));
    for (size_t len = 1; len < list.len; len++) {
        assert_false(oxv_query_match(&url, oxv_view(list.data, len)));
    }
}

static void
methods_are_matched_by_equality(void **state)
{
    (void)state;
    static const char *const texts[] = { "GET", "POST", NULL };
    uint8_t buffer[64];
    struct oxv_view methods = list_of(buffer, sizeof buffer, texts);

    assert_true(oxv_method_match(methods, oxv_view_text("GET")));
    assert_true(oxv_method_match(methods, oxv_view_text("POST")));
    assert_false(oxv_method_match(methods, oxv_view_text("PUT")));
    assert_false(oxv_method_match(methods, oxv_view_text("GE")));
    assert_false(oxv_method_match(methods, oxv_view_text("")));
    assert_false(oxv_method_match(oxv_view(NULL, 0), oxv_view_text("GET")));
}

static bool
origin_matches(struct oxv_view origins, const char *text)
{
    struct oxv_url url;

    assert_int_equal(oxv_url_parse(oxv_view_text(text), &url, NULL), OXV_OK);
    return oxv_origin_match(origins, &url);
}

static void
origins_are_matched_by_scheme_host_and_port(void **state)
{
    (void)state;
    static const char *const texts[] = { "https://1-sb1.app.netsuite.com", "http://127.0.0.1:8080",
                                         "https://[::1]:8443", NULL };
    uint8_t buffer[256];
    struct oxv_view origins = list_of(buffer, sizeof buffer, texts);

    assert_true(origin_matches(origins, "https://1-sb1.app.netsuite.com/a?b"));
    assert_true(origin_matches(origins, "HTTPS://1-SB1.App.NetSuite.com:443"));
    assert_true(origin_matches(origins, "http://127.0.0.1:8080/"));
    assert_true(origin_matches(origins, "https://[::1]:8443/"));
    assert_false(origin_matches(origins, "http://1-sb1.app.netsuite.com/"));
    assert_false(origin_matches(origins, "https://1-sb1.app.netsuite.com:8443/"));
    assert_false(origin_matches(origins, "https://1-sb1.app.netsuite.com./"));
    assert_false(origin_matches(origins, "https://1-sb1.app.netsuite.com.evil/"));
    assert_false(origin_matches(origins, "https://x.1-sb1.app.netsuite.com/"));
    assert_false(origin_matches(origins, "http://127.0.0.1/"));
    assert_false(origin_matches(origins, "https://127.0.0.1:8080/"));
    assert_false(origin_matches(origins, "https://[0:0::1]:8443/"));
    assert_false(origin_matches(oxv_view(NULL, 0), "https://h/"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_glob_without_stars_matches_its_own_bytes_only),
        cmocka_unit_test(one_star_stays_within_a_segment),
        cmocka_unit_test(two_stars_cross_segments),
        cmocka_unit_test(an_encoded_slash_or_backslash_ends_a_segment),
        cmocka_unit_test(globs_of_every_length_match_rightly),
        cmocka_unit_test(a_glob_that_is_too_long_is_refused),
        cmocka_unit_test(random_globs_match_as_a_plain_matcher_says),
        cmocka_unit_test(no_glob_takes_long),
        cmocka_unit_test(globs_that_mean_nothing_are_refused_with_their_byte),
        cmocka_unit_test(dot_segments_are_refused_in_every_spelling),
        cmocka_unit_test(a_hidden_nul_is_refused_after_each_round_of_decoding),
        cmocka_unit_test(dots_beside_blanks_and_controls_are_dot_segments),
        cmocka_unit_test(a_path_encoded_three_times_is_refused),
        cmocka_unit_test(token_endpoints_are_matched_by_their_literal_path_only),
        cmocka_unit_test(what_only_resembles_a_token_endpoint_is_matched),
        cmocka_unit_test(required_query_pairs_must_each_be_there_once),
        cmocka_unit_test(a_list_that_names_a_name_twice_matches_nothing),
        cmocka_unit_test(a_raw_semicolon_hides_no_pair_from_a_grant_that_fixes_some),
        cmocka_unit_test(a_form_must_leave_alone_what_the_grant_fixes),
        cmocka_unit_test(a_truncated_list_of_pairs_matches_nothing),
        cmocka_unit_test(methods_are_matched_by_equality),
        cmocka_unit_test(origins_are_matched_by_scheme_host_and_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
