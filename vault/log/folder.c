#include "vault/log/folder.h"

#include <fcntl.h>

#include "base/io.h"
#include "vault/log/leaves.h"
#include "vault/log/tile.h"

#define SEGMENT_LEVEL 16u

_Static_assert(OXV_LOG_SEGMENT_ENTRIES == 1u << SEGMENT_LEVEL, "a segment is a full subtree");

struct folder {
    int log_fd;
    int seg_fd;
    bool use_tiles;
    bool used_tiles;
    struct oxv_hasher *hasher;
};

static void
folder_done(struct folder *f)
{
    oxv_closep(&f->seg_fd);
    oxv_hasher_free(f->hasher);
}

/* Its hashes in a tile. Eight levels of the tree are one of tiles. */
static bool
look_in_tile(struct folder *f, struct oxv_proof_node *node)
{
    unsigned below = node->level % 8;
    uint64_t first = node->n << below; /* of the hashes at the tiles' level */
    struct oxv_tile tile = { .level = node->level / 8,
                             .n = first / OXV_TILE_WIDTH,
                             .width = OXV_TILE_WIDTH };
    uint8_t hashes[OXV_TILE_WIDTH][OXV_HASH_BYTES];
    size_t count = (size_t)1 << below;
    enum oxv_status st = oxv_tile_read(f->log_fd, &tile, first % OXV_TILE_WIDTH, hashes, count);

    if (st != OXV_OK && below == 0 && node->level > 0) { /* or it is the root of a whole tile */
        tile.level--;
        tile.n = node->n;
        count = OXV_TILE_WIDTH;
        st = oxv_tile_read(f->log_fd, &tile, 0, hashes, count);
    }
    if (st == OXV_OK) {
        oxv_tile_fold(f->hasher, hashes, count);
        memcpy(node->hash, hashes[0], sizeof node->hash);
    }
    return st == OXV_OK;
}

/* From tiles alone; where the one is not full yet that it is in, from its halves. */
static bool
look_up(struct folder *f, struct oxv_proof_node *node)
{
    struct oxv_proof_node left = { .level = node->level - 1, .n = 2 * node->n };
    struct oxv_proof_node right = { .level = node->level - 1, .n = 2 * node->n + 1 };

    if (!f->use_tiles) {
        return false;
    }
    if (!look_in_tile(f, node)) {
        if (node->level <= 8 || !look_up(f, &right) || !look_up(f, &left)) {
            return false;
        }
        oxv_hash_node(f->hasher, left.hash, right.hash, node->hash);
    }
    node->is_known = true;
    f->used_tiles = true;
    return true;
}

struct pass {
    struct oxv_proof_pass pass;
    struct oxv_hasher *hasher;
};

static enum oxv_status
take_leaf(void *ctx, struct oxv_view line)
{
    struct pass *pass = ctx;

    oxv_proof_pass_add(&pass->pass, pass->hasher, line);
    return OXV_OK;
}

/* All nodes of the plan that lie in one segment, by reading it up to the end of the last. */
static enum oxv_status
read_segment(struct folder *f, struct oxv_proof_plan *plan, uint64_t segment, struct oxv_err *err)
{
    struct pass pass = { .hasher = f->hasher };
    struct oxv_leaf_range range = { segment << SEGMENT_LEVEL, segment << SEGMENT_LEVEL };

    for (size_t i = 0; i < plan->node_count; i++) {
        const struct oxv_proof_node *node = &plan->nodes[i];

        if (node->level <= SEGMENT_LEVEL && node->n >> (SEGMENT_LEVEL - node->level) == segment) {
            uint64_t end = (node->n + 1) << node->level;

            range.end = end > range.end ? end : range.end;
        }
    }
    oxv_proof_pass_init(&pass.pass, plan, range.begin);
    return oxv_leaves_each(f->seg_fd, range, take_leaf, &pass, err);
}

/* A subtree of several segments, from its halves. */
static enum oxv_status
join_halves(struct folder *f, struct oxv_proof_node *node, struct oxv_err *err)
{
    struct oxv_proof_plan halves = { .node_count = 2 };
    enum oxv_status st = OXV_OK;

    for (size_t i = 0; i < 2 && st == OXV_OK; i++) {
        struct oxv_proof_node *half = &halves.nodes[i];

        half->level = node->level - 1;
        half->n = 2 * node->n + i;
        if (look_up(f, half)) {
            continue;
        }
        if (half->level > SEGMENT_LEVEL) {
            st = join_halves(f, half, err);
        } else {
            halves.node_count = i + 1;
            st = read_segment(f, &halves, half->n, err);
        }
    }
    if (st == OXV_OK) {
        oxv_hash_node(f->hasher, halves.nodes[0].hash, halves.nodes[1].hash, node->hash);
        node->is_known = true;
    }
    return st;
}

static enum oxv_status
fill(struct folder *f, struct oxv_proof_plan *plan, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    for (size_t i = 0; i < plan->node_count; i++) {
        (void)look_up(f, &plan->nodes[i]); /* first all, as a segment that is read gives several */
    }
    for (size_t i = 0; i < plan->node_count && st == OXV_OK; i++) {
        struct oxv_proof_node *node = &plan->nodes[i];

        if (node->is_known) {
            continue;
        }
        st = node->level > SEGMENT_LEVEL
                 ? join_halves(f, node, err)
                 : read_segment(f, plan, node->n >> (SEGMENT_LEVEL - node->level), err);
    }
    return st;
}

static enum oxv_status
keep_line(void *ctx, struct oxv_view line)
{
    struct oxv_proof_file *file = ctx;

    if (line.len > sizeof file->extra) {
        return OXV_E_FORGED;
    }
    memcpy(file->extra, line.data, line.len);
    file->extra_len = line.len;
    return OXV_OK;
}

static enum oxv_status
prove_entry(struct folder *f, const struct oxv_proof_head *head, struct oxv_proof_file *file,
            bool *holds, struct oxv_err *err)
{
    struct oxv_proof_plan plan;
    struct oxv_leaf_range range = { file->number, file->number + 1 };
    uint8_t leaf[OXV_HASH_BYTES];

    if (oxv_proof_plan_inclusion(&plan, file->number, head->size) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "the checkpoint is of %ju entries, without entry %ju",
                        (uintmax_t)head->size, (uintmax_t)file->number);
    }
    enum oxv_status st = oxv_leaves_each(f->seg_fd, range, keep_line, file, err);

    st = st == OXV_OK ? fill(f, &plan, err) : st;
    if (st == OXV_OK) {
        oxv_proof_finish(&plan, f->hasher, &file->proof);
        oxv_hash_leaf(f->hasher, oxv_view(file->extra, file->extra_len), leaf);
        *holds = oxv_proof_has_leaf(f->hasher, &file->proof, file->number, leaf, head);
    }
    return st;
}

static enum oxv_status
root_of(struct folder *f, uint64_t size, uint8_t root[OXV_HASH_BYTES], struct oxv_err *err)
{
    struct oxv_proof_plan plan;
    struct oxv_proof proof;

    oxv_proof_plan_root(&plan, size);
    enum oxv_status st = fill(f, &plan, err);

    if (st == OXV_OK) {
        oxv_proof_finish(&plan, f->hasher, &proof);
        memcpy(root, proof.hash[0], OXV_HASH_BYTES);
    }
    return st;
}

static enum oxv_status
prove_growth(struct folder *f, const struct oxv_proof_head *head, struct oxv_proof_file *file,
             struct oxv_proof_head *old, bool *holds, struct oxv_err *err)
{
    struct oxv_proof_plan plan;

    old->size = file->number;
    if (oxv_proof_plan_consistency(&plan, old->size, head->size) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE,
                        "the checkpoint is of %ju entries: there is no proof from %ju",
                        (uintmax_t)head->size, (uintmax_t)old->size);
    }
    enum oxv_status st = root_of(f, old->size, old->root, err);

    st = st == OXV_OK ? fill(f, &plan, err) : st;
    if (st == OXV_OK) {
        oxv_proof_finish(&plan, f->hasher, &file->proof);
        *holds = oxv_proof_extends(f->hasher, &file->proof, old, head);
    }
    return st;
}

enum oxv_status
oxv_folder_prove(int log_fd, const struct oxv_proof_head *head, struct oxv_proof_file *file,
                 struct oxv_proof_head *old, struct oxv_err *err)
{
    OXV_AUTO(folder_done)
    struct folder f = { .log_fd = log_fd, .use_tiles = true, .hasher = oxv_hasher_new() };
    bool holds = false;
    enum oxv_status st;

    f.seg_fd = openat(log_fd, "seg", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f.seg_fd < 0) {
        return oxv_fail_errno(err, "cannot open the log's segments");
    }
    if (f.hasher == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory to hash with");
    }
    for (;;) {
        st = file->kind == OXV_PROOF_OF_ENTRY ? prove_entry(&f, head, file, &holds, err)
                                              : prove_growth(&f, head, file, old, &holds, err);
        if (st != OXV_OK || holds) {
            return st;
        }
        if (!f.used_tiles) {
            return oxv_fail(err, OXV_E_FORGED, "the log is not the one of the checkpoint");
        }
        f.use_tiles = false; /* a tile is damaged: once more, from the entries */
        f.used_tiles = false;
    }
}
