#include "vault/vault_impl.h"

enum oxv_status
oxv_row_encode(const void *record, struct oxv_row_buffers *buffers, struct oxv_store_row *stored,
               struct oxv_err *err)
{
    struct oxv_writer w = oxv_writer(buffers->record, sizeof buffers->record);
    enum oxv_status st =
        oxv_record_encode(&w, oxv_table_shape((enum oxv_table)stored->table), record, err);

    if (st == OXV_OK) {
        st = oxv_writer_finish(&w, &stored->record);
    }
    return st;
}

static struct oxv_blob_place
place_of(const struct oxv_vault_binding *binding, const struct oxv_store_row *stored)
{
    return (struct oxv_blob_place){
        .purpose = OXV_BLOB_RECORD,
        .vault_id = binding->vault_id,
        .root_generation = binding->root_generation,
        .table = (uint8_t)stored->table,
        .id = stored->id,
        .version = stored->version,
        .record = stored->record,
    };
}

enum oxv_status
oxv_row_seal(const struct oxv_vault_binding *binding, struct oxv_view secret,
             struct oxv_row_buffers *buffers, struct oxv_store_row *stored, struct oxv_err *err)
{
    struct oxv_writer w = oxv_writer(buffers->sealed, sizeof buffers->sealed);
    struct oxv_blob_place place = place_of(binding, stored);

    oxv_blob_seal(&w, oxv_keys_get(binding->keys, OXV_SUBKEY_RECORD), &place, secret);
    if (oxv_writer_finish(&w, &stored->sealed) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "%s: the secret part is too long",
                        oxv_table_name(stored->table));
    }
    return OXV_OK;
}

/* First the root key under the seal's key, then the empty blob under the vault's key. */
static enum oxv_status
seal_both(const struct oxv_vault_binding *binding, const struct oxv_seal_new *seal,
          struct oxv_row_buffers *buffers, struct oxv_store_row *stored, struct oxv_err *err)
{
    struct oxv_writer w = oxv_writer(buffers->sealed, sizeof buffers->sealed);
    struct oxv_blob_place place = place_of(binding, stored);
    enum oxv_status st = oxv_seal_wrap(&w, &place, seal->input, seal->root, err);

    if (st != OXV_OK) {
        return st;
    }
    place.bound = oxv_view(buffers->sealed, w.len);
    oxv_blob_seal(&w, oxv_keys_get(binding->keys, OXV_SUBKEY_RECORD), &place, oxv_view(NULL, 0));
    if (oxv_writer_finish(&w, &stored->sealed) != OXV_OK) {
        oxv_bug("a seal does not fit");
    }
    return OXV_OK;
}

enum oxv_status
oxv_row_make_seal(const struct oxv_vault_binding *binding, const struct oxv_seal_new *seal,
                  struct oxv_row_buffers *buffers, struct oxv_store_row *stored,
                  struct oxv_err *err)
{
    uint8_t check[OXV_SEAL_CHECK_BYTES];
    struct oxv_seal_record record = *seal->record;
    enum oxv_status st = oxv_seal_check_value(seal->input, check, err);

    if (st != OXV_OK) {
        return st;
    }
    record.check = oxv_view(check, sizeof check);
    if (record.kind != seal->input->kind || oxv_seal_parameters_check(&record, NULL) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "seal: kind or parameters are out of bounds");
    }
    st = oxv_row_encode(&record, buffers, stored, err);
    return st == OXV_OK ? seal_both(binding, seal, buffers, stored, err) : st;
}
