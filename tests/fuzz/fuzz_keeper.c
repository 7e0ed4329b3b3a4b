/* The keeper's dispatcher: whatever a frontend sends, at each door, against an open vault. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "service/keeper/answers.h"
#include "service/keeper/audit.h"
#include "service/keeper/frontends.h"
#include "service/keeper/state.h"
#include "tests/support/test_vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct oxv_keeper keeper;
static int supervisor_end = -1;

static void
clean_up(void)
{
    oxv_closep(&supervisor_end);
    test_vault_close(&keeper);
}

static void
set_up(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        abort();
    }
    test_vault_open(&keeper);
    if (oxv_channel_new(pair[0], 256, &keeper.control, NULL) != OXV_OK) {
        abort();
    }
    supervisor_end = pair[1];
    struct oxv_grant_record grant = { .kinds = OXV_KIND_ALL,
                                      .paths = oxv_view("\0\x0c/services/**", 14) };

    (void)test_vault_grant(&keeper, &grant);
    (void)atexit(clean_up);
}

static void
drain(int fd)
{
    uint8_t buffer[OXV_WIRE_MAX_BYTES];

    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
}

/* A frontend whose other end is ours, with the input as the datagram under work. */
static void
work_on(enum oxv_door door, struct oxv_view datagram)
{
    int pair[2];
    uint64_t uid_plus1 = door == OXV_DOOR_SIGN ? 1001 : 1;
    struct oxv_frontend *f = oxv_frontend_for(&keeper, door, uid_plus1);

    if (f == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        abort();
    }
    struct oxv_msg_frontend which = { .door = door, .uid_plus1 = uid_plus1, .serial = f->serial };

    oxv_frontend_started(&keeper, &which, pair[0]);
    f->peers = 1;
    f->datagram = datagram;
    f->has_rest = oxv_wire_begin(datagram, &f->reader);
    while (f->has_rest && !f->broken) {
        (void)oxv_frontend_work(&keeper, f);
    }
    oxv_answers_release(&keeper);
    oxv_audit_tick(&keeper);
    f->broken = true;
    oxv_frontends_flush(&keeper);
    drain(pair[1]);
    oxv_closep(&pair[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (supervisor_end < 0) {
        set_up();
    }
    if (size < 1 || size > OXV_WIRE_MAX_BYTES) {
        return 0;
    }
    if (!oxv_keeper_is_open(&keeper)) { /* a LOCK came */
        test_vault_unseal(&keeper);
    }
    oxv_state_read_clocks(&keeper);
    work_on((enum oxv_door)(1 + data[0] % 3), oxv_view(data + 1, size - 1));
    (void)oxv_channel_flush(keeper.control);
    drain(supervisor_end);
    return 0;
}
