/* rekey: a new root key. What opens each seal that is to stay goes to the service in one box. */
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/material.h"
#include "cli/sealed_box.h"

#define LIST_MAX_BYTES 16384u

/* The candidates: each secret that was given, made ready for each seal that it may open. */
struct candidates {
    struct oxv_view seals;    /* the service's list */
    struct oxv_secret *bytes; /* an encoded LIST */
    struct oxv_writer list;
    uint64_t given;
};

static void
candidates_done(struct candidates *c)
{
    oxv_secret_free(c->bytes);
}

static enum oxv_exit
add_one(const struct oxv_cli *cli, struct candidates *c, const struct oxv_seal_info *info,
        const struct oxv_secret *material)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *item = oxv_secret_new(256);
    const struct oxv_box_rekey_seal candidate = { .given = c->given,
                                                  .seal_id = info->id,
                                                  .seal_kind = info->record.kind,
                                                  .material = oxv_secret_view(material) };
    struct oxv_writer w =
        oxv_writer(item == NULL ? NULL : oxv_secret_bytes(item), item == NULL ? 0 : 256);
    struct oxv_view view;

    oxv_fields_encode(&w, &oxv_box_rekey_seal_shape, &candidate);
    if (oxv_writer_finish(&w, &view) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no locked memory left");
    }
    oxv_list_add(&c->list, view);
    return c->list.failed ? oxv_cli_usage(cli, "too many secrets were given") : OXV_EXIT_DONE;
}

/* A passphrase is stretched for each seal, because each has a salt of its own. */
static enum oxv_exit
add_secret(const struct oxv_cli *cli, struct candidates *c, enum oxv_seal_kind kind,
           const struct oxv_secret *secret)
{
    struct oxv_seal_info info;
    size_t at = 0;
    enum oxv_exit code = OXV_EXIT_DONE;

    if (!oxv_seal_info_has(c->seals, kind, 0)) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND, "this vault has no %s seal",
                            oxv_seal_kind_name(kind));
    }
    c->given++;
    while (code == OXV_EXIT_DONE && oxv_seal_info_next(c->seals, &at, &info)) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *stretched = NULL;
        struct oxv_err err = { 0 };

        if (info.record.kind != kind) {
            continue;
        }
        if (kind == OXV_SEAL_PASSPHRASE &&
            oxv_passphrase_stretch(secret, &info.record, &stretched, &err) != OXV_OK) {
            return oxv_cli_err(cli, &err);
        }
        code = add_one(cli, c, &info, stretched != NULL ? stretched : secret);
    }
    return code;
}

static enum oxv_exit
add_passphrase_file(const struct oxv_cli *cli, struct candidates *c, const char *path)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_open_secret_file(path, &fd, &err);

    if (st == OXV_OK) {
        st = oxv_read_secret_fd(fd, OXV_PASSPHRASE_MAX_BYTES, true, &passphrase, &err);
    }
    return st == OXV_OK ? add_secret(cli, c, OXV_SEAL_PASSPHRASE, passphrase)
                        : oxv_cli_err(cli, &err);
}

static enum oxv_exit
ask_passphrase(const struct oxv_cli *cli, struct candidates *c)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    enum oxv_exit code = oxv_material_passphrase(cli, &oxv_vault_passphrase, &passphrase);

    return code == OXV_EXIT_DONE ? add_secret(cli, c, OXV_SEAL_PASSPHRASE, passphrase) : code;
}

/* All that the options name; without any, one passphrase. */
static enum oxv_exit
gather(const struct oxv_cli *cli, struct candidates *c)
{
    enum oxv_exit code = OXV_EXIT_DONE;
    size_t at = 0;

    for (const char *file = oxv_cli_option_next(cli, "passphrase-file", &at);
         file != NULL && code == OXV_EXIT_DONE;
         file = oxv_cli_option_next(cli, "passphrase-file", &at)) {
        code = add_passphrase_file(cli, c, file);
    }
    at = 0;
    for (const char *file = oxv_cli_option_next(cli, "keyfile", &at);
         file != NULL && code == OXV_EXIT_DONE; file = oxv_cli_option_next(cli, "keyfile", &at)) {
        OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = NULL;

        code = oxv_material_keyfile(cli, file, false, &key);
        code = code == OXV_EXIT_DONE ? add_secret(cli, c, OXV_SEAL_KEYFILE, key) : code;
    }
    if (code == OXV_EXIT_DONE && (c->given == 0 || oxv_cli_flag(cli, "passphrase-fd"))) {
        code = oxv_cli_flag(cli, "passphrase-fd") && oxv_cli_flag(cli, "passphrase-file")
                   ? oxv_cli_usage(cli, "--passphrase-fd and --passphrase-file exclude each other")
                   : ask_passphrase(cli, c);
    }
    return code;
}

static enum oxv_exit
post(struct oxv_cli *cli, const struct candidates *c, struct oxv_buffer *answer)
{
    const struct oxv_box_rekey payload = { .drop_others = oxv_cli_flag(cli, "drop-other-seals"),
                                           .seals = oxv_view(c->list.data, c->list.len) };
    const struct oxv_box_content content = { OXV_BOX_REKEY, &oxv_box_rekey_shape, &payload,
                                             "/v1/admin/rekey", NULL };
    struct oxv_client_error error = { 0 };
    enum oxv_exit code = oxv_box_post(cli, &content, answer, &error);

    return code == OXV_EXIT_DONE && error.code != OXV_CLIENT_OK ? oxv_cli_client_error(cli, &error)
                                                                : code;
}

enum oxv_exit
oxv_cmd_rekey(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer seals = { 0 };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    OXV_AUTO(candidates_done) struct candidates c = { 0 };
    enum oxv_exit code = oxv_material_setup(cli);

    code =
        code == OXV_EXIT_DONE ? oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/admin/seals", &seals) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    c.seals = oxv_buffer_view(&seals);
    c.bytes = oxv_secret_new(LIST_MAX_BYTES);
    if (c.bytes == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no locked memory left");
    }
    c.list = oxv_writer(oxv_secret_bytes(c.bytes), LIST_MAX_BYTES);
    code = gather(cli, &c);
    code = code == OXV_EXIT_DONE ? post(cli, &c, &answer) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    (void)printf("The vault has a new root key; %llu seals open it, %llu were removed. What was "
                 "removed, and older\nbackups, open it no more: make a new backup now.\n",
                 (unsigned long long)oxv_door_integer(oxv_buffer_view(&answer), "seals", 0),
                 (unsigned long long)oxv_door_integer(oxv_buffer_view(&answer), "removed", 0));
    return OXV_EXIT_DONE;
}
