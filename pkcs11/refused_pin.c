#include "pkcs11/refused_pin.h"

#include <sodium.h>

_Static_assert(OXV_P11_PIN_SALT_BYTES == crypto_pwhash_SALTBYTES, "the salt of Argon2id");

static enum oxv_status
compute(const struct oxv_secret *pin, const char *token_uri, const uint8_t *salt, uint8_t *hash)
{
    struct oxv_view uri = oxv_view_text(token_uri);
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *both = oxv_secret_new(oxv_secret_len(pin) + 1 + uri.len);

    if (both == NULL) {
        return OXV_E_MEMORY;
    }
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(both), oxv_secret_len(both));

    oxv_write_view(&w, oxv_secret_view(pin));
    oxv_write_u8(&w, 0); /* a PIN has no NUL, so the two cannot be cut elsewhere */
    oxv_write_view(&w, uri);
    int failed = crypto_pwhash(hash, OXV_P11_PIN_HASH_BYTES, (const char *)oxv_secret_bytes(both),
                               oxv_secret_len(both), salt, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                               crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13);

    return failed != 0 ? OXV_E_MEMORY : OXV_OK;
}

enum oxv_status
oxv_p11_refused_pin_make(const struct oxv_secret *pin, const char *token_uri, const uint8_t *salt,
                         struct oxv_p11_refused_pin *out)
{
    struct oxv_p11_refused_pin made = { .is_set = true };

    if (salt != NULL) {
        memcpy(made.salt, salt, sizeof made.salt);
    } else {
        randombytes_buf(made.salt, sizeof made.salt);
    }
    enum oxv_status st = compute(pin, token_uri, made.salt, made.hash);

    if (st == OXV_OK) {
        *out = made;
    }
    return st;
}

enum oxv_status
oxv_p11_refused_pin_find(const struct oxv_p11_refused_pins *refused, const struct oxv_secret *pin,
                         const char *token_uri, struct oxv_p11_refused_pin *out)
{
    struct oxv_p11_refused_pin made = { 0 };
    bool found = false;

    *out = (struct oxv_p11_refused_pin){ 0 };
    if (refused->count == 0) {
        return OXV_OK;
    }
    enum oxv_status st = oxv_p11_refused_pin_make(pin, token_uri, refused->salt, &made);

    for (size_t i = 0; i < refused->count && st == OXV_OK; i++) {
        found = found || sodium_memcmp(made.hash, refused->hashes[i], sizeof made.hash) == 0;
    }
    if (found) {
        *out = made;
    }
    return st;
}

enum oxv_status
oxv_p11_refused_pin_is(const struct oxv_p11_refused_pin *refused, const struct oxv_secret *pin,
                       const char *token_uri, bool *out)
{
    uint8_t hash[OXV_P11_PIN_HASH_BYTES];

    if (!refused->is_set) {
        *out = false;
        return OXV_OK;
    }
    enum oxv_status st = compute(pin, token_uri, refused->salt, hash);

    if (st == OXV_OK) {
        *out = sodium_memcmp(hash, refused->hash, sizeof hash) == 0;
    }
    return st;
}
