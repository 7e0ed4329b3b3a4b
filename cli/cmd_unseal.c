#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/material.h"
#include "cli/pin.h"
#include "cli/sealed_box.h"

/* One try with one seal. OXV_EXIT_LOCKED, without a word but *error, where it does not open. */
static enum oxv_exit
try_seal(struct oxv_cli *cli, const struct oxv_seal_info *seal, const struct oxv_secret *material,
         struct oxv_buffer *answer, struct oxv_client_error *error)
{
    const struct oxv_box_unseal payload = { .seal_id = seal->id,
                                            .seal_kind = seal->record.kind,
                                            .material = oxv_secret_view(material) };
    const struct oxv_box_content content = { OXV_BOX_UNSEAL, &oxv_box_unseal_shape, &payload,
                                             "/v1/admin/unseal", NULL };
    enum oxv_exit code = oxv_box_post(cli, &content, answer, error);

    if (code != OXV_EXIT_DONE || error->code == OXV_CLIENT_OK) {
        return code;
    }
    if (error->code == OXV_CLIENT_WRONG_SEAL) {
        return OXV_EXIT_LOCKED;
    }
    return oxv_cli_client_error(cli, error);
}

/* A passphrase is stretched for each seal, because each has a salt of its own. */
static enum oxv_exit
try_passphrase(struct oxv_cli *cli, const struct oxv_seal_info *seal,
               const struct oxv_secret *passphrase, struct oxv_buffer *answer,
               struct oxv_client_error *error)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *stretched = NULL;
    struct oxv_err err = { 0 };

    if (oxv_passphrase_stretch(passphrase, &seal->record, &stretched, &err) != OXV_OK) {
        oxv_err_prefix(&err, "seal %llu", (unsigned long long)seal->id);
        return oxv_cli_err(cli, &err);
    }
    return try_seal(cli, seal, stretched, answer, error);
}

/* What was given, and the seal that --seal names (0: any). */
struct attempt {
    struct oxv_secret *secret;
    enum oxv_seal_kind kind;
    uint64_t seal_id;
};

static const char *
refusal(const struct attempt *attempt)
{
    switch (attempt->kind) {
    case OXV_SEAL_KEYFILE:
        return "this key file does not open the vault, or a seal was changed from outside";
    case OXV_SEAL_TOKEN:
        return oxv_secret_len(attempt->secret) == 0
                   ? "the token wants a PIN: use --pin-file, --pin-fd, or the prompt"
                   : "the token refused the PIN, or a seal was changed from outside";
    case OXV_SEAL_PASSPHRASE:
        break;
    }
    return "wrong passphrase, or a seal was changed from outside";
}

/* A PIN goes to one token only: another would count it as a wrong one. */
static enum oxv_exit
check_one_token(const struct oxv_cli *cli, struct oxv_view health, const struct attempt *attempt)
{
    if (attempt->kind == OXV_SEAL_TOKEN && attempt->seal_id == 0 &&
        oxv_secret_len(attempt->secret) > 0 && oxv_seal_info_count(health, OXV_SEAL_TOKEN) > 1) {
        return oxv_cli_usage(cli, "the vault has several token seals, and a PIN is for one of "
                                  "them: name it with --seal ID (see: oxvault health --json)");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
try_all(struct oxv_cli *cli, struct oxv_view health, const struct attempt *attempt,
        struct oxv_buffer *answer)
{
    struct oxv_seal_info seal;
    struct oxv_client_error why = { 0 };
    bool tried = false;
    size_t at = 0;

    while (oxv_seal_info_next(health, &at, &seal)) {
        enum oxv_exit code;

        if (seal.record.kind != attempt->kind ||
            (attempt->seal_id != 0 && attempt->seal_id != seal.id)) {
            continue;
        }
        tried = true;
        code = attempt->kind == OXV_SEAL_PASSPHRASE
                   ? try_passphrase(cli, &seal, attempt->secret, answer, &why)
                   : try_seal(cli, &seal, attempt->secret, answer, &why);
        if (code != OXV_EXIT_LOCKED) {
            return code;
        }
    }
    if (!tried) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "this vault has no such %s seal",
                            oxv_seal_kind_name(attempt->kind));
    }
    if (attempt->kind == OXV_SEAL_TOKEN && why.detail[0] != '\0') {
        return oxv_cli_client_error(cli, &why); /* only the service knows what the token said */
    }
    return oxv_cli_fail(cli, OXV_EXIT_LOCKED, "%s", refusal(attempt));
}

/* What the options name; without any, what the vault has. */
static enum oxv_exit
choose_kind(const struct oxv_cli *cli, struct oxv_view health, struct attempt *attempt)
{
    const char *id = oxv_cli_option(cli, "seal");
    bool passphrase = oxv_cli_flag(cli, "passphrase-file") || oxv_cli_flag(cli, "passphrase-fd");
    bool keyfile = oxv_cli_flag(cli, "keyfile");
    bool pin = oxv_pin_is_given(cli, &oxv_pin_options);

    if (id != NULL && !oxv_parse_decimal(oxv_view_text(id), UINT64_MAX, &attempt->seal_id)) {
        return oxv_cli_usage(cli, "this is no seal id: %s", id);
    }
    if ((passphrase && keyfile) || (pin && (passphrase || keyfile))) {
        return oxv_cli_usage(cli, "a passphrase, --keyfile and a PIN exclude each other");
    }
    attempt->kind = keyfile ? OXV_SEAL_KEYFILE : pin ? OXV_SEAL_TOKEN : OXV_SEAL_PASSPHRASE;
    if (!passphrase && !keyfile && !pin &&
        !oxv_seal_info_has(health, OXV_SEAL_PASSPHRASE, attempt->seal_id) &&
        oxv_seal_info_has(health, OXV_SEAL_TOKEN, attempt->seal_id)) {
        attempt->kind = OXV_SEAL_TOKEN;
    }
    return OXV_EXIT_DONE;
}

/* The label of the token whose PIN is wanted; "" where there are several, or it has none. */
static void
find_label(struct oxv_view health, const struct attempt *attempt, struct oxv_writer *escaped)
{
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view seal;
    bool listed = oxv_json_get(health, "seals", &list);
    struct oxv_json_items items = oxv_json_items(list);

    if (attempt->seal_id == 0 && oxv_seal_info_count(health, OXV_SEAL_TOKEN) > 1) {
        return;
    }
    while (listed && oxv_json_next(&items, &name, &seal)) {
        uint64_t id = oxv_door_integer(seal, "id", 0);
        char label[64];

        oxv_seal_info_label(seal, label, sizeof label);
        if (label[0] != '\0' && (attempt->seal_id == 0 || attempt->seal_id == id)) {
            oxv_escape_write(escaped, oxv_view_text(label));
            return;
        }
    }
}

static enum oxv_exit
read_pin(const struct oxv_cli *cli, struct oxv_view health, struct attempt *attempt)
{
    char label[640]; /* of 64 bytes, escaped */
    struct oxv_writer w = oxv_writer(label, sizeof label - 1);
    char question[768];
    struct oxv_pin_source source = oxv_pin_options;

    find_label(health, attempt, &w);
    label[w.len] = '\0';
    if (w.len > 0 && oxv_format(question, sizeof question,
                                "PIN of the token %s (empty: it has a PIN pad, or the service has "
                                "the PIN): ",
                                label) == OXV_OK) {
        source.question = question;
    }
    return oxv_pin_read(cli, &source, &attempt->secret);
}

static enum oxv_exit
read_secret(const struct oxv_cli *cli, struct oxv_view health, struct attempt *attempt)
{
    switch (attempt->kind) {
    case OXV_SEAL_PASSPHRASE:
        return oxv_material_passphrase(cli, &oxv_vault_passphrase, &attempt->secret);
    case OXV_SEAL_KEYFILE:
        return oxv_material_keyfile(cli, oxv_cli_option(cli, "keyfile"), false, &attempt->secret);
    case OXV_SEAL_TOKEN:
        return read_pin(cli, health, attempt);
    }
    oxv_bug("a seal of an unknown kind");
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
    code = choose_kind(cli, oxv_buffer_view(&health), &attempt);
    code = code == OXV_EXIT_DONE ? read_secret(cli, oxv_buffer_view(&health), &attempt) : code;
    code = code == OXV_EXIT_DONE ? check_one_token(cli, oxv_buffer_view(&health), &attempt) : code;
    if (code == OXV_EXIT_DONE) {
        code = try_all(cli, oxv_buffer_view(&health), &attempt, &answer);
    }
    oxv_secret_free(attempt.secret);
    return code == OXV_EXIT_DONE ? report(cli, &answer, "The vault is open.") : code;
}
