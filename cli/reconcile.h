/*
 * reconcile: logins as NetSuite saw them (its Login Audit Trail, as CSV) beside the signatures of
 * the access log. A login has a time, of minutes often, and no nonce; so a signature is one for it
 * where it was made close to it, for the connection that its token is said to be of. Each signature
 * is one for one login.
 */
#ifndef OXV_CLI_RECONCILE_H
#define OXV_CLI_RECONCILE_H

#include <stdio.h>

#include "base/text.h"

#define OXV_LOGINS_MAX 200000u

enum oxv_login_field {
    OXV_LOGIN_DATE,
    OXV_LOGIN_USER,
    OXV_LOGIN_STATUS,
    OXV_LOGIN_TOKEN,
    OXV_LOGIN_APPLICATION,
    OXV_LOGIN_DETAIL,
    OXV_LOGIN_IP,
    OXV_LOGIN_FIELDS,
};

/* "date", "user", ... */
extern const char *const oxv_login_field_names[OXV_LOGIN_FIELDS];

enum oxv_date_order { OXV_DATE_MDY, OXV_DATE_DMY, OXV_DATE_YMD };

struct oxv_login_form {
    const char *titles[OXV_LOGIN_FIELDS]; /* of the columns */
    enum oxv_date_order order;
    int64_t offset_s;  /* of the times in the file, east of UTC */
    uint64_t window_s; /* how far a login and its signature may be apart */
};

struct oxv_login {
    uint64_t line;                 /* of the file */
    uint64_t begin_us, end_us;     /* when its signature can have been made, both included */
    char *cells[OXV_LOGIN_FIELDS]; /* owned; "" where the file has no such column */
    const char *connection;        /* borrowed; NULL: any */
    bool is_refused;
    bool is_signed; /* a signature was found */
};

struct oxv_logins {
    struct oxv_login *rows; /* by begin_us */
    size_t count;
    size_t room;
    size_t others; /* rows that are no logins by token */
    size_t first;  /* none before is open any more */
};

void oxv_logins_done(struct oxv_logins *logins);

/*
 * Reads the file; what has no token name is none of ours. Date and user must be there.
 *   OXV_E_FORMAT  a column is missing, or a row is malformed: *err says which
 *   OXV_E_LIMIT   too many rows
 *   OXV_E_IO, OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_logins_read(struct oxv_logins *logins, FILE *file,
                                             const struct oxv_login_form *form,
                                             struct oxv_err *err);

/* Sorts them; once the connections are set. */
void oxv_logins_sort(struct oxv_logins *logins);

/* One signature of the log, in the order of time. False where no login is left that it is for. */
bool oxv_logins_match(struct oxv_logins *logins, uint64_t time_us, struct oxv_view connection);

/*
 * A point in time as NetSuite writes it: "1/31/2026 3:04 pm", "31.1.2026 15:04:05", or RFC 3339.
 * *precision_us is a minute where there are no seconds.
 */
OXV_MUST_USE bool oxv_login_time(struct oxv_view text, const struct oxv_login_form *form,
                                 uint64_t *time_us, uint64_t *precision_us);

/* What the detail of a refused login most likely comes from, and what to do; NULL: not known. */
const char *oxv_login_cause(const char *detail);

#endif
