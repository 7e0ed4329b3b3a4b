#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/listing.h"
#include "cli/material.h"
#include "cli/pin.h"
#include "cli/sealed_box.h"
#include "cli/token_seal.h"
#include "cli/token_uri.h"

/* The parameters of the new seal, what they borrow, and the answer. */
struct new_seal {
    struct oxv_seal_record record;
    uint8_t salt[16];
    struct oxv_token_seal token; /* of kind token */
    struct oxv_secret *material; /* as the box wants it; of a token: its PIN */
    struct oxv_buffer answer;
};

static void
new_seal_done(struct new_seal *seal)
{
    oxv_secret_free(seal->material);
    oxv_buffer_done(&seal->answer);
}

/* What the user gave to open the vault once more. */
struct existing {
    enum oxv_seal_kind kind;
    uint64_t seal_id; /* 0: any */
    struct oxv_secret *secret;
};

static void
existing_done(struct existing *existing)
{
    oxv_secret_free(existing->secret);
}

static enum oxv_exit
stretch(const struct oxv_cli *cli, const struct oxv_secret *passphrase,
        const struct oxv_seal_record *record, struct oxv_secret **out)
{
    struct oxv_err err = { 0 };

    return oxv_passphrase_stretch(passphrase, record, out, &err) == OXV_OK ? OXV_EXIT_DONE
                                                                           : oxv_cli_err(cli, &err);
}

/* seal add token --uri URI, or seal add URI. */
static enum oxv_exit
check_token_line(const struct oxv_cli *cli, struct new_seal *seal)
{
    const char *word = cli->arguments[0];
    const char *uri = oxv_cli_option(cli, "uri");

    if (oxv_token_uri_begins(word) == (uri != NULL)) {
        return oxv_cli_usage(cli, "the token is named once: seal add 'pkcs11:...', or seal add "
                                  "token --uri 'pkcs11:...'");
    }
    if (oxv_cli_flag(cli, "keyfile") || oxv_cli_flag(cli, "passphrase-file") ||
        oxv_cli_flag(cli, "passphrase-fd")) {
        return oxv_cli_usage(cli, "a token is opened by its PIN: --pin-file, --pin-fd, or the "
                                  "prompt");
    }
    seal->record.kind = OXV_SEAL_TOKEN;
    return oxv_token_seal_read(cli, uri != NULL ? uri : word, &seal->token);
}

/* What can be wrong about the line, before a secret is asked for. */
static enum oxv_exit
check_line(const struct oxv_cli *cli, struct new_seal *seal)
{
    const char *word = cli->arguments[0];
    bool keyfile = strcmp(word, "keyfile") == 0;

    if (strcmp(word, "token") == 0 || oxv_token_uri_begins(word)) {
        return check_token_line(cli, seal);
    }
    if (!keyfile && strcmp(word, "passphrase") != 0) {
        return oxv_cli_usage(cli, "a seal is a passphrase, a keyfile or a token, not: %s", word);
    }
    if (oxv_token_seal_is_asked(cli) || oxv_cli_flag(cli, "uri") ||
        oxv_pin_is_given(cli, &oxv_pin_options)) {
        return oxv_cli_usage(cli, "module, PIN and key go with a seal in a token: seal add "
                                  "'pkcs11:...'");
    }
    if (keyfile != oxv_cli_flag(cli, "keyfile")) {
        return oxv_cli_usage(cli, "seal add keyfile needs --keyfile FILE, and only that does");
    }
    seal->record.kind = keyfile ? OXV_SEAL_KEYFILE : OXV_SEAL_PASSPHRASE;
    return OXV_EXIT_DONE;
}

static enum oxv_exit
read_new(const struct oxv_cli *cli, struct new_seal *seal)
{
    static const struct oxv_passphrase_source source = { "passphrase-file", "passphrase-fd",
                                                         "New passphrase: ", true };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    enum oxv_exit code;

    if (seal->record.kind == OXV_SEAL_TOKEN) {
        return oxv_pin_read(cli, &oxv_pin_options, &seal->material);
    }
    if (seal->record.kind == OXV_SEAL_KEYFILE) {
        return oxv_material_keyfile(cli, oxv_cli_option(cli, "keyfile"), true, &seal->material);
    }
    oxv_passphrase_parameters(&seal->record, seal->salt);
    code = oxv_material_passphrase(cli, &source, &passphrase);
    return code == OXV_EXIT_DONE ? stretch(cli, passphrase, &seal->record, &seal->material) : code;
}

/* OXV_EXIT_LOCKED, without a word but *error, where the existing seal does not open. */
static enum oxv_exit
post(struct oxv_cli *cli, const struct oxv_seal_info *info, const struct oxv_secret *material,
     struct new_seal *seal, struct oxv_client_error *error)
{
    const struct oxv_box_seal_add payload = {
        .existing_id = info->id,
        .existing_kind = info->record.kind,
        .kind = seal->record.kind,
        .kdf_ops = seal->record.kdf_ops,
        .kdf_memory_bytes = seal->record.kdf_memory_bytes,
        .kdf_salt = seal->record.kdf_salt,
        .existing_material = oxv_secret_view(material),
        .material = oxv_secret_view(seal->material),
        .module = oxv_view_text(seal->token.module == NULL ? "" : seal->token.module),
        .uri = oxv_view_text(seal->token.uri == NULL ? "" : seal->token.uri),
        .key_id = oxv_view(seal->token.key_id, seal->token.key_id_len),
        .generate = seal->token.generate,
        .mechanism = seal->token.mechanism,
        .gcm_iv = seal->token.gcm_iv,
        .allow_oaep_sha1 = seal->token.allow_oaep_sha1,
        .allow_pkcs1 = seal->token.allow_pkcs1,
    };
    const struct oxv_box_content content = { OXV_BOX_SEAL_ADD, &oxv_box_seal_add_shape, &payload,
                                             "/v1/admin/seals", NULL };
    enum oxv_exit code = oxv_box_post(cli, &content, &seal->answer, error);

    if (code != OXV_EXIT_DONE || error->code == OXV_CLIENT_OK) {
        return code;
    }
    return error->code == OXV_CLIENT_WRONG_SEAL ? OXV_EXIT_LOCKED
                                                : oxv_cli_client_error(cli, error);
}

static enum oxv_exit
try_existing(struct oxv_cli *cli, const struct existing *existing, const struct oxv_seal_info *info,
             struct new_seal *seal, struct oxv_client_error *error)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *stretched = NULL;
    enum oxv_exit code = OXV_EXIT_DONE;

    if (existing->kind != OXV_SEAL_PASSPHRASE) {
        return post(cli, info, existing->secret, seal, error);
    }
    code = stretch(cli, existing->secret, &info->record, &stretched);
    return code == OXV_EXIT_DONE ? post(cli, info, stretched, seal, error) : code;
}

static enum oxv_exit
fail_existing(const struct oxv_cli *cli, const struct existing *existing,
              const struct new_seal *seal, const struct oxv_client_error *why)
{
    if (why->detail[0] == '\0') {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "this vault has no such %s seal",
                            oxv_seal_kind_name(existing->kind));
    }
    /* Only the service knows whether it was a token, and what that said. */
    if (existing->kind == OXV_SEAL_TOKEN || seal->record.kind == OXV_SEAL_TOKEN) {
        return oxv_cli_client_error(cli, why);
    }
    return oxv_cli_fail(cli, OXV_EXIT_LOCKED, "the existing %s does not open this vault",
                        existing->kind == OXV_SEAL_KEYFILE ? "key file" : "passphrase");
}

static enum oxv_exit
try_all(struct oxv_cli *cli, struct oxv_view seals, const struct existing *existing,
        struct new_seal *seal)
{
    struct oxv_client_error why = { 0 };
    struct oxv_seal_info info;
    size_t at = 0;

    while (oxv_seal_info_next(seals, &at, &info)) {
        if (info.record.kind == existing->kind &&
            (existing->seal_id == 0 || existing->seal_id == info.id)) {
            enum oxv_exit code = try_existing(cli, existing, &info, seal, &why);

            if (code != OXV_EXIT_LOCKED) {
                return code;
            }
        }
    }
    return fail_existing(cli, existing, seal, &why);
}

static const struct oxv_pin_source existing_pin = {
    "existing-pin-file", "existing-pin-fd",
    "PIN of the token that opens the vault now (empty: it has a PIN pad): "
};

/* What the options name; without any, what the vault has. */
static enum oxv_exit
choose_existing(const struct oxv_cli *cli, struct oxv_view seals, struct existing *existing)
{
    const char *id = oxv_cli_option(cli, "existing-seal");
    bool passphrase = oxv_cli_flag(cli, "existing-passphrase-file") ||
                      oxv_cli_flag(cli, "existing-passphrase-fd");
    bool keyfile = oxv_cli_flag(cli, "existing-keyfile");
    bool pin = oxv_pin_is_given(cli, &existing_pin);

    if (id != NULL && !oxv_parse_decimal(oxv_view_text(id), UINT64_MAX, &existing->seal_id)) {
        return oxv_cli_usage(cli, "this is no seal id: %s", id);
    }
    if ((passphrase && keyfile) || (pin && (passphrase || keyfile))) {
        return oxv_cli_usage(cli, "an existing passphrase, --existing-keyfile and an existing PIN "
                                  "exclude each other");
    }
    existing->kind = keyfile ? OXV_SEAL_KEYFILE : pin ? OXV_SEAL_TOKEN : OXV_SEAL_PASSPHRASE;
    if (!passphrase && !keyfile && !pin &&
        !oxv_seal_info_has(seals, OXV_SEAL_PASSPHRASE, existing->seal_id) &&
        oxv_seal_info_has(seals, OXV_SEAL_TOKEN, existing->seal_id)) {
        existing->kind = OXV_SEAL_TOKEN;
    }
    return OXV_EXIT_DONE;
}

/* Trying one seal after another must not try a PIN more than once: tokens count. */
static enum oxv_exit
check_one_try(const struct oxv_cli *cli, struct oxv_view seals, const struct existing *existing,
              const struct new_seal *seal)
{
    bool has_pin = (existing->kind == OXV_SEAL_TOKEN && oxv_secret_len(existing->secret) > 0) ||
                   (seal->record.kind == OXV_SEAL_TOKEN && oxv_secret_len(seal->material) > 0);

    if (has_pin && existing->seal_id == 0 && oxv_seal_info_count(seals, existing->kind) > 1) {
        return oxv_cli_usage(cli,
                             "the vault has several %s seals, and a PIN is tried only once: name "
                             "the seal that opens with --existing-seal ID (see: oxvault seal list)",
                             oxv_seal_kind_name(existing->kind));
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
read_existing(const struct oxv_cli *cli, struct oxv_view seals, struct existing *existing)
{
    static const struct oxv_passphrase_source source = {
        "existing-passphrase-file", "existing-passphrase-fd",
        "A passphrase that opens the vault now: ", false
    };
    enum oxv_exit code = choose_existing(cli, seals, existing);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    switch (existing->kind) {
    case OXV_SEAL_PASSPHRASE:
        return oxv_material_passphrase(cli, &source, &existing->secret);
    case OXV_SEAL_KEYFILE:
        return oxv_material_keyfile(cli, oxv_cli_option(cli, "existing-keyfile"), false,
                                    &existing->secret);
    case OXV_SEAL_TOKEN:
        return oxv_pin_read(cli, &existing_pin, &existing->secret);
    }
    oxv_bug("a seal of an unknown kind");
}

enum oxv_exit
oxv_cmd_seal_add(struct oxv_cli *cli)
{
    OXV_AUTO(new_seal_done) struct new_seal seal = { 0 };
    OXV_AUTO(existing_done) struct existing existing = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer seals = { 0 };
    enum oxv_exit code = check_line(cli, &seal);

    code = code == OXV_EXIT_DONE ? oxv_material_setup(cli) : code;
    code =
        code == OXV_EXIT_DONE ? oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/admin/seals", &seals) : code;
    code = code == OXV_EXIT_DONE ? read_existing(cli, oxv_buffer_view(&seals), &existing) : code;
    code = code == OXV_EXIT_DONE ? read_new(cli, &seal) : code;
    code = code == OXV_EXIT_DONE ? check_one_try(cli, oxv_buffer_view(&seals), &existing, &seal)
                                 : code;
    code = code == OXV_EXIT_DONE ? try_all(cli, oxv_buffer_view(&seals), &existing, &seal) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&seal.answer);
    } else {
        (void)printf("Seal %llu (%s) opens the vault now.\n",
                     (unsigned long long)oxv_door_integer(oxv_buffer_view(&seal.answer), "id", 0),
                     oxv_seal_kind_name(seal.record.kind));
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_seal_list(struct oxv_cli *cli)
{
    static const char *const titles[] = { "ID", "KIND", "TOKEN", "CREATED", NULL };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    OXV_AUTO(oxv_listing_freep) struct oxv_listing *table = oxv_listing_new(titles);
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view item;
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/admin/seals", &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    if (table == NULL || !oxv_json_get(oxv_buffer_view(&answer), "seals", &list)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no list of seals");
    }
    struct oxv_json_items items = oxv_json_items(list);

    while (oxv_json_next(&items, &name, &item)) {
        char label[64];

        oxv_listing_add_member(table, item, "id");
        oxv_listing_add_member(table, item, "kind");
        oxv_seal_info_label(item, label, sizeof label);
        oxv_listing_add(table, oxv_view_text(label));
        oxv_listing_add_member(table, item, "created");
    }
    code = oxv_listing_print(cli, table, "There are no seals.");
    if (oxv_json_count(list) == 1) {
        (void)puts("\nThis is the only seal: if it is lost, so is the vault. Add one: oxvault seal "
                   "add");
    }
    return code;
}

enum oxv_exit
oxv_cmd_seal_remove(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char path[OXV_DOOR_PATH_MAX_BYTES];
    enum oxv_exit code = oxv_door_make_path(cli, path, "/v1/admin/seals/", cli->arguments[0], "");

    if (code == OXV_EXIT_DONE) {
        code = oxv_door_call(cli, "DELETE", path, oxv_view(NULL, 0), &answer);
    }
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        (void)printf("Seal %s is removed. It still opens copies of the vault (backups) that were "
                     "made before. To revoke it: oxvault --run %s rekey\n",
                     cli->arguments[0], cli->run);
    }
    return OXV_EXIT_DONE;
}
