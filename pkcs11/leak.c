#include "pkcs11/leak.h"

#include <sodium.h>

#include "pkcs11/objects.h"

#define WRAPPED_BUFFER_BYTES 1024u
#define KNOWN_KEY_BYTES      32u

/* A key that we know the value of. False where the token makes none: then wrapping is not tried. */
static bool
make_known_key(struct oxv_p11_op *op, CK_OBJECT_HANDLE *out)
{
    uint8_t value[KNOWN_KEY_BYTES];
    struct oxv_p11_template t = { 0 };

    randombytes_buf(value, sizeof value);
    oxv_p11_template_number(&t, CKA_CLASS, CKO_SECRET_KEY);
    oxv_p11_template_number(&t, CKA_KEY_TYPE, CKK_AES);
    oxv_p11_template_flag(&t, CKA_TOKEN, false);
    oxv_p11_template_flag(&t, CKA_WRAP, true);
    oxv_p11_template_flag(&t, CKA_ENCRYPT, true);
    oxv_p11_template_flag(&t, CKA_SENSITIVE, false);
    oxv_p11_template_flag(&t, CKA_EXTRACTABLE, true);
    oxv_p11_template_bytes(&t, CKA_VALUE, oxv_view(value, sizeof value));
    oxv_p11_lock(&op->token->objects);
    bool made = op->calls->C_CreateObject(op->session, t.items, t.count, out) == CKR_OK;

    oxv_p11_unlock(&op->token->objects);
    return made;
}

static enum oxv_token_trouble
try_wrap(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, CK_MECHANISM *mechanism,
         struct oxv_p11_fault *fault)
{
    uint8_t wrapped[WRAPPED_BUFFER_BYTES];
    CK_ULONG len = sizeof wrapped;
    CK_OBJECT_HANDLE known = CK_INVALID_HANDLE;
    bool leaks = false;

    if (make_known_key(op, &known)) {
        atomic_store(&op->token->is_wrap_tried, true);
        leaks =
            op->calls->C_WrapKey(op->session, mechanism, known, object, wrapped, &len) == CKR_OK;
    }
    oxv_wipe(wrapped, sizeof wrapped);
    enum oxv_token_trouble t =
        oxv_p11_op_renew(op, fault); /* the known key goes with its session */

    return leaks ? oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                                 "leaky: the token wraps a key that is not extractable for whoever "
                                 "knows the wrapping key (C_WrapKey)")
                 : t;
}

static enum oxv_token_trouble
try_copy(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault)
{
    struct oxv_p11_template t = { 0 };
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;

    oxv_p11_template_flag(&t, CKA_TOKEN, false);
    oxv_p11_template_flag(&t, CKA_EXTRACTABLE, true);
    oxv_p11_lock(&op->token->objects);
    bool leaks = op->calls->C_CopyObject(op->session, object, t.items, t.count, &copy) == CKR_OK &&
                 oxv_p11_read_flag(op, copy, CKA_EXTRACTABLE) == OXV_P11_FLAG_YES;
    oxv_p11_unlock(&op->token->objects);
    enum oxv_token_trouble renewed = oxv_p11_op_renew(op, fault);

    return leaks
               ? oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                               "leaky: the token copies a key that is not extractable to one that "
                               "is (C_CopyObject)")
               : renewed;
}

enum oxv_token_trouble
oxv_p11_try_leaks(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault)
{
    uint8_t iv[16] = { 0 };
    CK_MECHANISM mechanisms[] = {
        { .mechanism = CKM_AES_KEY_WRAP },
        { .mechanism = OXV_CKM_AES_KEY_WRAP_PAD },
        { .mechanism = OXV_CKM_AES_KEY_WRAP_KWP },
        { .mechanism = CKM_AES_CBC_PAD, .pParameter = iv, .ulParameterLen = sizeof iv },
        { .mechanism = CKM_AES_ECB },
    };

    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        enum oxv_token_trouble t = try_wrap(op, object, &mechanisms[i], fault);

        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    return try_copy(op, object, fault);
}

enum oxv_token_trouble
oxv_p11_check_leaks(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault)
{
    if (op->token->is_leaky) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "leaky: the token lets keys out that are not extractable");
    }
    if (op->token->is_leak_checked) {
        return OXV_TOKEN_FINE;
    }
    enum oxv_token_trouble t = oxv_p11_op_renew(op, fault); /* in it a call has failed, perhaps */

    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_try_leaks(op, object, fault);
    }
    op->token->is_leak_checked = t == OXV_TOKEN_FINE;
    op->token->is_leaky = t == OXV_TOKEN_UNFIT;
    return t;
}

enum oxv_token_trouble
oxv_p11_check_foreign(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = oxv_p11_check_unreadable(op, object, CKA_VALUE, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (oxv_p11_read_flag(op, object, CKA_EXTRACTABLE) == OXV_P11_FLAG_NO) {
        return OXV_TOKEN_FINE;
    }
    t = oxv_p11_op_renew(op, fault);
    return t == OXV_TOKEN_FINE ? oxv_p11_try_leaks(op, object, fault) : t;
}
