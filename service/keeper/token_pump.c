/* The token calls of start and init, when there is nobody else to be served. */
#include <errno.h>
#include <poll.h>

#include "base/io.h"
#include "service/keeper/state.h"
#include "service/keeper/tokens.h"

#define POLL_MAX_MS 1000

bool
oxv_tokens_take_control(struct oxv_keeper *k, const struct oxv_message *message, int *fds,
                        size_t fd_count)
{
    struct oxv_msg_id which;

    if ((message->type != OXV_MSG_HELPER && message->type != OXV_MSG_HELPER_FAILED) ||
        oxv_fields_decode(message->payload, &oxv_msg_id_shape, &which, NULL) != OXV_OK) {
        return false;
    }
    oxv_helper_started(k, which.id,
                       message->type == OXV_MSG_HELPER && fd_count > 0 ? oxv_fd_take(&fds[0]) : -1);
    return true;
}

static bool
take_while_waiting(struct oxv_keeper *k, const struct oxv_message *message, int *fds,
                   size_t fd_count)
{
    k->stopping = k->stopping || message->type == OXV_MSG_STOP;
    return !k->stopping && oxv_tokens_take_control(k, message, fds, fd_count);
}

static void
wait_for_any(struct oxv_keeper *k, uint64_t until_us)
{
    struct pollfd watched[OXV_HELPERS_MAX + 1];
    struct oxv_helper *helpers[OXV_HELPERS_MAX + 1];
    nfds_t count = 0;
    uint64_t now_us = oxv_clock_boot_us();
    uint64_t next_us = oxv_tokens_next_us(k);

    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && h->process.channel != NULL) {
            bool is_full = oxv_channel_is_waiting(h->process.channel);

            helpers[count] = h;
            watched[count++] = (struct pollfd){ .fd = oxv_channel_fd(h->process.channel),
                                                .events = is_full ? POLLIN | POLLOUT : POLLIN };
        }
    }
    helpers[count] = NULL;
    if (k->control != NULL) {
        watched[count++] = (struct pollfd){ .fd = oxv_channel_fd(k->control), .events = POLLIN };
    }
    next_us = until_us < next_us ? until_us : next_us;
    uint64_t wait_ms = next_us > now_us ? (next_us - now_us) / 1000 + 1 : 0;

    if (poll(watched, count, wait_ms < POLL_MAX_MS ? (int)wait_ms : POLL_MAX_MS) <= 0) {
        return;
    }
    for (nfds_t i = 0; i < count; i++) {
        if (helpers[i] != NULL && (watched[i].revents & ~POLLOUT) != 0) {
            helpers[i]->process.readable = true;
        }
    }
}

enum oxv_status
oxv_tokens_pump(struct oxv_keeper *k, const bool *is_done, uint64_t timeout_us, struct oxv_err *err)
{
    uint64_t until_us = oxv_clock_boot_us() + timeout_us;

    while (!*is_done) {
        k->now_us = oxv_clock_wall_us();
        k->now_boot_us = oxv_clock_boot_us();
        if (k->now_boot_us > until_us) {
            return oxv_fail(err, OXV_E_TOKEN, "the token did not answer in time");
        }
        /* False where the supervisor is gone, stops the service or sends what it must not. */
        if (k->control != NULL && !oxv_state_read_control(k, take_while_waiting)) {
            return oxv_fail(err, OXV_E_IO,
                            k->stopping ? "the service is stopped" : "the supervisor is gone");
        }
        oxv_tokens_work(k);
        if (*is_done) {
            break;
        }
        if (k->control != NULL && oxv_channel_flush(k->control) == OXV_E_IO) {
            return oxv_fail(err, OXV_E_IO, "the supervisor is gone");
        }
        wait_for_any(k, until_us);
    }
    return OXV_OK;
}
