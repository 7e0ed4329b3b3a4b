#include "vault/log/leaves.h"

#include <fcntl.h>

#include "base/io.h"
#include "vault/log/commit.h"
#include "vault/log/lines.h"
#include "vault/log/segments.h"

struct reading {
    struct oxv_leaf_range range;
    uint64_t index; /* of the next entry */
    oxv_leaf_fn fn;
    void *ctx;
};

static enum oxv_status
end_early(const struct reading *r, const char *name, struct oxv_err *err)
{
    return oxv_fail(err, OXV_E_FORGED, "log/seg/%s: entry %ju is missing or damaged", name,
                    (uintmax_t)r->index);
}

/* The lines of one segment, up to `end`. */
static enum oxv_status
read_lines(struct reading *r, struct oxv_lines *lines, uint64_t end, const char *name,
           struct oxv_err *err)
{
    struct oxv_line line;

    while (r->index < end) {
        if (oxv_lines_next(lines, &line) != OXV_OK) {
            return oxv_fail_errno(err, "cannot read log/seg/%s", name);
        }
        if (line.kind != OXV_LINE_WHOLE) {
            return end_early(r, name, err);
        }
        if (oxv_commit_is_line(line.text)) {
            continue;
        }
        if (r->index++ >= r->range.begin) {
            enum oxv_status st = r->fn(r->ctx, line.text);

            if (st != OXV_OK) {
                return st;
            }
        }
    }
    return OXV_OK;
}

static enum oxv_status
read_segment(struct reading *r, int seg_fd, struct oxv_err *err)
{
    uint64_t n = r->index / OXV_LOG_SEGMENT_ENTRIES;
    uint64_t end = (n + 1) * OXV_LOG_SEGMENT_ENTRIES;
    char name[OXV_SEGMENT_NAME_BYTES];

    oxv_segment_name(n, name);
    OXV_AUTO(oxv_closep)
    int fd = openat(seg_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    OXV_AUTO(oxv_lines_freep) struct oxv_lines *lines = oxv_lines_new(fd);

    if (lines == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory to read the log");
    }
    return read_lines(r, lines, end < r->range.end ? end : r->range.end, name, err);
}

enum oxv_status
oxv_leaves_each(int seg_fd, struct oxv_leaf_range range, oxv_leaf_fn fn, void *ctx,
                struct oxv_err *err)
{
    struct reading r = { .range = range,
                         .index = range.begin / OXV_LOG_SEGMENT_ENTRIES * OXV_LOG_SEGMENT_ENTRIES,
                         .fn = fn,
                         .ctx = ctx };
    enum oxv_status st = OXV_OK;

    while (st == OXV_OK && r.index < range.end) {
        st = read_segment(&r, seg_fd, err);
    }
    return st;
}
