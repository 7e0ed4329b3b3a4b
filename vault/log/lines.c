#include "vault/log/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vault/log/entry.h"

#define BUFFER_BYTES   262144u
#define LINE_MAX_BYTES (OXV_LOG_ENTRY_MAX_BYTES + 1) /* with the newline */

struct oxv_lines {
    int fd;
    bool at_end;
    uint64_t offset;      /* of left.data in the file */
    struct oxv_view left; /* what of the buffer was not given out yet */
    uint8_t buffer[BUFFER_BYTES];
};

void
oxv_lines_free(struct oxv_lines *lines)
{
    free(lines);
}

struct oxv_lines *
oxv_lines_new(int fd)
{
    struct oxv_lines *lines = malloc(sizeof *lines);

    if (lines != NULL) {
        lines->fd = fd;
        lines->at_end = false;
        lines->offset = 0;
        lines->left = (struct oxv_view){ .data = lines->buffer }; /* nothing in it yet */
    }
    return lines;
}

/* Reads until at least one whole line of ours, or the end of the file, is in the buffer. */
static enum oxv_status
fill(struct oxv_lines *lines)
{
    size_t len = lines->left.len;

    if (len > 0) {
        memmove(lines->buffer, lines->left.data, len);
    }
    while (!lines->at_end && len < LINE_MAX_BYTES) {
        ssize_t n = read(lines->fd, lines->buffer + len, sizeof lines->buffer - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return OXV_E_IO;
        }
        lines->at_end = n == 0;
        len += (size_t)n;
    }
    lines->left = oxv_view(lines->buffer, len);
    return OXV_OK;
}

static void
consume(struct oxv_lines *lines, size_t len)
{
    lines->left = oxv_view_from(lines->left, len);
    lines->offset += len;
}

static size_t
kept(size_t len)
{
    return len < OXV_LINES_KEPT_BYTES ? len : OXV_LINES_KEPT_BYTES;
}

/* Drops bytes up to and with the next newline; *end is what stood before it. */
static enum oxv_status
skip_line(struct oxv_lines *lines, struct oxv_view *end)
{
    for (;;) {
        struct oxv_view left = lines->left;
        const uint8_t *newline = left.len == 0 ? NULL : memchr(left.data, '\n', left.len);

        if (newline != NULL) {
            size_t len = (size_t)(newline - left.data);

            *end = oxv_view_from(oxv_view(left.data, len), len - kept(len));
            consume(lines, len + 1);
            return OXV_OK;
        }
        if (lines->at_end) {
            consume(lines, left.len);
            *end = oxv_view("", 0);
            return OXV_OK;
        }
        consume(lines, left.len - kept(left.len));
        enum oxv_status st = fill(lines);

        if (st != OXV_OK) {
            return st;
        }
    }
}

/* Drops zero bytes; what is left then is something else, or the end. */
static enum oxv_status
skip_zeros(struct oxv_lines *lines)
{
    for (;;) {
        size_t len = 0;

        while (len < lines->left.len && lines->left.data[len] == 0) {
            len++;
        }
        consume(lines, len);
        if (lines->left.len > 0 || lines->at_end) {
            return OXV_OK;
        }
        enum oxv_status st = fill(lines);

        if (st != OXV_OK) {
            return st;
        }
    }
}

static bool
begins_with_zero(const struct oxv_lines *lines)
{
    return lines->left.len > 0 && lines->left.data[0] == 0;
}

/* No newline is near: the line was never ended, or is too long. */
static enum oxv_status
take_unended(struct oxv_lines *lines, size_t scan, struct oxv_line *line)
{
    size_t len = oxv_view_find(oxv_view_slice(lines->left, 0, scan), 0);

    if (len == LINE_MAX_BYTES) {
        line->kind = OXV_LINE_LONG;
        return skip_line(lines, &line->text);
    }
    line->kind = len > 0 ? OXV_LINE_PARTIAL : OXV_LINE_END;
    line->text = oxv_view_slice(lines->left, 0, len);
    consume(lines, len);
    return OXV_OK;
}

enum oxv_status
oxv_lines_next(struct oxv_lines *lines, struct oxv_line *out)
{
    size_t scan = lines->left.len < LINE_MAX_BYTES ? lines->left.len : LINE_MAX_BYTES;
    const uint8_t *newline = scan == 0 ? NULL : memchr(lines->left.data, '\n', scan);
    enum oxv_status st = OXV_OK;

    if (newline == NULL && scan < LINE_MAX_BYTES && !lines->at_end) {
        st = fill(lines);
        if (st != OXV_OK) {
            return st;
        }
        return oxv_lines_next(lines, out); /* once: now there is a whole line, or the end */
    }
    struct oxv_line line = { .offset = lines->offset };

    if (begins_with_zero(lines)) {
        st = skip_zeros(lines);
        line.kind = lines->left.len > 0 ? OXV_LINE_HOLE : OXV_LINE_ZEROS;
    } else if (newline != NULL) {
        line.kind = OXV_LINE_WHOLE;
        line.text = oxv_view(lines->left.data, (size_t)(newline - lines->left.data));
        consume(lines, line.text.len + 1);
    } else {
        st = take_unended(lines, scan, &line);
    }
    if (st == OXV_OK) {
        *out = line;
    }
    return st;
}
