#include "service/sandbox/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"

/* Closes what should not have been opened; the result says that it was. */
static long
opened(int fd)
{
    return fd < 0 ? -1 : close(fd);
}

/* ---- files ---- */

static long
open_passwd(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static long
open_root(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static long
open_own_memory(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
}

static long
open_null(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(open("/dev/null", O_RDWR | O_CLOEXEC));
}

static long
create_in_tmp(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

static long
open_above(const struct oxv_scene *scene)
{
    return opened(openat(scene->vault_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static long
create_above(const struct oxv_scene *scene)
{
    return opened(openat(scene->vault_fd, "../probe-outside", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static long
create_by_old_descriptor(const struct oxv_scene *scene)
{
    return opened(openat(scene->outside_fd, "probe-outside", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static long
mkdir_above(const struct oxv_scene *scene)
{
    return mkdirat(scene->vault_fd, "../probe-outside-directory", 0700);
}

static long
move_out(const struct oxv_scene *scene)
{
    return renameat(scene->vault_fd, "probe-first", scene->vault_fd, "../probe-outside");
}

static long
make_socket_file(const struct oxv_scene *scene)
{
    return mknodat(scene->vault_fd, "probe-socket", S_IFSOCK | 0600, 0);
}

static long
make_symlink(const struct oxv_scene *scene)
{
    return symlinkat("/etc/passwd", scene->vault_fd, "probe-link");
}

/* ---- other processes ---- */

static long
signal_parent(const struct oxv_scene *scene)
{
    return kill(scene->parent, 0);
}

static long
signal_group(const struct oxv_scene *scene)
{
    (void)scene;
    return kill(0, 0);
}

static long
signal_all(const struct oxv_scene *scene)
{
    (void)scene;
    return kill(-1, 0);
}

static long
signal_thread_of_parent(const struct oxv_scene *scene)
{
    return syscall(SYS_tgkill, scene->parent, scene->parent, 0);
}

static long
signal_own(const struct oxv_scene *scene)
{
    (void)scene;
    return syscall(SYS_tgkill, getpid(), getpid(), 0);
}

static long
attach_parent(const struct oxv_scene *scene)
{
    return syscall(SYS_ptrace, PTRACE_SEIZE, scene->parent, NULL, NULL);
}

static long
read_parent(const struct oxv_scene *scene)
{
    char byte = 0;
    struct iovec local = { .iov_base = &byte, .iov_len = 1 };

    return process_vm_readv(scene->parent, &local, 1, &local, 1, 0);
}

static long
limit_parent(const struct oxv_scene *scene)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    return prlimit(scene->parent, RLIMIT_CORE, &limit, NULL);
}

static long
fork_itself(const struct oxv_scene *scene)
{
    (void)scene;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

static long
execute(const struct oxv_scene *scene)
{
    char *argv[] = { NULL };

    (void)scene;
    return execve("/nonexistent/program", argv, argv);
}

static long
own_descriptor_signals(const struct oxv_scene *scene)
{
    return fcntl(scene->pair[0], F_SETOWN, scene->parent);
}

/* ---- itself ---- */

static long
become_dumpable(const struct oxv_scene *scene)
{
    (void)scene;
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long
forget_the_parent(const struct oxv_scene *scene)
{
    (void)scene;
    return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

static long
map_code(const struct oxv_scene *scene)
{
    (void)scene;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? -1 : 0;
}

static long
make_page_code(const struct oxv_scene *scene)
{
    static _Alignas(4096) char page[4096];

    (void)scene;
    return mprotect(page, sizeof page, PROT_READ | PROT_EXEC);
}

static long
inject_terminal_input(const struct oxv_scene *scene)
{
    (void)scene;
    return ioctl(STDIN_FILENO, TIOCSTI, "");
}

#ifdef __x86_64__
/* The x32 numbers of the same calls: a filter on numbers alone would let them in. */
static long
call_by_x32_number(const struct oxv_scene *scene)
{
    (void)scene;
    return syscall(0x40000000 | SYS_getpid);
}
#endif

/* ---- sockets ---- */

static long
make_tcp_socket(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static long
make_unix_socket(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static long
make_netlink_socket(const struct oxv_scene *scene)
{
    (void)scene;
    return opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static long
make_socket_pair(const struct oxv_scene *scene)
{
    int fds[2] = { -1, -1 };

    (void)scene;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
}

static long
send_to_another(const struct oxv_scene *scene)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/notify" };

    return sendto(scene->pair[0], "x", 1, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to);
}

static long
attach_filter(const struct oxv_scene *scene)
{
    struct sock_filter accept_all = { .code = BPF_RET | BPF_K, .k = UINT32_MAX };
    struct sock_fprog program = { .len = 1, .filter = &accept_all };

    return setsockopt(scene->pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* An option of another level that has the number of one that is asked for. */
static long
ask_another_level(const struct oxv_scene *scene)
{
    int value;
    socklen_t len = sizeof value;

    return getsockopt(scene->pair[0], IPPROTO_IP, SO_PEERCRED, &value, &len);
}

static long
ask_another_option(const struct oxv_scene *scene)
{
    int value;
    socklen_t len = sizeof value;

    return getsockopt(scene->pair[0], SOL_SOCKET, SO_TYPE, &value, &len);
}

static long
set_buffer(const struct oxv_scene *scene)
{
    int size = 65536;

    return setsockopt(scene->pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

#ifndef OXV_TEST_HOOKS /* a hook ends the process by it */
static long
kill_itself(const struct oxv_scene *scene)
{
    (void)scene;
    return kill(getpid(), 0);
}
#endif

static long
accept_peer(const struct oxv_scene *scene)
{
    OXV_AUTO(oxv_closep) int fd = accept4(scene->listener_fd, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer;
    socklen_t len = sizeof peer;

    return fd < 0 ? -1 : getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
}

/* ---- what the roles live on ---- */

/* Sends a descriptor to itself and receives it, as keeper and frontend do all day. */
static long
pass_descriptor(const struct oxv_scene *scene)
{
    char byte = 'x';
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &scene->pair[0], sizeof(int));
    if (sendmsg(scene->pair[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) {
        return -1;
    }
    message.msg_controllen = sizeof control;
    return recvmsg(scene->pair[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 1 ? 0 : -1;
}

static long
wait_for_events(const struct oxv_scene *scene)
{
    OXV_AUTO(oxv_closep) int fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };

    if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, scene->pair[0], &event) != 0) {
        return -1;
    }
    return epoll_wait(fd, &event, 1, 0);
}

static long
use_memory(const struct oxv_scene *scene)
{
    const size_t len = (size_t)1 << 20;
    void *pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)scene;
    if (pages == MAP_FAILED) {
        return -1;
    }
    void *more = mremap(pages, len, 2 * len, MREMAP_MAYMOVE);

    return more == MAP_FAILED ? -1 : munmap(more, 2 * len);
}

static long
lock_memory(const struct oxv_scene *scene)
{
    static _Alignas(4096) char page[4096];

    (void)scene;
    if (mprotect(page, sizeof page, PROT_NONE) != 0 ||
        mprotect(page, sizeof page, PROT_READ | PROT_WRITE) != 0 || mlock(page, sizeof page) != 0) {
        return -1;
    }
    return munlock(page, sizeof page);
}

/* Makes, locks, writes, cuts, syncs, renames and removes, as the vault does. */
static long
keep_files(const struct oxv_scene *scene)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int dir = scene->vault_fd;
    OXV_AUTO(oxv_closep)
    int fd = openat(dir, "probe-first", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0 || pwrite(fd, "x", 1, 0) != 1 ||
        ftruncate(fd, 4096) != 0 || fdatasync(fd) != 0) {
        return -1;
    }
    if (mkdirat(dir, "probe-dir", 0700) != 0 ||
        renameat(dir, "probe-first", dir, "probe-dir/second") != 0 ||
        unlinkat(dir, "probe-dir/second", 0) != 0 ||
        unlinkat(dir, "probe-dir", AT_REMOVEDIR) != 0) {
        return -1;
    }
    return fsync(dir);
}

/* A third answer: the token helper's. */
#define EACH(name_, answer_, token_, run_)                                                         \
    {                                                                                              \
        .name = (name_), .keeper = OXV_ANSWER_##answer_, .frontend = OXV_ANSWER_##answer_,         \
        .token = OXV_ANSWER_##token_, .run = (run_)                                                \
    }
#define BOTH(name_, answer_, run_) EACH(name_, answer_, NONE, run_)
/* A file: Landlock stops the keeper, a frontend has no call for it. */
#define OUTSIDE(name_, run_)                                                                       \
    {                                                                                              \
        .name = (name_), .keeper = OXV_ANSWER_LANDLOCK, .frontend = OXV_ANSWER_FILTER,             \
        .run = (run_)                                                                              \
    }
#define KEEPER(name_, answer_, run_)                                                               \
    {                                                                                              \
        .name = (name_), .keeper = OXV_ANSWER_##answer_, .run = (run_)                             \
    }

static const struct oxv_attempt attempts[] = {
    OUTSIDE("open-passwd", open_passwd),
    OUTSIDE("open-root", open_root),
    OUTSIDE("open-own-memory", open_own_memory),
    OUTSIDE("open-dev-null", open_null),
    OUTSIDE("create-in-tmp", create_in_tmp),
    KEEPER("open-above", LANDLOCK, open_above),
    KEEPER("create-above", LANDLOCK, create_above),
    KEEPER("create-by-old-descriptor", LANDLOCK, create_by_old_descriptor),
    KEEPER("mkdir-above", LANDLOCK, mkdir_above),
    KEEPER("move-out", LANDLOCK, move_out),
    KEEPER("make-socket-file", FILTER, make_socket_file),
    KEEPER("make-symlink", FILTER, make_symlink),
    EACH("signal-parent", FILTER, EPERM, signal_parent),
    EACH("signal-group", FILTER, EPERM, signal_group),
    EACH("signal-all", FILTER, EPERM, signal_all),
    EACH("signal-thread-of-parent", FILTER, EPERM, signal_thread_of_parent),
    EACH("attach-parent", FILTER, FILTER, attach_parent),
    EACH("read-parent", FILTER, FILTER, read_parent),
    EACH("limit-parent", FILTER, EPERM, limit_parent),
    EACH("fork-itself", FILTER, EPERM, fork_itself),
    EACH("execute", FILTER, EPERM, execute),
    EACH("own-descriptor-signals", FILTER, EPERM, own_descriptor_signals),
    EACH("become-dumpable", FILTER, FILTER, become_dumpable),
    EACH("forget-the-parent", FILTER, FILTER, forget_the_parent),
    EACH("map-code", FILTER, WORKS, map_code),
    EACH("make-page-code", FILTER, WORKS, make_page_code),
    EACH("inject-terminal-input", FILTER, FILTER, inject_terminal_input),
#ifdef __x86_64__
    EACH("call-by-x32-number", FILTER, FILTER, call_by_x32_number),
#endif
    EACH("make-tcp-socket", FILTER, WORKS, make_tcp_socket),
    EACH("make-unix-socket", FILTER, WORKS, make_unix_socket),
    BOTH("make-netlink-socket", FILTER, make_netlink_socket),
    BOTH("make-socket-pair", FILTER, make_socket_pair),
    BOTH("send-to-another", FILTER, send_to_another),
    BOTH("attach-filter", FILTER, attach_filter),
    BOTH("ask-another-level", FILTER, ask_another_level),
    BOTH("ask-another-option", FILTER, ask_another_option),
    BOTH("set-buffer", FILTER, set_buffer),
#ifndef OXV_TEST_HOOKS
    BOTH("kill-itself", FILTER, kill_itself),
#endif
    { .name = "accept-peer",
      .keeper = OXV_ANSWER_WORKS,
      .frontend = OXV_ANSWER_FILTER,
      .run = accept_peer },

    EACH("pass-descriptor", WORKS, WORKS, pass_descriptor),
    EACH("wait-for-events", WORKS, WORKS, wait_for_events),
    EACH("use-memory", WORKS, WORKS, use_memory),
    EACH("signal-own", WORKS, WORKS, signal_own),
    KEEPER("lock-memory", WORKS, lock_memory),
    KEEPER("keep-files", WORKS, keep_files),
};

const struct oxv_attempt *
oxv_attempts(size_t *count)
{
    *count = sizeof attempts / sizeof attempts[0];
    return attempts;
}
