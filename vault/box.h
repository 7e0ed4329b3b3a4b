/*
 * box: everything secret that crosses a door (design.md 5.5). The command seals, the keeper opens;
 * what lies between sees ciphertext. The keeper uses nothing from outside the box.
 */
#ifndef OXV_VAULT_BOX_H
#define OXV_VAULT_BOX_H

#include "vault/vault.h"

#define OXV_CHALLENGE_BYTES 32u
#define OXV_BOX_MAX_BYTES   46080u /* base64 of it fits a 64 KiB body */
#define OXV_BOX_KEY_BYTES   32u

/* Numbers are fixed. */
enum oxv_box_purpose {
    OXV_BOX_UNSEAL = 1,
    OXV_BOX_SEAL_ADD = 2,
    OXV_BOX_CONNECTION_ADD = 3,
    OXV_BOX_CONNECTION_IMPORT = 4, /* one chunk of `connection import` */
};

/* The canonical record inside a box. */
struct oxv_box {
    uint64_t purpose;
    struct oxv_view vault_id;
    struct oxv_view challenge;
    struct oxv_view payload; /* by purpose: one of the structs below, encoded */
};

struct oxv_box_unseal {
    uint64_t seal_id;
    uint64_t seal_kind;
    struct oxv_view material; /* 32 bytes: stretched passphrase, or key file */
};
struct oxv_box_seal_add {
    uint64_t existing_id;
    uint64_t existing_kind;
    uint64_t kind;
    uint64_t kdf_ops;
    uint64_t kdf_memory_bytes;
    struct oxv_view kdf_salt;
    struct oxv_view existing_material;
    struct oxv_view material;
};
struct oxv_box_connection {
    struct oxv_view record; /* encoded struct oxv_connection_record */
    struct oxv_view secret; /* encoded struct oxv_connection_secret */
};
struct oxv_box_import {
    struct oxv_view session;     /* the import session's id, from the keeper */
    uint64_t chunk;              /* from 1 */
    struct oxv_view connections; /* LIST of encoded struct oxv_box_connection */
};

extern const struct oxv_shape oxv_box_shape;
extern const struct oxv_shape oxv_box_unseal_shape;
extern const struct oxv_shape oxv_box_seal_add_shape;
extern const struct oxv_shape oxv_box_connection_shape;
extern const struct oxv_shape oxv_box_import_shape;

/* A fresh X25519 pair; the private half is in locked memory. */
OXV_MUST_USE enum oxv_status oxv_box_keypair(uint8_t public_key[OXV_BOX_KEY_BYTES],
                                             struct oxv_secret **private_key, struct oxv_err *err);

/*
 * The command's side: encodes and seals. `payload` is a struct that `payload_shape` describes; it
 * is encoded in locked memory. Writes the box into `out`.
 */
OXV_MUST_USE enum oxv_status oxv_box_seal(struct oxv_writer *out,
                                          const uint8_t public_key[OXV_BOX_KEY_BYTES],
                                          const struct oxv_box *head,
                                          const struct oxv_shape *payload_shape,
                                          const void *payload, struct oxv_err *err);

/*
 * The keeper's side: opens into locked memory, checks purpose and vault id. *head borrows from
 * *plain, which the caller owns. The challenge is for the caller to check and to burn.
 *   OXV_E_FORGED  not sealed to this key, or damaged
 *   OXV_E_DENIED  another purpose or another vault
 *   OXV_E_FORMAT  not the canonical record
 */
OXV_MUST_USE enum oxv_status oxv_box_open(struct oxv_view box,
                                          const uint8_t public_key[OXV_BOX_KEY_BYTES],
                                          const struct oxv_secret *private_key,
                                          enum oxv_box_purpose purpose, const uint8_t *vault_id,
                                          struct oxv_secret **plain, struct oxv_box *head,
                                          struct oxv_err *err);

/* The text of RUN/vault.pub: "oxvault-vault-pub/1 <vault id hex> <base64 key>\n". */
OXV_MUST_USE enum oxv_status oxv_vault_pub_write(struct oxv_writer *w, const uint8_t *vault_id,
                                                 const uint8_t public_key[OXV_BOX_KEY_BYTES]);
OXV_MUST_USE enum oxv_status oxv_vault_pub_parse(struct oxv_view text, uint8_t *vault_id,
                                                 uint8_t public_key[OXV_BOX_KEY_BYTES],
                                                 struct oxv_err *err);

#endif
