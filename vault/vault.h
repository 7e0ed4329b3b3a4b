/*
 * vault: the sealed records (design.md 5): open, unseal, look up, change. One process at a time.
 * Nothing here writes the log: the caller does, in the order that change.h states.
 */
#ifndef OXV_VAULT_VAULT_H
#define OXV_VAULT_VAULT_H

#include "base/secret.h"
#include "signer/oauth1.h"
#include "signer/url.h"
#include "vault/records.h"

#define OXV_ROOT_KEY_BYTES       32u
#define OXV_KEYFILE_BYTES        32u
#define OXV_PASSPHRASE_MAX_BYTES 1024u
#define OXV_SIGNATURE_MAX_BYTES  1024u
#define OXV_SCHEMA_VERSION       1u

struct oxv_log_opened; /* vault/log/log.h */
struct oxv_vault;

/* A loaded connection; borrowed from the vault, until the next change or lock. */
struct oxv_connection {
    uint64_t id;
    uint64_t version;
    struct oxv_connection_record record; /* views live as long as this */
};
struct oxv_caller {
    uint64_t id;
    uint64_t version;
    struct oxv_caller_record record;
};
struct oxv_grant {
    uint64_t id;
    uint64_t version;
    struct oxv_grant_record record;
    /* The keeper's token bucket (GCRA, nanoseconds since boot); kept while the grant is unchanged.
     */

    uint64_t bucket_full_at_ns;
};
struct oxv_admin {
    uint64_t id;
    uint64_t version;
    struct oxv_admin_record record;
};
struct oxv_seal {
    uint64_t id;
    uint64_t version;
    struct oxv_seal_record record;
};

struct oxv_token {
    uint64_t id;
    uint64_t version;
    struct oxv_token_record record;
};

/* The material that opens or makes a seal. Exactly one of the three is set. */
struct oxv_seal_input {
    enum oxv_seal_kind kind;
    const struct oxv_secret *stretched;   /* passphrase: the 32-byte Argon2id output */
    const struct oxv_secret *keyfile;     /* key file: its 32 bytes */
    const struct oxv_secret *token_value; /* token: the 32 bytes that it unwrapped */
};

/* The material that a seal of this kind takes. It is borrowed. */
struct oxv_seal_input oxv_seal_input_of(enum oxv_seal_kind kind, const struct oxv_secret *material);

/* Argon2id (libsodium) of a passphrase: 32 bytes. Parameters out of bounds: OXV_E_FORGED. */
OXV_MUST_USE enum oxv_status oxv_passphrase_stretch(const struct oxv_secret *passphrase,
                                                    const struct oxv_seal_record *parameters,
                                                    struct oxv_secret **out, struct oxv_err *err);
/* MODERATE parameters and a fresh salt into *record; salt_buffer backs the view. */
void oxv_passphrase_parameters(struct oxv_seal_record *record, uint8_t salt_buffer[16]);

/* How a vault is made. */
struct oxv_vault_new {
    const struct oxv_seal_input *seal;
    const struct oxv_seal_record *seal_record; /* kind and KDF parameters; check is filled in */
    uint64_t admin_uid;
    struct oxv_view machine_id; /* text of /etc/machine-id, may be empty */
};

/*
 * Makes vault.db and log/ in the empty directory dir_fd. vkey receives the log's genesis key.
 *   OXV_E_CONFLICT  the directory is not empty
 */
OXV_MUST_USE enum oxv_status oxv_vault_create(int dir_fd, const struct oxv_vault_new *options,
                                              char *vkey, size_t vkey_size, struct oxv_err *err);

/*
 * Opens vault.db (dir_fd and its path, which SQLite needs), checks its schema and reads what is
 * readable while sealed: ids and seals. Nothing read here is trusted before unseal.
 *   OXV_E_NOT_FOUND  no vault here
 *   OXV_E_STORE      not SQLite, quick_check fails, or another schema or a trigger: damaged
 *   OXV_E_LIMIT      a newer schema version than this program knows
 *   OXV_E_CONFLICT   another process has it open
 */
OXV_MUST_USE enum oxv_status oxv_vault_open(const char *dir_path, int dir_fd,
                                            struct oxv_vault **out, struct oxv_err *err);
void oxv_vault_free(struct oxv_vault *vault);

/*
 * Tries the seals of input->kind (only `seal_id` if not 0), derives the subkeys, wipes the root key
 * and authenticates and loads every row.
 *   OXV_E_LOCKED  no seal opens: wrong passphrase, key file, token value, or that seal was changed
 *   OXV_E_FORGED  a row or the manifest was changed from outside: *err names table, id, counters
 *   OXV_E_CONFLICT  bound to another machine
 */
OXV_MUST_USE enum oxv_status oxv_vault_unseal(struct oxv_vault *vault,
                                              const struct oxv_seal_input *input, uint64_t seal_id,
                                              struct oxv_view machine_id, struct oxv_err *err);
/*
 * The same on any machine: for restore and adopt, which make a new node of it. Such a vault must
 * not sign.
 */
OXV_MUST_USE enum oxv_status oxv_vault_unseal_copy(struct oxv_vault *vault,
                                                   const struct oxv_seal_input *input,
                                                   uint64_t seal_id, struct oxv_err *err);
/*
 * Does the material open a seal (only `seal_id` if not 0)? Changes nothing, sealed or open: to know
 * before something is made in a token. Statuses as oxv_vault_unseal().
 */
OXV_MUST_USE enum oxv_status oxv_vault_check_seal(const struct oxv_vault *vault,
                                                  const struct oxv_seal_input *input,
                                                  uint64_t seal_id, struct oxv_err *err);
/* Wipes every key and forgets the records (seals and ids stay readable). */
void oxv_vault_lock(struct oxv_vault *vault);
bool oxv_vault_is_open(const struct oxv_vault *vault);

/* Known while sealed too (then not yet authenticated). */
const uint8_t *oxv_vault_id(const struct oxv_vault *vault); /* OXV_ID_BYTES */
const struct oxv_node_record *oxv_vault_node(const struct oxv_vault *vault);
size_t oxv_vault_seals(const struct oxv_vault *vault, const struct oxv_seal **out);

/* Only while open. */
uint64_t oxv_vault_counter(const struct oxv_vault *vault);
void oxv_vault_digest_hex(const struct oxv_vault *vault, char out[65]);
bool oxv_vault_is_machine_bound(const struct oxv_vault *vault);
/* The subkey that the ratchet of epoch.key starts from; borrowed. NULL once it is wiped. */
const struct oxv_secret *oxv_vault_log_wrap_key(const struct oxv_vault *vault);
/* Wipes it: when the log is open nothing needs it until the next unseal. */
void oxv_vault_wipe_log_wrap_key(struct oxv_vault *vault);
/* HMAC of a whole URL under a subkey, for url_hash; 64 hex characters and NUL. */
OXV_MUST_USE enum oxv_status oxv_vault_url_hash(struct oxv_vault *vault, struct oxv_view url,
                                                char out[65]);

struct oxv_connection *oxv_vault_connection(struct oxv_vault *vault, struct oxv_view name);
struct oxv_connection *oxv_vault_connection_by_id(struct oxv_vault *vault, uint64_t id);
struct oxv_caller *oxv_vault_caller_by_uid(struct oxv_vault *vault, uint64_t uid);
struct oxv_caller *oxv_vault_caller(struct oxv_vault *vault, struct oxv_view name);
struct oxv_caller *oxv_vault_caller_by_id(struct oxv_vault *vault, uint64_t id);
struct oxv_grant *oxv_vault_grant_by_id(struct oxv_vault *vault, uint64_t id);
struct oxv_admin *oxv_vault_admin_by_uid(struct oxv_vault *vault, uint64_t uid);
/* The i-th grant of this pair, in order of id; NULL beyond the last. In time that does not depend
 * on how many other grants there are. */
struct oxv_grant *oxv_vault_pair_grant(struct oxv_vault *vault, uint64_t caller_id,
                                       uint64_t connection_id, size_t i);
/* Rows in ascending order of id, from the first above `after`; NULL at the end. */
struct oxv_connection *oxv_vault_next_connection(struct oxv_vault *vault, uint64_t after);
struct oxv_caller *oxv_vault_next_caller(struct oxv_vault *vault, uint64_t after);
struct oxv_grant *oxv_vault_next_grant(struct oxv_vault *vault, uint64_t after);
struct oxv_admin *oxv_vault_next_admin(struct oxv_vault *vault, uint64_t after);
struct oxv_token *oxv_vault_next_token(struct oxv_vault *vault, uint64_t after);
struct oxv_token *oxv_vault_token_by_id(struct oxv_vault *vault, uint64_t id);
/* How many connections have their key in it, without looking at them. */
uint64_t oxv_vault_connections_in_token(const struct oxv_vault *vault, uint64_t id);
struct oxv_token *oxv_vault_token_by_uri(struct oxv_vault *vault, struct oxv_view token_uri);
size_t oxv_vault_count(const struct oxv_vault *vault, enum oxv_table table);

/*
 * The MAC or RSA signature over `message` with the connection's key. The key is opened into locked
 * memory for this one use and wiped; the MAC context is keyed with zeros afterwards. From the first
 * use on the connection has its MAC key in memory once more, encrypted under a key of this process.
 *   OXV_E_USAGE  its key is in a token
 */
OXV_MUST_USE enum oxv_status oxv_vault_sign(struct oxv_vault *vault,
                                            struct oxv_connection *connection,
                                            struct oxv_view message,
                                            uint8_t signature[OXV_SIGNATURE_MAX_BYTES],
                                            size_t *signature_len, struct oxv_err *err);

#define OXV_KEY_CHECK_PREFIX            "\0oxvault kat v1" /* no base string begins with a NUL */
#define OXV_KEY_CHECK_MESSAGE_MAX_BYTES (16u + OXV_TOKEN_KEY_ID_MAX_BYTES)
/*
 * What the check value of a key in a token is the HMAC of: the prefix (15 bytes, its NUL the first)
 * and the key's CKA_ID, which is one connection's. False where it does not fit.
 */
OXV_MUST_USE bool oxv_key_check_message(struct oxv_writer *w, struct oxv_view key_id);

/*
 * The blob (UNWRAP form) of a connection whose key is in a token, and its check value, into locked
 * memory. Other forms have no blob: it is empty.
 *   OXV_E_USAGE   the key is in the vault
 *   OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status
oxv_vault_token_key(struct oxv_vault *vault, struct oxv_connection *connection,
                    struct oxv_secret **blob, struct oxv_secret **check_value, struct oxv_err *err);

/* What the log says of the database at start (design 5.2). */
enum oxv_log_agreement {
    OXV_AGREES,          /* go */
    OXV_AGREES_NOT_DONE, /* go, but the last change lacks its change.done: log it */
    OXV_ONE_BEHIND,      /* killed between log and database: log change.undone, go */
};
/*
 * Compares the counter and digest with those last logged; one behind are only the very records
 * that the change before the last one logged. OXV_E_FORGED names both counters.
 */
OXV_MUST_USE enum oxv_status oxv_vault_compare_log(const struct oxv_vault *vault,
                                                   const struct oxv_log_opened *logged,
                                                   enum oxv_log_agreement *out,
                                                   struct oxv_err *err);

OXV_DEFINE_OWNER(oxv_vault);

#endif
