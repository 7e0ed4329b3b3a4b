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

/* Writes log/pending as somebody would who can write there: any entry, and the count. */
static void
forge_pending(const struct log_fixture *f, const struct oxv_entry *entry, uint64_t counted)
{
    uint8_t buffer[4096];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    oxv_write_text(&w, "OXVPEND1");
    oxv_write_u64(&w, counted);
    size_t begin = oxv_write_begin32(&w);

    oxv_fields_encode(&w, &oxv_entry_shape, entry);
    oxv_write_end32(&w, begin);
    assert_false(w.failed);
    write_whole(f->fd, PENDING, oxv_view(buffer, w.len));
}

/* Must this entry be taken over, or refused and counted? Then it must not be in the log. */
static void
must_judge(const struct log_fixture *f, const struct oxv_entry *entry, bool is_taken)
{
    struct file_bytes before = read_whole(f->fd, TEST_SEGMENT);
    struct file_bytes text;
    char type[64];

    (void)snprintf(type, sizeof type, "\"type\":\"%s\"", oxv_entry_type_name(entry->type));
    forge_pending(f, entry, 0);
    assert_int_equal(drain(f, &text), 1);
    const char *added = (const char *)text.data + before.len;

    if (is_taken != (strstr(added, "\"reason\":\"refused: ") == NULL)) {
        fail_msg("type %s outcome %ju: %s", type, (uintmax_t)entry->outcome, added);
    }
    if (is_taken) {
        assert_non_null(strstr(added, type));
        assert_non_null(strstr(added, "\"unsigned_since\":"));
    } else {
        assert_non_null(strstr(added, "\"type\":\"log.pending\""));
        assert_non_null(strstr(added, "\"count\":1,"));
        assert_null(strstr(added, "\"unsigned_since\":"));
    }
    file_bytes_done(&before);
    file_bytes_done(&text);
}

static bool
is_one_of(uint64_t type, const uint64_t types[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

static void
of_each_type_only_what_happens_while_sealed_is_taken(void **state)
{
    struct log_fixture *f = *state;
    static const uint64_t always[] = {
        OXV_ENTRY_SERVICE_START, OXV_ENTRY_SERVICE_STOP, OXV_ENTRY_CLOCK_STEP,
        OXV_ENTRY_VAULT_LOCK,    OXV_ENTRY_PEER,         OXV_ENTRY_FRONTEND,
        OXV_ENTRY_LOG_PENDING,
    };
    static const uint64_t never[] = {
        OXV_ENTRY_LOG_GENESIS,   OXV_ENTRY_LOG_EPOCH,     OXV_ENTRY_LOG_RECOVERY,
        OXV_ENTRY_LOG_READ,      OXV_ENTRY_LOG_EXPORT,    OXV_ENTRY_CHANGE_DONE,
        OXV_ENTRY_CHANGE_UNDONE, OXV_ENTRY_LOG_KEY,       OXV_ENTRY_WITNESS_STATE,
        OXV_ENTRY_SPACE_STATE,   OXV_ENTRY_VAULT_RESTORE, OXV_ENTRY_VAULT_ADOPT,
    };

    for (uint64_t type = 1; type < OXV_ENTRY_TYPE_END; type++) {
        for (uint64_t outcome = 0; outcome <= OXV_OUTCOME_FAILED; outcome++) {
            struct oxv_entry entry = { .type = type, .outcome = outcome, .happened_us = 1 };
            bool is_refusal = outcome == OXV_OUTCOME_DENIED || outcome == OXV_OUTCOME_FAILED;
            bool is_taken = is_one_of(type, always, sizeof always / sizeof always[0]) ||
                            (!is_one_of(type, never, sizeof never / sizeof never[0]) && is_refusal);

            must_judge(f, &entry, is_taken);
        }
    }
}

static void
an_event_that_tells_of_records_or_keys_is_refused(void **state)
{
    struct log_fixture *f = *state;
    static struct oxv_entry entries[11];
    struct oxv_view text = oxv_view_text("ab");

    for (size_t i = 0; i < 11; i++) {
        entries[i] = (struct oxv_entry){ .type = OXV_ENTRY_CALLER_ADD,
                                         .outcome = OXV_OUTCOME_DENIED,
                                         .happened_us = 1 };
    }
    must_judge(f, &entries[0], true);
    entries[0].cfg = 1;
    entries[1].cfg_digest = text;
    entries[2].next_key = text;
    entries[3].origin = text;
    entries[4].vault = text;
    entries[5].node = text;
    entries[6].unsigned_since = text;
    entries[7].log_key = text;
    entries[8].old_origin = text;
    entries[9].old_root = text;
    entries[10].old_size = 1;
    for (size_t i = 0; i < 11; i++) {
        must_judge(f, &entries[i], false);

        struct oxv_log_pending *pending = open_pending(f);
        struct oxv_err err;
        struct file_bytes log;

        assert_int_equal(oxv_log_pending_add(pending, &entries[i], &err), OXV_OK);
        oxv_log_pending_free(pending);
        struct file_bytes file = read_whole(f->fd, PENDING);

        assert_int_equal(file.len, 16); /* only the count */
        assert_int_equal(file.data[15], 1);
        assert_int_equal(drain(f, &log), 1);
        file_bytes_done(&file);
        file_bytes_done(&log);
    }
}

/* The rollback: a forged change entry must not tell the vault which records are the newest. */
static void
a_forged_change_does_not_move_the_log_s_view_of_the_records(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_entry change = { .type = OXV_ENTRY_CALLER_ADD,
                                .outcome = OXV_OUTCOME_ALLOWED,
                                .cfg = 7,
                                .cfg_digest = oxv_view_text("77"),
                                .happened_us = 1 };
    struct oxv_entry forged = change;
    struct oxv_log *log = open_log(f, &opened);
    struct file_bytes text;

    (void)append(log, &change);
    commit_signs(log, 1);
    oxv_log_free(log);
    forged.cfg = 3;
    forged.cfg_digest = oxv_view_text("33");
    forge_pending(f, &forged, 0);
    assert_int_equal(drain(f, &text), 1);
    file_bytes_done(&text);
    oxv_log_free(open_log(f, &opened));
    assert_int_equal(opened.last_cfg, 7);
    assert_string_equal(opened.last_cfg_digest, "77");
}

static void
what_is_no_regular_file_holds_nothing_up(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_pending *pending = NULL;
    struct oxv_log_opened opened;
    struct oxv_err err;
    size_t count = 99;

    assert_int_equal(mkfifoat(f->fd, PENDING, 0600), 0);
    (void)alarm(20); /* instead of waiting for a writer for ever */
    assert_int_equal(oxv_log_pending_open(f->fd, &pending, &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "log/pending is not a regular file");
    struct oxv_log *log = open_log(f, &opened);

    assert_int_equal(oxv_log_pending_append(f->fd, log, &count, &err), OXV_E_FORMAT);
    assert_int_equal(oxv_log_pending_clear(f->fd, &err), OXV_E_FORMAT);
    (void)alarm(0);
    assert_int_equal(count, 99);
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_null(pending);
    oxv_log_free(log);
}

static void
a_count_of_all_ones_stays_at_the_highest(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_entry never = { .type = OXV_ENTRY_LOG_READ, .happened_us = 1 };
    struct file_bytes text;
    struct oxv_err err;

    forge_pending(f, &never, UINT64_MAX);
    struct oxv_log_pending *pending = open_pending(f);

    assert_int_equal(oxv_log_pending_add(pending, &never, &err), OXV_OK);
    oxv_log_pending_free(pending);
    assert_int_equal(drain(f, &text), 2);
    assert_non_null(strstr((char *)text.data, "\"count\":9007199254740991,"));
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
        TEST(of_each_type_only_what_happens_while_sealed_is_taken),
        TEST(an_event_that_tells_of_records_or_keys_is_refused),
        TEST(a_forged_change_does_not_move_the_log_s_view_of_the_records),
        TEST(what_is_no_regular_file_holds_nothing_up),
        TEST(a_count_of_all_ones_stays_at_the_highest),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log pending", tests, NULL, NULL);
}
