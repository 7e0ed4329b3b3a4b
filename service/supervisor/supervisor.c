#include "service/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/supervisor/keeper_link.h"
#include "service/supervisor/notify.h"
#include "service/supervisor/source.h"

#define STOP_WAIT_US   10000000u
#define START_RETRY_US 5000000u
#define EVENTS_MAX     4

int
oxv_supervisor_exit_code(enum oxv_status status)
{
    switch (status) {
    case OXV_OK:
        return 0;
    case OXV_E_USAGE:
        return 2;
    case OXV_E_DENIED:
        return 3;
    case OXV_E_LOCKED:
        return 4;
    case OXV_E_NOT_FOUND:
        return 5;
    case OXV_E_FORGED:
        return 6;
    case OXV_E_TOKEN:
        return 7;
    case OXV_E_FORMAT:
    case OXV_E_CONFLICT:
    case OXV_E_LIMIT:
    case OXV_E_BUSY:
    case OXV_E_IO:
    case OXV_E_STORE:
    case OXV_E_MEMORY:
    case OXV_E_INTERNAL:
        break;
    }
    return 1;
}

/* ---- opening ---- */

/* PREFIX/sbin/oxvaultd finds PREFIX/libexec/oxvault, wherever PREFIX is. */
static enum oxv_status
find_libexec(char *out, size_t out_size, struct oxv_err *err)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (len < 0) {
        return oxv_fail_errno(err, "cannot find out where this program is");
    }
    self[len] = '\0';
    char *name = strrchr(self, '/');

    if (name == NULL) {
        return oxv_fail(err, OXV_E_INTERNAL, "cannot find out where this program is");
    }
    *name = '\0';
    if (oxv_format(out, out_size, "%s/../libexec/oxvault", self) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path of this program is too long");
    }
    return OXV_OK;
}

static enum oxv_status
find_program(const char *dir, const char *name, char out[PATH_MAX], struct oxv_err *err)
{
    struct stat st;

    if (oxv_format(out, PATH_MAX, "%s/%s", dir, name) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path of %s is too long", name);
    }
    if (stat(out, &st) != 0) {
        return oxv_fail_errno(err, "%s is missing (--libexec says where it is)", out);
    }
    return OXV_OK;
}

static enum oxv_status
find_programs(struct oxv_supervisor *s, struct oxv_err *err)
{
    char beside[PATH_MAX];
    const char *dir = s->options->libexec;
    enum oxv_status st = OXV_OK;

    if (dir == NULL) {
        st = find_libexec(beside, sizeof beside, err);
        dir = beside;
    }
    if (st == OXV_OK) {
        st = find_program(dir, "oxvault-keeper", s->keeper_path, err);
    }
    if (st == OXV_OK) {
        st = find_program(dir, "oxvault-frontend", s->frontend_path, err);
    }
    /* Whoever uses no token needs no token helper. */
    if (st == OXV_OK && oxv_format(s->helper_path, PATH_MAX, "%s/oxvault-token", dir) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path of oxvault-token is too long");
    }
    return st;
}

/* The one mistake that is worth a better word than the keeper could give; it says all others. */
static enum oxv_status
check_vault(const char *dir, struct oxv_err *err)
{
    struct stat st;

    if (stat(dir, &st) != 0 && errno == ENOENT) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no vault at %s: oxvault init makes one",
                        dir);
    }
    return OXV_OK;
}

/* From here on signals arrive as events only; children get their own mask. */
static enum oxv_status
open_events(struct oxv_supervisor *s, struct oxv_err *err)
{
    sigset_t taken;
    struct epoll_event event = { .events = EPOLLIN };

    (void)sigemptyset(&taken);
    (void)sigaddset(&taken, SIGTERM);
    (void)sigaddset(&taken, SIGINT);
    (void)sigaddset(&taken, SIGHUP);
    (void)sigaddset(&taken, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* whoever started us may have ignored it */
    if (sigprocmask(SIG_BLOCK, &taken, NULL) != 0) {
        return oxv_fail_errno(err, "cannot block signals");
    }
    s->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = s->signal_fd;
    if (s->signal_fd < 0 || s->epoll_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &event) != 0) {
        return oxv_fail_errno(err, "cannot watch for signals");
    }
    return OXV_OK;
}

enum oxv_status
oxv_supervisor_open(struct oxv_supervisor *s, const struct oxv_supervisor_options *options,
                    struct oxv_err *err)
{
    *s = (struct oxv_supervisor){ .options = options, .epoll_fd = -1, .signal_fd = -1 };
    oxv_doors_init(&s->doors);
    (void)umask(077);
    enum oxv_status st =
        oxv_identity_find(options->users_none, options->userns_allowed, &s->identity, err);

    if (st == OXV_OK) {
        st = check_vault(options->dir, err);
    }
    if (st == OXV_OK) {
        st = find_programs(s, err);
    }
    if (st == OXV_OK) {
        st = open_events(s, err);
    }
    if (st == OXV_OK) {
        st = oxv_doors_open(&s->doors, options->run, &s->identity, err);
    }
    return st != OXV_OK ? st : oxv_identity_harden(&s->identity, err);
}

void
oxv_supervisor_close(struct oxv_supervisor *s)
{
    if (s->options == NULL) {
        return;
    }
    oxv_source_restore_terminal();
    oxv_channel_free(s->control);
    s->control = NULL;
    oxv_doors_close(&s->doors);
    oxv_children_done(&s->children);
    oxv_closep(&s->signal_fd);
    oxv_closep(&s->epoll_fd);
}

/* ---- running ---- */

void
oxv_supervisor_stop(struct oxv_supervisor *s, int exit_code)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    s->exit_code = exit_code;
    s->start_keeper_us = 0;
    oxv_notify("STOPPING=1");
    oxv_doors_shut(&s->doors);
    if (s->keeper_pid > 0) {
        uint64_t now_us = oxv_clock_boot_us();
        bool asks = !s->was_ready && s->options->source == OXV_SOURCE_TERMINAL;

        /* At the terminal it waits for a person who has just given up. */
        s->kill_keeper_us = asks ? now_us : now_us + STOP_WAIT_US;
        oxv_keeper_link_stop(s);
    }
}

static void
reap(struct oxv_supervisor *s)
{
    struct oxv_child child;
    int wait_status;
    pid_t pid;

    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        if (pid == s->keeper_pid) {
            oxv_keeper_link_ended(s, wait_status);
        } else if (oxv_children_remove(&s->children, pid, &child) && WIFSIGNALED(wait_status) &&
                   WTERMSIG(wait_status) != SIGKILL) {
            oxv_say("a %s was ended by signal %d (%s)", oxv_child_role_name(child.role),
                    WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
        }
    }
}

static void
take_signals(struct oxv_supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(s);
            break;
        case SIGTERM:
        case SIGINT:
            oxv_supervisor_stop(s, 0);
            break;
        default: /* SIGHUP: there is nothing to reread */
            break;
        }
    }
}

static bool
is_due(uint64_t *deadline_us, uint64_t now_us)
{
    if (*deadline_us == 0 || *deadline_us > now_us) {
        return false;
    }
    *deadline_us = 0;
    return true;
}

static void
start_keeper(struct oxv_supervisor *s)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_keeper_link_start(s, &err);

    if (st == OXV_OK) {
        return;
    }
    oxv_say("%s", err.text);
    if (!s->was_ready) {
        oxv_supervisor_stop(s, oxv_supervisor_exit_code(st));
    } else if (s->keeper_pid == 0) {
        s->start_keeper_us = oxv_clock_boot_us() + START_RETRY_US; /* else it is reaped first */
    }
}

static void
meet_deadlines(struct oxv_supervisor *s)
{
    uint64_t now_us = oxv_clock_boot_us();

    if (is_due(&s->start_keeper_us, now_us) && !s->stopping) {
        start_keeper(s);
    }
    if (is_due(&s->kill_keeper_us, now_us) && s->keeper_pid > 0) {
        if (s->stopping && s->was_ready) {
            oxv_say("the keeper does not end: it is killed");
        }
        (void)kill(s->keeper_pid, SIGKILL); /* not yet reaped: the id is still its */
    }
    if (oxv_children_kill_due(&s->children, now_us) > 0) {
        oxv_say("a frontend that the keeper gave up does not end: it is killed");
    }
    if (is_due(&s->kill_frontends_us, now_us)) {
        oxv_children_kill_before(&s->children,
                                 s->keeper_pid > 0 ? s->keeper_number : s->keeper_number + 1);
    }
}

/* Milliseconds, rounded up; -1: no deadline is set. */
static int
time_left_ms(const struct oxv_supervisor *s)
{
    const uint64_t deadlines[] = { s->start_keeper_us, s->kill_keeper_us, s->kill_frontends_us };
    uint64_t now_us = oxv_clock_boot_us();
    uint64_t nearest_us = oxv_children_next_kill_us(&s->children);

    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
        if (deadlines[i] != 0 && deadlines[i] < nearest_us) {
            nearest_us = deadlines[i];
        }
    }
    if (nearest_us == UINT64_MAX) {
        return -1;
    }
    return nearest_us <= now_us ? 0 : (int)((nearest_us - now_us + 999) / 1000);
}

static bool
is_finished(const struct oxv_supervisor *s)
{
    return s->stopping && s->keeper_pid == 0 && s->children.count == 0;
}

int
oxv_supervisor_run(struct oxv_supervisor *s)
{
    start_keeper(s);
    while (!is_finished(s)) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(s->epoll_fd, events, EVENTS_MAX, time_left_ms(s));

        if (count < 0 && errno != EINTR) {
            oxv_say("cannot wait: %s", strerror(errno));
            return 1; /* the children die with this process */
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == s->signal_fd) {
                take_signals(s);
            }
        }
        meet_deadlines(s);
        oxv_keeper_link_serve(s);
    }
    return s->exit_code;
}
