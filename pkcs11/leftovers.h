/*
 * leftovers: objects that we made, that did not do, and that the token would not destroy at once.
 * tpm2-pkcs11 refuses that for a key with which something failed, until it is initialized anew.
 */
#ifndef OXV_PKCS11_LEFTOVERS_H
#define OXV_PKCS11_LEFTOVERS_H

#include "pkcs11/recovery.h"

/*
 * Destroys `object`, which this very request made with the random `id`; where that fails, it is
 * tried once more by oxv_p11_leftovers_sweep().
 */
void oxv_p11_destroy_made(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_view id);

/* What a request made, perhaps, in a call that failed; for the next sweep. */
void oxv_p11_leftovers_add(struct oxv_p11_token *token, struct oxv_view id);

/*
 * After an operation, not within one: what is left of it goes. With `may_recover`, which makes
 * handles stale and is not for one that went well: where the token does not
 * destroy it, once more after a recovery, which a PIN pad's login would not survive; then it is
 * given up. While the token is away it waits for the next time.
 */
void oxv_p11_leftovers_sweep(struct oxv_p11_token *token, bool may_recover);

#endif
