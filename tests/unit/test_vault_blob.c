/* Blobs: bound to their place, every bit authenticated. */
#include "test_vault_support.h"

#include <sodium.h>

#include "vault/blob.h"

static const uint8_t vault_id[OXV_ID_BYTES] = { 1, 2, 3 };
static const uint8_t key[OXV_BLOB_KEY_BYTES] = { 9, 9, 9 };

static struct oxv_blob_place
place(void)
{
    return (struct oxv_blob_place){
        .purpose = OXV_BLOB_RECORD,
        .vault_id = vault_id,
        .root_generation = 1,
        .table = 3,
        .id = 7,
        .version = 12,
        .record = oxv_view_text("the record"),
        .bound = oxv_view_text("bound"),
    };
}

static struct oxv_view
seal(uint8_t *buffer, size_t size, const char *plain)
{
    struct oxv_writer w = oxv_writer(buffer, size);
    struct oxv_blob_place at = place();
    struct oxv_view blob = { 0 };

    oxv_blob_seal(&w, key, &at, oxv_view_text(plain));
    assert_int_equal(oxv_writer_finish(&w, &blob), OXV_OK);
    return blob;
}

static enum oxv_status
open_at(struct oxv_view blob, const struct oxv_blob_place *at)
{
    uint8_t out[64];
    struct oxv_writer w = oxv_writer(out, sizeof out);
    enum oxv_status st = oxv_blob_open(blob, key, at, &w);

    assert_int_equal(oxv_blob_is_authentic(blob, key, at), st == OXV_OK);
    assert_int_equal(w.len > 0, st == OXV_OK);
    return st;
}

static void
what_was_sealed_comes_out(void **state)
{
    uint8_t buffer[128];
    uint8_t again[128];
    uint8_t out[64];
    struct oxv_view blob = seal(buffer, sizeof buffer, "secret");
    struct oxv_view second = seal(again, sizeof again, "secret");
    struct oxv_writer w = oxv_writer(out, sizeof out);
    struct oxv_blob_place at = place();

    (void)state;
    assert_int_equal(blob.len, 6 + OXV_BLOB_EXTRA_BYTES);
    assert_memory_equal(blob.data, "OXVB\1\1\1\0\0\0\1", 11);
    assert_memory_not_equal(blob.data + 11, second.data + 11, 24); /* a fresh nonce */
    assert_memory_not_equal(blob.data + 35, second.data + 35, 6);
    assert_int_equal(oxv_blob_open(blob, key, &at, &w), OXV_OK);
    assert_int_equal(w.len, 6);
    assert_memory_equal(out, "secret", 6);
    at.root_generation = 0; /* any */
    assert_true(oxv_blob_is_authentic(blob, key, &at));
}

static void
every_flipped_bit_and_every_other_length_is_found(void **state)
{
    uint8_t buffer[128];
    struct oxv_view blob = seal(buffer, sizeof buffer, "secret");
    struct oxv_blob_place at = place();

    (void)state;
    for (size_t i = 0; i < blob.len * 8; i++) {
        buffer[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(open_at(blob, &at), OXV_E_FORGED);
        buffer[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t len = 0; len < blob.len; len++) {
        assert_int_equal(open_at(oxv_view(buffer, len), &at), OXV_E_FORGED);
    }
    assert_int_equal(open_at(oxv_view(buffer, blob.len + 1), &at), OXV_E_FORGED);
    assert_int_equal(open_at(blob, &at), OXV_OK);
}

static void
another_place_or_key_is_found(void **state)
{
    uint8_t buffer[128];
    static const uint8_t other_id[OXV_ID_BYTES] = { 1, 2, 4 };
    static const uint8_t other_key[OXV_BLOB_KEY_BYTES] = { 9, 9, 8 };
    struct oxv_view blob = seal(buffer, sizeof buffer, "secret");
    struct oxv_blob_place places[8];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        places[i] = place();
    }
    places[0].purpose = OXV_BLOB_MANIFEST;
    places[1].vault_id = other_id;
    places[2].root_generation = 2;
    places[3].table = 4;
    places[4].id = 8;
    places[5].version = 11;
    places[6].record = oxv_view_text("the recorD");
    /* The same bytes, cut elsewhere. */
    places[7].record = oxv_view_text("the recordbound");
    places[7].bound = oxv_view(NULL, 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(open_at(blob, &places[i]), OXV_E_FORGED);
    }
    places[0] = place();
    assert_false(oxv_blob_is_authentic(blob, other_key, &places[0]));
}

static void
nothing_is_decrypted_where_it_does_not_fit(void **state)
{
    uint8_t buffer[128];
    uint8_t out[5] = "abcde";
    struct oxv_view blob = seal(buffer, sizeof buffer, "secret");
    struct oxv_writer w = oxv_writer(out, sizeof out);
    struct oxv_writer narrow = oxv_writer(buffer, OXV_BLOB_EXTRA_BYTES + 5);
    struct oxv_blob_place at = place();

    (void)state;
    assert_int_equal(oxv_blob_open(blob, key, &at, &w), OXV_E_LIMIT);
    assert_memory_equal(out, "abcde", 5);
    oxv_blob_seal(&narrow, key, &at, oxv_view_text("secret"));
    assert_true(narrow.failed);
}

static void
an_empty_secret_is_authenticated_too(void **state)
{
    uint8_t buffer[128];
    struct oxv_view blob = seal(buffer, sizeof buffer, "");
    struct oxv_blob_place at = place();

    (void)state;
    assert_int_equal(blob.len, OXV_BLOB_EXTRA_BYTES);
    assert_true(oxv_blob_is_authentic(blob, key, &at));
    at.id++;
    assert_false(oxv_blob_is_authentic(blob, key, &at));
    assert_int_equal(oxv_blob_tag(blob).len, OXV_BLOB_TAG_BYTES);
    assert_int_equal(oxv_blob_tag(oxv_view(buffer, 50)).len, 0);
}

static int
group_setup(void **state)
{
    (void)state;
    setup_secrets();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_out),
        cmocka_unit_test(every_flipped_bit_and_every_other_length_is_found),
        cmocka_unit_test(another_place_or_key_is_found),
        cmocka_unit_test(nothing_is_decrypted_where_it_does_not_fit),
        cmocka_unit_test(an_empty_secret_is_authenticated_too),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
