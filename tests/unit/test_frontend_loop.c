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
#include "service/wire/doc.h"

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
new_peer_as(struct world *w, const struct oxv_msg_peer *message)
{
    int fds[2];
    uint8_t payload[1024];
    struct oxv_writer writer = oxv_writer(payload, sizeof payload);

    oxv_fields_encode(&writer, &oxv_msg_peer_shape, message);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(oxv_channel_put_fds(w->keeper, OXV_MSG_PEER, 0,
                                         oxv_view(writer.data, writer.len), &fds[1], 1),
                     OXV_OK);
    assert_int_equal(oxv_channel_flush(w->keeper), OXV_OK);
    turn(w);
    return fds[0];
}

static int
new_peer(struct world *w)
{
    return new_peer_as(w, &(struct oxv_msg_peer){ 0 });
}

static int
new_refused_peer(struct world *w)
{
    return new_peer_as(w, &(struct oxv_msg_peer){ .refuse_code = oxv_view_text("unknown_caller"),
                                                  .refuse_detail = oxv_view_text("no") });
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
a_refused_peer_has_five_seconds_whatever_it_sends(void **state)
{
    static const char *const parts[] = { "", "G", "GET / HTTP/1.1\r\n" };
    char buffer[1024];

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct world w = new_world(OXV_DOOR_SIGN);
        int peer = new_refused_peer(&w);
        uint64_t deadline_ms = inside(&w)->deadline_ms;

        assert_in_range(deadline_ms, w.frontend->now_ms + 4000, w.frontend->now_ms + 5000);
        for (const char *c = parts[i]; *c != '\0'; c++) {
            char one[2] = { *c, '\0' };

            say(&w, peer, one);
        }
        assert_int_equal(inside(&w)->deadline_ms, deadline_ms);
        let_time_pass(&w, inside(&w));
        const char *heard = hear(peer, buffer);

        if (parts[i][0] == '\0') {
            assert_null(heard);
        } else {
            assert_non_null(heard);
            assert_non_null(strstr(heard, "HTTP/1.1 403 "));
            assert_non_null(strstr(heard, "\"code\":\"unknown_caller\""));
            let_time_pass(&w, inside(&w)); /* it lingers */
        }
        assert_true(TAILQ_EMPTY(&w.frontend->peers));
        oxv_closep(&peer);
        end_world(&w);
    }
}

/* A sign answer of `len` bytes for the one question that is open. */
static void
answer_at_length(struct world *w, size_t len)
{
    static char text[40000];
    static uint8_t bytes[50000];
    struct oxv_writer doc = oxv_writer(bytes, sizeof bytes);
    uint64_t id = 0;

    for (size_t i = 0; i < OXV_WIRE_CREDITS; i++) {
        id = w->frontend->calls[i].id != 0 ? w->frontend->calls[i].id : id;
    }
    assert_true(id != 0 && len <= sizeof text);
    memset(text, 'x', sizeof text);
    oxv_doc_object(&doc, NULL);
    oxv_doc_text(&doc, "authorization", oxv_view(text, len));
    oxv_doc_end(&doc);
    assert_int_equal(oxv_channel_put(w->keeper, OXV_MSG_DOC, id, oxv_view(doc.data, doc.len)),
                     OXV_OK);
    assert_int_equal(oxv_channel_flush(w->keeper), OXV_OK);
}

static void
what_the_keeper_answered_before_its_end_is_given_out(void **state)
{
    static const size_t lengths[] = { 10, 40000 };
    char buffer[1024];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct world w = new_world(OXV_DOOR_SIGN);
        int peer = new_peer(&w);
        int other = new_peer(&w);

        say(&w, peer, SIGN);
        answer_at_length(&w, lengths[i % 2]);
        if (i >= 2) { /* a question that nobody reads: then the end is a reset */
            assert_int_equal(send(other, SIGN, sizeof SIGN - 1, MSG_DONTWAIT), sizeof SIGN - 1);
        }
        end_world(&w);
        const char *heard = hear(peer, buffer);

        assert_non_null(heard);
        assert_non_null(strstr(heard, "HTTP/1.1 200 "));
        heard = hear(other, buffer);
        assert_int_equal(heard != NULL && strstr(heard, "HTTP/1.1 503 ") != NULL, i >= 2);
        oxv_closep(&peer);
        oxv_closep(&other);
    }
}

static void
long_bodies_that_do_not_arrive_leave_room_for_short_ones(void **state)
{
    static const char head[] =
        "POST /v1/sign/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{";
    static const char chunked[] =
        "POST /v1/sign/oauth1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1";
    static const size_t most = OXV_BODIES_MAX_BYTES / 1048576u;
    struct world w = new_world(OXV_DOOR_SIGN);
    int peers[OXV_BODIES_MAX_BYTES / 1048576u + 1];
    char buffer[1024];

    (void)state;
    for (size_t i = 0; i <= most; i++) {
        peers[i] = new_peer(&w);
        say(&w, peers[i], head);
        const char *heard = hear(peers[i], buffer);

        assert_non_null(heard);
        if (i < most) {
            assert_string_equal(heard, "");
        } else {
            assert_non_null(strstr(heard, "HTTP/1.1 503 "));
            assert_non_null(strstr(heard, "too many long requests of this user arrive at once"));
            assert_non_null(strstr(heard, "Retry-After: 1\r\n"));
        }
    }
    int other = new_peer(&w);

    say(&w, other, chunked);
    assert_non_null(strstr(hear(other, buffer), "HTTP/1.1 503 "));
    oxv_closep(&other);
    other = new_peer(&w);
    say(&w, other, SIGN);
    assert_int_equal(inside(&w)->state, OXV_PEER_ASKED);
    oxv_closep(&peers[0]); /* its room is free again */
    turn(&w);
    oxv_closep(&other);
    other = new_peer(&w);
    say(&w, other, head);
    assert_int_equal(inside(&w)->state, OXV_PEER_BODY);
    assert_int_equal(w.frontend->body_room, OXV_BODIES_MAX_BYTES);
    oxv_closep(&other);
    for (size_t i = 1; i <= most; i++) {
        oxv_closep(&peers[i]);
    }
    turn(&w);
    assert_int_equal(w.frontend->body_room, 0);
    end_world(&w);
}

static void
a_long_body_is_kept_no_longer_than_it_is_read(void **state)
{
    enum { BODY = 1000000 };
    static char request[BODY + 200];
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);
    int head =
        snprintf(request, sizeof request,
                 "POST /v1/sign/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY);
    size_t sent = 0;
    size_t len = (size_t)head + BODY + 1;

    (void)state;
    memset(request + head, ' ', BODY);
    memcpy(request + head, "{\"requests\":[1]}", 16);
    request[head + BODY] = 'G'; /* the next request begins */
    while (sent < len) {
        ssize_t n = send(peer, request + sent, len - sent, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        turn(&w);
    }
    for (size_t i = 0; i < 100; i++) {
        turn(&w);
    }
    assert_int_equal(oxv_buffer_len(&inside(&w)->in), 1);
    assert_in_range(inside(&w)->in.size, 1, 16384);
    assert_int_equal(w.frontend->body_room, 0);
    oxv_closep(&peer);
    end_world(&w);
}

static void
a_batch_counts_until_its_answer_is_taken(void **state)
{
    enum { ITEMS = 1000 };
    static char body[ITEMS * 2 + 20] = "{\"requests\":[1";
    char request[sizeof body + 100];
    struct world w = new_world(OXV_DOOR_SIGN);
    int peer = new_peer(&w);
    int small = 4096;
    char buffer[65536];

    (void)state;
    for (size_t i = 1; i < ITEMS; i++) {
        memcpy(body + 12 + 2 * i, ",1", 2);
    }
    memcpy(body + 12 + 2 * ITEMS, "]}", 3);
    assert_int_equal(setsockopt(inside(&w)->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    (void)snprintf(request, sizeof request,
                   "POST /v1/sign/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    say(&w, peer, request);
    turn(&w);
    assert_true(inside(&w)->blocked);
    assert_null(inside(&w)->batch);
    assert_int_equal(w.frontend->batch_count, 1);
    while (oxv_buffer_len(&inside(&w)->out) > 0) {
        assert_true(recv(peer, buffer, sizeof buffer, MSG_DONTWAIT) > 0);
        turn(&w);
    }
    assert_int_equal(w.frontend->batch_count, 0);
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
        cmocka_unit_test(a_refused_peer_has_five_seconds_whatever_it_sends),
        cmocka_unit_test(what_the_keeper_answered_before_its_end_is_given_out),
        cmocka_unit_test(long_bodies_that_do_not_arrive_leave_room_for_short_ones),
        cmocka_unit_test(a_long_body_is_kept_no_longer_than_it_is_read),
        cmocka_unit_test(a_batch_counts_until_its_answer_is_taken),
        cmocka_unit_test(only_so_many_batches_are_at_work_at_once),
        cmocka_unit_test(only_so_many_reads_of_the_log_are_at_work_at_once),
        cmocka_unit_test(an_idle_frontend_sleeps_until_something_is_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
