#include "client/answer.h"

#include "base/json.h"

#define FIELD(T, parent_, member, name_, type_, required_)                                         \
    {                                                                                              \
        .parent = (parent_), .name = (name_), .type = (type_), .required = (required_),            \
        .offset = offsetof(T, member)                                                              \
    }
#define NEEDS_TEXT(T, member) FIELD(struct T, NULL, member, #member, OXV_ANSWER_TEXT, true)
#define TEXT(T, member)       FIELD(struct T, NULL, member, #member, OXV_ANSWER_TEXT, false)
#define NEEDS_U64(T, member)  FIELD(struct T, NULL, member, #member, OXV_ANSWER_U64, true)
#define TEXTS(T, member)      FIELD(struct T, NULL, member, #member, OXV_ANSWER_TEXTS, false)
#define LOG(T)                                                                                     \
    FIELD(struct T, "log", log_origin, "origin", OXV_ANSWER_TEXT, true),                           \
        FIELD(struct T, "log", log_index, "index", OXV_ANSWER_U64, true)
#define PROOF(T) FIELD(struct T, "log", proof, "proof", OXV_ANSWER_TEXT, false)
#define SHAPE(T, table)                                                                            \
    {                                                                                              \
        .fields = (table), .count = sizeof(table) / sizeof((table)[0]),                            \
        .struct_size = sizeof(struct T), .storage_offset = offsetof(struct T, storage)             \
    }

/* The shape of a T that begins a P. */
#define PROVED_SHAPE(P, T, table)                                                                  \
    {                                                                                              \
        .fields = (table), .count = sizeof(table) / sizeof((table)[0]),                            \
        .struct_size = sizeof(struct P), .storage_offset = offsetof(struct T, storage)             \
    }

_Static_assert(offsetof(struct oxv_proved_oauth1, result) == 0 &&
                   offsetof(struct oxv_proved_token_passport, result) == 0 &&
                   offsetof(struct oxv_proved_connect_password, result) == 0,
               "a result must begin what it is part of");

static const struct oxv_answer_field oauth1_fields[] = {
    NEEDS_TEXT(oxv_client_oauth1, authorization),
    NEEDS_U64(oxv_client_oauth1, timestamp),
    NEEDS_TEXT(oxv_client_oauth1, nonce),
    LOG(oxv_client_oauth1),
    PROOF(oxv_proved_oauth1),
};
const struct oxv_answer_shape oxv_answer_oauth1 =
    PROVED_SHAPE(oxv_proved_oauth1, oxv_client_oauth1, oauth1_fields);

static const struct oxv_answer_field token_passport_fields[] = {
    NEEDS_TEXT(oxv_client_token_passport, account),
    NEEDS_TEXT(oxv_client_token_passport, consumer_key),
    NEEDS_TEXT(oxv_client_token_passport, token),
    NEEDS_TEXT(oxv_client_token_passport, nonce),
    NEEDS_U64(oxv_client_token_passport, timestamp),
    FIELD(struct oxv_client_token_passport, "signature", signature_algorithm, "algorithm",
          OXV_ANSWER_TEXT, true),
    FIELD(struct oxv_client_token_passport, "signature", signature_value, "value", OXV_ANSWER_TEXT,
          true),
    NEEDS_TEXT(oxv_client_token_passport, xml),
    LOG(oxv_client_token_passport),
    PROOF(oxv_proved_token_passport),
};
const struct oxv_answer_shape oxv_answer_token_passport =
    PROVED_SHAPE(oxv_proved_token_passport, oxv_client_token_passport, token_passport_fields);

static const struct oxv_answer_field connect_password_fields[] = {
    NEEDS_TEXT(oxv_client_connect_password, user),
    NEEDS_TEXT(oxv_client_connect_password, password),
    LOG(oxv_client_connect_password),
    PROOF(oxv_proved_connect_password),
};
const struct oxv_answer_shape oxv_answer_connect_password =
    PROVED_SHAPE(oxv_proved_connect_password, oxv_client_connect_password, connect_password_fields);

static const struct oxv_answer_field connection_fields[] = {
    NEEDS_U64(oxv_client_connection, id),
    NEEDS_TEXT(oxv_client_connection, name),
    NEEDS_TEXT(oxv_client_connection, system),
    TEXT(oxv_client_connection, account_id),
    TEXT(oxv_client_connection, consumer_key),
    TEXT(oxv_client_connection, token_id),
    TEXT(oxv_client_connection, realm),
    TEXT(oxv_client_connection, role_id),
    TEXT(oxv_client_connection, application_id),
    NEEDS_TEXT(oxv_client_connection, signature_method),
    TEXTS(oxv_client_connection, origins),
    TEXTS(oxv_client_connection, kinds),
};
const struct oxv_answer_shape oxv_answer_connection =
    SHAPE(oxv_client_connection, connection_fields);

static const struct oxv_answer_field health_fields[] = {
    NEEDS_TEXT(oxv_client_health, state),
    TEXT(oxv_client_health, detail),
    TEXT(oxv_client_health, version),
    TEXT(oxv_client_health, clock),
};
const struct oxv_answer_shape oxv_answer_health = SHAPE(oxv_client_health, health_fields);

/* A copy of the string in the arena; *good tells no string from no memory. */
static const char *
copy_text(struct oxv_view value, struct oxv_arena *arena, bool *good)
{
    /* Unescaped, it is never longer than as it stands, and its quotes make room for the NUL. */
    char *text = oxv_arena_get(arena, value.len + 1, 1);
    struct oxv_writer w = oxv_writer(text, value.len);

    *good = true;
    if (text != NULL && (!oxv_json_write_string(&w, value) || w.failed)) {
        *good = false;
    }
    return text;
}

static const char *const *
copy_texts(struct oxv_view value, struct oxv_arena *arena, bool *good)
{
    const char **texts = oxv_arena_get(arena, oxv_json_count(value) + 1, sizeof *texts);
    struct oxv_json_items items = oxv_json_items(value);
    struct oxv_view name;
    struct oxv_view item;
    size_t i = 0;

    *good = oxv_json_type(value) == OXV_JSON_ARRAY;
    while (texts != NULL && *good && oxv_json_next(&items, &name, &item)) {
        texts[i] = copy_text(item, arena, good);
        if (texts[i] == NULL) {
            return NULL;
        }
        i++;
    }
    return texts;
}

static enum oxv_client_code
read_field(const struct oxv_answer_field *field, struct oxv_view value, struct oxv_arena *arena,
           void *place, struct oxv_client_error *error)
{
    bool good = false;
    const void *copy = place;
    uint64_t number;

    switch (field->type) {
    case OXV_ANSWER_U64:
        good = oxv_json_integer(value, OXV_JSON_INTEGER_MAX, &number);
        if (good) {
            memcpy(place, &number, sizeof number);
        }
        break;
    case OXV_ANSWER_TEXT:
        copy = copy_text(value, arena, &good);
        memcpy(place, &copy, sizeof copy);
        break;
    case OXV_ANSWER_TEXTS:
        copy = copy_texts(value, arena, &good);
        memcpy(place, &copy, sizeof copy);
        break;
    }
    if (copy == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    if (!good) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER,
                               "the member %s of the answer has another type", field->name);
    }
    return OXV_CLIENT_OK;
}

static bool
find_member(const struct oxv_answer_field *field, struct oxv_view object, struct oxv_view *value)
{
    struct oxv_view parent = object;

    if (field->parent != NULL && !oxv_json_get(object, field->parent, &parent)) {
        return false;
    }
    return oxv_json_get(parent, field->name, value);
}

enum oxv_client_code
oxv_answer_read(const struct oxv_answer_shape *shape, struct oxv_view object,
                struct oxv_arena *arena, void *out, struct oxv_client_error *error)
{
    if (oxv_json_type(object) != OXV_JSON_OBJECT) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the answer is no JSON object");
    }
    for (size_t i = 0; i < shape->count; i++) {
        const struct oxv_answer_field *field = &shape->fields[i];
        struct oxv_view value;
        enum oxv_client_code code;

        if (!find_member(field, object, &value)) {
            if (field->required) {
                return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the answer has no member %s",
                                       field->name);
            }
            value = oxv_view_text(field->type == OXV_ANSWER_TEXTS ? "[]" : "\"\"");
        }
        code = read_field(field, value, arena, (uint8_t *)out + field->offset, error);
        if (code != OXV_CLIENT_OK) {
            return code;
        }
    }
    return OXV_CLIENT_OK;
}

enum oxv_client_code
oxv_answer_parse(const struct oxv_answer_shape *shape, struct oxv_view text, void **out,
                 struct oxv_client_error *error)
{
    OXV_AUTO(oxv_arena_freep) struct oxv_arena *arena = oxv_arena_new();
    void *result = arena == NULL ? NULL : oxv_arena_get(arena, 1, shape->struct_size);
    struct oxv_json_fault fault;

    if (result == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    if (oxv_json_check(text, &fault) != OXV_OK) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the answer is not good JSON: %s",
                               fault.reason);
    }
    enum oxv_client_code code = oxv_answer_read(shape, text, arena, result, error);

    if (code != OXV_CLIENT_OK) {
        return code;
    }
    void *storage = oxv_arena_take(&arena);

    memcpy((uint8_t *)result + shape->storage_offset, &storage, sizeof storage);
    *out = result;
    return OXV_CLIENT_OK;
}
