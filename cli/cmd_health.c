#include <string.h>

#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"

/*
 * Whoever may open the admin door asks there: the sign door answers callers only, and logs others
 * as refused.
 */
static enum oxv_exit
ask(struct oxv_cli *cli, struct oxv_buffer *answer)
{
    const struct oxv_http_request request = { .method = "GET", .path = "/v1/health" };
    struct oxv_http_answer got = { 0 };
    struct oxv_client_error error;

    if (oxv_door_try(cli, OXV_CLI_ADMIN, &request, &got, &error) == OXV_CLIENT_OK) {
        *answer = got.body;
        return OXV_EXIT_DONE;
    }
    oxv_http_answer_done(&got);
    return oxv_door_get(cli, OXV_CLI_SIGN, "/v1/health", answer);
}

enum oxv_exit
oxv_cmd_health(struct oxv_cli *cli)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    char state[32];
    char detail[1024];
    enum oxv_exit code = ask(cli, &answer);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    oxv_door_text(oxv_buffer_view(&answer), "state", state, sizeof state);
    oxv_door_text(oxv_buffer_view(&answer), "detail", detail, sizeof detail);
    if (cli->json) {
        oxv_door_print_json(&answer);
    } else {
        oxv_escape_print(stdout, oxv_view_text(state));
        (void)fputs(detail[0] == '\0' ? "" : ": ", stdout);
        oxv_escape_print(stdout, oxv_view_text(detail));
        (void)putchar('\n');
    }
    if (strcmp(state, "open") == 0) {
        return OXV_EXIT_DONE;
    }
    return strcmp(state, "sealed") == 0 ? OXV_EXIT_LOCKED : OXV_EXIT_FAILED;
}
