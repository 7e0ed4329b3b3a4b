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
    OXV_BOX_TOKEN_ADD = 5,
    OXV_BOX_TOKEN_LOGIN = 6,
    OXV_BOX_CONNECTION_MOVE = 7, /* struct oxv_box_connection: all of the record as it shall be */
    OXV_BOX_REKEY = 8,
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
    /* 32 bytes: stretched passphrase, or key file. Token: its PIN, empty for a PIN pad. */
    struct oxv_view material;
};
struct oxv_box_seal_add {
    uint64_t existing_id;
    uint64_t existing_kind;
    uint64_t kind;
    uint64_t kdf_ops;
    uint64_t kdf_memory_bytes;
    struct oxv_view kdf_salt;
    struct oxv_view existing_material; /* as in unseal */
    struct oxv_view material;          /* likewise */
    /* a seal of kind token: how it is to be made */
    struct oxv_view module;
    struct oxv_view uri;
    struct oxv_view key_id; /* CKA_ID of the key to use; empty: the one that fits */
    uint64_t generate;      /* 1: a key is to be made */
    uint64_t mechanism;     /* enum oxv_token_mechanism; 0: the best that works */
    uint64_t gcm_iv;        /* enum oxv_token_gcm_iv; 0: host */
    uint64_t allow_oaep_sha1;
    uint64_t allow_pkcs1;
};
struct oxv_box_token_add {
    struct oxv_view module;
    struct oxv_view uri;
    struct oxv_view pin;     /* empty: the service has one, or there is a PIN pad */
    struct oxv_view pair_id; /* CKA_ID of an RSA pair to use; empty: one is made */
    uint64_t objects_only;   /* 1: no pair, keys are made as objects of the token */
};
struct oxv_box_token_login {
    uint64_t id; /* row of the token; 0: the token of a seal */
    struct oxv_view pin;
};
struct oxv_box_connection {
    struct oxv_view record; /* encoded struct oxv_connection_record */
    struct oxv_view secret; /* encoded struct oxv_connection_secret */
    /* CONNECTION_MOVE: of a key in a token until now, its check value made with the key that was
     * entered again; and 1 where that may be another key than it was. */
    struct oxv_view old_check;
    uint64_t new_secrets;
};
struct oxv_box_import {
    struct oxv_view session;     /* the import session's id, from the keeper */
    uint64_t chunk;              /* from 1 */
    struct oxv_view connections; /* LIST of encoded struct oxv_box_connection */
};

/* What may open one seal. */
struct oxv_box_rekey_seal {
    uint64_t given; /* which of the secrets that were given, from 1; each must open a seal */
    uint64_t seal_id;
    uint64_t seal_kind;       /* passphrase or key file */
    struct oxv_view material; /* as in unseal */
};
struct oxv_box_rekey {
    uint64_t drop_others;  /* 1: seals that none of these opens are removed */
    struct oxv_view seals; /* LIST of encoded struct oxv_box_rekey_seal, in order of `given` */
};

extern const struct oxv_shape oxv_box_shape;
extern const struct oxv_shape oxv_box_unseal_shape;
extern const struct oxv_shape oxv_box_seal_add_shape;
extern const struct oxv_shape oxv_box_connection_shape;
extern const struct oxv_shape oxv_box_import_shape;
extern const struct oxv_shape oxv_box_token_add_shape;
extern const struct oxv_shape oxv_box_token_login_shape;
extern const struct oxv_shape oxv_box_rekey_seal_shape;
extern const struct oxv_shape oxv_box_rekey_shape;

/* A fresh X25519 pair; the private half is in locked memory. */
OXV_MUST_USE enum oxv_status oxv_box_keypair(uint8_t public_key[OXV_BOX_KEY_BYTES],
                                             struct oxv_secret **private_key, struct oxv_err *err);

/*
 * The command's side: encodes and seals. `payload` is a struct that `payload_shape` describes, the
 * one of head->purpose; it is encoded in locked memory. Writes the box into `out`.
 *   OXV_E_USAGE  a field breaks its shape, or the fields do not go together
 */
OXV_MUST_USE enum oxv_status oxv_box_seal(struct oxv_writer *out,
                                          const uint8_t public_key[OXV_BOX_KEY_BYTES],
                                          const struct oxv_box *head,
                                          const struct oxv_shape *payload_shape,
                                          const void *payload, struct oxv_err *err);

/*
 * The keeper's side: opens into locked memory, checks purpose and vault id, and of unseal and seal
 * add that the material is as long as its kind says: 32 bytes, or a PIN. *head borrows from *plain,
 * which the caller owns. The challenge is for the caller to check and to burn.
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

#define OXV_VAULT_PUB_MAX_BYTES 65536u

/*
 * The text of RUN/vault.pub: "oxvault-vault-pub/1 <vault id hex> <base64 key>\n", and while the
 * vault is open a line for each token that has a row, rows ascending; of one with a pair that
 * unwraps, and of one whose keys are objects:
 *   "token <row> <canonical URI> <oaep-sha256|oaep-sha1> <base64 public key, DER>\n"
 *   "token <row> <canonical URI> none -\n"
 * All of it is checked, whatever is looked for: a text has one spelling.
 */
OXV_MUST_USE enum oxv_status oxv_vault_pub_write(struct oxv_writer *w, const uint8_t *vault_id,
                                                 const uint8_t public_key[OXV_BOX_KEY_BYTES]);
OXV_MUST_USE enum oxv_status oxv_vault_pub_parse(struct oxv_view text, uint8_t *vault_id,
                                                 uint8_t public_key[OXV_BOX_KEY_BYTES],
                                                 struct oxv_err *err);

/* What vault.pub says of a token. */
struct oxv_pub_token {
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1]; /* canonical */
    enum oxv_token_oaep oaep;
    uint8_t key[OXV_TOKEN_PUBLIC_KEY_MAX_BYTES]; /* SubjectPublicKeyInfo, DER */
    size_t key_len;                              /* 0: it has no pair */
};

/* A line of vault.pub about a token, appended. OXV_E_USAGE, and nothing written: no good URI. */
OXV_MUST_USE enum oxv_status oxv_vault_pub_write_token(struct oxv_writer *w, uint64_t id,
                                                       const struct oxv_token_record *token);
/*
 * The line of row `id` looked up.
 *   OXV_E_NOT_FOUND  there is none    OXV_E_FORMAT  no such text. Nothing is written
 */
OXV_MUST_USE enum oxv_status oxv_vault_pub_find_token(struct oxv_view text, uint64_t id,
                                                      struct oxv_pub_token *out,
                                                      struct oxv_err *err);

#endif
