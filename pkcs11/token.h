/*
 * token: one token of one module: found by its URI, opened, logged in to, and brought back when it
 * was away. The functions of this library that take a token may be called by several threads.
 */
#ifndef OXV_PKCS11_TOKEN_H
#define OXV_PKCS11_TOKEN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "pkcs11/fault.h"

#define OXV_P11_WORKERS_MAX     8u
#define OXV_P11_PIN_SALT_BYTES  16u
#define OXV_P11_PIN_HASH_BYTES  32u
#define OXV_P11_REFUSED_MAX     8u
#define OXV_P11_LABEL_MAX_BYTES 33u /* with NUL */

struct oxv_p11_token;

/* CKF_USER_PIN_COUNT_LOW, _FINAL_TRY, _LOCKED; the worst that is set. */
enum oxv_p11_pin_state {
    OXV_P11_PIN_FINE = 0,
    OXV_P11_PIN_COUNT_LOW = 1,
    OXV_P11_PIN_FINAL_TRY = 2,
    OXV_P11_PIN_LOCKED = 3,
};

/* A PIN that the token refused, so that it is not tried again: Argon2id, never the PIN. */
struct oxv_p11_refused_pin {
    bool is_set;
    uint8_t salt[OXV_P11_PIN_SALT_BYTES];
    uint8_t hash[OXV_P11_PIN_HASH_BYTES];
};

/* Those of before, all with one salt. */
struct oxv_p11_refused_pins {
    size_t count;
    uint8_t salt[OXV_P11_PIN_SALT_BYTES];
    uint8_t hashes[OXV_P11_REFUSED_MAX][OXV_P11_PIN_HASH_BYTES];
};

/* A copy, as of now. */
struct oxv_p11_status {
    enum oxv_token_trouble trouble;
    CK_RV ckr;
    char text[OXV_P11_FAULT_TEXT_MAX_BYTES]; /* "" where all is well */
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];   /* canonical; "" until the token was seen */
    char label[OXV_P11_LABEL_MAX_BYTES];
    bool is_logged_in;
    bool has_pin_pad;
    enum oxv_p11_pin_state pin_state;
    uint64_t generation; /* of the key handles */
    uint64_t workers;    /* how many sessions may work at once */
    uint64_t changes;    /* rises with every change of the above */
    struct oxv_p11_refused_pin refused;
    bool login_failed; /* but not for the PIN, less than a minute ago: it may have cost a try */
};

struct oxv_p11_open {
    struct oxv_view module;
    struct oxv_view uri;
    uint64_t workers;         /* at most so many; 0: OXV_P11_WORKERS_MAX */
    uint64_t owner_uid_plus1; /* module_file.h */
};

/* Loads the module. The token need not be there. OXV_TOKEN_REFUSED, OXV_TOKEN_BUSY. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_token_new(const struct oxv_p11_open *wanted,
                                                      struct oxv_p11_token **out,
                                                      struct oxv_p11_fault *fault);
/* Forgets the PIN, finalizes the module. No other thread may use it any more. NULL is fine. */
void oxv_p11_token_free(struct oxv_p11_token *token);

/*
 * Initializes the module and opens the anchor session; does nothing where that is done. From now on
 * oxv_p11_token_try_again() looks for a token that is absent.
 *   OXV_TOKEN_ABSENT     no token fits, or the device does not answer
 *   OXV_TOKEN_AMBIGUOUS  several fit: *fault lists them
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_token_open(struct oxv_p11_token *token,
                                                       struct oxv_p11_fault *fault);

struct oxv_p11_login {
    const struct oxv_secret *pin;        /* NULL: none, for a PIN pad; copied */
    struct oxv_p11_refused_pins refused; /* one that is refused now gets the salt of these */
    bool again; /* a person asks: also a PIN that was refused, and the last try, are tried */
};

/*
 * Logs in, at most one C_Login. The PIN is kept, for a login after the token was away.
 *   OXV_TOKEN_PIN        refused, now or before, or locked: final until a person acts
 *   OXV_TOKEN_NEEDS_PIN  there is neither a PIN nor a PIN pad
 *   OXV_TOKEN_REFUSED    logged in already, with another PIN: this one was not tried
 *   OXV_TOKEN_ABSENT     the device failed, or did so less than a minute ago
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_token_login(struct oxv_p11_token *token,
                                                        const struct oxv_p11_login *login,
                                                        struct oxv_p11_fault *fault);

void oxv_p11_token_status(struct oxv_p11_token *token, struct oxv_p11_status *out);
/* status.changes alone, without a lock. */
uint64_t oxv_p11_token_changes(const struct oxv_p11_token *token);

/* When to call oxv_p11_token_try_again(), by oxv_clock_boot_us(); 0: the token is not absent. */
uint64_t oxv_p11_token_next_try_us(const struct oxv_p11_token *token);
/* Re-initializes everything and logs in with the PIN that is kept. May take long. */
void oxv_p11_token_try_again(struct oxv_p11_token *token);

OXV_DEFINE_OWNER(oxv_p11_token);

#endif
