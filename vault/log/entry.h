/*
 * entry: one line of the access log (design.md 7). A closed schema: there is no key for free text
 * from a request. The emitter writes RFC 8785 form in a fixed order, so no canonicaliser runs.
 */
#ifndef OXV_VAULT_LOG_ENTRY_H
#define OXV_VAULT_LOG_ENTRY_H

#include "base/bytes.h"
#include "base/fields.h"
#include "base/status.h"

#define OXV_LOG_FORMAT_VERSION  1u
#define OXV_LOG_ENTRY_MAX_BYTES 16384u                    /* a line, without its newline */
#define OXV_LOG_PATH_MAX_BYTES  8192u                     /* of `path`: all of any URL's */
#define OXV_LOG_INTEGER_MAX     ((UINT64_C(1) << 53) - 1) /* what every JSON reader can hold */
#define OXV_LOG_BOOT_CHARS      32u

/* The closed list of entry types; names as in oxv_entry_type_name(). */
enum oxv_entry_type {
    OXV_ENTRY_LOG_GENESIS = 1, /* "log.genesis": entry 0 */
    OXV_ENTRY_LOG_EPOCH,       /* "log.epoch": names the next epoch's key */
    OXV_ENTRY_LOG_RECOVERY,    /* "log.recovery": a torn tail was put aside */
    OXV_ENTRY_LOG_READ,        /* "log.read": show, follow */
    OXV_ENTRY_LOG_EXPORT,      /* "log.export" */
    OXV_ENTRY_SERVICE_START,   /* "service.start" */
    OXV_ENTRY_SERVICE_STOP,    /* "service.stop" */
    OXV_ENTRY_CLOCK_STEP,      /* "clock.step" */
    OXV_ENTRY_VAULT_UNSEAL,    /* "vault.unseal": outcome failed for a wrong passphrase */
    OXV_ENTRY_VAULT_LOCK,      /* "vault.lock" */
    OXV_ENTRY_CHANGE_DONE,     /* "change.done" */
    OXV_ENTRY_CHANGE_UNDONE,   /* "change.undone" */
    OXV_ENTRY_SEAL_ADD,        /* "seal.add" */
    OXV_ENTRY_SEAL_REMOVE,     /* "seal.remove" */
    OXV_ENTRY_CONNECTION_ADD,  /* "connection.add" */
    OXV_ENTRY_CONNECTION_REMOVE,
    OXV_ENTRY_CALLER_ADD, /* "caller.add" */
    OXV_ENTRY_CALLER_DISABLE,
    OXV_ENTRY_CALLER_ENABLE,
    OXV_ENTRY_CALLER_REMOVE,
    OXV_ENTRY_GRANT_ADD, /* "grant.add" */
    OXV_ENTRY_GRANT_REMOVE,
    OXV_ENTRY_ADMIN_ADD, /* "admin.add" */
    OXV_ENTRY_ADMIN_REMOVE,
    OXV_ENTRY_SIGN,        /* "sign": one signature, or one refused request */
    OXV_ENTRY_PEER,        /* "peer": a peer without rights at a door */
    OXV_ENTRY_FRONTEND,    /* "frontend": one broke the rules or died and was replaced */
    OXV_ENTRY_ADMIN,       /* "admin": a refused request at the admin door */
    OXV_ENTRY_LOG_PENDING, /* "log.pending": events while sealed of which only the number is left */
    OXV_ENTRY_TOKEN_ADD,   /* "token.add" */
    OXV_ENTRY_TOKEN_REMOVE, /* "token.remove" */
    OXV_ENTRY_TOKEN_LOGIN,  /* "token.login": a person gave its PIN */
    OXV_ENTRY_TOKEN_STATE,  /* "token.state": it can sign, or cannot; `reason` has which and why */
    OXV_ENTRY_CONNECTION_MOVE, /* "connection.move": its key went into a token, or left one */
    OXV_ENTRY_LOG_KEY,    /* "log.key": names the log key, which signs checkpoints in every epoch */
    OXV_ENTRY_LOG_ROTATE, /* "log.rotate": an admin asked for a new epoch */
    OXV_ENTRY_LOG_PRUNE,  /* "log.prune": old entries were reduced to their leaf hashes */
    OXV_ENTRY_LOG_ARCHIVE,   /* "log.archive": closed segments were written out for cold storage */
    OXV_ENTRY_WITNESS_STATE, /* "witness.state": a witness signs, or does not; `reason` has which
                                and why */
    OXV_ENTRY_SPACE_STATE,   /* "space.state": the log's disk runs full, or has room again */
    OXV_ENTRY_VAULT_BACKUP,  /* "vault.backup": a backup was made */
    OXV_ENTRY_VAULT_RESTORE, /* "vault.restore": this node was made from a backup */
    OXV_ENTRY_VAULT_ADOPT, /* "vault.adopt": this node continues another one's vault in a log of its
                              own */
    OXV_ENTRY_VAULT_REKEY, /* "vault.rekey": a new root key: every record was sealed anew */
    OXV_ENTRY_TYPE_END,
};

enum oxv_outcome {
    OXV_OUTCOME_ALLOWED = 1,
    OXV_OUTCOME_DENIED,
    OXV_OUTCOME_FAILED,
};

/*
 * What the writer is given. A zero or empty member does not apply and is left out. Members that
 * can be zero and still mean something (uid, gid, pid) are stored plus one. All texts are
 * well-formed UTF-8 without control characters. seq, epoch, boot, time, mono_us and v are the
 * log's own. JSON keys are the member names unless noted.
 */
struct oxv_entry {
    uint64_t type;      /* enum oxv_entry_type */
    uint64_t outcome;   /* enum oxv_outcome */
    uint64_t uid_plus1; /* "uid" */
    uint64_t gid_plus1; /* "gid" */
    uint64_t pid;
    uint64_t ts; /* the OAuth timestamp, seconds */
    uint64_t key_version;
    uint64_t grant; /* id of the grant that allowed it */
    uint64_t grant_version;
    uint64_t cfg; /* the vault's change counter after this change */
    uint64_t count;
    uint64_t happened_us; /* pending only: the wall time of the event, kept as `time` */
    struct oxv_view code; /* stable error code of design 8 */
    struct oxv_view caller;
    struct oxv_view door; /* "sign", "admin", "audit" */
    struct oxv_view connection;
    struct oxv_view kind; /* of signature */
    struct oxv_view method;
    struct oxv_view host;
    struct oxv_view path;     /* all of it: what is cut off could hide what was signed */
    struct oxv_view url_hash; /* lower-case hex */
    struct oxv_view sig_hash; /* lower-case hex */
    struct oxv_view nonce;
    struct oxv_view cfg_digest; /* lower-case hex */
    struct oxv_view request_id;
    struct oxv_view node;
    struct oxv_view vault;  /* entry 0 only */
    struct oxv_view origin; /* entry 0 only */
    struct oxv_view reason;
    struct oxv_view unsigned_since; /* RFC 3339; set by the log for events from `pending` */
    struct oxv_view next_key;       /* log.epoch: C2SP verifier key */
    struct oxv_view log_key;        /* log.key: C2SP verifier key */
    struct oxv_view old_origin;     /* vault.adopt, vault.restore: the log before this one, */
    struct oxv_view old_root;       /* its last known root, lower-case hex, */
    uint64_t old_size;              /* and size */
};

/* Shape of struct oxv_entry, for log/pending. */
extern const struct oxv_shape oxv_entry_shape;

/* What the log adds to each entry. */
struct oxv_entry_place {
    uint64_t seq;
    uint64_t epoch;
    uint64_t time_us; /* wall clock */
    uint64_t mono_us; /* boot-time clock */
    const char *boot; /* 32 hex characters: random per keeper start */
};

/* "sign", "connection.add", ...; NULL for a number that is none. */
const char *oxv_entry_type_name(uint64_t type);
OXV_MUST_USE bool oxv_entry_type_parse(struct oxv_view name, enum oxv_entry_type *out);
/* "allowed", "denied", "failed"; NULL for a number that is none. */
const char *oxv_outcome_name(uint64_t outcome);

/*
 * Appends the line for an entry, without newline: RFC 8785, keys in byte order. Makes the writer
 * fail where a text is not well-formed or has a control character, a hex text is not lower-case hex
 * of at most 64 characters, a number exceeds OXV_LOG_INTEGER_MAX, there is no type, or the line
 * exceeds OXV_LOG_ENTRY_MAX_BYTES. What it writes, oxv_entry_check() accepts.
 */
void oxv_entry_write(struct oxv_writer *w, const struct oxv_entry *entry,
                     const struct oxv_entry_place *place);

/*
 * Can this be an event while sealed, one that waited in log/pending? That file is not
 * authenticated, so the log takes over only what the service itself writes there: starts, stops,
 * clock steps, locks, peers, frontends and counts; unseals, signatures, admin requests and changes
 * only where they were refused or failed; and nothing that tells of the vault's records or of the
 * log's keys (cfg, cfg_digest, next_key, log_key, origin, vault, node, old_origin, old_root,
 * old_size). Does not look at unsigned_since.
 */
bool oxv_entry_may_wait(const struct oxv_entry *entry);

/*
 * A line as read back. Views borrow the line and hold the text between the quotes as it stands, so
 * a quote or backslash still has its backslash. happened_us stays 0.
 */
struct oxv_entry_line {
    struct oxv_entry entry;
    struct oxv_view boot;
    uint64_t seq;
    uint64_t epoch;
    uint64_t time_us;
    uint64_t mono_us;
    uint64_t v;
};

/* Where a line broke a rule, and which. The reason is a literal. */
struct oxv_entry_fault {
    size_t offset;
    const char *reason;
};

/*
 * Is `line` (without newline) one that oxv_entry_write() can write? Checks the form to the byte:
 * known keys, each once, in byte order; types; ranges; no escape but of quote and backslash.
 *   OXV_E_FORMAT  it is not: *fault says where and why; *out is untouched
 */
OXV_MUST_USE enum oxv_status oxv_entry_check(struct oxv_view line, struct oxv_entry_line *out,
                                             struct oxv_entry_fault *fault);

#endif
