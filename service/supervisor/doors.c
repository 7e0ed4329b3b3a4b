#include "service/supervisor/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/supervisor/activation.h"

#define BACKLOG             4096
#define PREDECESSOR_WAIT_US 5000000u
#define PREDECESSOR_STEP_NS 20000000L
#define SOCKET_NAME_BYTES   16u
#define VAULT_PUB           "vault.pub"

void
oxv_doors_init(struct oxv_doors *doors)
{
    *doors = (struct oxv_doors){ .run_fd = -1 };
    for (size_t i = 0; i < OXV_DOOR_END; i++) {
        doors->fds[i] = -1;
    }
}

/* False at the end of the patience for a predecessor. */
static bool
wait_a_little(uint64_t deadline_us)
{
    const struct timespec step = { .tv_nsec = PREDECESSOR_STEP_NS };

    if (oxv_clock_boot_us() >= deadline_us) {
        return false;
    }
    (void)nanosleep(&step, NULL);
    return true;
}

static enum oxv_status
check_directory(int fd, const char *run, struct oxv_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot examine %s", run);
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return oxv_fail(err, OXV_E_DENIED, "%s belongs to uid %u: it must be yours or root's", run,
                        (unsigned)st.st_uid);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return oxv_fail(err, OXV_E_DENIED,
                        "others can write to %s (mode %04o), and so replace the doors: run "
                        "chmod go-w on it",
                        run, (unsigned)(st.st_mode & 07777));
    }
    return OXV_OK;
}

static enum oxv_status
open_directory(const char *run, int *out, struct oxv_err *err)
{
    bool made = mkdir(run, 0755) == 0;

    if (!made && errno != EEXIST) {
        return oxv_fail_errno(err, "cannot make %s", run);
    }
    OXV_AUTO(oxv_closep) int fd = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* Whatever the umask: the doors are for everyone, the grants decide. */
    if (fd < 0 || (made && fchmod(fd, 0755) != 0)) {
        return oxv_fail_errno(err, "cannot open the directory %s", run);
    }
    enum oxv_status st = check_directory(fd, run, err);

    if (st == OXV_OK) {
        *out = oxv_fd_take(&fd);
    }
    return st;
}

static enum oxv_status
lock_directory(int fd, const char *run, uint64_t deadline_us, struct oxv_err *err)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return oxv_fail_errno(err, "cannot lock %s", run);
        }
        if (!wait_a_little(deadline_us)) {
            return oxv_fail(err, OXV_E_CONFLICT, "another oxvaultd has its doors in %s", run);
        }
    }
    return OXV_OK;
}

/*
 * With the directory locked no other supervisor lives here, but its keeper may not be dead yet, or
 * the socket is a stranger's: it is removed only when nobody listens.
 */
static enum oxv_status
remove_stale(int run_fd, const char *name, const struct sockaddr_un *address, uint64_t deadline_us,
             struct oxv_err *err)
{
    struct stat st;

    if (fstatat(run_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? OXV_OK : oxv_fail_errno(err, "cannot examine %s", name);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return oxv_fail(err, OXV_E_CONFLICT, "%s is there and is no socket", address->sun_path);
    }
    for (;;) {
        OXV_AUTO(oxv_closep)
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0) {
            return oxv_fail_errno(err, "cannot make a socket");
        }
        if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
            errno == ECONNREFUSED) {
            break;
        }
        if (!wait_a_little(deadline_us)) {
            return oxv_fail(err, OXV_E_CONFLICT, "somebody listens at %s", address->sun_path);
        }
    }
    if (unlinkat(run_fd, name, 0) != 0) {
        return oxv_fail_errno(err, "cannot remove %s", name);
    }
    return OXV_OK;
}

/* sign.sock is for everyone: the grant decides. The other two also ask for a group. */
static enum oxv_status
set_access(int run_fd, const char *name, enum oxv_door door, const struct oxv_identity *identity,
           struct oxv_err *err)
{
    uint64_t gid_plus1 = door == OXV_DOOR_ADMIN   ? identity->admin_gid_plus1
                         : door == OXV_DOOR_AUDIT ? identity->audit_gid_plus1
                                                  : 0;

    if (gid_plus1 != 0 && fchownat(run_fd, name, (uid_t)-1, (gid_t)(gid_plus1 - 1), 0) != 0 &&
        !identity->userns && (errno != EPERM || geteuid() == 0)) {
        /* A user that is not in the group, or has no such group here, keeps the door for itself. */
        return oxv_fail_errno(err, "cannot give %s to its group", name);
    }
    if (fchmodat(run_fd, name, door == OXV_DOOR_SIGN ? 0666 : 0660, 0) != 0) {
        return oxv_fail_errno(err, "cannot set the mode of %s", name);
    }
    return OXV_OK;
}

/* The umask is 077 until the access is set. */
static enum oxv_status
listen_at(const struct sockaddr_un *address, int *out, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot make a socket");
    }
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ||
        listen(fd, BACKLOG) != 0) {
        return oxv_fail_errno(err, "cannot listen at %s", address->sun_path);
    }
    *out = oxv_fd_take(&fd);
    return OXV_OK;
}

static enum oxv_status
make_door(struct oxv_doors *doors, const char *run, enum oxv_door door,
          const struct oxv_identity *identity, struct oxv_err *err)
{
    char name[SOCKET_NAME_BYTES];
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (oxv_format(name, sizeof name, "%s.sock", oxv_door_name(door)) != OXV_OK) {
        oxv_bug("the name of a door is too long");
    }
    if (oxv_format(address.sun_path, sizeof address.sun_path, "%s/%s", run, name) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path %s is too long for a socket (%zu bytes)", run,
                        sizeof address.sun_path - sizeof "/audit.sock");
    }
    enum oxv_status st =
        remove_stale(doors->run_fd, name, &address, oxv_clock_boot_us() + PREDECESSOR_WAIT_US, err);

    if (st == OXV_OK) {
        st = listen_at(&address, &doors->fds[door], err);
        doors->made[door] = st == OXV_OK;
    }
    return st != OXV_OK ? st : set_access(doors->run_fd, name, door, identity, err);
}

enum oxv_status
oxv_doors_open(struct oxv_doors *doors, const char *run, const struct oxv_identity *identity,
               struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    enum oxv_status st = oxv_activation_take(doors->fds, err);

    if (st == OXV_OK) {
        st = open_directory(run, &fd, err);
    }
    if (st == OXV_OK) {
        st = lock_directory(fd, run, oxv_clock_boot_us() + PREDECESSOR_WAIT_US, err);
    }
    if (st == OXV_OK) {
        doors->run_fd = oxv_fd_take(&fd); /* from here on what is in it is ours to remove */
    }
    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END && st == OXV_OK; door++) {
        if (doors->fds[door] < 0) {
            st = make_door(doors, run, door, identity, err);
        }
    }
    return st;
}

enum oxv_status
oxv_doors_publish(const struct oxv_doors *doors, struct oxv_view text, struct oxv_err *err)
{
    return oxv_replace_file_at(doors->run_fd, VAULT_PUB, 0644, text, err);
}

void
oxv_doors_shut(struct oxv_doors *doors)
{
    char name[SOCKET_NAME_BYTES];

    for (enum oxv_door door = OXV_DOOR_SIGN; door < OXV_DOOR_END; door++) {
        oxv_closep(&doors->fds[door]);
        if (doors->made[door] &&
            oxv_format(name, sizeof name, "%s.sock", oxv_door_name(door)) == OXV_OK) {
            (void)unlinkat(doors->run_fd, name, 0); /* a stale one is replaced at the next start */
        }
        doors->made[door] = false;
    }
    if (doors->run_fd >= 0) {
        (void)unlinkat(doors->run_fd, VAULT_PUB, 0); /* the key behind it dies with the keeper */
    }
}

void
oxv_doors_close(struct oxv_doors *doors)
{
    oxv_doors_shut(doors);
    oxv_closep(&doors->run_fd);
}
