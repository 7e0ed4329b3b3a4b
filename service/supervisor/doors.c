#include "service/supervisor/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
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
#define LOCK                "lock"

void
oxv_doors_init(struct oxv_doors *doors)
{
    *doors = (struct oxv_doors){ .run_fd = -1, .lock_fd = -1 };
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

/* A path that ends in a slash would follow a symbolic link, whatever the flags. */
static enum oxv_status
copy_without_slash(const char *run, char out[PATH_MAX], struct oxv_err *err)
{
    if (oxv_format(out, PATH_MAX, "%s", run) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path of the run directory is too long");
    }
    for (size_t len = strlen(out); len > 1 && out[len - 1] == '/'; len--) {
        out[len - 1] = '\0';
    }
    return OXV_OK;
}

static enum oxv_status
fail_to_open_directory(const char *path, struct oxv_err *err)
{
    int error = errno;
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return oxv_fail(err, OXV_E_DENIED,
                        "%s is a symbolic link, which could lead elsewhere tomorrow: name the "
                        "directory itself",
                        path);
    }
    errno = error;
    return oxv_fail_errno(err, "cannot open the directory %s", path);
}

static enum oxv_status
open_directory(const char *run, int *out, struct oxv_err *err)
{
    char path[PATH_MAX];
    enum oxv_status st = copy_without_slash(run, path, err);

    if (st != OXV_OK) {
        return st;
    }
    bool made = mkdir(path, 0755) == 0;

    if (!made && errno != EEXIST) {
        return oxv_fail_errno(err, "cannot make %s", path);
    }
    OXV_AUTO(oxv_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    /* Whatever the umask: the doors are for everyone, the grants decide. */
    if (fd < 0 || (made && fchmod(fd, 0755) != 0)) {
        return fail_to_open_directory(path, err);
    }
    st = check_directory(fd, path, err);
    if (st == OXV_OK) {
        *out = oxv_fd_take(&fd);
    }
    return st;
}

/* A file that nobody else can open: everyone can open, and so lock, the directory itself. */
static enum oxv_status
open_lock(int run_fd, const char *run, int *out, struct oxv_err *err)
{
    struct stat st;
    OXV_AUTO(oxv_closep)
    int fd = openat(run_fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 || fstat(fd, &st) != 0) {
        return oxv_fail_errno(err, "cannot open %s/" LOCK, run);
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return oxv_fail(err, OXV_E_DENIED, "%s/" LOCK " is not a file of mode 0600 of yours", run);
    }
    *out = oxv_fd_take(&fd);
    return OXV_OK;
}

/* Not flock(), which anyone with a descriptor can take, even one that cannot write. */
static enum oxv_status
lock_directory(int lock_fd, const char *run, uint64_t deadline_us, struct oxv_err *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    while (fcntl(lock_fd, F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            return oxv_fail_errno(err, "cannot lock %s/" LOCK, run);
        }
        if (!wait_a_little(deadline_us)) {
            return oxv_fail(err, OXV_E_CONFLICT, "another oxvaultd has its doors in %s", run);
        }
    }
    return OXV_OK;
}

/* One door: its name in the directory, the address that leads there, and the path for people. */
struct place {
    int run_fd;
    char name[SOCKET_NAME_BYTES];
    struct sockaddr_un address;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/*
 * The address goes through the opened directory: its path may lead elsewhere by now. Clients take
 * the path, so that has to fit too.
 */
static enum oxv_status
find_place(struct place *place, int run_fd, const char *run, enum oxv_door door,
           struct oxv_err *err)
{
    *place = (struct place){ .run_fd = run_fd, .address.sun_family = AF_UNIX };
    if (oxv_format(place->name, sizeof place->name, "%s.sock", oxv_door_name(door)) != OXV_OK ||
        oxv_format(place->address.sun_path, sizeof place->address.sun_path, "/proc/self/fd/%d/%s",
                   run_fd, place->name) != OXV_OK) {
        oxv_bug("the name of a door is too long");
    }
    if (oxv_format(place->path, sizeof place->path, "%s/%s", run, place->name) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path %s is too long for a socket (%zu bytes)", run,
                        sizeof place->path - sizeof "/audit.sock");
    }
    return OXV_OK;
}

/*
 * With the directory locked no other supervisor lives here, but its keeper may not be dead yet, or
 * the socket is a stranger's: it is removed only when nobody listens.
 */
static enum oxv_status
remove_stale(const struct place *place, uint64_t deadline_us, struct oxv_err *err)
{
    const struct sockaddr *address = (const struct sockaddr *)&place->address;
    struct stat st;

    if (fstatat(place->run_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? OXV_OK : oxv_fail_errno(err, "cannot examine %s", place->path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return oxv_fail(err, OXV_E_CONFLICT, "%s is there and is no socket", place->path);
    }
    for (;;) {
        OXV_AUTO(oxv_closep)
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0) {
            return oxv_fail_errno(err, "cannot make a socket");
        }
        if (connect(fd, address, sizeof place->address) != 0 && errno == ECONNREFUSED) {
            break;
        }
        if (!wait_a_little(deadline_us)) {
            return oxv_fail(err, OXV_E_CONFLICT, "somebody listens at %s", place->path);
        }
    }
    if (unlinkat(place->run_fd, place->name, 0) != 0) {
        return oxv_fail_errno(err, "cannot remove %s", place->path);
    }
    return OXV_OK;
}

/* sign.sock is for everyone: the grant decides. The other two also ask for a group. */
static enum oxv_status
set_access(const struct place *place, enum oxv_door door, const struct oxv_identity *identity,
           struct oxv_err *err)
{
    uint64_t gid_plus1 = door == OXV_DOOR_ADMIN   ? identity->admin_gid_plus1
                         : door == OXV_DOOR_AUDIT ? identity->audit_gid_plus1
                                                  : 0;

    if (gid_plus1 != 0 &&
        fchownat(place->run_fd, place->name, (uid_t)-1, (gid_t)(gid_plus1 - 1),
                 AT_SYMLINK_NOFOLLOW) != 0 &&
        !identity->userns && (errno != EPERM || geteuid() == 0)) {
        /* A user that is not in the group, or has no such group here, keeps the door for itself. */
        return oxv_fail_errno(err, "cannot give %s to its group", place->name);
    }
    if (fchmodat(place->run_fd, place->name, door == OXV_DOOR_SIGN ? 0666 : 0660, 0) != 0) {
        return oxv_fail_errno(err, "cannot set the mode of %s", place->name);
    }
    return OXV_OK;
}

/* The umask is 077 until the access is set. */
static enum oxv_status
listen_at(const struct place *place, int *out, struct oxv_err *err)
{
    const struct sockaddr *address = (const struct sockaddr *)&place->address;
    OXV_AUTO(oxv_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot make a socket");
    }
    if (bind(fd, address, sizeof place->address) != 0 || listen(fd, BACKLOG) != 0) {
        return oxv_fail_errno(err, "cannot listen at %s", place->path);
    }
    *out = oxv_fd_take(&fd);
    return OXV_OK;
}

static enum oxv_status
make_door(struct oxv_doors *doors, const char *run, enum oxv_door door,
          const struct oxv_identity *identity, struct oxv_err *err)
{
    struct place place;
    enum oxv_status st = find_place(&place, doors->run_fd, run, door, err);

    if (st == OXV_OK) {
        st = remove_stale(&place, oxv_clock_boot_us() + PREDECESSOR_WAIT_US, err);
    }
    if (st == OXV_OK) {
        st = listen_at(&place, &doors->fds[door], err);
        doors->made[door] = st == OXV_OK;
    }
    return st != OXV_OK ? st : set_access(&place, door, identity, err);
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
        st = open_lock(fd, run, &doors->lock_fd, err);
    }
    if (st == OXV_OK) {
        st = lock_directory(doors->lock_fd, run, oxv_clock_boot_us() + PREDECESSOR_WAIT_US, err);
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
    oxv_closep(
        &doors->lock_fd); /* the file stays: removed, two services could each lock their own */
}
