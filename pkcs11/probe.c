#include "pkcs11/probe.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "base/text.h"
#include "base/token_names.h"
#include "pkcs11/ckr.h"
#include "pkcs11/leak.h"
#include "pkcs11/leftovers.h"
#include "pkcs11/pair_probe.h"
#include "pkcs11/seal_impl.h"

#define MAC_BUFFER_BYTES  1024u
#define MAC_DECLARE_BYTES 128u

static const size_t message_sizes[] = { 1024, 2048, 4096, 8192, OXV_TOKEN_MESSAGE_MAX_BYTES };
#define MESSAGE_SIZES (sizeof message_sizes / sizeof message_sizes[0])

/* For the time of a probe: keys of the session `owner`, which is not used for anything else. */
struct probing {
    struct oxv_p11_probe *out;
    struct oxv_p11_op owner;
};

static void
note_works(struct oxv_p11_finding *f)
{
    *f = (struct oxv_p11_finding){ .works = true };
}

static void
note_fails(struct oxv_p11_finding *f, const struct oxv_p11_fault *fault)
{
    struct oxv_view text = oxv_view_text(fault->text);
    struct oxv_view cut = oxv_view_slice(text, 0, sizeof f->reason - 1);

    *f = (struct oxv_p11_finding){ .ckr = fault->ckr };
    cut = oxv_view_slice(cut, 0, oxv_utf8_prefix_len(cut));
    if (oxv_text_copy(cut, f->reason, sizeof f->reason) != OXV_OK) {
        oxv_bug("a reason is longer than its buffer");
    }
}

static void
add_note(struct oxv_p11_probe *out, const char *text)
{
    if (out->note_count < OXV_P11_NOTES_MAX &&
        oxv_format(out->notes[out->note_count], OXV_P11_REASON_BYTES, "%s", text) == OXV_OK) {
        out->note_count++;
    }
}

static bool
has_note(const struct oxv_p11_probe *out, const char *text)
{
    for (size_t i = 0; i < out->note_count; i++) {
        if (strcmp(out->notes[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* A key for the time of the probe, or one that is there. */
static enum oxv_token_trouble
get_key(struct oxv_p11_op *op, struct probing *p, enum oxv_p11_seal_key_kind kind,
        struct oxv_p11_seal_key *key, struct oxv_p11_fault *fault)
{
    struct oxv_p11_fault made;

    if (oxv_p11_seal_key_make(&p->owner, kind, false, key, &made) == OXV_TOKEN_FINE) {
        return OXV_TOKEN_FINE;
    }
    if (oxv_p11_op_renew(&p->owner, fault) != OXV_TOKEN_FINE) {
        return fault->trouble;
    }
    if (oxv_p11_seal_key_make(&p->owner, kind, true, key, &made) == OXV_TOKEN_FINE) {
        return OXV_TOKEN_FINE;
    }
    enum oxv_token_trouble t = oxv_p11_seal_key_find(op, kind, oxv_view(NULL, 0), key, fault);
    if (t == OXV_TOKEN_FINE || t == OXV_TOKEN_AMBIGUOUS) {
        return t;
    }
    *fault = made; /* why it makes none says more than that there is none */
    return made.trouble;
}

static void
note_short_key(struct oxv_p11_probe *out, const struct oxv_p11_seal_key *key)
{
    char text[OXV_P11_REASON_BYTES];

    if (key->public_key != NULL && oxv_p11_public_type(key->public_key) == CKK_RSA &&
        oxv_p11_public_bits(key->public_key) < OXV_P11_RSA_BITS &&
        oxv_format(text, sizeof text, "Its RSA key has %zu bits: for a seal %u are better.",
                   oxv_p11_public_bits(key->public_key), OXV_P11_RSA_BITS) == OXV_OK &&
        !has_note(out, text)) {
        add_note(out, text);
    }
}

static enum oxv_token_trouble
try_step(struct oxv_p11_op *op, struct probing *p, const struct oxv_p11_step_ops *ops,
         struct oxv_p11_fault *fault)
{
    struct oxv_p11_step step = { .ops = ops, .gcm_iv = OXV_TOKEN_GCM_IV_HOST };
    enum oxv_token_trouble t = oxv_p11_step_listed(op, ops, fault);

    if (t == OXV_TOKEN_FINE) {
        t = get_key(op, p, ops->kind, &step.key, fault);
    }
    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = oxv_p11_op_renew(op, fault);
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_step_prove(op, &step, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        note_short_key(p->out, &step.key);
    }
    oxv_p11_seal_key_destroy(&p->owner, &step.key);
    oxv_p11_seal_key_done(&step.key);
    return t;
}

/* After each thing that was tried: new sessions. Not FINE: the token does not answer any more. */
static enum oxv_token_trouble
refresh(struct oxv_p11_op *op, struct probing *p, struct oxv_p11_fault *fault)
{
    CK_TOKEN_INFO info = { 0 };
    CK_RV rv = op->calls->C_GetTokenInfo(op->token->slot, &info);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_GetTokenInfo", rv);
    }
    enum oxv_token_trouble t = oxv_p11_op_renew(op, fault);

    return t == OXV_TOKEN_FINE ? oxv_p11_op_renew(&p->owner, fault) : t;
}

static enum oxv_token_trouble
probe_seals(struct oxv_p11_op *op, struct probing *p, struct oxv_p11_fault *fault)
{
    for (enum oxv_token_mechanism m = OXV_TOKEN_AES_GCM; m < OXV_TOKEN_MECHANISM_END; m++) {
        struct oxv_p11_fault why;

        if (try_step(op, p, oxv_p11_step_of(m), &why) == OXV_TOKEN_FINE) {
            note_works(&p->out->seal[m]);
        } else {
            note_fails(&p->out->seal[m], &why);
        }
        enum oxv_token_trouble t = refresh(op, p, fault);

        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    return OXV_TOKEN_FINE;
}

static const EVP_MD *
digest(enum oxv_token_hash hash)
{
    return hash == OXV_TOKEN_SHA256   ? EVP_sha256()
           : hash == OXV_TOKEN_SHA512 ? EVP_sha512()
                                      : EVP_sha1();
}

/* What the token signs with. */
struct hmac_key {
    CK_OBJECT_HANDLE object;
    enum oxv_token_hash hash;
    uint8_t id[OXV_TOKEN_KEY_ID_BYTES]; /* of one that we made */
};

static enum oxv_token_trouble
make_hmac_key(struct probing *p, struct hmac_key *key, struct oxv_view value,
              struct oxv_p11_fault *fault)
{
    const CK_KEY_TYPE types[] = { oxv_p11_hmac_type(key->hash), CKK_GENERIC_SECRET };
    struct oxv_p11_identity identity = { .id = oxv_view(key->id, sizeof key->id),
                                         .label = oxv_view_text("oxvault probe") };
    CK_RV rv = CKR_GENERAL_ERROR;

    randombytes_buf(key->id, sizeof key->id);
    for (size_t i = 0; i < 2 * (sizeof types / sizeof types[0]) && rv != CKR_OK; i++) {
        struct oxv_p11_template t;

        if (i > 0 && oxv_p11_op_renew(&p->owner, fault) != OXV_TOKEN_FINE) {
            return fault->trouble;
        }
        identity.on_token = i >= sizeof types / sizeof types[0];
        oxv_p11_template_hmac(&t, &identity, types[i % 2]);
        oxv_p11_template_bytes(&t, CKA_VALUE, value);
        oxv_p11_lock(&p->owner.token->objects);
        rv = p->owner.calls->C_CreateObject(p->owner.session, t.items, t.count, &key->object);
        oxv_p11_unlock(&p->owner.token->objects);
        if (rv != CKR_OK && identity.on_token &&
            oxv_p11_ckr_class(rv) != OXV_P11_CKR_CONFIGURATION) {
            oxv_p11_leftovers_add(p->owner.token, identity.id); /* made all the same, perhaps */
        }
    }
    return rv == CKR_OK ? OXV_TOKEN_FINE : oxv_p11_call_failed(fault, "C_CreateObject", rv);
}

static enum oxv_token_trouble
sign(struct oxv_p11_op *op, const struct hmac_key *key, struct oxv_view message,
     uint8_t mac[MAC_BUFFER_BYTES], struct oxv_p11_fault *fault)
{
    CK_MECHANISM mechanism = { .mechanism = oxv_p11_hmac_mechanism(key->hash) };
    CK_ULONG len = MAC_DECLARE_BYTES;
    CK_RV rv = op->calls->C_SignInit(op->session, &mechanism, key->object);

    if (rv == CKR_OK) {
        rv = op->calls->C_Sign(op->session, oxv_p11_unconst(message.data), message.len, mac, &len);
    }
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_Sign", rv);
    }
    return len == oxv_p11_mac_bytes(key->hash)
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "it gives a MAC of %lu bytes", len);
}

static enum oxv_token_trouble
compare_mac(struct oxv_p11_op *op, const struct hmac_key *key, struct oxv_view value,
            struct oxv_p11_fault *fault)
{
    uint8_t message[100];
    uint8_t theirs[MAC_BUFFER_BYTES] = { 0 };
    uint8_t ours[EVP_MAX_MD_SIZE];
    unsigned ours_len = 0;

    randombytes_buf(message, sizeof message);
    enum oxv_token_trouble t = sign(op, key, oxv_view(message, sizeof message), theirs, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (HMAC(digest(key->hash), value.data, (int)value.len, message, sizeof message, ours,
             &ours_len) == NULL) {
        return oxv_p11_no_memory(fault);
    }
    return sodium_memcmp(ours, theirs, ours_len) == 0
               ? OXV_TOKEN_FINE
               : oxv_p11_fault(fault, OXV_TOKEN_UNFIT, CKR_OK, "it computes another HMAC");
}

/* The longest message of the list; a token's own limit is nowhere to be read. */
static void
probe_lengths(struct oxv_p11_op *op, struct probing *p, const struct hmac_key *key)
{
    static const uint8_t message[OXV_TOKEN_MESSAGE_MAX_BYTES] = { 0 };
    uint8_t mac[MAC_BUFFER_BYTES];
    struct oxv_p11_fault fault;

    for (size_t i = 0; i < MESSAGE_SIZES; i++) {
        if (sign(op, key, oxv_view(message, message_sizes[i]), mac, &fault) != OXV_TOKEN_FINE) {
            op->is_soiled = true;
            return;
        }
        p->out->message_max_bytes = message_sizes[i];
    }
}

static enum oxv_token_trouble
examine_hmac_key(struct oxv_p11_op *op, struct probing *p, const struct hmac_key *key,
                 struct oxv_view value, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = compare_mac(op, key, value, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    p->out->hashes[key->hash] = true;
    if (key->hash != OXV_TOKEN_SHA256) {
        return OXV_TOKEN_FINE;
    }
    probe_lengths(op, p, key);
    t = oxv_p11_op_renew(op, fault);
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_check_stays(op, key->object, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = oxv_p11_op_renew(op, fault);
    }
    return t == OXV_TOKEN_FINE ? oxv_p11_try_leaks(op, key->object, fault) : t;
}

/* Does an HMAC key that we bring stay there and sign right? */
static enum oxv_token_trouble
try_hash(struct oxv_p11_op *op, struct probing *p, enum oxv_token_hash hash,
         struct oxv_p11_fault *fault)
{
    struct hmac_key key = { .hash = hash };
    uint8_t value[128];
    struct oxv_view k0 = oxv_view(value, oxv_p11_block_bytes(hash));

    randombytes_buf(value, sizeof value);
    enum oxv_token_trouble t = make_hmac_key(p, &key, k0, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    t = examine_hmac_key(op, p, &key, k0, fault);
    /* Not every module lets session objects go with their session. */
    oxv_p11_destroy_made(&p->owner, key.object, oxv_view(key.id, sizeof key.id));
    if (hash != OXV_TOKEN_SHA256) {
        return t;
    }
    if (t == OXV_TOKEN_UNFIT && p->out->hashes[hash]) {
        p->out->grade = OXV_P11_GRADE_LEAKY;
    } else if (t == OXV_TOKEN_FINE) {
        p->out->grade = OXV_P11_GRADE_GOOD;
    }
    return t;
}

static enum oxv_token_trouble
probe_token_form(struct oxv_p11_op *op, struct probing *p, struct oxv_p11_fault *fault)
{
    for (enum oxv_token_hash hash = OXV_TOKEN_SHA256; hash <= OXV_TOKEN_SHA1; hash++) {
        struct oxv_p11_fault why;
        enum oxv_token_trouble t = try_hash(op, p, hash, &why);

        if (hash == OXV_TOKEN_SHA256) {
            if (t == OXV_TOKEN_FINE) {
                note_works(&p->out->forms[OXV_KEY_TOKEN]);
            } else {
                note_fails(&p->out->forms[OXV_KEY_TOKEN], &why);
            }
        }
        t = refresh(op, p, fault);
        if (t != OXV_TOKEN_FINE) {
            return t;
        }
    }
    return OXV_TOKEN_FINE;
}

static enum oxv_token_trouble
probe_unwrap_form(struct oxv_p11_op *op, struct probing *p, struct oxv_p11_fault *fault)
{
    struct oxv_p11_pair pair;
    struct oxv_p11_fault why;

    if (oxv_p11_pair_probe(op, &pair, &why) == OXV_TOKEN_FINE) {
        note_works(&p->out->forms[OXV_KEY_UNWRAP]);
        p->out->oaep = pair.oaep;
    } else {
        note_fails(&p->out->forms[OXV_KEY_UNWRAP], &why);
    }
    return refresh(op, p, fault);
}

/* Does a key of somebody else sign, and with which hash; and does it stay? */
static enum oxv_token_trouble
try_foreign_key(struct oxv_p11_op *op, struct probing *p, CK_OBJECT_HANDLE object,
                struct oxv_p11_fault *fault)
{
    uint8_t mac[MAC_BUFFER_BYTES];
    bool signs[OXV_TOKEN_SHA1 + 1] = { false };
    bool any = false;
    enum oxv_token_trouble t;

    for (enum oxv_token_hash hash = OXV_TOKEN_SHA256; hash <= OXV_TOKEN_SHA1; hash++) {
        struct hmac_key key = { .object = object, .hash = hash };

        t = oxv_p11_op_renew(op, fault);
        if (t != OXV_TOKEN_FINE) {
            return t;
        }
        signs[hash] = sign(op, &key, oxv_view("probe", 5), mac, fault) == OXV_TOKEN_FINE;
        any = any || signs[hash];
    }
    t = oxv_p11_op_renew(op, fault);
    if (t != OXV_TOKEN_FINE || !any) {
        return t == OXV_TOKEN_FINE ? OXV_TOKEN_NO_KEY : t;
    }
    t = oxv_p11_check_foreign(op, object, fault);
    for (size_t hash = OXV_TOKEN_SHA256; t == OXV_TOKEN_FINE && hash <= OXV_TOKEN_SHA1; hash++) {
        struct hmac_key key = { .object = object, .hash = (enum oxv_token_hash)hash };

        p->out->hashes[hash] = p->out->hashes[hash] || signs[hash];
        if (signs[hash] && p->out->message_max_bytes == 0) {
            t = oxv_p11_op_renew(op, fault);
            if (t == OXV_TOKEN_FINE) {
                probe_lengths(op, p, &key);
            }
        }
    }
    return t == OXV_TOKEN_FINE ? oxv_p11_op_renew(op, fault) : t;
}

/* Is there a key of HMAC that somebody else put there, and that stays there? */
static enum oxv_token_trouble
try_foreign(struct oxv_p11_op *op, struct probing *p, struct oxv_p11_fault *fault)
{
    struct oxv_p11_template what = { 0 };
    struct oxv_p11_found found;
    struct oxv_p11_fault why;
    bool any_bad = false;

    oxv_p11_template_number(&what, CKA_CLASS, CKO_SECRET_KEY);
    enum oxv_token_trouble t = oxv_p11_find(op, &what, &found, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    bool any = false;

    for (size_t i = 0; i < found.count; i++) {
        if (oxv_p11_read_flag(op, found.objects[i], CKA_SIGN) != OXV_P11_FLAG_YES) {
            continue;
        }
        t = try_foreign_key(op, p, found.objects[i], &why);
        any = any || t == OXV_TOKEN_FINE;
        if (t != OXV_TOKEN_FINE && t != OXV_TOKEN_NO_KEY) {
            any_bad = true;
            *fault = why;
        }
        t = oxv_p11_op_renew(op, &why);
        if (t != OXV_TOKEN_FINE) {
            *fault = why;
            return t;
        }
    }
    if (any || any_bad) {
        return any ? OXV_TOKEN_FINE : fault->trouble;
    }
    return oxv_p11_fault(fault, OXV_TOKEN_NO_KEY, CKR_OK,
                         "there is no key of HMAC on the token; the vendor's tool makes one");
}

static enum oxv_token_trouble
probe_foreign_form(struct oxv_p11_op *op, struct probing *p, struct oxv_p11_fault *fault)
{
    struct oxv_p11_fault why;
    struct oxv_p11_finding *f = &p->out->forms[OXV_KEY_PRE_PROVISIONED];

    if (try_foreign(op, p, &why) == OXV_TOKEN_FINE) {
        note_works(f);
        if (p->out->grade == OXV_P11_GRADE_NONE) {
            p->out->grade = OXV_P11_GRADE_GOOD;
        }
    } else {
        note_fails(f, &why);
    }
    return refresh(op, p, fault);
}

static void
write_notes(struct oxv_p11_probe *out)
{
    char text[OXV_P11_REASON_BYTES];
    enum oxv_token_mechanism best = OXV_TOKEN_AES_GCM;

    while (best < OXV_TOKEN_MECHANISM_END && !out->seal[best].works) {
        best++;
    }
    if (best == OXV_TOKEN_MECHANISM_END) {
        add_note(out, "It cannot seal a vault.");
    } else if (oxv_format(text, sizeof text, "It can seal a vault, best by %s.%s",
                          oxv_token_mechanism_name(best),
                          best >= OXV_TOKEN_RSA_OAEP_SHA1
                              ? " That is done only where it is asked for by its name."
                              : "") == OXV_OK) {
        add_note(out, text);
    }
    if (out->grade == OXV_P11_GRADE_LEAKY) {
        add_note(out, "It lets keys out that must stay: do not let it sign for connections.");
    }
    if (out->grade == OXV_P11_GRADE_NONE) {
        add_note(out, "It cannot sign for connections: it computes no HMAC with a key of ours.");
    }
    if (out->forms[OXV_KEY_UNWRAP].works && out->oaep == OXV_TOKEN_OAEP_SHA1) {
        add_note(out, "Keys of connections get into it by RSA-OAEP with SHA-1: it knows no other.");
    }
    if (out->message_max_bytes > 0 && out->message_max_bytes < OXV_TOKEN_MESSAGE_MAX_BYTES &&
        oxv_format(text, sizeof text,
                   "It signed messages of %zu bytes, and none of the next length that was tried.",
                   out->message_max_bytes) == OXV_OK) {
        add_note(out, text);
    }
}

static enum oxv_token_trouble
probe_op(struct oxv_p11_op *op, void *ctx, struct oxv_p11_fault *fault)
{
    struct probing p = { .out = ctx, .owner = *op };

    p.owner.is_rw = true; /* tpm2-pkcs11 makes not even a session object in another */
    CK_RV rv = oxv_p11_open_session(op->token, true, &p.owner.session);

    memset(p.out, 0, sizeof *p.out); /* of an earlier try */
    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_OpenSession", rv);
    }
    enum oxv_token_trouble t = probe_seals(op, &p, fault);

    if (t == OXV_TOKEN_FINE) {
        t = probe_token_form(op, &p, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = probe_unwrap_form(op, &p, fault);
    }
    if (t == OXV_TOKEN_FINE) {
        t = probe_foreign_form(op, &p, fault);
    }
    if (!p.owner.is_broken) {
        (void)op->calls->C_CloseSession(p.owner.session); /* its keys go with it */
    }
    if (t == OXV_TOKEN_FINE) {
        if (p.out->grade == OXV_P11_GRADE_GOOD && !atomic_load(&op->token->is_wrap_tried)) {
            add_note(p.out, "Not tried: whether it wraps keys that must stay (C_WrapKey), as it "
                            "takes no wrapping key whose value is known.");
        }
        write_notes(p.out);
    }
    return t;
}

enum oxv_token_trouble
oxv_p11_probe(struct oxv_p11_token *token, struct oxv_p11_probe *out, struct oxv_p11_fault *fault)
{
    enum oxv_token_trouble t = oxv_p11_run(token, OXV_P11_RUN_TRIAL, probe_op, out, fault);

    oxv_p11_leftovers_sweep(token, true);
    return t;
}
