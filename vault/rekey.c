#include "vault/rekey.h"

#include <errno.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "vault/change_impl.h"

#define OLD_START       "rekey.old"
#define OLD_START_BYTES (OXV_BLOB_EXTRA_BYTES + OXV_SUBKEY_BYTES)

static const struct oxv_rekey_seal *
find_kept(const struct oxv_rekey *how, uint64_t id)
{
    for (size_t i = 0; i < how->kept_count; i++) {
        if (how->kept[i].id == id) {
            return &how->kept[i];
        }
    }
    return NULL;
}

/* Does each material open its seal, and is no other seal forgotten? */
static enum oxv_status
check_seals(const struct oxv_vault *vault, const struct oxv_rekey *how, struct oxv_err *err)
{
    char others[96];
    struct oxv_writer w = oxv_writer(others, sizeof others);

    if (how->kept_count == 0) {
        return oxv_fail(err, OXV_E_USAGE, "a rekey keeps at least one seal");
    }
    for (size_t i = 0; i < how->kept_count; i++) {
        enum oxv_status st = oxv_vault_check_seal(vault, how->kept[i].input, how->kept[i].id, err);

        if (st != OXV_OK) {
            return st;
        }
    }
    for (size_t i = 0; i < vault->seal_count; i++) {
        if (find_kept(how, vault->seals[i].id) == NULL) {
            oxv_write_text(&w, w.len == 0 ? "" : ", ");
            oxv_write_decimal(&w, vault->seals[i].id);
        }
    }
    if (w.len > 0 && !how->drop_others) {
        return oxv_fail(err, OXV_E_CONFLICT,
                        "what opens seal %.*s was not given, so it would go: give it too, or say "
                        "--drop-other-seals",
                        (int)w.len, (const char *)w.data);
    }
    return OXV_OK;
}

/* Of the old start of the ratchet: nothing but the new root key opens it. */
static struct oxv_blob_place
old_start_place(const struct oxv_vault_binding *binding)
{
    return (struct oxv_blob_place){ .purpose = OXV_BLOB_OLD_START,
                                    .vault_id = binding->vault_id,
                                    .root_generation = binding->root_generation };
}

static enum oxv_status
keep_old_start(const struct oxv_vault_binding *binding, const struct oxv_secret *old_root,
               int dir_fd, struct oxv_err *err)
{
    struct oxv_keys old = { 0 };
    uint8_t blob[OLD_START_BYTES];
    struct oxv_writer w = oxv_writer(blob, sizeof blob);
    struct oxv_blob_place place = old_start_place(binding);
    enum oxv_status st = oxv_keys_derive(&old, old_root, err);

    if (st == OXV_OK) {
        oxv_blob_seal(&w, oxv_keys_get(binding->keys, OXV_SUBKEY_RECORD), &place,
                      oxv_secret_view(old.subkeys[OXV_SUBKEY_LOG_WRAP]));
        st = oxv_replace_file_at(dir_fd, OLD_START, 0600, oxv_view(blob, w.len), err);
    }
    oxv_keys_done(&old);
    return st;
}

/* The node's record and secret name the root key's generation and the machine under the new keys.
 */
static enum oxv_status
make_node(struct oxv_change *change, const struct oxv_row *old,
          const struct oxv_vault_binding *binding, struct oxv_view machine_id,
          struct oxv_store_row *stored, struct oxv_err *err)
{
    struct oxv_node_record record = old->as.node.record;
    struct oxv_node_secret secret = { 0 };
    uint8_t hash[32];
    uint8_t encoded[64];
    struct oxv_writer w = oxv_writer(encoded, sizeof encoded);

    record.root_generation = binding->root_generation;
    stored->version = change->manifest.counter;
    if (change->vault->machine_bound && oxv_vault_machine_hash(binding, machine_id, hash)) {
        secret.machine_hash = oxv_view(hash, sizeof hash);
    }
    oxv_fields_encode(&w, &oxv_node_secret_shape, &secret);
    enum oxv_status st = oxv_row_encode(&record, change->buffers, stored, err);

    return st == OXV_OK
               ? oxv_row_seal(binding, oxv_view(encoded, w.len), change->buffers, stored, err)
               : st;
}

/* The same seal around the new root key. */
static enum oxv_status
make_seal(struct oxv_change *change, const struct oxv_row *old, const struct oxv_rekey_seal *kept,
          const struct oxv_vault_binding *binding, struct oxv_store_row *stored,
          struct oxv_err *err)
{
    const struct oxv_seal_new seal = { .record = &old->as.seal.record,
                                       .input = kept->input,
                                       .root = change->new_root };

    stored->version = change->manifest.counter;
    return oxv_row_make_seal(binding, &seal, change->buffers, stored, err);
}

/* Any other row: the same record and secret, under the new key. */
static enum oxv_status
make_other(struct oxv_change *change, const struct oxv_row *old,
           const struct oxv_vault_binding *binding, struct oxv_store_row *stored,
           struct oxv_err *err)
{
    struct oxv_view plain;
    enum oxv_status st = oxv_vault_open_secret(change->vault, old, &plain, err);

    if (st != OXV_OK) {
        return st;
    }
    stored->record = oxv_row_record(old);
    st = oxv_row_seal(binding, plain, change->buffers, stored, err);
    oxv_vault_wipe_scratch(change->vault, plain.len);
    return st;
}

/* What is not known anew goes on: rate limits, and requests that wait for a token. */
static void
keep_state(const struct oxv_row *old, struct oxv_row *row)
{
    if (row->table == OXV_TABLE_GRANT) {
        row->as.grant.bucket_full_at_ns = old->as.grant.bucket_full_at_ns;
    }
}

static enum oxv_status
replace_row(struct oxv_change *change, struct oxv_row *old, const struct oxv_rekey *how,
            struct oxv_err *err)
{
    struct oxv_vault_binding binding = oxv_change_binding(change);
    struct oxv_store_row stored = { .table = old->table,
                                    .id = old->as.head.id,
                                    .version = old->as.head.version };
    const struct oxv_rekey_seal *kept = find_kept(how, old->as.head.id);
    OXV_AUTO(oxv_row_freep) struct oxv_row *row = NULL;
    enum oxv_status st;

    if (old->table == OXV_TABLE_SEAL && kept == NULL) {
        return oxv_change_rekey_row(change, old, NULL, err);
    }
    st = old->table == OXV_TABLE_SEAL ? make_seal(change, old, kept, &binding, &stored, err)
         : old->table == OXV_TABLE_NODE
             ? make_node(change, old, &binding, how->machine_id, &stored, err)
             : make_other(change, old, &binding, &stored, err);
    st = st == OXV_OK ? oxv_row_new(&stored, &row, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    keep_state(old, row);
    return oxv_change_rekey_row(change, old, &row, err);
}

/* Draws the new root key; from now on the change seals under it. */
static enum oxv_status
begin(struct oxv_change *change, struct oxv_err *err)
{
    uint64_t counter = change->manifest.counter;
    struct oxv_manifest empty = { .counter = counter };

    memcpy(empty.last_id, change->manifest.last_id, sizeof empty.last_id);
    change->manifest = empty; /* its sums are under the new keys too */
    change->new_root = oxv_secret_random(OXV_ROOT_KEY_BYTES);
    if (change->new_root == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the root key");
    }
    return oxv_keys_derive(&change->new_keys, change->new_root, err);
}

enum oxv_status
oxv_change_rekey(struct oxv_change *change, const struct oxv_rekey *how, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *old_root = NULL;
    enum oxv_status st = oxv_change_check_usable(change, err);

    st = st == OXV_OK ? check_seals(change->vault, how, err) : st;
    st = st == OXV_OK ? oxv_vault_open_root(change->vault, how->kept[0].input, how->kept[0].id,
                                            &old_root, err)
                      : st;
    if (st != OXV_OK) {
        return st;
    }
    change->failed = true; /* until all of it is there */
    st = begin(change, err);
    for (enum oxv_table table = OXV_TABLE_NODE; table < OXV_TABLE_END && st == OXV_OK; table++) {
        const struct oxv_row_list *list = &change->vault->rows->lists[table];

        for (size_t i = 0; i < list->count && st == OXV_OK; i++) {
            st = replace_row(change, list->rows[i], how, err);
        }
    }
    struct oxv_vault_binding binding = oxv_change_binding(change);

    oxv_secret_freep(&change->new_root);
    st = st == OXV_OK ? keep_old_start(&binding, old_root, how->dir_fd, err) : st;
    (void)oxv_hook("vault.rekey.kept");
    change->failed = st != OXV_OK;
    return st;
}

enum oxv_status
oxv_rekey_old_start(const struct oxv_vault *vault, int dir_fd, struct oxv_secret **out,
                    struct oxv_err *err)
{
    uint8_t blob[OLD_START_BYTES];
    size_t len = 0;
    struct oxv_vault_binding binding = oxv_vault_binding(vault);
    struct oxv_blob_place place = old_start_place(&binding);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *start = oxv_secret_new(OXV_SUBKEY_BYTES);

    if (start == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the log's key");
    }
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(start), OXV_SUBKEY_BYTES);

    if (oxv_read_file_at(dir_fd, OLD_START, blob, sizeof blob, &len, NULL) != OXV_OK ||
        oxv_blob_open(oxv_view(blob, len), oxv_keys_get(binding.keys, OXV_SUBKEY_RECORD), &place,
                      &w) != OXV_OK) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "nothing is left of a rekey");
    }
    *out = oxv_secret_take(&start);
    return OXV_OK;
}

enum oxv_status
oxv_rekey_forget(int dir_fd, struct oxv_err *err)
{
    if (unlinkat(dir_fd, OLD_START, 0) != 0) {
        return errno == ENOENT ? OXV_OK : oxv_fail_errno(err, "cannot remove %s", OLD_START);
    }
    return fsync(dir_fd) == 0 ? OXV_OK : oxv_fail_errno(err, "cannot sync the vault's directory");
}
