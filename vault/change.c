#include "vault/change.h"

#include <stdlib.h>

#include "base/hook.h"
#include "vault/change_impl.h"

enum oxv_status
oxv_change_check_usable(const struct oxv_change *change, struct oxv_err *err)
{
    if (change->vault == NULL) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault was sealed meanwhile: the change is undone");
    }
    if (change->failed) {
        return oxv_fail(err, OXV_E_STORE, "the change failed earlier and will be undone");
    }
    if (change->prepared) {
        oxv_bug("a change that is prepared already");
    }
    return OXV_OK;
}

enum oxv_status
oxv_change_begin(struct oxv_vault *vault, struct oxv_change **out, struct oxv_err *err)
{
    if (!vault->is_open) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault is sealed");
    }
    if (vault->store_failed) {
        return oxv_fail(err, OXV_E_STORE, "an earlier change failed on the disk: restart oxvaultd");
    }
    if (vault->change != NULL) {
        return oxv_fail(err, OXV_E_BUSY, "another change is under way");
    }
    OXV_AUTO(oxv_change_freep) struct oxv_change *change = calloc(1, sizeof *change);

    if (change == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a change");
    }
    change->added = oxv_registry_new();
    change->buffers = malloc(sizeof *change->buffers);
    change->plain = oxv_secret_new(OXV_RECORD_SECRET_MAX_BYTES);
    if (change->added == NULL || change->buffers == NULL || change->plain == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a change");
    }
    change->manifest = vault->manifest;
    change->manifest.counter++;
    enum oxv_status st = vault->ops->begin(vault->store, err);

    if (st == OXV_OK) {
        change->vault = vault;
        vault->change = change;
        *out = oxv_change_take(&change);
    }
    return st;
}

static bool
is_rekey(const struct oxv_change *change)
{
    return change->new_keys.subkeys[OXV_SUBKEY_RECORD] != NULL;
}

struct oxv_vault_binding
oxv_change_binding(const struct oxv_change *change)
{
    struct oxv_vault_binding binding = oxv_vault_binding(change->vault);

    if (is_rekey(change)) {
        binding.keys = &change->new_keys;
        binding.root_generation++;
    }
    return binding;
}

enum oxv_status
oxv_change_prepare(struct oxv_change *change, uint64_t *counter, char digest_hex[65],
                   struct oxv_err *err)
{
    struct oxv_manifest_row manifest;
    enum oxv_status st = oxv_change_check_usable(change, err);

    for (enum oxv_table table = OXV_TABLE_NODE; table < OXV_TABLE_END && st == OXV_OK; table++) {
        oxv_registry_sweep(change->added, table);
        /* Now, because after the commit nothing may fail. */
        if (oxv_registry_reserve(change->vault->rows, table, change->added->lists[table].count) !=
            OXV_OK) {
            st = oxv_fail(err, OXV_E_MEMORY, "no memory for the records");
        }
    }
    if (st != OXV_OK) {
        return st;
    }
    struct oxv_vault_binding binding = oxv_change_binding(change);

    oxv_manifest_seal(&change->manifest, &binding, &manifest);
    st = change->vault->ops->put(change->vault->store, &manifest.row, err);
    if (st != OXV_OK) {
        change->failed = true;
        return st;
    }
    change->prepared = true;
    *counter = change->manifest.counter;
    oxv_manifest_digest_hex(&change->manifest, binding.keys, digest_hex);
    return OXV_OK;
}

/* The loaded records become what was committed. Nothing here can fail. */
static void
apply(struct oxv_change *change)
{
    struct oxv_vault *vault = change->vault;

    for (size_t i = 0; i < change->leaving.count; i++) {
        oxv_registry_unlink(vault->rows, change->leaving.rows[i]);
    }
    for (enum oxv_table table = OXV_TABLE_NODE; table < OXV_TABLE_END; table++) {
        struct oxv_row_list *added = &change->added->lists[table];

        for (size_t i = 0; i < added->count; i++) {
            oxv_registry_put(vault->rows, added->rows[i]);
        }
        added->count = 0; /* they are the vault's now */
        if (change->leaving.count > 0) {
            oxv_registry_sweep(vault->rows, table);
        }
    }
    change->leaving.count = 0;
    if (is_rekey(change)) {
        oxv_keys_done(&vault->keys);
        vault->keys = change->new_keys;
        change->new_keys = (struct oxv_keys){ 0 };
        vault->root_generation++;
    }
    vault->manifest = change->manifest;
    oxv_vault_refresh_seals(vault);
}

static enum oxv_status
commit(struct oxv_change *change, struct oxv_err *err)
{
    struct oxv_vault *vault = change->vault;

    if (oxv_hook("vault.before_commit") != 0) {
        return oxv_fail(err, OXV_E_STORE, "vault.db: the commit was made to fail");
    }
    enum oxv_status st = vault->ops->commit(vault->store, err);

    if (st != OXV_OK) {
        return st;
    }
    (void)oxv_hook("vault.after_commit");
    apply(change);
    return OXV_OK;
}

enum oxv_status
oxv_change_commit(struct oxv_change **change, struct oxv_err *err)
{
    OXV_AUTO(oxv_change_freep) struct oxv_change *owned = oxv_change_take(change);

    if (owned->vault == NULL) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault was sealed meanwhile: the change is undone");
    }
    if (!owned->prepared) {
        oxv_bug("a change that is not prepared");
    }
    struct oxv_vault *vault = owned->vault;
    enum oxv_status st = commit(owned, err);

    if (st != OXV_OK) {
        vault->store_failed = true;
        if (err != NULL) {
            err->status = OXV_E_STORE;
        }
        return OXV_E_STORE;
    }
    return OXV_OK;
}

void
oxv_change_abandon(struct oxv_change *change)
{
    struct oxv_vault *vault = change->vault;

    vault->ops->rollback(vault->store);
    for (size_t i = 0; i < change->leaving.count; i++) {
        change->leaving.rows[i]->leaving = false;
    }
    change->leaving.count = 0;
    vault->change = NULL;
    change->vault = NULL;
}

void
oxv_change_free(struct oxv_change *change)
{
    if (change == NULL) {
        return;
    }
    if (change->vault != NULL) {
        oxv_change_abandon(change);
    }
    oxv_registry_free(change->added);
    free(change->leaving.rows);
    free(change->buffers);
    oxv_secret_free(change->plain);
    oxv_secret_free(change->new_root);
    oxv_keys_done(&change->new_keys);
    free(change);
}
