/*
 * command: the table of commands. Help, the completion and the tests read the same table as the
 * parser does.
 */
#ifndef OXV_CLI_COMMAND_H
#define OXV_CLI_COMMAND_H

#include "cli/cli.h"

struct oxv_option {
    const char *name;  /* without "--" */
    char letter;       /* 0: none */
    bool repeats;      /* may be given more than once */
    const char *value; /* what stands for its value in help; NULL: a flag */
    const char *help;
};

struct oxv_command {
    const char *words;     /* "connection add" */
    const char *arguments; /* "NAME", for help; "" where there are none */
    size_t arguments_min;
    size_t arguments_max;
    const char *summary;              /* one line, no full stop */
    const char *text;                 /* more, for `help COMMAND`; may be NULL */
    const struct oxv_option *options; /* ends with a name of NULL; may be NULL */
    enum oxv_exit (*run)(struct oxv_cli *cli);
};

/* In the order of help. Ends with words of NULL. */
extern const struct oxv_command oxv_commands[];
/* Understood by every command. Ends with a name of NULL. */
extern const struct oxv_option oxv_global_options[];

/*
 * Reads the command line into *cli, whose lists are then to be freed with oxv_cli_done(). With
 * *help the user asked for help: on `cli->command`, or on `*group` (a word that several commands
 * begin with), or on all where both are NULL.
 */
enum oxv_exit oxv_command_parse(int argc, char **argv, struct oxv_cli *cli, const char **group,
                                bool *help);
void oxv_cli_done(struct oxv_cli *cli);

/*
 * The value of an option of this command; NULL where it was not given (for a flag, "" where it
 * was). A name that is not in the command's table is a bug.
 */
const char *oxv_cli_option(const struct oxv_cli *cli, const char *name);
bool oxv_cli_flag(const struct oxv_cli *cli, const char *name);
/* The values of an option that repeats, one after another, with *at from 0; NULL at the end. */
const char *oxv_cli_option_next(const struct oxv_cli *cli, const char *name, size_t *at);

/* The command of that name, or NULL. */
const struct oxv_command *oxv_command_find(const char *words);
/* Does some command begin with that word and a space? */
bool oxv_command_is_group(const char *word);

/* On `out`: all commands; those of a group; or all about one. */
void oxv_help_all(FILE *out);
void oxv_help_group(FILE *out, const char *group);
void oxv_help_command(FILE *out, const struct oxv_command *command);

/* One per subcommand. */
enum oxv_exit oxv_cmd_admin_add(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_admin_list(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_admin_remove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_adopt(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_backup(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_caller_add(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_caller_disable(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_caller_enable(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_caller_list(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_caller_remove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_connection_add(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_connection_import(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_connection_list(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_connection_move(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_connection_remove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_connection_show(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_doctor(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_grant_add(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_grant_list(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_grant_remove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_health(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_help(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_init(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_lock(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_checkpoint(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_export(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_explain(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_follow(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_prove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_reconcile(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_report(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_rotate_key(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_show(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_log_verify(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_rekey(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_restore(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_seal_add(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_seal_list(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_seal_remove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_sign(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_status(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_token_list(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_token_login(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_token_probe(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_token_remove(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_unseal(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_version(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_witness(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_witness_add_log(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_witness_init(struct oxv_cli *cli);
enum oxv_exit oxv_cmd_witness_sign(struct oxv_cli *cli);

#endif
