#include "service/wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"

struct datagram {
    struct datagram *next;
    size_t len;
    bool is_secret;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count;
    uint8_t bytes[OXV_WIRE_MAX_BYTES];
};

struct oxv_channel {
    int fd;
    size_t queue_max;
    size_t queued;
    uint64_t sent;
    struct datagram *first; /* oldest unsent; the last one is still being filled */
    struct datagram *last;
    struct datagram *spare; /* one kept, so that steady traffic allocates nothing */
    size_t in_len;          /* the most that was received since it was wiped */
    uint8_t in[OXV_WIRE_MAX_BYTES];
};

enum oxv_status
oxv_channel_new(int fd, size_t queue_max, struct oxv_channel **out, struct oxv_err *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return oxv_fail_errno(err, "channel");
    }
    struct oxv_channel *channel = calloc(1, sizeof *channel);

    if (channel == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "channel: no memory");
    }
    channel->fd = fd;
    channel->queue_max = queue_max;
    *out = channel;
    return OXV_OK;
}

static void
wipe_secret(struct datagram *d)
{
    if (d->is_secret) {
        oxv_wipe(d->bytes, sizeof d->bytes);
        d->is_secret = false;
    }
}

static void
datagram_free(struct datagram *d)
{
    wipe_secret(d);
    for (size_t i = 0; i < d->fd_count; i++) {
        oxv_closep(&d->fds[i]);
    }
    free(d);
}

void
oxv_channel_free(struct oxv_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    while (channel->first != NULL) {
        struct datagram *next = channel->first->next;

        datagram_free(channel->first);
        channel->first = next;
    }
    free(channel->spare);
    oxv_closep(&channel->fd);
    free(channel);
}

int
oxv_channel_fd(const struct oxv_channel *channel)
{
    return channel->fd;
}

static enum oxv_status
add_datagram(struct oxv_channel *channel)
{
    struct datagram *d = channel->spare;

    if (channel->queued >= channel->queue_max) {
        return OXV_E_BUSY;
    }
    channel->spare = NULL;
    if (d == NULL) {
        d = malloc(sizeof *d);
    }
    if (d == NULL) {
        return OXV_E_MEMORY;
    }
    d->next = NULL;
    d->is_secret = false;
    d->fd_count = 0;
    d->bytes[0] = OXV_WIRE_VERSION;
    d->len = 1;
    if (channel->last != NULL) {
        channel->last->next = d;
    } else {
        channel->first = d;
    }
    channel->last = d;
    channel->queued++;
    return OXV_OK;
}

/* Writes one message behind what `d` holds; false, and nothing is kept, where it does not fit. */
static bool
append_message(struct datagram *d, const struct oxv_message *head, const struct oxv_shape *shape,
               const void *fields)
{
    struct oxv_writer w = oxv_writer(d->bytes, sizeof d->bytes);
    struct oxv_view whole;

    w.len = d->len;
    oxv_write_u8(&w, head->type);
    oxv_write_u64(&w, head->id);
    size_t begin = oxv_write_begin32(&w);

    if (shape != NULL) {
        oxv_fields_encode(&w, shape, fields);
    } else {
        oxv_write_view(&w, head->payload);
    }
    oxv_write_end32(&w, begin);
    if (oxv_writer_finish(&w, &whole) != OXV_OK) {
        return false;
    }
    d->len = whole.len;
    return true;
}

static enum oxv_status
put_message(struct oxv_channel *channel, const struct oxv_message *head,
            const struct oxv_shape *shape, const void *fields)
{
    /* A datagram with descriptors stays as it is: they belong to its one message. */
    if (channel->last != NULL && channel->last->fd_count == 0 && !channel->last->is_secret &&
        append_message(channel->last, head, shape, fields)) {
        return OXV_OK;
    }
    enum oxv_status st = add_datagram(channel);

    if (st != OXV_OK) {
        return st;
    }
    /* An empty datagram that stays behind is skipped by flush. */
    return append_message(channel->last, head, shape, fields) ? OXV_OK : OXV_E_LIMIT;
}

enum oxv_status
oxv_channel_put(struct oxv_channel *channel, uint8_t type, uint64_t id, struct oxv_view payload)
{
    struct oxv_message head = { .type = type, .id = id, .payload = payload };

    return put_message(channel, &head, NULL, NULL);
}

enum oxv_status
oxv_channel_put_fields(struct oxv_channel *channel, uint8_t type, uint64_t id,
                       const struct oxv_shape *shape, const void *payload)
{
    struct oxv_message head = { .type = type, .id = id };

    return put_message(channel, &head, shape, payload);
}

enum oxv_status
oxv_channel_put_secret(struct oxv_channel *channel, uint8_t type, uint64_t id,
                       const struct oxv_shape *shape, const void *payload)
{
    struct oxv_message head = { .type = type, .id = id };
    enum oxv_status st = add_datagram(channel);

    if (st != OXV_OK) {
        return st;
    }
    channel->last->is_secret = true; /* also what does not fit may have been written in part */
    return append_message(channel->last, &head, shape, payload) ? OXV_OK : OXV_E_LIMIT;
}

enum oxv_status
oxv_channel_put_fds(struct oxv_channel *channel, uint8_t type, uint64_t id, struct oxv_view payload,
                    const int *fds, size_t fd_count)
{
    struct oxv_message head = { .type = type, .id = id, .payload = payload };
    enum oxv_status st = fd_count > OXV_WIRE_FD_MAX ? OXV_E_LIMIT : add_datagram(channel);

    if (st == OXV_OK && !append_message(channel->last, &head, NULL, NULL)) {
        st = OXV_E_LIMIT;
    }
    for (size_t i = 0; i < fd_count; i++) {
        int fd = fds[i];

        if (st == OXV_OK) {
            channel->last->fds[channel->last->fd_count++] = fd;
        } else {
            oxv_closep(&fd);
        }
    }
    return st;
}

static ssize_t
send_datagram(int socket_fd, struct datagram *d)
{
    struct iovec iov = { .iov_base = d->bytes, .iov_len = d->len };
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * OXV_WIRE_FD_MAX)] = { 0 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (d->fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * d->fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * d->fd_count);
        memcpy(CMSG_DATA(c), d->fds, sizeof(int) * d->fd_count);
    }
    return sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
drop_first(struct oxv_channel *channel)
{
    struct datagram *d = channel->first;

    channel->first = d->next;
    if (channel->first == NULL) {
        channel->last = NULL;
    }
    channel->queued--;
    wipe_secret(d);
    for (size_t i = 0; i < d->fd_count; i++) {
        oxv_closep(&d->fds[i]);
    }
    d->fd_count = 0;
    if (channel->spare == NULL) {
        channel->spare = d;
    } else {
        free(d);
    }
}

enum oxv_status
oxv_channel_flush(struct oxv_channel *channel)
{
    while (channel->first != NULL) {
        if (channel->first->len > 1) {
            ssize_t n = send_datagram(channel->fd, channel->first);

            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n < 0) {
                /* ETOOMANYREFS: too many descriptors in flight, which drains too. */
                return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? OXV_E_BUSY
                                                                                    : OXV_E_IO;
            }
            channel->sent++;
        }
        drop_first(channel);
    }
    return OXV_OK;
}

bool
oxv_channel_is_waiting(const struct oxv_channel *channel)
{
    return channel->first != NULL;
}

uint64_t
oxv_channel_sent(const struct oxv_channel *channel)
{
    return channel->sent;
}

static size_t
take_fds(struct msghdr *message, int fds[OXV_WIRE_FD_MAX])
{
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (count < OXV_WIRE_FD_MAX) {
                fds[count++] = fd;
            } else {
                oxv_closep(&fd);
            }
        }
    }
    return count;
}

enum oxv_status
oxv_channel_receive(struct oxv_channel *channel, struct oxv_view *datagram,
                    int fds[OXV_WIRE_FD_MAX], size_t *fd_count)
{
    struct iovec iov = { .iov_base = channel->in, .iov_len = sizeof channel->in };
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * OXV_WIRE_FD_MAX)];
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    ssize_t n;

    do {
        n = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? OXV_E_BUSY : errno == ECONNRESET ? OXV_E_NOT_FOUND : OXV_E_IO;
    }
    size_t count = take_fds(&message, fds);

    channel->in_len = (size_t)n > channel->in_len ? (size_t)n : channel->in_len;
    if (n > 0 && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
        *datagram = oxv_view(channel->in, (size_t)n);
        *fd_count = count;
        return OXV_OK;
    }
    for (size_t i = 0; i < count; i++) {
        oxv_closep(&fds[i]);
    }
    return n == 0 ? OXV_E_NOT_FOUND : OXV_E_FORMAT;
}

void
oxv_channel_wipe_received(struct oxv_channel *channel)
{
    oxv_wipe(channel->in, channel->in_len);
    channel->in_len = 0;
}
