/*
 * fuzz_records: the first byte picks a shape (or an RSA key), the rest is the encoded record. What
 * decodes must encode to the same bytes; the rules that span fields must cope with all of it.
 */
#include <stdlib.h>

#include "base/text.h"
#include "vault/box.h"
#include "vault/records.h"
#include "vault/rsa_key.h"

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
};

static const struct oxv_shape *const shapes[] = {
    &oxv_connection_shape, &oxv_grant_shape,        &oxv_caller_shape,
    &oxv_seal_shape,       &oxv_node_shape,         &oxv_connection_secret_shape,
    &oxv_admin_shape,      &oxv_node_secret_shape,  &oxv_box_shape,
    &oxv_box_unseal_shape, &oxv_box_seal_add_shape, &oxv_box_connection_shape,
    &oxv_box_import_shape,
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static void
require(bool condition)
{
    if (!condition) {
        abort();
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
