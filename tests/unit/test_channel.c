#include "service/wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "service/wire/messages.h"

#define QUEUE_MAX 4u

struct pair {
    struct oxv_channel *ours;
    int theirs;
};

static struct pair
new_pair(void)
{
    struct pair p;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(oxv_channel_new(fds[0], QUEUE_MAX, &p.ours, NULL), OXV_OK);
    p.theirs = fds[1];
    return p;
}

static void
end_pair(struct pair *p)
{
    oxv_channel_free(p->ours);
    oxv_closep(&p->theirs);
}

/* For a peer that may be full. */
static void
flush_some(struct oxv_channel *channel)
{
    enum oxv_status st = oxv_channel_flush(channel);

    assert_true(st == OXV_OK || st == OXV_E_BUSY);
}

static void
messages_of_a_turn_go_out_in_one_datagram(void **state)
{
    struct pair p = new_pair();
    uint8_t bytes[256];
    struct oxv_reader r;
    struct oxv_message m;

    (void)state;
    assert_false(oxv_channel_is_waiting(p.ours));
    assert_int_equal(oxv_channel_put(p.ours, 16, 1, oxv_view_text("one")), OXV_OK);
    assert_int_equal(oxv_channel_put_fields(p.ours, 17, 2, &oxv_msg_id_shape,
                                            &(struct oxv_msg_id){ .id = 5 }),
                     OXV_OK);
    assert_true(oxv_channel_is_waiting(p.ours));
    assert_int_equal(oxv_channel_flush(p.ours), OXV_OK);
    assert_int_equal(oxv_channel_sent(p.ours), 1);
    assert_false(oxv_channel_is_waiting(p.ours));

    ssize_t n = recv(p.theirs, bytes, sizeof bytes, MSG_DONTWAIT);

    assert_true(n > 0);
    assert_true(oxv_wire_begin(oxv_view(bytes, (size_t)n), &r));
    assert_int_equal(oxv_wire_next(&r, &m), OXV_OK);
    assert_true(m.type == 16 && m.id == 1 && oxv_view_is(m.payload, "one"));
    assert_int_equal(oxv_wire_next(&r, &m), OXV_OK);
    assert_true(m.type == 17 && m.id == 2);
    assert_int_equal(oxv_wire_next(&r, &m), OXV_E_NOT_FOUND);
    assert_int_equal(recv(p.theirs, bytes, sizeof bytes, MSG_DONTWAIT), -1);
    end_pair(&p);
}

static void
an_empty_channel_sends_nothing(void **state)
{
    struct pair p = new_pair();

    (void)state;
    assert_int_equal(oxv_channel_flush(p.ours), OXV_OK);
    assert_int_equal(oxv_channel_sent(p.ours), 0);
    end_pair(&p);
}

static void
what_does_not_fit_one_datagram_begins_another(void **state)
{
    static uint8_t payload[OXV_WIRE_PAYLOAD_MAX_BYTES + 1];
    static uint8_t bytes[OXV_WIRE_MAX_BYTES + 1];
    struct pair p = new_pair();

    (void)state;
    assert_int_equal(oxv_channel_put(p.ours, 16, 1, oxv_view(payload, sizeof payload - 1)), OXV_OK);
    assert_int_equal(oxv_channel_put(p.ours, 16, 2, oxv_view(payload, 1)), OXV_OK);
    assert_int_equal(oxv_channel_put(p.ours, 16, 3, oxv_view(payload, sizeof payload)),
                     OXV_E_LIMIT);
    assert_int_equal(oxv_channel_flush(p.ours), OXV_OK);
    assert_int_equal(oxv_channel_sent(p.ours), 2); /* the refused one left an empty one: not sent */
    assert_int_equal(recv(p.theirs, bytes, sizeof bytes, MSG_DONTWAIT), OXV_WIRE_MAX_BYTES);
    assert_int_equal(recv(p.theirs, bytes, sizeof bytes, MSG_DONTWAIT),
                     1 + OXV_WIRE_HEAD_BYTES + 1);
    end_pair(&p);
}

static void
a_payload_that_breaks_its_shape_is_refused(void **state)
{
    struct pair p = new_pair();

    (void)state;
    assert_int_equal(oxv_channel_put_fields(p.ours, 17, 2, &oxv_msg_id_shape,
                                            &(struct oxv_msg_id){ .id = UINT64_MAX }),
                     OXV_E_LIMIT);
    assert_int_equal(oxv_channel_flush(p.ours), OXV_OK);
    assert_int_equal(oxv_channel_sent(p.ours), 0);
    end_pair(&p);
}

static void
more_datagrams_than_may_wait_are_refused_until_some_are_sent(void **state)
{
    static uint8_t payload[OXV_WIRE_PAYLOAD_MAX_BYTES];
    struct pair p = new_pair();

    (void)state;
    for (size_t i = 0; i < QUEUE_MAX; i++) {
        assert_int_equal(oxv_channel_put(p.ours, 16, i, oxv_view(payload, sizeof payload)), OXV_OK);
    }
    assert_int_equal(oxv_channel_put(p.ours, 16, 9, oxv_view(payload, sizeof payload)), OXV_E_BUSY);
    flush_some(p.ours);
    assert_true(oxv_channel_sent(p.ours) > 0);
    assert_int_equal(oxv_channel_put(p.ours, 16, 9, oxv_view(payload, sizeof payload)), OXV_OK);
    end_pair(&p);
}

static void
a_full_peer_makes_flush_wait_and_nothing_is_lost_or_reordered(void **state)
{
    static uint8_t payload[OXV_WIRE_PAYLOAD_MAX_BYTES];
    static uint8_t bytes[OXV_WIRE_MAX_BYTES];
    struct pair p = new_pair();
    uint64_t put = 0;
    uint64_t got = 0;
    enum oxv_status st = OXV_OK;

    (void)state;
    while (st == OXV_OK) {
        st = oxv_channel_put(p.ours, 16, put + 1, oxv_view(payload, sizeof payload));
        put += st == OXV_OK;
        flush_some(p.ours);
    }
    assert_int_equal(st, OXV_E_BUSY);
    assert_int_equal(oxv_channel_flush(p.ours), OXV_E_BUSY);
    while (got < put) {
        ssize_t n = recv(p.theirs, bytes, sizeof bytes, MSG_DONTWAIT);
        struct oxv_reader r;
        struct oxv_message m;

        assert_true(n > 0);
        assert_true(oxv_wire_begin(oxv_view(bytes, (size_t)n), &r));
        assert_int_equal(oxv_wire_next(&r, &m), OXV_OK);
        assert_int_equal(m.id, ++got);
        flush_some(p.ours);
    }
    assert_false(oxv_channel_is_waiting(p.ours));
    end_pair(&p);
}

static int
open_null(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static bool
is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
}

static void
descriptors_travel_with_their_one_message(void **state)
{
    int sent[2];
    int fds[OXV_WIRE_FD_MAX];
    size_t count = 0;
    struct oxv_channel *ours;
    struct oxv_channel *theirs;
    struct oxv_view datagram;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sent), 0);
    assert_int_equal(oxv_channel_new(sent[0], QUEUE_MAX, &ours, NULL), OXV_OK);
    assert_int_equal(oxv_channel_new(sent[1], QUEUE_MAX, &theirs, NULL), OXV_OK);
    int null = open_null();

    assert_int_equal(oxv_channel_put(ours, 128, 1, oxv_view_text("before")), OXV_OK);
    assert_int_equal(oxv_channel_put_fds(ours, 130, 2, oxv_view_text("with"), &null, 1), OXV_OK);
    assert_int_equal(oxv_channel_put(ours, 128, 3, oxv_view_text("behind")), OXV_OK);
    assert_int_equal(oxv_channel_flush(ours), OXV_OK);
    assert_int_equal(oxv_channel_sent(ours), 3);
    assert_false(is_open(null)); /* the channel closed its copy */

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(oxv_channel_receive(theirs, &datagram, fds, &count), OXV_OK);
        assert_int_equal(count, i == 1 ? 1 : 0);
        if (i == 1) {
            assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            oxv_closep(&fds[0]);
        }
    }
    assert_int_equal(oxv_channel_receive(theirs, &datagram, fds, &count), OXV_E_BUSY);
    oxv_channel_free(ours);
    assert_int_equal(oxv_channel_receive(theirs, &datagram, fds, &count), OXV_E_NOT_FOUND);
    oxv_channel_free(theirs);
}

static void
descriptors_are_closed_where_they_cannot_be_sent(void **state)
{
    static uint8_t payload[OXV_WIRE_PAYLOAD_MAX_BYTES + 1];
    struct pair p = new_pair();
    int fds[OXV_WIRE_FD_MAX + 1];

    (void)state;
    for (size_t i = 0; i < OXV_WIRE_FD_MAX + 1; i++) {
        fds[i] = open_null();
    }
    assert_int_equal(oxv_channel_put_fds(p.ours, 130, 1, oxv_view_text(""), fds,
                                         OXV_WIRE_FD_MAX + 1),
                     OXV_E_LIMIT);
    for (size_t i = 0; i < OXV_WIRE_FD_MAX + 1; i++) {
        assert_false(is_open(fds[i]));
    }
    fds[0] = open_null();
    assert_int_equal(oxv_channel_put_fds(p.ours, 130, 1, oxv_view(payload, sizeof payload), fds, 1),
                     OXV_E_LIMIT);
    assert_false(is_open(fds[0]));
    fds[0] = open_null();
    assert_int_equal(oxv_channel_put_fds(p.ours, 130, 1, oxv_view_text(""), fds, 1), OXV_OK);
    end_pair(&p); /* unsent */
    assert_false(is_open(fds[0]));
}

static void
a_datagram_that_is_too_long_is_refused_whole(void **state)
{
    static uint8_t bytes[OXV_WIRE_MAX_BYTES + 1] = { OXV_WIRE_VERSION };
    struct pair p = new_pair();
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t count = 7;

    (void)state;
    assert_int_equal(send(p.theirs, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(send(p.theirs, bytes, sizeof bytes - 1, 0), sizeof bytes - 1);
    assert_int_equal(oxv_channel_receive(p.ours, &datagram, fds, &count), OXV_E_FORMAT);
    assert_int_equal(count, 7);
    assert_int_equal(oxv_channel_receive(p.ours, &datagram, fds, &count), OXV_OK);
    assert_int_equal(datagram.len, OXV_WIRE_MAX_BYTES);
    end_pair(&p);
}

static void
sending_to_a_peer_that_is_gone_fails(void **state)
{
    struct pair p = new_pair();

    (void)state;
    oxv_closep(&p.theirs);
    assert_int_equal(oxv_channel_put(p.ours, 16, 1, oxv_view_text("x")), OXV_OK);
    assert_int_equal(oxv_channel_flush(p.ours), OXV_E_IO);
    end_pair(&p);
}

static void
a_secret_travels_alone_and_is_wiped_where_it_arrived(void **state)
{
    int ends[2];
    struct oxv_channel *ours;
    struct oxv_channel *theirs;
    struct oxv_view datagram;
    int fds[OXV_WIRE_FD_MAX];
    size_t count = 0;
    struct oxv_msg_helper_value value = { .value = oxv_view_text("a secret value") };

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(oxv_channel_new(ends[0], QUEUE_MAX, &ours, NULL), OXV_OK);
    assert_int_equal(oxv_channel_new(ends[1], QUEUE_MAX, &theirs, NULL), OXV_OK);
    assert_int_equal(oxv_channel_put(ours, 16, 1, oxv_view_text("before")), OXV_OK);
    assert_int_equal(oxv_channel_put_secret(ours, OXV_MSG_HELPER_VALUE, 2,
                                            &oxv_msg_helper_value_shape, &value),
                     OXV_OK);
    assert_int_equal(oxv_channel_put(ours, 16, 3, oxv_view_text("behind")), OXV_OK);
    assert_int_equal(oxv_channel_flush(ours), OXV_OK);
    assert_int_equal(oxv_channel_sent(ours), 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(oxv_channel_receive(theirs, &datagram, fds, &count), OXV_OK);
    }
    assert_memory_equal(oxv_view_from(datagram, datagram.len - value.value.len).data,
                        value.value.data, value.value.len);
    oxv_channel_wipe_received(theirs);
    for (size_t i = 0; i < datagram.len; i++) {
        assert_int_equal(datagram.data[i], 0);
    }
    oxv_channel_free(ours);
    oxv_channel_free(theirs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_a_turn_go_out_in_one_datagram),
        cmocka_unit_test(an_empty_channel_sends_nothing),
        cmocka_unit_test(what_does_not_fit_one_datagram_begins_another),
        cmocka_unit_test(a_payload_that_breaks_its_shape_is_refused),
        cmocka_unit_test(more_datagrams_than_may_wait_are_refused_until_some_are_sent),
        cmocka_unit_test(a_full_peer_makes_flush_wait_and_nothing_is_lost_or_reordered),
        cmocka_unit_test(descriptors_travel_with_their_one_message),
        cmocka_unit_test(descriptors_are_closed_where_they_cannot_be_sent),
        cmocka_unit_test(a_datagram_that_is_too_long_is_refused_whole),
        cmocka_unit_test(sending_to_a_peer_that_is_gone_fails),
        cmocka_unit_test(a_secret_travels_alone_and_is_wiped_where_it_arrived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
