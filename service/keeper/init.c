#include "service/keeper/init.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/start.h"
#include "service/keeper/token_pins.h"
#include "service/keeper/token_seal.h"
#include "vault/log/verify.h"

#define SALT_BYTES 16u

/* The secret that makes the seal, from the descriptor, with the parameters it was stretched by. */
static enum oxv_status
read_material(enum oxv_seal_kind kind, int fd, struct oxv_seal_record *record,
              uint8_t salt[SALT_BYTES], struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *secret = NULL;
    bool is_passphrase = kind == OXV_SEAL_PASSPHRASE;
    enum oxv_status st =
        oxv_read_secret_fd(fd, is_passphrase ? OXV_PASSPHRASE_MAX_BYTES : OXV_KEYFILE_BYTES,
                           is_passphrase, &secret, err);

    if (st != OXV_OK) {
        return st;
    }
    record->kind = kind;
    record->created_us = oxv_clock_wall_us();
    if (is_passphrase) {
        oxv_passphrase_parameters(record, salt);
        return oxv_passphrase_stretch(secret, record, out, err);
    }
    if (oxv_secret_len(secret) != OXV_KEYFILE_BYTES) {
        return oxv_fail(err, OXV_E_FORMAT, "a key file has %u bytes, this one has %zu",
                        OXV_KEYFILE_BYTES, oxv_secret_len(secret));
    }
    *out = oxv_secret_take(&secret);
    return OXV_OK;
}

enum oxv_status
oxv_init_print(struct oxv_keeper *k, struct oxv_err *err)
{
    char fingerprint[128];
    char vkey[OXV_LOG_VKEY_MAX_BYTES] = "";
    char vault_id[2 * OXV_ID_BYTES + 1] = "";
    char origin[OXV_LOG_ORIGIN_MAX_BYTES] = "";
    struct oxv_writer w = oxv_writer(vault_id, sizeof vault_id);

    oxv_vault_freep(&k->vault);
    enum oxv_status st = oxv_vault_open(k->dir_path, k->dir_fd, &k->vault, err);

    if (st != OXV_OK) {
        return st;
    }
    const struct oxv_node_record *node = oxv_vault_node(k->vault);

    if (oxv_text_copy(node->origin, origin, sizeof origin) != OXV_OK ||
        oxv_text_copy(node->genesis_vkey, vkey, sizeof vkey) != OXV_OK ||
        oxv_log_vkey_fingerprint(node->genesis_vkey, fingerprint, sizeof fingerprint) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "the vault's record of its log is malformed");
    }
    oxv_write_hex(&w, oxv_view(oxv_vault_id(k->vault), OXV_ID_BYTES));
    (void)printf("vault_id=%s\norigin=%s\nvkey=%s\nfingerprint=%s\n", vault_id, origin, vkey,
                 fingerprint);
    return fflush(stdout) == 0 ? OXV_OK : oxv_fail_errno(err, "cannot print the result");
}

/* A seal in the making: what the callbacks leave. */
struct token_wait {
    bool is_done;
    uint64_t trouble;
    struct oxv_secret *value;
    struct oxv_err err;
};

static void
token_ready(struct oxv_keeper *k, struct oxv_helper *h, void *ctx, uint64_t trouble)
{
    struct token_wait *wait = ctx;

    (void)k;
    (void)h;
    wait->is_done = true;
    wait->trouble = trouble;
}

static void
seal_made(struct oxv_keeper *k, void *ctx, struct oxv_secret *value, const struct oxv_err *err)
{
    struct token_wait *wait = ctx;

    (void)k;
    wait->is_done = true;
    wait->value = value;
    if (err != NULL) {
        wait->err = *err;
    }
}

enum oxv_status
oxv_init_pump(struct oxv_keeper *k, const bool *is_done, uint64_t timeout_us, struct oxv_err *err)
{
    enum oxv_status st = oxv_tokens_pump(k, is_done, timeout_us, err);

    if (st != OXV_OK) {
        oxv_tokens_free(k);
    }
    return st;
}

/* A command of root that gave its rights up made the channel before: the service has role users. */
static bool
is_single_uid(int channel_fd)
{
    struct ucred maker;
    socklen_t len = sizeof maker;

    return getsockopt(channel_fd, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 &&
           maker.uid == geteuid();
}

enum oxv_status
oxv_init_open_token(struct oxv_keeper *k, const struct oxv_init_token *token, int source_fd,
                    struct oxv_helper **out, struct oxv_err *err)
{
    struct token_wait wait = { 0 };
    struct oxv_helper *h;

    k->options.single_uid = is_single_uid(OXV_INIT_HELPER_FD);
    if (oxv_tokens_new(&k->tokens) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory");
    }
    enum oxv_status st =
        oxv_token_pins_add_source(k->tokens->pins, oxv_view(NULL, 0), source_fd, err);

    if (st != OXV_OK && st != OXV_E_NOT_FOUND) { /* none: there may be a PIN pad */
        return st;
    }
    h = oxv_token_make(k, token->module, token->uri);
    if (h == NULL) {
        return oxv_fail(err, OXV_E_USAGE, "the module or the URI is too long");
    }
    h->users++;
    st = oxv_helper_attach(k, h, OXV_INIT_HELPER_FD, err);
    if (st != OXV_OK) {
        return st;
    }
    oxv_token_want(k, h, (struct oxv_token_wish){ .is_asked = true }, token_ready, &wait);
    st = oxv_init_pump(k, &wait.is_done, OXV_TOKEN_START_US, err);
    if (st == OXV_OK && wait.trouble != OXV_TOKEN_FINE) {
        st = oxv_token_fail_now(h, err);
    }
    *out = h;
    return st;
}

static enum oxv_status
make_token_seal(struct oxv_keeper *k, const struct oxv_init_options *options, int source_fd,
                struct oxv_token_sealed *sealed, struct oxv_secret **value, struct oxv_err *err)
{
    struct oxv_helper *h = NULL;
    struct token_wait wait = { 0 };
    const struct oxv_msg_helper_seal how = {
        .key_id = oxv_view(options->key_id, options->key_id_len),
        .generate = options->generate ? 1 : 0,
        .mechanism = options->mechanism,
        .gcm_iv = options->gcm_iv,
        .allow_oaep_sha1 = options->allow_oaep_sha1 ? 1 : 0,
        .allow_pkcs1 = options->allow_pkcs1 ? 1 : 0,
    };
    const struct oxv_init_token token = { oxv_view_text(options->module),
                                          oxv_view_text(options->token_uri) };
    enum oxv_status st = oxv_init_open_token(k, &token, source_fd, &h, err);

    if (st != OXV_OK) {
        return st;
    }
    oxv_seal_make(k, h, &how, sealed, (struct oxv_seal_then){ seal_made, &wait });
    st = oxv_init_pump(k, &wait.is_done, OXV_HELPER_SLOW_US + OXV_HELPER_CALL_US, err);
    if (st == OXV_OK && wait.value == NULL) {
        *err = wait.err;
        st = wait.err.status;
    }
    *value = wait.value;
    return st;
}

static enum oxv_status
make_vault(struct oxv_keeper *k, const struct oxv_init_options *options, int source_fd,
           struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *material = NULL;
    struct oxv_seal_record record = { 0 };
    struct oxv_token_sealed sealed = { 0 };
    uint8_t salt[SALT_BYTES];
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    enum oxv_status st = oxv_keeper_prepare(k, options->dir_path, err);

    if (st == OXV_OK && options->seal == OXV_SEAL_TOKEN) {
        st = make_token_seal(k, options, source_fd, &sealed, &material, err);
        record = sealed.record;
    } else if (st == OXV_OK) {
        st = read_material(options->seal, source_fd, &record, salt, &material, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    struct oxv_seal_input seal = oxv_seal_input_of(options->seal, material);
    struct oxv_vault_new vault = { .seal = &seal,
                                   .seal_record = &record,
                                   .admin_uid = options->admin_uid,
                                   .machine_id = oxv_view_text(k->machine_id) };

    st = oxv_vault_create(k->dir_fd, &vault, vkey, sizeof vkey, err);
    return st != OXV_OK ? st : oxv_init_print(k, err);
}

static int
exit_code_of(enum oxv_status st)
{
    return st == OXV_E_LOCKED   ? OXV_EXIT_LOCKED
           : st == OXV_E_TOKEN  ? OXV_EXIT_TOKEN
           : st == OXV_E_FORGED ? OXV_EXIT_FORGED
                                : 1;
}

int
oxv_keeper_init(const struct oxv_init_options *options, int source_fd)
{
    static const struct {
        const char *name;
        enum oxv_status (*run)(struct oxv_keeper *k, const struct oxv_init_options *options,
                               int source_fd, struct oxv_err *err);
    } modes[] = {
        [OXV_MODE_INIT] = { "init", make_vault },
        [OXV_MODE_RESTORE] = { "restore", oxv_init_restore },
        [OXV_MODE_ADOPT] = { "adopt", oxv_init_adopt },
    };
    struct oxv_keeper k = { .dir_fd = -1, .epoll_fd = -1, .smaps_fd = -1, .lock_fd = -1 };
    struct oxv_err err = { 0 };

    for (enum oxv_door door = 0; door < OXV_DOOR_END; door++) {
        k.door_fds[door] = -1;
    }
    enum oxv_status st = modes[options->mode].run(&k, options, source_fd, &err);

    oxv_keeper_done(&k);
    if (st != OXV_OK) {
        (void)fprintf(stderr, "oxvault %s: %s\n", modes[options->mode].name, err.text);
        return exit_code_of(st);
    }
    return 0;
}
