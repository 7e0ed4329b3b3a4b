/* fault: what went wrong with a token, for the wire and for people. */
#ifndef OXV_PKCS11_FAULT_H
#define OXV_PKCS11_FAULT_H

#include "base/status.h"
#include "base/token_terms.h"
#include "pkcs11/cryptoki.h"

#define OXV_P11_FAULT_TEXT_MAX_BYTES 1000u

/*
 * Functions of this library return an enum oxv_token_trouble; on anything but OXV_TOKEN_FINE they
 * have filled *fault. Holds no secret.
 */
struct oxv_p11_fault {
    enum oxv_token_trouble trouble;
    CK_RV ckr;                               /* CKR_OK where no call failed */
    char text[OXV_P11_FAULT_TEXT_MAX_BYTES]; /* one line, printable UTF-8: what, and what to do */
};

/* Fills *fault and returns `trouble`. A text that is too long is cut. */
enum oxv_token_trouble oxv_p11_fault(struct oxv_p11_fault *fault, enum oxv_token_trouble trouble,
                                     CK_RV ckr, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A call of the module failed: trouble by the class of `ckr` (ckr.h), text "C_Sign: CKR_...". */
enum oxv_token_trouble oxv_p11_call_failed(struct oxv_p11_fault *fault, const char *call,
                                           CK_RV ckr);

/* Puts "prefix: " before the text that a deeper function left; returns fault->trouble. */
enum oxv_token_trouble oxv_p11_fault_prefix(struct oxv_p11_fault *fault, const char *prefix);

#endif
