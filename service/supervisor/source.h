/*
 * source: what opens the vault, as a descriptor for the keeper. Files and credentials are opened
 * anew for each keeper; a descriptor or a terminal gives once. Nothing is ever read here.
 */
#ifndef OXV_SERVICE_SUPERVISOR_SOURCE_H
#define OXV_SERVICE_SUPERVISOR_SOURCE_H

#include "base/status.h"
#include "service/supervisor/options.h"

#define OXV_SOURCE_PATH_MAX_BYTES 4096u

struct oxv_source_given {
    enum oxv_source source;
    int fd;                               /* -1 with NONE */
    char path[OXV_SOURCE_PATH_MAX_BYTES]; /* for messages */
};

/* Does the source give again, to a second keeper? */
bool oxv_source_is_lasting(const struct oxv_supervisor_options *options);

/*
 * Opens it. *out is to be released by oxv_source_done(). A terminal's settings are
 * remembered.
 *   OXV_E_DENIED, OXV_E_IO  as oxv_open_secret_file()
 */
OXV_MUST_USE enum oxv_status oxv_source_open(const struct oxv_supervisor_options *options,
                                             struct oxv_source_given *out, struct oxv_err *err);
/* Closes the descriptor. */
void oxv_source_done(struct oxv_source_given *given);

/*
 * Moves descriptor `fd`, which somebody handed to this process: *out is the only one then, and at
 * its number is /dev/null. `name` gets words for messages.
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status
oxv_source_take_fd(int fd, int *out, char name[OXV_SOURCE_PATH_MAX_BYTES], struct oxv_err *err);

/*
 * The path of systemd's credential of that name; "" where there is none.
 *   OXV_E_LIMIT
 */
OXV_MUST_USE enum oxv_status
oxv_source_credential(const char *name, char path[OXV_SOURCE_PATH_MAX_BYTES], struct oxv_err *err);

/* Gives the terminal the settings it had, which are those without the keeper's silent prompt. */
void oxv_source_restore_terminal(void);

#endif
