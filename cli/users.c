#include "cli/users.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "base/text.h"
#include "cli/command.h"

enum oxv_exit
oxv_users_uid(const struct oxv_cli *cli, uint64_t *uid)
{
    const char *number = oxv_cli_option(cli, "uid");
    const char *name = oxv_cli_option(cli, "user");

    if ((number == NULL) == (name == NULL)) {
        return oxv_cli_usage(cli, "one of --uid N and --user NAME is needed");
    }
    if (number != NULL) {
        /* The uid -1 means "none" to the kernel. */
        if (!oxv_parse_decimal(oxv_view_text(number), UINT32_MAX - 1, uid)) {
            return oxv_cli_usage(cli, "this is no uid: %s", number);
        }
        return OXV_EXIT_DONE;
    }
    errno = 0;
    const struct passwd *user = getpwnam(name);

    if (user == NULL && errno != 0 && errno != ENOENT) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot look up the user %s: %s", name,
                            strerror(errno));
    }
    if (user == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "there is no user %s on this machine", name);
    }
    *uid = user->pw_uid;
    return OXV_EXIT_DONE;
}

void
oxv_users_describe(uint64_t uid, char *out, size_t out_size)
{
    const struct passwd *user = uid < UINT32_MAX ? getpwuid((uid_t)uid) : NULL;
    enum oxv_status st = user == NULL ? oxv_format(out, out_size, "%llu", (unsigned long long)uid)
                                      : oxv_format(out, out_size, "%llu (%s)",
                                                   (unsigned long long)uid, user->pw_name);

    if (st != OXV_OK) {
        out[0] = '\0';
    }
}
