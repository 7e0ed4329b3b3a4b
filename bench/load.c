/*
 * load: N connections to a Unix socket, each with one request under way; measures answers per
 * second and how long each took.
 *
 *   bench_load SOCKET CONNECTIONS SECONDS ANSWER_BYTES REQUEST_FILE...
 *
 * ANSWER_BYTES 0: the answers are HTTP, and each must be a 200; their length is in the head. The
 * requests are taken in turn. Prints: answers per second, p50 and p99 in microseconds.
 */
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REQUESTS_MAX    1024
#define BYTES_MAX       16384
#define EVENTS_MAX      256
#define SAMPLES_MAX     4000000
#define WARM_UP_NS      300000000u

struct request {
    char *bytes;
    size_t len;
};

struct peer {
    int fd;
    size_t next; /* request */
    uint64_t sent_ns;
    size_t received;
    char answer[BYTES_MAX + 1];
};

static struct request requests[REQUESTS_MAX];
static size_t request_count;
static size_t answer_bytes;
static struct peer peers[CONNECTIONS_MAX];
static uint32_t *samples_ns;
static size_t sample_count;
static uint64_t measure_from_ns;

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
read_request(const char *path)
{
    struct request *request = &requests[request_count++];
    FILE *file = fopen(path, "rbe");

    request->bytes = malloc(BYTES_MAX);
    if (file == NULL || request->bytes == NULL) {
        err(1, "%s", path);
    }
    request->len = fread(request->bytes, 1, BYTES_MAX, file);
    (void)fclose(file);
}

static int
connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >=
        (int)sizeof address.sun_path) {
        errx(2, "path too long: %s", path);
    }
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        err(1, "%s", path);
    }
    return fd;
}

static void
ask(struct peer *peer)
{
    const struct request *request = &requests[peer->next];

    peer->next = (peer->next + 1) % request_count;
    peer->received = 0;
    peer->sent_ns = now_ns();
    if (send(peer->fd, request->bytes, request->len, MSG_NOSIGNAL) != (ssize_t)request->len) {
        err(1, "send");
    }
}

/* Is the answer whole? Ends the program where it is none that counts. */
static bool
is_whole(struct peer *peer)
{
    static const char field[] = "\r\nContent-Length: ";

    if (answer_bytes > 0) {
        return peer->received >= answer_bytes;
    }
    peer->answer[peer->received] = '\0';
    const char *end = strstr(peer->answer, "\r\n\r\n");

    if (end == NULL) {
        return false;
    }
    const char *length = strcasestr(peer->answer, field);

    if (strncmp(peer->answer, "HTTP/1.1 200 ", 13) != 0 || length == NULL || length > end) {
        errx(1, "not what we want: %s", peer->answer);
    }
    size_t body = strtoul(length + sizeof field - 1, NULL, 10);

    return peer->received >= (size_t)(end - peer->answer) + 4 + body;
}

static void
note(uint64_t started_ns, uint64_t ended_ns)
{
    if (ended_ns >= measure_from_ns && sample_count < SAMPLES_MAX) {
        uint64_t took = ended_ns - started_ns;

        samples_ns[sample_count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    }
}

static void
take(struct peer *peer)
{
    ssize_t n = recv(peer->fd, peer->answer + peer->received, BYTES_MAX - peer->received, 0);

    if (n <= 0) {
        err(1, "the connection ended");
    }
    peer->received += (size_t)n;
    if (is_whole(peer)) {
        note(peer->sent_ns, now_ns());
        ask(peer);
    }
}

static int
compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static void
report(uint64_t ended_ns)
{
    double seconds = (double)(ended_ns - measure_from_ns) / 1e9;

    if (sample_count == 0) {
        errx(1, "no answer came");
    }
    qsort(samples_ns, sample_count, sizeof *samples_ns, compare);
    printf("%.0f %.1f %.1f\n", (double)sample_count / seconds, samples_ns[sample_count / 2] / 1e3,
           samples_ns[sample_count - 1 - sample_count / 100] / 1e3);
}

static void
run_until(int epoll_fd, uint64_t end_ns)
{
    struct epoll_event events[EVENTS_MAX];

    while (now_ns() < end_ns) {
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, 1000);

        for (int i = 0; i < n; i++) {
            take(&peers[events[i].data.u32]);
        }
    }
    report(now_ns());
}

int
main(int argc, char **argv)
{
    if (argc < 6 || argc - 5 > REQUESTS_MAX) {
        errx(2, "usage: bench_load SOCKET CONNECTIONS SECONDS ANSWER_BYTES REQUEST_FILE...");
    }
    unsigned long count = strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    answer_bytes = strtoul(argv[4], NULL, 10);
    samples_ns = calloc(SAMPLES_MAX, sizeof *samples_ns);
    if (count == 0 || count > CONNECTIONS_MAX || answer_bytes > BYTES_MAX || samples_ns == NULL) {
        errx(2, "not a number of connections or bytes that this can do");
    }
    for (int i = 5; i < argc; i++) {
        read_request(argv[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = i } };

        peers[i].fd = connect_to(argv[1]);
        peers[i].next = i % request_count;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, peers[i].fd, &event) != 0) {
            err(1, "epoll_ctl");
        }
    }
    measure_from_ns = now_ns() + WARM_UP_NS;
    for (uint32_t i = 0; i < count; i++) {
        ask(&peers[i]);
    }
    run_until(epoll_fd, measure_from_ns + (uint64_t)(seconds * 1e9));
    free(samples_ns);
    return 0;
}
