#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/material.h"
#include "cli/sealed_box.h"

/* One try with one seal. OXV_EXIT_LOCKED, without a word, where it does not open. */
static enum oxv_exit
try_seal(struct oxv_cli *cli, const struct oxv_seal_info *seal, const struct oxv_secret *material,
         struct oxv_buffer *answer)
{
    const struct oxv_box_unseal payload = { .seal_id = seal->id,
                                            .seal_kind = seal->record.kind,
                                            .material = oxv_secret_view(material) };
    const struct oxv_box_content content = { OXV_BOX_UNSEAL, &oxv_box_unseal_shape, &payload,
                                             "/v1/admin/unseal", NULL };
    struct oxv_client_error error;
    enum oxv_exit code = oxv_box_post(cli, &content, answer, &error);

    if (code != OXV_EXIT_DONE || error.code == OXV_CLIENT_OK) {
        return code;
    }
    if (error.code == OXV_CLIENT_WRONG_SEAL) {
        return OXV_EXIT_LOCKED;
    }
    return oxv_cli_client_error(cli, &error);
}

/* A passphrase is stretched for each seal, because each has a salt of its own. */
static enum oxv_exit
try_passphrase(struct oxv_cli *cli, const struct oxv_seal_info *seal,
               const struct oxv_secret *passphrase, struct oxv_buffer *answer)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *stretched = NULL;
    struct oxv_err err = { 0 };

    if (oxv_passphrase_stretch(passphrase, &seal->record, &stretched, &err) != OXV_OK) {
        oxv_err_prefix(&err, "seal %llu", (unsigned long long)seal->id);
        return oxv_cli_err(cli, &err);
    }
    return try_seal(cli, seal, stretched, answer);
}

/* What was given, and the seal that --seal names (0: any). */
struct attempt {
    struct oxv_secret *secret;
    enum oxv_seal_kind kind;
    uint64_t seal_id;
};

static enum oxv_exit
try_all(struct oxv_cli *cli, struct oxv_view health, const struct attempt *attempt,
        struct oxv_buffer *answer)
{
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view item;
    bool tried = false;
    bool listed = oxv_json_get(health, "seals", &list);
    struct oxv_json_items items = oxv_json_items(list);

    while (listed && oxv_json_next(&items, &name, &item)) {
        struct oxv_seal_info seal;
        enum oxv_exit code;

        if (!oxv_seal_info_read(item, &seal) || seal.record.kind != attempt->kind ||
            (attempt->seal_id != 0 && attempt->seal_id != seal.id)) {
            continue;
        }
        tried = true;
        code = attempt->kind == OXV_SEAL_KEYFILE
                   ? try_seal(cli, &seal, attempt->secret, answer)
                   : try_passphrase(cli, &seal, attempt->secret, answer);
        if (code != OXV_EXIT_LOCKED) {
            return code;
        }
    }
    if (!tried) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "this vault has no such %s seal",
                            oxv_seal_kind_name(attempt->kind));
    }
    return oxv_cli_fail(cli, OXV_EXIT_LOCKED, "%s, or a seal was changed from outside",
                        attempt->kind == OXV_SEAL_KEYFILE ? "this key file does not open the vault"
                                                          : "wrong passphrase");
}

static enum oxv_exit
read_attempt(const struct oxv_cli *cli, struct attempt *attempt)
{
    static const struct oxv_passphrase_source source = { "passphrase-file", "passphrase-fd",
                                                         "Passphrase of the vault: ", false };
    const char *keyfile = oxv_cli_option(cli, "keyfile");
    const char *id = oxv_cli_option(cli, "seal");

    if (id != NULL && !oxv_parse_decimal(oxv_view_text(id), UINT64_MAX, &attempt->seal_id)) {
        return oxv_cli_usage(cli, "this is no seal id: %s", id);
    }
    if (keyfile == NULL) {
        attempt->kind = OXV_SEAL_PASSPHRASE;
        return oxv_material_passphrase(cli, &source, &attempt->secret);
    }
    if (oxv_cli_flag(cli, "passphrase-file") || oxv_cli_flag(cli, "passphrase-fd")) {
        return oxv_cli_usage(cli, "a passphrase and --keyfile exclude each other");
    }
    attempt->kind = OXV_SEAL_KEYFILE;
    return oxv_material_keyfile(cli, keyfile, false, &attempt->secret);
}

static enum oxv_exit
report(const struct oxv_cli *cli, const struct oxv_buffer *answer, const char *words)
{
    if (cli->json) {
        oxv_door_print_json(answer);
    } else {
        (void)printf("%s\n", words);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_unseal(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer health = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    struct attempt attempt = { 0 };
    char state[32];
    enum oxv_exit code = oxv_material_setup(cli);

    code = code == OXV_EXIT_DONE ? oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/health", &health) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&health), "state", state, sizeof state);
    if (strcmp(state, "open") == 0) {
        return report(cli, &health, "The vault is open already.");
    }
    code = read_attempt(cli, &attempt);
    if (code == OXV_EXIT_DONE) {
        code = try_all(cli, oxv_buffer_view(&health), &attempt, &answer);
    }
    oxv_secret_free(attempt.secret);
    return code == OXV_EXIT_DONE ? report(cli, &answer, "The vault is open.") : code;
}
