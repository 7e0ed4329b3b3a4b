/*
 * log_json: entries as events of OCSF and of ECS, each a JSON object. A table a format says where
 * each key goes; what has no place in OCSF is in `unmapped`, in ECS in `labels`. Members of one
 * object stand together in the table.
 */
#include "service/frontend/log_format.h"
#include "service/frontend/log_kinds.h"

#define OCSF_VERSION "1.6.0"
#define ECS_VERSION  "8.17.0"

/* Writes the value; false, having written nothing that counts, where there is none. */
typedef bool (*value_fn)(struct oxv_writer *w, const struct oxv_log_fields *f);

enum form {
    AS_IT_IS, /* a text or a number, as in the entry */
    AS_TEXT,
    FIXED,
    COMPUTED,
};

/* Some members are those of one class of OCSF only, or of all others. */
enum only { ALL, OF_API, NOT_OF_API, OF_ENTITY, OF_LIFECYCLE, OF_LOGIN, OF_LOG };

struct place {
    const char *path; /* names with points between */
    enum form form;
    enum only only;
    enum oxv_log_field field;
    const char *fixed;
    value_fn value;
};

/* Their arguments are names and table entries; parentheses would do nothing. */
#define FIELD(path, field, only)                                                                   \
    {                                                                                              \
        path, AS_IT_IS, only, field, NULL, NULL                                                    \
    }
#define TEXT(path, field, only)                                                                    \
    {                                                                                              \
        path, AS_TEXT, only, field, NULL, NULL                                                     \
    }
#define SAME(path, fixed, only)                                                                    \
    {                                                                                              \
        path, FIXED, only, OXV_LOG_NONE, fixed, NULL                                               \
    }
#define VALUE(path, fn, only)                                                                      \
    {                                                                                              \
        path, COMPUTED, only, OXV_LOG_NONE, NULL, fn                                               \
    }

static bool
write_number(struct oxv_writer *w, uint64_t number)
{
    oxv_write_decimal(w, number);
    return true;
}

static bool
write_string(struct oxv_writer *w, const char *text)
{
    oxv_write_u8(w, '"');
    oxv_write_text(w, text);
    oxv_write_u8(w, '"');
    return true;
}

static bool
is_refusal(const struct oxv_log_fields *f)
{
    return oxv_log_outcome_is(f, "denied") || oxv_log_outcome_is(f, "failed");
}

static bool
raw_line(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_log_write_json_line(w, f->line);
    return true;
}

static bool
leaf(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_string(w, f->leaf);
}

static bool
kind_name(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_string(w, f->kind->name);
}

/* OCSF */

static bool
activity_id(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, f->kind->ocsf_activity);
}

static bool
activity_name(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_log_write_json(w, f->values[OXV_LOG_TYPE]);
    return f->kind->ocsf_activity == OXV_OCSF_ACTIVITY_OTHER;
}

static bool
category_uid(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, f->kind->ocsf_class / 1000);
}

static bool
class_uid(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, f->kind->ocsf_class);
}

static bool
type_uid(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, f->kind->ocsf_class * 100 + f->kind->ocsf_activity);
}

/* 1 informational, 3 medium */
static bool
severity_id(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, is_refusal(f) ? 3 : 1);
}

static bool
time_ms(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, f->time_us / 1000);
}

/* 1 success or allowed, 2 failure, denied or blocked */
static bool
status_id(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_number(w, is_refusal(f) ? 2 : 1) && oxv_log_has(f, OXV_LOG_OUTCOME);
}

/* An event needs an actor; where no user is known it was the service. */
static bool
actor_app(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_string(w, "oxvault") && !oxv_log_has(f, OXV_LOG_UID) &&
           !oxv_log_has(f, OXV_LOG_CALLER) && !oxv_log_has(f, OXV_LOG_PID);
}

static bool
authorizations(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_write_text(w, "[{\"policy\":{\"uid\":");
    oxv_log_write_json(w, f->values[OXV_LOG_GRANT]);
    oxv_write_text(w, ",\"version\":");
    oxv_log_write_json(w, f->values[OXV_LOG_GRANT_VERSION]);
    oxv_write_text(w, "}}]");
    return oxv_log_has(f, OXV_LOG_GRANT) && oxv_log_has(f, OXV_LOG_GRANT_VERSION);
}

static bool
operation(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_log_write_json(w, f->values[oxv_log_has(f, OXV_LOG_KIND) ? OXV_LOG_KIND : OXV_LOG_TYPE]);
    return true;
}

static bool
source(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    (void)f;
    return write_string(w, "unix socket");
}

static bool
resources(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_write_text(w, "[{\"name\":");
    oxv_log_write_json(w, f->values[OXV_LOG_CONNECTION]);
    oxv_write_text(w, ",\"type\":\"connection\"}]");
    return oxv_log_has(f, OXV_LOG_CONNECTION);
}

static bool
profiles(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    (void)f;
    oxv_write_text(w, "[\"security_control\"]");
    return true;
}

/* What stands before the point of the type: "connection", "grant", ... */
static struct oxv_view
entity_word(const struct oxv_log_fields *f)
{
    struct oxv_view type = f->values[OXV_LOG_TYPE];

    return oxv_view_slice(type, 0, oxv_view_find(type, '.'));
}

static bool
entity_name(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    struct oxv_view word = entity_word(f);

    if (oxv_view_is(word, "connection") && oxv_log_has(f, OXV_LOG_CONNECTION)) {
        word = f->values[OXV_LOG_CONNECTION];
    } else if (oxv_log_has(f, OXV_LOG_CALLER)) {
        word = f->values[OXV_LOG_CALLER];
    }
    oxv_log_write_json(w, word);
    return true;
}

static bool
entity_type(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_log_write_json(w, entity_word(f));
    return true;
}

/* A login needs a user. */
static bool
nobody(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_string(w, "unknown") && !oxv_log_has(f, OXV_LOG_UID);
}

static bool
other_algorithm(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    (void)f;
    return write_number(w, 99);
}

static const struct place ocsf_places[] = {
    VALUE("activity_id", activity_id, ALL),
    VALUE("activity_name", activity_name, ALL),
    VALUE("category_uid", category_uid, ALL),
    VALUE("class_uid", class_uid, ALL),
    VALUE("type_uid", type_uid, ALL),
    VALUE("severity_id", severity_id, ALL),
    VALUE("time", time_ms, ALL),
    VALUE("status_id", status_id, ALL),
    FIELD("status_code", OXV_LOG_CODE, ALL),
    FIELD("status_detail", OXV_LOG_REASON, ALL),
    VALUE("message", kind_name, ALL),
    FIELD("count", OXV_LOG_COUNT, ALL),
    FIELD("metadata.sequence", OXV_LOG_SEQ, ALL),
    FIELD("metadata.event_code", OXV_LOG_TYPE, ALL),
    FIELD("metadata.original_time", OXV_LOG_TIME, ALL),
    FIELD("metadata.correlation_uid", OXV_LOG_REQUEST_ID, ALL),
    SAME("metadata.log_name", "access log", ALL),
    SAME("metadata.product.name", "oxvault", ALL),
    SAME("metadata.product.vendor_name", "Oxvault", ALL),
    SAME("metadata.product.version", OXV_VERSION, ALL),
    VALUE("metadata.profiles", profiles, OF_API),
    SAME("metadata.version", OCSF_VERSION, ALL),
    VALUE("action_id", status_id, OF_API),
    VALUE("disposition_id", status_id, OF_API),
    VALUE("actor.app_name", actor_app, ALL),
    VALUE("actor.authorizations", authorizations, OF_API),
    FIELD("actor.process.pid", OXV_LOG_PID, ALL),
    TEXT("actor.user.uid", OXV_LOG_UID, ALL),
    FIELD("actor.user.name", OXV_LOG_CALLER, OF_API),
    VALUE("api.operation", operation, OF_API),
    VALUE("src_endpoint.name", source, OF_API),
    FIELD("dst_endpoint.hostname", OXV_LOG_HOST, OF_API),
    FIELD("http_request.http_method", OXV_LOG_METHOD, OF_API),
    FIELD("http_request.url.path", OXV_LOG_PATH, OF_API),
    VALUE("resources", resources, OF_API),
    VALUE("entity.name", entity_name, OF_ENTITY),
    VALUE("entity.type", entity_type, OF_ENTITY),
    TEXT("entity.uid", OXV_LOG_GRANT, OF_ENTITY),
    SAME("app.name", "oxvault", OF_LIFECYCLE),
    SAME("app.vendor_name", "Oxvault", OF_LIFECYCLE),
    TEXT("user.uid", OXV_LOG_UID, OF_LOGIN),
    VALUE("user.name", nobody, OF_LOGIN),
    SAME("service.name", "oxvault", OF_LOGIN),
    SAME("log_name", "access log", OF_LOG),
    SAME("log_provider", "oxvault", OF_LOG),
    VALUE("raw_data", raw_line, ALL),
    SAME("raw_data_hash.algorithm", "SHA-256 of a zero byte and raw_data (RFC 6962 leaf)", ALL),
    VALUE("raw_data_hash.algorithm_id", other_algorithm, ALL),
    VALUE("raw_data_hash.value", leaf, ALL),
    FIELD("unmapped.v", OXV_LOG_V, ALL),
    FIELD("unmapped.epoch", OXV_LOG_EPOCH, ALL),
    FIELD("unmapped.boot", OXV_LOG_BOOT, ALL),
    FIELD("unmapped.mono_us", OXV_LOG_MONO_US, ALL),
    FIELD("unmapped.outcome", OXV_LOG_OUTCOME, ALL),
    FIELD("unmapped.gid", OXV_LOG_GID, ALL),
    FIELD("unmapped.door", OXV_LOG_DOOR, ALL),
    FIELD("unmapped.caller", OXV_LOG_CALLER, NOT_OF_API),
    FIELD("unmapped.connection", OXV_LOG_CONNECTION, NOT_OF_API),
    FIELD("unmapped.kind", OXV_LOG_KIND, ALL),
    FIELD("unmapped.method", OXV_LOG_METHOD, NOT_OF_API),
    FIELD("unmapped.host", OXV_LOG_HOST, NOT_OF_API),
    FIELD("unmapped.path", OXV_LOG_PATH, NOT_OF_API),
    FIELD("unmapped.url_hash", OXV_LOG_URL_HASH, ALL),
    FIELD("unmapped.sig_hash", OXV_LOG_SIG_HASH, ALL),
    FIELD("unmapped.nonce", OXV_LOG_NONCE, ALL),
    FIELD("unmapped.ts", OXV_LOG_TS, ALL),
    FIELD("unmapped.key_version", OXV_LOG_KEY_VERSION, ALL),
    FIELD("unmapped.grant", OXV_LOG_GRANT, ALL),
    FIELD("unmapped.grant_version", OXV_LOG_GRANT_VERSION, ALL),
    FIELD("unmapped.cfg", OXV_LOG_CFG, ALL),
    FIELD("unmapped.cfg_digest", OXV_LOG_CFG_DIGEST, ALL),
    FIELD("unmapped.node", OXV_LOG_NODE, ALL),
    FIELD("unmapped.unsigned_since", OXV_LOG_UNSIGNED_SINCE, ALL),
    FIELD("unmapped.next_key", OXV_LOG_NEXT_KEY, ALL),
    FIELD("unmapped.log_key", OXV_LOG_LOG_KEY, ALL),
    FIELD("unmapped.old_origin", OXV_LOG_OLD_ORIGIN, ALL),
    FIELD("unmapped.old_root", OXV_LOG_OLD_ROOT, ALL),
    FIELD("unmapped.old_size", OXV_LOG_OLD_SIZE, ALL),
    FIELD("unmapped.vault", OXV_LOG_VAULT, ALL),
    FIELD("unmapped.origin", OXV_LOG_ORIGIN, ALL),
};

/* ECS */

static bool
category(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    oxv_write_u8(w, '[');
    (void)write_string(w, f->kind->ecs_category);
    oxv_write_u8(w, ']');
    return true;
}

static bool
type(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    bool is_api = f->kind->ocsf_class == OXV_OCSF_API_ACTIVITY;

    oxv_write_u8(w, '[');
    (void)write_string(w, f->kind->ecs_type);
    if (is_api && oxv_log_has(f, OXV_LOG_OUTCOME)) {
        oxv_write_text(w, is_refusal(f) ? ",\"denied\"" : ",\"allowed\"");
    }
    oxv_write_u8(w, ']');
    return true;
}

static bool
outcome(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    return write_string(w, is_refusal(f)                     ? "failure"
                           : oxv_log_has(f, OXV_LOG_OUTCOME) ? "success"
                                                             : "unknown");
}

static const struct place ecs_places[] = {
    FIELD("@timestamp", OXV_LOG_TIME, ALL),
    VALUE("message", kind_name, ALL),
    SAME("ecs.version", ECS_VERSION, ALL),
    FIELD("event.sequence", OXV_LOG_SEQ, ALL),
    SAME("event.kind", "event", ALL),
    VALUE("event.category", category, ALL),
    VALUE("event.type", type, ALL),
    FIELD("event.action", OXV_LOG_TYPE, ALL),
    FIELD("event.code", OXV_LOG_TYPE, ALL),
    VALUE("event.outcome", outcome, ALL),
    FIELD("event.reason", OXV_LOG_REASON, ALL),
    SAME("event.module", "oxvault", ALL),
    SAME("event.dataset", "oxvault.access", ALL),
    SAME("event.provider", "oxvault", ALL),
    VALUE("event.hash", leaf, ALL),
    VALUE("event.original", raw_line, ALL),
    FIELD("error.code", OXV_LOG_CODE, ALL),
    TEXT("group.id", OXV_LOG_GID, ALL),
    FIELD("http.request.id", OXV_LOG_REQUEST_ID, ALL),
    FIELD("http.request.method", OXV_LOG_METHOD, ALL),
    FIELD("process.pid", OXV_LOG_PID, ALL),
    TEXT("rule.id", OXV_LOG_GRANT, ALL),
    TEXT("rule.version", OXV_LOG_GRANT_VERSION, ALL),
    SAME("service.name", "oxvault", ALL),
    FIELD("service.node.name", OXV_LOG_NODE, ALL),
    SAME("service.version", OXV_VERSION, ALL),
    FIELD("url.domain", OXV_LOG_HOST, ALL),
    FIELD("url.path", OXV_LOG_PATH, ALL),
    TEXT("user.id", OXV_LOG_UID, ALL),
    FIELD("user.name", OXV_LOG_CALLER, OF_API),
    FIELD("user.target.name", OXV_LOG_CALLER, NOT_OF_API),
    TEXT("labels.v", OXV_LOG_V, ALL),
    TEXT("labels.epoch", OXV_LOG_EPOCH, ALL),
    TEXT("labels.boot", OXV_LOG_BOOT, ALL),
    TEXT("labels.mono_us", OXV_LOG_MONO_US, ALL),
    TEXT("labels.outcome", OXV_LOG_OUTCOME, ALL),
    TEXT("labels.door", OXV_LOG_DOOR, ALL),
    TEXT("labels.connection", OXV_LOG_CONNECTION, ALL),
    TEXT("labels.kind", OXV_LOG_KIND, ALL),
    TEXT("labels.url_hash", OXV_LOG_URL_HASH, ALL),
    TEXT("labels.sig_hash", OXV_LOG_SIG_HASH, ALL),
    TEXT("labels.nonce", OXV_LOG_NONCE, ALL),
    TEXT("labels.ts", OXV_LOG_TS, ALL),
    TEXT("labels.key_version", OXV_LOG_KEY_VERSION, ALL),
    TEXT("labels.cfg", OXV_LOG_CFG, ALL),
    TEXT("labels.cfg_digest", OXV_LOG_CFG_DIGEST, ALL),
    TEXT("labels.count", OXV_LOG_COUNT, ALL),
    TEXT("labels.unsigned_since", OXV_LOG_UNSIGNED_SINCE, ALL),
    TEXT("labels.next_key", OXV_LOG_NEXT_KEY, ALL),
    TEXT("labels.log_key", OXV_LOG_LOG_KEY, ALL),
    TEXT("labels.old_origin", OXV_LOG_OLD_ORIGIN, ALL),
    TEXT("labels.old_root", OXV_LOG_OLD_ROOT, ALL),
    TEXT("labels.old_size", OXV_LOG_OLD_SIZE, ALL),
    TEXT("labels.vault", OXV_LOG_VAULT, ALL),
    TEXT("labels.origin", OXV_LOG_ORIGIN, ALL),
};

static bool
applies(const struct place *place, const struct oxv_log_fields *f)
{
    unsigned class = f->kind->ocsf_class;

    if (place->field != OXV_LOG_NONE && !oxv_log_has(f, place->field)) {
        return false;
    }
    switch (place->only) {
    case ALL:
        return true;
    case OF_API:
        return class == OXV_OCSF_API_ACTIVITY;
    case NOT_OF_API:
        return class != OXV_OCSF_API_ACTIVITY;
    case OF_ENTITY:
        return class == OXV_OCSF_ENTITY_MANAGEMENT;
    case OF_LIFECYCLE:
        return class == OXV_OCSF_APPLICATION_LIFECYCLE;
    case OF_LOGIN:
        return class == OXV_OCSF_AUTHENTICATION;
    case OF_LOG:
        return class == OXV_OCSF_EVENT_LOG_ACTIVITY;
    }
    return false;
}

/* How many objects a path goes down, from `from` on. */
static size_t
depth(const char *path, size_t from)
{
    size_t count = 0;

    for (size_t i = from; path[i] != '\0'; i++) {
        count += path[i] == '.' ? 1 : 0;
    }
    return count;
}

/* From the member written last ("": none) to the next one: closes and opens what is between. */
static void
move(struct oxv_writer *w, const char *last, const char *path)
{
    size_t shared = 0;

    for (size_t i = 0; last[i] != '\0' && last[i] == path[i]; i++) {
        shared = last[i] == '.' ? i + 1 : shared;
    }
    for (size_t i = depth(last, shared); i > 0; i--) {
        oxv_write_u8(w, '}');
    }
    oxv_write_text(w, last[0] == '\0' ? "{\"" : ",\"");
    for (size_t i = shared; path[i] != '\0'; i++) {
        if (path[i] == '.') {
            oxv_write_text(w, "\":{\"");
        } else {
            oxv_write_u8(w, (uint8_t)path[i]);
        }
    }
    oxv_write_text(w, "\":");
}

static bool
write_value(struct oxv_writer *w, const struct oxv_log_fields *f, const struct place *place)
{
    switch (place->form) {
    case FIXED:
        return write_string(w, place->fixed);
    case COMPUTED:
        return place->value(w, f);
    case AS_IT_IS:
        if (!f->is_text[place->field]) {
            oxv_write_view(w, f->values[place->field]);
            return true;
        }
        break;
    case AS_TEXT:
        break;
    }
    oxv_log_write_json(w, f->values[place->field]);
    return true;
}

static void
write_object(struct oxv_writer *w, const struct oxv_log_fields *f, const struct place *places,
             size_t count)
{
    const char *last = "";

    for (size_t i = 0; i < count; i++) {
        size_t before = w->len;

        if (!applies(&places[i], f)) {
            continue;
        }
        move(w, last, places[i].path);
        if (write_value(w, f, &places[i])) {
            last = places[i].path;
        } else {
            w->len = before;
        }
    }
    for (size_t i = depth(last, 0); i > 0; i--) {
        oxv_write_u8(w, '}');
    }
    oxv_write_text(w, "}\n");
}

void
oxv_log_ocsf_record(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    write_object(w, f, ocsf_places, sizeof ocsf_places / sizeof ocsf_places[0]);
}

void
oxv_log_ecs_record(struct oxv_writer *w, const struct oxv_log_fields *f)
{
    write_object(w, f, ecs_places, sizeof ecs_places / sizeof ecs_places[0]);
}
