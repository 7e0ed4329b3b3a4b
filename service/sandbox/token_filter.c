#include "service/sandbox/token_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/ioprio.h>
#include <linux/sockios.h>

#include "service/sandbox/filter.h"

/* A call that is refused, or that is refused where its condition holds. */
struct refused {
    int call;
    unsigned count; /* of conditions: 0 or 1 */
    struct scmp_arg_cmp condition;
};

#define CALL(call_)                                                                                \
    {                                                                                              \
        .call = SCMP_SYS(call_)                                                                    \
    }
#define WHERE(call_, argument_, mask_, value_)                                                     \
    {                                                                                              \
        .call = SCMP_SYS(call_), .count = 1, .condition = {                                        \
            .arg = (argument_),                                                                    \
            .op = SCMP_CMP_MASKED_EQ,                                                              \
            .datum_a = (mask_),                                                                    \
            .datum_b = (value_)                                                                    \
        }                                                                                          \
    }
#define WHERE_IS(call_, argument_, value_) WHERE(call_, argument_, UINT32_MAX, value_)
#define UNLESS_IS(call_, argument_, value_)                                                        \
    {                                                                                              \
        .call = SCMP_SYS(call_), .count = 1, .condition = {                                        \
            .arg = (argument_),                                                                    \
            .op = SCMP_CMP_NE,                                                                     \
            .datum_a = (value_)                                                                    \
        }                                                                                          \
    }

static const struct refused deadly[] = {
    /* other processes */
    CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(process_madvise),
    CALL(process_mrelease), CALL(pidfd_getfd), CALL(pidfd_send_signal), CALL(kcmp),
    CALL(move_pages), CALL(migrate_pages),
    /* what the kernel is made of */
    CALL(bpf), CALL(perf_event_open), CALL(userfaultfd), CALL(io_uring_setup), CALL(io_uring_enter),
    CALL(io_uring_register), CALL(kexec_load), CALL(kexec_file_load), CALL(init_module),
    CALL(finit_module), CALL(delete_module), CALL(iopl), CALL(ioperm), CALL(modify_ldt),
    CALL(lookup_dcookie), CALL(syslog), CALL(vhangup),
    /* the view of files, and ways around it */
    CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot), CALL(move_mount), CALL(open_tree),
    CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(fspick), CALL(mount_setattr), CALL(unshare),
    CALL(setns), CALL(open_by_handle_at), CALL(fanotify_init), CALL(quotactl), CALL(quotactl_fd),
    CALL(acct), CALL(swapon), CALL(swapoff),
    /* the machine */
    CALL(reboot), CALL(settimeofday), CALL(clock_settime), CALL(adjtimex), CALL(clock_adjtime),
    CALL(sethostname), CALL(setdomainname),
    /* what was given up for good */
    WHERE_IS(prctl, 0, PR_SET_DUMPABLE), WHERE_IS(prctl, 0, PR_SET_PTRACER),
    WHERE_IS(prctl, 0, PR_SET_PDEATHSIG), CALL(seccomp), WHERE_IS(prctl, 0, PR_SET_SECCOMP),
    CALL(personality), WHERE_IS(ioctl, 1, TIOCSTI)
};

static const struct refused told[] = {
    /* programs, and copies of this one; a thread is a clone too */
    CALL(execve), CALL(execveat), CALL(fork), CALL(vfork), WHERE(clone, 0, CLONE_THREAD, 0),
    /* signals to others: see refuse_signals() */
    CALL(tkill), WHERE_IS(fcntl, 1, F_SETOWN), WHERE_IS(fcntl, 1, F_SETOWN_EX),
    WHERE_IS(fcntl, 1, F_SETSIG), WHERE_IS(ioctl, 1, FIOSETOWN), WHERE_IS(ioctl, 1, SIOCSPGRP),
    CALL(pidfd_open), UNLESS_IS(prlimit64, 0, 0),
    /* nobody is slowed down: 0 is the calling thread. A group or a user is always more than that */
    UNLESS_IS(setpriority, 0, PRIO_PROCESS), UNLESS_IS(setpriority, 1, 0),
    UNLESS_IS(ioprio_set, 0, IOPRIO_WHO_PROCESS), UNLESS_IS(ioprio_set, 1, 0),
    UNLESS_IS(sched_setscheduler, 0, 0), UNLESS_IS(sched_setparam, 0, 0),
    UNLESS_IS(sched_setattr, 0, 0), UNLESS_IS(sched_setaffinity, 0, 0),
    /* the kernel's key rings are shared by uid */
    CALL(keyctl), CALL(add_key), CALL(request_key),
    /* other users */
    CALL(setuid), CALL(setgid), CALL(setreuid), CALL(setregid), CALL(setresuid), CALL(setresgid),
    CALL(setfsuid), CALL(setfsgid), CALL(setgroups), CALL(capset)
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static uint32_t
action(bool probe, uint32_t in_use)
{
    if (!oxv_filter_is_enforced()) {
        return SCMP_ACT_LOG;
    }
    return probe ? SCMP_ACT_ERRNO(OXV_FILTER_PROBE_ERRNO) : in_use;
}

static int
refuse(scmp_filter_ctx filter, uint32_t how, const struct refused *calls, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count && failed == 0; i++) {
        failed =
            seccomp_rule_add_array(filter, how, calls[i].call, calls[i].count, &calls[i].condition);
    }
    return failed;
}

/* The process id is known now and never changes: nothing can fork. */
static int
refuse_signals(scmp_filter_ctx filter, uint32_t how)
{
    const uint64_t own = (uint64_t)getpid();
    const struct refused to_others[] = { UNLESS_IS(kill, 0, own), UNLESS_IS(tgkill, 0, own),
                                         UNLESS_IS(rt_sigqueueinfo, 0, own),
                                         UNLESS_IS(rt_tgsigqueueinfo, 0, own) };

    return refuse(filter, how, to_others, COUNT_OF(to_others));
}

/*
 * clone3() has its flags in memory, where no filter can look: where it is not there, libc makes its
 * threads by clone().
 */
static int
hide_clone3(scmp_filter_ctx filter)
{
    uint32_t how = oxv_filter_is_enforced() ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_LOG;

    return seccomp_rule_add(filter, how, SCMP_SYS(clone3), 0);
}

static int
fill(scmp_filter_ctx filter, bool probe)
{
    const uint32_t kill_it = action(probe, SCMP_ACT_KILL_PROCESS);
    const uint32_t tell_it = action(probe, SCMP_ACT_ERRNO(EPERM));
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, kill_it);

    /* 2: a binary tree instead of a list. */
    failed = failed != 0 ? failed : seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    failed = failed != 0 ? failed : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    failed = failed != 0 ? failed : refuse(filter, kill_it, deadly, COUNT_OF(deadly));
    failed = failed != 0 ? failed : refuse(filter, tell_it, told, COUNT_OF(told));
    failed = failed != 0 ? failed : refuse_signals(filter, tell_it);
    return failed != 0 ? failed : hide_clone3(filter);
}

enum oxv_status
oxv_token_filter_load(bool probe, struct oxv_err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    return oxv_filter_install(filter, filter == NULL ? 0 : fill(filter, probe), err);
}
