/*
 * endpoints: what is served at which door, as one table. docs/openapi.yaml says the same for
 * people, and a test compares the two.
 */
#ifndef OXV_SERVICE_FRONTEND_ENDPOINTS_H
#define OXV_SERVICE_FRONTEND_ENDPOINTS_H

#include "base/fields.h"
#include "service/frontend/json_map.h"
#include "service/wire/messages.h"

#define OXV_BODY_MAX_BYTES       65536u
#define OXV_BATCH_BODY_MAX_BYTES 1048576u
#define OXV_BATCH_MAX            1000u
#define OXV_PATH_TEXTS_MAX       1u /* parameters in one path */

enum oxv_endpoint_style {
    OXV_STYLE_PLAIN, /* one message, one document */
    OXV_STYLE_TEXT,  /* the document's `text` is the whole answer */
    OXV_STYLE_BATCH, /* many messages of SIGN */
    OXV_STYLE_LOG,   /* a stream of the access log */
};

/* Where the members of the message come from, besides the path. */
enum oxv_endpoint_input {
    OXV_INPUT_NONE,
    OXV_INPUT_QUERY,
    OXV_INPUT_BODY, /* a JSON object; it may be left out where the message has no members */
};

struct oxv_endpoint {
    const char *method;
    const char *path; /* {x} stands for one segment, the member x */
    unsigned doors;   /* bits 1 << enum oxv_door */
    uint8_t message;
    enum oxv_endpoint_style style;
    enum oxv_endpoint_input input;
    const struct oxv_shape *shape;
    uint64_t kind;            /* of signature; 0: no SIGN */
    const char *const *takes; /* names that may be given, NULL at the end; NULL: all */
    const char *const *needs; /* names that must be, besides the shape's; NULL: none */
};

/* A parameter of the path, percent-encoded as it stands. */
struct oxv_path_text {
    struct oxv_view name;
    struct oxv_view value;
};

struct oxv_route {
    const struct oxv_endpoint *endpoint;
    struct oxv_path_text texts[OXV_PATH_TEXTS_MAX];
    size_t text_count;
    struct oxv_view query; /* behind the question mark */
    bool has_query;
};

/* Long enough for each list of methods. */
#define OXV_ALLOW_MAX_BYTES 32u

/*
 * Finds the endpoint; views borrow the target.
 *   OXV_E_NOT_FOUND  no such path at this door
 *   OXV_E_USAGE      the path is there with other methods: their list is in `allow`, as in the
 *                    field Allow
 */
OXV_MUST_USE enum oxv_status oxv_route_find(enum oxv_door door, struct oxv_view method,
                                            struct oxv_view target, struct oxv_route *out,
                                            char allow[OXV_ALLOW_MAX_BYTES]);

/* The endpoint that signs one kind by its name in JSON; NULL where there is none. */
const struct oxv_endpoint *oxv_endpoint_of_kind(struct oxv_view kind);

/* The mapping of its members to *out, the zeroed struct of its shape; sets what is fixed. */
struct oxv_mapping oxv_endpoint_mapping(const struct oxv_endpoint *endpoint, void *out,
                                        struct oxv_writer *scratch);

size_t oxv_endpoint_count(void);
const struct oxv_endpoint *oxv_endpoint_at(size_t index);

/* Is this GET /v1/health, the one request that a sealed door answers to everyone? */
bool oxv_target_is_health(struct oxv_view method, struct oxv_view target);

#endif
