/* cli: what every command is given, and how it ends: exit codes, errors, output. */
#ifndef OXV_CLI_CLI_H
#define OXV_CLI_CLI_H

#include <stdio.h>

#include "base/bytes.h"
#include "base/status.h"
#include "client/http.h"

/* Exit codes; scripts rely on them. */
enum oxv_exit {
    OXV_EXIT_DONE = 0,
    OXV_EXIT_FAILED = 1,
    OXV_EXIT_USAGE = 2,
    OXV_EXIT_DENIED = 3,
    OXV_EXIT_LOCKED = 4, /* not unsealed, or a wrong passphrase, key file or PIN */
    OXV_EXIT_NOT_FOUND = 5,
    OXV_EXIT_VERIFY = 6, /* verification failed */
    OXV_EXIT_TOKEN = 7,
    OXV_EXIT_UNREACHABLE = 8,
};

struct oxv_command;
struct oxv_option;

/* One option as given. */
struct oxv_given {
    const struct oxv_option *option;
    const char *value; /* NULL for a flag */
};

struct oxv_cli {
    const char *dir; /* the vault */
    const char *run; /* the doors */
    bool json;
    bool color; /* on stdout */
    const struct oxv_command *command;
    struct oxv_given *given;
    size_t given_count;
    const char **arguments; /* without command and options */
    size_t arguments_count;
    struct oxv_http *admin; /* opened when first used */
    struct oxv_http *audit;
    struct oxv_http *sign;
};

/*
 * Says on stderr what was wrong and what to do, with --json on stdout too, and returns `code`. The
 * text begins in lower case and has no full stop at its end.
 */
enum oxv_exit oxv_cli_fail(const struct oxv_cli *cli, enum oxv_exit code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A usage error: the same, naming the command's help. */
enum oxv_exit oxv_cli_usage(const struct oxv_cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends with what a function of ours left in *err. */
enum oxv_exit oxv_cli_err(const struct oxv_cli *cli, const struct oxv_err *err);
/* Ends with the client's error, and says what to do about it. */
enum oxv_exit oxv_cli_client_error(const struct oxv_cli *cli, const struct oxv_client_error *error);
/* A remark on stderr: "warning: ...". */
void oxv_cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flushes stdout: OXV_EXIT_FAILED where what was printed did not arrive. */
enum oxv_exit oxv_cli_finish(enum oxv_exit code);

/* The bytes of a view on stdout, as they stand. */
void oxv_cli_print(struct oxv_view text);

/* Escape codes on stdout, or "" without colour. */
const char *oxv_cli_bold(const struct oxv_cli *cli);
const char *oxv_cli_red(const struct oxv_cli *cli);
const char *oxv_cli_green(const struct oxv_cli *cli);
const char *oxv_cli_yellow(const struct oxv_cli *cli);
const char *oxv_cli_plain(const struct oxv_cli *cli);

#endif
