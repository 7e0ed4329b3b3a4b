/*
 * tile: the tree and the entries of a log as static files (C2SP tlog-tiles), made from the entries
 * in one pass and in constant memory.
 *
 *   tile/<L>/<N>        256 hashes: hash i is the root of the full subtree of 256^L leaves number
 *                       N * 256 + i
 *   tile/entries/<N>    256 entries, each a length of two bytes and that many bytes
 *   ... .p/<W>          the last one of each kind where it holds only W of them
 *   checkpoint          the signed note that they belong to
 *
 * N is written in groups of three digits, x001/x234/067. The files derive from log/seg/ and can be
 * made again at any time.
 */
#ifndef OXV_VAULT_LOG_TILE_H
#define OXV_VAULT_LOG_TILE_H

#include "base/cleanup.h"
#include "vault/log/tree.h"

#define OXV_TILE_WIDTH      256u
#define OXV_TILE_BYTES      (OXV_TILE_WIDTH * OXV_HASH_BYTES)
#define OXV_TILE_LEVELS     8u
#define OXV_TILE_ENTRIES    OXV_TILE_LEVELS /* in place of a level: a bundle of entries */
#define OXV_TILE_PATH_BYTES 64u

struct oxv_tile {
    unsigned level; /* or OXV_TILE_ENTRIES */
    uint64_t n;
    size_t width; /* 1..256 */
};

/* "tile/0/x001/x234/067.p/8" and its NUL. */
void oxv_tile_path(const struct oxv_tile *tile, char out[OXV_TILE_PATH_BYTES]);

/* The root over the `count` hashes, a power of two; they are overwritten. */
void oxv_tile_fold(struct oxv_hasher *hasher, uint8_t (*hashes)[OXV_HASH_BYTES], size_t count);

/*
 * Reads `count` hashes from hash `begin` on of a full tile below the log folder.
 *   OXV_E_NOT_FOUND  there is no whole tile of that kind
 */
OXV_MUST_USE enum oxv_status oxv_tile_read(int log_fd, const struct oxv_tile *tile, size_t begin,
                                           uint8_t (*hashes)[OXV_HASH_BYTES], size_t count);

enum oxv_tile_extent {
    OXV_TILES_CACHE, /* full tiles of hashes, for proofs; one that is there is left as it is */
    OXV_TILES_ALL,   /* all that C2SP asks for, with entries and partial tiles */
};

/* Takes entries, writes files. */
struct oxv_tiler;

void oxv_tiler_free(struct oxv_tiler *tiler);
/* Below the directory, which is borrowed, as is the hasher. NULL where memory is out. */
OXV_MUST_USE struct oxv_tiler *oxv_tiler_new(int dir_fd, struct oxv_hasher *hasher,
                                             enum oxv_tile_extent extent);
/*
 * The next entry.
 *   OXV_E_IO     a file cannot be written
 *   OXV_E_LIMIT  it is longer than 65,535 bytes
 */
OXV_MUST_USE enum oxv_status oxv_tiler_add(struct oxv_tiler *tiler, struct oxv_view line,
                                           struct oxv_err *err);
/* After the last entry: the partial tiles, with OXV_TILES_ALL; and the checkpoint, unless empty. */
OXV_MUST_USE enum oxv_status oxv_tiler_finish(struct oxv_tiler *tiler, struct oxv_view checkpoint,
                                              struct oxv_err *err);

/*
 * Brings log/tile/ up to `size` committed entries. A segment whose tiles are there is not read. The
 * tiles are not synced: one that a power cut spoiled makes a proof that does not hold, so whoever
 * makes proofs checks them (folder.h).
 */
OXV_MUST_USE enum oxv_status oxv_tiles_update(int log_fd, struct oxv_hasher *hasher, uint64_t size,
                                              struct oxv_err *err);

OXV_DEFINE_OWNER(oxv_tiler);

#endif
