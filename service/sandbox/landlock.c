#include "service/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

/* Later than the kernel headers of Debian 12 (ABI 3, 4, 5, 6). */
#define ACCESS_FS_TRUNCATE     (UINT64_C(1) << 14)
#define ACCESS_FS_IOCTL_DEV    (UINT64_C(1) << 15)
#define ACCESS_NET_BIND_TCP    (UINT64_C(1) << 0)
#define ACCESS_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX    (UINT64_C(1) << 0)
#define SCOPE_SIGNAL           (UINT64_C(1) << 1)
#define ACCESS_FS_ALL_OF_ABI_1 (((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1u)
#define RULESET_BYTES_OF_ABI_1 offsetof(struct ruleset, net)
#define RULESET_BYTES_OF_ABI_4 offsetof(struct ruleset, scoped)
#define RULESET_BYTES_OF_ABI_6 sizeof(struct ruleset)

/* struct landlock_ruleset_attr as of ABI 6; an older kernel is given its part only. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

static const uint64_t vault_access =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER | ACCESS_FS_TRUNCATE;

int
oxv_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi > 0 ? (int)abi : 0;
}

/* Everything the kernel can forbid is forbidden; rules then make exceptions. */
static struct ruleset
ruleset_of(int abi)
{
    struct ruleset all = { .fs = ACCESS_FS_ALL_OF_ABI_1 };

    all.fs |= abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
    all.fs |= abi >= 3 ? ACCESS_FS_TRUNCATE : 0;
    all.fs |= abi >= 5 ? ACCESS_FS_IOCTL_DEV : 0;
    all.net = abi >= 4 ? ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP : 0;
    all.scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0;
    return all;
}

static size_t
ruleset_bytes(int abi)
{
    if (abi >= 6) {
        return RULESET_BYTES_OF_ABI_6;
    }
    return abi >= 4 ? RULESET_BYTES_OF_ABI_4 : RULESET_BYTES_OF_ABI_1;
}

static int
add_rule(int ruleset_fd, int dir_fd, uint64_t access)
{
    struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = dir_fd };

    return (int)syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

#ifdef OXV_SANITIZED
/* The sanitizers read /proc/self/maps and start a symbolizer when they have something to say. */
static int
add_sanitizer_rule(int ruleset_fd)
{
    OXV_AUTO(oxv_closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    return add_rule(ruleset_fd, root,
                    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                        LANDLOCK_ACCESS_FS_EXECUTE);
}
#else
#define add_sanitizer_rule(ruleset_fd) 0
#endif

/* Without a rule a Landlock domain refuses to move files between directories. */
static int
add_refer_rule(int ruleset_fd, int abi)
{
    OXV_AUTO(oxv_closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    return abi < 2 ? 0 : add_rule(ruleset_fd, root, LANDLOCK_ACCESS_FS_REFER);
}

enum oxv_status
oxv_landlock_forbid_execution(int abi, struct oxv_err *err)
{
    struct ruleset some = { .fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                  LANDLOCK_ACCESS_FS_MAKE_BLOCK };

    some.fs |= abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
    some.scoped = abi >= 6 ? SCOPE_SIGNAL : 0;
    OXV_AUTO(oxv_closep)
    int fd = (int)syscall(SYS_landlock_create_ruleset, &some, ruleset_bytes(abi), 0);

    if (fd < 0) {
        return oxv_fail_errno(err, "Landlock refuses the rule set");
    }
    if (add_refer_rule(fd, abi) != 0) {
        return oxv_fail_errno(err, "Landlock refuses the rule of the whole tree");
    }
    if (syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
        return oxv_fail_errno(err, "Landlock refuses to restrict this process");
    }
    return OXV_OK;
}

enum oxv_status
oxv_landlock_restrict(int abi, int dir_fd, struct oxv_err *err)
{
    struct ruleset all = ruleset_of(abi);
    OXV_AUTO(oxv_closep)
    int fd = (int)syscall(SYS_landlock_create_ruleset, &all, ruleset_bytes(abi), 0);

    if (fd < 0) {
        return oxv_fail_errno(err, "Landlock refuses the rule set");
    }
    if (dir_fd >= 0 && add_rule(fd, dir_fd, vault_access & all.fs) != 0) {
        return oxv_fail_errno(err, "Landlock refuses the rule of the vault directory");
    }
    if (add_sanitizer_rule(fd) != 0) {
        return oxv_fail_errno(err, "Landlock refuses the rule of the sanitizer");
    }
    if (syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
        return oxv_fail_errno(err, "Landlock refuses to restrict this process");
    }
    return OXV_OK;
}
