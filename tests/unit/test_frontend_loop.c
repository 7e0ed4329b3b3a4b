/* What takes too long, or too much, to be tested from outside: time limits and bounds. */
#include "service/frontend/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

#define SIGN_HEAD "POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\n\r\n"
#define SIGN_BODY "{\"connection\":\"a\",\"method\":\"GET\",\"url\":\"uu\"}"
#define SIGN      SIGN_HEAD SIGN_BODY

struct world {
    struct oxv_frontend *frontend;
    struct oxv_channel *keeper;
};

static struct world
new_world(enum oxv_door door)
{
    struct world w;
    int fds[2];

    assert_int_equal(sizeof SIGN_BODY - 1, 44);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(oxv_channel_new(fds[0], 64, &w.keeper, NULL), OXV_OK);
    assert_int_equal(oxv_frontend_new(door, fds[1], &w.frontend, NULL), OXV_OK);
    return w;
}

static void
end_world(struct world *w)
{
    oxv_channel_free(w->keeper);
    assert_int_equal(oxv_frontend_run(w->frontend, NULL), OXV_OK);
    oxv_frontend_free(w->frontend);
}

static void
turn(struct world *w)
{
    assert_int_equal(oxv_frontend_turn(w->frontend, false, NULL), OXV_OK);
}

static int
new_peer(struct world *w)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(oxv_channel_put_fds(w->keeper, OXV_MSG_PEER, 0, oxv_view(NULL, 0), &fds[1], 1),
                     OXV_OK);
    assert_int_equal(oxv_channel_flush(w->keeper), OXV_OK);
    turn(w);
    return fds[0];
}

static void
say(struct world *w, int peer, const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_DONTWAIT), strlen(text));
    turn(w);
}

/* What has come, as a text; "" where nothing has, NULL at the end. */
static const char *
hear(int peer, char buffer[1024])
{
    ssize_t n = recv(peer, buffer, 1023, MSG_DONTWAIT);

    if (n == 0) {
        return NULL;
    }
    assert_true(n > 0 || errno == EAGAIN);
    buffer[n > 0 ? n : 0] = '\0';
    return buffer;
}

/* The peer handed over last. */
static struct oxv_peer *
inside(struct world *w)
{
    struct oxv_peer *p = TAILQ_LAST(&w->frontend->peers, oxv_peer_list);

    assert_non_null(p);
    return p;
}

/* The time at which `p` has to be done comes at once. */
static void
let_time_pass(struct world *w, struct oxv_peer *p)
{
    assert_true(p->deadline_ms != UINT64_MAX);
    p->deadline_ms = 0;
    w->frontend->next_check_ms = 0;
    turn(w);
}

static void
assert_deadline_in(const struct world *w, const struct oxv_peer *p, uint64_t ms)
{
    assert_in_range(p->deadline_ms, w->frontend->now_ms + ms - 5000, w->frontend->now_ms + ms);
    assert_true(w->frontend->next_check_ms <= p->deadline_ms);
}

static void
a_request_that_takes_longer_than_a_minute_is_refused(void **state)
{
    static const char *const parts[] = { "G", "GET / HTTP/1.1\r\n", SIGN_HEAD, SIGN_HEAD "{" };
    char buffer[1024];

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct world w = new_world(OXV_DOOR_SIGN);
        int peer = new_peer(&w);

        say(&w, peer, parts[i]);
        assert_deadline_in(&w, inside(&w), OXV_REQUEST_TIMEOUT_MS);
        let_time_pass(&w, inside(&w));
        const char *heard = hear(peer, buffer);

        assert_non_null(heard);
        assert_non_null(strstr(heard, "HTTP/1.1 400 "));
        assert_non_null(strstr(heard, "did not arrive within 60 seconds"));
        assert_null(hear(peer, buffer)); /* shut down */
        assert_int_equal(inside(&w)->state, OXV_PEER_LINGER);
        assert_deadline_in(&w, inside(&w), OXV_LINGER_TIMEOUT_MS);
        let_time_pass(&w, inside(&w));
        assert_true(TAILQ_EMPTY(&w.frontend->peers));
        oxv_closep(&peer);
        end_world(&w);
    }
}

static void
more_bytes_do_not_buy_a_slow_request_more_time(void **state)
{
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);

    (void)state;
    say(&w, peer, "G");
    uint64_t deadline_ms = inside(&w)->deadline_ms;

    w.frontend->now_ms += 1000;
    say(&w, peer, "E");
    say(&w, peer, "T / HTTP/1.1\r\n");
    assert_int_equal(inside(&w)->deadline_ms, deadline_ms);
    oxv_closep(&peer);
    end_world(&w);
}

static void
an_idle_peer_is_let_go_after_five_minutes_without_a_word(void **state)
{
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);
    char buffer[1024];

    (void)state;
    assert_deadline_in(&w, inside(&w), OXV_IDLE_TIMEOUT_MS);
    say(&w, peer, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_non_null(hear(peer, buffer));
    assert_deadline_in(&w, inside(&w), OXV_IDLE_TIMEOUT_MS);
    let_time_pass(&w, inside(&w));
    assert_null(hear(peer, buffer));
    assert_true(TAILQ_EMPTY(&w.frontend->peers));
    oxv_closep(&peer);
    end_world(&w);
}

static void
a_peer_whose_question_is_with_the_keeper_may_wait_for_ever(void **state)
{
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);

    (void)state;
    say(&w, peer, SIGN);
    assert_int_equal(inside(&w)->state, OXV_PEER_ASKED);
    assert_int_equal(inside(&w)->deadline_ms, UINT64_MAX);
    oxv_closep(&peer);
    end_world(&w);
}

static void
a_peer_that_does_not_take_its_answers_is_let_go(void **state)
{
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);
    size_t rounds = 0;

    (void)state;
    while (!inside(&w)->blocked && rounds++ < 100000) {
        say(&w, peer, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    assert_true(inside(&w)->blocked);
    assert_deadline_in(&w, inside(&w), OXV_TAKE_TIMEOUT_MS);
    assert_int_equal(inside(&w)->interest, 0x004); /* EPOLLOUT: it is not read on */
    let_time_pass(&w, inside(&w));
    assert_true(TAILQ_EMPTY(&w.frontend->peers));
    oxv_closep(&peer);
    end_world(&w);
}

static void
what_is_sent_ahead_is_kept_within_bounds(void **state)
{
    static char flood[100000];
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);

    (void)state;
    memset(flood, 'x', sizeof flood);
    say(&w, peer, SIGN);
    assert_int_equal(send(peer, flood, sizeof flood, MSG_DONTWAIT), sizeof flood);
    for (size_t i = 0; i < 50; i++) {
        turn(&w);
    }
    assert_in_range(oxv_buffer_len(&inside(&w)->in), 1, 2 * OXV_HTTP_HEAD_MAX_BYTES);
    assert_int_equal(inside(&w)->interest, 0); /* it is not read on */
    oxv_closep(&peer);
    end_world(&w);
}

static void
only_so_many_batches_are_at_work_at_once(void **state)
{
    static const char batch[] =
        "POST /v1/sign/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 79\r\n\r\n"
        "{\"requests\":[{\"kind\":\"oauth1\",\"connection\":\"a\",\"method\":\"GET\",\"url\":\"u\"}"
        ",1,23]}";
    struct world w = new_world(OXV_DOOR_SIGN);
    int peers[OXV_BATCHES_MAX + 1];
    char buffer[1024];

    (void)state;
    for (size_t i = 0; i < OXV_BATCHES_MAX + 1; i++) {
        peers[i] = new_peer(&w);
        say(&w, peers[i], batch);
        const char *heard = hear(peers[i], buffer);

        assert_non_null(heard);
        if (i < OXV_BATCHES_MAX) {
            assert_string_equal(heard, "");
        } else {
            assert_non_null(strstr(heard, "HTTP/1.1 503 "));
            assert_non_null(strstr(heard, "\"code\":\"busy\""));
            assert_non_null(strstr(heard, "Retry-After: 1\r\n"));
        }
    }
    oxv_closep(&peers[0]); /* its batch ends with it */
    turn(&w);
    say(&w, peers[OXV_BATCHES_MAX], batch);
    assert_string_equal(hear(peers[OXV_BATCHES_MAX], buffer), "");
    for (size_t i = 1; i < OXV_BATCHES_MAX + 1; i++) {
        oxv_closep(&peers[i]);
    }
    end_world(&w);
}

static void
only_so_many_reads_of_the_log_are_at_work_at_once(void **state)
{
    struct world w = new_world(OXV_DOOR_AUDIT);
    int peers[OXV_STREAMS_MAX + 1];
    char buffer[1024];

    (void)state;
    for (size_t i = 0; i < OXV_STREAMS_MAX + 1; i++) {
        peers[i] = new_peer(&w);
        say(&w, peers[i], "GET /v1/audit/log HTTP/1.1\r\nHost: x\r\n\r\n");
        const char *heard = hear(peers[i], buffer);

        assert_non_null(heard);
        assert_int_equal(strstr(heard, "HTTP/1.1 503 ") != NULL, i == OXV_STREAMS_MAX);
    }
    for (size_t i = 0; i < OXV_STREAMS_MAX + 1; i++) {
        oxv_closep(&peers[i]);
    }
    end_world(&w);
}

static void
an_idle_frontend_sleeps_until_something_is_due(void **state)
{
    struct world w = new_world(OXV_DOOR_SIGN);

    (void)state;
    assert_int_equal(w.frontend->next_check_ms, UINT64_MAX);
    int peer = new_peer(&w);

    assert_true(w.frontend->next_check_ms > w.frontend->now_ms + OXV_IDLE_TIMEOUT_MS - 5000);
    assert_false(w.frontend->has_work);
    oxv_closep(&peer);
    end_world(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_takes_longer_than_a_minute_is_refused),
        cmocka_unit_test(more_bytes_do_not_buy_a_slow_request_more_time),
        cmocka_unit_test(an_idle_peer_is_let_go_after_five_minutes_without_a_word),
        cmocka_unit_test(a_peer_whose_question_is_with_the_keeper_may_wait_for_ever),
        cmocka_unit_test(a_peer_that_does_not_take_its_answers_is_let_go),
        cmocka_unit_test(what_is_sent_ahead_is_kept_within_bounds),
        cmocka_unit_test(only_so_many_batches_are_at_work_at_once),
        cmocka_unit_test(only_so_many_reads_of_the_log_are_at_work_at_once),
        cmocka_unit_test(an_idle_frontend_sleeps_until_something_is_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
