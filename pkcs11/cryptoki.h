/* cryptoki: PKCS#11's own names (p11-kit's header), and those that p11-kit 0.24 lacks. */
#ifndef OXV_PKCS11_CRYPTOKI_H
#define OXV_PKCS11_CRYPTOKI_H

#include <stdint.h>

#include <p11-kit/pkcs11.h>

#define OXV_CKM_AES_KEY_WRAP_PAD 0x210aUL /* RFC 5649 on some tokens, PKCS#7 on others */
#define OXV_CKM_AES_KEY_WRAP_KWP 0x210bUL /* PKCS#11 3.0: RFC 5649 */

/* PKCS#11 takes no pointer to const, also where it only reads. */
static inline void *
oxv_p11_unconst(const void *bytes)
{
    return (void *)(uintptr_t)bytes;
}

#endif
