/*
 * key_place: where the signing key of a connection goes. Of a key in a token: which token, in which
 * form, under which id, and what the command makes of K0 before anything leaves it.
 */
#ifndef OXV_CLI_KEY_PLACE_H
#define OXV_CLI_KEY_PLACE_H

#include "base/secret.h"
#include "cli/cli.h"
#include "cli/sealed_box.h"
#include "vault/records.h"

struct oxv_key_place {
    uint64_t form;  /* enum oxv_key_form; IN_VAULT: nothing below counts */
    uint64_t token; /* its row */
    uint8_t key_id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t key_id_len;
    uint8_t old_key_id[OXV_TOKEN_KEY_ID_MAX_BYTES]; /* of a key that moves out of a token ... */
    size_t old_key_id_len;                          /* ... else 0 */
    bool new_secrets;                               /* it may be another key than it was */
    struct oxv_pub_token known; /* the token, as vault.pub has it; UNWRAP: with its pair */
};

/*
 * What is wrong about --in-token, --module, --key-id, --objects-only and the PIN options, which the
 * command must have, before the service or anybody is asked.
 */
enum oxv_exit oxv_key_place_check(const struct oxv_cli *cli);

/* With --in-token: can a token sign by this connection's method? */
enum oxv_exit oxv_key_place_check_method(const struct oxv_cli *cli,
                                         const struct oxv_connection_record *record);

/*
 * Makes the token of --in-token known to the service, and fills *out. Which token that is, and its
 * RSA key, come from RUN/vault.pub alone. Where the service will see the key (form TOKEN), and
 * --objects-only does not say that this is known, it is warned of. Without --in-token the key goes
 * into the vault.
 */
enum oxv_exit oxv_key_place_find(struct oxv_cli *cli, struct oxv_key_place *out);

/* What goes into a box about a key: views of `room`, or of k0. */
struct oxv_key_parts {
    struct oxv_view key;
    struct oxv_view check_value; /* in a token */
    struct oxv_view old_check;   /* where it was in a token: the same by the id that it had there */
};
#define OXV_KEY_PARTS_ROOM_BYTES (OXV_TOKEN_BLOB_MAX_BYTES + 2u * OXV_TOKEN_MAC_MAX_BYTES)

/*
 * For a place in a token: the check value, and the blob (UNWRAP), K0 itself (TOKEN) or nothing; in
 * the vault K0.
 * `room` is locked memory of OXV_KEY_PARTS_ROOM_BYTES.
 *   OXV_E_FORMAT    the public key is no RSA key of at least 2048 bits
 *   OXV_E_INTERNAL  OpenSSL cannot seal
 */
OXV_MUST_USE enum oxv_status oxv_key_place_parts(const struct oxv_key_place *place, uint64_t method,
                                                 struct oxv_view k0, struct oxv_secret *room,
                                                 struct oxv_key_parts *out, struct oxv_err *err);

#endif
