#include "service/sandbox/sandbox.h"

#include <string.h>
#include <sys/prctl.h>

#include "base/text.h"
#include "service/sandbox/landlock.h"
#include "service/sandbox/setup.h"
#include "service/sandbox/token_filter.h"

static void
add_detail(struct oxv_sandbox_report *report, const char *what)
{
    char old[OXV_SANDBOX_DETAIL_MAX_BYTES];

    memcpy(old, report->detail, sizeof old);
    if (oxv_format(report->detail, sizeof report->detail, "%s%s%s", old, old[0] == '\0' ? "" : "; ",
                   what) != OXV_OK) {
        memcpy(report->detail, old, sizeof old); /* what does not fit is still false in its field */
    }
}

/* Asked of the kernel, not taken from what was done. */
static void
fill_report(struct oxv_sandbox_report *report)
{
    report->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    report->not_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
    report->seccomp = oxv_filter_is_enforced() && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
    if (!report->no_new_privs) {
        add_detail(report, "no_new_privs is not set");
    }
    if (!report->not_dumpable) {
        add_detail(report, "dumpable");
    }
    if (!oxv_filter_is_enforced()) {
        add_detail(report, "a sanitizer build: seccomp only logs");
    } else if (!report->seccomp) {
        add_detail(report, "this kernel has no seccomp filters");
    }
    if (!report->landlock) {
        add_detail(report, "this kernel has no Landlock, or it is switched off");
    }
}

enum oxv_status
oxv_sandbox_setup(enum oxv_role role, int dir_fd, bool probe, struct oxv_sandbox_report *report,
                  struct oxv_err *err)
{
    struct oxv_sandbox_report made = { .landlock_abi = oxv_landlock_abi() };
    enum oxv_status st = OXV_OK;

    if (made.landlock_abi > 0) {
        st = role == OXV_ROLE_TOKEN ? oxv_landlock_forbid_execution(made.landlock_abi, err)
                                    : oxv_landlock_restrict(made.landlock_abi, dir_fd, err);
        made.landlock = st == OXV_OK;
    }
    if (st == OXV_OK && oxv_filter_is_supported()) {
        st = role == OXV_ROLE_TOKEN ? oxv_token_filter_load(probe, err)
                                    : oxv_filter_load(role, probe, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    fill_report(&made);
    *report = made;
    return OXV_OK;
}

enum oxv_status
oxv_sandbox_frontend(struct oxv_sandbox_report *report, struct oxv_err *err)
{
    return oxv_sandbox_setup(OXV_ROLE_FRONTEND, -1, false, report, err);
}

enum oxv_status
oxv_sandbox_keeper(int vault_dir_fd, struct oxv_sandbox_report *report, struct oxv_err *err)
{
    return oxv_sandbox_setup(OXV_ROLE_KEEPER, vault_dir_fd, false, report, err);
}

enum oxv_status
oxv_sandbox_token(struct oxv_sandbox_report *report, struct oxv_err *err)
{
    return oxv_sandbox_setup(OXV_ROLE_TOKEN, -1, false, report, err);
}

bool
oxv_sandbox_is_complete(const struct oxv_sandbox_report *report)
{
    return report->no_new_privs && report->not_dumpable && report->seccomp && report->landlock;
}
