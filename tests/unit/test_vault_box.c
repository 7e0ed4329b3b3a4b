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
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *plain = NULL;
    struct oxv_box head;
    struct oxv_err err = { 0 };

    oxv_secret_freep(&b->private_key);
    assert_int_equal(oxv_box_keypair(b->public_key, &b->private_key, NULL), OXV_OK);
    assert_int_equal(oxv_box_open(b->sealed, b->public_key, b->private_key, OXV_BOX_UNSEAL,
                                  b->vault_id, &plain, &head, &err),
                     OXV_E_FORGED);
    assert_non_null(strstr(err.text, "run the command again"));
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

/* Seals a payload without the checks of our own sealing side, as a hostile command could. */
static enum oxv_status
open_raw(struct box_fixture *b, enum oxv_box_purpose purpose, const struct oxv_shape *shape,
         const void *payload)
{
    static uint8_t inner[4096];
    static uint8_t outer[4096];
    struct oxv_writer inner_w = oxv_writer(inner, sizeof inner);
    struct oxv_writer outer_w = oxv_writer(outer, sizeof outer);
    struct oxv_box whole = head_of(b);
    struct oxv_secret *plain = NULL;
    struct oxv_box head;

    oxv_fields_encode(&inner_w, shape, payload);
    whole.purpose = (uint64_t)purpose;
    whole.payload = oxv_view(inner, inner_w.len);
    oxv_fields_encode(&outer_w, &oxv_box_shape, &whole);
    assert_false(inner_w.failed || outer_w.failed);
    assert_int_equal(crypto_box_seal(b->box, outer, outer_w.len, b->public_key), 0);
    enum oxv_status st =
        oxv_box_open(oxv_view(b->box, outer_w.len + crypto_box_SEALBYTES), b->public_key,
                     b->private_key, purpose, b->vault_id, &plain, &head, NULL);

    oxv_secret_free(plain);
    return st;
}

static void
material_is_as_long_as_its_kind_says(void **state)
{
    struct box_fixture *b = *state;
    struct oxv_box head = head_of(b);
    static const uint8_t bytes[256];

    for (uint64_t kind = OXV_SEAL_PASSPHRASE; kind <= OXV_SEAL_TOKEN; kind++) {
        for (size_t len = 0; len <= 255; len++) {
            struct oxv_box_unseal unseal = { .seal_kind = kind, .material = oxv_view(bytes, len) };
            struct oxv_writer w = oxv_writer(b->box, sizeof b->box);
            bool good = kind == OXV_SEAL_TOKEN || len == 32;

            assert_int_equal(open_raw(b, OXV_BOX_UNSEAL, &oxv_box_unseal_shape, &unseal),
                             good ? OXV_OK : OXV_E_FORMAT);
            assert_int_equal(oxv_box_seal(&w, b->public_key, &head, &oxv_box_unseal_shape, &unseal,
                                          NULL),
                             good ? OXV_OK : OXV_E_USAGE);
        }
    }
}

static void
a_seal_to_add_has_the_fields_of_its_kind(void **state)
{
    struct box_fixture *b = *state;
    static const uint8_t bytes[32];
    const struct oxv_box_seal_add keyfile = {
        .existing_kind = OXV_SEAL_TOKEN, /* with no PIN: the service has it */
        .kind = OXV_SEAL_KEYFILE,
        .material = oxv_view(bytes, 32),
    };
    const struct oxv_box_seal_add token = {
        .existing_kind = OXV_SEAL_KEYFILE,
        .existing_material = oxv_view(bytes, 32),
        .kind = OXV_SEAL_TOKEN,
        .material = oxv_view_text("1234"),
        .module = oxv_view_text("/m.so"),
        .uri = oxv_view_text("pkcs11:token=ci"),
        .generate = 1,
    };
    struct oxv_box_seal_add bad[9];

#define OPEN(payload) open_raw(b, OXV_BOX_SEAL_ADD, &oxv_box_seal_add_shape, (payload))
    assert_int_equal(OPEN(&keyfile), OXV_OK);
    assert_int_equal(OPEN(&token), OXV_OK);
    for (size_t i = 0; i < 5; i++) {
        bad[i] = keyfile;
    }
    for (size_t i = 5; i < 9; i++) {
        bad[i] = token;
    }
    bad[0].material.len = 31;
    bad[1].module = token.module;
    bad[2].uri = token.uri;
    bad[3].generate = 1;
    bad[4].mechanism = OXV_TOKEN_AES_GCM;
    bad[5].module.len = 0;
    bad[6].uri.len = 0;
    bad[7].existing_material.len = 31;
    bad[8].existing_kind = OXV_SEAL_PASSPHRASE;
    bad[8].existing_material.len = 4;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(OPEN(&bad[i]), OXV_E_FORMAT);
    }
#undef OPEN
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

/* vault.pub with tokens 2 and 7, and with 9, which has no pair. */
static struct oxv_view
write_pub(struct box_fixture *b, char *text, size_t text_size)
{
    struct token_fields t;
    struct oxv_writer w = oxv_writer(text, text_size);

    memset(b->vault_id, 0xab, sizeof b->vault_id);
    assert_int_equal(oxv_vault_pub_write(&w, b->vault_id, b->public_key), OXV_OK);
    fill_token(&t, "serial=1", true);
    assert_int_equal(oxv_vault_pub_write_token(&w, 2, &t.record), OXV_OK);
    t.record.oaep = OXV_TOKEN_OAEP_SHA256;
    t.public_key[0] = '7';
    assert_int_equal(oxv_vault_pub_write_token(&w, 7, &t.record), OXV_OK);
    fill_token(&t, "serial=9", false);
    assert_int_equal(oxv_vault_pub_write_token(&w, 9, &t.record), OXV_OK);
    return oxv_view(text, w.len);
}

static void
vault_pub_tells_tokens_and_their_keys(void **state)
{
    struct box_fixture *b = *state;
    char text[4096];
    struct oxv_view pub = write_pub(b, text, sizeof text);
    struct token_fields t;
    struct oxv_pub_token known = { .key_len = 77 };
    uint8_t id[OXV_ID_BYTES];
    uint8_t own[OXV_BOX_KEY_BYTES];

    fill_token(&t, "serial=1", true);
    assert_int_equal(oxv_vault_pub_parse(pub, id, own, NULL), OXV_OK);
    assert_memory_equal(own, b->public_key, sizeof own);
    assert_int_equal(oxv_vault_pub_find_token(pub, 3, &known, NULL), OXV_E_NOT_FOUND);
    assert_int_equal(known.key_len, 77);
    assert_int_equal(oxv_vault_pub_find_token(pub, 2, &known, NULL), OXV_OK);
    assert_int_equal(known.oaep, OXV_TOKEN_OAEP_SHA1);
    assert_string_equal(known.uri, "pkcs11:model=m;manufacturer=x;serial=1;token=ci");
    assert_true(oxv_view_equals(oxv_view(known.key, known.key_len), t.record.public_key));
    assert_int_equal(oxv_vault_pub_find_token(pub, 7, &known, NULL), OXV_OK);
    assert_int_equal(known.oaep, OXV_TOKEN_OAEP_SHA256);
    assert_int_equal(known.key[0], '7');
    assert_int_equal(oxv_vault_pub_find_token(pub, 9, &known, NULL), OXV_OK);
    assert_int_equal(known.key_len, 0);
    assert_string_equal(known.uri, "pkcs11:model=m;manufacturer=x;serial=9;token=ci");
}

static void
a_line_about_a_token_fits_and_has_a_uri_of_one_word(void **state)
{
    static const char *const uris[] = { "", "pkcs11:token=a b", "pkcs11:token=a\n",
                                        "pkcs11:token=\xc3\xa4", "pkcs11:token=\x7f" };
    struct token_fields t;
    char text[64];
    struct oxv_writer w = oxv_writer(text, sizeof text);

    (void)state;
    fill_token(&t, "serial=1", true);
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        t.record.token_uri = oxv_view_text(uris[i]);
        assert_int_equal(oxv_vault_pub_write_token(&w, 2, &t.record), OXV_E_USAGE);
        assert_int_equal(w.len, 0);
    }
    t.record.token_uri = oxv_view_text("pkcs11:token=a");
    assert_int_equal(oxv_vault_pub_write_token(&w, 2, &t.record), OXV_E_LIMIT);
}

static void
lines_about_tokens_have_one_spelling_and_order(void **state)
{
    struct box_fixture *b = *state;
    char text[4096];
    struct oxv_view pub = write_pub(b, text, sizeof text);
    size_t first = oxv_view_find(pub, '\n') + 1;
    size_t second = first + oxv_view_find(oxv_view_from(pub, first), '\n') + 1;
    size_t third = second + oxv_view_find(oxv_view_from(pub, second), '\n') + 1;
    size_t oaep = oxv_view_find(oxv_view_from(pub, first + 8), ' ') + 9; /* in its line */
    uint8_t id[OXV_ID_BYTES];
    uint8_t key[OXV_BOX_KEY_BYTES];
    const struct {
        size_t at; /* in a line about a token */
        char now;
    } changed[] = {
        { 0, 'T' },        { 5, '\t' },       { 6, '0' },         { 6, 'x' },
        { 7, '\n' },       { 8, ' ' },        { 9, '\x7f' },      { oaep, 'p' },
        { oaep + 8, '3' }, { oaep + 9, '=' }, { oaep + 22, '*' }, { oaep + 22, '=' },
    };

    assert_int_equal(oxv_vault_pub_parse(pub, id, key, NULL), OXV_OK);
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        char was = text[first + changed[i].at];

        text[first + changed[i].at] = changed[i].now;
        assert_int_equal(oxv_vault_pub_parse(pub, id, key, NULL), OXV_E_FORMAT);
        text[first + changed[i].at] = was;
    }
    for (size_t len = 0; len < pub.len; len++) {
        bool whole_lines = len == first || len == second || len == third;

        assert_int_equal(oxv_vault_pub_parse(oxv_view(text, len), id, key, NULL),
                         whole_lines ? OXV_OK : OXV_E_FORMAT);
    }
    text[first + 6] = '7'; /* twice the same row */
    assert_int_equal(oxv_vault_pub_parse(pub, id, key, NULL), OXV_E_FORMAT);
    text[first + 6] = '8'; /* not ascending */
    assert_int_equal(oxv_vault_pub_parse(pub, id, key, NULL), OXV_E_FORMAT);
    text[first + 6] = '1';
    assert_int_equal(oxv_vault_pub_parse(pub, id, key, NULL), OXV_OK);
    text[pub.len - 2] = '='; /* "none -" */
    assert_int_equal(oxv_vault_pub_parse(pub, id, key, NULL), OXV_E_FORMAT);
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
        T(material_is_as_long_as_its_kind_says),
        T(a_seal_to_add_has_the_fields_of_its_kind),
        T(the_largest_import_chunk_fits),
        T(vault_pub_is_written_and_read),
        T(vault_pub_has_one_spelling),
        T(vault_pub_tells_tokens_and_their_keys),
        T(a_line_about_a_token_fits_and_has_a_uri_of_one_word),
        T(lines_about_tokens_have_one_spelling_and_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
