/*
 * sandbox: what a process of the service gives up for good once it has what it needs (design.md 3).
 *
 * Order in a main:
 *   if (oxv_sandbox_wants_probe(argc, argv)) {
 *       return oxv_sandbox_probe("keeper", argv[2], argv[2] == NULL ? NULL : argv[3], stdout);
 *   }
 *   (a frontend: oxv_sandbox_probe("frontend", NULL, argv[2], stdout); a token helper likewise)
 *   oxv_process_harden();     first of all
 *   ... open what has to be opened from outside (/proc/self/smaps, /etc/machine-id, the vault) ...
 *   oxv_sandbox_keeper();     before the first byte from outside is read
 */
#ifndef OXV_SERVICE_SANDBOX_SANDBOX_H
#define OXV_SERVICE_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

#define OXV_SANDBOX_DETAIL_MAX_BYTES 160u

/* What is in force, as asked of the kernel afterwards; for status. */
struct oxv_sandbox_report {
    bool no_new_privs;
    bool not_dumpable;
    bool seccomp;
    bool landlock;
    int landlock_abi;                          /* of the kernel, 0: it has no Landlock */
    char detail[OXV_SANDBOX_DETAIL_MAX_BYTES]; /* what is missing and why; "" where nothing is */
};

/*
 * For every process but the supervisor, before anything else: not dumpable, no core file,
 * no_new_privs, umask 077, no capability left in any set, SIGKILL when the parent dies. SIGPIPE,
 * SIGHUP, SIGINT, SIGTERM and SIGQUIT are ignored: they reach the whole process group, and only the
 * supervisor decides; a process ends at the end of its channel.
 *   OXV_E_DENIED  the parent is dead already
 *   OXV_E_IO      the kernel refused one of these
 */
OXV_MUST_USE enum oxv_status oxv_process_harden(struct oxv_err *err);

/*
 * The frontend's: nothing can be opened, connected, started or signalled; only descriptors that
 * were received are used. Fills *report also where the kernel lacks a part of it, which is no
 * error; see oxv_sandbox_is_complete().
 *   OXV_E_IO  the kernel has it, but refused
 */
OXV_MUST_USE enum oxv_status oxv_sandbox_frontend(struct oxv_sandbox_report *report,
                                                  struct oxv_err *err);

/*
 * The keeper's: as the frontend's, but it accepts peers and works on files below the directory
 * `vault_dir_fd` (borrowed), and only there. A path outside gives EACCES. Descriptors that are open
 * already keep working: open before this what lies outside the vault.
 *   OXV_E_IO  the kernel has it, but refused
 */
OXV_MUST_USE enum oxv_status oxv_sandbox_keeper(int vault_dir_fd, struct oxv_sandbox_report *report,
                                                struct oxv_err *err);

/*
 * The token helper's, before it loads a module or starts a thread. A vendor's module needs nobody
 * knows what: it may open, write, connect, start threads and load more code. It may not: start a
 * program or a copy of itself, trace or signal others, read their memory, change users, mounts,
 * name spaces, the clock or the kernel, use key rings, bpf, perf, userfaultfd or io_uring, make
 * device files, undo what oxv_process_harden() did. Which files it reaches is a matter of its user.
 *   OXV_E_IO  the kernel has it, but refused
 */
OXV_MUST_USE enum oxv_status oxv_sandbox_token(struct oxv_sandbox_report *report,
                                               struct oxv_err *err);

/* Is everything in force? What --require-sandbox asks. */
bool oxv_sandbox_is_complete(const struct oxv_sandbox_report *report);

/* Is argv[1] "--sandbox-probe"? */
bool oxv_sandbox_wants_probe(int argc, char **argv);

/*
 * Hardens this process, sets up the sandbox of `role` ("keeper", "frontend", "token") and then
 * tries what it forbids, one line each on `out`: "name: denied (seccomp)" or "name: ALLOWED";
 * things the role must be able to do as "name: works" or "name: BROKEN (EPERM)". `dir` is the
 * keeper's vault directory, NULL for the others. Where `only` is NULL a forbidden call gives an
 * error instead of ending the process, the one difference to the filter in use; else the filter is
 * the one in use and nothing but the attempt of that name is made: a forbidden call ends the
 * process by SIGSYS, or for some of the token helper's gives EPERM.
 * Returns the exit code: 0 where the sandbox is whole, 1 where it is not, 2 for wrong arguments.
 */
int oxv_sandbox_probe(const char *role, const char *dir, const char *only, FILE *out);

#endif
