#include "service/supervisor/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"

#define FD_MAX                1048576u
#define TOKEN_LABEL_MAX_BYTES 32u /* PKCS#11: of CK_TOKEN_INFO */

enum daemon_option {
    OPTION_DIR = 256,
    OPTION_RUN,
    OPTION_PASSPHRASE_FILE,
    OPTION_KEYFILE,
    OPTION_PASSPHRASE_FD,
    OPTION_ASK_PASSPHRASE,
    OPTION_PIN_FILE,
    OPTION_PIN_FD,
    OPTION_USERS,
    OPTION_SECRET_MEMORY,
    OPTION_ALLOW_UNLOCKED_MEMORY,
    OPTION_ALLOW_USERNS,
    OPTION_REQUIRE_SANDBOX,
    OPTION_LIBEXEC,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_SECRET, /* what people try, and must not */
};

static const struct option long_options[] = {
    { "dir", required_argument, NULL, OPTION_DIR },
    { "run", required_argument, NULL, OPTION_RUN },
    { "passphrase-file", required_argument, NULL, OPTION_PASSPHRASE_FILE },
    { "keyfile", required_argument, NULL, OPTION_KEYFILE },
    { "passphrase-fd", required_argument, NULL, OPTION_PASSPHRASE_FD },
    { "ask-passphrase", no_argument, NULL, OPTION_ASK_PASSPHRASE },
    { "pin-file", required_argument, NULL, OPTION_PIN_FILE },
    { "pin-fd", required_argument, NULL, OPTION_PIN_FD },
    { "users", required_argument, NULL, OPTION_USERS },
    { "secret-memory", required_argument, NULL, OPTION_SECRET_MEMORY },
    { "allow-unlocked-memory", no_argument, NULL, OPTION_ALLOW_UNLOCKED_MEMORY },
    { "allow-userns", no_argument, NULL, OPTION_ALLOW_USERNS },
    { "require-sandbox", no_argument, NULL, OPTION_REQUIRE_SANDBOX },
    { "libexec", required_argument, NULL, OPTION_LIBEXEC },
    { "help", no_argument, NULL, OPTION_HELP },
    { "version", no_argument, NULL, OPTION_VERSION },
    { "passphrase", optional_argument, NULL, OPTION_SECRET },
    { "password", optional_argument, NULL, OPTION_SECRET },
    { "pin", optional_argument, NULL, OPTION_SECRET },
    { "key", optional_argument, NULL, OPTION_SECRET },
    { NULL, 0, NULL, 0 },
};

void
oxv_supervisor_print_help(FILE *out)
{
    (void)fputs(
        "usage: oxvaultd --dir DIR --run RUN [OPTION...]\n"
        "\n"
        "Runs the service of one vault in the foreground. Prints one line on stdout when it is "
        "up:\n"
        "\"oxvaultd ready\" or \"oxvaultd up, sealed\". Everything else goes to stderr.\n"
        "\n"
        "  --dir DIR                the vault, made by oxvault init (or OXVAULT_DIR)\n"
        "  --run RUN                where the doors are: sign.sock, admin.sock, audit.sock\n"
        "                           (or OXVAULT_RUN); made if it is not there\n"
        "\n"
        "What opens the vault, one of these. With none of them it is systemd's credential\n"
        "\"passphrase\" if there is one; else the service comes up sealed, and oxvault unseal\n"
        "opens it.\n"
        "  --passphrase-file FILE   a regular file of yours or root's, mode 0600\n"
        "  --keyfile FILE           the same, with 32 bytes\n"
        "  --passphrase-fd N        an open descriptor\n"
        "  --ask-passphrase         ask at the terminal\n"
        "\n"
        "PINs of tokens: for a vault that a token seals, and for connections that sign in one.\n"
        "Without any, systemd's credential \"pin\" if there is one.\n"
        "  --pin-file [LABEL=]FILE  the PIN of the token LABEL, or of any; up to 8 times. The\n"
        "                           rules for the file are those of --passphrase-file\n"
        "  --pin-fd N               an open descriptor: the PIN of any token\n"
        "\n"
        "  --users none             started as root: do not use the users oxvault, oxvault-fe and\n"
        "                           oxvault-token\n"
        "  --secret-memory KIND     auto, memfd or sodium\n"
        "  --allow-unlocked-memory  start also where keys cannot be locked in memory\n"
        "  --allow-userns           start also in a user namespace that maps user ids\n"
        "  --require-sandbox        refuse to start where the kernel lacks a part of the sandbox\n"
        "  --libexec DIR            where oxvault-keeper, -frontend and -token are\n"
        "  --help, --version\n",
        out);
}

static enum oxv_status
set_source(struct oxv_supervisor_options *o, enum oxv_source source, const char *file,
           struct oxv_err *err)
{
    if (o->source != OXV_SOURCE_NONE) {
        return oxv_fail(err, OXV_E_USAGE,
                        "give one of --passphrase-file, --keyfile, --passphrase-fd and "
                        "--ask-passphrase, not two");
    }
    o->source = source;
    o->source_file = file;
    return OXV_OK;
}

static enum oxv_status
parse_fd(const char *option, const char *text, int *out, struct oxv_err *err)
{
    uint64_t fd;

    if (!oxv_parse_decimal(oxv_view_text(text), FD_MAX, &fd)) {
        return oxv_fail(err, OXV_E_USAGE, "%s wants the number of a descriptor", option);
    }
    if (fd == 1 || fd == 2 || fcntl((int)fd, F_GETFD) < 0) {
        return oxv_fail(err, OXV_E_USAGE, "%s: descriptor %d is not open for reading", option,
                        (int)fd);
    }
    *out = (int)fd;
    return OXV_OK;
}

static enum oxv_status
set_source_fd(struct oxv_supervisor_options *o, const char *text, struct oxv_err *err)
{
    enum oxv_status st = parse_fd("--passphrase-fd", text, &o->source_fd, err);

    return st != OXV_OK ? st : set_source(o, OXV_SOURCE_PASSPHRASE, NULL, err);
}

static enum oxv_status
set_pin_fd(struct oxv_supervisor_options *o, const char *text, struct oxv_err *err)
{
    if (o->pin_fd >= 0) {
        return oxv_fail(err, OXV_E_USAGE, "give --pin-fd once");
    }
    return parse_fd("--pin-fd", text, &o->pin_fd, err);
}

static enum oxv_status
add_pin_file(struct oxv_supervisor_options *o, const char *text, struct oxv_err *err)
{
    struct oxv_pin_file file = { .label = oxv_view(NULL, 0), .path = text };
    size_t before = strcspn(text, "=/");

    if (text[before] == '=') { /* behind a slash it belongs to the name of the file */
        file = (struct oxv_pin_file){ oxv_view(text, before), text + before + 1 };
    }
    if (file.path[0] == '\0' || file.label.len > TOKEN_LABEL_MAX_BYTES) {
        return oxv_fail(err, OXV_E_USAGE,
                        "--pin-file wants [LABEL=]FILE, LABEL of %u bytes at most",
                        TOKEN_LABEL_MAX_BYTES);
    }
    for (size_t i = 0; i < o->pin_file_count; i++) {
        if (oxv_view_equals(o->pin_files[i].label, file.label)) {
            return oxv_fail(err, OXV_E_USAGE, "two of --pin-file are for the same token");
        }
    }
    if (o->pin_file_count == OXV_PIN_FILES_MAX) {
        return oxv_fail(err, OXV_E_USAGE, "give --pin-file %u times at most", OXV_PIN_FILES_MAX);
    }
    o->pin_files[o->pin_file_count++] = file;
    return OXV_OK;
}

static enum oxv_status
set_users(struct oxv_supervisor_options *o, const char *text, struct oxv_err *err)
{
    if (strcmp(text, "none") != 0) {
        return oxv_fail(err, OXV_E_USAGE, "--users knows one word: none");
    }
    o->users_none = true;
    return OXV_OK;
}

static enum oxv_status
set_secret_memory(struct oxv_supervisor_options *o, const char *text, struct oxv_err *err)
{
    enum oxv_secret_memory parsed;

    if (!oxv_secret_memory_parse(oxv_view_text(text), &parsed)) {
        return oxv_fail(err, OXV_E_USAGE, "--secret-memory is auto, memfd or sodium");
    }
    o->secret_memory = text;
    return OXV_OK;
}

static enum oxv_status
set_flag(bool *flag)
{
    *flag = true;
    return OXV_OK;
}

static enum oxv_status
set_text(const char **text)
{
    *text = optarg;
    return OXV_OK;
}

/* What getopt_long() calls wrong. argv may hold a secret behind '=': only the name is repeated. */
static enum oxv_status
refuse(char **argv, struct oxv_err *err)
{
    const char *word = optind > 0 ? argv[optind - 1] : "";

    if (strncmp(word, "--", 2) != 0) {
        return oxv_fail(err, OXV_E_USAGE, "unknown option, or an option without its value");
    }
    return oxv_fail(err, OXV_E_USAGE, "unknown or incomplete option %.*s", (int)strcspn(word, "="),
                    word);
}

static enum oxv_status
refuse_secret(struct oxv_err *err)
{
    return oxv_fail(err, OXV_E_USAGE,
                    "a secret is never taken from the command line, where every user of this "
                    "machine can read it: use --passphrase-file, --keyfile, --passphrase-fd, "
                    "--ask-passphrase, --pin-file or --pin-fd");
}

static enum oxv_status
take_option(struct oxv_supervisor_options *o, int option, char **argv, struct oxv_err *err)
{
    switch (option) {
    case OPTION_DIR:
        return set_text(&o->dir);
    case OPTION_RUN:
        return set_text(&o->run);
    case OPTION_LIBEXEC:
        return set_text(&o->libexec);
    case OPTION_PASSPHRASE_FILE:
        return set_source(o, OXV_SOURCE_PASSPHRASE, optarg, err);
    case OPTION_KEYFILE:
        return set_source(o, OXV_SOURCE_KEYFILE, optarg, err);
    case OPTION_PASSPHRASE_FD:
        return set_source_fd(o, optarg, err);
    case OPTION_ASK_PASSPHRASE:
        return set_source(o, OXV_SOURCE_TERMINAL, NULL, err);
    case OPTION_PIN_FILE:
        return add_pin_file(o, optarg, err);
    case OPTION_PIN_FD:
        return set_pin_fd(o, optarg, err);
    case OPTION_USERS:
        return set_users(o, optarg, err);
    case OPTION_SECRET_MEMORY:
        return set_secret_memory(o, optarg, err);
    case OPTION_ALLOW_UNLOCKED_MEMORY:
        return set_flag(&o->memory_unlocked);
    case OPTION_ALLOW_USERNS:
        return set_flag(&o->userns_allowed);
    case OPTION_REQUIRE_SANDBOX:
        return set_flag(&o->require_sandbox);
    case OPTION_HELP:
        return set_flag(&o->help);
    case OPTION_VERSION:
        return set_flag(&o->version);
    case OPTION_SECRET:
        return refuse_secret(err);
    default:
        return refuse(argv, err);
    }
}

static enum oxv_status
check(const struct oxv_supervisor_options *o, struct oxv_err *err)
{
    if (o->help || o->version) {
        return OXV_OK;
    }
    if (o->dir == NULL || o->dir[0] == '\0') {
        return oxv_fail(err, OXV_E_USAGE, "which vault? Give --dir DIR or set OXVAULT_DIR");
    }
    if (o->run == NULL || o->run[0] == '\0') {
        return oxv_fail(err, OXV_E_USAGE, "where are the doors? Give --run RUN or set OXVAULT_RUN");
    }
    if (o->pin_fd >= 0 && o->pin_fd == o->source_fd) {
        return oxv_fail(err, OXV_E_USAGE, "--passphrase-fd and --pin-fd are the same descriptor");
    }
    return OXV_OK;
}

enum oxv_status
oxv_supervisor_options_parse(int argc, char **argv, struct oxv_supervisor_options *out,
                             struct oxv_err *err)
{
    struct oxv_supervisor_options o = {
        .dir = getenv("OXVAULT_DIR"), .run = getenv("OXVAULT_RUN"), .source_fd = -1, .pin_fd = -1
    };
    int option;

    opterr = 0; /* its messages would repeat values */
    optind = 0; /* from the start, also for a second call */
    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        enum oxv_status st = take_option(&o, option, argv, err);

        if (st != OXV_OK) {
            return st;
        }
    }
    if (optind < argc) {
        return oxv_fail(err, OXV_E_USAGE, "there are words behind the options; see --help");
    }
    enum oxv_status st = check(&o, err);

    if (st == OXV_OK) {
        *out = o;
    }
    return st;
}
