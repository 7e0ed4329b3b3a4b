/*
 * init: runs the keeper once, as the service's user, to make a vault. The secret reaches it by
 * descriptor 3, and where a token seals, the token's helper by descriptor 4; the command itself
 * never makes a vault file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/init_keeper.h"
#include "cli/material.h"
#include "cli/pin.h"
#include "cli/prompt.h"
#include "cli/token_uri.h"

#define ROLE_USER "oxvault"

/* What is known before the keeper runs. */
struct plan {
    struct oxv_init_run run;
    const char *keyfile; /* NULL for another seal */
    bool keyfile_made;
    bool dir_made;
    bool dir_taken;      /* it was there, and was made the service's */
    struct stat dir_was; /* with dir_taken */
    int dir_fd;
};

static void
plan_done(struct plan *plan)
{
    oxv_closep(&plan->run.secret_fd);
    oxv_closep(&plan->dir_fd);
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

/* Is there nothing in it but . and ..? */
static bool
is_empty(int dir_fd)
{
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    bool empty = dir != NULL;

    if (dir == NULL) {
        oxv_closep(&copy);
        return false;
    }
    while (empty && (entry = readdir(dir)) != NULL) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    (void)closedir(dir); /* was only read */
    return empty;
}

static enum oxv_exit
open_directory(const struct oxv_cli *cli, struct plan *plan)
{
    struct oxv_err err = { 0 };

    plan->dir_fd = open(cli->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (plan->dir_fd < 0) {
        (void)oxv_fail_errno(&err, "cannot open the directory %s", cli->dir);
        return oxv_cli_err(cli, &err);
    }
    if (!is_empty(plan->dir_fd)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s is not empty: a new vault needs a directory of its own", cli->dir);
    }
    return OXV_EXIT_DONE;
}

/* Before anything is asked for or made: a directory that is there must be fit. */
static enum oxv_exit
check_directory(const struct oxv_cli *cli, struct plan *plan)
{
    struct stat st;

    return lstat(cli->dir, &st) != 0 ? OXV_EXIT_DONE : open_directory(cli, plan);
}

/* The directory, 0700 and the service's. */
static enum oxv_exit
take_directory(const struct oxv_cli *cli, struct plan *plan)
{
    struct oxv_err err = { 0 };

    if (plan->dir_fd < 0) {
        plan->dir_made = mkdir(cli->dir, 0700) == 0;
        if (!plan->dir_made) {
            (void)oxv_fail_errno(&err, "cannot make the directory %s", cli->dir);
            return oxv_cli_err(cli, &err);
        }
        enum oxv_exit code = open_directory(cli, plan);

        if (code != OXV_EXIT_DONE) {
            return code;
        }
    }
    plan->dir_taken = !plan->dir_made && fstat(plan->dir_fd, &plan->dir_was) == 0;
    if ((plan->run.user.drop &&
         fchown(plan->dir_fd, plan->run.user.uid, plan->run.user.gid) != 0) ||
        fchmod(plan->dir_fd, 0700) != 0) {
        (void)oxv_fail_errno(&err, "cannot make %s the service's", cli->dir);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

static void
print_json(const struct oxv_cli *cli, const struct oxv_init_made *made)
{
    const struct {
        const char *before;
        const char *value;
    } members[] = { { "{\"dir\":", cli->dir },
                    { ",\"vault_id\":", made->vault_id },
                    { ",\"origin\":", made->origin },
                    { ",\"vkey\":", made->vkey },
                    { ",\"fingerprint\":", made->fingerprint } };
    uint8_t buffer[6 * PATH_MAX + 4096];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        oxv_write_text(&w, members[i].before);
        oxv_write_json_string(&w, oxv_view_text(members[i].value));
    }
    oxv_write_text(&w, "}\n");
    if (oxv_writer_finish(&w, &text) == OXV_OK) {
        oxv_cli_print(text);
    }
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
    (void)printf("%sGive this to your auditor now%s, by a way that this machine has no part in:\n"
                 "  log key      %s\n"
                 "  fingerprint  %s\n"
                 "With it, `oxvault log verify --key` tells whether the access log is whole.\n\n",
                 oxv_cli_bold(cli), oxv_cli_plain(cli), made->vkey, made->fingerprint);
    (void)printf("Next:\n"
                 "  oxvaultd --dir %s --run %s %s %s%s\n"
                 "  oxvault --run %s seal add ...        a second way in: if the only seal is "
                 "lost, so is the vault\n"
                 "  oxvault --run %s connection add ...  import an account\n",
                 cli->dir, cli->run, option, source,
                 plan->run.user.drop || geteuid() != 0 ? "" : " --users none", cli->run, cli->run);
}

/*
 * After a failure: what was made goes, what was changed is put back. Where the keeper left
 * something in the directory a vault may have come to be, and then its key must not go.
 */
static void
undo(const struct oxv_cli *cli, const struct plan *plan)
{
    if (plan->dir_fd >= 0 && (plan->dir_made || plan->dir_taken) && !is_empty(plan->dir_fd)) {
        oxv_cli_warn("%s is not empty: look at what is there before you remove it%s%s", cli->dir,
                     plan->keyfile_made ? ", and with it the new key file " : "",
                     plan->keyfile_made ? plan->keyfile : "");
        return;
    }
    if (plan->dir_made) {
        (void)rmdir(cli->dir); /* stays where something came into it since */
    }
    if (plan->dir_taken && (fchown(plan->dir_fd, plan->dir_was.st_uid, plan->dir_was.st_gid) != 0 ||
                            fchmod(plan->dir_fd, plan->dir_was.st_mode & 07777) != 0)) {
        oxv_cli_warn("%s has another owner or mode than before", cli->dir);
    }
    if (plan->keyfile_made) {
        (void)unlink(plan->keyfile);
    }
}

enum oxv_exit
oxv_cmd_init(struct oxv_cli *cli)
{
    OXV_AUTO(plan_done) struct plan plan = { .run = { .secret_fd = -1 }, .dir_fd = -1 };
    struct oxv_init_made made = { 0 };
    enum oxv_exit code = plan_users(cli, &plan);

    code = code == OXV_EXIT_DONE ? oxv_init_find(cli, &plan.run) : code;
    code = code == OXV_EXIT_DONE ? check_directory(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? plan_seal(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? take_directory(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? oxv_init_run(cli, &plan.run, &made) : code;
    if (code != OXV_EXIT_DONE) {
        undo(cli, &plan);
        return code;
    }
    if (cli->json) {
        print_json(cli, &made);
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
