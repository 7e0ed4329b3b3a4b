/*
 * registry: the records in memory, found by id, name, uid and pair in time that does not depend on
 * how many there are. Owns its rows.
 */
#ifndef OXV_VAULT_REGISTRY_H
#define OXV_VAULT_REGISTRY_H

#include "vault/index.h"
#include "vault/row.h"

/* Grants of one caller for one connection. */
#define OXV_PAIR_GRANTS_MAX 64u

struct oxv_row_list { /* in ascending order of id */
    struct oxv_row **rows;
    size_t count;
    size_t capacity;
};

/* How many connections have their key in a token; only where that is more than none. */
struct oxv_token_use {
    uint64_t token_id;
    uint64_t connections;
};

struct oxv_token_uses {
    struct oxv_token_use *items;
    size_t count;
    size_t capacity;
};

enum oxv_registry_index {
    OXV_BY_CONNECTION_NAME,
    OXV_BY_CALLER_NAME,
    OXV_BY_CALLER_UID,
    OXV_BY_ADMIN_UID,
    OXV_BY_TOKEN_URI,
    OXV_BY_PAIR, /* holds the first grant of each pair */
    OXV_REGISTRY_INDEXES,
};

struct oxv_registry {
    uint8_t hash_key[OXV_INDEX_KEY_BYTES];
    struct oxv_row_list lists[OXV_TABLE_END];
    struct oxv_index by_id[OXV_TABLE_END];
    struct oxv_index indexes[OXV_REGISTRY_INDEXES];
    struct oxv_token_uses token_uses;
};

OXV_MUST_USE struct oxv_registry *oxv_registry_new(void);
void oxv_registry_free(struct oxv_registry *registry);

/* Room for `more` rows of a table, so that putting them cannot fail. */
OXV_MUST_USE enum oxv_status oxv_registry_reserve(struct oxv_registry *registry,
                                                  enum oxv_table table, size_t more);

/*
 * Takes the row over. There must be room, and no other row may have its name, uid or (unless it
 * was unlinked) id; an unlinked row of the same id is freed.
 */
void oxv_registry_put(struct oxv_registry *registry, struct oxv_row *row);
/* Out of all indexes, so nothing finds it any more; it stays in its list, flagged `leaving`. */
void oxv_registry_unlink(struct oxv_registry *registry, struct oxv_row *row);
/* Frees the unlinked rows of a table. */
void oxv_registry_sweep(struct oxv_registry *registry, enum oxv_table table);

struct oxv_row *oxv_registry_by_id(const struct oxv_registry *registry, enum oxv_table table,
                                   uint64_t id);
struct oxv_row *oxv_registry_find(const struct oxv_registry *registry,
                                  enum oxv_registry_index which, struct oxv_view key);
/* By numbers in the machine's byte order. */
struct oxv_row *oxv_registry_by_uid(const struct oxv_registry *registry,
                                    enum oxv_registry_index which, uint64_t uid);
/* The first grant of the pair; the others follow by next_in_pair. */
struct oxv_row *oxv_registry_pair(const struct oxv_registry *registry, uint64_t caller_id,
                                  uint64_t connection_id);
/* How many connections have their key in this token; it need not be there. */
uint64_t oxv_registry_token_use(const struct oxv_registry *registry, uint64_t token_id);
/* The first row above `after`. */
struct oxv_row *oxv_registry_next(const struct oxv_registry *registry, enum oxv_table table,
                                  uint64_t after);

/*
 * A row of `other` that is not leaving and has another id, but a name or uid that must be unique in
 * common with `row`; NULL where there is none. *field names it.
 */
struct oxv_row *oxv_registry_clash(const struct oxv_registry *other, const struct oxv_row *row,
                                   const char **field);

OXV_DEFINE_OWNER(oxv_registry);

#endif
