#include "service/supervisor/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define MAP_MAX_BYTES 4096u
#define TOKEN_USER    "oxvault-token"

bool
oxv_is_full_identity_map(struct oxv_view map)
{
    return oxv_view_is(map, "         0          0 4294967295\n");
}

/* A map that is too long to be the one line it has to be is another map. */
static enum oxv_status
read_map(const char *path, bool *is_full, struct oxv_err *err)
{
    uint8_t text[MAP_MAX_BYTES];
    size_t len = 0;
    OXV_AUTO(oxv_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum oxv_status st = fd < 0 ? OXV_E_IO : oxv_read_to_end(fd, text, sizeof text, &len);

    if (st == OXV_E_IO) {
        return oxv_fail_errno(err, "cannot read %s", path);
    }
    *is_full = st == OXV_OK && oxv_is_full_identity_map(oxv_view(text, len));
    return OXV_OK;
}

static enum oxv_status
check_namespace(bool allowed, struct oxv_identity *identity, struct oxv_err *err)
{
    bool uids_full = false;
    bool gids_full = false;
    enum oxv_status st = read_map("/proc/self/uid_map", &uids_full, err);

    if (st == OXV_OK) {
        st = read_map("/proc/self/gid_map", &gids_full, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    identity->userns = !uids_full || !gids_full;
    if (identity->userns && !allowed) {
        return oxv_fail(err, OXV_E_DENIED,
                        "this is a user namespace that maps user ids (a container, PrivateUsers, "
                        "DynamicUser): callers could not be told apart; --allow-userns starts "
                        "nevertheless");
    }
    return OXV_OK;
}

static enum oxv_status
find_role(const char *name, uid_t *uid, gid_t *gid, struct oxv_err *err)
{
    const struct passwd *entry = getpwnam(name);

    if (entry == NULL) {
        return oxv_fail(err, OXV_E_USAGE,
                        "there is no user %s: create the users by packaging/sysusers.d "
                        "(systemd-sysusers oxvault.conf), or start with --users none",
                        name);
    }
    if (entry->pw_uid == 0) {
        return oxv_fail(err, OXV_E_USAGE, "the user %s must not be root", name);
    }
    *uid = entry->pw_uid;
    *gid = entry->pw_gid;
    return OXV_OK;
}

static enum oxv_status
find_token_groups(struct oxv_identity *identity, struct oxv_err *err)
{
    int count = (int)OXV_TOKEN_GROUPS_MAX;

    if (getgrouplist(TOKEN_USER, identity->token_gid, identity->token_groups, &count) < 0) {
        return oxv_fail(err, OXV_E_LIMIT, "the user %s is in more than %u groups", TOKEN_USER,
                        OXV_TOKEN_GROUPS_MAX);
    }
    identity->token_group_count = (size_t)count;
    return OXV_OK;
}

static enum oxv_status
find_roles(struct oxv_identity *identity, struct oxv_err *err)
{
    enum oxv_status st = find_role("oxvault", &identity->keeper_uid, &identity->keeper_gid, err);

    if (st == OXV_OK) {
        st = find_role("oxvault-fe", &identity->frontend_uid, &identity->frontend_gid, err);
    }
    if (st == OXV_OK) {
        st = find_role(TOKEN_USER, &identity->token_uid, &identity->token_gid, err);
    }
    if (st == OXV_OK) {
        st = find_token_groups(identity, err);
    }
    if (st == OXV_OK && (identity->keeper_uid == identity->frontend_uid ||
                         identity->keeper_uid == identity->token_uid ||
                         identity->frontend_uid == identity->token_uid)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "two of oxvault, oxvault-fe and oxvault-token are one user: they must not "
                        "be");
    }
    return st;
}

static uint64_t
gid_plus1(const char *group)
{
    const struct group *entry = getgrnam(group);

    return entry == NULL ? 0 : (uint64_t)entry->gr_gid + 1;
}

enum oxv_status
oxv_identity_find(bool users_none, bool userns_allowed, struct oxv_identity *out,
                  struct oxv_err *err)
{
    struct oxv_identity identity = { .single_uid = users_none || geteuid() != 0,
                                     .keeper_uid = geteuid(),
                                     .keeper_gid = getegid(),
                                     .frontend_uid = geteuid(),
                                     .frontend_gid = getegid(),
                                     .token_uid = geteuid(),
                                     .token_gid = getegid(),
                                     .admin_gid_plus1 = gid_plus1("oxvault-admin"),
                                     .audit_gid_plus1 = gid_plus1("oxvault-audit") };
    enum oxv_status st = check_namespace(userns_allowed, &identity, err);

    if (st == OXV_OK && !identity.single_uid) {
        st = find_roles(&identity, err);
    }
    if (st == OXV_OK) {
        *out = identity;
    }
    return st;
}

static void
free_caps(cap_t *caps)
{
    if (*caps != NULL) {
        (void)cap_free(*caps); /* fails only for what is no cap_t */
    }
}

/* CAP_KILL is also what lets the death of this process kill its children (PDEATHSIG). */
static enum oxv_status
keep_capabilities(bool none, struct oxv_err *err)
{
    static const cap_value_t kept[] = { CAP_SETUID, CAP_SETGID, CAP_KILL };
    OXV_AUTO(free_caps) cap_t wanted = cap_init();
    OXV_AUTO(free_caps) cap_t now = cap_get_proc();

    for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
        (void)cap_drop_bound(cap); /* without CAP_SETPCAP there is nothing to drop */
    }
    if (wanted == NULL || now == NULL || cap_reset_ambient() != 0) {
        return oxv_fail_errno(err, "cannot give up the capabilities");
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0] && !none; i++) {
        cap_flag_value_t has = CAP_CLEAR;

        if (cap_get_flag(now, kept[i], CAP_PERMITTED, &has) != 0 || has != CAP_SET) {
            return oxv_fail(err, OXV_E_DENIED,
                            "root without the right to change users: start with --users none");
        }
        (void)cap_set_flag(wanted, CAP_PERMITTED, 1, &kept[i], CAP_SET);
        (void)cap_set_flag(wanted, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
    }
    if (cap_set_proc(wanted) != 0) {
        return oxv_fail_errno(err, "cannot give up the capabilities");
    }
    return OXV_OK;
}

static enum oxv_status
raise_limit(__rlimit_resource_t which, struct oxv_err *err)
{
    struct rlimit limit;

    if (getrlimit(which, &limit) != 0) {
        return oxv_fail_errno(err, "cannot read a limit");
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(which, &limit) != 0) {
        return oxv_fail_errno(err, "cannot raise a limit");
    }
    return OXV_OK;
}

enum oxv_status
oxv_identity_harden(const struct oxv_identity *identity, struct oxv_err *err)
{
    const struct rlimit no_core = { 0, 0 };
    enum oxv_status st = raise_limit(RLIMIT_NOFILE, err);

    if (st == OXV_OK) {
        st = raise_limit(RLIMIT_MEMLOCK, err);
    }
    if (st == OXV_OK) {
        st = keep_capabilities(identity->single_uid, err);
    }
    if (st != OXV_OK) {
        return st;
    }
#ifndef OXV_SANITIZED /* LeakSanitizer works by ptrace */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return oxv_fail_errno(err, "cannot forbid dumps");
    }
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0) {
        return oxv_fail_errno(err, "cannot harden this process");
    }
    return OXV_OK;
}
