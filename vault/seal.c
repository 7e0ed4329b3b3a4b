#include "vault/seal.h"

#include <sodium.h>

#define SALT_BYTES crypto_pwhash_argon2id_SALTBYTES

_Static_assert(OXV_KDF_OPS_MAX <= crypto_pwhash_argon2id_OPSLIMIT_MAX, "ops");
_Static_assert(SALT_BYTES == 16, "salt");
_Static_assert(OXV_TOKEN_VALUE_BYTES == OXV_KEYFILE_BYTES, "all materials have one length");

static void
wipe_subkey(uint8_t (*key)[OXV_SUBKEY_BYTES])
{
    oxv_wipe(*key, sizeof *key);
}

bool
oxv_seal_split(struct oxv_view sealed, struct oxv_view *wrapped, struct oxv_view *row_blob)
{
    struct oxv_reader r = oxv_reader(sealed);

    if (!oxv_read_view(&r, OXV_SEAL_WRAPPED_BYTES, wrapped)) {
        return false;
    }
    *row_blob = r.left;
    return row_blob->len == OXV_BLOB_EXTRA_BYTES;
}

static enum oxv_status
check_token_parameters(const struct oxv_seal_record *record, struct oxv_err *err)
{
    if (record->module.len == 0 || record->token_uri.len == 0 || record->mechanism == 0 ||
        record->key_id.len == 0 || record->blob.len == 0 ||
        (record->mechanism == OXV_TOKEN_AES_GCM) != (record->gcm_iv != 0)) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the vault is damaged: a token seal that says not all that unseal needs");
    }
    return OXV_OK;
}

enum oxv_status
oxv_seal_parameters_check(const struct oxv_seal_record *record, struct oxv_err *err)
{
    if (record->kind == OXV_SEAL_KEYFILE) {
        return OXV_OK;
    }
    if (record->kind == OXV_SEAL_TOKEN) {
        return check_token_parameters(record, err);
    }
    if (record->kind != OXV_SEAL_PASSPHRASE) {
        return oxv_fail(err, OXV_E_FORGED, "the vault is damaged: a seal of an unknown kind");
    }
    if (record->kdf_ops < 1 || record->kdf_ops > OXV_KDF_OPS_MAX ||
        record->kdf_memory_bytes < OXV_KDF_MEMORY_MIN_BYTES ||
        record->kdf_memory_bytes > OXV_KDF_MEMORY_MAX_BYTES || record->kdf_salt.len != SALT_BYTES) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the vault is damaged: the parameters of a passphrase seal are out of "
                        "bounds");
    }
    return OXV_OK;
}

enum oxv_status
oxv_passphrase_stretch(const struct oxv_secret *passphrase,
                       const struct oxv_seal_record *parameters, struct oxv_secret **out,
                       struct oxv_err *err)
{
    enum oxv_status st = oxv_seal_parameters_check(parameters, err);

    if (st != OXV_OK) {
        return st;
    }
    if (parameters->kind != OXV_SEAL_PASSPHRASE || oxv_secret_len(passphrase) == 0 ||
        oxv_secret_len(passphrase) > OXV_PASSPHRASE_MAX_BYTES) {
        return oxv_fail(err, OXV_E_USAGE, "a passphrase has 1 to %u bytes",
                        OXV_PASSPHRASE_MAX_BYTES);
    }
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = oxv_secret_new(OXV_SUBKEY_BYTES);
    struct oxv_view text = oxv_secret_view(passphrase);

    if (key == NULL ||
        crypto_pwhash_argon2id(oxv_secret_bytes(key), OXV_SUBKEY_BYTES, (const char *)text.data,
                               text.len, parameters->kdf_salt.data, parameters->kdf_ops,
                               parameters->kdf_memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return oxv_fail(err, OXV_E_MEMORY,
                        "no memory to stretch the passphrase: %llu MiB are needed",
                        (unsigned long long)(parameters->kdf_memory_bytes >> 20));
    }
    *out = oxv_secret_take(&key);
    return OXV_OK;
}

void
oxv_passphrase_parameters(struct oxv_seal_record *record, uint8_t salt_buffer[16])
{
    randombytes_buf(salt_buffer, SALT_BYTES);
    record->kind = OXV_SEAL_PASSPHRASE;
    record->kdf_ops = crypto_pwhash_argon2id_OPSLIMIT_MODERATE;
    record->kdf_memory_bytes = crypto_pwhash_argon2id_MEMLIMIT_MODERATE;
    record->kdf_salt = oxv_view(salt_buffer, SALT_BYTES);
}

struct oxv_seal_input
oxv_seal_input_of(enum oxv_seal_kind kind, const struct oxv_secret *material)
{
    return (struct oxv_seal_input){
        .kind = kind,
        .stretched = kind == OXV_SEAL_PASSPHRASE ? material : NULL,
        .keyfile = kind == OXV_SEAL_KEYFILE ? material : NULL,
        .token_value = kind == OXV_SEAL_TOKEN ? material : NULL,
    };
}

/* The one secret that is set, of the kind the input names and of 32 bytes. */
static enum oxv_status
material_of(const struct oxv_seal_input *input, const struct oxv_secret **out, struct oxv_err *err)
{
    const struct oxv_secret *material = NULL;

    switch (input->kind) {
    case OXV_SEAL_PASSPHRASE:
        material = input->keyfile == NULL && input->token_value == NULL ? input->stretched : NULL;
        break;
    case OXV_SEAL_KEYFILE:
        material = input->stretched == NULL && input->token_value == NULL ? input->keyfile : NULL;
        break;
    case OXV_SEAL_TOKEN:
        material = input->stretched == NULL && input->keyfile == NULL ? input->token_value : NULL;
        break;
    }
    if (material == NULL) {
        return oxv_fail(err, OXV_E_USAGE, "no passphrase, key file or token value was given");
    }
    if (oxv_secret_len(material) != OXV_KEYFILE_BYTES) {
        return oxv_fail(err, OXV_E_USAGE, "%s has exactly %u bytes",
                        input->kind == OXV_SEAL_TOKEN ? "a token's value" : "a key file",
                        OXV_KEYFILE_BYTES);
    }
    *out = material;
    return OXV_OK;
}

enum oxv_status
oxv_seal_check_value(const struct oxv_seal_input *input, uint8_t out[OXV_SEAL_CHECK_BYTES],
                     struct oxv_err *err)
{
    const struct oxv_secret *material = NULL;
    enum oxv_status st = material_of(input, &material, err);

    if (st == OXV_OK) {
        oxv_seal_subkey(material, OXV_SEAL_SUBKEY_CHECK, out);
    }
    return st;
}

enum oxv_status
oxv_seal_wrap(struct oxv_writer *w, const struct oxv_blob_place *place,
              const struct oxv_seal_input *input, const struct oxv_secret *root,
              struct oxv_err *err)
{
    OXV_AUTO(wipe_subkey) uint8_t key[OXV_SUBKEY_BYTES] = { 0 };
    struct oxv_blob_place wrapped = *place;
    const struct oxv_secret *material = NULL;
    enum oxv_status st = material_of(input, &material, err);

    if (st != OXV_OK) {
        return st;
    }
    wrapped.purpose = OXV_BLOB_SEAL;
    wrapped.bound = oxv_view(NULL, 0);
    oxv_seal_subkey(material, OXV_SEAL_SUBKEY_WRAP, key);
    oxv_blob_seal(w, key, &wrapped, oxv_secret_view(root));
    return OXV_OK;
}

const char *
oxv_seal_wrong_text(uint64_t kind)
{
    switch (kind) {
    case OXV_SEAL_PASSPHRASE:
        return "wrong passphrase";
    case OXV_SEAL_TOKEN:
        return "wrong token value";
    default:
        return "wrong key file";
    }
}

enum oxv_status
oxv_seal_open(const struct oxv_seal_record *record, struct oxv_view wrapped,
              const struct oxv_blob_place *place, const struct oxv_seal_input *input,
              struct oxv_secret **root, struct oxv_err *err)
{
    OXV_AUTO(wipe_subkey) uint8_t key[OXV_SUBKEY_BYTES] = { 0 };
    struct oxv_blob_place at = *place;
    const struct oxv_secret *material = NULL;
    enum oxv_status st = material_of(input, &material, err);

    if (st == OXV_OK && input->kind != record->kind) {
        st = oxv_fail(err, OXV_E_USAGE, "seal %llu is of another kind",
                      (unsigned long long)place->id);
    }
    if (st == OXV_OK) {
        st = oxv_seal_parameters_check(record, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    oxv_seal_subkey(material, OXV_SEAL_SUBKEY_CHECK, key);
    if (record->check.len != sizeof key ||
        sodium_memcmp(key, record->check.data, sizeof key) != 0) {
        return oxv_fail(err, OXV_E_LOCKED, "%s, or seal %llu was changed",
                        oxv_seal_wrong_text(record->kind), (unsigned long long)place->id);
    }
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *opened = oxv_secret_new(OXV_ROOT_KEY_BYTES);

    if (opened == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the root key");
    }
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(opened), OXV_ROOT_KEY_BYTES);

    at.purpose = OXV_BLOB_SEAL;
    at.bound = oxv_view(NULL, 0);
    at.root_generation = 0; /* the node's row says it and is authenticated after this */
    oxv_seal_subkey(material, OXV_SEAL_SUBKEY_WRAP, key);
    if (oxv_blob_open(wrapped, key, &at, &w) != OXV_OK || w.len != OXV_ROOT_KEY_BYTES) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the vault is damaged or was changed from outside: seal %llu, or the vault "
                        "id in node 1",
                        (unsigned long long)place->id);
    }
    *root = oxv_secret_take(&opened);
    return OXV_OK;
}
