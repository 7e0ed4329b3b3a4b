#include "service/frontend/log_query.h"

#include <string.h>

#include "service/frontend/log_line.h"
#include "service/frontend/target.h"

#define INTEGER_MAX ((UINT64_C(1) << 53) - 1)

const char *const oxv_log_type_names[] = {
    "log.genesis",
    "log.epoch",
    "log.recovery",
    "log.read",
    "log.export",
    "service.start",
    "service.stop",
    "clock.step",
    "vault.unseal",
    "vault.lock",
    "change.done",
    "change.undone",
    "seal.add",
    "seal.remove",
    "connection.add",
    "connection.remove",
    "caller.add",
    "caller.disable",
    "caller.enable",
    "caller.remove",
    "grant.add",
    "grant.remove",
    "admin.add",
    "admin.remove",
    "sign",
    "peer",
    "frontend",
    "admin",
    "log.pending",
    "token.add",
    "token.remove",
    "token.login",
    "token.state",
    "connection.move",
    "log.key",
    "log.rotate",
    "log.prune",
    "log.archive",
    "witness.state",
    "space.state",
    "vault.backup",
    "vault.restore",
    "vault.adopt",
    "vault.rekey",
    NULL,
};

static const char *const outcome_names[] = { "allowed", "denied", "failed", NULL };
static const char *const purpose_names[] = { "show", "export", "follow", NULL };

const char *
oxv_log_purpose_name(enum oxv_log_purpose purpose)
{
    return purpose_names[purpose];
}

/* The place of a text in a list, or that of the NULL. */
static size_t
index_of(const char *const *names, struct oxv_view text)
{
    size_t i = 0;

    while (names[i] != NULL && !oxv_view_is(text, names[i])) {
        i++;
    }
    return i;
}

static bool
set_time(char out[OXV_TIMESTAMP_BYTES], struct oxv_view value)
{
    uint64_t time_us;

    if (!oxv_parse_timestamp(value, &time_us)) {
        return false;
    }
    oxv_format_timestamp(time_us, out);
    return true;
}

static bool
set_name(struct oxv_log_name *out, struct oxv_view value)
{
    if (value.len > sizeof out->bytes || !oxv_is_printable_utf8(value)) {
        return false;
    }
    memcpy(out->bytes, value.data, value.len);
    out->len = value.len;
    return true;
}

static bool
set_listed(struct oxv_log_name *out, const char *const *names, struct oxv_view value)
{
    return names[index_of(names, value)] != NULL && set_name(out, value);
}

static bool
set_purpose(struct oxv_log_query *q, struct oxv_view value)
{
    size_t index = index_of(purpose_names, value);

    q->purpose = index == 1 ? OXV_LOG_EXPORT : index == 2 ? OXV_LOG_FOLLOW : OXV_LOG_SHOW;
    return purpose_names[index] != NULL;
}

static bool
set_format(struct oxv_log_query *q, struct oxv_view value)
{
    q->format = oxv_log_format_find(value);
    return q->format != NULL;
}

static bool
set_limit(struct oxv_log_query *q, struct oxv_view value)
{
    q->has_limit = true;
    return oxv_parse_decimal(value, INTEGER_MAX, &q->limit);
}

enum parameter {
    PURPOSE,
    FORMAT,
    SINCE,
    UNTIL,
    CONNECTION,
    CALLER,
    OUTCOME,
    TYPE,
    FROM,
    LIMIT,
    PARAMETER_END,
};

static const char *const parameter_names[] = { [PURPOSE] = "purpose",
                                               [FORMAT] = "format",
                                               [SINCE] = "since",
                                               [UNTIL] = "until",
                                               [CONNECTION] = "connection",
                                               [CALLER] = "caller",
                                               [OUTCOME] = "outcome",
                                               [TYPE] = "type",
                                               [FROM] = "from",
                                               [LIMIT] = "limit",
                                               [PARAMETER_END] = NULL };

static const char *const wanted[PARAMETER_END] = {
    [PURPOSE] = "show, export or follow",
    [FORMAT] = "jsonl, csv, ocsf, ecs, cef, leef or rfc5424",
    [SINCE] = "an RFC 3339 time stamp or a date",
    [UNTIL] = "an RFC 3339 time stamp or a date",
    [CONNECTION] = "a name of at most 256 bytes",
    [CALLER] = "a name of at most 256 bytes",
    [OUTCOME] = "allowed, denied or failed",
    [TYPE] = "a type of entry",
    [FROM] = "the index of an entry",
    [LIMIT] = "a decimal number",
};

static bool
set_parameter(struct oxv_log_query *q, size_t parameter, struct oxv_view value)
{
    switch (parameter) {
    case PURPOSE:
        return set_purpose(q, value);
    case FORMAT:
        return set_format(q, value);
    case SINCE:
        return set_time(q->since, value);
    case UNTIL:
        return set_time(q->until, value);
    case CONNECTION:
        return set_name(&q->connection, value);
    case CALLER:
        return set_name(&q->caller, value);
    case OUTCOME:
        return set_listed(&q->outcome, outcome_names, value);
    case TYPE:
        return set_listed(&q->type, oxv_log_type_names, value);
    case FROM:
        return oxv_parse_decimal(value, INTEGER_MAX, &q->from);
    case LIMIT:
        return set_limit(q, value);
    default:
        return false;
    }
}

static enum oxv_status
take_part(struct oxv_log_query *q, const struct oxv_query_part *part, unsigned *seen,
          struct oxv_err *err)
{
    size_t parameter = index_of(parameter_names, part->name);
    int shown = (int)(part->name.len < 64 ? part->name.len : 64);

    if (parameter == PARAMETER_END || (*seen & 1u << parameter) != 0) {
        return oxv_fail(err, OXV_E_FORMAT, "%.*s: %s", shown, (const char *)part->name.data,
                        parameter == PARAMETER_END ? "is not known here" : "is there twice");
    }
    *seen |= 1u << parameter;
    if (part->value.len > 0 && !set_parameter(q, parameter, part->value)) {
        return oxv_fail(err, OXV_E_FORMAT, "%s: must be %s", parameter_names[parameter],
                        wanted[parameter]);
    }
    return OXV_OK;
}

enum oxv_status
oxv_log_query_parse(struct oxv_view query, struct oxv_log_query *out, struct oxv_err *err)
{
    uint8_t decoded[8192];
    struct oxv_writer scratch = oxv_writer(decoded, sizeof decoded);
    struct oxv_log_query q = { .format = oxv_log_format_find(oxv_view(NULL, 0)) };
    struct oxv_reader r = oxv_reader(query);
    struct oxv_query_part part;
    unsigned seen = 0;
    enum oxv_status st;

    while ((st = oxv_query_next(&r, &scratch, &part, err)) == OXV_OK) {
        st = take_part(&q, &part, &seen, err);
        if (st != OXV_OK) {
            return st;
        }
    }
    if (st != OXV_E_NOT_FOUND) {
        return st;
    }
    *out = q;
    return OXV_OK;
}

static bool
name_matches(const struct oxv_log_name *wanted_name, const struct oxv_log_member *member)
{
    return wanted_name->len == 0 ||
           (member->is_text &&
            oxv_log_text_is(member->value, oxv_view(wanted_name->bytes, wanted_name->len)));
}

/* Time stamps of one form: their order is that of their texts. */
static bool
time_matches(const struct oxv_log_query *q, const struct oxv_log_member *member)
{
    return (q->since[0] == '\0' || oxv_view_compare(member->value, oxv_view_text(q->since)) >= 0) &&
           (q->until[0] == '\0' || oxv_view_compare(member->value, oxv_view_text(q->until)) < 0);
}

/* What must be there to match, and was found to. */
struct found {
    bool connection;
    bool caller;
    bool outcome;
    bool type;
    bool time;
};

static void
look_at(const struct oxv_log_query *q, const struct oxv_log_member *member, struct found *found)
{
    if (oxv_view_is(member->name, "time")) {
        found->time = time_matches(q, member);
    } else if (oxv_view_is(member->name, "connection")) {
        found->connection = name_matches(&q->connection, member);
    } else if (oxv_view_is(member->name, "caller")) {
        found->caller = name_matches(&q->caller, member);
    } else if (oxv_view_is(member->name, "outcome")) {
        found->outcome = name_matches(&q->outcome, member);
    } else if (oxv_view_is(member->name, "type")) {
        found->type = name_matches(&q->type, member);
    }
}

enum oxv_status
oxv_log_query_match(const struct oxv_log_query *query, struct oxv_view line)
{
    struct oxv_log_line members = oxv_log_line(line);
    struct oxv_log_member member;
    struct found found = { .connection = query->connection.len == 0,
                           .caller = query->caller.len == 0,
                           .outcome = query->outcome.len == 0,
                           .type = query->type.len == 0,
                           .time = query->since[0] == '\0' && query->until[0] == '\0' };
    enum oxv_status st;

    while ((st = oxv_log_line_next(&members, &member)) == OXV_OK) {
        look_at(query, &member, &found);
    }
    if (st != OXV_E_NOT_FOUND) {
        return st;
    }
    return found.connection && found.caller && found.outcome && found.type && found.time
               ? OXV_OK
               : OXV_E_NOT_FOUND;
}
