#include "signer/netsuite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <openssl/hmac.h>

#include "base/text.h"
#include "signer/hmac_key.h"
#include "signer/method.h"
#include "signer/token_passport.h"
#include "signer/url.h"

static int
set_up_secrets(void **state)
{
    (void)state;
    struct oxv_err err;

    return oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, &err) != OXV_OK;
}

static void
assert_text(struct oxv_view view, const char *wanted)
{
    if (!oxv_view_is(view, wanted)) {
        fail_msg("\nwas    %.*s\nwanted %s", (int)view.len, (const char *)view.data, wanted);
    }
}

static void
assert_account(const char *text, const char *realm, const char *host)
{
    struct oxv_account account;

    assert_int_equal(oxv_account_parse(oxv_view_text(text), &account, NULL), OXV_OK);
    assert_string_equal(account.realm, realm);
    assert_string_equal(account.host, host);
}

static void
both_forms_come_from_either(void **state)
{
    (void)state;
    assert_account("1234567", "1234567", "1234567");
    assert_account("1234567_SB1", "1234567_SB1", "1234567-sb1");
    assert_account("1234567-sb1", "1234567_SB1", "1234567-sb1");
    assert_account("1234567_sb1", "1234567_SB1", "1234567-sb1");
    assert_account("tstdrv1234567", "TSTDRV1234567", "tstdrv1234567");
    assert_account("a", "A", "a");
    assert_account("12345678901234567890123456789012", "12345678901234567890123456789012",
                   "12345678901234567890123456789012");
}

static void
anything_else_is_no_account_id(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
        enum oxv_status status;
    } refused[] = {
        { "", 0, OXV_E_FORMAT },           { "_SB1", 0, OXV_E_FORMAT },
        { "1234567_", 7, OXV_E_FORMAT },   { "-", 0, OXV_E_FORMAT },
        { "123_SB1_2", 7, OXV_E_FORMAT },  { "123__1", 4, OXV_E_FORMAT },
        { "1_-2", 2, OXV_E_FORMAT },       { "123.evil.example/", 3, OXV_E_FORMAT },
        { "123@evil", 3, OXV_E_FORMAT },   { "123 ", 3, OXV_E_FORMAT },
        { "12\xc3\xa9", 2, OXV_E_FORMAT }, { "123456789012345678901234567890123", 32, OXV_E_LIMIT },
    };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct oxv_account account = { .realm = "kept" };
        struct oxv_syntax_error where = { 0 };

        assert_int_equal(oxv_account_parse(oxv_view_text(refused[i].text), &account, &where),
                         refused[i].status);
        assert_int_equal(where.offset, refused[i].offset);
        assert_string_equal(account.realm, "kept");
    }
    struct oxv_account account;

    assert_int_equal(oxv_account_parse(oxv_view("12\0", 3), &account, NULL), OXV_E_FORMAT);
}

static void
three_origins_are_derived_and_in_normal_form(void **state)
{
    (void)state;
    static const char *const wanted[OXV_ACCOUNT_ORIGINS] = {
        "https://1234567-sb1.suitetalk.api.netsuite.com",
        "https://1234567-sb1.restlets.api.netsuite.com", "https://1234567-sb1.app.netsuite.com"
    };
    struct oxv_account account;

    assert_int_equal(oxv_account_parse(oxv_view_text("1234567_SB1"), &account, NULL), OXV_OK);
    for (size_t n = 0; n < OXV_ACCOUNT_ORIGINS; n++) {
        uint8_t buffer[OXV_ACCOUNT_ORIGIN_MAX_BYTES];
        uint8_t normal[OXV_URL_ORIGIN_MAX_BYTES];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        struct oxv_writer again = oxv_writer(normal, sizeof normal);
        struct oxv_view origin;

        oxv_account_write_origin(&w, &account, n);
        assert_int_equal(oxv_writer_finish(&w, &origin), OXV_OK);
        assert_text(origin, wanted[n]);
        assert_int_equal(oxv_origin_normalise(origin, &again, NULL), OXV_OK);
        assert_text(oxv_view(normal, again.len), wanted[n]);
    }
}

static void
the_longest_account_fits_its_origin(void **state)
{
    (void)state;
    struct oxv_account account;
    uint8_t buffer[OXV_ACCOUNT_ORIGIN_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    assert_int_equal(oxv_account_parse(oxv_view_text("12345678901234567890123456789012"), &account,
                                       NULL),
                     OXV_OK);
    oxv_account_write_origin(&w, &account, 0);
    assert_false(w.failed);
    assert_int_equal(w.len, sizeof buffer);
}

static cJSON *
read_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    (void)fclose(file);
    cJSON *json = cJSON_Parse(text);

    free(text);
    assert_non_null(json);
    return json;
}

static const char *
text_at(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    assert_non_null(text);
    return text;
}

static struct oxv_token_passport
passport_of(const cJSON *vector)
{
    return (struct oxv_token_passport){
        .account = oxv_view_text(text_at(vector, "account")),
        .consumer_key = oxv_view_text(text_at(vector, "consumer_key")),
        .token = oxv_view_text(text_at(vector, "token")),
        .nonce = oxv_view_text(text_at(vector, "nonce")),
        .timestamp = strtoull(text_at(vector, "timestamp"), NULL, 10),
    };
}

static struct oxv_view
sign_vector(const cJSON *vector, struct oxv_view base, uint8_t *mac)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = NULL;
    unsigned len;

    assert_int_equal(oxv_hmac_key_text(oxv_view_text(text_at(vector, "consumer_secret")),
                                       oxv_view_text(text_at(vector, "token_secret")), &key),
                     OXV_OK);
    assert_non_null(HMAC(EVP_sha256(), oxv_secret_view(key).data, (int)oxv_secret_len(key),
                         base.data, base.len, mac, &len));
    return oxv_view(mac, len);
}

static void
check_connect_password(const struct oxv_token_passport *passport, struct oxv_view signature)
{
    cJSON *vectors = read_json("tests/vectors/connect_password.json");
    const cJSON *vector = cJSON_GetArrayItem(vectors, 0);
    uint8_t buffer[512];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    assert_int_equal(cJSON_GetArraySize(vectors), 1);
    oxv_connect_password_write(&w, passport, signature);
    assert_false(w.failed);
    assert_text(oxv_view(buffer, w.len), text_at(vector, "password"));
    assert_string_equal(OXV_CONNECT_USER, text_at(vector, "user"));
    cJSON_Delete(vectors);
}

static void
every_passport_vector_and_the_connect_password_reproduce(void **state)
{
    (void)state;
    cJSON *vectors = read_json("tests/vectors/token_passport.json");
    const cJSON *vector;
    size_t checked = 0;

    cJSON_ArrayForEach(vector, vectors)
    {
        struct oxv_token_passport passport = passport_of(vector);
        uint8_t buffer[512];
        uint8_t text[64];
        uint8_t mac[EVP_MAX_MD_SIZE];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        struct oxv_writer base64 = oxv_writer(text, sizeof text);
        struct oxv_view base;

        oxv_token_passport_write_base(&w, &passport);
        assert_int_equal(oxv_writer_finish(&w, &base), OXV_OK);
        assert_text(base, text_at(vector, "base_string"));
        struct oxv_view signature = sign_vector(vector, base, mac);

        oxv_write_base64(&base64, signature);
        assert_text(oxv_view(text, base64.len), text_at(vector, "signature"));
        if (strcmp(text_at(vector, "name"), "C1") == 0) {
            check_connect_password(&passport, signature);
        }
        checked++;
    }
    cJSON_Delete(vectors);
    assert_int_equal(checked, 3);
}

static const struct oxv_token_passport small = {
    .account = { (const uint8_t *)"1_SB1", 5 },
    .consumer_key = { (const uint8_t *)"a&<b>\"'", 7 },
    .token = { (const uint8_t *)"t", 1 },
    .nonce = { (const uint8_t *)"n", 1 },
    .timestamp = 7,
};

static void
the_passport_is_one_self_contained_element(void **state)
{
    (void)state;
    uint8_t buffer[1024];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    oxv_token_passport_write_xml(&w, &small, oxv_view_text(OXV_TOKEN_PASSPORT_VERSION),
                                 oxv_view("\xff\xff\xfe", 3));
    assert_false(w.failed);
    assert_text(oxv_view(buffer, w.len),
                "<m:tokenPassport xmlns:m=\"urn:messages_2025_2.platform.webservices.netsuite.com\""
                " xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\""
                " soap:actor=\"http://schemas.xmlsoap.org/soap/actor/next\""
                " soap:mustUnderstand=\"0\">"
                "<m:account>1_SB1</m:account>"
                "<m:consumerKey>a&amp;&lt;b&gt;&quot;&apos;</m:consumerKey>"
                "<m:token>t</m:token><m:nonce>n</m:nonce><m:timestamp>7</m:timestamp>"
                "<m:signature algorithm=\"HMAC-SHA256\">///+</m:signature></m:tokenPassport>");
}

static void
values_that_xml_cannot_hold_make_the_writer_fail(void **state)
{
    (void)state;
    static const char *const values[] = { "\x01", "a\n",          "\x7f",
                                          "\xff", "\xef\xbf\xbe", "a\xef\xbf\xbf" };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct oxv_token_passport passport = small;
        uint8_t buffer[1024];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

        passport.token = oxv_view_text(values[i]);
        oxv_token_passport_write_xml(&w, &passport, oxv_view_text("2025_2"), oxv_view("s", 1));
        assert_true(w.failed);
    }
}

static void
a_version_is_a_year_and_a_half_of_it(void **state)
{
    (void)state;
    static const char *const good[] = { "2025_2", "2020_1", "2099_2", "2000_1" };
    static const char *const bad[] = { "",        "2025",    "2025_3", "2025_0", "1925_2", "2025-2",
                                       "20255_2", "2025_2 ", "202a_2", "20/5_1", "2025_\"" };
    uint8_t buffer[1024];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(oxv_token_passport_version_valid(oxv_view_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

        assert_false(oxv_token_passport_version_valid(oxv_view_text(bad[i])));
        oxv_token_passport_write_xml(&w, &small, oxv_view_text(bad[i]), oxv_view("s", 1));
        assert_true(w.failed);
        assert_int_equal(w.len, 0);
    }
}

static void
an_ampersand_in_a_value_cannot_shift_the_fields(void **state)
{
    (void)state;
    uint8_t buffer[256];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    oxv_connect_password_write(&w, &small, oxv_view("\xff\xff\xfe", 3));
    assert_text(oxv_view(buffer, w.len), "1_SB1&a%26%3Cb%3E%22%27&t&n&7&///+&HMAC-SHA256");
}

static void
the_hmac_key_joins_both_encoded_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *consumer;
        const char *token;
        const char *key;
    } keys[] = {
        { "a", "b", "a&b" },
        { "", "", "&" },
        { "cs", "", "cs&" },
        { "a&b", "c d", "a%26b&c%20d" },
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = NULL;

        assert_int_equal(oxv_hmac_key_text(oxv_view_text(keys[i].consumer),
                                           oxv_view_text(keys[i].token), &key),
                         OXV_OK);
        assert_text(oxv_secret_view(key), keys[i].key);
    }
}

static void
block_and_mac_lengths_are_those_of_the_hashes(void **state)
{
    (void)state;
    assert_int_equal(oxv_hmac_block_len(OXV_HMAC_SHA256), 64);
    assert_int_equal(oxv_hmac_block_len(OXV_HMAC_SHA1), 64);
    assert_int_equal(oxv_hmac_block_len(OXV_HMAC_SHA512), 128);
    assert_int_equal(oxv_hmac_block_len(OXV_RSA_SHA256), 0);
    assert_int_equal(oxv_hmac_len(OXV_HMAC_SHA256), 32);
    assert_int_equal(oxv_hmac_len(OXV_HMAC_SHA1), 20);
    assert_int_equal(oxv_hmac_len(OXV_HMAC_SHA512), 64);
    assert_int_equal(oxv_hmac_len(OXV_RSA_SHA512), 0);
}

static void
signature_methods_are_known_by_their_exact_names(void **state)
{
    (void)state;
    static const char *const names[] = { "HMAC-SHA256", "HMAC-SHA512", "HMAC-SHA1",
                                         "RSA-SHA1",    "RSA-SHA256",  "RSA-SHA512" };
    enum oxv_signature_method method = OXV_RSA_SHA1;
    struct oxv_syntax_error where = { 0 };

    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(oxv_signature_method_parse(oxv_view_text(names[i]), &method, NULL),
                         OXV_OK);
        assert_int_equal(method, i + 1);
        assert_string_equal(oxv_signature_method_name(method), names[i]);
        assert_true(oxv_signature_method_known(i + 1));
        assert_int_equal(oxv_signature_method_is_rsa(method), i >= 3);
    }
    assert_false(oxv_signature_method_known(0));
    assert_false(oxv_signature_method_known(7));
    assert_int_equal(oxv_signature_method_parse(oxv_view_text("PLAINTEXT"), &method, &where),
                     OXV_E_DENIED);
    assert_string_equal(where.reason, "PLAINTEXT is refused: its signature is the secret");
    assert_int_equal(oxv_signature_method_parse(oxv_view_text("HMAC_SHA256"), &method, &where),
                     OXV_E_FORMAT);
    assert_int_equal(oxv_signature_method_parse(oxv_view_text("hmac-sha256"), &method, NULL),
                     OXV_E_FORMAT);
    assert_int_equal(oxv_signature_method_parse(oxv_view(NULL, 0), &method, NULL), OXV_E_FORMAT);
    assert_int_equal(method, OXV_RSA_SHA512);
}

static void
http_methods_are_upper_cased_tokens(void **state)
{
    (void)state;
    struct oxv_method method;
    struct oxv_syntax_error where = { 0 };

    assert_int_equal(oxv_method_parse(oxv_view_text("pAtch"), &method, NULL), OXV_OK);
    assert_string_equal(method.text, "PATCH");
    assert_text(oxv_method_view(&method), "PATCH");
    assert_int_equal(oxv_method_parse(oxv_view_text("m-search~!#$%&'*+.^_`|1"), &method, NULL),
                     OXV_OK);
    assert_string_equal(method.text, "M-SEARCH~!#$%&'*+.^_`|1");
    assert_int_equal(oxv_method_parse(oxv_view_text("GE T"), &method, &where), OXV_E_FORMAT);
    assert_int_equal(where.offset, 2);
    assert_int_equal(oxv_method_parse(oxv_view_text("GET\r\n"), &method, &where), OXV_E_FORMAT);
    assert_int_equal(where.offset, 3);
    assert_int_equal(oxv_method_parse(oxv_view("G\0", 2), &method, &where), OXV_E_FORMAT);
    assert_int_equal(where.offset, 1);
    assert_int_equal(oxv_method_parse(oxv_view_text(""), &method, &where), OXV_E_FORMAT);
    assert_int_equal(oxv_method_parse(oxv_view_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"), &method,
                                      &where),
                     OXV_E_LIMIT);
    assert_int_equal(where.offset, OXV_METHOD_MAX_BYTES);
    assert_string_equal(method.text, "M-SEARCH~!#$%&'*+.^_`|1");
    assert_int_equal(oxv_method_parse(oxv_view_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &method,
                                      NULL),
                     OXV_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_come_from_either),
        cmocka_unit_test(anything_else_is_no_account_id),
        cmocka_unit_test(three_origins_are_derived_and_in_normal_form),
        cmocka_unit_test(the_longest_account_fits_its_origin),
        cmocka_unit_test(every_passport_vector_and_the_connect_password_reproduce),
        cmocka_unit_test(the_passport_is_one_self_contained_element),
        cmocka_unit_test(values_that_xml_cannot_hold_make_the_writer_fail),
        cmocka_unit_test(a_version_is_a_year_and_a_half_of_it),
        cmocka_unit_test(an_ampersand_in_a_value_cannot_shift_the_fields),
        cmocka_unit_test(the_hmac_key_joins_both_encoded_secrets),
        cmocka_unit_test(block_and_mac_lengths_are_those_of_the_hashes),
        cmocka_unit_test(signature_methods_are_known_by_their_exact_names),
        cmocka_unit_test(http_methods_are_upper_cased_tokens),
    };

    return cmocka_run_group_tests(tests, set_up_secrets, NULL);
}
