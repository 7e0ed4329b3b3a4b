/*
 * filter: the seccomp filters of keeper and frontend, one list of allowed system calls each; the
 * token helper's is another kind, see token_filter.h.
 */
#ifndef OXV_SERVICE_SANDBOX_FILTER_H
#define OXV_SERVICE_SANDBOX_FILTER_H

#include <stdbool.h>

#include "base/status.h"

enum oxv_role { OXV_ROLE_KEEPER, OXV_ROLE_FRONTEND, OXV_ROLE_TOKEN };

/* What a call gives that a probe's filter refuses: an error no call of ours ever gives. */
#define OXV_FILTER_PROBE_ERRNO EHWPOISON

/* "keeper", "frontend", "token". */
OXV_MUST_USE bool oxv_role_parse(const char *name, enum oxv_role *out);

/* Has this kernel seccomp filters? */
bool oxv_filter_is_supported(void);
/* Does this build enforce them? A sanitizer build logs only. */
bool oxv_filter_is_enforced(void);

/*
 * Installs the filter of `role`, keeper or frontend, for good. What is not on its list ends the
 * process (SIGSYS); with `probe` it gives OXV_FILTER_PROBE_ERRNO instead. OXV_E_MEMORY OXV_E_IO the
 * kernel refused it
 */
OXV_MUST_USE enum oxv_status oxv_filter_load(enum oxv_role role, bool probe, struct oxv_err *err);

/*
 * Loads a filter that was made by seccomp_init() and frees it. NULL: there was no memory; `failed`
 * is what filling it gave: 0, or a negative errno.
 */
OXV_MUST_USE enum oxv_status oxv_filter_install(void *filter, int failed, struct oxv_err *err);

#endif
