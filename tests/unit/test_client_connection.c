/* Connections: kept, lost, replaced, shared by threads. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "client/client.h"
#include "client_fake_door.h"
#include "include/oxvault/client.h"

#define THREADS             8u
#define REQUESTS_PER_THREAD 60u

/* How the door behaves; counted by its threads. */
struct script {
    atomic_uint requests;
    atomic_uint connections; /* the highest seen */
    atomic_uint
        close_unanswered_from; /* of a connection's requests, from this number on; 0: never */
    atomic_uint cut_answer_at; /* of its body, in bytes; 0: whole */
    atomic_bool silent;
};

struct fixture {
    char directory[64];
    char path[96];
    struct script script;
    struct fake_door *door;
};

/* Answers with the connection's name as nonce, so that nobody can take another's answer. */
static bool
answer(void *context, const struct fake_request *request)
{
    struct script *script = context;
    char body[512];
    char name[64];
    const char *begin = strstr((const char *)request->body.data, "\"connection\":\"");
    size_t len;

    atomic_fetch_add(&script->requests, 1);
    if (request->connection > atomic_load(&script->connections)) {
        atomic_store(&script->connections, request->connection);
    }
    if (script->silent) {
        return true;
    }
    if (script->close_unanswered_from != 0 && request->number >= script->close_unanswered_from) {
        return false;
    }
    begin = begin == NULL ? "\"connection\":\"none\"" : begin;
    len = strcspn(begin + 14, "\"");
    memcpy(name, begin + 14, len);
    name[len] = '\0';
    (void)snprintf(body, sizeof body,
                   "{\"authorization\":\"OAuth\",\"timestamp\":1,\"nonce\":\"%s\",\"log\":{"
                   "\"origin\":\"o\",\"index\":1}}",
                   name);
    if (script->cut_answer_at != 0) {
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";

        fake_send(request, head, sizeof head - 1);
        fake_send(request, body, script->cut_answer_at);
        return false;
    }
    fake_answer(request, "200 OK", "", body);
    return true;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    memcpy(f->directory, "/tmp/oxv-client-XXXXXX", 23);
    assert_non_null(mkdtemp(f->directory));
    assert_true(snprintf(f->path, sizeof f->path, "%s/sign.sock", f->directory) > 0);
    f->door = fake_door_start(f->path, answer, &f->script);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    fake_door_stop(f->door);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(f->directory), 0);
    free(f);
    return 0;
}

static struct oxv_client *
open_client(const struct fixture *f, uint32_t total_timeout_ms, uint32_t max_connections)
{
    const struct oxv_client_options options = { .total_timeout_ms = total_timeout_ms,
                                                .max_connections = max_connections };
    struct oxv_client *client = NULL;

    assert_int_equal(oxv_client_open(f->path, &options, &client, NULL), OXV_CLIENT_OK);
    return client;
}

static enum oxv_client_code
sign_for(struct oxv_client *client, const char *connection, struct oxv_client_error *error)
{
    const struct oxv_client_request request = { .connection = connection,
                                                .method = "GET",
                                                .url = "https://h/" };
    struct oxv_client_oauth1 *result = NULL;
    enum oxv_client_code code = oxv_client_sign_oauth1(client, &request, &result, error);

    if (code == OXV_CLIENT_OK && strcmp(result->nonce, connection) != 0) {
        code = OXV_CLIENT_OTHER; /* somebody else's answer */
    }
    oxv_client_oauth1_free(result);
    return code;
}

static void
keeps_one_connection_for_one_call_after_another(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);

    for (int i = 0; i < 20; i++) {
        assert_int_equal(sign_for(client, "a", NULL), OXV_CLIENT_OK);
    }
    assert_int_equal(atomic_load(&f->script.connections), 1);
    oxv_client_close(client);
}

static void
sends_again_where_a_kept_connection_closes_before_any_answer(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);

    f->script.close_unanswered_from = 2;
    assert_int_equal(sign_for(client, "a", NULL), OXV_CLIENT_OK);
    assert_int_equal(sign_for(client, "b", NULL), OXV_CLIENT_OK);
    assert_int_equal(atomic_load(&f->script.requests), 3); /* a, b unanswered, b again */
    assert_int_equal(atomic_load(&f->script.connections), 2);
    oxv_client_close(client);
}

static void
does_not_send_again_on_a_new_connection(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);
    struct oxv_client_error error;

    f->script.close_unanswered_from = 1;
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_CLOSED);
    assert_int_equal(error.http_status, 0);
    assert_int_equal(atomic_load(&f->script.requests), 1);
    oxv_client_close(client);
}

static void
does_not_send_again_after_a_part_of_an_answer(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);

    assert_int_equal(sign_for(client, "a", NULL), OXV_CLIENT_OK);
    f->script.cut_answer_at = 10;
    assert_int_equal(sign_for(client, "b", NULL), OXV_CLIENT_CLOSED);
    assert_int_equal(atomic_load(&f->script.requests), 2);
    oxv_client_close(client);
}

static void
finds_a_service_that_was_restarted(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(sign_for(client, "a", NULL), OXV_CLIENT_OK);
        fake_door_stop(f->door);
        f->door = fake_door_start(f->path, answer, &f->script);
    }
    assert_int_equal(sign_for(client, "a", NULL), OXV_CLIENT_OK);
    oxv_client_close(client);
}

static void
tells_a_service_that_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);
    struct oxv_client_error error;
    char detail[256];

    fake_door_stop(f->door); /* the socket's file stays: nobody listens */
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_UNREACHABLE);
    assert_int_equal(oxv_format(detail, sizeof detail, "the service does not listen at %s",
                                f->path),
                     OXV_OK);
    assert_string_equal(error.detail, detail);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_UNREACHABLE);
    assert_int_equal(oxv_format(detail, sizeof detail,
                                "there is no %s: the service does not run, or elsewhere", f->path),
                     OXV_OK);
    assert_string_equal(error.detail, detail);
    f->door = fake_door_start(f->path, answer, &f->script);
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_OK);
    oxv_client_close(client);
}

static void
tells_a_service_with_no_room_for_one_more(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 2000, 0);
    struct oxv_client_error error;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int waiting[8];
    size_t count = 0;
    char detail[256];

    fake_door_stop(f->door);
    assert_int_equal(unlink(f->path), 0);
    memcpy(address.sun_path, f->path, strlen(f->path) + 1);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0); /* nobody accepts */
    do {
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } while (connect(waiting[count++], (struct sockaddr *)&address, sizeof address) == 0 &&
             count < 8);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_BUSY);
    assert_int_equal(error.http_status, 0);
    assert_int_equal(oxv_format(detail, sizeof detail,
                                "the service at %s has no room for one more connection: nothing "
                                "was sent",
                                f->path),
                     OXV_OK);
    assert_string_equal(error.detail, detail);
    for (size_t i = 0; i < count; i++) {
        oxv_closep(&waiting[i]);
    }
    oxv_closep(&listener);
    f->door = fake_door_start(f->path, answer, &f->script);
    oxv_client_close(client);
}

static void
gives_up_when_the_time_is_over(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 200, 0);
    struct oxv_client_error error;
    uint64_t begin_us = oxv_clock_boot_us();
    uint64_t took_us;

    f->script.silent = true;
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_TIMEOUT);
    took_us = oxv_clock_boot_us() - begin_us;
    assert_true(took_us >= 190000 && took_us < 5000000);
    f->script.silent = false;
    assert_int_equal(sign_for(client, "a", &error), OXV_CLIENT_OK); /* on another connection */
    assert_int_equal(atomic_load(&f->script.connections), 2);
    oxv_client_close(client);
}

static void
refuses_a_path_that_no_socket_can_have(void **state)
{
    char path[200];
    struct oxv_client *client = NULL;
    struct oxv_client_error error;
    const struct oxv_client_options greedy = { .max_connections = 257 };

    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(oxv_client_open(path, NULL, &client, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_open("", NULL, &client, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_open(NULL, NULL, &client, &error), OXV_CLIENT_USAGE);
    assert_int_equal(oxv_client_open("/x", &greedy, &client, &error), OXV_CLIENT_USAGE);
    assert_null(client);
}

static void
survives_a_service_that_closes_while_a_long_request_is_sent(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 10000, 0);
    static struct oxv_client_request requests[OXV_CLIENT_BATCH_MAX];
    struct oxv_client_batch *batch = NULL;
    char url[900];

    memset(url, 'u', sizeof url - 1);
    url[sizeof url - 1] = '\0';
    for (size_t i = 0; i < OXV_CLIENT_BATCH_MAX; i++) {
        requests[i] = (struct oxv_client_request){
            .kind = OXV_CLIENT_OAUTH1, .connection = "a", .method = "GET", .url = url
        };
    }
    assert_int_equal(sign_for(client, "a", NULL), OXV_CLIENT_OK);
    fake_door_stop(f->door); /* SIGPIPE would end this process */
    assert_int_equal(oxv_client_sign_batch(client, requests, OXV_CLIENT_BATCH_MAX, &batch, NULL),
                     OXV_CLIENT_UNREACHABLE);
    f->door = fake_door_start(f->path, answer, &f->script);
    oxv_client_close(client);
}

struct worker {
    const struct fixture *fixture;
    struct oxv_client *client; /* NULL: one of its own */
    unsigned number;
    unsigned good;
};

static void *
work(void *context)
{
    struct worker *worker = context;
    struct oxv_client *own = NULL;

    if (worker->client == NULL) {
        own = open_client(worker->fixture, 30000, 0);
    }
    for (unsigned i = 0; i < REQUESTS_PER_THREAD; i++) {
        char name[32];
        struct oxv_client_error error;

        (void)snprintf(name, sizeof name, "t%u-%u", worker->number, i);
        if (sign_for(own != NULL ? own : worker->client, name, &error) == OXV_CLIENT_OK) {
            worker->good++;
        }
    }
    oxv_client_close(own);
    return NULL;
}

static void
run_workers(const struct fixture *f, struct oxv_client *client)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .fixture = f, .client = client, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].good, REQUESTS_PER_THREAD);
    }
}

static void
serves_many_threads_from_one_handle(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 30000, 0);

    run_workers(f, client);
    assert_true(atomic_load(&f->script.connections) <= THREADS);
    oxv_client_close(client);
}

static void
serves_more_threads_than_it_may_have_connections(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 30000, 2);

    run_workers(f, client);
    assert_true(atomic_load(&f->script.connections) <= 2);
    oxv_client_close(client);
}

static void
serves_many_threads_with_a_handle_each(void **state)
{
    struct fixture *f = *state;

    run_workers(f, NULL);
    assert_int_equal(atomic_load(&f->script.connections), THREADS);
}

static void *
hang(void *context)
{
    struct worker *worker = context;
    const struct oxv_http_request endless = { .method = "GET", .path = "/v1/x", .endless = true };
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer nothing = { 0 };

    worker->good =
        oxv_http_request(worker->client->http, &endless, &nothing, NULL) == OXV_CLIENT_CLOSED ? 1
                                                                                              : 0;
    return NULL;
}

static void
tells_when_all_connections_stay_in_use(void **state)
{
    struct fixture *f = *state;
    struct oxv_client *client = open_client(f, 200, 1);
    struct worker worker = { .client = client };
    struct oxv_client_error error;
    pthread_t thread;

    f->script.silent = true;
    assert_int_equal(pthread_create(&thread, NULL, hang, &worker), 0);
    while (atomic_load(&f->script.requests) == 0) {
        (void)usleep(1000); /* until the other thread has the connection */
    }
    assert_int_equal(sign_for(client, "b", &error), OXV_CLIENT_BUSY);
    assert_int_equal(error.http_status, 0);
    assert_string_equal(error.detail,
                        "all 1 connections of this client stayed in use: nothing was sent");
    assert_int_equal(atomic_load(&f->script.requests), 1);
    fake_door_stop(f->door);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(worker.good, 1);
    f->door = fake_door_start(f->path, answer, &f->script);
    oxv_client_close(client);
}

#define WITH_DOOR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DOOR(keeps_one_connection_for_one_call_after_another),
        WITH_DOOR(sends_again_where_a_kept_connection_closes_before_any_answer),
        WITH_DOOR(does_not_send_again_on_a_new_connection),
        WITH_DOOR(does_not_send_again_after_a_part_of_an_answer),
        WITH_DOOR(finds_a_service_that_was_restarted),
        WITH_DOOR(tells_a_service_that_is_not_there),
        WITH_DOOR(tells_a_service_with_no_room_for_one_more),
        WITH_DOOR(gives_up_when_the_time_is_over),
        cmocka_unit_test(refuses_a_path_that_no_socket_can_have),
        WITH_DOOR(survives_a_service_that_closes_while_a_long_request_is_sent),
        WITH_DOOR(serves_many_threads_from_one_handle),
        WITH_DOOR(serves_more_threads_than_it_may_have_connections),
        WITH_DOOR(serves_many_threads_with_a_handle_each),
        WITH_DOOR(tells_when_all_connections_stay_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
