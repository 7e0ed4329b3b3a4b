/* The binary encoding of structs: each value has exactly one. */
#include "test_base_support.h"

#include "base/fields.h"

struct sample {
    uint64_t number;
    uint64_t optional;
    struct oxv_view text;
    struct oxv_view bytes;
    struct oxv_view list;
};

static const struct oxv_field sample_fields[] = {
    OXV_FIELD(struct sample, number, 1, OXV_FIELD_U64, true, 0, 1000),
    OXV_FIELD(struct sample, optional, 2, OXV_FIELD_U64, false, 5, 9),
    OXV_FIELD(struct sample, text, 7, OXV_FIELD_TEXT, true, 1, 8),
    OXV_FIELD(struct sample, bytes, 8, OXV_FIELD_BYTES, false, 2, 4),
    OXV_FIELD(struct sample, list, 255, OXV_FIELD_LIST, false, 1, 32),
};
static const struct oxv_shape shape = OXV_SHAPE(struct sample, "sample", sample_fields);

static struct sample
least(void)
{
    return (struct sample){ .text = oxv_view_text("t") };
}

static size_t
encode(const struct sample *s, uint8_t out[128])
{
    struct oxv_writer w = oxv_writer(out, 128);

    oxv_fields_encode(&w, &shape, s);
    return w.failed ? 0 : w.len;
}

static enum oxv_status
decode(const void *bytes, size_t len, struct sample *out)
{
    __attribute__((cleanup(exact_done))) struct exact e = exact_copy(bytes, len);
    struct sample into = { .number = 77 };
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_fields_decode(e.view, &shape, &into, &err);

    if (st != OXV_OK) {
        assert_int_equal(into.number, 77); /* untouched */
        assert_int_equal(err.status, OXV_E_FORMAT);
        assert_memory_equal(err.text, "sample: ", 8);
    } else {
        *out = into; /* its views are gone: only numbers and lengths may be looked at */
    }
    return st;
}

static void
the_least_struct_has_its_required_fields_alone(void **state)
{
    static const uint8_t wanted[] = { 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 't' };
    uint8_t out[128];
    struct sample s = least();
    struct sample back;

    (void)state;
    assert_int_equal(encode(&s, out), sizeof wanted);
    assert_memory_equal(out, wanted, sizeof wanted);
    assert_int_equal(decode(wanted, sizeof wanted, &back), OXV_OK);
    assert_int_equal(back.number, 0);
    assert_int_equal(back.text.len, 1);
    assert_int_equal(back.bytes.len, 0);
}

static void
a_full_struct_comes_back(void **state)
{
    uint8_t out[128];
    uint8_t items[32];
    struct oxv_writer list = oxv_writer(items, sizeof items);
    struct sample back;
    struct oxv_view item;

    (void)state;
    oxv_list_add(&list, oxv_view_text("one"));
    oxv_list_add(&list, oxv_view(NULL, 0));
    struct sample s = { 1000, 5, oxv_view_text("text"), oxv_view("\0\xff", 2),
                        oxv_view(items, list.len) };
    size_t len = encode(&s, out);

    assert_true(len > 0);
    assert_int_equal(oxv_fields_decode(oxv_view(out, len), &shape, &back, NULL), OXV_OK);
    assert_int_equal(back.number, 1000);
    assert_int_equal(back.optional, 5);
    assert_true(oxv_view_is(back.text, "text"));
    assert_true(oxv_view_equals(back.bytes, s.bytes));
    assert_int_equal(oxv_list_count(back.list), 2);
    struct oxv_reader r = oxv_reader(back.list);

    assert_true(oxv_list_next(&r, &item) && oxv_view_is(item, "one"));
    assert_true(oxv_list_next(&r, &item) && item.len == 0);
    assert_false(oxv_list_next(&r, &item));
    for (size_t cut = 0; cut < len; cut++) { /* every field but the last two is needed or next */
        enum oxv_status st = decode(out, cut, &back);
        bool at_field = cut == len - 12 || cut == len - 12 - 7;

        assert_int_equal(st, at_field ? OXV_OK : OXV_E_FORMAT);
    }
    out[len] = 0;
    assert_int_equal(decode(out, len + 1, &back), OXV_E_FORMAT);
}

static void
values_out_of_bounds_are_not_encoded(void **state)
{
    uint8_t out[128];
    struct sample s = least();

    (void)state;
    s.number = 1001;
    assert_int_equal(encode(&s, out), 0);
    s = least();
    s.optional = 4;
    assert_int_equal(encode(&s, out), 0);
    s.optional = 10;
    assert_int_equal(encode(&s, out), 0);
    s = least();
    s.text = oxv_view(NULL, 0); /* required */
    assert_int_equal(encode(&s, out), 0);
    s.text = oxv_view_text("123456789");
    assert_int_equal(encode(&s, out), 0);
    s.text = oxv_view_text("a\nb");
    assert_int_equal(encode(&s, out), 0);
    s.text = oxv_view_text("\xff");
    assert_int_equal(encode(&s, out), 0);
    s = least();
    s.bytes = oxv_view("1", 1);
    assert_int_equal(encode(&s, out), 0);
    s = least();
    s.list = oxv_view("\0\2x", 3); /* an item that is cut */
    assert_int_equal(encode(&s, out), 0);
}

/* Each line breaks one rule of fields.h. */
static void
other_encodings_are_refused(void **state)
{
#define NUMBER "\1\0\0\0\10\0\0\0\0\0\0\0\0"
#define TEXT   "\7\0\0\0\1t"
#define CASE(bytes)                                                                                \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        CASE(""),
        CASE(NUMBER),                                     /* text is missing */
        CASE(TEXT),                                       /* number is missing */
        CASE(TEXT NUMBER),                                /* not ascending */
        CASE(NUMBER NUMBER TEXT),                         /* twice */
        CASE(NUMBER TEXT TEXT),                           /* twice */
        CASE(NUMBER "\3\0\0\0\0" TEXT),                   /* unknown tag */
        CASE(NUMBER TEXT "\x10\0\0\0\0"),                 /* unknown tag at the end */
        CASE("\1\0\0\0\7\0\0\0\0\0\0\0" TEXT),            /* a number of 7 bytes */
        CASE("\1\0\0\0\11\0\0\0\0\0\0\0\0\0" TEXT),       /* and of 9 */
        CASE("\1\0\0\0\10\0\0\0\0\0\0\3\xe9" TEXT),       /* 1001 */
        CASE(NUMBER "\2\0\0\0\10\0\0\0\0\0\0\0\0" TEXT),  /* an optional zero is absent */
        CASE(NUMBER "\2\0\0\0\10\0\0\0\0\0\0\0\4" TEXT),  /* below its least */
        CASE(NUMBER "\2\0\0\0\10\0\0\0\0\0\0\0\12" TEXT), /* above its most */
        CASE(NUMBER "\7\0\0\0\0"),                        /* text too short */
        CASE(NUMBER "\7\0\0\0\11"
                    "123456789"),      /* too long */
        CASE(NUMBER "\7\0\0\0\1\177"), /* DEL */
        CASE(NUMBER "\7\0\0\0\1\xff"), /* not UTF-8 */
        CASE(NUMBER "\7\xff\xff\xff\xff"
                    "t"),                      /* a length beyond the end */
        CASE(NUMBER TEXT "\10\0\0\0\0"),       /* optional and empty */
        CASE(NUMBER TEXT "\10\0\0\0\1x"),      /* below its least */
        CASE(NUMBER TEXT "\xff\0\0\0\0"),      /* an empty list */
        CASE(NUMBER TEXT "\xff\0\0\0\3\0\2x"), /* an item that is cut */
        CASE(NUMBER TEXT "\xff\0\0\0\1\0"),    /* half a length */
    };
    struct sample back;

    (void)state;
    assert_int_equal(decode(NUMBER TEXT, sizeof(NUMBER TEXT) - 1, &back), OXV_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (decode(bad[i].bytes, bad[i].len, &back) != OXV_E_FORMAT) {
            fail_msg("case %zu was accepted", i);
        }
    }
}

static void
the_error_names_the_field(void **state)
{
    struct sample s;
    struct oxv_err err;

    (void)state;
    assert_int_equal(oxv_fields_decode(oxv_view(NUMBER, 13), &shape, &s, &err), OXV_E_FORMAT);
    assert_string_equal(err.text, "sample: field text is missing or malformed");
    assert_int_equal(oxv_fields_decode(oxv_view(NUMBER TEXT "x", 20), &shape, &s, &err),
                     OXV_E_FORMAT);
    assert_string_equal(err.text, "sample: unknown or misplaced field");
}

static void
a_shape_is_walked_by_its_fields(void **state)
{
    struct sample s = least();

    (void)state;
    oxv_field_set_u64(&sample_fields[1], &s, 6);
    oxv_field_set_view(&sample_fields[3], &s, oxv_view("xy", 2));
    assert_int_equal(s.optional, 6);
    assert_int_equal(oxv_field_u64(&sample_fields[1], &s), 6);
    assert_true(oxv_view_is(oxv_field_view(&sample_fields[3], &s), "xy"));
    assert_string_equal(sample_fields[3].name, "bytes");
}

static void
a_flag_is_a_number_that_is_1_or_not_there(void **state)
{
    static const struct oxv_field fields[] = {
        OXV_FIELD(struct sample, optional, 2, OXV_FIELD_FLAG, false, 1, 1),
        OXV_FIELD(struct sample, text, 7, OXV_FIELD_TEXT, false, 1, 8),
    };
    static const struct oxv_shape with_flag = OXV_SHAPE(struct sample, "flag", fields);
    static const uint8_t set[] = { 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1 };
    uint8_t bytes[sizeof set];
    uint8_t out[32];

    (void)state;
    assert_true(oxv_field_is_u64(&fields[0]));
    assert_false(oxv_field_is_u64(&fields[1]));
    for (uint64_t value = 0; value < 3; value++) {
        struct sample s = { .optional = value };
        struct oxv_writer w = oxv_writer(out, sizeof out);

        oxv_fields_encode(&w, &with_flag, &s);
        assert_int_equal(w.failed, value == 2);
        if (value < 2) {
            assert_int_equal(w.len, value == 1 ? sizeof set : 0);
            assert_memory_equal(out, set, w.len);
        }
        memcpy(bytes, set, sizeof set);
        bytes[sizeof set - 1] = (uint8_t)value;
        s.optional = 77;
        assert_int_equal(oxv_fields_decode(oxv_view(bytes, sizeof bytes), &with_flag, &s, NULL),
                         value == 1 ? OXV_OK : OXV_E_FORMAT);
        assert_int_equal(s.optional, value == 1 ? 1 : 77);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_is_a_number_that_is_1_or_not_there),
        cmocka_unit_test(the_least_struct_has_its_required_fields_alone),
        cmocka_unit_test(a_full_struct_comes_back),
        cmocka_unit_test(values_out_of_bounds_are_not_encoded),
        cmocka_unit_test(other_encodings_are_refused),
        cmocka_unit_test(the_error_names_the_field),
        cmocka_unit_test(a_shape_is_walked_by_its_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
