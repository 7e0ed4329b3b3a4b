#include <stdlib.h>

#include "base/io.h"
#include "vault/backup_impl.h"

struct oxv_backup {
    uint8_t *head; /* all before the first chunk */
    size_t head_len;
    size_t head_given;
    struct oxv_manifest_row manifest;
    struct oxv_row **rows; /* held */
    size_t row_count;
    size_t row_given; /* but for the manifest's */
    bool manifest_given;
    bool at_end;
    struct oxv_secret *stream;             /* crypto_secretstream_xchacha20poly1305_state */
    uint8_t chunk[OXV_BACKUP_CHUNK_BYTES]; /* rows as stored: their secret parts are sealed */
};

static crypto_secretstream_xchacha20poly1305_state *
state_of(struct oxv_backup *b)
{
    return (crypto_secretstream_xchacha20poly1305_state *)(void *)oxv_secret_bytes(b->stream);
}

void
oxv_backup_free(struct oxv_backup *backup)
{
    if (backup == NULL) {
        return;
    }
    for (size_t i = 0; i < backup->row_count; i++) {
        oxv_row_free(backup->rows[i]);
    }
    free((void *)backup->rows);
    free(backup->head);
    oxv_secret_free(backup->stream);
    free(backup);
}

static enum oxv_status
hold_rows(struct oxv_backup *b, const struct oxv_vault *vault)
{
    size_t count = 0;

    for (enum oxv_table table = OXV_TABLE_NODE; table < OXV_TABLE_END; table++) {
        count += vault->rows->lists[table].count;
    }
    b->rows = reallocarray(NULL, count, sizeof(struct oxv_row *));
    if (b->rows == NULL) {
        return OXV_E_MEMORY;
    }
    for (enum oxv_table table = OXV_TABLE_NODE; table < OXV_TABLE_END; table++) {
        const struct oxv_row_list *list = &vault->rows->lists[table];

        for (size_t i = 0; i < list->count; i++) {
            b->rows[b->row_count++] = oxv_row_hold(list->rows[i]);
        }
    }
    return OXV_OK;
}

/* Node and seals: what is needed before the file can be opened. */
static void
write_head_rows(const struct oxv_backup *b, struct oxv_writer *w)
{
    for (size_t i = 0; i < b->row_count && b->rows[i]->table <= OXV_TABLE_SEAL; i++) {
        struct oxv_store_row row = oxv_row_stored(b->rows[i]);

        oxv_backup_row_write(w, &row);
    }
}

/* Magic, format and head. */
static enum oxv_status
write_head(struct oxv_backup *b, struct oxv_backup_head *head, struct oxv_writer *w)
{
    uint8_t *rows = malloc(OXV_BACKUP_HEAD_MAX_BYTES);
    uint8_t *encoded = malloc(OXV_BACKUP_HEAD_MAX_BYTES);
    enum oxv_status st = OXV_E_MEMORY;

    if (rows != NULL && encoded != NULL) {
        struct oxv_writer rw = oxv_writer(rows, OXV_BACKUP_HEAD_MAX_BYTES);
        struct oxv_writer ew = oxv_writer(encoded, OXV_BACKUP_HEAD_MAX_BYTES);
        struct oxv_view view;

        write_head_rows(b, &rw);
        head->rows = oxv_view(rows, rw.len);
        oxv_fields_encode(&ew, &oxv_backup_shape, head);
        oxv_write_text(w, OXV_BACKUP_MAGIC);
        oxv_write_u8(w, OXV_BACKUP_FORMAT);
        st = rw.failed ? OXV_E_LIMIT : oxv_writer_finish(&ew, &view);
        if (st == OXV_OK) {
            oxv_write_view32(w, view);
        }
    }
    free(rows);
    free(encoded);
    return st;
}

static enum oxv_status
write_key(struct oxv_backup *b, const struct oxv_backup_head *head, const uint8_t *wrap_key,
          struct oxv_writer *w)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = oxv_secret_random(OXV_BACKUP_KEY_BYTES);
    uint8_t hash[OXV_BACKUP_HASH_BYTES];
    uint8_t stream_header[OXV_BACKUP_STREAM_BYTES];

    if (key == NULL) {
        return OXV_E_MEMORY;
    }
    oxv_backup_hash(oxv_view(w->data, w->len), hash);
    struct oxv_blob_place place = oxv_backup_place(head, hash);

    oxv_blob_seal(w, wrap_key, &place, oxv_secret_view(key));
    if (crypto_secretstream_xchacha20poly1305_init_push(state_of(b), stream_header,
                                                        oxv_secret_view(key).data) != 0) {
        oxv_bug("secretstream");
    }
    oxv_write_view(w, oxv_view(stream_header, sizeof stream_header));
    return w->failed ? OXV_E_LIMIT : OXV_OK;
}

static enum oxv_status
make_head(struct oxv_backup *b, const struct oxv_vault *vault, const struct oxv_backup_log *log)
{
    const struct oxv_node_record *node = oxv_vault_node(vault);
    size_t max = OXV_BACKUP_PREFIX_BYTES + OXV_BACKUP_HEAD_MAX_BYTES + OXV_BACKUP_WRAPPED_BYTES +
                 OXV_BACKUP_STREAM_BYTES;
    struct oxv_backup_head head = {
        .vault_id = oxv_view(vault->id, sizeof vault->id),
        .node_id = node->node_id,
        .origin = node->origin,
        .genesis_vkey = node->genesis_vkey,
        .created_us = oxv_clock_wall_us(),
        .root_generation = vault->root_generation,
        .counter = vault->manifest.counter,
        .log_size = log->size,
        .log_root = log->root,
        .checkpoint = log->checkpoint,
    };

    b->head = malloc(max);
    if (b->head == NULL) {
        return OXV_E_MEMORY;
    }
    struct oxv_writer w = oxv_writer(b->head, max);
    enum oxv_status st = write_head(b, &head, &w);

    if (st == OXV_OK) {
        st = write_key(b, &head, oxv_keys_get(&vault->keys, OXV_SUBKEY_BACKUP), &w);
    }
    b->head_len = w.len;
    return st;
}

enum oxv_status
oxv_backup_new(const struct oxv_vault *vault, const struct oxv_backup_log *log,
               struct oxv_backup **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_backup_freep) struct oxv_backup *b = calloc(1, sizeof *b);

    if (!vault->is_open) {
        return oxv_fail(err, OXV_E_LOCKED, "the vault is sealed");
    }
    if (b == NULL ||
        (b->stream = oxv_secret_new(sizeof(crypto_secretstream_xchacha20poly1305_state))) == NULL ||
        hold_rows(b, vault) != OXV_OK) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a backup");
    }
    struct oxv_vault_binding binding = oxv_vault_binding(vault);

    oxv_manifest_seal(&vault->manifest, &binding, &b->manifest);
    enum oxv_status st = make_head(b, vault, log);

    if (st != OXV_OK) {
        return oxv_fail(err, st, "the head of the backup cannot be made");
    }
    *out = oxv_backup_take(&b);
    return OXV_OK;
}

/* As many rows as a chunk takes. */
static void
gather(struct oxv_backup *b, struct oxv_writer *w)
{
    if (!b->manifest_given) {
        oxv_backup_row_write(w, &b->manifest.row);
        b->manifest_given = true;
    }
    while (b->row_given < b->row_count) {
        struct oxv_store_row row = oxv_row_stored(b->rows[b->row_given]);

        if (oxv_backup_row_bytes(&row) > w->max - w->len) {
            return;
        }
        oxv_backup_row_write(w, &row);
        b->row_given++;
    }
}

static void
write_chunk(struct oxv_backup *b, struct oxv_writer *w)
{
    struct oxv_writer chunk = oxv_writer(b->chunk, sizeof b->chunk);

    gather(b, &chunk);
    b->at_end = b->row_given == b->row_count;
    oxv_write_u32(w, chunk.len + OXV_BACKUP_TAG_BYTES);
    uint8_t *place = oxv_write_reserve(w, chunk.len + OXV_BACKUP_TAG_BYTES);

    if (place == NULL) {
        oxv_bug("no room for a piece of a backup");
    }
    if (crypto_secretstream_xchacha20poly1305_push(
            state_of(b), place, NULL, chunk.data, chunk.len, NULL, 0,
            b->at_end ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                      : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE) != 0) {
        oxv_bug("secretstream");
    }
}

void
oxv_backup_piece(struct oxv_backup *backup, struct oxv_writer *w)
{
    struct oxv_view rest =
        oxv_view_from(oxv_view(backup->head, backup->head_len), backup->head_given);

    if (rest.len > 0) {
        rest = oxv_view_slice(rest, 0, OXV_BACKUP_PIECE_MAX_BYTES);
        oxv_write_view(w, rest);
        backup->head_given += rest.len;
    } else if (!backup->at_end) {
        write_chunk(backup, w);
    }
}

bool
oxv_backup_at_end(const struct oxv_backup *backup)
{
    return backup->at_end;
}

uint64_t
oxv_backup_rows(const struct oxv_backup *backup)
{
    return backup->row_count;
}

uint64_t
oxv_backup_rows_given(const struct oxv_backup *backup)
{
    return backup->row_given;
}
