#include "cli/token_seal.h"

#include <string.h>

#include "base/text.h"
#include "base/token_names.h"
#include "cli/command.h"
#include "cli/token_uri.h"

static const char *const own_options[] = { "module", "generate",        "key-id",     "mechanism",
                                           "gcm-iv", "allow-oaep-sha1", "allow-pkcs1" };

bool
oxv_token_seal_is_asked(const struct oxv_cli *cli)
{
    for (size_t i = 0; i < sizeof own_options / sizeof own_options[0]; i++) {
        if (oxv_cli_flag(cli, own_options[i])) {
            return true;
        }
    }
    return false;
}

enum oxv_exit
oxv_token_module_check(const struct oxv_cli *cli, const char *module)
{
    size_t len = strlen(module);

    if (len == 0 || len > OXV_TOKEN_MODULE_MAX_BYTES ||
        (module[0] != '/' && strchr(module, '/') != NULL) ||
        !oxv_is_printable_utf8(oxv_view_text(module))) {
        return oxv_cli_usage(cli,
                             "--module is the absolute path of a PKCS#11 module, or its name in "
                             "p11-kit's configuration, not: %s",
                             module);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_token_key_id_read(const struct oxv_cli *cli, const char *hex,
                      uint8_t out[OXV_TOKEN_KEY_ID_MAX_BYTES], size_t *len)
{
    size_t chars = strlen(hex);

    if (chars == 0 || chars % 2 != 0 || chars / 2 > OXV_TOKEN_KEY_ID_MAX_BYTES ||
        !oxv_parse_hex(oxv_view_text(hex), out, chars / 2)) {
        return oxv_cli_usage(cli, "--key-id is a CKA_ID in hex, 1 to %u bytes, not: %s",
                             OXV_TOKEN_KEY_ID_MAX_BYTES, hex);
    }
    *len = chars / 2;
    return OXV_EXIT_DONE;
}

static enum oxv_exit
read_mechanism(const struct oxv_cli *cli, struct oxv_token_seal *out)
{
    out->mechanism_name = oxv_cli_option(cli, "mechanism");
    out->gcm_iv_name = oxv_cli_option(cli, "gcm-iv");
    if (out->mechanism_name != NULL &&
        !oxv_token_mechanism_parse(oxv_view_text(out->mechanism_name), &out->mechanism)) {
        return oxv_cli_usage(cli,
                             "--mechanism is aes-gcm, aes-kwp, rsa-oaep-sha256, aes-kwp-wrap, "
                             "ecdh, rsa-oaep-sha1 or rsa-pkcs1, not: %s",
                             out->mechanism_name);
    }
    if (out->gcm_iv_name != NULL &&
        !oxv_token_gcm_iv_parse(oxv_view_text(out->gcm_iv_name), &out->gcm_iv)) {
        return oxv_cli_usage(cli, "--gcm-iv is host, hsm-writeback or hsm-appended, not: %s",
                             out->gcm_iv_name);
    }
    if (out->gcm_iv_name != NULL && out->mechanism != 0 && out->mechanism != OXV_TOKEN_AES_GCM) {
        return oxv_cli_usage(cli, "--gcm-iv goes with --mechanism aes-gcm");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_token_seal_read(const struct oxv_cli *cli, const char *uri, struct oxv_token_seal *out)
{
    enum oxv_exit code = oxv_token_uri_check(cli, uri);

    *out = (struct oxv_token_seal){
        .uri = uri,
        .module = oxv_cli_option(cli, "module"),
        .key_id_hex = oxv_cli_option(cli, "key-id"),
        .generate = oxv_cli_flag(cli, "generate"),
        .allow_oaep_sha1 = oxv_cli_flag(cli, "allow-oaep-sha1"),
        .allow_pkcs1 = oxv_cli_flag(cli, "allow-pkcs1"),
    };
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (out->module == NULL) {
        return oxv_cli_usage(cli, "a seal in a token needs --module: the PKCS#11 module of the "
                                  "token, such as /usr/lib/softhsm/libsofthsm2.so");
    }
    if (out->generate && out->key_id_hex != NULL) {
        return oxv_cli_usage(cli, "--generate makes a key with an id of its own, --key-id names "
                                  "one that is there: use one of them");
    }
    code = oxv_token_module_check(cli, out->module);
    if (code == OXV_EXIT_DONE && out->key_id_hex != NULL) {
        code = oxv_token_key_id_read(cli, out->key_id_hex, out->key_id, &out->key_id_len);
    }
    return code == OXV_EXIT_DONE ? read_mechanism(cli, out) : code;
}
