#include "client/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>

#include "base/text.h"
#include "client/problem.h"

#define CONNECT_TIMEOUT_MS  5000u
#define TOTAL_TIMEOUT_MS    30000u
#define CONNECTIONS_DEFAULT 16u
#define CONNECTIONS_MAX     256u
#define URL_MAX_BYTES       8192u

/* A curl handle carries its connection. In use by one thread at a time. */
struct slot {
    CURL *easy; /* NULL until first needed */
    bool busy;
};

struct oxv_http {
    pthread_mutex_t lock;
    pthread_cond_t given_back;
    struct slot *slots; /* guarded by lock */
    size_t slots_count;
    struct curl_slist *headers; /* read only */
    uint32_t connect_timeout_ms;
    uint32_t total_timeout_ms;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* One request in progress. */
struct transfer {
    CURL *easy;
    const struct oxv_http_request *request;
    struct oxv_http_answer *answer;
    bool sink_refused;
    bool too_long;
    char text[CURL_ERROR_SIZE]; /* of curl, for what has no better words */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_ready = false;

static void
init_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static bool
init_waiting(struct oxv_http *http)
{
    pthread_condattr_t attributes;
    bool good;

    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(&http->given_back, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes); /* cannot fail on what was initialised */
    if (good && pthread_mutex_init(&http->lock, NULL) != 0) {
        (void)pthread_cond_destroy(&http->given_back);
        good = false;
    }
    return good;
}

static struct curl_slist *
make_headers(void)
{
    static const char *const lines[] = {
        "Content-Type: application/json",
        "Accept: application/json, application/jsonl, text/csv, application/problem+json",
        "Expect:", /* no waiting for 100-continue */
    };
    struct curl_slist *list = NULL;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct curl_slist *longer = curl_slist_append(list, lines[i]);

        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static enum oxv_client_code
check_open(const char *path, const struct oxv_client_options *options,
           struct oxv_client_error *error)
{
    if (path == NULL || path[0] == '\0') {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "no socket is named");
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE,
                               "the path of the socket is longer than the 107 bytes that the "
                               "system takes: %s",
                               path);
    }
    if (options->max_connections > CONNECTIONS_MAX) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "max_connections is above %u",
                               CONNECTIONS_MAX);
    }
    (void)pthread_once(&curl_once, init_curl); /* fails only for a bad argument */
    if (!curl_ready) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "libcurl does not start");
    }
    return OXV_CLIENT_OK;
}

enum oxv_client_code
oxv_http_open(const char *path, const struct oxv_client_options *options, struct oxv_http **out,
              struct oxv_client_error *error)
{
    static const struct oxv_client_options defaults = { 0 };
    const struct oxv_client_options *wanted = options == NULL ? &defaults : options;
    enum oxv_client_code code = check_open(path, wanted, error);

    if (code != OXV_CLIENT_OK) {
        return code;
    }
    struct oxv_http *http = calloc(1, sizeof *http);

    if (http == NULL || !init_waiting(http)) {
        free(http);
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    http->connect_timeout_ms = or_default(wanted->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    http->total_timeout_ms = or_default(wanted->total_timeout_ms, TOTAL_TIMEOUT_MS);
    http->slots_count = or_default(wanted->max_connections, CONNECTIONS_DEFAULT);
    http->slots = calloc(http->slots_count, sizeof http->slots[0]);
    http->headers = make_headers();
    if (http->slots == NULL || http->headers == NULL ||
        oxv_text_copy(oxv_view_text(path), http->path, sizeof http->path) != OXV_OK) {
        oxv_http_free(http);
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    *out = http;
    return OXV_CLIENT_OK;
}

void
oxv_http_free(struct oxv_http *http)
{
    if (http == NULL) {
        return;
    }
    for (size_t i = 0; http->slots != NULL && i < http->slots_count; i++) {
        curl_easy_cleanup(http->slots[i].easy);
    }
    free(http->slots);
    curl_slist_free_all(http->headers);
    (void)pthread_cond_destroy(&http->given_back); /* nobody waits: the caller's promise */
    (void)pthread_mutex_destroy(&http->lock);
    free(http);
}

static uint64_t
monotonic_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        oxv_bug("clock_gettime failed");
    }
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* The first that is free, so that few connections serve most calls. NULL: all are in use. */
static struct slot *
find_free(struct oxv_http *http)
{
    for (size_t i = 0; i < http->slots_count; i++) {
        if (!http->slots[i].busy) {
            return &http->slots[i];
        }
    }
    return NULL;
}

/* Waits for a slot until the deadline. NULL: none came free. */
static struct slot *
take_slot(struct oxv_http *http, uint64_t deadline_ms)
{
    struct timespec until = { .tv_sec = (time_t)(deadline_ms / 1000u),
                              .tv_nsec = (long)(deadline_ms % 1000u) * 1000000L };
    struct slot *slot;
    int waited = 0;

    if (pthread_mutex_lock(&http->lock) != 0) {
        oxv_bug("a mutex is broken");
    }
    slot = find_free(http);
    while (slot == NULL && waited == 0) {
        waited = pthread_cond_timedwait(&http->given_back, &http->lock, &until);
        slot = find_free(http);
    }
    if (slot != NULL) {
        slot->busy = true;
    }
    (void)pthread_mutex_unlock(&http->lock); /* cannot fail for its owner */
    return slot;
}

static void
give_slot(struct oxv_http *http, struct slot *slot)
{
    if (pthread_mutex_lock(&http->lock) != 0) {
        oxv_bug("a mutex is broken");
    }
    slot->busy = false;
    (void)pthread_cond_signal(&http->given_back); /* neither can fail here */
    (void)pthread_mutex_unlock(&http->lock);
}

static size_t
receive(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    struct oxv_view piece = oxv_view(data, size * count);
    long status = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 stays 0 */
    if (t->request->sink != NULL && status >= 200 && status <= 299) {
        t->sink_refused = !t->request->sink(t->request->sink_context, piece);
        return t->sink_refused ? CURL_WRITEFUNC_ERROR : piece.len;
    }
    t->too_long = !oxv_buffer_add(&t->answer->body, piece, OXV_HTTP_ANSWER_MAX_BYTES);
    return t->too_long ? CURL_WRITEFUNC_ERROR : piece.len;
}

/* Does every option take? */
static bool
set_method(CURL *easy, const struct oxv_http_request *request)
{
    if (strcmp(request->method, "GET") == 0) {
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    if (request->body.len == 0 && strcmp(request->method, "POST") != 0) {
        return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
    }
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                            request->body.len == 0 ? "" : (const char *)request->body.data) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

static bool
set_time(CURL *easy, const struct oxv_http *http, const struct oxv_http_request *request,
         uint64_t left_ms)
{
    if (curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms) !=
        CURLE_OK) {
        return false;
    }
    if (!request->endless) {
        return curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK;
    }
    return request->idle_timeout_s == 0 ||
           (curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)request->idle_timeout_s) ==
                CURLE_OK);
}

/* Nothing of the program's surroundings (proxies, .netrc) may have a say. */
static bool
set_transfer(struct transfer *t, const struct oxv_http *http, uint64_t left_ms)
{
    char url[URL_MAX_BYTES];
    CURL *easy = t->easy;

    curl_easy_reset(easy); /* keeps the connection */
    return oxv_format(url, sizeof url, "http://localhost%s", t->request->path) == OXV_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, t->request->is_change ? 1L : 0L) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, t->request->is_change ? 1L : 0L) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "oxvault/" OXV_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->text) == CURLE_OK &&
           set_method(easy, t->request) && set_time(easy, http, t->request, left_ms);
}

static enum oxv_client_code
fail_connect(const struct oxv_http *http, CURL *easy, struct oxv_client_error *error)
{
    long os_error = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error); /* 0 stays 0 */
    if (os_error == EACCES || os_error == EPERM) {
        return oxv_client_fail(error, OXV_CLIENT_FORBIDDEN, "this user may not open %s",
                               http->path);
    }
    if (os_error == ENOENT) {
        return oxv_client_fail(error, OXV_CLIENT_UNREACHABLE,
                               "there is no %s: the service does not run, or elsewhere",
                               http->path);
    }
    /* A full backlog is EAGAIN, which libcurl takes for "in progress" and then finds no error. */
    if (os_error == 0 || os_error == EAGAIN) {
        return oxv_client_fail(error, OXV_CLIENT_BUSY,
                               "the service at %s has no room for one more connection: nothing was "
                               "sent",
                               http->path);
    }
    return oxv_client_fail(error, OXV_CLIENT_UNREACHABLE, "the service does not listen at %s",
                           http->path);
}

/* What curl could not do, in terms of the caller. */
static enum oxv_client_code
fail_transfer(const struct oxv_http *http, const struct transfer *t, CURLcode result,
              struct oxv_client_error *error)
{
    if (result == CURLE_COULDNT_CONNECT) {
        return fail_connect(http, t->easy, error);
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        return oxv_client_fail(error, OXV_CLIENT_TIMEOUT, "the service did not answer in time");
    }
    if (result == CURLE_GOT_NOTHING || result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR ||
        result == CURLE_PARTIAL_FILE) {
        return oxv_client_fail(error, OXV_CLIENT_CLOSED,
                               "the service closed the connection before its answer was whole");
    }
    if (result == CURLE_OUT_OF_MEMORY) {
        return oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    }
    if (t->sink_refused) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "the answer could not be taken in");
    }
    if (t->too_long) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "the answer is too long");
    }
    return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER, "no answer of an oxvault service: %s",
                           t->text[0] == '\0' ? curl_easy_strerror(result) : t->text);
}

static enum oxv_client_code
take_answer(struct transfer *t, struct oxv_client_error *error)
{
    long status = 0;
    curl_off_t retry_after_s = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 stays 0 */
    t->answer->status = (int)status;
    if (status >= 200 && status <= 299) {
        if (error != NULL) {
            *error = (struct oxv_client_error){ .code = OXV_CLIENT_OK };
        }
        return OXV_CLIENT_OK;
    }
    enum oxv_client_code code =
        oxv_problem_parse(oxv_buffer_view(&t->answer->body), (int)status, error);

    if (error != NULL &&
        curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK &&
        retry_after_s > 0) {
        error->retry_after_s = (uint64_t)retry_after_s;
    }
    return code;
}

/*
 * libcurl itself sends a request again, on a new connection, where a kept one turns out closed
 * before the first byte of an answer; it does not where the connection was new.
 */
static enum oxv_client_code
perform(const struct oxv_http *http, struct transfer *t, uint64_t left_ms,
        struct oxv_client_error *error)
{
    if (!set_transfer(t, http, left_ms)) {
        return oxv_client_fail(error, OXV_CLIENT_USAGE, "the request cannot be made");
    }
    CURLcode result = curl_easy_perform(t->easy);

    return result == CURLE_OK ? take_answer(t, error) : fail_transfer(http, t, result, error);
}

enum oxv_client_code
oxv_http_request(struct oxv_http *http, const struct oxv_http_request *request,
                 struct oxv_http_answer *answer, struct oxv_client_error *error)
{
    uint64_t deadline_ms = monotonic_ms() + http->total_timeout_ms;
    struct slot *slot = take_slot(http, deadline_ms);
    uint64_t now_ms = monotonic_ms();

    oxv_buffer_clear(&answer->body);
    answer->status = 0;
    if (slot == NULL || now_ms >= deadline_ms) {
        if (slot != NULL) {
            give_slot(http, slot);
        }
        return oxv_client_fail(error, OXV_CLIENT_BUSY,
                               "all %zu connections of this client stayed in use: nothing was sent",
                               http->slots_count);
    }
    if (slot->easy == NULL) {
        slot->easy = curl_easy_init();
    }
    struct transfer t = { .easy = slot->easy, .request = request, .answer = answer };
    enum oxv_client_code code;

    if (slot->easy == NULL) {
        code = oxv_client_fail(error, OXV_CLIENT_MEMORY, "out of memory");
    } else {
        code = perform(http, &t, deadline_ms - now_ms, error);
        curl_easy_reset(slot->easy); /* forgets the pointers into this call */
    }
    give_slot(http, slot);
    return code;
}

void
oxv_http_answer_done(struct oxv_http_answer *answer)
{
    oxv_buffer_done(&answer->body);
}
