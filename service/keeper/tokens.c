#include "service/keeper/tokens.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/token_names.h"
#include "service/keeper/answers.h"
#include "service/keeper/events.h"
#include "service/keeper/state.h"
#include "service/keeper/token_mac.h"
#include "service/keeper/token_ops.h"
#include "service/keeper/token_pins.h"

#define BACK_OFF_MIN_US   200000u
#define BACK_OFF_MAX_US   30000000u
#define PROBES_OF_ONE     3u /* then the process is replaced: level 4 of the recovery */
#define WORKERS_BY_HELPER 0u
#define PIN_STATE_LOCKED  3u
#define CKR_PIN_LOCKED    0xa4u

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
    k->tokens->items[place] = NULL;
    oxv_token_keys_free(h);
    oxv_job_pool_done(&h->jobs);
    oxv_secret_freep(&h->typed_pin);
    oxv_secret_freep(&h->trying_pin);
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
oxv_token_by_uri(const struct oxv_keeper *k, struct oxv_view uri)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && oxv_view_is(uri, h->uri)) {
            return h;
        }
    }
    return NULL;
}

struct oxv_helper *
oxv_token_of_seal(const struct oxv_keeper *k, const struct oxv_seal *seal)
{
    return oxv_token_by_uri(k, seal->record.token_uri);
}

/* Are its connections to be served, so that it is brought back whenever it can be? */
static bool
is_needed(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    return h->row_id != 0 && oxv_keeper_is_open(k) && !k->stopping;
}

/* One entry for each change of what a token can do. */
static void
set_word(struct oxv_keeper *k, struct oxv_helper *h, const char *word)
{
    char ckr[OXV_CKR_NAME_MAX_BYTES];
    char reason[192];
    bool is_ready = strcmp(word, "ready") == 0;

    if (strcmp(h->word, word) == 0) {
        return;
    }
    h->word = word;
    h->since_us = k->now_us;
    if (k->log == NULL || strcmp(word, "starting") == 0) {
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_TOKEN_STATE,
                               .outcome = is_ready ? OXV_OUTCOME_ALLOWED : OXV_OUTCOME_FAILED };

    if (!is_ready) {
        entry.code = oxv_view_text("token_unavailable");
    }
    if (oxv_format(reason, sizeof reason, "token %s: %s%s%s", h->label, word,
                   !is_ready && h->ckr != 0 ? ", " : "",
                   !is_ready && h->ckr != 0 ? oxv_ckr_name(h->ckr, ckr) : "") != OXV_OK) {
        oxv_bug("a token's state does not fit");
    }
    entry.reason = oxv_view_text(reason);
    (void)oxv_event(k, &entry, NULL);
}

static const char *
trouble_word(const struct oxv_helper *h)
{
    switch ((enum oxv_token_trouble)h->trouble) {
    case OXV_TOKEN_FINE:
        return "ready";
    case OXV_TOKEN_ABSENT:
        return h->process.is_hung ? "hung" : "absent";
    case OXV_TOKEN_PIN:
        return h->pin_state == PIN_STATE_LOCKED ? "pin locked" : "pin refused";
    case OXV_TOKEN_NEEDS_PIN:
        return "needs pin";
    case OXV_TOKEN_STALE:
    case OXV_TOKEN_UNFIT:
    case OXV_TOKEN_DATA:
    case OXV_TOKEN_NO_KEY:
    case OXV_TOKEN_AMBIGUOUS:
    case OXV_TOKEN_REFUSED:
    case OXV_TOKEN_BUSY:
    case OXV_TOKEN_TROUBLE_END:
        break;
    }
    return "unfit";
}

const char *
oxv_token_word(const struct oxv_helper *h)
{
    return h->word;
}

const char *
oxv_token_pin_word(const struct oxv_helper *h)
{
    static const char *const words[] = { "ok", "count low", "final try", "locked" };

    return words[h->pin_state < 4 ? h->pin_state : 0];
}

static void
tell_waiters(struct oxv_keeper *k, struct oxv_helper *h, uint64_t trouble)
{
    struct oxv_token_waiter *w = h->waiters;

    h->waiters = NULL; /* who is told may want something again */
    while (w != NULL) {
        struct oxv_token_waiter *next = w->next;

        w->done(k, h, w->ctx, trouble);
        free(w);
        w = next;
    }
}

/* Later, with jitter, so that many services do not come at once. */
static void
schedule_retry(struct oxv_helper *h, uint64_t now_us)
{
    h->back_off_us = h->back_off_us == 0 ? BACK_OFF_MIN_US : 2 * h->back_off_us;
    h->back_off_us = h->back_off_us > BACK_OFF_MAX_US ? BACK_OFF_MAX_US : h->back_off_us;
    h->retry_at_us =
        now_us + h->back_off_us * 3 / 4 + randombytes_uniform((uint32_t)(h->back_off_us / 2));
}

/* What comes back without a person. */
static bool
may_pass(uint64_t trouble)
{
    return trouble == OXV_TOKEN_ABSENT || trouble == OXV_TOKEN_AMBIGUOUS ||
           trouble == OXV_TOKEN_BUSY;
}

/* It is known what stands in the way: who waits is told, and it may be tried again later. */
static void
settle(struct oxv_keeper *k, struct oxv_helper *h, uint64_t trouble, uint64_t ckr,
       struct oxv_view text)
{
    h->phase = h->process.channel != NULL ? OXV_HELPER_TROUBLED : OXV_HELPER_DOWN;
    h->trouble = trouble;
    h->ckr = ckr;
    if (oxv_text_copy(oxv_view_slice(text, 0, oxv_utf8_prefix_len(text)), h->text,
                      sizeof h->text) != OXV_OK) {
        h->text[0] = '\0'; /* too long: the word has to do */
    }
    oxv_secret_freep(&h->trying_pin);
    h->is_logged_in = false;
    h->is_asked = false;
    h->is_open_circuit = h->is_open_circuit || trouble == OXV_TOKEN_ABSENT;
    h->retry_at_us = 0;
    if (may_pass(trouble) && is_needed(k, h)) {
        schedule_retry(h, k->now_boot_us);
    }
    set_word(k, h, trouble_word(h));
    oxv_token_jobs_fail_waiting(k, h, "token_unavailable");
    tell_waiters(k, h, trouble);
}

/* A directory that is to become a vault has to be empty. */
static int
pins_dir(const struct oxv_keeper *k)
{
    return k->vault != NULL ? k->dir_fd : -1;
}

/* Kept across restarts: a wrong PIN is tried once. */
static void
note_refused(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_call_result *result)
{
    struct oxv_refused_pin refused = { .token_uri = oxv_view_text(h->uri),
                                       .salt = result->refused_salt,
                                       .hash = result->refused_hash,
                                       .when_us = k->now_us };

    if (result->trouble != OXV_TOKEN_PIN) {
        return;
    }
    oxv_token_pins_refuse(k->tokens->pins, pins_dir(k), &refused);
    if (result->ckr == CKR_PIN_LOCKED) { /* some tokens never show it by their flags */
        h->pin_state = PIN_STATE_LOCKED;
    }
}

static void
settle_result(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_call_result *result)
{
    note_refused(k, h, result);
    settle(k, h, result->trouble, result->ckr, result->text);
}

static void
close_circuit(struct oxv_keeper *k, struct oxv_helper *h)
{
    h->is_open_circuit = false;
    h->back_off_us = 0;
    h->failed_probes = 0;
    set_word(k, h, "ready");
}

static bool
has_connections(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    const struct oxv_connection *c = NULL;

    if (h->row_id == 0 || !oxv_keeper_is_open(k)) {
        return false;
    }
    do {
        c = oxv_vault_next_connection(k->vault, c != NULL ? c->id : 0);
    } while (c != NULL && c->record.key_token != h->row_id);
    return c != NULL;
}

static void
become_ready(struct oxv_keeper *k, struct oxv_helper *h)
{
    h->phase = OXV_HELPER_READY;
    h->trouble = OXV_TOKEN_FINE;
    h->ckr = 0;
    h->text[0] = '\0';
    h->retry_at_us = 0;
    h->is_asked = false;
    oxv_token_pins_clear(k->tokens->pins, pins_dir(k), oxv_view_text(h->uri));
    if (h->trying_pin != NULL) {
        oxv_token_pins_remember(k->tokens->pins, oxv_view_text(h->uri),
                                oxv_secret_view(h->trying_pin));
        oxv_secret_freep(&h->trying_pin);
    }
    oxv_secret_freep(&h->typed_pin); /* it came while another one was tried */
    h->loaded_after = 0;
    /* After a failure only a key that loads tells that it is well again: so each has to. */
    if (!h->is_open_circuit || !has_connections(k, h)) {
        close_circuit(k, h);
    } else {
        oxv_token_keys_unload(h, 0);
    }
    tell_waiters(k, h, OXV_TOKEN_FINE);
    oxv_token_jobs_resume(k, h);
}

/* What a HELPER_TOKEN says, but for its trouble. */
static void
take_token(struct oxv_helper *h, const struct oxv_msg_helper_token *token)
{
    if (oxv_text_copy(oxv_view_slice(token->label, 0, sizeof h->label - 1), h->label,
                      sizeof h->label) != OXV_OK) {
        h->label[0] = '\0';
    }
    for (char *p = h->label; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') { /* it goes into entries and metrics */
            *p = '?';
        }
    }
    h->is_logged_in = token->logged_in != 0;
    h->pin_state = token->pin_state;
    h->has_pin_pad = token->pin_pad != 0;
}

static void
after_login(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_msg_helper_token *token)
{
    take_token(h, token);
    if (token->trouble == OXV_TOKEN_FINE && h->is_logged_in) {
        become_ready(k, h);
        return;
    }
    struct oxv_call_result result = { .trouble = token->trouble != OXV_TOKEN_FINE
                                                     ? token->trouble
                                                     : (uint64_t)OXV_TOKEN_NEEDS_PIN,
                                      .ckr = token->ckr,
                                      .text = token->text,
                                      .refused_salt = token->refused_salt,
                                      .refused_hash = token->refused_hash };

    settle_result(k, h, &result);
}

static void begin(struct oxv_keeper *k, struct oxv_helper *h);

static void
login_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
           const struct oxv_call_result *result)
{
    (void)ctx;
    if (result->end != OXV_CALL_ANSWERED) {
        return; /* oxv_token_on_ended() says so to all */
    }
    if (result->trouble == OXV_TOKEN_FINE) {
        after_login(k, h, result->fields);
    } else if (h->typed_pin != NULL) { /* one that came meanwhile */
        note_refused(k, h, result);
        h->phase = OXV_HELPER_TROUBLED;
        begin(k, h);
    } else {
        settle_result(k, h, result);
    }
}

/* Why there is no login by itself; NULL: there is one. */
static const char *
login_hindrance(const struct oxv_keeper *k, const struct oxv_helper *h,
                const struct oxv_secret *pin)
{
    if (h->typed_pin != NULL || h->is_logged_in) {
        return NULL;
    }
    if (h->has_pin_pad) {
        return h->is_asked ? NULL : "its PIN is entered at the device itself";
    }
    if (pin == NULL) {
        return "the service has no PIN for it";
    }
    return oxv_token_pins_are_damaged(k->tokens->pins)
               ? "the file token-pins is damaged: which PINs were refused is not known"
               : NULL;
}

static void
login(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_view uri = oxv_view_text(h->uri);
    const struct oxv_secret *pin =
        h->typed_pin != NULL ? h->typed_pin
                             : oxv_token_pins_find(k->tokens->pins, uri, oxv_view_text(h->label));
    struct oxv_refused_pin refused = oxv_token_pins_refused(k->tokens->pins, uri);
    const char *hindrance = login_hindrance(k, h, pin);

    if (hindrance != NULL) {
        settle(k, h, OXV_TOKEN_NEEDS_PIN, 0, oxv_view_text(hindrance));
        return;
    }
    struct oxv_msg_helper_login message = {
        .pin = pin != NULL ? oxv_secret_view(pin) : oxv_view(NULL, 0),
        .refused_salt = refused.salt,
        .refused_hash = refused.hash,
        .again = h->typed_pin != NULL ? 1 : 0,
    };

    if (oxv_helper_call(k, h, OXV_MSG_HELPER_LOGIN, &message, login_done, NULL) != OXV_OK) {
        settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text("its helper does not take requests"));
        return;
    }
    h->phase = OXV_HELPER_LOGIN;
    oxv_secret_freep(&h->trying_pin);
    h->trying_pin = oxv_secret_take(&h->typed_pin);
}

static void
open_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
          const struct oxv_call_result *result)
{
    const struct oxv_msg_helper_token *token = result->fields;
    bool is_named = h->row_id != 0 || h->seal_id != 0;

    (void)ctx;
    if (result->end != OXV_CALL_ANSWERED) {
        return;
    }
    if (result->trouble != OXV_TOKEN_FINE) {
        settle_result(k, h, result);
        return;
    }
    take_token(h, token);
    if (is_named ? !oxv_view_is(token->uri, h->uri)
                 : oxv_text_copy(token->uri, h->uri, sizeof h->uri) != OXV_OK) {
        settle(k, h, OXV_TOKEN_REFUSED, 0, oxv_view_text("the helper opened another token"));
        return;
    }
    h->is_opened = true;
    if (token->trouble != OXV_TOKEN_FINE && token->trouble != OXV_TOKEN_NEEDS_PIN) {
        settle(k, h, token->trouble, token->ckr, token->text);
    } else if (h->is_logged_in) {
        become_ready(k, h);
    } else {
        login(k, h);
    }
}

void
oxv_token_on_started(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_msg_helper_open open = {
        .module = oxv_view_text(h->module),
        .uri = oxv_view_text(h->uri),
        .workers = WORKERS_BY_HELPER,
        .owner_uid_plus1 = k->options.single_uid ? (uint64_t)geteuid() + 1 : 0,
    };

    h->is_opened = false;
    h->phase = OXV_HELPER_OPENING;
    if (oxv_helper_call(k, h, OXV_MSG_HELPER_OPEN, &open, open_done, NULL) != OXV_OK) {
        settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text("its helper does not take requests"));
    }
}

/* Brings it on the way to be ready, from wherever it is. */
static void
begin(struct oxv_keeper *k, struct oxv_helper *h)
{
    h->was_tried = true;
    h->retry_at_us = 0;
    if (h->phase == OXV_HELPER_TROUBLED && h->is_opened && h->process.broken == NULL) {
        login(k, h);
        return;
    }
    if (h->phase == OXV_HELPER_TROUBLED) { /* what it could not open it may open anew */
        oxv_helper_end(k, h, OXV_CALL_LOST);
        h->phase = OXV_HELPER_DOWN;
    }
    if (h->phase == OXV_HELPER_DOWN && h->process.serial == 0 && !oxv_helper_start(k, h)) {
        settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text("its helper cannot be asked for"));
    }
}

void
oxv_token_on_ended(struct oxv_keeper *k, struct oxv_helper *h, const char *why)
{
    bool was_well = h->phase == OXV_HELPER_READY && !h->is_open_circuit && !h->process.is_hung;

    (void)fprintf(stderr, "oxvault-keeper: token %s: %s\n", h->label, why);
    h->restarts++;
    h->is_opened = false;
    oxv_token_keys_unload(h, 0);
    settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text(why));
    if (was_well && h->retry_at_us != 0) { /* at once, and who asks meanwhile waits for it */
        h->is_open_circuit = false;
        h->retry_at_us = k->now_boot_us;
    }
}

void
oxv_token_on_told(struct oxv_keeper *k, struct oxv_helper *h,
                  const struct oxv_msg_helper_token *token)
{
    if (!h->is_opened) {
        return; /* it looks for its token still; the answer to OPEN tells */
    }
    if (!oxv_view_is(token->uri, h->uri)) {
        oxv_helper_break(h, "it told of another token");
        return;
    }
    take_token(h, token);
    oxv_token_keys_unload(h, token->generation);
    if (token->trouble == OXV_TOKEN_FINE) {
        if (h->phase == OXV_HELPER_TROUBLED && may_pass(h->trouble)) {
            h->retry_at_us = k->now_boot_us;
        }
        h->loaded_after = h->phase == OXV_HELPER_READY ? 0 : h->loaded_after;
    } else if (h->phase == OXV_HELPER_READY) {
        struct oxv_call_result result = { .trouble = token->trouble,
                                          .ckr = token->ckr,
                                          .text = token->text,
                                          .refused_salt = token->refused_salt,
                                          .refused_hash = token->refused_hash };

        oxv_token_on_trouble(k, h, &result);
    }
}

void
oxv_token_on_trouble(struct oxv_keeper *k, struct oxv_helper *h,
                     const struct oxv_call_result *result)
{
    bool is_of_token = result->trouble == OXV_TOKEN_ABSENT || result->trouble == OXV_TOKEN_PIN ||
                       result->trouble == OXV_TOKEN_NEEDS_PIN;

    if (result->end == OXV_CALL_ANSWERED && is_of_token && h->phase == OXV_HELPER_READY) {
        settle_result(k, h, result);
    }
}

void
oxv_token_on_success(struct oxv_keeper *k, struct oxv_helper *h)
{
    if (h->is_open_circuit && h->phase == OXV_HELPER_READY) {
        close_circuit(k, h);
    }
}

void
oxv_token_want(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_wish wish,
               oxv_token_ready_fn done, void *ctx)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = wish.pin;
    struct oxv_token_waiter *w;

    if (h->phase == OXV_HELPER_READY) {
        done(k, h, ctx, OXV_TOKEN_FINE);
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
                                    .due_us = oxv_clock_boot_us() + OXV_HELPER_CALL_US +
                                              OXV_HELPER_START_US };
    h->waiters = w;
    h->is_asked = h->is_asked || wish.is_asked;
    if (pin != NULL) {
        oxv_secret_freep(&h->typed_pin);
        h->typed_pin = oxv_secret_take(&pin);
    }
    begin(k, h);
}

void
oxv_token_forget(struct oxv_helper *h, const void *ctx)
{
    struct oxv_token_waiter **link = &h->waiters;

    while (*link != NULL) {
        struct oxv_token_waiter *w = *link;

        if (w->ctx == ctx) {
            *link = w->next;
            free(w);
        } else {
            link = &w->next;
        }
    }
}

static void
adopt_one(struct oxv_keeper *k, struct oxv_view module, struct oxv_view uri, uint64_t row_id,
          uint64_t seal_id)
{
    struct oxv_helper *h = oxv_token_by_uri(k, uri);

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

        if (h != NULL && is_needed(k, h) && h->phase == OXV_HELPER_DOWN && h->retry_at_us == 0) {
            begin(k, h);
        }
    }
}

static void
lock_one(struct oxv_keeper *k, struct oxv_helper *h)
{
    oxv_token_jobs_fail_waiting(k, h, "sealed");
    oxv_helper_end(k, h, OXV_CALL_DROPPED);
    tell_waiters(k, h, OXV_TOKEN_BUSY);
    oxv_token_keys_free(h);
    oxv_secret_freep(&h->typed_pin);
    oxv_secret_freep(&h->trying_pin);
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

static void
expire_waiters(struct oxv_keeper *k, struct oxv_helper *h)
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
        free(w);
        link = &h->waiters; /* the callback may have changed the list */
    }
}

/* The circuit's own probe. */
static void
retry(struct oxv_keeper *k, struct oxv_helper *h)
{
    if (h->retry_at_us == 0 || oxv_clock_boot_us() < h->retry_at_us) {
        return;
    }
    if (!is_needed(k, h)) {
        h->retry_at_us = 0;
        return;
    }
    if (++h->failed_probes % (PROBES_OF_ONE + 1) == 0 && h->process.channel != NULL) {
        oxv_helper_end(k, h, OXV_CALL_LOST);
        oxv_token_keys_unload(h, 0);
        h->restarts++;
        h->phase = OXV_HELPER_DOWN;
    }
    begin(k, h);
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
        expire_waiters(k, h);
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

        next_us = of_process < next_us ? of_process : next_us;
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
