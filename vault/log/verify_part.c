#include "vault/log/verify_part.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/lines.h"

/* The first line of the segment, which says in which epoch it begins. */
static bool
read_first_line(struct oxv_part *part, int seg_fd)
{
    char name[OXV_SEGMENT_NAME_BYTES];
    struct oxv_entry_line entry;
    struct oxv_entry_fault fault;
    ssize_t len;

    oxv_segment_name(part->segment, name);
    OXV_AUTO(oxv_closep)
    int fd = openat(seg_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    do {
        len = fd < 0 ? -1 : pread(fd, part->line, sizeof part->line, 0);
    } while (len < 0 && fd >= 0 && errno == EINTR);
    const uint8_t *newline = len <= 0 ? NULL : memchr(part->line, '\n', (size_t)len);

    if (newline == NULL) {
        return false;
    }
    part->line_len = (size_t)(newline - part->line);
    if (oxv_entry_check(oxv_view(part->line, part->line_len), &entry, &fault) != OXV_OK) {
        return false;
    }
    part->epoch = entry.epoch;
    return true;
}

/*
 * A chain that knows of the entries before only how many there are. Of the first segment, which
 * names the log key, it knows all.
 */
static void
begin_chain(struct oxv_chain *chain, const struct oxv_part *part, const struct oxv_vkey *vkey,
            struct oxv_hasher *hasher)
{
    oxv_chain_init(chain, hasher, vkey);
    if (part->segment != 0) {
        memset(chain->public_key, 0, sizeof chain->public_key);
    }
    chain->epoch = part->epoch;
    chain->first = part->segment * OXV_LOG_SEGMENT_ENTRIES;
    chain->segment_first = chain->first;
    chain->committed = chain->first;
}

static bool
take_commit(void *ctx, const struct oxv_chain *chain, const struct oxv_commit *commit)
{
    struct oxv_part *part = ctx;

    if (part->newest == NULL || part->newest->count == OXV_PART_CHUNK_COMMITS) {
        struct oxv_part_chunk *chunk = part->more(part->ctx, part->segment);

        if (chunk == NULL) {
            return false;
        }
        chunk->next = NULL;
        chunk->count = 0;
        if (part->newest == NULL) {
            part->chunks = chunk;
        } else {
            part->newest->next = chunk;
        }
        part->newest = chunk;
    }
    struct oxv_part_commit *kept = &part->newest->commits[part->newest->count++];

    kept->size = commit->size;
    oxv_tree_root(&chain->tree, chain->hasher, kept->part_root);
    memcpy(kept->root, commit->root, sizeof kept->root);
    memcpy(kept->signature, commit->signature, sizeof kept->signature);
    memcpy(kept->key, chain->public_key, sizeof kept->key);
    kept->is_first_epoch = chain->epoch == part->epoch;
    kept->is_final = chain->closing;
    if (kept->is_final && kept->is_first_epoch) {
        memcpy(part->after_key, chain->next_key, sizeof part->after_key);
    }
    return true;
}

void
oxv_part_scan(struct oxv_part *part, int seg_fd, const struct oxv_vkey *vkey,
              struct oxv_hasher *hasher)
{
    struct oxv_chain empty;
    struct oxv_walk walk;
    enum oxv_walk_end end;

    part->is_clean = false;
    part->chunks = NULL;
    part->newest = NULL;
    memset(part->after_key, 0, sizeof part->after_key);
    if (!read_first_line(part, seg_fd)) {
        return;
    }
    begin_chain(&empty, part, vkey, hasher);
    empty.later = take_commit;
    empty.later_ctx = part;
    oxv_walk_init(&walk, &empty);
    part->is_clean =
        oxv_walk_segment(&walk, seg_fd, part->segment, part->is_last, &end, NULL) == OXV_OK &&
        end == OXV_WALK_CLEAN && part->newest != NULL;
    part->offset = walk.good_offset;
    part->chain = walk.good;
}

/* What a chain that began at the segment cannot know, taken from one that knows. */
static void
know(struct oxv_chain *chain, const struct oxv_chain *whole)
{
    chain->hasher = whole->hasher;
    chain->first = whole->first;
    chain->later = whole->later;
    chain->later_ctx = whole->later_ctx;
    memcpy(chain->public_key, whole->public_key, sizeof chain->public_key);
    memcpy(chain->next_key, whole->next_key, sizeof chain->next_key);
    chain->has_log_key = whole->has_log_key;
    memcpy(chain->log_key, whole->log_key, sizeof chain->log_key);
    chain->epoch_size = whole->epoch_size;
    memcpy(chain->epoch_root, whole->epoch_root, sizeof chain->epoch_root);
    chain->tree = whole->tree;
    memcpy(chain->root, whole->root, sizeof chain->root);
    chain->commits = whole->commits;
    chain->first_time_us = whole->first_time_us;
    chain->cfg = whole->cfg;
    chain->marks = whole->marks;
    chain->mark_count = whole->mark_count;
    chain->mark_next = whole->mark_next;
}

/*
 * Does the segment's first line follow on the chain, and leave it in the state in which it left the
 * chain that began there? Then every further line would be judged alike. All members are compared
 * but those of know(), so that a member added later makes this refuse, not err.
 */
static bool
is_continued(const struct oxv_part *part, const struct oxv_chain *chain)
{
    struct oxv_vkey vkey = oxv_vkey_of(chain->origin, chain->public_key);
    struct oxv_chain whole;
    struct oxv_chain alone;
    struct oxv_chain_fault fault;
    struct oxv_view line = oxv_view(part->line, part->line_len);

    memcpy(&whole, chain, sizeof whole); /* with what is between the members */
    whole.segment_first = part->chain.segment_first;
    begin_chain(&alone, part, &vkey, chain->hasher);
    if (oxv_chain_feed(&whole, line, &fault) != OXV_OK ||
        oxv_chain_feed(&alone, line, &fault) != OXV_OK) {
        return false;
    }
    know(&alone, &whole);
    return memcmp(&alone, &whole, sizeof alone) == 0;
}

static bool
has_roots(const struct oxv_part *part, const struct oxv_chain *chain)
{
    for (const struct oxv_part_chunk *chunk = part->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            uint8_t root[OXV_HASH_BYTES];

            oxv_tree_root_with(&chain->tree, chain->hasher, chunk->commits[i].part_root, root);
            if (memcmp(root, chunk->commits[i].root, sizeof root) != 0) {
                return false;
            }
        }
    }
    return true;
}

bool
oxv_part_join(struct oxv_part *part, struct oxv_chain *chain)
{
    const struct oxv_chain *added = &part->chain;
    bool has_new_epoch = added->epoch != part->epoch;

    if (added->has_log_key && part->segment != 0) {
        return false; /* it must not be the epoch's key, which was not known; it is rare */
    }
    if (!part->is_clean || !oxv_chain_is_committed(chain) ||
        oxv_chain_size(chain) != part->segment * OXV_LOG_SEGMENT_ENTRIES ||
        !is_continued(part, chain) || !has_roots(part, chain) ||
        memcmp(part->after_key, chain->public_key, sizeof part->after_key) == 0) {
        return false;
    }
    struct oxv_chain joined = *added;

    memcpy(part->key, chain->public_key, sizeof part->key);
    know(&joined, chain);
    oxv_tree_append(&joined.tree, joined.hasher, &added->tree);
    memcpy(joined.root, added->root, sizeof joined.root);
    joined.commits += added->commits;
    if (added->has_log_key) {
        joined.has_log_key = true;
        memcpy(joined.log_key, added->log_key, sizeof joined.log_key);
    }
    joined.first_time_us = part->segment == 0 ? added->first_time_us : chain->first_time_us;
    if (has_new_epoch) {
        memcpy(joined.public_key, added->public_key, sizeof joined.public_key);
        memcpy(joined.next_key, added->next_key, sizeof joined.next_key);
        memcpy(joined.epoch_root, added->epoch_root, sizeof joined.epoch_root);
        joined.epoch_size = added->epoch_size;
    }
    *chain = joined;
    return true;
}

static bool
is_wanted(const struct oxv_part_chunk *chunk, size_t i, bool finals_only)
{
    bool is_newest = chunk->next == NULL && i == chunk->count - 1;

    return !finals_only || chunk->commits[i].is_final || is_newest;
}

uint64_t
oxv_part_signatures(const struct oxv_part *part, bool finals_only)
{
    uint64_t count = 0;

    for (const struct oxv_part_chunk *chunk = part->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            count += is_wanted(chunk, i, finals_only) ? 1 : 0;
        }
    }
    return count;
}

bool
oxv_part_verify(const struct oxv_part *part, bool finals_only)
{
    for (const struct oxv_part_chunk *chunk = part->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            const struct oxv_part_commit *commit = &chunk->commits[i];
            struct oxv_checkpoint stated = { .origin = part->chain.origin, .size = commit->size };
            const uint8_t *key = commit->is_first_epoch ? part->key : commit->key;

            memcpy(stated.root, commit->root, sizeof stated.root);
            if (is_wanted(chunk, i, finals_only) &&
                !oxv_checkpoint_verify(&stated, key, commit->signature)) {
                return false;
            }
        }
    }
    return true;
}
