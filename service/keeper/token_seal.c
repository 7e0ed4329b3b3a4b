#include "service/keeper/token_seal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/publish.h"
#include "service/keeper/state.h"

#define REPLACED_START_US 3000000u /* callers wait at the doors meanwhile */
#define RETRY_MIN_US      500000u
#define RETRY_MAX_US      15000000u

/* One search for a seal that opens. */
struct search {
    uint64_t wanted; /* the only one to be tried; 0: any */
    uint64_t at;     /* the one that is being tried */
    struct oxv_helper *helper;
    struct oxv_secret *pin;
    bool is_asked;
    bool proves;
    bool is_away;
    oxv_seal_value_fn done;
    void *ctx;
    struct oxv_err err;
};

static const struct oxv_seal *
next_seal(const struct oxv_keeper *k, uint64_t after, uint64_t wanted)
{
    const struct oxv_seal *seals;
    size_t count = oxv_vault_seals(k->vault, &seals);
    const struct oxv_seal *best = NULL;

    for (size_t i = 0; i < count; i++) {
        if (seals[i].record.kind == OXV_SEAL_TOKEN && seals[i].id > after &&
            (wanted == 0 || seals[i].id == wanted) && (best == NULL || seals[i].id < best->id)) {
            best = &seals[i];
        }
    }
    return best;
}

bool
oxv_token_seals_exist(const struct oxv_keeper *k)
{
    return next_seal(k, 0, 0) != NULL;
}

static void
finish(struct oxv_keeper *k, struct search *s, struct oxv_secret *value)
{
    if (s->helper != NULL) {
        s->helper->users--;
    }
    oxv_secret_freep(&s->pin);
    if (s->ctx == &k->tokens->start) {
        k->tokens->start.is_away = s->is_away;
    }
    s->done(k, s->ctx, value, s->at, &s->err);
    free(s);
}

static void try_next(struct oxv_keeper *k, struct search *s);

/* A PIN that is wrong says more than a token that is not there. */
static void
note(struct search *s, const struct oxv_err *err)
{
    s->is_away = s->is_away || err->status == OXV_E_TOKEN || err->status == OXV_E_BUSY ||
                 err->status == OXV_E_CONFLICT;
    if (s->err.status != OXV_E_LOCKED) {
        s->err = *err;
    }
}

static void
value_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
           const struct oxv_call_result *result)
{
    struct search *s = ctx;
    const struct oxv_msg_helper_value *message = result->fields;
    struct oxv_err err = { 0 };

    if (result->trouble == OXV_TOKEN_FINE && message->value.len == OXV_TOKEN_VALUE_BYTES) {
        struct oxv_secret *value = oxv_secret_copy(message->value);

        if (value != NULL) {
            finish(k, s, value);
            return;
        }
        (void)oxv_fail(&err, OXV_E_MEMORY, "no locked memory left");
    } else {
        oxv_token_on_trouble(k, h, result);
        (void)oxv_token_fail(h,
                             result->trouble != OXV_TOKEN_FINE ? result->trouble
                                                               : (uint64_t)OXV_TOKEN_DATA,
                             result->text, &err);
    }
    if (result->trouble == OXV_TOKEN_NO_KEY || result->trouble == OXV_TOKEN_DATA) {
        struct oxv_view said = result->text.len > 0
                                   ? result->text
                                   : oxv_view_text("the seal's key is not there, or another one");

        (void)oxv_fail(&err, err.status,
                       "token %.64s: %.*s; open the vault by another seal, and do not initialise "
                       "the token again",
                       h->label, (int)said.len, (const char *)said.data);
    }
    note(s, &err);
    try_next(k, s);
}

static void
seal_ready(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, uint64_t trouble)
{
    struct search *s = ctx;
    const struct oxv_seal *seal = next_seal(k, s->at - 1, s->at);
    struct oxv_err err = { 0 };

    if (trouble == OXV_TOKEN_FINE && seal != NULL) {
        struct oxv_msg_helper_unseal message = { .mechanism = seal->record.mechanism,
                                                 .gcm_iv = seal->record.gcm_iv,
                                                 .key_id = seal->record.key_id,
                                                 .key_hash = seal->record.key_hash,
                                                 .blob = seal->record.blob };

        if (oxv_helper_call(k, h, OXV_MSG_HELPER_UNSEAL, &message,
                            (struct oxv_call_then){ value_done, s }) == OXV_OK) {
            return;
        }
        trouble = OXV_TOKEN_BUSY;
    }
    (void)oxv_token_fail(h, trouble, oxv_view_text(h->trouble == trouble ? h->text : ""), &err);
    note(s, &err);
    try_next(k, s);
}

/* That of the seal. Where its PIN has to be shown at a PIN pad, or may have to: a process of its
 * own asks there, and the one that is logged in goes on. */
static struct oxv_helper *
helper_for(struct oxv_keeper *k, const struct search *s, const struct oxv_seal *seal)
{
    struct oxv_helper *h = oxv_token_of_seal(k, seal);
    bool is_private = s->proves && (h != NULL && h->is_opened ? h->has_pin_pad : s->pin == NULL);

    if (h == NULL || is_private) {
        h = oxv_token_make(k, seal->record.module, seal->record.token_uri);
    }
    if (h != NULL) {
        h->is_private = h->is_private || is_private;
    }
    return h;
}

static void
try_next(struct oxv_keeper *k, struct search *s)
{
    const struct oxv_seal *seal = next_seal(k, s->at, s->wanted);
    struct oxv_helper *h = NULL;

    if (s->helper != NULL) {
        s->helper->users--;
        s->helper = NULL;
    }
    if (seal == NULL) {
        finish(k, s, NULL);
        return;
    }
    s->at = seal->id;
    h = helper_for(k, s, seal);
    if (h == NULL) {
        (void)oxv_fail(&s->err, OXV_E_MEMORY, "too many tokens");
        finish(k, s, NULL);
        return;
    }
    struct oxv_token_wish wish =
        oxv_token_wish_of(s->pin != NULL ? oxv_secret_view(s->pin) : oxv_view(NULL, 0));

    wish.is_asked = s->is_asked;
    wish.proves = s->proves;
    s->helper = h;
    h->users++;
    oxv_token_want(k, h, wish, seal_ready, s);
}

void
oxv_seal_value(struct oxv_keeper *k, uint64_t seal_id, struct oxv_token_wish wish,
               oxv_seal_value_fn done, void *ctx)
{
    struct search *s = calloc(1, sizeof *s);
    struct oxv_err err = { 0 };
    const struct oxv_seal *first = next_seal(k, 0, seal_id);

    if (s == NULL) {
        oxv_secret_freep(&wish.pin);
        (void)oxv_fail(&err, OXV_E_MEMORY, "no memory");
        done(k, ctx, NULL, 0, &err);
        return;
    }
    *s = (struct search){ .wanted = seal_id,
                          .pin = wish.pin,
                          .is_asked = wish.is_asked,
                          .proves = wish.proves,
                          .done = done,
                          .ctx = ctx };
    (void)oxv_fail(&s->err, OXV_E_TOKEN, "the vault has no such seal of a token");
    if (wish.is_pin_lost) {
        (void)oxv_fail(&s->err, OXV_E_MEMORY, "no locked memory left");
        finish(k, s, NULL);
        return;
    }
    if (wish.pin != NULL && seal_id == 0 && first != NULL && next_seal(k, first->id, 0) != NULL) {
        /* A PIN that is tried on the wrong token counts there. */
        (void)oxv_fail(&s->err, OXV_E_USAGE,
                       "the vault has several seals of tokens: say which one by its id");
        finish(k, s, NULL);
        return;
    }
    try_next(k, s);
}

static void
start_done(struct oxv_keeper *k, void *ctx, struct oxv_secret *value, uint64_t seal_id,
           const struct oxv_err *err)
{
    struct oxv_token_start *start = ctx;

    (void)k;
    start->is_done = true;
    start->value = value;
    start->seal_id = seal_id;
    start->err = *err;
}

static void
begin_search(struct oxv_keeper *k)
{
    struct oxv_token_start *start = &k->tokens->start;

    start->is_done = false;
    start->is_trying = true;
    oxv_seal_value(k, 0, (struct oxv_token_wish){ 0 }, start_done, start);
}

/* Opens the vault by what the search found. *is_found says whether it found anything. */
static enum oxv_status
take_found(struct oxv_keeper *k, const char *reason, bool *is_found, struct oxv_err *err)
{
    struct oxv_token_start *start = &k->tokens->start;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = oxv_secret_take(&start->value);
    struct oxv_seal_input input = { .kind = OXV_SEAL_TOKEN, .token_value = value };
    struct oxv_entry entry = { .reason = oxv_view_text(reason) };

    start->is_trying = false;
    *is_found = value != NULL;
    if (value == NULL) {
        *err = start->err;
        return start->err.status;
    }
    return oxv_state_unseal(k, &input, start->seal_id, &entry, err);
}

/* Did a process of a seal's token hang? It is ended by now. */
static bool
has_hung_helper(const struct oxv_keeper *k)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        const struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && h->seal_id != 0 && h->process.is_hung) {
            return true;
        }
    }
    return false;
}

/* One search, and another where a process hung and is replaced. */
static enum oxv_status
search_until(struct oxv_keeper *k, uint64_t until_us, bool *is_found, struct oxv_err *err)
{
    struct oxv_token_start *start = &k->tokens->start;
    enum oxv_status st;

    do {
        uint64_t now_us = oxv_clock_boot_us();

        begin_search(k);
        st = oxv_tokens_pump(k, &start->is_done, until_us > now_us ? until_us - now_us : 0, err);
        if (st == OXV_OK) {
            st = take_found(k, "at start", is_found, err);
        }
    } while (st == OXV_E_TOKEN && !start->is_trying && has_hung_helper(k) &&
             oxv_clock_boot_us() < until_us);
    return st;
}

enum oxv_status
oxv_token_unseal_at_start(struct oxv_keeper *k, struct oxv_err *err)
{
    uint64_t wait_us = k->options.replaces ? REPLACED_START_US : OXV_TOKEN_START_US;
    struct oxv_entry entry = { .reason = oxv_view_text("at start") };
    bool is_found = false;
    enum oxv_status st = search_until(k, oxv_clock_boot_us() + wait_us, &is_found, err);

    if (st != OXV_OK) {
        oxv_state_note_failure(k, &entry, st);
    }
    k->tokens->start.is_wanted = k->options.replaces && st != OXV_OK && st != OXV_E_IO && !is_found;
    return st;
}

/* A process that has lost its token may never find it again: the next search has a new one. */
static void
end_lost_helpers(struct oxv_keeper *k)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && h->seal_id != 0 && h->users == 0 && h->phase == OXV_HELPER_TROUBLED &&
            h->trouble == OXV_TOKEN_ABSENT && h->process.channel != NULL) {
            oxv_helper_end(k, h, OXV_CALL_LOST);
            h->is_opened = false;
            h->phase = OXV_HELPER_DOWN;
        }
    }
}

static void
search_failed(struct oxv_keeper *k)
{
    struct oxv_token_start *start = &k->tokens->start;

    /* A PIN that is missing or refused stays so until a person does something about it. */
    start->is_wanted = start->is_away;
    start->back_off_us = start->back_off_us == 0 ? RETRY_MIN_US : 2 * start->back_off_us;
    start->back_off_us = start->back_off_us < RETRY_MAX_US ? start->back_off_us : RETRY_MAX_US;
    start->retry_at_us = oxv_clock_boot_us() + start->back_off_us;
}

static void
end_search(struct oxv_keeper *k)
{
    struct oxv_token_start *start = &k->tokens->start;
    struct oxv_entry entry = { .reason = oxv_view_text("its token is back") };
    struct oxv_err err = { 0 };
    bool is_found = false;
    enum oxv_status st = take_found(k, "its token is back", &is_found, &err);

    if (!is_found) {
        search_failed(k);
        return;
    }
    start->is_wanted = false;
    if (st == OXV_OK) {
        oxv_state_tell(k, OXV_MSG_STATE);
        st = oxv_keeper_publish(k, &err);
    } else {
        oxv_state_note_failure(k, &entry, st);
    }
    if (st != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: %s\n", err.text);
    }
}

void
oxv_token_seal_work(struct oxv_keeper *k)
{
    struct oxv_token_start *start = &k->tokens->start;

    if (!start->is_wanted || oxv_keeper_is_open(k) || k->has_to_stop_answering) {
        start->is_wanted = false;
        oxv_secret_freep(&start->value); /* of a search that nobody waits for any more */
    } else if (start->is_trying && start->is_done && k->is_published) {
        end_search(k);
    } else if (!start->is_trying && oxv_clock_boot_us() >= start->retry_at_us) {
        end_lost_helpers(k);
        begin_search(k);
    }
}

/* One seal in the making. */
struct making {
    struct oxv_token_sealed *out;
    struct oxv_secret *value;
    oxv_seal_made_fn done;
    void *ctx;
};

static void
made(struct oxv_keeper *k, struct making *m, const struct oxv_err *err)
{
    struct oxv_secret *value = err == NULL ? oxv_secret_take(&m->value) : NULL;

    oxv_secret_freep(&m->value);
    m->done(k, m->ctx, value, err);
    free(m);
}

static void
made_badly(struct oxv_keeper *k, struct oxv_helper *h, struct making *m,
           const struct oxv_call_result *result)
{
    struct oxv_err err = { 0 };

    oxv_token_on_trouble(k, h, result);
    (void)oxv_token_fail(h, result->trouble, result->text, &err);
    made(k, m, &err);
}

static void
try_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
         const struct oxv_call_result *result)
{
    struct making *m = ctx;
    const struct oxv_msg_helper_value *message = result->fields;
    struct oxv_err err = { 0 };

    if (result->trouble != OXV_TOKEN_FINE) {
        made_badly(k, h, m, result);
    } else if (!oxv_secret_equals(m->value, message->value)) {
        (void)oxv_token_fail(h, OXV_TOKEN_UNFIT,
                             oxv_view_text("what it sealed does not open to the same value"), &err);
        made(k, m, &err);
    } else {
        made(k, m, NULL);
    }
}

static void
keep_record(const struct oxv_keeper *k, const struct oxv_helper *h,
            const struct oxv_msg_helper_sealed *sealed, struct oxv_token_sealed *out)
{
    memcpy(out->key_id, sealed->key_id.data, sealed->key_id.len);
    memcpy(out->blob, sealed->blob.data, sealed->blob.len);
    if (sealed->key_hash.len > 0) {
        memcpy(out->key_hash, sealed->key_hash.data, sealed->key_hash.len);
    }
    out->record = (struct oxv_seal_record){
        .kind = OXV_SEAL_TOKEN,
        .created_us = k->now_us,
        .module = oxv_view_text(h->module),
        .token_uri = oxv_view_text(h->uri),
        .mechanism = sealed->mechanism,
        .gcm_iv = sealed->mechanism == OXV_TOKEN_AES_GCM ? sealed->gcm_iv : 0,
        .key_id = oxv_view(out->key_id, sealed->key_id.len),
        .key_hash = oxv_view(out->key_hash, sealed->key_hash.len),
        .blob = oxv_view(out->blob, sealed->blob.len),
    };
}

static void
sealed_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
            const struct oxv_call_result *result)
{
    struct making *m = ctx;
    const struct oxv_msg_helper_sealed *sealed = result->fields;
    struct oxv_err err = { 0 };

    if (result->trouble != OXV_TOKEN_FINE) {
        made_badly(k, h, m, result);
        return;
    }
    if (sealed->value.len != OXV_TOKEN_VALUE_BYTES || sealed->mechanism == 0) {
        (void)oxv_fail(&err, OXV_E_TOKEN, "the token helper sealed something else");
        made(k, m, &err);
        return;
    }
    keep_record(k, h, sealed, m->out);
    m->value = oxv_secret_copy(sealed->value);
    struct oxv_msg_helper_unseal message = { .mechanism = m->out->record.mechanism,
                                             .gcm_iv = m->out->record.gcm_iv,
                                             .key_id = m->out->record.key_id,
                                             .key_hash = m->out->record.key_hash,
                                             .blob = m->out->record.blob };

    if (m->value == NULL || oxv_helper_call(k, h, OXV_MSG_HELPER_UNSEAL, &message,
                                            (struct oxv_call_then){ try_done, m }) != OXV_OK) {
        (void)oxv_fail(&err, OXV_E_BUSY, "no memory, or the token helper is busy");
        made(k, m, &err);
    }
}

void
oxv_seal_make(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_msg_helper_seal *how,
              struct oxv_token_sealed *out, struct oxv_seal_then then)
{
    struct making *m = calloc(1, sizeof *m);
    struct oxv_err err = { 0 };

    if (m != NULL) {
        *m = (struct making){ .out = out, .done = then.done, .ctx = then.ctx };
    }
    if (m == NULL || oxv_helper_call(k, h, OXV_MSG_HELPER_SEAL, how,
                                     (struct oxv_call_then){ sealed_done, m }) != OXV_OK) {
        free(m);
        (void)oxv_fail(&err, OXV_E_BUSY, "no memory, or the token helper is busy");
        then.done(k, then.ctx, NULL, &err);
    }
}
