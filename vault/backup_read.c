/* A backup as a store: node and seals from its head, all rows once it is unlocked. */
#include <stdlib.h>

#include "base/io.h"
#include "vault/backup_impl.h"

struct oxv_store {
    int fd;
    uint8_t *front; /* all before the wrapped key */
    size_t front_len;
    struct oxv_backup_head head; /* borrows front */
    uint8_t wrapped[OXV_BACKUP_WRAPPED_BYTES];
    uint8_t stream_header[OXV_BACKUP_STREAM_BYTES];
    bool is_unlocked;
    bool is_last; /* the chunk in memory has the tag FINAL */
    struct oxv_secret *stream;
    uint8_t *cipher;
    uint8_t *plain;          /* sealed rows: no secret in clear */
    struct oxv_reader rows;  /* of the chunk */
    struct oxv_store_row at; /* the next row, if has_row */
    bool has_row;
};

static crypto_secretstream_xchacha20poly1305_state *
state_of(struct oxv_store *store)
{
    return (crypto_secretstream_xchacha20poly1305_state *)(void *)oxv_secret_bytes(store->stream);
}

static void
backup_close(struct oxv_store *store)
{
    if (store == NULL) {
        return;
    }
    oxv_closep(&store->fd);
    free(store->front);
    free(store->cipher);
    free(store->plain);
    oxv_secret_free(store->stream);
    free(store);
}

static void
backup_closep(struct oxv_store **store)
{
    backup_close(*store);
}

static enum oxv_status
fail_changed(struct oxv_err *err, const char *what)
{
    return oxv_fail(err, OXV_E_FORGED, "the backup is damaged, truncated or was changed: %s", what);
}

/* All of it, or OXV_E_FORMAT where the file ends before. */
static enum oxv_status
read_exactly(int fd, void *out, size_t len, size_t *got, struct oxv_err *err)
{
    if (oxv_read_up_to(fd, out, len, got) != OXV_OK) {
        return oxv_fail_errno(err, "cannot read the backup");
    }
    return *got == len ? OXV_OK : oxv_fail(err, OXV_E_FORMAT, "the backup is truncated");
}

/* Prefix and head, into memory that is as large as the head says, within its limit. */
static enum oxv_status
read_front(struct oxv_store *store, struct oxv_err *err)
{
    uint8_t prefix[OXV_BACKUP_PREFIX_BYTES];
    size_t got = 0;
    uint32_t len = 0;
    enum oxv_status st = read_exactly(store->fd, prefix, sizeof prefix, &got, err);
    struct oxv_reader r = oxv_reader(oxv_view_from(oxv_view(prefix, got), sizeof prefix - 4));

    if (st == OXV_E_IO) {
        return st;
    }
    if (st != OXV_OK || !oxv_read_u32(&r, &len) || len > OXV_BACKUP_HEAD_MAX_BYTES) {
        len = 0; /* the head's reader says what is wrong */
    }
    store->front_len = got + len;
    store->front = malloc(store->front_len + 1);
    if (store->front == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the backup");
    }
    struct oxv_writer w = oxv_writer(store->front, store->front_len + 1);

    oxv_write_view(&w, oxv_view(prefix, got));
    uint8_t *head = oxv_write_reserve(&w, len);

    st = len == 0 || head == NULL ? OXV_OK : read_exactly(store->fd, head, len, &got, err);
    if (st == OXV_OK) {
        st =
            oxv_backup_head_read(oxv_view(store->front, store->front_len), &store->head, &got, err);
    }
    return st;
}

static enum oxv_status
read_start(struct oxv_store *store, struct oxv_err *err)
{
    size_t got;
    enum oxv_status st = read_front(store, err);

    if (st == OXV_OK) {
        st = read_exactly(store->fd, store->wrapped, sizeof store->wrapped, &got, err);
    }
    if (st == OXV_OK) {
        st = read_exactly(store->fd, store->stream_header, sizeof store->stream_header, &got, err);
    }
    return st;
}

static enum oxv_status
backup_unlock(struct oxv_store *store, const uint8_t *key, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *file_key = oxv_secret_new(OXV_BACKUP_KEY_BYTES);
    uint8_t hash[OXV_BACKUP_HASH_BYTES];
    struct oxv_writer w;

    if (file_key == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the backup's key");
    }
    oxv_backup_hash(oxv_view(store->front, store->front_len), hash);
    struct oxv_blob_place place = oxv_backup_place(&store->head, hash);

    w = oxv_writer(oxv_secret_bytes(file_key), OXV_BACKUP_KEY_BYTES);
    if (oxv_blob_open(oxv_view(store->wrapped, sizeof store->wrapped), key, &place, &w) != OXV_OK) {
        return fail_changed(err, "its head");
    }
    if (crypto_secretstream_xchacha20poly1305_init_pull(state_of(store), store->stream_header,
                                                        oxv_secret_view(file_key).data) != 0) {
        oxv_bug("secretstream");
    }
    store->is_unlocked = true;
    return OXV_OK;
}

/* The next chunk, opened. */
static enum oxv_status
read_chunk(struct oxv_store *store, struct oxv_err *err)
{
    uint8_t length[4];
    size_t got = 0;
    uint32_t len = 0;
    unsigned char tag = 0;
    unsigned long long plain_len = 0;
    enum oxv_status st = read_exactly(store->fd, length, sizeof length, &got, err);
    struct oxv_reader r = oxv_reader(oxv_view(length, got));

    if (st == OXV_OK && (!oxv_read_u32(&r, &len) || len < OXV_BACKUP_TAG_BYTES ||
                         len > OXV_BACKUP_CHUNK_BYTES + OXV_BACKUP_TAG_BYTES)) {
        return fail_changed(err, "the length of a chunk");
    }
    if (st == OXV_OK) {
        st = read_exactly(store->fd, store->cipher, len, &got, err);
    }
    if (st == OXV_E_FORMAT) {
        return fail_changed(err, "it ends too early");
    }
    if (st != OXV_OK) {
        return st;
    }
    if (crypto_secretstream_xchacha20poly1305_pull(state_of(store), store->plain, &plain_len, &tag,
                                                   store->cipher, len, NULL, 0) != 0) {
        return fail_changed(err, "a chunk does not open");
    }
    store->is_last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    store->rows = oxv_reader(oxv_view(store->plain, (size_t)plain_len));
    return OXV_OK;
}

static enum oxv_status
check_end(struct oxv_store *store, struct oxv_err *err)
{
    uint8_t byte;
    size_t got = 0;
    enum oxv_status st = read_exactly(store->fd, &byte, 1, &got, err);

    if (st == OXV_OK) {
        return fail_changed(err, "something follows its end");
    }
    return st == OXV_E_FORMAT ? OXV_OK : st;
}

/* Fills store->at, unless the file is at its end. */
static enum oxv_status
next_row(struct oxv_store *store, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    while (st == OXV_OK && !store->has_row) {
        if (!oxv_reader_at_end(&store->rows)) {
            store->has_row = oxv_backup_row_read(&store->rows, &store->at);
            st = store->has_row ? OXV_OK : fail_changed(err, "a row");
        } else if (store->is_last) {
            return check_end(store, err);
        } else {
            st = read_chunk(store, err);
        }
    }
    return st;
}

static enum oxv_status
load_head(const struct oxv_store *store, int table, oxv_store_row_fn fn, void *ctx,
          struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(store->head.rows);
    enum oxv_status st = OXV_OK;

    while (st == OXV_OK && !oxv_reader_at_end(&r)) {
        struct oxv_store_row row;

        if (!oxv_backup_row_read(&r, &row) ||
            (row.table != OXV_TABLE_NODE && row.table != OXV_TABLE_SEAL)) {
            return oxv_fail(err, OXV_E_STORE, "the backup is damaged: a row of its head");
        }
        st = row.table == table ? fn(ctx, &row, err) : OXV_OK;
    }
    return st;
}

/* The rows come in the order in which they are asked for. */
static enum oxv_status
backup_load(struct oxv_store *store, int table, oxv_store_row_fn fn, void *ctx, struct oxv_err *err)
{
    if (!store->is_unlocked) {
        return load_head(store, table, fn, ctx, err);
    }
    enum oxv_status st = next_row(store, err);

    while (st == OXV_OK && store->has_row && store->at.table == table) {
        store->has_row = false;
        st = fn(ctx, &store->at, err);
        st = st == OXV_OK ? next_row(store, err) : st;
    }
    if (st == OXV_OK && store->has_row && (store->at.table < table || table == OXV_TABLE_END - 1)) {
        return fail_changed(err, "the order of its rows");
    }
    return st;
}

/* A backup is only read. */
static const struct oxv_store_ops backup_ops = {
    .unlock = backup_unlock,
    .load = backup_load,
    .close = backup_close,
};

enum oxv_status
oxv_backup_open(int fd, struct oxv_vault **out, const struct oxv_backup_head **head,
                struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int owned = fd;
    OXV_AUTO(backup_closep) struct oxv_store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the backup");
    }
    store->fd = oxv_fd_take(&owned);
    store->cipher = malloc(OXV_BACKUP_CHUNK_BYTES + OXV_BACKUP_TAG_BYTES);
    store->plain = malloc(OXV_BACKUP_CHUNK_BYTES);
    store->stream = oxv_secret_new(sizeof(crypto_secretstream_xchacha20poly1305_state));
    if (store->cipher == NULL || store->plain == NULL || store->stream == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the backup");
    }
    enum oxv_status st = read_start(store, err);

    if (st != OXV_OK) {
        return st;
    }
    struct oxv_store *taken = store;

    store = NULL;
    st = oxv_vault_open_store(&backup_ops, taken, out, err);
    if (st == OXV_OK) {
        *head = &taken->head;
    }
    return st;
}
