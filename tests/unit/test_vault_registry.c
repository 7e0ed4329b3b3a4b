/* The registry and its hash tables against a model. */
#include "test_vault_support.h"

#include "vault/registry.h"

#define IDS 400u

static struct oxv_row *
make_caller(uint64_t id, const char *name, uint64_t uid)
{
    struct oxv_caller_record record = { .uid_plus1 = uid + 1,
                                        .created_us = 1,
                                        .name = oxv_view_text(name) };
    uint8_t encoded[256];
    uint8_t sealed[OXV_BLOB_EXTRA_BYTES] = { 0 };
    struct oxv_writer w = oxv_writer(encoded, sizeof encoded);
    struct oxv_row *row = NULL;

    oxv_fields_encode(&w, &oxv_caller_shape, &record);
    struct oxv_store_row stored = {
        .table = OXV_TABLE_CALLER,
        .id = id,
        .version = 1,
        .record = oxv_view(encoded, w.len),
        .sealed = oxv_view(sealed, sizeof sealed),
    };

    assert_int_equal(oxv_row_new(&stored, &row, NULL), OXV_OK);
    return row;
}

static void
put_caller_row(struct oxv_registry *registry, uint64_t id)
{
    char name[32];

    assert_int_equal(oxv_format(name, sizeof name, "caller-%llu", (unsigned long long)id), OXV_OK);
    assert_int_equal(oxv_registry_reserve(registry, OXV_TABLE_CALLER, 1), OXV_OK);
    oxv_registry_put(registry, make_caller(id, name, id * 3));
}

static void
check_model(const struct oxv_registry *registry, const bool present[IDS])
{
    uint64_t after = 0;

    for (uint64_t id = 1; id < IDS; id++) {
        char name[32];
        struct oxv_row *row = oxv_registry_by_id(registry, OXV_TABLE_CALLER, id);

        assert_int_equal(oxv_format(name, sizeof name, "caller-%llu", (unsigned long long)id),
                         OXV_OK);
        assert_int_equal(row != NULL, present[id]);
        assert_ptr_equal(oxv_registry_find(registry, OXV_BY_CALLER_NAME, oxv_view_text(name)), row);
        assert_ptr_equal(oxv_registry_by_uid(registry, OXV_BY_CALLER_UID, id * 3), row);
        if (row != NULL) {
            assert_ptr_equal(oxv_registry_next(registry, OXV_TABLE_CALLER, after), row);
            after = id;
        }
    }
    assert_null(oxv_registry_next(registry, OXV_TABLE_CALLER, after));
    assert_null(oxv_registry_next(registry, OXV_TABLE_CALLER, UINT64_MAX));
}

static void
random_puts_and_removals_agree_with_a_model(void **state)
{
    OXV_AUTO(oxv_registry_freep) struct oxv_registry *registry = oxv_registry_new();
    bool present[IDS] = { false };
    unsigned seed = 7;

    (void)state;
    for (size_t step = 0; step < 6000; step++) {
        uint64_t id = 1 + (uint64_t)rand_r(&seed) % (IDS - 1);
        struct oxv_row *row = oxv_registry_by_id(registry, OXV_TABLE_CALLER, id);

        if (row == NULL) {
            put_caller_row(registry, id);
        } else {
            oxv_registry_unlink(registry, row);
            oxv_registry_sweep(registry, OXV_TABLE_CALLER);
        }
        present[id] = row == NULL;
        if (step % 500 == 0) {
            check_model(registry, present);
        }
    }
    check_model(registry, present);
}

static void
a_row_of_the_same_id_takes_the_place_of_an_unlinked_one(void **state)
{
    OXV_AUTO(oxv_registry_freep) struct oxv_registry *registry = oxv_registry_new();

    (void)state;
    for (uint64_t id = 1; id <= 3; id++) {
        put_caller_row(registry, id);
    }
    oxv_registry_unlink(registry, oxv_registry_by_id(registry, OXV_TABLE_CALLER, 2));
    assert_null(oxv_registry_by_id(registry, OXV_TABLE_CALLER, 2));
    oxv_registry_put(registry, make_caller(2, "renamed", 77));
    assert_int_equal(registry->lists[OXV_TABLE_CALLER].count, 3);
    assert_int_equal(oxv_registry_by_uid(registry, OXV_BY_CALLER_UID, 77)->as.head.id, 2);
    assert_null(oxv_registry_by_uid(registry, OXV_BY_CALLER_UID, 6));
    assert_int_equal(oxv_registry_next(registry, OXV_TABLE_CALLER, 1)->as.head.id, 2);
}

static void
a_clash_names_the_field_and_ignores_leaving_rows(void **state)
{
    OXV_AUTO(oxv_registry_freep) struct oxv_registry *registry = oxv_registry_new();
    OXV_AUTO(oxv_row_freep) struct oxv_row *same_name = make_caller(9, "caller-1", 500);
    OXV_AUTO(oxv_row_freep) struct oxv_row *same_uid = make_caller(9, "other", 3);
    OXV_AUTO(oxv_row_freep) struct oxv_row *same_row = make_caller(1, "caller-1", 3);
    OXV_AUTO(oxv_row_freep) struct oxv_row *both = make_caller(9, "caller-1", 6);
    const char *field = NULL;

    (void)state;
    put_caller_row(registry, 1);
    put_caller_row(registry, 2);
    assert_non_null(oxv_registry_clash(registry, same_name, &field));
    assert_string_equal(field, "name");
    assert_non_null(oxv_registry_clash(registry, same_uid, &field));
    assert_string_equal(field, "uid");
    assert_null(oxv_registry_clash(registry, same_row, &field));
    /* The name is given up, the uid of another row is not. */
    oxv_registry_by_id(registry, OXV_TABLE_CALLER, 1)->leaving = true;
    assert_null(oxv_registry_clash(registry, same_name, &field));
    assert_int_equal(oxv_registry_clash(registry, both, &field)->as.head.id, 2);
    assert_string_equal(field, "uid");
}

static void
malformed_rows_are_refused(void **state)
{
    uint8_t record[] = { 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5 };
    uint8_t sealed[1] = { 0 };
    struct oxv_row *row = NULL;
    struct oxv_store_row stored = {
        .table = OXV_TABLE_CALLER,
        .id = 1,
        .version = 1,
        .record = oxv_view(record, sizeof record),
        .sealed = oxv_view(sealed, sizeof sealed),
    };

    (void)state;
    assert_int_equal(oxv_row_new(&stored, &row, NULL), OXV_E_FORMAT);
    stored.record = oxv_view(NULL, 0);
    assert_int_equal(oxv_row_new(&stored, &row, NULL), OXV_E_FORMAT);
    stored.record.len = OXV_RECORD_MAX_BYTES + 1; /* not read */
    assert_int_equal(oxv_row_new(&stored, &row, NULL), OXV_E_FORMAT);
    assert_null(row);
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
        cmocka_unit_test(random_puts_and_removals_agree_with_a_model),
        cmocka_unit_test(a_row_of_the_same_id_takes_the_place_of_an_unlinked_one),
        cmocka_unit_test(a_clash_names_the_field_and_ignores_leaving_rows),
        cmocka_unit_test(malformed_rows_are_refused),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
