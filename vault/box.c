/*
 * A box is crypto_box_seal (X25519, XSalsa20-Poly1305, an ephemeral key of the sender) over the
 * encoded struct oxv_box, whose payload is an encoded struct again.
 *   offset       bytes  what
 *        0          32  ephemeral public key
 *       32          16  tag
 *       48           n  ciphertext, as long as the plaintext
 */
#include "vault/box.h"

#include <sodium.h>

#define CHUNK_CONNECTIONS_MAX_BYTES 45056u
#define MATERIAL_BYTES              OXV_KEYFILE_BYTES

_Static_assert(crypto_box_PUBLICKEYBYTES == OXV_BOX_KEY_BYTES, "public key");
_Static_assert(crypto_box_SECRETKEYBYTES == OXV_BOX_KEY_BYTES, "private key");

static const struct oxv_field box_fields[] = {
    OXV_FIELD(struct oxv_box, purpose, 1, OXV_FIELD_U64, true, 1, 255),
    OXV_FIELD(struct oxv_box, vault_id, 2, OXV_FIELD_BYTES, true, OXV_ID_BYTES, OXV_ID_BYTES),
    OXV_FIELD(struct oxv_box, challenge, 3, OXV_FIELD_BYTES, true, OXV_CHALLENGE_BYTES,
              OXV_CHALLENGE_BYTES),
    OXV_FIELD(struct oxv_box, payload, 4, OXV_FIELD_BYTES, true, 1, OXV_BOX_MAX_BYTES),
};
const struct oxv_shape oxv_box_shape = OXV_SHAPE(struct oxv_box, "box", box_fields);

static const struct oxv_field unseal_fields[] = {
    OXV_FIELD(struct oxv_box_unseal, seal_id, 1, OXV_FIELD_U64, false, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_box_unseal, seal_kind, 2, OXV_FIELD_U64, true, OXV_SEAL_PASSPHRASE,
              OXV_SEAL_TOKEN),
    OXV_FIELD(struct oxv_box_unseal, material, 3, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_PIN_MAX_BYTES),
};
const struct oxv_shape oxv_box_unseal_shape =
    OXV_SHAPE(struct oxv_box_unseal, "unseal", unseal_fields);

static const struct oxv_field rekey_seal_fields[] = {
    OXV_FIELD(struct oxv_box_rekey_seal, given, 1, OXV_FIELD_U64, true, 1, UINT32_MAX),
    OXV_FIELD(struct oxv_box_rekey_seal, seal_id, 2, OXV_FIELD_U64, true, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_box_rekey_seal, seal_kind, 3, OXV_FIELD_U64, true, OXV_SEAL_PASSPHRASE,
              OXV_SEAL_KEYFILE),
    OXV_FIELD(struct oxv_box_rekey_seal, material, 4, OXV_FIELD_BYTES, true, MATERIAL_BYTES,
              MATERIAL_BYTES),
};
const struct oxv_shape oxv_box_rekey_seal_shape =
    OXV_SHAPE(struct oxv_box_rekey_seal, "rekey seal", rekey_seal_fields);

static const struct oxv_field rekey_fields[] = {
    OXV_FIELD(struct oxv_box_rekey, drop_others, 1, OXV_FIELD_U64, false, 1, 1),
    OXV_FIELD(struct oxv_box_rekey, seals, 2, OXV_FIELD_LIST, true, 1, 16384),
};
const struct oxv_shape oxv_box_rekey_shape = OXV_SHAPE(struct oxv_box_rekey, "rekey", rekey_fields);

static const struct oxv_field seal_add_fields[] = {
    OXV_FIELD(struct oxv_box_seal_add, existing_id, 1, OXV_FIELD_U64, false, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_box_seal_add, existing_kind, 2, OXV_FIELD_U64, true, OXV_SEAL_PASSPHRASE,
              OXV_SEAL_TOKEN),
    OXV_FIELD(struct oxv_box_seal_add, kind, 3, OXV_FIELD_U64, true, OXV_SEAL_PASSPHRASE,
              OXV_SEAL_TOKEN),
    OXV_FIELD(struct oxv_box_seal_add, kdf_ops, 4, OXV_FIELD_U64, false, 1, UINT32_MAX),
    OXV_FIELD(struct oxv_box_seal_add, kdf_memory_bytes, 5, OXV_FIELD_U64, false, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_box_seal_add, kdf_salt, 6, OXV_FIELD_BYTES, false, 16, 16),
    OXV_FIELD(struct oxv_box_seal_add, existing_material, 7, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_PIN_MAX_BYTES),
    OXV_FIELD(struct oxv_box_seal_add, material, 8, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_PIN_MAX_BYTES),
    OXV_FIELD(struct oxv_box_seal_add, module, 9, OXV_FIELD_TEXT, false, 1,
              OXV_TOKEN_MODULE_MAX_BYTES),
    OXV_FIELD(struct oxv_box_seal_add, uri, 10, OXV_FIELD_TEXT, false, 1, OXV_TOKEN_URI_MAX_BYTES),
    OXV_FIELD(struct oxv_box_seal_add, key_id, 11, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_KEY_ID_MAX_BYTES),
    OXV_FIELD(struct oxv_box_seal_add, generate, 12, OXV_FIELD_U64, false, 1, 1),
    OXV_FIELD(struct oxv_box_seal_add, mechanism, 13, OXV_FIELD_U64, false, 1,
              OXV_TOKEN_MECHANISM_END - 1),
    OXV_FIELD(struct oxv_box_seal_add, gcm_iv, 14, OXV_FIELD_U64, false, 1,
              OXV_TOKEN_GCM_IV_END - 1),
    OXV_FIELD(struct oxv_box_seal_add, allow_oaep_sha1, 15, OXV_FIELD_U64, false, 1, 1),
    OXV_FIELD(struct oxv_box_seal_add, allow_pkcs1, 16, OXV_FIELD_U64, false, 1, 1),
};
const struct oxv_shape oxv_box_seal_add_shape =
    OXV_SHAPE(struct oxv_box_seal_add, "seal add", seal_add_fields);

static const struct oxv_field connection_fields[] = {
    OXV_FIELD(struct oxv_box_connection, record, 1, OXV_FIELD_BYTES, true, 1, OXV_RECORD_MAX_BYTES),
    OXV_FIELD(struct oxv_box_connection, secret, 2, OXV_FIELD_BYTES, true, 1,
              OXV_RECORD_SECRET_MAX_BYTES),
    OXV_FIELD(struct oxv_box_connection, old_check, 3, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_MAC_MAX_BYTES),
    OXV_FIELD(struct oxv_box_connection, new_secrets, 4, OXV_FIELD_U64, false, 1, 1),
};
const struct oxv_shape oxv_box_connection_shape =
    OXV_SHAPE(struct oxv_box_connection, "connection add", connection_fields);

static const struct oxv_field import_fields[] = {
    OXV_FIELD(struct oxv_box_import, session, 1, OXV_FIELD_BYTES, true, 1, 64),
    OXV_FIELD(struct oxv_box_import, chunk, 2, OXV_FIELD_U64, true, 1, UINT32_MAX),
    OXV_FIELD(struct oxv_box_import, connections, 3, OXV_FIELD_LIST, true, 1,
              CHUNK_CONNECTIONS_MAX_BYTES),
};
const struct oxv_shape oxv_box_import_shape =
    OXV_SHAPE(struct oxv_box_import, "import", import_fields);

static const struct oxv_field token_add_fields[] = {
    OXV_FIELD(struct oxv_box_token_add, module, 1, OXV_FIELD_TEXT, true, 1,
              OXV_TOKEN_MODULE_MAX_BYTES),
    OXV_FIELD(struct oxv_box_token_add, uri, 2, OXV_FIELD_TEXT, true, 1, OXV_TOKEN_URI_MAX_BYTES),
    OXV_FIELD(struct oxv_box_token_add, pin, 3, OXV_FIELD_BYTES, false, 1, OXV_TOKEN_PIN_MAX_BYTES),
    OXV_FIELD(struct oxv_box_token_add, pair_id, 4, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_KEY_ID_MAX_BYTES),
    OXV_FIELD(struct oxv_box_token_add, objects_only, 5, OXV_FIELD_U64, false, 1, 1),
};
const struct oxv_shape oxv_box_token_add_shape =
    OXV_SHAPE(struct oxv_box_token_add, "token add", token_add_fields);

static const struct oxv_field token_login_fields[] = {
    OXV_FIELD(struct oxv_box_token_login, id, 1, OXV_FIELD_U64, false, 1, UINT64_MAX),
    OXV_FIELD(struct oxv_box_token_login, pin, 2, OXV_FIELD_BYTES, false, 1,
              OXV_TOKEN_PIN_MAX_BYTES),
};
const struct oxv_shape oxv_box_token_login_shape =
    OXV_SHAPE(struct oxv_box_token_login, "token login", token_login_fields);

/* What a seal of this kind is opened with: 32 bytes, or a PIN, which may be none. */
static bool
material_fits(uint64_t kind, struct oxv_view material)
{
    return kind == OXV_SEAL_TOKEN || material.len == MATERIAL_BYTES;
}

/* What makes a seal of kind token is there for that kind, and for no other. */
static bool
seal_add_fits(const struct oxv_box_seal_add *add)
{
    bool token = add->kind == OXV_SEAL_TOKEN;
    bool asked = add->key_id.len != 0 || add->generate != 0 || add->mechanism != 0 ||
                 add->gcm_iv != 0 || add->allow_oaep_sha1 != 0 || add->allow_pkcs1 != 0;

    return token == (add->module.len != 0) && token == (add->uri.len != 0) && (token || !asked) &&
           material_fits(add->kind, add->material) &&
           material_fits(add->existing_kind, add->existing_material);
}

/* The rules of a payload that span its fields. */
static enum oxv_status
check_payload(uint64_t purpose, struct oxv_view payload, struct oxv_err *err)
{
    struct oxv_box_unseal unseal;
    struct oxv_box_seal_add add;
    enum oxv_status st;

    switch (purpose) {
    case OXV_BOX_UNSEAL:
        st = oxv_fields_decode(payload, &oxv_box_unseal_shape, &unseal, err);
        if (st == OXV_OK && !material_fits(unseal.seal_kind, unseal.material)) {
            st = oxv_fail(err, OXV_E_FORMAT, "unseal: the material is not of 32 bytes");
        }
        return st;
    case OXV_BOX_SEAL_ADD:
        st = oxv_fields_decode(payload, &oxv_box_seal_add_shape, &add, err);
        if (st == OXV_OK && !seal_add_fits(&add)) {
            st = oxv_fail(err, OXV_E_FORMAT,
                          "seal add: the material is not of 32 bytes, or the fields are not those "
                          "of this kind of seal");
        }
        return st;
    default: /* their records are checked where they are used */
        return OXV_OK;
    }
}

enum oxv_status
oxv_box_keypair(uint8_t public_key[OXV_BOX_KEY_BYTES], struct oxv_secret **private_key,
                struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *made = oxv_secret_new(OXV_BOX_KEY_BYTES);

    if (made == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the vault's door key");
    }
    (void)crypto_box_keypair(public_key, oxv_secret_bytes(made)); /* documented to return 0 */
    *private_key = oxv_secret_take(&made);
    return OXV_OK;
}

static enum oxv_status
seal_plain(struct oxv_writer *out, const uint8_t *public_key, struct oxv_view plain,
           struct oxv_err *err)
{
    size_t len = plain.len + crypto_box_SEALBYTES;

    if (len > OXV_BOX_MAX_BYTES) {
        return oxv_fail(err, OXV_E_LIMIT, "what is to be sealed is longer than %u bytes",
                        OXV_BOX_MAX_BYTES);
    }
    uint8_t *place = oxv_write_reserve(out, len);

    if (place == NULL) {
        return oxv_fail(err, OXV_E_LIMIT, "no room for a box of %zu bytes", len);
    }
    if (crypto_box_seal(place, plain.data, plain.len, public_key) != 0) {
        return oxv_fail(err, OXV_E_FORMAT, "the vault's public key is not a valid one");
    }
    return OXV_OK;
}

enum oxv_status
oxv_box_seal(struct oxv_writer *out, const uint8_t public_key[OXV_BOX_KEY_BYTES],
             const struct oxv_box *head, const struct oxv_shape *payload_shape, const void *payload,
             struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *inner = oxv_secret_new(OXV_BOX_MAX_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *outer = oxv_secret_new(OXV_BOX_MAX_BYTES);
    struct oxv_box whole = *head;
    struct oxv_view plain;

    if (inner == NULL || outer == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a box");
    }
    struct oxv_writer inner_writer = oxv_writer(oxv_secret_bytes(inner), OXV_BOX_MAX_BYTES);
    struct oxv_writer outer_writer = oxv_writer(oxv_secret_bytes(outer), OXV_BOX_MAX_BYTES);

    oxv_fields_encode(&inner_writer, payload_shape, payload);
    if (oxv_writer_finish(&inner_writer, &whole.payload) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "%s: a field is missing, too long or malformed",
                        payload_shape->name);
    }
    if (check_payload(head->purpose, whole.payload, err) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "%s: the fields do not go together", payload_shape->name);
    }
    oxv_fields_encode(&outer_writer, &oxv_box_shape, &whole);
    if (oxv_writer_finish(&outer_writer, &plain) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "%s: too long for a box", payload_shape->name);
    }
    return seal_plain(out, public_key, plain, err);
}

static enum oxv_status
check_head(const struct oxv_box *head, enum oxv_box_purpose purpose, const uint8_t *vault_id,
           struct oxv_err *err)
{
    if (head->purpose != (uint64_t)purpose) {
        return oxv_fail(err, OXV_E_DENIED, "the box was sealed for another purpose");
    }
    if (!oxv_view_equals(head->vault_id, oxv_view(vault_id, OXV_ID_BYTES))) {
        return oxv_fail(err, OXV_E_DENIED, "the box was sealed for another vault");
    }
    return OXV_OK;
}

enum oxv_status
oxv_box_open(struct oxv_view box, const uint8_t public_key[OXV_BOX_KEY_BYTES],
             const struct oxv_secret *private_key, enum oxv_box_purpose purpose,
             const uint8_t *vault_id, struct oxv_secret **plain, struct oxv_box *head,
             struct oxv_err *err)
{
    if (box.len < crypto_box_SEALBYTES || box.len > OXV_BOX_MAX_BYTES) {
        return oxv_fail(err, OXV_E_FORGED, "the box is damaged");
    }
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *opened = oxv_secret_new(box.len - crypto_box_SEALBYTES);
    struct oxv_box read;

    if (opened == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for a box");
    }
    if (crypto_box_seal_open(oxv_secret_bytes(opened), box.data, box.len, public_key,
                             oxv_secret_view(private_key).data) != 0) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the box is damaged or was not sealed to this start of the service: run "
                        "the command again, for the service may have been restarted");
    }
    enum oxv_status st = oxv_fields_decode(oxv_secret_view(opened), &oxv_box_shape, &read, err);

    if (st == OXV_OK) {
        st = check_head(&read, purpose, vault_id, err);
    }
    if (st == OXV_OK) {
        st = check_payload(read.purpose, read.payload, err);
    }
    if (st == OXV_OK) {
        *plain = oxv_secret_take(&opened);
        *head = read;
    }
    return st;
}
