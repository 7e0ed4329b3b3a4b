/*
 * ballast: room on the log's disk that only the log can use: log/ballast, really allocated. When
 * the disk is full a part of it is given up at a time, so that what an operator does about it can
 * still be logged; a program that fills the disk cannot take all of it at once.
 */
#ifndef OXV_VAULT_LOG_BALLAST_H
#define OXV_VAULT_LOG_BALLAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define OXV_BALLAST_NAME       "ballast"
#define OXV_BALLAST_BYTES      (UINT64_C(8) << 20)
#define OXV_BALLAST_PART_BYTES (UINT64_C(1) << 20)

/*
 * Makes log/ballast, or makes it whole again; nothing where it is. *is_full: there is no room for
 * it (OXV_OK then), and what it had before it still has.
 *   OXV_E_IO  another failure: no regular file, or the disk fails
 */
OXV_MUST_USE enum oxv_status oxv_ballast_fill(int dir_fd, bool *is_full, struct oxv_err *err);

/*
 * Gives one part of it to the file system, durable: the room is there when this returns.
 *   OXV_E_NOT_FOUND  nothing is left to give
 *   OXV_E_IO         it cannot be cut
 */
OXV_MUST_USE enum oxv_status oxv_ballast_give(int dir_fd, struct oxv_err *err);

/* A file system as statvfs() sees it, for one who is not root. */
struct oxv_space {
    uint64_t total_bytes;
    uint64_t free_bytes;
    unsigned used_percent; /* of what those who are not root may use, rounded up; 0 where unknown */
};

/* OXV_E_IO: the file system does not say. */
OXV_MUST_USE enum oxv_status oxv_space_read(int fd, struct oxv_space *out, struct oxv_err *err);

#endif
