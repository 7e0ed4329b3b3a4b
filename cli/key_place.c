#include "cli/key_place.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/pin.h"
#include "cli/token_list.h"
#include "cli/token_seal.h"
#include "cli/token_uri.h"
#include "signer/signature_method.h"

#define PUBLISH_MAX_US  UINT64_C(10000000) /* for the key of a new pair to stand in vault.pub */
#define PUBLISH_POLL_NS 50000000
#define HASH_HEX_SIZE   (2u * crypto_hash_sha256_BYTES + 1u)

static const char *const token_options[] = { "module", "key-id", "objects-only", "pin-file",
                                             "pin-fd" };

enum oxv_exit
oxv_key_place_check(const struct oxv_cli *cli)
{
    const char *uri = oxv_cli_option(cli, "in-token");
    const char *module = oxv_cli_option(cli, "module");
    const char *key_id = oxv_cli_option(cli, "key-id");
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t id_len = 0;
    enum oxv_exit code = OXV_EXIT_DONE;

    for (size_t i = 0; uri == NULL && i < sizeof token_options / sizeof token_options[0]; i++) {
        if (oxv_cli_flag(cli, token_options[i])) {
            return oxv_cli_usage(cli, "--%s goes with --in-token", token_options[i]);
        }
    }
    if (uri == NULL) {
        return OXV_EXIT_DONE;
    }
    code = oxv_token_uri_check(cli, uri);
    code = code == OXV_EXIT_DONE && module != NULL ? oxv_token_module_check(cli, module) : code;
    code = code == OXV_EXIT_DONE && key_id != NULL ? oxv_token_key_id_read(cli, key_id, id, &id_len)
                                                   : code;
    if (code == OXV_EXIT_DONE && key_id != NULL && oxv_cli_flag(cli, "objects-only")) {
        return oxv_cli_usage(cli, "--key-id names a key that is in the token already, "
                                  "--objects-only makes one there: use one of them");
    }
    return code;
}

enum oxv_exit
oxv_key_place_check_method(const struct oxv_cli *cli, const struct oxv_connection_record *record)
{
    enum oxv_signature_method method = (enum oxv_signature_method)record->signature_method;

    if (oxv_cli_flag(cli, "in-token") && oxv_signature_method_is_rsa(method)) {
        return oxv_cli_usage(cli,
                             "%s keys stay in the vault: in a token only the HMAC methods sign",
                             oxv_signature_method_name(method));
    }
    return OXV_EXIT_DONE;
}

/* The module as given, or that of the one token of the service that the URI fits. */
static enum oxv_exit
find_module(struct oxv_cli *cli, const char *uri, char *out, size_t out_size)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer tokens = { 0 };
    const char *module = oxv_cli_option(cli, "module");
    struct oxv_view token;

    if (module != NULL) {
        return oxv_text_copy(oxv_view_text(module), out, out_size) == OXV_OK
                   ? OXV_EXIT_DONE
                   : oxv_cli_usage(cli, "--module is too long");
    }
    enum oxv_exit code = oxv_token_list_get(cli, &tokens);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    size_t count = oxv_token_list_match(oxv_buffer_view(&tokens), uri, &token);

    if (count != 1) {
        return oxv_cli_usage(cli, count == 0
                                      ? "the service does not know this token yet: name the "
                                        "PKCS#11 module with --module"
                                      : "several tokens of the service fit: name more of the "
                                        "token's URI, see oxvault token list");
    }
    oxv_door_text(token, "module", out, out_size);
    return out[0] != '\0' ? OXV_EXIT_DONE
                          : oxv_cli_fail(cli, OXV_EXIT_FAILED,
                                         "the service's answer does not name the token's module: "
                                         "name it with --module");
}

/* A token that the service does not know gets none of its PINs: this one is asked for. */
static enum oxv_exit
choose_pin(struct oxv_cli *cli, const char *uri, const struct oxv_pin_source **out)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer tokens = { 0 };
    struct oxv_view token;
    enum oxv_exit code = oxv_token_list_get(cli, &tokens);

    *out = code == OXV_EXIT_DONE && oxv_token_list_match(oxv_buffer_view(&tokens), uri, &token) == 0
               ? &oxv_pin_options
               : &oxv_pin_options_quiet;
    return code;
}

/* The service logs in to the token and, but for objects, sees to a pair that unwraps. */
static enum oxv_exit
add_token(struct oxv_cli *cli, const char *uri, struct oxv_buffer *answer)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pin = NULL;
    char module[OXV_TOKEN_MODULE_MAX_BYTES + 1];
    bool objects = oxv_cli_flag(cli, "objects-only") || oxv_cli_flag(cli, "key-id");
    const struct oxv_pin_source *source = NULL;
    enum oxv_exit code = find_module(cli, uri, module, sizeof module);

    code = code == OXV_EXIT_DONE ? choose_pin(cli, uri, &source) : code;
    code = code == OXV_EXIT_DONE ? oxv_pin_read(cli, source, &pin) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    const struct oxv_box_token_add payload = { .module = oxv_view_text(module),
                                               .uri = oxv_view_text(uri),
                                               .pin = oxv_secret_view(pin),
                                               .objects_only = objects };
    const struct oxv_box_content content = { OXV_BOX_TOKEN_ADD, &oxv_box_token_add_shape, &payload,
                                             "/v1/admin/tokens", NULL };
    struct oxv_client_error error;

    code = oxv_box_post(cli, &content, answer, &error);
    if (code == OXV_EXIT_DONE && error.code != OXV_CLIENT_OK) {
        code = oxv_cli_client_error(cli, &error);
    }
    return code;
}

/* Is the key from vault.pub the one that the service speaks of? */
static enum oxv_exit
compare_hash(const struct oxv_cli *cli, struct oxv_view answer, const struct oxv_key_place *place)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[HASH_HEX_SIZE];
    char told[HASH_HEX_SIZE];
    struct oxv_writer w = oxv_writer(hex, sizeof hex);

    (void)crypto_hash_sha256(hash, place->known.key, place->known.key_len); /* returns 0 */
    oxv_write_hex(&w, oxv_view(hash, sizeof hash));
    oxv_write_u8(&w, 0);
    oxv_door_text(answer, "public_key_sha256", told, sizeof told);
    if (strcmp(hex, told) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "%s/vault.pub has another key for this token than the service speaks "
                            "of: nothing was sent. Restart the service",
                            cli->run);
    }
    return OXV_EXIT_DONE;
}

/* vault.pub is written anew when a token or a pair is new, and that may take a moment. */
static enum oxv_exit
load_line(const struct oxv_cli *cli, bool with_pair, struct oxv_key_place *place)
{
    uint64_t deadline = oxv_clock_boot_us() + PUBLISH_MAX_US;

    for (;;) {
        bool found = false;
        enum oxv_exit code = oxv_vault_pub_token(cli, place->token, &place->known, &found);

        if (code != OXV_EXIT_DONE || (found && (!with_pair || place->known.key_len > 0))) {
            return code;
        }
        if (oxv_clock_boot_us() >= deadline) {
            return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                                "%s/vault.pub has no %s token %llu: the service did not write it",
                                cli->run, with_pair ? "key of" : "line of",
                                (unsigned long long)place->token);
        }
        const struct timespec pause = { .tv_nsec = PUBLISH_POLL_NS };

        (void)nanosleep(&pause, NULL); /* woken early: looks again */
    }
}

/* A door that lies must not choose the token. */
static enum oxv_exit
check_token(const struct oxv_cli *cli, const char *uri, const struct oxv_key_place *place)
{
    if (oxv_token_uri_fits(oxv_view_text(uri), oxv_view_text(place->known.uri))) {
        return OXV_EXIT_DONE;
    }
    return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                        "the service answered with another token than %s; by %s/vault.pub it is "
                        "%s: nothing was sent",
                        uri, cli->run, place->known.uri);
}

/* The service will see the key: never in silence, and never where the token can do better. */
static enum oxv_exit
accept_object(const struct oxv_cli *cli, const struct oxv_key_place *place)
{
    if (oxv_cli_flag(cli, "objects-only")) {
        return OXV_EXIT_DONE;
    }
    if (place->known.key_len > 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "the service wants to see the key, but by %s/vault.pub this token "
                            "takes it sealed: nothing was sent. If that is wanted, say "
                            "--objects-only",
                            cli->run);
    }
    oxv_cli_warn("this token cannot take a sealed key, so the service will see the key for a "
                 "moment, on its way into the token (--objects-only accepts that)");
    return OXV_EXIT_DONE;
}

/* The form that the options and the token allow. */
static enum oxv_exit
choose_form(const struct oxv_cli *cli, const char *form, struct oxv_key_place *out)
{
    const char *key_id = oxv_cli_option(cli, "key-id");

    if (key_id != NULL) {
        out->form = OXV_KEY_PRE_PROVISIONED;
        return oxv_token_key_id_read(cli, key_id, out->key_id, &out->key_id_len);
    }
    randombytes_buf(out->key_id, OXV_TOKEN_KEY_ID_BYTES);
    out->key_id_len = OXV_TOKEN_KEY_ID_BYTES;
    if (oxv_cli_flag(cli, "objects-only") || strcmp(form, "token") == 0) {
        out->form = OXV_KEY_TOKEN;
        return accept_object(cli, out);
    }
    if (strcmp(form, "unwrap") != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED,
                            "the service's answer does not say how the token takes keys");
    }
    out->form = OXV_KEY_UNWRAP;
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_key_place_find(struct oxv_cli *cli, struct oxv_key_place *out)
{
    OXV_AUTO(oxv_buffer_done) struct oxv_buffer answer = { 0 };
    const char *uri = oxv_cli_option(cli, "in-token");
    char form[32];
    enum oxv_exit code;

    *out = (struct oxv_key_place){ .form = OXV_KEY_IN_VAULT };
    if (uri == NULL) {
        return OXV_EXIT_DONE;
    }
    code = add_token(cli, uri, &answer);
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    out->token = oxv_door_integer(oxv_buffer_view(&answer), "id", 0);
    if (out->token == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the service's answer has no token");
    }
    oxv_door_text(oxv_buffer_view(&answer), "form", form, sizeof form);
    code = load_line(cli, strcmp(form, "unwrap") == 0, out);
    code = code == OXV_EXIT_DONE ? check_token(cli, uri, out) : code;
    code = code == OXV_EXIT_DONE ? choose_form(cli, form, out) : code;
    if (code == OXV_EXIT_DONE && out->form == OXV_KEY_UNWRAP) {
        code = compare_hash(cli, oxv_buffer_view(&answer), out);
    }
    return code;
}
