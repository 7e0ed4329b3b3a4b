/*
 * verify_part: one segment checked by itself, by the rules of chain.h, while nothing is known of
 * those before it; and the joining to them. What is not certainly good is refused here: the caller
 * then walks that segment in order, and that walk alone makes findings.
 */
#ifndef OXV_VAULT_LOG_VERIFY_PART_H
#define OXV_VAULT_LOG_VERIFY_PART_H

#include "vault/log/segments.h"

#define OXV_PART_CHUNK_COMMITS 1024u

/* A commit line whose root and signature were not checked yet. */
struct oxv_part_commit {
    uint64_t size;
    uint8_t part_root[OXV_HASH_BYTES]; /* of the segment's entries alone */
    uint8_t root[OXV_HASH_BYTES];      /* as stated */
    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES];
    uint8_t key[OXV_NOTE_PUBLIC_KEY_BYTES]; /* of its epoch, but for the segment's first epoch */
    bool is_first_epoch;
    bool is_final; /* of its epoch */
};

struct oxv_part_chunk {
    struct oxv_part_chunk *next;
    size_t count;
    struct oxv_part_commit commits[OXV_PART_CHUNK_COMMITS];
};

/* Where commits are kept. NULL: no memory, the segment is then refused. */
typedef struct oxv_part_chunk *(*oxv_part_chunk_fn)(void *ctx, uint64_t segment);

struct oxv_part {
    uint64_t segment;
    bool is_last;    /* of the log */
    bool is_clean;   /* after the scan */
    uint64_t epoch;  /* the first entry's */
    uint64_t offset; /* end of the last commit in the file */
    size_t line_len;
    uint8_t line[OXV_LOG_ENTRY_MAX_BYTES];        /* the first one */
    uint8_t key[OXV_NOTE_PUBLIC_KEY_BYTES];       /* the first epoch's: known after joining */
    uint8_t after_key[OXV_NOTE_PUBLIC_KEY_BYTES]; /* the one that follows it; zeros: none does */
    struct oxv_chain chain;                       /* after the segment */
    struct oxv_part_chunk *chunks;
    struct oxv_part_chunk *newest;
    oxv_part_chunk_fn more; /* set by the caller, with ctx */
    void *ctx;
};

/* Reads segment number part->segment; part->is_clean is the outcome. */
void oxv_part_scan(struct oxv_part *part, int seg_fd, const struct oxv_vkey *vkey,
                   struct oxv_hasher *hasher);

/*
 * Continues *chain, which stands at the end of the segment before, by a clean part. What the
 * vault's records are compared with (chain->cfg) is not carried on. False: *chain is as before.
 */
OXV_MUST_USE bool oxv_part_join(struct oxv_part *part, struct oxv_chain *chain);

/*
 * How many of its signatures are checked: all, or only those of final commits and the segment's
 * last one.
 */
uint64_t oxv_part_signatures(const struct oxv_part *part, bool finals_only);

/* After joining: are they good? */
OXV_MUST_USE bool oxv_part_verify(const struct oxv_part *part, bool finals_only);

#endif
