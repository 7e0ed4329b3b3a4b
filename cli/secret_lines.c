#include "cli/secret_lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (8u * OXV_SECRET_LINE_MAX_BYTES)

enum oxv_status
oxv_secret_lines_init(struct oxv_secret_lines *lines, int fd, struct oxv_err *err)
{
    *lines = (struct oxv_secret_lines){ .fd = fd, .block = oxv_secret_new(BLOCK_BYTES) };
    return lines->block != NULL ? OXV_OK : oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
}

void
oxv_secret_lines_done(struct oxv_secret_lines *lines)
{
    oxv_secret_freep(&lines->block);
}

/* More bytes behind those that are there. */
static enum oxv_status
fill(struct oxv_secret_lines *lines, struct oxv_err *err)
{
    uint8_t *bytes = oxv_secret_bytes(lines->block);
    ssize_t n;

    memmove(bytes, bytes + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    do {
        n = read(lines->fd, bytes + lines->end, BLOCK_BYTES - lines->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return oxv_fail_errno(err, "cannot read");
    }
    lines->at_end = n == 0;
    lines->end += (size_t)n;
    return OXV_OK;
}

/* One line, blank or not. */
static enum oxv_status
next_raw(struct oxv_secret_lines *lines, struct oxv_view *line, bool *more, struct oxv_err *err)
{
    const uint8_t *newline = NULL;
    struct oxv_view left;

    for (;;) {
        left = oxv_view(oxv_secret_bytes(lines->block) + lines->begin, lines->end - lines->begin);
        newline = memchr(left.data, '\n', left.len);
        if (newline != NULL || left.len > OXV_SECRET_LINE_MAX_BYTES || lines->at_end) {
            break;
        }
        enum oxv_status st = fill(lines, err);

        if (st != OXV_OK) {
            return st;
        }
    }
    size_t len = newline != NULL ? (size_t)(newline - left.data) : left.len;

    lines->number++;
    if (len > OXV_SECRET_LINE_MAX_BYTES) {
        return oxv_fail(err, OXV_E_LIMIT, "longer than %u bytes", OXV_SECRET_LINE_MAX_BYTES);
    }
    *more = newline != NULL || left.len > 0;
    *line = oxv_view(left.data, len);
    lines->begin += len + (newline != NULL ? 1 : 0);
    return OXV_OK;
}

static bool
is_blank(struct oxv_view line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') {
            return false;
        }
    }
    return true;
}

enum oxv_status
oxv_secret_lines_next(struct oxv_secret_lines *lines, struct oxv_view *line, bool *more,
                      struct oxv_err *err)
{
    enum oxv_status st;

    do {
        st = next_raw(lines, line, more, err);
    } while (st == OXV_OK && *more && is_blank(*line));
    return st;
}
