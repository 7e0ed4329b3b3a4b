#include "cli/token_look.h"

#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/helper.h"
#include "cli/listing.h"
#include "cli/material.h"
#include "cli/pin.h"
#include "cli/token_seal.h"
#include "cli/token_uri.h"

#define PROBE_ARGUMENTS 10

enum oxv_exit
oxv_token_look_list(const struct oxv_cli *cli, const char *module)
{
    static const char *const titles[] = { "LABEL", "MANUFACTURER", "MODEL", "SERIAL",
                                          "PIN",   "URI",          NULL };
    static const char *const members[] = {
        "label", "manufacturer", "model", "serial", "pin", "uri"
    };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    OXV_AUTO(oxv_listing_freep) struct oxv_listing *table = oxv_listing_new(titles);
    const char *const arguments[] = { "--list", "--module", module, NULL };
    struct oxv_view list = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view token;
    enum oxv_exit code = oxv_token_module_check(cli, module);

    code = code == OXV_EXIT_DONE ? oxv_helper_run(cli, arguments, -1, &answer) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
        return OXV_EXIT_DONE;
    }
    if (table == NULL || !oxv_json_get(oxv_buffer_view(&answer), "tokens", &list)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the token helper's answer has no list");
    }
    struct oxv_json_items items = oxv_json_items(list);

    while (oxv_json_next(&items, &name, &token)) {
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
            oxv_listing_add_member(table, token, members[i]);
        }
    }
    return oxv_listing_print(cli, table,
                             "This module sees no token. Is it plugged in, and may this user (as "
                             "root: oxvault-token) use it?");
}

/* "yes", or "no" with the reason and what the module answered. */
static void
print_outcome(const struct oxv_cli *cli, struct oxv_view item, const char *name)
{
    struct oxv_view value;
    char text[1024];
    char ckr[64];
    bool works = false;

    if (!oxv_json_get(item, "works", &value) || !oxv_json_boolean(value, &works)) {
        works = false;
    }
    oxv_door_text(item, name, text, sizeof text);
    (void)fputs("  ", stdout);
    oxv_escape_print(stdout, oxv_view_text(text));
    (void)printf("%*s%s%s%s", (int)(strlen(text) < 16 ? 17 - strlen(text) : 1), "",
                 works ? oxv_cli_green(cli) : oxv_cli_red(cli), works ? "yes" : "no",
                 oxv_cli_plain(cli));
    oxv_door_text(item, "reason", text, sizeof text);
    oxv_door_text(item, "ckr", ckr, sizeof ckr);
    if (text[0] != '\0') {
        (void)fputs(": ", stdout);
        oxv_escape_print(stdout, oxv_view_text(text));
    }
    if (ckr[0] != '\0' && strstr(text, ckr) == NULL) {
        (void)fputs(" (", stdout);
        oxv_escape_print(stdout, oxv_view_text(ckr));
        (void)putchar(')');
    }
    (void)putchar('\n');
}

static void
print_outcomes(const struct oxv_cli *cli, struct oxv_view object, const char *list,
               const char *name)
{
    struct oxv_view array = oxv_view_text("[]");
    struct oxv_view item_name;
    struct oxv_view item;

    if (!oxv_json_get(object, list, &array)) {
        return;
    }
    struct oxv_json_items items = oxv_json_items(array);

    while (oxv_json_next(&items, &item_name, &item)) {
        print_outcome(cli, item, name);
    }
}

/* The strings of an array, each with `before` and `after` around it. */
static size_t
print_texts(struct oxv_view object, const char *list, const char *before, const char *after)
{
    struct oxv_view array = oxv_view_text("[]");
    struct oxv_view name;
    struct oxv_view item;
    size_t count = 0;

    if (!oxv_json_get(object, list, &array)) {
        return 0;
    }
    struct oxv_json_items items = oxv_json_items(array);

    while (oxv_json_next(&items, &name, &item)) {
        char text[2048];
        struct oxv_writer w = oxv_writer(text, sizeof text);

        if (oxv_json_write_string(&w, item)) {
            (void)fputs(before, stdout);
            oxv_escape_print(stdout, oxv_view(text, w.len));
            (void)fputs(after, stdout);
            count++;
        }
    }
    return count;
}

static void
print_token(const struct oxv_cli *cli, struct oxv_view token)
{
    static const char *const members[] = { "manufacturer", "model", "serial" };
    char text[256];

    oxv_door_text(token, "label", text, sizeof text);
    (void)printf("Token %s", oxv_cli_bold(cli));
    oxv_escape_print(stdout, oxv_view_text(text));
    (void)fputs(oxv_cli_plain(cli), stdout);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        oxv_door_text(token, members[i], text, sizeof text);
        if (text[0] != '\0') {
            (void)printf(", %s ", members[i]);
            oxv_escape_print(stdout, oxv_view_text(text));
        }
    }
    (void)putchar('\n');
    oxv_door_text(token, "uri", text, sizeof text);
    oxv_escape_print(stdout, oxv_view_text(text));
    (void)fputs("\n", stdout);
}

/* The grade of signing in plain words. */
static const char *
grade_words(const char *grade)
{
    if (strcmp(grade, "good") == 0) {
        return "yes";
    }
    if (strcmp(grade, "leaky") == 0) {
        return "it signs, but keys can be got out of it again: not protected by it";
    }
    return strcmp(grade, "none") == 0 ? "no" : grade;
}

static void
print_sign(const struct oxv_cli *cli, struct oxv_view probe)
{
    struct oxv_view sign = oxv_view_text("{}");
    char grade[32];
    uint64_t max;

    if (!oxv_json_get(probe, "sign", &sign)) {
        return;
    }
    oxv_door_text(sign, "grade", grade, sizeof grade);
    (void)printf("\n%sSign in the token%s: ", oxv_cli_bold(cli), oxv_cli_plain(cli));
    oxv_escape_print(stdout, oxv_view_text(grade_words(grade)));
    (void)putchar('\n');
    print_outcomes(cli, sign, "forms", "form");
    (void)fputs("  HMAC with", stdout);
    if (print_texts(sign, "hashes", " ", "") == 0) {
        (void)fputs(" no hash that we use", stdout);
    }
    max = oxv_door_integer(sign, "message_max_bytes", 0);
    if (max != 0) {
        (void)printf("; messages of up to %llu bytes", (unsigned long long)max);
    }
    (void)putchar('\n');
}

static void
print_probe(const struct oxv_cli *cli, struct oxv_view probe)
{
    struct oxv_view token;
    struct oxv_view notes;

    if (oxv_json_get(probe, "token", &token)) {
        print_token(cli, token);
    }
    (void)printf("\n%sSeal the vault%s, best first:\n", oxv_cli_bold(cli), oxv_cli_plain(cli));
    print_outcomes(cli, probe, "seal", "mechanism");
    print_sign(cli, probe);
    if (oxv_json_get(probe, "notes", &notes) && oxv_json_count(notes) > 0) {
        (void)putchar('\n');
        (void)print_texts(probe, "notes", "", "\n"); /* their number is of no interest */
    }
}

static enum oxv_exit
run_probe(const struct oxv_cli *cli, const struct oxv_secret *pin, struct oxv_buffer *answer)
{
    OXV_AUTO(oxv_closep) int pin_fd = -1;
    const char *arguments[PROBE_ARGUMENTS] = { "--probe", "--module", oxv_cli_option(cli, "module"),
                                               "--uri", cli->arguments[0] };
    enum oxv_exit code = OXV_EXIT_DONE;

    if (oxv_secret_len(pin) > 0) {
        arguments[5] = "--pin-fd";
        arguments[6] = "3";
        code = oxv_material_pipe(cli, pin, &pin_fd);
    }
    return code == OXV_EXIT_DONE ? oxv_helper_run(cli, arguments, pin_fd, answer) : code;
}

enum oxv_exit
oxv_cmd_token_probe(struct oxv_cli *cli)
{
    static const struct oxv_pin_source source = {
        "pin-file", "pin-fd", "PIN of the token (empty: look at it without, or it has a PIN pad): "
    };
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    const char *module = oxv_cli_option(cli, "module");
    enum oxv_exit code = oxv_token_uri_check(cli, cli->arguments[0]);

    if (code == OXV_EXIT_DONE && module == NULL) {
        return oxv_cli_usage(cli, "--module is needed: the PKCS#11 module of the token");
    }
    code = code == OXV_EXIT_DONE ? oxv_token_module_check(cli, module) : code;
    code = code == OXV_EXIT_DONE ? oxv_material_setup(cli) : code;
    code = code == OXV_EXIT_DONE ? oxv_pin_read(cli, &source, &pin) : code;
    code = code == OXV_EXIT_DONE ? run_probe(cli, pin, &answer) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        print_probe(cli, oxv_buffer_view(&answer));
    }
    return OXV_EXIT_DONE;
}
