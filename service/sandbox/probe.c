#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "service/sandbox/attempts.h"
#include "service/sandbox/sandbox.h"
#include "service/sandbox/setup.h"

#define EXIT_BROKEN 1
#define EXIT_USAGE  2

struct probe {
    enum oxv_role role;
    const char *only; /* NULL: all, with the filter that gives errors */
    FILE *out;
    struct oxv_scene scene;
    struct oxv_sandbox_report report;
};

bool
oxv_sandbox_wants_probe(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "--sandbox-probe") == 0;
}

/* A listening socket without a file, and a peer that waits at it. */
static bool
open_listener(struct oxv_scene *scene)
{
    struct sockaddr_un any = { .sun_family = AF_UNIX };
    socklen_t len = sizeof any;
    int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    scene->listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Without a path the kernel picks an abstract name. */
    return scene->listener_fd >= 0 && peer >= 0 &&
           bind(scene->listener_fd, (const struct sockaddr *)&any, sizeof any.sun_family) == 0 &&
           listen(scene->listener_fd, 1) == 0 &&
           getsockname(scene->listener_fd, (struct sockaddr *)&any, &len) == 0 &&
           connect(peer, (const struct sockaddr *)&any, len) == 0;
}

/* The descriptors stay open: the process ends with the probe. */
static bool
open_scene(struct probe *probe, const char *dir)
{
    struct oxv_scene *scene = &probe->scene;

    *scene = (struct oxv_scene){ .vault_fd = -1, .outside_fd = -1, .parent = getppid() };
    if (!open_listener(scene) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, scene->pair) != 0) {
        return false;
    }
    if (probe->role != OXV_ROLE_KEEPER) {
        return true;
    }
    scene->vault_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scene->outside_fd = openat(scene->vault_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* What move-out tries to move. */
    int fd = openat(scene->vault_fd, "probe-first", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    return scene->outside_fd >= 0 && fd >= 0;
}

static enum oxv_answer
expected(const struct probe *probe, const struct oxv_attempt *attempt)
{
    switch (probe->role) {
    case OXV_ROLE_KEEPER:
        return attempt->keeper;
    case OXV_ROLE_FRONTEND:
        return attempt->frontend;
    case OXV_ROLE_TOKEN:
        return attempt->token;
    }
    return OXV_ANSWER_NONE;
}

static bool
is_wanted(const struct probe *probe, const struct oxv_attempt *attempt)
{
    return expected(probe, attempt) != OXV_ANSWER_NONE &&
           (probe->only == NULL || strcmp(probe->only, attempt->name) == 0);
}

/* `in_use`: with the filter that is in use, which does not mark its answers. */
static bool
is_right(enum oxv_answer answer, int error, bool in_use)
{
    switch (answer) {
    case OXV_ANSWER_FILTER:
        return error == OXV_FILTER_PROBE_ERRNO;
    case OXV_ANSWER_EPERM:
        return error == (in_use ? EPERM : OXV_FILTER_PROBE_ERRNO);
    case OXV_ANSWER_ENOSYS:
        return error == ENOSYS;
    case OXV_ANSWER_LANDLOCK:
        return error == EACCES || error == EXDEV;
    case OXV_ANSWER_WORKS:
        return error == 0;
    case OXV_ANSWER_NONE:
        break;
    }
    return false;
}

static const char *
error_name(int error)
{
    return error == OXV_FILTER_PROBE_ERRNO ? "seccomp" : strerrorname_np(error);
}

static void
print_answer(const struct probe *probe, const struct oxv_attempt *attempt, int error, bool right)
{
    enum oxv_answer answer = expected(probe, attempt);
    FILE *out = probe->out;

    if (answer == OXV_ANSWER_WORKS && right) {
        (void)fprintf(out, "%s: works\n", attempt->name);
    } else if (answer == OXV_ANSWER_WORKS) {
        (void)fprintf(out, "%s: BROKEN (%s)\n", attempt->name, error_name(error));
    } else if (right) {
        (void)fprintf(out, "%s: denied (%s)\n", attempt->name, error_name(error));
    } else if (error == 0) {
        (void)fprintf(out, "%s: ALLOWED\n", attempt->name);
    } else {
        /* Got past the sandbox and failed for a reason of its own. */
        (void)fprintf(out, "%s: ALLOWED (%s)\n", attempt->name, error_name(error));
    }
}

static bool
try_attempt(const struct probe *probe, const struct oxv_attempt *attempt)
{
    long got;

    errno = 0;
    if (attempt->run != NULL) {
        got = attempt->run(&probe->scene);
    } else {
        got = syscall(attempt->call, -1L, -1L, -1L, -1L, -1L, -1L);
    }
    int error = got < 0 ? errno : 0;
    bool right = is_right(expected(probe, attempt), error, probe->only != NULL);

    print_answer(probe, attempt, error, right);
    return right;
}

static bool
print_state(FILE *out, const char *name, bool is_so)
{
    (void)fprintf(out, "%s: %s\n", name, is_so ? "works" : "BROKEN");
    return is_so;
}

static bool
has_no_capability(void)
{
    bool none = true;

    for (cap_value_t cap = 0; cap < cap_max_bits(); cap++) {
        none = none && cap_get_ambient(cap) != 1;
    }
    cap_t now = cap_get_proc();
    cap_t empty = cap_init();

    none = none && now != NULL && empty != NULL && cap_compare(now, empty) == 0;
    (void)cap_free(now);
    (void)cap_free(empty);
    return none;
}

/* What hardening leaves behind; asked before the filter, which lets few questions pass. */
static bool
print_hardening(FILE *out)
{
    struct rlimit core;
    mode_t mask = umask(077);
    bool right = print_state(out, "no-capability", has_no_capability());

    right &=
        print_state(out, "no-core-file",
                    getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
    right &= print_state(out, "private-umask", mask == 077);
    return right;
}

static bool
print_report(const struct probe *probe)
{
    const struct oxv_sandbox_report *report = &probe->report;
    bool right = print_state(probe->out, "no-new-privs", report->no_new_privs);

    right &= print_state(probe->out, "not-dumpable", report->not_dumpable);
    right &= print_state(probe->out, "seccomp-filter", report->seccomp);
    right &= print_state(probe->out, "landlock-rules", report->landlock);
    return right;
}

/* Returns how many of them were wanted; *right becomes false where one answers otherwise. */
static size_t
run_table(const struct probe *probe, const struct oxv_attempt *attempts, size_t count, bool *right)
{
    size_t tried = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_wanted(probe, &attempts[i])) {
            *right &= try_attempt(probe, &attempts[i]);
            tried++;
        }
    }
    return tried;
}

static int
run_attempts(const struct probe *probe)
{
    static const struct oxv_attempt *(*const tables[])(
        size_t * count) = { oxv_attempts, oxv_token_attempts, oxv_plain_calls };
    bool right = true;
    size_t tried = 0;

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        size_t count;
        const struct oxv_attempt *attempts = tables[i](&count);

        tried += run_table(probe, attempts, count, &right);
    }
    if (tried == 0) {
        return EXIT_USAGE;
    }
    return right ? 0 : EXIT_BROKEN;
}

static int
fail(const struct probe *probe, const char *what, const struct oxv_err *err)
{
    (void)fprintf(probe->out, "%s: BROKEN (%s)\n", what, err->text);
    (void)fflush(probe->out);
    return EXIT_BROKEN;
}

static int
run(struct probe *probe, const char *dir)
{
    struct oxv_err err = { 0 };

    if (oxv_process_harden(&err) != OXV_OK) {
        return fail(probe, "harden", &err);
    }
    bool right = print_hardening(probe->out);

    if (!open_scene(probe, dir)) {
        (void)oxv_fail_errno(&err, "cannot prepare the probe");
        return fail(probe, "prepare", &err);
    }
    if (oxv_sandbox_setup(probe->role, probe->scene.vault_fd, probe->only == NULL, &probe->report,
                          &err) != OXV_OK) {
        return fail(probe, "sandbox", &err);
    }
    right &= print_report(probe);
    (void)fflush(probe->out); /* the next call may be the last */
    int exit_code = run_attempts(probe);

    (void)fflush(probe->out);
    return exit_code == 0 && !right ? EXIT_BROKEN : exit_code;
}

int
oxv_sandbox_probe(const char *role, const char *dir, const char *only, FILE *out)
{
    struct probe probe = { .only = only, .out = out };

    if (!oxv_role_parse(role, &probe.role) ||
        (probe.role == OXV_ROLE_KEEPER && (dir == NULL || dir[0] == '\0'))) {
        return EXIT_USAGE;
    }
    static char buffer[8192]; /* stdio asks no fstat() for a buffer it is given */

    (void)setvbuf(out, buffer, _IOFBF, sizeof buffer);
    return run(&probe, dir);
}
