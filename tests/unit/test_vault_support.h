/* What the tests of the vault share: a vault in a temporary directory with a few records. */
#ifndef OXV_TESTS_UNIT_TEST_VAULT_SUPPORT_H
#define OXV_TESTS_UNIT_TEST_VAULT_SUPPORT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "signer/netsuite.h"
#include "vault/change.h"
#include "vault/log/log.h"
#include "vault/vault.h"

#define TEST_MACHINE   "0123456789abcdef0123456789abcdef\n"
#define TEST_ADMIN_UID 1000u

struct vault_fixture {
    char path[64];
    int fd;
    struct oxv_secret *keyfile;
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_vault *vault; /* NULL while closed */
};

static inline struct oxv_view
test_machine(void)
{
    return oxv_view_text(TEST_MACHINE);
}

static inline struct oxv_seal_input
keyfile_input(const struct oxv_secret *keyfile)
{
    return (struct oxv_seal_input){ .kind = OXV_SEAL_KEYFILE, .keyfile = keyfile };
}

static inline void
setup_secrets(void)
{
    struct oxv_err err;

    assert_int_equal(oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, &err), OXV_OK);
}

/* An empty directory of mode 0700. */
static inline void
make_directory(struct vault_fixture *f)
{
    assert_int_equal(oxv_format(f->path, sizeof f->path, "%s", "/tmp/oxv-test-vault-XXXXXX"),
                     OXV_OK);
    assert_non_null(mkdtemp(f->path));
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->fd >= 0);
}

static inline void
create_vault(struct vault_fixture *f)
{
    struct oxv_err err = { 0 };
    struct oxv_seal_input input = keyfile_input(f->keyfile);
    struct oxv_seal_record record = { .kind = OXV_SEAL_KEYFILE };
    struct oxv_vault_new options = {
        .seal = &input,
        .seal_record = &record,
        .admin_uid = TEST_ADMIN_UID,
        .machine_id = test_machine(),
    };
    enum oxv_status st = oxv_vault_create(f->fd, &options, f->vkey, sizeof f->vkey, &err);

    assert_string_equal(err.text, "");
    assert_int_equal(st, OXV_OK);
}

static inline enum oxv_status
open_vault(struct vault_fixture *f, struct oxv_err *err)
{
    return oxv_vault_open(f->path, f->fd, &f->vault, err);
}

static inline enum oxv_status
unseal_vault(struct vault_fixture *f, struct oxv_err *err)
{
    struct oxv_seal_input input = keyfile_input(f->keyfile);

    return oxv_vault_unseal(f->vault, &input, 0, test_machine(), err);
}

/* Both, and they must succeed. */
static inline void
reopen_vault(struct vault_fixture *f)
{
    struct oxv_err err = { 0 };

    oxv_vault_freep(&f->vault);
    if (open_vault(f, &err) != OXV_OK || unseal_vault(f, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
}

static inline void
remove_tree(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fdopendir(fd);

    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) != 0) {
            assert_int_equal(errno, EISDIR);
            remove_tree(fd, entry->d_name);
        }
    }
    (void)closedir(dir);
    assert_int_equal(unlinkat(parent, name, AT_REMOVEDIR), 0);
}

static inline int
vault_setup_empty(void **state)
{
    struct vault_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    setup_secrets();
    make_directory(f);
    f->keyfile = oxv_secret_random(OXV_KEYFILE_BYTES);
    assert_non_null(f->keyfile);
    *state = f;
    return 0;
}

/* An open vault. */
static inline int
vault_setup(void **state)
{
    (void)vault_setup_empty(state);
    create_vault(*state);
    reopen_vault(*state);
    return 0;
}

static inline int
vault_teardown(void **state)
{
    struct vault_fixture *f = *state;

    oxv_vault_freep(&f->vault);
    oxv_secret_freep(&f->keyfile);
    oxv_closep(&f->fd);
    remove_tree(AT_FDCWD, f->path);
    free(f);
    return 0;
}

/* A NetSuite connection and the buffers its views borrow. */
struct netsuite_connection {
    struct oxv_connection_record record;
    struct oxv_connection_secret secret;
    char name[32];
    uint8_t origins[512];
    uint8_t key[256];
    uint8_t key_id[65];
    uint8_t check_value[32];
};

static inline void
fill_connection(struct netsuite_connection *c, const char *name)
{
    struct oxv_account account;
    struct oxv_writer w = oxv_writer(c->origins, sizeof c->origins);

    assert_int_equal(oxv_format(c->name, sizeof c->name, "%s", name), OXV_OK);
    assert_int_equal(oxv_account_parse(oxv_view_text("123456_SB1"), &account, NULL), OXV_OK);
    for (size_t i = 0; i < OXV_ACCOUNT_ORIGINS; i++) {
        uint8_t buffer[OXV_ACCOUNT_ORIGIN_MAX_BYTES];
        struct oxv_writer origin = oxv_writer(buffer, sizeof buffer);

        oxv_account_write_origin(&origin, &account, i);
        oxv_list_add(&w, oxv_view(buffer, origin.len));
    }
    assert_false(w.failed);
    memset(c->key, 'k', sizeof c->key);
    c->record = (struct oxv_connection_record){
        .system = OXV_SYSTEM_NETSUITE,
        .signature_method = OXV_HMAC_SHA256,
        .created_us = 1,
        .name = oxv_view_text(c->name),
        .account_id = oxv_view_text("123456_SB1"),
        .consumer_key =
            oxv_view_text("ef40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c20aae6b67e4"),
        .token_id =
            oxv_view_text("2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c5afb799b73d87569f5cc"),
        .origins = oxv_view(c->origins, w.len),
    };
    c->secret = (struct oxv_connection_secret){ .key = oxv_view(c->key, 32) };
}

/* The same with its key in token 1; form TOKEN without K0, as the vault keeps it. */
static inline void
fill_token_connection(struct netsuite_connection *c, const char *name, uint64_t form)
{
    fill_connection(c, name);
    memset(c->key_id, name[0], sizeof c->key_id);
    memset(c->check_value, 'c', sizeof c->check_value);
    c->record.key_form = form;
    c->record.key_token = 1;
    c->record.key_id = oxv_view(c->key_id, OXV_TOKEN_KEY_ID_BYTES);
    c->secret = (struct oxv_connection_secret){
        .key = oxv_view(c->key, form == OXV_KEY_UNWRAP ? sizeof c->key : 0),
        .check_value = oxv_view(c->check_value, sizeof c->check_value),
    };
}

/* A token and the buffers its views borrow. */
struct token_fields {
    struct oxv_token_record record;
    char uri[128];
    uint8_t pair_id[16];
    uint8_t public_key[400];
};

static inline void
fill_token(struct token_fields *t, const char *serial, bool with_pair)
{
    memset(t->pair_id, 'p', sizeof t->pair_id);
    memset(t->public_key, 'k', sizeof t->public_key);
    assert_int_equal(oxv_format(t->uri, sizeof t->uri, "pkcs11:model=m;manufacturer=x;%s;token=ci",
                                serial),
                     OXV_OK);
    t->record = (struct oxv_token_record){
        .created_us = 1,
        .module = oxv_view_text("/usr/lib/softhsm/libsofthsm2.so"),
        .token_uri = oxv_view_text(t->uri),
    };
    if (with_pair) {
        t->record.pair_id = oxv_view(t->pair_id, sizeof t->pair_id);
        t->record.public_key = oxv_view(t->public_key, sizeof t->public_key);
        t->record.oaep = OXV_TOKEN_OAEP_SHA1;
    }
}

/* A seal of kind token; its views are literals. */
static inline struct oxv_seal_record
token_seal_record(void)
{
    return (struct oxv_seal_record){
        .kind = OXV_SEAL_TOKEN,
        .created_us = 7,
        .module = oxv_view_text("/usr/lib/softhsm/libsofthsm2.so"),
        .token_uri = oxv_view_text("pkcs11:model=m;manufacturer=x;serial=1;token=ci"),
        .mechanism = OXV_TOKEN_AES_GCM,
        .gcm_iv = OXV_TOKEN_GCM_IV_HOST,
        .key_id = oxv_view_text("0123456789abcdef"),
        .key_hash = oxv_view_text("0123456789abcdef0123456789abcdef"),
        .blob = oxv_view_text("iv and the value, wrapped by the token"),
    };
}

static inline struct oxv_seal_input
token_input(const struct oxv_secret *value)
{
    return (struct oxv_seal_input){ .kind = OXV_SEAL_TOKEN, .token_value = value };
}

static inline struct oxv_change *
begin_change(struct vault_fixture *f)
{
    struct oxv_change *change = NULL;

    assert_int_equal(oxv_change_begin(f->vault, &change, NULL), OXV_OK);
    return change;
}

static inline void
finish_change(struct oxv_change **change)
{
    uint64_t counter;
    char digest[65];
    struct oxv_err err = { 0 };

    if (oxv_change_prepare(*change, &counter, digest, &err) != OXV_OK ||
        oxv_change_commit(change, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
}

static inline uint64_t
put_connection(struct oxv_change *change, const char *name)
{
    struct netsuite_connection c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    fill_connection(&c, name);
    if (oxv_change_put(change, OXV_TABLE_CONNECTION, &id, &c.record, &c.secret, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
    return id;
}

static inline uint64_t
put_token(struct oxv_change *change, const char *serial, bool with_pair)
{
    struct token_fields t;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    fill_token(&t, serial, with_pair);
    if (oxv_change_put(change, OXV_TABLE_TOKEN, &id, &t.record, NULL, &err) != OXV_OK) {
        fail_msg("%s", err.text);
    }
    return id;
}

static inline uint64_t
put_caller(struct oxv_change *change, const char *name, uint64_t uid)
{
    struct oxv_caller_record record = { .uid_plus1 = uid + 1,
                                        .created_us = 1,
                                        .name = oxv_view_text(name) };
    uint64_t id = 0;

    assert_int_equal(oxv_change_put(change, OXV_TABLE_CALLER, &id, &record, NULL, NULL), OXV_OK);
    return id;
}

static inline struct oxv_grant_record
plain_grant(uint64_t caller, uint64_t connection)
{
    return (struct oxv_grant_record){
        .caller_id = caller,
        .connection_id = connection,
        .kinds = OXV_KIND_OAUTH1,
        .created_us = 1,
    };
}

static inline uint64_t
put_grant(struct oxv_change *change, uint64_t caller, uint64_t connection)
{
    struct oxv_grant_record record = plain_grant(caller, connection);
    uint64_t id = 0;

    assert_int_equal(oxv_change_put(change, OXV_TABLE_GRANT, &id, &record, NULL, NULL), OXV_OK);
    return id;
}

static inline uint64_t
add_connection(struct vault_fixture *f, const char *name)
{
    struct oxv_change *change = begin_change(f);
    uint64_t id = put_connection(change, name);

    finish_change(&change);
    return id;
}

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL) {                                                      \
            fail_msg("\"%s\" does not contain \"%s\"", (text), (part));                            \
        }                                                                                          \
    } while (0)

#endif
