#include "cli/secrets.h"

#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/material.h"
#include "cli/prompt.h"

#define HEX_SECRET_CHARS 64u

void
oxv_secrets_done(struct oxv_secrets *secrets)
{
    oxv_secret_freep(&secrets->consumer);
    oxv_secret_freep(&secrets->token);
}

enum oxv_status
oxv_secrets_take_string(struct oxv_view json, struct oxv_secret **slot)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *text = NULL;
    struct oxv_writer w;

    if (oxv_json_type(json) != OXV_JSON_STRING) {
        return OXV_E_FORMAT;
    }
    if (json.len > 6 * OXV_SECRET_TEXT_MAX_BYTES) {
        return OXV_E_LIMIT;
    }
    /* Without escapes the text is as long as it stands, less the quotes: try the slot first. */
    if (*slot != NULL && oxv_secret_len(*slot) == json.len - 2) {
        w = oxv_writer(oxv_secret_bytes(*slot), oxv_secret_len(*slot));
        if (oxv_json_write_string(&w, json) && !w.failed && w.len == w.max) {
            return OXV_OK;
        }
    }
    text = oxv_secret_new(json.len);
    if (text == NULL) {
        return OXV_E_MEMORY;
    }
    w = oxv_writer(oxv_secret_bytes(text), json.len);
    if (!oxv_json_write_string(&w, json) || w.failed) {
        return OXV_E_FORMAT;
    }
    if (w.len > OXV_SECRET_TEXT_MAX_BYTES) {
        return OXV_E_LIMIT;
    }
    oxv_secret_shorten(text, w.len);
    oxv_secret_free(*slot);
    *slot = oxv_secret_take(&text);
    return OXV_OK;
}

static enum oxv_status
take_member(struct oxv_view name, struct oxv_view value, struct oxv_secrets *out,
            struct oxv_err *err)
{
    /* Names that are not expected are not repeated: one might be a secret in the wrong place. */
    enum oxv_status st;

    if (oxv_view_is(name, "consumer_secret")) {
        st = oxv_secrets_take_string(value, &out->consumer);
    } else if (oxv_view_is(name, "token_secret")) {
        st = oxv_secrets_take_string(value, &out->token);
    } else {
        return oxv_fail(err, OXV_E_FORMAT,
                        "a member that is neither consumer_secret nor token_secret");
    }
    if (st == OXV_E_FORMAT) {
        return oxv_fail(err, st, "a secret that is no string");
    }
    if (st == OXV_E_LIMIT) {
        return oxv_fail(err, st, "a secret of more than %u bytes", OXV_SECRET_TEXT_MAX_BYTES);
    }
    return st == OXV_OK ? OXV_OK : oxv_fail(err, st, "no locked memory left");
}

enum oxv_status
oxv_secrets_parse(struct oxv_view json, struct oxv_secrets *out, struct oxv_err *err)
{
    OXV_AUTO(oxv_secrets_done) struct oxv_secrets read = { 0 };
    struct oxv_json_fault fault = { 0 };
    struct oxv_view name;
    struct oxv_view value;

    if (oxv_json_check(json, &fault) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "not good JSON: %s at byte %zu", fault.reason,
                        fault.offset);
    }
    if (oxv_json_type(json) != OXV_JSON_OBJECT) {
        return oxv_fail(err, OXV_E_FORMAT, "no JSON object");
    }
    struct oxv_json_items items = oxv_json_items(json);

    while (oxv_json_next(&items, &name, &value)) {
        enum oxv_status st = take_member(name, value, &read, err);

        if (st != OXV_OK) {
            return st;
        }
    }
    if (read.consumer == NULL) {
        return oxv_fail(err, OXV_E_FORMAT, "consumer_secret is missing");
    }
    if (read.token == NULL) {
        read.token = oxv_secret_new(0);
    }
    if (read.token == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
    }
    *out = read;
    read = (struct oxv_secrets){ 0 };
    return OXV_OK;
}

static bool
is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_quote(uint8_t c)
{
    return c == '"' || c == '\'' || c == '`';
}

static bool
is_hex64(struct oxv_view text)
{
    uint8_t bytes[HEX_SECRET_CHARS / 2];
    bool hex = oxv_parse_hex(text, bytes, sizeof bytes);

    oxv_wipe(bytes, sizeof bytes);
    return hex;
}

enum oxv_secret_oddity
oxv_secret_look(const struct oxv_secret *secret, const struct oxv_secrets_context *context)
{
    struct oxv_view text = oxv_secret_view(secret);

    if (text.len == 0) {
        return OXV_SECRET_FINE; /* whether it may be empty is decided elsewhere */
    }
    if (context->token_id.len > 0 && oxv_secret_equals(secret, context->token_id)) {
        return OXV_SECRET_IS_TOKEN_ID;
    }
    if (context->consumer_key.len > 0 && oxv_secret_equals(secret, context->consumer_key)) {
        return OXV_SECRET_IS_CONSUMER_KEY;
    }
    if (is_space(text.data[0]) || is_space(text.data[text.len - 1])) {
        return OXV_SECRET_HAS_SPACE;
    }
    if (text.len > 1 && is_quote(text.data[0]) && text.data[0] == text.data[text.len - 1]) {
        return OXV_SECRET_HAS_QUOTES;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return OXV_SECRET_HAS_CONTROL;
        }
    }
    return context->netsuite && !is_hex64(text) ? OXV_SECRET_NOT_HEX64 : OXV_SECRET_FINE;
}

bool
oxv_secret_oddity_is_refused(enum oxv_secret_oddity oddity)
{
    return oddity == OXV_SECRET_IS_TOKEN_ID || oddity == OXV_SECRET_IS_CONSUMER_KEY;
}

const char *
oxv_secret_oddity_text(enum oxv_secret_oddity oddity)
{
    switch (oddity) {
    case OXV_SECRET_FINE:
        return "is fine";
    case OXV_SECRET_IS_CONSUMER_KEY:
        return "is the consumer key: paste the secret that is shown beside it";
    case OXV_SECRET_IS_TOKEN_ID:
        return "is the token id: paste the secret that is shown beside it";
    case OXV_SECRET_HAS_SPACE:
        return "begins or ends with white space, which is taken as part of it";
    case OXV_SECRET_HAS_QUOTES:
        return "has quotes around it, which are taken as part of it";
    case OXV_SECRET_HAS_CONTROL:
        return "has a control character in it";
    case OXV_SECRET_NOT_HEX64:
        return "is not 64 hex characters, as NetSuite's are";
    }
    return "is odd";
}

static enum oxv_exit
check_one(const struct oxv_cli *cli, const char *name, const struct oxv_secret *secret,
          const struct oxv_secrets_context *context)
{
    enum oxv_secret_oddity oddity = oxv_secret_look(secret, context);

    if (oxv_secret_oddity_is_refused(oddity)) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the %s %s", name,
                            oxv_secret_oddity_text(oddity));
    }
    if (oddity != OXV_SECRET_FINE) {
        oxv_cli_warn("the %s %s", name, oxv_secret_oddity_text(oddity));
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_secrets_check(const struct oxv_cli *cli, const struct oxv_secrets *secrets,
                  const struct oxv_secrets_context *context)
{
    enum oxv_exit code = check_one(cli, "consumer secret", secrets->consumer, context);

    if (code == OXV_EXIT_DONE) {
        code = check_one(cli, "token secret", secrets->token, context);
    }
    if (code == OXV_EXIT_DONE && oxv_secret_len(secrets->token) > 0 &&
        oxv_secret_equals(secrets->token, oxv_secret_view(secrets->consumer))) {
        oxv_cli_warn("consumer secret and token secret are the same");
    }
    return code;
}

static enum oxv_exit
read_json(const struct oxv_cli *cli, int fd, const char *from, struct oxv_secrets *out)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *text = NULL;
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_read_secret_fd(fd, OXV_SECRETS_FILE_MAX_BYTES, false, &text, &err);

    if (st == OXV_OK) {
        st = oxv_secrets_parse(oxv_secret_view(text), out, &err);
    }
    if (st != OXV_OK) {
        oxv_err_prefix(&err, "%s", from);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}

static enum oxv_exit
from_file(const struct oxv_cli *cli, const char *path, struct oxv_secrets *out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    struct oxv_err err = { 0 };

    if (oxv_open_secret_file(path, &fd, &err) != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    return read_json(cli, fd, path, out);
}

static enum oxv_exit
from_fd(const struct oxv_cli *cli, const char *number, struct oxv_secrets *out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    enum oxv_exit code = oxv_material_open_fd(cli, number, &fd);

    return code == OXV_EXIT_DONE ? read_json(cli, fd, "the descriptor", out) : code;
}

static enum oxv_exit
from_terminal(const struct oxv_cli *cli, struct oxv_secrets *out)
{
    struct oxv_err err = { 0 };
    enum oxv_status st =
        oxv_prompt_secret("Consumer secret: ", OXV_SECRET_TEXT_MAX_BYTES, &out->consumer, &err);

    if (st == OXV_OK) {
        st = oxv_prompt_secret("Token secret: ", OXV_SECRET_TEXT_MAX_BYTES, &out->token, &err);
    }
    if (st == OXV_E_NOT_FOUND) {
        return oxv_cli_usage(cli, "there is no terminal to ask for the secrets at: use "
                                  "--secrets-file or --secrets-fd");
    }
    return st == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

enum oxv_exit
oxv_secrets_read(const struct oxv_cli *cli, struct oxv_secrets *out)
{
    const char *file = oxv_cli_option(cli, "secrets-file");
    const char *fd = oxv_cli_option(cli, "secrets-fd");

    if (file != NULL && fd != NULL) {
        return oxv_cli_usage(cli, "--secrets-file and --secrets-fd exclude each other");
    }
    if (file != NULL) {
        return from_file(cli, file, out);
    }
    return fd != NULL ? from_fd(cli, fd, out) : from_terminal(cli, out);
}
