#include "cli/token_list.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "base/token_terms.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/token_uri.h"

#define PATH "/v1/admin/tokens"

enum oxv_exit
oxv_token_list_get(struct oxv_cli *cli, struct oxv_buffer *out)
{
    struct oxv_view list;
    enum oxv_exit code = oxv_door_get(cli, OXV_CLI_ADMIN, PATH, out);

    if (code == OXV_EXIT_DONE && (!oxv_json_get(oxv_buffer_view(out), "tokens", &list) ||
                                  oxv_json_type(list) != OXV_JSON_ARRAY)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no list of tokens");
    }
    return code;
}

static struct oxv_json_items
items_of(struct oxv_view document)
{
    struct oxv_view list = oxv_view_text("[]");

    if (!oxv_json_get(document, "tokens", &list)) {
        list = oxv_view_text("[]");
    }
    return oxv_json_items(list);
}

size_t
oxv_token_list_match(struct oxv_view document, const char *uri, struct oxv_view *token)
{
    struct oxv_json_items items = items_of(document);
    struct oxv_view name;
    struct oxv_view item;
    size_t count = 0;

    while (oxv_json_next(&items, &name, &item)) {
        char known[OXV_TOKEN_URI_MAX_BYTES + 1];

        oxv_door_text(item, "uri", known, sizeof known);
        if (oxv_token_uri_fits(oxv_view_text(uri), oxv_view_text(known))) {
            *token = item;
            count++;
        }
    }
    return count;
}

static bool
is_meant(struct oxv_view token, const char *which, uint64_t id)
{
    char label[64];

    oxv_door_text(token, "label", label, sizeof label);
    return (id != 0 && oxv_door_integer(token, "id", 0) == id) ||
           (label[0] != '\0' && strcmp(label, which) == 0);
}

/* By id or label. */
static size_t
match_word(struct oxv_view document, const char *which, struct oxv_view *token)
{
    struct oxv_json_items items = items_of(document);
    struct oxv_view name;
    struct oxv_view item;
    uint64_t id = 0;
    size_t count = 0;

    if (!oxv_parse_decimal(oxv_view_text(which), UINT64_MAX, &id)) {
        id = 0;
    }
    while (oxv_json_next(&items, &name, &item)) {
        if (is_meant(item, which, id)) {
            *token = item;
            count++;
        }
    }
    return count;
}

enum oxv_exit
oxv_token_list_find(const struct oxv_cli *cli, struct oxv_view document, const char *which,
                    struct oxv_view *token)
{
    size_t count;

    if (which == NULL) {
        count = oxv_token_list_match(document, "pkcs11:", token); /* fits all */
    } else if (oxv_token_uri_begins(which)) {
        count = oxv_token_list_match(document, which, token);
    } else {
        count = match_word(document, which, token);
    }
    if (count == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND,
                            "the service knows no such token%s%s: see "
                            "oxvault token list",
                            which == NULL ? "" : ", ", which == NULL ? "" : which);
    }
    if (count > 1) {
        return oxv_cli_usage(cli,
                             "%zu tokens fit: name one by its id or its whole URI, see oxvault "
                             "token list",
                             count);
    }
    return OXV_EXIT_DONE;
}

/* What the states of the service mean for whoever reads them. */
static const struct {
    const char *state;
    const char *words;
} states[] = {
    { "ready", "ready" },
    { "absent", "absent: it is not plugged in, or does not answer" },
    { "needs pin", "needs its PIN (oxvault token login)" },
    { "pin refused", "refused the PIN; not tried again by itself (oxvault token login)" },
    { "pin locked", "its PIN is locked: unlock it with the vendor's tool" },
    { "unfit", "cannot do what is asked of it" },
    { "starting", "starting" },
    { "hung", "hung: its module does not answer, it is started again" },
};

static const char *
words_of(const char *state)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(states[i].state, state) == 0) {
            return states[i].words;
        }
    }
    return state;
}

void
oxv_token_list_print_state(const struct oxv_cli *cli, struct oxv_view token)
{
    char state[64];
    char pin[64];
    char detail[1024];
    bool ready;

    oxv_door_text(token, "state", state, sizeof state);
    oxv_door_text(token, "pin", pin, sizeof pin);
    oxv_door_text(token, "detail", detail, sizeof detail);
    ready = strcmp(state, "ready") == 0;
    (void)fputs(ready ? oxv_cli_green(cli) : oxv_cli_red(cli), stdout);
    oxv_escape_print(stdout, oxv_view_text(words_of(state)));
    (void)fputs(oxv_cli_plain(cli), stdout);
    if (pin[0] != '\0' && strcmp(pin, "ok") != 0) {
        (void)printf("%s; PIN counter: ", oxv_cli_yellow(cli));
        oxv_escape_print(stdout, oxv_view_text(pin));
        (void)fputs(oxv_cli_plain(cli), stdout);
    }
    if (!ready && detail[0] != '\0') {
        (void)fputs(" (", stdout);
        oxv_escape_print(stdout, oxv_view_text(detail));
        (void)putchar(')');
    }
}
