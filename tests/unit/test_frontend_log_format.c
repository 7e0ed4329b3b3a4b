#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json.h"
#include "service/frontend/log_format.h"
#include "service/frontend/log_kinds.h"
#include "vault/log/entry.h"
#include "vault/log/keys.h"

static const char boot[] = "00112233445566778899aabbccddeeff";

#define TIME_US UINT64_C(1700000000123456) /* 2023-11-14T22:13:20.123456Z */

/* Each character that a format escapes, one that reorders text, a C1 control and a plain letter. */
#define HOSTILE "a\"b\\c|d=e]f g\xe2\x80\xaeh\xc2\x85i\xc3\xa9<&"

static char record[OXV_LOG_RECORD_MAX_BYTES + 1];

static struct oxv_view
write_entry(const struct oxv_entry *entry, uint8_t out[OXV_LOG_LINE_MAX_BYTES])
{
    struct oxv_writer w = oxv_writer(out, OXV_LOG_LINE_MAX_BYTES);
    struct oxv_entry_place place = { .seq = 5, .time_us = TIME_US, .mono_us = 9, .boot = boot };
    struct oxv_view line;

    oxv_entry_write(&w, entry, &place);
    assert_int_equal(oxv_writer_finish(&w, &line), OXV_OK);
    return line;
}

static const char *
as(const char *format, struct oxv_view line)
{
    const struct oxv_log_format *chosen = oxv_log_format_find(oxv_view_text(format));
    struct oxv_writer w = oxv_writer(record, sizeof record - 1);

    assert_non_null(chosen);
    assert_int_equal(oxv_log_format_record(chosen, &w, line), OXV_OK);
    assert_false(w.failed);
    record[w.len] = '\0';
    assert_int_equal(strlen(record), w.len);
    return record;
}

static struct oxv_entry
hostile_entry(void)
{
    return (struct oxv_entry){ .type = OXV_ENTRY_SIGN,
                               .outcome = OXV_OUTCOME_DENIED,
                               .uid_plus1 = 1,
                               .caller = oxv_view_text("order-exchange"),
                               .connection = oxv_view_text("=acme"),
                               .path = oxv_view_text(HOSTILE) };
}

static void
assert_has(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL) {
        fail_msg("there is no %s in %s", wanted, text);
    }
}

static void
every_format_is_one_line_without_what_does_harm(void **state)
{
    static const char *const formats[] = { "csv", "ocsf", "ecs", "cef", "leef", "rfc5424" };
    static uint8_t buffer[OXV_LOG_LINE_MAX_BYTES];
    struct oxv_entry entry = hostile_entry();
    struct oxv_view line = write_entry(&entry, buffer);

    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const char *text = as(formats[i], line);

        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        assert_null(strstr(text, "\xe2\x80\xae"));
        assert_null(strstr(text, "\xc2\x85"));
        assert_has(text, "\xc3\xa9");
    }
    assert_true(oxv_view_equals(oxv_view(as("jsonl", line), line.len), line));
    assert_string_equal(record + line.len, "\n");
}

static void
each_format_escapes_in_its_own_way(void **state)
{
    static uint8_t buffer[OXV_LOG_LINE_MAX_BYTES];
    struct oxv_entry entry = hostile_entry();
    struct oxv_view line = write_entry(&entry, buffer);

    (void)state;
    assert_has(as("csv", line), ",\"a\"\"b\\c|d=e]f g\\u{202E}h\\u{85}i\xc3\xa9<&\",");
    assert_has(as("csv", line), ",\"'=acme\",");
    assert_has(as("cef", line), " request=a\"b\\\\c|d\\=e]f g\\\\u{202E}h\\\\u{85}i\xc3\xa9<& ");
    assert_has(as("leef", line), "\turl=a\"b\\c|d=e]f g\\u{202E}h\\u{85}i\xc3\xa9<&\t");
    assert_has(as("rfc5424", line),
               " path=\"a\\\"b\\\\c|d=e\\]f g\\\\u{202E}h\\\\u{85}i\xc3\xa9<&\"");
    assert_has(as("ocsf", line), "\"path\":\"a\\\"b\\\\c|d=e]f g\\u202eh\\u0085i\xc3\xa9<&\"");
    assert_has(as("ecs", line), "\"path\":\"a\\\"b\\\\c|d=e]f g\\u202eh\\u0085i\xc3\xa9<&\"");
}

static void
the_line_rides_along_as_it_stands(void **state)
{
    static uint8_t buffer[OXV_LOG_LINE_MAX_BYTES + 1];
    const struct oxv_entry entry = { .type = OXV_ENTRY_SERVICE_START };
    struct oxv_view line = write_entry(&entry, buffer);

    (void)state;
    buffer[line.len] = '\0';
    assert_has(as("rfc5424", line), (const char *)buffer);
    assert_has(as("cef", line), (const char *)buffer);
}

static void
headers_say_what_and_how_bad(void **state)
{
    static uint8_t buffer[OXV_LOG_LINE_MAX_BYTES];
    struct oxv_entry entry = hostile_entry();

    (void)state;
    struct oxv_view line = write_entry(&entry, buffer);

    assert_int_equal(strncmp(as("cef", line),
                             "CEF:0|Oxvault|oxvault|" OXV_VERSION "|sign|Signature|6|"
                             "rt=1700000000123 cn1=5 cn1Label=seq ",
                             40),
                     0);
    assert_int_equal(strncmp(as("leef", line),
                             "LEEF:2.0|Oxvault|oxvault|" OXV_VERSION "|sign|x09|devTime=", 40),
                     0);
    assert_int_equal(strncmp(as("rfc5424", line),
                             "<108>1 2023-11-14T22:13:20.123456Z - oxvault - sign [audit@32473 "
                             "seq=\"5\" ",
                             71),
                     0);
    entry.outcome = OXV_OUTCOME_FAILED;
    assert_int_equal(strncmp(as("rfc5424", write_entry(&entry, buffer)), "<107>1 ", 7), 0);
    entry.outcome = OXV_OUTCOME_ALLOWED;
    assert_int_equal(strncmp(as("rfc5424", write_entry(&entry, buffer)), "<110>1 ", 7), 0);
}

static void
objects_are_good_json_for_every_type(void **state)
{
    static uint8_t buffer[OXV_LOG_LINE_MAX_BYTES];

    (void)state;
    for (uint64_t type = 1; type < OXV_ENTRY_TYPE_END; type++) {
        struct oxv_entry entry = hostile_entry();

        entry.type = type;
        struct oxv_view line = write_entry(&entry, buffer);

        for (int i = 0; i < 2; i++) {
            const char *text = as(i == 0 ? "ocsf" : "ecs", line);

            if (oxv_json_check(oxv_view_text(text), NULL) != OXV_OK) {
                fail_msg("no JSON: %s", text);
            }
        }
    }
}

static void
a_type_without_a_row_has_that_of_its_beginning(void **state)
{
    (void)state;
    assert_string_equal(oxv_log_kind_of(oxv_view_text("sign"))->name, "Signature");
    assert_string_equal(oxv_log_kind_of(oxv_view_text("signs"))->name, "Event");
    assert_string_equal(oxv_log_kind_of(oxv_view_text("log.new"))->name, "Event of the log");
    assert_string_equal(oxv_log_kind_of(oxv_view_text(""))->name, "Event");
}

static void
the_longest_line_fits_a_record(void **state)
{
    static const char *const formats[] = { "csv", "ocsf", "ecs", "cef", "leef", "rfc5424" };
    static uint8_t line[OXV_LOG_LINE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(line, sizeof line);

    (void)state;
    oxv_write_text(&w, "{\"path\":\"");
    while (w.len + 4 <= sizeof line) {
        oxv_write_text(&w, "\xc2\x85");
    }
    oxv_write_text(&w, "\"}");
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        (void)as(formats[i], oxv_view(line, w.len));
    }
}

static size_t
cells(struct oxv_view row)
{
    size_t count = 1;
    bool quoted = false;

    for (size_t i = 0; i < row.len; i++) {
        quoted = quoted != (row.data[i] == '"');
        count += row.data[i] == ',' && !quoted;
    }
    assert_false(quoted);
    return count;
}

static void
the_header_names_every_key_an_entry_can_have(void **state)
{
    const struct oxv_log_format *csv = oxv_log_format_find(oxv_view_text("csv"));
    struct oxv_writer w = oxv_writer(record, sizeof record - 1);

    (void)state;
    csv->begin(&w);
    assert_false(w.failed);
    record[w.len] = '\0';
    assert_int_equal(cells(oxv_view(record, w.len)), oxv_entry_key_count + 2);
    for (size_t i = 0; i < oxv_entry_key_count; i++) {
        char name[64];

        memcpy(name, oxv_entry_keys[i].token, oxv_entry_keys[i].token_len - 1); /* no colon */
        name[oxv_entry_keys[i].token_len - 1] = '\0';
        assert_non_null(strstr(record, name));
    }
    assert_has(record, ",\"leaf_hash\",\"line\"\r\n");
}

static void
cells_that_look_like_formulas_are_defused(void **state)
{
    static const char *const dangerous[] = { "=1", "+1", "-1", "@x" };

    (void)state;
    for (size_t i = 0; i < sizeof dangerous / sizeof dangerous[0]; i++) {
        char line[64];
        char wanted[64];

        assert_true(snprintf(line, sizeof line, "{\"reason\":\"%s\"}", dangerous[i]) > 0);
        assert_true(snprintf(wanted, sizeof wanted, ",\"'%s\",", dangerous[i]) > 0);
        assert_has(as("csv", oxv_view_text(line)), wanted);
    }
    assert_has(as("csv", oxv_view_text("{\"reason\":\"a=1\"}")), ",\"a=1\",");
}

static void
a_line_that_is_no_entry_is_refused_by_all_but_jsonl(void **state)
{
    static const char *const bad[] = { "{\"nothing\":1}", "{\"v\":1,\"v\":2}",
                                       "{\"reason\":\"\",\"reason\":\"\"}", "{\"v\":1", "" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oxv_writer w = oxv_writer(record, sizeof record);

        assert_int_equal(oxv_log_format_record(oxv_log_format_find(oxv_view_text("ocsf")), &w,
                                               oxv_view_text(bad[i])),
                         OXV_E_FORMAT);
        assert_int_equal(w.len, 0);
    }
    assert_null(oxv_log_format_find(oxv_view_text("tiles")));
    assert_null(oxv_log_format_find(oxv_view_text("JSONL")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_one_line_without_what_does_harm),
        cmocka_unit_test(each_format_escapes_in_its_own_way),
        cmocka_unit_test(the_line_rides_along_as_it_stands),
        cmocka_unit_test(headers_say_what_and_how_bad),
        cmocka_unit_test(objects_are_good_json_for_every_type),
        cmocka_unit_test(a_type_without_a_row_has_that_of_its_beginning),
        cmocka_unit_test(the_longest_line_fits_a_record),
        cmocka_unit_test(the_header_names_every_key_an_entry_can_have),
        cmocka_unit_test(cells_that_look_like_formulas_are_defused),
        cmocka_unit_test(a_line_that_is_no_entry_is_refused_by_all_but_jsonl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
