#include "vault/log/note.h"

#include <sodium.h>

#include "base/text.h"

#define KEY_ID_CHARS    (2 * OXV_NOTE_KEY_ID_BYTES)
#define TYPED_KEY_BYTES (1 + OXV_NOTE_PUBLIC_KEY_BYTES)

_Static_assert(OXV_NOTE_SECRET_KEY_BYTES == crypto_sign_SECRETKEYBYTES, "libsodium's key");
_Static_assert(OXV_NOTE_SIGNATURE_BYTES == crypto_sign_BYTES, "libsodium's signature");

/* White space beyond ASCII: Unicode's White_Space property, in UTF-8. */
static bool
has_unicode_space(struct oxv_view text)
{
    static const char *const spaces[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
        "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };

    for (size_t at = 0; at < text.len; at++) {
        for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
            if (oxv_view_has_prefix(oxv_view_from(text, at), spaces[i])) {
                return true;
            }
        }
    }
    return false;
}

bool
oxv_note_is_name(struct oxv_view name)
{
    if (name.len == 0 || !oxv_is_printable_utf8(name) || memchr(name.data, '+', name.len) != NULL ||
        memchr(name.data, ' ', name.len) != NULL) {
        return false;
    }
    return !has_unicode_space(name);
}

static void
typed_key(uint8_t type, const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
          uint8_t out[TYPED_KEY_BYTES])
{
    out[0] = type;
    memcpy(out + 1, public_key, OXV_NOTE_PUBLIC_KEY_BYTES);
}

static void
hash_key(const char *name, const uint8_t typed[TYPED_KEY_BYTES], uint8_t id[OXV_NOTE_KEY_ID_BYTES])
{
    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    static const uint8_t newline = '\n';

    (void)crypto_hash_sha256_init(&state); /* these four return 0, always */
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
    (void)crypto_hash_sha256_update(&state, &newline, 1);
    (void)crypto_hash_sha256_update(&state, typed, TYPED_KEY_BYTES);
    (void)crypto_hash_sha256_final(&state, digest);
    memcpy(id, digest, OXV_NOTE_KEY_ID_BYTES);
}

void
oxv_note_key_id(const char *name, const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
                uint8_t id[OXV_NOTE_KEY_ID_BYTES])
{
    uint8_t typed[TYPED_KEY_BYTES];

    typed_key(OXV_NOTE_ED25519_TYPE, public_key, typed);
    hash_key(name, typed, id);
}

void
oxv_cosigner_key_id(const struct oxv_vkey *witness, uint8_t id[OXV_NOTE_KEY_ID_BYTES])
{
    uint8_t typed[TYPED_KEY_BYTES];

    typed_key(OXV_NOTE_COSIGNATURE_TYPE, witness->public_key, typed);
    hash_key(witness->name, typed, id);
}

static void
write_key(struct oxv_writer *w, uint8_t type, const struct oxv_vkey *vkey)
{
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];
    uint8_t typed[TYPED_KEY_BYTES];

    typed_key(type, vkey->public_key, typed);
    hash_key(vkey->name, typed, id);
    oxv_write_text(w, vkey->name);
    oxv_write_u8(w, '+');
    oxv_write_hex(w, oxv_view(id, sizeof id));
    oxv_write_u8(w, '+');
    oxv_write_base64(w, oxv_view(typed, sizeof typed));
}

struct oxv_vkey
oxv_vkey_of(const char name[OXV_LOG_ORIGIN_MAX_BYTES],
            const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES])
{
    struct oxv_vkey vkey;

    memcpy(vkey.name, name, sizeof vkey.name);
    memcpy(vkey.public_key, public_key, sizeof vkey.public_key);
    return vkey;
}

void
oxv_vkey_write(struct oxv_writer *w, const struct oxv_vkey *vkey)
{
    write_key(w, OXV_NOTE_ED25519_TYPE, vkey);
}

void
oxv_cosigner_write(struct oxv_writer *w, const struct oxv_vkey *witness)
{
    write_key(w, OXV_NOTE_COSIGNATURE_TYPE, witness);
}

/* Splits name+id+key, where the last part may hold a plus. */
static bool
split_vkey(struct oxv_view text, struct oxv_view *name, struct oxv_view *key)
{
    const uint8_t *plus = text.len == 0 ? NULL : memchr(text.data, '+', text.len);
    struct oxv_reader r = oxv_reader(text);
    struct oxv_view id;
    uint8_t separator;

    if (plus == NULL || !oxv_read_view(&r, (size_t)(plus - text.data), name) ||
        !oxv_read_u8(&r, &separator) || !oxv_read_view(&r, KEY_ID_CHARS, &id)) {
        return false;
    }
    if (!oxv_read_u8(&r, &separator) || separator != '+') {
        return false;
    }
    *key = r.left;
    return true;
}

static bool
parse_typed(struct oxv_view text, uint8_t type, struct oxv_vkey *vkey)
{
    struct oxv_view name;
    struct oxv_view key;
    uint8_t typed[TYPED_KEY_BYTES];
    size_t len;

    if (!split_vkey(text, &name, &key) || !oxv_note_is_name(name) ||
        oxv_text_copy(name, vkey->name, sizeof vkey->name) != OXV_OK ||
        !oxv_parse_base64(key, typed, sizeof typed, &len) || len != sizeof typed ||
        typed[0] != type) {
        return false;
    }
    memcpy(vkey->public_key, typed + 1, sizeof vkey->public_key);
    return true;
}

static enum oxv_status
parse_key(struct oxv_view text, uint8_t type, struct oxv_vkey *out, struct oxv_err *err)
{
    struct oxv_vkey vkey = { 0 };
    char again[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_view written;

    if (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    if (!parse_typed(text, type, &vkey)) {
        return oxv_fail(err, OXV_E_FORMAT, "this is no verifier key (name+id+key, Ed25519)");
    }
    /* Written again it must be the same: that also checks the key id. */
    write_key(&w, type, &vkey);
    if (oxv_writer_finish(&w, &written) != OXV_OK || !oxv_view_equals(written, text)) {
        return oxv_fail(err, OXV_E_FORMAT, "the id in the verifier key is not that of the key");
    }
    *out = vkey;
    return OXV_OK;
}

enum oxv_status
oxv_vkey_parse(struct oxv_view text, struct oxv_vkey *out, struct oxv_err *err)
{
    return parse_key(text, OXV_NOTE_ED25519_TYPE, out, err);
}

enum oxv_status
oxv_cosigner_parse(struct oxv_view text, struct oxv_vkey *out, struct oxv_err *err)
{
    return parse_key(text, OXV_NOTE_COSIGNATURE_TYPE, out, err);
}

void
oxv_checkpoint_write(struct oxv_writer *w, const struct oxv_checkpoint *checkpoint)
{
    oxv_write_text(w, checkpoint->origin);
    oxv_write_u8(w, '\n');
    oxv_write_decimal(w, checkpoint->size);
    oxv_write_u8(w, '\n');
    oxv_write_base64(w, oxv_view(checkpoint->root, sizeof checkpoint->root));
    oxv_write_u8(w, '\n');
}

static struct oxv_view
checkpoint_text(const struct oxv_checkpoint *checkpoint, uint8_t buffer[OXV_CHECKPOINT_MAX_BYTES])
{
    struct oxv_writer w = oxv_writer(buffer, OXV_CHECKPOINT_MAX_BYTES);
    struct oxv_view text;

    oxv_checkpoint_write(&w, checkpoint);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_bug("an origin that was never checked");
    }
    return text;
}

void
oxv_checkpoint_sign(const struct oxv_checkpoint *checkpoint, const struct oxv_secret *secret_key,
                    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES])
{
    uint8_t buffer[OXV_CHECKPOINT_MAX_BYTES];
    struct oxv_view text = checkpoint_text(checkpoint, buffer);
    struct oxv_view key = oxv_secret_view(secret_key);

    if (key.len != OXV_NOTE_SECRET_KEY_BYTES ||
        crypto_sign_detached(signature, NULL, text.data, text.len, key.data) != 0) {
        oxv_bug("Ed25519 cannot fail");
    }
}

bool
oxv_checkpoint_verify(const struct oxv_checkpoint *checkpoint,
                      const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
                      const uint8_t signature[OXV_NOTE_SIGNATURE_BYTES])
{
    uint8_t buffer[OXV_CHECKPOINT_MAX_BYTES];
    struct oxv_view text = checkpoint_text(checkpoint, buffer);

    return crypto_sign_verify_detached(signature, text.data, text.len, public_key) == 0;
}
