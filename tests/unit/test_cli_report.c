#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/report.h"

#define START_US UINT64_C(1700000000000000)
#define SECOND   UINT64_C(1000000)
#define DAY      (UINT64_C(86400) * SECOND)

static const char *boot = "00112233445566778899aabbccddeeff";
static uint64_t seq;

static enum oxv_status
add(struct oxv_report *r, const struct oxv_entry *entry, uint64_t time_us)
{
    static uint8_t text[OXV_LOG_ENTRY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_entry_place place = { .seq = seq++, .time_us = time_us, .boot = boot };
    struct oxv_view line;

    oxv_entry_write(&w, entry, &place);
    assert_int_equal(oxv_writer_finish(&w, &line), OXV_OK);
    return oxv_report_add(r, line);
}

static struct oxv_entry
signature(const char *connection, uint64_t outcome)
{
    return (struct oxv_entry){ .type = OXV_ENTRY_SIGN,
                               .outcome = outcome,
                               .connection = oxv_view_text(connection) };
}

static struct oxv_counts
sum(const struct oxv_span *span)
{
    struct oxv_counts all = { 0 };

    for (size_t i = 0; i < span->used; i++) {
        all.allowed += span->buckets[i].allowed;
        all.denied += span->buckets[i].denied;
        all.failed += span->buckets[i].failed;
    }
    return all;
}

static int
setup(void **state)
{
    seq = 0;
    *state = oxv_report_new();
    return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    oxv_report_free(*state);
    return 0;
}

static void
buckets_get_wider_and_lose_nothing(void **state)
{
    struct oxv_report *r = *state;
    struct oxv_entry entry = signature("acme", OXV_OUTCOME_ALLOWED);
    uint64_t step = SECOND;
    uint64_t time_us = START_US;
    uint64_t last_width = 0;

    for (size_t i = 0; i < 370; i++) {
        entry.outcome = 1 + i % 3;
        assert_int_equal(add(r, &entry, time_us), OXV_OK);
        uint64_t width = oxv_span_width_s(&r->span);

        assert_true(width >= last_width && r->span.used <= OXV_SPAN_BUCKETS);
        assert_true(r->span.begin_s % width == 0 || width == 1);
        assert_int_equal(time_us / SECOND - (time_us / SECOND - r->span.begin_s) % width,
                         r->span.begin_s + (r->span.used - 1) * width);
        last_width = width;
        time_us += step;
        step += step / 20;
    }
    struct oxv_counts all = sum(&r->span);

    assert_true(last_width > 86400);
    assert_int_equal(all.allowed, 124);
    assert_int_equal(all.denied, 123);
    assert_int_equal(all.failed, 123);
    assert_int_equal(r->signatures.allowed, 124);
}

static void
a_time_beyond_the_widest_buckets_is_counted_in_the_last(void **state)
{
    struct oxv_report *r = *state;
    struct oxv_entry entry = signature("acme", OXV_OUTCOME_ALLOWED);

    assert_int_equal(add(r, &entry, 0), OXV_OK);
    assert_int_equal(add(r, &entry, OXV_TIMESTAMP_MAX_US), OXV_OK);
    assert_int_equal(r->span.used, OXV_SPAN_BUCKETS);
    assert_int_equal(sum(&r->span).allowed, 2);
}

static void
names_beyond_the_limit_are_counted_together(void **state)
{
    struct oxv_report *r = *state;
    struct oxv_entry entry = signature("", OXV_OUTCOME_ALLOWED);

    for (size_t i = 0; i < OXV_TALLY_NAMES_MAX + 10; i++) {
        char name[32];

        assert_true(snprintf(name, sizeof name, "name-%zu", i) > 0);
        entry.connection = oxv_view_text(name);
        assert_int_equal(add(r, &entry, START_US), OXV_OK);
        assert_int_equal(add(r, &entry, START_US), OXV_OK);
    }
    assert_int_equal(r->by_connection.count, OXV_TALLY_NAMES_MAX);
    assert_int_equal(r->by_connection.others.allowed, 20);
    oxv_tally_sort(&r->by_connection);
    for (size_t i = 0; i < OXV_TALLY_NAMES_MAX; i++) {
        assert_int_equal(r->by_connection.rows[i]->counts.allowed, 2);
    }
}

static void
a_long_name_is_cut_between_characters(void **state)
{
    struct oxv_report *r = *state;
    char name[400];
    struct oxv_entry entry = signature("", OXV_OUTCOME_ALLOWED);

    for (size_t i = 0; i + 2 < sizeof name; i += 2) {
        memcpy(name + i, "\xc3\xa9", 2);
    }
    name[398] = '\0';
    entry.connection = oxv_view_text(name);
    assert_int_equal(add(r, &entry, START_US), OXV_OK);
    const char *row = r->by_connection.rows[0]->name;

    assert_int_equal(strlen(row), 255);
    assert_string_equal(row + 250, "\xc3\xa9...");
    assert_true(oxv_is_utf8(oxv_view_text(row)));
}

static void
only_the_time_asked_for_is_counted(void **state)
{
    struct oxv_report *r = *state;
    struct oxv_entry entry = signature("acme", OXV_OUTCOME_ALLOWED);

    r->from_us = START_US + DAY;
    r->to_us = START_US + 3 * DAY;
    for (uint64_t day = 0; day < 5; day++) {
        assert_int_equal(add(r, &entry, START_US + day * DAY), OXV_OK);
    }
    assert_int_equal(r->entries, 2);
    assert_int_equal(r->first_us, START_US + DAY);
    assert_int_equal(r->last_us, START_US + 2 * DAY);
    assert_int_equal(r->missing, 0);
}

static void
gaps_and_missing_entries_are_told(void **state)
{
    struct oxv_report *r = *state;
    const struct oxv_entry start = { .type = OXV_ENTRY_SERVICE_START };
    const struct oxv_entry stop = { .type = OXV_ENTRY_SERVICE_STOP };

    assert_int_equal(add(r, &start, START_US), OXV_OK);
    assert_int_equal(add(r, &stop, START_US + SECOND), OXV_OK);
    boot = "ffffffffffffffffffffffffffffffff";
    assert_int_equal(add(r, &start, START_US + 5 * SECOND), OXV_OK);
    boot = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
    seq += 3;
    assert_int_equal(add(r, &start, START_US + 9 * SECOND), OXV_OK);
    assert_int_equal(r->gap_count, 2);
    assert_true(r->gaps[0].was_stopped && !r->gaps[1].was_stopped);
    assert_int_equal(r->gaps[1].to_us - r->gaps[1].from_us, 4 * SECOND);
    assert_int_equal(r->missing, 3);
    assert_int_equal(r->unseals.count, 4);
}

static void
what_is_no_entry_is_refused(void **state)
{
    struct oxv_report *r = *state;

    assert_int_equal(oxv_report_add(r, oxv_view_text("{\"seq\":1}")), OXV_E_FORMAT);
    assert_int_equal(oxv_report_add(r, oxv_view("", 0)), OXV_E_FORMAT);
    assert_int_equal(r->entries, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(buckets_get_wider_and_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_beyond_the_widest_buckets_is_counted_in_the_last,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(names_beyond_the_limit_are_counted_together, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_long_name_is_cut_between_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_time_asked_for_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_and_missing_entries_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_entry_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
