/*
 * messages: every message that crosses a channel, with the shape of its payload. The JSON field
 * names of requests are the member names: a frontend turns JSON into a message by walking the
 * shape, and answers by turning a document (doc.h) into JSON.
 */
#ifndef OXV_SERVICE_WIRE_MESSAGES_H
#define OXV_SERVICE_WIRE_MESSAGES_H

#include "base/fields.h"
#include "base/token_terms.h"
#include "service/wire/wire.h"

#define OXV_URL_TEXT_MAX_BYTES 8192u

enum oxv_door { OXV_DOOR_SIGN = 1, OXV_DOOR_ADMIN = 2, OXV_DOOR_AUDIT = 3, OXV_DOOR_END = 4 };

/* Numbers of one range go one way only. */
enum oxv_message_type {
    /* frontend to keeper; the shared refusing one sends PEER_CLOSED only */
    OXV_MSG_PEER_CLOSED = 1, /* no answer: one peer's connection ended */
    OXV_MSG_HEALTH,          /* -> DOC */
    OXV_MSG_METRICS,         /* -> DOC with `text` */

    /* frontend to keeper, sign door */
    OXV_MSG_SIGN = 16,   /* struct oxv_msg_sign -> DOC */
    OXV_MSG_CONNECTIONS, /* struct oxv_msg_page -> DOC */
    OXV_MSG_CONNECTION,  /* struct oxv_msg_name -> DOC */

    /* frontend to keeper, admin door */
    OXV_MSG_STATUS = 32,             /* -> DOC */
    OXV_MSG_DOCTOR,                  /* -> DOC */
    OXV_MSG_CHALLENGE,               /* -> DOC */
    OXV_MSG_UNSEAL,                  /* struct oxv_msg_box -> DOC */
    OXV_MSG_LOCK,                    /* -> DOC */
    OXV_MSG_SEALS,                   /* -> DOC */
    OXV_MSG_SEAL_ADD,                /* struct oxv_msg_box */
    OXV_MSG_SEAL_REMOVE,             /* struct oxv_msg_id */
    OXV_MSG_ADMIN_CONNECTIONS,       /* struct oxv_msg_page */
    OXV_MSG_ADMIN_CONNECTION,        /* struct oxv_msg_name */
    OXV_MSG_ADMIN_CONNECTION_ADD,    /* struct oxv_msg_named_box */
    OXV_MSG_ADMIN_CONNECTION_REMOVE, /* struct oxv_msg_name */
    OXV_MSG_IMPORT_BEGIN,            /* -> DOC with `session` */
    OXV_MSG_IMPORT_CHUNK,            /* struct oxv_msg_import_chunk */
    OXV_MSG_IMPORT_COMMIT,           /* struct oxv_msg_import_commit */
    OXV_MSG_IMPORT_ABORT,            /* struct oxv_msg_session */
    OXV_MSG_CALLERS,                 /* struct oxv_msg_page */
    OXV_MSG_CALLER_ADD,              /* struct oxv_msg_caller_add */
    OXV_MSG_CALLER_DISABLE,          /* struct oxv_msg_name */
    OXV_MSG_CALLER_ENABLE,           /* struct oxv_msg_name */
    OXV_MSG_CALLER_REMOVE,           /* struct oxv_msg_name */
    OXV_MSG_GRANTS,                  /* struct oxv_msg_grants */
    OXV_MSG_GRANT_ADD,               /* struct oxv_msg_grant_add */
    OXV_MSG_GRANT_REMOVE,            /* struct oxv_msg_id */
    OXV_MSG_ADMINS,                  /* -> DOC */
    OXV_MSG_ADMIN_ADD,               /* struct oxv_msg_uid */
    OXV_MSG_ADMIN_REMOVE,            /* struct oxv_msg_uid */
    OXV_MSG_TOKENS,                  /* -> DOC */
    OXV_MSG_TOKEN_ADD,               /* struct oxv_msg_box */
    OXV_MSG_TOKEN_LOGIN,             /* struct oxv_msg_box */
    OXV_MSG_TOKEN_REMOVE,            /* struct oxv_msg_id */
    OXV_MSG_ADMIN_CONNECTION_MOVE,   /* struct oxv_msg_named_box */
    OXV_MSG_BACKUP_BEGIN,            /* -> DOC with `session` */
    OXV_MSG_BACKUP_NEXT,             /* struct oxv_msg_session -> DOC with the next piece */
    OXV_MSG_REKEY,                   /* struct oxv_msg_box */
    OXV_MSG_LOG_ROTATE_KEY,          /* -> DOC */

    /* frontend to keeper, audit door */
    OXV_MSG_LOG_INFO = 80,  /* -> DOC */
    OXV_MSG_LOG_READ,       /* struct oxv_msg_log_read -> LOG_OPENED; this is what is logged */
    OXV_MSG_LOG_SEGMENT,    /* struct oxv_msg_log_segment -> LOG_SEGMENT_FD or PROBLEM */
    OXV_MSG_LOG_WAIT,       /* struct oxv_msg_log_wait -> LOG_SIZE, when the log has grown */
    OXV_MSG_LOG_CLOSE,      /* struct oxv_msg_log_segment (read only), no answer */
    OXV_MSG_LOG_CHECKPOINT, /* -> DOC */

    /* keeper to frontend */
    OXV_MSG_DOC = 128,      /* a document, doc.h */
    OXV_MSG_PROBLEM,        /* struct oxv_msg_problem */
    OXV_MSG_PEER,           /* struct oxv_msg_peer and one descriptor: a new peer */
    OXV_MSG_LOG_OPENED,     /* struct oxv_msg_log_opened */
    OXV_MSG_LOG_SEGMENT_FD, /* struct oxv_msg_log_bytes and one descriptor */
    OXV_MSG_LOG_SIZE,       /* struct oxv_msg_log_size */

    /* keeper to token helper; each is answered by one of the next range, with its id */
    OXV_MSG_HELPER_OPEN = 144, /* struct oxv_msg_helper_open, the first -> HELPER_TOKEN */
    OXV_MSG_HELPER_LOGIN,      /* struct oxv_msg_helper_login -> HELPER_TOKEN */
    OXV_MSG_HELPER_PAIR,       /* struct oxv_msg_helper_pair -> HELPER_PUBLIC */
    OXV_MSG_HELPER_LOAD,       /* struct oxv_msg_helper_load -> HELPER_KEY */
    OXV_MSG_HELPER_SIGN,       /* struct oxv_msg_helper_sign -> HELPER_MAC */
    OXV_MSG_HELPER_DROP,       /* struct oxv_msg_helper_drop -> HELPER_DONE */
    OXV_MSG_HELPER_SEAL,       /* struct oxv_msg_helper_seal -> HELPER_SEALED */
    OXV_MSG_HELPER_UNSEAL,     /* struct oxv_msg_helper_unseal -> HELPER_VALUE */

    /* token helper to keeper */
    OXV_MSG_HELPER_TOKEN = 160, /* struct oxv_msg_helper_token; id 0: unasked, something changed */
    OXV_MSG_HELPER_PUBLIC,      /* struct oxv_msg_helper_public */
    OXV_MSG_HELPER_KEY,         /* struct oxv_msg_helper_key */
    OXV_MSG_HELPER_MAC,         /* struct oxv_msg_helper_mac */
    OXV_MSG_HELPER_DONE,        /* no payload */
    OXV_MSG_HELPER_SEALED,      /* struct oxv_msg_helper_sealed */
    OXV_MSG_HELPER_VALUE,       /* struct oxv_msg_helper_value */
    OXV_MSG_HELPER_TROUBLE,     /* struct oxv_msg_helper_trouble */

    /* keeper to supervisor */
    OXV_MSG_PUBLISH = 192, /* struct oxv_msg_publish: write RUN/vault.pub */
    OXV_MSG_READY,         /* struct oxv_msg_ready */
    OXV_MSG_WANT_FRONTEND, /* struct oxv_msg_frontend */
    OXV_MSG_REFUSE,        /* struct oxv_msg_refuse: the keeper ends, and so must the service */
    OXV_MSG_STATE,         /* struct oxv_msg_ready: sealed or open changed */
    OXV_MSG_FRONTEND_LOST, /* struct oxv_msg_frontend: given up, so it has to end */
    OXV_MSG_WANT_HELPER,   /* struct oxv_msg_id, the keeper's serial: start a token helper */
    OXV_MSG_HELPER_LOST,   /* struct oxv_msg_id: given up; of id 1: let it end by itself first */

    /* supervisor to keeper */
    OXV_MSG_START = 224,     /* struct oxv_msg_start; descriptors: sign, admin, audit[, source] */
    OXV_MSG_PUBLISHED,       /* vault.pub is there: accept now */
    OXV_MSG_FRONTEND,        /* struct oxv_msg_frontend and one descriptor: its channel */
    OXV_MSG_FRONTEND_FAILED, /* struct oxv_msg_frontend */
    OXV_MSG_STOP,            /* finish the work in hand and end */
    OXV_MSG_PIN,             /* struct oxv_msg_pin and one descriptor; before START */
    OXV_MSG_HELPER,          /* struct oxv_msg_id and one descriptor: its channel */
    OXV_MSG_HELPER_FAILED,   /* struct oxv_msg_id */
};

struct oxv_msg_empty {
    uint64_t unused; /* never encoded */
};

struct oxv_msg_sign {
    uint64_t kind; /* a bit of enum oxv_kind; set by the path, not by JSON */
    struct oxv_view connection;
    struct oxv_view method;
    struct oxv_view url;
    struct oxv_view form;    /* pairs */
    struct oxv_view version; /* token-passport: "2025_2" */
    uint64_t proof;          /* 1: the answer's `log` has the proof of the entry */
};
struct oxv_msg_page {
    uint64_t after; /* an id */
    uint64_t limit; /* 0: as many as fit */
};
struct oxv_msg_name {
    struct oxv_view name;
};
struct oxv_msg_id {
    uint64_t id;
};
struct oxv_msg_uid {
    uint64_t uid; /* required, 0 is fine */
};
struct oxv_msg_box {
    struct oxv_view box;
};
struct oxv_msg_named_box {
    struct oxv_view name;
    struct oxv_view box;
};
struct oxv_msg_session {
    struct oxv_view session; /* text: 32 hex characters */
};
struct oxv_msg_import_chunk {
    struct oxv_view session;
    struct oxv_view box;
};
struct oxv_msg_import_commit {
    struct oxv_view session;
    uint64_t count; /* how many connections the command sent */
};
struct oxv_msg_caller_add {
    struct oxv_view name;
    uint64_t uid;
};
struct oxv_msg_grants {
    uint64_t after;
    uint64_t limit;
    struct oxv_view caller;
    struct oxv_view connection;
};
struct oxv_msg_grant_add {
    struct oxv_view caller;
    struct oxv_view connection;
    struct oxv_view kinds;      /* list of names */
    struct oxv_view methods;    /* list */
    struct oxv_view paths;      /* list of globs */
    struct oxv_view query;      /* pairs */
    struct oxv_view rate;       /* "1000/s"; empty: unlimited */
    struct oxv_view not_before; /* RFC 3339 */
    struct oxv_view not_after;
};

/* The keeper logs `purpose`. Filters never reach it: the frontend applies them. */
struct oxv_msg_log_read {
    struct oxv_view purpose; /* "show", "export", "follow" */
    struct oxv_view format;  /* "jsonl", "csv" */
};
struct oxv_msg_log_opened {
    uint64_t read; /* the handle of this read */
    uint64_t size; /* committed entries; the entry about this read is among them */
};
struct oxv_msg_log_segment {
    uint64_t read;
    uint64_t index; /* of an entry in the wanted segment */
};
struct oxv_msg_log_bytes {
    uint64_t first; /* index of the segment's first entry */
    uint64_t bytes; /* committed bytes */
    uint64_t size;  /* committed entries of the log */
};
struct oxv_msg_log_wait {
    uint64_t read;
    uint64_t size; /* answer when there are more entries than this, or after 15 s */
};
struct oxv_msg_log_size {
    uint64_t size;
};

struct oxv_msg_problem {
    struct oxv_view code;   /* a stable code of design 8 */
    struct oxv_view detail; /* one sentence for people */
    uint64_t retry_after_s; /* 0: none */
};

/*
 * With refuse_code the frontend answers every request of this peer with that problem and closes,
 * except GET /v1/health where `health` (a document) is there.
 */
struct oxv_msg_peer {
    struct oxv_view refuse_code;
    struct oxv_view refuse_detail;
    struct oxv_view health;
};

struct oxv_msg_publish {
    struct oxv_view text; /* of vault.pub */
};
struct oxv_msg_ready {
    uint64_t sealed; /* 0 or 1 */
};
struct oxv_msg_frontend {
    uint64_t door;
    uint64_t uid_plus1; /* 0: the shared refusing one */
    uint64_t serial;    /* the keeper's, echoed */
};
struct oxv_msg_refuse {
    uint64_t exit_code;
    struct oxv_view text; /* one line for stderr */
};

enum oxv_source {
    OXV_SOURCE_NONE = 0,
    OXV_SOURCE_PASSPHRASE,
    OXV_SOURCE_KEYFILE,
    OXV_SOURCE_TERMINAL
};

struct oxv_msg_start {
    uint64_t source;          /* enum oxv_source; its descriptor comes last */
    uint64_t memory_unlocked; /* --allow-unlocked-memory */
    uint64_t require_sandbox;
    uint64_t service_uid_plus1;
    uint64_t admin_gid_plus1; /* group oxvault-admin, 0: there is none */
    uint64_t audit_gid_plus1;
    uint64_t single_uid;         /* --users none, or not root: all processes share one uid */
    uint64_t userns_allowed;     /* --allow-userns, and it mattered */
    struct oxv_view source_path; /* for messages: where the passphrase came from */
    uint64_t replaces;           /* the service was ready: this keeper comes up, at worst sealed */
};

/* A source of a PIN. Only the keeper reads it. */
struct oxv_msg_pin {
    struct oxv_view label; /* of the token it is for; empty: of any */
    struct oxv_view path;  /* for messages */
};

struct oxv_msg_helper_open {
    struct oxv_view module;
    struct oxv_view uri; /* RFC 7512; exactly one token has to fit */
    uint64_t workers;    /* at most so many sessions beside the anchor; 0: 8 */
};
struct oxv_msg_helper_token {
    struct oxv_view uri; /* all four attributes, in the order model, manufacturer, serial, token */
    struct oxv_view label;
    uint64_t trouble;    /* enum oxv_token_trouble, as of now */
    uint64_t ckr;        /* what it came from; 0: from no call */
    uint64_t logged_in;  /* 0 or 1 */
    uint64_t pin_state;  /* 0 fine, 1 count low, 2 final try, 3 locked (CKF_USER_PIN_...) */
    uint64_t pin_pad;    /* CKF_PROTECTED_AUTHENTICATION_PATH: no PIN is wanted */
    uint64_t generation; /* of the key handles; those of an older one are stale */
    uint64_t workers;
    struct oxv_view text; /* for people */
    /* A PIN that the token refused: salt and hash, to be kept across restarts. */
    struct oxv_view refused_salt;
    struct oxv_view refused_hash;
};
/* PIN and refused_* may be empty: a PIN pad, none was refused. refused_hash is one or more hashes
 * of 32 bytes, all with that salt; a PIN that is refused now gets it too. */
struct oxv_msg_helper_login {
    struct oxv_view pin;
    struct oxv_view refused_salt;
    struct oxv_view refused_hash;
    uint64_t again; /* 1: a person asks for it, so also a PIN that was refused is tried */
};
/* The RSA pair that only unwraps, for connections. */
struct oxv_msg_helper_pair {
    struct oxv_view key_id; /* empty: make one */
    uint64_t allow_oaep_sha1;
};
struct oxv_msg_helper_public {
    struct oxv_view key_id;
    struct oxv_view public_key; /* SubjectPublicKeyInfo, DER */
    uint64_t oaep;              /* enum oxv_token_oaep */
};
struct oxv_msg_helper_load {
    uint64_t form;           /* enum oxv_key_form, not IN_VAULT */
    uint64_t hash;           /* enum oxv_token_hash */
    struct oxv_view key_id;  /* of the key itself */
    struct oxv_view pair_id; /* UNWRAP */
    uint64_t oaep;           /* UNWRAP */
    struct oxv_view blob;    /* UNWRAP */
    struct oxv_view key;     /* TOKEN, the first time: K0, to be made there; never seen again */
    struct oxv_view label;   /* CKA_LABEL for one that is made */
};
struct oxv_msg_helper_key {
    uint64_t key;        /* a handle */
    uint64_t generation; /* in which it is valid */
};
struct oxv_msg_helper_sign {
    uint64_t key;
    uint64_t generation;
    struct oxv_view message;
};
struct oxv_msg_helper_mac {
    struct oxv_view mac;
};
struct oxv_msg_helper_drop {
    uint64_t key;
    uint64_t generation;
    uint64_t destroy; /* 1: the object of the token too (TOKEN form) */
};
struct oxv_msg_helper_seal {
    struct oxv_view key_id; /* empty: the one that fits, or with `generate` a new one */
    uint64_t generate;
    uint64_t mechanism; /* enum oxv_token_mechanism; 0: the best that works */
    uint64_t gcm_iv;    /* enum oxv_token_gcm_iv; 0: host */
    uint64_t allow_oaep_sha1;
    uint64_t allow_pkcs1;
};
struct oxv_msg_helper_sealed {
    uint64_t mechanism;
    uint64_t gcm_iv;
    struct oxv_view key_id;
    struct oxv_view key_hash; /* SHA-256 of the public key's DER; empty: the key has none */
    struct oxv_view blob;
    struct oxv_view value; /* secret */
};
struct oxv_msg_helper_unseal {
    uint64_t mechanism;
    uint64_t gcm_iv;
    struct oxv_view key_id;
    struct oxv_view key_hash;
    struct oxv_view blob;
};
struct oxv_msg_helper_value {
    struct oxv_view value; /* secret */
};
struct oxv_msg_helper_trouble {
    uint64_t trouble; /* enum oxv_token_trouble */
    uint64_t ckr;
    struct oxv_view text; /* for people: what, and what to do */
    /* With PIN: as in HELPER_TOKEN. */
    struct oxv_view refused_salt;
    struct oxv_view refused_hash;
    uint64_t login_failed; /* 1: a C_Login failed, but not for the PIN, less than a minute ago */
};

extern const struct oxv_shape oxv_msg_empty_shape;
extern const struct oxv_shape oxv_msg_sign_shape;
extern const struct oxv_shape oxv_msg_page_shape;
extern const struct oxv_shape oxv_msg_name_shape;
extern const struct oxv_shape oxv_msg_id_shape;
extern const struct oxv_shape oxv_msg_uid_shape;
extern const struct oxv_shape oxv_msg_box_shape;
extern const struct oxv_shape oxv_msg_named_box_shape;
extern const struct oxv_shape oxv_msg_session_shape;
extern const struct oxv_shape oxv_msg_import_chunk_shape;
extern const struct oxv_shape oxv_msg_import_commit_shape;
extern const struct oxv_shape oxv_msg_caller_add_shape;
extern const struct oxv_shape oxv_msg_grants_shape;
extern const struct oxv_shape oxv_msg_grant_add_shape;
extern const struct oxv_shape oxv_msg_log_read_shape;
extern const struct oxv_shape oxv_msg_log_opened_shape;
extern const struct oxv_shape oxv_msg_log_segment_shape;
extern const struct oxv_shape oxv_msg_log_bytes_shape;
extern const struct oxv_shape oxv_msg_log_wait_shape;
extern const struct oxv_shape oxv_msg_log_size_shape;
extern const struct oxv_shape oxv_msg_problem_shape;
extern const struct oxv_shape oxv_msg_peer_shape;
extern const struct oxv_shape oxv_msg_publish_shape;
extern const struct oxv_shape oxv_msg_ready_shape;
extern const struct oxv_shape oxv_msg_frontend_shape;
extern const struct oxv_shape oxv_msg_refuse_shape;
extern const struct oxv_shape oxv_msg_start_shape;
extern const struct oxv_shape oxv_msg_pin_shape;
extern const struct oxv_shape oxv_msg_helper_open_shape;
extern const struct oxv_shape oxv_msg_helper_token_shape;
extern const struct oxv_shape oxv_msg_helper_login_shape;
extern const struct oxv_shape oxv_msg_helper_pair_shape;
extern const struct oxv_shape oxv_msg_helper_public_shape;
extern const struct oxv_shape oxv_msg_helper_load_shape;
extern const struct oxv_shape oxv_msg_helper_key_shape;
extern const struct oxv_shape oxv_msg_helper_sign_shape;
extern const struct oxv_shape oxv_msg_helper_mac_shape;
extern const struct oxv_shape oxv_msg_helper_drop_shape;
extern const struct oxv_shape oxv_msg_helper_seal_shape;
extern const struct oxv_shape oxv_msg_helper_sealed_shape;
extern const struct oxv_shape oxv_msg_helper_unseal_shape;
extern const struct oxv_shape oxv_msg_helper_value_shape;
extern const struct oxv_shape oxv_msg_helper_trouble_shape;

/* "sign", "admin", "audit"; NULL for a number that is none. */
const char *oxv_door_name(uint64_t door);
OXV_MUST_USE bool oxv_door_parse(struct oxv_view name, enum oxv_door *out);

#endif
