#include "service/frontend/json_map.h"

#include "base/text.h"

#define NAME_MAX_CHARS 64 /* of a name from outside, in a message */

static size_t
find_field(const struct oxv_shape *shape, struct oxv_view name)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (oxv_view_is(name, shape->fields[i].name)) {
            return i;
        }
    }
    return shape->count;
}

static uint32_t
bit(size_t index)
{
    return UINT32_C(1) << index;
}

uint32_t
oxv_map_bit(const struct oxv_shape *shape, const char *name)
{
    size_t index = find_field(shape, oxv_view_text(name));

    return index < shape->count ? bit(index) : 0;
}

static enum oxv_status
refuse(const struct oxv_field *field, struct oxv_err *err, const char *reason)
{
    return oxv_fail(err, OXV_E_FORMAT, "%s: %s", field->name, reason);
}

static enum oxv_status
set_u64(const struct oxv_mapping *m, const struct oxv_field *field, uint64_t value,
        struct oxv_err *err)
{
    bool is_absent = value == 0 && !field->required;

    if (!is_absent && (value < field->min || value > field->max)) {
        return oxv_fail(err, OXV_E_FORMAT, "%s: must be %llu to %llu", field->name,
                        (unsigned long long)field->min, (unsigned long long)field->max);
    }
    oxv_field_set_u64(field, m->out, value);
    return OXV_OK;
}

static enum oxv_status
set_view(const struct oxv_mapping *m, const struct oxv_field *field, struct oxv_view value,
         struct oxv_err *err)
{
    bool is_absent = value.len == 0 && !field->required;

    if (!is_absent && (value.len < field->min || value.len > field->max)) {
        return oxv_fail(err, OXV_E_FORMAT, "%s: must have %llu to %llu bytes", field->name,
                        (unsigned long long)field->min, (unsigned long long)field->max);
    }
    if (field->type == OXV_FIELD_TEXT && !oxv_is_printable_utf8(value)) {
        return refuse(field, err, "must have no control characters");
    }
    oxv_field_set_view(field, m->out, value);
    return OXV_OK;
}

static enum oxv_status
set_bytes(const struct oxv_mapping *m, const struct oxv_field *field, struct oxv_view base64,
          struct oxv_err *err)
{
    size_t max = base64.len / 4 * 3;
    uint8_t *place = oxv_write_reserve(m->scratch, max);
    size_t len;

    if (place == NULL || !oxv_parse_base64(base64, place, max, &len)) {
        return refuse(field, err, "must be base64 with padding");
    }
    return set_view(m, field, oxv_view(place, len), err);
}

static bool
add_string(struct oxv_writer *w, const cJSON *item)
{
    if (!cJSON_IsString(item)) {
        return false;
    }
    oxv_list_add(w, oxv_view_text(item->valuestring));
    return true;
}

static bool
write_strings(struct oxv_writer *w, const cJSON *array)
{
    const cJSON *item;

    if (!cJSON_IsArray(array)) {
        return false;
    }
    cJSON_ArrayForEach(item, array)
    {
        if (!add_string(w, item)) {
            return false;
        }
    }
    return true;
}

static bool
write_pair(struct oxv_writer *w, const cJSON *pair)
{
    return cJSON_IsArray(pair) && pair->child != NULL && pair->child->next != NULL &&
           pair->child->next->next == NULL && add_string(w, pair->child) &&
           add_string(w, pair->child->next);
}

static bool
write_pairs(struct oxv_writer *w, const cJSON *value)
{
    const cJSON *item;

    if (!cJSON_IsArray(value) && !cJSON_IsObject(value)) {
        return false;
    }
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsArray(value) && !write_pair(w, item)) {
            return false;
        }
        if (cJSON_IsObject(value)) {
            oxv_list_add(w, oxv_view_text(item->string));
            if (!add_string(w, item)) {
                return false;
            }
        }
    }
    return true;
}

static enum oxv_status
set_list(const struct oxv_mapping *m, const struct oxv_field *field, const cJSON *value,
         struct oxv_err *err)
{
    bool is_pairs = field->type == OXV_FIELD_PAIRS;
    struct oxv_writer *w = m->scratch;
    size_t begin = w->len;

    if (!(is_pairs ? write_pairs(w, value) : write_strings(w, value))) {
        return refuse(field, err,
                      is_pairs ? "must be an object with string values, or an array of "
                                 "[name, value] pairs"
                               : "must be an array of strings");
    }
    if (w->failed) {
        return refuse(field, err, "is too long");
    }
    return set_view(m, field, oxv_view(&w->data[begin], w->len - begin), err);
}

static enum oxv_status
set_from_json(const struct oxv_mapping *m, const struct oxv_field *field, const cJSON *value,
              struct oxv_err *err)
{
    switch (field->type) {
    case OXV_FIELD_U64:
        return cJSON_IsNumber(value) ? set_u64(m, field, (uint64_t)value->valuedouble, err)
                                     : refuse(field, err, "must be an integer");
    case OXV_FIELD_FLAG:
        return cJSON_IsBool(value) ? set_u64(m, field, cJSON_IsTrue(value) ? 1 : 0, err)
                                   : refuse(field, err, "must be true or false");
    case OXV_FIELD_TEXT:
    case OXV_FIELD_STRING:
        return cJSON_IsString(value) ? set_view(m, field, oxv_view_text(value->valuestring), err)
                                     : refuse(field, err, "must be a string");
    case OXV_FIELD_BYTES:
        return cJSON_IsString(value) ? set_bytes(m, field, oxv_view_text(value->valuestring), err)
                                     : refuse(field, err, "must be a string");
    case OXV_FIELD_LIST:
    case OXV_FIELD_PAIRS:
        return set_list(m, field, value, err);
    }
    oxv_bug("unknown type of field");
}

/* The field that may be given under this name now. */
static enum oxv_status
claim(struct oxv_mapping *m, struct oxv_view name, const struct oxv_field **out,
      struct oxv_err *err)
{
    size_t index = find_field(m->shape, name);
    int shown = (int)(name.len < NAME_MAX_CHARS ? name.len : NAME_MAX_CHARS);

    if (index == m->shape->count || (m->takes & bit(index)) == 0) {
        return oxv_fail(err, OXV_E_FORMAT, "%.*s: is not known here", shown,
                        (const char *)name.data);
    }
    if ((m->filled & bit(index)) != 0) {
        return oxv_fail(err, OXV_E_FORMAT, "%.*s: is there twice", shown, (const char *)name.data);
    }
    m->filled |= bit(index);
    *out = &m->shape->fields[index];
    return OXV_OK;
}

enum oxv_status
oxv_map_object(struct oxv_mapping *m, const cJSON *object, struct oxv_err *err)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, object)
    {
        const struct oxv_field *field;

        if (m->ignores != NULL && strcmp(member->string, m->ignores) == 0) {
            continue;
        }
        enum oxv_status st = claim(m, oxv_view_text(member->string), &field, err);

        if (st == OXV_OK) {
            st = set_from_json(m, field, member, err);
        }
        if (st != OXV_OK) {
            return st;
        }
    }
    return OXV_OK;
}

enum oxv_status
oxv_map_text(struct oxv_mapping *m, struct oxv_view name, struct oxv_view value,
             struct oxv_err *err)
{
    const struct oxv_field *field;
    enum oxv_status st = claim(m, name, &field, err);
    uint64_t number;

    if (st != OXV_OK) {
        return st;
    }
    switch (field->type) {
    case OXV_FIELD_U64:
        if (value.len == 0 && !field->required) {
            return OXV_OK;
        }
        return oxv_parse_decimal(value, UINT64_MAX, &number)
                   ? set_u64(m, field, number, err)
                   : refuse(field, err, "must be a decimal number");
    case OXV_FIELD_TEXT:
    case OXV_FIELD_STRING:
        if (!oxv_is_utf8(value) || oxv_view_find(value, 0) != value.len) {
            return refuse(field, err, "must be UTF-8 without NUL");
        }
        return set_view(m, field, value, err);
    case OXV_FIELD_BYTES:
    case OXV_FIELD_LIST:
    case OXV_FIELD_PAIRS:
    case OXV_FIELD_FLAG:
        break;
    }
    oxv_bug("no such field comes from a URL");
}

static bool
is_empty(const struct oxv_field *field, const void *in)
{
    return oxv_field_is_u64(field) ? oxv_field_u64(field, in) == 0
                                   : oxv_field_view(field, in).len == 0;
}

enum oxv_status
oxv_map_finish(const struct oxv_mapping *m, struct oxv_err *err)
{
    for (size_t i = 0; i < m->shape->count; i++) {
        const struct oxv_field *field = &m->shape->fields[i];
        bool is_missing = field->required && (m->filled & bit(i)) == 0;

        if (is_missing || ((m->needs & bit(i)) != 0 && is_empty(field, m->out))) {
            return refuse(field, err, "is missing");
        }
    }
    return OXV_OK;
}
