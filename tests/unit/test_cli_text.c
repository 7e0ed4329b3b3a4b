/* What the command shows and reads as text: escapes, widths, times, suggestions, the line itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/command.h"
#include "cli/escape.h"
#include "cli/suggest.h"
#include "cli/times.h"

static void
expect_escaped(struct oxv_view text, const char *wanted)
{
    char out[512];
    struct oxv_writer w = oxv_writer(out, sizeof out);
    struct oxv_view written;

    oxv_escape_write(&w, text);
    assert_int_equal(oxv_writer_finish(&w, &written), OXV_OK);
    if (!oxv_view_is(written, wanted)) {
        fail_msg("%.*s instead of %s", (int)written.len, (const char *)written.data, wanted);
    }
}

static void
shows_what_would_steer_the_terminal(void **state)
{
    (void)state;
    oxv_escape_set_utf8(true);
    expect_escaped(oxv_view_text("plain ~ text"), "plain ~ text");
    expect_escaped(oxv_view_text("\033[2J\r\n\t"), "\\u{1B}[2J\\u{0D}\\u{0A}\\u{09}");
    expect_escaped(oxv_view("a\0b", 3), "a\\u{00}b");
    expect_escaped(oxv_view_text("\x7f\xc2\x9b"), "\\u{7F}\\u{9B}");
    expect_escaped(oxv_view_text("a\xe2\x80\xae"
                                 "b\xe2\x81\xa6\xd8\x9c"),
                   "a\\u{202E}b\\u{2066}\\u{61C}");
    expect_escaped(oxv_view_text("\xe2\x80\x8b\xef\xbb\xbf\xe2\x80\xa8"),
                   "\\u{200B}\\u{FEFF}\\u{2028}");
    expect_escaped(oxv_view_text("\xf3\xa0\x81\x81"), "\\u{E0041}"); /* a tag character */
}

static void
shows_bytes_that_are_no_utf_8(void **state)
{
    (void)state;
    oxv_escape_set_utf8(true);
    expect_escaped(oxv_view_text("\xff"
                                 "a\xc3"),
                   "\\x{FF}a\\x{C3}");
    expect_escaped(oxv_view_text("\xed\xa0\x80"), "\\x{ED}\\x{A0}\\x{80}");
    expect_escaped(oxv_view_text("\xf0\x9f\x98"), "\\x{F0}\\x{9F}\\x{98}");
}

static void
shows_other_scripts_where_the_terminal_can(void **state)
{
    (void)state;
    oxv_escape_set_utf8(true);
    expect_escaped(oxv_view_text("Z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac"),
                   "Z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac");
    oxv_escape_set_utf8(false);
    expect_escaped(oxv_view_text("Z\xc3\xbcrich"), "Z\\u{FC}rich");
}

static void
prints_every_text_as_it_is_written(void **state)
{
    char text[2000];
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    char wanted[10 * sizeof text];
    struct oxv_writer w = oxv_writer(wanted, sizeof wanted);

    (void)state;
    oxv_escape_set_utf8(true);
    for (size_t i = 0; i + 1 < sizeof text; i += 2) { /* 2-byte characters across every cut */
        text[i] = i % 14 == 0 ? '\xff' : '\xc3';
        text[i + 1] = i % 6 == 0 ? 'a' : '\xa4';
    }
    assert_non_null(out);
    oxv_escape_print(out, oxv_view(text, sizeof text));
    assert_int_equal(fclose(out), 0);
    oxv_escape_write(&w, oxv_view(text, sizeof text));
    assert_int_equal(len, w.len);
    assert_memory_equal(printed, wanted, len);
    free(printed);
}

static void
counts_columns(void **state)
{
    (void)state;
    oxv_escape_setup();
    assert_int_equal(oxv_escape_width(oxv_view_text("")), 0);
    assert_int_equal(oxv_escape_width(oxv_view_text("abc")), 3);
}

static void
expect_time(const char *text, bool forward, const char *wanted)
{
    const uint64_t now_us = UINT64_C(1767323045678901); /* 2026-01-02T03:04:05.678901Z */
    char out[OXV_TIMESTAMP_BYTES] = "";

    if (!oxv_times_parse(text, now_us, forward, out)) {
        fail_msg("%s is refused", text);
    }
    assert_string_equal(out, wanted);
}

static void
reads_points_in_time(void **state)
{
    (void)state;
    expect_time("2026-01-02", false, "2026-01-02T00:00:00.000000Z");
    expect_time("2026-01-02T03:04:05+01:00", false, "2026-01-02T02:04:05.000000Z");
    expect_time("5s", false, "2026-01-02T03:04:00.678901Z");
    expect_time("10m", false, "2026-01-02T02:54:05.678901Z");
    expect_time("2h", false, "2026-01-02T01:04:05.678901Z");
    expect_time("3d", false, "2025-12-30T03:04:05.678901Z");
    expect_time("1w", false, "2025-12-26T03:04:05.678901Z");
    expect_time("+30d", true, "2026-02-01T03:04:05.678901Z");
    expect_time("2030-01-01", true, "2030-01-01T00:00:00.000000Z");
}

static void
refuses_what_is_no_point_in_time(void **state)
{
    static const char *const texts[] = {
        "",    "h",     "2",   "2y",   "-2h",  "+2h",          "02h",
        "2 h", "2h30m", "now", "2026", "1.5h", "99999999999d", "60000d"
    };
    char out[OXV_TIMESTAMP_BYTES] = "untouched";

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(oxv_times_parse(texts[i], UINT64_C(1767323045678901), false, out));
        assert_string_equal(out, "untouched");
    }
    assert_false(oxv_times_parse("2h", UINT64_C(1767323045678901), true, out));
    assert_false(oxv_times_parse("1h", 60000000, false, out)); /* before 1970 */
}

static const char *
suggested(const char *typed)
{
    struct oxv_suggestion s;

    oxv_suggestion_start(&s, typed);
    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        oxv_suggestion_offer(&s, c->words);
    }
    return s.best;
}

static void
suggests_the_nearest_command(void **state)
{
    (void)state;
    assert_string_equal(suggested("stats"), "status");
    assert_string_equal(suggested("log exprot"), "log export");
    assert_string_equal(suggested("connection ad"), "connection add");
    assert_null(suggested("quux"));
    assert_null(suggested("a word that is much longer than any command could ever be"));
}

/* Parses a line; what is parsed points into a copy that the next call overwrites. */
static enum oxv_exit
parse(struct oxv_cli *cli, const char *const *words, const char **group, bool *help)
{
    static char copies[16][64];
    char *argv[16];
    int argc = 0;

    while (words[argc] != NULL) {
        assert_int_equal(oxv_format(copies[argc], sizeof copies[argc], "%s", words[argc]), OXV_OK);
        argv[argc] = copies[argc];
        argc++;
    }
    *cli = (struct oxv_cli){ .dir = "D", .run = "R", .color = true };
    return oxv_command_parse(argc, argv, cli, group, help);
}

#define LINE(...) ((const char *const[]){ "oxvault", __VA_ARGS__, NULL })

static void
reads_options_wherever_they_stand(void **state)
{
    struct oxv_cli cli;
    const char *group;
    bool help;
    size_t at = 0;

    (void)state;
    assert_int_equal(parse(&cli,
                           LINE("--run", "X", "grant", "add", "a", "--path=/p", "--json", "--path",
                                "/q", "--dir=Y", "b", "--no-color"),
                           &group, &help),
                     OXV_EXIT_DONE);
    assert_string_equal(cli.command->words, "grant add");
    assert_string_equal(cli.run, "X");
    assert_string_equal(cli.dir, "Y");
    assert_true(cli.json && !cli.color);
    assert_int_equal(cli.arguments_count, 2);
    assert_string_equal(cli.arguments[0], "a");
    assert_string_equal(cli.arguments[1], "b");
    assert_string_equal(oxv_cli_option_next(&cli, "path", &at), "/p");
    assert_string_equal(oxv_cli_option_next(&cli, "path", &at), "/q");
    assert_null(oxv_cli_option_next(&cli, "path", &at));
    assert_null(oxv_cli_option(&cli, "rate"));
    oxv_cli_done(&cli);
}

static void
reads_short_options_and_the_end_of_options(void **state)
{
    struct oxv_cli cli;
    const char *group;
    bool help;

    (void)state;
    assert_int_equal(parse(&cli, LINE("log", "export", "-oF"), &group, &help), OXV_EXIT_DONE);
    assert_string_equal(oxv_cli_option(&cli, "output"), "F");
    oxv_cli_done(&cli);
    assert_int_equal(parse(&cli, LINE("log", "export", "-o", "-"), &group, &help), OXV_EXIT_DONE);
    assert_string_equal(oxv_cli_option(&cli, "output"), "-");
    oxv_cli_done(&cli);
    assert_int_equal(parse(&cli, LINE("connection", "show", "--", "--x"), &group, &help),
                     OXV_EXIT_DONE);
    assert_string_equal(cli.arguments[0], "--x");
    oxv_cli_done(&cli);
}

static void
refuses_lines_that_are_wrong(void **state)
{
    const char *const *const lines[] = {
        LINE("frobnicate"),
        LINE("connection"),
        LINE("connection", "frobnicate"),
        LINE("status", "now"),
        LINE("connection", "show"),
        LINE("status", "--frobnicate"),
        LINE("status", "-x"),
        LINE("status", "--json=1"),
        LINE("log", "export", "-o"),
        LINE("log", "export", "--format", "csv", "--format", "csv"),
        LINE("init", "--passphrase", "x"),
        LINE("init", "--passphrase=x"),
        LINE("connection", "add", "a", "--consumer-secret", "x"),
        LINE("unseal", "--pin", "1"),
        LINE("--frobnicate", "status"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct oxv_cli cli;
        const char *group;
        bool help;

        assert_int_equal(parse(&cli, lines[i], &group, &help), OXV_EXIT_USAGE);
        oxv_cli_done(&cli);
    }
}

static void
knows_when_help_is_wanted(void **state)
{
    struct oxv_cli cli;
    const char *group;
    bool help;

    (void)state;
    assert_int_equal(parse(&cli, LINE("--help"), &group, &help), OXV_EXIT_DONE);
    assert_true(help && group == NULL && cli.command == NULL);
    oxv_cli_done(&cli);
    assert_int_equal(parse(&cli, LINE("connection", "-h"), &group, &help), OXV_EXIT_DONE);
    assert_true(help && group != NULL && cli.command == NULL);
    oxv_cli_done(&cli);
    assert_int_equal(parse(&cli, LINE("connection", "show", "--help"), &group, &help),
                     OXV_EXIT_DONE);
    assert_true(help && cli.command != NULL);
    oxv_cli_done(&cli);
}

static void
has_a_sound_table_of_commands(void **state)
{
    (void)state;
    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        assert_ptr_equal(oxv_command_find(c->words), c);
        assert_non_null(c->run);
        assert_true(strlen(c->summary) > 0 && c->summary[strlen(c->summary) - 1] != '.');
        assert_true(c->arguments_min <= c->arguments_max);
        assert_int_equal(c->arguments[0] == '\0', c->arguments_max == 0);
        for (const struct oxv_option *o = c->options; o != NULL && o->name != NULL; o++) {
            assert_true(strlen(o->help) > 0 && o->help[strlen(o->help) - 1] != '\n');
            for (const struct oxv_option *g = oxv_global_options; g->name != NULL; g++) {
                assert_string_not_equal(o->name, g->name);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_would_steer_the_terminal),
        cmocka_unit_test(shows_bytes_that_are_no_utf_8),
        cmocka_unit_test(shows_other_scripts_where_the_terminal_can),
        cmocka_unit_test(prints_every_text_as_it_is_written),
        cmocka_unit_test(counts_columns),
        cmocka_unit_test(reads_points_in_time),
        cmocka_unit_test(refuses_what_is_no_point_in_time),
        cmocka_unit_test(suggests_the_nearest_command),
        cmocka_unit_test(reads_options_wherever_they_stand),
        cmocka_unit_test(reads_short_options_and_the_end_of_options),
        cmocka_unit_test(refuses_lines_that_are_wrong),
        cmocka_unit_test(knows_when_help_is_wanted),
        cmocka_unit_test(has_a_sound_table_of_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
