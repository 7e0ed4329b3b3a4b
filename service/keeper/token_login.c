#include "service/keeper/token_login.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"
#include "base/token_names.h"
#include "service/keeper/events.h"
#include "service/keeper/token_mac.h"
#include "service/keeper/token_pins.h"

#define BACK_OFF_MIN_US   200000u
#define BACK_OFF_MAX_US   30000000u
#define WORKERS_BY_HELPER 0u
#define PIN_STATE_LOCKED  3u
#define WELL_US           5000000u /* for so long, and the back-off begins anew */
#define PAD_MARGIN_US     2000000u
#define LOGIN_REST_US     61000000u /* after one that failed; the helper counts a minute itself */
#define CKR_PIN_INCORRECT 0xa0u
#define CKR_PIN_LOCKED    0xa4u

bool
oxv_token_is_needed(const struct oxv_keeper *k, const struct oxv_helper *h)
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
    if (k->log == NULL || h->is_private || strcmp(word, "starting") == 0) {
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
    struct oxv_view cut = oxv_view_slice(text, 0, sizeof h->text - 1);

    h->phase = h->process.channel != NULL ? OXV_HELPER_TROUBLED : OXV_HELPER_DOWN;
    h->was_sealed = !oxv_keeper_is_open(k);
    h->trouble = trouble;
    h->ckr = ckr;
    if (oxv_text_copy(oxv_view_slice(cut, 0, oxv_utf8_prefix_len(cut)), h->text, sizeof h->text) !=
        OXV_OK) {
        h->text[0] = '\0'; /* there is a NUL in it: the word has to do */
    }
    oxv_secret_freep(&h->typed_pin); /* its request is refused: nothing of it is tried later */
    oxv_secret_freep(&h->trying_pin);
    oxv_secret_freep(&h->proven_pin);
    h->is_logged_in = false;
    h->is_asked = false;
    h->is_open_circuit = h->is_open_circuit || trouble == OXV_TOKEN_ABSENT;
    h->retry_at_us = 0;
    if (h->well_since_us != 0 && k->now_boot_us - h->well_since_us >= WELL_US) {
        h->back_off_us = 0;
    }
    h->well_since_us = 0;
    if (may_pass(trouble) && oxv_token_is_needed(k, h)) {
        schedule_retry(h, k->now_boot_us);
    }
    set_word(k, h, trouble_word(h));
    oxv_token_jobs_fail_waiting(k, h, "token_unavailable");
    oxv_token_tell_waiters(k, h, trouble);
}

/* A directory that is to become a vault has to be empty. */
static int
pins_dir(const struct oxv_keeper *k)
{
    return k->vault != NULL ? k->dir_fd : -1;
}

/* A login that the device failed may have cost a try, so there is no other one soon, whatever
 * becomes of its helper; any other end says that it has cost none. */
static bool
note_end(struct oxv_keeper *k, const struct oxv_helper *h, const struct oxv_call_result *result)
{
    struct oxv_view uri = oxv_view_text(h->uri);
    uint64_t tried_us = oxv_token_pins_refused(k->tokens->pins, uri).tried_us;

    if (!result->login_failed) {
        tried_us = 0;
    } else if (tried_us == 0) { /* one that the helper made by itself */
        tried_us = k->now_us;
    }
    return oxv_token_pins_tried(k->tokens->pins, pins_dir(k), uri, tried_us);
}

/* Kept across restarts: a wrong PIN is tried once. False where it could not be kept. */
static bool
note_refused(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_call_result *result)
{
    struct oxv_refused_pin refused = { .token_uri = oxv_view_text(h->uri),
                                       .salt = result->refused_salt,
                                       .hash = result->refused_hash,
                                       .when_us = k->now_us };

    bool is_kept;

    if (result->trouble != OXV_TOKEN_PIN) {
        return note_end(k, h, result);
    }
    /* Without a hash: not tried at all, or the helper had no memory for one. */
    if (result->refused_hash.len > 0 || result->ckr == CKR_PIN_INCORRECT) {
        is_kept = oxv_token_pins_refuse(k->tokens->pins, pins_dir(k), &refused);
    } else {
        is_kept = note_end(k, h, result);
    }
    if (result->ckr == CKR_PIN_LOCKED) { /* some tokens never show it by their flags */
        h->pin_state = PIN_STATE_LOCKED;
    }
    return is_kept;
}

static void
settle_result(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_call_result *result)
{
    char text[OXV_HELPER_TEXT_BYTES];

    if (!note_refused(k, h, result) &&
        oxv_format(text, sizeof text,
                   "%.*s (that could not be written to the disk: the next start "
                   "may try it again)",
                   (int)result->text.len, (const char *)result->text.data) == OXV_OK) {
        settle(k, h, result->trouble, result->ckr, oxv_view_text(text));
        return;
    }
    settle(k, h, result->trouble, result->ckr, result->text);
}

static void
close_circuit(struct oxv_keeper *k, struct oxv_helper *h)
{
    h->is_open_circuit = false;
    h->failed_probes = 0;
    h->well_since_us = k->now_boot_us;
    set_word(k, h, "ready");
}

static bool
has_connections(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    return h->row_id != 0 && oxv_keeper_is_open(k) &&
           oxv_vault_connections_in_token(k->vault, h->row_id) > 0;
}

/* Did a person log in, or a PIN of which it was known that it was not refused? */
static bool
proved_its_pin(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    return !h->needs_no_pin &&
           (h->is_trying_typed || h->has_pin_pad ||
            oxv_token_pins_hindrance(k->tokens->pins, oxv_view_text(h->uri)) == NULL);
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
    if (proved_its_pin(k, h)) {
        oxv_token_pins_clear(k->tokens->pins, pins_dir(k), oxv_view_text(h->uri));
    } else {
        bool is_kept = oxv_token_pins_tried(k->tokens->pins, pins_dir(k), oxv_view_text(h->uri), 0);

        (void)is_kept; /* stderr says so; the next login by itself may come later */
    }
    if (h->trying_pin != NULL && h->is_trying_typed) {
        oxv_token_pins_remember(k->tokens->pins, oxv_view_text(h->uri),
                                oxv_secret_view(h->trying_pin));
    }
    oxv_secret_freep(&h->proven_pin);
    h->proven_pin = oxv_secret_take(&h->trying_pin);
    oxv_secret_freep(&h->typed_pin); /* it came while another one was tried */
    h->loaded_after = 0;
    /* After a failure only a key that loads tells that it is well again: so each has to. */
    if (!h->is_open_circuit || !has_connections(k, h)) {
        close_circuit(k, h);
    } else {
        oxv_token_keys_unload(h, 0);
    }
    oxv_token_tell_waiters(k, h, OXV_TOKEN_FINE);
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
    } else if (h->typed_pin != NULL) {    /* one that came meanwhile */
        (void)note_refused(k, h, result); /* where it could not be kept, stderr says so */
        h->phase = OXV_HELPER_TROUBLED;
        oxv_token_begin(k, h);
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
    if (h->is_private) {
        return "its PIN is asked for again: type it";
    }
    if (pin == NULL) {
        return "the service has no PIN for it";
    }
    return oxv_token_pins_hindrance(k->tokens->pins, oxv_view_text(h->uri));
}

/* Of a login that failed, or whose end nobody saw, each may have cost a try: one a minute at most.
 */
static bool
rests(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    uint64_t tried_us = oxv_token_pins_refused(k->tokens->pins, oxv_view_text(h->uri)).tried_us;
    uint64_t apart_us = tried_us > k->now_us ? tried_us - k->now_us : k->now_us - tried_us;

    return h->typed_pin == NULL && !h->has_pin_pad && tried_us != 0 && apart_us < LOGIN_REST_US;
}

/* It is written down before the PIN goes out: not even a crash of all may try it again at once. */
static bool
note_begin(struct oxv_keeper *k, const struct oxv_helper *h, const struct oxv_secret *pin)
{
    return pin == NULL || h->has_pin_pad ||
           oxv_token_pins_tried(k->tokens->pins, pins_dir(k), oxv_view_text(h->uri), k->now_us);
}

/* Does the vault use this token already? One that is being made has no other. */
static bool
is_known(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    return k->vault == NULL || h->row_id != 0 || h->seal_id != 0;
}

static void
login(struct oxv_keeper *k, struct oxv_helper *h)
{
    struct oxv_view uri = oxv_view_text(h->uri);
    const struct oxv_secret *pin =
        h->typed_pin != NULL
            ? h->typed_pin
            : oxv_token_pins_find(k->tokens->pins, uri, oxv_view_text(h->label), is_known(k, h));
    struct oxv_refused_pin refused = oxv_token_pins_refused(k->tokens->pins, uri);
    const char *hindrance = login_hindrance(k, h, pin);

    if (hindrance != NULL) {
        settle(k, h, OXV_TOKEN_NEEDS_PIN, 0, oxv_view_text(hindrance));
        return;
    }
    if (rests(k, h)) {
        settle(k, h, OXV_TOKEN_ABSENT, 0,
               oxv_view_text("less than a minute ago a login failed, or its end was not seen"));
        return;
    }
    if (!note_begin(k, h, pin)) {
        settle(k, h, OXV_TOKEN_BUSY, 0,
               oxv_view_text("the file token-pins cannot be written: no PIN is tried"));
        return;
    }
    struct oxv_msg_helper_login message = {
        .pin = pin != NULL ? oxv_secret_view(pin) : oxv_view(NULL, 0),
        .refused_salt = refused.salt,
        .refused_hash = refused.hash,
        .again = h->typed_pin != NULL ? 1 : 0,
    };

    if (oxv_helper_call(k, h, OXV_MSG_HELPER_LOGIN, &message,
                        (struct oxv_call_then){ login_done, NULL }) != OXV_OK) {
        settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text("its helper does not take requests"));
        return;
    }
    h->phase = OXV_HELPER_LOGIN;
    h->needs_no_pin = false;
    if (message.pin.len == 0) { /* it is typed at the device */
        oxv_token_waiters_give_time(h, k->now_boot_us + OXV_HELPER_PAD_US + PAD_MARGIN_US);
    }
    h->is_trying_typed = h->typed_pin != NULL;
    oxv_secret_freep(&h->trying_pin);
    if (h->is_trying_typed) {
        h->trying_pin = oxv_secret_take(&h->typed_pin);
    } else if (pin != NULL) { /* no locked memory: no typed one is right */
        h->trying_pin = oxv_secret_copy(oxv_secret_view(pin));
    }
}

static void
open_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
          const struct oxv_call_result *result)
{
    const struct oxv_msg_helper_token *token = result->fields;
    bool is_named = h->row_id != 0 || h->seal_id != 0;
    char text[OXV_HELPER_TEXT_BYTES];

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
    if (!is_named && !h->is_private && oxv_token_find_other_module(k, h, text)) {
        settle(k, h, OXV_TOKEN_REFUSED, 0, oxv_view_text(text));
        return;
    }
    if (!is_named && !h->is_private && oxv_token_give_way(k, h)) {
        return;
    }
    if (token->trouble != OXV_TOKEN_FINE && token->trouble != OXV_TOKEN_NEEDS_PIN) {
        settle(k, h, token->trouble, token->ckr, token->text);
    } else if (h->is_logged_in) {
        h->needs_no_pin = true;
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
    };

    h->is_opened = false;
    h->phase = OXV_HELPER_OPENING;
    if (oxv_helper_call(k, h, OXV_MSG_HELPER_OPEN, &open,
                        (struct oxv_call_then){ open_done, NULL }) != OXV_OK) {
        settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text("its helper does not take requests"));
    }
}

void
oxv_token_begin(struct oxv_keeper *k, struct oxv_helper *h)
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

/* Not each time: a helper that dies or changes its word at every request would be followed at full
 * speed, with a login and entries each time. */
static bool
may_hurry(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    return h->hurried_us == 0 || k->now_boot_us - h->hurried_us >= WELL_US;
}

void
oxv_token_on_ended(struct oxv_keeper *k, struct oxv_helper *h, const char *why)
{
    bool was_well = h->phase == OXV_HELPER_READY && !h->is_open_circuit && !h->process.is_hung &&
                    may_hurry(k, h);

    (void)fprintf(stderr, "oxvault-keeper: token %s: %s\n", h->label, why);
    h->restarts++;
    h->is_opened = false;
    oxv_token_keys_unload(h, 0);
    settle(k, h, OXV_TOKEN_ABSENT, 0, oxv_view_text(why));
    if (was_well && h->retry_at_us != 0) { /* at once, and who asks meanwhile waits for it */
        h->is_open_circuit = false;
        h->retry_at_us = k->now_boot_us;
        h->hurried_us = k->now_boot_us;
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
        if (h->phase == OXV_HELPER_TROUBLED && may_pass(h->trouble) && may_hurry(k, h)) {
            h->retry_at_us = k->now_boot_us;
            h->hurried_us = k->now_boot_us;
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
