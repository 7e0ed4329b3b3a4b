/* restore and adopt: run the keeper once; it makes a new node of records that are there. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/init_keeper.h"
#include "cli/material.h"
#include "cli/new_dir.h"
#include "cli/pin.h"

#define ROLE_USER "oxvault"

static void
run_done(struct oxv_init_run *run)
{
    oxv_closep(&run->secret_fd);
    oxv_closep(&run->backup_fd);
}

static enum oxv_exit
open_by_passphrase(const struct oxv_cli *cli, struct oxv_init_run *run)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    enum oxv_exit code = oxv_material_passphrase(cli, &oxv_vault_passphrase, &passphrase);

    run->seal = "passphrase";
    return code == OXV_EXIT_DONE ? oxv_material_pipe(cli, passphrase, &run->secret_fd) : code;
}

static enum oxv_exit
open_by_pin(const struct oxv_cli *cli, struct oxv_init_run *run)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    enum oxv_exit code = oxv_pin_read(cli, &oxv_pin_options, &pin);

    run->seal = "token";
    return code == OXV_EXIT_DONE ? oxv_material_pipe(cli, pin, &run->secret_fd) : code;
}

/* One seal's material: what the options name; without any, a passphrase. */
static enum oxv_exit
read_material(const struct oxv_cli *cli, struct oxv_init_run *run)
{
    const char *keyfile = oxv_cli_option(cli, "keyfile");
    bool passphrase = oxv_cli_flag(cli, "passphrase-file") || oxv_cli_flag(cli, "passphrase-fd");
    bool pin = oxv_pin_is_given(cli, &oxv_pin_options);
    uint64_t seal_id;
    bool made = false;

    run->seal_id = oxv_cli_option(cli, "seal");
    if ((keyfile != NULL) + passphrase + pin > 1) {
        return oxv_cli_usage(cli, "one seal opens it: a passphrase, --keyfile or a PIN");
    }
    if (run->seal_id != NULL &&
        (!pin || !oxv_parse_decimal(oxv_view_text(run->seal_id), INT64_MAX, &seal_id))) {
        return oxv_cli_usage(cli, "--seal ID names the token's seal that the PIN is for");
    }
    enum oxv_exit code = oxv_material_setup(cli);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (keyfile != NULL) {
        run->seal = "keyfile";
        return oxv_material_open_keyfile(cli, keyfile, false, &made, &run->secret_fd);
    }
    return pin ? open_by_pin(cli, run) : open_by_passphrase(cli, run);
}

static enum oxv_exit
find_keeper(const struct oxv_cli *cli, struct oxv_init_run *run)
{
    enum oxv_exit code = oxv_spawn_find_user(cli, ROLE_USER, &run->user);

    run->user.group_count = 0; /* it opens nothing by a group's right */
    return code == OXV_EXIT_DONE ? oxv_init_find(cli, run) : code;
}

static enum oxv_exit
print_made(const struct oxv_cli *cli, const struct oxv_init_made *made, const char *what)
{
    if (cli->json) {
        oxv_init_print_json(cli, made);
        return OXV_EXIT_DONE;
    }
    (void)printf("%s\nIt is a new node: its access log is a new one, %s.\n\n", what, made->origin);
    oxv_init_print_key(cli, made);
    return OXV_EXIT_DONE;
}

static enum oxv_exit
open_file(const struct oxv_cli *cli, const char *file, struct oxv_init_run *run)
{
    struct oxv_err err = { 0 };

    run->backup_fd = open(file, O_RDONLY | O_CLOEXEC);
    if (run->backup_fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open the backup %s", file);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_restore(struct oxv_cli *cli)
{
    OXV_AUTO(run_done)
    struct oxv_init_run run = { .mode = "--restore", .secret_fd = -1, .backup_fd = -1 };
    struct oxv_new_dir dir = { .fd = -1 };
    struct oxv_init_made made = { 0 };
    enum oxv_exit code = find_keeper(cli, &run);

    code = code == OXV_EXIT_DONE ? oxv_new_dir_check(cli, &dir) : code;
    code = code == OXV_EXIT_DONE ? open_file(cli, cli->arguments[0], &run) : code;
    code = code == OXV_EXIT_DONE ? read_material(cli, &run) : code;
    code = code == OXV_EXIT_DONE ? oxv_new_dir_take(cli, &run.user, &dir) : code;
    code = code == OXV_EXIT_DONE ? oxv_init_run(cli, &run, &made) : code;
    if (code != OXV_EXIT_DONE) {
        (void)oxv_new_dir_undo(cli, &dir); /* it says what it leaves */
    }
    oxv_closep(&dir.fd);
    return code == OXV_EXIT_DONE ? print_made(cli, &made, "The vault is restored.") : code;
}

enum oxv_exit
oxv_cmd_adopt(struct oxv_cli *cli)
{
    OXV_AUTO(run_done)
    struct oxv_init_run run = { .mode = "--adopt", .secret_fd = -1, .backup_fd = -1 };
    struct oxv_init_made made = { 0 };
    enum oxv_exit code = find_keeper(cli, &run);

    code = code == OXV_EXIT_DONE ? read_material(cli, &run) : code;
    code = code == OXV_EXIT_DONE ? oxv_init_run(cli, &run, &made) : code;
    return code == OXV_EXIT_DONE
               ? print_made(cli, &made, "The vault is adopted; its old log is kept beside the new.")
               : code;
}
