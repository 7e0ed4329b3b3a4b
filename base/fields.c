#include "base/fields.h"

#include "base/text.h"

uint64_t
oxv_field_u64(const struct oxv_field *field, const void *in)
{
    uint64_t value;

    memcpy(&value, (const uint8_t *)in + field->offset, sizeof value);
    return value;
}

struct oxv_view
oxv_field_view(const struct oxv_field *field, const void *in)
{
    struct oxv_view value;

    memcpy(&value, (const uint8_t *)in + field->offset, sizeof value);
    return value;
}

void
oxv_field_set_u64(const struct oxv_field *field, void *out, uint64_t value)
{
    memcpy((uint8_t *)out + field->offset, &value, sizeof value);
}

void
oxv_field_set_view(const struct oxv_field *field, void *out, struct oxv_view value)
{
    memcpy((uint8_t *)out + field->offset, &value, sizeof value);
}

static bool
list_is_well_formed(struct oxv_view list, bool pairs)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view item;
    size_t count = 0;

    for (; !oxv_reader_at_end(&r); count++) {
        if (!oxv_read_view16(&r, &item)) {
            return false;
        }
    }
    return !pairs || count % 2 == 0;
}

static bool
view_follows(const struct oxv_field *field, struct oxv_view value)
{
    if (value.len < field->min || value.len > field->max) {
        return false;
    }
    switch (field->type) {
    case OXV_FIELD_TEXT:
        return oxv_is_printable_utf8(value);
    case OXV_FIELD_STRING:
        return oxv_is_utf8(value) && (value.len == 0 || memchr(value.data, 0, value.len) == NULL);
    case OXV_FIELD_LIST:
        return list_is_well_formed(value, false);
    case OXV_FIELD_PAIRS:
        return list_is_well_formed(value, true);
    case OXV_FIELD_BYTES:
    case OXV_FIELD_U64:
    case OXV_FIELD_FLAG:
        break;
    }
    return true;
}

static void
encode_u64(struct oxv_writer *w, const struct oxv_field *field, const void *in)
{
    uint64_t value = oxv_field_u64(field, in);

    if (value == 0 && !field->required) {
        return;
    }
    if (value < field->min || value > field->max) {
        w->failed = true;
        return;
    }
    oxv_write_u8(w, field->tag);
    oxv_write_u32(w, 8);
    oxv_write_u64(w, value);
}

static void
encode_view(struct oxv_writer *w, const struct oxv_field *field, const void *in)
{
    struct oxv_view value = oxv_field_view(field, in);

    if (value.len == 0 && !field->required) {
        return;
    }
    if (!view_follows(field, value)) {
        w->failed = true;
        return;
    }
    oxv_write_u8(w, field->tag);
    oxv_write_view32(w, value);
}

void
oxv_fields_encode(struct oxv_writer *w, const struct oxv_shape *shape, const void *in)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (oxv_field_is_u64(&shape->fields[i])) {
            encode_u64(w, &shape->fields[i], in);
        } else {
            encode_view(w, &shape->fields[i], in);
        }
    }
}

static bool
decode_value(const struct oxv_field *field, struct oxv_view bytes, void *out)
{
    if (!oxv_field_is_u64(field)) {
        if (!view_follows(field, bytes) || (bytes.len == 0 && !field->required)) {
            return false;
        }
        oxv_field_set_view(field, out, bytes);
        return true;
    }
    struct oxv_reader r = oxv_reader(bytes);
    uint64_t value;

    if (!oxv_read_u64(&r, &value) || !oxv_reader_at_end(&r) || value < field->min ||
        value > field->max || (value == 0 && !field->required)) {
        return false;
    }
    oxv_field_set_u64(field, out, value);
    return true;
}

/* Reads the field if it is the next one. */
static bool
decode_field(struct oxv_reader *r, const struct oxv_field *field, void *out)
{
    uint8_t tag;
    struct oxv_view bytes;

    if (oxv_reader_at_end(r) || r->left.data[0] != field->tag) {
        return !field->required;
    }
    return oxv_read_u8(r, &tag) && oxv_read_view32(r, &bytes) && decode_value(field, bytes, out);
}

/* The largest shape of ours has far fewer bytes; the struct is built aside so that a failure
 * leaves the caller's untouched. */
#define SHAPE_STRUCT_MAX_BYTES 1024u

enum oxv_status
oxv_fields_decode(struct oxv_view bytes, const struct oxv_shape *shape, void *out,
                  struct oxv_err *err)
{
    _Alignas(max_align_t) uint8_t built[SHAPE_STRUCT_MAX_BYTES];
    struct oxv_reader r = oxv_reader(bytes);

    if (shape->struct_size > sizeof built) {
        oxv_bug("shape too large");
    }
    memset(built, 0, shape->struct_size);
    for (size_t i = 0; i < shape->count; i++) {
        if (!decode_field(&r, &shape->fields[i], built)) {
            return oxv_fail(err, OXV_E_FORMAT, "%s: field %s is missing or malformed", shape->name,
                            shape->fields[i].name);
        }
    }
    if (!oxv_reader_at_end(&r)) {
        return oxv_fail(err, OXV_E_FORMAT, "%s: unknown or misplaced field", shape->name);
    }
    memcpy(out, built, shape->struct_size);
    return OXV_OK;
}

void
oxv_list_add(struct oxv_writer *w, struct oxv_view item)
{
    oxv_write_view16(w, item);
}

bool
oxv_list_next(struct oxv_reader *r, struct oxv_view *item)
{
    return !oxv_reader_at_end(r) && oxv_read_view16(r, item);
}

size_t
oxv_list_count(struct oxv_view list)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view item;
    size_t count = 0;

    while (oxv_list_next(&r, &item)) {
        count++;
    }
    return count;
}
