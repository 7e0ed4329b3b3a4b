#include "vault/log/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/lines.h"

#define NAME_DIGITS 12u
#define NAME_END    ".jsonl"

void
oxv_segment_name(uint64_t n, char out[OXV_SEGMENT_NAME_BYTES])
{
    if (oxv_format(out, OXV_SEGMENT_NAME_BYTES, "%012ju" NAME_END,
                   (uintmax_t)(n * OXV_LOG_SEGMENT_ENTRIES)) != OXV_OK) {
        oxv_bug("a log of more than 10^17 entries");
    }
}

static bool
parse_name(const char *name, uint64_t *n)
{
    struct oxv_reader r = oxv_reader(oxv_view_text(name));
    struct oxv_view digits;
    uint64_t first = 0;

    if (!oxv_read_view(&r, NAME_DIGITS, &digits) || !oxv_view_is(r.left, NAME_END)) {
        return false;
    }
    for (size_t i = 0; i < NAME_DIGITS; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        first = first * 10 + (uint64_t)(digits.data[i] - '0');
    }
    *n = first / OXV_LOG_SEGMENT_ENTRIES;
    return first % OXV_LOG_SEGMENT_ENTRIES == 0;
}

static bool
exists(int seg_fd, uint64_t n)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    struct stat st;

    oxv_segment_name(n, name);
    return fstatat(seg_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum oxv_status
oxv_segments_list(int seg_fd, struct oxv_segments *out, struct oxv_err *err)
{
    struct oxv_segments found = { 0 };
    uint64_t files = 0;
    OXV_AUTO(oxv_closep) int fd = openat(seg_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OXV_AUTO(oxv_closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        return oxv_fail_errno(err, "cannot list the log's segments");
    }
    (void)oxv_fd_take(&fd); /* the DIR owns it now */
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(dir);
        uint64_t n;

        if (item == NULL) {
            break;
        }
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) {
            continue;
        }
        if (parse_name(item->d_name, &n)) {
            files++;
        } else if (oxv_format(found.foreign, sizeof found.foreign, "%s", item->d_name) != OXV_OK) {
            oxv_bug("a name longer than NAME_MAX");
        }
    }
    if (errno != 0) {
        return oxv_fail_errno(err, "cannot list the log's segments");
    }
    while (found.count < files && exists(seg_fd, found.count)) {
        found.count++;
    }
    found.has_gap = found.count != files;
    *out = found;
    return OXV_OK;
}

void
oxv_walk_init(struct oxv_walk *walk, const struct oxv_chain *empty)
{
    *walk = (struct oxv_walk){ .chain = *empty, .good = *empty };
}

static enum oxv_walk_end
fault_at(struct oxv_walk *walk, const char *code, const char *reason)
{
    walk->fault = (struct oxv_chain_fault){ .code = code, .reason = reason };
    return OXV_WALK_FAULT;
}

/* What the end of the file means. */
static enum oxv_walk_end
end_of_segment(struct oxv_walk *walk, bool is_last)
{
    bool is_full =
        oxv_chain_size(&walk->chain) == walk->chain.segment_first + OXV_LOG_SEGMENT_ENTRIES;

    if (is_last) {
        return oxv_chain_is_committed(&walk->chain) ? OXV_WALK_CLEAN : OXV_WALK_TORN;
    }
    if (!is_full || !oxv_chain_is_committed(&walk->chain)) {
        return fault_at(walk, "short_segment", "the segment ends early, yet another follows");
    }
    return OXV_WALK_CLEAN;
}

/* Zero bytes up to the end: those that the writer puts there ahead, in the newest segment. */
static enum oxv_walk_end
end_in_zeros(struct oxv_walk *walk, bool is_last)
{
    enum oxv_walk_end end = end_of_segment(walk, is_last);

    if (!is_last && end == OXV_WALK_CLEAN) {
        end = fault_at(walk, "bad_segment", "the segment ends in zero bytes, yet another follows");
    }
    return end;
}

static enum oxv_walk_end
find_hole(struct oxv_walk *walk)
{
    enum oxv_walk_end end = fault_at(walk, "hole", "zero bytes, and others behind them");

    walk->fault.offset = walk->stop_offset - walk->end_offset;
    return end;
}

static enum oxv_walk_end
end_within_line(struct oxv_walk *walk, bool is_last)
{
    return is_last ? OXV_WALK_TORN
                   : fault_at(walk, "short_segment", "the segment ends within a line");
}

/* Takes one whole line; true where the walk goes on. */
static bool
take_line(struct oxv_walk *walk, struct oxv_view text, enum oxv_walk_end *end)
{
    uint64_t committed = walk->chain.committed;

    if (oxv_chain_feed(&walk->chain, text, &walk->fault) != OXV_OK) {
        *end = OXV_WALK_FAULT;
        return false;
    }
    walk->end_offset += text.len + 1;
    walk->stop_offset = walk->end_offset;
    if (walk->chain.committed != committed) {
        walk->good = walk->chain;
        walk->group_offset = walk->good_offset;
        walk->good_offset = walk->end_offset;
    }
    return true;
}

static enum oxv_status
walk_lines(struct oxv_walk *walk, struct oxv_lines *lines, bool is_last, enum oxv_walk_end *end)
{
    struct oxv_line line;
    bool is_partial = false;

    for (;;) {
        enum oxv_status st = oxv_lines_next(lines, &line);

        if (st != OXV_OK) {
            return st;
        }
        switch (line.kind) {
        case OXV_LINE_WHOLE:
            if (!take_line(walk, line.text, end)) {
                return OXV_OK;
            }
            break;
        case OXV_LINE_LONG:
            *end = fault_at(walk, "bad_entry", "a line that is too long");
            walk->fault.offset = OXV_LOG_ENTRY_MAX_BYTES;
            return OXV_OK;
        case OXV_LINE_PARTIAL:
            walk->stop_offset += line.text.len;
            is_partial = true; /* what follows tells whether the file ends here */
            break;
        case OXV_LINE_HOLE:
            *end = find_hole(walk);
            return OXV_OK;
        case OXV_LINE_ZEROS:
        case OXV_LINE_END:
            *end = is_partial                    ? end_within_line(walk, is_last)
                   : line.kind == OXV_LINE_ZEROS ? end_in_zeros(walk, is_last)
                                                 : end_of_segment(walk, is_last);
            return OXV_OK;
        }
    }
}

enum oxv_status
oxv_walk_segment(struct oxv_walk *walk, int seg_fd, uint64_t n, bool is_last,
                 enum oxv_walk_end *end, struct oxv_err *err)
{
    char name[OXV_SEGMENT_NAME_BYTES];

    oxv_segment_name(n, name);
    OXV_AUTO(oxv_closep)
    int fd = openat(seg_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    OXV_AUTO(oxv_lines_freep) struct oxv_lines *lines = oxv_lines_new(fd);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot open log/seg/%s", name);
    }
    if (lines == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory to read the log");
    }
    if (lseek(fd, (off_t)walk->begin_offset, SEEK_SET) < 0) {
        return oxv_fail_errno(err, "cannot read log/seg/%s", name);
    }
    walk->segment = n;
    walk->good_offset = walk->begin_offset;
    walk->group_offset = walk->begin_offset;
    walk->end_offset = walk->begin_offset;
    walk->stop_offset = walk->begin_offset;
    walk->begin_offset = 0;
    walk->chain.segment_first = n * OXV_LOG_SEGMENT_ENTRIES;
    walk->good.segment_first = walk->chain.segment_first;
    if (walk_lines(walk, lines, is_last, end) != OXV_OK) {
        return oxv_fail_errno(err, "cannot read log/seg/%s", name);
    }
    return OXV_OK;
}
