#include "vault/node.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"

void
oxv_id_hex(const uint8_t id[OXV_ID_BYTES], char out[OXV_ID_HEX_BYTES])
{
    struct oxv_writer w = oxv_writer(out, OXV_ID_HEX_BYTES);

    oxv_write_hex(&w, oxv_view(id, OXV_ID_BYTES));
    oxv_write_u8(&w, 0);
}

void
oxv_new_node_init(struct oxv_new_node *node, const uint8_t vault_id[OXV_ID_BYTES])
{
    *node = (struct oxv_new_node){ .created_us = oxv_clock_wall_us() };
    memcpy(node->vault_id, vault_id, sizeof node->vault_id);
    randombytes_buf(node->node_id, sizeof node->node_id);
    oxv_id_hex(node->vault_id, node->vault_hex);
    oxv_id_hex(node->node_id, node->node_hex);
    if (oxv_format(node->origin, sizeof node->origin, "oxvault/%s/%s", node->vault_hex,
                   node->node_hex) != OXV_OK) {
        oxv_bug("origin");
    }
}

/* The log's second entry. */
static enum oxv_status
log_why(const struct oxv_new_node *node, int dir_fd, const struct oxv_secret *wrap_key,
        const struct oxv_entry *why, struct oxv_err *err)
{
    OXV_AUTO(oxv_log_freep) struct oxv_log *log = NULL;
    struct oxv_log_opened opened = { 0 };
    enum oxv_status st = oxv_log_open(dir_fd, node->vkey, wrap_key, &log, &opened, err);

    if (st == OXV_OK && oxv_log_append(log, why, &(uint64_t){ 0 }) != OXV_OK) {
        st = oxv_fail(err, OXV_E_IO, "the new log does not take its first entry");
    }
    return st == OXV_OK ? oxv_log_commit(log, err) : st;
}

enum oxv_status
oxv_new_node_log(struct oxv_new_node *node, int dir_fd, const struct oxv_keys *keys,
                 const struct oxv_manifest *manifest, const struct oxv_entry *why,
                 struct oxv_err *err)
{
    const struct oxv_secret *wrap_key = keys->subkeys[OXV_SUBKEY_LOG_WRAP];
    char digest[65];

    oxv_manifest_digest_hex(manifest, keys, digest);
    struct oxv_entry first = {
        .type = OXV_ENTRY_LOG_GENESIS,
        .outcome = OXV_OUTCOME_ALLOWED,
        .cfg = manifest->counter,
        .cfg_digest = oxv_view_text(digest),
        .vault = oxv_view_text(node->vault_hex),
        .node = oxv_view_text(node->node_hex),
        .origin = oxv_view_text(node->origin),
    };
    enum oxv_status st = oxv_log_create(dir_fd, &first, wrap_key, node->vkey, err);

    return st == OXV_OK && why != NULL ? log_why(node, dir_fd, wrap_key, why, err) : st;
}

static void
free_buffers(struct oxv_row_buffers **buffers)
{
    free(*buffers);
}

enum oxv_status
oxv_new_node_row(const struct oxv_new_node *node, const struct oxv_vault_binding *binding,
                 uint64_t version, struct oxv_view machine_id, struct oxv_row **out,
                 struct oxv_err *err)
{
    OXV_AUTO(free_buffers) struct oxv_row_buffers *buffers = malloc(sizeof *buffers);
    struct oxv_node_record record = {
        .vault_id = oxv_view(node->vault_id, sizeof node->vault_id),
        .node_id = oxv_view(node->node_id, sizeof node->node_id),
        .origin = oxv_view_text(node->origin),
        .genesis_vkey = oxv_view_text(node->vkey),
        .created_us = node->created_us,
        .root_generation = binding->root_generation,
    };
    struct oxv_store_row stored = { .table = OXV_TABLE_NODE,
                                    .id = OXV_NODE_ID,
                                    .version = version };
    struct oxv_node_secret secret = { 0 };
    uint8_t hash[32];
    uint8_t encoded[64];
    struct oxv_writer w = oxv_writer(encoded, sizeof encoded);

    if (buffers == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for the node's record");
    }
    if (oxv_vault_machine_hash(binding, machine_id, hash)) {
        secret.machine_hash = oxv_view(hash, sizeof hash);
    }
    oxv_fields_encode(&w, &oxv_node_secret_shape, &secret);
    enum oxv_status st = oxv_row_encode(&record, buffers, &stored, err);

    if (st == OXV_OK) {
        st = oxv_row_seal(binding, oxv_view(encoded, w.len), buffers, &stored, err);
    }
    return st == OXV_OK ? oxv_row_new(&stored, out, err) : st;
}
