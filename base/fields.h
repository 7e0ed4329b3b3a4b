/*
 * fields: the one binary encoding of ours, used on the wire, in records and in sealed boxes.
 *
 * A struct is described by a table, its shape. Encoded form: for each field, in ascending order of
 * its tag: u8 tag, u32 length, that many bytes.
 *   U64   8 bytes, big-endian
 *   FLAG  a U64, 1 where it is set; in JSON a boolean
 *   TEXT  well-formed UTF-8 without C0 controls and DEL
 *   STRING well-formed UTF-8 without NUL: what a JSON string can hold
 *   BYTES any bytes
 *   LIST  items, each u16 length and that many bytes
 *   PAIRS a LIST with an even number of items: name, value, name, value
 * Rules, all enforced by the decoder, so that each value has exactly one encoding:
 *  1. tags ascend strictly; an unknown tag is refused
 *  2. an optional field that is zero or empty is absent; a required field is present
 *  3. values (U64) and lengths (all others) lie within min..max of the shape
 *  4. nothing follows the last field
 */
#ifndef OXV_BASE_FIELDS_H
#define OXV_BASE_FIELDS_H

#include "base/bytes.h"
#include "base/status.h"

enum oxv_field_type {
    OXV_FIELD_U64,    /* struct member: uint64_t */
    OXV_FIELD_TEXT,   /* struct oxv_view */
    OXV_FIELD_BYTES,  /* struct oxv_view */
    OXV_FIELD_STRING, /* struct oxv_view */
    OXV_FIELD_PAIRS,  /* struct oxv_view, as LIST */
    OXV_FIELD_LIST,   /* struct oxv_view over the encoded items, to be read by oxv_list_next() */
    OXV_FIELD_FLAG,   /* uint64_t, 0 or 1 */
};

struct oxv_field {
    uint8_t tag; /* 1..255, ascending within a shape */
    enum oxv_field_type type;
    bool required;
    size_t offset; /* of the member */
    uint64_t min;  /* of the value, or of the length in bytes; for optional fields: if present */
    uint64_t max;
    const char *name; /* as in JSON and in messages */
};

struct oxv_shape {
    const char *name;
    const struct oxv_field *fields;
    size_t count;
    size_t struct_size;
};

#define OXV_FIELD(T, member, tag_, type_, required_, min_, max_)                                   \
    {                                                                                              \
        .tag = (tag_), .type = (type_), .required = (required_), .offset = offsetof(T, member),    \
        .min = (min_), .max = (max_), .name = #member                                              \
    }
#define OXV_SHAPE(T, name_, table)                                                                 \
    {                                                                                              \
        .name = (name_), .fields = (table), .count = sizeof(table) / sizeof((table)[0]),           \
        .struct_size = sizeof(T)                                                                   \
    }

/*
 * Appends *in, a struct that `shape` describes. Makes the writer fail where a value breaks a rule
 * of the shape.
 */
void oxv_fields_encode(struct oxv_writer *w, const struct oxv_shape *shape, const void *in);

/*
 * Decodes all of `bytes` into *out (struct_size bytes); views borrow `bytes`.
 *   OXV_E_FORMAT  a rule is broken: *err names shape and field. *out is untouched.
 */
OXV_MUST_USE enum oxv_status oxv_fields_decode(struct oxv_view bytes, const struct oxv_shape *shape,
                                               void *out, struct oxv_err *err);

/* Is the member a uint64_t? Else it is a struct oxv_view. */
static inline bool
oxv_field_is_u64(const struct oxv_field *field)
{
    return field->type == OXV_FIELD_U64 || field->type == OXV_FIELD_FLAG;
}

/* The member of *in as the shape says; for code that walks a shape. */
uint64_t oxv_field_u64(const struct oxv_field *field, const void *in);
struct oxv_view oxv_field_view(const struct oxv_field *field, const void *in);
void oxv_field_set_u64(const struct oxv_field *field, void *out, uint64_t value);
void oxv_field_set_view(const struct oxv_field *field, void *out, struct oxv_view value);

/* Appends one item to a LIST being built in `w`. */
void oxv_list_add(struct oxv_writer *w, struct oxv_view item);
/* The next item; false at the end. A LIST that was decoded by fields_decode is well-formed. */
OXV_MUST_USE bool oxv_list_next(struct oxv_reader *r, struct oxv_view *item);
size_t oxv_list_count(struct oxv_view list);

#endif
