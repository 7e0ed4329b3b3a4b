/*
 * log_fields: one entry of the access log, taken apart for the formats it can be exported in, and
 * how the texts in it are written so that they do no harm there.
 */
#ifndef OXV_SERVICE_FRONTEND_LOG_FIELDS_H
#define OXV_SERVICE_FRONTEND_LOG_FIELDS_H

#include "base/bytes.h"
#include "base/status.h"

/* The keys an entry can have: in the order of design.md 7, then what only entry 0 has. */
enum oxv_log_field {
    OXV_LOG_V,
    OXV_LOG_SEQ,
    OXV_LOG_EPOCH,
    OXV_LOG_BOOT,
    OXV_LOG_TIME,
    OXV_LOG_MONO_US,
    OXV_LOG_TYPE,
    OXV_LOG_OUTCOME,
    OXV_LOG_CODE,
    OXV_LOG_CALLER,
    OXV_LOG_UID,
    OXV_LOG_GID,
    OXV_LOG_PID,
    OXV_LOG_DOOR,
    OXV_LOG_CONNECTION,
    OXV_LOG_KIND,
    OXV_LOG_METHOD,
    OXV_LOG_HOST,
    OXV_LOG_PATH,
    OXV_LOG_URL_HASH,
    OXV_LOG_SIG_HASH,
    OXV_LOG_NONCE,
    OXV_LOG_TS,
    OXV_LOG_KEY_VERSION,
    OXV_LOG_GRANT,
    OXV_LOG_GRANT_VERSION,
    OXV_LOG_CFG,
    OXV_LOG_CFG_DIGEST,
    OXV_LOG_COUNT,
    OXV_LOG_REQUEST_ID,
    OXV_LOG_NODE,
    OXV_LOG_REASON,
    OXV_LOG_UNSIGNED_SINCE,
    OXV_LOG_NEXT_KEY,
    OXV_LOG_LOG_KEY,
    OXV_LOG_OLD_ORIGIN,
    OXV_LOG_OLD_ROOT,
    OXV_LOG_OLD_SIZE,
    OXV_LOG_VAULT,
    OXV_LOG_ORIGIN,
    OXV_LOG_FIELDS, /* their number */
    OXV_LOG_NONE = OXV_LOG_FIELDS,
};

/* Views borrow the line; those of keys that it does not have are zeroed. */
struct oxv_log_fields {
    struct oxv_view line;
    struct oxv_view values[OXV_LOG_FIELDS]; /* as in struct oxv_log_member */
    bool is_text[OXV_LOG_FIELDS];
    char leaf[65];                   /* hex of SHA-256(0x00 || line) */
    uint64_t time_us;                /* 0 where there is none */
    const struct oxv_log_kind *kind; /* by its type; never NULL */
};

const char *oxv_log_field_name(enum oxv_log_field field);

/*
 *   OXV_E_FORMAT  it is no entry, or has a member twice or one that is not known; *out is then of
 *                 no use
 */
OXV_MUST_USE enum oxv_status oxv_log_fields_read(struct oxv_view line, struct oxv_log_fields *out);

static inline bool
oxv_log_has(const struct oxv_log_fields *f, enum oxv_log_field field)
{
    return f->values[field].data != NULL;
}

/* Does the entry have the outcome "allowed", "denied", ...? */
bool oxv_log_outcome_is(const struct oxv_log_fields *f, const char *outcome);

/* Writes one printable ASCII character as a format wants it. */
typedef void (*oxv_log_put_fn)(struct oxv_writer *w, uint8_t c);

/*
 * A value for people: what is hidden (base/shown.h) is written \u{202E}, a byte that is no UTF-8
 * \x{FF}, each through `put` like the rest.
 */
void oxv_log_write_shown(struct oxv_writer *w, struct oxv_view value, oxv_log_put_fn put);
/*
 * The line itself, through `put`. What is hidden is written as JSON escapes, which are never in a
 * line of the log: taken out again they leave the exact line.
 */
void oxv_log_write_line(struct oxv_writer *w, struct oxv_view line, oxv_log_put_fn put);
/* A value, or the line itself, as a JSON string; hidden characters are escaped, nothing is lost. */
void oxv_log_write_json(struct oxv_writer *w, struct oxv_view value);
void oxv_log_write_json_line(struct oxv_writer *w, struct oxv_view line);

#endif
