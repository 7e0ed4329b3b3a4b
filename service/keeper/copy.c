/* `oxvault restore` and `oxvault adopt`: a new node of records that are there. */
#include <stdio.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/init.h"
#include "service/keeper/start.h"
#include "service/keeper/state.h"
#include "service/keeper/token_seal.h"
#include "vault/backup.h"
#include "vault/copies.h"
#include "vault/log/verify.h"

/* What a search for a token's value leaves. */
struct found {
    bool is_done;
    struct oxv_secret *value;
    uint64_t seal_id;
    struct oxv_err err;
};

static void
value_found(struct oxv_keeper *k, void *ctx, struct oxv_secret *value, uint64_t seal_id,
            const struct oxv_err *err)
{
    struct found *found = ctx;

    (void)k;
    found->is_done = true;
    found->value = value;
    found->seal_id = seal_id;
    found->err = *err;
}

static enum oxv_status
unseal_copy(struct oxv_keeper *k, const struct oxv_seal_input *input, uint64_t seal_id,
            const struct oxv_entry *entry, struct oxv_err *err)
{
    (void)entry; /* there is no log yet */
    return oxv_vault_unseal_copy(k->vault, input, seal_id, err);
}

/* The seal whose token is asked; one PIN is not tried on several. */
static enum oxv_status
choose_token_seal(const struct oxv_keeper *k, uint64_t wanted, const struct oxv_seal **out,
                  struct oxv_err *err)
{
    const struct oxv_seal *seals;
    size_t count = oxv_vault_seals(k->vault, &seals);

    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (seals[i].record.kind == OXV_SEAL_TOKEN && (wanted == 0 || seals[i].id == wanted)) {
            if (*out != NULL) {
                return oxv_fail(err, OXV_E_USAGE,
                                "the vault has several seals of tokens: say which one by --seal ID "
                                "(%llu, %llu, ...)",
                                (unsigned long long)(*out)->id, (unsigned long long)seals[i].id);
            }
            *out = &seals[i];
        }
    }
    return *out != NULL ? OXV_OK
                        : oxv_fail(err, OXV_E_LOCKED, "the vault has no such seal of a token");
}

static enum oxv_status
unseal_by_token(struct oxv_keeper *k, uint64_t seal_id, int pin_fd, struct oxv_err *err)
{
    const struct oxv_seal *seal = NULL;
    struct oxv_helper *h = NULL;
    struct found found = { 0 };
    enum oxv_status st = choose_token_seal(k, seal_id, &seal, err);

    if (st != OXV_OK) {
        return st;
    }
    const struct oxv_init_token token = { seal->record.module, seal->record.token_uri };

    st = oxv_init_open_token(k, &token, pin_fd, &h, err);
    if (st != OXV_OK) {
        return st;
    }
    oxv_seal_value(k, seal->id, (struct oxv_token_wish){ .is_asked = true }, value_found, &found);
    st = oxv_init_pump(k, &found.is_done, OXV_TOKEN_START_US, err);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = found.value;

    if (st == OXV_OK && value == NULL) {
        *err = found.err;
        st = found.err.status;
    }
    if (st != OXV_OK) {
        return st;
    }
    struct oxv_seal_input input = { .kind = OXV_SEAL_TOKEN, .token_value = value };

    return oxv_vault_unseal_copy(k->vault, &input, found.seal_id, err);
}

static enum oxv_status
unseal(struct oxv_keeper *k, const struct oxv_init_options *options, int source_fd,
       struct oxv_err *err)
{
    static const struct oxv_attempt attempt = { unseal_copy, NULL };

    if (options->seal == OXV_SEAL_TOKEN) {
        return unseal_by_token(k, options->seal_id, source_fd, err);
    }
    return oxv_state_try_source(k,
                                options->seal == OXV_SEAL_KEYFILE ? OXV_SOURCE_KEYFILE
                                                                  : OXV_SOURCE_PASSPHRASE,
                                source_fd, &attempt, err);
}

enum oxv_status
oxv_init_restore(struct oxv_keeper *k, const struct oxv_init_options *options, int source_fd,
                 struct oxv_err *err)
{
    const struct oxv_backup_head *head = NULL;
    char made[OXV_TIMESTAMP_BYTES];
    char reason[96];
    enum oxv_status st = oxv_keeper_prepare(k, options->dir_path, err);

    if (st == OXV_OK) {
        st = oxv_backup_open(OXV_INIT_BACKUP_FD, &k->vault, &head, err);
    }
    if (st == OXV_E_FORMAT || st == OXV_E_STORE) {
        err->status = st = OXV_E_FORGED; /* for the exit code: it does not pass */
    }
    st = st == OXV_OK ? unseal(k, options, source_fd, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    oxv_format_timestamp(head->created_us, made);
    if (oxv_format(reason, sizeof reason, "from the backup of %s", made) != OXV_OK) {
        oxv_bug("a reason does not fit");
    }
    const struct oxv_copy copy = { .machine_id = oxv_view_text(k->machine_id),
                                   .uid_plus1 = options->admin_uid + 1,
                                   .old_size = head->log_size,
                                   .old_root = head->log_root,
                                   .reason = oxv_view_text(reason) };

    st = oxv_vault_restore(k->vault, k->dir_fd, &copy, err);
    return st == OXV_OK ? oxv_init_print(k, err) : st;
}

/* It is told to whoever looks at the old log; here only how far it is whole matters. */
static void
ignore_finding(void *ctx, const struct oxv_log_finding *finding)
{
    (void)ctx;
    (void)finding;
}

/* The old log's head: of the part that is whole. */
static void
look_at_old_log(const struct oxv_keeper *k, struct oxv_log_verdict *verdict)
{
    char path[4096];
    struct oxv_err err = { 0 };

    if (oxv_format(path, sizeof path, "%s/log", k->dir_path) != OXV_OK ||
        oxv_log_verify(path, oxv_vault_node(k->vault)->genesis_vkey, ignore_finding, NULL, verdict,
                       &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault adopt: the old log: %s; it is put aside as it is\n",
                      err.text[0] != '\0' ? err.text : "its path is too long");
    }
}

enum oxv_status
oxv_init_adopt(struct oxv_keeper *k, const struct oxv_init_options *options, int source_fd,
               struct oxv_err *err)
{
    struct oxv_log_verdict verdict = { 0 };
    enum oxv_status st = oxv_keeper_prepare(k, options->dir_path, err);

    st = st == OXV_OK ? oxv_keeper_lock_dir(k, err) : st;
    st = st == OXV_OK ? oxv_vault_open(k->dir_path, k->dir_fd, &k->vault, err) : st;
    st = st == OXV_OK ? oxv_vault_finish_adopt(k->vault, k->dir_fd, err) : st;
    st = st == OXV_OK ? unseal(k, options, source_fd, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    look_at_old_log(k, &verdict);
    const struct oxv_copy copy = {
        .machine_id = oxv_view_text(k->machine_id),
        .uid_plus1 = options->admin_uid + 1,
        .old_size = verdict.entries,
        .old_root = oxv_view(verdict.root, verdict.entries > 0 ? sizeof verdict.root : 0),
        .reason = oxv_view_text(verdict.findings == 0 ? "" : "the old log is not whole"),
    };

    st = oxv_vault_adopt(k->vault, k->dir_fd, &copy, err);
    return st == OXV_OK ? oxv_init_print(k, err) : st;
}
