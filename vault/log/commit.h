/*
 * commit: the line that closes a group of entries. It is no leaf of the tree.
 *
 *   {"commit":{"epoch":E,"root":"<base64>","sig":"<base64>","size":N}}
 *
 * `sig` is the epoch's Ed25519 signature over the checkpoint text of (origin, size, root).
 */
#ifndef OXV_VAULT_LOG_COMMIT_H
#define OXV_VAULT_LOG_COMMIT_H

#include "vault/log/note.h"

/* Fixed text, two numbers, base64 of root and signature; without the newline. */
#define OXV_COMMIT_MAX_BYTES 240u

struct oxv_commit {
    uint64_t epoch;
    uint64_t size;
    uint8_t root[OXV_HASH_BYTES];
    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES];
};

/* Is this line meant as a commit line? No entry line is. */
bool oxv_commit_is_line(struct oxv_view line);

/* Appends the line, without newline. */
void oxv_commit_write(struct oxv_writer *w, const struct oxv_commit *commit);

/* Reads exactly what oxv_commit_write() writes. *out is untouched where it returns false. */
OXV_MUST_USE bool oxv_commit_parse(struct oxv_view line, struct oxv_commit *out);

/* How a line differs from the commit line that must stand there, the signature's text aside. */
struct oxv_commit_difference {
    size_t count; /* bytes that differ; SIZE_MAX where the lengths do */
    size_t first; /* offset of the first one; of the signature where there is none */
};

struct oxv_commit_difference oxv_commit_compare(struct oxv_view line,
                                                const struct oxv_commit *expected);

/* Does the line end in a whole commit line? For the search in a damaged tail. */
bool oxv_commit_ends_line(struct oxv_view line);

#endif
