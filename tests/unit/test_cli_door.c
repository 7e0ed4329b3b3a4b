/* The command at a door: which requests may share a connection, and be sent again. */
#include "cli/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/command.h"
#include "client_fake_door.h"

/* What the door does, and what came. */
struct fixture {
    char directory[64];
    char path[96];
    atomic_uint requests;
    atomic_uint connections;
    unsigned close_unanswered_from; /* of a connection's requests; 0: never */
    struct fake_door *door;
    struct oxv_cli cli;
};

static bool
answer(void *context, const struct fake_request *request)
{
    struct fixture *f = context;

    atomic_fetch_add(&f->requests, 1);
    atomic_store(&f->connections, request->connection);
    if (f->close_unanswered_from != 0 && request->number >= f->close_unanswered_from) {
        return false;
    }
    fake_answer(request, "200 OK", "", "{}");
    return true;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    memcpy(f->directory, "/tmp/oxv-cli-XXXXXX", 20);
    assert_non_null(mkdtemp(f->directory));
    assert_true(snprintf(f->path, sizeof f->path, "%s/admin.sock", f->directory) > 0);
    f->door = fake_door_start(f->path, answer, f);
    f->cli.run = f->directory;
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    oxv_cli_done(&f->cli);
    fake_door_stop(f->door);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(f->directory), 0);
    free(f);
    return 0;
}

static enum oxv_client_code
ask(struct fixture *f, const char *method)
{
    const struct oxv_http_request request = { .method = method, .path = "/v1/admin/grants" };
    OXV_AUTO(oxv_http_answer_done) struct oxv_http_answer got = { 0 };
    struct oxv_client_error error;

    return oxv_door_try(&f->cli, OXV_CLI_ADMIN, &request, &got, &error);
}

static void
sends_no_change_again_where_a_connection_closes_without_an_answer(void **state)
{
    static const char *const changes[] = { "POST", "DELETE" };
    struct fixture *f = *state;

    f->close_unanswered_from = 2;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ask(f, changes[i]), OXV_CLIENT_OK);
        assert_int_equal(ask(f, changes[i]), OXV_CLIENT_OK);
    }
    assert_int_equal(atomic_load(&f->requests), 4);
    assert_int_equal(atomic_load(&f->connections), 4);
    f->close_unanswered_from = 1;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ask(f, changes[i]), OXV_CLIENT_CLOSED);
    }
    assert_int_equal(atomic_load(&f->requests), 6);
}

static void
a_change_after_a_question_has_a_connection_of_its_own(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask(f, "GET"), OXV_CLIENT_OK);
    f->close_unanswered_from = 2;
    assert_int_equal(ask(f, "POST"), OXV_CLIENT_OK);
    assert_int_equal(atomic_load(&f->requests), 2);
    assert_int_equal(atomic_load(&f->connections), 2);
}

static void
asks_again_over_one_connection(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(ask(f, "GET"), OXV_CLIENT_OK);
    }
    assert_int_equal(atomic_load(&f->connections), 1);
    f->close_unanswered_from = 2;
    assert_int_equal(ask(f, "GET"), OXV_CLIENT_OK); /* sent again */
    assert_int_equal(atomic_load(&f->requests), 7);
}

#define WITH_DOOR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DOOR(sends_no_change_again_where_a_connection_closes_without_an_answer),
        WITH_DOOR(a_change_after_a_question_has_a_connection_of_its_own),
        WITH_DOOR(asks_again_over_one_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
