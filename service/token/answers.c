#include "service/token/answers.h"

#include <errno.h>
#include <unistd.h>

static void
lock(struct oxv_helper *h)
{
    if (pthread_mutex_lock(&h->channel_lock) != 0) {
        oxv_bug("a lock cannot be taken");
    }
}

static void
unlock(struct oxv_helper *h)
{
    if (pthread_mutex_unlock(&h->channel_lock) != 0) {
        oxv_bug("a lock cannot be released");
    }
}

void
oxv_answers_wake(struct oxv_helper *h)
{
    const uint64_t one = 1;

    /* A full counter wakes as well. */
    if (write(h->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
        atomic_store(&h->is_broken, true);
    }
}

static void
note(struct oxv_helper *h, enum oxv_status st)
{
    if (st != OXV_OK) {
        atomic_store(&h->is_broken, true);
    }
}

void
oxv_answer(struct oxv_helper *h, uint8_t type, uint64_t id, const struct oxv_shape *shape,
           const void *payload)
{
    lock(h);
    note(h, oxv_channel_put_fields(h->channel, type, id, shape, payload));
    unlock(h);
}

void
oxv_answer_secret(struct oxv_helper *h, uint8_t type, uint64_t id, const struct oxv_shape *shape,
                  const void *payload)
{
    lock(h);
    note(h, oxv_channel_put_secret(h->channel, type, id, shape, payload));
    unlock(h);
}

/* Under channel_lock. `status` backs the views. */
static void
put_token(struct oxv_helper *h, uint64_t id, const struct oxv_p11_status *status)
{
    struct oxv_msg_helper_token token = {
        .uri = oxv_view_text(status->uri),
        .label = oxv_view_text(status->label),
        .trouble = status->trouble,
        .ckr = status->ckr,
        .logged_in = status->is_logged_in,
        .pin_state = status->pin_state,
        .pin_pad = status->has_pin_pad,
        .generation = status->generation,
        .workers = status->workers,
        .text = oxv_view_text(status->text),
    };

    if (status->refused.is_set) {
        token.refused_salt = oxv_view(status->refused.salt, sizeof status->refused.salt);
        token.refused_hash = oxv_view(status->refused.hash, sizeof status->refused.hash);
    }
    note(h, oxv_channel_put_fields(h->channel, OXV_MSG_HELPER_TOKEN, id,
                                   &oxv_msg_helper_token_shape, &token));
    h->announced = status->changes;
}

void
oxv_answer_token(struct oxv_helper *h, uint64_t id)
{
    struct oxv_p11_status status;

    lock(h);
    oxv_p11_token_status(h->token, &status);
    put_token(h, id, &status);
    unlock(h);
}

void
oxv_answers_announce(struct oxv_helper *h)
{
    struct oxv_p11_status status;

    if (h->token == NULL) {
        return;
    }
    lock(h);
    bool is_news = oxv_p11_token_changes(h->token) != h->announced;

    if (is_news) {
        oxv_p11_token_status(h->token, &status);
        put_token(h, 0, &status);
    }
    unlock(h);
    if (is_news) {
        oxv_answers_wake(h); /* there may be a new time to try again */
    }
}

void
oxv_answer_trouble(struct oxv_helper *h, uint64_t id, const struct oxv_p11_fault *fault)
{
    struct oxv_p11_status status = { 0 };
    struct oxv_msg_helper_trouble trouble = { .trouble = fault->trouble,
                                              .ckr = fault->ckr,
                                              .text = oxv_view_text(fault->text) };

    if (h->token != NULL &&
        (fault->trouble == OXV_TOKEN_PIN || fault->trouble == OXV_TOKEN_ABSENT)) {
        oxv_p11_token_status(h->token, &status);
    }
    trouble.login_failed = status.login_failed && fault->trouble == OXV_TOKEN_ABSENT ? 1 : 0;
    status.refused.is_set = status.refused.is_set && fault->trouble == OXV_TOKEN_PIN;
    if (status.refused.is_set) {
        trouble.refused_salt = oxv_view(status.refused.salt, sizeof status.refused.salt);
        trouble.refused_hash = oxv_view(status.refused.hash, sizeof status.refused.hash);
    }
    oxv_answer(h, OXV_MSG_HELPER_TROUBLE, id, &oxv_msg_helper_trouble_shape, &trouble);
}

void
oxv_answers_send(struct oxv_helper *h)
{
    lock(h);
    enum oxv_status st = oxv_channel_flush(h->channel);

    unlock(h);
    if (st == OXV_E_BUSY) {
        oxv_answers_wake(h);
    } else {
        note(h, st);
    }
}
