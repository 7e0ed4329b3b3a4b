#include <sodium.h>

#include "base/text.h"
#include "pkcs11/ckr.h"
#include "pkcs11/leftovers.h"
#include "pkcs11/seal_impl.h"

#define SEAL_LABEL "oxvault seal"

/* One kind of key: where it is, and what it must be allowed to do, and what not. */
struct kind {
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    CK_ATTRIBUTE_TYPE may[2];
    CK_ATTRIBUTE_TYPE may_not; /* CKA_CLASS: nothing */
    const char *name;
};

static const struct kind kinds[] = {
    /* Wrapping and decrypting with one key is how a key is got out: wrap it, decrypt the result. */
    [OXV_P11_SEAL_AES_ENCRYPT] = { CKO_SECRET_KEY,
                                   CKK_AES,
                                   { CKA_ENCRYPT, CKA_DECRYPT },
                                   CKA_WRAP,
                                   "AES key that encrypts and decrypts, and does not wrap" },
    [OXV_P11_SEAL_AES_WRAP] = { CKO_SECRET_KEY,
                                CKK_AES,
                                { CKA_WRAP, CKA_UNWRAP },
                                CKA_DECRYPT,
                                "AES key that wraps and unwraps, and does not decrypt" },
    [OXV_P11_SEAL_RSA] = { CKO_PRIVATE_KEY,
                           CKK_RSA,
                           { CKA_DECRYPT, CKA_DECRYPT },
                           CKA_CLASS,
                           "RSA key that decrypts" },
    [OXV_P11_SEAL_EC] = { CKO_PRIVATE_KEY,
                          CKK_EC,
                          { CKA_DERIVE, CKA_DERIVE },
                          CKA_CLASS,
                          "EC key that derives" },
};

void
oxv_p11_seal_key_done(struct oxv_p11_seal_key *key)
{
    oxv_p11_public_free(key->public_key);
    key->public_key = NULL;
}

void
oxv_p11_seal_key_destroy(struct oxv_p11_op *op, struct oxv_p11_seal_key *key)
{
    if (!key->is_made) {
        return;
    }
    oxv_p11_lock(&op->token->objects);
    oxv_p11_destroy_made(op, key->object, oxv_view(key->id, key->id_len));
    if (key->public_made != CK_INVALID_HANDLE) {
        oxv_p11_destroy_made(op, key->public_made, oxv_view(key->id, key->id_len));
    }
    oxv_p11_unlock(&op->token->objects);
    key->is_made = false;
}

static CK_RV
make_secret(struct oxv_p11_op *op, const struct oxv_p11_identity *identity, bool wraps,
            struct oxv_p11_seal_key *out)
{
    CK_MECHANISM mechanism = { .mechanism = CKM_AES_KEY_GEN };
    struct oxv_p11_template t;

    oxv_p11_template_aes(&t, identity, wraps);
    return op->calls->C_GenerateKey(op->session, &mechanism, t.items, t.count, &out->object);
}

static CK_RV
make_pair(struct oxv_p11_op *op, const struct oxv_p11_identity *identity, enum oxv_p11_pair_use use,
          struct oxv_p11_seal_key *out)
{
    CK_MECHANISM mechanism = { .mechanism = use == OXV_P11_PAIR_DERIVE
                                                ? CKM_EC_KEY_PAIR_GEN
                                                : CKM_RSA_PKCS_KEY_PAIR_GEN };
    struct oxv_p11_template public_template;
    struct oxv_p11_template private_template;

    oxv_p11_template_public(&public_template, identity, use);
    oxv_p11_template_private(&private_template, identity, use);
    return op->calls->C_GenerateKeyPair(op->session, &mechanism, public_template.items,
                                        public_template.count, private_template.items,
                                        private_template.count, &out->public_made, &out->object);
}

static CK_RV
make_object(struct oxv_p11_op *op, enum oxv_p11_seal_key_kind kind,
            const struct oxv_p11_identity *identity, struct oxv_p11_seal_key *out)
{
    switch (kind) {
    case OXV_P11_SEAL_AES_ENCRYPT:
        return make_secret(op, identity, false, out);
    case OXV_P11_SEAL_AES_WRAP:
        return make_secret(op, identity, true, out);
    case OXV_P11_SEAL_RSA:
        return make_pair(op, identity, OXV_P11_PAIR_DECRYPT, out);
    case OXV_P11_SEAL_EC:
        return make_pair(op, identity, OXV_P11_PAIR_DERIVE, out);
    }
    oxv_bug("a kind of key without a number");
}

/* What is needed of a key beyond its handle. A key that the token would show is none. */
static enum oxv_token_trouble
complete(struct oxv_p11_op *op, const struct kind *kind, struct oxv_p11_seal_key *key,
         struct oxv_p11_fault *fault)
{
    if (kind->class == CKO_SECRET_KEY) {
        return oxv_p11_check_stays(op, key->object, fault);
    }
    enum oxv_token_trouble t = oxv_p11_check_private_stays(op, key->object, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (oxv_p11_read_flag(op, key->object, CKA_ALWAYS_AUTHENTICATE) == OXV_P11_FLAG_YES) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the key wants the PIN for every use (CKA_ALWAYS_AUTHENTICATE)");
    }
    return oxv_p11_public_read(op, key->object, oxv_view(key->id, key->id_len), &key->public_key,
                               fault);
}

enum oxv_token_trouble
oxv_p11_seal_key_make(struct oxv_p11_op *op, enum oxv_p11_seal_key_kind kind, bool on_token,
                      struct oxv_p11_seal_key *out, struct oxv_p11_fault *fault)
{
    struct oxv_p11_seal_key key = { .id_len = OXV_TOKEN_KEY_ID_BYTES };

    randombytes_buf(key.id, key.id_len);
    struct oxv_p11_identity identity = { .id = oxv_view(key.id, key.id_len),
                                         .label = oxv_view_text(SEAL_LABEL),
                                         .on_token = on_token };

    oxv_p11_lock(&op->token->objects);
    CK_RV rv = make_object(op, kind, &identity, &key);

    oxv_p11_unlock(&op->token->objects);
    if (rv != CKR_OK) {
        if (oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION) {
            oxv_p11_leftovers_add(op->token, identity.id); /* made all the same, perhaps */
        }
        return oxv_p11_call_failed(fault, "making a key", rv);
    }
    key.is_made = true;
    enum oxv_token_trouble t = complete(op, &kinds[kind], &key, fault);

    if (t != OXV_TOKEN_FINE) {
        oxv_p11_seal_key_destroy(op, &key);
        return t;
    }
    *out = key;
    return OXV_TOKEN_FINE;
}

static bool
fits(struct oxv_p11_op *op, const struct kind *kind, CK_OBJECT_HANDLE object)
{
    CK_KEY_TYPE type;

    return oxv_p11_read_number(op, object, CKA_KEY_TYPE, &type) && type == kind->type &&
           oxv_p11_read_flag(op, object, kind->may[0]) == OXV_P11_FLAG_YES &&
           oxv_p11_read_flag(op, object, kind->may[1]) == OXV_P11_FLAG_YES &&
           (kind->may_not == CKA_CLASS ||
            oxv_p11_read_flag(op, object, kind->may_not) != OXV_P11_FLAG_YES);
}

/* Adds one more id to an ambiguity's text. */
static void
list_id(struct oxv_p11_op *op, CK_OBJECT_HANDLE object, struct oxv_writer *list)
{
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    struct oxv_p11_buffer buffer = { .data = id, .max = sizeof id };

    oxv_write_text(list, list->len == 0 ? "" : ", ");
    if (oxv_p11_read_bytes(op, object, CKA_ID, &buffer)) {
        oxv_write_hex(list, oxv_view(id, buffer.len));
    } else {
        oxv_write_text(list, "one without an id");
    }
}

static enum oxv_token_trouble
find_object(struct oxv_p11_op *op, const struct kind *kind, struct oxv_view id,
            CK_OBJECT_HANDLE *out, struct oxv_p11_fault *fault)
{
    struct oxv_p11_template what = { 0 };
    struct oxv_p11_found found;
    char ids[OXV_P11_FAULT_TEXT_MAX_BYTES / 2];
    struct oxv_writer list = oxv_writer(ids, sizeof ids - 1);
    size_t count = 0;

    oxv_p11_template_number(&what, CKA_CLASS, kind->class);
    if (id.len > 0) {
        oxv_p11_template_bytes(&what, CKA_ID, id);
    }
    enum oxv_token_trouble t = oxv_p11_find(op, &what, &found, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    for (size_t i = 0; i < found.count; i++) {
        if (fits(op, kind, found.objects[i])) {
            *out = found.objects[i];
            list_id(op, found.objects[i], &list);
            count++;
        }
    }
    ids[list.len] = '\0';
    if (count == 0) {
        return oxv_p11_fault(fault, OXV_TOKEN_NO_KEY, CKR_OK, "there is no %s%s", kind->name,
                             id.len > 0 ? " of this id" : "");
    }
    return count == 1 ? OXV_TOKEN_FINE
                      : oxv_p11_fault(fault, OXV_TOKEN_AMBIGUOUS, CKR_OK,
                                      "several keys fit, name one by --key-id: %s", ids);
}

enum oxv_token_trouble
oxv_p11_seal_key_find(struct oxv_p11_op *op, enum oxv_p11_seal_key_kind kind, struct oxv_view id,
                      struct oxv_p11_seal_key *out, struct oxv_p11_fault *fault)
{
    struct oxv_p11_seal_key key = { 0 };
    struct oxv_p11_buffer buffer = { .data = key.id, .max = sizeof key.id };
    enum oxv_token_trouble t = find_object(op, &kinds[kind], id, &key.object, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (!oxv_p11_read_bytes(op, key.object, CKA_ID, &buffer) || buffer.len == 0) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the key has no CKA_ID, or a long one");
    }
    key.id_len = buffer.len;
    t = complete(op, &kinds[kind], &key, fault);
    if (t == OXV_TOKEN_FINE) {
        *out = key;
    }
    return t;
}
