/*
 * liboxvault: asks an oxvault service for signatures, over the Unix socket of its sign door.
 *
 * The service decides by the uid of the calling process and by the grants an admin made; there is
 * nothing to log in with and no secret in this library's hands.
 *
 * Threads: a client may be used by any number of threads at once; each call in progress has a
 * connection of its own, kept for later calls. Close a client only when no call is in progress.
 * After fork() a child opens its own client.
 * State: the library keeps nothing global, reads no environment variable, raises no signal. It
 * calls curl_global_init() once (libcurl demands it); a program that does so itself is not hurt.
 * Texts are UTF-8 and NUL-terminated. Functions of plain structs and pointers only: fit for FFI.
 */
#ifndef OXVAULT_CLIENT_H
#define OXVAULT_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXV_CLIENT_PROBLEM_MAX_BYTES 64u
#define OXV_CLIENT_DETAIL_MAX_BYTES  1280u
#define OXV_CLIENT_BATCH_MAX         1000u

struct oxv_client;

/* What came of a call. Numbers are fixed. */
enum oxv_client_code {
    OXV_CLIENT_OK = 0,

    /* the service's answers; the names are those of its API */
    OXV_CLIENT_BAD_REQUEST = 1,
    OXV_CLIENT_NO_GRANT = 2, /* also: no such connection */
    OXV_CLIENT_UNKNOWN_CALLER = 3,
    OXV_CLIENT_URL_NOT_ALLOWED = 4,
    OXV_CLIENT_NOT_FOUND = 5,
    OXV_CLIENT_METHOD_NOT_ALLOWED = 6,
    OXV_CLIENT_PAYLOAD_TOO_LARGE = 7,
    OXV_CLIENT_UNSUPPORTED_MEDIA_TYPE = 8,
    OXV_CLIENT_UNPROCESSABLE = 9, /* the URL or the method is malformed */
    OXV_CLIENT_RATE_LIMITED = 10, /* see retry_after_s */
    OXV_CLIENT_SEALED = 11,       /* an admin must run `oxvault unseal` */
    OXV_CLIENT_TOKEN_UNAVAILABLE = 12,
    OXV_CLIENT_LOG_UNAVAILABLE = 13,
    /* Try again soon. Without an http_status nothing was sent: the service had no room for one more
     * connection, or all of this client's own stayed in use until the time-out. */
    OXV_CLIENT_BUSY = 14,
    OXV_CLIENT_INTERNAL = 15,
    OXV_CLIENT_WRONG_SEAL = 16, /* admin door */
    OXV_CLIENT_CONFLICT = 17,   /* admin door */
    OXV_CLIENT_OTHER = 99,      /* a code this library does not know: see `problem` */

    /* found on this side */
    OXV_CLIENT_USAGE = 100,       /* the call is wrong; nothing was sent */
    OXV_CLIENT_MEMORY = 101,      /* out of memory */
    OXV_CLIENT_UNREACHABLE = 102, /* nobody listens at the socket */
    OXV_CLIENT_FORBIDDEN = 103,   /* the system does not let this user open the socket */
    OXV_CLIENT_TIMEOUT = 104,     /* the signature may have been made, and logged */
    OXV_CLIENT_CLOSED = 105,      /* connection lost before a whole answer; likewise */
    OXV_CLIENT_BAD_ANSWER = 106,  /* what answered does not speak the API */
};

/* Filled where a call fails; zeroed where it does not. */
struct oxv_client_error {
    enum oxv_client_code code;
    int http_status;                            /* 0: there was no answer */
    uint64_t retry_after_s;                     /* 0: the service names none */
    char problem[OXV_CLIENT_PROBLEM_MAX_BYTES]; /* the code as the service wrote it, else "" */
    char detail[OXV_CLIENT_DETAIL_MAX_BYTES];   /* one sentence for people, may be cut */
};

/* A member that is 0 has its default. Zero the struct before you fill it. */
struct oxv_client_options {
    uint32_t connect_timeout_ms; /* default 5,000 */
    uint32_t total_timeout_ms;   /* of one call, with waiting for a connection; default 30,000 */
    uint32_t max_connections;    /* 1..256 calls at once, more wait; default 16 */
    uint32_t reserved[5];        /* 0 */
};

enum oxv_client_kind {
    OXV_CLIENT_OAUTH1 = 1,
    OXV_CLIENT_TOKEN_PASSPORT = 2,
    OXV_CLIENT_CONNECT_PASSWORD = 4,
};

struct oxv_client_pair {
    const char *name;
    const char *value;
};

/* What to sign. Members that do not belong to the kind are NULL. Borrowed for the call. */
struct oxv_client_request {
    enum oxv_client_kind kind; /* set by the function, but for a batch */
    const char *connection;
    const char *method;                 /* oauth1 */
    const char *url;                    /* oauth1: as it will be sent, query included */
    const struct oxv_client_pair *form; /* oauth1: the parameters of a form-encoded body */
    size_t form_count;
    const char *version;     /* token-passport: "2025_2"; NULL: the service's default */
    uintptr_t proof;         /* not 0: the result has the proof of its log entry, see below */
    const void *reserved[2]; /* NULL */
};

/* Results belong to the caller: give each to its free function. `storage` is the library's. */
struct oxv_client_oauth1 {
    const char *authorization; /* the whole value of the Authorization header */
    uint64_t timestamp;
    const char *nonce;
    const char *log_origin; /* where the access log has this signature */
    uint64_t log_index;
    void *storage;
};

struct oxv_client_token_passport {
    const char *account;
    const char *consumer_key;
    const char *token;
    const char *nonce;
    uint64_t timestamp;
    const char *signature_algorithm;
    const char *signature_value;
    const char *xml; /* the SOAP header element, ready */
    const char *log_origin;
    uint64_t log_index;
    void *storage;
};

struct oxv_client_connect_password {
    const char *user;
    const char *password;
    const char *log_origin;
    uint64_t log_index;
    void *storage;
};

/* One answer of a batch: by kind one of the three, or an error. */
struct oxv_client_batch_item {
    enum oxv_client_kind kind;
    const struct oxv_client_oauth1 *oauth1;
    const struct oxv_client_token_passport *token_passport;
    const struct oxv_client_connect_password *connect_password;
    const struct oxv_client_error *error; /* NULL: signed */
};

struct oxv_client_batch {
    size_t count; /* as many as were asked for, in their order */
    const struct oxv_client_batch_item *items;
    void *storage;
};

/* The public fields of a connection. A text that does not apply is "". */
struct oxv_client_connection {
    uint64_t id;
    const char *name;
    const char *system; /* "netsuite", "oauth1" */
    const char *account_id;
    const char *consumer_key;
    const char *token_id;
    const char *realm;
    const char *role_id;
    const char *application_id;
    const char *signature_method;
    const char *const *origins; /* ends with NULL */
    const char *const *kinds;   /* what this caller's grants allow; ends with NULL */
    void *storage;              /* NULL where it is part of a list */
};

struct oxv_client_connections {
    size_t count;
    const struct oxv_client_connection *items;
    void *storage;
};

struct oxv_client_health {
    const char *state;   /* "open" or "sealed" */
    const char *detail;  /* in words, may be "" */
    const char *version; /* of the service */
    const char *clock;   /* "steady", "stepped", or "" */
    void *storage;
};

/*
 * Makes a client for the socket `path` (e.g. /run/oxvault/sign.sock). Does not connect yet: a
 * service that starts later, or restarts, is found by the next call. `options` may be NULL, and so
 * may `error` in every function; `out` may not, in any: OXV_CLIENT_USAGE. *out is NULL on failure.
 */
enum oxv_client_code oxv_client_open(const char *path, const struct oxv_client_options *options,
                                     struct oxv_client **out, struct oxv_client_error *error);
/* NULL is fine. */
void oxv_client_close(struct oxv_client *client);

/*
 * One signature each. *out is NULL on failure.
 *
 * A kept connection that turns out to be closed before any byte of an answer came is replaced and
 * the request sent once more; a signature made for the first sending is in the log and was never
 * given out. No other failure is retried.
 */
enum oxv_client_code oxv_client_sign_oauth1(struct oxv_client *client,
                                            const struct oxv_client_request *request,
                                            struct oxv_client_oauth1 **out,
                                            struct oxv_client_error *error);
enum oxv_client_code oxv_client_sign_token_passport(struct oxv_client *client,
                                                    const struct oxv_client_request *request,
                                                    struct oxv_client_token_passport **out,
                                                    struct oxv_client_error *error);
enum oxv_client_code oxv_client_sign_connect_password(struct oxv_client *client,
                                                      const struct oxv_client_request *request,
                                                      struct oxv_client_connect_password **out,
                                                      struct oxv_client_error *error);

/*
 * 1..OXV_CLIENT_BATCH_MAX requests in one go, each with its kind. OXV_CLIENT_OK says that each has
 * its answer, which may be an error of its own.
 */
enum oxv_client_code oxv_client_sign_batch(struct oxv_client *client,
                                           const struct oxv_client_request *requests, size_t count,
                                           struct oxv_client_batch **out,
                                           struct oxv_client_error *error);

/*
 * Of a result (of a batch item too) that was asked for with `proof`: a C2SP tlog-proof, with the
 * entry itself, that the entry is in the log; a text that `oxvault log verify --proof` checks. It
 * belongs to the result. "" where there is none.
 */
const char *oxv_client_oauth1_proof(const struct oxv_client_oauth1 *result);
const char *oxv_client_token_passport_proof(const struct oxv_client_token_passport *result);
const char *oxv_client_connect_password_proof(const struct oxv_client_connect_password *result);

/* Every connection for which this caller has a grant, or the one of that name. */
enum oxv_client_code oxv_client_connections(struct oxv_client *client,
                                            struct oxv_client_connections **out,
                                            struct oxv_client_error *error);
enum oxv_client_code oxv_client_connection(struct oxv_client *client, const char *name,
                                           struct oxv_client_connection **out,
                                           struct oxv_client_error *error);

/* Answered while the service is sealed too. */
enum oxv_client_code oxv_client_health(struct oxv_client *client, struct oxv_client_health **out,
                                       struct oxv_client_error *error);

/* Each wipes, then frees. NULL is fine. */
void oxv_client_oauth1_free(struct oxv_client_oauth1 *result);
void oxv_client_token_passport_free(struct oxv_client_token_passport *result);
void oxv_client_connect_password_free(struct oxv_client_connect_password *result);
void oxv_client_batch_free(struct oxv_client_batch *result);
void oxv_client_connections_free(struct oxv_client_connections *result);
void oxv_client_connection_free(struct oxv_client_connection *result);
void oxv_client_health_free(struct oxv_client_health *result);

/* "no_grant", "unreachable", ...: for logs. Never NULL. */
const char *oxv_client_code_name(enum oxv_client_code code);
/* Of this library, e.g. "0.1.0". */
const char *oxv_client_version(void);

#ifdef __cplusplus
}
#endif

#endif
