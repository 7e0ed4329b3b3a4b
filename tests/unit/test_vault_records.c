/* The rules of records: what is refused, and that the text names the field. */
#include "test_vault_support.h"

#include "vault/records.h"

static void
check_refused(const struct oxv_connection_record *record, const char *text)
{
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_connection_check(record, &err), OXV_E_USAGE);
    assert_contains(err.text, text);
}

static void
names_are_plain(void **state)
{
    static const char *const good[] = { "a", "A9", "acme-1_x.y", "9" };
    static const char *const bad[] = { "",    "-a",   ".a",  "_a",       "a b", "a/b",
                                       "a\n", "a%41", "a:b", "\303\244", "a*" };
    char longest[OXV_NAME_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(oxv_name_is_valid(oxv_view_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(oxv_name_is_valid(oxv_view_text(bad[i])));
    }
    assert_false(oxv_name_is_valid(oxv_view("a\0b", 3)));
    memset(longest, 'a', sizeof longest);
    assert_true(oxv_name_is_valid(oxv_view(longest, OXV_NAME_MAX_BYTES)));
    assert_false(oxv_name_is_valid(oxv_view(longest, OXV_NAME_MAX_BYTES + 1)));
}

static void
a_netsuite_connection_has_its_account_and_derived_origins(void **state)
{
    struct netsuite_connection c;
    struct oxv_reader r;
    struct oxv_view first;

    (void)state;
    fill_connection(&c, "acme");
    assert_int_equal(oxv_connection_check(&c.record, NULL), OXV_OK);
    r = oxv_reader(c.record.origins);
    assert_true(oxv_list_next(&r, &first));
    assert_true(oxv_view_is(first, "https://123456-sb1.suitetalk.api.netsuite.com"));
    c.record.origins = r.left; /* without the first */
    check_refused(&c.record, "origins: https://123456-sb1.suitetalk.api.netsuite.com is missing");
    fill_connection(&c, "acme");
    c.record.account_id = oxv_view_text("123456");
    check_refused(&c.record, "origins: https://123456.suitetalk.api.netsuite.com is missing");
    c.record.account_id = oxv_view_text("123456-sb1");
    check_refused(&c.record, "account_id: the realm form is wanted, 123456_SB1");
    c.record.account_id = oxv_view_text("123456.evil.com/");
    check_refused(&c.record, "account_id:");
    c.record.account_id = oxv_view(NULL, 0);
    check_refused(&c.record, "account_id:");
}

static void
netsuite_takes_only_hmac_sha256(void **state)
{
    struct netsuite_connection c;

    (void)state;
    for (uint64_t method = 0; method < 9; method++) {
        fill_connection(&c, "acme");
        c.record.signature_method = method;
        if (method != OXV_HMAC_SHA256) {
            check_refused(&c.record, "signature_method:");
        }
    }
    fill_connection(&c, "acme");
    c.record.token_id = oxv_view(NULL, 0);
    check_refused(&c.record, "token_id: missing");
    fill_connection(&c, "acme");
    c.record.realm = oxv_view_text("123456_SB1");
    check_refused(&c.record, "realm:");
    fill_connection(&c, "acme");
    c.record.system = 3;
    check_refused(&c.record, "system: unknown");
    fill_connection(&c, "a c");
    check_refused(&c.record, "name:");
}

/* A generic connection with one more origin. */
static enum oxv_status
check_origin(const char *origin, struct oxv_err *err)
{
    uint8_t list[400];
    struct oxv_writer w = oxv_writer(list, sizeof list);
    struct oxv_connection_record record = {
        .system = OXV_SYSTEM_OAUTH1,
        .signature_method = OXV_HMAC_SHA1,
        .name = oxv_view_text("generic"),
        .consumer_key = oxv_view_text("key"),
    };

    oxv_list_add(&w, oxv_view_text("https://first.example"));
    oxv_list_add(&w, oxv_view_text(origin));
    record.origins = oxv_view(list, w.len);
    return oxv_connection_check(&record, err);
}

static void
origins_are_https_or_loopback_and_in_normal_form(void **state)
{
    static const char *const good[] = { "https://api.example",      "https://api.example:8443",
                                        "http://127.0.0.1:8080",    "http://127.9.9.9",
                                        "http://localhost:1",       "http://[::1]:8080",
                                        "https://[2001:db8::1]:444" };
    static const char *const bad[] = { "http://api.example",
                                       "http://127.0.0.1.evil.example",
                                       "http://localhost.evil.example",
                                       "ftp://api.example",
                                       "https://api.example/path",
                                       "https://api.example/",
                                       "https://API.example",
                                       "https://api.example:443",
                                       "https://user@api.example",
                                       "https://api.example?q",
                                       "https://api.example#f",
                                       "https://first.example",
                                       "api.example",
                                       "" };
    struct oxv_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (check_origin(good[i], &err) != OXV_OK) {
            fail_msg("%s: %s", good[i], err.text);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (check_origin(bad[i], &err) != OXV_E_USAGE) {
            fail_msg("%s was accepted", bad[i]);
        }
        assert_contains(err.text, "origins:");
    }
}

static struct oxv_view
list_of(uint8_t buffer[1024], const char *const *items)
{
    struct oxv_writer w = oxv_writer(buffer, 1024);

    for (size_t i = 0; items[i] != NULL; i++) {
        oxv_list_add(&w, oxv_view_text(items[i]));
    }
    assert_false(w.failed);
    return oxv_view(buffer, w.len);
}

static void
check_grant(const struct oxv_grant_record *record, const char *text)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_grant_check(record, &err);

    if (text == NULL) {
        assert_string_equal(err.text, "");
        assert_int_equal(st, OXV_OK);
    } else {
        assert_int_equal(st, OXV_E_USAGE);
        assert_contains(err.text, text);
    }
}

static void
grants_have_methods_in_upper_case(void **state)
{
    uint8_t buffer[1024];
    struct oxv_grant_record grant = plain_grant(1, 1);

    (void)state;
    check_grant(&grant, NULL);
    grant.methods = list_of(buffer, (const char *const[]){ "GET", "POST", "M-SEARCH", NULL });
    check_grant(&grant, NULL);
    grant.methods = list_of(buffer, (const char *const[]){ "GET", "Post", NULL });
    check_grant(&grant, "methods: number 2");
    grant.methods = list_of(buffer, (const char *const[]){ "", NULL });
    check_grant(&grant, "methods: number 1");
    grant.methods = list_of(buffer, (const char *const[]){ "GET", "GET", NULL });
    check_grant(&grant, "methods: GET is named twice");
}

static void
grants_have_valid_globs(void **state)
{
    uint8_t buffer[1024];
    struct oxv_grant_record grant = plain_grant(1, 1);

    (void)state;
    grant.paths = list_of(buffer, (const char *const[]){ "/services/**", "/a/*/b", NULL });
    check_grant(&grant, NULL);
    grant.paths = list_of(buffer, (const char *const[]){ "/ok", "services/**", NULL });
    check_grant(&grant, "paths: number 2");
    grant.paths = list_of(buffer, (const char *const[]){ "/a/../b", NULL });
    check_grant(&grant, "paths: number 1");
    grant.paths = list_of(buffer, (const char *const[]){ "/a/***", NULL });
    check_grant(&grant, "paths: number 1");
}

static void
grants_have_query_pairs(void **state)
{
    uint8_t buffer[1024];
    struct oxv_grant_record grant = plain_grant(1, 1);

    (void)state;
    grant.query = list_of(buffer, (const char *const[]){ "script", "508", "deploy", "", NULL });
    check_grant(&grant, NULL);
    grant.query = list_of(buffer, (const char *const[]){ "script", "508", "deploy", NULL });
    check_grant(&grant, "query: a name without a value");
    grant.query = list_of(buffer, (const char *const[]){ "", "508", NULL });
    check_grant(&grant, "query: number 1");
    grant.query = list_of(buffer, (const char *const[]){ "a", "b", "c", "d", "a", "e", NULL });
    check_grant(&grant, "query: number 3 names a parameter again");
    grant.query = list_of(buffer, (const char *const[]){ "a", "c", "c", "d", NULL });
    check_grant(&grant, NULL); /* a value may look like a name */
    grant.query = list_of(buffer, (const char *const[]){ "a", "\xff", NULL });
    check_grant(&grant, "query: number 1");
}

static void
grants_have_rates_times_and_kinds_in_bounds(void **state)
{
    static const struct {
        uint64_t count;
        uint64_t period;
        bool good;
    } rates[] = {
        { 0, 0, true },        { 1, 1, true },           { 1000000, 60, true }, { 5, 3600, true },
        { 1000001, 1, false }, { 0, 1, false },          { 5, 0, false },       { 5, 2, false },
        { 5, 86400, false },   { UINT64_MAX, 1, false },
    };
    struct oxv_grant_record grant;

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        grant = plain_grant(1, 1);
        grant.rate_count = rates[i].count;
        grant.rate_period_s = rates[i].period;
        check_grant(&grant, rates[i].good ? NULL : "rate_");
    }
    grant = plain_grant(1, 1);
    grant.kinds = 0;
    check_grant(&grant, "kinds:");
    grant.kinds = 8;
    check_grant(&grant, "kinds:");
    grant.kinds = OXV_KIND_ALL;
    grant.not_before_us = 5;
    check_grant(&grant, NULL);
    grant.not_after_us = 5;
    check_grant(&grant, "not_after_us:");
    grant.not_after_us = 6;
    check_grant(&grant, NULL);
    grant.not_after_us = OXV_TIMESTAMP_MAX_US;
    check_grant(&grant, NULL);
    grant.not_after_us++;
    check_grant(&grant, "not_after_us:");
    grant.not_after_us = 0;
    grant.not_before_us = OXV_TIMESTAMP_MAX_US;
    check_grant(&grant, NULL);
    grant.not_before_us++;
    check_grant(&grant, "not_before_us:");
}

static void
kinds_systems_and_seals_have_names(void **state)
{
    (void)state;
    for (uint64_t kind = 0; kind < 9; kind++) {
        const char *name = oxv_kind_name(kind);
        bool one_bit = kind == 1 || kind == 2 || kind == 4;

        assert_int_equal(name != NULL, one_bit);
        if (one_bit) {
            assert_int_equal(oxv_kind_parse(oxv_view_text(name)), kind);
        }
    }
    assert_string_equal(oxv_kind_name(OXV_KIND_CONNECT_PASSWORD), "connect-password");
    assert_int_equal(oxv_kind_parse(oxv_view_text("oauth")), 0);
    assert_int_equal(oxv_kind_parse(oxv_view_text("OAUTH1")), 0);
    assert_string_equal(oxv_system_name(OXV_SYSTEM_NETSUITE), "netsuite");
    assert_int_equal(oxv_system_parse(oxv_view_text("oauth1")), OXV_SYSTEM_OAUTH1);
    assert_int_equal(oxv_system_parse(oxv_view_text("netsuit")), 0);
    assert_null(oxv_system_name(0));
    assert_string_equal(oxv_seal_kind_name(OXV_SEAL_PASSPHRASE), "passphrase");
    assert_string_equal(oxv_seal_kind_name(OXV_SEAL_KEYFILE), "keyfile");
    assert_string_equal(oxv_seal_kind_name(OXV_SEAL_TOKEN), "token");
    assert_null(oxv_seal_kind_name(0));
    assert_null(oxv_seal_kind_name(4));
}

static void
a_key_in_a_token_has_token_and_id_and_one_in_the_vault_has_not(void **state)
{
    struct netsuite_connection c;

    (void)state;
    for (uint64_t form = OXV_KEY_UNWRAP; form < OXV_KEY_FORM_END; form++) {
        fill_token_connection(&c, "acme", form);
        assert_int_equal(oxv_connection_check(&c.record, NULL), OXV_OK);
        c.record.key_token = 0;
        check_refused(&c.record, "key_token: missing");
        fill_token_connection(&c, "acme", form);
        c.record.key_id = oxv_view(NULL, 0);
        check_refused(&c.record, "key_id:");
    }
    fill_connection(&c, "acme");
    c.record.key_token = 1;
    check_refused(&c.record, "key_token, key_id: only of a connection whose key is in a token");
    fill_connection(&c, "acme");
    c.record.key_id = oxv_view(c.key_id, 16);
    check_refused(&c.record, "key_token, key_id: only of a connection whose key is in a token");
    fill_token_connection(&c, "acme", OXV_KEY_FORM_END);
    check_refused(&c.record, "key_form: unknown");
}

static void
only_a_key_that_others_made_has_an_id_of_another_length(void **state)
{
    struct netsuite_connection c;

    (void)state;
    for (size_t len = 1; len <= 65; len++) {
        fill_token_connection(&c, "acme", OXV_KEY_PRE_PROVISIONED);
        c.record.key_id = oxv_view(c.key_id, len);
        assert_int_equal(oxv_connection_check(&c.record, NULL), len <= 64 ? OXV_OK : OXV_E_USAGE);
        c.record.key_form = OXV_KEY_UNWRAP;
        assert_int_equal(oxv_connection_check(&c.record, NULL), len == 16 ? OXV_OK : OXV_E_USAGE);
        c.record.key_form = OXV_KEY_TOKEN;
        assert_int_equal(oxv_connection_check(&c.record, NULL), len == 16 ? OXV_OK : OXV_E_USAGE);
    }
}

static void
rsa_keys_stay_in_the_vault(void **state)
{
    struct netsuite_connection c;
    struct oxv_err err = { 0 };

    (void)state;
    for (uint64_t method = OXV_RSA_SHA1; method <= OXV_RSA_SHA512; method++) {
        fill_token_connection(&c, "acme", OXV_KEY_TOKEN);
        c.record.system = OXV_SYSTEM_OAUTH1;
        c.record.account_id = oxv_view(NULL, 0);
        c.record.signature_method = OXV_HMAC_SHA512;
        assert_int_equal(oxv_connection_check(&c.record, NULL), OXV_OK);
        c.record.signature_method = method;
        check_refused(&c.record, "keys stay in the vault");
        assert_int_equal(oxv_connection_secret_check(&c.record, &c.secret, &err), OXV_E_USAGE);
        assert_contains(err.text, "keys stay in the vault");
    }
}

/* What the secret part may have, by form and method. */
static void
check_secret(const struct netsuite_connection *c, enum oxv_status wanted, const char *text)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_connection_secret_check(&c->record, &c->secret, &err);

    if (st != wanted) {
        fail_msg("%s instead of %s: %s", oxv_status_name(st), oxv_status_name(wanted), err.text);
    }
    assert_contains(err.text, text);
}

static void
the_secret_part_fits_where_the_key_is(void **state)
{
    static const uint8_t blob[1025];
    struct netsuite_connection c;

    (void)state;
    fill_connection(&c, "acme");
    check_secret(&c, OXV_OK, "");
    c.secret.check_value = oxv_view(blob, 32);
    check_secret(&c, OXV_E_USAGE, "check_value: only for a key in a token");

    fill_token_connection(&c, "acme", OXV_KEY_UNWRAP);
    for (size_t len = 0; len <= sizeof blob; len++) {
        c.secret.key = oxv_view(blob, len);
        check_secret(&c, len >= 64 && len <= 1024 ? OXV_OK : OXV_E_USAGE,
                     len >= 64 && len <= 1024 ? "" : "key: a key sealed to a token has 64 to 1024");
    }
    fill_token_connection(&c, "acme", OXV_KEY_TOKEN);
    for (size_t len = 0; len <= 129; len++) {
        bool good = len == 0 || len == 32 || len == 64;

        c.secret.key = oxv_view(blob, len);
        check_secret(&c, good ? OXV_OK : OXV_E_USAGE, good ? "" : "key: 32 or 64 bytes");
    }
    fill_token_connection(&c, "acme", OXV_KEY_PRE_PROVISIONED);
    check_secret(&c, OXV_OK, "");
    c.secret.key = oxv_view(blob, 32);
    check_secret(&c, OXV_E_USAGE, "key: one that is in the token already is not sent");
}

static void
a_check_value_is_as_long_as_the_mac(void **state)
{
    static const struct {
        uint64_t method;
        size_t len;
    } macs[] = { { OXV_HMAC_SHA256, 32 }, { OXV_HMAC_SHA512, 64 }, { OXV_HMAC_SHA1, 20 } };
    static const uint8_t bytes[65];
    struct netsuite_connection c;

    (void)state;
    for (size_t i = 0; i < sizeof macs / sizeof macs[0]; i++) {
        for (size_t len = 0; len <= sizeof bytes; len++) {
            fill_token_connection(&c, "acme", OXV_KEY_TOKEN);
            c.record.signature_method = macs[i].method;
            c.secret.key = oxv_view(NULL, 0);
            c.secret.check_value = oxv_view(bytes, len);
            check_secret(&c, len == macs[i].len ? OXV_OK : OXV_E_USAGE,
                         len == macs[i].len ? "" : "check_value:");
        }
    }
}

static void
the_pair_of_a_token_is_whole_or_absent(void **state)
{
    struct token_fields t;
    struct oxv_err err = { 0 };

    (void)state;
    fill_token(&t, "serial=1", true);
    assert_int_equal(oxv_token_check(&t.record, NULL), OXV_OK);
    for (int missing = 0; missing < 3; missing++) {
        fill_token(&t, "serial=1", true);
        t.record.pair_id.len = missing == 0 ? 0 : t.record.pair_id.len;
        t.record.public_key.len = missing == 1 ? 0 : t.record.public_key.len;
        t.record.oaep = missing == 2 ? 0 : t.record.oaep;
        assert_int_equal(oxv_token_check(&t.record, &err), OXV_E_USAGE);
        assert_contains(err.text, "pair_id, public_key, oaep:");
    }
    fill_token(&t, "serial=1", false);
    assert_int_equal(oxv_token_check(&t.record, NULL), OXV_OK);
}

static void
encoding_names_the_field_that_is_wrong(void **state)
{
    struct netsuite_connection c;
    uint8_t buffer[2048];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_writer narrow = oxv_writer(buffer, 20);
    struct oxv_err err = { 0 };

    (void)state;
    fill_connection(&c, "acme");
    assert_int_equal(oxv_record_encode(&w, &oxv_connection_shape, &c.record, &err), OXV_OK);
    assert_int_equal(oxv_record_encode(&narrow, &oxv_connection_shape, &c.record, &err),
                     OXV_E_USAGE);
    assert_string_equal(err.text, "connection: too long in all");
    c.record.consumer_key = oxv_view_text("two\nlines");
    assert_int_equal(oxv_record_encode(&w, &oxv_connection_shape, &c.record, &err), OXV_E_USAGE);
    assert_string_equal(err.text, "connection: consumer_key is missing, too long or malformed");
}

static void
records_decode_as_they_were_encoded_and_only_whole(void **state)
{
    struct netsuite_connection c;
    struct oxv_connection_record out = { .created_us = 99 };
    uint8_t buffer[2048];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    (void)state;
    fill_connection(&c, "acme");
    oxv_fields_encode(&w, &oxv_connection_shape, &c.record);
    for (size_t len = 0; len < w.len; len++) {
        assert_int_equal(oxv_fields_decode(oxv_view(buffer, len), &oxv_connection_shape, &out,
                                           NULL),
                         OXV_E_FORMAT);
    }
    buffer[w.len] = 0;
    assert_int_equal(oxv_fields_decode(oxv_view(buffer, w.len + 1), &oxv_connection_shape, &out,
                                       NULL),
                     OXV_E_FORMAT);
    assert_int_equal(out.created_us, 99);
    assert_int_equal(oxv_fields_decode(oxv_view(buffer, w.len), &oxv_connection_shape, &out, NULL),
                     OXV_OK);
    assert_true(oxv_view_is(out.name, "acme"));
    assert_true(oxv_view_equals(out.origins, c.record.origins));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(a_netsuite_connection_has_its_account_and_derived_origins),
        cmocka_unit_test(netsuite_takes_only_hmac_sha256),
        cmocka_unit_test(origins_are_https_or_loopback_and_in_normal_form),
        cmocka_unit_test(grants_have_methods_in_upper_case),
        cmocka_unit_test(grants_have_valid_globs),
        cmocka_unit_test(grants_have_query_pairs),
        cmocka_unit_test(grants_have_rates_times_and_kinds_in_bounds),
        cmocka_unit_test(kinds_systems_and_seals_have_names),
        cmocka_unit_test(a_key_in_a_token_has_token_and_id_and_one_in_the_vault_has_not),
        cmocka_unit_test(only_a_key_that_others_made_has_an_id_of_another_length),
        cmocka_unit_test(rsa_keys_stay_in_the_vault),
        cmocka_unit_test(the_secret_part_fits_where_the_key_is),
        cmocka_unit_test(a_check_value_is_as_long_as_the_mac),
        cmocka_unit_test(the_pair_of_a_token_is_whole_or_absent),
        cmocka_unit_test(encoding_names_the_field_that_is_wrong),
        cmocka_unit_test(records_decode_as_they_were_encoded_and_only_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
