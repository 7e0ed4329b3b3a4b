/* token_impl: what the files of this library share about a token; nobody else includes it. */
#ifndef OXV_PKCS11_TOKEN_IMPL_H
#define OXV_PKCS11_TOKEN_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/module.h"
#include "pkcs11/token.h"
#include "pkcs11/uri.h"

#define OXV_P11_LEFTOVERS_MAX 16u

/* One key that was loaded; its handle on the wire is its place in the table and its serial. */
struct oxv_p11_key_entry {
    uint64_t serial; /* 0: free */
    CK_OBJECT_HANDLE object;
    enum oxv_key_form form;
    enum oxv_token_hash hash;
};

/* Sessions that no operation uses now. */
struct oxv_p11_pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    CK_SESSION_HANDLE idle[OXV_P11_WORKERS_MAX];
    size_t idle_count;
    size_t in_use;
    size_t cap; /* of in_use; shrinks where the token has no more sessions */
};

/*
 * Locks, in the order in which they are taken:
 *   half_open   see below
 *   lock        reading: an operation runs; writing: open, login and recovery, alone
 *   objects     the owner session, and every call that makes or destroys an object: such calls race
 *               within SoftHSM (Parsec #264). Recursive
 *   pool.lock, keys_lock, status_lock   short, nothing is called under them
 */
struct oxv_p11_token {
    struct oxv_p11_module *module;
    const CK_FUNCTION_LIST *calls;
    struct oxv_p11_uri *wanted;
    size_t workers_wanted;

    pthread_rwlock_t lock;
    bool is_open;
    bool is_logged_in;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE anchor; /* keeps the login, does nothing else */
    CK_TOKEN_INFO info;
    struct oxv_secret *pin;                /* after a login that worked */
    struct oxv_p11_refused_pin if_refused; /* of that PIN; see login.c */
    uint64_t failed_login_us;              /* 0: none */
    struct oxv_p11_pool pool;

    pthread_mutex_t objects;
    CK_SESSION_HANDLE owner; /* of session objects; CK_INVALID_HANDLE: not open yet */
    bool owner_has_objects;
    CK_KEY_TYPE hmac_type[OXV_TOKEN_SHA1 + 1]; /* as what it unwrapped the last key; see keys.c */
    bool hmac_with_len[OXV_TOKEN_SHA1 + 1];
    bool hmac_known[OXV_TOKEN_SHA1 + 1];
    atomic_bool is_wrap_tried; /* with a key that we know; else nothing is known of C_WrapKey */
    bool is_leak_checked;      /* leak.h */
    bool is_leaky;

    pthread_mutex_t keys_lock;
    uint8_t leftovers[OXV_P11_LEFTOVERS_MAX][OXV_TOKEN_KEY_ID_BYTES]; /* leftovers.h */
    size_t leftover_count;
    struct oxv_p11_key_entry *keys;
    size_t key_count; /* places, free ones among them */
    uint64_t key_serial;

    atomic_uint_fast64_t generation;
    atomic_uint_fast64_t next_try_us; /* not 0: absent until then */
    atomic_uint_fast64_t missing_us;  /* when a missing key was last looked for by recovery */
    atomic_uint_fast64_t data_us;     /* when a blob that did not open last cost a recovery */
    atomic_uint_fast64_t suspect;     /* a device failed in this generation; 0: none */
    pthread_mutex_t half_open;        /* while unproven: one operation that may count at a time */
    atomic_bool is_unproven;          /* recovered, but nothing has worked since */
    atomic_uint failures;             /* in a row; for the back-off */

    atomic_uint_fast64_t changes;
    pthread_mutex_t status_lock;
    struct oxv_p11_status status;
};

/* A mutex that cannot be locked is a defect of ours. */
void oxv_p11_lock(pthread_mutex_t *mutex);
void oxv_p11_unlock(pthread_mutex_t *mutex);
void oxv_p11_read_lock(struct oxv_p11_token *token);
void oxv_p11_write_lock(struct oxv_p11_token *token);
void oxv_p11_release(struct oxv_p11_token *token);

/* Under the write lock: finds the token by its URI, opens the anchor session, sizes the pool. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_open_locked(struct oxv_p11_token *token,
                                                        struct oxv_p11_fault *fault);
/* Under the write lock: reads CK_TOKEN_INFO anew. */
CK_RV oxv_p11_refresh_info(struct oxv_p11_token *token);
/* Opens a session for the pool: what is idle there is left, as it is what is waited for. */
OXV_MUST_USE CK_RV oxv_p11_try_session(const struct oxv_p11_token *token, bool is_rw,
                                       CK_SESSION_HANDLE *out);
/*
 * Opens a session: read only where that is enough and the token has such. Where it has no more, the
 * idle ones of the pool go.
 */
OXV_MUST_USE CK_RV oxv_p11_open_session(struct oxv_p11_token *token, bool is_rw,
                                        CK_SESSION_HANDLE *out);
/* Under the write lock: logs in with the PIN that is kept; no C_Login where there is none. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_login_again(struct oxv_p11_token *token,
                                                        struct oxv_p11_fault *fault);

/* The worst that the flags of CK_TOKEN_INFO say of the PIN. */
enum oxv_p11_pin_state oxv_p11_pin_state_of(CK_FLAGS flags);

/* Shows how the token is now. `fault` NULL: all is well. */
void oxv_p11_show(struct oxv_p11_token *token, const struct oxv_p11_fault *fault);
void oxv_p11_show_refused(struct oxv_p11_token *token, const struct oxv_p11_refused_pin *refused);

/* Under the write lock, or where nobody else is left: forgets what died with the sessions. */
void oxv_p11_keys_forget(struct oxv_p11_token *token);

/* Under the read lock: signs with one of the keys that are loaded. False where there is none. */
OXV_MUST_USE bool oxv_p11_any_key_signs(struct oxv_p11_token *token, CK_SESSION_HANDLE session);

#endif
