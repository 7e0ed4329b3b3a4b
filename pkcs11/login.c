#include <sodium.h>

#include "base/io.h"
#include "base/token_names.h"
#include "pkcs11/ckr.h"
#include "pkcs11/recovery.h"
#include "pkcs11/refused_pin.h"

#define FAILED_LOGIN_PAUSE_US 60000000u

/* Who asks for a login, and with what. */
struct attempt {
    const struct oxv_secret *pin;
    bool again;
    const uint8_t *salt;                   /* for if_refused; NULL: a fresh one */
    struct oxv_p11_refused_pin if_refused; /* made before the try: then it must not fail */
    bool is_automatic; /* after the token was away: nobody stands at a PIN pad */
};

static enum oxv_token_trouble
refuse_pin(struct oxv_p11_fault *fault, CK_RV ckr, const char *text)
{
    return oxv_p11_fault(fault, OXV_TOKEN_PIN, ckr, "%s", text);
}

/* Wrong lengths are not refused by tokens, but compared, and counted. */
static enum oxv_token_trouble
check_length(const struct oxv_p11_token *token, const struct oxv_secret *pin,
             struct oxv_p11_fault *fault)
{
    CK_ULONG min = token->info.ulMinPinLen;
    CK_ULONG max = token->info.ulMaxPinLen;
    size_t len = oxv_secret_len(pin);

    if (len == 0 || len > OXV_TOKEN_PIN_MAX_BYTES ||
        memchr(oxv_secret_view(pin).data, 0, len) != NULL) {
        return refuse_pin(fault, CKR_OK, "the PIN is empty, too long or holds a NUL; not tried");
    }
    if (max == 0 || max == CK_UNAVAILABLE_INFORMATION || min > max) {
        return OXV_TOKEN_FINE; /* the token does not say */
    }
    return len >= min && len <= max
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_PIN, CKR_OK,
                               "a PIN of this token has %lu to %lu bytes, the given one does not; "
                               "not tried",
                               min, max);
}

/* All that can be told without spending one of the token's tries. */
static enum oxv_token_trouble
check_before(const struct oxv_p11_token *token, const struct attempt *attempt, bool pin_pad,
             struct oxv_p11_fault *fault)
{
    uint64_t now = oxv_clock_boot_us();

    if (!pin_pad && attempt->pin == NULL) {
        return oxv_p11_fault(fault, OXV_TOKEN_NEEDS_PIN, CKR_OK, "the token needs its PIN");
    }
    if (pin_pad && attempt->is_automatic) {
        return oxv_p11_fault(fault, OXV_TOKEN_NEEDS_PIN, CKR_OK,
                             "the PIN must be typed at the token's PIN pad");
    }
    if ((token->info.flags & CKF_USER_PIN_LOCKED) != 0) {
        return refuse_pin(fault, CKR_OK,
                          "the token's PIN is locked: unlock it with the vendor's tool; not tried");
    }
    if ((token->info.flags & CKF_USER_PIN_FINAL_TRY) != 0 && !attempt->again) {
        return refuse_pin(fault, CKR_OK,
                          "the token allows one last try of its PIN, which is for a person; not "
                          "tried");
    }
    if (token->failed_login_us != 0 && now - token->failed_login_us < FAILED_LOGIN_PAUSE_US &&
        !attempt->again) {
        return oxv_p11_fault(fault, OXV_TOKEN_ABSENT, CKR_OK,
                             "a login failed less than a minute ago, the next try is later");
    }
    return pin_pad ? OXV_TOKEN_FINE : check_length(token, attempt->pin, fault);
}

/* Final for this PIN, until a person acts: kept in a form in which it can be recognised. */
static enum oxv_token_trouble
pin_was_refused(struct oxv_p11_token *token, const struct attempt *attempt, CK_RV rv,
                struct oxv_p11_fault *fault)
{
    if (attempt->if_refused.is_set) {
        oxv_p11_show_refused(token, &attempt->if_refused);
    }
    oxv_secret_free(token->pin);
    token->pin = NULL;
    (void)oxv_p11_refresh_info(token); /* the flags of now, where the token gives them */
    return rv == CKR_PIN_INCORRECT
               ? refuse_pin(fault, rv, "the token refused the PIN (CKR_PIN_INCORRECT)")
           : rv == CKR_PIN_LOCKED
               ? refuse_pin(fault, rv,
                            "the token's PIN is locked (CKR_PIN_LOCKED): unlock it with the "
                            "vendor's tool")
               : oxv_p11_fault_prefix(fault, "the token does not take the PIN");
}

static enum oxv_token_trouble
take_result(struct oxv_p11_token *token, const struct attempt *attempt, CK_RV rv,
            struct oxv_p11_fault *fault)
{
    static const struct oxv_p11_refused_pin none = { 0 };

    if (rv == CKR_OK) {
        struct oxv_secret *kept =
            attempt->pin == NULL ? NULL : oxv_secret_copy(oxv_secret_view(attempt->pin));

        oxv_secret_free(token->pin);
        token->if_refused = attempt->if_refused; /* the slow hash is made once for a PIN */
        token->pin = kept; /* without memory for it the next login asks for it */
        token->is_logged_in = true;
        token->failed_login_us = 0;
        oxv_p11_show_refused(token, &none);
        (void)oxv_p11_refresh_info(token); /* a right PIN clears the flags */
        return OXV_TOKEN_FINE;
    }
    (void)oxv_p11_call_failed(fault, "C_Login", rv);
    if (rv == CKR_CANCEL || rv == CKR_FUNCTION_CANCELED) {
        return oxv_p11_fault(fault, OXV_TOKEN_NEEDS_PIN, rv, "no PIN was typed at the PIN pad");
    }
    if (oxv_p11_ckr_class(rv) == OXV_P11_CKR_CREDENTIAL) {
        return pin_was_refused(token, attempt, rv, fault);
    }
    if (rv != CKR_USER_ALREADY_LOGGED_IN) {
        token->failed_login_us = oxv_clock_boot_us();
    }
    return oxv_p11_fault(fault, OXV_TOKEN_ABSENT, rv, "%s", "C_Login failed, but not for the PIN");
}

/* What is remembered of the PIN where it is refused, whatever the code: it is not tried again. */
static bool
prepare_memory(const struct oxv_p11_token *token, struct attempt *attempt)
{
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];

    (void)oxv_p11_uri_of(&token->info, uri);
    return attempt->if_refused.is_set || oxv_p11_refused_pin_make(attempt->pin, uri, attempt->salt,
                                                                  &attempt->if_refused) == OXV_OK;
}

/* Under the write lock, the token open. At most one C_Login. */
static enum oxv_token_trouble
login(struct oxv_p11_token *token, struct attempt *attempt, struct oxv_p11_fault *fault)
{
    CK_RV rv = oxv_p11_refresh_info(token);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_GetTokenInfo", rv);
    }
    if ((token->info.flags & CKF_LOGIN_REQUIRED) == 0) {
        token->is_logged_in = true;
        return OXV_TOKEN_FINE;
    }
    bool pin_pad = (token->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
    enum oxv_token_trouble t = check_before(token, attempt, pin_pad, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (!pin_pad && !prepare_memory(token, attempt)) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY,
                             "no memory for Argon2id: a refusal could not be remembered");
    }
    /* NULL only for a PIN pad: opencryptoki counts it as a wrong PIN. */
    rv = pin_pad ? token->calls->C_Login(token->anchor, CKU_USER, NULL, 0)
                 : token->calls->C_Login(token->anchor, CKU_USER,
                                         oxv_p11_unconst(oxv_secret_view(attempt->pin).data),
                                         oxv_secret_len(attempt->pin));
    return take_result(token, attempt, rv, fault);
}

enum oxv_token_trouble
oxv_p11_login_again(struct oxv_p11_token *token, struct oxv_p11_fault *fault)
{
    struct attempt attempt = { .pin = token->pin,
                               .if_refused = token->if_refused,
                               .is_automatic = true };

    return token->is_logged_in ? OXV_TOKEN_FINE : login(token, &attempt, fault);
}

/* While logged in a token takes any PIN for right, so it is of no use to ask it. */
static enum oxv_token_trouble
compare_with_kept(const struct oxv_p11_token *token, const struct oxv_secret *pin,
                  struct oxv_p11_fault *fault)
{
    if (pin == NULL || token->pin == NULL || oxv_secret_equals(token->pin, oxv_secret_view(pin))) {
        return OXV_TOKEN_FINE;
    }
    return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                         "logged in already, with another PIN: the one given now was not tried");
}

/*
 * Where a PIN is given the kept one is not tried: of one request one C_Login may be refused.
 * Without a PIN the kept one is.
 */
static enum oxv_token_trouble
recover_for(struct oxv_p11_token *token, const struct attempt *attempt, struct oxv_p11_fault *fault)
{
    struct oxv_secret *kept = token->pin;

    if (attempt->pin == NULL) {
        return oxv_p11_recover_locked(token, fault);
    }
    token->pin = NULL;
    enum oxv_token_trouble t = oxv_p11_recover_locked(token, fault);

    token->pin = kept; /* for as long as the given one is not known to be better */
    return t;
}

static enum oxv_token_trouble
login_locked(struct oxv_p11_token *token, struct attempt *attempt, struct oxv_p11_fault *fault)
{
    if (token->is_logged_in) {
        return compare_with_kept(token, attempt->pin, fault);
    }
    enum oxv_token_trouble t = OXV_TOKEN_FINE;

    if (!token->is_open) {
        t = recover_for(token, attempt, fault);
        if (t != OXV_TOKEN_NEEDS_PIN) {
            return t;
        }
    }
    t = login(token, attempt, fault);
    /* A token that is away shows it in C_GetTokenInfo; one that somebody else left logged in, here.
     * Neither has cost a try. */
    if (t == OXV_TOKEN_ABSENT && fault->ckr != CKR_OK && token->failed_login_us == 0) {
        t = recover_for(token, attempt, fault);
        t = t == OXV_TOKEN_NEEDS_PIN ? login(token, attempt, fault) : t;
    }
    oxv_p11_show(token, t == OXV_TOKEN_FINE ? NULL : fault);
    return t;
}

/* The slow hash is computed without a lock: others keep working. */
static enum oxv_token_trouble
check_refused(struct oxv_p11_token *token, const struct oxv_p11_login *wanted,
              struct oxv_p11_fault *fault)
{
    struct oxv_p11_status status;
    struct oxv_p11_refused_pin kept = { 0 };
    bool own = false;

    if (wanted->again || wanted->pin == NULL) {
        return OXV_TOKEN_FINE;
    }
    oxv_p11_token_status(token, &status);
    if (oxv_p11_refused_pin_find(&wanted->refused, wanted->pin, status.uri, &kept) != OXV_OK ||
        oxv_p11_refused_pin_is(&status.refused, wanted->pin, status.uri, &own) != OXV_OK) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory for Argon2id");
    }
    if (!kept.is_set && !own) {
        return OXV_TOKEN_FINE;
    }
    oxv_p11_show_refused(token, kept.is_set ? &kept : &status.refused);
    return refuse_pin(fault, CKR_OK, "the token refused this PIN before, so it was not tried");
}

enum oxv_token_trouble
oxv_p11_token_login(struct oxv_p11_token *token, const struct oxv_p11_login *wanted,
                    struct oxv_p11_fault *fault)
{
    struct attempt attempt = { .pin = wanted->pin,
                               .again = wanted->again,
                               .salt = wanted->refused.count > 0 ? wanted->refused.salt : NULL };

    if (!oxv_p11_module_is_ours(token->module)) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "a forked process must not use the module");
    }
    enum oxv_token_trouble t = check_refused(token, wanted, fault);

    oxv_p11_write_lock(token);
    if (t == OXV_TOKEN_FINE) {
        t = login_locked(token, &attempt, fault);
    } else if (!token->is_logged_in) {
        oxv_p11_show(token, fault);
    }
    oxv_p11_release(token);
    return t;
}
