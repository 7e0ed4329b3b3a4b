/*
 * fuzz_box: the first byte picks: 0 the rest is a box, 1 the rest is sealed first (so it is what a
 * hostile command could send), 2 the rest is the text of vault.pub.
 */
#include <sodium.h>
#include <stdlib.h>

#include "vault/box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t vault_id[OXV_ID_BYTES] = "0123456789abcde";
static uint8_t public_key[OXV_BOX_KEY_BYTES];
static struct oxv_secret *private_key;

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
set_up(void)
{
    if (private_key == NULL) {
        require(oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) == OXV_OK);
        require(oxv_box_keypair(public_key, &private_key, NULL) == OXV_OK);
    }
}

static void
check_open(struct oxv_view box)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = NULL;
    struct oxv_box head = { 0 };
    struct oxv_box_unseal unseal;
    enum oxv_status st =
        oxv_box_open(box, public_key, private_key, OXV_BOX_UNSEAL, vault_id, &plain, &head, NULL);

    require((st == OXV_OK) == (plain != NULL));
    if (st == OXV_OK) {
        require(head.purpose == OXV_BOX_UNSEAL && head.challenge.len == OXV_CHALLENGE_BYTES);
        require(oxv_view_equals(head.vault_id, oxv_view(vault_id, sizeof vault_id)));
        require(oxv_fields_decode(head.payload, &oxv_box_unseal_shape, &unseal, NULL) == OXV_OK);
        require(unseal.seal_kind == OXV_SEAL_TOKEN || unseal.material.len == OXV_KEYFILE_BYTES);
    }
}

static void
check_sealed(struct oxv_view plain)
{
    static uint8_t box[OXV_BOX_MAX_BYTES];

    if (plain.len + crypto_box_SEALBYTES <= sizeof box) {
        require(crypto_box_seal(box, plain.data, plain.len, public_key) == 0);
        check_open(oxv_view(box, plain.len + crypto_box_SEALBYTES));
    }
}

static void
check_pub(struct oxv_view text)
{
    uint8_t id[OXV_ID_BYTES];
    uint8_t key[OXV_BOX_KEY_BYTES];
    static uint8_t again[OXV_VAULT_PUB_MAX_BYTES];
    static struct oxv_pub_token known;
    struct oxv_writer w = oxv_writer(again, sizeof again);
    bool good = oxv_vault_pub_parse(text, id, key, NULL) == OXV_OK;

    require(!good || oxv_vault_pub_write(&w, id, key) == OXV_OK);
    /* Rows 1 to 9 are looked up: where there are no others, all of the text is made again. */
    for (uint64_t row = 1; row < 10; row++) {
        enum oxv_status st = oxv_vault_pub_find_token(text, row, &known, NULL);
        struct oxv_token_record token = { .token_uri = oxv_view_text(known.uri),
                                          .public_key = oxv_view(known.key, known.key_len),
                                          .oaep = known.oaep };

        require(good == (st != OXV_E_FORMAT));
        require(st != OXV_OK || oxv_vault_pub_write_token(&w, row, &token) == OXV_OK);
    }
    require(!good || w.len <= text.len);
    require(!good || oxv_view_equals(oxv_view_slice(text, 0, w.len), oxv_view(again, w.len)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_reader r = oxv_reader(oxv_view(data, size));
    uint8_t which;

    set_up();
    if (!oxv_read_u8(&r, &which)) {
        return 0;
    }
    switch (which % 3) {
    case 0:
        check_open(r.left);
        break;
    case 1:
        check_sealed(r.left);
        break;
    default:
        check_pub(r.left);
        break;
    }
    return 0;
}
