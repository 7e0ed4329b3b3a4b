/*
 * records: what the vault keeps, as structs with shapes (base/fields.h). The public part of a row
 * is the encoded struct; the secret part is another one. All are authenticated together.
 */
#ifndef OXV_VAULT_RECORDS_H
#define OXV_VAULT_RECORDS_H

#include "base/fields.h"
#include "base/token_terms.h"

#define OXV_NAME_MAX_BYTES          64u /* of connections, callers: [A-Za-z0-9][A-Za-z0-9._-]* */
#define OXV_ID_BYTES                16u /* vault id, node id */
#define OXV_SEALS_MAX               16u
#define OXV_GRANT_LIST_MAX_BYTES    4096u
#define OXV_RATE_MAX                1000000u /* signatures in a grant's period */
#define OXV_KEY_MAX_BYTES           8192u    /* a signing key; an RSA key of 4096 bits has 2.4 KB */
#define OXV_KEPT_SECRET_MAX_BYTES   1024u    /* consumer and token secret */
#define OXV_RECORD_MAX_BYTES        32768u   /* an encoded public part */
#define OXV_RECORD_SECRET_MAX_BYTES 12288u   /* an encoded secret part */

/* Numbers are part of what is authenticated: never reuse one. */
enum oxv_table {
    OXV_TABLE_NODE = 1,
    OXV_TABLE_SEAL = 2,
    OXV_TABLE_CONNECTION = 3,
    OXV_TABLE_CALLER = 4,
    OXV_TABLE_GRANT = 5,
    OXV_TABLE_ADMIN = 6,
    OXV_TABLE_TOKEN = 7,
    OXV_TABLE_END = 8,
};

enum oxv_system { OXV_SYSTEM_NETSUITE = 1, OXV_SYSTEM_OAUTH1 = 2 };

/* Kinds of signature, as bits of a grant. */
enum oxv_kind {
    OXV_KIND_OAUTH1 = 1,           /* "oauth1" */
    OXV_KIND_TOKEN_PASSPORT = 2,   /* "token-passport" */
    OXV_KIND_CONNECT_PASSWORD = 4, /* "connect-password" */
    OXV_KIND_ALL = 7,
};

enum oxv_seal_kind { OXV_SEAL_PASSPHRASE = 1, OXV_SEAL_KEYFILE = 2, OXV_SEAL_TOKEN = 3 };

/* One row, id 1. */
struct oxv_node_record {
    struct oxv_view vault_id; /* OXV_ID_BYTES */
    struct oxv_view node_id;
    struct oxv_view origin;       /* of the log */
    struct oxv_view genesis_vkey; /* C2SP verifier key */
    uint64_t created_us;
    uint64_t root_generation; /* from 1 */
};

struct oxv_node_secret {
    struct oxv_view machine_hash; /* 32 bytes; empty: bound to no machine */
};

/* Its sealed part is the root key under the seal's wrapping key. */
struct oxv_seal_record {
    uint64_t kind; /* enum oxv_seal_kind */
    uint64_t created_us;
    uint64_t kdf_ops;          /* passphrase: 1..16 */
    uint64_t kdf_memory_bytes; /* passphrase: 8 MiB..1 GiB */
    struct oxv_view kdf_salt;  /* passphrase: 16 bytes */
    struct oxv_view check;     /* 32 bytes: tells a wrong passphrase from damage */
    /* token: all that unseal needs; it does exactly this, or fails */
    struct oxv_view module;    /* absolute path, or p11-kit name */
    struct oxv_view token_uri; /* pkcs11:model=...;manufacturer=...;serial=...;token=... */
    uint64_t mechanism;        /* enum oxv_token_mechanism */
    uint64_t gcm_iv;           /* enum oxv_token_gcm_iv; with AES-GCM only */
    struct oxv_view key_id;    /* CKA_ID */
    struct oxv_view key_hash;  /* SHA-256 of the public key's DER; empty: it has none */
    struct oxv_view blob;      /* the value, wrapped by the token's key */
};

/* A token that signs for connections. */
struct oxv_token_record {
    uint64_t created_us;
    struct oxv_view module;
    struct oxv_view token_uri;  /* as in a seal */
    struct oxv_view pair_id;    /* CKA_ID of the RSA pair that only unwraps; empty: there is none,
                                   keys are made as objects of the token */
    struct oxv_view public_key; /* of that pair: SubjectPublicKeyInfo, DER */
    uint64_t oaep;              /* enum oxv_token_oaep; with a pair only */
};

struct oxv_connection_record {
    uint64_t system;           /* enum oxv_system */
    uint64_t signature_method; /* enum oxv_signature_method of the signer */
    uint64_t created_us;
    struct oxv_view name;
    struct oxv_view account_id; /* NetSuite: realm form, 1234567_SB1 */
    struct oxv_view consumer_key;
    struct oxv_view token_id;
    struct oxv_view realm; /* oauth1 systems; NetSuite's is the account id */
    struct oxv_view role_id;
    struct oxv_view application_id;
    struct oxv_view origins; /* LIST of https://host[:port]; NetSuite: the derived ones first */
    uint64_t key_form;       /* enum oxv_key_form */
    uint64_t key_token;      /* row of the token that has the key */
    struct oxv_view key_id;  /* CKA_ID of the key there */
};

struct oxv_connection_secret {
    /* In the vault: K0 of one hash block (design 5.3), or an RSA key as PKCS#8 DER. UNWRAP: K0
     * sealed to the token's key. Else empty, but for a TOKEN key on its way in: K0. */
    struct oxv_view key;
    struct oxv_view consumer_secret; /* --keep-secrets only */
    struct oxv_view token_secret;    /* --keep-secrets only */
    struct oxv_view check_value;     /* in a token: the HMAC of oxv_key_check_message() */
};

struct oxv_caller_record {
    uint64_t uid_plus1;
    uint64_t disabled; /* 0 or 1 */
    uint64_t created_us;
    struct oxv_view name;
};

struct oxv_grant_record {
    uint64_t caller_id;
    uint64_t connection_id;
    uint64_t kinds;         /* bits of enum oxv_kind */
    uint64_t rate_count;    /* signatures per rate_period_s; 0: unlimited */
    uint64_t rate_period_s; /* 1, 60 or 3600 */
    uint64_t not_before_us; /* up to OXV_TIMESTAMP_MAX_US; 0: open */
    uint64_t not_after_us;  /* likewise */
    uint64_t created_us;
    struct oxv_view methods; /* LIST, upper case; empty: any */
    struct oxv_view paths;   /* LIST of globs; empty: no path, so oauth1 never matches */
    struct oxv_view query;   /* LIST of name, value pairs that must be there exactly once */
};

struct oxv_admin_record {
    uint64_t uid_plus1;
    uint64_t created_us;
};

extern const struct oxv_shape oxv_node_shape;
extern const struct oxv_shape oxv_node_secret_shape;
extern const struct oxv_shape oxv_seal_shape;
extern const struct oxv_shape oxv_connection_shape;
extern const struct oxv_shape oxv_connection_secret_shape;
extern const struct oxv_shape oxv_caller_shape;
extern const struct oxv_shape oxv_grant_shape;
extern const struct oxv_shape oxv_admin_shape;
extern const struct oxv_shape oxv_token_shape;

bool oxv_name_is_valid(struct oxv_view name);
/* "oauth1", "token-passport", "connect-password"; NULL for anything but one bit. */
const char *oxv_kind_name(uint64_t kind);
/* 0 for a name that is none. */
uint64_t oxv_kind_parse(struct oxv_view name);
const char *oxv_system_name(uint64_t system);
uint64_t oxv_system_parse(struct oxv_view name);
const char *oxv_seal_kind_name(uint64_t kind);

/*
 * Rules that span fields, checked wherever a record enters (import, box, load): names, NetSuite
 * only with HMAC-SHA256 and a valid account id, the derived origins present, origins well-formed,
 * http only for loopback, method and glob syntax, key length for the method and place. A key in a
 * token is an HMAC key, and has token, id and check value; those of forms UNWRAP and TOKEN have an
 * id that we draw. oxv_connection_secret_check() takes the key of form TOKEN, for its way in; a
 * vault does not keep it.
 *   OXV_E_USAGE  *err names field and reason
 */
OXV_MUST_USE enum oxv_status oxv_connection_check(const struct oxv_connection_record *record,
                                                  struct oxv_err *err);
OXV_MUST_USE enum oxv_status oxv_connection_secret_check(const struct oxv_connection_record *record,
                                                         const struct oxv_connection_secret *secret,
                                                         struct oxv_err *err);
OXV_MUST_USE enum oxv_status oxv_grant_check(const struct oxv_grant_record *record,
                                             struct oxv_err *err);
OXV_MUST_USE enum oxv_status oxv_token_check(const struct oxv_token_record *record,
                                             struct oxv_err *err);
OXV_MUST_USE enum oxv_status oxv_caller_check(const struct oxv_caller_record *record,
                                              struct oxv_err *err);

/*
 * oxv_fields_encode() that says what is wrong. Where it fails, so has the writer.
 *   OXV_E_USAGE  a field breaks its shape, or all do not fit: *err names shape and field
 */
OXV_MUST_USE enum oxv_status oxv_record_encode(struct oxv_writer *w, const struct oxv_shape *shape,
                                               const void *in, struct oxv_err *err);

#endif
