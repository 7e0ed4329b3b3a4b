/* log_query: which entries of the access log a reader asked for, and in which form. */
#ifndef OXV_SERVICE_FRONTEND_LOG_QUERY_H
#define OXV_SERVICE_FRONTEND_LOG_QUERY_H

#include "base/bytes.h"
#include "base/text.h"
#include "service/frontend/log_format.h"

#define OXV_LOG_NAME_MAX_BYTES 256u

enum oxv_log_purpose { OXV_LOG_SHOW, OXV_LOG_EXPORT, OXV_LOG_FOLLOW };

/* A text to be found, or none. */
struct oxv_log_name {
    size_t len; /* 0: any */
    uint8_t bytes[OXV_LOG_NAME_MAX_BYTES];
};

struct oxv_log_query {
    enum oxv_log_purpose purpose;
    const struct oxv_log_format *format;
    char since[OXV_TIMESTAMP_BYTES]; /* "": from the beginning; as entries write their time */
    char until[OXV_TIMESTAMP_BYTES]; /* "": no end; entries of this moment are not included */
    struct oxv_log_name connection;
    struct oxv_log_name caller;
    struct oxv_log_name outcome;
    struct oxv_log_name type;
    uint64_t from;  /* index of the first entry to look at */
    uint64_t limit; /* the last so many that match */
    bool has_limit;
};

/*
 * Reads the query of a request; empty values are as good as none.
 *   OXV_E_FORMAT  unknown, twice, or a value that is none: *err names the parameter
 */
OXV_MUST_USE enum oxv_status oxv_log_query_parse(struct oxv_view query, struct oxv_log_query *out,
                                                 struct oxv_err *err);

/* "show", "export", "follow" */
const char *oxv_log_purpose_name(enum oxv_log_purpose purpose);

/*
 * Does an entry match, apart from its index?
 *   OXV_E_NOT_FOUND  it does not
 *   OXV_E_FORMAT     it is no entry
 */
OXV_MUST_USE enum oxv_status oxv_log_query_match(const struct oxv_log_query *query,
                                                 struct oxv_view line);

/* The types an entry can have; NULL at the end. The log has the same list, a test compares. */
extern const char *const oxv_log_type_names[];

#endif
