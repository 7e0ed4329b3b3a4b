#include "service/supervisor/activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

#define FIRST_FD     3
#define FD_COUNT_MAX 16u

static bool
has_option(int fd, int option, int wanted)
{
    int value = -1;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static enum oxv_status
take_one(int fds[OXV_DOOR_END], int fd, struct oxv_view name, struct oxv_err *err)
{
    enum oxv_door door;
    int flags = fcntl(fd, F_GETFL);

    if (!oxv_door_parse(name, &door)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "systemd hands over a socket named %.*s: FileDescriptorName is sign, admin "
                        "or audit",
                        (int)name.len, (const char *)name.data);
    }
    if (fds[door] >= 0) {
        return oxv_fail(err, OXV_E_USAGE, "systemd hands over two sockets named %s",
                        oxv_door_name(door));
    }
    if (!has_option(fd, SO_DOMAIN, AF_UNIX) || !has_option(fd, SO_TYPE, SOCK_STREAM) ||
        !has_option(fd, SO_ACCEPTCONN, 1)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "what systemd hands over as %s is no listening Unix stream socket",
                        oxv_door_name(door));
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return oxv_fail_errno(err, "cannot use the socket %s of systemd", oxv_door_name(door));
    }
    fds[door] = fd;
    return OXV_OK;
}

static enum oxv_status
take_all(int fds[OXV_DOOR_END], uint64_t count, const char *names, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    for (uint64_t i = 0; i < count && st == OXV_OK; i++) {
        size_t len = strcspn(names, ":");

        st = take_one(fds, FIRST_FD + (int)i, oxv_view(names, len), err);
        names += len + (names[len] == ':' ? 1 : 0);
    }
    return st;
}

enum oxv_status
oxv_activation_take(int fds[OXV_DOOR_END], struct oxv_err *err)
{
    const char *pid_text = getenv("LISTEN_PID");
    const char *count_text = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t pid;
    uint64_t count;
    enum oxv_status st = OXV_OK;

    if (pid_text != NULL && count_text != NULL &&
        oxv_parse_decimal(oxv_view_text(pid_text), INT32_MAX, &pid) && pid == (uint64_t)getpid()) {
        if (!oxv_parse_decimal(oxv_view_text(count_text), FD_COUNT_MAX, &count)) {
            return oxv_fail(err, OXV_E_USAGE, "LISTEN_FDS is no small number");
        }
        st = take_all(fds, count, names == NULL ? "" : names, err);
    }
    (void)unsetenv("LISTEN_PID"); /* fails only for names that are none */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return st;
}
