/* backup_impl: what writer and reader of a backup share. */
#ifndef OXV_VAULT_BACKUP_IMPL_H
#define OXV_VAULT_BACKUP_IMPL_H

#include <sodium.h>

#include "vault/backup.h"
#include "vault/vault_impl.h"

#define OXV_BACKUP_MAGIC         "OXVBACKU"
#define OXV_BACKUP_FORMAT        1u
#define OXV_BACKUP_PREFIX_BYTES  13u /* before the head */
#define OXV_BACKUP_KEY_BYTES     crypto_secretstream_xchacha20poly1305_KEYBYTES
#define OXV_BACKUP_WRAPPED_BYTES (OXV_BLOB_EXTRA_BYTES + OXV_BACKUP_KEY_BYTES)
#define OXV_BACKUP_STREAM_BYTES  crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define OXV_BACKUP_TAG_BYTES     crypto_secretstream_xchacha20poly1305_ABYTES
#define OXV_BACKUP_HASH_BYTES    32u

_Static_assert(OXV_BACKUP_KEY_BYTES == OXV_BLOB_KEY_BYTES, "key");
_Static_assert(OXV_BACKUP_TAG_BYTES == 17, "tag");
/* The largest row fits one chunk. */
_Static_assert(1 + 8 + 8 + 4 + 4 + OXV_RECORD_MAX_BYTES + OXV_RECORD_SECRET_MAX_BYTES +
                       OXV_BLOB_EXTRA_BYTES <=
                   OXV_BACKUP_CHUNK_BYTES,
               "row");

/* Hash of all bytes before the wrapped key. */
void oxv_backup_hash(struct oxv_view bytes, uint8_t out[OXV_BACKUP_HASH_BYTES]);
/* Where the wrapped key belongs; borrows both. */
struct oxv_blob_place oxv_backup_place(const struct oxv_backup_head *head,
                                       const uint8_t hash[OXV_BACKUP_HASH_BYTES]);

void oxv_backup_row_write(struct oxv_writer *w, const struct oxv_store_row *row);
size_t oxv_backup_row_bytes(const struct oxv_store_row *row);
/* The next row; views borrow. False where it is malformed or of no table. */
OXV_MUST_USE bool oxv_backup_row_read(struct oxv_reader *r, struct oxv_store_row *out);

#endif
