/* The emitter and the strict checker of entry lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "vault/log/entry.h"

#define BOOT      "00112233445566778899aabbccddeeff"
#define LINE_ROOM (2 * OXV_LOG_ENTRY_MAX_BYTES)

static const struct oxv_entry_place place = {
    .seq = 7, .epoch = 0, .time_us = 1767323045678901u, .mono_us = 4711, .boot = BOOT
};

static struct oxv_entry
whole_entry(void)
{
    return (struct oxv_entry){
        .type = OXV_ENTRY_SIGN,
        .outcome = OXV_OUTCOME_DENIED,
        .uid_plus1 = 1,
        .gid_plus1 = 101,
        .pid = 4242,
        .ts = 1767323045,
        .key_version = 3,
        .grant = 9,
        .grant_version = 12,
        .cfg = 5,
        .count = 2,
        .happened_us = 99,
        .code = oxv_view_text("no_grant"),
        .caller = oxv_view_text("order-exchange"),
        .door = oxv_view_text("sign"),
        .connection = oxv_view_text("acme"),
        .kind = oxv_view_text("oauth1"),
        .method = oxv_view_text("GET"),
        .host = oxv_view_text("123456.suitetalk.api.netsuite.com"),
        .path = oxv_view_text("/a\"b\\c/caf\xc3\xa9"),
        .url_hash = oxv_view_text("00ff"),
        .sig_hash = oxv_view_text("ab"),
        .nonce = oxv_view_text("N0nce"),
        .cfg_digest = oxv_view_text("cd"),
        .request_id = oxv_view_text("r-1"),
        .node = oxv_view_text("n"),
        .vault = oxv_view_text("v"),
        .origin = oxv_view_text("oxvault/v/n"),
        .reason = oxv_view_text("because"),
        .unsigned_since = oxv_view_text("2026-01-01T00:00:00.000000Z"),
        .next_key = oxv_view_text("k"),
        .log_key = oxv_view_text("lk"),
        .old_origin = oxv_view_text("oxvault/v/m"),
        .old_root = oxv_view_text("ef"),
        .old_size = 8,
    };
}

static const char whole_line[] =
    "{\"boot\":\"" BOOT "\",\"caller\":\"order-exchange\",\"cfg\":5,\"cfg_digest\":\"cd\","
    "\"code\":\"no_grant\",\"connection\":\"acme\",\"count\":2,\"door\":\"sign\",\"epoch\":0,"
    "\"gid\":100,\"grant\":9,\"grant_version\":12,"
    "\"host\":\"123456.suitetalk.api.netsuite.com\",\"key_version\":3,\"kind\":\"oauth1\","
    "\"log_key\":\"lk\",\"method\":\"GET\",\"mono_us\":4711,\"next_key\":\"k\",\"node\":\"n\","
    "\"nonce\":\"N0nce\","
    "\"old_origin\":\"oxvault/v/m\",\"old_root\":\"ef\",\"old_size\":8,"
    "\"origin\":\"oxvault/v/n\",\"outcome\":\"denied\",\"path\":\"/a\\\"b\\\\c/caf\xc3\xa9\","
    "\"pid\":4242,\"reason\":\"because\",\"request_id\":\"r-1\",\"seq\":7,\"sig_hash\":\"ab\","
    "\"time\":\"2026-01-02T03:04:05.678901Z\",\"ts\":1767323045,\"type\":\"sign\",\"uid\":0,"
    "\"unsigned_since\":\"2026-01-01T00:00:00.000000Z\",\"url_hash\":\"00ff\",\"v\":1,"
    "\"vault\":\"v\"}";

static const char small_line[] = "{\"boot\":\"" BOOT "\",\"epoch\":0,\"mono_us\":0,\"seq\":0,"
                                 "\"time\":\"2026-01-02T03:04:05.678901Z\",\"type\":\"peer\","
                                 "\"v\":1}";

static struct oxv_view
emit(const struct oxv_entry *entry, uint8_t *buffer)
{
    struct oxv_writer w = oxv_writer(buffer, LINE_ROOM);
    struct oxv_view line = { 0 };

    oxv_entry_write(&w, entry, &place);
    if (oxv_writer_finish(&w, &line) != OXV_OK) {
        return (struct oxv_view){ 0 };
    }
    return line;
}

static void
every_key_is_written_in_byte_order(void **state)
{
    static uint8_t buffer[LINE_ROOM];
    struct oxv_entry entry = whole_entry();

    (void)state;
    assert_true(oxv_view_is(emit(&entry, buffer), whole_line));
}

static void
what_does_not_apply_is_left_out(void **state)
{
    static uint8_t buffer[LINE_ROOM];
    struct oxv_entry entry = { .type = OXV_ENTRY_PEER };
    struct oxv_entry_place first = { .time_us = place.time_us, .boot = BOOT };
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    (void)state;
    oxv_entry_write(&w, &entry, &first);
    assert_true(oxv_view_is(oxv_view(buffer, w.len), small_line));
}

static void
a_line_is_read_back_as_it_was_written(void **state)
{
    struct oxv_entry_line line;
    struct oxv_entry_fault fault;
    struct oxv_entry entry = whole_entry();

    (void)state;
    assert_int_equal(oxv_entry_check(oxv_view_text(whole_line), &line, &fault), OXV_OK);
    assert_int_equal(line.seq, 7);
    assert_int_equal(line.epoch, 0);
    assert_int_equal(line.mono_us, 4711);
    assert_int_equal(line.time_us, place.time_us);
    assert_int_equal(line.v, 1);
    assert_true(oxv_view_is(line.boot, BOOT));
    assert_true(oxv_view_is(line.entry.path, "/a\\\"b\\\\c/caf\xc3\xa9")); /* as it stands */
    entry.path = line.entry.path;
    entry.happened_us = 0;
    for (size_t i = 0; i < oxv_entry_shape.count; i++) {
        const struct oxv_field *field = &oxv_entry_shape.fields[i];

        if (field->type == OXV_FIELD_U64) {
            assert_int_equal(oxv_field_u64(field, &line.entry), oxv_field_u64(field, &entry));
        } else {
            assert_true(
                oxv_view_equals(oxv_field_view(field, &line.entry), oxv_field_view(field, &entry)));
        }
    }
}

static void
each_type_and_outcome_has_its_name_and_is_read_back(void **state)
{
    (void)state;
    for (uint64_t type = 1; type < OXV_ENTRY_TYPE_END; type++) {
        enum oxv_entry_type parsed;

        assert_non_null(oxv_entry_type_name(type));
        assert_true(oxv_entry_type_parse(oxv_view_text(oxv_entry_type_name(type)), &parsed));
        assert_int_equal(parsed, type);
    }
    assert_null(oxv_entry_type_name(0));
    assert_null(oxv_entry_type_name(OXV_ENTRY_TYPE_END));
    assert_string_equal(oxv_outcome_name(OXV_OUTCOME_ALLOWED), "allowed");
    assert_string_equal(oxv_outcome_name(OXV_OUTCOME_DENIED), "denied");
    assert_string_equal(oxv_outcome_name(OXV_OUTCOME_FAILED), "failed");
    assert_null(oxv_outcome_name(0));
    assert_null(oxv_outcome_name(4));
}

static void
the_emitter_refuses_what_the_checker_would(void **state)
{
    static uint8_t buffer[LINE_ROOM];
    static const struct oxv_entry wrong[] = {
        { .type = 0 },
        { .type = OXV_ENTRY_TYPE_END },
        { .type = OXV_ENTRY_SIGN, .outcome = 4 },
        { .type = OXV_ENTRY_SIGN, .pid = UINT64_C(1) << 53 },
        { .type = OXV_ENTRY_SIGN, .uid_plus1 = (UINT64_C(1) << 53) + 1 },
        { .type = OXV_ENTRY_SIGN, .caller = { (const uint8_t *)"\xff", 1 } },
        { .type = OXV_ENTRY_SIGN, .caller = { (const uint8_t *)"a\nb", 3 } },
        { .type = OXV_ENTRY_SIGN, .caller = { (const uint8_t *)"a\x7f", 2 } },
        { .type = OXV_ENTRY_SIGN, .caller = { (const uint8_t *)"", 1 } },
        { .type = OXV_ENTRY_SIGN, .sig_hash = { (const uint8_t *)"AB", 2 } },
        { .type = OXV_ENTRY_SIGN, .url_hash = { (const uint8_t *)"xy", 2 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(emit(&wrong[i], buffer).data);
    }
}

static void
a_line_of_16384_bytes_is_the_longest(void **state)
{
    static uint8_t buffer[LINE_ROOM];
    static char text[OXV_LOG_ENTRY_MAX_BYTES];
    struct oxv_entry entry = { .type = OXV_ENTRY_PEER };
    struct oxv_entry_line line;
    struct oxv_entry_fault fault;

    (void)state;
    memset(text, 'x', sizeof text);
    entry.reason = oxv_view(text, 1);
    size_t rest = emit(&entry, buffer).len - 1;

    entry.reason = oxv_view(text, OXV_LOG_ENTRY_MAX_BYTES - rest);
    struct oxv_view longest = emit(&entry, buffer);

    assert_int_equal(longest.len, OXV_LOG_ENTRY_MAX_BYTES);
    assert_int_equal(oxv_entry_check(longest, &line, &fault), OXV_OK);
    entry.reason.len++;
    assert_null(emit(&entry, buffer).data);
}

static void
a_path_is_whole_up_to_8192_bytes(void **state)
{
    static uint8_t buffer[LINE_ROOM];
    static char path[OXV_LOG_PATH_MAX_BYTES + 100];
    struct oxv_entry entry = { .type = OXV_ENTRY_SIGN };
    struct oxv_entry_line line;
    struct oxv_entry_fault fault;

    (void)state;
    memset(path, 'a', sizeof path);
    entry.path = oxv_view(path, OXV_LOG_PATH_MAX_BYTES);
    assert_int_equal(oxv_entry_check(emit(&entry, buffer), &line, &fault), OXV_OK);
    assert_int_equal(line.entry.path.len, OXV_LOG_PATH_MAX_BYTES);
    memcpy(path + OXV_LOG_PATH_MAX_BYTES - 1, "\xc3\xa9", 2); /* stands across the limit */
    entry.path = oxv_view(path, sizeof path);
    assert_int_equal(oxv_entry_check(emit(&entry, buffer), &line, &fault), OXV_OK);
    assert_int_equal(line.entry.path.len, OXV_LOG_PATH_MAX_BYTES - 1);
    memset(path, '"', sizeof path);
    entry.path = oxv_view(path, 3000);
    assert_int_equal(oxv_entry_check(emit(&entry, buffer), &line, &fault), OXV_OK);
    assert_int_equal(line.entry.path.len, 6000); /* with its escapes */
}

static void
check_refused(const char *text, size_t len)
{
    struct oxv_entry_line line = { .seq = 99 };
    struct oxv_entry_fault fault = { .offset = SIZE_MAX };
    uint8_t *exact = malloc(len + 1); /* the sanitizer sees a read beyond it */

    assert_non_null(exact);
    memcpy(exact, text, len);
    uint8_t *again = realloc(exact, len == 0 ? 1 : len);

    assert_non_null(again);
    if (oxv_entry_check(oxv_view(again, len), &line, &fault) != OXV_E_FORMAT) {
        fail_msg("accepted: %.*s", (int)len, text);
    }
    assert_int_equal(line.seq, 99);
    assert_true(fault.offset <= len);
    assert_non_null(fault.reason);
    free(again);
}

static void
every_truncation_and_every_trailing_byte_is_refused(void **state)
{
    char longer[sizeof whole_line + 1];

    (void)state;
    for (size_t n = 0; n < sizeof whole_line - 1; n++) {
        check_refused(whole_line, n);
    }
    memcpy(longer, whole_line, sizeof whole_line);
    for (unsigned byte = 0; byte < 256; byte++) {
        longer[sizeof whole_line - 1] = (char)byte;
        check_refused(longer, sizeof whole_line);
    }
}

/* `from` in the small line becomes `to`; the whole is refused, at that byte where one is given. */
static void
check_replaced(const char *from, const char *to, long offset)
{
    char line[1024];
    const char *at = strstr(small_line, from);
    struct oxv_entry_line out;
    struct oxv_entry_fault fault;

    assert_non_null(at);
    int n = snprintf(line, sizeof line, "%.*s%s%s", (int)(at - small_line), small_line, to,
                     at + strlen(from));

    check_refused(line, (size_t)n);
    if (offset >= 0) {
        assert_int_equal(oxv_entry_check(oxv_view(line, (size_t)n), &out, &fault), OXV_E_FORMAT);
        assert_int_equal(fault.offset, (at - small_line) + offset);
    }
}

static void
another_form_of_the_same_is_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        long offset;
    } wrong[] = {
        { "{\"boot", "{ \"boot", 0 },
        { "\"boot\":", "\"boot\": ", 8 - 1 },
        { ",\"seq\":0", ", \"seq\":0", 0 },
        { "\"seq\":0", "\"seq\":00", 6 },
        { "\"seq\":0", "\"seq\":-0", 6 },
        { "\"seq\":0", "\"seq\":+1", 6 },
        { "\"seq\":0", "\"seq\":0.0", -1 },
        { "\"seq\":0", "\"seq\":1e2", -1 },
        { "\"seq\":0", "\"seq\":9007199254740992", 6 },
        { "\"seq\":0", "\"seq\":18446744073709551616", 6 },
        { "\"seq\":0", "\"seq\":\"0\"", 6 },
        { "\"seq\":0", "\"seq\":null", 6 },
        { "\"seq\":0", "\"seq\":true", 6 },
        { "\"seq\":0", "\"seq\":", 6 },
        { "\"seq\":0", "\"seq\":0,\"seq\":0", -1 },
        { "\"seq\":0", "\"Seq\":0", -1 },
        { "\"seq\":0,", "", -1 },
        { "\"epoch\":0,\"mono_us\":0", "\"mono_us\":0,\"epoch\":0", -1 },
        { "\"seq\":0", "\"secret\":\"x\",\"seq\":0", -1 },
        { "\"type\":\"peer\"", "\"type\":\"Peer\"", 7 },
        { "\"type\":\"peer\"", "\"type\":\"\"", -1 },
        { "\"type\":\"peer\"", "\"type\":5", 7 },
        { "\"type\":\"peer\"", "\"ts\":0,\"type\":\"peer\"", 5 },
        { "\"type\":\"peer\"", "\"type\":\"peer\",\"uid\":-1", -1 },
        { "\"epoch\":0", "\"door\":\"\",\"epoch\":0", -1 },
        { "\"epoch\":0", "\"door\":\"a\\u0041\",\"epoch\":0", 9 + 1 - 0 },
        { "\"epoch\":0", "\"door\":\"a\\/\",\"epoch\":0", -1 },
        { "\"epoch\":0", "\"door\":\"a\\n\",\"epoch\":0", -1 },
        { "\"epoch\":0", "\"door\":\"a\x1f\",\"epoch\":0", 9 - 0 },
        { "\"epoch\":0", "\"door\":\"a\x7f\",\"epoch\":0", -1 },
        { "\"epoch\":0", "\"door\":\"a\xc0\xaf\",\"epoch\":0", 9 - 0 },
        { "\"epoch\":0", "\"door\":\"\xed\xa0\x80\",\"epoch\":0", -1 },
        { "\"epoch\":0", "\"cfg_digest\":\"AB\",\"epoch\":0", -1 },
        { "\"epoch\":0",
          "\"cfg_digest\":\"0000000000000000000000000000000000000000000000000000"
          "0000000000000\",\"epoch\":0",
          -1 },
        { "\"epoch\":0", "\"count\":0,\"epoch\":0", -1 },
        { "05.678901Z", "05.67890Z", -1 },
        { "05.678901Z", "05.6789011Z", -1 },
        { "05.678901Z", "05.678901z", -1 },
        { "05.678901Z", "05Z", -1 },
        { "05.678901Z", "05+00:00", -1 },
        { "2026-01-02T", "2026-02-30T", -1 },
        { "2026-01-02T", "2026-01-02 ", -1 },
        { "\"v\":1", "\"v\":2", -1 },
        { "\"v\":1", "\"v\":0", -1 },
        { ",\"v\":1}", ",\"v\":1,}", -1 },
        { ",\"v\":1}", ",\"v\":1,\"w\":1}", -1 },
        { "ccddeeff", "ccddeef", -1 },
        { "ccddeeff", "ccddeefff", -1 },
        { "ccddeeff", "ccddeefF", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        check_replaced(wrong[i].from, wrong[i].to, wrong[i].offset);
    }
}

static void
a_changed_byte_is_refused_or_written_the_same_again(void **state)
{
    static uint8_t buffer[LINE_ROOM];
    size_t accepted = 0;

    (void)state;
    for (size_t i = 0; i < sizeof whole_line - 1; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char changed[sizeof whole_line];
            struct oxv_entry_line line;
            struct oxv_entry_fault fault;

            memcpy(changed, whole_line, sizeof changed);
            changed[i] = (char)byte;
            struct oxv_view text = oxv_view(changed, sizeof changed - 1);

            if (oxv_entry_check(text, &line, &fault) != OXV_OK || strchr(changed, '\\') == NULL) {
                continue;
            }
            /* Escapes are kept as they stand, so the path is put back before writing. */
            char boot[OXV_LOG_BOOT_CHARS + 1];
            struct oxv_entry_place again = { .seq = line.seq,
                                             .epoch = line.epoch,
                                             .time_us = line.time_us,
                                             .mono_us = line.mono_us,
                                             .boot = boot };
            struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
            struct oxv_entry entry = line.entry;

            if (memcmp(line.entry.path.data, "/a\\\"b\\\\c/", 9) != 0) {
                continue;
            }
            entry.path = oxv_view_text("/a\"b\\c/caf\xc3\xa9");
            if (line.entry.path.len != strlen("/a\\\"b\\\\c/caf\xc3\xa9") ||
                memcmp(line.entry.path.data, "/a\\\"b\\\\c/caf\xc3\xa9", line.entry.path.len) !=
                    0) {
                continue;
            }
            assert_int_equal(oxv_text_copy(line.boot, boot, sizeof boot), OXV_OK);
            oxv_entry_write(&w, &entry, &again);
            assert_true(oxv_view_equals(oxv_view(buffer, w.len), text));
            accepted++;
        }
    }
    assert_true(accepted > 1000);
}

static void
the_shape_encodes_and_decodes_every_member(void **state)
{
    uint8_t buffer[4096];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_entry entry = whole_entry();
    struct oxv_entry again = { 0 };
    struct oxv_err err;

    (void)state;
    oxv_fields_encode(&w, &oxv_entry_shape, &entry);
    assert_false(w.failed);
    assert_int_equal(oxv_fields_decode(oxv_view(buffer, w.len), &oxv_entry_shape, &again, &err),
                     OXV_OK);
    assert_int_equal(again.happened_us, 99);
    assert_int_equal(again.uid_plus1, 1);
    assert_true(oxv_view_equals(again.path, entry.path));
    assert_true(oxv_view_is(again.next_key, "k"));
    assert_int_equal(again.old_size, 8);
    assert_int_equal(oxv_entry_shape.count, 35);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_written_in_byte_order),
        cmocka_unit_test(what_does_not_apply_is_left_out),
        cmocka_unit_test(a_line_is_read_back_as_it_was_written),
        cmocka_unit_test(each_type_and_outcome_has_its_name_and_is_read_back),
        cmocka_unit_test(the_emitter_refuses_what_the_checker_would),
        cmocka_unit_test(a_line_of_16384_bytes_is_the_longest),
        cmocka_unit_test(a_path_is_whole_up_to_8192_bytes),
        cmocka_unit_test(every_truncation_and_every_trailing_byte_is_refused),
        cmocka_unit_test(another_form_of_the_same_is_refused),
        cmocka_unit_test(a_changed_byte_is_refused_or_written_the_same_again),
        cmocka_unit_test(the_shape_encodes_and_decodes_every_member),
    };

    return cmocka_run_group_tests_name("log entry", tests, NULL, NULL);
}
