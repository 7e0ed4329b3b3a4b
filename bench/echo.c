/*
 * echo: what a Unix socket can do at best: an epoll loop that answers each `request` bytes with
 * `answer` bytes.
 *
 *   bench_echo SOCKET REQUEST_BYTES ANSWER_BYTES
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define BYTES_MAX  65536
#define PEERS_MAX  4096

static size_t request_bytes;
static size_t answer_bytes;
static size_t received[PEERS_MAX]; /* of a request that is not complete, by descriptor */
static uint8_t buffer[BYTES_MAX];
static uint8_t answer[BYTES_MAX];

static size_t
size_argument(const char *text)
{
    unsigned long size = strtoul(text, NULL, 10);

    if (size == 0 || size > BYTES_MAX) {
        errx(2, "not a size: %s", text);
    }
    return size;
}

static int
listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >=
        (int)sizeof address.sun_path) {
        errx(2, "path too long: %s", path);
    }
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        err(1, "%s", path);
    }
    return fd;
}

static void
watch(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        err(1, "epoll_ctl");
    }
}

static void
accept_all(int epoll_fd, int listen_fd)
{
    int fd;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= PEERS_MAX) {
            errx(1, "too many connections");
        }
        received[fd] = 0;
        watch(epoll_fd, fd);
    }
}

static void
serve(int fd)
{
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);

    if (n <= 0) {
        (void)close(fd);
        return;
    }
    received[fd] += (size_t)n;
    while (received[fd] >= request_bytes) {
        received[fd] -= request_bytes;
        if (send(fd, answer, answer_bytes, MSG_NOSIGNAL) != (ssize_t)answer_bytes) {
            (void)close(fd);
            return;
        }
    }
}

int
main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];

    if (argc != 4) {
        errx(2, "usage: bench_echo SOCKET REQUEST_BYTES ANSWER_BYTES");
    }
    request_bytes = size_argument(argv[2]);
    answer_bytes = size_argument(argv[3]);
    memset(answer, 'a', sizeof answer);

    int listen_fd = listen_at(argv[1]);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll_fd, listen_fd);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listen_fd) {
                accept_all(epoll_fd, listen_fd);
            } else {
                serve(events[i].data.fd);
            }
        }
    }
}
