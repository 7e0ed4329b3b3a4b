/* token: what the service knows of its tokens, and what an admin does with them. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "base/token_terms.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/listing.h"
#include "cli/material.h"
#include "cli/pin.h"
#include "cli/sealed_box.h"
#include "cli/token_list.h"
#include "cli/token_look.h"

/* "seal 1, 2 connections"; "-" where nothing uses it. */
static void
add_use(struct oxv_listing *table, struct oxv_view token)
{
    char text[96] = "";
    uint64_t seal = oxv_door_integer(token, "seal_id", 0);
    uint64_t connections = oxv_door_integer(token, "connections", 0);
    struct oxv_writer w = oxv_writer(text, sizeof text);

    if (seal != 0) {
        oxv_write_text(&w, "seal ");
        oxv_write_decimal(&w, seal);
    }
    if (connections != 0) {
        oxv_write_text(&w, seal != 0 ? ", " : "");
        oxv_write_decimal(&w, connections);
        oxv_write_text(&w, connections == 1 ? " connection" : " connections");
    }
    oxv_listing_add(table, oxv_view(w.data, w.len));
}

/* How keys of connections get into it. */
static void
add_form(struct oxv_listing *table, struct oxv_view token)
{
    char form[32];
    char oaep[32];
    char text[96] = "";

    oxv_door_text(token, "form", form, sizeof form);
    oxv_door_text(token, "oaep", oaep, sizeof oaep);
    if (oaep[0] == '\0' || oxv_format(text, sizeof text, "%s (OAEP %s)", form, oaep) != OXV_OK) {
        oxv_listing_add(table, oxv_view_text(form));
        return;
    }
    oxv_listing_add(table, oxv_view_text(text));
}

static bool
is_fine(struct oxv_view token)
{
    char state[64];
    char pin[64];

    oxv_door_text(token, "state", state, sizeof state);
    oxv_door_text(token, "pin", pin, sizeof pin);
    return strcmp(state, "ready") == 0 && (pin[0] == '\0' || strcmp(pin, "ok") == 0);
}

/* Sentences on what is wrong stand below the table, where they have room. */
static void
print_troubles(const struct oxv_cli *cli, struct oxv_view list)
{
    struct oxv_json_items items = oxv_json_items(list);
    struct oxv_view name;
    struct oxv_view token;
    bool first = true;

    while (oxv_json_next(&items, &name, &token)) {
        char label[64];

        if (is_fine(token)) {
            continue;
        }
        oxv_door_text(token, "label", label, sizeof label);
        (void)fputs(first ? "\n" : "", stdout);
        first = false;
        oxv_escape_print(stdout, oxv_view_text(label));
        (void)fputs(": ", stdout);
        oxv_token_list_print_state(cli, token);
        (void)putchar('\n');
    }
}

static enum oxv_exit
list_of_service(struct oxv_cli *cli)
{
    static const char *const titles[] = { "ID",   "LABEL",   "STATE", "PIN",
                                          "KEYS", "USED BY", "URI",   NULL };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    OXV_AUTO(oxv_listing_freep) struct oxv_listing *table = oxv_listing_new(titles);
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view token;
    enum oxv_exit code = oxv_token_list_get(cli, &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    if (table == NULL || !oxv_json_get(oxv_buffer_view(&answer), "tokens", &list)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for the list");
    }
    struct oxv_json_items items = oxv_json_items(list);

    while (oxv_json_next(&items, &name, &token)) {
        oxv_listing_add_member(table, token, "id");
        oxv_listing_add_member(table, token, "label");
        oxv_listing_add_member(table, token, "state");
        oxv_listing_add_member(table, token, "pin");
        add_form(table, token);
        add_use(table, token);
        oxv_listing_add_member(table, token, "uri");
    }
    code = oxv_listing_print(cli, table,
                             "The service uses no token. Those that are plugged in: oxvault token "
                             "list --module MODULE");
    if (code == OXV_EXIT_DONE && oxv_json_count(list) > 0) {
        print_troubles(cli, list);
    }
    return code;
}

enum oxv_exit
oxv_cmd_token_list(struct oxv_cli *cli)
{
    const char *module = oxv_cli_option(cli, "module");

    if (module == NULL && (oxv_cli_flag(cli, "libexec") || oxv_cli_flag(cli, "users"))) {
        return oxv_cli_usage(cli, "--libexec and --users go with --module, which asks no service");
    }
    return module == NULL ? list_of_service(cli) : oxv_token_look_list(cli, module);
}

static enum oxv_exit
post_login(struct oxv_cli *cli, uint64_t id, const struct oxv_secret *pin,
           struct oxv_buffer *answer)
{
    const struct oxv_box_token_login payload = { .id = id, .pin = oxv_secret_view(pin) };
    const struct oxv_box_content content = { OXV_BOX_TOKEN_LOGIN, &oxv_box_token_login_shape,
                                             &payload, "/v1/admin/tokens/login", NULL };
    struct oxv_client_error error;
    enum oxv_exit code = oxv_box_post(cli, &content, answer, &error);

    if (code == OXV_EXIT_DONE && error.code != OXV_CLIENT_OK) {
        code = oxv_cli_client_error(cli, &error);
    }
    return code;
}

enum oxv_exit
oxv_cmd_token_login(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer tokens = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    struct oxv_view token;
    char label[64];
    const char *which = cli->arguments_count == 0 ? NULL : cli->arguments[0];
    enum oxv_exit code = oxv_material_setup(cli);

    code = code == OXV_EXIT_DONE ? oxv_token_list_get(cli, &tokens) : code;
    code = code == OXV_EXIT_DONE ? oxv_token_list_find(cli, oxv_buffer_view(&tokens), which, &token)
                                 : code;
    code = code == OXV_EXIT_DONE ? oxv_pin_read(cli, &oxv_pin_options, &pin) : code;
    code = code == OXV_EXIT_DONE ? post_login(cli, oxv_door_integer(token, "id", 0), pin, &answer)
                                 : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    oxv_door_text(token, "label", label, sizeof label);
    (void)fputs("The service is logged in to the token ", stdout);
    oxv_escape_print(stdout, oxv_view_text(label));
    (void)puts(".");
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_token_remove(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer tokens = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    struct oxv_view token;
    char path[64];
    char label[64];
    enum oxv_exit code = oxv_token_list_get(cli, &tokens);

    code = code == OXV_EXIT_DONE
               ? oxv_token_list_find(cli, oxv_buffer_view(&tokens), cli->arguments[0], &token)
               : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    uint64_t id = oxv_door_integer(token, "id", 0);

    if (id == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "this token only seals the vault: remove the seal (oxvault seal "
                            "remove)");
    }
    if (oxv_format(path, sizeof path, "/v1/admin/tokens/%llu", (unsigned long long)id) != OXV_OK) {
        oxv_bug("a number that is too long");
    }
    code = oxv_door_call(cli, "DELETE", path, oxv_view(NULL, 0), &answer);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    oxv_door_text(token, "label", label, sizeof label);
    (void)fputs("The service signs in the token ", stdout);
    oxv_escape_print(stdout, oxv_view_text(label));
    (void)puts(" no more. What is on it stays there.");
    return OXV_EXIT_DONE;
}
