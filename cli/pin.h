/* pin: the PIN of a token, on its way to the service or to the helper, in locked memory. */
#ifndef OXV_CLI_PIN_H
#define OXV_CLI_PIN_H

#include "base/secret.h"
#include "cli/cli.h"

/* Where a PIN comes from: the options' names, and what is asked where none is given. */
struct oxv_pin_source {
    const char *file_option; /* "pin-file" */
    const char *fd_option;
    const char *question; /* NULL: not asked for */
};

/* "pin-file" and "pin-fd" of the command; asks. */
extern const struct oxv_pin_source oxv_pin_options;
/* The same, and does not ask: the service has the PIN as a rule. */
extern const struct oxv_pin_source oxv_pin_options_quiet;

/* Is one of the options given? */
bool oxv_pin_is_given(const struct oxv_cli *cli, const struct oxv_pin_source *source);

/*
 * From file, descriptor or, where there is one, the terminal. Of a file and a descriptor exactly
 * one LF or CRLF at the end goes; what is left has 1 to OXV_TOKEN_PIN_MAX_BYTES bytes and no NUL.
 * *out, owned by the caller, is empty where none was given: a PIN pad, or a PIN that the service
 * has.
 */
enum oxv_exit oxv_pin_read(const struct oxv_cli *cli, const struct oxv_pin_source *source,
                           struct oxv_secret **out);

#endif
