/* A wall clock that jumps is noticed, logged and told (design.md 9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "service/keeper/health.h"
#include "service/keeper/state.h"
#include "tests/support/test_vault.h"

static struct oxv_keeper keeper;

static int
open_vault(void **state)
{
    (void)state;
    test_vault_open(&keeper);
    return 0;
}

static int
close_vault(void **state)
{
    (void)state;
    test_vault_close(&keeper);
    return 0;
}

/* How often `text` is in the log's first segment. */
static size_t
count_in_log(const char *text)
{
    static char segment[262144]; /* with the zeros behind the lines */
    size_t len = 0;
    size_t count = 0;

    assert_int_equal(oxv_log_commit(keeper.log, NULL), OXV_OK);
    assert_int_equal(oxv_read_file_at(keeper.dir_fd, "log/seg/000000000000.jsonl", segment,
                                      sizeof segment - 1, &len, NULL),
                     OXV_OK);
    segment[len] = '\0';
    for (const char *at = strstr(segment, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

static void
a_steady_clock_is_not_logged(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        oxv_state_read_clocks(&keeper);
    }
    assert_int_equal(count_in_log("clock.step"), 0);
    assert_int_equal(keeper.clock_steps, 0);
}

static void
a_jump_either_way_is_logged_once_and_told(void **state)
{
    uint8_t buffer[OXV_HEALTH_MAX_BYTES];
    struct oxv_writer doc = oxv_writer(buffer, sizeof buffer);
    struct oxv_view written;
    struct oxv_view text;

    (void)state;
    keeper.clock_offset_us -= 3600 * INT64_C(1000000); /* as if the wall clock went ahead */
    oxv_state_read_clocks(&keeper);
    oxv_state_read_clocks(&keeper);
    assert_int_equal(count_in_log("clock.step"), 1);
    /* To the millisecond or nearly so: the two clocks are read one after the other. */
    assert_int_equal(count_in_log("\"reason\":\"the wall clock moved by 3600000 ms\"") +
                         count_in_log("\"reason\":\"the wall clock moved by 3599999 ms\""),
                     1);
    keeper.clock_offset_us += 2 * INT64_C(1000000);
    oxv_state_read_clocks(&keeper);
    assert_int_equal(count_in_log("clock.step"), 2);
    oxv_health_write(&keeper, &doc);
    assert_int_equal(oxv_writer_finish(&doc, &written), OXV_OK);
    assert_true(oxv_doc_find_text(written, "clock", &text));
    assert_true(oxv_view_is(text, "stepped"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_steady_clock_is_not_logged, open_vault, close_vault),
        cmocka_unit_test_setup_teardown(a_jump_either_way_is_logged_once_and_told, open_vault,
                                        close_vault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
