/* error: the codes of the client by number and by name, and filling a struct oxv_client_error. */
#ifndef OXV_CLIENT_ERROR_H
#define OXV_CLIENT_ERROR_H

#include "base/bytes.h"
#include "base/status.h"
#include "include/oxvault/client.h"

/* The code that the service names so; OXV_CLIENT_OTHER where this library does not know it. */
enum oxv_client_code oxv_client_code_parse(struct oxv_view name);

/* Control characters become '?'. */
void oxv_client_make_printable(char *text);

/*
 * Fills *error (may be NULL) and returns `code`. A text that is too long is cut, control
 * characters become '?'.
 */
enum oxv_client_code oxv_client_fail(struct oxv_client_error *error, enum oxv_client_code code,
                                     const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* For a call whose `out` is NULL: OXV_CLIENT_USAGE. */
enum oxv_client_code oxv_client_fail_no_place(struct oxv_client_error *error);

#endif
