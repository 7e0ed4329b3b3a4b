#include "vault/blob.h"

#include <sodium.h>

#include "vault/records.h"

#define MAGIC     "OXVB"
#define LABEL     "oxvault blob v1"
#define FORMAT    1u
#define ALGORITHM 1u
#define NONCE_AT  11u
#define PLACE_MAX (OXV_BLOB_HEADER_BYTES + sizeof LABEL + OXV_ID_BYTES + 1 + 8 + 8 + 4 + 4)
#define BOUND_MAX 256u
#define AD_MAX    (PLACE_MAX + OXV_RECORD_MAX_BYTES + BOUND_MAX)
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

_Static_assert(NONCE_AT + NONCE_LEN == OXV_BLOB_HEADER_BYTES, "header");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == OXV_BLOB_TAG_BYTES, "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == OXV_BLOB_KEY_BYTES, "key");

/* The parts of a blob. */
struct parts {
    struct oxv_view header;
    struct oxv_view nonce;
    struct oxv_view cipher;
    struct oxv_view tag;
};

static void
write_associated_data(struct oxv_writer *w, struct oxv_view header,
                      const struct oxv_blob_place *place)
{
    oxv_write_view(w, header);
    oxv_write_text(w, LABEL);
    oxv_write_view(w, oxv_view(place->vault_id, OXV_ID_BYTES));
    oxv_write_u8(w, place->table);
    oxv_write_u64(w, place->id);
    oxv_write_u64(w, place->version);
    oxv_write_view32(w, place->record);
    oxv_write_view32(w, place->bound);
}

static void
write_header(struct oxv_writer *w, const struct oxv_blob_place *place)
{
    oxv_write_text(w, MAGIC);
    oxv_write_u8(w, FORMAT);
    oxv_write_u8(w, place->purpose);
    oxv_write_u8(w, ALGORITHM);
    oxv_write_u32(w, place->root_generation);

    uint8_t *nonce = oxv_write_reserve(w, NONCE_LEN);

    if (nonce != NULL) {
        randombytes_buf(nonce, NONCE_LEN);
    }
}

void
oxv_blob_seal(struct oxv_writer *w, const uint8_t key[OXV_BLOB_KEY_BYTES],
              const struct oxv_blob_place *place, struct oxv_view plain)
{
    uint8_t ad[AD_MAX];
    struct oxv_writer adw = oxv_writer(ad, sizeof ad);
    uint8_t header[OXV_BLOB_HEADER_BYTES];
    struct oxv_writer hw = oxv_writer(header, sizeof header);
    struct oxv_view header_view;
    struct oxv_view ad_view;

    write_header(&hw, place);
    if (oxv_writer_finish(&hw, &header_view) != OXV_OK) {
        oxv_bug("blob header");
    }
    write_associated_data(&adw, header_view, place);
    if (oxv_writer_finish(&adw, &ad_view) != OXV_OK) {
        w->failed = true;
        return;
    }
    oxv_write_view(w, header_view);

    uint8_t *cipher = oxv_write_reserve(w, plain.len);
    uint8_t *tag = oxv_write_reserve(w, OXV_BLOB_TAG_BYTES);

    if (cipher == NULL || tag == NULL) {
        return;
    }
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        cipher, tag, NULL, plain.data, plain.len, ad_view.data, ad_view.len, NULL,
        oxv_view_from(header_view, NONCE_AT).data, key); /* documented to return 0 always */
}

/* Rules 1 to 3. */
static bool
split(struct oxv_view blob, const struct oxv_blob_place *place, struct parts *out)
{
    struct oxv_reader r = oxv_reader(blob);
    struct oxv_view magic;
    uint8_t format;
    uint8_t purpose;
    uint8_t algorithm;
    uint32_t generation;

    if (blob.len < OXV_BLOB_EXTRA_BYTES || !oxv_read_view(&r, 4, &magic) ||
        !oxv_read_u8(&r, &format) || !oxv_read_u8(&r, &purpose) || !oxv_read_u8(&r, &algorithm) ||
        !oxv_read_u32(&r, &generation) || !oxv_read_view(&r, NONCE_LEN, &out->nonce) ||
        !oxv_read_view(&r, blob.len - OXV_BLOB_EXTRA_BYTES, &out->cipher) ||
        !oxv_read_view(&r, OXV_BLOB_TAG_BYTES, &out->tag)) {
        return false;
    }
    out->header = oxv_view(blob.data, OXV_BLOB_HEADER_BYTES);
    return oxv_view_is(magic, MAGIC) && format == FORMAT && purpose == place->purpose &&
           algorithm == ALGORITHM &&
           (place->root_generation == 0 || generation == place->root_generation);
}

/* With `plain` NULL only the tag is checked. */
static bool
open_parts(const struct parts *parts, const uint8_t *key, const struct oxv_blob_place *place,
           uint8_t *plain)
{
    uint8_t ad[AD_MAX];
    struct oxv_writer w = oxv_writer(ad, sizeof ad);
    struct oxv_view ad_view;

    write_associated_data(&w, parts->header, place);
    if (oxv_writer_finish(&w, &ad_view) != OXV_OK) {
        return false;
    }
    return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(plain, NULL, parts->cipher.data,
                                                               parts->cipher.len, parts->tag.data,
                                                               ad_view.data, ad_view.len,
                                                               parts->nonce.data, key) == 0;
}

enum oxv_status
oxv_blob_open(struct oxv_view blob, const uint8_t key[OXV_BLOB_KEY_BYTES],
              const struct oxv_blob_place *place, struct oxv_writer *out)
{
    struct parts parts;

    if (!split(blob, place, &parts)) {
        return OXV_E_FORGED;
    }
    uint8_t *plain = oxv_write_reserve(out, parts.cipher.len);

    if (plain == NULL) {
        return OXV_E_LIMIT;
    }
    if (!open_parts(&parts, key, place, plain)) {
        out->len -= parts.cipher.len;
        return OXV_E_FORGED;
    }
    return OXV_OK;
}

bool
oxv_blob_is_authentic(struct oxv_view blob, const uint8_t key[OXV_BLOB_KEY_BYTES],
                      const struct oxv_blob_place *place)
{
    struct parts parts;

    return split(blob, place, &parts) && open_parts(&parts, key, place, NULL);
}

struct oxv_view
oxv_blob_tag(struct oxv_view blob)
{
    if (blob.len < OXV_BLOB_EXTRA_BYTES) {
        return oxv_view(NULL, 0);
    }
    return oxv_view_from(blob, blob.len - OXV_BLOB_TAG_BYTES);
}
