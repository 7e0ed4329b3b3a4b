/* secret_lines: reads a file with secrets line by line; its bytes stay in locked memory. */
#ifndef OXV_CLI_SECRET_LINES_H
#define OXV_CLI_SECRET_LINES_H

#include "base/secret.h"

#define OXV_SECRET_LINE_MAX_BYTES 32768u

struct oxv_secret_lines {
    int fd; /* borrowed */
    struct oxv_secret *block;
    size_t begin; /* what is unread within the block */
    size_t end;
    bool at_end;
    uint64_t number; /* of the line last given, from 1 */
};

OXV_MUST_USE enum oxv_status oxv_secret_lines_init(struct oxv_secret_lines *lines, int fd,
                                                   struct oxv_err *err);
void oxv_secret_lines_done(struct oxv_secret_lines *lines);

/*
 * The next line that is not blank, without its newline; borrowed until the next call. *more is
 * false at the end.
 *   OXV_E_LIMIT  a line of more than OXV_SECRET_LINE_MAX_BYTES      OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_secret_lines_next(struct oxv_secret_lines *lines,
                                                   struct oxv_view *line, bool *more,
                                                   struct oxv_err *err);

#endif
