/*
 * node: one service with a log of its own (design.md 7). A vault has one; init, restore and adopt
 * each make a new one.
 */
#ifndef OXV_VAULT_NODE_H
#define OXV_VAULT_NODE_H

#include "vault/log/log.h"
#include "vault/vault_impl.h"

#define OXV_ID_HEX_BYTES (2u * OXV_ID_BYTES + 1u) /* with its NUL */

/* A node in the making. */
struct oxv_new_node {
    uint8_t vault_id[OXV_ID_BYTES];
    uint8_t node_id[OXV_ID_BYTES];
    char vault_hex[OXV_ID_HEX_BYTES];
    char node_hex[OXV_ID_HEX_BYTES];
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    char vkey[OXV_LOG_VKEY_MAX_BYTES]; /* once its log is made */
    uint64_t created_us;
};

void oxv_id_hex(const uint8_t id[OXV_ID_BYTES], char out[OXV_ID_HEX_BYTES]);

/* Draws the node's id. */
void oxv_new_node_init(struct oxv_new_node *node, const uint8_t vault_id[OXV_ID_BYTES]);

/*
 * Makes log/ below dir_fd, with entry 0, which names the state `manifest` (the node's row counted
 * in), and then `why` (NULL: nothing further), both durable. Statuses as oxv_log_create().
 */
OXV_MUST_USE enum oxv_status oxv_new_node_log(struct oxv_new_node *node, int dir_fd,
                                              const struct oxv_keys *keys,
                                              const struct oxv_manifest *manifest,
                                              const struct oxv_entry *why, struct oxv_err *err);

/* The node's row at change `version`, bound to the machine. It holds the key that the log made. */
OXV_MUST_USE enum oxv_status oxv_new_node_row(const struct oxv_new_node *node,
                                              const struct oxv_vault_binding *binding,
                                              uint64_t version, struct oxv_view machine_id,
                                              struct oxv_row **out, struct oxv_err *err);

#endif
