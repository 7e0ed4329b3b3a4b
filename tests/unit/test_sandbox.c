#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "service/sandbox/filter.h"
#include "service/sandbox/landlock.h"
#include "service/sandbox/sandbox.h"

#define OUTPUT_MAX_BYTES 16384u

static char output[OUTPUT_MAX_BYTES];

/* A directory in a directory of its own: nothing outside is written even where a probe fails. */
struct place {
    char outside[64];
    char vault[80];
};

static void
make_place(struct place *place)
{
    (void)snprintf(place->outside, sizeof place->outside, "/tmp/oxv-test-sandbox-XXXXXX");
    assert_non_null(mkdtemp(place->outside));
    (void)snprintf(place->vault, sizeof place->vault, "%s/vault", place->outside);
    assert_int_equal(mkdir(place->vault, 0700), 0);
}

static void
remove_place(const struct place *place)
{
    char first[100];

    (void)snprintf(first, sizeof first, "%s/probe-first", place->vault);
    (void)unlink(first); /* is there only after an attempt that ended early */
    assert_int_equal(rmdir(place->vault), 0);
    assert_int_equal(rmdir(place->outside), 0); /* and so nothing was made outside */
}

/* Runs the probe in a child and keeps its text in `output`; returns what waitpid() says. */
static int
probe_in_child(const char *role, const char *dir, const char *only)
{
    int pipe_fds[2];
    int status = 0;
    size_t len = 0;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        FILE *out = fdopen(pipe_fds[1], "w");

        _exit(oxv_sandbox_probe(role, dir, only, out));
    }
    (void)close(pipe_fds[1]);
    assert_int_equal(oxv_read_to_end(pipe_fds[0], output, sizeof output - 1, &len), OXV_OK);
    output[len] = '\0';
    (void)close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
a_keeper_is_shut_in_and_can_work(void **state)
{
    struct place place;

    (void)state;
    if (!oxv_filter_is_enforced()) {
        skip();
    }
    make_place(&place);
    int status = probe_in_child("keeper", place.vault, NULL);

    if (status != 0) {
        print_message("%s", output);
    }
    assert_int_equal(status, 0);
    assert_non_null(strstr(output, "open-passwd: denied (EACCES)\n"));
    assert_non_null(strstr(output, "create-by-old-descriptor: denied (EACCES)\n"));
    assert_non_null(strstr(output, "execute: denied (seccomp)\n"));
    assert_non_null(strstr(output, "accept-peer: works\n"));
    assert_non_null(strstr(output, "keep-files: works\n"));
    assert_null(strstr(output, "ALLOWED"));
    assert_null(strstr(output, "BROKEN"));
    remove_place(&place);
}

static void
a_frontend_is_shut_in_and_can_work(void **state)
{
    (void)state;
    if (!oxv_filter_is_enforced()) {
        skip();
    }
    int status = probe_in_child("frontend", NULL, NULL);

    if (status != 0) {
        print_message("%s", output);
    }
    assert_int_equal(status, 0);
    assert_non_null(strstr(output, "open-passwd: denied (seccomp)\n"));
    assert_non_null(strstr(output, "accept-peer: denied (seccomp)\n"));
    assert_non_null(strstr(output, "pass-descriptor: works\n"));
    assert_null(strstr(output, "ALLOWED"));
    assert_null(strstr(output, "BROKEN"));
}

static void
a_token_helper_may_what_modules_do_and_nothing_to_others(void **state)
{
    (void)state;
    if (!oxv_filter_is_enforced()) {
        skip();
    }
    int status = probe_in_child("token", NULL, NULL);

    if (status != 0) {
        print_message("%s", output);
    }
    assert_int_equal(status, 0);
    assert_non_null(strstr(output, "execute: denied (seccomp)\n"));
    assert_non_null(strstr(output, "fork-itself: denied (seccomp)\n"));
    assert_non_null(strstr(output, "read-parent: denied (seccomp)\n"));
    assert_non_null(strstr(output, "make-device-file: denied (EACCES)\n"));
    assert_non_null(strstr(output, "start-thread: works\n"));
    assert_non_null(strstr(output, "load-code: works\n"));
    assert_non_null(strstr(output, "make-tcp-socket: works\n"));
    assert_null(strstr(output, "open-passwd"));
    assert_null(strstr(output, "ALLOWED"));
    assert_null(strstr(output, "BROKEN"));
}

static void
assert_told(const char *only)
{
    char line[64];

    (void)snprintf(line, sizeof line, "%s: denied (EPERM)\n", only);
    assert_int_equal(probe_in_child("token", NULL, only), 0);
    assert_non_null(strstr(output, line));
}

static void
a_module_is_told_of_what_it_may_try_in_good_faith(void **state)
{
    (void)state;
    if (!oxv_filter_is_enforced()) {
        skip();
    }
    assert_told("execute");
    assert_told("fork-itself");
    assert_told("vfork-itself");
    assert_told("signal-parent");
    assert_told("keyctl");
    assert_told("setuid");
}

static void
assert_killed(const char *role, const char *dir, const char *only)
{
    int status = probe_in_child(role, dir, only);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
    assert_null(strstr(output, only));
}

static void
the_filter_in_use_kills(void **state)
{
    struct place place;

    (void)state;
    if (!oxv_filter_is_enforced()) {
        skip();
    }
    make_place(&place);
    assert_killed("keeper", place.vault, "execute");
    assert_killed("keeper", place.vault, "make-tcp-socket");
    assert_killed("keeper", place.vault, "attach-parent");
    remove_place(&place);
    assert_killed("frontend", NULL, "open-passwd");
    assert_killed("frontend", NULL, "map-code");
    assert_killed("frontend", NULL, "fork-itself");
    assert_killed("token", NULL, "attach-parent");
    assert_killed("token", NULL, "read-parent");
    assert_killed("token", NULL, "become-dumpable");
    assert_killed("token", NULL, "bpf");
    assert_killed("token", NULL, "mount");
#ifdef __x86_64__
    assert_killed("frontend", NULL, "call-by-x32-number");
#endif
}

static void
the_filter_in_use_lets_the_work_pass(void **state)
{
    (void)state;
    if (!oxv_filter_is_enforced()) {
        skip();
    }
    assert_int_equal(probe_in_child("frontend", NULL, "pass-descriptor"), 0);
    assert_non_null(strstr(output, "pass-descriptor: works\n"));
}

static void
a_probe_of_an_unknown_role_or_attempt_is_a_usage_error(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(probe_in_child("supervisor", NULL, NULL)), 2);
    assert_int_equal(WEXITSTATUS(probe_in_child("keeper", NULL, NULL)), 2);
    if (oxv_filter_is_enforced()) {
        assert_int_equal(WEXITSTATUS(probe_in_child("frontend", NULL, "no-such-attempt")), 2);
    }
}

static void
a_probe_is_asked_for_by_the_first_argument(void **state)
{
    char program[] = "oxvault-keeper";
    char option[] = "--sandbox-probe";
    char *yes[] = { program, option, NULL };
    char *no[] = { program, program, option, NULL };

    (void)state;
    assert_true(oxv_sandbox_wants_probe(2, yes));
    assert_false(oxv_sandbox_wants_probe(3, no));
    assert_false(oxv_sandbox_wants_probe(1, yes));
}

static void
a_sandbox_is_complete_only_with_all_its_parts(void **state)
{
    struct oxv_sandbox_report all = {
        .no_new_privs = true, .not_dumpable = true, .seccomp = true, .landlock = true
    };
    struct oxv_sandbox_report less;

    (void)state;
    assert_true(oxv_sandbox_is_complete(&all));
    less = all;
    less.no_new_privs = false;
    assert_false(oxv_sandbox_is_complete(&less));
    less = all;
    less.not_dumpable = false;
    assert_false(oxv_sandbox_is_complete(&less));
    less = all;
    less.seccomp = false;
    assert_false(oxv_sandbox_is_complete(&less));
    less = all;
    less.landlock = false;
    assert_false(oxv_sandbox_is_complete(&less));
}

static void
a_process_is_hardened_and_reports_what_is_missing(void **state)
{
    (void)state;
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct oxv_sandbox_report report;
        int death_signal = 0;
        bool good = oxv_process_harden(NULL) == OXV_OK &&
                    prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL &&
                    oxv_sandbox_frontend(&report, NULL) == OXV_OK && report.no_new_privs;

        good = good && report.landlock == (report.landlock_abi > 0);
        good = good && oxv_sandbox_is_complete(&report) == (report.detail[0] == '\0');
        good = good && report.seccomp == oxv_filter_is_enforced();
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keeper_is_shut_in_and_can_work),
        cmocka_unit_test(a_frontend_is_shut_in_and_can_work),
        cmocka_unit_test(a_token_helper_may_what_modules_do_and_nothing_to_others),
        cmocka_unit_test(a_module_is_told_of_what_it_may_try_in_good_faith),
        cmocka_unit_test(the_filter_in_use_kills),
        cmocka_unit_test(the_filter_in_use_lets_the_work_pass),
        cmocka_unit_test(a_probe_of_an_unknown_role_or_attempt_is_a_usage_error),
        cmocka_unit_test(a_probe_is_asked_for_by_the_first_argument),
        cmocka_unit_test(a_sandbox_is_complete_only_with_all_its_parts),
        cmocka_unit_test(a_process_is_hardened_and_reports_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
