/* What only a token helper is asked: what a vendor's module does, and what it must not. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/ioprio.h>
#include <linux/sockios.h>

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

/* The kernel signals whoever owns a descriptor: by fcntl() this is tried in attempts.c. */
static long
own_by_fiosetown(const struct oxv_scene *scene)
{
    int owner = scene->parent;

    return ioctl(scene->pair[0], FIOSETOWN, &owner);
}

static long
own_by_siocspgrp(const struct oxv_scene *scene)
{
    int owner = scene->parent;

    return ioctl(scene->pair[0], SIOCSPGRP, &owner);
}

static long
choose_signal(const struct oxv_scene *scene)
{
    return fcntl(scene->pair[0], F_SETSIG, SIGKILL);
}

/* Slowing others down makes their answers late, and who is late is killed. */
static long
slow_parent(const struct oxv_scene *scene)
{
    return setpriority(PRIO_PROCESS, (id_t)scene->parent, 19);
}

static long
slow_user(const struct oxv_scene *scene)
{
    (void)scene;
    return setpriority(PRIO_USER, 0, 19);
}

static long
slow_disk_of_parent(const struct oxv_scene *scene)
{
    return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, scene->parent,
                   IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static long
slow_disk_of_user(const struct oxv_scene *scene)
{
    (void)scene;
    return syscall(SYS_ioprio_set, IOPRIO_WHO_USER, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static long
schedule_parent(const struct oxv_scene *scene)
{
    const struct sched_param parameters = { 0 };

    return sched_setscheduler(scene->parent, SCHED_IDLE, &parameters);
}

static long
set_parameters_of_parent(const struct oxv_scene *scene)
{
    const struct sched_param parameters = { 0 };

    return sched_setparam(scene->parent, &parameters);
}

static long
set_attributes_of_parent(const struct oxv_scene *scene)
{
    return syscall(SYS_sched_setattr, scene->parent, NULL, 0);
}

static long
bind_parent(const struct oxv_scene *scene)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    return sched_setaffinity(scene->parent, sizeof first, &first);
}

/* A module may do so with its own threads. */
static long
slow_own_thread(const struct oxv_scene *scene)
{
    (void)scene;
    return setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0));
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
    TOKEN("own-by-fiosetown", EPERM, own_by_fiosetown),
    TOKEN("own-by-siocspgrp", EPERM, own_by_siocspgrp),
    TOKEN("choose-signal", EPERM, choose_signal),
    TOKEN("slow-parent", EPERM, slow_parent),
    TOKEN("slow-user", EPERM, slow_user),
    TOKEN("slow-disk-of-parent", EPERM, slow_disk_of_parent),
    TOKEN("slow-disk-of-user", EPERM, slow_disk_of_user),
    TOKEN("schedule-parent", EPERM, schedule_parent),
    TOKEN("set-parameters-of-parent", EPERM, set_parameters_of_parent),
    TOKEN("set-attributes-of-parent", EPERM, set_attributes_of_parent),
    TOKEN("bind-parent", EPERM, bind_parent),
    TOKEN("slow-own-thread", WORKS, slow_own_thread),
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
