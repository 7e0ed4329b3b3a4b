#include <string.h>

#include "base/text.h"
#include "cli/command.h"

static void
print_option_words(const struct oxv_option *options)
{
    for (const struct oxv_option *o = options; o != NULL && o->name != NULL; o++) {
        (void)printf("--%s\n", o->name);
    }
}

/* The words that can stand after `before` ("" for none), one a line; options of a whole command. */
static void
print_words(const char *before)
{
    const struct oxv_command *command = oxv_command_find(before);
    size_t len = strlen(before);
    const char *last = "";
    size_t last_len = 0;

    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        const char *word = c->words + (len == 0 ? 0 : len + 1);

        if (len > 0 && (strncmp(c->words, before, len) != 0 || c->words[len] != ' ')) {
            continue;
        }
        size_t word_len = strcspn(word, " ");

        if (word_len != last_len || strncmp(word, last, word_len) != 0) {
            (void)printf("%.*s\n", (int)word_len, word);
        }
        last = word;
        last_len = word_len;
    }
    if (command != NULL) {
        print_option_words(command->options);
    }
    print_option_words(oxv_global_options);
}

enum oxv_exit
oxv_cmd_help(struct oxv_cli *cli)
{
    char words[64];
    const char *first = cli->arguments_count > 0 ? cli->arguments[0] : "";
    const char *second = cli->arguments_count > 1 ? cli->arguments[1] : "";

    if (oxv_format(words, sizeof words, "%s%s%s", first, second[0] == '\0' ? "" : " ", second) !=
        OXV_OK) {
        return oxv_cli_usage(cli, "there is no command of so long a name");
    }
    if (oxv_cli_flag(cli, "words")) {
        print_words(words);
        return OXV_EXIT_DONE;
    }
    const struct oxv_command *command = oxv_command_find(words);

    if (command != NULL) {
        oxv_help_command(stdout, command);
    } else if (words[0] == '\0') {
        oxv_help_all(stdout);
    } else if (oxv_command_is_group(words)) {
        oxv_help_group(stdout, words);
    } else {
        return oxv_cli_usage(cli, "there is no command %s", words);
    }
    return OXV_EXIT_DONE;
}
