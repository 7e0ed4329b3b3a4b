/* identity: under which users the processes run, and what the supervisor keeps for itself. */
#ifndef OXV_SERVICE_SUPERVISOR_IDENTITY_H
#define OXV_SERVICE_SUPERVISOR_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"

#define OXV_TOKEN_GROUPS_MAX 32u

struct oxv_identity {
    bool single_uid; /* all processes run as the invoker */
    bool userns;     /* in a user namespace that maps ids, and that was allowed */
    uid_t keeper_uid;
    gid_t keeper_gid;
    uid_t frontend_uid;
    gid_t frontend_gid;
    uid_t token_uid;
    gid_t token_gid;
    /* What opens the way to a token: its user may be in group tss, softhsm, pcscd ... */
    gid_t token_groups[OXV_TOKEN_GROUPS_MAX];
    size_t token_group_count;
    uint64_t admin_gid_plus1; /* of group oxvault-admin, 0: there is none */
    uint64_t audit_gid_plus1; /* of group oxvault-audit */
};

/* Is this text of /proc/self/uid_map the map of a process in no user namespace? */
bool oxv_is_full_identity_map(struct oxv_view map);

/*
 * Looks up users and groups. Started by root without `users_none` each role has its own user.
 *   OXV_E_USAGE   a role user does not exist: *err names both ways out
 *   OXV_E_DENIED  in a user namespace that maps ids, without `userns_allowed`
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_identity_find(bool users_none, bool userns_allowed,
                                               struct oxv_identity *out, struct oxv_err *err);

/*
 * Keeps of the capabilities only those by which root starts and ends processes of other users, or
 * none with single_uid. Forbids core files, tracing and new privileges, and raises the soft limits
 * for open files and locked memory to the hard ones.
 */
OXV_MUST_USE enum oxv_status oxv_identity_harden(const struct oxv_identity *identity,
                                                 struct oxv_err *err);

#endif
