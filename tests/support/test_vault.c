#include "tests/support/test_vault.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/answers.h"
#include "service/keeper/challenges.h"
#include "service/keeper/events.h"
#include "service/keeper/sign.h"
#include "service/keeper/start.h"
#include "service/keeper/state.h"
#include "service/keeper/tokens.h"
#include "signer/netsuite.h"

static char directory[64];
static struct oxv_secret *keyfile;

static void
must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "test vault: %s failed\n", what);
        abort();
    }
}

static void
make_parts(struct oxv_keeper *k)
{
    k->work = malloc(sizeof *k->work);
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(k->work != NULL && k->epoll_fd >= 0 && oxv_answers_new(&k->answers) == OXV_OK &&
             oxv_denials_new(&k->denials) == OXV_OK &&
             oxv_challenges_new(&k->challenges) == OXV_OK &&
             oxv_sign_jobs_new(&k->jobs) == OXV_OK && oxv_tokens_new(&k->tokens) == OXV_OK,
         "parts");
    must(oxv_box_keypair(k->box_public, &k->box_private, NULL) == OXV_OK, "key pair");
    k->started_us = oxv_clock_boot_us();
    k->clock_offset_us = (int64_t)oxv_clock_wall_us() - (int64_t)k->started_us;
    oxv_state_read_clocks(k);
}

static void
make_vault(struct oxv_keeper *k)
{
    const char *tmp = getenv("TMPDIR");
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_seal_record record = { .kind = OXV_SEAL_KEYFILE, .created_us = 1 };

    must(oxv_format(directory, sizeof directory, "%s/oxv-XXXXXX", tmp != NULL ? tmp : "/tmp") ==
             OXV_OK,
         "the directory's name");
    must(mkdtemp(directory) != NULL, "mkdtemp");
    k->dir_path = directory;
    k->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    keyfile = oxv_secret_random(OXV_KEYFILE_BYTES);
    must(k->dir_fd >= 0 && keyfile != NULL, "the key file");
    struct oxv_seal_input seal = { .kind = OXV_SEAL_KEYFILE, .keyfile = keyfile };
    struct oxv_vault_new options = { .seal = &seal, .seal_record = &record, .admin_uid = 0 };

    must(oxv_vault_create(k->dir_fd, &options, vkey, sizeof vkey, NULL) == OXV_OK, "create");
}

void
test_vault_unseal(struct oxv_keeper *k)
{
    struct oxv_seal_input seal = { .kind = OXV_SEAL_KEYFILE, .keyfile = keyfile };
    struct oxv_entry entry = { .reason = oxv_view_text("test") };

    must(oxv_state_unseal(k, &seal, 0, &entry, NULL) == OXV_OK, "unseal");
}

/* The keeper's order of log and database, so that the vault opens again. */
static void
finish(struct oxv_keeper *k, struct oxv_change **change, uint64_t type)
{
    char digest[65];
    uint64_t counter = 0;
    struct oxv_entry entry = { .type = type, .outcome = OXV_OUTCOME_ALLOWED };

    must(oxv_change_prepare(*change, &counter, digest, NULL) == OXV_OK, "prepare");
    entry.cfg = counter;
    entry.cfg_digest = oxv_view_text(digest);
    must(oxv_event(k, &entry, NULL) == OXV_OK && oxv_log_commit(k->log, NULL) == OXV_OK, "log");
    must(oxv_change_commit(change, NULL) == OXV_OK, "commit");
    entry = (struct oxv_entry){ .type = OXV_ENTRY_CHANGE_DONE,
                                .outcome = OXV_OUTCOME_ALLOWED,
                                .cfg = counter };
    must(oxv_event(k, &entry, NULL) == OXV_OK && oxv_log_commit(k->log, NULL) == OXV_OK, "done");
}

static void
add_connection(struct oxv_change *change)
{
    struct oxv_account account;
    uint8_t origins[512];
    struct oxv_writer list = oxv_writer(origins, sizeof origins);
    static const uint8_t key[32] = { 1 };
    struct oxv_connection_secret secret = { .key = oxv_view(key, sizeof key) };
    struct oxv_connection_record record = { .system = OXV_SYSTEM_NETSUITE,
                                            .signature_method = OXV_HMAC_SHA256,
                                            .name = oxv_view_text("acme"),
                                            .account_id = oxv_view_text("123456"),
                                            .consumer_key = oxv_view_text("ck"),
                                            .token_id = oxv_view_text("token") };
    uint64_t id = 0;

    must(oxv_account_parse(record.account_id, &account, NULL) == OXV_OK, "account");
    for (size_t i = 0; i < OXV_ACCOUNT_ORIGINS; i++) {
        uint8_t origin[OXV_ACCOUNT_ORIGIN_MAX_BYTES];
        struct oxv_writer w = oxv_writer(origin, sizeof origin);

        oxv_account_write_origin(&w, &account, i);
        oxv_list_add(&list, oxv_view(origin, w.len));
    }
    record.origins = oxv_view(origins, list.len);
    must(oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &record, &secret, NULL) == OXV_OK,
         "connection");
}

void
test_vault_open(struct oxv_keeper *k)
{
    struct oxv_change *change = NULL;
    struct oxv_caller_record caller = { .uid_plus1 = 1001, .name = oxv_view_text("caller") };
    uint64_t id = 0;

    *k = (struct oxv_keeper){ .dir_fd = -1, .epoll_fd = -1, .smaps_fd = -1, .lock_fd = -1 };
    for (size_t i = 0; i < OXV_DOOR_END; i++) {
        k->door_fds[i] = -1;
    }
    must(oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, NULL) == OXV_OK, "secret memory");
    make_parts(k);
    make_vault(k);
    must(oxv_state_open_sealed(k, NULL) == OXV_OK, "open");
    test_vault_unseal(k);
    must(oxv_change_begin(k->vault, &change, NULL) == OXV_OK, "begin");
    add_connection(change);
    must(oxv_change_put(change, OXV_TABLE_CALLER, &id, &caller, NULL, NULL) == OXV_OK, "caller");
    finish(k, &change, OXV_ENTRY_CONNECTION_ADD);
}

uint64_t
test_vault_grant(struct oxv_keeper *k, const struct oxv_grant_record *grant)
{
    struct oxv_change *change = NULL;
    struct oxv_grant_record record = *grant;
    uint64_t id = 0;

    record.caller_id = oxv_vault_caller_by_uid(k->vault, 1000)->id;
    record.connection_id = oxv_vault_connection(k->vault, oxv_view_text("acme"))->id;
    must(oxv_change_begin(k->vault, &change, NULL) == OXV_OK, "begin");
    must(oxv_change_put(change, OXV_TABLE_GRANT, &id, &record, NULL, NULL) == OXV_OK, "grant");
    finish(k, &change, OXV_ENTRY_GRANT_ADD);
    return id;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void
test_vault_close(struct oxv_keeper *k)
{
    oxv_keeper_done(k);
    oxv_secret_freep(&keyfile);
    must(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "removing the directory");
}
