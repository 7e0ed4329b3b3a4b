/* What only a token helper is asked: what a vendor's module does, and what it must not. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/sandbox/attempts.h"

static long
vfork_itself(const struct oxv_scene *scene)
{
    (void)scene;
    long pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

/* Character device 0:0 is a whiteout, which needs no privilege. */
static long
make_device_file(const struct oxv_scene *scene)
{
    (void)scene;
    return mknod("/tmp/oxv-probe-device", S_IFCHR | 0600, 0);
}

static void *
answer(void *seen)
{
    *(bool *)seen = true;
    return seen;
}

static long
start_thread(const struct oxv_scene *scene)
{
    pthread_t thread;
    bool seen = false;

    (void)scene;
    errno = pthread_create(&thread, NULL, answer, &seen);
    if (errno != 0) {
        return -1;
    }
    errno = pthread_join(thread, NULL);
    return errno == 0 && seen ? 0 : -1;
}

/* As dlopen() does it: a file, with the right to execute it. */
static long
load_code(const struct oxv_scene *scene)
{
    OXV_AUTO(oxv_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    (void)scene;
    if (fd < 0) {
        return -1;
    }
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

    return code == MAP_FAILED ? -1 : munmap(code, 4096);
}

/* A module that keeps files of its own replaces them by renaming. */
static long
move_between_directories(const struct oxv_scene *scene)
{
    char first[] = "/tmp/oxv-probe-XXXXXX";
    char second[] = "/tmp/oxv-probe-XXXXXX";
    char from[64];
    char to[64];

    (void)scene;
    if (mkdtemp(first) == NULL || mkdtemp(second) == NULL ||
        oxv_format(from, sizeof from, "%s/file", first) != OXV_OK ||
        oxv_format(to, sizeof to, "%s/file", second) != OXV_OK) {
        return -1;
    }
    int fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    long moved = fd < 0 || close(fd) != 0 ? -1 : rename(from, to);
    int error = errno;

    (void)unlink(from);
    (void)unlink(to);
    (void)rmdir(first);
    (void)rmdir(second);
    errno = error;
    return moved;
}

#define TOKEN(name_, answer_, run_)                                                                \
    {                                                                                              \
        .name = (name_), .token = OXV_ANSWER_##answer_, .run = (run_)                              \
    }

static const struct oxv_attempt token_attempts[] = {
    TOKEN("vfork-itself", EPERM, vfork_itself),
    TOKEN("make-device-file", LANDLOCK, make_device_file),
    TOKEN("start-thread", WORKS, start_thread),
    TOKEN("load-code", WORKS, load_code),
    TOKEN("move-between-directories", WORKS, move_between_directories),
};

const struct oxv_attempt *
oxv_token_attempts(size_t *count)
{
    *count = sizeof token_attempts / sizeof token_attempts[0];
    return token_attempts;
}
