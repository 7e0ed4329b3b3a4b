/* token_filter: what the token helper's filter refuses; all else is allowed, unlike filter.h. */
#ifndef OXV_SERVICE_SANDBOX_TOKEN_FILTER_H
#define OXV_SERVICE_SANDBOX_TOKEN_FILTER_H

#include <stdbool.h>

#include "base/status.h"

/*
 * Installs it for good in all threads there are. Nobody knows what a vendor's module needs: files,
 * sockets, threads, more modules. So this one lists what no module needs. What no honest module
 * tries ends the process (SIGSYS); what one may try, and can do without, gives EPERM: it starts no
 * program. With `probe` both give OXV_FILTER_PROBE_ERRNO.
 *   OXV_E_MEMORY
 *   OXV_E_IO      the kernel refused it
 */
OXV_MUST_USE enum oxv_status oxv_token_filter_load(bool probe, struct oxv_err *err);

#endif
