/*
 * init: runs the keeper once, as the service's user, to make a vault. The secret reaches it by
 * descriptor 3, and where a token seals, the token's helper by descriptor 4; the command itself
 * never makes a vault file.
 */
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/init_keeper.h"
#include "cli/material.h"
#include "cli/new_dir.h"
#include "cli/pin.h"
#include "cli/prompt.h"
#include "cli/token_uri.h"

#define ROLE_USER "oxvault"

/* What is known before the keeper runs. */
struct plan {
    struct oxv_init_run run;
    const char *keyfile; /* NULL for another seal */
    bool keyfile_made;
    struct oxv_new_dir dir;
};

static void
plan_done(struct plan *plan)
{
    oxv_closep(&plan->run.secret_fd);
    oxv_closep(&plan->dir.fd);
}

static enum oxv_exit
plan_users(const struct oxv_cli *cli, struct plan *plan)
{
    enum oxv_exit code = oxv_spawn_find_user(cli, ROLE_USER, &plan->run.user);

    plan->run.user.group_count = 0; /* it opens nothing by a group's right */
    return code;
}

static enum oxv_exit
plan_passphrase(const struct oxv_cli *cli, struct plan *plan)
{
    static const struct oxv_passphrase_source source = { "passphrase-file", "passphrase-fd",
                                                         "New passphrase for the vault: ", true };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *passphrase = NULL;
    enum oxv_exit code = oxv_material_setup(cli);

    if (oxv_cli_flag(cli, "keyfile")) {
        return oxv_cli_usage(cli, "--keyfile goes with --seal keyfile");
    }
    code = code == OXV_EXIT_DONE ? oxv_material_passphrase(cli, &source, &passphrase) : code;
    return code == OXV_EXIT_DONE ? oxv_material_pipe(cli, passphrase, &plan->run.secret_fd) : code;
}

static enum oxv_exit
plan_keyfile(const struct oxv_cli *cli, struct plan *plan)
{
    if (oxv_cli_flag(cli, "passphrase-file") || oxv_cli_flag(cli, "passphrase-fd")) {
        return oxv_cli_usage(cli, "a passphrase goes with --seal passphrase");
    }
    plan->keyfile = oxv_cli_option(cli, "keyfile");
    if (plan->keyfile == NULL) {
        return oxv_cli_usage(cli, "--seal keyfile needs --keyfile FILE");
    }
    enum oxv_exit code = oxv_material_setup(cli);

    return code == OXV_EXIT_DONE
               ? oxv_material_open_keyfile(cli, plan->keyfile, true, &plan->keyfile_made,
                                           &plan->run.secret_fd)
               : code;
}

static enum oxv_exit
plan_token(const struct oxv_cli *cli, struct plan *plan)
{
    static const struct oxv_pin_source source = { "pin-file", "pin-fd",
                                                  "PIN of the token (empty: it has a PIN pad): " };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    enum oxv_exit code = oxv_token_seal_read(cli, oxv_cli_option(cli, "seal"), &plan->run.token);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (oxv_cli_flag(cli, "keyfile") || oxv_cli_flag(cli, "passphrase-file") ||
        oxv_cli_flag(cli, "passphrase-fd")) {
        return oxv_cli_usage(cli, "a token is opened by its PIN: --pin-file, --pin-fd, or the "
                                  "prompt");
    }
    if (!oxv_pin_is_given(cli, &source) && !oxv_prompt_possible()) {
        return oxv_cli_usage(cli, "the PIN of the token is needed, and there is no terminal to ask "
                                  "at: use --pin-file FILE or --pin-fd N");
    }
    code = oxv_material_setup(cli);
    code = code == OXV_EXIT_DONE ? oxv_pin_read(cli, &source, &pin) : code;
    return code == OXV_EXIT_DONE ? oxv_material_pipe(cli, pin, &plan->run.secret_fd) : code;
}

static enum oxv_exit
plan_seal(const struct oxv_cli *cli, struct plan *plan)
{
    const char *seal = oxv_cli_option(cli, "seal");
    bool token = seal != NULL && oxv_token_uri_begins(seal);

    if (seal == NULL) {
        return oxv_cli_usage(cli, "--seal is needed: passphrase, keyfile, or the URI of a token");
    }
    if (!token && (oxv_token_seal_is_asked(cli) || oxv_pin_is_given(cli, &oxv_pin_options) ||
                   oxv_cli_flag(cli, "single-seal"))) {
        return oxv_cli_usage(cli, "module, PIN and key go with --seal 'pkcs11:...'");
    }
    plan->run.seal = token ? "token" : seal;
    if (token) {
        return plan_token(cli, plan);
    }
    if (strcmp(seal, "passphrase") == 0) {
        return plan_passphrase(cli, plan);
    }
    if (strcmp(seal, "keyfile") == 0) {
        return plan_keyfile(cli, plan);
    }
    return oxv_cli_usage(cli, "--seal is passphrase, keyfile, or the URI of a token, not: %s",
                         seal);
}

static void
print_made(const struct oxv_cli *cli, const struct plan *plan, const struct oxv_init_made *made)
{
    bool token = strcmp(plan->run.seal, "token") == 0;
    const char *option = plan->keyfile != NULL ? "--keyfile"
                         : token               ? "--pin-file"
                                               : "--passphrase-file";
    const char *file = oxv_cli_option(cli, option + 2);
    const char *source = file != NULL ? file : "FILE";

    (void)printf("The vault is in %s. Its id is %s.\n\n", cli->dir, made->vault_id);
    if (plan->keyfile_made) {
        (void)printf("The key file %s was made. Keep a copy elsewhere: without it, the vault "
                     "cannot be opened.\n\n",
                     plan->keyfile);
    }
    oxv_init_print_key(cli, made);
    (void)printf("Next:\n"
                 "  oxvaultd --dir %s --run %s %s %s%s\n"
                 "  oxvault --run %s seal add ...        a second way in: if the only seal is "
                 "lost, so is the vault\n"
                 "  oxvault --run %s connection add ...  import an account\n",
                 cli->dir, cli->run, option, source,
                 plan->run.user.drop || geteuid() != 0 ? "" : " --users none", cli->run, cli->run);
}

/*
 * After a failure: what was made goes. Where the keeper left something in the directory a vault may
 * have come to be, and then its key must not go.
 */
static void
undo(const struct oxv_cli *cli, const struct plan *plan)
{
    bool is_empty = oxv_new_dir_undo(cli, &plan->dir);

    if (plan->keyfile_made && is_empty) {
        (void)unlink(plan->keyfile);
    } else if (plan->keyfile_made) {
        oxv_cli_warn("the new key file %s may be the only way to open what is there",
                     plan->keyfile);
    }
}

enum oxv_exit
oxv_cmd_init(struct oxv_cli *cli)
{
    OXV_AUTO(plan_done)
    struct plan plan = { .run = { .mode = "--init", .secret_fd = -1, .backup_fd = -1 },
                         .dir = { .fd = -1 } };
    struct oxv_init_made made = { 0 };
    enum oxv_exit code = plan_users(cli, &plan);

    code = code == OXV_EXIT_DONE ? oxv_init_find(cli, &plan.run) : code;
    code = code == OXV_EXIT_DONE ? oxv_new_dir_check(cli, &plan.dir) : code;
    code = code == OXV_EXIT_DONE ? plan_seal(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? oxv_new_dir_take(cli, &plan.run.user, &plan.dir) : code;
    code = code == OXV_EXIT_DONE ? oxv_init_run(cli, &plan.run, &made) : code;
    if (code != OXV_EXIT_DONE) {
        undo(cli, &plan);
        return code;
    }
    if (cli->json) {
        oxv_init_print_json(cli, &made);
    } else {
        print_made(cli, &plan, &made);
    }
    if (strcmp(plan.run.seal, "token") == 0 && !oxv_cli_flag(cli, "single-seal")) {
        oxv_cli_warn("the token is the only seal, and tokens die: add a second one before there "
                     "is anything in the vault (oxvault --run %s seal add passphrase), or say "
                     "--single-seal",
                     cli->run);
    }
    return OXV_EXIT_DONE;
}
