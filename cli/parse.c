#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/suggest.h"

#define WORDS_MAX_BYTES 64u

/* The options that would put a secret where every user of the machine can read it. */
static const struct {
    const char *name;
    const char *instead;
} refused[] = {
    { "passphrase", "--passphrase-file, --passphrase-fd, or the prompt" },
    { "password", "--passphrase-file, --passphrase-fd, or the prompt" },
    { "pin", "--pin-file, --pin-fd, or the prompt" },
    { "user-pin", "--pin-file, --pin-fd, or the prompt" },
    { "pin-value", "--pin-file, --pin-fd, or the prompt" },
    { "pin-source", "--pin-file, --pin-fd, or the prompt" },
    { "key", "--keyfile, or for a connection --secrets-file" },
    { "consumer-secret", "--secrets-file, --secrets-fd, or the prompt" },
    { "token-secret", "--secrets-file, --secrets-fd, or the prompt" },
    { "secret", "--secrets-file, --secrets-fd, or the prompt" },
    { "secrets", "--secrets-file, --secrets-fd, or the prompt" },
    { "private-key", "--private-key-file" },
};

/* The words that are left to read. */
struct line {
    char **words;
    size_t count;
    size_t at;
};

const struct oxv_command *
oxv_command_find(const char *words)
{
    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        if (strcmp(c->words, words) == 0) {
            return c;
        }
    }
    return NULL;
}

bool
oxv_command_is_group(const char *word)
{
    size_t len = strlen(word);

    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        if (strncmp(c->words, word, len) == 0 && c->words[len] == ' ') {
            return true;
        }
    }
    return false;
}

static const struct oxv_option *
find_in(const struct oxv_option *options, const char *name, size_t len, char letter)
{
    for (const struct oxv_option *o = options; o != NULL && o->name != NULL; o++) {
        if ((letter != 0 && o->letter == letter) ||
            (letter == 0 && strlen(o->name) == len && strncmp(o->name, name, len) == 0)) {
            return o;
        }
    }
    return NULL;
}

static const struct oxv_option *
find_option(const struct oxv_cli *cli, const char *name, size_t len, char letter)
{
    const struct oxv_option *found = find_in(oxv_global_options, name, len, letter);

    if (found == NULL && cli->command != NULL) {
        found = find_in(cli->command->options, name, len, letter);
    }
    return found;
}

static enum oxv_exit
unknown_option(const struct oxv_cli *cli, const char *name, size_t len)
{
    char text[WORDS_MAX_BYTES];
    struct oxv_suggestion nearest;

    if (oxv_text_copy(oxv_view(name, len), text, sizeof text) != OXV_OK) {
        return oxv_cli_usage(cli, "there is no option of so long a name");
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(refused[i].name, text) == 0) {
            return oxv_cli_usage(cli,
                                 "--%s is refused: every user of this machine can read a command "
                                 "line, and the shell keeps it. Use %s",
                                 text, refused[i].instead);
        }
    }
    oxv_suggestion_start(&nearest, text);
    for (const struct oxv_option *o = oxv_global_options; o->name != NULL; o++) {
        oxv_suggestion_offer(&nearest, o->name);
    }
    for (const struct oxv_option *o = cli->command == NULL ? NULL : cli->command->options;
         o != NULL && o->name != NULL; o++) {
        oxv_suggestion_offer(&nearest, o->name);
    }
    if (nearest.best != NULL) {
        return oxv_cli_usage(cli, "there is no option --%s; did you mean --%s?", text,
                             nearest.best);
    }
    return oxv_cli_usage(cli, "there is no option --%s%s", text,
                         cli->command == NULL ? " before the command" : " here");
}

static enum oxv_exit
take_option(struct oxv_cli *cli, const struct oxv_option *option, const char *value, bool *help)
{
    if (strcmp(option->name, "help") == 0) {
        *help = true;
        return OXV_EXIT_DONE;
    }
    if (strcmp(option->name, "version") == 0 && cli->command == NULL) {
        cli->command = oxv_command_find("version");
        return OXV_EXIT_DONE;
    }
    for (size_t i = 0; i < cli->given_count && !option->repeats; i++) {
        if (cli->given[i].option == option && option->value != NULL) {
            return oxv_cli_usage(cli, "--%s is given twice", option->name);
        }
    }
    cli->given[cli->given_count++] = (struct oxv_given){ .option = option, .value = value };
    cli->dir = strcmp(option->name, "dir") == 0 ? value : cli->dir;
    cli->run = strcmp(option->name, "run") == 0 ? value : cli->run;
    cli->json = cli->json || strcmp(option->name, "json") == 0;
    cli->color = cli->color && strcmp(option->name, "no-color") != 0;
    return OXV_EXIT_DONE;
}

/* --name, --name VALUE, --name=VALUE, -x, -x VALUE, -xVALUE. */
static enum oxv_exit
read_option(struct oxv_cli *cli, struct line *line, bool *help)
{
    const char *word = line->words[line->at++];
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    const char *equals = is_long ? strchr(name, '=') : NULL;
    size_t len = !is_long ? 1 : equals != NULL ? (size_t)(equals - name) : strlen(name);
    const char *value = equals != NULL ? equals + 1 : NULL;
    const struct oxv_option *option = find_option(cli, name, len, is_long ? 0 : name[0]);

    if (option == NULL) {
        return is_long ? unknown_option(cli, name, len)
                       : oxv_cli_usage(cli, "there is no option -%c", name[0]);
    }
    if (!is_long && name[1] != '\0') {
        value = name + 1;
    }
    if (option->value == NULL && value != NULL) {
        return oxv_cli_usage(cli, "--%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (line->at == line->count) {
            return oxv_cli_usage(cli, "--%s needs a value: %s", option->name, option->value);
        }
        value = line->words[line->at++];
    }
    return take_option(cli, option, value, help);
}

static enum oxv_exit
unknown_command(const struct oxv_cli *cli, const char *words)
{
    struct oxv_suggestion nearest;

    oxv_suggestion_start(&nearest, words);
    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        oxv_suggestion_offer(&nearest, c->words);
    }
    if (nearest.best != NULL) {
        return oxv_cli_usage(cli, "there is no command %s; did you mean %s?", words, nearest.best);
    }
    return oxv_cli_usage(cli, "there is no command %s", words);
}

/* One word, or two where the first is a group's (and may be a command by itself too). */
static enum oxv_exit
read_command(struct oxv_cli *cli, struct line *line, const char **group)
{
    const char *first = line->words[line->at++];
    char words[WORDS_MAX_BYTES];
    const char *second = NULL;

    if (oxv_command_is_group(first)) {
        if (line->at == line->count || line->words[line->at][0] == '-') {
            cli->command = oxv_command_find(first);
            *group = cli->command == NULL ? first : NULL;
            return OXV_EXIT_DONE;
        }
        second = line->words[line->at++];
    }
    if (oxv_format(words, sizeof words, "%s%s%s", first, second == NULL ? "" : " ",
                   second == NULL ? "" : second) != OXV_OK) {
        return oxv_cli_usage(cli, "there is no command of so long a name");
    }
    cli->command = oxv_command_find(words);
    return cli->command == NULL ? unknown_command(cli, words) : OXV_EXIT_DONE;
}

static bool
is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static enum oxv_exit
read_line(struct oxv_cli *cli, struct line *line, const char **group, bool *help)
{
    bool options_end = false;
    enum oxv_exit code = OXV_EXIT_DONE;

    while (line->at < line->count && code == OXV_EXIT_DONE) {
        const char *word = line->words[line->at];

        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
            line->at++;
        } else if (!options_end && is_option(word)) {
            code = read_option(cli, line, help);
        } else if (cli->command == NULL && *group == NULL) {
            code = read_command(cli, line, group);
        } else {
            cli->arguments[cli->arguments_count++] = word;
            line->at++;
        }
    }
    return code;
}

static enum oxv_exit
check_line(const struct oxv_cli *cli, const char *group)
{
    if (group != NULL) {
        oxv_help_group(stderr, group);
        return OXV_EXIT_USAGE;
    }
    if (cli->command == NULL) {
        oxv_help_all(stderr);
        return OXV_EXIT_USAGE;
    }
    if (cli->arguments_count < cli->command->arguments_min) {
        return oxv_cli_usage(cli, "%s needs: %s", cli->command->words, cli->command->arguments);
    }
    if (cli->arguments_count > cli->command->arguments_max) {
        return oxv_cli_usage(cli, "%s does not take so many arguments: %s", cli->command->words,
                             cli->arguments[cli->command->arguments_max]);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_command_parse(int argc, char **argv, struct oxv_cli *cli, const char **group, bool *help)
{
    struct line line = { .words = argv, .count = argc < 1 ? 0 : (size_t)argc, .at = 1 };

    *group = NULL;
    *help = false;
    cli->given = calloc(line.count + 1, sizeof cli->given[0]);
    cli->arguments = calloc(line.count + 1, sizeof cli->arguments[0]);
    if (cli->given == NULL || cli->arguments == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "out of memory");
    }
    enum oxv_exit code = read_line(cli, &line, group, help);

    if (code != OXV_EXIT_DONE || *help) {
        return code;
    }
    return check_line(cli, *group);
}

void
oxv_cli_done(struct oxv_cli *cli)
{
    free(cli->given);
    free(cli->arguments);
    oxv_http_freep(&cli->admin);
    oxv_http_freep(&cli->audit);
    oxv_http_freep(&cli->sign);
    cli->given = NULL;
    cli->arguments = NULL;
}

const char *
oxv_cli_option_next(const struct oxv_cli *cli, const char *name, size_t *at)
{
    if (find_option(cli, name, strlen(name), 0) == NULL) {
        oxv_bug("a command asks for an option that it does not have");
    }
    while (*at < cli->given_count) {
        const struct oxv_given *given = &cli->given[(*at)++];

        if (strcmp(given->option->name, name) == 0) {
            return given->value == NULL ? "" : given->value;
        }
    }
    return NULL;
}

const char *
oxv_cli_option(const struct oxv_cli *cli, const char *name)
{
    size_t at = 0;

    return oxv_cli_option_next(cli, name, &at);
}

bool
oxv_cli_flag(const struct oxv_cli *cli, const char *name)
{
    return oxv_cli_option(cli, name) != NULL;
}
