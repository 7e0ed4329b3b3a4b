#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "base/token_terms.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/material.h"
#include "cli/token_list.h"
#include "cli/token_uri.h"

#define STATUS_MAX_BYTES (512u * 1024u * 1024u)

static void
print_member(const char *label, struct oxv_view object, const char *name)
{
    char text[1024];

    oxv_door_text(object, name, text, sizeof text);
    if (text[0] != '\0') {
        (void)printf("%-12s ", label);
        oxv_escape_print(stdout, oxv_view_text(text));
        (void)putchar('\n');
    }
}

/* "3 days 4 h", "5 min 6 s": two units say enough. */
static void
print_uptime(uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = { { 86400, "days" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    size_t i = 0;

    while (i < 3 && seconds < units[i].seconds) {
        i++;
    }
    (void)printf("%llu %s", (unsigned long long)(seconds / units[i].seconds), units[i].name);
    if (i < 3) {
        (void)printf(" %llu %s",
                     (unsigned long long)(seconds % units[i].seconds / units[i + 1].seconds),
                     units[i + 1].name);
    }
}

static void
print_state(const struct oxv_cli *cli, struct oxv_view status)
{
    char state[32];
    char version[64];
    bool open;

    oxv_door_text(status, "state", state, sizeof state);
    oxv_door_text(status, "version", version, sizeof version);
    open = strcmp(state, "open") == 0;
    (void)printf("%-12s %s", "State", open ? oxv_cli_green(cli) : oxv_cli_red(cli));
    oxv_escape_print(stdout, oxv_view_text(state));
    (void)printf("%s%s\n", oxv_cli_plain(cli),
                 open ? ": signatures are given out"
                 : strcmp(state, "failed") == 0
                     ? ": the access log cannot be written, so nothing is "
                       "signed; mend the disk and restart oxvaultd"
                     : ": nothing is signed until an admin runs: oxvault "
                       "unseal");
    (void)printf("%-12s ", "Service");
    oxv_escape_print(stdout, oxv_view_text(version));
    (void)printf(", pid %llu, up ", (unsigned long long)oxv_door_integer(status, "pid", 0));
    print_uptime(oxv_door_integer(status, "uptime_s", 0));
    (void)putchar('\n');
}

/* Which token a seal is in. */
static void
print_seal_token(struct oxv_view seal)
{
    char label[64];

    oxv_seal_info_label(seal, label, sizeof label);
    if (label[0] != '\0') {
        (void)putchar(' ');
        oxv_escape_print(stdout, oxv_view_text(label));
    }
}

static size_t
print_seals(struct oxv_view status)
{
    struct oxv_view list;
    struct oxv_view name;
    struct oxv_view seal;
    size_t count = 0;

    if (!oxv_json_get(status, "seals", &list)) {
        return 0;
    }
    struct oxv_json_items items = oxv_json_items(list);

    while (oxv_json_next(&items, &name, &seal)) {
        char kind[32];

        oxv_door_text(seal, "kind", kind, sizeof kind);
        (void)printf("%-12s ", count++ == 0 ? "Opened by" : "");
        oxv_escape_print(stdout, oxv_view_text(kind));
        print_seal_token(seal);
        (void)printf(" (seal %llu)\n", (unsigned long long)oxv_door_integer(seal, "id", 0));
    }
    return count;
}

static void
print_counts(struct oxv_view status)
{
    static const char *const names[] = { "connection", "caller", "grant", "admin" };
    struct oxv_view value;
    bool first = true;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t count;
        char member[32];

        if (oxv_format(member, sizeof member, "%ss", names[i]) != OXV_OK ||
            !oxv_json_get(status, member, &value) ||
            !oxv_json_integer(value, OXV_JSON_INTEGER_MAX, &count)) {
            continue;
        }
        (void)printf(first ? "%-12s " : "%s", first ? "Holds" : ", ");
        (void)printf("%llu %s%s", (unsigned long long)count, names[i], count == 1 ? "" : "s");
        first = false;
    }
    (void)fputs(first ? "" : "\n", stdout);
}

/* A line for each token, in plain words. */
static void
print_tokens(const struct oxv_cli *cli, struct oxv_view status)
{
    struct oxv_view list;
    struct oxv_view name;
    struct oxv_view token;
    bool first = true;

    if (!oxv_json_get(status, "tokens", &list)) {
        return;
    }
    struct oxv_json_items items = oxv_json_items(list);

    while (oxv_json_next(&items, &name, &token)) {
        char uri[OXV_TOKEN_URI_MAX_BYTES + 1];
        char label[64];

        oxv_door_text(token, "uri", uri, sizeof uri);
        oxv_token_uri_label(oxv_view_text(uri), label, sizeof label);
        (void)printf("%-12s ", first ? "Tokens" : "");
        oxv_escape_print(stdout, oxv_view_text(label[0] != '\0' ? label : uri));
        (void)fputs(": ", stdout);
        oxv_token_list_print_state(cli, token);
        (void)putchar('\n');
        first = false;
    }
}

static void
print_log(struct oxv_view status)
{
    struct oxv_view log;
    char origin[128];

    if (!oxv_json_get(status, "log", &log) || oxv_json_type(log) != OXV_JSON_OBJECT) {
        return;
    }
    oxv_door_text(log, "origin", origin, sizeof origin);
    (void)printf("%-12s %llu entries, %llu commits since the start, ", "Log",
                 (unsigned long long)oxv_door_integer(log, "size", 0),
                 (unsigned long long)oxv_door_integer(log, "commits", 0));
    oxv_escape_print(stdout, oxv_view_text(origin));
    (void)putchar('\n');
}

/* Each is true, false, or a text. */
static void
print_sandbox(const struct oxv_cli *cli, struct oxv_view status)
{
    struct oxv_view sandbox;
    struct oxv_view name;
    struct oxv_view value;
    bool first = true;

    if (!oxv_json_get(status, "sandbox", &sandbox)) {
        return;
    }
    struct oxv_json_items items = oxv_json_items(sandbox);

    while (oxv_json_next(&items, &name, &value)) {
        uint8_t text[1024];
        struct oxv_writer w = oxv_writer(text, sizeof text);
        bool on = false;

        (void)printf("%-12s ", first ? "Sandbox" : "");
        oxv_escape_print(stdout, name);
        if (oxv_json_boolean(value, &on)) {
            (void)printf(": %s%s%s\n", on ? "" : oxv_cli_red(cli), on ? "yes" : "NO",
                         on ? "" : oxv_cli_plain(cli));
        } else {
            (void)fputs(": ", stdout);
            if (!oxv_json_write_string(&w, value)) {
                oxv_write_view(&w, value);
            }
            oxv_escape_print(stdout, oxv_view(w.data, w.len));
            (void)putchar('\n');
        }
        first = false;
    }
}

static bool
has_only_token_seal(struct oxv_view status)
{
    return oxv_seal_info_count(status, OXV_SEAL_TOKEN) == 1 &&
           !oxv_seal_info_has(status, OXV_SEAL_PASSPHRASE, 0) &&
           !oxv_seal_info_has(status, OXV_SEAL_KEYFILE, 0);
}

static void
print_warnings(const struct oxv_cli *cli, struct oxv_view status, size_t seals)
{
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view warning;
    bool listed = oxv_json_get(status, "warnings", &list);
    bool seal_told = false;
    struct oxv_json_items items = oxv_json_items(list);

    while (listed && oxv_json_next(&items, &name, &warning)) {
        char text[2048];
        struct oxv_writer w = oxv_writer(text, sizeof text - 1);

        if (!oxv_json_write_string(&w, warning)) {
            continue;
        }
        text[w.len] = '\0';
        seal_told = seal_told || strstr(text, "seal") != NULL;
        (void)printf("%sWarning%s      ", oxv_cli_yellow(cli), oxv_cli_plain(cli));
        oxv_escape_print(stdout, oxv_view(text, w.len));
        (void)putchar('\n');
    }
    if (seals == 1 && has_only_token_seal(status)) {
        (void)printf(
            "%sReminder%s     the only seal is in a token, and tokens die: with it the vault "
            "would be lost (oxvault seal add passphrase)\n",
            oxv_cli_yellow(cli), oxv_cli_plain(cli));
    } else if (seals == 1 && !seal_told) {
        (void)printf("%sReminder%s     there is one seal only: if it is lost, so is the vault "
                     "(oxvault seal add)\n",
                     oxv_cli_yellow(cli), oxv_cli_plain(cli));
    }
}

/* {"name":...,"key":...} of one connection, as an item of a list. */
static bool
add_key(struct oxv_buffer *out, struct oxv_view connection, bool first)
{
    static const char *const members[] = { "name", "key", "key_form", "key_token" };
    uint8_t text[1024];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_view value;
    bool any = false;

    oxv_write_text(&w, first ? "{" : ",{");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (oxv_json_get(connection, members[i], &value)) {
            oxv_write_text(&w, any ? ",\"" : "\"");
            oxv_write_text(&w, members[i]);
            oxv_write_text(&w, "\":");
            oxv_write_view(&w, value);
            any = true;
        }
    }
    oxv_write_text(&w, "}");
    return !w.failed && oxv_buffer_add(out, oxv_view(w.data, w.len), STATUS_MAX_BYTES);
}

static bool
add_text(struct oxv_buffer *out, const char *text)
{
    return oxv_buffer_add(out, oxv_view_text(text), STATUS_MAX_BYTES);
}

/* The members of the service's document; its number of connections by another name. */
static bool
add_members(struct oxv_buffer *out, struct oxv_view status)
{
    struct oxv_json_items items = oxv_json_items(status);
    struct oxv_view name;
    struct oxv_view value;
    bool good = add_text(out, "{");

    while (good && oxv_json_next(&items, &name, &value)) {
        good = add_text(out, "\"") &&
               oxv_buffer_add(out,
                              oxv_view_is(name, "connections") ? oxv_view_text("connection_count")
                                                               : name,
                              STATUS_MAX_BYTES) &&
               add_text(out, "\":") && oxv_buffer_add(out, value, STATUS_MAX_BYTES) &&
               add_text(out, ",");
    }
    return good;
}

/* The status with the member "connections": where the key of each is. */
static enum oxv_exit
add_connections(struct oxv_cli *cli, struct oxv_view status, struct oxv_buffer *out)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer all = { 0 };
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view item;
    enum oxv_exit code = oxv_door_list(cli, "/v1/admin/connections", "connections", &all);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    bool good = oxv_json_get(oxv_buffer_view(&all), "connections", &list);
    struct oxv_json_items items = oxv_json_items(list);

    good = good && add_members(out, status) && add_text(out, "\"connections\":[");
    for (bool first = true; good && oxv_json_next(&items, &name, &item); first = false) {
        good = add_key(out, item, first);
    }
    good = good && add_text(out, "]}");
    return good ? OXV_EXIT_DONE
                : oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for so long a list");
}

static enum oxv_exit
print_as_json(struct oxv_cli *cli, const struct oxv_buffer *status)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer whole = { 0 };
    char state[32];
    enum oxv_exit code = OXV_EXIT_DONE;

    oxv_door_text(oxv_buffer_view(status), "state", state, sizeof state);
    if (strcmp(state, "open") != 0) {
        oxv_door_print_json(status);
        return OXV_EXIT_DONE;
    }
    code = add_connections(cli, oxv_buffer_view(status), &whole);
    if (code == OXV_EXIT_DONE) {
        oxv_door_print_json(&whole);
    }
    return code;
}

enum oxv_exit
oxv_cmd_status(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_ADMIN, "/v1/admin/status", &answer);
    struct oxv_view status;
    struct oxv_view value;
    bool bound = true;
    size_t seals;

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        return print_as_json(cli, &answer);
    }
    status = oxv_buffer_view(&answer);
    print_state(cli, status);
    print_member("Vault", status, "vault_id");
    print_member("Node", status, "node_id");
    seals = print_seals(status);
    print_tokens(cli, status);
    print_counts(status);
    print_log(status);
    print_member("Key memory", status, "secret_memory");
    print_member("Users", status, "users");
    if (oxv_json_get(status, "machine_bound", &value) && oxv_json_boolean(value, &bound) &&
        !bound) {
        (void)printf("%-12s not bound to this machine\n", "Machine");
    }
    print_sandbox(cli, status);
    print_warnings(cli, status, seals);
    return OXV_EXIT_DONE;
}
