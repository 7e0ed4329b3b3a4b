/* setup: what the two sandboxes and the probe share. */
#ifndef OXV_SERVICE_SANDBOX_SETUP_H
#define OXV_SERVICE_SANDBOX_SETUP_H

#include "service/sandbox/filter.h"
#include "service/sandbox/sandbox.h"

/*
 * Landlock, then the seccomp filter, then the report. `dir_fd` is -1 for a role without files;
 * `probe` as in oxv_filter_load().
 */
OXV_MUST_USE enum oxv_status oxv_sandbox_setup(enum oxv_role role, int dir_fd, bool probe,
                                               struct oxv_sandbox_report *report,
                                               struct oxv_err *err);

#endif
