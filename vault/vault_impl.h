/* vault_impl: the insides of struct oxv_vault, for the sources of vault/ alone. */
#ifndef OXV_VAULT_VAULT_IMPL_H
#define OXV_VAULT_VAULT_IMPL_H

#include "vault/keys.h"
#include "vault/mac.h"
#include "vault/manifest.h"
#include "vault/registry.h"
#include "vault/seal.h"
#include "vault/store.h"
#include "vault/vault.h"

#define OXV_VAULT_DB         "vault.db"
#define OXV_VAULT_UNFINISHED "init.unfinished" /* there from the first to the last step of init */
#define OXV_NODE_ID          1u
#define OXV_SCRATCH_BYTES    OXV_RECORD_SECRET_MAX_BYTES

struct oxv_change;

struct oxv_vault {
    const struct oxv_store_ops *ops;
    struct oxv_store *store;
    uint8_t id[OXV_ID_BYTES];
    uint32_t root_generation;
    bool is_open;
    bool machine_bound;
    bool store_failed;         /* a commit failed: only the next open tells what is on the disk */
    struct oxv_change *change; /* the open one, or NULL */
    struct oxv_keys keys;      /* empty while sealed */
    struct oxv_manifest manifest;
    struct oxv_registry *rows; /* while sealed: node and seals, not authenticated */
    struct oxv_seal seals[OXV_SEALS_MAX];
    size_t seal_count;
    struct oxv_mac mac;
    struct oxv_shield shield;   /* for the signing keys in use */
    struct oxv_secret *scratch; /* secret parts are opened here, one at a time, and wiped */
};

/* A sealed vault over a store that is open, which it takes in any case. As oxv_vault_open(). */
OXV_MUST_USE enum oxv_status oxv_vault_open_store(const struct oxv_store_ops *ops,
                                                  struct oxv_store *store, struct oxv_vault **out,
                                                  struct oxv_err *err);

struct oxv_vault_binding oxv_vault_binding(const struct oxv_vault *vault);

/* After a change of vault->rows: the array that oxv_vault_seals() gives. */
void oxv_vault_refresh_seals(struct oxv_vault *vault);

/*
 * Opens a row's secret part into vault->scratch. *plain borrows from it; call
 * oxv_vault_wipe_scratch() as soon as it was used.
 *   OXV_E_FORGED  memory was changed: rows are checked when they are loaded
 */
OXV_MUST_USE enum oxv_status oxv_vault_open_secret(struct oxv_vault *vault,
                                                   const struct oxv_row *row,
                                                   struct oxv_view *plain, struct oxv_err *err);
void oxv_vault_wipe_scratch(struct oxv_vault *vault, size_t len);

/*
 * The root key, from one of the seals of input->kind (only `seal_id` if not 0). Statuses as
 * oxv_vault_unseal().
 */
OXV_MUST_USE enum oxv_status oxv_vault_open_root(const struct oxv_vault *vault,
                                                 const struct oxv_seal_input *input,
                                                 uint64_t seal_id, struct oxv_secret **root,
                                                 struct oxv_err *err);

/* Keyed hash of a machine id, bound to the vault. False where there is no machine id. */
OXV_MUST_USE bool oxv_vault_machine_hash(const struct oxv_vault_binding *binding,
                                         struct oxv_view machine_id, uint8_t out[32]);

/* Where a new row is put together; too large for the stack of a deep call. */
struct oxv_row_buffers {
    uint8_t record[OXV_RECORD_MAX_BYTES];
    uint8_t sealed[OXV_RECORD_SECRET_MAX_BYTES + OXV_BLOB_EXTRA_BYTES];
};

/* Encodes the public part. stored->table says what it is; stored->record borrows the buffer. */
OXV_MUST_USE enum oxv_status oxv_row_encode(const void *record, struct oxv_row_buffers *buffers,
                                            struct oxv_store_row *stored, struct oxv_err *err);
/* Seals the secret part (encoded, may be empty) of a row that is complete otherwise. */
OXV_MUST_USE enum oxv_status oxv_row_seal(const struct oxv_vault_binding *binding,
                                          struct oxv_view secret, struct oxv_row_buffers *buffers,
                                          struct oxv_store_row *stored, struct oxv_err *err);

/* The whole row of a seal: check value, record, wrapped root key, blob. */
struct oxv_seal_new {
    const struct oxv_seal_record *record; /* its check is filled in */
    const struct oxv_seal_input *input;
    const struct oxv_secret *root;
};
OXV_MUST_USE enum oxv_status oxv_row_make_seal(const struct oxv_vault_binding *binding,
                                               const struct oxv_seal_new *seal,
                                               struct oxv_row_buffers *buffers,
                                               struct oxv_store_row *stored, struct oxv_err *err);

/* Called by lock and free: the change can do nothing any more. */
void oxv_change_abandon(struct oxv_change *change);

#endif
