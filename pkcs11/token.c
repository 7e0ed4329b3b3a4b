#include "pkcs11/token_impl.h"

#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"
#include "pkcs11/sessions.h"

#define SLOTS_MAX      64u
#define OTHER_SESSIONS 3u /* the anchor, the owner of session objects, one to make objects */

void
oxv_p11_lock(pthread_mutex_t *mutex)
{
    if (pthread_mutex_lock(mutex) != 0) {
        oxv_bug("a lock cannot be taken");
    }
}

void
oxv_p11_unlock(pthread_mutex_t *mutex)
{
    if (pthread_mutex_unlock(mutex) != 0) {
        oxv_bug("a lock cannot be released");
    }
}

void
oxv_p11_read_lock(struct oxv_p11_token *token)
{
    if (pthread_rwlock_rdlock(&token->lock) != 0) {
        oxv_bug("a lock cannot be taken");
    }
}

void
oxv_p11_write_lock(struct oxv_p11_token *token)
{
    if (pthread_rwlock_wrlock(&token->lock) != 0) {
        oxv_bug("a lock cannot be taken");
    }
}

void
oxv_p11_release(struct oxv_p11_token *token)
{
    if (pthread_rwlock_unlock(&token->lock) != 0) {
        oxv_bug("a lock cannot be released");
    }
}

/* Operations come without a pause: recovery must not wait until one does. */
static void
make_locks(struct oxv_p11_token *token)
{
    pthread_rwlockattr_t attributes;

    pthread_mutexattr_t recursive; /* whoever makes several objects in one go keeps it meanwhile */

    if (pthread_mutexattr_init(&recursive) != 0 ||
        pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE) != 0 ||
        pthread_rwlockattr_init(&attributes) != 0 ||
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) !=
            0 ||
        pthread_rwlock_init(&token->lock, &attributes) != 0 ||
        pthread_rwlockattr_destroy(&attributes) != 0 ||
        pthread_mutex_init(&token->half_open, NULL) != 0 ||
        pthread_mutex_init(&token->objects, &recursive) != 0 ||
        pthread_mutexattr_destroy(&recursive) != 0 ||
        pthread_mutex_init(&token->keys_lock, NULL) != 0 ||
        pthread_mutex_init(&token->status_lock, NULL) != 0) {
        oxv_bug("a lock cannot be made");
    }
    oxv_p11_sessions_init(&token->pool);
}

enum oxv_token_trouble
oxv_p11_token_new(const struct oxv_p11_open *wanted, struct oxv_p11_token **out,
                  struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *uri = NULL;
    OXV_AUTO(oxv_p11_module_freep) struct oxv_p11_module *module = NULL;
    enum oxv_token_trouble t = oxv_p11_uri_parse(wanted->uri, &uri, fault);

    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_module_load(wanted->module, wanted->owner_uid_plus1, &module, fault);
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    struct oxv_p11_token *token = calloc(1, sizeof *token);

    if (token == NULL) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory");
    }
    make_locks(token);
    token->calls = oxv_p11_module_calls(module);
    token->module = oxv_p11_module_take(&module);
    token->wanted = oxv_p11_uri_take(&uri);
    token->workers_wanted = wanted->workers == 0 || wanted->workers > OXV_P11_WORKERS_MAX
                                ? OXV_P11_WORKERS_MAX
                                : (size_t)wanted->workers;
    /* Handles of a helper before this one are of an older generation. */
    atomic_init(&token->generation, oxv_clock_boot_us());
    *out = token;
    return OXV_TOKEN_FINE;
}

void
oxv_p11_token_free(struct oxv_p11_token *token)
{
    if (token == NULL) {
        return;
    }
    oxv_secret_free(token->pin);
    oxv_p11_module_free(token->module);
    oxv_p11_uri_free(token->wanted);
    oxv_p11_sessions_done(&token->pool);
    (void)pthread_rwlock_destroy(&token->lock); /* these fail only where somebody holds them */
    (void)pthread_mutex_destroy(&token->half_open);
    (void)pthread_mutex_destroy(&token->objects);
    (void)pthread_mutex_destroy(&token->keys_lock);
    (void)pthread_mutex_destroy(&token->status_lock);
    free(token->keys);
    free(token);
}

enum oxv_p11_pin_state
oxv_p11_pin_state_of(CK_FLAGS flags)
{
    if ((flags & CKF_USER_PIN_LOCKED) != 0) {
        return OXV_P11_PIN_LOCKED;
    }
    if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) {
        return OXV_P11_PIN_FINAL_TRY;
    }
    return (flags & CKF_USER_PIN_COUNT_LOW) != 0 ? OXV_P11_PIN_COUNT_LOW : OXV_P11_PIN_FINE;
}

static bool
is_same_status(const struct oxv_p11_status *a, const struct oxv_p11_status *b)
{
    return a->trouble == b->trouble && a->ckr == b->ckr && strcmp(a->text, b->text) == 0 &&
           strcmp(a->uri, b->uri) == 0 && a->is_logged_in == b->is_logged_in &&
           a->has_pin_pad == b->has_pin_pad && a->pin_state == b->pin_state &&
           a->generation == b->generation && a->workers == b->workers &&
           a->refused.is_set == b->refused.is_set && a->login_failed == b->login_failed;
}

static void
publish(struct oxv_p11_token *token, const struct oxv_p11_status *status)
{
    if (!is_same_status(&token->status, status)) {
        token->status = *status;
        token->status.changes = atomic_fetch_add(&token->changes, 1) + 1;
    }
}

static void
fill_from_info(const struct oxv_p11_token *token, struct oxv_p11_status *status)
{
    if (!token->is_open) {
        return; /* what was last known of it */
    }
    (void)oxv_p11_uri_of(&token->info, status->uri);
    (void)oxv_p11_field(token->info.label, sizeof token->info.label, status->label,
                        sizeof status->label);
    status->has_pin_pad = (token->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
    status->pin_state = oxv_p11_pin_state_of(token->info.flags);
    status->workers = token->pool.cap;
}

void
oxv_p11_show(struct oxv_p11_token *token, const struct oxv_p11_fault *fault)
{
    oxv_p11_lock(&token->status_lock);
    struct oxv_p11_status status = token->status;

    fill_from_info(token, &status);
    status.is_logged_in = token->is_logged_in;
    status.login_failed = token->failed_login_us != 0;
    status.generation = atomic_load(&token->generation);
    status.trouble = fault == NULL ? OXV_TOKEN_FINE : fault->trouble;
    status.ckr = fault == NULL ? CKR_OK : fault->ckr;
    memset(status.text, 0, sizeof status.text);
    if (fault != NULL) {
        memcpy(status.text, fault->text, sizeof status.text);
    }
    publish(token, &status);
    oxv_p11_unlock(&token->status_lock);
}

void
oxv_p11_show_refused(struct oxv_p11_token *token, const struct oxv_p11_refused_pin *refused)
{
    oxv_p11_lock(&token->status_lock);
    struct oxv_p11_status status = token->status;

    status.refused = *refused;
    publish(token, &status);
    oxv_p11_unlock(&token->status_lock);
}

void
oxv_p11_token_status(struct oxv_p11_token *token, struct oxv_p11_status *out)
{
    oxv_p11_lock(&token->status_lock);
    *out = token->status;
    oxv_p11_unlock(&token->status_lock);
}

uint64_t
oxv_p11_token_changes(const struct oxv_p11_token *token)
{
    return atomic_load(&token->changes);
}

CK_RV
oxv_p11_try_session(const struct oxv_p11_token *token, bool is_rw, CK_SESSION_HANDLE *out)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | (is_rw ? CKF_RW_SESSION : 0);
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_RV rv = token->calls->C_OpenSession(token->slot, flags, NULL, NULL, &session);

    /* CloudHSM has no read-only sessions. */
    if (rv != CKR_OK && rv != CKR_SESSION_COUNT && !is_rw) {
        flags |= CKF_RW_SESSION;
        rv = token->calls->C_OpenSession(token->slot, flags, NULL, NULL, &session);
    }
    if (rv == CKR_OK) {
        *out = session;
    }
    return rv;
}

CK_RV
oxv_p11_open_session(struct oxv_p11_token *token, bool is_rw, CK_SESSION_HANDLE *out)
{
    CK_RV rv = oxv_p11_try_session(token, is_rw, out);

    return rv == CKR_SESSION_COUNT && oxv_p11_sessions_close_idle(token)
               ? oxv_p11_try_session(token, is_rw, out)
               : rv;
}

CK_RV
oxv_p11_refresh_info(struct oxv_p11_token *token)
{
    CK_TOKEN_INFO info = { 0 };
    CK_RV rv = token->calls->C_GetTokenInfo(token->slot, &info);

    if (rv == CKR_OK) {
        token->info = info;
    }
    return rv;
}

/* Adds one more token to the list in an ambiguity's text. */
static void
list_token(struct oxv_p11_fault *fault, const CK_TOKEN_INFO *info, size_t count)
{
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];
    char before[OXV_P11_FAULT_TEXT_MAX_BYTES];

    (void)oxv_p11_uri_of(info, uri);
    memcpy(before, fault->text, sizeof before);
    (void)oxv_p11_fault(fault, OXV_TOKEN_AMBIGUOUS, CKR_OK, "%s%s%s", before,
                        count == 0 ? "" : " and ", uri);
}

/* Every token is looked at: a second one that fits is an error. */
static enum oxv_token_trouble
find_slot(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t found = 0;
    CK_RV rv = token->calls->C_GetSlotList(CK_TRUE, slots, &count);

    if (rv != CKR_OK || count > SLOTS_MAX) {
        return oxv_p11_call_failed(fault, "C_GetSlotList", rv == CKR_OK ? CKR_GENERAL_ERROR : rv);
    }
    fault->text[0] = '\0';
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info = { 0 };

        if (token->calls->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
            !oxv_p11_uri_fits(token->wanted, &info)) {
            continue; /* a token that does not even say who it is is not ours to ask */
        }
        list_token(fault, &info, found++);
        token->slot = slots[i];
        token->info = info;
    }
    if (found == 1) {
        return OXV_TOKEN_FINE;
    }
    return found == 0
               ? oxv_p11_fault(fault, OXV_TOKEN_ABSENT, CKR_TOKEN_NOT_PRESENT,
                               "no token fits the URI: plug it in, or look with oxvault token list")
               : oxv_p11_fault_prefix(fault, "the URI fits several tokens, add a serial");
}

/*
 * The URI that was asked for may say less than the token's own. From the first time on it must be
 * that very token: another one with the same label is none of ours.
 */
static enum oxv_token_trouble
pin_down(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *exact = NULL;
    char text[OXV_TOKEN_URI_MAX_BYTES + 1];
    enum oxv_token_trouble t =
        oxv_p11_uri_parse(oxv_view_text(oxv_p11_uri_of(&token->info, text)), &exact, fault);

    if (t != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, "the token has neither label nor serial");
    }
    oxv_p11_uri_free(token->wanted);
    token->wanted = oxv_p11_uri_take(&exact);
    return OXV_TOKEN_FINE;
}

static size_t
session_cap(const struct oxv_p11_token *token)
{
    CK_ULONG max = token->info.ulMaxSessionCount;

    if (max == CK_EFFECTIVELY_INFINITE || max == CK_UNAVAILABLE_INFORMATION ||
        max >= token->workers_wanted + OTHER_SESSIONS) {
        return token->workers_wanted;
    }
    return max > OTHER_SESSIONS ? (size_t)max - OTHER_SESSIONS : 1;
}

enum oxv_token_trouble
oxv_p11_open_locked(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    CK_RV rv = oxv_p11_module_start(token->module);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_Initialize", rv);
    }
    enum oxv_token_trouble t = find_slot(token, fault);

    if (t == OXV_TOKEN_FINE) {
        t = pin_down(token, fault);
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    rv = oxv_p11_open_session(token, false, &token->anchor);
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_OpenSession", rv);
    }
    oxv_p11_sessions_reset(&token->pool, session_cap(token));
    token->owner = CK_INVALID_HANDLE;
    token->owner_has_objects = false;
    token->is_open = true;
    token->is_logged_in = (token->info.flags & CKF_LOGIN_REQUIRED) == 0;
    (void)atomic_fetch_add(&token->generation, 1);
    return OXV_TOKEN_FINE;
}
