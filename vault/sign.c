#include <openssl/evp.h>

#include "base/text.h"
#include "vault/rsa_key.h"
#include "vault/vault_impl.h"

void
oxv_vault_wipe_scratch(struct oxv_vault *vault, size_t len)
{
    oxv_wipe(oxv_secret_bytes(vault->scratch), len);
}

enum oxv_status
oxv_vault_open_secret(struct oxv_vault *vault, const struct oxv_row *row, struct oxv_view *plain,
                      struct oxv_err *err)
{
    struct oxv_blob_place place = oxv_row_place(row, vault->id, vault->root_generation);
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(vault->scratch), OXV_SCRATCH_BYTES);
    struct oxv_view blob;

    if (!oxv_row_blob(row, &blob, &place.bound) ||
        oxv_blob_open(blob, oxv_keys_get(&vault->keys, OXV_SUBKEY_RECORD), &place, &w) != OXV_OK ||
        oxv_writer_finish(&w, plain) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORGED, "%s %llu was changed in memory",
                        oxv_table_name(row->table), (unsigned long long)row->as.head.id);
    }
    return OXV_OK;
}

static const EVP_MD *
rsa_hash(enum oxv_signature_method method)
{
    switch (method) {
    case OXV_RSA_SHA1:
        return EVP_sha1();
    case OXV_RSA_SHA256:
        return EVP_sha256();
    case OXV_RSA_SHA512:
        return EVP_sha512();
    case OXV_HMAC_SHA256:
    case OXV_HMAC_SHA512:
    case OXV_HMAC_SHA1:
        break;
    }
    return NULL;
}

static enum oxv_status
sign_rsa(struct oxv_view key, const EVP_MD *hash, struct oxv_view message, struct oxv_writer *out,
         struct oxv_err *err)
{
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *pkey = NULL;
    size_t len = 0;
    enum oxv_status st = oxv_rsa_key_load(key, &pkey, err);

    if (st == OXV_OK) {
        st = oxv_rsa_key_sign(pkey, hash, message, out->data, &len, err);
    }
    out->len = len;
    return st;
}

static enum oxv_status
sign_hmac(struct oxv_mac *mac, enum oxv_signature_method method, struct oxv_view key,
          struct oxv_view message, struct oxv_writer *out)
{
    struct oxv_view made;
    enum oxv_status st = oxv_mac_make(mac, method, key, message, &made);

    if (st == OXV_OK) {
        oxv_write_view(out, made);
    }
    return st;
}

/* A signing key in clear, in the vault's scratch memory. */
struct opened {
    struct oxv_view key;
    size_t used; /* bytes of the scratch memory to be wiped */
};

/* From the record; a MAC's key is then kept shielded, which is opened five times as fast. */
static enum oxv_status
open_record(struct oxv_vault *vault, struct oxv_row *row, struct opened *out, struct oxv_err *err)
{
    enum oxv_signature_method method =
        (enum oxv_signature_method)row->as.connection.record.signature_method;
    struct oxv_connection_secret parts;
    struct oxv_view secret;
    enum oxv_status st = oxv_vault_open_secret(vault, row, &secret, err);

    if (st != OXV_OK) {
        return st;
    }
    st = oxv_fields_decode(secret, &oxv_connection_secret_shape, &parts, err);
    if (st != OXV_OK) {
        oxv_vault_wipe_scratch(vault, secret.len);
        return st;
    }
    if (!oxv_signature_method_is_rsa(method)) {
        row->key = oxv_shield_put(&vault->shield, parts.key); /* without memory: next time */
    }
    *out = (struct opened){ .key = parts.key, .used = secret.len };
    return OXV_OK;
}

static enum oxv_status
open_key(struct oxv_vault *vault, struct oxv_row *row, struct opened *out, struct oxv_err *err)
{
    uint8_t *scratch = oxv_secret_bytes(vault->scratch);

    if (row->key == NULL) {
        return open_record(vault, row, out, err);
    }
    oxv_shield_open(&vault->shield, row->key, scratch);
    *out = (struct opened){ .key = oxv_view(scratch, row->key->len), .used = row->key->len };
    return OXV_OK;
}

enum oxv_status
oxv_vault_sign(struct oxv_vault *vault, struct oxv_connection *connection, struct oxv_view message,
               uint8_t signature[OXV_SIGNATURE_MAX_BYTES], size_t *signature_len,
               struct oxv_err *err)
{
    enum oxv_signature_method method =
        (enum oxv_signature_method)connection->record.signature_method;
    /* A connection is the beginning of its row, see struct oxv_row. */
    struct oxv_row *row = (struct oxv_row *)(void *)connection;
    struct oxv_writer out = oxv_writer(signature, OXV_SIGNATURE_MAX_BYTES);
    struct opened opened;

    if (!vault->is_open) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault is sealed");
    }
    if (connection->record.key_form != OXV_KEY_IN_VAULT) {
        return oxv_fail(err, OXV_E_USAGE, "connection %llu: its key is in a token",
                        (unsigned long long)connection->id);
    }
    enum oxv_status st = open_key(vault, row, &opened, err);

    if (st != OXV_OK) {
        return st;
    }
    st = oxv_signature_method_is_rsa(method)
             ? sign_rsa(opened.key, rsa_hash(method), message, &out, NULL)
             : sign_hmac(&vault->mac, method, opened.key, message, &out);
    oxv_vault_wipe_scratch(vault, opened.used);
    if (st != OXV_OK || out.failed || out.len == 0) {
        return oxv_fail(err, OXV_E_INTERNAL, "connection %llu: OpenSSL cannot sign",
                        (unsigned long long)connection->id);
    }
    *signature_len = out.len;
    return OXV_OK;
}

enum oxv_status
oxv_vault_url_hash(struct oxv_vault *vault, struct oxv_view url, char out[65])
{
    struct oxv_view made;
    struct oxv_writer hex = oxv_writer(out, 65);

    if (!vault->is_open) {
        return OXV_E_LOCKED;
    }
    struct oxv_view key =
        oxv_view(oxv_keys_get(&vault->keys, OXV_SUBKEY_URL_HASH), OXV_SUBKEY_BYTES);
    enum oxv_status st = oxv_mac_make(&vault->mac, OXV_HMAC_SHA256, key, url, &made);

    if (st == OXV_OK) {
        oxv_write_hex(&hex, made);
        oxv_write_u8(&hex, 0);
    }
    return st;
}
