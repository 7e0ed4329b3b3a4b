#include "base/json.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"

static void
print_check(const struct oxv_cli *cli, struct oxv_view check)
{
    char name[128];
    char detail[1024];
    struct oxv_view value;
    bool ok = false;

    if (oxv_json_get(check, "ok", &value) && !oxv_json_boolean(value, &ok)) {
        ok = false;
    }
    oxv_door_text(check, "name", name, sizeof name);
    oxv_door_text(check, "detail", detail, sizeof detail);
    (void)printf("%s%s%s  ", ok ? oxv_cli_green(cli) : oxv_cli_red(cli), ok ? "good" : "FAIL",
                 oxv_cli_plain(cli));
    oxv_escape_print(stdout, oxv_view_text(name));
    (void)fputs(detail[0] == '\0' ? "" : ": ", stdout);
    oxv_escape_print(stdout, oxv_view_text(detail));
    (void)putchar('\n');
}

enum oxv_exit
oxv_cmd_doctor(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    struct oxv_view value;
    struct oxv_view name;
    struct oxv_view check;
    bool ok = false;
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/admin/doctor", &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (!oxv_json_get(oxv_buffer_view(&answer), "ok", &value) || !oxv_json_boolean(value, &ok)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no verdict");
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return ok ? OXV_EXIT_DONE : OXV_EXIT_FAILED;
    }
    if (oxv_json_get(oxv_buffer_view(&answer), "checks", &value)) {
        struct oxv_json_items items = oxv_json_items(value);

        while (oxv_json_next(&items, &name, &check)) {
            print_check(cli, check);
        }
    }
    (void)puts(ok ? "All is well." : "Something is wrong: see the lines that FAIL.");
    return ok ? OXV_EXIT_DONE : OXV_EXIT_FAILED;
}
