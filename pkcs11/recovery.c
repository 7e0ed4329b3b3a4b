#include "pkcs11/recovery.h"

#include <sodium.h>

#include "base/io.h"
#include "pkcs11/ckr.h"
#include "pkcs11/leftovers.h"
#include "pkcs11/sessions.h"

#define BACKOFF_FIRST_US    200000u
#define BACKOFF_MAX_US      30000000u
#define BACKOFF_DOUBLES_MAX 8u
#define MISSING_PAUSE_US    30000000u /* a key that is missing costs all others their handles */

/* What one call of oxv_p11_run() has spent already. */
struct budget {
    bool renewed;
    bool logged_in;
    bool recovered;
};

static uint64_t
backoff_us(unsigned failures)
{
    uint64_t wait = BACKOFF_FIRST_US
                    << (failures > BACKOFF_DOUBLES_MAX ? BACKOFF_DOUBLES_MAX : failures);

    wait = wait > BACKOFF_MAX_US ? BACKOFF_MAX_US : wait;
    /* Several services behind one device should not come back all at once. */
    return wait - wait / 4 + randombytes_uniform((uint32_t)(wait / 2));
}

static void
mark_absent(struct oxv_p11_token *token, const struct oxv_p11_fault *fault)
{
    unsigned failures = atomic_fetch_add(&token->failures, 1);

    atomic_store(&token->next_try_us, oxv_clock_boot_us() + backoff_us(failures));
    oxv_p11_show(token, fault);
}

/* PIN troubles are for a person; all others may pass. */
static bool
may_pass(enum oxv_token_trouble trouble)
{
    return trouble != OXV_TOKEN_PIN && trouble != OXV_TOKEN_NEEDS_PIN;
}

static void
forget_handles(struct oxv_p11_token *token)
{
    oxv_p11_sessions_reset(&token->pool, 1);
    oxv_p11_keys_forget(token);
    token->owner = CK_INVALID_HANDLE;
    token->owner_has_objects = false;
    token->anchor = CK_INVALID_HANDLE;
    token->is_open = false;
    token->is_logged_in = false;
}

enum oxv_token_trouble
oxv_p11_recover_locked(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    forget_handles(token);
    oxv_p11_module_stop(token->module);
    atomic_store(&token->is_unproven, true);
    atomic_store(&token->suspect, 0);
    enum oxv_token_trouble t = oxv_p11_open_locked(token, fault);

    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_login_again(token, fault);
    }
    if (t != OXV_TOKEN_FINE && may_pass(t)) {
        mark_absent(token, fault);
        return t;
    }
    atomic_store(&token->next_try_us, 0);
    oxv_p11_show(token, t == OXV_TOKEN_FINE ? NULL : fault);
    return t;
}

/* As it was shown last. */
static enum oxv_token_trouble
repeat_status(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    struct oxv_p11_status status;

    oxv_p11_token_status(token, &status);
    return status.trouble == OXV_TOKEN_FINE
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, status.trouble, status.ckr, "%s", status.text);
}

/* Several operations fail together; the first one recovers for all of them. */
static enum oxv_token_trouble
recover(struct oxv_p11_token *token, uint64_t seen, struct oxv_p11_fault *fault)
{
    oxv_p11_write_lock(token);
    bool is_done = !token->is_open || atomic_load(&token->generation) != seen;
    enum oxv_token_trouble t =
        is_done ? repeat_status(token, fault) : oxv_p11_recover_locked(token, fault);

    oxv_p11_release(token);
    return t;
}

/* A new login with all sessions new, which is less than finalizing. */
static enum oxv_token_trouble
login_anew(struct oxv_p11_token *token, uint64_t seen, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = OXV_TOKEN_FINE;

    oxv_p11_write_lock(token);
    if (!token->is_open || atomic_load(&token->generation) != seen) {
        t = repeat_status(token, fault);
    } else {
        (void)token->calls->C_CloseAllSessions(token->slot); /* the next step shows what is left */
        forget_handles(token);
        t = oxv_p11_open_locked(token, fault);
        if (t == OXV_TOKEN_FINE) {
            t = oxv_p11_login_again(token, fault);
        }
        if (t == OXV_TOKEN_FINE) {
            oxv_p11_show(token, NULL);
        } else if (may_pass(t)) {
            t = oxv_p11_recover_locked(token, fault);
        } else {
            oxv_p11_show(token, fault);
        }
    }
    oxv_p11_release(token);
    return t;
}

/*
 * Is there a key that signs? Then the device is well, and what failed was the request. Under no
 * lock; one call that fails here is the last before the module is initialized anew.
 */
static bool
device_works(struct oxv_p11_token *token)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    bool works = false;

    oxv_p11_read_lock(token);
    if (token->is_open && oxv_p11_open_session(token, false, &session) == CKR_OK) {
        works = oxv_p11_any_key_signs(token, session);
        (void)token->calls->C_CloseSession(session); /* of no more use either way */
    }
    oxv_p11_release(token);
    return works;
}

/* A pulled token has no objects; one that has any is not pulled. */
static bool
has_objects(struct oxv_p11_token *token)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE of_token = { CKA_TOKEN, &yes, sizeof yes };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_ULONG count = 0;

    oxv_p11_read_lock(token);
    if (token->is_open && oxv_p11_open_session(token, false, &session) == CKR_OK) {
        if (token->calls->C_FindObjectsInit(session, &of_token, 1) != CKR_OK ||
            token->calls->C_FindObjects(session, &object, 1, &count) != CKR_OK) {
            count = 0;
        }
        (void)token->calls->C_CloseSession(session); /* of no more use either way */
    }
    oxv_p11_release(token);
    return count == 1;
}

static enum oxv_token_trouble
stale(struct oxv_p11_fault *fault)
{
    return oxv_p11_fault(fault, OXV_TOKEN_STALE, CKR_OK, "the token was away: load the key again");
}

/* Once for a generation, however many fail together: they are one failure of the device. */
static enum oxv_token_trouble
give_up(struct oxv_p11_token *token, uint64_t seen, struct oxv_p11_fault *fault)
{
    oxv_p11_write_lock(token);
    if (token->is_open && atomic_load(&token->generation) == seen &&
        atomic_load(&token->next_try_us) == 0) {
        mark_absent(token, fault);
    }
    oxv_p11_release(token);
    return fault->trouble;
}

/* It failed on a token that was started anew for it: then the token is not what failed. */
static void
blame(struct oxv_p11_token *token, unsigned flags, uint64_t seen, struct oxv_p11_fault *fault)
{
    uint64_t suspect = seen;

    (void)atomic_compare_exchange_strong(&token->suspect, &suspect, 0); /* now it is judged */
    if ((flags & OXV_P11_RUN_DATA) != 0) {
        (void)oxv_p11_fault(fault, OXV_TOKEN_DATA, fault->ckr,
                            "the token does not open it: damaged, or for another key");
    } else if ((flags & OXV_P11_RUN_TRIAL) != 0) {
        fault->trouble = OXV_TOKEN_UNFIT;
    } else {
        (void)give_up(token, seen, fault); /* not at once again */
    }
}

/*
 * A blob did not open, by a code that a broken device has too. A fresh start would cost all others
 * their handles: not where another key still signs, and not again soon after one that did not help.
 */
static bool
may_be_device(struct oxv_p11_token *token)
{
    uint64_t now = oxv_clock_boot_us();
    uint64_t last = atomic_load(&token->data_us);

    if ((last != 0 && now - last < MISSING_PAUSE_US) || device_works(token)) {
        return false;
    }
    atomic_store(&token->data_us, now);
    return true;
}

/* The device failed. True: try again. */
static bool
mend_device(struct oxv_p11_token *token, unsigned flags, struct budget *budget, uint64_t seen,
            struct oxv_p11_fault *fault)
{
    bool may_be_request = (flags & (OXV_P11_RUN_DATA | OXV_P11_RUN_TRIAL)) != 0;

    bool is_old = atomic_load(&token->generation) != seen; /* the new one has done nothing wrong */

    if (budget->recovered || (atomic_load(&token->is_unproven) && !may_be_request && !is_old)) {
        blame(token, flags, seen, fault);
        return false;
    }
    if ((flags & OXV_P11_RUN_DATA) != 0 && !is_old && !may_be_device(token)) {
        blame(token, flags, seen, fault);
        return false;
    }
    budget->recovered = true;
    if (recover(token, seen, fault) != OXV_TOKEN_FINE) {
        return false;
    }
    if ((flags & OXV_P11_RUN_HANDLES) != 0) {
        (void)stale(fault);
        return false;
    }
    return true;
}

/* A pulled token looks like an empty one to SoftHSM: only a fresh start tells the two apart. */
static bool
mend_missing(struct oxv_p11_token *token, struct budget *budget, uint64_t seen,
             struct oxv_p11_fault *fault)
{
    struct oxv_p11_fault kept = *fault;
    CK_TOKEN_INFO info = { 0 };
    uint64_t now = oxv_clock_boot_us();
    uint64_t last = atomic_load(&token->missing_us);

    if (budget->recovered) {
        return false;
    }
    oxv_p11_read_lock(token);
    bool is_there = token->is_open && token->calls->C_GetTokenInfo(token->slot, &info) == CKR_OK;
    bool has_pin_pad = (info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;

    oxv_p11_release(token);
    if (is_there &&
        ((last != 0 && now - last < MISSING_PAUSE_US) || has_pin_pad || has_objects(token))) {
        return false;
    }
    atomic_store(&token->missing_us, now);
    budget->recovered = true;
    if (recover(token, seen, fault) != OXV_TOKEN_FINE) {
        return false;
    }
    *fault = kept;
    return true;
}

/* Does what the failure asks for. True: try again; false: *fault is final. */
static bool
mend(struct oxv_p11_token *token, unsigned flags, struct budget *budget, uint64_t seen,
     struct oxv_p11_fault *fault)
{
    if (fault->trouble == OXV_TOKEN_NO_KEY) {
        return mend_missing(token, budget, seen, fault);
    }
    if (fault->ckr == CKR_OK ||
        (fault->trouble != OXV_TOKEN_ABSENT && fault->trouble != OXV_TOKEN_STALE)) {
        return false;
    }
    switch (oxv_p11_ckr_class(fault->ckr)) {
    case OXV_P11_CKR_SESSION:
        if (!budget->renewed) {
            budget->renewed = true;
            return true;
        }
        return mend_device(token, flags, budget, seen, fault);
    case OXV_P11_CKR_LOGIN:
        if (budget->logged_in) {
            return mend_device(token, flags, budget, seen, fault);
        }
        budget->logged_in = true;
        if (login_anew(token, seen, fault) != OXV_TOKEN_FINE) {
            return false;
        }
        if ((flags & OXV_P11_RUN_HANDLES) != 0) {
            (void)stale(fault);
            return false;
        }
        return true;
    case OXV_P11_CKR_STALE:
        if ((flags & OXV_P11_RUN_HANDLES) != 0) {
            return false;
        }
        return mend_device(token, flags, budget, seen, fault);
    case OXV_P11_CKR_DEVICE:
        return mend_device(token, flags, budget, seen, fault);
    case OXV_P11_CKR_FINE:
    case OXV_P11_CKR_CREDENTIAL:
    case OXV_P11_CKR_CONFIGURATION:
    case OXV_P11_CKR_DATA:
        break;
    }
    return false;
}

/* Is it ready for an operation? Under the read lock. */
static enum oxv_token_trouble
check_ready(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    if (atomic_load(&token->next_try_us) != 0 && repeat_status(token, fault) != OXV_TOKEN_FINE) {
        return fault->trouble;
    }
    if (!token->is_open) {
        enum oxv_token_trouble t = repeat_status(token, fault);

        return t != OXV_TOKEN_FINE
                   ? t
                   : oxv_p11_fault(fault, OXV_TOKEN_ABSENT, CKR_OK, "the token is not open");
    }
    if (!token->is_logged_in) {
        enum oxv_token_trouble t = repeat_status(token, fault);

        return t == OXV_TOKEN_PIN
                   ? t
                   : oxv_p11_fault(fault, OXV_TOKEN_NEEDS_PIN, CKR_OK, "the token needs its PIN");
    }
    return OXV_TOKEN_FINE;
}

static CK_RV
get_session(struct oxv_p11_op *op)
{
    return op->is_rw ? oxv_p11_open_session(op->token, true, &op->session)
                     : oxv_p11_session_get(op->token, &op->session);
}

static void
put_session(struct oxv_p11_op *op, bool is_good)
{
    if (op->is_broken) {
        return;
    }
    if (op->is_rw) {
        (void)op->calls->C_CloseSession(op->session); /* of no more use either way */
    } else {
        oxv_p11_session_put(op->token, op->session, is_good);
    }
}

enum oxv_token_trouble
oxv_p11_op_renew(struct oxv_p11_op *op, struct oxv_p11_fault *fault)
{
    put_session(op, false);
    CK_RV rv = get_session(op);

    op->is_broken = rv != CKR_OK;
    op->is_soiled = false;
    return rv == CKR_OK ? OXV_TOKEN_FINE : oxv_p11_call_failed(fault, "C_OpenSession", rv);
}

/* One try, with what it was when it began. `*ran` is false where it did not come to a call. */
static enum oxv_token_trouble
try_once(struct oxv_p11_op *op, oxv_p11_op_fn fn, void *ctx, bool *ran, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = check_ready(op->token, fault);

    *ran = t == OXV_TOKEN_FINE;
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    CK_RV rv = get_session(op);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_OpenSession", rv);
    }
    op->is_broken = false;
    t = fn(op, ctx, fault);
    put_session(op, t == OXV_TOKEN_FINE && !op->is_soiled);
    return t;
}

/* Until something has worked after a fresh start, one at a time: what fails may count. */
static bool
enter(struct oxv_p11_token *token, unsigned flags)
{
    /* Making a key takes a second, and no failure of it counts: it does not hold up others. */
    bool is_alone = (flags & OXV_P11_RUN_PROVES) != 0 && (flags & OXV_P11_RUN_RW) == 0 &&
                    atomic_load(&token->is_unproven);

    if (is_alone) {
        oxv_p11_lock(&token->half_open);
    }
    oxv_p11_read_lock(token);
    return is_alone;
}

static void
leave(struct oxv_p11_token *token, bool is_alone)
{
    oxv_p11_release(token);
    if (is_alone) {
        oxv_p11_unlock(&token->half_open);
    }
}

static bool
is_of_device(const struct oxv_p11_fault *fault)
{
    return fault->trouble == OXV_TOKEN_ABSENT && fault->ckr != CKR_OK &&
           oxv_p11_ckr_class(fault->ckr) == OXV_P11_CKR_DEVICE;
}

static void
note_success(struct oxv_p11_token *token)
{
    if (atomic_load(&token->is_unproven)) {
        atomic_store(&token->is_unproven, false);
        atomic_store(&token->failures, 0);
    }
}

/* Another operation found the device failing: this one does not spend a call to see it too. */
static bool
join_recovery(struct oxv_p11_token *token, unsigned flags, uint64_t seen,
              struct oxv_p11_fault *fault)
{
    if ((flags & OXV_P11_RUN_HANDLES) != 0) {
        (void)stale(fault);
        return false;
    }
    return recover(token, seen, fault) == OXV_TOKEN_FINE;
}

enum oxv_token_trouble
oxv_p11_run(struct oxv_p11_token *token, unsigned flags, oxv_p11_op_fn fn, void *ctx,
            struct oxv_p11_fault *fault)
{
    struct budget budget = { 0 };

    if (!oxv_p11_module_is_ours(token->module)) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "a forked process must not use the module");
    }
    for (;;) {
        struct oxv_p11_op op = { .token = token,
                                 .calls = token->calls,
                                 .is_rw = (flags & OXV_P11_RUN_RW) != 0 };
        bool ran = false;

        bool is_alone = enter(token, flags);
        uint64_t seen = atomic_load(&token->generation);
        enum oxv_token_trouble t = OXV_TOKEN_FINE;
        bool is_suspect = atomic_load(&token->suspect) == seen && token->is_open;

        if (!is_suspect) {
            t = try_once(&op, fn, ctx, &ran, fault);
        }
        if (ran && t != OXV_TOKEN_FINE && is_of_device(fault)) {
            atomic_store(&token->suspect, seen); /* before others come in */
        } else if (ran && t == OXV_TOKEN_FINE && (flags & OXV_P11_RUN_PROVES) != 0) {
            note_success(token);
        }
        leave(token, is_alone);
        if (is_suspect) {
            if (!join_recovery(token, flags, seen, fault)) {
                return fault->trouble;
            }
        } else if (t == OXV_TOKEN_FINE || !ran) {
            return t;
        } else if (!mend(token, flags, &budget, seen, fault)) {
            return fault->trouble;
        }
    }
}

uint64_t
oxv_p11_token_next_try_us(const struct oxv_p11_token *token)
{
    return atomic_load(&token->next_try_us);
}

void
oxv_p11_token_try_again(struct oxv_p11_token *token)
{
    struct oxv_p11_fault fault;

    oxv_p11_write_lock(token);
    /* A login may have come first, and a PIN pad's is lost by finalizing. */
    if (oxv_p11_module_is_ours(token->module) && atomic_load(&token->next_try_us) != 0) {
        (void)oxv_p11_recover_locked(token, &fault); /* shows how it ended */
    }
    oxv_p11_release(token);
    oxv_p11_leftovers_sweep(token, true);
}

enum oxv_token_trouble
oxv_p11_token_open(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = OXV_TOKEN_FINE;

    if (!oxv_p11_module_is_ours(token->module)) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "a forked process must not use the module");
    }
    oxv_p11_write_lock(token);
    if (!token->is_open) {
        t = oxv_p11_recover_locked(token, fault);
        t = may_pass(t) ? t : OXV_TOKEN_FINE; /* it is open, if not logged in to */
    }
    oxv_p11_release(token);
    return t;
}
