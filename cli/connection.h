/* connection: from the fields that a user gives to the record and key that go into a box. */
#ifndef OXV_CLI_CONNECTION_H
#define OXV_CLI_CONNECTION_H

#include "base/secret.h"
#include "vault/box.h"

#define OXV_ORIGINS_MAX_BYTES     4096u
#define OXV_CONNECTION_ROOM_BYTES OXV_RECORD_SECRET_MAX_BYTES

/* As given. A text that was not given is empty. All borrowed. */
struct oxv_connection_fields {
    struct oxv_view name;
    struct oxv_view system;
    struct oxv_view account_id; /* either form */
    struct oxv_view consumer_key;
    struct oxv_view token_id;
    struct oxv_view role_id;
    struct oxv_view application_id;
    struct oxv_view realm;
    struct oxv_view signature_method; /* empty: HMAC-SHA256 */
    struct oxv_view origins;          /* LIST, beyond those that follow from the account */
};

/* The record, and the texts it borrows besides those given. */
struct oxv_connection_draft {
    struct oxv_connection_record record;
    char account[64];
    uint8_t origins[OXV_ORIGINS_MAX_BYTES];
};

/*
 * Fills *draft, which borrows *fields, and checks what can be checked without the secrets. Do not
 * copy or move the draft.
 *   OXV_E_USAGE  *err names the field
 */
OXV_MUST_USE enum oxv_status oxv_connection_draft(const struct oxv_connection_fields *fields,
                                                  struct oxv_connection_draft *draft,
                                                  struct oxv_err *err);

struct oxv_key_place;

/* What is secret about a connection: an RSA key, or the pair. */
struct oxv_connection_keys {
    const struct oxv_secret *consumer;
    const struct oxv_secret *token;
    const struct oxv_secret *rsa;      /* PKCS#8 DER; NULL for the HMAC methods */
    bool keep;                         /* the pair goes into the vault too */
    const struct oxv_key_place *place; /* of the key; NULL: in the vault */
    /* To work in, used again from one to the next; contents do not matter. */
    struct oxv_secret *room;     /* OXV_CONNECTION_ROOM_BYTES */
    struct oxv_secret *key_room; /* OXV_K0_ROOM_BYTES; NULL with an RSA key */
    struct oxv_secret
        *parts_room; /* OXV_KEY_PARTS_ROOM_BYTES; NULL where the key is in the vault */
};

/*
 * Writes the encoded struct oxv_box_connection of a draft to `w`, which must lie in locked memory.
 * The key is computed here, and for one in a token its check value; of form UNWRAP it is sealed to
 * the token here too.
 *   OXV_E_USAGE, OXV_E_LIMIT, OXV_E_MEMORY, OXV_E_FORMAT  *err says what is wrong
 */
OXV_MUST_USE enum oxv_status oxv_connection_encode(const struct oxv_connection_draft *draft,
                                                   const struct oxv_connection_keys *keys,
                                                   struct oxv_writer *w, struct oxv_err *err);

#endif
