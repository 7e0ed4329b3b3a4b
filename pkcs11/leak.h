/*
 * leak: does a key that must stay get out by a side door? NSS wraps a key that is not extractable
 * under a key that the caller knows, and copies it with other attributes.
 */
#ifndef OXV_PKCS11_LEAK_H
#define OXV_PKCS11_LEAK_H

#include "pkcs11/recovery.h"

/*
 * Tries the side doors on `object`. Uses up the operation's session; afterwards it has a new one.
 *   OXV_TOKEN_UNFIT  one of them is open: *fault says which
 *   else a session is not to be had
 */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_try_leaks(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault);
/* The same, once for a token; later its result is repeated. Under the objects lock. */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_check_leaks(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault);
/*
 * For a key that another tool made: its value must not be readable; and where it calls itself
 * extractable (tpm2-pkcs11 does, of a key that the TPM never gives away), the side doors and the
 * front door must be shut all the same.
 *   OXV_TOKEN_UNFIT
 */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_check_foreign(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault);

#endif
