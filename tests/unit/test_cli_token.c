/* Tokens at the command: URIs that fit, and what is made of K0 before it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "cli/connection.h"
#include "cli/key_place.h"
#include "cli/token_uri.h"
#include "vault/rsa_key.h"
#include "vault/vault.h"

static int
set_up_memory(void **state)
{
    struct oxv_err err;

    (void)state;
    return oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, &err) == OXV_OK ? 0 : -1;
}

static bool
fits(const char *wanted, const char *known)
{
    return oxv_token_uri_fits(oxv_view_text(wanted), oxv_view_text(known));
}

static void
a_uri_fits_where_all_it_says_is_so(void **state)
{
    static const char known[] =
        "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=a1;token=my%20ci";

    (void)state;
    assert_true(fits(known, known));
    assert_true(fits("pkcs11:token=my%20ci", known));
    assert_true(fits("pkcs11:token=%6dy%20c%69", known)); /* the same, spelled otherwise */
    assert_true(fits("pkcs11:serial=a1;model=SoftHSM%20v2", known));
    assert_true(fits("pkcs11:", known));
    assert_false(fits("pkcs11:token=my%20c", known));
    assert_false(fits("pkcs11:token=my%20ci2", known));
    assert_false(fits("pkcs11:token=MY%20CI", known));
    assert_false(fits("pkcs11:token=my%20ci;serial=a2", known));
    assert_false(fits("pkcs11:slot-id=1", known));
    assert_false(fits("pkcs11:token=", known));
    assert_false(fits("pkcs11:token", known));
    assert_false(fits("pkcs11:token=my%20ci?pin-value=1", known));
    assert_false(fits("pkcs11:token=my%2", known));
    assert_false(fits(known, "pkcs11:token=my%20ci"));
}

static void
a_label_is_decoded_and_cut(void **state)
{
    char out[8];

    (void)state;
    oxv_token_uri_label(oxv_view_text("pkcs11:serial=1;token=my%20ci"), out, sizeof out);
    assert_string_equal(out, "my ci");
    oxv_token_uri_label(oxv_view_text("pkcs11:token=0123456789"), out, sizeof out);
    assert_string_equal(out, "0123456");
    oxv_token_uri_label(oxv_view_text("pkcs11:serial=1"), out, sizeof out);
    assert_string_equal(out, "");
    oxv_token_uri_label(oxv_view_text("pkcs11:token=a%00b"), out, sizeof out);
    assert_string_equal(out, "");
}

/* A pair, and the place of a key that is sealed to it. */
static EVP_PKEY *
make_place(struct oxv_key_place *place, unsigned bits, enum oxv_token_oaep oaep)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    assert_true(len > 0 && (size_t)len <= sizeof place->known.key);
    *place = (struct oxv_key_place){ .form = OXV_KEY_UNWRAP, .token = 3 };
    memset(place->key_id, 'i', OXV_TOKEN_KEY_ID_BYTES);
    place->key_id_len = OXV_TOKEN_KEY_ID_BYTES;
    place->known.oaep = oaep;
    place->known.key_len = (size_t)len;
    memcpy(place->known.key, der, (size_t)len);
    OPENSSL_free(der);
    return key;
}

/* As a token would: *out has room for the key's length. */
static size_t
open_blob(EVP_PKEY *key, enum oxv_token_oaep oaep, struct oxv_view blob, uint8_t *out)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    const EVP_MD *hash = oaep == OXV_TOKEN_OAEP_SHA1 ? EVP_sha1() : EVP_sha256();
    size_t len = 512;

    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(context, hash), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash), 1);
    if (EVP_PKEY_decrypt(context, out, &len, blob.data, blob.len) != 1) {
        len = 0;
    }
    EVP_PKEY_CTX_free(context);
    return len;
}

static void
k0_is_sealed_to_the_token_by_its_hash(void **state)
{
    static const uint8_t k0[64] = "K0 of sixty-four bytes, zero-padded";
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *room = oxv_secret_new(OXV_KEY_PARTS_ROOM_BYTES);

    (void)state;
    for (enum oxv_token_oaep oaep = OXV_TOKEN_OAEP_SHA256; oaep <= OXV_TOKEN_OAEP_SHA1; oaep++) {
        struct oxv_key_place place;
        struct oxv_key_parts parts;
        uint8_t opened[512];
        OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = make_place(&place, 2048, oaep);

        assert_int_equal(oxv_key_place_parts(&place, OXV_HMAC_SHA256, oxv_view(k0, 64), room,
                                             &parts, NULL),
                         OXV_OK);
        assert_int_equal(parts.key.len, 256);
        assert_int_equal(open_blob(key, oaep, parts.key, opened), 64);
        assert_memory_equal(opened, k0, 64);
        assert_int_not_equal(open_blob(key, 3 - oaep, parts.key, opened), 64);
    }
}

static void
the_check_value_is_the_mac_of_the_check_message(void **state)
{
    static const uint8_t k0[32] = "thirty-two bytes of K0";
    static const struct {
        uint64_t method;
        const char *hash;
    } macs[] = { { OXV_HMAC_SHA256, "SHA256" },
                 { OXV_HMAC_SHA512, "SHA512" },
                 { OXV_HMAC_SHA1, "SHA1" } };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *room = oxv_secret_new(OXV_KEY_PARTS_ROOM_BYTES);
    struct oxv_key_place place = { .form = OXV_KEY_TOKEN, .token = 3, .key_id_len = 16 };
    uint8_t message[31] = "\0oxvault kat v1";

    (void)state;
    memset(place.key_id, 'i', 16);
    memset(message + 15, 'i', 16);
    for (size_t i = 0; i < sizeof macs / sizeof macs[0]; i++) {
        uint8_t wanted[64];
        unsigned len = 0;
        struct oxv_key_parts parts;

        assert_non_null(
            HMAC(EVP_get_digestbyname(macs[i].hash), k0, 32, message, 31, wanted, &len));
        assert_int_equal(oxv_key_place_parts(&place, macs[i].method, oxv_view(k0, 32), room, &parts,
                                             NULL),
                         OXV_OK);
        assert_true(oxv_view_equals(parts.check_value, oxv_view(wanted, len)));
        assert_true(oxv_view_equals(parts.key, oxv_view(k0, 32))); /* goes to the token itself */
    }
    place.form = OXV_KEY_PRE_PROVISIONED;
    struct oxv_key_parts parts;

    assert_int_equal(oxv_key_place_parts(&place, OXV_HMAC_SHA256, oxv_view(k0, 32), room, &parts,
                                         NULL),
                     OXV_OK);
    assert_int_equal(parts.key.len, 0);
    assert_int_equal(parts.check_value.len, 32);
}

static void
what_is_no_strong_rsa_key_is_refused(void **state)
{
    static const uint8_t k0[32] = { 1 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *room = oxv_secret_new(OXV_KEY_PARTS_ROOM_BYTES);
    struct oxv_key_place place;
    struct oxv_key_parts parts = { .check_value = oxv_view(NULL, 7) };
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *weak = make_place(&place, 1024, OXV_TOKEN_OAEP_SHA256);

    (void)state;
#define PARTS() oxv_key_place_parts(&place, OXV_HMAC_SHA256, oxv_view(k0, 32), room, &parts, NULL)
    assert_non_null(weak);
    assert_int_equal(PARTS(), OXV_E_FORMAT);
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = make_place(&place, 2048, OXV_TOKEN_OAEP_SHA256);

    assert_non_null(key);
    place.known.key_len--;
    assert_int_equal(PARTS(), OXV_E_FORMAT);
    place.known.key_len += 2; /* a trailing byte */
    assert_int_equal(PARTS(), OXV_E_FORMAT);
    place.known.key_len = 0;
    assert_int_equal(PARTS(), OXV_E_FORMAT);
    assert_int_equal(parts.check_value.len, 7); /* untouched */
#undef PARTS
}

/* HMAC-SHA256 of the check message of a key id of 16 times `letter`. */
static void
make_check(const uint8_t k0[32], char letter, uint8_t out[32])
{
    uint8_t id[16];
    uint8_t message[OXV_KEY_CHECK_MESSAGE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(message, sizeof message);

    memset(id, letter, sizeof id);
    assert_true(oxv_key_check_message(&w, oxv_view(id, sizeof id)));
    assert_non_null(HMAC(EVP_sha256(), k0, 32, message, w.len, out, NULL));
}

static void
a_key_that_moves_out_of_a_token_proves_to_be_the_same(void **state)
{
    static const uint8_t k0[32] = { 1 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *room = oxv_secret_new(OXV_KEY_PARTS_ROOM_BYTES);
    struct oxv_key_place place;
    struct oxv_key_parts parts;
    uint8_t check[32];
    static const uint64_t forms[] = { OXV_KEY_IN_VAULT, OXV_KEY_UNWRAP, OXV_KEY_TOKEN,
                                      OXV_KEY_PRE_PROVISIONED };
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = make_place(&place, 2048, OXV_TOKEN_OAEP_SHA256);

    (void)state;
    assert_non_null(key);
    memset(place.old_key_id, 'o', 16);
    place.old_key_id_len = 16;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        place.form = forms[i];
        assert_int_equal(oxv_key_place_parts(&place, OXV_HMAC_SHA256, oxv_view(k0, 32), room,
                                             &parts, NULL),
                         OXV_OK);
        make_check(k0, 'o', check);
        assert_true(oxv_view_equals(parts.old_check, oxv_view(check, 32)));
        make_check(k0, 'i', check);
        assert_true(oxv_view_equals(parts.check_value,
                                    oxv_view(check, forms[i] == OXV_KEY_IN_VAULT ? 0 : 32)));
        assert_int_equal(parts.key.len, forms[i] == OXV_KEY_UNWRAP            ? 256
                                        : forms[i] == OXV_KEY_PRE_PROVISIONED ? 0
                                                                              : 32);
    }
    place.old_key_id_len = 0;
    assert_int_equal(oxv_key_place_parts(&place, OXV_HMAC_SHA256, oxv_view(k0, 32), room, &parts,
                                         NULL),
                     OXV_OK);
    assert_int_equal(parts.old_check.len, 0);
}

/* The whole way of `connection add --in-token`: fields and secrets in, the box's payload out. */
static void
a_connection_in_a_token_is_encoded_without_its_key(void **state)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *consumer = oxv_secret_copy(oxv_view_text("c"));
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *token = oxv_secret_copy(oxv_view_text("t"));
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *room = oxv_secret_new(OXV_CONNECTION_ROOM_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key_room = oxv_secret_new(8192);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *parts = oxv_secret_new(OXV_KEY_PARTS_ROOM_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *encoded = oxv_secret_new(OXV_BOX_MAX_BYTES);
    static struct oxv_connection_draft draft;
    struct oxv_key_place place;
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = make_place(&place, 2048, OXV_TOKEN_OAEP_SHA1);
    const struct oxv_connection_fields fields = {
        .name = oxv_view_text("acme"),
        .system = oxv_view_text("netsuite"),
        .account_id = oxv_view_text("1234567"),
        .consumer_key = oxv_view_text("ck"),
        .token_id = oxv_view_text("ti"),
    };
    const struct oxv_connection_keys keys = { .consumer = consumer,
                                              .token = token,
                                              .place = &place,
                                              .room = room,
                                              .key_room = key_room,
                                              .parts_room = parts };
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(encoded), OXV_BOX_MAX_BYTES);
    struct oxv_box_connection box;
    struct oxv_connection_record record;
    struct oxv_connection_secret secret;
    uint8_t opened[512];

    (void)state;
    assert_int_equal(oxv_connection_draft(&fields, &draft, NULL), OXV_OK);
    assert_int_equal(oxv_connection_encode(&draft, &keys, &w, NULL), OXV_OK);
    assert_int_equal(oxv_fields_decode(oxv_view(w.data, w.len), &oxv_box_connection_shape, &box,
                                       NULL),
                     OXV_OK);
    assert_int_equal(oxv_fields_decode(box.record, &oxv_connection_shape, &record, NULL), OXV_OK);
    assert_int_equal(oxv_fields_decode(box.secret, &oxv_connection_secret_shape, &secret, NULL),
                     OXV_OK);
    assert_int_equal(record.key_form, OXV_KEY_UNWRAP);
    assert_int_equal(record.key_token, 3);
    assert_true(oxv_view_equals(record.key_id, oxv_view(place.key_id, 16)));
    assert_int_equal(secret.consumer_secret.len + secret.token_secret.len, 0);
    assert_int_equal(secret.check_value.len, 32);
    assert_int_equal(open_blob(key, OXV_TOKEN_OAEP_SHA1, secret.key, opened), 64);
    assert_memory_equal(opened, "c&t\0\0", 5);
    /* The key is nowhere in what is sent. */
    assert_null(memmem(w.data, w.len, "c&t\0\0", 5));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_fits_where_all_it_says_is_so),
        cmocka_unit_test(a_label_is_decoded_and_cut),
        cmocka_unit_test(k0_is_sealed_to_the_token_by_its_hash),
        cmocka_unit_test(the_check_value_is_the_mac_of_the_check_message),
        cmocka_unit_test(what_is_no_strong_rsa_key_is_refused),
        cmocka_unit_test(a_key_that_moves_out_of_a_token_proves_to_be_the_same),
        cmocka_unit_test(a_connection_in_a_token_is_encoded_without_its_key),
    };

    return cmocka_run_group_tests(tests, set_up_memory, NULL);
}
