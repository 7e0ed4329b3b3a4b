/*
 * fuzz_records: the first byte picks a shape (or an RSA key), the rest is the encoded record. What
 * decodes must encode to the same bytes; the rules that span fields must cope with all of it.
 */
#include <stdlib.h>

#include "base/text.h"
#include "vault/box.h"
#include "vault/records.h"
#include "vault/rsa_key.h"
#include "vault/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union any_record {
    struct oxv_node_record node;
    struct oxv_node_secret node_secret;
    struct oxv_seal_record seal;
    struct oxv_connection_record connection;
    struct oxv_connection_secret connection_secret;
    struct oxv_caller_record caller;
    struct oxv_grant_record grant;
    struct oxv_admin_record admin;
    struct oxv_box box;
    struct oxv_box_unseal unseal;
    struct oxv_box_seal_add seal_add;
    struct oxv_box_connection box_connection;
    struct oxv_box_import import;
    struct oxv_token_record token;
    struct oxv_box_token_add token_add;
    struct oxv_box_token_login token_login;
};

static const struct oxv_shape *const shapes[] = {
    &oxv_connection_shape,    &oxv_grant_shape,
    &oxv_caller_shape,        &oxv_seal_shape,
    &oxv_node_shape,          &oxv_connection_secret_shape,
    &oxv_admin_shape,         &oxv_node_secret_shape,
    &oxv_box_shape,           &oxv_box_unseal_shape,
    &oxv_box_seal_add_shape,  &oxv_box_connection_shape,
    &oxv_box_import_shape,    &oxv_token_shape,
    &oxv_box_token_add_shape, &oxv_box_token_login_shape,
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* With every method and place of the key; that of RSA has a target of its own. */
static void
check_secret(const struct oxv_connection_secret *secret)
{
    for (uint64_t form = OXV_KEY_IN_VAULT; form <= OXV_KEY_FORM_END; form++) {
        for (uint64_t method = 0; method <= OXV_HMAC_SHA1; method++) {
            const struct oxv_connection_record record = { .signature_method = method,
                                                          .key_form = form };
            enum oxv_status st = oxv_connection_secret_check(&record, secret, NULL);

            require(st == OXV_E_USAGE || (st == OXV_OK && form < OXV_KEY_FORM_END));
            require(st != OXV_OK || (form != OXV_KEY_IN_VAULT) == (secret->check_value.len != 0));
            require(st != OXV_OK || form != OXV_KEY_PRE_PROVISIONED || secret->key.len == 0);
        }
    }
}

static void
check_rules(const struct oxv_shape *shape, const union any_record *record)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = OXV_OK;

    if (shape == &oxv_connection_shape) {
        st = oxv_connection_check(&record->connection, &err);
    } else if (shape == &oxv_grant_shape) {
        st = oxv_grant_check(&record->grant, &err);
    } else if (shape == &oxv_caller_shape) {
        st = oxv_caller_check(&record->caller, &err);
    } else if (shape == &oxv_token_shape) {
        st = oxv_token_check(&record->token, &err);
    } else if (shape == &oxv_connection_secret_shape) {
        check_secret(&record->connection_secret);
    } else if (shape == &oxv_seal_shape) {
        st = oxv_seal_parameters_check(&record->seal, &err);
        require(st == OXV_OK || st == OXV_E_FORGED);
        st = st == OXV_OK ? OXV_OK : OXV_E_USAGE;
    }
    require(st == OXV_OK || (st == OXV_E_USAGE && err.text[0] != '\0'));
    require(oxv_is_printable_utf8(oxv_view_text(err.text)));
}

static void
check_rsa(struct oxv_view der)
{
    EVP_PKEY *key = NULL;
    enum oxv_status st = oxv_rsa_key_load(der, &key, NULL);

    require((st == OXV_OK) == (key != NULL));
    EVP_PKEY_free(key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[65536];
    struct oxv_reader r = oxv_reader(oxv_view(data, size));
    union any_record record = { .node = { .created_us = 0 } };
    uint8_t which;

    if (!oxv_read_u8(&r, &which)) {
        return 0;
    }
    if (which % (SHAPES + 1) == SHAPES) {
        check_rsa(r.left);
        return 0;
    }
    const struct oxv_shape *shape = shapes[which % (SHAPES + 1)];

    if (oxv_fields_decode(r.left, shape, &record, NULL) != OXV_OK) {
        return 0;
    }
    struct oxv_writer w = oxv_writer(again, sizeof again);

    oxv_fields_encode(&w, shape, &record);
    require(!w.failed && oxv_view_equals(r.left, oxv_view(again, w.len)));
    check_rules(shape, &record);
    return 0;
}
