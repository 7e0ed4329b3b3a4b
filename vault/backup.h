/*
 * backup: a vault in one file (docs/backup-format.md). Never holds the log nor its key.
 *
 *   bytes  what
 *       8  "OXVBACKU"
 *       1  format, 1
 *       4  n, length of the head, big-endian, at most OXV_BACKUP_HEAD_MAX_BYTES
 *       n  head: shape "backup"; its `rows` are the node's row and those of the seals
 *      83  blob (blob.h), purpose BACKUP: the file's key, 32 random bytes, under OXV_SUBKEY_BACKUP;
 *          place: vault id, root generation, table 0, id 0, version = counter of the head,
 *          record = BLAKE2b-256 of all bytes before the blob
 *      24  header of crypto_secretstream_xchacha20poly1305 under the file's key
 *          then chunks: u32 length of what follows, 17..OXV_BACKUP_CHUNK_BYTES + 17, and one
 * message of the stream: whole rows. The last one, and no other, has the tag FINAL; nothing follows
 * it row    u8 table, u64 id, u64 version, u32 length and record, u32 length and sealed, as stored;
 *          the manifest's row (table 0) first, then in ascending order of table and id
 *
 * Any seal opens it: seal -> root key -> subkey -> file's key. The rows are then checked against
 * the manifest as those of any vault are.
 */
#ifndef OXV_VAULT_BACKUP_H
#define OXV_VAULT_BACKUP_H

#include "vault/vault.h"

#define OXV_BACKUP_HEAD_MAX_BYTES  (1u << 20)
#define OXV_BACKUP_CHUNK_BYTES     45200u /* of rows; the largest row fits */
#define OXV_BACKUP_PIECE_MAX_BYTES (4u + OXV_BACKUP_CHUNK_BYTES + 17u)

/* The head. While the file is not unlocked nothing of it is authenticated. */
struct oxv_backup_head {
    struct oxv_view vault_id; /* OXV_ID_BYTES */
    struct oxv_view node_id;  /* OXV_ID_BYTES */
    struct oxv_view origin;   /* of the node's log */
    struct oxv_view genesis_vkey;
    uint64_t created_us;
    uint64_t root_generation;
    uint64_t counter; /* of changes */
    uint64_t log_size;
    struct oxv_view log_root;   /* 32 bytes */
    struct oxv_view checkpoint; /* the signed note of that size and root */
    struct oxv_view rows;
};
extern const struct oxv_shape oxv_backup_shape;

/* The log when the backup was made; the views are borrowed. */
struct oxv_backup_log {
    uint64_t size;
    struct oxv_view root; /* 32 bytes */
    struct oxv_view checkpoint;
};

/* A backup in the making: the records as they were at its begin, whatever changes meanwhile. */
struct oxv_backup;

/*
 * Begins one of an open vault, in time that depends on the number of rows but not on their size.
 * `*log` is only borrowed for the call.
 */
OXV_MUST_USE enum oxv_status oxv_backup_new(const struct oxv_vault *vault,
                                            const struct oxv_backup_log *log,
                                            struct oxv_backup **out, struct oxv_err *err);
/* NULL is fine. Not after the vault was freed. */
void oxv_backup_free(struct oxv_backup *backup);
/* Appends the file's next OXV_BACKUP_PIECE_MAX_BYTES bytes at most. */
void oxv_backup_piece(struct oxv_backup *backup, struct oxv_writer *w);
/* Was the last piece given? */
bool oxv_backup_at_end(const struct oxv_backup *backup);
/* All rows, and those that were given, for a progress bar. */
uint64_t oxv_backup_rows(const struct oxv_backup *backup);
uint64_t oxv_backup_rows_given(const struct oxv_backup *backup);

/*
 * The head of a file, without what follows; the views borrow `bytes`, and *len is how many of them
 * it has.
 *   OXV_E_FORMAT  no backup, a newer format, truncated, or malformed
 */
OXV_MUST_USE enum oxv_status oxv_backup_head_read(struct oxv_view bytes,
                                                  struct oxv_backup_head *out, size_t *len,
                                                  struct oxv_err *err);

/*
 * Opens a backup (the file's descriptor, which is taken in any case) as a sealed vault, to be
 * unsealed by oxv_vault_unseal_copy() and copied by oxv_vault_restore(). *head (its views live as
 * long as the vault) is authentic once the vault is open.
 *   OXV_E_FORMAT  as oxv_backup_head_read()
 *   OXV_E_STORE   its rows are malformed
 * Then OXV_E_FORGED of unseal says that the file was changed or truncated.
 */
OXV_MUST_USE enum oxv_status oxv_backup_open(int fd, struct oxv_vault **out,
                                             const struct oxv_backup_head **head,
                                             struct oxv_err *err);

OXV_DEFINE_OWNER(oxv_backup);

#endif
