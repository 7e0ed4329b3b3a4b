#include "service/sandbox/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* (argument & mask) == value */
struct condition {
    unsigned argument;
    uint64_t mask;
    uint64_t value;
};

#define CONDITIONS_MAX 2u

/* A call that is allowed where all its conditions hold. */
struct rule {
    int call;
    unsigned count;
    struct condition conditions[CONDITIONS_MAX];
};

#define ONE(call_, argument_, mask_, value_)                                                       \
    {                                                                                              \
        .call = SCMP_SYS(call_), .count = 1, .conditions = { { (argument_), (mask_), (value_) } }  \
    }
#define IS(call_, argument_, value_)   ONE(call_, argument_, UINT32_MAX, value_)
#define LACKS(call_, argument_, mask_) ONE(call_, argument_, mask_, 0)
#define IS_NULL(call_, argument_)      ONE(call_, argument_, UINT64_MAX, 0)
/* A question about a socket as such: another level's option can have the same number. */
#define ASKS_SOCKET(option_)                                                                       \
    {                                                                                              \
        .call = SCMP_SYS(getsockopt), .count = 2, .conditions = {                                  \
            { 1, UINT32_MAX, SOL_SOCKET },                                                         \
            { 2, UINT32_MAX, (option_) }                                                           \
        }                                                                                          \
    }

/*
 * What strace saw of both programs in all integration tests, and little more: the second name of a
 * call that libc makes elsewhere (epoll_pwait for epoll_wait), and the last words of abort().
 */
static const int both_calls[] = { SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(pread64),
                                  SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(epoll_create1),
                                  SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
                                  SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
                                  SCMP_SYS(clock_gettime), SCMP_SYS(getpid), SCMP_SYS(exit_group),
                                  /* abort() and the checks of malloc() */
                                  SCMP_SYS(writev), SCMP_SYS(gettid), SCMP_SYS(rt_sigprocmask) };

static const int frontend_calls[] = { SCMP_SYS(recvfrom), SCMP_SYS(shutdown) };

static const int keeper_calls[] = {
    SCMP_SYS(accept4), SCMP_SYS(sched_yield),
    /* files: where is Landlock's business */
    SCMP_SYS(openat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(read), SCMP_SYS(lseek), SCMP_SYS(pwrite64),
    SCMP_SYS(fdatasync), SCMP_SYS(fsync), SCMP_SYS(ftruncate), SCMP_SYS(fchmod), SCMP_SYS(fchown),
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(mkdirat),
    /* realpath() of a relative path */
    SCMP_SYS(getcwd),
    /* SQLite asks for these of a journal that a crash left */
    SCMP_SYS(access), SCMP_SYS(faccessat),
    /* waiting: for the supervisor, a predecessor's lock, or after SIGCONT */
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
    /* memory for keys */
    SCMP_SYS(memfd_secret), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(madvise),
    /* chance, time where the vDSO has none, and SQLite's fchown() as root */
    SCMP_SYS(getrandom), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(geteuid)
};

static const struct rule both_rules[] = {
    /* no new code */
    LACKS(mmap, 2, PROT_EXEC),
    /* F_SETOWN would aim signals at others */
    IS(fcntl, 1, F_GETFL), IS(fcntl, 1, F_SETFL),
    /* questions only */
    IS(prctl, 0, PR_GET_DUMPABLE), IS(prctl, 0, PR_GET_NO_NEW_PRIVS), IS(prctl, 0, PR_GET_SECCOMP)
};

static const struct rule keeper_rules[] = {
    LACKS(mprotect, 2, PROT_EXEC),
    /* only to a connected peer */
    IS_NULL(sendto, 4),
    /* who the peer is */
    ASKS_SOCKET(SO_PEERCRED), ASKS_SOCKET(SO_PEERGROUPS),
    /* the locks of the vault and of SQLite */
    IS(fcntl, 1, F_SETLK), IS(fcntl, 1, F_GETLK), IS(fcntl, 1, F_OFD_SETLK),
    IS(fcntl, 1, F_OFD_GETLK), IS(fcntl, 1, F_GETFD), IS(fcntl, 1, F_SETFD),
    IS(fcntl, 1, F_DUPFD_CLOEXEC),
    /* a passphrase typed at the terminal */
    IS(ioctl, 1, TCGETS), IS(ioctl, 1, TCSETSF),
    /* pthread_once() wakes whoever waits; with one thread nobody does */
    IS(futex, 1, FUTEX_WAKE_PRIVATE), IS_NULL(prlimit64, 2)
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

bool
oxv_role_parse(const char *name, enum oxv_role *out)
{
    if (strcmp(name, "keeper") == 0) {
        *out = OXV_ROLE_KEEPER;
        return true;
    }
    if (strcmp(name, "frontend") == 0) {
        *out = OXV_ROLE_FRONTEND;
        return true;
    }
    if (strcmp(name, "token") == 0) {
        *out = OXV_ROLE_TOKEN;
        return true;
    }
    return false;
}

bool
oxv_filter_is_supported(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

bool
oxv_filter_is_enforced(void)
{
#ifdef OXV_SANITIZED
    return false;
#else
    return true;
#endif
}

static uint32_t
refusal(bool probe)
{
    if (!oxv_filter_is_enforced()) {
        return SCMP_ACT_LOG;
    }
    return probe ? SCMP_ACT_ERRNO(OXV_FILTER_PROBE_ERRNO) : SCMP_ACT_KILL_PROCESS;
}

static int
allow_calls(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count && failed == 0; i++) {
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    }
    return failed;
}

static int
allow_rules(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count && failed == 0; i++) {
        struct scmp_arg_cmp all[CONDITIONS_MAX];

        for (unsigned k = 0; k < rules[i].count; k++) {
            const struct condition *c = &rules[i].conditions[k];

            all[k] = SCMP_CMP64(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value);
        }
        failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].count, all);
    }
    return failed;
}

/* Signals only to itself; the process id is known now and never changes: nothing can fork. */
static int
allow_own_signals(scmp_filter_ctx filter)
{
    const struct rule own[] = {
        IS(tgkill, 0, (uint64_t)getpid()),
#ifdef OXV_TEST_HOOKS
        IS(kill, 0, (uint64_t)getpid()), /* how a hook ends the process */
#endif
    };

    return allow_rules(filter, own, COUNT_OF(own));
}

static int
allow_role(scmp_filter_ctx filter, enum oxv_role role)
{
    if (role == OXV_ROLE_FRONTEND) {
        return allow_calls(filter, frontend_calls, COUNT_OF(frontend_calls));
    }
    int failed = allow_calls(filter, keeper_calls, COUNT_OF(keeper_calls));

    return failed != 0 ? failed : allow_rules(filter, keeper_rules, COUNT_OF(keeper_rules));
}

static int
fill(scmp_filter_ctx filter, enum oxv_role role, bool probe)
{
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, refusal(probe));

    /* 2: a binary tree instead of a list. */
    failed = failed != 0 ? failed : seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    failed = failed != 0 ? failed : allow_calls(filter, both_calls, COUNT_OF(both_calls));
    failed = failed != 0 ? failed : allow_rules(filter, both_rules, COUNT_OF(both_rules));
    failed = failed != 0 ? failed : allow_own_signals(filter);
    return failed != 0 ? failed : allow_role(filter, role);
}

enum oxv_status
oxv_filter_install(void *filter, int failed, struct oxv_err *err)
{
    if (filter == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "seccomp: no memory");
    }
    failed = failed != 0 ? failed : seccomp_load(filter);
    seccomp_release(filter);
    if (failed != 0) {
        errno = -failed;
        return oxv_fail_errno(err, "cannot load the seccomp filter");
    }
    return OXV_OK;
}

enum oxv_status
oxv_filter_load(enum oxv_role role, bool probe, struct oxv_err *err)
{
    scmp_filter_ctx filter = seccomp_init(refusal(probe));

    return oxv_filter_install(filter, filter == NULL ? 0 : fill(filter, role, probe), err);
}
