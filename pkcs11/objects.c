#include "pkcs11/objects.h"

#define VALUE_BUFFER_BYTES 1024u /* the exponent of the longest RSA key */

#define LABEL_MAX_BYTES 512u

enum oxv_token_trouble
oxv_p11_find(struct oxv_p11_op *op, const struct oxv_p11_template *what, struct oxv_p11_found *out,
             struct oxv_p11_fault *fault)
{
    CK_RV rv = op->calls->C_FindObjectsInit(op->session, oxv_p11_unconst(what->items), what->count);
    size_t found = 0;

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_FindObjectsInit", rv);
    }
    for (CK_ULONG n = 1; rv == CKR_OK && n == 1 && found <= OXV_P11_FOUND_MAX;) {
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;

        rv = op->calls->C_FindObjects(op->session, &object, 1, &n);
        if (rv == CKR_OK && n > 1) {
            rv = CKR_GENERAL_ERROR; /* more than it was asked for */
        }
        if (rv == CKR_OK && n == 1) {
            if (found < OXV_P11_FOUND_MAX) {
                out->objects[found] = object;
            }
            found++;
        }
    }
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_FindObjects", rv);
    }
    rv = op->calls->C_FindObjectsFinal(op->session);
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_FindObjectsFinal", rv);
    }
    if (found > OXV_P11_FOUND_MAX) {
        return oxv_p11_fault(fault, OXV_TOKEN_AMBIGUOUS, CKR_OK,
                             "the token has more than %u such keys: name one by its id",
                             OXV_P11_FOUND_MAX);
    }
    out->count = found;
    return OXV_TOKEN_FINE;
}

enum oxv_token_trouble
oxv_p11_find_one(struct oxv_p11_op *op, CK_OBJECT_CLASS class, struct oxv_view id,
                 CK_OBJECT_HANDLE *out, struct oxv_p11_fault *fault)
{
    struct oxv_p11_template what = { 0 };
    struct oxv_p11_found found;

    oxv_p11_template_number(&what, CKA_CLASS, class);
    oxv_p11_template_bytes(&what, CKA_ID, id);
    enum oxv_token_trouble t = oxv_p11_find(op, &what, &found, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (found.count == 0) {
        return oxv_p11_fault(fault, OXV_TOKEN_NO_KEY, CKR_OK,
                             "the token has no key of this id; none was made in its place");
    }
    if (found.count > 1) {
        return oxv_p11_fault(fault, OXV_TOKEN_AMBIGUOUS, CKR_OK,
                             "the token has several keys of this id");
    }
    *out = found.objects[0];
    return OXV_TOKEN_FINE;
}

bool
oxv_p11_read_bytes(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                   struct oxv_p11_buffer *out)
{
    CK_ATTRIBUTE attribute = { .type = type, .pValue = out->data, .ulValueLen = out->max };
    CK_RV rv = op->calls->C_GetAttributeValue(op->session, object, &attribute, 1);

    if (rv != CKR_OK || attribute.ulValueLen > out->max) {
        op->is_soiled = op->is_soiled || rv != CKR_OK;
        oxv_wipe(out->data, out->max);
        return false;
    }
    out->len = attribute.ulValueLen;
    return true;
}

bool
oxv_p11_read_number(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                    CK_ULONG *out)
{
    uint8_t bytes[sizeof *out];
    struct oxv_p11_buffer buffer = { .data = bytes, .max = sizeof bytes };

    if (!oxv_p11_read_bytes(op, object, type, &buffer) || buffer.len != sizeof *out) {
        return false;
    }
    memcpy(out, bytes, sizeof *out);
    return true;
}

enum oxv_p11_flag
oxv_p11_read_flag(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    uint8_t byte = 0;
    struct oxv_p11_buffer buffer = { .data = &byte, .max = sizeof byte };

    if (!oxv_p11_read_bytes(op, object, type, &buffer) || buffer.len != sizeof byte || byte > 1) {
        return OXV_P11_FLAG_UNKNOWN;
    }
    return byte == CK_TRUE ? OXV_P11_FLAG_YES : OXV_P11_FLAG_NO;
}

enum oxv_token_trouble
oxv_p11_check_unreadable(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                         struct oxv_p11_fault *fault)
{
    uint8_t value[VALUE_BUFFER_BYTES];
    CK_ATTRIBUTE attribute = { .type = type, .pValue = value, .ulValueLen = sizeof value };
    CK_RV rv = op->calls->C_GetAttributeValue(op->session, object, &attribute, 1);
    CK_ULONG len = attribute.ulValueLen;

    oxv_wipe(value, sizeof value);
    op->is_soiled = op->is_soiled || rv != CKR_OK;
    /* tpm2-pkcs11 gives CKR_OK and no byte for a key that it does not give out. */
    if (rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
        (rv == CKR_OK && len == 0)) {
        return OXV_TOKEN_FINE;
    }
    if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the token lets the value of a sensitive key be read");
    }
    return oxv_p11_call_failed(fault, "asking for the value of a key that must stay", rv);
}

static enum oxv_token_trouble
check_flags(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault)
{
    if (oxv_p11_read_flag(op, object, CKA_SENSITIVE) != OXV_P11_FLAG_YES) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the token was asked for a sensitive key, and its key is not");
    }
    return oxv_p11_read_flag(op, object, CKA_EXTRACTABLE) == OXV_P11_FLAG_NO
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                               "the token was asked for a key that is not extractable, and its "
                               "key is");
}

enum oxv_token_trouble
oxv_p11_check_stays(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = check_flags(op, object, fault);

    return t == OXV_TOKEN_FINE ? oxv_p11_check_unreadable(op, object, CKA_VALUE, fault) : t;
}

enum oxv_token_trouble
oxv_p11_check_private_stays(struct oxv_p11_op *op, CK_OBJECT_HANDLE object,
                            struct oxv_p11_fault *fault)
{
    CK_KEY_TYPE type;
    enum oxv_token_trouble t = check_flags(op, object, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (!oxv_p11_read_number(op, object, CKA_KEY_TYPE, &type)) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "the key does not tell its type");
    }
    t = oxv_p11_check_unreadable(op, object, type == CKK_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE,
                                 fault);
    return t == OXV_TOKEN_FINE ? oxv_p11_op_renew(op, fault) : t;
}

bool
oxv_p11_is_ours(struct oxv_p11_op *op, CK_OBJECT_HANDLE object)
{
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    uint8_t label[LABEL_MAX_BYTES];
    struct oxv_p11_buffer id_buffer = { .data = id, .max = sizeof id };
    struct oxv_p11_buffer buffer = { .data = label, .max = sizeof label };
    struct oxv_view head = oxv_view_text(OXV_P11_LABEL_HEAD);

    return oxv_p11_read_bytes(op, object, CKA_ID, &id_buffer) &&
           id_buffer.len == OXV_TOKEN_KEY_ID_BYTES &&
           oxv_p11_read_bytes(op, object, CKA_LABEL, &buffer) && buffer.len >= head.len &&
           memcmp(label, head.data, head.len) == 0;
}

void
oxv_p11_destroy(struct oxv_p11_op *op, CK_OBJECT_HANDLE object)
{
    oxv_p11_lock(&op->token->objects);
    (void)op->calls->C_DestroyObject(op->session, object);
    oxv_p11_unlock(&op->token->objects);
}
