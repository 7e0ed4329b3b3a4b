/*
 * Making a vault. A kill at any point leaves OXV_VAULT_UNFINISHED, which open refuses:
 *   1 OXV_VAULT_UNFINISHED, durable    2 the log with entry 0 (counter 1 and its digest)
 *   3 vault.db with all rows       4 OXV_VAULT_UNFINISHED goes
 */
#include <sodium.h>
#include <stdlib.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"
#include "vault/fresh.h"
#include "vault/node.h"

#define FIRST_CHANGE     1u
#define FIRST_GENERATION 1u

/* All that is made before the first file. */
struct making {
    struct oxv_keys keys;
    struct oxv_secret *root;
    struct oxv_new_node node;
    struct oxv_manifest manifest;
    struct oxv_row *rows[3]; /* seal, admin, node */
    struct oxv_row_buffers *buffers;
};

static void
making_done(struct making *m)
{
    oxv_keys_done(&m->keys);
    oxv_secret_freep(&m->root);
    for (size_t i = 0; i < sizeof m->rows / sizeof m->rows[0]; i++) {
        oxv_row_free(m->rows[i]);
    }
    free(m->buffers);
}

static enum oxv_status
prepare(struct making *m, struct oxv_err *err)
{
    uint8_t vault_id[OXV_ID_BYTES];

    randombytes_buf(vault_id, sizeof vault_id);
    oxv_new_node_init(&m->node, vault_id);
    m->manifest.counter = FIRST_CHANGE;
    m->buffers = malloc(sizeof *m->buffers);
    m->root = oxv_secret_random(OXV_ROOT_KEY_BYTES);
    if (m->root == NULL || m->buffers == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the root key");
    }
    return oxv_keys_derive(&m->keys, m->root, err);
}

static struct oxv_vault_binding
binding_of(const struct making *m)
{
    return (struct oxv_vault_binding){ .keys = &m->keys,
                                       .vault_id = m->node.vault_id,
                                       .root_generation = FIRST_GENERATION };
}

static void
count_row(struct making *m, size_t slot)
{
    if (!oxv_manifest_add(&m->manifest, &m->keys, m->rows[slot])) {
        oxv_bug("a new row without a tag");
    }
}

static enum oxv_status
keep_row(struct making *m, size_t slot, const struct oxv_store_row *stored, struct oxv_err *err)
{
    enum oxv_status st = oxv_row_new(stored, &m->rows[slot], err);

    if (st == OXV_OK) {
        count_row(m, slot);
    }
    return st;
}

static enum oxv_status
make_seal_row(struct making *m, const struct oxv_vault_new *options, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_seal_record record = *options->seal_record;
    struct oxv_seal_new seal = { .record = &record, .input = options->seal, .root = m->root };
    struct oxv_store_row stored = { .table = OXV_TABLE_SEAL, .id = 1, .version = FIRST_CHANGE };

    record.created_us = m->node.created_us;
    enum oxv_status st = oxv_row_make_seal(&binding, &seal, m->buffers, &stored, err);

    return st == OXV_OK ? keep_row(m, 0, &stored, err) : st;
}

static enum oxv_status
make_admin_row(struct making *m, uint64_t uid, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_admin_record record = { .uid_plus1 = uid + 1, .created_us = m->node.created_us };
    struct oxv_store_row stored = { .table = OXV_TABLE_ADMIN, .id = 1, .version = FIRST_CHANGE };
    enum oxv_status st = oxv_row_encode(&record, m->buffers, &stored, err);

    if (st == OXV_OK) {
        st = oxv_row_seal(&binding, oxv_view(NULL, 0), m->buffers, &stored, err);
    }
    return st == OXV_OK ? keep_row(m, 1, &stored, err) : st;
}

/* Last, because it holds the log's key. */
static enum oxv_status
make_node_row(struct making *m, struct oxv_view machine_id, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    enum oxv_status st =
        oxv_new_node_row(&m->node, &binding, FIRST_CHANGE, machine_id, &m->rows[2], err);

    if (st == OXV_OK) {
        count_row(m, 2);
    }
    return st;
}

static enum oxv_status
make_log(struct making *m, int dir_fd, struct oxv_err *err)
{
    struct oxv_manifest logged = m->manifest;

    logged.rows++; /* the node's row, whose sum is not in the digest */
    logged.last_id[OXV_TABLE_NODE] = OXV_NODE_ID;
    return oxv_new_node_log(&m->node, dir_fd, &m->keys, &logged, NULL, err);
}

static enum oxv_status
make_store(struct making *m, int dir_fd, struct oxv_err *err)
{
    struct oxv_vault_binding binding = binding_of(m);
    struct oxv_row_list rows = { .rows = m->rows, .count = sizeof m->rows / sizeof m->rows[0] };
    struct oxv_manifest_row manifest;

    oxv_manifest_seal(&m->manifest, &binding, &manifest);
    return oxv_fresh_store(dir_fd, &rows, 1, &manifest.row, err);
}

static enum oxv_status
make_files(struct making *m, int dir_fd, const struct oxv_vault_new *options, struct oxv_err *err)
{
    enum oxv_status st = oxv_fresh_begin(dir_fd, err);

    (void)oxv_hook("vault.create.marked");
    if (st == OXV_OK) {
        st = make_log(m, dir_fd, err);
    }
    (void)oxv_hook("vault.create.logged");
    if (st == OXV_OK) {
        st = make_node_row(m, options->machine_id, err);
    }
    if (st == OXV_OK) {
        st = make_store(m, dir_fd, err);
    }
    (void)oxv_hook("vault.create.stored");
    return st == OXV_OK ? oxv_fresh_end(dir_fd, err) : st;
}

enum oxv_status
oxv_vault_create(int dir_fd, const struct oxv_vault_new *options, char *vkey, size_t vkey_size,
                 struct oxv_err *err)
{
    OXV_AUTO(making_done) struct making m = { 0 };
    enum oxv_status st = oxv_fresh_check(dir_fd, err);

    if (st == OXV_OK) {
        st = prepare(&m, err);
    }
    if (st == OXV_OK) {
        st = make_seal_row(&m, options, err);
    }
    if (st == OXV_OK) {
        st = make_admin_row(&m, options->admin_uid, err);
    }
    if (st == OXV_OK && vkey_size < sizeof m.node.vkey) {
        st = oxv_fail(err, OXV_E_LIMIT, "no room for the log's key");
    }
    if (st == OXV_OK) {
        st = make_files(&m, dir_fd, options, err);
    }
    return st == OXV_OK ? oxv_text_copy(oxv_view_text(m.node.vkey), vkey, vkey_size) : st;
}
