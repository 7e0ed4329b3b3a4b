#include "base/secret.h"
#include "base/text.h"
#include "signer/chars.h"
#include "signer/hmac_key.h"
#include "signer/method.h"
#include "signer/netsuite.h"
#include "signer/signature_method.h"
#include "signer/url.h"
#include "vault/match/match.h"
#include "vault/records.h"
#include "vault/rsa_key.h"

/* RSA of 512 bits; no token makes less. */
#define KEY_BLOB_MIN_BYTES 64u

static bool
is_name_start(uint8_t c)
{
    return oxv_char_is(c, OXV_CHAR_HOST) && c != '.' && c != '_' && c != '-';
}

bool
oxv_name_is_valid(struct oxv_view name)
{
    if (name.len == 0 || name.len > OXV_NAME_MAX_BYTES || !is_name_start(name.data[0])) {
        return false;
    }
    for (size_t i = 1; i < name.len; i++) {
        if (!oxv_char_is(name.data[i], OXV_CHAR_HOST)) {
            return false;
        }
    }
    return true;
}

enum oxv_status
oxv_record_encode(struct oxv_writer *w, const struct oxv_shape *shape, const void *in,
                  struct oxv_err *err)
{
    oxv_fields_encode(w, shape, in);
    if (!w->failed) {
        return OXV_OK;
    }
    /* Find the one that broke a rule. */
    for (size_t i = 0; i < shape->count; i++) {
        uint8_t scratch[OXV_RECORD_MAX_BYTES];
        struct oxv_shape one = *shape;
        struct oxv_writer probe = oxv_writer(scratch, sizeof scratch);

        one.fields = &shape->fields[i];
        one.count = 1;
        oxv_fields_encode(&probe, &one, in);
        oxv_wipe(scratch, probe.len);
        if (probe.failed) {
            return oxv_fail(err, OXV_E_USAGE, "%s: %s is missing, too long or malformed",
                            shape->name, shape->fields[i].name);
        }
    }
    return oxv_fail(err, OXV_E_USAGE, "%s: too long in all", shape->name);
}

/* Does the LIST hold `item` among its first `count` items? */
static bool
list_has_before(struct oxv_view list, size_t count, size_t step, struct oxv_view item)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view other;

    for (size_t i = 0; i < count && oxv_list_next(&r, &other); i++) {
        if (i % step == 0 && oxv_view_equals(item, other)) {
            return true;
        }
    }
    return false;
}

static enum oxv_status
check_origin(struct oxv_view origin, struct oxv_err *err)
{
    uint8_t normal[OXV_URL_ORIGIN_MAX_BYTES];
    struct oxv_writer w = oxv_writer(normal, sizeof normal);
    struct oxv_syntax_error where = { 0 };
    struct oxv_view written;

    if (oxv_origin_normalise(origin, &w, &where) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "origins: %s (at byte %zu)",
                        where.reason == NULL ? "malformed" : where.reason, where.offset);
    }
    if (oxv_writer_finish(&w, &written) != OXV_OK || !oxv_view_equals(written, origin)) {
        return oxv_fail(err, OXV_E_USAGE, "origins: not in normal form, which is %.*s", (int)w.len,
                        (const char *)normal);
    }
    return OXV_OK;
}

static enum oxv_status
check_origins(struct oxv_view origins, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(origins);
    struct oxv_view origin;

    for (size_t i = 0; oxv_list_next(&r, &origin); i++) {
        enum oxv_status st = check_origin(origin, err);

        if (st != OXV_OK) {
            return st;
        }
        if (list_has_before(origins, i, 1, origin)) {
            return oxv_fail(err, OXV_E_USAGE, "origins: one is named twice");
        }
    }
    return OXV_OK;
}

/* The origins that the account id gives must come first, in their order. */
static enum oxv_status
check_derived_origins(const struct oxv_account *account, struct oxv_view origins,
                      struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(origins);
    struct oxv_view origin;

    for (size_t i = 0; i < OXV_ACCOUNT_ORIGINS; i++) {
        uint8_t buffer[OXV_ACCOUNT_ORIGIN_MAX_BYTES];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        struct oxv_view derived;

        oxv_account_write_origin(&w, account, i);
        if (oxv_writer_finish(&w, &derived) != OXV_OK || !oxv_list_next(&r, &origin) ||
            !oxv_view_equals(origin, derived)) {
            return oxv_fail(err, OXV_E_USAGE, "origins: %.*s is missing", (int)w.len,
                            (const char *)buffer);
        }
    }
    return OXV_OK;
}

static enum oxv_status
check_netsuite(const struct oxv_connection_record *record, struct oxv_err *err)
{
    struct oxv_account account;
    struct oxv_syntax_error where = { 0 };

    if (record->signature_method != OXV_HMAC_SHA256) {
        return oxv_fail(err, OXV_E_USAGE,
                        "signature_method: NetSuite takes no other than HMAC-SHA256");
    }
    if (oxv_account_parse(record->account_id, &account, &where) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "account_id: %s (at byte %zu)",
                        where.reason == NULL ? "malformed" : where.reason, where.offset);
    }
    if (!oxv_view_is(record->account_id, account.realm)) {
        return oxv_fail(err, OXV_E_USAGE, "account_id: the realm form is wanted, %s",
                        account.realm);
    }
    if (record->token_id.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "token_id: missing");
    }
    if (record->realm.len != 0) {
        return oxv_fail(err, OXV_E_USAGE, "realm: for NetSuite it is the account id");
    }
    return check_derived_origins(&account, record->origins, err);
}

static enum oxv_status
check_key_method(const struct oxv_connection_record *record, struct oxv_err *err)
{
    enum oxv_signature_method method = (enum oxv_signature_method)record->signature_method;

    if (oxv_signature_method_is_rsa(method)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "signature_method: %s keys stay in the vault: in a token only the HMAC "
                        "methods sign",
                        oxv_signature_method_name(method));
    }
    return OXV_OK;
}

/* Form, token and id of the key belong together. */
static enum oxv_status
check_key_place(const struct oxv_connection_record *record, struct oxv_err *err)
{
    if (record->key_form >= OXV_KEY_FORM_END) {
        return oxv_fail(err, OXV_E_USAGE, "key_form: unknown");
    }
    if (record->key_form == OXV_KEY_IN_VAULT) {
        if (record->key_token != 0 || record->key_id.len != 0) {
            return oxv_fail(err, OXV_E_USAGE,
                            "key_token, key_id: only of a connection whose key is in a token");
        }
        return OXV_OK;
    }
    if (record->key_token == 0) {
        return oxv_fail(err, OXV_E_USAGE, "key_token: missing");
    }
    if (record->key_form != OXV_KEY_PRE_PROVISIONED &&
        record->key_id.len != OXV_TOKEN_KEY_ID_BYTES) {
        return oxv_fail(err, OXV_E_USAGE, "key_id: %u random bytes", OXV_TOKEN_KEY_ID_BYTES);
    }
    if (record->key_id.len == 0 || record->key_id.len > OXV_TOKEN_KEY_ID_MAX_BYTES) {
        return oxv_fail(err, OXV_E_USAGE, "key_id: 1 to %u bytes", OXV_TOKEN_KEY_ID_MAX_BYTES);
    }
    return check_key_method(record, err);
}

enum oxv_status
oxv_connection_check(const struct oxv_connection_record *record, struct oxv_err *err)
{
    if (!oxv_name_is_valid(record->name)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "name: 1 to %u of A-Z a-z 0-9 . _ - that begin with a letter or digit",
                        OXV_NAME_MAX_BYTES);
    }
    if (!oxv_signature_method_known(record->signature_method)) {
        return oxv_fail(err, OXV_E_USAGE, "signature_method: unknown");
    }
    if (record->consumer_key.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "consumer_key: missing");
    }
    if (record->system == OXV_SYSTEM_NETSUITE) {
        enum oxv_status st = check_netsuite(record, err);

        if (st != OXV_OK) {
            return st;
        }
    } else if (record->system != OXV_SYSTEM_OAUTH1) {
        return oxv_fail(err, OXV_E_USAGE, "system: unknown");
    } else if (record->account_id.len != 0) {
        return oxv_fail(err, OXV_E_USAGE, "account_id: only NetSuite has one");
    }
    if (record->origins.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "origins: name at least one, such as https://host");
    }
    enum oxv_status st = check_key_place(record, err);

    return st == OXV_OK ? check_origins(record->origins, err) : st;
}

static enum oxv_status
check_rsa_secret(const struct oxv_connection_secret *secret, struct oxv_err *err)
{
    if (secret->consumer_secret.len != 0 || secret->token_secret.len != 0) {
        return oxv_fail(err, OXV_E_USAGE, "an RSA connection has no two secrets to keep");
    }
    return oxv_rsa_key_check(secret->key, err);
}

static enum oxv_status
check_k0(enum oxv_signature_method method, struct oxv_view key, struct oxv_err *err)
{
    size_t block = oxv_hmac_block_len(method);

    if (key.len != block && key.len != block / 2) {
        return oxv_fail(err, OXV_E_USAGE, "key: %zu or %zu bytes for %s", block / 2, block,
                        oxv_signature_method_name(method));
    }
    return OXV_OK;
}

/* The key is in a token: what the vault has of it. */
static enum oxv_status
check_token_secret(const struct oxv_connection_record *record,
                   const struct oxv_connection_secret *secret, struct oxv_err *err)
{
    enum oxv_signature_method method = (enum oxv_signature_method)record->signature_method;

    if (secret->check_value.len != oxv_hmac_len(method)) {
        return oxv_fail(err, OXV_E_USAGE, "check_value: %zu bytes for %s", oxv_hmac_len(method),
                        oxv_signature_method_name(method));
    }
    switch (record->key_form) {
    case OXV_KEY_UNWRAP:
        if (secret->key.len < KEY_BLOB_MIN_BYTES || secret->key.len > OXV_TOKEN_BLOB_MAX_BYTES) {
            return oxv_fail(err, OXV_E_USAGE, "key: a key sealed to a token has %u to %u bytes",
                            KEY_BLOB_MIN_BYTES, OXV_TOKEN_BLOB_MAX_BYTES);
        }
        return OXV_OK;
    case OXV_KEY_TOKEN:
        return secret->key.len == 0 ? OXV_OK : check_k0(method, secret->key, err);
    case OXV_KEY_PRE_PROVISIONED:
        if (secret->key.len != 0) {
            return oxv_fail(err, OXV_E_USAGE, "key: one that is in the token already is not sent");
        }
        return OXV_OK;
    default: /* a number from outside, not the enum */
        return oxv_fail(err, OXV_E_USAGE, "key_form: unknown");
    }
}

enum oxv_status
oxv_connection_secret_check(const struct oxv_connection_record *record,
                            const struct oxv_connection_secret *secret, struct oxv_err *err)
{
    if (!oxv_signature_method_known(record->signature_method)) {
        return oxv_fail(err, OXV_E_USAGE, "signature_method: unknown");
    }
    enum oxv_signature_method method = (enum oxv_signature_method)record->signature_method;

    if (record->key_form != OXV_KEY_IN_VAULT) {
        enum oxv_status st = check_key_method(record, err);

        return st == OXV_OK ? check_token_secret(record, secret, err) : st;
    }
    if (secret->check_value.len != 0) {
        return oxv_fail(err, OXV_E_USAGE, "check_value: only for a key in a token");
    }
    return oxv_signature_method_is_rsa(method) ? check_rsa_secret(secret, err)
                                               : check_k0(method, secret->key, err);
}

static enum oxv_status
check_methods(struct oxv_view methods, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(methods);
    struct oxv_view item;

    for (size_t i = 0; oxv_list_next(&r, &item); i++) {
        struct oxv_method method;

        if (oxv_method_parse(item, &method, NULL) != OXV_OK ||
            !oxv_view_equals(oxv_method_view(&method), item)) {
            return oxv_fail(err, OXV_E_USAGE, "methods: number %zu is no upper-case HTTP method",
                            i + 1);
        }
        if (list_has_before(methods, i, 1, item)) {
            return oxv_fail(err, OXV_E_USAGE, "methods: %s is named twice", method.text);
        }
    }
    return OXV_OK;
}

static enum oxv_status
check_paths(struct oxv_view paths, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(paths);
    struct oxv_view item;

    for (size_t i = 0; oxv_list_next(&r, &item); i++) {
        struct oxv_syntax_error where = { 0 };

        if (!oxv_path_glob_valid(item, &where)) {
            return oxv_fail(err, OXV_E_USAGE, "paths: number %zu: %s (at byte %zu)", i + 1,
                            where.reason == NULL ? "malformed" : where.reason, where.offset);
        }
    }
    return OXV_OK;
}

static enum oxv_status
check_query(struct oxv_view query, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(query);
    struct oxv_view item;

    if (oxv_list_count(query) % 2 != 0) {
        return oxv_fail(err, OXV_E_USAGE, "query: a name without a value");
    }
    for (size_t i = 0; oxv_list_next(&r, &item); i++) {
        if (!oxv_is_printable_utf8(item) || (i % 2 == 0 && item.len == 0)) {
            return oxv_fail(err, OXV_E_USAGE, "query: number %zu is empty or not plain UTF-8",
                            i / 2 + 1);
        }
        if (i % 2 == 0 && list_has_before(query, i, 2, item)) {
            return oxv_fail(err, OXV_E_USAGE, "query: number %zu names a parameter again",
                            i / 2 + 1);
        }
    }
    return OXV_OK;
}

static enum oxv_status
check_rate(const struct oxv_grant_record *record, struct oxv_err *err)
{
    uint64_t period = record->rate_period_s;

    if (record->rate_count == 0 && period == 0) {
        return OXV_OK;
    }
    if (record->rate_count < 1 || record->rate_count > OXV_RATE_MAX) {
        return oxv_fail(err, OXV_E_USAGE, "rate_count: 1 to %u", OXV_RATE_MAX);
    }
    if (period != 1 && period != 60 && period != 3600) {
        return oxv_fail(err, OXV_E_USAGE, "rate_period_s: a second, a minute or an hour");
    }
    return OXV_OK;
}

enum oxv_status
oxv_grant_check(const struct oxv_grant_record *record, struct oxv_err *err)
{
    if (record->kinds == 0 || (record->kinds & ~(uint64_t)OXV_KIND_ALL) != 0) {
        return oxv_fail(err, OXV_E_USAGE, "kinds: none, or one that is unknown");
    }
    if (record->not_before_us > OXV_TIMESTAMP_MAX_US) {
        return oxv_fail(err, OXV_E_USAGE, "not_before_us: after the year 9999");
    }
    if (record->not_after_us > OXV_TIMESTAMP_MAX_US) {
        return oxv_fail(err, OXV_E_USAGE, "not_after_us: after the year 9999");
    }
    if (record->not_before_us != 0 && record->not_after_us != 0 &&
        record->not_before_us >= record->not_after_us) {
        return oxv_fail(err, OXV_E_USAGE, "not_after_us: not later than not_before_us");
    }
    enum oxv_status st = check_rate(record, err);

    if (st == OXV_OK) {
        st = check_methods(record->methods, err);
    }
    if (st == OXV_OK) {
        st = check_paths(record->paths, err);
    }
    if (st == OXV_OK) {
        st = check_query(record->query, err);
    }
    return st;
}

enum oxv_status
oxv_token_check(const struct oxv_token_record *record, struct oxv_err *err)
{
    bool has_pair = record->pair_id.len != 0;

    if (has_pair != (record->public_key.len != 0) || has_pair != (record->oaep != 0)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "pair_id, public_key, oaep: all of them or none belong to a token");
    }
    return OXV_OK;
}

enum oxv_status
oxv_caller_check(const struct oxv_caller_record *record, struct oxv_err *err)
{
    if (!oxv_name_is_valid(record->name)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "name: 1 to %u of A-Z a-z 0-9 . _ - that begin with a letter or digit",
                        OXV_NAME_MAX_BYTES);
    }
    return OXV_OK;
}
