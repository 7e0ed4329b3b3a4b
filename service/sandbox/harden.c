#include <errno.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/sandbox/sandbox.h"

static void
free_caps(cap_t *caps)
{
    if (*caps != NULL) {
        (void)cap_free(*caps); /* fails only for what is no cap_t */
    }
}

/*
 * Without CAP_SETPCAP the bounding set stays as it is: the supervisor emptied it before it gave up
 * root, and no_new_privs makes it meaningless for what follows.
 */
static void
drop_bounding_set(void)
{
    for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
        (void)cap_drop_bound(cap);
    }
}

static enum oxv_status
drop_capabilities(struct oxv_err *err)
{
    __attribute__((cleanup(free_caps))) cap_t none = cap_init();

    drop_bounding_set();
    if (none == NULL || cap_reset_ambient() != 0 || cap_set_proc(none) != 0) {
        return oxv_fail_errno(err, "cannot give up the capabilities");
    }
    return OXV_OK;
}

static void
ignore_signals(void)
{
    static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2 };
    sigset_t none;

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)signal(ignored[i], SIG_IGN); /* fails only for numbers that are no signal */
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* LeakSanitizer works by ptrace, which a process that is not dumpable refuses. */
static int
forbid_dumps(void)
{
#ifdef OXV_SANITIZED
    return 0;
#else
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

enum oxv_status
oxv_process_harden(struct oxv_err *err)
{
    const struct rlimit no_core = { 0, 0 };
    pid_t parent = getppid();

    ignore_signals();
    (void)umask(077);
    enum oxv_status st = drop_capabilities(err);

    if (st != OXV_OK) {
        return st;
    }
    /* After the capabilities: a change of credentials may undo the other two. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0 ||
        forbid_dumps() != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return oxv_fail_errno(err, "cannot harden this process");
    }
    if (getppid() != parent) {
        return oxv_fail(err, OXV_E_DENIED, "the process that started this one is gone");
    }
    return OXV_OK;
}
