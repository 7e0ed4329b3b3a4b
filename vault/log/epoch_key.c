#include "vault/log/epoch_key.h"

#include <sodium.h>

#define MAGIC        "OXVEPKEY"
#define HEADER_BYTES 73u
#define NONCE_BYTES  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PLAIN_BYTES  (OXV_NOTE_SEED_BYTES + 8u + OXV_HASH_BYTES)

_Static_assert(HEADER_BYTES == 8u + 1u + 8u + OXV_NOTE_PUBLIC_KEY_BYTES + NONCE_BYTES, "header");
_Static_assert(OXV_EPOCH_KEY_FILE_BYTES == HEADER_BYTES + PLAIN_BYTES + TAG_BYTES, "file");
_Static_assert(OXV_LOG_WRAP_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "wrap key");

void
oxv_epoch_key_done(struct oxv_epoch_key *key)
{
    oxv_secret_free(key->secret_key);
    *key = (struct oxv_epoch_key){ 0 };
}

enum oxv_status
oxv_epoch_key_expand(struct oxv_epoch_key *key, const uint8_t seed[OXV_NOTE_SEED_BYTES])
{
    key->secret_key = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);
    if (key->secret_key == NULL) {
        return OXV_E_MEMORY;
    }
    if (crypto_sign_seed_keypair(key->public_key, oxv_secret_bytes(key->secret_key), seed) != 0) {
        oxv_bug("Ed25519 cannot fail");
    }
    return OXV_OK;
}

enum oxv_status
oxv_epoch_key_init(struct oxv_epoch_key *key, uint64_t epoch, uint64_t begin_size,
                   const uint8_t begin_root[OXV_HASH_BYTES])
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *seed = oxv_secret_random(OXV_NOTE_SEED_BYTES);
    struct oxv_epoch_key made = { .epoch = epoch, .begin_size = begin_size };

    if (seed == NULL) {
        return OXV_E_MEMORY;
    }
    memcpy(made.begin_root, begin_root, sizeof made.begin_root);

    enum oxv_status st = oxv_epoch_key_expand(&made, oxv_secret_view(seed).data);

    if (st == OXV_OK) {
        *key = made;
    }
    return st;
}

static struct oxv_view
header_of(const struct oxv_epoch_key *key, uint8_t buffer[HEADER_BYTES])
{
    uint8_t nonce[NONCE_BYTES];
    struct oxv_writer w = oxv_writer(buffer, HEADER_BYTES);
    struct oxv_view header;

    randombytes_buf(nonce, sizeof nonce);
    oxv_write_text(&w, MAGIC);
    oxv_write_u8(&w, OXV_EPOCH_KEY_FORMAT_RATCHET);
    oxv_write_u64(&w, key->epoch);
    oxv_write_view(&w, oxv_view(key->public_key, sizeof key->public_key));
    oxv_write_view(&w, oxv_view(nonce, sizeof nonce));
    if (oxv_writer_finish(&w, &header) != OXV_OK) {
        oxv_bug("the header has a fixed size");
    }
    return header;
}

static struct oxv_view
nonce_of(struct oxv_view header)
{
    return oxv_view_from(header, HEADER_BYTES - NONCE_BYTES);
}

enum oxv_status
oxv_epoch_key_wrap(const struct oxv_epoch_key *key, const struct oxv_secret *wrap_key,
                   struct oxv_writer *w)
{
    uint8_t buffer[HEADER_BYTES];
    struct oxv_view header = header_of(key, buffer);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = oxv_secret_new(PLAIN_BYTES);

    if (plain == NULL) {
        return OXV_E_MEMORY;
    }
    if (oxv_secret_len(wrap_key) != OXV_LOG_WRAP_KEY_BYTES) {
        oxv_bug("a wrap key of another length");
    }
    struct oxv_writer p = oxv_writer(oxv_secret_bytes(plain), PLAIN_BYTES);

    /* libsodium's secret key begins with the seed. */
    oxv_write_view(&p, oxv_view(oxv_secret_view(key->secret_key).data, OXV_NOTE_SEED_BYTES));
    oxv_write_u64(&p, key->begin_size);
    oxv_write_view(&p, oxv_view(key->begin_root, sizeof key->begin_root));
    oxv_write_view(w, header);
    uint8_t *place = oxv_write_reserve(w, PLAIN_BYTES + TAG_BYTES);

    if (p.failed || place == NULL) {
        oxv_bug("the file has a fixed size");
    }
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        place, NULL, oxv_secret_view(plain).data, PLAIN_BYTES, header.data, header.len, NULL,
        nonce_of(header).data, oxv_secret_view(wrap_key).data); /* returns 0, always */
    return OXV_OK;
}

/* Opens the sealed part; what it holds replaces the claims of the header. */
static enum oxv_status
open_sealed(struct oxv_view file, const struct oxv_secret *wrap_key, struct oxv_epoch_key *key)
{
    struct oxv_view header = oxv_view(file.data, HEADER_BYTES);
    struct oxv_view sealed = oxv_view_from(file, HEADER_BYTES);
    uint8_t claimed[OXV_NOTE_PUBLIC_KEY_BYTES];
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = oxv_secret_new(PLAIN_BYTES);

    if (plain == NULL) {
        return OXV_E_MEMORY;
    }
    if (oxv_secret_len(wrap_key) != OXV_LOG_WRAP_KEY_BYTES ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(oxv_secret_bytes(plain), NULL, NULL, sealed.data,
                                                   sealed.len, header.data, header.len,
                                                   nonce_of(header).data,
                                                   oxv_secret_view(wrap_key).data) != 0) {
        return OXV_E_FORGED;
    }
    struct oxv_reader r = oxv_reader(oxv_secret_view(plain));
    struct oxv_view seed;

    if (!oxv_read_view(&r, OXV_NOTE_SEED_BYTES, &seed) || !oxv_read_u64(&r, &key->begin_size) ||
        !oxv_read_bytes(&r, key->begin_root, sizeof key->begin_root)) {
        oxv_bug("the sealed part has a fixed size");
    }
    memcpy(claimed, key->public_key, sizeof claimed);
    enum oxv_status st = oxv_epoch_key_expand(key, seed.data);

    if (st == OXV_OK && memcmp(claimed, key->public_key, sizeof claimed) != 0) {
        oxv_epoch_key_done(key);
        return OXV_E_FORGED;
    }
    return st;
}

enum oxv_status
oxv_epoch_key_claim(struct oxv_view file, struct oxv_epoch_key_claim *out, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(file);
    struct oxv_epoch_key_claim claim = { 0 };
    struct oxv_view magic;

    if (file.len != OXV_EPOCH_KEY_FILE_BYTES || !oxv_read_view(&r, strlen(MAGIC), &magic) ||
        !oxv_view_is(magic, MAGIC) || !oxv_read_u8(&r, &claim.format) ||
        !oxv_read_u64(&r, &claim.epoch) ||
        !oxv_read_bytes(&r, claim.public_key, sizeof claim.public_key)) {
        return oxv_fail(err, OXV_E_FORMAT, "log/epoch.key is damaged: it is no key file of ours");
    }
    if (claim.format != OXV_EPOCH_KEY_FORMAT_SUBKEY &&
        claim.format != OXV_EPOCH_KEY_FORMAT_RATCHET) {
        return oxv_fail(err, OXV_E_FORMAT, "log/epoch.key has the unknown format %u",
                        (unsigned)claim.format);
    }
    *out = claim;
    return OXV_OK;
}

enum oxv_status
oxv_epoch_key_unwrap(struct oxv_view file, const struct oxv_secret *wrap_key,
                     struct oxv_epoch_key *out, struct oxv_err *err)
{
    struct oxv_epoch_key_claim claim;
    enum oxv_status st = oxv_epoch_key_claim(file, &claim, err);

    if (st != OXV_OK) {
        return st;
    }
    struct oxv_epoch_key key = { .epoch = claim.epoch };

    memcpy(key.public_key, claim.public_key, sizeof key.public_key);
    st = open_sealed(file, wrap_key, &key);
    if (st == OXV_E_FORGED) {
        return oxv_fail(err, st,
                        "log/epoch.key was changed, or is that of another vault: the vault's own "
                        "key does not open it");
    }
    if (st != OXV_OK) {
        return oxv_fail(err, st, "no locked memory left for the log's key");
    }
    *out = key;
    return OXV_OK;
}
