#include "pkcs11/keys.h"

#include <stdlib.h>

#include "pkcs11/ckr.h"
#include "pkcs11/leak.h"
#include "pkcs11/leftovers.h"
#include "pkcs11/oaep.h"
#include "pkcs11/objects.h"

#define KEYS_MAX          1000000u
#define INDEX_BITS        32u
#define INDEX_MASK        UINT64_C(0xffffffff)
#define MAC_BUFFER_BYTES  1024u /* opencryptoki writes what it likes, whatever was declared */
#define MAC_DECLARE_BYTES 128u

struct loading {
    struct oxv_p11_token *token;
    const struct oxv_p11_load *load;
    CK_OBJECT_HANDLE object;
    uint64_t generation;
    bool made; /* in an earlier try of this very request, perhaps */
};

static uint64_t
handle_of(uint64_t serial, size_t index)
{
    return serial << INDEX_BITS | index;
}

static struct oxv_p11_key_entry *
free_entry(struct oxv_p11_token *token)
{
    for (size_t i = 0; i < token->key_count; i++) {
        if (token->keys[i].serial == 0) {
            return &token->keys[i];
        }
    }
    if (token->key_count >= KEYS_MAX) {
        return NULL;
    }
    size_t count = token->key_count == 0 ? 64 : token->key_count * 2;

    count = count > KEYS_MAX ? KEYS_MAX : count;
    struct oxv_p11_key_entry *grown = reallocarray(token->keys, count, sizeof *grown);

    if (grown == NULL) {
        return NULL;
    }
    memset(grown + token->key_count, 0, (count - token->key_count) * sizeof *grown);
    struct oxv_p11_key_entry *entry = grown + token->key_count;

    token->keys = grown;
    token->key_count = count;
    return entry;
}

/* Puts a key that was loaded into the table. Under the read lock: the generation stands still. */
static enum oxv_token_trouble
list_key(struct oxv_p11_token *token, const struct loading *loading, struct oxv_p11_key *out,
         struct oxv_p11_fault *fault)
{
    oxv_p11_lock(&token->keys_lock);
    struct oxv_p11_key_entry *entry = free_entry(token);

    if (entry != NULL) {
        token->key_serial = (token->key_serial + 1) & (INDEX_MASK >> 1);
        token->key_serial += token->key_serial == 0;
        *entry = (struct oxv_p11_key_entry){ .serial = token->key_serial,
                                             .object = loading->object,
                                             .form = loading->load->form,
                                             .hash = loading->load->hash };
        out->key = handle_of(entry->serial, (size_t)(entry - token->keys));
        out->generation = atomic_load(&token->generation);
    }
    oxv_p11_unlock(&token->keys_lock);
    return entry != NULL ? OXV_TOKEN_FINE
                         : oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory");
}

/* Under keys_lock. NULL: no such key in this generation. */
static struct oxv_p11_key_entry *
entry_of(struct oxv_p11_token *token, struct oxv_p11_key key)
{
    size_t index = (size_t)(key.key & INDEX_MASK);

    if (key.generation != atomic_load(&token->generation) || index >= token->key_count ||
        token->keys[index].serial == 0 || token->keys[index].serial != key.key >> INDEX_BITS) {
        return NULL;
    }
    return &token->keys[index];
}

static bool
look_up(struct oxv_p11_token *token, struct oxv_p11_key key, struct oxv_p11_key_entry *out)
{
    oxv_p11_lock(&token->keys_lock);
    const struct oxv_p11_key_entry *entry = entry_of(token, key);

    if (entry != NULL) {
        *out = *entry;
    }
    oxv_p11_unlock(&token->keys_lock);
    return entry != NULL;
}

static void
forget(struct oxv_p11_token *token, struct oxv_p11_key key)
{
    oxv_p11_lock(&token->keys_lock);
    struct oxv_p11_key_entry *entry = entry_of(token, key);

    if (entry != NULL) {
        *entry = (struct oxv_p11_key_entry){ 0 };
    }
    oxv_p11_unlock(&token->keys_lock);
}

void
oxv_p11_keys_forget(struct oxv_p11_token *token)
{
    oxv_p11_lock(&token->keys_lock);
    if (token->key_count > 0) {
        memset(token->keys, 0, token->key_count * sizeof *token->keys);
    }
    oxv_p11_unlock(&token->keys_lock);
}

bool
oxv_p11_any_key_signs(struct oxv_p11_token *token, CK_SESSION_HANDLE session)
{
    struct oxv_p11_key_entry entry = { 0 };
    uint8_t message[] = "is it there";
    uint8_t mac[MAC_BUFFER_BYTES];
    CK_ULONG len = MAC_DECLARE_BYTES;

    oxv_p11_lock(&token->keys_lock);
    for (size_t i = 0; i < token->key_count && entry.serial == 0; i++) {
        entry = token->keys[i];
    }
    oxv_p11_unlock(&token->keys_lock);
    if (entry.serial == 0) {
        return false;
    }
    CK_MECHANISM mechanism = { .mechanism = oxv_p11_hmac_mechanism(entry.hash) };
    bool signs = token->calls->C_SignInit(session, &mechanism, entry.object) == CKR_OK &&
                 token->calls->C_Sign(session, message, sizeof message, mac, &len) == CKR_OK;

    oxv_wipe(mac, sizeof mac);
    return signs;
}

static enum oxv_token_trouble
stale(struct oxv_p11_fault *fault)
{
    return oxv_p11_fault(fault, OXV_TOKEN_STALE, CKR_OK, "the key is not loaded any more");
}

/*
 * The session that owns session objects: they die with it. After a failure it is closed where
 * nothing lives in it; else it is used on until the module says that it is no good, as one that is
 * left behind for each bad blob would use up the token's sessions.
 */
static CK_RV
owner_session(struct oxv_p11_token *token)
{
    if (token->owner != CK_INVALID_HANDLE) {
        return CKR_OK;
    }
    token->owner_has_objects = false;
    return oxv_p11_open_session(token, false, &token->owner);
}

static void
retire_owner(struct oxv_p11_token *token, CK_RV rv)
{
    if (!token->owner_has_objects) {
        (void)token->calls->C_CloseSession(token->owner); /* of no more use either way */
        token->owner = CK_INVALID_HANDLE;
    } else if (oxv_p11_ckr_class(rv) == OXV_P11_CKR_SESSION) {
        token->owner = CK_INVALID_HANDLE;
    }
}

/* What to make a key as, best first; the one that worked last is the only one afterwards. */
struct candidate {
    CK_KEY_TYPE type;
    bool with_len; /* Luna wants CKA_VALUE_LEN in an unwrap; others refuse it */
};

static size_t
candidates_of(const struct oxv_p11_token *token, enum oxv_token_hash hash, struct candidate out[3])
{
    if (token->hmac_known[hash]) {
        out[0] = (struct candidate){ token->hmac_type[hash], token->hmac_with_len[hash] };
        return 1;
    }
    out[0] = (struct candidate){ oxv_p11_hmac_type(hash), false };
    out[1] = (struct candidate){ CKK_GENERIC_SECRET, false };
    out[2] = (struct candidate){ CKK_GENERIC_SECRET, true };
    return 3;
}

static void
remember_candidate(struct oxv_p11_token *token, enum oxv_token_hash hash, struct candidate chosen)
{
    token->hmac_type[hash] = chosen.type;
    token->hmac_with_len[hash] = chosen.with_len;
    token->hmac_known[hash] = true;
}

static CK_RV
unwrap_as(struct loading *l, CK_OBJECT_HANDLE pair, struct candidate as)
{
    struct oxv_p11_token *token = l->token;
    struct oxv_p11_identity identity = { .on_token = false };
    struct oxv_p11_template t;
    struct oxv_p11_oaep oaep;
    CK_RV rv = owner_session(token);

    if (rv != CKR_OK) {
        return rv;
    }
    oxv_p11_template_hmac(&t, &identity, as.type);
    if (as.with_len) {
        oxv_p11_template_number(&t, CKA_VALUE_LEN, oxv_p11_block_bytes(l->load->hash));
    }
    oxv_p11_oaep(&oaep, l->load->oaep);
    rv = token->calls->C_UnwrapKey(token->owner, &oaep.mechanism, pair,
                                   oxv_p11_unconst(l->load->blob.data), l->load->blob.len, t.items,
                                   t.count, &l->object);
    if (rv != CKR_OK) {
        retire_owner(token, rv);
    } else {
        token->owner_has_objects = true;
    }
    return rv;
}

/* Under the objects lock. */
static enum oxv_token_trouble
unwrap(struct oxv_p11_op *op, struct loading *l, CK_OBJECT_HANDLE pair, struct oxv_p11_fault *fault)
{
    struct candidate as[3];
    size_t count = candidates_of(op->token, l->load->hash, as);
    CK_RV rv = CKR_GENERAL_ERROR;

    for (size_t i = 0; i < count; i++) {
        rv = unwrap_as(l, pair, as[i]);
        if (rv == CKR_OK) {
            remember_candidate(op->token, l->load->hash, as[i]);
            return OXV_TOKEN_FINE;
        }
        if (oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION) {
            break;
        }
    }
    return oxv_p11_call_failed(fault, "C_UnwrapKey", rv);
}

static enum oxv_token_trouble
load_unwrap(struct oxv_p11_op *op, struct loading *l, struct oxv_p11_fault *fault)
{
    CK_OBJECT_HANDLE pair;
    enum oxv_token_trouble t =
        oxv_p11_find_one(op, CKO_PRIVATE_KEY, l->load->pair_id, &pair, fault);

    if (t != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, "the pair that unwraps");
    }
    oxv_p11_lock(&op->token->objects);
    t = unwrap(op, l, pair, fault);
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_check_stays(op, l->object, fault);
        if (t != OXV_TOKEN_FINE) {
            oxv_p11_destroy(op, l->object);
        }
    }
    oxv_p11_unlock(&op->token->objects);
    return t;
}

static CK_RV
create_as(struct oxv_p11_op *op, struct loading *l, CK_KEY_TYPE type)
{
    struct oxv_view label =
        l->load->label.len > 0 ? l->load->label : oxv_view_text(OXV_P11_LABEL_HEAD " key");
    struct oxv_p11_identity identity = { .id = l->load->key_id, .label = label, .on_token = true };
    struct oxv_p11_template t;

    oxv_p11_template_hmac(&t, &identity, type);
    oxv_p11_template_bytes(&t, CKA_VALUE, oxv_secret_view(l->load->value));
    return op->calls->C_CreateObject(op->session, t.items, t.count, &l->object);
}

/* Under the objects lock. */
static enum oxv_token_trouble
create(struct oxv_p11_op *op, struct loading *l, struct oxv_p11_fault *fault)
{
    const CK_KEY_TYPE types[] = { oxv_p11_hmac_type(l->load->hash), CKK_GENERIC_SECRET };
    CK_RV rv = CKR_GENERAL_ERROR;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (i > 0 && oxv_p11_op_renew(op, fault) != OXV_TOKEN_FINE) {
            return fault->trouble;
        }
        l->made = true;
        rv = create_as(op, l, types[i]);
        if (rv == CKR_OK) {
            return OXV_TOKEN_FINE;
        }
        if (oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION) {
            break;
        }
        l->made = false;
    }
    return oxv_p11_call_failed(fault, "C_CreateObject", rv);
}

/*
 * The id is 16 random bytes and was free when this request began: a key of that id which is there
 * after a failed try is what that try left behind.
 */
static enum oxv_token_trouble
check_free(struct oxv_p11_op *op, struct loading *l, struct oxv_p11_fault *fault)
{
    CK_OBJECT_HANDLE object;
    enum oxv_token_trouble t =
        oxv_p11_find_one(op, CKO_SECRET_KEY, l->load->key_id, &object, fault);

    if (t == OXV_TOKEN_NO_KEY) {
        return OXV_TOKEN_FINE;
    }
    if (t == OXV_TOKEN_FINE && l->made && oxv_p11_is_ours(op, object)) {
        oxv_p11_destroy(op, object);
        return OXV_TOKEN_FINE;
    }
    return t == OXV_TOKEN_FINE
               ? oxv_p11_fault(fault, OXV_TOKEN_AMBIGUOUS, CKR_OK,
                               "the token has a key of this id already; nothing was changed")
               : t;
}

static enum oxv_token_trouble
load_new(struct oxv_p11_op *op, struct loading *l, struct oxv_p11_fault *fault)
{
    oxv_p11_lock(&op->token->objects);
    enum oxv_token_trouble t = check_free(op, l, fault);

    if (t == OXV_TOKEN_FINE) {
        t = create(op, l, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_check_stays(op, l->object, fault);
        if (t == OXV_TOKEN_FINE) {
            t = oxv_p11_check_leaks(op, l->object, fault);
        }
        if (t != OXV_TOKEN_FINE) {
            oxv_p11_destroy_made(op, l->object, l->load->key_id);
            l->made = false; /* it is gone, or with the leftovers */
        }
    }
    oxv_p11_unlock(&op->token->objects);
    return t;
}

static enum oxv_token_trouble
load_found(struct oxv_p11_op *op, struct loading *l, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t =
        oxv_p11_find_one(op, CKO_SECRET_KEY, l->load->key_id, &l->object, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    return l->load->form == OXV_KEY_TOKEN ? oxv_p11_check_stays(op, l->object, fault)
                                          : oxv_p11_check_foreign(op, l->object, fault);
}

struct load_context {
    struct loading loading;
    struct oxv_p11_key *out;
};

static enum oxv_token_trouble
load_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    struct load_context *c = ctx;
    struct loading *l = &c->loading;
    enum oxv_token_trouble t;

    l->token = op->token;
    if (l->load->form == OXV_KEY_UNWRAP) {
        t = load_unwrap(op, l, fault);
    } else if (l->load->form == OXV_KEY_TOKEN && l->load->value != NULL) {
        t = load_new(op, l, fault);
    } else {
        t = load_found(op, l, fault);
    }
    return t == OXV_TOKEN_FINE ? list_key(op->token, l, c->out, fault) : t;
}

static enum oxv_token_trouble
check_request(const struct oxv_p11_load *load, struct oxv_p11_fault *fault)
{
    const char *wrong = NULL;

    if (load->key_id.len == 0 || load->key_id.len > OXV_TOKEN_KEY_ID_MAX_BYTES) {
        wrong = "a key needs an id";
    } else if (load->form == OXV_KEY_UNWRAP &&
               (load->pair_id.len == 0 || load->blob.len == 0 || load->value != NULL)) {
        wrong = "to unwrap, a pair and a blob are needed and nothing else";
    } else if (load->value != NULL &&
               oxv_secret_len(load->value) != oxv_p11_block_bytes(load->hash) &&
               oxv_secret_len(load->value) != oxv_p11_block_bytes(load->hash) / 2) {
        wrong = "a key has the bytes of its hash's block, or half of them"; /* design.md 5.3 */
    } else if (load->value != NULL && load->form != OXV_KEY_TOKEN) {
        wrong = "only a key of form token is made";
    }
    return wrong == NULL ? OXV_TOKEN_FINE
                         : oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "%s", wrong);
}

enum oxv_token_trouble
oxv_p11_key_load(struct oxv_p11_token *token, const struct oxv_p11_load *load,
                 struct oxv_p11_key *out, struct oxv_p11_fault *fault)
{
    struct load_context c = { .loading = { .load = load }, .out = out };
    unsigned flags = load->form == OXV_KEY_UNWRAP ? OXV_P11_RUN_DATA | OXV_P11_RUN_PROVES
                     : load->value != NULL        ? OXV_P11_RUN_RW
                                                  : OXV_P11_RUN_PLAIN;
    enum oxv_token_trouble t = check_request(load, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = oxv_p11_run(token, flags, load_op, &c, fault);
    if (t != OXV_TOKEN_FINE && c.loading.made) {
        oxv_p11_leftovers_add(token, load->key_id);
    }
    oxv_p11_leftovers_sweep(token, t != OXV_TOKEN_FINE);
    return t;
}

struct signing {
    struct oxv_p11_key key;
    struct oxv_view message;
    struct oxv_p11_mac *out;
};

static enum oxv_token_trouble
sign_failed(struct oxv_p11_op *op, const struct signing *s, const char *call, CK_RV rv,
            struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = oxv_p11_call_failed(fault, call, rv);

    if (t == OXV_TOKEN_STALE) {
        forget(op->token, s->key);
    }
    /* tpm2-pkcs11 says the latter; the buffer is longer than any MAC. */
    if (rv == CKR_DATA_LEN_RANGE || rv == CKR_BUFFER_TOO_SMALL) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, rv,
                             "the message of %zu bytes is too long for this token (%s)",
                             s->message.len,
                             rv == CKR_DATA_LEN_RANGE ? "CKR_DATA_LEN_RANGE"
                                                      : "CKR_BUFFER_TOO_SMALL");
    }
    return t;
}

static enum oxv_token_trouble
sign_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    static const uint8_t nothing = 0;
    const struct signing *s = ctx;
    struct oxv_p11_key_entry entry;
    uint8_t mac[MAC_BUFFER_BYTES] = { 0 };
    CK_ULONG len = MAC_DECLARE_BYTES;

    if (!look_up(op->token, s->key, &entry)) {
        return stale(fault);
    }
    CK_MECHANISM mechanism = { .mechanism = oxv_p11_hmac_mechanism(entry.hash) };
    CK_RV rv = op->calls->C_SignInit(op->session, &mechanism, entry.object);

    if (rv != CKR_OK) {
        return sign_failed(op, s, "C_SignInit", rv, fault);
    }
    rv = op->calls->C_Sign(op->session,
                           oxv_p11_unconst(s->message.len == 0 ? &nothing : s->message.data),
                           s->message.len, mac, &len);
    size_t expected = oxv_p11_mac_bytes(entry.hash);

    if (rv == CKR_OK && len == expected) {
        memcpy(s->out->bytes, mac, expected);
        s->out->len = expected;
    }
    oxv_wipe(mac, sizeof mac);
    if (rv != CKR_OK) {
        return sign_failed(op, s, "C_Sign", rv, fault);
    }
    return len == expected
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                               "the module gave a MAC of %lu bytes instead of %zu", len, expected);
}

enum oxv_token_trouble
oxv_p11_key_sign(struct oxv_p11_token *token, struct oxv_p11_key key, struct oxv_view message,
                 struct oxv_p11_mac *out, struct oxv_p11_fault *fault)
{
    struct signing s = { .key = key, .message = message, .out = out };
    enum oxv_token_trouble t =
        oxv_p11_run(token, OXV_P11_RUN_HANDLES | OXV_P11_RUN_PROVES, sign_op, &s, fault);

    if (t != OXV_TOKEN_FINE) {
        oxv_wipe(out, sizeof *out);
    }
    return t;
}

struct dropping {
    struct oxv_p11_key key;
    bool destroy;
};

static enum oxv_token_trouble
drop_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    const struct dropping *d = ctx;
    struct oxv_p11_key_entry entry;
    CK_RV rv = CKR_OK;

    if (!look_up(op->token, d->key, &entry)) {
        return d->destroy ? stale(fault) : OXV_TOKEN_FINE;
    }
    if (entry.form == OXV_KEY_TOKEN && d->destroy && !oxv_p11_is_ours(op, entry.object)) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "another application made this key: it is not destroyed");
    }
    if (entry.form == OXV_KEY_UNWRAP || (entry.form == OXV_KEY_TOKEN && d->destroy)) {
        oxv_p11_lock(&op->token->objects);
        rv = op->calls->C_DestroyObject(op->session, entry.object);
        oxv_p11_unlock(&op->token->objects);
    }
    if (rv == CKR_OK || oxv_p11_ckr_class(rv) == OXV_P11_CKR_STALE) {
        op->is_soiled = rv != CKR_OK;
        forget(op->token, d->key);
        return OXV_TOKEN_FINE;
    }
    return oxv_p11_call_failed(fault, "C_DestroyObject", rv);
}

enum oxv_token_trouble
oxv_p11_key_drop(struct oxv_p11_token *token, struct oxv_p11_key key, bool destroy,
                 struct oxv_p11_fault *fault)
{
    struct dropping d = { .key = key, .destroy = destroy };
    unsigned flags = OXV_P11_RUN_HANDLES | (destroy ? OXV_P11_RUN_RW : OXV_P11_RUN_PLAIN);

    return oxv_p11_run(token, flags, drop_op, &d, fault);
}
