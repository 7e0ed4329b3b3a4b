#include "cli/connection_box.h"

#include "cli/command.h"
#include "cli/rsa_pem.h"
#include "vault/k0.h"

void
oxv_connection_held_done(struct oxv_connection_held *held)
{
    oxv_secrets_done(&held->pair);
    oxv_secret_freep(&held->rsa);
    oxv_secret_freep(&held->encoded);
    oxv_secret_freep(&held->room);
    oxv_secret_freep(&held->key_room);
    oxv_secret_freep(&held->parts_room);
}

enum oxv_exit
oxv_connection_read_pair(const struct oxv_cli *cli, const struct oxv_connection_draft *draft,
                         struct oxv_connection_held *held)
{
    const struct oxv_secrets_context context = {
        .consumer_key = draft->record.consumer_key,
        .token_id = draft->record.token_id,
        .netsuite = draft->record.system == OXV_SYSTEM_NETSUITE,
    };
    enum oxv_exit code = oxv_secrets_read(cli, &held->pair);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (context.netsuite && oxv_secret_len(held->pair.token) == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "the token secret is missing");
    }
    return oxv_secrets_check(cli, &held->pair, &context);
}

enum oxv_exit
oxv_connection_read_secrets(const struct oxv_cli *cli, const struct oxv_connection_draft *draft,
                            struct oxv_connection_held *held)
{
    const char *pem = oxv_cli_option(cli, "private-key-file");

    if (oxv_signature_method_is_rsa((enum oxv_signature_method)draft->record.signature_method)) {
        if (pem == NULL) {
            return oxv_cli_usage(cli, "the RSA methods need --private-key-file");
        }
        return oxv_rsa_pem_read(cli, pem, &held->rsa);
    }
    if (pem != NULL) {
        return oxv_cli_usage(cli, "--private-key-file goes with the RSA methods only");
    }
    return oxv_connection_read_pair(cli, draft, held);
}

enum oxv_exit
oxv_connection_fill(const struct oxv_cli *cli, const struct oxv_connection_draft *draft,
                    const struct oxv_key_place *place, struct oxv_connection_held *held,
                    struct oxv_box_connection *payload)
{
    struct oxv_err err = { 0 };

    held->encoded = oxv_secret_new(OXV_BOX_MAX_BYTES);
    held->room = oxv_secret_new(OXV_CONNECTION_ROOM_BYTES);
    held->key_room = oxv_secret_new(OXV_K0_ROOM_BYTES);
    held->parts_room = oxv_secret_new(OXV_KEY_PARTS_ROOM_BYTES);
    if (held->encoded == NULL || held->room == NULL || held->key_room == NULL ||
        held->parts_room == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no locked memory left");
    }
    const struct oxv_connection_keys keys = { .consumer = held->pair.consumer,
                                              .token = held->pair.token,
                                              .rsa = held->rsa,
                                              .keep = oxv_cli_flag(cli, "keep-secrets"),
                                              .place = place,
                                              .room = held->room,
                                              .key_room = held->key_room,
                                              .parts_room = held->parts_room };
    struct oxv_writer w =
        oxv_writer(oxv_secret_bytes(held->encoded), oxv_secret_len(held->encoded));
    enum oxv_status st = oxv_connection_encode(draft, &keys, &w, &err);

    if (st == OXV_OK) {
        st = oxv_fields_decode(oxv_view(w.data, w.len), &oxv_box_connection_shape, payload, &err);
    }
    return st == OXV_OK ? OXV_EXIT_DONE : oxv_cli_err(cli, &err);
}

void
oxv_connection_warn_kept(const struct oxv_cli *cli, const struct oxv_key_place *place)
{
    if (place->form != OXV_KEY_IN_VAULT && oxv_cli_flag(cli, "keep-secrets")) {
        oxv_cli_warn("with --keep-secrets the two secrets are in the vault too, so the token does "
                     "not protect them");
    }
}

const char *
oxv_key_place_words(const struct oxv_key_place *place)
{
    switch (place->form) {
    case OXV_KEY_UNWRAP:
        return place->known.oaep == OXV_TOKEN_OAEP_SHA1
                   ? "in the token: sealed to it before it left this command (with RSA-OAEP and "
                     "SHA-1, because the token knows no other)"
                   : "in the token: sealed to it before it left this command";
    case OXV_KEY_TOKEN:
        return "in the token, as an object of it";
    case OXV_KEY_PRE_PROVISIONED:
        return "the one that was in the token already";
    default:
        return "in the vault";
    }
}
