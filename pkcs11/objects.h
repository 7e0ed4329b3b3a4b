/*
 * objects: finding objects by class and CKA_ID, reading their attributes, destroying what we made.
 * All of it within an operation (recovery.h).
 */
#ifndef OXV_PKCS11_OBJECTS_H
#define OXV_PKCS11_OBJECTS_H

#include "pkcs11/recovery.h"
#include "pkcs11/templates.h"

#define OXV_P11_FOUND_MAX 32u

struct oxv_p11_found {
    CK_OBJECT_HANDLE objects[OXV_P11_FOUND_MAX];
    size_t count;
};

/*
 * The objects that `what` fits. It should hold class and id at most: a YubiHSM finds none by key
 * type. OXV_TOKEN_AMBIGUOUS where there are more than OXV_P11_FOUND_MAX.
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_find(struct oxv_p11_op *op,
                                                 const struct oxv_p11_template *what,
                                                 struct oxv_p11_found *out,
                                                 struct oxv_p11_fault *fault);

/* Exactly one. OXV_TOKEN_NO_KEY, OXV_TOKEN_AMBIGUOUS. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_find_one(struct oxv_p11_op *op, CK_OBJECT_CLASS class,
                                                     struct oxv_view id, CK_OBJECT_HANDLE *out,
                                                     struct oxv_p11_fault *fault);

enum oxv_p11_flag { OXV_P11_FLAG_NO, OXV_P11_FLAG_YES, OXV_P11_FLAG_UNKNOWN };
/* UNKNOWN where the token does not tell, or tells nonsense. */
enum oxv_p11_flag oxv_p11_read_flag(struct oxv_p11_op *op, CK_OBJECT_HANDLE object,
                                    CK_ATTRIBUTE_TYPE type);
/* False where the token does not tell, or tells nonsense. */
OXV_MUST_USE bool oxv_p11_read_number(struct oxv_p11_op *op, CK_OBJECT_HANDLE object,
                                      CK_ATTRIBUTE_TYPE type, CK_ULONG *out);
/* The caller's bytes for the value of an attribute. */
struct oxv_p11_buffer {
    uint8_t *data;
    size_t max;
    size_t len;
};

/* At most `max` bytes; false as above. The buffer is wiped then. */
OXV_MUST_USE bool oxv_p11_read_bytes(struct oxv_p11_op *op, CK_OBJECT_HANDLE object,
                                     CK_ATTRIBUTE_TYPE type, struct oxv_p11_buffer *out);

/*
 * Asks for a value that must not come out: CKA_VALUE, CKA_PRIVATE_EXPONENT.
 *   OXV_TOKEN_FINE   the token said that it is sensitive, or that there is none
 *   OXV_TOKEN_UNFIT  it came out, or another failure, which proves nothing; or the fault of a call
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_check_unreadable(struct oxv_p11_op *op,
                                                             CK_OBJECT_HANDLE object,
                                                             CK_ATTRIBUTE_TYPE type,
                                                             struct oxv_p11_fault *fault);

/*
 * Asks the token what it really made: sensitive, not extractable, and CKA_VALUE does not come out.
 *   OXV_TOKEN_UNFIT  one of these is not so: *fault says which
 */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_check_stays(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault);

/* The same for a private key: its exponent or its value does not come out. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_check_private_stays(struct oxv_p11_op *op,
                                                                CK_OBJECT_HANDLE object,
                                                                struct oxv_p11_fault *fault);

/* What we make has a label that begins so, and an id of OXV_TOKEN_KEY_ID_BYTES. */
#define OXV_P11_LABEL_HEAD "oxvault"

/* Looks so: another application's key is never destroyed, whoever asks for it. */
bool oxv_p11_is_ours(struct oxv_p11_op *op, CK_OBJECT_HANDLE object);

/* For what this very operation made. The token may be gone by then: nothing more can be done. */
void oxv_p11_destroy(struct oxv_p11_op *op, CK_OBJECT_HANDLE object);

#endif
