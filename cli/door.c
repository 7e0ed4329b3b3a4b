#include "cli/door.h"

#include "base/json.h"
#include "base/text.h"
#include "signer/percent.h"

#define LIST_MAX_BYTES (512u * 1024u * 1024u)

static const char *
door_name(enum oxv_cli_door door)
{
    static const char *const names[] = {
        [OXV_CLI_SIGN] = "sign", [OXV_CLI_ADMIN] = "admin", [OXV_CLI_AUDIT] = "audit"
    };

    return names[door];
}

static struct oxv_http **
kept(struct oxv_cli *cli, enum oxv_cli_door door)
{
    if (door == OXV_CLI_SIGN) {
        return &cli->sign;
    }
    return door == OXV_CLI_ADMIN ? &cli->admin : &cli->audit;
}

enum oxv_exit
oxv_door_path(const struct oxv_cli *cli, enum oxv_cli_door door, char *out, size_t out_size)
{
    if (oxv_format(out, out_size, "%s/%s.sock", cli->run, door_name(door)) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_USAGE, "the path of the run directory is too long: %s",
                            cli->run);
    }
    return OXV_EXIT_DONE;
}

enum oxv_client_code
oxv_door_try(struct oxv_cli *cli, enum oxv_cli_door door, const struct oxv_http_request *request,
             struct oxv_http_answer *answer, struct oxv_client_error *error)
{
    struct oxv_http **http = kept(cli, door);
    /* A change of many records may take the service a while. */
    const struct oxv_client_options options = { .max_connections = 1, .total_timeout_ms = 120000 };
    struct oxv_json_fault fault;
    char path[4096];

    if (*http == NULL) {
        if (oxv_format(path, sizeof path, "%s/%s.sock", cli->run, door_name(door)) != OXV_OK) {
            return oxv_client_fail(error, OXV_CLIENT_USAGE, "the run directory's path is too long");
        }
        enum oxv_client_code code = oxv_http_open(path, &options, http, error);

        if (code != OXV_CLIENT_OK) {
            return code;
        }
    }
    struct oxv_http_request sent = *request;

    /* A change must not be made twice: nothing of it goes over a connection that may be closed. */
    sent.is_change = door == OXV_CLI_ADMIN && strcmp(request->method, "GET") != 0;
    enum oxv_client_code code = oxv_http_request(*http, &sent, answer, error);

    if (code == OXV_CLIENT_OK && request->sink == NULL &&
        oxv_json_check(oxv_buffer_view(&answer->body), &fault) != OXV_OK) {
        return oxv_client_fail(error, OXV_CLIENT_BAD_ANSWER,
                               "the service's answer is not good JSON: %s at byte %zu",
                               fault.reason, fault.offset);
    }
    return code;
}

static enum oxv_exit
call(struct oxv_cli *cli, enum oxv_cli_door door, const struct oxv_http_request *request,
     struct oxv_buffer *answer)
{
    struct oxv_http_answer got = { .body = *answer };
    struct oxv_client_error error;
    enum oxv_client_code code = oxv_door_try(cli, door, request, &got, &error);

    *answer = got.body;
    return code == OXV_CLIENT_OK ? OXV_EXIT_DONE : oxv_cli_client_error(cli, &error);
}

enum oxv_exit
oxv_door_call(struct oxv_cli *cli, const char *method, const char *path, struct oxv_view body,
              struct oxv_buffer *answer)
{
    const struct oxv_http_request request = { .method = method, .path = path, .body = body };

    return call(cli, OXV_CLI_ADMIN, &request, answer);
}

enum oxv_exit
oxv_door_get(struct oxv_cli *cli, enum oxv_cli_door door, const char *path,
             struct oxv_buffer *answer)
{
    const struct oxv_http_request request = { .method = "GET", .path = path };

    return call(cli, door, &request, answer);
}

static enum oxv_exit
add(const struct oxv_cli *cli, struct oxv_buffer *out, struct oxv_view bytes)
{
    return oxv_buffer_add(out, bytes, LIST_MAX_BYTES)
               ? OXV_EXIT_DONE
               : oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for so long a list");
}

/* The items of one page, behind what is there already. */
static enum oxv_exit
add_page(const struct oxv_cli *cli, struct oxv_view page, const char *member,
         struct oxv_buffer *out)
{
    struct oxv_view list;
    struct oxv_view name;
    struct oxv_view item;
    enum oxv_exit code = OXV_EXIT_DONE;

    if (!oxv_json_get(page, member, &list) || oxv_json_type(list) != OXV_JSON_ARRAY) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no list of %s", member);
    }
    struct oxv_json_items items = oxv_json_items(list);

    while (code == OXV_EXIT_DONE && oxv_json_next(&items, &name, &item)) {
        bool first = out->data[out->len - 1] == '[';

        code = first ? OXV_EXIT_DONE : add(cli, out, oxv_view_text(","));
        code = code == OXV_EXIT_DONE ? add(cli, out, item) : code;
    }
    return code;
}

enum oxv_exit
oxv_door_order(struct oxv_cli *cli, const char *path, const char *done)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    enum oxv_exit code = oxv_door_call(cli, "POST", path, oxv_view_text("{}"), &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        (void)puts(done);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_door_list(struct oxv_cli *cli, const char *path, const char *member, struct oxv_buffer *out)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer page = { 0 };
    char head[64];
    char next_path[OXV_DOOR_PATH_MAX_BYTES];
    uint64_t after = 0;
    enum oxv_exit code;

    if (oxv_format(head, sizeof head, "{\"%s\":[", member) != OXV_OK) {
        oxv_bug("a member's name is too long");
    }
    code = add(cli, out, oxv_view_text(head));
    for (bool more = true; more && code == OXV_EXIT_DONE;) {
        const char *mark = strchr(path, '?') == NULL ? "?" : "&";
        uint64_t next;

        if (oxv_format(next_path, sizeof next_path, "%s%safter=%llu", path, mark,
                       (unsigned long long)after) != OXV_OK) {
            return oxv_cli_fail(cli, OXV_EXIT_USAGE, "the arguments are too long");
        }
        code = oxv_door_get(cli, OXV_CLI_ADMIN, after == 0 ? path : next_path, &page);
        code = code == OXV_EXIT_DONE ? add_page(cli, oxv_buffer_view(&page), member, out) : code;
        next = code == OXV_EXIT_DONE ? oxv_door_integer(oxv_buffer_view(&page), "next", 0) : 0;
        more = next != 0; /* an empty page is not the last one where it names the next */
        if (more && next <= after) {
            return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                                "the pages of the service's answer do not go forward");
        }
        after = next;
    }
    return code == OXV_EXIT_DONE ? add(cli, out, oxv_view_text("]}")) : code;
}

void
oxv_door_encode(struct oxv_writer *w, const char *text)
{
    oxv_write_percent(w, oxv_view_text(text));
}

enum oxv_exit
oxv_door_make_path(const struct oxv_cli *cli, char out[OXV_DOOR_PATH_MAX_BYTES], const char *before,
                   const char *name, const char *after)
{
    struct oxv_writer w = oxv_writer(out, OXV_DOOR_PATH_MAX_BYTES);

    oxv_write_text(&w, before);
    oxv_door_encode(&w, name);
    oxv_write_text(&w, after);
    oxv_write_u8(&w, 0);
    if (w.failed || name[0] == '\0' || name[0] == '.') {
        return oxv_cli_usage(cli, "this is no name: %s", name);
    }
    return OXV_EXIT_DONE;
}

void
oxv_door_text(struct oxv_view object, const char *name, char *out, size_t out_size)
{
    struct oxv_view value;
    struct oxv_view text;
    char whole[8192];
    struct oxv_writer w = oxv_writer(whole, sizeof whole);

    out[0] = '\0';
    if (!oxv_json_get(object, name, &value) || !oxv_json_write_string(&w, value)) {
        return;
    }
    text = oxv_view(w.data, w.len < out_size ? w.len : out_size - 1);
    text.len = oxv_utf8_prefix_len(text);
    if (oxv_text_copy(text, out, out_size) != OXV_OK) {
        oxv_bug("a text that was cut does not fit");
    }
}

uint64_t
oxv_door_integer(struct oxv_view object, const char *name, uint64_t otherwise)
{
    struct oxv_view value;
    uint64_t number;

    if (!oxv_json_get(object, name, &value) ||
        !oxv_json_integer(value, OXV_JSON_INTEGER_MAX, &number)) {
        return otherwise;
    }
    return number;
}

void
oxv_door_print_json(const struct oxv_buffer *answer)
{
    oxv_cli_print(oxv_buffer_view(answer));
    oxv_cli_print(oxv_view_text("\n"));
}
