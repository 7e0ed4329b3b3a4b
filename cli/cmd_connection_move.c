/*
 * connection move: the key goes from the vault to a token, or is in the vault again. Nothing can be
 * got out of a token, so both ways begin with the two secrets, entered again.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/connection_box.h"
#include "cli/door.h"
#include "cli/material.h"
#include "cli/sealed_box.h"
#include "signer/netsuite.h"

/* The connection as it is, read back from the service: the texts, and what borrows them. */
struct stored {
    char name[OXV_NAME_MAX_BYTES + 1];
    char system[32];
    char account_id[80];
    char consumer_key[520];
    char token_id[520];
    char role_id[136];
    char application_id[136];
    char realm[520];
    char signature_method[32];
    char created[OXV_TIMESTAMP_BYTES];
    char key[32];
    char key_id[2 * OXV_TOKEN_KEY_ID_MAX_BYTES + 1];
    uint8_t origins[OXV_ORIGINS_MAX_BYTES];
    struct oxv_connection_fields fields;
    struct oxv_connection_draft draft;
};

static enum oxv_exit
check_line(const struct oxv_cli *cli)
{
    bool in_vault = oxv_cli_flag(cli, "in-vault");

    if (in_vault == oxv_cli_flag(cli, "in-token")) {
        return oxv_cli_usage(cli, "where to? One of --in-token URI and --in-vault is needed");
    }
    return oxv_key_place_check(cli);
}

/* The origins beyond those that follow from the account, which the draft makes itself. */
static enum oxv_exit
read_origins(const struct oxv_cli *cli, struct oxv_view answer, struct stored *stored)
{
    struct oxv_writer list = oxv_writer(stored->origins, sizeof stored->origins);
    bool netsuite = strcmp(stored->system, "netsuite") == 0;
    struct oxv_view array = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view item;
    bool there = oxv_json_get(answer, "origins", &array);
    struct oxv_json_items items = oxv_json_items(array);

    for (size_t i = 0; there && oxv_json_next(&items, &name, &item); i++) {
        char origin[OXV_URL_ORIGIN_MAX_BYTES];
        struct oxv_writer w = oxv_writer(origin, sizeof origin);

        if (!oxv_json_write_string(&w, item) || w.failed) {
            there = false;
        }
        if (!netsuite || i >= OXV_ACCOUNT_ORIGINS) {
            oxv_list_add(&list, oxv_view(w.data, w.len));
        }
    }
    if (!there || oxv_writer_finish(&list, &stored->fields.origins) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no good origins");
    }
    return OXV_EXIT_DONE;
}

static void
read_texts(struct oxv_view answer, struct stored *s)
{
    const struct {
        const char *member;
        char *text;
        size_t size;
        struct oxv_view *field; /* may be NULL */
    } members[] = {
        { "name", s->name, sizeof s->name, &s->fields.name },
        { "system", s->system, sizeof s->system, &s->fields.system },
        { "account_id", s->account_id, sizeof s->account_id, &s->fields.account_id },
        { "consumer_key", s->consumer_key, sizeof s->consumer_key, &s->fields.consumer_key },
        { "token_id", s->token_id, sizeof s->token_id, &s->fields.token_id },
        { "role_id", s->role_id, sizeof s->role_id, &s->fields.role_id },
        { "application_id", s->application_id, sizeof s->application_id,
          &s->fields.application_id },
        { "realm", s->realm, sizeof s->realm, &s->fields.realm },
        { "signature_method", s->signature_method, sizeof s->signature_method,
          &s->fields.signature_method },
        { "created", s->created, sizeof s->created, NULL },
        { "key", s->key, sizeof s->key, NULL },
        { "key_id", s->key_id, sizeof s->key_id, NULL },
    };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        oxv_door_text(answer, members[i].member, members[i].text, members[i].size);
        if (members[i].field != NULL) {
            *members[i].field = oxv_view_text(members[i].text);
        }
    }
}

/* All public fields must come out as they are stored: the service compares them. */
static enum oxv_exit
load(struct oxv_cli *cli, struct stored *stored)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    struct oxv_err err = { 0 };
    enum oxv_exit code =
        oxv_door_make_path(cli, path, "/v1/admin/connections/", cli->arguments[0], "");

    code = code == OXV_EXIT_DONE ? oxv_door_get(cli, OXV_CLI_ADMIN, path, &answer) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    read_texts(oxv_buffer_view(&answer), stored);
    if (strcmp(stored->system, "netsuite") == 0) {
        stored->fields.realm = oxv_view(NULL, 0); /* told, but not stored: it is the account */
    }
    code = read_origins(cli, oxv_buffer_view(&answer), stored);
    if (code == OXV_EXIT_DONE &&
        oxv_connection_draft(&stored->fields, &stored->draft, &err) != OXV_OK) {
        code = oxv_cli_err(cli, &err);
    }
    if (code == OXV_EXIT_DONE &&
        !oxv_parse_timestamp(oxv_view_text(stored->created), &stored->draft.record.created_us)) {
        code = oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no time of creation");
    }
    return code;
}

static enum oxv_exit
post(struct oxv_cli *cli, const struct oxv_box_connection *payload, struct oxv_buffer *answer)
{
    char path[OXV_DOOR_PATH_MAX_BYTES];
    const struct oxv_box_content content = { OXV_BOX_CONNECTION_MOVE, &oxv_box_connection_shape,
                                             payload, path, NULL };
    struct oxv_client_error error;
    enum oxv_exit code =
        oxv_door_make_path(cli, path, "/v1/admin/connections/", cli->arguments[0], "/move");

    code = code == OXV_EXIT_DONE ? oxv_box_post(cli, &content, answer, &error) : code;
    if (code == OXV_EXIT_DONE && error.code != OXV_CLIENT_OK) {
        code = oxv_cli_client_error(cli, &error);
    }
    return code;
}

/* By the id that the key has now the service can tell whether it is the same key. */
static enum oxv_exit
remember_old(const struct oxv_cli *cli, const struct stored *stored, struct oxv_key_place *place)
{
    struct oxv_view hex = oxv_view_text(stored->key_id);

    place->new_secrets = oxv_cli_flag(cli, "new-secrets");
    place->old_key_id_len = hex.len / 2;
    if (hex.len > 0 && !oxv_parse_hex(hex, place->old_key_id, place->old_key_id_len)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no good key_id");
    }
    return OXV_EXIT_DONE;
}

static void
report(const struct oxv_cli *cli, const struct oxv_key_place *place,
       const struct oxv_buffer *answer)
{
    if (cli->json) {
        oxv_door_print_json(answer);
    } else if (place->form == OXV_KEY_IN_VAULT) {
        (void)printf("The key of %s is in the vault now, made from the secrets that you gave: "
                     "nothing came out of a token.\n",
                     cli->arguments[0]);
    } else {
        (void)printf("The key of %s is %s. There is no way out of a token: to move it again, the "
                     "two secrets are needed again.\n",
                     cli->arguments[0], oxv_key_place_words(place));
    }
}

enum oxv_exit
oxv_cmd_connection_move(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_connection_held_done) struct oxv_connection_held held = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    struct stored stored = { .fields = { .name = { .data = NULL } } };
    struct oxv_key_place place = { .form = OXV_KEY_IN_VAULT };
    struct oxv_box_connection payload = { 0 };
    enum oxv_exit code = check_line(cli);

    code = code == OXV_EXIT_DONE ? oxv_material_setup(cli) : code;
    code = code == OXV_EXIT_DONE ? load(cli, &stored) : code;
    if (code == OXV_EXIT_DONE && oxv_cli_flag(cli, "in-vault") &&
        strcmp(stored.key, "in vault") == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the key of %s is in the vault already",
                            cli->arguments[0]);
    }
    code = code == OXV_EXIT_DONE ? oxv_key_place_check_method(cli, &stored.draft.record) : code;
    code = code == OXV_EXIT_DONE ? oxv_connection_read_pair(cli, &stored.draft, &held) : code;
    code = code == OXV_EXIT_DONE ? oxv_key_place_find(cli, &place) : code;
    code = code == OXV_EXIT_DONE ? remember_old(cli, &stored, &place) : code;
    code = code == OXV_EXIT_DONE ? oxv_connection_fill(cli, &stored.draft, &place, &held, &payload)
                                 : code;
    code = code == OXV_EXIT_DONE ? post(cli, &payload, &answer) : code;
    if (code == OXV_EXIT_DONE) {
        oxv_connection_warn_kept(cli, &place);
        report(cli, &place, &answer);
    }
    return code;
}
