#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/records.h"
#include "cli/users.h"

enum oxv_exit
oxv_cmd_admin_add(struct oxv_cli *cli)
{
    uint8_t buffer[64];
    char done[256];
    char user[128];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    uint64_t uid = 0;
    enum oxv_exit code = oxv_users_uid(cli, &uid);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_write_text(&w, "{\"uid\":");
    oxv_write_decimal(&w, uid);
    oxv_write_u8(&w, '}');
    oxv_users_describe(uid, user, sizeof user);
    if (oxv_format(done, sizeof done,
                   "The user %s administers this service now. It must be able to open admin.sock "
                   "too: group oxvault-admin.",
                   user) != OXV_OK) {
        return oxv_cli_usage(cli, "the user's name is too long");
    }
    return oxv_records_post(cli, "/v1/admin/admins", &w, done);
}

static void
add_row(struct oxv_listing *table, struct oxv_view item)
{
    char user[128];

    oxv_users_describe(oxv_door_integer(item, "uid", UINT32_MAX), user, sizeof user);
    oxv_listing_add(table, oxv_view_text(user));
    oxv_listing_add_member(table, item, "created");
}

enum oxv_exit
oxv_cmd_admin_list(struct oxv_cli *cli)
{
    static const char *const titles[] = { "UID", "CREATED", NULL };
    static const struct oxv_record_list list = { "/v1/admin/admins", "admins", titles, add_row,
                                                 "There are no admins." };

    return oxv_records_list(cli, &list);
}

enum oxv_exit
oxv_cmd_admin_remove(struct oxv_cli *cli)
{
    static const struct oxv_record_act act = { "DELETE", "/v1/admin/admins/", "", "The uid ",
                                               " is no admin any more." };
    char text[24];
    uint64_t uid = 0;
    enum oxv_exit code = oxv_users_uid(cli, &uid);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_format(text, sizeof text, "%llu", (unsigned long long)uid) != OXV_OK) {
        oxv_bug("a uid that is too long");
    }
    return oxv_records_act(cli, &act, text);
}
