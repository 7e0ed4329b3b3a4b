/* The writer's side: create, append, commit, reopen, recovery, kill at each hook. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/log.h"
#include "vault/log/verify.h"

#define ORIGIN  "oxvault/000102030405060708090a0b0c0d0e0f/101112131415161718191a1b1c1d1e1f"
#define SEGMENT "log/seg/000000000000.jsonl"

/* A vault directory with a log, made anew for each test. */
struct fixture {
    char path[64];
    int fd;
    struct oxv_secret *wrap_key;
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
};

static struct oxv_entry
genesis(void)
{
    return (struct oxv_entry){
        .type = OXV_ENTRY_LOG_GENESIS,
        .outcome = OXV_OUTCOME_ALLOWED,
        .origin = oxv_view_text(ORIGIN),
        .vault = oxv_view_text("000102030405060708090a0b0c0d0e0f"),
        .node = oxv_view_text("101112131415161718191a1b1c1d1e1f"),
    };
}

static int
make_vault(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct oxv_entry first = genesis();
    struct oxv_err err;

    strcpy(f->path, "/tmp/oxv-log-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->wrap_key = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);
    assert_int_equal(oxv_log_create(f->fd, &first, f->wrap_key, f->vkey, &err), OXV_OK);
    *state = f;
    return 0;
}

static int
remove_vault(void **state)
{
    struct fixture *f = *state;
    char command[96];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    assert_int_equal(system(command), 0);
    (void)close(f->fd);
    oxv_secret_free(f->wrap_key);
    free(f);
    return 0;
}

static enum oxv_status
reopen(const struct fixture *f, struct oxv_log **log, struct oxv_log_opened *opened)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_log_open(f->fd, f->vkey, f->wrap_key, log, opened, &err);

    if (st != OXV_OK) {
        print_message("%s\n", err.text);
    }
    return st;
}

static struct oxv_log *
must_open(const struct fixture *f, struct oxv_log_opened *opened)
{
    struct oxv_log *log = NULL;

    assert_int_equal(reopen(f, &log, opened), OXV_OK);
    return log;
}

static uint64_t
append_sign(struct oxv_log *log)
{
    struct oxv_entry entry = {
        .type = OXV_ENTRY_SIGN,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = 1001,
        .caller = oxv_view_text("order-exchange"),
        .connection = oxv_view_text("acme"),
    };
    uint64_t index = UINT64_MAX;

    assert_int_equal(oxv_log_append(log, &entry, &index), OXV_OK);
    return index;
}

static void
a_new_log_opens_again_and_goes_on(void **state)
{
    struct fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = must_open(f, &opened);
    struct oxv_err err;

    assert_int_equal(opened.torn_bytes, 0);
    assert_int_equal(oxv_log_size(log), 1);
    assert_string_equal(oxv_log_origin(log), ORIGIN);
    assert_int_equal(append_sign(log), 1);
    assert_int_equal(append_sign(log), 2);
    assert_int_equal(oxv_log_waiting(log), 2);
    assert_int_equal(oxv_log_size(log), 1);
    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
    assert_int_equal(oxv_log_waiting(log), 0);
    assert_int_equal(oxv_log_size(log), 3);
    uint8_t root[32];

    oxv_log_root(log, root);
    oxv_log_free(log);

    uint8_t again[32];

    log = must_open(f, &opened);
    oxv_log_root(log, again);
    assert_int_equal(oxv_log_size(log), 3);
    assert_memory_equal(root, again, sizeof root);
    oxv_log_free(log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_log_opens_again_and_goes_on, make_vault,
                                        remove_vault),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log writer", tests, NULL, NULL);
}
