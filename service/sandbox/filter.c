#include "service/sandbox/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One condition on one argument: (argument & mask) == value. */
struct rule {
    int call;
    unsigned argument;
    uint64_t mask;
    uint64_t value;
};

#define IS(call_, argument_, value_)                                                               \
    {                                                                                              \
        .call = SCMP_SYS(call_), .argument = (argument_), .mask = UINT32_MAX, .value = (value_)    \
    }
#define LACKS(call_, argument_, mask_)                                                             \
    {                                                                                              \
        .call = SCMP_SYS(call_), .argument = (argument_), .mask = (mask_), .value = 0              \
    }
#define IS_NULL(call_, argument_)                                                                  \
    {                                                                                              \
        .call = SCMP_SYS(call_), .argument = (argument_), .mask = UINT64_MAX, .value = 0           \
    }

static const int both_calls[] = {
    /* descriptors that are there already */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(lseek), SCMP_SYS(fstat),
    SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    /* waiting */
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    /* time, chance, and what it is itself */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrlimit), SCMP_SYS(uname),
    SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu),
    /* signals to itself, and the end */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(exit), SCMP_SYS(exit_group)
};

static const int keeper_calls[] = {
    SCMP_SYS(accept4),
    /* files: where is Landlock's business */
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents64),
    SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(preadv), SCMP_SYS(fdatasync), SCMP_SYS(fsync),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(fchmod),
    SCMP_SYS(fchown), SCMP_SYS(fstatfs), SCMP_SYS(flock), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat), SCMP_SYS(umask),
    /* memory for keys */
    SCMP_SYS(memfd_secret), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
    SCMP_SYS(getgroups)
};

static const struct rule both_rules[] = {
    /* no new code */
    LACKS(mmap, 2, PROT_EXEC), LACKS(mprotect, 2, PROT_EXEC),
    /* only to a connected peer */
    IS_NULL(sendto, 4),
    /* F_SETOWN would aim signals at others */
    IS(fcntl, 1, F_GETFD), IS(fcntl, 1, F_SETFD), IS(fcntl, 1, F_GETFL), IS(fcntl, 1, F_SETFL),
    IS(fcntl, 1, F_DUPFD_CLOEXEC), IS(ioctl, 1, FIONREAD), IS(ioctl, 1, FIONBIO),
    IS(ioctl, 1, TCGETS),
    /* questions only */
    IS(prctl, 0, PR_GET_DUMPABLE), IS(prctl, 0, PR_GET_NO_NEW_PRIVS), IS(prctl, 0, PR_GET_SECCOMP),
    IS(prctl, 0, PR_CAPBSET_READ), IS_NULL(prlimit64, 2),
    /* buffers of a socket */
    IS(setsockopt, 2, SO_SNDBUF), IS(setsockopt, 2, SO_RCVBUF)
};

static const struct rule keeper_rules[] = { IS(fcntl, 1, F_SETLK), IS(fcntl, 1, F_SETLKW),
                                            IS(fcntl, 1, F_GETLK), IS(fcntl, 1, F_OFD_SETLK),
                                            IS(fcntl, 1, F_OFD_SETLKW), IS(fcntl, 1, F_OFD_GETLK),
                                            /* a passphrase typed at the terminal */
                                            IS(ioctl, 1, TCSETS), IS(ioctl, 1, TCSETSW),
                                            IS(ioctl, 1, TCSETSF) };

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
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rules[i].call, 1,
                                  SCMP_CMP64(rules[i].argument, SCMP_CMP_MASKED_EQ, rules[i].mask,
                                             rules[i].value));
    }
    return failed;
}

/* Signals only to itself; the process id is known now and never changes: nothing can fork. */
static int
allow_own_signals(scmp_filter_ctx filter)
{
    const struct rule own[] = { IS(kill, 0, (uint64_t)getpid()),
                                IS(tgkill, 0, (uint64_t)getpid()) };

    return allow_rules(filter, own, COUNT_OF(own));
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
    if (role == OXV_ROLE_KEEPER) {
        failed = failed != 0 ? failed : allow_calls(filter, keeper_calls, COUNT_OF(keeper_calls));
        failed = failed != 0 ? failed : allow_rules(filter, keeper_rules, COUNT_OF(keeper_rules));
    }
    return failed;
}

enum oxv_status
oxv_filter_load(enum oxv_role role, bool probe, struct oxv_err *err)
{
    scmp_filter_ctx filter = seccomp_init(refusal(probe));

    if (filter == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "seccomp: no memory");
    }
    int failed = fill(filter, role, probe);

    failed = failed != 0 ? failed : seccomp_load(filter);
    seccomp_release(filter);
    if (failed != 0) {
        errno = -failed;
        return oxv_fail_errno(err, "cannot load the seccomp filter");
    }
    return OXV_OK;
}
