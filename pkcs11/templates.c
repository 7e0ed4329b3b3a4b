#include "pkcs11/templates.h"

#include "pkcs11/public_key.h"

#include "base/status.h"

#define AES_BYTES 32u

static const CK_BBOOL yes = CK_TRUE;
static const CK_BBOOL no = CK_FALSE;

static void
add(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    if (t->count == OXV_P11_ATTRIBUTES_MAX) {
        oxv_bug("a template is full");
    }
    t->items[t->count++] =
        (CK_ATTRIBUTE){ .type = type, .pValue = oxv_p11_unconst(value), .ulValueLen = len };
}

void
oxv_p11_template_flag(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    add(t, type, value ? &yes : &no, sizeof yes);
}

void
oxv_p11_template_number(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    CK_ULONG *place = &t->numbers[t->count < OXV_P11_ATTRIBUTES_MAX ? t->count : 0];

    add(t, type, place, sizeof *place);
    *place = value;
}

void
oxv_p11_template_bytes(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, struct oxv_view value)
{
    add(t, type, value.data, value.len);
}

void
oxv_p11_template_change(struct oxv_p11_template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->items[i].type == type) {
            t->items[i].pValue = oxv_p11_unconst(value ? &yes : &no);
            return;
        }
    }
    oxv_bug("a template lacks an attribute");
}

static void
add_identity(struct oxv_p11_template *t, const struct oxv_p11_identity *identity)
{
    oxv_p11_template_flag(t, CKA_TOKEN, identity->on_token);
    if (identity->id.len > 0) {
        oxv_p11_template_bytes(t, CKA_ID, identity->id);
    }
    if (identity->label.len > 0) {
        oxv_p11_template_bytes(t, CKA_LABEL, identity->label);
    }
}

static void
add_stays(struct oxv_p11_template *t)
{
    oxv_p11_template_flag(t, CKA_PRIVATE, true);
    oxv_p11_template_flag(t, CKA_SENSITIVE, true);
    oxv_p11_template_flag(t, CKA_EXTRACTABLE, false);
}

void
oxv_p11_template_hmac(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                      CK_KEY_TYPE type)
{
    static const CK_ATTRIBUTE_TYPE never[] = {
        CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_MODIFIABLE,
    };

    *t = (struct oxv_p11_template){ 0 };
    oxv_p11_template_number(t, CKA_CLASS, CKO_SECRET_KEY);
    oxv_p11_template_number(t, CKA_KEY_TYPE, type);
    add_identity(t, identity);
    add_stays(t);
    oxv_p11_template_flag(t, CKA_SIGN, true);
    oxv_p11_template_flag(t, CKA_VERIFY, true);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        oxv_p11_template_flag(t, never[i], false);
    }
}

void
oxv_p11_template_aes(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                     bool wraps)
{
    *t = (struct oxv_p11_template){ 0 };
    oxv_p11_template_number(t, CKA_CLASS, CKO_SECRET_KEY);
    oxv_p11_template_number(t, CKA_KEY_TYPE, CKK_AES);
    oxv_p11_template_number(t, CKA_VALUE_LEN, AES_BYTES);
    add_identity(t, identity);
    add_stays(t);
    /* Wrapping and decrypting with one key is how a key is got out: wrap it, decrypt the result. */
    oxv_p11_template_flag(t, CKA_ENCRYPT, !wraps);
    oxv_p11_template_flag(t, CKA_DECRYPT, !wraps);
    oxv_p11_template_flag(t, CKA_WRAP, wraps);
    oxv_p11_template_flag(t, CKA_UNWRAP, wraps);
    oxv_p11_template_flag(t, CKA_SIGN, false);
    oxv_p11_template_flag(t, CKA_VERIFY, false);
    oxv_p11_template_flag(t, CKA_DERIVE, false);
    oxv_p11_template_flag(t, CKA_MODIFIABLE, false);
}

void
oxv_p11_template_public(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                        enum oxv_p11_pair_use use)
{
    static const uint8_t exponent[] = { 0x01, 0x00, 0x01 };
    static const uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };

    *t = (struct oxv_p11_template){ 0 };
    add_identity(t, identity);
    /* Other uses are left out, not denied: tpm2-pkcs11 fails on VERIFY=F. */
    switch (use) {
    case OXV_P11_PAIR_DECRYPT:
        oxv_p11_template_flag(t, CKA_ENCRYPT, true);
        break;
    case OXV_P11_PAIR_UNWRAP:
        oxv_p11_template_flag(t, CKA_WRAP, true);
        break;
    case OXV_P11_PAIR_DERIVE:
        oxv_p11_template_bytes(t, CKA_EC_PARAMS, oxv_view(p256, sizeof p256));
        return;
    }
    oxv_p11_template_number(t, CKA_MODULUS_BITS, OXV_P11_RSA_BITS);
    oxv_p11_template_bytes(t, CKA_PUBLIC_EXPONENT, oxv_view(exponent, sizeof exponent));
}

/* What a key that came in through the pair is, whatever the caller of C_UnwrapKey asks for. */
static void
add_unwrap_template(struct oxv_p11_template *t)
{
    t->nested[0] = (CK_ATTRIBUTE){ CKA_SENSITIVE, oxv_p11_unconst(&yes), sizeof yes };
    t->nested[1] = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, oxv_p11_unconst(&no), sizeof no };
    t->nested[2] = (CK_ATTRIBUTE){ CKA_DERIVE, oxv_p11_unconst(&no), sizeof no };
    add(t, CKA_UNWRAP_TEMPLATE, t->nested, sizeof t->nested);
}

void
oxv_p11_template_private(struct oxv_p11_template *t, const struct oxv_p11_identity *identity,
                         enum oxv_p11_pair_use use)
{
    *t = (struct oxv_p11_template){ 0 };
    add_identity(t, identity);
    add_stays(t);
    switch (use) {
    case OXV_P11_PAIR_DECRYPT:
        oxv_p11_template_flag(t, CKA_DECRYPT, true);
        break;
    case OXV_P11_PAIR_UNWRAP:
        oxv_p11_template_flag(t, CKA_DECRYPT, false);
        oxv_p11_template_flag(t, CKA_SIGN, false);
        oxv_p11_template_flag(t, CKA_UNWRAP, true);
        add_unwrap_template(t);
        break;
    case OXV_P11_PAIR_DERIVE:
        oxv_p11_template_flag(t, CKA_DERIVE, true);
        break;
    }
}

CK_KEY_TYPE
oxv_p11_hmac_type(enum oxv_token_hash hash)
{
    switch (hash) {
    case OXV_TOKEN_SHA256:
        return CKK_SHA256_HMAC;
    case OXV_TOKEN_SHA512:
        return CKK_SHA512_HMAC;
    case OXV_TOKEN_SHA1:
        return CKK_SHA_1_HMAC;
    }
    oxv_bug("a hash without a number");
}

CK_MECHANISM_TYPE
oxv_p11_hmac_mechanism(enum oxv_token_hash hash)
{
    switch (hash) {
    case OXV_TOKEN_SHA256:
        return CKM_SHA256_HMAC;
    case OXV_TOKEN_SHA512:
        return CKM_SHA512_HMAC;
    case OXV_TOKEN_SHA1:
        return CKM_SHA_1_HMAC;
    }
    oxv_bug("a hash without a number");
}

size_t
oxv_p11_mac_bytes(enum oxv_token_hash hash)
{
    return hash == OXV_TOKEN_SHA256 ? 32 : hash == OXV_TOKEN_SHA512 ? 64 : 20;
}

size_t
oxv_p11_block_bytes(enum oxv_token_hash hash)
{
    return hash == OXV_TOKEN_SHA512 ? 128 : 64;
}
