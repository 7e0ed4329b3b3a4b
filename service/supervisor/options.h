/* options: the command line of oxvaultd. */
#ifndef OXV_SERVICE_SUPERVISOR_OPTIONS_H
#define OXV_SERVICE_SUPERVISOR_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"
#include "service/wire/messages.h"

#define OXV_PIN_FILES_MAX 8u

/* --pin-file [LABEL=]FILE */
struct oxv_pin_file {
    struct oxv_view label; /* of the token it is for; empty: of any */
    const char *path;
};

struct oxv_supervisor_options {
    bool help;
    bool version;
    const char *dir;
    const char *run;
    const char *libexec;       /* NULL: beside this program */
    const char *secret_memory; /* NULL: the keeper's default */
    enum oxv_source source;    /* NONE: systemd's credential if there is one, else sealed */
    const char *source_file;   /* of PASSPHRASE and KEYFILE; NULL: source_fd */
    int source_fd;             /* of --passphrase-fd, else -1 */
    struct oxv_pin_file pin_files[OXV_PIN_FILES_MAX];
    size_t pin_file_count;
    int pin_fd; /* of --pin-fd, else -1 */
    bool users_none;
    bool memory_unlocked;
    bool userns_allowed;
    bool require_sandbox;
};

/*
 * Reads argv and, for what it leaves open, OXVAULT_DIR and OXVAULT_RUN. *out borrows both.
 *   OXV_E_USAGE  *err says what is wrong, and never repeats a value that may be a secret
 */
OXV_MUST_USE enum oxv_status oxv_supervisor_options_parse(int argc, char **argv,
                                                          struct oxv_supervisor_options *out,
                                                          struct oxv_err *err);

/* What --help says. */
void oxv_supervisor_print_help(FILE *out);

#endif
