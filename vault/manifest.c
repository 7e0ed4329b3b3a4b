#include "vault/manifest.h"

#include <sodium.h>

#include "base/text.h"

#define ID_BYTES       (8u * (OXV_TABLE_END - 1u))
#define MANIFEST_ID    1u
#define HASHED_BYTES   (1u + 8u + 8u + OXV_BLOB_TAG_BYTES)
#define DIGESTED_BYTES (8u + 8u + ID_BYTES + OXV_MANIFEST_SUM_BYTES)
#define SEALED_BYTES   (2u * OXV_MANIFEST_SUM_BYTES)

struct manifest_record {
    uint64_t counter;
    uint64_t rows;
    struct oxv_view last_ids;
};

static const struct oxv_field manifest_fields[] = {
    OXV_FIELD(struct manifest_record, counter, 1, OXV_FIELD_U64, true, 1, INT64_MAX),
    OXV_FIELD(struct manifest_record, rows, 2, OXV_FIELD_U64, true, 1, INT64_MAX),
    OXV_FIELD(struct manifest_record, last_ids, 3, OXV_FIELD_BYTES, true, ID_BYTES, ID_BYTES),
};
static const struct oxv_shape manifest_shape =
    OXV_SHAPE(struct manifest_record, "manifest", manifest_fields);

static void
hash(uint8_t out[OXV_MANIFEST_SUM_BYTES], const struct oxv_writer *w, const uint8_t *key)
{
    struct oxv_view message;

    if (oxv_writer_finish(w, &message) != OXV_OK ||
        crypto_generichash(out, OXV_MANIFEST_SUM_BYTES, message.data, message.len, key,
                           OXV_SUBKEY_BYTES) != 0) {
        oxv_bug("manifest hash");
    }
}

static bool
hash_row(const struct oxv_keys *keys, const struct oxv_row *row,
         uint8_t out[OXV_MANIFEST_SUM_BYTES])
{
    uint8_t buffer[HASHED_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view blob;
    struct oxv_view bound;

    if (!oxv_row_blob(row, &blob, &bound)) {
        return false;
    }
    oxv_write_u8(&w, row->table);
    oxv_write_u64(&w, row->as.head.id);
    oxv_write_u64(&w, row->as.head.version);
    oxv_write_view(&w, oxv_blob_tag(blob));
    hash(out, &w, oxv_keys_get(keys, OXV_SUBKEY_ROW_HASH));
    return true;
}

/* The sum that the row counts in. */
static uint8_t *
sum_of(struct oxv_manifest *m, const struct oxv_row *row)
{
    return row->table == OXV_TABLE_NODE ? m->node_hash : m->sum;
}

bool
oxv_manifest_add(struct oxv_manifest *m, const struct oxv_keys *keys, const struct oxv_row *row)
{
    uint8_t hashed[OXV_MANIFEST_SUM_BYTES];

    if (!hash_row(keys, row, hashed)) {
        return false;
    }
    sodium_add(sum_of(m, row), hashed, sizeof hashed);
    m->rows++;
    if (m->last_id[row->table] < row->as.head.id) {
        m->last_id[row->table] = row->as.head.id;
    }
    return true;
}

bool
oxv_manifest_remove(struct oxv_manifest *m, const struct oxv_keys *keys, const struct oxv_row *row)
{
    uint8_t hashed[OXV_MANIFEST_SUM_BYTES];

    if (!hash_row(keys, row, hashed)) {
        return false;
    }
    sodium_sub(sum_of(m, row), hashed, sizeof hashed);
    m->rows--;
    return true;
}

bool
oxv_manifest_sums_equal(const struct oxv_manifest *a, const struct oxv_manifest *b)
{
    return sodium_memcmp(a->sum, b->sum, sizeof a->sum) == 0 &&
           sodium_memcmp(a->node_hash, b->node_hash, sizeof a->node_hash) == 0;
}

static void
write_last_ids(struct oxv_writer *w, const struct oxv_manifest *m)
{
    for (size_t i = 1; i < OXV_TABLE_END; i++) {
        oxv_write_u64(w, m->last_id[i]);
    }
}

static struct oxv_blob_place
place_of(uint64_t counter, struct oxv_view record, const struct oxv_vault_binding *binding)
{
    return (struct oxv_blob_place){
        .purpose = OXV_BLOB_MANIFEST,
        .vault_id = binding->vault_id,
        .root_generation = binding->root_generation,
        .table = OXV_STORE_MANIFEST,
        .id = MANIFEST_ID,
        .version = counter,
        .record = record,
    };
}

void
oxv_manifest_seal(const struct oxv_manifest *m, const struct oxv_vault_binding *binding,
                  struct oxv_manifest_row *out)
{
    uint8_t ids[ID_BYTES];
    uint8_t sums[SEALED_BYTES];
    struct oxv_writer idw = oxv_writer(ids, sizeof ids);
    struct oxv_writer sumw = oxv_writer(sums, sizeof sums);
    struct oxv_writer rw = oxv_writer(out->record, sizeof out->record);
    struct oxv_writer sw = oxv_writer(out->sealed, sizeof out->sealed);
    struct manifest_record record = { .counter = m->counter, .rows = m->rows };

    write_last_ids(&idw, m);
    oxv_write_view(&sumw, oxv_view(m->sum, sizeof m->sum));
    oxv_write_view(&sumw, oxv_view(m->node_hash, sizeof m->node_hash));
    record.last_ids = oxv_view(ids, idw.len);
    oxv_fields_encode(&rw, &manifest_shape, &record);
    out->row = (struct oxv_store_row){ .table = OXV_STORE_MANIFEST,
                                       .id = MANIFEST_ID,
                                       .version = m->counter };
    if (oxv_writer_finish(&rw, &out->row.record) != OXV_OK) {
        oxv_bug("manifest record");
    }
    struct oxv_blob_place place = place_of(m->counter, out->row.record, binding);

    oxv_blob_seal(&sw, oxv_keys_get(binding->keys, OXV_SUBKEY_MANIFEST), &place,
                  oxv_view(sums, sumw.len));
    if (oxv_writer_finish(&sw, &out->row.sealed) != OXV_OK) {
        oxv_bug("manifest seal");
    }
}

/* Both parts are authentic by now. */
static bool
take_apart(const struct manifest_record *record, struct oxv_view sums, struct oxv_manifest *out)
{
    struct oxv_reader ids = oxv_reader(record->last_ids);
    struct oxv_reader r = oxv_reader(sums);

    out->counter = record->counter;
    out->rows = record->rows;
    for (size_t i = 1; i < OXV_TABLE_END; i++) {
        if (!oxv_read_u64(&ids, &out->last_id[i])) {
            return false;
        }
    }
    return oxv_read_bytes(&r, out->sum, sizeof out->sum) &&
           oxv_read_bytes(&r, out->node_hash, sizeof out->node_hash) && oxv_reader_at_end(&r);
}

enum oxv_status
oxv_manifest_open(const struct oxv_store_row *row, const struct oxv_vault_binding *binding,
                  struct oxv_manifest *out, struct oxv_err *err)
{
    uint8_t sums[SEALED_BYTES];
    struct oxv_writer w = oxv_writer(sums, sizeof sums);
    struct manifest_record record;
    struct oxv_manifest opened = { 0 };
    struct oxv_blob_place place = place_of(row->version, row->record, binding);

    if (row->id != MANIFEST_ID ||
        oxv_blob_open(row->sealed, oxv_keys_get(binding->keys, OXV_SUBKEY_MANIFEST), &place, &w) !=
            OXV_OK ||
        oxv_fields_decode(row->record, &manifest_shape, &record, NULL) != OXV_OK ||
        record.counter != row->version || !take_apart(&record, oxv_view(sums, w.len), &opened)) {
        return oxv_fail(err, OXV_E_FORGED,
                        "the vault is damaged or was changed from outside: manifest %llu",
                        (unsigned long long)row->id);
    }
    *out = opened;
    return OXV_OK;
}

void
oxv_manifest_digest_hex(const struct oxv_manifest *m, const struct oxv_keys *keys, char out[65])
{
    uint8_t buffer[DIGESTED_BYTES];
    uint8_t digest[OXV_MANIFEST_SUM_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_writer hex = oxv_writer(out, 65);

    oxv_write_u64(&w, m->counter);
    oxv_write_u64(&w, m->rows);
    write_last_ids(&w, m);
    oxv_write_view(&w, oxv_view(m->sum, sizeof m->sum));
    hash(digest, &w, oxv_keys_get(keys, OXV_SUBKEY_DIGEST));
    oxv_write_hex(&hex, oxv_view(digest, sizeof digest));
    oxv_write_u8(&hex, 0);
}
