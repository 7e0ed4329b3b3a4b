#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/connection_box.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/material.h"
#include "cli/records.h"
#include "cli/sealed_box.h"

static struct oxv_view
option_view(const struct oxv_cli *cli, const char *name)
{
    const char *value = oxv_cli_option(cli, name);

    return value == NULL ? oxv_view(NULL, 0) : oxv_view_text(value);
}

static enum oxv_exit
read_fields(const struct oxv_cli *cli, struct oxv_writer *origins,
            struct oxv_connection_fields *fields)
{
    size_t at = 0;

    *fields = (struct oxv_connection_fields){
        .name = oxv_view_text(cli->arguments[0]),
        .system = option_view(cli, "system"),
        .account_id = option_view(cli, "account-id"),
        .consumer_key = option_view(cli, "consumer-key"),
        .token_id = option_view(cli, "token-id"),
        .role_id = option_view(cli, "role-id"),
        .application_id = option_view(cli, "application-id"),
        .realm = option_view(cli, "realm"),
        .signature_method = option_view(cli, "signature-method"),
    };
    for (const char *origin = oxv_cli_option_next(cli, "origin", &at); origin != NULL;
         origin = oxv_cli_option_next(cli, "origin", &at)) {
        oxv_list_add(origins, oxv_view_text(origin));
    }
    if (oxv_writer_finish(origins, &fields->origins) != OXV_OK) {
        return oxv_cli_usage(cli, "too many origins");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
post(struct oxv_cli *cli, const struct oxv_box_connection *payload, struct oxv_buffer *answer)
{
    const struct oxv_box_content content = { OXV_BOX_CONNECTION_ADD, &oxv_box_connection_shape,
                                             payload, "/v1/admin/connections", cli->arguments[0] };
    struct oxv_client_error error;
    enum oxv_exit code = oxv_box_post(cli, &content, answer, &error);

    if (code == OXV_EXIT_DONE && error.code != OXV_CLIENT_OK) {
        code = oxv_cli_client_error(cli, &error);
    }
    return code;
}

static const char *
kept_words(const struct oxv_cli *cli, const struct oxv_key_place *place)
{
    if (oxv_cli_flag(cli, "keep-secrets")) {
        return "its secrets are kept too, sealed";
    }
    return place->form == OXV_KEY_IN_VAULT
               ? "the two secrets were wiped, only the signing key is kept"
               : "the two secrets were wiped, and the vault keeps no key";
}

static void
report(const struct oxv_cli *cli, const struct oxv_connection_draft *draft,
       const struct oxv_key_place *place, const struct oxv_buffer *answer)
{
    struct oxv_reader r = oxv_reader(draft->record.origins);
    struct oxv_view origin;

    if (cli->json) {
        oxv_door_print_json(answer);
        return;
    }
    (void)printf("Connection %s is in the vault; %s.\n", cli->arguments[0], kept_words(cli, place));
    if (place->form != OXV_KEY_IN_VAULT) {
        (void)printf("Its key is %s. There is no way out of a token: keep the two secrets where "
                     "you have them.\n",
                     oxv_key_place_words(place));
    }
    (void)puts("It signs for:");
    while (oxv_list_next(&r, &origin)) {
        (void)fputs("  ", stdout);
        oxv_escape_print(stdout, origin);
        (void)putchar('\n');
    }
    (void)puts("Nobody may use it before: oxvault grant add");
}

enum oxv_exit
oxv_cmd_connection_add(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_connection_held_done) struct oxv_connection_held held = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    uint8_t origins[OXV_ORIGINS_MAX_BYTES];
    struct oxv_writer origins_w = oxv_writer(origins, sizeof origins);
    struct oxv_connection_fields fields;
    struct oxv_connection_draft draft = { 0 };
    struct oxv_key_place place = { .form = OXV_KEY_IN_VAULT };
    struct oxv_box_connection payload = { 0 };
    struct oxv_err err = { 0 };
    enum oxv_exit code = oxv_key_place_check(cli);

    code = code == OXV_EXIT_DONE ? oxv_material_setup(cli) : code;
    code = code == OXV_EXIT_DONE ? read_fields(cli, &origins_w, &fields) : code;
    if (code == OXV_EXIT_DONE && oxv_connection_draft(&fields, &draft, &err) != OXV_OK) {
        code = oxv_cli_err(cli, &err);
    }
    code = code == OXV_EXIT_DONE ? oxv_key_place_check_method(cli, &draft.record) : code;
    code = code == OXV_EXIT_DONE ? oxv_connection_read_secrets(cli, &draft, &held) : code;
    code = code == OXV_EXIT_DONE ? oxv_key_place_find(cli, &place) : code;
    code = code == OXV_EXIT_DONE ? oxv_connection_fill(cli, &draft, &place, &held, &payload) : code;
    code = code == OXV_EXIT_DONE ? post(cli, &payload, &answer) : code;
    if (code == OXV_EXIT_DONE) {
        oxv_connection_warn_kept(cli, &place);
        report(cli, &draft, &place, &answer);
    }
    return code;
}

static void
add_row(struct oxv_listing *table, struct oxv_view item)
{
    static const char *const members[] = { "name", "system", "account_id", "signature_method",
                                           "key",  "created" };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        oxv_listing_add_member(table, item, members[i]);
    }
}

enum oxv_exit
oxv_cmd_connection_list(struct oxv_cli *cli)
{
    static const char *const titles[] = { "NAME", "SYSTEM",  "ACCOUNT", "METHOD",
                                          "KEY",  "CREATED", NULL };
    static const struct oxv_record_list list = { "/v1/admin/connections", "connections", titles,
                                                 add_row,
                                                 "There are no connections: oxvault connection "
                                                 "add" };

    return oxv_records_list(cli, &list);
}

/* One line for each member, as the service names them. */
static void
show_members(struct oxv_view object)
{
    struct oxv_json_items items = oxv_json_items(object);
    struct oxv_view name;
    struct oxv_view value;

    while (oxv_json_next(&items, &name, &value)) {
        uint8_t buffer[8192];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        struct oxv_json_items parts = oxv_json_items(value);
        struct oxv_view part_name;
        struct oxv_view part;

        oxv_escape_print(stdout, name);
        (void)printf("%*s", name.len < 17 ? 18 - (int)name.len : 1, "");
        if (!oxv_json_write_string(&w, value) && oxv_json_type(value) != OXV_JSON_ARRAY) {
            oxv_write_view(&w, value);
        }
        while (oxv_json_next(&parts, &part_name, &part)) {
            oxv_write_text(&w, w.len == 0 ? "" : " ");
            if (!oxv_json_write_string(&w, part)) {
                oxv_write_view(&w, part);
            }
        }
        oxv_escape_print(stdout, oxv_view(w.data, w.len));
        (void)putchar('\n');
    }
}

enum oxv_exit
oxv_cmd_connection_show(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code =
        oxv_door_make_path(cli, path, "/v1/admin/connections/", cli->arguments[0], "");

    code = code == OXV_EXIT_DONE ? oxv_door_get(cli, OXV_CLI_ADMIN, path, &answer) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        show_members(oxv_buffer_view(&answer));
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_connection_remove(struct oxv_cli *cli)
{
    static const struct oxv_record_act act = { "DELETE", "/v1/admin/connections/", "",
                                               "Connection ",
                                               " is removed, with its key and its grants." };

    return oxv_records_act(cli, &act, cli->arguments[0]);
}
