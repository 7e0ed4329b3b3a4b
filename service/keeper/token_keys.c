#include "service/keeper/token_keys.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/answers.h"
#include "service/keeper/events.h"
#include "service/keeper/token_mac.h"
#include "signer/signature_method.h"

#define LOADS_MAX      8u   /* of one token at once */
#define ROWS_LOOKED_AT 300u /* for more to load, in one turn */
#define RETRY_SOON_US  1000000u
#define RETRY_LATE_US  60000000u /* each try of an unwrap that fails may count against the token */

/* Sorted by connection id. */
struct oxv_token_keys {
    struct oxv_token_key **items;
    size_t count;
    size_t max;
};

/* One key on its way: LOAD, then the check message is signed and compared. */
struct load {
    uint64_t key;
    uint64_t generation;
    uint8_t key_id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t key_id_len;
    bool is_made; /* for this: destroyed where it is not what it should be */
    struct oxv_secret *check;
    oxv_key_loaded_fn done;
    void *ctx;
};

uint64_t
oxv_key_hash(uint64_t signature_method)
{
    switch ((enum oxv_signature_method)signature_method) {
    case OXV_HMAC_SHA256:
        return OXV_TOKEN_SHA256;
    case OXV_HMAC_SHA512:
        return OXV_TOKEN_SHA512;
    case OXV_HMAC_SHA1:
        return OXV_TOKEN_SHA1;
    case OXV_RSA_SHA1:
    case OXV_RSA_SHA256:
    case OXV_RSA_SHA512:
        break;
    }
    return 0;
}

size_t
oxv_key_mac_len(uint64_t hash)
{
    return hash == OXV_TOKEN_SHA256 ? 32 : hash == OXV_TOKEN_SHA512 ? 64 : 20;
}

static void
finish(struct oxv_keeper *k, struct oxv_helper *h, struct load *load,
       const struct oxv_key_loaded *loaded)
{
    oxv_key_loaded_fn done = load->done;
    void *ctx = load->ctx;

    oxv_secret_freep(&load->check);
    free(load);
    done(k, h, ctx, loaded);
}

static void
finish_failed(struct oxv_keeper *k, struct oxv_helper *h, struct load *load,
              const struct oxv_call_result *result)
{
    struct oxv_key_loaded loaded = {
        .trouble = result->trouble, .ckr = result->ckr, .text = result->text, .end = result->end
    };

    oxv_token_on_trouble(k, h, result);
    if (load->is_made && result->end != OXV_CALL_ANSWERED) { /* it may be there all the same */
        oxv_key_left_behind(k, h, oxv_view(load->key_id, load->key_id_len));
    }
    finish(k, h, load, &loaded);
}

static void
finish_late(struct oxv_keeper *k, struct oxv_helper *h, struct load *load, uint64_t trouble,
            const char *text)
{
    struct oxv_key_loaded loaded = { .trouble = trouble, .text = oxv_view_text(text) };

    finish(k, h, load, &loaded);
}

/* It cannot be used: gone again, with its object where that was made for this. */
static void
undo(struct oxv_keeper *k, struct oxv_helper *h, const struct load *load)
{
    struct oxv_key_loaded loaded = { .key = load->key, .generation = load->generation };

    oxv_key_drop(k, h, &loaded,
                 load->is_made ? oxv_view(load->key_id, load->key_id_len) : oxv_view(NULL, 0));
}

static void
check_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
           const struct oxv_call_result *result)
{
    struct load *load = ctx;
    const struct oxv_msg_helper_mac *mac = result->fields;

    if (result->trouble != OXV_TOKEN_FINE) {
        if (result->end == OXV_CALL_ANSWERED) {
            undo(k, h, load);
        }
        finish_failed(k, h, load, result);
        return;
    }
    if (!oxv_secret_equals(load->check, mac->mac)) {
        undo(k, h, load);
        finish_late(k, h, load, OXV_TOKEN_DATA,
                    "the key there is not the one that was imported (its check value differs)");
        return;
    }
    struct oxv_key_loaded loaded = { .key = load->key, .generation = load->generation };

    finish(k, h, load, &loaded);
}

static void
load_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
          const struct oxv_call_result *result)
{
    struct load *load = ctx;
    const struct oxv_msg_helper_key *key = result->fields;
    uint8_t text[OXV_KEY_CHECK_MESSAGE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    if (result->trouble != OXV_TOKEN_FINE) {
        finish_failed(k, h, load, result);
        return;
    }
    load->key = key->key;
    load->generation = key->generation;
    if (!oxv_key_check_message(&w, oxv_view(load->key_id, load->key_id_len))) {
        oxv_bug("a check message does not fit");
    }
    struct oxv_msg_helper_sign message = { .key = load->key,
                                           .generation = load->generation,
                                           .message = oxv_view(text, w.len) };

    if (oxv_helper_call(k, h, OXV_MSG_HELPER_SIGN, &message,
                        (struct oxv_call_then){ check_done, load }) != OXV_OK) {
        undo(k, h, load);
        finish_late(k, h, load, OXV_TOKEN_BUSY, "");
    }
}

static void
fill_message(struct oxv_keeper *k, const struct oxv_key_wanted *wanted,
             struct oxv_msg_helper_load *message)
{
    const struct oxv_connection_record *r = wanted->record;
    const struct oxv_token *token = oxv_vault_token_by_id(k->vault, r->key_token);

    *message = (struct oxv_msg_helper_load){ .form = r->key_form,
                                             .hash = oxv_key_hash(r->signature_method),
                                             .key_id = r->key_id };
    if (r->key_form == OXV_KEY_UNWRAP && token != NULL) {
        message->pair_id = token->record.pair_id;
        message->oaep = token->record.oaep;
        message->blob = wanted->blob != NULL ? oxv_secret_view(wanted->blob) : oxv_view(NULL, 0);
    }
    if (r->key_form == OXV_KEY_TOKEN && wanted->key != NULL) {
        message->key = oxv_secret_view(wanted->key);
    }
}

static void
wanted_done(struct oxv_key_wanted *wanted)
{
    oxv_secret_freep(&wanted->blob);
    oxv_secret_freep(&wanted->key);
    oxv_secret_freep(&wanted->check);
}

void
oxv_key_load(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_key_wanted *wanted,
             oxv_key_loaded_fn done, void *ctx)
{
    struct load *load = calloc(1, sizeof *load);
    struct oxv_key_loaded failed = { .trouble = OXV_TOKEN_BUSY };
    struct oxv_msg_helper_load message;
    char label[128];

    if (load == NULL) {
        wanted_done(wanted);
        done(k, h, ctx, &failed);
        return;
    }
    fill_message(k, wanted, &message);
    load->done = done;
    load->ctx = ctx;
    load->is_made = message.key.len > 0;
    load->check = oxv_secret_take(&wanted->check);
    load->key_id_len = message.key_id.len;
    memcpy(load->key_id, message.key_id.data, message.key_id.len);
    if (oxv_format(label, sizeof label, "oxvault:%.*s", (int)wanted->record->name.len,
                   (const char *)wanted->record->name.data) == OXV_OK &&
        message.key.len > 0) {
        message.label = oxv_view_text(label);
    }
    enum oxv_status st = oxv_helper_call(k, h, OXV_MSG_HELPER_LOAD, &message,
                                         (struct oxv_call_then){ load_done, load });

    wanted_done(wanted);
    if (st != OXV_OK) {
        finish_late(k, h, load, st == OXV_E_BUSY ? OXV_TOKEN_BUSY : OXV_TOKEN_ABSENT, "");
    }
}

/* The first place whose id is not below. */
static size_t
place_of(const struct oxv_token_keys *keys, uint64_t connection_id)
{
    size_t low = 0;
    size_t high = keys->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (keys->items[middle]->connection_id < connection_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct oxv_token_key *
oxv_token_key_find(const struct oxv_helper *h, uint64_t connection_id)
{
    if (h->keys == NULL) {
        return NULL;
    }
    size_t i = place_of(h->keys, connection_id);

    return i < h->keys->count && h->keys->items[i]->connection_id == connection_id
               ? h->keys->items[i]
               : NULL;
}

static bool
grow(struct oxv_token_keys *keys)
{
    size_t wanted = 2 * keys->max + 64;
    struct oxv_token_key **grown;

    if (keys->count < keys->max) {
        return true;
    }
    grown = realloc(keys->items, wanted * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    keys->items = grown;
    keys->max = wanted;
    return true;
}

static struct oxv_token_key *
add_key(struct oxv_helper *h, uint64_t connection_id)
{
    struct oxv_token_key *key;

    if (h->keys == NULL) {
        h->keys = calloc(1, sizeof *h->keys);
    }
    if (h->keys == NULL || !grow(h->keys)) {
        return NULL;
    }
    key = calloc(1, sizeof *key);
    if (key == NULL) {
        return NULL;
    }
    size_t i = place_of(h->keys, connection_id);

    key->connection_id = connection_id;
    memmove(&h->keys->items[i + 1], &h->keys->items[i],
            (h->keys->count - i) * sizeof h->keys->items[0]);
    h->keys->items[i] = key;
    h->keys->count++;
    return key;
}

struct oxv_token_key *
oxv_token_key(struct oxv_helper *h, const struct oxv_connection *connection)
{
    struct oxv_token_key *key = oxv_token_key_find(h, connection->id);

    key = key != NULL ? key : add_key(h, connection->id);
    if (key != NULL && key->version != connection->version && key->state != OXV_KEY_LOADING) {
        key->state = OXV_KEY_UNLOADED;
        key->version = connection->version;
    }
    return key;
}

/* Which failures another try may mend soon. */
static uint64_t
retry_delay_us(uint64_t trouble)
{
    return trouble == OXV_TOKEN_NO_KEY || trouble == OXV_TOKEN_BUSY || trouble == OXV_TOKEN_STALE ||
                   trouble == OXV_TOKEN_ABSENT
               ? RETRY_SOON_US
               : RETRY_LATE_US;
}

/* Once, until it loads again. */
static void
log_failure(struct oxv_keeper *k, struct oxv_token_key *key)
{
    const struct oxv_connection *c =
        oxv_keeper_is_open(k) ? oxv_vault_connection_by_id(k->vault, key->connection_id) : NULL;

    if (key->is_told || c == NULL) {
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_TOKEN_STATE,
                               .outcome = OXV_OUTCOME_FAILED,
                               .code = oxv_view_text("token_unavailable"),
                               .connection = c->record.name,
                               .reason = oxv_view_text("the token cannot use this key") };

    key->is_told = true;
    (void)oxv_event(k, &entry, NULL);
}

/* Does this say something of the key, and not of the token? */
static bool
is_of_key(const struct oxv_key_loaded *loaded)
{
    return loaded->end == OXV_CALL_ANSWERED && loaded->trouble != OXV_TOKEN_ABSENT &&
           loaded->trouble != OXV_TOKEN_PIN && loaded->trouble != OXV_TOKEN_NEEDS_PIN &&
           loaded->trouble != OXV_TOKEN_BUSY;
}

static void
key_failed(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key,
           const struct oxv_key_loaded *loaded)
{
    struct oxv_err err = { 0 };

    if (!is_of_key(loaded)) {
        key->state = OXV_KEY_UNLOADED;
        h->load_again_us = k->now_boot_us + RETRY_SOON_US;
        return;
    }
    key->state = OXV_KEY_FAILED;
    key->retry_at_us = k->now_boot_us + retry_delay_us(loaded->trouble);
    (void)oxv_token_fail(h, loaded->trouble, loaded->text, &err);
    if (oxv_text_copy(oxv_view_slice(oxv_view_text(err.text), 0, sizeof key->text - 1), key->text,
                      sizeof key->text) != OXV_OK) {
        key->text[0] = '\0';
    }
    log_failure(k, key);
    oxv_token_on_success(k, h); /* the token itself answers */
}

static bool
was_replaced(const struct oxv_keeper *k, const struct oxv_token_key *key)
{
    const struct oxv_connection *c = oxv_keeper_is_open(k) && !k->tokens->is_locking
                                         ? oxv_vault_connection_by_id(k->vault, key->connection_id)
                                         : NULL;

    return c != NULL && c->version != key->version;
}

static void
key_loaded(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
           const struct oxv_key_loaded *loaded)
{
    struct oxv_token_key *key = ctx;

    h->loads--;
    if (was_replaced(k, key)) { /* what came of it says nothing of the key there is now */
        if (loaded->trouble == OXV_TOKEN_FINE) {
            oxv_key_drop(k, h, loaded, oxv_view(NULL, 0));
        }
        oxv_token_key_load(k, h, key);
        return;
    }
    if (loaded->trouble == OXV_TOKEN_STALE && !key->was_stale) {
        key->was_stale = true; /* the helper began anew in between */
        oxv_token_key_load(k, h, key);
        return;
    }
    key->was_stale = false;
    if (loaded->trouble == OXV_TOKEN_FINE) {
        key->state = OXV_KEY_LOADED;
        key->key = loaded->key;
        key->generation = loaded->generation;
        key->is_told = false;
        oxv_token_on_success(k, h);
    } else {
        key_failed(k, h, key, loaded);
    }
    oxv_token_jobs_go(k, h, key);
}

void
oxv_token_key_load(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key)
{
    struct oxv_connection *connection =
        oxv_keeper_is_open(k) ? oxv_vault_connection_by_id(k->vault, key->connection_id) : NULL;
    struct oxv_key_wanted wanted = { 0 };
    struct oxv_key_loaded failed = { .trouble = OXV_TOKEN_BUSY };
    struct oxv_err err = { 0 };

    h->loads++;
    key->state = OXV_KEY_LOADING;
    key->version = connection != NULL ? connection->version : key->version;
    if (connection == NULL || connection->record.key_form == OXV_KEY_IN_VAULT ||
        connection->record.key_token != h->row_id) {
        failed.trouble = OXV_TOKEN_NO_KEY; /* removed or moved: its jobs find that out too */
        key_loaded(k, h, key, &failed);
        return;
    }
    wanted.record = &connection->record;
    if (oxv_vault_token_key(k->vault, connection, &wanted.blob, &wanted.check, &err) != OXV_OK) {
        failed.text = oxv_view_text(err.text);
        key_loaded(k, h, key, &failed);
        return;
    }
    oxv_key_load(k, h, &wanted, key_loaded, key);
}

void
oxv_token_key_set(struct oxv_keeper *k, struct oxv_helper *h, uint64_t connection_id,
                  const struct oxv_key_loaded *loaded)
{
    const struct oxv_connection *connection = oxv_vault_connection_by_id(k->vault, connection_id);
    struct oxv_token_key *key = connection != NULL ? oxv_token_key(h, connection) : NULL;

    if (key != NULL && key->state != OXV_KEY_LOADING) {
        key->state = OXV_KEY_LOADED;
        key->key = loaded->key;
        key->generation = loaded->generation;
    } else { /* it is being loaded: that has to do */
        oxv_key_drop(k, h, loaded, oxv_view(NULL, 0));
    }
}

/* A fresh start mends no key that the token cannot use, and the try could ask for the next one. */
static bool
waits_long(const struct oxv_token_key *key)
{
    return key->state == OXV_KEY_FAILED && key->retry_at_us > oxv_clock_boot_us() + RETRY_SOON_US;
}

void
oxv_token_keys_unload(struct oxv_helper *h, uint64_t but_generation)
{
    for (size_t i = 0; h->keys != NULL && i < h->keys->count; i++) {
        struct oxv_token_key *key = h->keys->items[i];

        if (but_generation != 0 && waits_long(key)) {
            continue;
        }
        if (key->state == OXV_KEY_FAILED ||
            (key->state == OXV_KEY_LOADED && key->generation != but_generation)) {
            key->state = OXV_KEY_UNLOADED;
        }
    }
    h->loaded_after = 0;
}

/* The next connection of this token that is not loaded; NULL: none, or not within reach. */
static struct oxv_token_key *
next_unloaded(struct oxv_keeper *k, struct oxv_helper *h)
{
    for (size_t seen = 0; seen < ROWS_LOOKED_AT; seen++) {
        struct oxv_connection *c = oxv_vault_next_connection(k->vault, h->loaded_after);

        if (c == NULL) {
            h->loaded_after = UINT64_MAX;
            return NULL;
        }
        h->loaded_after = c->id;
        if (c->record.key_token == h->row_id && h->row_id != 0) {
            struct oxv_token_key *key = oxv_token_key(h, c);

            if (key != NULL && key->state == OXV_KEY_UNLOADED) {
                return key;
            }
        }
    }
    return NULL;
}

static bool
may_load(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    return h->row_id != 0 && h->phase == OXV_HELPER_READY && h->loads < LOADS_MAX &&
           oxv_keeper_is_open(k) && oxv_answers_have_room(k);
}

uint64_t
oxv_token_keys_next_us(const struct oxv_keeper *k, const struct oxv_helper *h)
{
    if (!may_load(k, h)) {
        return UINT64_MAX;
    }
    return h->loaded_after != UINT64_MAX ? 0
           : h->load_again_us != 0       ? h->load_again_us
                                         : UINT64_MAX;
}

void
oxv_token_keys_load_all(struct oxv_keeper *k, struct oxv_helper *h)
{
    if (h->load_again_us != 0 && oxv_clock_boot_us() >= h->load_again_us) {
        h->load_again_us = 0;
        h->loaded_after = 0;
    }
    while (h->loaded_after != UINT64_MAX && may_load(k, h)) {
        struct oxv_token_key *key = next_unloaded(k, h);

        if (key == NULL) {
            return;
        }
        oxv_token_key_load(k, h, key);
    }
}

void
oxv_token_keys_free(struct oxv_helper *h)
{
    if (h->keys == NULL) {
        return;
    }
    for (size_t i = 0; i < h->keys->count; i++) {
        free(h->keys->items[i]);
    }
    free(h->keys->items);
    free(h->keys);
    h->keys = NULL;
}
