#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io.h"
#include "service/token/answers.h"
#include "service/token/jobs.h"
#include "service/token/requests.h"

#define QUEUE_MAX 256u    /* datagrams that wait unsent; more than the keeper may ask for */
#define FAST_NS   100000u /* a signature that takes less is made by the main thread */

static void
refuse_before_open(struct oxv_helper *h, uint64_t id)
{
    struct oxv_p11_fault fault;

    (void)oxv_p11_fault(&fault, OXV_TOKEN_REFUSED, CKR_OK, "no token was opened yet");
    oxv_answer_trouble(h, id, &fault);
}

static void
refuse_busy(struct oxv_helper *h, uint64_t id, const char *text)
{
    struct oxv_p11_fault fault;

    (void)oxv_p11_fault(&fault, OXV_TOKEN_BUSY, CKR_OK, "%s", text);
    oxv_answer_trouble(h, id, &fault);
}

/* Takes the secret. */
static void
hand_over(struct oxv_helper *h, const struct oxv_request *request,
          const struct oxv_message *message, struct oxv_secret **secret)
{
    OXV_AUTO(oxv_job_freep)
    struct oxv_job *job = oxv_job_new(request, message->id, message->payload);

    if (job == NULL) {
        refuse_busy(h, message->id, "no memory");
        return;
    }
    job->secret = oxv_secret_take(secret);
    if (oxv_jobs_add(h, job)) {
        (void)oxv_job_take(&job); /* a thread's now */
    } else {
        refuse_busy(h, message->id, "too many requests wait");
    }
}

/* True where it was done here. */
static bool
do_here(struct oxv_helper *h, const struct oxv_message *message)
{
    struct oxv_msg_helper_sign sign;
    struct oxv_msg_helper_open open;
    uint64_t sign_ns = atomic_load(&h->sign_ns);

    if (message->type == OXV_MSG_HELPER_OPEN &&
        oxv_fields_decode(message->payload, &oxv_msg_helper_open_shape, &open, NULL) == OXV_OK) {
        return oxv_request_open(h, message->id, &open);
    }
    if (h->token == NULL) {
        refuse_before_open(h, message->id);
        return true;
    }
    if (message->type == OXV_MSG_HELPER_SIGN && sign_ns != 0 && sign_ns < FAST_NS &&
        oxv_fields_decode(message->payload, &oxv_msg_helper_sign_shape, &sign, NULL) == OXV_OK) {
        oxv_request_sign(h, message->id, &sign);
        return true;
    }
    return false;
}

static enum oxv_status
take_message(struct oxv_helper *h, const struct oxv_message *message)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *secret = NULL;
    const struct oxv_request *request = oxv_request_of(message->type);

    if (request == NULL) {
        return OXV_E_FORMAT;
    }
    enum oxv_status st = oxv_request_take_secret(request, message->payload, &secret);

    if (st == OXV_E_MEMORY) {
        refuse_busy(h, message->id, "no locked memory");
        return OXV_OK;
    }
    if (st == OXV_OK && !do_here(h, message)) {
        hand_over(h, request, message, &secret);
    }
    return st;
}

/* A helper is sent no descriptors. */
static enum oxv_status
take_datagram(struct oxv_helper *h)
{
    struct oxv_view datagram;
    struct oxv_reader r;
    struct oxv_message message;
    int fds[OXV_WIRE_FD_MAX];
    size_t fd_count = 0;
    enum oxv_status st = oxv_channel_receive(h->channel, &datagram, fds, &fd_count);

    if (st != OXV_OK) {
        return st;
    }
    for (size_t i = 0; i < fd_count; i++) {
        oxv_closep(&fds[i]);
    }
    if (fd_count > 0 || !oxv_wire_begin(datagram, &r)) {
        return OXV_E_FORMAT;
    }
    while ((st = oxv_wire_next(&r, &message)) == OXV_OK) {
        st = take_message(h, &message);
        if (st != OXV_OK) {
            return st;
        }
    }
    return st == OXV_E_NOT_FOUND ? OXV_OK : st;
}

/* Everything that is there; the answers that were made here go out together. */
static enum oxv_status
receive(struct oxv_helper *h)
{
    enum oxv_status st = take_datagram(h);

    oxv_answers_announce(h);
    oxv_answers_send(h);
    return st == OXV_E_BUSY ? OXV_OK : st;
}

/* When an absent token is to be looked for, a thread does. -1: not to be. */
static int
try_again(struct oxv_helper *h)
{
    uint64_t due = h->token == NULL ? 0 : oxv_p11_token_next_try_us(h->token);
    uint64_t now = oxv_clock_boot_us();

    if (due == 0 || atomic_load(&h->is_trying)) {
        return -1;
    }
    if (due > now) {
        return (int)((due - now) / 1000u) + 1;
    }
    OXV_AUTO(oxv_job_freep) struct oxv_job *job = oxv_job_new(NULL, 0, oxv_view(NULL, 0));

    atomic_store(&h->is_trying, true);
    if (job != NULL && oxv_jobs_add(h, job)) {
        (void)oxv_job_take(&job); /* a thread's now */
        return -1;
    }
    atomic_store(&h->is_trying, false);
    return 1000;
}

static bool
is_waiting(struct oxv_helper *h)
{
    if (pthread_mutex_lock(&h->channel_lock) != 0) {
        oxv_bug("a lock cannot be taken");
    }
    bool waiting = oxv_channel_is_waiting(h->channel);

    if (pthread_mutex_unlock(&h->channel_lock) != 0) {
        oxv_bug("a lock cannot be released");
    }
    return waiting;
}

static void
clear_wake(const struct oxv_helper *h)
{
    uint64_t count;

    ssize_t got = read(h->wake_fd, &count, sizeof count);

    (void)got; /* nothing there is fine too */
}

static enum oxv_status
turn(struct oxv_helper *h)
{
    struct pollfd fds[] = {
        { .fd = oxv_channel_fd(h->channel), .events = POLLIN },
        { .fd = h->wake_fd, .events = POLLIN },
    };
    int timeout_ms = try_again(h);

    if (is_waiting(h)) {
        fds[0].events |= POLLOUT;
    }
    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR) {
        return OXV_E_IO;
    }
    if (fds[1].revents != 0) {
        clear_wake(h);
    }
    if ((fds[0].revents & POLLOUT) != 0) {
        oxv_answers_send(h);
    }
    enum oxv_status st = (fds[0].revents & ~POLLOUT) != 0 ? receive(h) : OXV_OK;

    return st == OXV_OK && atomic_load(&h->is_broken) ? OXV_E_NOT_FOUND : st;
}

static enum oxv_status
set_up(struct oxv_helper *h, int fd, struct oxv_err *err)
{
    STAILQ_INIT(&h->jobs);
    if (pthread_mutex_init(&h->channel_lock, NULL) != 0 ||
        pthread_mutex_init(&h->jobs_lock, NULL) != 0 ||
        pthread_cond_init(&h->jobs_cond, NULL) != 0 ||
        pthread_cond_init(&h->idle_cond, NULL) != 0) {
        oxv_bug("a lock cannot be made");
    }
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->wake_fd < 0) {
        return oxv_fail_errno(err, "eventfd");
    }
    enum oxv_status st = oxv_channel_new(fd, QUEUE_MAX, &h->channel, err);

    if (st == OXV_OK && !oxv_jobs_start(h)) {
        st = oxv_fail(err, OXV_E_MEMORY, "no thread can be started");
    }
    return st;
}

static void
tear_down(struct oxv_helper *h, int code)
{
    if (!oxv_jobs_end(h)) {
        _exit(code); /* a thread is stuck in the module: it can neither be freed nor waited for */
    }
    oxv_p11_token_free(h->token); /* a YubiHSM has 16 sessions: they must be given back */
    oxv_channel_free(h->channel);
    oxv_closep(&h->wake_fd);
    (void)pthread_mutex_destroy(&h->channel_lock); /* nobody is left to hold them */
    (void)pthread_mutex_destroy(&h->jobs_lock);
    (void)pthread_cond_destroy(&h->jobs_cond);
    (void)pthread_cond_destroy(&h->idle_cond);
    free(h);
}

enum oxv_status
oxv_helper_serve(int fd, bool trusts_own, struct oxv_err *err)
{
    struct oxv_helper *h = calloc(1, sizeof *h);

    if (h == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory");
    }
    h->trusts_own = trusts_own;
    enum oxv_status st = set_up(h, fd, err);

    while (st == OXV_OK) {
        st = turn(h);
    }
    tear_down(h, st == OXV_E_NOT_FOUND ? 0 : 1);
    if (st == OXV_E_NOT_FOUND) {
        return OXV_OK;
    }
    return st == OXV_E_FORMAT ? oxv_fail(err, st, "the keeper sent what it must not") : st;
}
