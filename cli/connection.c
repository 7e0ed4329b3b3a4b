#include "cli/connection.h"

#include "base/io.h"
#include "base/text.h"
#include "cli/key_place.h"
#include "signer/netsuite.h"
#include "signer/url.h"
#include "vault/k0.h"

static enum oxv_status
fill_method(const struct oxv_connection_fields *fields, struct oxv_connection_record *record,
            struct oxv_err *err)
{
    enum oxv_signature_method method = OXV_HMAC_SHA256;
    struct oxv_syntax_error where = { 0 };

    if (fields->signature_method.len > 0 &&
        oxv_signature_method_parse(fields->signature_method, &method, &where) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "signature_method: %s", where.reason);
    }
    record->signature_method = method;
    return OXV_OK;
}

static enum oxv_status
fill_netsuite(const struct oxv_connection_fields *fields, struct oxv_connection_draft *draft,
              struct oxv_writer *origins, struct oxv_err *err)
{
    struct oxv_account account;
    struct oxv_syntax_error where = { 0 };

    if (fields->account_id.len == 0) {
        return oxv_fail(err, OXV_E_USAGE,
                        "account_id: missing (Setup > Company > Company "
                        "Information in NetSuite)");
    }
    if (oxv_account_parse(fields->account_id, &account, &where) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "account_id: %s (at byte %zu)", where.reason,
                        where.offset);
    }
    if (fields->token_id.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "token_id: missing");
    }
    if (oxv_text_copy(oxv_view_text(account.realm), draft->account, sizeof draft->account) !=
        OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "account_id: too long");
    }
    draft->record.account_id = oxv_view_text(draft->account);
    for (size_t i = 0; i < OXV_ACCOUNT_ORIGINS; i++) {
        uint8_t buffer[OXV_ACCOUNT_ORIGIN_MAX_BYTES];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

        oxv_account_write_origin(&w, &account, i);
        oxv_list_add(origins, oxv_view(w.data, w.len));
    }
    return OXV_OK;
}

/* The further origins, each in normal form. */
static enum oxv_status
add_origins(struct oxv_view list, struct oxv_writer *origins, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view text;

    while (oxv_list_next(&r, &text)) {
        uint8_t buffer[OXV_URL_ORIGIN_MAX_BYTES];
        struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
        struct oxv_syntax_error where = { 0 };

        if (oxv_origin_normalise(text, &w, &where) != OXV_OK) {
            return oxv_fail(err, OXV_E_USAGE, "origin: %s (at byte %zu)", where.reason,
                            where.offset);
        }
        oxv_list_add(origins, oxv_view(w.data, w.len));
    }
    return OXV_OK;
}

enum oxv_status
oxv_connection_draft(const struct oxv_connection_fields *fields, struct oxv_connection_draft *draft,
                     struct oxv_err *err)
{
    struct oxv_writer origins = oxv_writer(draft->origins, sizeof draft->origins);
    enum oxv_status st;

    draft->record = (struct oxv_connection_record){
        .system = oxv_system_parse(fields->system),
        .created_us = oxv_clock_wall_us(),
        .name = fields->name,
        .consumer_key = fields->consumer_key,
        .token_id = fields->token_id,
        .role_id = fields->role_id,
        .application_id = fields->application_id,
        .realm = fields->realm,
    };
    if (draft->record.system == 0) {
        return oxv_fail(err, OXV_E_USAGE, "system: netsuite or oauth1 is wanted");
    }
    if (fields->consumer_key.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "consumer_key: missing");
    }
    st = fill_method(fields, &draft->record, err);
    if (st == OXV_OK && draft->record.system == OXV_SYSTEM_NETSUITE) {
        st = fill_netsuite(fields, draft, &origins, err);
    } else if (st == OXV_OK) {
        draft->record.account_id = fields->account_id;
    }
    st = st == OXV_OK ? add_origins(fields->origins, &origins, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    if (oxv_writer_finish(&origins, &draft->record.origins) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "origin: too many");
    }
    if (draft->record.origins.len == 0) {
        return oxv_fail(err, OXV_E_USAGE, "origin: at least one is needed, https://host[:port]");
    }
    return oxv_connection_check(&draft->record, err);
}

static enum oxv_status
make_key(const struct oxv_connection_draft *draft, const struct oxv_connection_keys *keys,
         struct oxv_view *out, struct oxv_err *err)
{
    enum oxv_signature_method method = (enum oxv_signature_method)draft->record.signature_method;

    if (oxv_signature_method_is_rsa(method) != (keys->rsa != NULL)) {
        return oxv_fail(err, OXV_E_USAGE, "%s",
                        keys->rsa == NULL ? "this signature method needs a private key, not secrets"
                                          : "a private key goes with the RSA methods only");
    }
    if (keys->rsa != NULL) {
        *out = oxv_secret_view(keys->rsa);
        return OXV_OK;
    }
    enum oxv_status st = oxv_k0_make_in(method, keys->consumer, keys->token, keys->key_room, out);

    return st == OXV_OK ? OXV_OK : oxv_k0_fail(st, err);
}

/* K0 stays as it is for the vault; for a token it becomes what that takes. */
static enum oxv_status
place_key(const struct oxv_connection_keys *keys, struct oxv_connection_record *record,
          struct oxv_key_parts *parts, struct oxv_err *err)
{
    const struct oxv_key_place *place = keys->place;

    if (place == NULL || (place->form == OXV_KEY_IN_VAULT && place->old_key_id_len == 0)) {
        return OXV_OK;
    }
    record->key_form = place->form;
    record->key_token = place->token;
    record->key_id = oxv_view(place->key_id, place->key_id_len);
    enum oxv_status st = oxv_connection_check(record, err);

    return st == OXV_OK ? oxv_key_place_parts(place, record->signature_method, parts->key,
                                              keys->parts_room, parts, err)
                        : st;
}

enum oxv_status
oxv_connection_encode(const struct oxv_connection_draft *draft,
                      const struct oxv_connection_keys *keys, struct oxv_writer *w,
                      struct oxv_err *err)
{
    static uint8_t record[OXV_RECORD_MAX_BYTES]; /* public; the command is one thread */
    struct oxv_writer record_w = oxv_writer(record, sizeof record);
    struct oxv_connection_record public = draft->record;
    struct oxv_key_parts parts = { .key = oxv_view(NULL, 0) };
    enum oxv_status st = make_key(draft, keys, &parts.key, err);

    st = st == OXV_OK ? place_key(keys, &public, &parts, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    struct oxv_connection_secret secret = { .key = parts.key, .check_value = parts.check_value };

    if (keys->keep && keys->rsa == NULL) {
        secret.consumer_secret = oxv_secret_view(keys->consumer);
        secret.token_secret = oxv_secret_view(keys->token);
    }
    st = oxv_connection_check(&public, err);
    st = st == OXV_OK ? oxv_connection_secret_check(&public, &secret, err) : st;
    st = st == OXV_OK ? oxv_record_encode(&record_w, &oxv_connection_shape, &public, err) : st;
    if (st != OXV_OK) {
        return st;
    }
    struct oxv_writer secret_w =
        oxv_writer(oxv_secret_bytes(keys->room), oxv_secret_len(keys->room));

    st = oxv_record_encode(&secret_w, &oxv_connection_secret_shape, &secret, err);
    if (st != OXV_OK) {
        return st;
    }
    const struct oxv_box_connection box = { .record = oxv_view(record_w.data, record_w.len),
                                            .secret = oxv_view(secret_w.data, secret_w.len),
                                            .old_check = parts.old_check,
                                            .new_secrets =
                                                keys->place != NULL && keys->place->new_secrets };

    oxv_fields_encode(w, &oxv_box_connection_shape, &box);
    return w->failed ? oxv_fail(err, OXV_E_LIMIT, "the connection is too long") : OXV_OK;
}
