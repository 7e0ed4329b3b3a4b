#include "service/supervisor/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/status.h"

void
oxv_say(const char *fmt, ...)
{
    char line[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args); /* cutting a text for people is no error */
    va_end(args);
    (void)fprintf(stderr, "oxvaultd: %s\n", line);
}

/* False where the path is none that systemd would give. A leading '@' stands for the NUL byte. */
static bool
set_address(const char *path, struct sockaddr_un *address, socklen_t *len)
{
    size_t path_len = strlen(path);

    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if ((path[0] != '/' && path[0] != '@') || path_len >= sizeof address->sun_path) {
        return false;
    }
    memcpy(address->sun_path, path, path_len);
    if (path[0] == '@') {
        address->sun_path[0] = '\0';
    }
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    return true;
}

void
oxv_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t len;

    if (path == NULL || path[0] == '\0') {
        return;
    }
    if (!set_address(path, &address, &len)) {
        oxv_say("NOTIFY_SOCKET is no address of a socket");
        return;
    }
    OXV_AUTO(oxv_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                         len) < 0) {
        oxv_say("cannot tell systemd: %s", strerror(errno));
    }
}
