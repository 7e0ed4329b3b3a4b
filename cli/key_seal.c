/* What the command makes of K0 for a token. OpenSSL's copies pass through its heap; the command
 * ends soon after, and no other process can look into it. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "cli/key_place.h"
#include "vault/mac.h"
#include "vault/rsa_key.h"
#include "vault/vault.h"

#define RSA_BITS_MIN 2048

static void
context_freep(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void
mac_done(struct oxv_mac *mac)
{
    oxv_wipe(mac->result, sizeof mac->result);
    oxv_mac_done(mac);
}

static enum oxv_status
make_check_value(struct oxv_view key_id, uint64_t method, struct oxv_view k0,
                 struct oxv_writer *out, struct oxv_err *err)
{
    OXV_AUTO(mac_done) struct oxv_mac mac = { 0 };
    uint8_t message[OXV_KEY_CHECK_MESSAGE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(message, sizeof message);
    struct oxv_view made;
    enum oxv_status st = oxv_mac_init(&mac, err);

    if (st != OXV_OK) {
        return st;
    }
    if (!oxv_key_check_message(&w, key_id) ||
        oxv_mac_make(&mac, (enum oxv_signature_method)method, k0, oxv_view(message, w.len),
                     &made) != OXV_OK) {
        return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL cannot make the check value of the key");
    }
    oxv_write_view(out, made);
    return OXV_OK;
}

static enum oxv_status
load_key(const struct oxv_key_place *place, EVP_PKEY **out, struct oxv_err *err)
{
    const unsigned char *at = place->known.key;
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)place->known.key_len);

    if (key == NULL || (size_t)(at - place->known.key) != place->known.key_len ||
        EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < RSA_BITS_MIN) {
        return oxv_fail(err, OXV_E_FORMAT,
                        "the token's public key is no RSA key of at least %d bits", RSA_BITS_MIN);
    }
    *out = key;
    key = NULL;
    return OXV_OK;
}

/* RSA-OAEP without a label, both hashes the same. */
static enum oxv_status
seal_key(const struct oxv_key_place *place, struct oxv_view k0, struct oxv_writer *out,
         struct oxv_err *err)
{
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    enum oxv_status st = load_key(place, &key, err);

    if (st != OXV_OK) {
        return st;
    }
    OXV_AUTO(context_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    const EVP_MD *hash = place->known.oaep == OXV_TOKEN_OAEP_SHA1 ? EVP_sha1() : EVP_sha256();
    size_t len = (size_t)EVP_PKEY_get_size(key);
    uint8_t *place_of_blob = oxv_write_reserve(out, len);

    if (context == NULL || place_of_blob == NULL || EVP_PKEY_encrypt_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(context, hash) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) != 1 ||
        EVP_PKEY_encrypt(context, place_of_blob, &len, k0.data, k0.len) != 1 ||
        len != (size_t)EVP_PKEY_get_size(key)) {
        return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL cannot seal the key to the token");
    }
    return OXV_OK;
}

enum oxv_status
oxv_key_place_parts(const struct oxv_key_place *place, uint64_t method, struct oxv_view k0,
                    struct oxv_secret *room, struct oxv_key_parts *out, struct oxv_err *err)
{
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(room), oxv_secret_len(room));
    struct oxv_view old_id = oxv_view(place->old_key_id, place->old_key_id_len);
    enum oxv_status st = OXV_OK;

    if (old_id.len > 0) {
        st = make_check_value(old_id, method, k0, &w, err);
    }
    size_t old_len = w.len;

    if (st == OXV_OK && place->form != OXV_KEY_IN_VAULT) {
        st = make_check_value(oxv_view(place->key_id, place->key_id_len), method, k0, &w, err);
    }
    size_t check_len = w.len;
    struct oxv_key_parts parts = { .old_check = oxv_view(w.data, old_len),
                                   .check_value = oxv_view_from(oxv_view(w.data, w.len), old_len) };

    if (st != OXV_OK) {
        return st;
    }

    if (place->form == OXV_KEY_UNWRAP) {
        st = seal_key(place, k0, &w, err);
        parts.key = oxv_view_from(oxv_view(w.data, w.len), check_len);
    } else if (place->form != OXV_KEY_PRE_PROVISIONED) {
        parts.key = k0;
    }
    if (st == OXV_OK && w.failed) {
        st = oxv_fail(err, OXV_E_LIMIT, "no room for the key");
    }
    if (st == OXV_OK) {
        *out = parts;
    }
    return st;
}
