#include "cli/records.h"

#include "base/json.h"
#include "cli/door.h"
#include "cli/escape.h"

enum oxv_exit
oxv_records_list(struct oxv_cli *cli, const struct oxv_record_list *list)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer all = { 0 };
    OXV_AUTO(oxv_listing_freep) struct oxv_listing *table = oxv_listing_new(list->titles);
    struct oxv_view items_view;
    struct oxv_view name;
    struct oxv_view item;
    enum oxv_exit code = oxv_door_list(cli, list->path, list->member, &all);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&all);
        return OXV_EXIT_DONE;
    }
    if (table == NULL || !oxv_json_get(oxv_buffer_view(&all), list->member, &items_view)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for the list");
    }
    struct oxv_json_items items = oxv_json_items(items_view);

    while (oxv_json_next(&items, &name, &item)) {
        list->add_row(table, item);
    }
    return oxv_listing_print(cli, table, list->nothing);
}

enum oxv_exit
oxv_records_act(struct oxv_cli *cli, const struct oxv_record_act *act, const char *name)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code = oxv_door_make_path(cli, path, act->before, name, act->after);

    if (code == OXV_EXIT_DONE) {
        code = oxv_door_call(cli, act->method, path, oxv_view(NULL, 0), &answer);
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    (void)fputs(act->done_before, stdout);
    oxv_escape_print(stdout, oxv_view_text(name));
    (void)printf("%s\n", act->done_after);
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_records_post(struct oxv_cli *cli, const char *path, struct oxv_writer *body, const char *done)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    struct oxv_view text;
    enum oxv_exit code;

    if (oxv_writer_finish(body, &text) != OXV_OK) {
        return oxv_cli_usage(cli, "the arguments are too long, or not UTF-8");
    }
    code = oxv_door_call(cli, "POST", path, text, &answer);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        oxv_escape_print(stdout, oxv_view_text(done));
        (void)putchar('\n');
    }
    return OXV_EXIT_DONE;
}
