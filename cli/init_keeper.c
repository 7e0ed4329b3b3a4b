#include "cli/init_keeper.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/helper.h"

#define ANSWER_MAX_BYTES 4096u
#define ARGUMENTS_MAX    40u

struct arguments {
    const char *words[ARGUMENTS_MAX];
    size_t count;
};

static void
add(struct arguments *a, const char *option, const char *value)
{
    if (a->count + 3 > ARGUMENTS_MAX) {
        oxv_bug("too many arguments for the keeper");
    }
    a->words[a->count++] = option;
    if (value != NULL) {
        a->words[a->count++] = value;
    }
}

static void
add_flag(struct arguments *a, const char *option, bool given)
{
    if (given) {
        add(a, option, NULL);
    }
}

static void
add_value(struct arguments *a, const char *option, const char *value)
{
    if (value != NULL) {
        add(a, option, value);
    }
}

static void
add_token(struct arguments *a, const struct oxv_token_seal *token)
{
    add(a, "--module", token->module);
    add(a, "--token-uri", token->uri);
    add_flag(a, "--generate", token->generate);
    add_value(a, "--key-id", token->key_id_hex);
    add_value(a, "--mechanism", token->mechanism_name);
    add_value(a, "--gcm-iv", token->gcm_iv_name);
    add_flag(a, "--allow-oaep-sha1", token->allow_oaep_sha1);
    add_flag(a, "--allow-pkcs1", token->allow_pkcs1);
}

enum oxv_exit
oxv_init_find(const struct oxv_cli *cli, struct oxv_init_run *run)
{
    return oxv_spawn_find(cli, "oxvault-keeper", run->keeper, sizeof run->keeper);
}

static void
fill_arguments(const struct oxv_cli *cli, const struct oxv_init_run *run, const char *admin,
               struct arguments *a)
{
    add(a, run->keeper, run->mode);
    add(a, "--dir", cli->dir);
    add(a, "--seal", run->seal);
    add(a, "--admin-uid", admin);
    add_value(a, "--secret-memory", oxv_cli_option(cli, "secret-memory"));
    add_flag(a, "--allow-unlocked-memory", oxv_cli_flag(cli, "allow-unlocked-memory"));
    add_value(a, "--seal-id", run->seal_id);
    if (strcmp(run->seal, "token") == 0 && run->token.module != NULL) {
        add_token(a, &run->token);
    }
}

/* Runs it to its end, with the other end of the helper's channel, which may be -1. */
static enum oxv_exit
run_keeper(const struct oxv_cli *cli, const struct oxv_init_run *run, int helper_fd, char *answer,
           size_t *answer_len)
{
    static char no_config[] = "OPENSSL_CONF=/dev/null";
    char *const environment[] = { no_config, NULL };
    struct arguments arguments = { .count = 0 };
    char admin[24];
    int ends[2];
    pid_t child = 0;
    struct oxv_err err = { 0 };

    if (oxv_format(admin, sizeof admin, "%u", (unsigned)getuid()) != OXV_OK) {
        oxv_bug("a uid that is too long");
    }
    fill_arguments(cli, run, admin, &arguments);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)oxv_fail_errno(&err, "cannot make a pipe");
        return oxv_cli_err(cli, &err);
    }
    const struct oxv_spawn spawn = { .path = run->keeper,
                                     .arguments = arguments.words,
                                     .environment = environment,
                                     .fds = { run->secret_fd, helper_fd, run->backup_fd },
                                     .output = ends[1],
                                     .user = run->user };
    enum oxv_exit code = oxv_spawn_start(cli, &spawn, &child);

    oxv_closep(&ends[1]);
    enum oxv_status st = code == OXV_EXIT_DONE
                             ? oxv_read_to_end(ends[0], answer, ANSWER_MAX_BYTES, answer_len)
                             : OXV_E_IO;

    oxv_closep(&ends[0]);
    code = code == OXV_EXIT_DONE ? oxv_spawn_wait(cli, &spawn, child) : code;
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
read_made(const struct oxv_cli *cli, struct oxv_view answer, struct oxv_init_made *made)
{
    if (!find_line(answer, "vault_id", made->vault_id, sizeof made->vault_id) ||
        !find_line(answer, "origin", made->origin, sizeof made->origin) ||
        !find_line(answer, "vkey", made->vkey, sizeof made->vkey) ||
        !find_line(answer, "fingerprint", made->fingerprint, sizeof made->fingerprint)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "oxvault-keeper's answer is not complete");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_init_run(const struct oxv_cli *cli, const struct oxv_init_run *run, struct oxv_init_made *made)
{
    OXV_AUTO(oxv_helper_end) struct oxv_helper_process helper = { .channel = -1 };
    char answer[ANSWER_MAX_BYTES];
    size_t answer_len = 0;
    enum oxv_exit code = OXV_EXIT_DONE;

    if (strcmp(run->seal, "token") == 0) {
        code = oxv_helper_start(cli, &helper);
    }
    code = code == OXV_EXIT_DONE ? run_keeper(cli, run, helper.channel, answer, &answer_len) : code;
    return code == OXV_EXIT_DONE ? read_made(cli, oxv_view(answer, answer_len), made) : code;
}

void
oxv_init_print_json(const struct oxv_cli *cli, const struct oxv_init_made *made)
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

void
oxv_init_print_key(const struct oxv_cli *cli, const struct oxv_init_made *made)
{
    (void)printf("%sGive this to your auditor now%s, by a way that this machine has no part in:\n"
                 "  log key      %s\n"
                 "  fingerprint  %s\n"
                 "With it, `oxvault log verify --key` tells whether the access log is whole.\n\n",
                 oxv_cli_bold(cli), oxv_cli_plain(cli), made->vkey, made->fingerprint);
}
