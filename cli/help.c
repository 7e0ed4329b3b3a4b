#include <string.h>

#include "cli/command.h"

#define NAME_COLUMN   34
#define OPTION_COLUMN 36

static void
print_option(FILE *out, const struct oxv_option *o)
{
    char name[64];
    int len = snprintf(name, sizeof name, "%s%c%s--%s%s%s", o->letter == 0 ? "    " : "-",
                       o->letter == 0 ? ' ' : o->letter, o->letter == 0 ? "" : ", ", o->name,
                       o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value);

    if (len < 0 || (size_t)len >= sizeof name) {
        oxv_bug("an option's name is too long for help");
    }
    (void)fprintf(out, "  %-*s %s\n", OPTION_COLUMN, o->letter == 0 ? name + 1 : name, o->help);
}

static void
print_options(FILE *out, const char *title, const struct oxv_option *options)
{
    if (options == NULL) {
        return;
    }
    (void)fprintf(out, "\n%s:\n", title);
    for (const struct oxv_option *o = options; o->name != NULL; o++) {
        print_option(out, o);
    }
}

static void
print_line(FILE *out, const struct oxv_command *c)
{
    char name[64];
    int len = snprintf(name, sizeof name, "%s%s%s", c->words, c->arguments[0] == '\0' ? "" : " ",
                       c->arguments);

    if (len < 0 || (size_t)len >= sizeof name) {
        oxv_bug("a command's name is too long for help");
    }
    (void)fprintf(out, "  %-*s %s\n", NAME_COLUMN, name, c->summary);
}

void
oxv_help_all(FILE *out)
{
    (void)fputs("oxvault keeps the secrets of OAuth 1.0 connections and gives out signatures.\n\n"
                "usage: oxvault [--dir DIR] [--run DIR] COMMAND ...\n\nCommands:\n",
                out);
    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        print_line(out, c);
    }
    print_options(out, "Options of every command", oxv_global_options);
    (void)fputs("\nMore on one command: oxvault help COMMAND. The manual: man oxvault\n", out);
}

void
oxv_help_group(FILE *out, const char *group)
{
    size_t len = strlen(group);

    (void)fprintf(out, "usage: oxvault %s COMMAND ...\n\nCommands:\n", group);
    for (const struct oxv_command *c = oxv_commands; c->words != NULL; c++) {
        if (strncmp(c->words, group, len) == 0 && c->words[len] == ' ') {
            print_line(out, c);
        }
    }
}

void
oxv_help_command(FILE *out, const struct oxv_command *c)
{
    (void)fprintf(out, "usage: oxvault %s%s%s%s\n\nTo %s.\n", c->words,
                  c->arguments[0] == '\0' ? "" : " ", c->arguments,
                  c->options == NULL ? "" : " [OPTION ...]", c->summary);
    if (c->text != NULL) {
        (void)fprintf(out, "%s\n", c->text);
    }
    print_options(out, "Options", c->options);
    print_options(out, "Options of every command", oxv_global_options);
}
