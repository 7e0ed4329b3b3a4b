/* new_file: a file that gets its name when it is whole; until then, and after a signal, nothing. */
#ifndef OXV_CLI_NEW_FILE_H
#define OXV_CLI_NEW_FILE_H

#include "base/status.h"

#define OXV_NEW_FILE_PATH_BYTES 4096u

/* One at a time: signals know of one. */
struct oxv_new_file {
    int fd; /* to write to; -1: none */
    const char *path;
};

/*
 * Makes an empty file (0600) beside `path`, which is borrowed until the end. SIGINT, SIGTERM and
 * SIGHUP remove it before they end the process.
 *   OXV_E_LIMIT  the path is too long
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_new_file_open(const char *path, struct oxv_new_file *file,
                                               struct oxv_err *err);

/* Syncs the file, gives it its name in place of an older one, and makes that last. */
OXV_MUST_USE enum oxv_status oxv_new_file_commit(struct oxv_new_file *file, struct oxv_err *err);

/* For OXV_AUTO: removes what was not committed. Fine on one that was never opened (fd -1). */
void oxv_new_file_done(struct oxv_new_file *file);

#endif
