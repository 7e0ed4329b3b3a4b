#include "vault/backup_impl.h"

static const struct oxv_field head_fields[] = {
    OXV_FIELD(struct oxv_backup_head, vault_id, 1, OXV_FIELD_BYTES, true, OXV_ID_BYTES,
              OXV_ID_BYTES),
    OXV_FIELD(struct oxv_backup_head, node_id, 2, OXV_FIELD_BYTES, true, OXV_ID_BYTES,
              OXV_ID_BYTES),
    OXV_FIELD(struct oxv_backup_head, origin, 3, OXV_FIELD_TEXT, true, 1, 128),
    OXV_FIELD(struct oxv_backup_head, genesis_vkey, 4, OXV_FIELD_TEXT, true, 1, 256),
    OXV_FIELD(struct oxv_backup_head, created_us, 5, OXV_FIELD_U64, true, 1, INT64_MAX),
    OXV_FIELD(struct oxv_backup_head, root_generation, 6, OXV_FIELD_U64, true, 1, UINT32_MAX),
    OXV_FIELD(struct oxv_backup_head, counter, 7, OXV_FIELD_U64, true, 1, INT64_MAX),
    OXV_FIELD(struct oxv_backup_head, log_size, 8, OXV_FIELD_U64, true, 1, INT64_MAX),
    OXV_FIELD(struct oxv_backup_head, log_root, 9, OXV_FIELD_BYTES, true, 32, 32),
    OXV_FIELD(struct oxv_backup_head, checkpoint, 10, OXV_FIELD_STRING, false, 1, 4096),
    OXV_FIELD(struct oxv_backup_head, rows, 11, OXV_FIELD_BYTES, true, 1,
              OXV_BACKUP_HEAD_MAX_BYTES),
};
const struct oxv_shape oxv_backup_shape = OXV_SHAPE(struct oxv_backup_head, "backup", head_fields);

void
oxv_backup_hash(struct oxv_view bytes, uint8_t out[OXV_BACKUP_HASH_BYTES])
{
    if (crypto_generichash(out, OXV_BACKUP_HASH_BYTES, bytes.data, bytes.len, NULL, 0) != 0) {
        oxv_bug("backup hash");
    }
}

struct oxv_blob_place
oxv_backup_place(const struct oxv_backup_head *head, const uint8_t hash[OXV_BACKUP_HASH_BYTES])
{
    return (struct oxv_blob_place){
        .purpose = OXV_BLOB_BACKUP,
        .vault_id = head->vault_id.data,
        .root_generation = (uint32_t)head->root_generation,
        .version = head->counter,
        .record = oxv_view(hash, OXV_BACKUP_HASH_BYTES),
    };
}

void
oxv_backup_row_write(struct oxv_writer *w, const struct oxv_store_row *row)
{
    oxv_write_u8(w, (uint64_t)row->table);
    oxv_write_u64(w, row->id);
    oxv_write_u64(w, row->version);
    oxv_write_view32(w, row->record);
    oxv_write_view32(w, row->sealed);
}

size_t
oxv_backup_row_bytes(const struct oxv_store_row *row)
{
    return 1 + 8 + 8 + 4 + row->record.len + 4 + row->sealed.len;
}

bool
oxv_backup_row_read(struct oxv_reader *r, struct oxv_store_row *out)
{
    uint8_t table;

    if (!oxv_read_u8(r, &table) || table >= OXV_TABLE_END || !oxv_read_u64(r, &out->id) ||
        !oxv_read_u64(r, &out->version) || !oxv_read_view32(r, &out->record) ||
        !oxv_read_view32(r, &out->sealed)) {
        return false;
    }
    out->table = table;
    return out->id <= INT64_MAX && out->version <= INT64_MAX;
}

enum oxv_status
oxv_backup_head_read(struct oxv_view bytes, struct oxv_backup_head *out, size_t *len,
                     struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(bytes);
    struct oxv_view magic;
    struct oxv_view head;
    uint8_t format;

    if (!oxv_read_view(&r, strlen(OXV_BACKUP_MAGIC), &magic) ||
        !oxv_view_is(magic, OXV_BACKUP_MAGIC) || !oxv_read_u8(&r, &format)) {
        return oxv_fail(err, OXV_E_FORMAT, "this is no backup of oxvault");
    }
    if (format != OXV_BACKUP_FORMAT) {
        return oxv_fail(err, OXV_E_FORMAT,
                        "this backup has format %u, made by another oxvault; this one knows %u",
                        (unsigned)format, OXV_BACKUP_FORMAT);
    }
    if (!oxv_read_view32(&r, &head) || head.len > OXV_BACKUP_HEAD_MAX_BYTES) {
        return oxv_fail(err, OXV_E_FORMAT, "the backup is damaged: its head is cut off");
    }
    enum oxv_status st = oxv_fields_decode(head, &oxv_backup_shape, out, err);

    if (st != OXV_OK) {
        oxv_err_prefix(err, "the backup is damaged");
        return st;
    }
    *len = OXV_BACKUP_PREFIX_BYTES + head.len;
    return OXV_OK;
}
