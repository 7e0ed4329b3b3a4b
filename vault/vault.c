#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/log.h"
#include "vault/vault_impl.h"

/* The path of vault.db below dir_path, without symbolic links; SQLite refuses those. */
static enum oxv_status
database_path(const char *dir_path, int dir_fd, char *out, size_t out_size, struct oxv_err *err)
{
    char real[PATH_MAX];
    struct stat by_path;
    struct stat by_fd;

    if (realpath(dir_path, real) == NULL || stat(real, &by_path) != 0 ||
        fstat(dir_fd, &by_fd) != 0) {
        return oxv_fail_errno(err, "cannot open %s", dir_path);
    }
    if (by_path.st_dev != by_fd.st_dev || by_path.st_ino != by_fd.st_ino) {
        return oxv_fail(err, OXV_E_USAGE, "%s is not the directory that was opened", dir_path);
    }
    if (oxv_format(out, out_size, "%s/%s", real, OXV_VAULT_DB) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path of the vault is too long");
    }
    return OXV_OK;
}

/* Is there a finished vault? */
static enum oxv_status
check_files(const char *dir_path, int dir_fd, struct oxv_err *err)
{
    struct stat st;

    if (fstatat(dir_fd, OXV_VAULT_UNFINISHED, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return oxv_fail(err, OXV_E_STORE,
                        "init or restore did not finish in %s: empty it and run that again",
                        dir_path);
    }
    if (fstatat(dir_fd, OXV_VAULT_DB, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return oxv_fail(err, OXV_E_NOT_FOUND, "there is no vault in %s", dir_path);
        }
        return oxv_fail_errno(err, "cannot examine %s/%s", dir_path, OXV_VAULT_DB);
    }
    static const char *const files[] = { OXV_VAULT_DB, OXV_VAULT_DB "-wal", OXV_VAULT_DB "-journal",
                                         OXV_VAULT_DB "-shm" };

    /* SQLite opens these itself: it would follow a link, and wait for ever at a FIFO. */
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (fstatat(dir_fd, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) {
            return oxv_fail(err, OXV_E_STORE, "%s/%s is not a regular file", dir_path, files[i]);
        }
    }
    return OXV_OK;
}

/* While sealed: nodes and seals as they stand, neither authenticated. */
static enum oxv_status
load_sealed_row(void *ctx, const struct oxv_store_row *stored, struct oxv_err *err)
{
    struct oxv_registry *rows = ctx;
    OXV_AUTO(oxv_row_freep) struct oxv_row *row = NULL;
    enum oxv_status st = oxv_row_new(stored, &row, err);

    if (st == OXV_E_FORMAT || st == OXV_E_USAGE) {
        return oxv_fail(err, OXV_E_STORE,
                        "the vault is damaged or was changed from outside: %s %llu",
                        oxv_table_name(stored->table), (unsigned long long)stored->id);
    }
    if (st == OXV_OK) {
        st = oxv_registry_reserve(rows, (enum oxv_table)stored->table, 1);
    }
    if (st == OXV_OK) {
        oxv_registry_put(rows, oxv_row_take(&row));
    }
    return st;
}

static enum oxv_status
take_node(struct oxv_vault *vault, struct oxv_err *err)
{
    const struct oxv_row *row = oxv_registry_by_id(vault->rows, OXV_TABLE_NODE, OXV_NODE_ID);

    if (row == NULL || vault->rows->lists[OXV_TABLE_NODE].count != 1) {
        return oxv_fail(err, OXV_E_STORE,
                        "the vault is damaged or was changed from outside: node 1 is not there");
    }
    if (vault->rows->lists[OXV_TABLE_SEAL].count > OXV_SEALS_MAX) {
        return oxv_fail(err, OXV_E_STORE,
                        "the vault is damaged or was changed from outside: more than %u seals",
                        OXV_SEALS_MAX);
    }
    memcpy(vault->id, row->as.node.record.vault_id.data, sizeof vault->id);
    vault->root_generation = (uint32_t)row->as.node.record.root_generation;
    oxv_vault_refresh_seals(vault);
    return OXV_OK;
}

static enum oxv_status
load_sealed(struct oxv_vault *vault, struct oxv_err *err)
{
    enum oxv_status st =
        vault->ops->load(vault->store, OXV_TABLE_NODE, load_sealed_row, vault->rows, err);

    if (st == OXV_OK) {
        st = vault->ops->load(vault->store, OXV_TABLE_SEAL, load_sealed_row, vault->rows, err);
    }
    return st == OXV_OK ? take_node(vault, err) : st;
}

static enum oxv_status
make_vault(const struct oxv_store_ops *ops, struct oxv_vault **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_vault_freep) struct oxv_vault *vault = calloc(1, sizeof *vault);

    if (vault == NULL || (vault->rows = oxv_registry_new()) == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the vault");
    }
    vault->scratch = oxv_secret_new(OXV_SCRATCH_BYTES);
    if (vault->scratch == NULL || oxv_shield_init(&vault->shield) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the vault");
    }
    enum oxv_status st = oxv_mac_init(&vault->mac, err);

    if (st == OXV_OK) {
        vault->ops = ops;
        *out = oxv_vault_take(&vault);
    }
    return st;
}

enum oxv_status
oxv_vault_open_store(const struct oxv_store_ops *ops, struct oxv_store *store,
                     struct oxv_vault **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_vault_freep) struct oxv_vault *vault = NULL;
    enum oxv_status st = make_vault(ops, &vault, err);

    if (st != OXV_OK) {
        ops->close(store);
        return st;
    }
    vault->store = store;
    st = load_sealed(vault, err);
    if (st == OXV_OK) {
        *out = oxv_vault_take(&vault);
    }
    return st;
}

enum oxv_status
oxv_vault_open(const char *dir_path, int dir_fd, struct oxv_vault **out, struct oxv_err *err)
{
    char path[PATH_MAX];
    struct oxv_store *store = NULL;
    enum oxv_status st = check_files(dir_path, dir_fd, err);

    if (st == OXV_OK) {
        st = database_path(dir_path, dir_fd, path, sizeof path, err);
    }
    if (st == OXV_OK) {
        st = oxv_store_sqlite.open(path, &store, err);
    }
    return st == OXV_OK ? oxv_vault_open_store(&oxv_store_sqlite, store, out, err) : st;
}

void
oxv_vault_free(struct oxv_vault *vault)
{
    if (vault == NULL) {
        return;
    }
    if (vault->change != NULL) {
        oxv_change_abandon(vault->change);
    }
    oxv_keys_done(&vault->keys);
    oxv_secret_free(vault->scratch);
    oxv_shield_done(&vault->shield);
    oxv_mac_done(&vault->mac);
    oxv_registry_free(vault->rows);
    if (vault->ops != NULL) {
        vault->ops->close(vault->store);
    }
    free(vault);
}

void
oxv_vault_lock(struct oxv_vault *vault)
{
    if (vault->change != NULL) {
        oxv_change_abandon(vault->change);
    }
    oxv_keys_done(&vault->keys);
    oxv_vault_wipe_scratch(vault, OXV_SCRATCH_BYTES);
    oxv_shield_renew(&vault->shield); /* freed memory may still hold what was shielded */
    vault->is_open = false;
    vault->machine_bound = false;
    vault->manifest = (struct oxv_manifest){ 0 };
    for (enum oxv_table table = OXV_TABLE_CONNECTION; table < OXV_TABLE_END; table++) {
        struct oxv_row_list *list = &vault->rows->lists[table];

        for (size_t i = 0; i < list->count; i++) {
            oxv_registry_unlink(vault->rows, list->rows[i]);
        }
        oxv_registry_sweep(vault->rows, table);
    }
}

bool
oxv_vault_is_open(const struct oxv_vault *vault)
{
    return vault->is_open;
}

const uint8_t *
oxv_vault_id(const struct oxv_vault *vault)
{
    return vault->id;
}

const struct oxv_node_record *
oxv_vault_node(const struct oxv_vault *vault)
{
    return &oxv_registry_by_id(vault->rows, OXV_TABLE_NODE, OXV_NODE_ID)->as.node.record;
}

void
oxv_vault_refresh_seals(struct oxv_vault *vault)
{
    const struct oxv_row_list *list = &vault->rows->lists[OXV_TABLE_SEAL];

    vault->seal_count = 0;
    for (size_t i = 0; i < list->count && i < OXV_SEALS_MAX; i++) {
        vault->seals[vault->seal_count++] = list->rows[i]->as.seal;
    }
}

size_t
oxv_vault_seals(const struct oxv_vault *vault, const struct oxv_seal **out)
{
    *out = vault->seals;
    return vault->seal_count;
}

struct oxv_vault_binding
oxv_vault_binding(const struct oxv_vault *vault)
{
    return (struct oxv_vault_binding){
        .keys = &vault->keys,
        .vault_id = vault->id,
        .root_generation = vault->root_generation,
    };
}

uint64_t
oxv_vault_counter(const struct oxv_vault *vault)
{
    return vault->manifest.counter;
}

void
oxv_vault_digest_hex(const struct oxv_vault *vault, char out[65])
{
    oxv_manifest_digest_hex(&vault->manifest, &vault->keys, out);
}

bool
oxv_vault_is_machine_bound(const struct oxv_vault *vault)
{
    return vault->machine_bound;
}

const struct oxv_secret *
oxv_vault_log_wrap_key(const struct oxv_vault *vault)
{
    return vault->keys.subkeys[OXV_SUBKEY_LOG_WRAP];
}

void
oxv_vault_wipe_log_wrap_key(struct oxv_vault *vault)
{
    oxv_secret_freep(&vault->keys.subkeys[OXV_SUBKEY_LOG_WRAP]);
}

/* The text of /etc/machine-id without its newline; systemd writes "uninitialized" for none. */
static struct oxv_view
machine_text(struct oxv_view machine_id)
{
    while (machine_id.len > 0 && machine_id.data[machine_id.len - 1] == '\n') {
        machine_id.len--;
    }
    return oxv_view_is(machine_id, "uninitialized") ? oxv_view(NULL, 0) : machine_id;
}

bool
oxv_vault_machine_hash(const struct oxv_vault_binding *binding, struct oxv_view machine_id,
                       uint8_t out[32])
{
    crypto_generichash_state state;
    struct oxv_view text = machine_text(machine_id);

    if (text.len == 0) {
        return false;
    }
    /* The order of arguments is libsodium's; all return 0 for these sizes. */
    if (crypto_generichash_init(&state, oxv_keys_get(binding->keys, OXV_SUBKEY_MACHINE),
                                OXV_SUBKEY_BYTES, 32) != 0 ||
        crypto_generichash_update(&state, binding->vault_id, OXV_ID_BYTES) != 0 ||
        crypto_generichash_update(&state, text.data, text.len) != 0 ||
        crypto_generichash_final(&state, out, 32) != 0) {
        oxv_bug("machine hash");
    }
    oxv_wipe(&state, sizeof state);
    return true;
}

static enum oxv_status
refuse_same_change(uint64_t counter, struct oxv_err *err)
{
    return oxv_fail(err, OXV_E_FORGED,
                    "the vault and its log disagree: both are at change %llu, but it is not the "
                    "same change: put the right one back, or run: oxvault adopt",
                    (unsigned long long)counter);
}

/* Did a kill come between the log and the database: are the records those before the change? */
static bool
is_one_behind(const struct oxv_vault *vault, const char *digest,
              const struct oxv_log_opened *logged)
{
    return vault->manifest.counter + 1 == logged->last_cfg &&
           logged->last_done_cfg < logged->last_cfg &&
           vault->manifest.counter == logged->before_cfg &&
           oxv_view_is(oxv_view_text(digest), logged->before_cfg_digest);
}

enum oxv_status
oxv_vault_compare_log(const struct oxv_vault *vault, const struct oxv_log_opened *logged,
                      enum oxv_log_agreement *out, struct oxv_err *err)
{
    uint64_t counter = vault->manifest.counter;
    char digest[65];

    oxv_vault_digest_hex(vault, digest);
    if (counter == logged->last_cfg &&
        oxv_view_is(oxv_view_text(digest), logged->last_cfg_digest)) {
        *out = logged->last_done_cfg < logged->last_cfg ? OXV_AGREES_NOT_DONE : OXV_AGREES;
        return OXV_OK;
    }
    if (counter == logged->last_cfg) {
        return refuse_same_change(counter, err);
    }
    if (is_one_behind(vault, digest, logged)) {
        *out = OXV_ONE_BEHIND;
        return OXV_OK;
    }
    return oxv_fail(
        err, OXV_E_FORGED,
        "vault.db is at change %llu, the log at change %llu: an older %s, or a copy without "
        "vault.db-wal: put the right one back, or run: oxvault adopt",
        (unsigned long long)counter, (unsigned long long)logged->last_cfg,
        counter < logged->last_cfg ? "vault.db" : "log");
}
