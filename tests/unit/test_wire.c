#include "service/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/wire/messages.h"
#include "vault/records.h"

/* Two messages in one datagram, as bytes. */
static const uint8_t two[] = { 1,   16,  0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3, 'a',
                               'b', 'c', 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0 };

/* In memory of its own, so that a sanitizer sees a read beyond its end. */
static uint8_t *
exact(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static void
two_messages_are_read_in_their_order(void **state)
{
    struct oxv_reader r;
    struct oxv_message m;

    (void)state;
    assert_true(oxv_wire_begin(oxv_view(two, sizeof two), &r));
    assert_int_equal(oxv_wire_next(&r, &m), OXV_OK);
    assert_int_equal(m.type, 16);
    assert_int_equal(m.id, 258);
    assert_true(oxv_view_is(m.payload, "abc"));
    assert_int_equal(oxv_wire_next(&r, &m), OXV_OK);
    assert_int_equal(m.type, 2);
    assert_int_equal(m.id, 7);
    assert_int_equal(m.payload.len, 0);
    assert_int_equal(oxv_wire_next(&r, &m), OXV_E_NOT_FOUND);
    assert_int_equal(m.id, 7); /* untouched */
}

static void
every_truncation_is_refused_but_that_between_messages(void **state)
{
    const size_t first_end = 1 + OXV_WIRE_HEAD_BYTES + 3;

    (void)state;
    for (size_t len = 0; len < sizeof two; len++) {
        uint8_t *bytes = exact(two, len);
        struct oxv_message m = { .id = 99 };
        struct oxv_reader r;
        enum oxv_status st = OXV_OK;

        if (len <= 1) {
            assert_false(oxv_wire_begin(oxv_view(bytes, len), &r));
        } else {
            assert_true(oxv_wire_begin(oxv_view(bytes, len), &r));
            while (st == OXV_OK) {
                st = oxv_wire_next(&r, &m);
            }
            assert_int_equal(st, len == first_end ? OXV_E_NOT_FOUND : OXV_E_FORMAT);
            assert_int_equal(m.id, len < first_end ? 99 : 258);
        }
        free(bytes);
    }
}

static void
another_version_and_too_long_a_datagram_are_refused(void **state)
{
    static uint8_t bytes[OXV_WIRE_MAX_BYTES + 1] = { OXV_WIRE_VERSION };
    struct oxv_reader r;

    (void)state;
    assert_true(oxv_wire_begin(oxv_view(bytes, OXV_WIRE_MAX_BYTES), &r));
    assert_false(oxv_wire_begin(oxv_view(bytes, OXV_WIRE_MAX_BYTES + 1), &r));
    for (unsigned version = 0; version < 256; version++) {
        bytes[0] = (uint8_t)version;
        assert_int_equal(oxv_wire_begin(oxv_view(bytes, 20), &r), version == OXV_WIRE_VERSION);
    }
}

static void
a_length_beyond_the_datagram_is_refused(void **state)
{
    uint8_t bytes[sizeof two];
    struct oxv_reader r;
    struct oxv_message m;

    (void)state;
    memcpy(bytes, two, sizeof two);
    bytes[10] = 0xff; /* the length's first byte */
    assert_true(oxv_wire_begin(oxv_view(bytes, sizeof bytes), &r));
    assert_int_equal(oxv_wire_next(&r, &m), OXV_E_FORMAT);
}

static void
doors_have_names_and_nothing_else_is_one(void **state)
{
    enum oxv_door door = OXV_DOOR_END;

    (void)state;
    assert_string_equal(oxv_door_name(OXV_DOOR_SIGN), "sign");
    assert_string_equal(oxv_door_name(OXV_DOOR_ADMIN), "admin");
    assert_string_equal(oxv_door_name(OXV_DOOR_AUDIT), "audit");
    assert_null(oxv_door_name(0));
    assert_null(oxv_door_name(OXV_DOOR_END));
    assert_null(oxv_door_name(UINT64_MAX));
    assert_true(oxv_door_parse(oxv_view_text("admin"), &door));
    assert_int_equal(door, OXV_DOOR_ADMIN);
    assert_false(oxv_door_parse(oxv_view_text("Admin"), &door));
    assert_false(oxv_door_parse(oxv_view_text(""), &door));
    assert_int_equal(door, OXV_DOOR_ADMIN);
}

static const struct oxv_shape *const shapes[] = {
    &oxv_msg_empty_shape,
    &oxv_msg_sign_shape,
    &oxv_msg_page_shape,
    &oxv_msg_name_shape,
    &oxv_msg_id_shape,
    &oxv_msg_uid_shape,
    &oxv_msg_box_shape,
    &oxv_msg_named_box_shape,
    &oxv_msg_session_shape,
    &oxv_msg_import_chunk_shape,
    &oxv_msg_import_commit_shape,
    &oxv_msg_caller_add_shape,
    &oxv_msg_grants_shape,
    &oxv_msg_grant_add_shape,
    &oxv_msg_log_read_shape,
    &oxv_msg_log_opened_shape,
    &oxv_msg_log_segment_shape,
    &oxv_msg_log_bytes_shape,
    &oxv_msg_log_wait_shape,
    &oxv_msg_log_size_shape,
    &oxv_msg_problem_shape,
    &oxv_msg_peer_shape,
    &oxv_msg_publish_shape,
    &oxv_msg_ready_shape,
    &oxv_msg_frontend_shape,
    &oxv_msg_refuse_shape,
    &oxv_msg_start_shape,
};

#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])

static void
every_shape_ascends_in_tags_and_stays_within_its_struct(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        for (size_t j = 0; j < shapes[i]->count; j++) {
            const struct oxv_field *field = &shapes[i]->fields[j];
            size_t size = oxv_field_is_u64(field) ? sizeof(uint64_t) : sizeof(struct oxv_view);

            assert_true(field->tag > (j == 0 ? 0 : shapes[i]->fields[j - 1].tag));
            assert_true(field->offset + size <= shapes[i]->struct_size);
            assert_true(field->min <= field->max);
        }
    }
}

/* A struct with something in every field. */
static void
fill(const struct oxv_shape *shape, void *out, bool required_only)
{
    static const uint8_t list[] = { 0, 1, 'x', 0, 1, 'y' };

    for (size_t i = 0; i < shape->count; i++) {
        const struct oxv_field *field = &shape->fields[i];
        bool is_list = field->type == OXV_FIELD_LIST || field->type == OXV_FIELD_PAIRS;

        if (required_only && !field->required) {
            continue;
        }
        if (oxv_field_is_u64(field)) {
            oxv_field_set_u64(field, out, field->max);
        } else {
            oxv_field_set_view(field, out,
                               is_list ? oxv_view(list, sizeof list) : oxv_view("z", 1));
        }
    }
}

static void
assert_round_trip(const struct oxv_shape *shape, bool required_only)
{
    _Alignas(max_align_t) uint8_t in[1024] = { 0 };
    _Alignas(max_align_t) uint8_t out[1024] = { 0 };
    uint8_t bytes[1024];
    struct oxv_writer w = oxv_writer(bytes, sizeof bytes - 1);

    fill(shape, in, required_only);
    oxv_fields_encode(&w, shape, in);
    assert_false(w.failed);
    bytes[w.len] = 0;
    assert_int_equal(oxv_fields_decode(oxv_view(bytes, w.len), shape, out, NULL), OXV_OK);
    for (size_t i = 0; i < shape->count; i++) {
        const struct oxv_field *field = &shape->fields[i];

        if (oxv_field_is_u64(field)) {
            assert_int_equal(oxv_field_u64(field, in), oxv_field_u64(field, out));
        } else {
            assert_true(oxv_view_equals(oxv_field_view(field, in), oxv_field_view(field, out)));
        }
    }
    /* A trailing byte, and every truncation that leaves a part of a field. */
    assert_int_equal(oxv_fields_decode(oxv_view(bytes, w.len + 1), shape, out, NULL), OXV_E_FORMAT);
    for (size_t len = 0; len < w.len; len++) {
        _Alignas(max_align_t) uint8_t untouched[1024] = { 0 };
        uint8_t *cut = exact(bytes, len);
        enum oxv_status st = oxv_fields_decode(oxv_view(cut, len), shape, untouched, NULL);

        if (st != OXV_OK) { /* where it ends between optional fields it is a message, too */
            assert_int_equal(st, OXV_E_FORMAT);
            assert_true(memcmp(untouched, (uint8_t[1024]){ 0 }, sizeof untouched) == 0);
        } else {
            assert_false(required_only);
        }
        free(cut);
    }
}

static void
every_message_survives_its_encoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        assert_round_trip(shapes[i], false);
        assert_round_trip(shapes[i], true);
    }
}

static void
the_sign_message_takes_every_kind_of_signature(void **state)
{
    (void)state;
    assert_true(oxv_msg_sign_shape.fields[0].max >= OXV_KIND_ALL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_messages_are_read_in_their_order),
        cmocka_unit_test(every_truncation_is_refused_but_that_between_messages),
        cmocka_unit_test(another_version_and_too_long_a_datagram_are_refused),
        cmocka_unit_test(a_length_beyond_the_datagram_is_refused),
        cmocka_unit_test(doors_have_names_and_nothing_else_is_one),
        cmocka_unit_test(every_shape_ascends_in_tags_and_stays_within_its_struct),
        cmocka_unit_test(every_message_survives_its_encoding),
        cmocka_unit_test(the_sign_message_takes_every_kind_of_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
