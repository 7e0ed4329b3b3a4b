/*
 * segments: the files of log/seg, and the walk through them with the rules of chain.h. A segment is
 * named by the index of its first entry, 12 digits, and holds OXV_LOG_SEGMENT_ENTRIES entries; only
 * the last one may hold fewer.
 */
#ifndef OXV_VAULT_LOG_SEGMENTS_H
#define OXV_VAULT_LOG_SEGMENTS_H

#include "vault/log/chain.h"

#define OXV_SEGMENT_NAME_BYTES 24u /* "000000065536.jsonl" and its NUL */
#define OXV_SEGMENT_PATH_BYTES 32u /* "seg/000000065536.jsonl" and its NUL */

/* The name of the segment with the number `n` (0, 1, ...). */
void oxv_segment_name(uint64_t n, char out[OXV_SEGMENT_NAME_BYTES]);

struct oxv_segments {
    uint64_t count;    /* 0..count-1 are there */
    bool has_gap;      /* there is one beyond: number `count` is missing */
    char foreign[256]; /* the name of a file that is no segment; "" where all are */
};

/* Lists the directory. OXV_E_IO, OXV_E_NOT_FOUND as the system says. */
OXV_MUST_USE enum oxv_status oxv_segments_list(int seg_fd, struct oxv_segments *out,
                                               struct oxv_err *err);

enum oxv_walk_end {
    OXV_WALK_CLEAN, /* all of it is committed */
    OXV_WALK_TORN,  /* lines follow the last commit, or an unfinished line */
    OXV_WALK_FAULT, /* a line breaks a rule */
};

/* The walk's state after a segment. */
struct oxv_walk {
    struct oxv_chain chain; /* after the last good line */
    struct oxv_chain good;  /* after the last commit */
    uint64_t segment;       /* number of the segment */
    uint64_t begin_offset;  /* where in the next segment to begin; the walk sets it to 0 */
    uint64_t good_offset;   /* in it: end of its last commit, 0 where there is none */
    uint64_t group_offset;  /* in it: where the last whole group began */
    uint64_t end_offset;    /* in it: end of the last good line; a faulty line begins here */
    uint64_t stop_offset;   /* in it: end of the last byte that a writer can have meant: of a line,
                               or of one that is not ended */
    struct oxv_chain_fault fault;
};

void oxv_walk_init(struct oxv_walk *walk, const struct oxv_chain *empty);

/*
 * Walks segment number `n`, which must be the one after the last walk's. A segment that is not the
 * last one must end full and committed; only the last one may end in zero bytes. The walk begins
 * at walk->begin_offset: not 0 where a commit that ends there was walked to before.
 *   OXV_E_IO  it cannot be read
 */
OXV_MUST_USE enum oxv_status oxv_walk_segment(struct oxv_walk *walk, int seg_fd, uint64_t n,
                                              bool is_last, enum oxv_walk_end *end,
                                              struct oxv_err *err);

#endif
