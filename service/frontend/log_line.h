/*
 * log_line: the members of one entry of the access log, as the line stands. Bounded: one pass, no
 * allocation. The lines come from the keeper, and from files that others could write to.
 *
 *   line    { member , member ... }   at least one member
 *   member  "name":value, no blanks anywhere; name is a-z, 0-9 and _
 *   value   a string whose only escapes are of quote and backslash, or decimal digits
 */
#ifndef OXV_SERVICE_FRONTEND_LOG_LINE_H
#define OXV_SERVICE_FRONTEND_LOG_LINE_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_LOG_LINE_MAX_BYTES 16384u /* without its newline */

struct oxv_log_member {
    struct oxv_view name;
    struct oxv_view value; /* between the quotes, escapes and all; or the digits */
    bool is_text;
};

struct oxv_log_line {
    struct oxv_reader r;
    bool is_begun;
};

/* A commit line is no entry: it closes a group of them. */
bool oxv_log_line_is_commit(struct oxv_view line);

static inline struct oxv_log_line
oxv_log_line(struct oxv_view line)
{
    return (struct oxv_log_line){ .r = oxv_reader(line) };
}

/*
 * The next member; views borrow the line.
 *   OXV_E_NOT_FOUND  the line ended as it must
 *   OXV_E_FORMAT     it has another form
 */
OXV_MUST_USE enum oxv_status oxv_log_line_next(struct oxv_log_line *line,
                                               struct oxv_log_member *out);

/* The next character of a text value, escapes taken out; false at its end. */
OXV_MUST_USE bool oxv_log_text_next(struct oxv_reader *r, uint8_t *byte);
/* Does a text value stand for `text`? */
bool oxv_log_text_is(struct oxv_view value, struct oxv_view text);

#endif
