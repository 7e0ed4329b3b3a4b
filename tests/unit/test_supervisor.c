#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "service/supervisor/child.h"
#include "service/supervisor/identity.h"
#include "service/supervisor/options.h"
#include "service/supervisor/supervisor.h"

#define WORDS_MAX 24u

/* Parses "oxvaultd --dir D --run R" and the words behind it. */
static enum oxv_status
parse(const char *const *words, struct oxv_supervisor_options *out, struct oxv_err *err)
{
    static char copies[WORDS_MAX][64];
    char *argv[WORDS_MAX + 1] = { NULL };
    const char *first[] = { "oxvaultd", "--dir", "D", "--run", "R" };
    int argc = 0;

    for (; argc < 5; argc++) {
        assert_int_equal(oxv_text_copy(oxv_view_text(first[argc]), copies[argc], 64), OXV_OK);
        argv[argc] = copies[argc];
    }
    for (size_t i = 0; words[i] != NULL; i++, argc++) {
        assert_int_equal(oxv_text_copy(oxv_view_text(words[i]), copies[argc], 64), OXV_OK);
        argv[argc] = copies[argc];
    }
    return oxv_supervisor_options_parse(argc, argv, out, err);
}

static void
options_are_read(void **state)
{
    const char *const words[] = { "--keyfile",       "K",     "--users", "none",
                                  "--secret-memory", "memfd", NULL };
    struct oxv_supervisor_options o;

    (void)state;
    assert_int_equal(parse(words, &o, NULL), OXV_OK);
    assert_string_equal(o.dir, "D");
    assert_string_equal(o.run, "R");
    assert_int_equal(o.source, OXV_SOURCE_KEYFILE);
    assert_string_equal(o.source_file, "K");
    assert_int_equal(o.source_fd, -1);
    assert_true(o.users_none);
    assert_string_equal(o.secret_memory, "memfd");
    assert_false(o.memory_unlocked || o.userns_allowed || o.require_sandbox || o.help || o.version);
    assert_null(o.libexec);
}

static void
pin_files_have_labels_before_the_first_equals_sign(void **state)
{
    const char *const words[] = { "--pin-file", "P",     "--pin-file", "a token=/q=r",
                                  "--pin-file", "./s=t", "--pin-file", "b=u",
                                  "--pin-fd",   "0",     "--keyfile",  "K",
                                  NULL };
    struct oxv_supervisor_options o;

    (void)state;
    /* One for any token, and the third is another one: a slash before the equals sign. */
    assert_int_equal(parse(words, &o, NULL), OXV_E_USAGE);
    const char *const fine[] = { "--pin-file",   "./s=t",      "--pin-file",
                                 "a token=/q=r", "--pin-file", "b=u",
                                 "--pin-fd",     "0",          NULL };

    assert_int_equal(parse(fine, &o, NULL), OXV_OK);
    assert_int_equal(o.pin_file_count, 3);
    assert_int_equal(o.pin_files[0].label.len, 0);
    assert_string_equal(o.pin_files[0].path, "./s=t");
    assert_true(oxv_view_is(o.pin_files[1].label, "a token"));
    assert_string_equal(o.pin_files[1].path, "/q=r");
    assert_true(oxv_view_is(o.pin_files[2].label, "b"));
    assert_string_equal(o.pin_files[2].path, "u");
    assert_int_equal(o.pin_fd, 0);
    assert_int_equal(o.source, OXV_SOURCE_NONE);
}

static void
pin_options_that_make_no_sense_are_usage(void **state)
{
    static const char *const wrong[][5] = {
        { "--pin-file", "", NULL },
        { "--pin-file", "label=", NULL },
        { "--pin-file", "a-label-of-more-than-32-bytes-is-none=/f", NULL },
        { "--pin-file", "a=/f", "--pin-file", "a=/g", NULL },
        { "--pin-fd", "0", "--pin-fd", "0", NULL },
        { "--pin-fd", "0", "--passphrase-fd", "0", NULL },
        { "--pin-fd", "1", NULL },
        { "--pin-fd", "x", NULL },
        { "--pin", "1234", NULL },
    };
    struct oxv_supervisor_options o;
    struct oxv_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(parse(wrong[i], &o, &err), OXV_E_USAGE);
        assert_null(strstr(err.text, "1234"));
    }
}

static void
nine_pin_files_are_one_too_many(void **state)
{
    static char files[9][8];
    const char *words[19] = { NULL };
    struct oxv_supervisor_options o;

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(oxv_format(files[i], sizeof files[i], "%u=/f", i), OXV_OK);
        words[2 * i] = "--pin-file";
        words[2 * i + 1] = files[i];
    }
    assert_int_equal(parse(words, &o, NULL), OXV_E_USAGE);
    words[16] = NULL;
    assert_int_equal(parse(words, &o, NULL), OXV_OK);
    assert_int_equal(o.pin_file_count, 8);
}

static void
without_options_there_is_no_source(void **state)
{
    const char *const words[] = { NULL };
    struct oxv_supervisor_options o;

    (void)state;
    assert_int_equal(parse(words, &o, NULL), OXV_OK);
    assert_int_equal(o.source, OXV_SOURCE_NONE);
    assert_int_equal(o.pin_file_count, 0);
    assert_int_equal(o.pin_fd, -1);
    assert_false(o.users_none);
    assert_null(o.secret_memory);
}

static void
a_failed_parse_leaves_the_options_untouched(void **state)
{
    const char *const two[] = { "--ask-passphrase", "--keyfile", "K", NULL };
    const char *const secret[] = { "--passphrase=hunter2", NULL };
    struct oxv_supervisor_options o = { .source_fd = 77 };
    struct oxv_err err = { 0 };

    (void)state;
    assert_int_equal(parse(two, &o, &err), OXV_E_USAGE);
    assert_int_equal(o.source_fd, 77);
    assert_null(o.dir);
    assert_int_equal(parse(secret, &o, &err), OXV_E_USAGE);
    assert_int_equal(o.source_fd, 77);
    assert_null(strstr(err.text, "hunter2"));
}

static void
the_environment_names_the_directories(void **state)
{
    char program[] = "oxvaultd";
    char *argv[] = { program, NULL };
    struct oxv_supervisor_options o;

    (void)state;
    (void)unsetenv("OXVAULT_DIR");
    (void)unsetenv("OXVAULT_RUN");
    assert_int_equal(oxv_supervisor_options_parse(1, argv, &o, NULL), OXV_E_USAGE);
    assert_int_equal(setenv("OXVAULT_DIR", "/d", 1), 0);
    assert_int_equal(oxv_supervisor_options_parse(1, argv, &o, NULL), OXV_E_USAGE);
    assert_int_equal(setenv("OXVAULT_RUN", "/r", 1), 0);
    assert_int_equal(oxv_supervisor_options_parse(1, argv, &o, NULL), OXV_OK);
    assert_string_equal(o.dir, "/d");
    assert_string_equal(o.run, "/r");
    (void)unsetenv("OXVAULT_DIR");
    (void)unsetenv("OXVAULT_RUN");
}

static void
only_the_whole_identity_map_is_one(void **state)
{
    (void)state;
    assert_true(oxv_is_full_identity_map(oxv_view_text("         0          0 4294967295\n")));
    assert_false(oxv_is_full_identity_map(oxv_view_text("")));
    assert_false(oxv_is_full_identity_map(oxv_view_text("         0          0      65536\n")));
    assert_false(oxv_is_full_identity_map(oxv_view_text("         0       1000          1\n")));
    assert_false(oxv_is_full_identity_map(oxv_view_text("         0          0 4294967294\n")));
    assert_false(oxv_is_full_identity_map(
        oxv_view_text("         0          0 4294967295\n         1          1          1\n")));
}

static void
a_user_without_root_is_one_for_all_processes(void **state)
{
    struct oxv_identity identity;

    (void)state;
    assert_int_equal(oxv_identity_find(true, true, &identity, NULL), OXV_OK);
    assert_true(identity.single_uid);
    assert_int_equal(identity.keeper_uid, geteuid());
    assert_int_equal(identity.frontend_uid, geteuid());
    assert_int_equal(identity.token_uid, geteuid());
}

static void
exit_codes_are_those_of_the_design(void **state)
{
    (void)state;
    assert_int_equal(oxv_supervisor_exit_code(OXV_OK), 0);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_IO), 1);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_CONFLICT), 1);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_USAGE), 2);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_DENIED), 3);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_LOCKED), 4);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_NOT_FOUND), 5);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_FORGED), 6);
    assert_int_equal(oxv_supervisor_exit_code(OXV_E_TOKEN), 7);
}

static void
add_child(struct oxv_children *children, pid_t pid, unsigned keeper, uint64_t serial)
{
    const struct oxv_child child = { .pid = pid, .keeper = keeper, .serial = serial };

    oxv_children_add(children, &child);
}

static void
give_up(struct oxv_children *children, unsigned keeper, uint64_t serial, uint64_t kill_us)
{
    const struct oxv_child lost = { .keeper = keeper, .serial = serial, .kill_us = kill_us };

    oxv_children_give_up(children, &lost);
}

static void
the_list_of_frontends_grows_to_its_limit_and_forgets(void **state)
{
    struct oxv_children children = { 0 };

    (void)state;
    for (unsigned i = 0; i < OXV_CHILDREN_MAX; i++) {
        assert_true(oxv_children_reserve(&children));
        add_child(&children, (pid_t)(i + 1), 1, i);
    }
    assert_false(oxv_children_reserve(&children));
    assert_int_equal(children.count, OXV_CHILDREN_MAX);
    assert_true(oxv_children_remove(&children, 5, NULL));
    assert_false(oxv_children_remove(&children, 5, NULL));
    assert_true(oxv_children_remove(&children, (pid_t)OXV_CHILDREN_MAX, NULL));
    assert_true(oxv_children_reserve(&children));
    assert_int_equal(children.count, OXV_CHILDREN_MAX - 2);
    oxv_children_done(&children);
    assert_int_equal(children.count, 0);
    oxv_children_done(&children);
}

static pid_t
sleeping_child(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    return pid;
}

static void
only_frontends_of_older_keepers_are_killed(void **state)
{
    struct oxv_children children = { 0 };
    pid_t old = sleeping_child();
    pid_t young = sleeping_child();
    int status = 0;

    (void)state;
    assert_true(oxv_children_reserve(&children));
    add_child(&children, old, 1, 1);
    assert_true(oxv_children_reserve(&children));
    add_child(&children, young, 2, 1);
    oxv_children_kill_before(&children, 2);
    assert_int_equal(waitpid(old, &status, 0), old);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(waitpid(young, &status, WNOHANG), 0);
    assert_true(oxv_children_remove(&children, old, NULL));
    oxv_children_kill_before(&children, 3);
    assert_int_equal(waitpid(young, &status, 0), young);
    oxv_children_done(&children);
}

static void
a_frontend_that_was_given_up_is_killed_when_its_time_has_come(void **state)
{
    struct oxv_children children = { 0 };
    pid_t lost = sleeping_child();
    pid_t others = sleeping_child();
    int status = 0;

    (void)state;
    assert_true(oxv_children_reserve(&children));
    add_child(&children, others, 1, 7); /* of the keeper before */
    assert_true(oxv_children_reserve(&children));
    add_child(&children, lost, 2, 7);
    assert_int_equal(oxv_children_next_kill_us(&children), UINT64_MAX);
    give_up(&children, 2, 8, 50); /* there is none */
    assert_int_equal(oxv_children_next_kill_us(&children), UINT64_MAX);
    give_up(&children, 2, 7, 100);
    give_up(&children, 2, 7, 200); /* said again, it gets no more time */
    assert_int_equal(oxv_children_next_kill_us(&children), 100);
    assert_int_equal(oxv_children_kill_due(&children, 99), 0);
    assert_int_equal(waitpid(lost, &status, WNOHANG), 0);
    assert_int_equal(oxv_children_kill_due(&children, 100), 1);
    assert_int_equal(waitpid(lost, &status, 0), lost);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(oxv_children_next_kill_us(&children), UINT64_MAX);
    assert_int_equal(waitpid(others, &status, WNOHANG), 0);
    oxv_children_kill_before(&children, 2);
    assert_int_equal(waitpid(others, &status, 0), others);
    oxv_children_done(&children);
}

static void
token_helpers_and_frontends_have_serials_of_their_own(void **state)
{
    struct oxv_children children = { 0 };
    const struct oxv_child helper = {
        .pid = sleeping_child(), .role = OXV_CHILD_HELPER, .keeper = 1, .serial = 7
    };
    struct oxv_child lost = { .role = OXV_CHILD_HELPER, .keeper = 1, .serial = 7, .kill_us = 50 };
    struct oxv_child removed;
    pid_t frontend = sleeping_child();
    int status = 0;

    (void)state;
    assert_true(oxv_children_reserve(&children));
    oxv_children_add(&children, &helper);
    assert_true(oxv_children_reserve(&children));
    add_child(&children, frontend, 1, 7);
    oxv_children_give_up(&children, &lost);
    assert_int_equal(oxv_children_kill_due(&children, 50), 0); /* it counts frontends */
    assert_int_equal(waitpid(helper.pid, &status, 0), helper.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(oxv_children_remove(&children, helper.pid, &removed));
    assert_string_equal(oxv_child_role_name(removed.role), "token helper");
    oxv_children_kill_role(&children, OXV_CHILD_HELPER);
    assert_int_equal(waitpid(frontend, &status, WNOHANG), 0);
    oxv_children_kill_role(&children, OXV_CHILD_FRONTEND);
    assert_int_equal(waitpid(frontend, &status, 0), frontend);
    oxv_children_done(&children);
}

static void
a_child_gets_the_settings_of_modules_where_its_plan_says_so(void **state)
{
    const char *const argv[] = { "sh", "-c", "test \"$SOFTHSM2_CONF\" = /conf || exit 41", NULL };
    struct oxv_child_plan plan = { .path = "/bin/sh", .argv = argv };
    int status = 0;
    pid_t pid;

    (void)state;
    assert_int_equal(setenv("SOFTHSM2_CONF", "/conf", 1), 0);
    for (int passed = 0; passed <= 1; passed++) {
        plan.pass_token_environment = passed == 1;
        plan.channel_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        assert_int_equal(oxv_child_start(&plan, &pid, NULL), OXV_OK);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, passed == 1 ? 0 : 41 << 8);
        (void)close(plan.channel_fd);
    }
    (void)unsetenv("SOFTHSM2_CONF");
}

static void
a_child_gets_the_channel_and_little_else(void **state)
{
    const char *const argv[] = {
        "sh", "-c",
        "test \"$(env | grep -cv -e ^OPENSSL_CONF=/dev/null$ -e ^PWD= -e ^_= -e ^SHLVL= "
        "-e ^[ALU].*SAN_OPTIONS=)\" = 0 && test -e /proc/self/fd/3 && "
        "! test -e /proc/self/fd/9 && exit 42",
        NULL
    };
    struct oxv_child_plan plan = { .path = "/bin/sh", .argv = argv };
    pid_t pid;
    int status = 0;

    (void)state;
    plan.channel_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(dup2(plan.channel_fd, 9), 9);
    assert_int_equal(oxv_child_start(&plan, &pid, NULL), OXV_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    (void)close(9);
    (void)close(plan.channel_fd);
}

static void
a_program_that_is_not_there_gives_127(void **state)
{
    const char *const argv[] = { "nothing", NULL };
    struct oxv_child_plan plan = { .path = "/nonexistent/program", .argv = argv };
    pid_t pid;
    int status = 0;

    (void)state;
    plan.channel_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(oxv_child_start(&plan, &pid, NULL), OXV_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 127);
    (void)close(plan.channel_fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(pin_files_have_labels_before_the_first_equals_sign),
        cmocka_unit_test(pin_options_that_make_no_sense_are_usage),
        cmocka_unit_test(nine_pin_files_are_one_too_many),
        cmocka_unit_test(without_options_there_is_no_source),
        cmocka_unit_test(a_failed_parse_leaves_the_options_untouched),
        cmocka_unit_test(the_environment_names_the_directories),
        cmocka_unit_test(only_the_whole_identity_map_is_one),
        cmocka_unit_test(a_user_without_root_is_one_for_all_processes),
        cmocka_unit_test(exit_codes_are_those_of_the_design),
        cmocka_unit_test(the_list_of_frontends_grows_to_its_limit_and_forgets),
        cmocka_unit_test(only_frontends_of_older_keepers_are_killed),
        cmocka_unit_test(a_frontend_that_was_given_up_is_killed_when_its_time_has_come),
        cmocka_unit_test(token_helpers_and_frontends_have_serials_of_their_own),
        cmocka_unit_test(a_child_gets_the_settings_of_modules_where_its_plan_says_so),
        cmocka_unit_test(a_child_gets_the_channel_and_little_else),
        cmocka_unit_test(a_program_that_is_not_there_gives_127),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
