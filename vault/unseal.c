/* Unsealing: one seal gives the root key, the subkeys come from it, then every row is checked. */
#include <sodium.h>

#include "vault/vault_impl.h"

/* What is built aside; the vault changes only where all of it is right. */
struct loading {
    struct oxv_vault_binding binding;
    struct oxv_registry *rows;
    struct oxv_manifest wanted; /* as sealed */
    struct oxv_manifest found;  /* as the rows are */
    uint64_t newest;            /* version of a row */
    bool have_manifest;
};

static enum oxv_status
fail_changed(const struct oxv_store_row *stored, struct oxv_err *err)
{
    return oxv_fail(err, OXV_E_FORGED, "the vault is damaged or was changed from outside: %s %llu",
                    oxv_table_name(stored->table), (unsigned long long)stored->id);
}

static enum oxv_status
load_manifest(void *ctx, const struct oxv_store_row *stored, struct oxv_err *err)
{
    struct loading *loading = ctx;

    if (loading->have_manifest) {
        return fail_changed(stored, err);
    }
    loading->have_manifest = true;
    return oxv_manifest_open(stored, &loading->binding, &loading->wanted, err);
}

static bool
row_is_authentic(const struct loading *loading, const struct oxv_row *row)
{
    struct oxv_blob_place place =
        oxv_row_place(row, loading->binding.vault_id, loading->binding.root_generation);
    struct oxv_view blob;

    return oxv_row_blob(row, &blob, &place.bound) &&
           oxv_blob_is_authentic(blob, oxv_keys_get(loading->binding.keys, OXV_SUBKEY_RECORD),
                                 &place);
}

/* An authentic row can still be one that was removed or replaced since, and so have a name or uid
 * that another row has now. */
static enum oxv_status
take_row(struct loading *loading, struct oxv_row **row, struct oxv_err *err)
{
    const char *field = NULL;
    struct oxv_row *other = oxv_registry_clash(loading->rows, *row, &field);

    if (other != NULL) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the vault was changed from outside: %s %llu and %llu have the same %s, so "
                        "an old row was put back",
                        oxv_table_name((*row)->table), (unsigned long long)other->as.head.id,
                        (unsigned long long)(*row)->as.head.id, field);
    }
    if (!oxv_manifest_add(&loading->found, loading->binding.keys, *row)) {
        oxv_bug("an authentic blob without a tag");
    }
    if (loading->newest < (*row)->as.head.version) {
        loading->newest = (*row)->as.head.version;
    }
    if (oxv_registry_reserve(loading->rows, (enum oxv_table)(*row)->table, 1) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the records");
    }
    oxv_registry_put(loading->rows, oxv_row_take(row));
    return OXV_OK;
}

static enum oxv_status
load_row(void *ctx, const struct oxv_store_row *stored, struct oxv_err *err)
{
    struct loading *loading = ctx;
    struct oxv_err why = { 0 };
    OXV_AUTO(oxv_row_freep) struct oxv_row *row = NULL;
    enum oxv_status st = oxv_row_new(stored, &row, &why);

    if (st == OXV_E_MEMORY) {
        return oxv_fail(err, st, "%s", why.text);
    }
    if (st != OXV_OK || !row_is_authentic(loading, row)) {
        return fail_changed(stored, err);
    }
    return take_row(loading, &row, err);
}

/* Names what does not fit as well as it can be known. */
static enum oxv_status
compare_manifest(const struct loading *loading, struct oxv_err *err)
{
    const struct oxv_manifest *wanted = &loading->wanted;
    const struct oxv_manifest *found = &loading->found;

    if (wanted->rows == found->rows && loading->newest <= wanted->counter &&
        oxv_manifest_sums_equal(wanted, found)) {
        return OXV_OK;
    }
    return oxv_fail(err, OXV_E_FORGED,
                    "the vault was changed from outside: rows were removed, added or put back: "
                    "expected %llu rows at change %llu, found %llu rows with changes up to %llu",
                    (unsigned long long)wanted->rows, (unsigned long long)wanted->counter,
                    (unsigned long long)found->rows, (unsigned long long)loading->newest);
}

static enum oxv_status
load_all(struct oxv_vault *vault, struct loading *loading, struct oxv_err *err)
{
    enum oxv_status st =
        vault->ops->unlock == NULL
            ? OXV_OK
            : vault->ops->unlock(vault->store,
                                 oxv_keys_get(loading->binding.keys, OXV_SUBKEY_BACKUP), err);

    if (st == OXV_OK) {
        st = vault->ops->load(vault->store, OXV_STORE_MANIFEST, load_manifest, loading, err);
    }
    if (st == OXV_OK && !loading->have_manifest) {
        st =
            oxv_fail(err, OXV_E_FORGED, "the vault was changed from outside: its manifest is gone");
    }
    for (enum oxv_table table = OXV_TABLE_NODE; table < OXV_TABLE_END && st == OXV_OK; table++) {
        st = vault->ops->load(vault->store, (int)table, load_row, loading, err);
    }
    if (st == OXV_OK) {
        st = compare_manifest(loading, err);
    }
    return st;
}

static bool
is_candidate(const struct oxv_row *row, const struct oxv_seal_input *input, uint64_t seal_id)
{
    return row->as.seal.record.kind == (uint64_t)input->kind &&
           (seal_id == 0 || row->as.seal.id == seal_id);
}

/* Says which seals were tried. */
static enum oxv_status
fail_locked(const struct oxv_vault *vault, const struct oxv_seal_input *input, uint64_t seal_id,
            struct oxv_err *err)
{
    const struct oxv_row_list *seals = &vault->rows->lists[OXV_TABLE_SEAL];
    char tried[128];
    struct oxv_writer w = oxv_writer(tried, sizeof tried - 1);

    for (size_t i = 0; i < seals->count; i++) {
        if (is_candidate(seals->rows[i], input, seal_id)) {
            oxv_write_text(&w, w.len == 0 ? "" : " or ");
            oxv_write_decimal(&w, seals->rows[i]->as.seal.id);
        }
    }
    if (w.len == 0) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault has no %s seal%s",
                        input->kind == OXV_SEAL_KEYFILE ? "key file"
                                                        : oxv_seal_kind_name(input->kind),
                        seal_id == 0 ? "" : " of that number");
    }
    return oxv_fail(err, OXV_E_LOCKED, "%s, or seal %.*s was changed",
                    oxv_seal_wrong_text(input->kind), (int)w.len, tried);
}

enum oxv_status
oxv_vault_open_root(const struct oxv_vault *vault, const struct oxv_seal_input *input,
                    uint64_t seal_id, struct oxv_secret **root, struct oxv_err *err)
{
    const struct oxv_row_list *seals = &vault->rows->lists[OXV_TABLE_SEAL];

    for (size_t i = 0; i < seals->count; i++) {
        const struct oxv_row *row = seals->rows[i];
        struct oxv_blob_place place = oxv_row_place(row, vault->id, vault->root_generation);
        struct oxv_view wrapped;
        struct oxv_view blob;

        if (!is_candidate(row, input, seal_id)) {
            continue;
        }
        if (!oxv_seal_split(oxv_row_sealed(row), &wrapped, &blob)) {
            struct oxv_store_row stored = oxv_row_stored(row);

            return fail_changed(&stored, err);
        }
        enum oxv_status st = oxv_seal_open(&row->as.seal.record, wrapped, &place, input, root, err);

        if (st != OXV_E_LOCKED) {
            return st;
        }
    }
    return fail_locked(vault, input, seal_id, err);
}

enum oxv_status
oxv_vault_check_seal(const struct oxv_vault *vault, const struct oxv_seal_input *input,
                     uint64_t seal_id, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *root = NULL;

    return oxv_vault_open_root(vault, input, seal_id, &root, err);
}

/* Is this the machine that the node was made on? */
static enum oxv_status
check_machine(struct oxv_vault *vault, struct oxv_view machine_id, struct oxv_err *err)
{
    const struct oxv_row *row = oxv_registry_by_id(vault->rows, OXV_TABLE_NODE, OXV_NODE_ID);
    struct oxv_vault_binding binding = oxv_vault_binding(vault);
    struct oxv_node_secret secret = { 0 };
    struct oxv_view plain;
    uint8_t hash[32];
    enum oxv_status st = oxv_vault_open_secret(vault, row, &plain, err);

    if (st != OXV_OK) {
        return st;
    }
    st = oxv_fields_decode(plain, &oxv_node_secret_shape, &secret, err);
    bool known = oxv_vault_machine_hash(&binding, machine_id, hash);
    bool bound = st == OXV_OK && secret.machine_hash.len == sizeof hash;
    bool same = bound && known && sodium_memcmp(hash, secret.machine_hash.data, sizeof hash) == 0;

    oxv_vault_wipe_scratch(vault, plain.len);
    if (bound && !same) {
        return oxv_fail(
            err, OXV_E_CONFLICT,
            "this vault belongs to another machine (its machine-id differs): to make it "
            "a node of its own here, run: oxvault adopt");
    }
    vault->machine_bound = bound;
    return st;
}

/* Takes over what was loaded, or gives the vault its sealed state back. */
static enum oxv_status
settle(struct oxv_vault *vault, struct loading *loading, const struct oxv_view *machine_id,
       struct oxv_err *err)
{
    struct oxv_registry *sealed_rows = vault->rows;

    vault->rows = loading->rows;
    enum oxv_status st = machine_id == NULL ? OXV_OK : check_machine(vault, *machine_id, err);

    if (st != OXV_OK) {
        vault->rows = sealed_rows;
        return st;
    }
    oxv_registry_free(sealed_rows);
    loading->rows = NULL;
    vault->manifest = loading->wanted;
    vault->is_open = true;
    oxv_vault_refresh_seals(vault);
    return OXV_OK;
}

/* On the machine of this id only, or (NULL) on any. */
static enum oxv_status
unseal_on(struct oxv_vault *vault, const struct oxv_seal_input *input, uint64_t seal_id,
          const struct oxv_view *machine_id, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *root = NULL;
    OXV_AUTO(oxv_registry_freep) struct oxv_registry *rows = NULL;

    if (vault->is_open) {
        return oxv_fail(err, OXV_E_CONFLICT, "the vault is open already");
    }
    enum oxv_status st = oxv_vault_open_root(vault, input, seal_id, &root, err);

    if (st == OXV_OK) {
        st = oxv_keys_derive(&vault->keys, root, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    oxv_secret_freep(&root); /* wiped before the long part */
    rows = oxv_registry_new();
    if (rows == NULL) {
        oxv_keys_done(&vault->keys);
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the records");
    }
    struct loading loading = { .binding = oxv_vault_binding(vault), .rows = rows };

    st = load_all(vault, &loading, err);
    if (st == OXV_OK) {
        st = settle(vault, &loading, machine_id, err);
    }
    rows = loading.rows; /* NULL where the vault took them */
    if (st != OXV_OK) {
        oxv_keys_done(&vault->keys);
    }
    return st;
}

enum oxv_status
oxv_vault_unseal(struct oxv_vault *vault, const struct oxv_seal_input *input, uint64_t seal_id,
                 struct oxv_view machine_id, struct oxv_err *err)
{
    return unseal_on(vault, input, seal_id, &machine_id, err);
}

enum oxv_status
oxv_vault_unseal_copy(struct oxv_vault *vault, const struct oxv_seal_input *input, uint64_t seal_id,
                      struct oxv_err *err)
{
    return unseal_on(vault, input, seal_id, NULL, err);
}
