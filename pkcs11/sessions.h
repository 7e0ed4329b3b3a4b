/*
 * sessions: one session for each operation under way, as many as the token and the caller allow. A
 * session is never shared, and after any error it is closed: NSS and tpm2-pkcs11 answer
 * CKR_OPERATION_ACTIVE to everything on a session in which something failed.
 */
#ifndef OXV_PKCS11_SESSIONS_H
#define OXV_PKCS11_SESSIONS_H

#include "pkcs11/token_impl.h"

void oxv_p11_sessions_init(struct oxv_p11_pool *pool);
void oxv_p11_sessions_done(struct oxv_p11_pool *pool);
/* Under the write lock: all are gone; from now on at most `cap` at once. */
void oxv_p11_sessions_reset(struct oxv_p11_pool *pool, size_t cap);

/* Under the read lock. Waits while `cap` are in use. CKR_SESSION_COUNT: not even one is to be had.
 */
OXV_MUST_USE CK_RV oxv_p11_session_get(struct oxv_p11_token *token, CK_SESSION_HANDLE *out);
/* `is_good`: nothing failed in it. */
void oxv_p11_session_put(struct oxv_p11_token *token, CK_SESSION_HANDLE session, bool is_good);
/* Closes the sessions that nobody uses now; false: there were none. */
bool oxv_p11_sessions_close_idle(struct oxv_p11_token *token);

#endif
