#include "pkcs11/pair_probe.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "pkcs11/ckr.h"
#include "pkcs11/leak.h"
#include "pkcs11/leftovers.h"
#include "pkcs11/oaep.h"
#include "pkcs11/objects.h"
#include "pkcs11/public_key.h"

#define PROOF_KEY_BYTES 64u /* as K0 of SHA-256 */
#define MAC_BYTES       32u

struct pairing {
    struct oxv_view key_id; /* empty: make one */
    bool allow_oaep_sha1;
    struct oxv_p11_pair *out;
    bool of_session; /* a pair of the session only */
    bool made;       /* in an earlier try of this very request, perhaps */
    uint8_t id[OXV_TOKEN_KEY_ID_BYTES];
};

/* A pair under proof. */
struct proof {
    CK_OBJECT_HANDLE private_key;
    const struct oxv_p11_public *public_key;
    enum oxv_token_oaep oaep;
    const struct oxv_secret *key; /* what the blob holds */
    uint8_t blob[OXV_TOKEN_BLOB_MAX_BYTES];
    size_t blob_len;
    CK_SESSION_HANDLE holder; /* owns the session objects, so that the others may be renewed */
    CK_KEY_TYPE type;         /* as what the token unwraps */
    bool with_len;
};

static CK_RV
unwrap_by(struct oxv_p11_op *op, struct proof *p, struct oxv_p11_template *t, CK_OBJECT_HANDLE *out)
{
    struct oxv_p11_oaep oaep;

    if (p->with_len) {
        oxv_p11_template_number(t, CKA_VALUE_LEN, PROOF_KEY_BYTES);
    }
    oxv_p11_oaep(&oaep, p->oaep);
    oxv_p11_lock(&op->token->objects);
    CK_RV rv = op->calls->C_UnwrapKey(p->holder, &oaep.mechanism, p->private_key, p->blob,
                                      p->blob_len, t->items, t->count, out);

    oxv_p11_unlock(&op->token->objects);
    return rv;
}

static CK_RV
unwrap(struct oxv_p11_op *op, struct proof *p, CK_ATTRIBUTE_TYPE changed, CK_OBJECT_HANDLE *out)
{
    struct oxv_p11_identity identity = { .on_token = false };
    struct oxv_p11_template t;

    oxv_p11_template_hmac(&t, &identity, p->type);
    if (changed != CKA_CLASS) {
        oxv_p11_template_change(&t, changed, changed != CKA_SENSITIVE);
    }
    return unwrap_by(op, p, &t, out);
}

static enum oxv_token_trouble
renew_holder(struct oxv_p11_op *op, struct proof *p, struct oxv_p11_fault *fault)
{
    if (p->holder != CK_INVALID_HANDLE) {
        (void)op->calls->C_CloseSession(p->holder); /* with what it owns */
        p->holder = CK_INVALID_HANDLE;
    }
    CK_RV rv = oxv_p11_open_session(op->token, false, &p->holder);

    return rv == CKR_OK ? OXV_TOKEN_FINE : oxv_p11_call_failed(fault, "C_OpenSession", rv);
}

/* A proper unwrap: finds out as what type the token takes it. */
static enum oxv_token_trouble
unwrap_proper(struct oxv_p11_op *op, struct proof *p, CK_OBJECT_HANDLE *out,
              struct oxv_p11_fault *fault)
{
    static const struct {
        CK_KEY_TYPE type;
        bool with_len;
    } candidates[] = { { CKK_SHA256_HMAC, false },
                       { CKK_GENERIC_SECRET, false },
                       { CKK_GENERIC_SECRET, true } };
    CK_RV rv = CKR_OK;

    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        enum oxv_token_trouble t = renew_holder(op, p, fault);

        if (t != OXV_TOKEN_FINE) {
            return t;
        }
        p->type = candidates[i].type;
        p->with_len = candidates[i].with_len;
        rv = unwrap(op, p, CKA_CLASS, out);
        if (rv == CKR_OK) {
            return OXV_TOKEN_FINE;
        }
        if (oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION) {
            break;
        }
    }
    return oxv_p11_call_failed(fault, "C_UnwrapKey", rv);
}

/* The token's MAC with the unwrapped key against ours. */
static enum oxv_token_trouble
prove_mac(struct oxv_p11_op *op, const struct proof *p, CK_OBJECT_HANDLE key,
          struct oxv_p11_fault *fault)
{
    CK_MECHANISM mechanism = { .mechanism = CKM_SHA256_HMAC };
    uint8_t message[100];
    uint8_t ours[MAC_BYTES];
    uint8_t theirs[1024] = { 0 };
    CK_ULONG len = sizeof theirs / 2;
    unsigned ours_len = 0;

    randombytes_buf(message, sizeof message);
    CK_RV rv = op->calls->C_SignInit(op->session, &mechanism, key);

    if (rv == CKR_OK) {
        rv = op->calls->C_Sign(op->session, message, sizeof message, theirs, &len);
    }
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_Sign with the unwrapped key", rv);
    }
    if (HMAC(EVP_sha256(), oxv_secret_view(p->key).data, (int)oxv_secret_len(p->key), message,
             sizeof message, ours, &ours_len) == NULL) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory for HMAC");
    }
    return len == MAC_BYTES && sodium_memcmp(ours, theirs, MAC_BYTES) == 0
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                               "the token computes another HMAC with the unwrapped key");
}

/* The blob must not become a key that could leave, whatever is asked for. */
static enum oxv_token_trouble
prove_refusals(struct oxv_p11_op *op, struct proof *p, struct oxv_p11_fault *fault)
{
    static const struct {
        CK_ATTRIBUTE_TYPE changed;
        const char *what;
    } wishes[] = { { CKA_EXTRACTABLE, "extractable" },
                   { CKA_SENSITIVE, "readable" },
                   { CKA_DERIVE, "one to derive from" } };

    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
        CK_RV rv = unwrap(op, p, wishes[i].changed, &key);

        if (rv == CKR_OK) {
            return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                                 "the token does not enforce CKA_UNWRAP_TEMPLATE: it unwrapped the "
                                 "key as %s",
                                 wishes[i].what);
        }
        if (oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION) {
            return oxv_p11_call_failed(fault, "C_UnwrapKey, which had to be refused", rv);
        }
        enum oxv_token_trouble t = renew_holder(op, p, fault);

        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    return OXV_TOKEN_FINE;
}

/* What is not asked for at all: tokens have defaults (opencryptoki: extractable). */
static enum oxv_token_trouble
prove_defaults(struct oxv_p11_op *op, struct proof *p, struct oxv_p11_fault *fault)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    struct oxv_p11_template t = { 0 };

    oxv_p11_template_number(&t, CKA_CLASS, CKO_SECRET_KEY);
    oxv_p11_template_number(&t, CKA_KEY_TYPE, p->type);
    oxv_p11_template_flag(&t, CKA_TOKEN, false);
    oxv_p11_template_flag(&t, CKA_SIGN, true);
    CK_RV rv = unwrap_by(op, p, &t, &key);

    if (rv != CKR_OK) {
        return oxv_p11_ckr_class(rv) == OXV_P11_CKR_CONFIGURATION
                   ? renew_holder(op, p, fault)
                   : oxv_p11_call_failed(fault, "C_UnwrapKey with few attributes", rv);
    }
    enum oxv_token_trouble trouble = oxv_p11_check_stays(op, key, fault);

    if (trouble != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, "the token does not enforce CKA_UNWRAP_TEMPLATE where "
                                           "an attribute is left out");
    }
    trouble = oxv_p11_op_renew(op, fault);
    return trouble == OXV_TOKEN_FINE ? renew_holder(op, p, fault) : trouble;
}

static enum oxv_token_trouble
prove_no_decryption(struct oxv_p11_op *op, const struct proof *p, struct oxv_p11_fault *fault)
{
    uint8_t plain[OXV_TOKEN_BLOB_MAX_BYTES + 64];
    CK_ULONG len = sizeof plain;
    struct oxv_p11_oaep oaep;

    oxv_p11_oaep(&oaep, p->oaep);
    CK_RV rv = op->calls->C_DecryptInit(op->session, &oaep.mechanism, p->private_key);

    if (rv == CKR_OK) {
        rv = op->calls->C_Decrypt(op->session, oxv_p11_unconst(p->blob), p->blob_len, plain, &len);
    }
    oxv_wipe(plain, sizeof plain);
    if (rv == CKR_OK) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the token decrypts with a key that is for unwrapping only");
    }
    return oxv_p11_ckr_class(rv) == OXV_P11_CKR_CONFIGURATION
               ? oxv_p11_op_renew(op, fault)
               : oxv_p11_call_failed(fault, "C_Decrypt, which had to be refused", rv);
}

/* The refusals were the template's, not a device's that had gone meanwhile. */
static enum oxv_token_trouble
prove_still_there(struct oxv_p11_op *op, struct proof *p, struct oxv_p11_fault *fault)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_RV rv = unwrap(op, p, CKA_CLASS, &key);

    return rv == CKR_OK ? prove_mac(op, p, key, fault)
                        : oxv_p11_call_failed(fault, "C_UnwrapKey once more", rv);
}

static enum oxv_token_trouble
prove_with_holder(struct oxv_p11_op *op, struct proof *p, struct oxv_p11_fault *fault)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    enum oxv_token_trouble t = unwrap_proper(op, p, &key, fault);

    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_check_stays(op, key, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_op_renew(op, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = prove_mac(op, p, key, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_try_leaks(op, key, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = renew_holder(op, p, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = prove_refusals(op, p, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = prove_defaults(op, p, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = prove_no_decryption(op, p, fault);
    }
    return t == OXV_TOKEN_FINE ? prove_still_there(op, p, fault) : t;
}

static enum oxv_token_trouble
prove(struct oxv_p11_op *op, struct proof *p, enum oxv_token_oaep oaep, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = oxv_secret_random(PROOF_KEY_BYTES);
    struct oxv_writer w = oxv_writer(p->blob, sizeof p->blob);

    p->oaep = oaep;
    p->key = key;
    if (key == NULL || !oxv_p11_public_encrypt(p->public_key, oaep, oxv_secret_view(key), &w)) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory to encrypt");
    }
    p->blob_len = w.len;
    enum oxv_token_trouble t = prove_with_holder(op, p, fault);

    if (p->holder != CK_INVALID_HANDLE) {
        (void)op->calls->C_CloseSession(p->holder); /* with what it owns */
        p->holder = CK_INVALID_HANDLE;
    }
    p->key = NULL;
    return t;
}

static enum oxv_token_trouble
generate(struct oxv_p11_op *op, struct pairing *c, CK_OBJECT_HANDLE pair[2],
         struct oxv_p11_fault *fault)
{
    struct oxv_p11_identity identity = { .id = oxv_view(c->id, sizeof c->id),
                                         .label = oxv_view_text("oxvault connections"),
                                         .on_token = !c->of_session };
    CK_MECHANISM mechanism = { .mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN };
    struct oxv_p11_template public_template;
    struct oxv_p11_template private_template;

    oxv_p11_template_public(&public_template, &identity, OXV_P11_PAIR_UNWRAP);
    oxv_p11_template_private(&private_template, &identity, OXV_P11_PAIR_UNWRAP);
    oxv_p11_lock(&op->token->objects);
    c->made = true;
    CK_RV rv = op->calls->C_GenerateKeyPair(op->session, &mechanism, public_template.items,
                                            public_template.count, private_template.items,
                                            private_template.count, &pair[0], &pair[1]);

    oxv_p11_unlock(&op->token->objects);
    c->made = rv == CKR_OK || oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION;
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, rv,
                             "the token knows no CKA_UNWRAP_TEMPLATE (CKR_ATTRIBUTE_TYPE_INVALID)");
    }
    return rv == CKR_OK ? OXV_TOKEN_FINE : oxv_p11_call_failed(fault, "C_GenerateKeyPair", rv);
}

static void
destroy_both(struct oxv_p11_op *op, struct pairing *c, const CK_OBJECT_HANDLE pair[2])
{
    oxv_p11_lock(&op->token->objects);
    oxv_p11_destroy_made(op, pair[0], oxv_view(c->id, sizeof c->id));
    oxv_p11_destroy_made(op, pair[1], oxv_view(c->id, sizeof c->id));
    oxv_p11_unlock(&op->token->objects);
    c->made = false; /* gone, or with the leftovers */
}

/* What a failed try of this request left; the id is 16 random bytes of this request's own. */
static void
remove_left_over(struct oxv_p11_op *op, const struct pairing *c)
{
    static const CK_OBJECT_CLASS classes[] = { CKO_PUBLIC_KEY, CKO_PRIVATE_KEY };
    struct oxv_p11_fault fault;
    CK_OBJECT_HANDLE object;

    for (size_t i = 0; c->made && i < 2; i++) {
        if (oxv_p11_find_one(op, classes[i], oxv_view(c->id, sizeof c->id), &object, &fault) ==
            OXV_TOKEN_FINE) {
            oxv_p11_destroy(op, object);
        }
    }
}

/* Read back: a private half that may leave, or decrypts, is no better than the key in the vault. */
static enum oxv_token_trouble
check_pair(struct oxv_p11_op *op, CK_OBJECT_HANDLE key, struct oxv_p11_fault *fault)
{
    const char *wrong = NULL;
    enum oxv_token_trouble t = oxv_p11_check_private_stays(op, key, fault);

    if (t != OXV_TOKEN_FINE) {
        return oxv_p11_fault_prefix(fault, "the pair");
    }
    if (oxv_p11_read_flag(op, key, CKA_DECRYPT) != OXV_P11_FLAG_NO) {
        wrong = "the pair may decrypt, not only unwrap (CKA_DECRYPT)";
    } else if (oxv_p11_read_flag(op, key, CKA_UNWRAP) != OXV_P11_FLAG_YES) {
        wrong = "the pair may not unwrap (CKA_UNWRAP)";
    } else if (oxv_p11_read_flag(op, key, CKA_ALWAYS_AUTHENTICATE) == OXV_P11_FLAG_YES) {
        wrong = "the pair wants the PIN for every use (CKA_ALWAYS_AUTHENTICATE)";
    }
    return wrong == NULL ? oxv_p11_op_renew(op, fault)
                         : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "%s", wrong);
}

static enum oxv_token_trouble
examine(struct oxv_p11_op *op, const struct pairing *c, struct oxv_view id,
        CK_OBJECT_HANDLE private_key, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_public_freep) struct oxv_p11_public *public_key = NULL;
    enum oxv_token_trouble t = oxv_p11_public_read(op, private_key, id, &public_key, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (oxv_p11_public_type(public_key) != CKK_RSA) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "the pair is not RSA");
    }
    if (oxv_p11_public_bits(public_key) < OXV_P11_RSA_BITS) {
        return oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK,
                             "the pair has %zu bits, and needs %u at least",
                             oxv_p11_public_bits(public_key), OXV_P11_RSA_BITS);
    }
    struct proof p = { .private_key = private_key, .public_key = public_key };

    t = check_pair(op, private_key, fault);
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = prove(op, &p, OXV_TOKEN_OAEP_SHA256, fault);
    if ((t == OXV_TOKEN_UNFIT || t == OXV_TOKEN_DATA) && fault->ckr != CKR_OK &&
        c->allow_oaep_sha1) {
        t = oxv_p11_op_renew(op, fault);
        t = t == OXV_TOKEN_FINE ? prove(op, &p, OXV_TOKEN_OAEP_SHA1, fault) : t;
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    struct oxv_view der = oxv_p11_public_der(public_key);

    *c->out = (struct oxv_p11_pair){ .oaep = p.oaep, .id_len = id.len, .public_key_len = der.len };
    memcpy(c->out->id, id.data, id.len);
    memcpy(c->out->public_key, der.data, der.len);
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
pair_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    struct pairing *c = ctx;
    CK_OBJECT_HANDLE pair[2] = { CK_INVALID_HANDLE, CK_INVALID_HANDLE };
    bool is_new = c->key_id.len == 0;
    struct oxv_view id = is_new ? oxv_view(c->id, sizeof c->id) : c->key_id;

    if (is_new) {
        remove_left_over(op, c);
    }
    enum oxv_token_trouble t = is_new ? generate(op, c, pair, fault)
                                      : oxv_p11_find_one(op, CKO_PRIVATE_KEY, id, &pair[1], fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = examine(op, c, id, pair[1], fault);
    if (t != OXV_TOKEN_FINE && is_new) {
        destroy_both(op, c, pair);
    }
    return t;
}

enum oxv_token_trouble
oxv_p11_pair(struct oxv_p11_token *token, struct oxv_view key_id, bool allow_oaep_sha1,
             struct oxv_p11_pair *out, struct oxv_p11_fault *fault)
{
    struct pairing c = { .key_id = key_id, .allow_oaep_sha1 = allow_oaep_sha1, .out = out };

    if (key_id.len > OXV_TOKEN_KEY_ID_MAX_BYTES) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "the key id is too long");
    }
    randombytes_buf(c.id, sizeof c.id);
    enum oxv_token_trouble t =
        oxv_p11_run(token, OXV_P11_RUN_RW | OXV_P11_RUN_TRIAL | OXV_P11_RUN_PROVES, pair_op, &c,
                    fault);

    if (t != OXV_TOKEN_FINE && c.made) {
        oxv_p11_leftovers_add(token, oxv_view(c.id, sizeof c.id));
    }
    oxv_p11_leftovers_sweep(token, t != OXV_TOKEN_FINE);
    return t;
}

enum oxv_token_trouble
oxv_p11_pair_probe(struct oxv_p11_op *op, struct oxv_p11_pair *out, struct oxv_p11_fault *fault)
{
    struct pairing c = { .allow_oaep_sha1 = true, .out = out, .of_session = true };
    struct oxv_p11_op owner = *op;
    CK_OBJECT_HANDLE pair[2] = { CK_INVALID_HANDLE, CK_INVALID_HANDLE };

    owner.is_rw = true;
    CK_RV rv = oxv_p11_open_session(op->token, true, &owner.session);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_OpenSession", rv);
    }
    randombytes_buf(c.id, sizeof c.id);
    enum oxv_token_trouble t = generate(&owner, &c, pair, fault);

    if (t != OXV_TOKEN_FINE && fault->ckr != CKR_OK) {
        c.of_session = false; /* a token may have no keys but its own: for the time of the probe */
        t = oxv_p11_op_renew(&owner, fault);
        t = t == OXV_TOKEN_FINE ? generate(&owner, &c, pair, fault) : t;
    }
    if (t == OXV_TOKEN_FINE) {
        t = examine(op, &c, oxv_view(c.id, sizeof c.id), pair[1], fault);
        destroy_both(&owner, &c, pair); /* not every module lets them go with their session */
    }
    if (!owner.is_broken) {
        (void)op->calls->C_CloseSession(owner.session); /* of no more use either way */
    }
    return t;
}
