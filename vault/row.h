/* row: one record in memory: decoded, with the bytes it came from. Never holds a secret in clear.
 */
#ifndef OXV_VAULT_ROW_H
#define OXV_VAULT_ROW_H

#include "base/cleanup.h"
#include "vault/blob.h"
#include "vault/shield.h"
#include "vault/store.h"
#include "vault/vault.h"

/* What all the structs below begin with. */
struct oxv_row_head {
    uint64_t id;
    uint64_t version;
};
struct oxv_node {
    uint64_t id;
    uint64_t version;
    struct oxv_node_record record;
};

struct oxv_row {
    union {
        struct oxv_row_head head;
        struct oxv_node node;
        struct oxv_seal seal;
        struct oxv_connection connection;
        struct oxv_caller caller;
        struct oxv_grant grant;
        struct oxv_admin admin;
        struct oxv_token token;
    } as;                         /* first: a borrowed connection is its row */
    struct oxv_row *next_in_pair; /* grants of one caller and connection, by id */
    struct oxv_shielded *key;     /* of a connection that has signed; NULL before */
    uint32_t record_len;
    uint32_t sealed_len;
    uint32_t holds; /* by those who need it beyond its time in the registry */
    uint8_t table;
    bool leaving;    /* replaced or removed by the open change */
    uint8_t bytes[]; /* record, then sealed; the views of `as` point here */
};

/* "connection"; for messages. */
const char *oxv_table_name(int table);
const struct oxv_shape *oxv_table_shape(enum oxv_table table);
/* NULL for tables without a secret part of our own. */
const struct oxv_shape *oxv_table_secret_shape(enum oxv_table table);

/*
 * Copies and decodes a stored row, whose blob the caller has checked or will check.
 *   OXV_E_FORMAT, OXV_E_USAGE  the record is not one this program accepts
 */
OXV_MUST_USE enum oxv_status oxv_row_new(const struct oxv_store_row *stored, struct oxv_row **out,
                                         struct oxv_err *err);
/* Once for its owner and once for each hold: the last one frees. */
void oxv_row_free(struct oxv_row *row);
/* One more who frees it. */
struct oxv_row *oxv_row_hold(struct oxv_row *row);

struct oxv_view oxv_row_record(const struct oxv_row *row);
struct oxv_view oxv_row_sealed(const struct oxv_row *row);
/* The blob under the record key, and (seals only) the blob before it. False where too short. */
OXV_MUST_USE bool oxv_row_blob(const struct oxv_row *row, struct oxv_view *blob,
                               struct oxv_view *bound);
/* As it is stored; borrows *row. */
struct oxv_store_row oxv_row_stored(const struct oxv_row *row);
/* Its place but for purpose; borrows *row. */
struct oxv_blob_place oxv_row_place(const struct oxv_row *row, const uint8_t *vault_id,
                                    uint32_t root_generation);

OXV_DEFINE_OWNER(oxv_row);

#endif
