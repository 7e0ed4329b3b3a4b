/*
 * http: one request, one answer, over a Unix socket. Keeps a small pool of connections, so any
 * number of threads may use one struct oxv_http.
 */
#ifndef OXV_CLIENT_HTTP_H
#define OXV_CLIENT_HTTP_H

#include "base/cleanup.h"
#include "client/buffer.h"
#include "client/error.h"

#define OXV_HTTP_ANSWER_MAX_BYTES (16u * 1024u * 1024u)

struct oxv_http;

/* Takes a piece of an answer's body; false ends the request. */
typedef bool (*oxv_http_sink_fn)(void *context, struct oxv_view piece);

struct oxv_http_request {
    const char *method;      /* "GET", "POST", "DELETE" */
    const char *path;        /* from "/v1" on, with its query, ready to be sent */
    struct oxv_view body;    /* JSON; empty: none */
    oxv_http_sink_fn sink;   /* NULL: the body is collected in the answer */
    void *sink_context;      /* a problem document never goes to the sink */
    bool is_change;          /* must not be done twice: a connection of its own, no second try */
    bool endless;            /* no limit on the whole time */
    uint32_t idle_timeout_s; /* with `endless`: fail where nothing comes for so long; 0: never */
};

/* Zeroed before its first use; release with oxv_http_answer_done(). */
struct oxv_http_answer {
    int status;
    struct oxv_buffer body;
};

/* As oxv_client_open(). */
enum oxv_client_code oxv_http_open(const char *path, const struct oxv_client_options *options,
                                   struct oxv_http **out, struct oxv_client_error *error);
void oxv_http_free(struct oxv_http *http);

/*
 * Sends one request and receives its answer. OXV_CLIENT_OK: status 2xx, and the whole body is
 * there. Any other code: *error (may be NULL) is filled, from the problem document where one came.
 * An answer that was used before is cleared first.
 */
enum oxv_client_code oxv_http_request(struct oxv_http *http, const struct oxv_http_request *request,
                                      struct oxv_http_answer *answer,
                                      struct oxv_client_error *error);

void oxv_http_answer_done(struct oxv_http_answer *answer);

OXV_DEFINE_OWNER(oxv_http);

#endif
