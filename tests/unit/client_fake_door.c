#include "client_fake_door.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX   4096u
#define REQUEST_MAX_BYTES (2u * 1024u * 1024u)

struct peer {
    struct fake_door *door;
    pthread_t thread;
    unsigned number;
    int fd;
    bool done;
};

struct fake_door {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    fake_door_fn fn;
    void *context;
    struct peer peers[CONNECTIONS_MAX]; /* guarded by lock, but for what a peer's thread owns */
    size_t count;
};

static void
must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "fake door: %s failed\n", what);
        abort();
    }
}

void
fake_send(const struct fake_request *request, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = send(request->fd, at, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return; /* the other end has left, which a test may want */
        }
        at += n;
        len -= (size_t)n;
    }
}

void
fake_answer(const struct fake_request *request, const char *status, const char *extra,
            const char *body)
{
    char head[1024];
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: "
                       "%zu\r\n\r\n",
                       status, extra, strlen(body));

    must(len > 0 && (size_t)len < sizeof head, "a head");
    fake_send(request, head, (size_t)len);
    fake_send(request, body, strlen(body));
}

/* A whole request in `buffer`; false where the other end closed. */
static bool
receive(int fd, char *buffer, struct fake_request *request)
{
    size_t len = 0;

    for (;;) {
        char *end;
        const char *length;
        size_t head_len;
        size_t body_len;
        ssize_t n = recv(fd, buffer + len, REQUEST_MAX_BYTES - len, 0);

        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        buffer[len] = '\0';
        end = strstr(buffer, "\r\n\r\n");
        if (end == NULL) {
            continue;
        }
        head_len = (size_t)(end - buffer) + 4;
        length = strstr(buffer, "Content-Length: ");
        body_len = length == NULL || length > end ? 0 : strtoul(length + 16, NULL, 10);
        if (len >= head_len + body_len) {
            request->head = oxv_view(buffer, head_len);
            request->body = oxv_view(buffer + head_len, body_len);
            return true;
        }
    }
}

static void *
serve(void *context)
{
    struct peer *peer = context;
    struct fake_request request = { .fd = peer->fd, .connection = peer->number };
    char *buffer = malloc(REQUEST_MAX_BYTES + 1);
    bool more = true;

    must(buffer != NULL, "malloc");
    while (more && receive(peer->fd, buffer, &request)) {
        request.number++;
        more = peer->door->fn(peer->door->context, &request);
    }
    free(buffer);
    must(pthread_mutex_lock(&peer->door->lock) == 0, "lock");
    (void)close(peer->fd);
    peer->done = true;
    must(pthread_mutex_unlock(&peer->door->lock) == 0, "unlock");
    return NULL;
}

static void *
accept_all(void *context)
{
    struct fake_door *door = context;

    for (;;) {
        int fd = accept(door->listener, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        must(pthread_mutex_lock(&door->lock) == 0, "lock");
        must(door->count < CONNECTIONS_MAX, "another connection");
        struct peer *peer = &door->peers[door->count++];

        *peer = (struct peer){ .door = door, .fd = fd, .number = (unsigned)door->count };
        must(pthread_create(&peer->thread, NULL, serve, peer) == 0, "a thread");
        must(pthread_mutex_unlock(&door->lock) == 0, "unlock");
    }
}

struct fake_door *
fake_door_start(const char *path, fake_door_fn fn, void *context)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct fake_door *door = calloc(1, sizeof *door);

    must(door != NULL && strlen(path) < sizeof address.sun_path, "start");
    memcpy(address.sun_path, path, strlen(path) + 1);
    door->fn = fn;
    door->context = context;
    door->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(path); /* an older one's */
    must(pthread_mutex_init(&door->lock, NULL) == 0, "a mutex");
    must(bind(door->listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(door->listener, 64) == 0, "listen");
    must(pthread_create(&door->thread, NULL, accept_all, door) == 0, "a thread");
    return door;
}

void
fake_door_stop(struct fake_door *door)
{
    must(shutdown(door->listener, SHUT_RDWR) == 0, "shutdown");
    must(pthread_join(door->thread, NULL) == 0, "join");
    must(pthread_mutex_lock(&door->lock) == 0, "lock");
    for (size_t i = 0; i < door->count; i++) {
        if (!door->peers[i].done) {
            (void)shutdown(door->peers[i].fd, SHUT_RDWR); /* may be closed by the other end */
        }
    }
    must(pthread_mutex_unlock(&door->lock) == 0, "unlock");
    for (size_t i = 0; i < door->count; i++) {
        must(pthread_join(door->peers[i].thread, NULL) == 0, "join");
    }
    (void)close(door->listener);
    must(pthread_mutex_destroy(&door->lock) == 0, "destroy");
    free(door);
}
