/*
 * init: runs the keeper once, as the service's user, to make a vault. The secret reaches it by
 * descriptor 3; the command itself never makes a vault file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/material.h"

#define ROLE_USER        "oxvault"
#define SECRET_FD        3
#define ANSWER_MAX_BYTES 4096u
#define ARGUMENTS_MAX    16

/* What is known before the keeper runs. */
struct plan {
    const char *seal;    /* "passphrase" or "keyfile" */
    const char *keyfile; /* NULL for a passphrase */
    bool keyfile_made;
    bool dir_made;
    bool dir_taken;      /* it was there, and was made the service's */
    struct stat dir_was; /* with dir_taken */
    int dir_fd;
    bool drop; /* to the user below */
    uid_t uid;
    gid_t gid;
    int secret_fd;
    char keeper[PATH_MAX];
};

/* What the keeper printed. */
struct made {
    char vault_id[64];
    char origin[128];
    char vkey[256];
    char fingerprint[128];
};

static void
plan_done(struct plan *plan)
{
    oxv_closep(&plan->secret_fd);
    oxv_closep(&plan->dir_fd);
}

static enum oxv_exit
plan_users(const struct oxv_cli *cli, struct plan *plan)
{
    const char *users = oxv_cli_option(cli, "users");

    if (users != NULL && strcmp(users, "none") != 0 && strcmp(users, "roles") != 0) {
        return oxv_cli_usage(cli, "--users is roles or none, not: %s", users);
    }
    if (geteuid() != 0) {
        if (users != NULL && strcmp(users, "roles") == 0) {
            return oxv_cli_usage(cli, "--users roles needs root");
        }
        return OXV_EXIT_DONE;
    }
    if (users != NULL && strcmp(users, "none") == 0) {
        return OXV_EXIT_DONE;
    }
    const struct passwd *user = getpwnam(ROLE_USER);

    if (user == NULL) {
        return oxv_cli_usage(cli,
                             "there is no user " ROLE_USER " on this machine. Make the users of "
                             "the service (systemd-sysusers, or scripts/build), or run all as root "
                             "with --users none, which separates less");
    }
    plan->drop = true;
    plan->uid = user->pw_uid;
    plan->gid = user->pw_gid;
    return OXV_EXIT_DONE;
}

static enum oxv_exit
plan_keeper(const struct oxv_cli *cli, struct plan *plan)
{
    const char *libexec = oxv_cli_option(cli, "libexec");
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    enum oxv_status st = OXV_E_LIMIT;

    if (libexec != NULL) {
        st = oxv_format(plan->keeper, sizeof plan->keeper, "%s/oxvault-keeper", libexec);
    } else if (len > 0) {
        own[len] = '\0';
        char *slash = strrchr(own, '/');

        if (slash != NULL) {
            *slash = '\0';
            st = oxv_format(plan->keeper, sizeof plan->keeper,
                            "%s/../libexec/oxvault/oxvault-keeper", own);
        }
    }
    if (st != OXV_OK || access(plan->keeper, F_OK) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "oxvault-keeper is not where it is installed, %s: name its folder "
                            "with --libexec",
                            plan->keeper);
    }
    return OXV_EXIT_DONE;
}

/* A pipe that holds the passphrase already: it is shorter than any pipe's buffer. */
static enum oxv_exit
pipe_secret(const struct oxv_cli *cli, const struct oxv_secret *secret, int *out)
{
    int ends[2];
    struct oxv_err err = { 0 };

    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)oxv_fail_errno(&err, "cannot make a pipe");
        return oxv_cli_err(cli, &err);
    }
    enum oxv_status st = oxv_write_all(ends[1], oxv_secret_view(secret));

    oxv_closep(&ends[1]);
    if (st != OXV_OK) {
        oxv_closep(&ends[0]);
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot pass the passphrase on");
    }
    *out = ends[0];
    return OXV_EXIT_DONE;
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
    return code == OXV_EXIT_DONE ? pipe_secret(cli, passphrase, &plan->secret_fd) : code;
}

static enum oxv_exit
plan_seal(const struct oxv_cli *cli, struct plan *plan)
{
    plan->seal = oxv_cli_option(cli, "seal");
    if (plan->seal == NULL) {
        return oxv_cli_usage(cli, "--seal is needed: passphrase or keyfile");
    }
    if (strcmp(plan->seal, "passphrase") == 0) {
        return plan_passphrase(cli, plan);
    }
    if (strcmp(plan->seal, "keyfile") != 0) {
        return oxv_cli_usage(cli, "--seal is passphrase or keyfile, not: %s", plan->seal);
    }
    if (oxv_cli_flag(cli, "passphrase-file") || oxv_cli_flag(cli, "passphrase-fd")) {
        return oxv_cli_usage(cli, "a passphrase goes with --seal passphrase");
    }
    plan->keyfile = oxv_cli_option(cli, "keyfile");
    if (plan->keyfile == NULL) {
        return oxv_cli_usage(cli, "--seal keyfile needs --keyfile FILE");
    }
    enum oxv_exit code = oxv_material_setup(cli);

    return code == OXV_EXIT_DONE ? oxv_material_open_keyfile(cli, plan->keyfile, true,
                                                             &plan->keyfile_made, &plan->secret_fd)
                                 : code;
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
    if ((plan->drop && fchown(plan->dir_fd, plan->uid, plan->gid) != 0) ||
        fchmod(plan->dir_fd, 0700) != 0) {
        (void)oxv_fail_errno(&err, "cannot make %s the service's", cli->dir);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

/* Runs in the child, and does not return. */
static _Noreturn void
become_keeper(const struct plan *plan, const char *const *arguments, int output)
{
    static char no_config[] = "OPENSSL_CONF=/dev/null";
    char *const environment[] = { no_config, NULL };
    char *argv[ARGUMENTS_MAX];
    size_t count = 0;

    while (arguments[count] != NULL && count + 1 < ARGUMENTS_MAX) {
        /* exec takes char *, and copies what it points to. */
        argv[count] = strdup(arguments[count]);
        count++;
    }
    argv[count] = NULL;
    /* dup2() onto itself would keep close-on-exec. */
    int secret = fcntl(plan->secret_fd, F_DUPFD, SECRET_FD + 1);

    if (secret < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(secret, SECRET_FD) < 0 ||
        close_range(SECRET_FD + 1, ~0u, 0) != 0) {
        _exit(OXV_EXIT_FAILED);
    }
    if (plan->drop && (setgroups(0, NULL) != 0 || setresgid(plan->gid, plan->gid, plan->gid) != 0 ||
                       setresuid(plan->uid, plan->uid, plan->uid) != 0)) {
        _exit(OXV_EXIT_FAILED);
    }
    (void)execve(plan->keeper, argv, environment);
    static const char message[] = "oxvault: oxvault-keeper cannot be run\n";

    (void)!write(STDERR_FILENO, message, sizeof message - 1); /* nowhere else to say it */
    _exit(OXV_EXIT_FAILED);
}

static enum oxv_exit
exit_of(const struct oxv_cli *cli, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) <= OXV_EXIT_UNREACHABLE) {
        return (enum oxv_exit)WEXITSTATUS(status); /* the keeper said why on stderr */
    }
    return oxv_cli_fail(cli, OXV_EXIT_FAILED, "oxvault-keeper ended in an unexpected way (%d)",
                        status);
}

static enum oxv_exit
run_keeper(const struct oxv_cli *cli, const struct plan *plan, char *answer, size_t *answer_len)
{
    const char *memory = oxv_cli_option(cli, "secret-memory");
    char admin[24];
    int ends[2];
    const char *arguments[ARGUMENTS_MAX] = { plan->keeper, "--init",   "--dir",       cli->dir,
                                             "--seal",     plan->seal, "--admin-uid", admin };
    size_t count = 8;
    struct oxv_err err = { 0 };

    if (memory != NULL) {
        arguments[count++] = "--secret-memory";
        arguments[count++] = memory;
    }
    if (oxv_cli_flag(cli, "allow-unlocked-memory")) {
        arguments[count++] = "--allow-unlocked-memory";
    }
    if (oxv_format(admin, sizeof admin, "%u", (unsigned)getuid()) != OXV_OK) {
        oxv_bug("a uid that is too long");
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)oxv_fail_errno(&err, "cannot make a pipe");
        return oxv_cli_err(cli, &err);
    }
    pid_t child = fork();

    if (child == 0) {
        become_keeper(plan, arguments, ends[1]);
    }
    oxv_closep(&ends[1]);
    enum oxv_status st =
        child < 0 ? OXV_E_IO : oxv_read_to_end(ends[0], answer, ANSWER_MAX_BYTES, answer_len);
    int status = 0;

    oxv_closep(&ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "oxvault-keeper cannot be started");
    }
    enum oxv_exit code = exit_of(cli, status);

    if (code == OXV_EXIT_DONE && st != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "oxvault-keeper's answer cannot be read");
    }
    return code;
}

/* The value of the line "name=value". */
static bool
find_line(struct oxv_view text, const char *name, char *out, size_t out_size)
{
    size_t name_len = strlen(name);

    while (text.len > 0) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);
        struct oxv_view line = oxv_view(text.data, len);

        if (line.len > name_len && oxv_view_has_prefix(line, name) && line.data[name_len] == '=') {
            return oxv_text_copy(oxv_view_from(line, name_len + 1), out, out_size) == OXV_OK;
        }
        text = oxv_view_from(text, len + 1);
    }
    return false;
}

static enum oxv_exit
read_made(const struct oxv_cli *cli, struct oxv_view answer, struct made *made)
{
    if (!find_line(answer, "vault_id", made->vault_id, sizeof made->vault_id) ||
        !find_line(answer, "origin", made->origin, sizeof made->origin) ||
        !find_line(answer, "vkey", made->vkey, sizeof made->vkey) ||
        !find_line(answer, "fingerprint", made->fingerprint, sizeof made->fingerprint)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "oxvault-keeper's answer is not complete");
    }
    return OXV_EXIT_DONE;
}

static void
print_json(const struct oxv_cli *cli, const struct made *made)
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
print_made(const struct oxv_cli *cli, const struct plan *plan, const struct made *made)
{
    const char *option = plan->keyfile != NULL ? "--keyfile" : "--passphrase-file";
    const char *source = plan->keyfile != NULL ? plan->keyfile
                         : oxv_cli_flag(cli, "passphrase-file")
                             ? oxv_cli_option(cli, "passphrase-file")
                             : "FILE";

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
                 plan->drop || geteuid() != 0 ? "" : " --users none", cli->run, cli->run);
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
    OXV_AUTO(plan_done) struct plan plan = { .secret_fd = -1, .dir_fd = -1 };
    struct made made = { 0 };
    char answer[ANSWER_MAX_BYTES];
    size_t answer_len = 0;
    enum oxv_exit code = plan_users(cli, &plan);

    code = code == OXV_EXIT_DONE ? plan_keeper(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? check_directory(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? plan_seal(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? take_directory(cli, &plan) : code;
    code = code == OXV_EXIT_DONE ? run_keeper(cli, &plan, answer, &answer_len) : code;
    code = code == OXV_EXIT_DONE ? read_made(cli, oxv_view(answer, answer_len), &made) : code;
    if (code != OXV_EXIT_DONE) {
        undo(cli, &plan);
        return code;
    }
    if (cli->json) {
        print_json(cli, &made);
    } else {
        print_made(cli, &plan, &made);
    }
    return OXV_EXIT_DONE;
}
