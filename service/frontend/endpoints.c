#include "service/frontend/endpoints.h"

#define SIGN     (1u << OXV_DOOR_SIGN)
#define ADMIN    (1u << OXV_DOOR_ADMIN)
#define AUDIT    (1u << OXV_DOOR_AUDIT)
#define ANY_DOOR (SIGN | ADMIN | AUDIT)
/* Kinds of signature as the wire has them: those of enum oxv_kind, a test compares. */
#define KIND_OAUTH1           1u
#define KIND_TOKEN_PASSPORT   2u
#define KIND_CONNECT_PASSWORD 4u
#define HEALTH_PATH           "/v1/health"
#define SIGN_PREFIX           "/v1/sign/"
#define A                     "/v1/admin/"

static const char *const oauth1_takes[] = { "connection", "method", "url", "form", "proof", NULL };
static const char *const oauth1_needs[] = { "method", "url", NULL };
static const char *const passport_takes[] = { "connection", "version", "proof", NULL };
static const char *const password_takes[] = { "connection", "proof", NULL };

/* A request without members, with members from the query, or from a body. */
#define BARE(method_, path_, doors_, message_)                                                     \
    {                                                                                              \
        .method = (method_), .path = (path_), .doors = (doors_), .message = (message_),            \
        .input = OXV_INPUT_NONE, .shape = &oxv_msg_empty_shape                                     \
    }
#define GET_WITH(path_, doors_, message_, shape_)                                                  \
    {                                                                                              \
        .method = "GET", .path = (path_), .doors = (doors_), .message = (message_),                \
        .input = OXV_INPUT_QUERY, .shape = &oxv_msg_##shape_##_shape                               \
    }
#define ACT(method_, path_, input_, message_, shape_)                                              \
    {                                                                                              \
        .method = (method_), .path = A path_, .doors = ADMIN, .message = (message_),               \
        .input = (input_), .shape = &oxv_msg_##shape_##_shape                                      \
    }
#define POST(path_, message_, shape_)   ACT("POST", path_, OXV_INPUT_BODY, message_, shape_)
#define DELETE(path_, message_, shape_) ACT("DELETE", path_, OXV_INPUT_NONE, message_, shape_)
#define KIND(name_, kind_, takes_, needs_)                                                         \
    {                                                                                              \
        .method = "POST", .path = SIGN_PREFIX name_, .doors = SIGN, .message = OXV_MSG_SIGN,       \
        .input = OXV_INPUT_BODY, .shape = &oxv_msg_sign_shape, .kind = (kind_), .takes = (takes_), \
        .needs = (needs_)                                                                          \
    }

static const struct oxv_endpoint endpoints[] = {
    KIND("oauth1", KIND_OAUTH1, oauth1_takes, oauth1_needs),
    KIND("token-passport", KIND_TOKEN_PASSPORT, passport_takes, NULL),
    KIND("connect-password", KIND_CONNECT_PASSWORD, password_takes, NULL),
    { .method = "POST",
      .path = SIGN_PREFIX "batch",
      .doors = SIGN,
      .message = OXV_MSG_SIGN,
      .style = OXV_STYLE_BATCH,
      .input = OXV_INPUT_BODY,
      .shape = &oxv_msg_sign_shape },
    BARE("GET", HEALTH_PATH, ANY_DOOR, OXV_MSG_HEALTH),
    { .method = "GET",
      .path = "/metrics",
      .doors = SIGN,
      .message = OXV_MSG_METRICS,
      .style = OXV_STYLE_TEXT,
      .input = OXV_INPUT_NONE,
      .shape = &oxv_msg_empty_shape },
    GET_WITH("/v1/connections", SIGN, OXV_MSG_CONNECTIONS, page),
    GET_WITH("/v1/connections/{name}", SIGN, OXV_MSG_CONNECTION, name),

    BARE("GET", A "status", ADMIN, OXV_MSG_STATUS),
    BARE("GET", A "doctor", ADMIN, OXV_MSG_DOCTOR),
    POST("challenge", OXV_MSG_CHALLENGE, empty),
    POST("unseal", OXV_MSG_UNSEAL, box),
    POST("lock", OXV_MSG_LOCK, empty),
    POST("log/rotate-key", OXV_MSG_LOG_ROTATE_KEY, empty),
    BARE("GET", A "seals", ADMIN, OXV_MSG_SEALS),
    POST("seals", OXV_MSG_SEAL_ADD, box),
    DELETE("seals/{id}", OXV_MSG_SEAL_REMOVE, id),
    GET_WITH(A "connections", ADMIN, OXV_MSG_ADMIN_CONNECTIONS, page),
    GET_WITH(A "connections/{name}", ADMIN, OXV_MSG_ADMIN_CONNECTION, name),
    POST("connections", OXV_MSG_ADMIN_CONNECTION_ADD, named_box),
    DELETE("connections/{name}", OXV_MSG_ADMIN_CONNECTION_REMOVE, name),
    POST("connections/{name}/move", OXV_MSG_ADMIN_CONNECTION_MOVE, named_box),
    BARE("GET", A "tokens", ADMIN, OXV_MSG_TOKENS),
    POST("tokens", OXV_MSG_TOKEN_ADD, box),
    POST("tokens/login", OXV_MSG_TOKEN_LOGIN, box),
    DELETE("tokens/{id}", OXV_MSG_TOKEN_REMOVE, id),
    POST("imports", OXV_MSG_IMPORT_BEGIN, empty),
    POST("imports/{session}/chunks", OXV_MSG_IMPORT_CHUNK, import_chunk),
    POST("imports/{session}/commit", OXV_MSG_IMPORT_COMMIT, import_commit),
    DELETE("imports/{session}", OXV_MSG_IMPORT_ABORT, session),
    POST("rekey", OXV_MSG_REKEY, box),
    POST("backups", OXV_MSG_BACKUP_BEGIN, empty),
    POST("backups/{session}/next", OXV_MSG_BACKUP_NEXT, session),
    GET_WITH(A "callers", ADMIN, OXV_MSG_CALLERS, page),
    POST("callers", OXV_MSG_CALLER_ADD, caller_add),
    POST("callers/{name}/disable", OXV_MSG_CALLER_DISABLE, name),
    POST("callers/{name}/enable", OXV_MSG_CALLER_ENABLE, name),
    DELETE("callers/{name}", OXV_MSG_CALLER_REMOVE, name),
    GET_WITH(A "grants", ADMIN, OXV_MSG_GRANTS, grants),
    POST("grants", OXV_MSG_GRANT_ADD, grant_add),
    DELETE("grants/{id}", OXV_MSG_GRANT_REMOVE, id),
    BARE("GET", A "admins", ADMIN, OXV_MSG_ADMINS),
    POST("admins", OXV_MSG_ADMIN_ADD, uid),
    DELETE("admins/{uid}", OXV_MSG_ADMIN_REMOVE, uid),

    BARE("GET", "/v1/audit/info", AUDIT, OXV_MSG_LOG_INFO),
    BARE("GET", "/v1/audit/checkpoint", AUDIT, OXV_MSG_LOG_CHECKPOINT),
    { .method = "GET",
      .path = "/v1/audit/log",
      .doors = AUDIT,
      .message = OXV_MSG_LOG_READ,
      .style = OXV_STYLE_LOG,
      .input = OXV_INPUT_QUERY,
      .shape = &oxv_msg_log_read_shape },
};

#define ENDPOINT_COUNT (sizeof endpoints / sizeof endpoints[0])

/* Takes one segment, up to the next slash, with its leading slash. */
static bool
next_segment(struct oxv_reader *r, struct oxv_view *segment)
{
    uint8_t slash;

    return oxv_read_u8(r, &slash) && slash == '/' &&
           oxv_read_view(r, oxv_view_find(r->left, '/'), segment);
}

static bool
match_parameter(struct oxv_view template, struct oxv_view segment, struct oxv_route *route)
{
    if (segment.len == 0 || route->text_count == OXV_PATH_TEXTS_MAX) {
        return false;
    }
    route->texts[route->text_count++] =
        (struct oxv_path_text){ .name = oxv_view_slice(template, 1, template.len - 2),
                                .value = segment };
    return true;
}

static bool
match_path(const char *template, struct oxv_view path, struct oxv_route *route)
{
    struct oxv_reader want = oxv_reader(oxv_view_text(template));
    struct oxv_reader have = oxv_reader(path);
    struct oxv_view wanted;
    struct oxv_view segment;

    route->text_count = 0;
    while (!oxv_reader_at_end(&want) && !oxv_reader_at_end(&have)) {
        if (!next_segment(&want, &wanted) || !next_segment(&have, &segment)) {
            return false;
        }
        bool matches = oxv_view_has_prefix(wanted, "{") ? match_parameter(wanted, segment, route)
                                                        : oxv_view_equals(wanted, segment);
        if (!matches) {
            return false;
        }
    }
    return oxv_reader_at_end(&want) && oxv_reader_at_end(&have);
}

/* "GET, POST": each endpoint's method comes once in the table per path. */
static void
add_allowed(struct oxv_writer *w, const char *method)
{
    oxv_write_text(w, w->len > 0 ? ", " : "");
    oxv_write_text(w, method);
}

static struct oxv_view
split_query(struct oxv_view target, struct oxv_route *route)
{
    size_t mark = oxv_view_find(target, '?');

    route->has_query = mark < target.len;
    route->query = oxv_view_from(target, mark + 1);
    return oxv_view_slice(target, 0, mark);
}

/* Is this path written as it stands? Then no parameter of another one stands for its last part. */
static bool
is_literal(enum oxv_door door, struct oxv_view path)
{
    for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
        if ((endpoints[i].doors & 1u << door) != 0 && oxv_view_is(path, endpoints[i].path)) {
            return true;
        }
    }
    return false;
}

enum oxv_status
oxv_route_find(enum oxv_door door, struct oxv_view method, struct oxv_view target,
               struct oxv_route *out, char allow[OXV_ALLOW_MAX_BYTES])
{
    struct oxv_route route = { 0 };
    struct oxv_view path = split_query(target, &route);
    struct oxv_writer w = oxv_writer(allow, OXV_ALLOW_MAX_BYTES - 1);
    bool literal = is_literal(door, path);

    for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
        const struct oxv_endpoint *e = &endpoints[i];

        if ((e->doors & 1u << door) == 0 || (literal && !oxv_view_is(path, e->path)) ||
            !match_path(e->path, path, &route)) {
            continue;
        }
        if (oxv_view_is(method, e->method)) {
            route.endpoint = e;
            *out = route;
            return OXV_OK;
        }
        add_allowed(&w, e->method);
    }
    if (w.failed) {
        oxv_bug("list of methods too long");
    }
    allow[w.len] = '\0';
    return w.len > 0 ? OXV_E_USAGE : OXV_E_NOT_FOUND;
}

const struct oxv_endpoint *
oxv_endpoint_of_kind(struct oxv_view kind)
{
    for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
        if (endpoints[i].kind != 0 &&
            oxv_view_is(kind, endpoints[i].path + (sizeof SIGN_PREFIX - 1))) {
            return &endpoints[i];
        }
    }
    return NULL;
}

static uint32_t
bits_of(const struct oxv_shape *shape, const char *const *names)
{
    uint32_t bits = 0;

    for (size_t i = 0; names[i] != NULL; i++) {
        bits |= oxv_map_bit(shape, names[i]);
    }
    return bits;
}

struct oxv_mapping
oxv_endpoint_mapping(const struct oxv_endpoint *endpoint, void *out, struct oxv_writer *scratch)
{
    struct oxv_mapping m = {
        .shape = endpoint->shape, .out = out, .scratch = scratch, .takes = OXV_MAP_ALL
    };

    if (endpoint->takes != NULL) {
        m.takes = bits_of(m.shape, endpoint->takes);
    }
    if (endpoint->needs != NULL) {
        m.needs = bits_of(m.shape, endpoint->needs);
    }
    if (endpoint->kind != 0) {
        struct oxv_msg_sign *message = out;

        message->kind = endpoint->kind;
        m.filled = oxv_map_bit(m.shape, "kind");
    }
    return m;
}

size_t
oxv_endpoint_count(void)
{
    return ENDPOINT_COUNT;
}

const struct oxv_endpoint *
oxv_endpoint_at(size_t index)
{
    return index < ENDPOINT_COUNT ? &endpoints[index] : NULL;
}

bool
oxv_target_is_health(struct oxv_view method, struct oxv_view target)
{
    return oxv_view_is(method, "GET") &&
           oxv_view_is(oxv_view_slice(target, 0, oxv_view_find(target, '?')), HEALTH_PATH);
}
