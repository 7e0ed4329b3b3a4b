#include "service/keeper/tokens.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/answers.h"
#include "service/keeper/token_login.h"
#include "service/keeper/token_mac.h"
#include "service/keeper/token_ops.h"
#include "service/keeper/token_pins.h"

#define PROBES_OF_ONE 3u /* then the process is replaced: level 4 of the recovery */

enum oxv_status
oxv_tokens_new(struct oxv_tokens **out)
{
    struct oxv_tokens *tokens = calloc(1, sizeof *tokens);

    if (tokens == NULL || oxv_token_pins_new(&tokens->pins) != OXV_OK) {
        free(tokens);
        return OXV_E_MEMORY;
    }
    *out = tokens;
    return OXV_OK;
}

static void
free_helper(struct oxv_keeper *k, size_t place)
{
    struct oxv_helper *h = k->tokens->items[place];

    oxv_helper_end(k, h, OXV_CALL_DROPPED);
    oxv_token_waiters_free(h);
    k->tokens->items[place] = NULL;
    oxv_token_keys_free(h);
    oxv_job_pool_done(&h->jobs);
    oxv_secret_freep(&h->typed_pin);
    oxv_secret_freep(&h->trying_pin);
    oxv_secret_freep(&h->proven_pin);
    free(h);
}

void
oxv_tokens_free(struct oxv_keeper *k)
{
    if (k->tokens == NULL) {
        return;
    }
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        if (k->tokens->items[i] != NULL) {
            free_helper(k, i);
        }
    }
    oxv_token_pins_freep(&k->tokens->pins);
    oxv_secret_freep(&k->tokens->start.value);
    free(k->tokens);
    k->tokens = NULL;
}

struct oxv_helper *
oxv_token_make(struct oxv_keeper *k, struct oxv_view module, struct oxv_view uri)
{
    size_t place = 0;
    struct oxv_helper *h;

    while (place < OXV_HELPERS_MAX && k->tokens->items[place] != NULL) {
        place++;
    }
    if (place == OXV_HELPERS_MAX) {
        return NULL;
    }
    h = calloc(1, sizeof *h);
    if (h == NULL || oxv_text_copy(module, h->module, sizeof h->module) != OXV_OK ||
        oxv_text_copy(uri, h->uri, sizeof h->uri) != OXV_OK) {
        free(h);
        return NULL;
    }
    h->word = "starting";
    h->since_us = k->now_us;
    k->tokens->items[place] = h;
    return h;
}

struct oxv_helper *
oxv_token_of_row(const struct oxv_keeper *k, uint64_t row_id)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX && row_id != 0; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && h->row_id == row_id) {
            return h;
        }
    }
    return NULL;
}

struct oxv_helper *
oxv_token_find(const struct oxv_keeper *k, struct oxv_view module, struct oxv_view uri)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && !h->is_private && oxv_view_is(uri, h->uri) &&
            oxv_view_is(module, h->module)) {
            return h;
        }
    }
    return NULL;
}

struct oxv_helper *
oxv_token_of_seal(const struct oxv_keeper *k, const struct oxv_seal *seal)
{
    return oxv_token_find(k, seal->record.module, seal->record.token_uri);
}

static void
adopt_one(struct oxv_keeper *k, struct oxv_view module, struct oxv_view uri, uint64_t row_id,
          uint64_t seal_id)
{
    struct oxv_helper *h = oxv_token_find(k, module, uri);

    h = h != NULL ? h : oxv_token_make(k, module, uri);
    if (h == NULL) {
        (void)fprintf(stderr, "oxvault-keeper: too many tokens: one is left out\n");
        return;
    }
    h->row_id = row_id != 0 ? row_id : h->row_id;
    h->seal_id = seal_id != 0 && h->seal_id == 0 ? seal_id : h->seal_id;
}

void
oxv_tokens_adopt(struct oxv_keeper *k)
{
    if (k->tokens == NULL) {
        return; /* a test of other parts */
    }
    const struct oxv_seal *seals;
    size_t count = oxv_vault_seals(k->vault, &seals);

    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        if (k->tokens->items[i] != NULL) {
            k->tokens->items[i]->row_id = 0;
            k->tokens->items[i]->seal_id = 0;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (seals[i].record.kind == OXV_SEAL_TOKEN) {
            adopt_one(k, seals[i].record.module, seals[i].record.token_uri, 0, seals[i].id);
        }
    }
    if (!oxv_keeper_is_open(k)) {
        return;
    }
    for (struct oxv_token *t = oxv_vault_next_token(k->vault, 0); t != NULL;
         t = oxv_vault_next_token(k->vault, t->id)) {
        adopt_one(k, t->record.module, t->record.token_uri, t->id, 0);
    }
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && oxv_token_is_needed(k, h) && h->phase == OXV_HELPER_DOWN &&
            h->retry_at_us == 0) {
            oxv_token_begin(k, h);
        }
    }
}

static void
lock_one(struct oxv_keeper *k, struct oxv_helper *h)
{
    oxv_token_jobs_fail_waiting(k, h, "sealed");
    oxv_helper_end(k, h, OXV_CALL_DROPPED);
    oxv_token_tell_waiters(k, h, OXV_TOKEN_BUSY);
    oxv_token_keys_free(h);
    oxv_secret_freep(&h->typed_pin);
    oxv_secret_freep(&h->trying_pin);
    oxv_secret_freep(&h->proven_pin);
    h->phase = OXV_HELPER_DOWN;
    h->word = "starting";
    h->is_opened = false;
    h->is_logged_in = false;
    h->was_tried = false;
    h->is_open_circuit = false;
    h->back_off_us = 0;
    h->retry_at_us = 0;
    h->row_id = 0;
}

void
oxv_tokens_lock(struct oxv_keeper *k)
{
    if (k->tokens == NULL) {
        return;
    }
    k->tokens->is_locking = true;
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        if (!oxv_answers_have_room(k)) {
            oxv_answers_release(k);
        }
        if (k->tokens->items[i] != NULL) {
            lock_one(k, k->tokens->items[i]);
        }
    }
    oxv_token_ops_drop(k);
    oxv_token_pins_forget_typed(k->tokens->pins);
    k->tokens->is_locking = false;
}

/* The circuit's own probe. */
static void
retry(struct oxv_keeper *k, struct oxv_helper *h)
{
    if (h->retry_at_us == 0 || oxv_clock_boot_us() < h->retry_at_us) {
        return;
    }
    if (!oxv_token_is_needed(k, h)) {
        h->retry_at_us = 0;
        return;
    }
    if (++h->failed_probes % (PROBES_OF_ONE + 1) == 0 && h->process.channel != NULL) {
        oxv_helper_end(k, h, OXV_CALL_LOST);
        oxv_token_keys_unload(h, 0);
        h->restarts++;
        h->phase = OXV_HELPER_DOWN;
    }
    oxv_token_begin(k, h);
}

static void
sweep(struct oxv_keeper *k)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && h->row_id == 0 && h->seal_id == 0 && h->users == 0 && h->jobs.used == 0 &&
            h->waiters == NULL) {
            free_helper(k, i);
        }
    }
}

void
oxv_tokens_work(struct oxv_keeper *k)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h == NULL) {
            continue;
        }
        oxv_helper_work(k, h);
        oxv_token_waiters_expire(k, h);
        oxv_token_jobs_expire(k, h);
        retry(k, h);
        oxv_token_keys_load_all(k, h);
        oxv_helper_flush(k, h);
    }
    oxv_token_ops_work(k);
    sweep(k);
}

uint64_t
oxv_tokens_next_us(const struct oxv_keeper *k)
{
    uint64_t next_us = oxv_token_ops_next_us(k);

    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        const struct oxv_helper *h = k->tokens->items[i];

        if (h == NULL) {
            continue;
        }
        uint64_t of_process = oxv_helper_next_us(k, h);

        uint64_t of_keys = oxv_token_keys_next_us(k, h);

        next_us = of_process < next_us ? of_process : next_us;
        next_us = of_keys < next_us ? of_keys : next_us;
        if (h->retry_at_us != 0 && h->retry_at_us < next_us) {
            next_us = h->retry_at_us;
        }
        if (h->jobs.used > 0 && h->jobs_check_us < next_us && oxv_answers_have_room(k)) {
            next_us = h->jobs_check_us;
        }
        for (const struct oxv_token_waiter *w = h->waiters; w != NULL; w = w->next) {
            next_us = w->due_us < next_us ? w->due_us : next_us;
        }
    }
    return next_us;
}

bool
oxv_tokens_are_busy(const struct oxv_keeper *k)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        if (k->tokens->items[i] != NULL && k->tokens->items[i]->jobs.used > 0) {
            return true;
        }
    }
    return k->tokens->op_count > 0;
}
