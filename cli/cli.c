#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/escape.h"

#define MESSAGE_MAX_BYTES 2048u

static const char *
exit_name(enum oxv_exit code)
{
    static const char *const names[] = {
        [OXV_EXIT_DONE] = "done",
        [OXV_EXIT_FAILED] = "failed",
        [OXV_EXIT_USAGE] = "usage",
        [OXV_EXIT_DENIED] = "denied",
        [OXV_EXIT_LOCKED] = "locked",
        [OXV_EXIT_NOT_FOUND] = "not_found",
        [OXV_EXIT_VERIFY] = "verification",
        [OXV_EXIT_TOKEN] = "token_unavailable",
        [OXV_EXIT_UNREACHABLE] = "unreachable",
    };

    return names[code];
}

/* {"error":{"code":"no_grant","detail":"...","exit":3}} */
static void
print_json_error(const char *name, const char *detail, enum oxv_exit code)
{
    uint8_t buffer[6 * MESSAGE_MAX_BYTES + 256];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text = oxv_view_text(detail);
    struct oxv_view written;

    text.len = oxv_utf8_prefix_len(text);
    oxv_write_text(&w, "{\"error\":{\"code\":");
    oxv_write_json_string(&w, oxv_view_text(name));
    oxv_write_text(&w, ",\"detail\":");
    oxv_write_json_string(&w, text);
    oxv_write_text(&w, ",\"exit\":");
    oxv_write_decimal(&w, code);
    oxv_write_text(&w, "}}\n");
    if (oxv_writer_finish(&w, &written) == OXV_OK) {
        oxv_cli_print(written);
    }
}

static enum oxv_exit
fail_named(const struct oxv_cli *cli, enum oxv_exit code, const char *name, const char *message)
{
    (void)fflush(stdout); /* what was printed before comes first */
    (void)fputs("oxvault: ", stderr);
    oxv_escape_print(stderr, oxv_view_text(message));
    (void)fputc('\n', stderr);
    if (cli->json) {
        print_json_error(name, message, code);
    }
    return code;
}

enum oxv_exit
oxv_cli_fail(const struct oxv_cli *cli, enum oxv_exit code, const char *fmt, ...)
{
    char message[MESSAGE_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args); /* cutting a text for people is fine */
    va_end(args);
    return fail_named(cli, code, exit_name(code), message);
}

enum oxv_exit
oxv_cli_usage(const struct oxv_cli *cli, const char *fmt, ...)
{
    char message[MESSAGE_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    (void)fail_named(cli, OXV_EXIT_USAGE, "usage", message);
    (void)fprintf(stderr, "See: oxvault help%s%s\n", cli->command == NULL ? "" : " ",
                  cli->command == NULL ? "" : cli->command->words);
    return OXV_EXIT_USAGE;
}

static enum oxv_exit
exit_of_status(enum oxv_status status)
{
    switch (status) {
    case OXV_OK:
        return OXV_EXIT_DONE;
    case OXV_E_USAGE:
        return OXV_EXIT_USAGE;
    case OXV_E_DENIED:
        return OXV_EXIT_DENIED;
    case OXV_E_LOCKED:
        return OXV_EXIT_LOCKED;
    case OXV_E_NOT_FOUND:
        return OXV_EXIT_NOT_FOUND;
    case OXV_E_TOKEN:
        return OXV_EXIT_TOKEN;
    case OXV_E_FORMAT:
    case OXV_E_CONFLICT:
    case OXV_E_FORGED:
    case OXV_E_LIMIT:
    case OXV_E_BUSY:
    case OXV_E_IO:
    case OXV_E_STORE:
    case OXV_E_MEMORY:
    case OXV_E_INTERNAL:
        return OXV_EXIT_FAILED;
    }
    return OXV_EXIT_FAILED;
}

enum oxv_exit
oxv_cli_err(const struct oxv_cli *cli, const struct oxv_err *err)
{
    return fail_named(cli, exit_of_status(err->status), oxv_status_name(err->status), err->text);
}

static enum oxv_exit
exit_of_code(enum oxv_client_code code)
{
    switch (code) {
    case OXV_CLIENT_OK:
        return OXV_EXIT_DONE;
    case OXV_CLIENT_NO_GRANT:
    case OXV_CLIENT_UNKNOWN_CALLER:
    case OXV_CLIENT_URL_NOT_ALLOWED:
    case OXV_CLIENT_RATE_LIMITED:
    case OXV_CLIENT_FORBIDDEN:
        return OXV_EXIT_DENIED;
    case OXV_CLIENT_SEALED:
    case OXV_CLIENT_WRONG_SEAL:
        return OXV_EXIT_LOCKED;
    case OXV_CLIENT_NOT_FOUND:
        return OXV_EXIT_NOT_FOUND;
    case OXV_CLIENT_TOKEN_UNAVAILABLE:
        return OXV_EXIT_TOKEN;
    case OXV_CLIENT_UNREACHABLE:
    case OXV_CLIENT_TIMEOUT:
    case OXV_CLIENT_CLOSED:
        return OXV_EXIT_UNREACHABLE;
    case OXV_CLIENT_USAGE:
        return OXV_EXIT_USAGE;
    case OXV_CLIENT_BAD_REQUEST:
    case OXV_CLIENT_METHOD_NOT_ALLOWED:
    case OXV_CLIENT_PAYLOAD_TOO_LARGE:
    case OXV_CLIENT_UNSUPPORTED_MEDIA_TYPE:
    case OXV_CLIENT_UNPROCESSABLE:
    case OXV_CLIENT_LOG_UNAVAILABLE:
    case OXV_CLIENT_BUSY:
    case OXV_CLIENT_INTERNAL:
    case OXV_CLIENT_CONFLICT:
    case OXV_CLIENT_OTHER:
    case OXV_CLIENT_MEMORY:
    case OXV_CLIENT_BAD_ANSWER:
        return OXV_EXIT_FAILED;
    }
    return OXV_EXIT_FAILED;
}

struct advice {
    enum oxv_client_code code;
    const char *text;
};

/* What to do, where the service's own words may not say it. */
static const struct advice advices[] = {
    { OXV_CLIENT_UNREACHABLE, "Start it (oxvaultd --dir D --run R), or name its run directory with "
                              "--run or OXVAULT_RUN" },
    { OXV_CLIENT_FORBIDDEN, "Run it as root, or as a member of the door's group (oxvault-admin, "
                            "oxvault-audit)" },
    { OXV_CLIENT_TIMEOUT, "See `oxvault status`; what was asked for may have been done" },
    { OXV_CLIENT_CLOSED, "See `oxvault status`; what was asked for may have been done" },
    { OXV_CLIENT_SEALED, "Open the vault with: oxvault unseal" },
    { OXV_CLIENT_NO_GRANT, "An admin gives one with: oxvault grant add CALLER CONNECTION ...; see "
                           "`oxvault grant list`" },
};

enum oxv_exit
oxv_cli_client_error(const struct oxv_cli *cli, const struct oxv_client_error *error)
{
    const char *name =
        error->problem[0] == '\0' ? oxv_client_code_name(error->code) : error->problem;
    enum oxv_exit code = fail_named(cli, exit_of_code(error->code), name, error->detail);

    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        if (advices[i].code == error->code) {
            (void)fprintf(stderr, "%s.\n", advices[i].text);
        }
    }
    if (error->code == OXV_CLIENT_UNKNOWN_CALLER) {
        unsigned uid = (unsigned)getuid();

        (void)fprintf(stderr,
                      "An admin can run: oxvault caller add NAME --uid %u (to have signatures), or "
                      "oxvault admin add --uid %u (to administer).\n",
                      uid, uid);
    }
    if (error->retry_after_s > 0) {
        (void)fprintf(stderr, "Try again in %llu s.\n", (unsigned long long)error->retry_after_s);
    }
    return code;
}

void
oxv_cli_warn(const char *fmt, ...)
{
    char message[MESSAGE_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    (void)fputs("oxvault: warning: ", stderr);
    oxv_escape_print(stderr, oxv_view_text(message));
    (void)fputc('\n', stderr);
}

enum oxv_exit
oxv_cli_finish(enum oxv_exit code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return code;
    }
    (void)fprintf(stderr, "oxvault: the output could not be written: %s\n", strerror(errno));
    return code == OXV_EXIT_DONE ? OXV_EXIT_FAILED : code;
}

void
oxv_cli_print(struct oxv_view text)
{
    (void)fwrite(text.data, 1, text.len, stdout); /* asked in oxv_cli_finish() */
}

const char *
oxv_cli_bold(const struct oxv_cli *cli)
{
    return cli->color ? "\033[1m" : "";
}

const char *
oxv_cli_red(const struct oxv_cli *cli)
{
    return cli->color ? "\033[31m" : "";
}

const char *
oxv_cli_green(const struct oxv_cli *cli)
{
    return cli->color ? "\033[32m" : "";
}

const char *
oxv_cli_yellow(const struct oxv_cli *cli)
{
    return cli->color ? "\033[33m" : "";
}

const char *
oxv_cli_plain(const struct oxv_cli *cli)
{
    return cli->color ? "\033[0m" : "";
}
