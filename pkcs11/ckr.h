/* ckr: what a return code of PKCS#11 means for what we do next. */
#ifndef OXV_PKCS11_CKR_H
#define OXV_PKCS11_CKR_H

#include "pkcs11/cryptoki.h"

enum oxv_p11_ckr_class {
    OXV_P11_CKR_FINE,
    OXV_P11_CKR_STALE,         /* the object's handle: find it again */
    OXV_P11_CKR_SESSION,       /* a new session, and once more */
    OXV_P11_CKR_LOGIN,         /* log in again */
    OXV_P11_CKR_DEVICE,        /* finalize and initialize; all that is unknown is here too */
    OXV_P11_CKR_CREDENTIAL,    /* stop: a person has to act */
    OXV_P11_CKR_CONFIGURATION, /* the token cannot do this: no retry */
    OXV_P11_CKR_DATA,          /* what was given in is damaged: no retry */
};

enum oxv_p11_ckr_class oxv_p11_ckr_class(CK_RV ckr);

#endif
