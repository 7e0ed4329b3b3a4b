#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/frontend/log_line.h"
#include "service/frontend/log_query.h"
#include "vault/log/entry.h"

static const char boot[] = "00112233445566778899aabbccddeeff";

/* A line as the log writes it. */
static struct oxv_view
write_line(const struct oxv_entry *entry, uint64_t time_us, uint8_t out[4096])
{
    struct oxv_writer w = oxv_writer(out, 4096);
    struct oxv_entry_place place = { .seq = 5, .time_us = time_us, .mono_us = 9, .boot = boot };
    struct oxv_view line;

    oxv_entry_write(&w, entry, &place);
    assert_int_equal(oxv_writer_finish(&w, &line), OXV_OK);
    return line;
}

static const struct oxv_entry signed_entry = {
    .type = OXV_ENTRY_SIGN,
    .outcome = OXV_OUTCOME_ALLOWED,
    .uid_plus1 = 1,
    .caller = { (const uint8_t *)"order-exchange", 14 },
    .connection = { (const uint8_t *)"ac\"me", 5 },
    .path = { (const uint8_t *)"=cmd\\x", 6 },
};

#define TIME_US UINT64_C(1700000000123456) /* 2023-11-14T22:13:20.123456Z */

static enum oxv_status
walk(struct oxv_view line, size_t *count)
{
    struct oxv_log_line l = oxv_log_line(line);
    struct oxv_log_member member;
    enum oxv_status st;

    *count = 0;
    while ((st = oxv_log_line_next(&l, &member)) == OXV_OK) {
        (*count)++;
    }
    return st;
}

static void
every_member_of_an_entry_is_found(void **state)
{
    uint8_t buffer[4096];
    struct oxv_view line = write_line(&signed_entry, TIME_US, buffer);
    struct oxv_log_line l = oxv_log_line(line);
    struct oxv_log_member member;
    bool seen_connection = false;
    size_t count;

    (void)state;
    assert_int_equal(walk(line, &count), OXV_E_NOT_FOUND);
    assert_int_equal(count, 12);
    while (oxv_log_line_next(&l, &member) == OXV_OK) {
        if (oxv_view_is(member.name, "connection")) {
            seen_connection = true;
            assert_true(member.is_text);
            assert_true(oxv_log_text_is(member.value, oxv_view_text("ac\"me")));
            assert_false(oxv_log_text_is(member.value, oxv_view_text("ac\"m")));
            assert_false(oxv_log_text_is(member.value, oxv_view_text("ac\"mee")));
        } else if (oxv_view_is(member.name, "uid")) {
            assert_false(member.is_text);
            assert_true(oxv_view_is(member.value, "0"));
        }
    }
    assert_true(seen_connection);
}

static void
every_truncation_of_a_line_and_a_trailing_byte_are_refused(void **state)
{
    uint8_t buffer[4096];
    struct oxv_view line = write_line(&signed_entry, TIME_US, buffer);
    size_t count;

    (void)state;
    for (size_t len = 0; len <= line.len + 1; len++) {
        uint8_t *cut = malloc(len == 0 ? 1 : len);

        assert_non_null(cut);
        memcpy(cut, buffer, len < line.len ? len : line.len);
        if (len > line.len) {
            cut[line.len] = ' ';
        }
        assert_int_equal(walk(oxv_view(cut, len), &count),
                         len == line.len ? OXV_E_NOT_FOUND : OXV_E_FORMAT);
        free(cut);
    }
}

static void
what_is_no_entry_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "x",
        "[1]",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1},",
        "{\"a\":}",
        "{\"a\"}",
        "{\"\":1}",
        "{\"A\":1}",
        "{\"a b\":1}",
        "{\"a\":-1}",
        "{\"a\":null}",
        "{\"a\":1.5}",
        "{\"a\":{}}",
        "{\"a\":[]}",
        "{\"a\": 1}",
        "{ \"a\":1}",
        "{\"a\":1 }",
        "{,\"a\":1}",
        "{\"a\":1,}",
        "{\"a\":\"\\n\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"x}",
        "{\"a\":\"\\\"}",
        "{\"a\":1\"b\":2}",
    };
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (walk(oxv_view_text(bad[i]), &count) != OXV_E_FORMAT) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

static void
commit_lines_are_told_from_entries(void **state)
{
    (void)state;
    assert_true(oxv_log_line_is_commit(oxv_view_text("{\"commit\":{\"epoch\":0}}")));
    assert_false(oxv_log_line_is_commit(oxv_view_text("{\"commit\":1}")));
    assert_false(oxv_log_line_is_commit(oxv_view_text("{\"boot\":\"x\"}")));
    assert_false(oxv_log_line_is_commit(oxv_view_text("{\"commit\":")));
}

static struct oxv_log_query
query(const char *text)
{
    struct oxv_log_query q;
    struct oxv_err err = { 0 };

    if (oxv_log_query_parse(oxv_view_text(text), &q, &err) != OXV_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    return q;
}

static bool
matches(const char *text)
{
    uint8_t buffer[4096];
    struct oxv_log_query q = query(text);
    enum oxv_status st = oxv_log_query_match(&q, write_line(&signed_entry, TIME_US, buffer));

    assert_true(st == OXV_OK || st == OXV_E_NOT_FOUND);
    return st == OXV_OK;
}

static void
entries_are_chosen_by_every_filter(void **state)
{
    (void)state;
    assert_true(matches(""));
    assert_true(matches("caller=order-exchange"));
    assert_false(matches("caller=order"));
    assert_true(matches("connection=ac%22me"));
    assert_false(matches("connection=acme"));
    assert_true(matches("outcome=allowed"));
    assert_false(matches("outcome=denied"));
    assert_true(matches("type=sign"));
    assert_false(matches("type=log.read"));
    assert_true(matches("type=sign&outcome=allowed&caller=order-exchange&connection=ac%22me"));
    assert_false(matches("type=sign&outcome=failed&caller=order-exchange"));
}

static void
a_filter_on_what_an_entry_does_not_have_does_not_match(void **state)
{
    uint8_t buffer[4096];
    struct oxv_entry entry = { .type = OXV_ENTRY_SERVICE_START };
    struct oxv_log_query q = query("caller=x");

    (void)state;
    assert_int_equal(oxv_log_query_match(&q, write_line(&entry, TIME_US, buffer)), OXV_E_NOT_FOUND);
    q = query("outcome=allowed");
    assert_int_equal(oxv_log_query_match(&q, write_line(&entry, TIME_US, buffer)), OXV_E_NOT_FOUND);
}

static void
time_includes_since_and_excludes_until(void **state)
{
    (void)state;
    assert_true(matches("since=2023-11-14T22:13:20.123456Z"));
    assert_false(matches("since=2023-11-14T22:13:20.123457Z"));
    assert_false(matches("until=2023-11-14T22:13:20.123456Z"));
    assert_true(matches("until=2023-11-14T22:13:20.123457Z"));
    assert_true(matches("since=2023-11-14&until=2023-11-15"));
    assert_false(matches("since=2023-11-15"));
    assert_true(matches("since=2023-11-15T00:13:20%2B02:00&until=2023-11-15T00:13:21%2B02:00"));
}

static void
a_line_that_is_no_entry_is_told(void **state)
{
    struct oxv_log_query q = query("");

    (void)state;
    assert_int_equal(oxv_log_query_match(&q, oxv_view_text("{\"a\":1")), OXV_E_FORMAT);
}

static void
every_parameter_is_read(void **state)
{
    struct oxv_log_query q = query("purpose=follow&format=csv&from=7&limit=0");

    (void)state;
    assert_int_equal(q.purpose, OXV_LOG_FOLLOW);
    assert_string_equal(q.format->name, "csv");
    assert_true(q.has_limit);
    assert_int_equal(q.from, 7);
    assert_int_equal(q.limit, 0);
    q = query("purpose=&format=&since=&until=&connection=&caller=&outcome=&type=&from=&limit=");
    assert_int_equal(q.purpose, OXV_LOG_SHOW);
    assert_string_equal(q.format->name, "jsonl");
    assert_false(q.has_limit);
    assert_string_equal(oxv_log_purpose_name(OXV_LOG_SHOW), "show");
    assert_string_equal(oxv_log_purpose_name(OXV_LOG_EXPORT), "export");
    assert_string_equal(oxv_log_purpose_name(OXV_LOG_FOLLOW), "follow");
    assert_int_equal(query("purpose=export").purpose, OXV_LOG_EXPORT);
}

static void
malformed_parameters_are_refused_by_name(void **state)
{
    static const struct {
        const char *query;
        const char *why;
    } bad[] = {
        { "purpose=tail", "purpose: must be show, export or follow" },
        { "format=xml", "format: must be jsonl, csv, ocsf, ecs, cef, leef or rfc5424" },
        { "since=yesterday", "since: must be an RFC 3339 time stamp or a date" },
        { "since=2023-11-15T00:13:20+02:00", "since: must be an RFC 3339 time stamp or a date" },
        { "until=2023-02-29", "until: must be an RFC 3339 time stamp or a date" },
        { "outcome=maybe", "outcome: must be allowed, denied or failed" },
        { "type=sig", "type: must be a type of entry" },
        { "from=-1", "from: must be the index of an entry" },
        { "from=9007199254740992", "from: must be the index of an entry" },
        { "limit=1e3", "limit: must be a decimal number" },
        { "caller=%00", "caller: must be a name of at most 256 bytes" },
        { "caller=%ff", "caller: must be a name of at most 256 bytes" },
        { "x=1", "x: is not known here" },
        { "from=1&from=1", "from: is there twice" },
        { "from", "the query must be name=value, joined by &" },
        { "from=%", "the query has a malformed percent-escape" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oxv_log_query q = { .limit = 99 };
        struct oxv_err err = { 0 };

        assert_int_equal(oxv_log_query_parse(oxv_view_text(bad[i].query), &q, &err), OXV_E_FORMAT);
        assert_string_equal(err.text, bad[i].why);
        assert_int_equal(q.limit, 99);
    }
}

static void
the_types_are_those_of_the_log(void **state)
{
    size_t count = 0;

    (void)state;
    for (; oxv_log_type_names[count] != NULL; count++) {
        assert_string_equal(oxv_log_type_names[count], oxv_entry_type_name(count + 1));
    }
    assert_int_equal(count, OXV_ENTRY_TYPE_END - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_of_an_entry_is_found),
        cmocka_unit_test(every_truncation_of_a_line_and_a_trailing_byte_are_refused),
        cmocka_unit_test(what_is_no_entry_is_refused),
        cmocka_unit_test(commit_lines_are_told_from_entries),
        cmocka_unit_test(entries_are_chosen_by_every_filter),
        cmocka_unit_test(a_filter_on_what_an_entry_does_not_have_does_not_match),
        cmocka_unit_test(time_includes_since_and_excludes_until),
        cmocka_unit_test(a_line_that_is_no_entry_is_told),
        cmocka_unit_test(every_parameter_is_read),
        cmocka_unit_test(malformed_parameters_are_refused_by_name),
        cmocka_unit_test(the_types_are_those_of_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
