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

#define WORDS_MAX 12u

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
without_options_there_is_no_source(void **state)
{
    const char *const words[] = { NULL };
    struct oxv_supervisor_options o;

    (void)state;
    assert_int_equal(parse(words, &o, NULL), OXV_OK);
    assert_int_equal(o.source, OXV_SOURCE_NONE);
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
the_list_of_frontends_grows_to_its_limit_and_forgets(void **state)
{
    struct oxv_children children = { 0 };

    (void)state;
    for (unsigned i = 0; i < OXV_CHILDREN_MAX; i++) {
        assert_true(oxv_children_reserve(&children));
        oxv_children_add(&children, (pid_t)(i + 1), 1, i);
    }
    assert_false(oxv_children_reserve(&children));
    assert_int_equal(children.count, OXV_CHILDREN_MAX);
    assert_true(oxv_children_remove(&children, 5));
    assert_false(oxv_children_remove(&children, 5));
    assert_true(oxv_children_remove(&children, (pid_t)OXV_CHILDREN_MAX));
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
    oxv_children_add(&children, old, 1, 1);
    assert_true(oxv_children_reserve(&children));
    oxv_children_add(&children, young, 2, 1);
    oxv_children_kill_before(&children, 2);
    assert_int_equal(waitpid(old, &status, 0), old);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(waitpid(young, &status, WNOHANG), 0);
    assert_true(oxv_children_remove(&children, old));
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
    oxv_children_add(&children, others, 1, 7); /* of the keeper before */
    assert_true(oxv_children_reserve(&children));
    oxv_children_add(&children, lost, 2, 7);
    assert_int_equal(oxv_children_next_kill_us(&children), UINT64_MAX);
    oxv_children_give_up(&children, 2, 8, 50); /* there is none */
    assert_int_equal(oxv_children_next_kill_us(&children), UINT64_MAX);
    oxv_children_give_up(&children, 2, 7, 100);
    oxv_children_give_up(&children, 2, 7, 200); /* said again, it gets no more time */
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
        cmocka_unit_test(without_options_there_is_no_source),
        cmocka_unit_test(a_failed_parse_leaves_the_options_untouched),
        cmocka_unit_test(the_environment_names_the_directories),
        cmocka_unit_test(only_the_whole_identity_map_is_one),
        cmocka_unit_test(a_user_without_root_is_one_for_all_processes),
        cmocka_unit_test(exit_codes_are_those_of_the_design),
        cmocka_unit_test(the_list_of_frontends_grows_to_its_limit_and_forgets),
        cmocka_unit_test(only_frontends_of_older_keepers_are_killed),
        cmocka_unit_test(a_frontend_that_was_given_up_is_killed_when_its_time_has_come),
        cmocka_unit_test(a_child_gets_the_channel_and_little_else),
        cmocka_unit_test(a_program_that_is_not_there_gives_127),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
