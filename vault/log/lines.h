/* lines: reads a file line by line through one buffer, whatever its length. */
#ifndef OXV_VAULT_LOG_LINES_H
#define OXV_VAULT_LOG_LINES_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/status.h"

#define OXV_LINES_KEPT_BYTES 256u

enum oxv_line_kind {
    OXV_LINE_WHOLE,   /* ended by a newline, which is not part of the text */
    OXV_LINE_PARTIAL, /* bytes without a newline before the file's end, or before a zero byte */
    OXV_LINE_LONG,    /* longer than any line of ours; the text is its end, see below */
    OXV_LINE_HOLE,    /* zero bytes where a line could end or begin, others behind them; no text */
    OXV_LINE_ZEROS,   /* nothing but zero bytes up to the end of the file; no text */
    OXV_LINE_END,     /* the end of the file; no text */
};

struct oxv_line {
    enum oxv_line_kind kind;
    struct oxv_view text; /* borrowed until the next call */
    uint64_t offset;      /* of its first byte in the file */
};

struct oxv_lines;

void oxv_lines_free(struct oxv_lines *lines);
/* Starts at the descriptor's place, which counts as offset 0. The descriptor is borrowed. */
OXV_MUST_USE struct oxv_lines *oxv_lines_new(int fd);
/*
 * OXV_E_IO with errno kept. After END it is END again; after a PARTIAL line comes HOLE, ZEROS or
 * END. Zero bytes within a WHOLE or LONG line are part of it. Of a LONG line the last
 * OXV_LINES_KEPT_BYTES before its newline are given; none where it has no newline.
 */
OXV_MUST_USE enum oxv_status oxv_lines_next(struct oxv_lines *lines, struct oxv_line *out);

OXV_DEFINE_OWNER(oxv_lines);

#endif
