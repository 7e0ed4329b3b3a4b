#include "base/json.h"
#include "base/text.h"
#include "client/answer.h"
#include "client/client.h"

#define NAME_MAX_BYTES 64u
#define PATH_MAX_BYTES 256u

/* The list as it grows, page by page. */
struct listing {
    struct oxv_arena *arena;
    struct oxv_client_connection *items;
    size_t count;
    size_t capacity;
    uint64_t after; /* the id that the next page starts behind; 0: there is none */
};

static bool
make_room(struct listing *listing, size_t more)
{
    size_t wanted = listing->count + more;

    if (wanted <= listing->capacity) {
        return true;
    }
    wanted = wanted < 2 * listing->capacity ? 2 * listing->capacity : wanted;
    struct oxv_client_connection *items =
        oxv_arena_get(listing->arena, wanted, sizeof listing->items[0]);

    if (items == NULL) {
        return false;
    }
    if (listing->count > 0) {
        memcpy(items, listing->items, listing->count * sizeof items[0]);
    }
    listing->items = items;
    listing->capacity = wanted;
    return true;
}

static enum oxv_client_code
read_next(struct oxv_view text, struct listing *listing, struct oxv_client_error *error)
{
    struct oxv_view value;
    uint64_t next = 0;

    if (oxv_json_get(text, "next", &value) &&
        (!oxv_json_integer(value, OXV_JSON_INTEGER_MAX, &next) || next <= listing->after)) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the pages do not go forward");
    }
    listing->after = next;
    return OXV_CLIENT_OK;
}

static enum oxv_client_code
read_page(struct oxv_view text, struct listing *listing, struct oxv_client_error *error)
{
    struct oxv_view list;
    struct oxv_view name;
    struct oxv_view value;

    if (oxv_json_check(text, NULL) != OXV_OK || !oxv_json_get(text, "connections", &list) ||
        oxv_json_type(list) != OXV_JSON_ARRAY) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the answer has no connections");
    }
    if (!make_room(listing, oxv_json_count(list))) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    struct oxv_json_items left = oxv_json_items(list);

    while (oxv_json_next(&left, &name, &value)) {
        enum oxv_client_code code = oxv_answer_read(&oxv_answer_connection, value, listing->arena,
                                                    &listing->items[listing->count], error);

        if (code != OXV_CLIENT_OK) {
            return code;
        }
        listing->count++;
    }
    return read_next(text, listing, error);
}

static enum oxv_client_code
get(struct oxv_client *client, const char *path, struct oxv_http_answer *answer,
    struct oxv_client_error *error)
{
    const struct oxv_http_request request = { .method = "GET", .path = path };

    if (client == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "the client is NULL");
    }
    return oxv_http_request(client->http, &request, answer, error);
}

static enum oxv_client_code
read_all(struct oxv_client *client, struct listing *listing, struct oxv_client_error *error)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    char path[PATH_MAX_BYTES];

    do {
        enum oxv_client_code code;

        if (oxv_format(path, sizeof path, "/v1/connections?after=%llu",
                       (unsigned long long)listing->after) != OXV_OK) {
            oxv_bug("a path that is too long");
        }
        code = get(client, listing->after == 0 ? "/v1/connections" : path, &answer, error);
        if (code == OXV_CLIENT_OK) {
            code = read_page(oxv_buffer_view(&answer.body), listing, error);
        }
        if (code != OXV_CLIENT_OK) {
            return code;
        }
    } while (listing->after != 0);
    return OXV_CLIENT_OK;
}

enum oxv_client_code
oxv_client_connections(struct oxv_client *client, struct oxv_client_connections **out,
                       struct oxv_client_error *error)
{
    OXV_AUTO(oxv_arena_freep) struct oxv_arena *arena = oxv_arena_new();
    struct listing listing = { .arena = arena };
    struct oxv_client_connections *result =
        arena == NULL ? NULL : oxv_arena_get(arena, 1, sizeof *result);

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    *out = NULL;
    if (result == NULL) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    enum oxv_client_code code = read_all(client, &listing, error);

    if (code == OXV_CLIENT_OK) {
        *result = (struct oxv_client_connections){ .count = listing.count,
                                                   .items = listing.items,
                                                   .storage = oxv_arena_take(&arena) };
        *out = result;
    }
    return code;
}

/* What can stand in a path as it is; all else is no name of a connection. */
static bool
is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";

    return name != NULL && name[0] != '\0' && name[0] != '.' &&
           strspn(name, allowed) == strlen(name) && strlen(name) <= NAME_MAX_BYTES;
}

enum oxv_client_code
oxv_client_connection(struct oxv_client *client, const char *name,
                      struct oxv_client_connection **out, struct oxv_client_error *error)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    char path[PATH_MAX_BYTES];
    void *result = NULL;
    enum oxv_client_code code;

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    *out = NULL;
    if (!is_name(name) || oxv_format(path, sizeof path, "/v1/connections/%s", name) != OXV_OK) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE,
                               "this is no name of a connection: 1 to %u of A-Z a-z 0-9 . _ -",
                               NAME_MAX_BYTES);
    }
    code = get(client, path, &answer, error);
    if (code == OXV_CLIENT_OK) {
        code =
            oxv_answer_parse(&oxv_answer_connection, oxv_buffer_view(&answer.body), &result, error);
    }
    *out = result;
    return code;
}

enum oxv_client_code
oxv_client_health(struct oxv_client *client, struct oxv_client_health **out,
                  struct oxv_client_error *error)
{
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer answer = { 0 };
    void *result = NULL;

    if (out == NULL) {
        return oxv_client_fail_no_place(error);
    }
    enum oxv_client_code code = get(client, "/v1/health", &answer, error);

    if (code == OXV_CLIENT_OK) {
        code = oxv_answer_parse(&oxv_answer_health, oxv_buffer_view(&answer.body), &result, error);
    }
    *out = result;
    return code;
}

void
oxv_client_connections_free(struct oxv_client_connections *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}

void
oxv_client_connection_free(struct oxv_client_connection *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}

void
oxv_client_health_free(struct oxv_client_health *result)
{
    oxv_arena_free(result == NULL ? NULL : result->storage);
}
