#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/new_file.h"
#include "include/oxvault/client.h"
#include "vault/records.h"

#define FORM_MAX 64u

/* The pairs of --form, and the texts they point to. */
struct form {
    struct oxv_client_pair pairs[FORM_MAX];
    char *copies[FORM_MAX];
    size_t count;
};

static void
form_done(struct form *form)
{
    for (size_t i = 0; i < form->count; i++) {
        free(form->copies[i]);
    }
}

static void
client_closep(struct oxv_client **client)
{
    oxv_client_close(*client);
}

static enum oxv_exit
read_form(const struct oxv_cli *cli, struct form *form)
{
    size_t at = 0;

    for (const char *value = oxv_cli_option_next(cli, "form", &at); value != NULL;
         value = oxv_cli_option_next(cli, "form", &at)) {
        char *copy = strdup(value);
        char *equals = copy == NULL ? NULL : strchr(copy, '=');

        if (equals == NULL || form->count == FORM_MAX) {
            free(copy);
            return oxv_cli_usage(cli, "--form wants NAME=VALUE, at most %u times", FORM_MAX);
        }
        *equals = '\0';
        form->copies[form->count] = copy;
        form->pairs[form->count] = (struct oxv_client_pair){ .name = copy, .value = equals + 1 };
        form->count++;
    }
    return OXV_EXIT_DONE;
}

static void
print_member(struct oxv_writer *w, const char *before, const char *value)
{
    oxv_write_text(w, before);
    oxv_write_json_string(w, oxv_view_text(value));
}

static void
print_log_place(struct oxv_writer *w, const char *origin, uint64_t index)
{
    print_member(w, ",\"log\":{\"origin\":", origin);
    oxv_write_text(w, ",\"index\":");
    oxv_write_decimal(w, index);
    oxv_write_text(w, "}}\n");
}

static enum oxv_exit
print_written(const struct oxv_cli *cli, const struct oxv_writer *w)
{
    struct oxv_view text;

    if (oxv_writer_finish(w, &text) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the answer is too long");
    }
    oxv_cli_print(text);
    return OXV_EXIT_DONE;
}

/* The file of --proof, where it was given. Nothing is printed before it is there. */
static enum oxv_exit
put_proof(const struct oxv_cli *cli, struct oxv_new_file *file, const char *proof)
{
    struct oxv_err err = { 0 };

    if (file->fd < 0) {
        return OXV_EXIT_DONE;
    }
    if (proof[0] == '\0') {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "the answer has no proof: is this door the "
                            "service's?");
    }
    if (oxv_write_all(file->fd, oxv_view_text(proof)) != OXV_OK) {
        (void)oxv_fail_errno(&err, "cannot write %s", file->path);
        return oxv_cli_err(cli, &err);
    }
    return oxv_new_file_commit(file, &err) == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

/* What a hostile door sends must not act on the terminal, nor add a header line for curl. */
static bool
is_header_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* The three kinds: asks, writes the proof, prints, frees. *w is room for the JSON. */
static enum oxv_exit
sign_oauth1(const struct oxv_cli *cli, struct oxv_client *client,
            const struct oxv_client_request *request, struct oxv_new_file *proof,
            struct oxv_writer *w)
{
    struct oxv_client_oauth1 *result = NULL;
    struct oxv_client_error error;

    if (oxv_client_sign_oauth1(client, request, &result, &error) != OXV_CLIENT_OK) {
        return oxv_cli_client_error(cli, &error);
    }
    if (!is_header_text(result->authorization)) {
        oxv_client_oauth1_free(result);
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "the answer holds no header value: is this door "
                            "the service's?");
    }
    enum oxv_exit code = put_proof(cli, proof, oxv_client_oauth1_proof(result));

    if (cli->json) {
        print_member(w, "{\"authorization\":", result->authorization);
        oxv_write_text(w, ",\"timestamp\":");
        oxv_write_decimal(w, result->timestamp);
        print_member(w, ",\"nonce\":", result->nonce);
        print_log_place(w, result->log_origin, result->log_index);
    } else {
        oxv_write_text(w, "Authorization: ");
        oxv_write_text(w, result->authorization);
        oxv_write_u8(w, '\n');
    }
    oxv_client_oauth1_free(result);
    return code == OXV_EXIT_DONE ? print_written(cli, w) : code;
}

static enum oxv_exit
sign_token_passport(const struct oxv_cli *cli, struct oxv_client *client,
                    const struct oxv_client_request *request, struct oxv_new_file *proof,
                    struct oxv_writer *w)
{
    struct oxv_client_token_passport *result = NULL;
    struct oxv_client_error error;

    if (oxv_client_sign_token_passport(client, request, &result, &error) != OXV_CLIENT_OK) {
        return oxv_cli_client_error(cli, &error);
    }
    enum oxv_exit code = put_proof(cli, proof, oxv_client_token_passport_proof(result));

    if (cli->json) {
        print_member(w, "{\"account\":", result->account);
        print_member(w, ",\"consumer_key\":", result->consumer_key);
        print_member(w, ",\"token\":", result->token);
        print_member(w, ",\"nonce\":", result->nonce);
        oxv_write_text(w, ",\"timestamp\":");
        oxv_write_decimal(w, result->timestamp);
        print_member(w, ",\"signature\":{\"algorithm\":", result->signature_algorithm);
        print_member(w, ",\"value\":", result->signature_value);
        print_member(w, "},\"xml\":", result->xml);
        print_log_place(w, result->log_origin, result->log_index);
    } else {
        oxv_write_text(w, result->xml);
        oxv_write_u8(w, '\n');
    }
    oxv_client_token_passport_free(result);
    return code == OXV_EXIT_DONE ? print_written(cli, w) : code;
}

static enum oxv_exit
sign_connect_password(const struct oxv_cli *cli, struct oxv_client *client,
                      const struct oxv_client_request *request, struct oxv_new_file *proof,
                      struct oxv_writer *w)
{
    struct oxv_client_connect_password *result = NULL;
    struct oxv_client_error error;

    if (oxv_client_sign_connect_password(client, request, &result, &error) != OXV_CLIENT_OK) {
        return oxv_cli_client_error(cli, &error);
    }
    enum oxv_exit code = put_proof(cli, proof, oxv_client_connect_password_proof(result));

    if (cli->json) {
        print_member(w, "{\"user\":", result->user);
        print_member(w, ",\"password\":", result->password);
        print_log_place(w, result->log_origin, result->log_index);
    } else {
        oxv_write_text(w, result->password);
        oxv_write_u8(w, '\n');
    }
    oxv_client_connect_password_free(result);
    return code == OXV_EXIT_DONE ? print_written(cli, w) : code;
}

static enum oxv_exit
read_request(const struct oxv_cli *cli, const struct form *form, struct oxv_client_request *request,
             uint64_t *kind)
{
    const char *kind_name = oxv_cli_option(cli, "kind");
    size_t wanted;

    *kind = kind_name == NULL ? OXV_KIND_OAUTH1 : oxv_kind_parse(oxv_view_text(kind_name));
    if (*kind == 0) {
        return oxv_cli_usage(cli, "--kind is oauth1, token-passport or connect-password, not: %s",
                             kind_name);
    }
    wanted = *kind == OXV_KIND_OAUTH1 ? 3 : 1;
    if (cli->arguments_count != wanted) {
        return oxv_cli_usage(cli, "%s needs: %s", oxv_kind_name(*kind),
                             wanted == 3 ? "CONNECTION METHOD URL" : "CONNECTION alone");
    }
    *request = (struct oxv_client_request){
        .connection = cli->arguments[0],
        .method = wanted == 3 ? cli->arguments[1] : NULL,
        .url = wanted == 3 ? cli->arguments[2] : NULL,
        .form = form->pairs,
        .form_count = form->count,
        .version = oxv_cli_option(cli, "soap-version"),
        .proof = oxv_cli_option(cli, "proof") != NULL,
    };
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_cmd_sign(struct oxv_cli *cli)
{
    static uint8_t buffer[256 * 1024];
    OXV_AUTO(form_done) struct form form = { .count = 0 };
    OXV_AUTO(client_closep) struct oxv_client *client = NULL;
    OXV_AUTO(oxv_new_file_done) struct oxv_new_file proof = { .fd = -1 };
    struct oxv_err err = { 0 };
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_client_request request;
    struct oxv_client_error error;
    char path[4096];
    uint64_t kind = 0;
    enum oxv_exit code = read_form(cli, &form);

    code = code == OXV_EXIT_DONE ? read_request(cli, &form, &request, &kind) : code;
    code = code == OXV_EXIT_DONE ? oxv_door_path(cli, OXV_CLI_SIGN, path, sizeof path) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (request.proof != 0 &&
        oxv_new_file_open(oxv_cli_option(cli, "proof"), &proof, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err); /* before anything is signed */
    }
    if (oxv_client_open(path, NULL, &client, &error) != OXV_CLIENT_OK) {
        return oxv_cli_client_error(cli, &error);
    }
    if (kind == OXV_KIND_TOKEN_PASSPORT) {
        return sign_token_passport(cli, client, &request, &proof, &w);
    }
    return kind == OXV_KIND_CONNECT_PASSWORD
               ? sign_connect_password(cli, client, &request, &proof, &w)
               : sign_oauth1(cli, client, &request, &proof, &w);
}
