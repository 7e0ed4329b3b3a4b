/* Boxes: what crosses a door, and every way in which one is not what was sealed. */
#include "test_vault_support.h"

#include <sodium.h>

#include "vault/box.h"

struct box_fixture {
    uint8_t public_key[OXV_BOX_KEY_BYTES];
    struct oxv_secret *private_key;
    uint8_t vault_id[OXV_ID_BYTES];
    uint8_t challenge[OXV_CHALLENGE_BYTES];
    uint8_t material[OXV_KEYFILE_BYTES];
    uint8_t box[OXV_BOX_MAX_BYTES];
    struct oxv_view sealed; /* into box */
};

static struct oxv_box
head_of(const struct box_fixture *b)
{
    return (struct oxv_box){
        .purpose = OXV_BOX_UNSEAL,
        .vault_id = oxv_view(b->vault_id, sizeof b->vault_id),
        .challenge = oxv_view(b->challenge, sizeof b->challenge),
    };
}

static enum oxv_status
seal_unseal(struct box_fixture *b)
{
    struct oxv_box head = head_of(b);
    struct oxv_box_unseal payload = {
        .seal_id = 3,
        .seal_kind = OXV_SEAL_KEYFILE,
        .material = oxv_view(b->material, sizeof b->material),
    };
    struct oxv_writer w = oxv_writer(b->box, sizeof b->box);
    enum oxv_status st =
        oxv_box_seal(&w, b->public_key, &head, &oxv_box_unseal_shape, &payload, NULL);

    return st == OXV_OK ? oxv_writer_finish(&w, &b->sealed) : st;
}

static int
setup(void **state)
{
    struct box_fixture *b = calloc(1, sizeof *b);

    assert_non_null(b);
    setup_secrets();
    randombytes_buf(b->vault_id, sizeof b->vault_id);
    randombytes_buf(b->challenge, sizeof b->challenge);
    randombytes_buf(b->material, sizeof b->material);
    assert_int_equal(oxv_box_keypair(b->public_key, &b->private_key, NULL), OXV_OK);
    assert_int_equal(seal_unseal(b), OXV_OK);
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    struct box_fixture *b = *state;

    oxv_secret_free(b->private_key);
    free(b);
    return 0;
}

/* Opens as OXV_BOX_UNSEAL; nothing is given out on failure. */
static enum oxv_status
open_box(const struct box_fixture *b, struct oxv_view box)
{
    struct oxv_secret *plain = NULL;
    struct oxv_box head = { .purpose = 99 };
    enum oxv_status st = oxv_box_open(box, b->public_key, b->private_key, OXV_BOX_UNSEAL,
                                      b->vault_id, &plain, &head, NULL);

    assert_int_equal(plain != NULL, st == OXV_OK);
    assert_int_equal(head.purpose, st == OXV_OK ? OXV_BOX_UNSEAL : 99);
    oxv_secret_free(plain);
    return st;
}

static void
what_was_sealed_comes_out(void **state)
{
    struct box_fixture *b = *state;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = NULL;
    struct oxv_box head;
    struct oxv_box_unseal payload;

    assert_int_equal(oxv_box_open(b->sealed, b->public_key, b->private_key, OXV_BOX_UNSEAL,
                                  b->vault_id, &plain, &head, NULL),
                     OXV_OK);
    assert_true(oxv_view_equals(head.challenge, oxv_view(b->challenge, sizeof b->challenge)));
    assert_int_equal(oxv_fields_decode(head.payload, &oxv_box_unseal_shape, &payload, NULL),
                     OXV_OK);
    assert_int_equal(payload.seal_id, 3);
    assert_int_equal(payload.seal_kind, OXV_SEAL_KEYFILE);
    assert_true(oxv_view_equals(payload.material, oxv_view(b->material, sizeof b->material)));
}

static void
every_flipped_bit_is_found(void **state)
{
    struct box_fixture *b = *state;

    for (size_t at = 0; at < b->sealed.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            /* X25519 ignores the top bit of a public key, here the sender's; the key of the box is
             * made from the bytes as they stand, so this is found too. */
            b->box[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(open_box(b, b->sealed), OXV_E_FORGED);
            b->box[at] ^= (uint8_t)(1u << bit);
        }
    }
    assert_int_equal(open_box(b, b->sealed), OXV_OK);
}

static void
every_other_length_is_refused(void **state)
{
    struct box_fixture *b = *state;

    for (size_t len = 0; len < b->sealed.len; len++) {
        assert_int_equal(open_box(b, oxv_view(b->box, len)), OXV_E_FORGED);
    }
    assert_int_equal(open_box(b, oxv_view(b->box, b->sealed.len + 1)), OXV_E_FORGED);
    assert_int_equal(open_box(b, oxv_view(b->box, sizeof b->box)), OXV_E_FORGED);
}

static void
another_purpose_is_denied(void **state)
{
    struct box_fixture *b = *state;
    struct oxv_secret *plain = NULL;
    struct oxv_box head;
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_box_open(b->sealed, b->public_key, b->private_key, OXV_BOX_SEAL_ADD,
                                  b->vault_id, &plain, &head, &err),
                     OXV_E_DENIED);
    assert_string_equal(err.text, "the box was sealed for another purpose");
    assert_null(plain);
}

static void
another_vault_is_denied(void **state)
{
    struct box_fixture *b = *state;

    b->vault_id[15] ^= 1;
    assert_int_equal(open_box(b, b->sealed), OXV_E_DENIED);
}

static void
another_start_of_the_service_cannot_open_it(void **state)
{
    struct box_fixture *b = *state;

    oxv_secret_freep(&b->private_key);
    assert_int_equal(oxv_box_keypair(b->public_key, &b->private_key, NULL), OXV_OK);
    assert_int_equal(open_box(b, b->sealed), OXV_E_FORGED);
}

/* Seals bytes that are no canonical record. */
static void
check_not_canonical(struct box_fixture *b, struct oxv_view plain)
{
    struct oxv_view box = oxv_view(b->box, plain.len + crypto_box_SEALBYTES);

    assert_int_equal(crypto_box_seal(b->box, plain.data, plain.len, b->public_key), 0);
    assert_int_equal(open_box(b, box), OXV_E_FORMAT);
}

static void
what_is_no_canonical_record_is_refused(void **state)
{
    struct box_fixture *b = *state;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = NULL;
    struct oxv_box head;
    uint8_t other[512];

    assert_int_equal(oxv_box_open(b->sealed, b->public_key, b->private_key, OXV_BOX_UNSEAL,
                                  b->vault_id, &plain, &head, NULL),
                     OXV_OK);
    struct oxv_view good = oxv_secret_view(plain);

    assert_true(good.len < sizeof other);
    memcpy(other, good.data, good.len);
    other[good.len] = 0;
    for (size_t len = 0; len < good.len; len++) {
        check_not_canonical(b, oxv_view(other, len));
    }
    check_not_canonical(b, oxv_view(other, good.len + 1)); /* a trailing byte */
    other[0] = 2;                                          /* a field twice, another missing */
    check_not_canonical(b, oxv_view(other, good.len));
}

static void
what_breaks_its_shape_is_not_sealed(void **state)
{
    struct box_fixture *b = *state;
    struct oxv_box head = head_of(b);
    struct oxv_box_unseal payload = { .seal_kind = OXV_SEAL_KEYFILE,
                                      .material = oxv_view(b->material, 31) };
    struct oxv_box_connection large = { .record = oxv_view(b->box, 32768),
                                        .secret = oxv_view(b->box, 12289) };
    uint8_t out[64];
    struct oxv_writer w = oxv_writer(b->box, sizeof b->box);
    struct oxv_writer narrow = oxv_writer(out, sizeof out);

    assert_int_equal(oxv_box_seal(&w, b->public_key, &head, &oxv_box_unseal_shape, &payload, NULL),
                     OXV_E_USAGE);
    payload.material.len = 32;
    assert_int_equal(oxv_box_seal(&narrow, b->public_key, &head, &oxv_box_unseal_shape, &payload,
                                  NULL),
                     OXV_E_LIMIT);
    assert_int_equal(oxv_box_seal(&w, b->public_key, &head, &oxv_box_connection_shape, &large,
                                  NULL),
                     OXV_E_USAGE);
    assert_int_equal(w.len, 0);
}

static void
the_largest_import_chunk_fits(void **state)
{
    struct box_fixture *b = *state;
    static uint8_t list[45056];
    struct oxv_writer items = oxv_writer(list, sizeof list);
    struct oxv_box head = head_of(b);
    uint8_t item[1022] = { 0 };

    while (items.max - items.len >= sizeof item + 2) {
        oxv_list_add(&items, oxv_view(item, sizeof item));
    }
    struct oxv_box_import payload = { .session = oxv_view(b->challenge, 16),
                                      .chunk = 1,
                                      .connections = oxv_view(list, items.len) };
    struct oxv_writer w = oxv_writer(b->box, sizeof b->box);

    assert_int_equal(items.len, sizeof list);
    head.purpose = OXV_BOX_CONNECTION_IMPORT;
    assert_int_equal(oxv_box_seal(&w, b->public_key, &head, &oxv_box_import_shape, &payload, NULL),
                     OXV_OK);
}

static void
vault_pub_is_written_and_read(void **state)
{
    struct box_fixture *b = *state;
    char text[160];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    uint8_t id[OXV_ID_BYTES] = { 0 };
    uint8_t key[OXV_BOX_KEY_BYTES] = { 0 };

    assert_int_equal(oxv_vault_pub_write(&w, b->vault_id, b->public_key), OXV_OK);
    assert_int_equal(w.len, 20 + 32 + 1 + 44 + 1);
    assert_memory_equal(text, "oxvault-vault-pub/1 ", 20);
    assert_int_equal(oxv_vault_pub_parse(oxv_view(text, w.len), id, key, NULL), OXV_OK);
    assert_memory_equal(id, b->vault_id, sizeof id);
    assert_memory_equal(key, b->public_key, sizeof key);
}

static void
vault_pub_has_one_spelling(void **state)
{
    struct box_fixture *b = *state;
    char text[160];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    uint8_t id[OXV_ID_BYTES] = { 7 };
    uint8_t key[OXV_BOX_KEY_BYTES] = { 7 };

    memset(b->vault_id, 0xab, sizeof b->vault_id);
    assert_int_equal(oxv_vault_pub_write(&w, b->vault_id, b->public_key), OXV_OK);
    text[w.len] = '\n';
    assert_int_equal(oxv_vault_pub_parse(oxv_view(text, w.len + 1), id, key, NULL), OXV_E_FORMAT);
    for (size_t len = 0; len < w.len; len++) {
        assert_int_equal(oxv_vault_pub_parse(oxv_view(text, len), id, key, NULL), OXV_E_FORMAT);
    }
    text[20] = 'A'; /* upper-case hex */
    assert_int_equal(oxv_vault_pub_parse(oxv_view(text, w.len), id, key, NULL), OXV_E_FORMAT);
    text[20] = 'a';
    text[52] = '\t';
    assert_int_equal(oxv_vault_pub_parse(oxv_view(text, w.len), id, key, NULL), OXV_E_FORMAT);
    text[52] = ' ';
    text[18] = '2'; /* another format */
    assert_int_equal(oxv_vault_pub_parse(oxv_view(text, w.len), id, key, NULL), OXV_E_FORMAT);
    assert_int_equal(id[0], 7);
    assert_int_equal(key[0], 7);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_was_sealed_comes_out),
        T(every_flipped_bit_is_found),
        T(every_other_length_is_refused),
        T(another_purpose_is_denied),
        T(another_vault_is_denied),
        T(another_start_of_the_service_cannot_open_it),
        T(what_is_no_canonical_record_is_refused),
        T(what_breaks_its_shape_is_not_sealed),
        T(the_largest_import_chunk_fits),
        T(vault_pub_is_written_and_read),
        T(vault_pub_has_one_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
