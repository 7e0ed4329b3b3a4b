#include "vault/log/tile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "vault/log/leaves.h"
#include "vault/log/log.h"

#define ENTRY_MAX_BYTES  65535u
#define BUNDLE_MAX_BYTES (OXV_TILE_WIDTH * (2u + ENTRY_MAX_BYTES))
#define BUNDLE_MIN_BYTES 65536u

struct level {
    uint64_t n;
    size_t count;
    uint8_t hashes[OXV_TILE_WIDTH][OXV_HASH_BYTES];
};

struct oxv_tiler {
    int dir_fd;
    struct oxv_hasher *hasher;
    enum oxv_tile_extent extent;
    uint64_t size;
    struct level levels[OXV_TILE_LEVELS];
    struct oxv_writer bundle; /* its bytes are owned */
};

void
oxv_tile_path(const struct oxv_tile *tile, char out[OXV_TILE_PATH_BYTES])
{
    struct oxv_writer w = oxv_writer(out, OXV_TILE_PATH_BYTES - 1);
    char group[8];
    uint64_t scale = 1;

    oxv_write_text(&w, "tile/");
    if (tile->level == OXV_TILE_ENTRIES) {
        oxv_write_text(&w, "entries");
    } else {
        oxv_write_decimal(&w, tile->level);
    }
    while (tile->n / scale >= 1000) {
        scale *= 1000;
    }
    for (; scale > 0; scale /= 1000) {
        if (oxv_format(group, sizeof group, scale > 1 ? "/x%03u" : "/%03u",
                       (unsigned)(tile->n / scale % 1000)) != OXV_OK) {
            oxv_bug("three digits do not fit");
        }
        oxv_write_text(&w, group);
    }
    if (tile->width < OXV_TILE_WIDTH) {
        oxv_write_text(&w, ".p/");
        oxv_write_decimal(&w, tile->width);
    }
    if (w.failed) {
        oxv_bug("the path of a tile does not fit");
    }
    out[w.len] = '\0';
}

void
oxv_tile_fold(struct oxv_hasher *hasher, uint8_t (*hashes)[OXV_HASH_BYTES], size_t count)
{
    for (; count > 1; count /= 2) {
        for (size_t i = 0; i < count / 2; i++) {
            oxv_hash_node(hasher, hashes[2 * i], hashes[2 * i + 1], hashes[i]);
        }
    }
}

enum oxv_status
oxv_tile_read(int log_fd, const struct oxv_tile *tile, size_t begin,
              uint8_t (*hashes)[OXV_HASH_BYTES], size_t count)
{
    char path[OXV_TILE_PATH_BYTES];
    struct stat found;

    oxv_tile_path(tile, path);
    OXV_AUTO(oxv_closep)
    int fd = openat(log_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    size_t len = count * OXV_HASH_BYTES;

    if (fd < 0 || fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) ||
        found.st_size != (off_t)OXV_TILE_BYTES || begin + count > OXV_TILE_WIDTH ||
        pread(fd, hashes, len, (off_t)(begin * OXV_HASH_BYTES)) != (ssize_t)len) {
        return OXV_E_NOT_FOUND; /* or cannot be read: it is made again, or done without */
    }
    return OXV_OK;
}

/* Makes the directories of a path. */
static enum oxv_status
make_parents(int dir_fd, const char *path, struct oxv_err *err)
{
    char parent[OXV_TILE_PATH_BYTES];

    for (size_t len = 0; path[len] != '\0'; len++) {
        if (path[len] == '/' &&
            (oxv_text_copy(oxv_view(path, len), parent, sizeof parent) != OXV_OK ||
             (mkdirat(dir_fd, parent, 0700) != 0 && errno != EEXIST))) {
            return oxv_fail_errno(err, "cannot make the directory %.*s", (int)len, path);
        }
    }
    return OXV_OK;
}

/* The file is whole when it has its name. */
static enum oxv_status
put(int dir_fd, const char *path, struct oxv_view bytes, struct oxv_err *err)
{
    char next[OXV_TILE_PATH_BYTES + 8];
    enum oxv_status st = make_parents(dir_fd, path, err);

    if (st != OXV_OK) {
        return st;
    }
    if (oxv_format(next, sizeof next, "%s.next", path) != OXV_OK) {
        oxv_bug("a path with its suffix does not fit");
    }
    OXV_AUTO(oxv_closep)
    int fd = openat(dir_fd, next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || oxv_write_all(fd, bytes) != OXV_OK || renameat(dir_fd, next, dir_fd, path) != 0) {
        return oxv_fail_errno(err, "cannot write %s", path);
    }
    return OXV_OK;
}

static enum oxv_status
put_tile(struct oxv_tiler *t, const struct oxv_tile *tile, struct oxv_view bytes,
         struct oxv_err *err)
{
    char path[OXV_TILE_PATH_BYTES];
    uint8_t first[1][OXV_HASH_BYTES];

    if (t->extent == OXV_TILES_CACHE && oxv_tile_read(t->dir_fd, tile, 0, first, 1) == OXV_OK) {
        return OXV_OK;
    }
    oxv_tile_path(tile, path);
    return put(t->dir_fd, path, bytes, err);
}

static enum oxv_status
put_level(struct oxv_tiler *t, unsigned level, struct oxv_err *err)
{
    const struct level *l = &t->levels[level];
    struct oxv_tile tile = { .level = level, .n = l->n, .width = l->count };

    return put_tile(t, &tile, oxv_view(l->hashes, l->count * OXV_HASH_BYTES), err);
}

static enum oxv_status
put_bundle(struct oxv_tiler *t, size_t width, struct oxv_err *err)
{
    struct oxv_tile tile = { .level = OXV_TILE_ENTRIES,
                             .n = (t->size - width) / OXV_TILE_WIDTH,
                             .width = width };
    enum oxv_status st = put_tile(t, &tile, oxv_view(t->bundle.data, t->bundle.len), err);

    t->bundle.len = 0;
    return st;
}

void
oxv_tiler_free(struct oxv_tiler *tiler)
{
    if (tiler != NULL) {
        free(tiler->bundle.data);
        free(tiler);
    }
}

struct oxv_tiler *
oxv_tiler_new(int dir_fd, struct oxv_hasher *hasher, enum oxv_tile_extent extent)
{
    struct oxv_tiler *tiler = calloc(1, sizeof *tiler);

    if (tiler != NULL) {
        tiler->dir_fd = dir_fd;
        tiler->hasher = hasher;
        tiler->extent = extent;
    }
    return tiler;
}

/* Adds a hash to a level; a tile that is full goes out, and its root to the level above. */
static enum oxv_status
add_hash(struct oxv_tiler *t, unsigned level, const uint8_t hash[OXV_HASH_BYTES],
         struct oxv_err *err)
{
    struct level *l = &t->levels[level];

    memcpy(l->hashes[l->count++], hash, OXV_HASH_BYTES);
    while (l->count == OXV_TILE_WIDTH) {
        enum oxv_status st = put_level(t, level, err);

        if (st != OXV_OK) {
            return st;
        }
        if (++level == OXV_TILE_LEVELS) {
            oxv_bug("a log of 2^64 entries");
        }
        oxv_tile_fold(t->hasher, l->hashes, OXV_TILE_WIDTH);
        memcpy(t->levels[level].hashes[t->levels[level].count++], l->hashes[0], OXV_HASH_BYTES);
        l->count = 0;
        l->n++;
        l = &t->levels[level];
    }
    return OXV_OK;
}

/* Room for one more entry; a bundle of the longest ones is large, of usual ones it is not. */
static enum oxv_status
grow_bundle(struct oxv_tiler *t, size_t len, struct oxv_err *err)
{
    size_t wanted = t->bundle.len + 2 + len;
    size_t max = t->bundle.max < BUNDLE_MIN_BYTES ? BUNDLE_MIN_BYTES : t->bundle.max;

    while (max < wanted) {
        max *= 2;
    }
    if (max == t->bundle.max) {
        return OXV_OK;
    }
    uint8_t *data = realloc(t->bundle.data, max);

    if (data == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for a bundle of entries");
    }
    t->bundle.data = data;
    t->bundle.max = max;
    return OXV_OK;
}

enum oxv_status
oxv_tiler_add(struct oxv_tiler *tiler, struct oxv_view line, struct oxv_err *err)
{
    uint8_t hash[OXV_HASH_BYTES];
    enum oxv_status st = OXV_OK;

    if (line.len > ENTRY_MAX_BYTES) {
        return oxv_fail(err, OXV_E_LIMIT, "an entry that is too long for a bundle");
    }
    tiler->size++;
    if (tiler->extent == OXV_TILES_ALL) {
        st = grow_bundle(tiler, line.len, err);
        if (st == OXV_OK) {
            oxv_write_view16(&tiler->bundle, line);
        }
        if (st == OXV_OK && tiler->size % OXV_TILE_WIDTH == 0) {
            st = put_bundle(tiler, OXV_TILE_WIDTH, err);
        }
    }
    oxv_hash_leaf(tiler->hasher, line, hash);
    return st == OXV_OK ? add_hash(tiler, 0, hash, err) : st;
}

enum oxv_status
oxv_tiler_finish(struct oxv_tiler *tiler, struct oxv_view checkpoint, struct oxv_err *err)
{
    enum oxv_status st = OXV_OK;

    if (tiler->extent == OXV_TILES_ALL) {
        for (unsigned level = 0; level < OXV_TILE_LEVELS && st == OXV_OK; level++) {
            st = tiler->levels[level].count > 0 ? put_level(tiler, level, err) : OXV_OK;
        }
        if (st == OXV_OK && tiler->size % OXV_TILE_WIDTH > 0) {
            st = put_bundle(tiler, tiler->size % OXV_TILE_WIDTH, err);
        }
    }
    if (st == OXV_OK && checkpoint.len > 0) {
        st = put(tiler->dir_fd, "checkpoint", checkpoint, err);
    }
    return st;
}

/* A segment is one full tile of level 1, which is written last: is it there, it need not be read.
 */
static bool
skip_segment(struct oxv_tiler *t, enum oxv_status *st, struct oxv_err *err)
{
    uint8_t hashes[OXV_TILE_WIDTH][OXV_HASH_BYTES];
    struct oxv_tile tile = { .level = 1,
                             .n = t->size / OXV_LOG_SEGMENT_ENTRIES,
                             .width = OXV_TILE_WIDTH };

    if (oxv_tile_read(t->dir_fd, &tile, 0, hashes, OXV_TILE_WIDTH) != OXV_OK) {
        return false;
    }
    oxv_tile_fold(t->hasher, hashes, OXV_TILE_WIDTH);
    t->size += OXV_LOG_SEGMENT_ENTRIES;
    t->levels[0].n = t->size / OXV_TILE_WIDTH;
    t->levels[1].n++;
    *st = add_hash(t, 2, hashes[0], err);
    return true;
}

struct update {
    struct oxv_tiler *tiler;
    struct oxv_err *err;
};

static enum oxv_status
take_leaf(void *ctx, struct oxv_view line)
{
    struct update *update = ctx;

    return oxv_tiler_add(update->tiler, line, update->err);
}

_Static_assert(OXV_LOG_SEGMENT_ENTRIES == OXV_TILE_WIDTH * OXV_TILE_WIDTH, "a tile of level 1");

enum oxv_status
oxv_tiles_update(int log_fd, struct oxv_hasher *hasher, uint64_t size, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep)
    int seg_fd = openat(log_fd, "seg", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OXV_AUTO(oxv_tiler_freep)
    struct oxv_tiler *tiler = oxv_tiler_new(log_fd, hasher, OXV_TILES_CACHE);
    struct update update = { .tiler = tiler, .err = err };
    enum oxv_status st = OXV_OK;

    if (seg_fd < 0) {
        return oxv_fail_errno(err, "cannot open the log's segments");
    }
    if (tiler == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory for tiles");
    }
    uint64_t whole = size / OXV_TILE_WIDTH * OXV_TILE_WIDTH; /* what fills tiles */

    while (st == OXV_OK && tiler->size < whole) {
        uint64_t next = tiler->size + OXV_LOG_SEGMENT_ENTRIES;
        struct oxv_leaf_range range = { tiler->size, next < whole ? next : whole };

        if (next > whole || !skip_segment(tiler, &st, err)) {
            st = oxv_leaves_each(seg_fd, range, take_leaf, &update, err);
        }
    }
    return st;
}
