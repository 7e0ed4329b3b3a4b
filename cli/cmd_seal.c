#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/listing.h"
#include "cli/material.h"
#include "cli/sealed_box.h"

/* Of the seal that is there and of the one to add. */
struct materials {
    struct oxv_secret *existing;
    struct oxv_secret *added;
};

static void
materials_done(struct materials *m)
{
    oxv_secret_free(m->existing);
    oxv_secret_free(m->added);
}

/* The parameters of the new seal, what they borrow, and the answer. */
struct new_seal {
    struct oxv_seal_record record;
    uint8_t salt[16];
    struct materials m;
    struct oxv_buffer answer;
};

static void
new_seal_done(struct new_seal *seal)
{
    materials_done(&seal->m);
    oxv_buffer_done(&seal->answer);
}

static enum oxv_exit
stretch(const struct oxv_cli *cli, const struct oxv_secret *passphrase,
        const struct oxv_seal_record *record, struct oxv_secret **out)
{
    struct oxv_err err = { 0 };

    return oxv_passphrase_stretch(passphrase, record, out, &err) == OXV_OK ? OXV_EXIT_DONE
                                                                           : oxv_cli_err(cli, &err);
}

/* What can be wrong about the line, before a secret is asked for. */
static enum oxv_exit
check_line(const struct oxv_cli *cli)
{
    bool keyfile = strcmp(cli->arguments[0], "keyfile") == 0;

    if (!keyfile && strcmp(cli->arguments[0], "passphrase") != 0) {
        return oxv_cli_usage(cli, "a seal is a passphrase or a keyfile, not: %s",
                             cli->arguments[0]);
    }
    if (keyfile != oxv_cli_flag(cli, "keyfile")) {
        return oxv_cli_usage(cli, "seal add keyfile needs --keyfile FILE, and only that does");
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
read_new(const struct oxv_cli *cli, struct new_seal *seal)
{
    static const struct oxv_passphrase_source source = { "passphrase-file", "passphrase-fd",
                                                         "New passphrase: ", true };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    const char *keyfile = oxv_cli_option(cli, "keyfile");
    enum oxv_exit code;

    if (keyfile != NULL) {
        seal->record.kind = OXV_SEAL_KEYFILE;
        return oxv_material_keyfile(cli, keyfile, true, &seal->m.added);
    }
    oxv_passphrase_parameters(&seal->record, seal->salt);
    seal->record.kind = OXV_SEAL_PASSPHRASE;
    code = oxv_material_passphrase(cli, &source, &passphrase);
    return code == OXV_EXIT_DONE ? stretch(cli, passphrase, &seal->record, &seal->m.added) : code;
}

static enum oxv_exit
post(struct oxv_cli *cli, const struct oxv_seal_info *existing, struct new_seal *seal)
{
    const struct oxv_box_seal_add payload = {
        .existing_id = existing->id,
        .existing_kind = existing->record.kind,
        .kind = seal->record.kind,
        .kdf_ops = seal->record.kdf_ops,
        .kdf_memory_bytes = seal->record.kdf_memory_bytes,
        .kdf_salt = seal->record.kdf_salt,
        .existing_material = oxv_secret_view(seal->m.existing),
        .material = oxv_secret_view(seal->m.added),
    };
    const struct oxv_box_content content = { OXV_BOX_SEAL_ADD, &oxv_box_seal_add_shape, &payload,
                                             "/v1/admin/seals", NULL };
    struct oxv_client_error error;
    enum oxv_exit code = oxv_box_post(cli, &content, &seal->answer, &error);

    if (code != OXV_EXIT_DONE || error.code == OXV_CLIENT_OK) {
        return code;
    }
    return error.code == OXV_CLIENT_WRONG_SEAL ? OXV_EXIT_LOCKED
                                               : oxv_cli_client_error(cli, &error);
}

/* What the user gave to open the vault once more. */
struct existing {
    enum oxv_seal_kind kind;
    struct oxv_secret *secret;
};

static enum oxv_exit
try_existing(struct oxv_cli *cli, const struct existing *existing, const struct oxv_seal_info *info,
             struct new_seal *seal)
{
    enum oxv_exit code = OXV_EXIT_DONE;

    oxv_secret_freep(&seal->m.existing);
    if (existing->kind == OXV_SEAL_PASSPHRASE) {
        code = stretch(cli, existing->secret, &info->record, &seal->m.existing);
    } else {
        seal->m.existing = oxv_secret_copy(oxv_secret_view(existing->secret));
        if (seal->m.existing == NULL) {
            code = oxv_cli_fail(cli, OXV_EXIT_FAILED, "no locked memory left");
        }
    }
    return code == OXV_EXIT_DONE ? post(cli, info, seal) : code;
}

static enum oxv_exit
try_all(struct oxv_cli *cli, const struct existing *existing, struct new_seal *seal)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer seals = { 0 };
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view item;
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/admin/seals", &seals);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    bool listed = oxv_json_get(oxv_buffer_view(&seals), "seals", &list);
    struct oxv_json_items items = oxv_json_items(list);

    code = OXV_EXIT_LOCKED;
    while (listed && code == OXV_EXIT_LOCKED && oxv_json_next(&items, &name, &item)) {
        struct oxv_seal_info info;

        if (oxv_seal_info_read(item, &info) && info.record.kind == existing->kind) {
            code = try_existing(cli, existing, &info, seal);
        }
    }
    if (code == OXV_EXIT_LOCKED) {
        return oxv_cli_fail(cli, code, "the existing %s does not open this vault",
                            existing->kind == OXV_SEAL_KEYFILE ? "key file" : "passphrase");
    }
    return code;
}

static enum oxv_exit
read_existing(const struct oxv_cli *cli, struct existing *existing)
{
    static const struct oxv_passphrase_source source = {
        "existing-passphrase-file", "existing-passphrase-fd",
        "A passphrase that opens the vault now: ", false
    };
    const char *keyfile = oxv_cli_option(cli, "existing-keyfile");

    if (keyfile == NULL) {
        existing->kind = OXV_SEAL_PASSPHRASE;
        return oxv_material_passphrase(cli, &source, &existing->secret);
    }
    if (oxv_cli_flag(cli, "existing-passphrase-file") ||
        oxv_cli_flag(cli, "existing-passphrase-fd")) {
        return oxv_cli_usage(cli, "an existing passphrase and --existing-keyfile exclude each "
                                  "other");
    }
    existing->kind = OXV_SEAL_KEYFILE;
    return oxv_material_keyfile(cli, keyfile, false, &existing->secret);
}

enum oxv_exit
oxv_cmd_seal_add(struct oxv_cli *cli)
{
    OXV_AUTO(new_seal_done) struct new_seal seal = { 0 };
    struct existing existing = { 0 };
    enum oxv_exit code = check_line(cli);

    code = code == OXV_EXIT_DONE ? oxv_material_setup(cli) : code;
    code = code == OXV_EXIT_DONE ? read_existing(cli, &existing) : code;
    code = code == OXV_EXIT_DONE ? read_new(cli, &seal) : code;
    code = code == OXV_EXIT_DONE ? try_all(cli, &existing, &seal) : code;
    oxv_secret_free(existing.secret);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&seal.answer);
    } else {
        (void)printf("Seal %llu (%s) opens the vault now.\n",
                     (unsigned long long)oxv_door_integer(oxv_buffer_view(&seal.answer), "id", 0),
                     cli->arguments[0]);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_seal_list(struct oxv_cli *cli)
{
    static const char *const titles[] = { "ID", "KIND", "CREATED", NULL };
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
        oxv_listing_add_member(table, item, "id");
        oxv_listing_add_member(table, item, "kind");
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
                     "made before.\n",
                     cli->arguments[0]);
    }
    return OXV_EXIT_DONE;
}
