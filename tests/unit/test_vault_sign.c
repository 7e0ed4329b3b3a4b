/* Signatures with keys that are opened for one use, K0, RSA keys, and what stays in memory. */
#include "test_vault_support.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <sys/wait.h>

#include "vault/k0.h"
#include "vault/rsa_key.h"

#define SECRET_A "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5"
#define SECRET_B "c29a677df7d5439a458c063654187e3d678d73aca8e3c9d8bea1478a3eb0d295"

static struct oxv_secret *
secret_text(const char *text)
{
    struct oxv_secret *s = oxv_secret_copy(oxv_view_text(text));

    assert_non_null(s);
    return s;
}

/* A generic connection with a given method and key. */
static enum oxv_status
add_with_key(struct vault_fixture *f, const char *name, uint64_t method, struct oxv_view key,
             struct oxv_err *err)
{
    struct netsuite_connection c;
    struct oxv_change *change = begin_change(f);
    uint64_t id = 0;

    fill_connection(&c, name);
    c.record.system = OXV_SYSTEM_OAUTH1;
    c.record.account_id = oxv_view(NULL, 0);
    c.record.signature_method = method;
    c.secret.key = key;
    enum oxv_status st =
        oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, err);

    if (st == OXV_OK) {
        finish_change(&change);
    }
    oxv_change_free(change);
    return st;
}

static size_t
sign(struct vault_fixture *f, const char *name, struct oxv_view message, uint8_t *out)
{
    struct oxv_connection *c = oxv_vault_connection(f->vault, oxv_view_text(name));
    size_t len = 0;

    assert_non_null(c);
    assert_int_equal(oxv_vault_sign(f->vault, c, message, out, &len, NULL), OXV_OK);
    return len;
}

static void
netsuites_own_example_is_signed_as_printed(void **state)
{
    static const char base[] =
        "GET&https%3A%2F%2F123456.suitetalk.api.netsuite.com%2Fservices%2Frest%2Frecord%2Fv1%2F"
        "employee%2F40&oauth_consumer_key%3Def40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c2"
        "0aae6b67e4%26oauth_nonce%3DfjaLirsIcCGVZWzBX0pg%26oauth_signature_method%3DHMAC-SHA256%26"
        "oauth_timestamp%3D1508242306%26oauth_token%3D2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c"
        "5afb799b73d87569f5cc%26oauth_version%3D1.0";
    struct vault_fixture *f = *state;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *consumer = secret_text(SECRET_A);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *token = secret_text(SECRET_B);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *k0 = NULL;
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    char text[64] = { 0 };
    struct oxv_writer w = oxv_writer(text, sizeof text);

    assert_int_equal(oxv_k0_make(OXV_HMAC_SHA256, consumer, token, &k0, NULL), OXV_OK);
    assert_int_equal(oxv_secret_len(k0), 32);
    assert_int_equal(add_with_key(f, "acme", OXV_HMAC_SHA256, oxv_secret_view(k0), NULL), OXV_OK);
    oxv_write_base64(&w, oxv_view(signature, sign(f, "acme", oxv_view_text(base), signature)));
    assert_string_equal(text, "B5OIWznZ2YP0OB7VrJrGkYsTh+8H+5T9Hag+o92q0zY=");
}

static const EVP_MD *
hash_of(enum oxv_signature_method method)
{
    return method == OXV_HMAC_SHA256   ? EVP_sha256()
           : method == OXV_HMAC_SHA512 ? EVP_sha512()
                                       : EVP_sha1();
}

static void
k0_signs_as_the_whole_key_for_every_length(void **state)
{
    static const enum oxv_signature_method methods[] = { OXV_HMAC_SHA256, OXV_HMAC_SHA512,
                                                         OXV_HMAC_SHA1 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *empty = oxv_secret_new(0);

    (void)state;
    for (size_t m = 0; m < 3; m++) {
        size_t block = methods[m] == OXV_HMAC_SHA512 ? 128 : 64;

        for (size_t len = 1; len <= 200; len++) {
            uint8_t key[200];
            OXV_AUTO(oxv_secret_freep) struct oxv_secret *consumer = oxv_secret_new(len - 1);
            OXV_AUTO(oxv_secret_freep) struct oxv_secret *k0 = NULL;
            uint8_t whole[64];
            uint8_t folded[64];
            unsigned whole_len = 0;
            unsigned folded_len = 0;

            memset(key, 'a' + (int)(len % 26), sizeof key);
            if (len > 1) {
                memcpy(oxv_secret_bytes(consumer), key, len - 1);
            }
            key[len - 1] = '&';
            assert_int_equal(oxv_k0_make(methods[m], consumer, empty, &k0, NULL), OXV_OK);
            struct oxv_view folded_key = oxv_secret_view(k0);

            assert_int_equal(folded_key.len, len > block ? block / 2 : block);
            assert_non_null(HMAC(hash_of(methods[m]), key, (int)len, (const uint8_t *)"message", 7,
                                 whole, &whole_len));
            assert_non_null(HMAC(hash_of(methods[m]), folded_key.data, (int)folded_key.len,
                                 (const uint8_t *)"message", 7, folded, &folded_len));
            assert_int_equal(whole_len, folded_len);
            assert_memory_equal(whole, folded, whole_len);
        }
    }
}

static void
k0_escapes_the_secrets_and_is_none_of_rsa(void **state)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *consumer = secret_text("a b");
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *token = secret_text("&");
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *k0 = NULL;

    (void)state;
    assert_int_equal(oxv_k0_make(OXV_RSA_SHA256, consumer, token, &k0, NULL), OXV_E_USAGE);
    assert_null(k0);
    assert_int_equal(oxv_k0_make(OXV_HMAC_SHA256, consumer, token, &k0, NULL), OXV_OK);
    assert_memory_equal(oxv_secret_view(k0).data, "a%20b&%26\0\0\0", 12);
}

static bool
is_zero_from(const struct oxv_secret *secret, size_t from)
{
    struct oxv_view view = oxv_secret_view(secret);

    for (size_t i = from; i < view.len; i++) {
        if (view.data[i] != 0) {
            return false;
        }
    }
    return true;
}

static void
many_keys_are_made_in_one_room_and_no_text_stays(void **state)
{
    static const enum oxv_signature_method methods[] = { OXV_HMAC_SHA512, OXV_HMAC_SHA1,
                                                         OXV_HMAC_SHA256 };
    static const size_t lengths[] = { 1000, 1, 0, 63, 64, 65, 31, 128, 1024 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *room = oxv_secret_new(OXV_K0_ROOM_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *small = oxv_secret_new(63);
    struct oxv_view key;

    (void)state;
    for (size_t i = 0; i < 3 * sizeof lengths / sizeof lengths[0]; i++) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *consumer = oxv_secret_random(lengths[i / 3]);
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *token = oxv_secret_random(lengths[i / 3]);
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *alone = NULL;
        enum oxv_signature_method method = methods[i % 3];

        assert_int_equal(oxv_k0_make(method, consumer, token, &alone, NULL), OXV_OK);
        assert_int_equal(oxv_k0_make_in(method, consumer, token, room, &key), OXV_OK);
        assert_true(oxv_secret_equals(alone, key));
        assert_ptr_equal(key.data, oxv_secret_bytes(room));
        assert_true(is_zero_from(room, key.len));
        key = oxv_view("x", 1);
        assert_int_equal(oxv_k0_make_in(method, consumer, token, small, &key), OXV_E_LIMIT);
        assert_true(is_zero_from(small, 0));
        assert_int_equal(oxv_k0_make_in(OXV_RSA_SHA256, consumer, token, room, &key), OXV_E_USAGE);
        assert_int_equal(key.len, 1); /* untouched */
    }
}

static void
every_hmac_method_signs_as_openssl_does(void **state)
{
    struct vault_fixture *f = *state;
    static const struct {
        const char *name;
        enum oxv_signature_method method;
        size_t key_len;
    } cases[] = {
        { "sha256-32", OXV_HMAC_SHA256, 32 }, { "sha256-64", OXV_HMAC_SHA256, 64 },
        { "sha512-64", OXV_HMAC_SHA512, 64 }, { "sha512-128", OXV_HMAC_SHA512, 128 },
        { "sha1-32", OXV_HMAC_SHA1, 32 },     { "sha1-64", OXV_HMAC_SHA1, 64 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key[128];

        memset(key, (int)i + 1, sizeof key);
        assert_int_equal(add_with_key(f, cases[i].name, cases[i].method,
                                      oxv_view(key, cases[i].key_len), NULL),
                         OXV_OK);
    }
    for (size_t round = 0; round < 2; round++) { /* a context used before gives the same */
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            uint8_t key[128];
            uint8_t wanted[64];
            uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
            unsigned wanted_len = 0;

            memset(key, (int)i + 1, sizeof key);
            assert_non_null(HMAC(hash_of(cases[i].method), key, (int)cases[i].key_len,
                                 (const uint8_t *)"text", 4, wanted, &wanted_len));
            assert_int_equal(sign(f, cases[i].name, oxv_view_text("text"), signature), wanted_len);
            assert_memory_equal(signature, wanted, wanted_len);
        }
    }
}

static void
keys_of_other_lengths_are_refused(void **state)
{
    struct vault_fixture *f = *state;
    uint8_t key[256] = { 0 };

    for (size_t len = 1; len <= sizeof key; len++) {
        bool fits = len == 64 || len == 128;
        struct oxv_err err = { 0 };
        char name[16];

        assert_int_equal(oxv_format(name, sizeof name, "k%zu", len), OXV_OK);
        assert_int_equal(add_with_key(f, name, OXV_HMAC_SHA512, oxv_view(key, len), &err),
                         fits ? OXV_OK : OXV_E_USAGE);
    }
}

static void
url_hash_is_an_hmac_that_needs_the_vault(void **state)
{
    struct vault_fixture *f = *state;
    char first[65];
    char second[65];

    assert_int_equal(oxv_vault_url_hash(f->vault, oxv_view_text("https://h/a"), first), OXV_OK);
    assert_int_equal(oxv_vault_url_hash(f->vault, oxv_view_text("https://h/b"), second), OXV_OK);
    assert_int_equal(strlen(first), 64);
    assert_string_not_equal(first, second);
    reopen_vault(f);
    assert_int_equal(oxv_vault_url_hash(f->vault, oxv_view_text("https://h/a"), second), OXV_OK);
    assert_string_equal(first, second);
}

/* PKCS#8 DER of a fresh key; the caller frees it. */
static struct oxv_view
fresh_rsa(unsigned bits, EVP_PKEY **key)
{
    uint8_t *der = NULL;

    *key = EVP_RSA_gen(bits);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(*key);
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

    assert_true(len > 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    return oxv_view(der, (size_t)len);
}

static void
free_der(struct oxv_view *der)
{
    union {
        const uint8_t *from;
        void *to;
    } pointer = { .from = der->data };

    OPENSSL_free(pointer.to);
}

static void
check_verifies(EVP_PKEY *key, const EVP_MD *hash, const uint8_t *signature, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, hash, NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(ctx, signature, len, (const uint8_t *)"text", 4), 1);
    EVP_MD_CTX_free(ctx);
}

static void
rsa_signatures_verify_with_the_public_key(void **state)
{
    struct vault_fixture *f = *state;
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    OXV_AUTO(free_der) struct oxv_view der = fresh_rsa(2048, &key);
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];

    assert_int_equal(add_with_key(f, "r1", OXV_RSA_SHA1, der, NULL), OXV_OK);
    assert_int_equal(add_with_key(f, "r256", OXV_RSA_SHA256, der, NULL), OXV_OK);
    assert_int_equal(add_with_key(f, "r512", OXV_RSA_SHA512, der, NULL), OXV_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(sign(f, "r1", oxv_view_text("text"), signature), 256);
        check_verifies(key, EVP_sha1(), signature, 256);
        assert_int_equal(sign(f, "r256", oxv_view_text("text"), signature), 256);
        check_verifies(key, EVP_sha256(), signature, 256);
        assert_int_equal(sign(f, "r512", oxv_view_text("text"), signature), 256);
        check_verifies(key, EVP_sha512(), signature, 256);
    }
}

static void
rsa_keys_that_are_too_short_or_too_long_are_refused(void **state)
{
    static const struct {
        unsigned bits;
        const char *text; /* NULL: taken */
    } cases[] = {
        { 1024, "key: RSA with 1024 bits; 2048 to 4096 are taken" },
        { 2040, "key: RSA with 2040 bits; 2048 to 4096 are taken" },
        { 2048, NULL },
        { 4096, NULL },
        { 4104, "key: RSA with 4104 bits; 2048 to 4096 are taken" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
        OXV_AUTO(free_der) struct oxv_view der = fresh_rsa(cases[i].bits, &key);
        struct oxv_err err = { 0 };
        enum oxv_status st = oxv_rsa_key_check(der, &err);

        assert_int_equal(st, cases[i].text == NULL ? OXV_OK : OXV_E_USAGE);
        assert_string_equal(err.text, cases[i].text == NULL ? "" : cases[i].text);
    }
}

static void
every_truncation_and_trailing_byte_of_an_rsa_key_is_refused(void **state)
{
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    OXV_AUTO(free_der) struct oxv_view der = fresh_rsa(2048, &key);
    uint8_t longer[4096];
    EVP_PKEY *untouched = NULL;

    (void)state;
    for (size_t len = 0; len < der.len; len++) {
        uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that ASan sees an overrun */

        assert_non_null(exact);
        memcpy(exact, der.data, len);
        assert_int_equal(oxv_rsa_key_load(oxv_view(exact, len), &untouched, NULL), OXV_E_USAGE);
        free(exact);
    }
    memcpy(longer, der.data, der.len);
    longer[der.len] = 0;
    assert_int_equal(oxv_rsa_key_load(oxv_view(longer, der.len + 1), &untouched, NULL),
                     OXV_E_USAGE);
    assert_null(untouched);
}

static void
rsa_keys_with_a_flipped_bit_are_refused_at_import(void **state)
{
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    OXV_AUTO(free_der) struct oxv_view der = fresh_rsa(2048, &key);
    uint8_t flipped[4096];
    size_t accepted = 0;

    (void)state;
    memcpy(flipped, der.data, der.len);
    for (size_t at = 0; at < der.len; at += 61) {
        flipped[at] ^= 0x40;
        accepted += oxv_rsa_key_check(oxv_view(flipped, der.len), NULL) == OXV_OK ? 1 : 0;
        flipped[at] ^= 0x40;
    }
    /* Where p, q or a CRT exponent is off, OpenSSL finds that the result is wrong and computes it
     * from d alone; where d is off, the CRT parts are right. Such a key signs properly. */
    assert_int_equal(oxv_rsa_key_check(oxv_view(flipped, der.len), NULL), OXV_OK);
    assert_true(accepted < der.len / 61);
}

static void
what_is_no_rsa_key_is_told_apart(void **state)
{
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *rsa = EVP_RSA_gen(2048);
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *ec = EVP_EC_gen("P-256");
    uint8_t *pkcs1 = NULL;
    uint8_t *other = NULL;
    uint8_t *encrypted = NULL;
    int pkcs1_len = i2d_PrivateKey(rsa, &pkcs1);
    PKCS8_PRIV_KEY_INFO *ec_info = EVP_PKEY2PKCS8(ec);
    int other_len = i2d_PKCS8_PRIV_KEY_INFO(ec_info, &other);
    X509_SIG *sig = PKCS8_encrypt(-1, EVP_aes_256_cbc(), "p", 1, NULL, 0, 1000, ec_info);
    int encrypted_len = i2d_X509_SIG(sig, &encrypted);
    struct oxv_err err = { 0 };

    (void)state;
    assert_int_equal(oxv_rsa_key_check(oxv_view(pkcs1, (size_t)pkcs1_len), &err), OXV_E_USAGE);
    assert_contains(err.text, "PKCS#1; convert it");
    assert_int_equal(oxv_rsa_key_check(oxv_view(other, (size_t)other_len), &err), OXV_E_USAGE);
    assert_contains(err.text, "not for RSA");
    assert_int_equal(oxv_rsa_key_check(oxv_view(encrypted, (size_t)encrypted_len), &err),
                     OXV_E_USAGE);
    assert_contains(err.text, "an encrypted key");
    assert_int_equal(oxv_rsa_key_check(oxv_view_text("-----BEGIN PRIVATE KEY-----"), &err),
                     OXV_E_USAGE);
    assert_contains(err.text, "PEM text");
    assert_int_equal(oxv_rsa_key_check(oxv_view(NULL, 0), &err), OXV_E_USAGE);
    OPENSSL_free(pkcs1);
    OPENSSL_free(other);
    OPENSSL_free(encrypted);
    X509_SIG_free(sig);
    PKCS8_PRIV_KEY_INFO_free(ec_info);
}

/*
 * The memory of this process, all that can be read, is searched for a needle. The needle is kept
 * inverted, so that it does not find itself.
 */
#define NEEDLE_BYTES 24u
#define REGION_MAX   (UINT64_C(1) << 30) /* ASan's shadow is larger, and holds no bytes of ours */

static bool
needle_is_at(const uint8_t *bytes, const uint8_t inverted[NEEDLE_BYTES])
{
    size_t same = 0;

    while (same < NEEDLE_BYTES && (bytes[same] ^ inverted[same]) == 0xff) {
        same++;
    }
    return same == NEEDLE_BYTES;
}

static bool
chunk_has(const uint8_t *chunk, size_t len, const uint8_t inverted[NEEDLE_BYTES])
{
    const int first = inverted[0] ^ 0xff;
    const uint8_t *end = chunk + len;
    const uint8_t *at = memchr(chunk, first, len);

    while (at != NULL && (size_t)(end - at) >= NEEDLE_BYTES) {
        if (needle_is_at(at, inverted)) {
            return true;
        }
        at = memchr(at + 1, first, (size_t)(end - at) - 1);
    }
    return false;
}

static bool
region_has(int memory, uint64_t begin, uint64_t end, const uint8_t inverted[NEEDLE_BYTES])
{
    static uint8_t chunk[1 << 16]; /* overlaps with the next by what a needle needs */
    bool found = false;

    for (uint64_t at = begin; at < end && !found; at += sizeof chunk - NEEDLE_BYTES) {
        size_t len = end - at < sizeof chunk ? (size_t)(end - at) : sizeof chunk;
        ssize_t got = pread(memory, chunk, len, (off_t)at);

        found = got > 0 && chunk_has(chunk, (size_t)got, inverted);
    }
    sodium_memzero(chunk, sizeof chunk);
    return found;
}

static bool
memory_has(const uint8_t inverted[NEEDLE_BYTES])
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512];
    bool found = false;

    assert_non_null(maps);
    assert_true(memory >= 0);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        char *rest = NULL;
        uint64_t begin = strtoull(line, &rest, 16);
        uint64_t end = strtoull(rest + 1, &rest, 16);

        if (rest[1] == 'r' && rest[2] == 'w' && end - begin < REGION_MAX) {
            found = region_has(memory, begin, end, inverted);
        }
    }
    (void)fclose(maps);
    (void)close(memory);
    return found;
}

static void
invert(const uint8_t *bytes, uint8_t inverted[NEEDLE_BYTES])
{
    for (size_t i = 0; i < NEEDLE_BYTES; i++) {
        inverted[i] = (uint8_t)~bytes[i];
    }
}

static void
check_forgotten(const uint8_t inverted[NEEDLE_BYTES])
{
    uint8_t masked[NEEDLE_BYTES];

    assert_false(memory_has(inverted));
    /* As HMAC's inner and outer key (RFC 2104). */
    for (size_t i = 0; i < NEEDLE_BYTES; i++) {
        masked[i] = inverted[i] ^ 0x36;
    }
    assert_false(memory_has(masked));
    for (size_t i = 0; i < NEEDLE_BYTES; i++) {
        masked[i] = inverted[i] ^ 0x5c;
    }
    assert_false(memory_has(masked));
}

static void
the_search_finds_a_planted_needle(void **state)
{
    uint8_t *planted = malloc(NEEDLE_BYTES);
    uint8_t inverted[NEEDLE_BYTES];

    (void)state;
    assert_non_null(planted);
    randombytes_buf(planted, NEEDLE_BYTES);
    invert(planted, inverted);
    assert_true(memory_has(inverted));
    sodium_memzero(planted, NEEDLE_BYTES);
    assert_false(memory_has(inverted));
    free(planted);
}

static void
no_hmac_key_stays_in_memory_after_import_and_use(void **state)
{
    struct vault_fixture *f = *state;
    uint8_t inverted[NEEDLE_BYTES];
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    struct oxv_secret *key = oxv_secret_random(32);

    invert(oxv_secret_view(key).data, inverted);
    assert_int_equal(add_with_key(f, "acme", OXV_HMAC_SHA256, oxv_secret_view(key), NULL), OXV_OK);
    assert_true(memory_has(inverted)); /* it is in `key` */
    oxv_secret_freep(&key);
    check_forgotten(inverted);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sign(f, "acme", oxv_view_text("m"), signature), 32);
        check_forgotten(inverted);
    }
    reopen_vault(f);
    assert_int_equal(sign(f, "acme", oxv_view_text("m"), signature), 32);
    check_forgotten(inverted);
}

static void
no_root_key_or_key_file_stays_in_memory_after_unseal(void **state)
{
    struct vault_fixture *f = *state;
    uint8_t inverted[NEEDLE_BYTES];
    struct oxv_err err = { 0 };

    oxv_vault_lock(f->vault);
    invert(oxv_secret_view(f->keyfile).data, inverted);
    assert_int_equal(unseal_vault(f, &err), OXV_OK);
    oxv_secret_freep(&f->keyfile);
    check_forgotten(inverted);
}

/* The child that imports and uses an RSA key: its DER comes on fd, the needle's inverse in hex. */
static int
rsa_child(const char *fd_text, const char *hex)
{
    struct vault_fixture *f = NULL;
    uint8_t inverted[NEEDLE_BYTES];
    uint8_t reversed[NEEDLE_BYTES]; /* as OpenSSL's numbers lie in memory */
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    struct oxv_secret *der = NULL;

    (void)vault_setup((void **)&f);
    if (!oxv_parse_hex(oxv_view_text(hex), inverted, sizeof inverted) ||
        oxv_read_secret_fd((int)strtol(fd_text, NULL, 10), 8192, false, &der, NULL) != OXV_OK) {
        return 2;
    }
    for (size_t i = 0; i < NEEDLE_BYTES; i++) {
        reversed[i] = inverted[NEEDLE_BYTES - 1 - i];
    }
    if (!memory_has(inverted) ||
        add_with_key(f, "r", OXV_RSA_SHA256, oxv_secret_view(der), NULL) != OXV_OK) {
        return 3;
    }
    oxv_secret_freep(&der);
    if (sign(f, "r", oxv_view_text("m"), signature) == 0) {
        return 4;
    }
    int result = memory_has(inverted) ? 5 : memory_has(reversed) ? 6 : 0;

    (void)vault_teardown((void **)&f);
    return result;
}

static void
no_rsa_key_stays_in_memory_after_import_and_use(void **state)
{
    OXV_AUTO(oxv_pkey_freep) EVP_PKEY *key = NULL;
    OXV_AUTO(free_der) struct oxv_view der = fresh_rsa(2048, &key);
    /* d begins behind version, algorithm, n and e: 26 + 7 + 4 + 257 + 5 bytes, and its own head;
     * 64 bytes further on is the middle of it. */
    uint8_t inverted[NEEDLE_BYTES];
    char hex[2 * NEEDLE_BYTES + 1] = { 0 };
    struct oxv_writer w = oxv_writer(hex, sizeof hex);
    int ends[2];
    char fd_text[16];

    (void)state;
    assert_true(der.len > 1000);
    invert(oxv_view_from(der, 26 + 7 + 4 + 257 + 5 + 4 + 64).data, inverted);
    oxv_write_hex(&w, oxv_view(inverted, sizeof inverted));
    assert_int_equal(pipe(ends), 0); /* the child inherits it */
    assert_int_equal(oxv_write_all(ends[1], der), OXV_OK);
    (void)close(ends[1]);
    assert_int_equal(oxv_format(fd_text, sizeof fd_text, "%d", ends[0]), OXV_OK);
    pid_t child = fork();

    if (child == 0) {
        (void)execl("/proc/self/exe", "test_vault_sign", fd_text, hex, (char *)NULL);
        _exit(9);
    }
    int status = -1;

    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int
main(int argc, char **argv)
{
#define T(test) cmocka_unit_test_setup_teardown(test, vault_setup, vault_teardown)
    const struct CMUnitTest tests[] = {
        T(netsuites_own_example_is_signed_as_printed),
        T(k0_signs_as_the_whole_key_for_every_length),
        T(k0_escapes_the_secrets_and_is_none_of_rsa),
        T(many_keys_are_made_in_one_room_and_no_text_stays),
        T(every_hmac_method_signs_as_openssl_does),
        T(keys_of_other_lengths_are_refused),
        T(url_hash_is_an_hmac_that_needs_the_vault),
        T(rsa_signatures_verify_with_the_public_key),
        T(rsa_keys_that_are_too_short_or_too_long_are_refused),
        T(every_truncation_and_trailing_byte_of_an_rsa_key_is_refused),
        T(rsa_keys_with_a_flipped_bit_are_refused_at_import),
        T(what_is_no_rsa_key_is_told_apart),
        T(the_search_finds_a_planted_needle),
        T(no_hmac_key_stays_in_memory_after_import_and_use),
        T(no_root_key_or_key_file_stays_in_memory_after_unseal),
        T(no_rsa_key_stays_in_memory_after_import_and_use),
    };

    if (argc == 3) {
        return rsa_child(argv[1], argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
