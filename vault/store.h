/*
 * store: where rows are kept. A backend is a table of functions, chosen once; it knows nothing of
 * keys, and nothing it returns is trusted until its blob is opened.
 */
#ifndef OXV_VAULT_STORE_H
#define OXV_VAULT_STORE_H

#include "base/bytes.h"
#include "vault/records.h"

/* The manifest is a row too, of a table that no admin change names. */
#define OXV_STORE_MANIFEST 0

struct oxv_store; /* the backend's own */

struct oxv_store_row {
    int table; /* enum oxv_table or OXV_STORE_MANIFEST */
    uint64_t id;
    uint64_t version;
    struct oxv_view record;
    struct oxv_view sealed;
};

/* The row is borrowed for the call. Anything but OXV_OK ends the loading with that. */
typedef enum oxv_status (*oxv_store_row_fn)(void *ctx, const struct oxv_store_row *row,
                                            struct oxv_err *err);

/* All paths are absolute. OXV_E_STORE where the backend fails, with its code in err->native. */
struct oxv_store_ops {
    /* Makes an empty store in the empty file `path`. */
    enum oxv_status (*create)(const char *path, struct oxv_store **out, struct oxv_err *err);
    /*
     * Opens and checks all that can be checked without a key.
     *   OXV_E_STORE     damaged, or its schema was changed
     *   OXV_E_LIMIT     a newer schema version
     *   OXV_E_CONFLICT  another process has it open
     */
    enum oxv_status (*open)(const char *path, struct oxv_store **out, struct oxv_err *err);
    /*
     * With the 32-byte subkey for backups, before all rows are loaded. NULL where the backend is
     * not encrypted as a whole.
     *   OXV_E_FORGED  damaged or changed
     */
    enum oxv_status (*unlock)(struct oxv_store *store, const uint8_t *key, struct oxv_err *err);
    /* All rows of a table in ascending order of id. */
    enum oxv_status (*load)(struct oxv_store *store, int table, oxv_store_row_fn fn, void *ctx,
                            struct oxv_err *err);
    /* One transaction at a time: put (new or replaced by id) and remove only within. */
    enum oxv_status (*begin)(struct oxv_store *store, struct oxv_err *err);
    enum oxv_status (*put)(struct oxv_store *store, const struct oxv_store_row *row,
                           struct oxv_err *err);
    enum oxv_status (*remove)(struct oxv_store *store, int table, uint64_t id, struct oxv_err *err);
    /* Durable on OXV_OK. Else rolled back, and only the next open tells what is on the disk. */
    enum oxv_status (*commit)(struct oxv_store *store, struct oxv_err *err);
    void (*rollback)(struct oxv_store *store);
    /* NULL is fine. An open transaction is rolled back. */
    void (*close)(struct oxv_store *store);
};

extern const struct oxv_store_ops oxv_store_sqlite;

#endif
