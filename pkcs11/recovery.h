/*
 * recovery: runs an operation on a token, and does what its failure asks for: a new session, a new
 * login, or finalizing and initializing the module, with the handles all void. At most one failed
 * cryptographic call goes before that last step: a failure may count towards a TPM's lock-out.
 */
#ifndef OXV_PKCS11_RECOVERY_H
#define OXV_PKCS11_RECOVERY_H

#include "pkcs11/token_impl.h"

/* What an operation has for its time; its session is its own. */
struct oxv_p11_op {
    struct oxv_p11_token *token;
    const CK_FUNCTION_LIST *calls;
    CK_SESSION_HANDLE session;
    bool is_rw;
    bool is_broken; /* there is no session any more */
    bool is_soiled; /* a call failed in it, as was expected: it is not used again */
};

typedef enum oxv_token_trouble (*oxv_p11_op_fn)(struct oxv_p11_op *op, void *ctx,
                                                struct oxv_p11_fault *fault);

enum oxv_p11_run {
    OXV_P11_RUN_PLAIN = 0,
    OXV_P11_RUN_RW = 1,      /* it makes or destroys objects of the token: a session for writing */
    OXV_P11_RUN_HANDLES = 2, /* it was given handles, which recovery makes stale */
    OXV_P11_RUN_DATA = 4,    /* it was given a blob: what fails on a sound token is the blob */
    OXV_P11_RUN_PROVES = 16, /* it uses a key: where it works, the device does */
    OXV_P11_RUN_TRIAL = 8,   /* it tries what the token may not know: a failure says that, then */
};

/*
 * Runs fn under the read lock, again after recovery where its failure asks for that and it is fit
 * for it. What fn returns with a fault of another kind than of a call is final.
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_run(struct oxv_p11_token *token, unsigned flags,
                                                oxv_p11_op_fn fn, void *ctx,
                                                struct oxv_p11_fault *fault);

/* Within an operation, after a call that failed and was expected to: a new session. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_op_renew(struct oxv_p11_op *op,
                                                     struct oxv_p11_fault *fault);

/* Under the write lock: finalize, initialize, open, log in. Shows how it ended. */
enum oxv_token_trouble oxv_p11_recover_locked(struct oxv_p11_token *token,
                                              struct oxv_p11_fault *fault);

#endif
