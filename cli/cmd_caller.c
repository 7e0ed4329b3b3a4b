#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/records.h"
#include "cli/users.h"

#define BODY_MAX_BYTES 4096u
#define DONE_MAX_BYTES 512u

enum oxv_exit
oxv_cmd_caller_add(struct oxv_cli *cli)
{
    uint8_t buffer[BODY_MAX_BYTES];
    char done[DONE_MAX_BYTES];
    char user[128];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    uint64_t uid = 0;
    enum oxv_exit code = oxv_users_uid(cli, &uid);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_write_text(&w, "{\"name\":");
    oxv_write_json_string(&w, oxv_view_text(cli->arguments[0]));
    oxv_write_text(&w, ",\"uid\":");
    oxv_write_decimal(&w, uid);
    oxv_write_u8(&w, '}');
    oxv_users_describe(uid, user, sizeof user);
    if (oxv_format(
            done, sizeof done,
            "Caller %s is every program of uid %s. It gets nothing before: oxvault grant add",
            cli->arguments[0], user) != OXV_OK) {
        return oxv_cli_usage(cli, "the name is too long");
    }
    return oxv_records_post(cli, "/v1/admin/callers", &w, done);
}

static void
add_row(struct oxv_listing *table, struct oxv_view item)
{
    struct oxv_view value;
    bool disabled = false;
    char user[128];

    if (!oxv_json_get(item, "disabled", &value) || !oxv_json_boolean(value, &disabled)) {
        disabled = oxv_door_integer(item, "disabled", 0) != 0;
    }
    oxv_users_describe(oxv_door_integer(item, "uid", UINT32_MAX), user, sizeof user);
    oxv_listing_add_member(table, item, "name");
    oxv_listing_add(table, oxv_view_text(user));
    oxv_listing_add(table, oxv_view_text(disabled ? "disabled" : "enabled"));
    oxv_listing_add_member(table, item, "created");
}

enum oxv_exit
oxv_cmd_caller_list(struct oxv_cli *cli)
{
    static const char *const titles[] = { "NAME", "UID", "STATE", "CREATED", NULL };
    static const struct oxv_record_list list = { "/v1/admin/callers", "callers", titles, add_row,
                                                 "There are no callers: oxvault caller add" };

    return oxv_records_list(cli, &list);
}

enum oxv_exit
oxv_cmd_caller_disable(struct oxv_cli *cli)
{
    static const struct oxv_record_act act = { "POST", "/v1/admin/callers/", "/disable", "Caller ",
                                               " is refused everything from now on." };

    return oxv_records_act(cli, &act, cli->arguments[0]);
}

enum oxv_exit
oxv_cmd_caller_enable(struct oxv_cli *cli)
{
    static const struct oxv_record_act act = { "POST", "/v1/admin/callers/", "/enable", "Caller ",
                                               " has its grants again." };

    return oxv_records_act(cli, &act, cli->arguments[0]);
}

enum oxv_exit
oxv_cmd_caller_remove(struct oxv_cli *cli)
{
    static const struct oxv_record_act act = { "DELETE", "/v1/admin/callers/", "", "Caller ",
                                               " is removed, with its grants." };

    return oxv_records_act(cli, &act, cli->arguments[0]);
}
