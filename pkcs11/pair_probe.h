/* pair_probe: would this token do for pairs that unwrap? */
#ifndef OXV_PKCS11_PAIR_PROBE_H
#define OXV_PKCS11_PAIR_PROBE_H

#include "pkcs11/pair.h"
#include "pkcs11/recovery.h"

/* As oxv_p11_pair() with a pair that lives no longer than the call; within an operation. */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_pair_probe(struct oxv_p11_op *op, struct oxv_p11_pair *out, struct oxv_p11_fault *fault);

#endif
