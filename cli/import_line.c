#include "cli/import_line.h"

#include "base/json.h"

/* The public texts by name. */
static const struct {
    const char *name;
    size_t offset;
} members[] = {
    { "name", offsetof(struct oxv_connection_fields, name) },
    { "system", offsetof(struct oxv_connection_fields, system) },
    { "account_id", offsetof(struct oxv_connection_fields, account_id) },
    { "consumer_key", offsetof(struct oxv_connection_fields, consumer_key) },
    { "token_id", offsetof(struct oxv_connection_fields, token_id) },
    { "role_id", offsetof(struct oxv_connection_fields, role_id) },
    { "application_id", offsetof(struct oxv_connection_fields, application_id) },
    { "realm", offsetof(struct oxv_connection_fields, realm) },
    { "signature_method", offsetof(struct oxv_connection_fields, signature_method) },
};

static enum oxv_status
take_text(struct oxv_view value, struct oxv_writer *text, struct oxv_view *out)
{
    size_t begin = text->len;

    if (!oxv_json_write_string(text, value)) {
        return OXV_E_FORMAT;
    }
    *out = oxv_view(text->data + begin, text->len - begin);
    return text->failed ? OXV_E_LIMIT : OXV_OK;
}

static enum oxv_status
take_origins(struct oxv_view value, struct oxv_import_line *line, struct oxv_writer *text)
{
    struct oxv_writer list = oxv_writer(line->origins, sizeof line->origins);
    struct oxv_json_items items = oxv_json_items(value);
    struct oxv_view name;
    struct oxv_view item;

    if (oxv_json_type(value) != OXV_JSON_ARRAY) {
        return OXV_E_FORMAT;
    }
    while (oxv_json_next(&items, &name, &item)) {
        struct oxv_view origin;
        enum oxv_status st = take_text(item, text, &origin);

        if (st != OXV_OK) {
            return st;
        }
        oxv_list_add(&list, origin);
    }
    return oxv_writer_finish(&list, &line->fields.origins);
}

/* *field becomes the name of what was read, NULL where there is no such member. */
static enum oxv_status
take_member(struct oxv_view name, struct oxv_view value, struct oxv_import_line *line,
            struct oxv_writer *text, const char **field)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (oxv_view_is(name, members[i].name)) {
            struct oxv_view taken = { .data = NULL, .len = 0 };
            enum oxv_status st = take_text(value, text, &taken);

            *field = members[i].name;
            memcpy((uint8_t *)&line->fields + members[i].offset, &taken, sizeof taken);
            return st;
        }
    }
    if (oxv_view_is(name, "origins")) {
        *field = "origins";
        return take_origins(value, line, text);
    }
    if (oxv_view_is(name, "consumer_secret")) {
        *field = "consumer_secret";
        return oxv_secrets_take_string(value, &line->secrets.consumer);
    }
    if (oxv_view_is(name, "token_secret")) {
        *field = "token_secret";
        return oxv_secrets_take_string(value, &line->secrets.token);
    }
    *field = NULL;
    return OXV_E_FORMAT;
}

static enum oxv_status
fail_member(enum oxv_status st, const char *field, size_t number, struct oxv_err *err)
{
    if (field == NULL) {
        return oxv_fail(err, st, "member %zu of the object is not known", number);
    }
    if (st == OXV_E_LIMIT) {
        return oxv_fail(err, st, "%s: too long", field);
    }
    if (st == OXV_E_MEMORY) {
        return oxv_fail(err, st, "no locked memory left");
    }
    return oxv_fail(err, st, "%s: %s", field,
                    strcmp(field, "origins") == 0 ? "not an array of strings" : "not a string");
}

static enum oxv_status
take_members(struct oxv_view json, struct oxv_import_line *line, bool *has_token,
             struct oxv_err *err)
{
    struct oxv_writer text = oxv_writer(line->text, sizeof line->text);
    struct oxv_json_items items = oxv_json_items(json);
    struct oxv_view name;
    struct oxv_view value;
    bool has_consumer = false;

    for (size_t number = 1; oxv_json_next(&items, &name, &value); number++) {
        const char *field = NULL;
        enum oxv_status st = take_member(name, value, line, &text, &field);

        if (st != OXV_OK) {
            return fail_member(st, field, number, err);
        }
        has_consumer = has_consumer || strcmp(field, "consumer_secret") == 0;
        *has_token = *has_token || strcmp(field, "token_secret") == 0;
    }
    return has_consumer ? OXV_OK : oxv_fail(err, OXV_E_USAGE, "consumer_secret: missing");
}

static enum oxv_status
look(struct oxv_import_line *line, struct oxv_err *err)
{
    const struct oxv_secrets_context context = {
        .consumer_key = line->draft.record.consumer_key,
        .token_id = line->draft.record.token_id,
        .netsuite = line->draft.record.system == OXV_SYSTEM_NETSUITE,
    };
    enum oxv_secret_oddity consumer = oxv_secret_look(line->secrets.consumer, &context);
    enum oxv_secret_oddity token = oxv_secret_look(line->secrets.token, &context);

    line->oddity = consumer != OXV_SECRET_FINE ? consumer : token;
    if (oxv_secret_oddity_is_refused(consumer)) {
        return oxv_fail(err, OXV_E_FORMAT, "the consumer secret %s",
                        oxv_secret_oddity_text(consumer));
    }
    if (oxv_secret_oddity_is_refused(token)) {
        return oxv_fail(err, OXV_E_FORMAT, "the token secret %s", oxv_secret_oddity_text(token));
    }
    return OXV_OK;
}

enum oxv_status
oxv_import_line_read(struct oxv_view json, struct oxv_import_line *line, struct oxv_err *err)
{
    struct oxv_json_fault fault = { 0 };
    bool has_token = false;
    enum oxv_status st;

    line->fields = (struct oxv_connection_fields){ 0 };
    if (oxv_json_check(json, &fault) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "not good JSON: %s at byte %zu", fault.reason,
                        fault.offset);
    }
    if (oxv_json_type(json) != OXV_JSON_OBJECT) {
        return oxv_fail(err, OXV_E_FORMAT, "no JSON object");
    }
    st = take_members(json, line, &has_token, err);
    st = st == OXV_OK ? oxv_connection_draft(&line->fields, &line->draft, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    if (oxv_signature_method_is_rsa(
            (enum oxv_signature_method)line->draft.record.signature_method)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "signature_method: RSA keys are added one by one, with "
                        "connection add");
    }
    if (!has_token) {
        oxv_secret_free(line->secrets.token);
        line->secrets.token = oxv_secret_new(0);
    }
    if (line->secrets.token == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
    }
    if (oxv_secret_len(line->secrets.token) == 0 &&
        line->draft.record.system == OXV_SYSTEM_NETSUITE) {
        return oxv_fail(err, OXV_E_USAGE, "token_secret: missing");
    }
    return look(line, err);
}

void
oxv_import_line_done(struct oxv_import_line *line)
{
    oxv_secrets_done(&line->secrets);
}
