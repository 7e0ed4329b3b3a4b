/* Who waits for a token, and whether they know its PIN. */
#include <stdlib.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"
#include "service/keeper/token_login.h"
#include "service/keeper/token_ops.h"

/* A PIN is short: who may ask could else try all of them against the one we have. */
#define GUESSES_FREE  3u
#define GUESS_REST_US 1000000u
#define WAIT_US       (OXV_HELPER_CALL_US + OXV_HELPER_START_US)
#define GUESS_RESTS   10u /* doubled at most so often: 17 minutes */

static uint64_t
compare_pin(struct oxv_helper *h, const struct oxv_secret *pin)
{
    uint64_t now_us = oxv_clock_boot_us();

    if (now_us < h->guess_after_us) {
        return OXV_TOKEN_BUSY;
    }
    if (h->proven_pin != NULL && oxv_secret_equals(h->proven_pin, oxv_secret_view(pin))) {
        h->wrong_guesses = 0;
        return OXV_TOKEN_FINE;
    }
    if (++h->wrong_guesses >= GUESSES_FREE) {
        unsigned rests = h->wrong_guesses - GUESSES_FREE;

        h->guess_after_us =
            now_us + ((uint64_t)GUESS_REST_US << (rests < GUESS_RESTS ? rests : GUESS_RESTS));
    }
    return OXV_TOKEN_PIN;
}

/* It is logged in: has whoever typed this PIN (NULL: none) a right to it? */
static uint64_t
prove(struct oxv_helper *h, const struct oxv_secret *pin, bool proves)
{
    if (h->has_pin_pad && proves && !h->is_private) {
        return OXV_TOKEN_NEEDS_PIN; /* it takes none that is typed: a process of its own asks */
    }
    if (pin == NULL || h->needs_no_pin || h->has_pin_pad) {
        return OXV_TOKEN_FINE;
    }
    return compare_pin(h, pin);
}

void
oxv_token_tell_waiters(struct oxv_keeper *k, struct oxv_helper *h, uint64_t trouble)
{
    struct oxv_token_waiter *w = h->waiters;

    h->waiters = NULL; /* who is told may want something again */
    while (w != NULL) {
        struct oxv_token_waiter *next = w->next;

        /* The login may have been by what someone else typed. */
        w->done(k, h, w->ctx, trouble == OXV_TOKEN_FINE ? prove(h, w->pin, w->proves) : trouble);
        oxv_secret_freep(&w->pin);
        free(w);
        w = next;
    }
}

struct oxv_token_wish
oxv_token_wish_of(struct oxv_view pin)
{
    struct oxv_token_wish wish = { .is_asked = true };

    if (pin.len > 0) {
        wish.pin = oxv_secret_copy(pin);
        wish.is_pin_lost = wish.pin == NULL;
    }
    return wish;
}

void
oxv_token_want(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_wish wish,
               oxv_token_ready_fn done, void *ctx)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = wish.pin;
    struct oxv_token_waiter *w;

    if (wish.is_pin_lost) { /* not that of the service instead */
        done(k, h, ctx, OXV_TOKEN_BUSY);
        return;
    }
    if (wish.proves && pin == NULL && !h->is_private) {
        done(k, h, ctx, OXV_TOKEN_NEEDS_PIN);
        return;
    }
    if (h->phase == OXV_HELPER_READY) {
        done(k, h, ctx, prove(h, pin, wish.proves));
        return;
    }
    w = calloc(1, sizeof *w);
    if (w == NULL || k->tokens->is_locking) {
        free(w);
        done(k, h, ctx, OXV_TOKEN_BUSY);
        return;
    }
    *w = (struct oxv_token_waiter){ .next = h->waiters,
                                    .done = done,
                                    .ctx = ctx,
                                    .proves = wish.proves,
                                    .is_asked = wish.is_asked,
                                    .due_us = oxv_clock_boot_us() +
                                              oxv_hook_number("token.wait_us", WAIT_US) };
    h->waiters = w;
    h->is_asked = h->is_asked || wish.is_asked;
    if (pin != NULL) {
        oxv_secret_freep(&h->typed_pin);
        h->typed_pin = oxv_secret_copy(oxv_secret_view(pin));
        w->pin = oxv_secret_take(&pin);
    }
    if (w->pin != NULL && h->typed_pin == NULL) {
        h->waiters = w->next;
        oxv_secret_freep(&w->pin);
        free(w);
        done(k, h, ctx, OXV_TOKEN_BUSY);
        return;
    }
    oxv_token_begin(k, h);
}

void
oxv_token_waiters_give_time(struct oxv_helper *h, uint64_t due_us)
{
    for (struct oxv_token_waiter *w = h->waiters; w != NULL; w = w->next) {
        w->due_us = w->is_asked ? due_us : w->due_us;
    }
}

/* A PIN that was typed goes with the request it came in. */
static void
forget_typed(struct oxv_helper *h)
{
    for (const struct oxv_token_waiter *w = h->waiters; w != NULL && h->typed_pin != NULL;
         w = w->next) {
        if (w->pin != NULL && oxv_secret_equals(h->typed_pin, oxv_secret_view(w->pin))) {
            return;
        }
    }
    oxv_secret_freep(&h->typed_pin);
}

void
oxv_token_waiters_expire(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_token_waiter **link = &h->waiters;
    uint64_t now_us = oxv_clock_boot_us();

    while (*link != NULL) {
        struct oxv_token_waiter *w = *link;

        if (w->due_us > now_us) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->done(k, h, w->ctx, OXV_TOKEN_ABSENT);
        oxv_secret_freep(&w->pin);
        free(w);
        link = &h->waiters; /* the callback may have changed the list */
        forget_typed(h);
    }
}

void
oxv_token_waiters_free(struct oxv_helper *h)
{
    while (h->waiters != NULL) {
        struct oxv_token_waiter *w = h->waiters;

        h->waiters = w->next;
        oxv_secret_freep(&w->pin);
        free(w);
    }
}

/* The module by which the vault uses this token, where that is another one; else empty. */
static struct oxv_view
other_module(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    const struct oxv_token *row =
        oxv_keeper_is_open(k) ? oxv_vault_token_by_uri(k->vault, oxv_view_text(h->uri)) : NULL;
    const struct oxv_seal *seals = NULL;
    size_t count = k->vault != NULL ? oxv_vault_seals(k->vault, &seals) : 0;

    if (row != NULL && !oxv_view_is(row->record.module, h->module)) {
        return row->record.module;
    }
    for (size_t i = 0; i < count; i++) {
        if (seals[i].record.kind == OXV_SEAL_TOKEN &&
            oxv_view_is(seals[i].record.token_uri, h->uri) &&
            !oxv_view_is(seals[i].record.module, h->module)) {
            return seals[i].record.module;
        }
    }
    return oxv_view(NULL, 0);
}

bool
oxv_token_give_way(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_token_waiter *w = h->waiters;

    h->is_private = true; /* found by nobody, and swept when this turn ends */
    struct oxv_helper *other = oxv_token_find(k, oxv_view_text(h->module), oxv_view_text(h->uri));

    if (other == NULL) {
        h->is_private = false;
        return false;
    }
    h->phase = OXV_HELPER_TROUBLED;
    h->waiters = NULL;
    oxv_secret_freep(&h->typed_pin);
    oxv_token_ops_move(k, h, other);
    while (w != NULL) {
        struct oxv_token_waiter *next = w->next;

        oxv_token_want(k, other,
                       (struct oxv_token_wish){ .pin = oxv_secret_take(&w->pin),
                                                .is_asked = h->is_asked,
                                                .proves = w->proves },
                       w->done, w->ctx);
        free(w);
        w = next;
    }
    return true;
}

bool
oxv_token_find_other_module(const struct oxv_keeper *k, const struct oxv_helper *h,
                            char text[OXV_HELPER_TEXT_BYTES])
{
    struct oxv_view module = other_module(k, h);

    if (module.len == 0) {
        return false;
    }
    if (oxv_format(text, OXV_HELPER_TEXT_BYTES, "the vault uses it through another module: %.*s",
                   (int)(module.len > 100 ? 100 : module.len),
                   (const char *)module.data) != OXV_OK) {
        oxv_bug("a text does not fit");
    }
    return true;
}
