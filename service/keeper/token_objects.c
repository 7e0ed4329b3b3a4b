/* Key objects in tokens that are of no more use: destroyed, or named in the log. */
#include <stdlib.h>

#include "base/text.h"
#include "service/keeper/events.h"
#include "service/keeper/token_keys.h"

/* One that is being destroyed. */
struct object {
    size_t id_len;
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
};

/* An entry with which a person finds the object; `what` is the end of a sentence. */
static void
log_object(struct oxv_keeper *k, const struct oxv_helper *h, struct oxv_view id, const char *what)
{
    char reason[512];
    char hex[2 * OXV_TOKEN_KEY_ID_MAX_BYTES + 1];
    struct oxv_writer w = oxv_writer(hex, sizeof hex - 1);
    struct oxv_entry entry = { .type = OXV_ENTRY_TOKEN_STATE,
                               .outcome = OXV_OUTCOME_FAILED,
                               .code = oxv_view_text("token_unavailable") };

    oxv_write_hex(&w, id);
    hex[w.len] = '\0';
    if (oxv_format(reason, sizeof reason, "token %s: the key object of CKA_ID %s %s", h->label, hex,
                   what) != OXV_OK) {
        oxv_bug("a reason does not fit");
    }
    entry.reason = oxv_view_text(reason);
    if (k->log != NULL) {
        (void)oxv_event(k, &entry, NULL);
    }
}

void
oxv_key_left_behind(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_view object)
{
    log_object(k, h, object, "is of no use and may have been left there");
}

static void
could_not(struct oxv_keeper *k, const struct oxv_helper *h, struct oxv_view id)
{
    log_object(k, h, id, "is of no more use and could not be destroyed");
}

static void
destroyed(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
          const struct oxv_call_result *result)
{
    struct object *object = ctx;

    if (result->trouble != OXV_TOKEN_FINE) {
        could_not(k, h, oxv_view(object->id, object->id_len));
    }
    free(object);
}

static void
dropped(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, const struct oxv_call_result *result)
{
    (void)k;
    (void)h;
    (void)ctx;
    (void)result; /* a handle goes with its process at the latest */
}

static struct object *
copy_id(struct oxv_view id)
{
    struct object *object = calloc(1, sizeof *object);

    if (object != NULL) {
        object->id_len = id.len;
        memcpy(object->id, id.data, id.len);
    }
    return object;
}

void
oxv_key_drop(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_key_loaded *loaded,
             struct oxv_view object)
{
    struct oxv_msg_helper_drop message = { .key = loaded->key,
                                           .generation = loaded->generation,
                                           .destroy = object.len > 0 ? 1 : 0 };
    struct object *copy = object.len > 0 ? copy_id(object) : NULL;
    struct oxv_call_then then = { object.len > 0 ? destroyed : dropped, copy };

    if (object.len > 0 && copy == NULL) {
        could_not(k, h, object);
        return;
    }
    if (oxv_helper_call(k, h, OXV_MSG_HELPER_DROP, &message, then) != OXV_OK) {
        free(copy);
        if (object.len > 0) {
            could_not(k, h, object);
        }
    }
}

/* It was loaded only to be destroyed. */
static void
found(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, const struct oxv_key_loaded *loaded)
{
    struct object *object = ctx;
    struct oxv_view id = oxv_view(object->id, object->id_len);

    if (loaded->trouble == OXV_TOKEN_FINE) {
        oxv_key_drop(k, h, loaded, id);
    } else if (loaded->trouble == OXV_TOKEN_DATA) {
        log_object(k, h, id, "is not the key that was imported, and was left alone");
    } else if (loaded->trouble != OXV_TOKEN_NO_KEY) {
        could_not(k, h, id);
    }
    free(object);
}

void
oxv_key_destroy(struct oxv_keeper *k, struct oxv_helper *h,
                const struct oxv_connection_record *record, uint64_t connection_id,
                struct oxv_secret *check)
{
    struct oxv_key_wanted wanted = { .record = record, .check = check };
    struct oxv_token_key *key = oxv_token_key_find(h, connection_id);

    if (key != NULL && key->state == OXV_KEY_LOADED) { /* proven when it was loaded */
        struct oxv_key_loaded loaded = { .key = key->key, .generation = key->generation };

        oxv_secret_freep(&wanted.check);
        key->state = OXV_KEY_UNLOADED;
        oxv_key_drop(k, h, &loaded, record->key_id);
        return;
    }
    struct object *object = copy_id(record->key_id);

    if (object == NULL || wanted.check == NULL) {
        oxv_secret_freep(&wanted.check);
        free(object);
        could_not(k, h, record->key_id);
        return;
    }
    oxv_key_load(k, h, &wanted, found, object);
}
