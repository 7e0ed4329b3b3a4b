#include "vault/registry.h"

#include <sodium.h>
#include <stdlib.h>

/* The key of a pair is two members as they lie in memory. */
_Static_assert(offsetof(struct oxv_grant_record, connection_id) ==
                   offsetof(struct oxv_grant_record, caller_id) + sizeof(uint64_t),
               "caller_id and connection_id are one key");

static struct oxv_view
key_id(const struct oxv_row *row)
{
    return oxv_view(&row->as.head.id, sizeof row->as.head.id);
}

static struct oxv_view
key_connection_name(const struct oxv_row *row)
{
    return row->as.connection.record.name;
}

static struct oxv_view
key_caller_name(const struct oxv_row *row)
{
    return row->as.caller.record.name;
}

static struct oxv_view
key_caller_uid(const struct oxv_row *row)
{
    return oxv_view(&row->as.caller.record.uid_plus1, sizeof(uint64_t));
}

static struct oxv_view
key_admin_uid(const struct oxv_row *row)
{
    return oxv_view(&row->as.admin.record.uid_plus1, sizeof(uint64_t));
}

static struct oxv_view
key_token_uri(const struct oxv_row *row)
{
    return row->as.token.record.token_uri;
}

static struct oxv_view
key_pair(const struct oxv_row *row)
{
    return oxv_view(&row->as.grant.record, 2 * sizeof(uint64_t));
}

_Static_assert(offsetof(struct oxv_grant_record, caller_id) == 0, "key_pair() begins there");

static const struct {
    enum oxv_table table;
    oxv_index_key_fn key;
    const char *field; /* that must be unique; NULL where it need not */
} indexes[OXV_REGISTRY_INDEXES] = {
    [OXV_BY_CONNECTION_NAME] = { OXV_TABLE_CONNECTION, key_connection_name, "name" },
    [OXV_BY_CALLER_NAME] = { OXV_TABLE_CALLER, key_caller_name, "name" },
    [OXV_BY_CALLER_UID] = { OXV_TABLE_CALLER, key_caller_uid, "uid" },
    [OXV_BY_ADMIN_UID] = { OXV_TABLE_ADMIN, key_admin_uid, "uid" },
    [OXV_BY_TOKEN_URI] = { OXV_TABLE_TOKEN, key_token_uri, "token_uri" },
    [OXV_BY_PAIR] = { OXV_TABLE_GRANT, key_pair, NULL },
};

struct oxv_registry *
oxv_registry_new(void)
{
    struct oxv_registry *registry = calloc(1, sizeof *registry);

    if (registry == NULL) {
        return NULL;
    }
    randombytes_buf(registry->hash_key, sizeof registry->hash_key);
    for (size_t i = 0; i < OXV_TABLE_END; i++) {
        oxv_index_init(&registry->by_id[i], key_id, registry->hash_key);
    }
    for (size_t i = 0; i < OXV_REGISTRY_INDEXES; i++) {
        oxv_index_init(&registry->indexes[i], indexes[i].key, registry->hash_key);
    }
    return registry;
}

void
oxv_registry_free(struct oxv_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    for (size_t i = 0; i < OXV_TABLE_END; i++) {
        for (size_t j = 0; j < registry->lists[i].count; j++) {
            oxv_row_free(registry->lists[i].rows[j]);
        }
        free(registry->lists[i].rows);
        oxv_index_done(&registry->by_id[i]);
    }
    for (size_t i = 0; i < OXV_REGISTRY_INDEXES; i++) {
        oxv_index_done(&registry->indexes[i]);
    }
    free(registry->token_uses.items);
    free(registry);
}

static enum oxv_status
reserve_list(struct oxv_row_list *list, size_t more)
{
    if (list->capacity - list->count >= more) {
        return OXV_OK;
    }
    size_t capacity = list->count + more;

    if (capacity < 2 * list->capacity) {
        capacity = 2 * list->capacity;
    }
    struct oxv_row **rows = reallocarray(list->rows, capacity, sizeof(struct oxv_row *));

    if (rows == NULL) {
        return OXV_E_MEMORY;
    }
    list->rows = rows;
    list->capacity = capacity;
    return OXV_OK;
}

/* Each of `more` connections may be of another token. */
static enum oxv_status
reserve_uses(struct oxv_token_uses *uses, size_t more)
{
    if (uses->capacity - uses->count >= more) {
        return OXV_OK;
    }
    size_t capacity = uses->count + more;
    struct oxv_token_use *items = reallocarray(uses->items, capacity, sizeof *items);

    if (items == NULL) {
        return OXV_E_MEMORY;
    }
    uses->items = items;
    uses->capacity = capacity;
    return OXV_OK;
}

/* Its place, or `count`. Tokens are few. */
static size_t
find_use(const struct oxv_token_uses *uses, uint64_t token_id)
{
    size_t i = 0;

    while (i < uses->count && uses->items[i].token_id != token_id) {
        i++;
    }
    return i;
}

static bool
is_in_token(const struct oxv_row *row)
{
    return row->table == OXV_TABLE_CONNECTION && row->as.connection.record.key_token != 0;
}

static void
add_use(struct oxv_token_uses *uses, uint64_t token_id)
{
    size_t i = find_use(uses, token_id);

    if (i == uses->count) {
        if (uses->count == uses->capacity) {
            oxv_bug("no room in a registry");
        }
        uses->items[uses->count++] = (struct oxv_token_use){ .token_id = token_id };
    }
    uses->items[i].connections++;
}

static void
drop_use(struct oxv_token_uses *uses, uint64_t token_id)
{
    size_t i = find_use(uses, token_id);

    if (i == uses->count) {
        oxv_bug("a connection was not counted");
    }
    if (--uses->items[i].connections == 0) {
        uses->items[i] = uses->items[--uses->count];
    }
}

uint64_t
oxv_registry_token_use(const struct oxv_registry *registry, uint64_t token_id)
{
    size_t i = find_use(&registry->token_uses, token_id);

    return i < registry->token_uses.count ? registry->token_uses.items[i].connections : 0;
}

enum oxv_status
oxv_registry_reserve(struct oxv_registry *registry, enum oxv_table table, size_t more)
{
    enum oxv_status st = reserve_list(&registry->lists[table], more);

    if (st == OXV_OK) {
        st = oxv_index_reserve(&registry->by_id[table], more);
    }
    if (st == OXV_OK && table == OXV_TABLE_CONNECTION) {
        st = reserve_uses(&registry->token_uses, more);
    }
    for (size_t i = 0; i < OXV_REGISTRY_INDEXES && st == OXV_OK; i++) {
        if (indexes[i].table == table) {
            st = oxv_index_reserve(&registry->indexes[i], more);
        }
    }
    return st;
}

/* Where `id` is in the list, or would be. */
static size_t
position(const struct oxv_row_list *list, uint64_t id)
{
    size_t low = 0;
    size_t high = list->count;

    if (high > 0 && list->rows[high - 1]->as.head.id < id) { /* new ids are the highest */
        return high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->rows[middle]->as.head.id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void
put_in_list(struct oxv_row_list *list, struct oxv_row *row)
{
    size_t at = position(list, row->as.head.id);

    if (at < list->count && list->rows[at]->as.head.id == row->as.head.id) {
        if (!list->rows[at]->leaving) {
            oxv_bug("id twice in a registry");
        }
        oxv_row_free(list->rows[at]);
        list->rows[at] = row;
        return;
    }
    if (list->count == list->capacity) {
        oxv_bug("no room in a registry");
    }
    for (size_t i = list->count; i > at; i--) {
        list->rows[i] = list->rows[i - 1];
    }
    list->rows[at] = row;
    list->count++;
}

static void
put_in_pair(struct oxv_index *pairs, struct oxv_row *row)
{
    struct oxv_row *before = oxv_index_get(pairs, key_pair(row));

    row->next_in_pair = NULL;
    if (before == NULL) {
        oxv_index_put(pairs, row);
        return;
    }
    if (row->as.head.id < before->as.head.id) {
        row->next_in_pair = before;
        oxv_index_replace(pairs, row);
        return;
    }
    while (before->next_in_pair != NULL && before->next_in_pair->as.head.id < row->as.head.id) {
        before = before->next_in_pair;
    }
    row->next_in_pair = before->next_in_pair;
    before->next_in_pair = row;
}

static void
remove_from_pair(struct oxv_index *pairs, struct oxv_row *row)
{
    struct oxv_row *before = oxv_index_get(pairs, key_pair(row));

    if (before == row && row->next_in_pair == NULL) {
        oxv_index_remove(pairs, key_pair(row));
    } else if (before == row) {
        oxv_index_replace(pairs, row->next_in_pair);
    } else {
        while (before->next_in_pair != row) {
            before = before->next_in_pair;
        }
        before->next_in_pair = row->next_in_pair;
    }
    row->next_in_pair = NULL;
}

void
oxv_registry_put(struct oxv_registry *registry, struct oxv_row *row)
{
    enum oxv_table table = (enum oxv_table)row->table;

    row->leaving = false;
    oxv_index_put(&registry->by_id[table], row);
    for (size_t i = 0; i < OXV_REGISTRY_INDEXES; i++) {
        if (indexes[i].table == table && i == OXV_BY_PAIR) {
            put_in_pair(&registry->indexes[i], row);
        } else if (indexes[i].table == table) {
            oxv_index_put(&registry->indexes[i], row);
        }
    }
    put_in_list(&registry->lists[table], row);
    if (is_in_token(row)) {
        add_use(&registry->token_uses, row->as.connection.record.key_token);
    }
}

void
oxv_registry_unlink(struct oxv_registry *registry, struct oxv_row *row)
{
    enum oxv_table table = (enum oxv_table)row->table;

    row->leaving = true;
    if (is_in_token(row)) {
        drop_use(&registry->token_uses, row->as.connection.record.key_token);
    }
    oxv_index_remove(&registry->by_id[table], key_id(row));
    for (size_t i = 0; i < OXV_REGISTRY_INDEXES; i++) {
        if (indexes[i].table == table && i == OXV_BY_PAIR) {
            remove_from_pair(&registry->indexes[i], row);
        } else if (indexes[i].table == table) {
            oxv_index_remove(&registry->indexes[i], indexes[i].key(row));
        }
    }
}

void
oxv_registry_sweep(struct oxv_registry *registry, enum oxv_table table)
{
    struct oxv_row_list *list = &registry->lists[table];
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->rows[i]->leaving) {
            oxv_row_free(list->rows[i]);
        } else {
            list->rows[kept++] = list->rows[i];
        }
    }
    list->count = kept;
}

struct oxv_row *
oxv_registry_by_id(const struct oxv_registry *registry, enum oxv_table table, uint64_t id)
{
    return oxv_index_get(&registry->by_id[table], oxv_view(&id, sizeof id));
}

struct oxv_row *
oxv_registry_find(const struct oxv_registry *registry, enum oxv_registry_index which,
                  struct oxv_view key)
{
    return oxv_index_get(&registry->indexes[which], key);
}

struct oxv_row *
oxv_registry_by_uid(const struct oxv_registry *registry, enum oxv_registry_index which,
                    uint64_t uid)
{
    uint64_t uid_plus1 = uid + 1;

    return oxv_index_get(&registry->indexes[which], oxv_view(&uid_plus1, sizeof uid_plus1));
}

struct oxv_row *
oxv_registry_pair(const struct oxv_registry *registry, uint64_t caller_id, uint64_t connection_id)
{
    uint64_t key[2] = { caller_id, connection_id };

    return oxv_index_get(&registry->indexes[OXV_BY_PAIR], oxv_view(key, sizeof key));
}

struct oxv_row *
oxv_registry_next(const struct oxv_registry *registry, enum oxv_table table, uint64_t after)
{
    const struct oxv_row_list *list = &registry->lists[table];

    if (after == UINT64_MAX) {
        return NULL;
    }
    size_t at = position(list, after + 1);

    return at < list->count ? list->rows[at] : NULL;
}

struct oxv_row *
oxv_registry_clash(const struct oxv_registry *other, const struct oxv_row *row, const char **field)
{
    for (size_t i = 0; i < OXV_REGISTRY_INDEXES; i++) {
        if (indexes[i].table != (enum oxv_table)row->table || indexes[i].field == NULL) {
            continue;
        }
        struct oxv_row *found = oxv_index_get(&other->indexes[i], indexes[i].key(row));

        if (found != NULL && !found->leaving && found->as.head.id != row->as.head.id) {
            *field = indexes[i].field;
            return found;
        }
    }
    return NULL;
}
