/* Events while sealed. */
#include "test_log_support.h"

#define PENDING "log/pending"

static struct oxv_log_pending *
open_pending(const struct log_fixture *f)
{
    struct oxv_log_pending *pending = NULL;
    struct oxv_err err;

    assert_int_equal(oxv_log_pending_open(f->fd, &pending, &err), OXV_OK);
    return pending;
}

static void
add_event(struct oxv_log_pending *pending, const char *reason, uint64_t happened_us)
{
    struct oxv_entry entry = {
        .type = OXV_ENTRY_VAULT_UNSEAL,
        .outcome = OXV_OUTCOME_FAILED,
        .uid_plus1 = 1,
        .reason = oxv_view_text(reason),
        .happened_us = happened_us,
    };
    struct oxv_err err;

    assert_int_equal(oxv_log_pending_add(pending, &entry, &err), OXV_OK);
}

/* Takes what waits into the log and clears it; the segment's text is left in *text. */
static size_t
drain(const struct log_fixture *f, struct file_bytes *text)
{
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_err err;
    size_t count = SIZE_MAX;

    assert_int_equal(oxv_log_pending_append(f->fd, log, &count, &err), OXV_OK);
    assert_int_equal(oxv_log_waiting(log), count);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    assert_int_equal(oxv_log_pending_clear(f->fd, &err), OXV_OK);
    oxv_log_free(log);
    must_verify(f);
    *text = read_whole(f->fd, TEST_SEGMENT);
    text->data[text->len] = 0;
    return count;
}

static void
events_become_entries_that_say_since_when_they_were_unsigned(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);
    struct file_bytes text;

    add_event(pending, "first", UINT64_C(1767323045678901));
    add_event(pending, "second", 0);
    oxv_log_pending_free(pending);
    assert_int_equal(drain(f, &text), 2);
    const char *first = strstr((char *)text.data, "\"reason\":\"first\"");

    assert_non_null(first);
    assert_non_null(strstr(first, "\"unsigned_since\":\"2026-01-02T03:04:05.678901Z\""));
    assert_non_null(strstr(first, "\"reason\":\"second\""));
    assert_null(strstr((char *)text.data, "log.pending"));
    file_bytes_done(&text);
    assert_int_equal(drain(f, &text), 0); /* nothing twice */
    file_bytes_done(&text);
}

static void
nothing_waits_where_there_is_no_file(void **state)
{
    struct log_fixture *f = *state;
    struct file_bytes text;

    assert_int_equal(drain(f, &text), 0);
    assert_false(is_there(f->fd, PENDING));
    file_bytes_done(&text);
}

static void
a_kill_before_the_clear_repeats_events_and_loses_none(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);
    struct oxv_log_opened opened;
    struct oxv_err err;
    size_t count;
    struct file_bytes text;

    add_event(pending, "once", 0);
    oxv_log_pending_free(pending);
    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(oxv_log_pending_append(f->fd, log, &count, &err), OXV_OK);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    oxv_log_free(log); /* no clear */
    assert_int_equal(drain(f, &text), 1);
    const char *first = strstr((char *)text.data, "\"reason\":\"once\"");

    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"reason\":\"once\""));
    file_bytes_done(&text);
}

static void
a_full_file_only_counts(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);
    char reason[1001];
    struct file_bytes text;
    struct stat st;

    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    for (size_t i = 0; i < 100; i++) {
        add_event(pending, reason, 0);
    }
    oxv_log_pending_free(pending);
    pending = open_pending(f); /* the count survives */
    add_event(pending, reason, 0);
    oxv_log_pending_free(pending);
    assert_int_equal(fstatat(f->fd, PENDING, &st, 0), 0);
    assert_true(st.st_size <= 65536 && st.st_size > 64000);
    assert_int_equal(st.st_mode & 0777, 0600);
    size_t kept = drain(f, &text) - 1;
    char wanted[64];

    (void)snprintf(wanted, sizeof wanted, "\"count\":%zu,", 101 - kept);
    assert_true(kept > 50 && kept < 64);
    const char *entry = strstr((char *)text.data, wanted);

    assert_non_null(entry);
    assert_non_null(strstr(entry, "\"type\":\"log.pending\""));
    file_bytes_done(&text);
}

static void
an_event_the_file_cannot_hold_is_counted(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);
    struct file_bytes text;

    add_event(pending, "bad \x01 text", 0);
    add_event(pending, "good", 0);
    oxv_log_pending_free(pending);
    assert_int_equal(drain(f, &text), 2);
    assert_non_null(strstr((char *)text.data, "\"count\":1,"));
    assert_non_null(strstr((char *)text.data, "\"reason\":\"good\""));
    file_bytes_done(&text);
}

static void
every_cut_keeps_the_whole_records_and_counts_the_torn_one(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);

    add_event(pending, "first", 0);
    add_event(pending, "second", 0);
    oxv_log_pending_free(pending);
    struct file_bytes whole = read_whole(f->fd, PENDING);
    size_t record = (whole.len - 16 - 1) / 2; /* "second" is one byte longer */

    for (size_t cut = 0; cut <= whole.len; cut++) {
        size_t kept = (cut >= 16 + record ? 1u : 0u) + (cut == whole.len ? 1u : 0u);
        bool is_clean = cut == 0 || cut == 16 || cut == 16 + record || cut == whole.len;
        struct file_bytes text;

        write_whole(f->fd, PENDING, oxv_view(whole.data, cut));
        if (cut % 2 == 0) { /* opened again while sealed, or taken as it is */
            pending = open_pending(f);
            add_event(pending, "later", 0);
            oxv_log_pending_free(pending);
            kept++;
        }
        assert_int_equal(drain(f, &text), kept + (is_clean ? 0 : 1));
        file_bytes_done(&text);
    }
    file_bytes_done(&whole);
}

static void
a_damaged_record_is_skipped_and_counted(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);
    struct file_bytes text;

    add_event(pending, "first", 0);
    add_event(pending, "second", 0);
    oxv_log_pending_free(pending);
    struct file_bytes whole = read_whole(f->fd, PENDING);

    whole.data[16 + 4] = 99; /* the tag of the first field */
    write_whole(f->fd, PENDING, oxv_view(whole.data, whole.len));
    assert_int_equal(drain(f, &text), 2);
    assert_non_null(strstr((char *)text.data, "\"reason\":\"second\""));
    assert_null(strstr((char *)text.data, "\"reason\":\"first\""));
    assert_non_null(strstr((char *)text.data, "\"count\":1,"));
    file_bytes_done(&text);
    write_whole(f->fd, PENDING, oxv_view_text("this is no pending file at all"));
    assert_int_equal(drain(f, &text), 1);
    file_bytes_done(&text);
    file_bytes_done(&whole);
}

static void
an_open_handle_notices_that_the_file_was_cleared(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = open_pending(f);
    struct file_bytes text;

    add_event(pending, "first", 0);
    assert_int_equal(drain(f, &text), 1);
    file_bytes_done(&text);
    add_event(pending, "second", 0);
    oxv_log_pending_free(pending);
    assert_int_equal(drain(f, &text), 1);
    assert_non_null(strstr((char *)text.data, "\"reason\":\"second\""));
    file_bytes_done(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_log, remove_log)
        TEST(events_become_entries_that_say_since_when_they_were_unsigned),
        TEST(nothing_waits_where_there_is_no_file),
        TEST(a_kill_before_the_clear_repeats_events_and_loses_none),
        TEST(a_full_file_only_counts),
        TEST(an_event_the_file_cannot_hold_is_counted),
        TEST(every_cut_keeps_the_whole_records_and_counts_the_torn_one),
        TEST(a_damaged_record_is_skipped_and_counted),
        TEST(an_open_handle_notices_that_the_file_was_cleared),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log pending", tests, NULL, NULL);
}
