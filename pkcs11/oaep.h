/* oaep: the mechanism RSA-OAEP, hash and mask by one hash, no label. */
#ifndef OXV_PKCS11_OAEP_H
#define OXV_PKCS11_OAEP_H

#include "base/token_terms.h"
#include "pkcs11/cryptoki.h"

/* Must not be copied: the mechanism points into it. */
struct oxv_p11_oaep {
    CK_RSA_PKCS_OAEP_PARAMS params;
    CK_MECHANISM mechanism;
};

static inline void
oxv_p11_oaep(struct oxv_p11_oaep *out, enum oxv_token_oaep hash)
{
    out->params = (CK_RSA_PKCS_OAEP_PARAMS){
        .hashAlg = hash == OXV_TOKEN_OAEP_SHA1 ? CKM_SHA_1 : CKM_SHA256,
        .mgf = hash == OXV_TOKEN_OAEP_SHA1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256,
        .source = CKZ_DATA_SPECIFIED,
    };
    out->mechanism = (CK_MECHANISM){ .mechanism = CKM_RSA_PKCS_OAEP,
                                     .pParameter = &out->params,
                                     .ulParameterLen = sizeof out->params };
}

#endif
