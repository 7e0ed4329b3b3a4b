#include <stdio.h>

#include "service/keeper/admin.h"
#include "service/keeper/challenges.h"
#include "service/keeper/events.h"
#include "service/keeper/publish.h"
#include "service/keeper/state.h"
#include "service/keeper/token_seal.h"

void
oxv_admin_challenge(struct oxv_keeper *k, const struct oxv_request *request)
{
    uint8_t challenge[OXV_CHALLENGE_BYTES];
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_challenge_make(k, request->uid, challenge);
    oxv_doc_object(&doc, NULL);
    oxv_doc_base64(&doc, "challenge", oxv_view(challenge, sizeof challenge));
    oxv_doc_hex(&doc, "vault_id", oxv_view(oxv_vault_id(k->vault), OXV_ID_BYTES));
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

static void
answer_state(struct oxv_keeper *k, const struct oxv_request *request, const char *state)
{
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "state", state);
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

static enum oxv_status
unseal_by_box(struct oxv_keeper *k, const struct oxv_request *request,
              const struct oxv_opened_box *box, struct oxv_err *err)
{
    struct oxv_box_unseal fields = { 0 };
    struct oxv_entry entry = { .uid_plus1 = request->uid + 1,
                               .door = oxv_view_text(oxv_door_name(request->door)) };
    enum oxv_status st = oxv_fields_decode(box->head.payload, &oxv_box_unseal_shape, &fields, err);

    if (st != OXV_OK) {
        return st;
    }
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *material = oxv_secret_copy(fields.material);

    if (material == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
    }
    struct oxv_seal_input input = oxv_seal_input_of((enum oxv_seal_kind)fields.seal_kind, material);

    st = oxv_state_unseal(k, &input, fields.seal_id, &entry, err);
    if (st != OXV_OK) {
        oxv_state_note_failure(k, &entry, st);
    }
    return st;
}

static bool
is_by_token(const struct oxv_opened_box *box)
{
    struct oxv_box_unseal fields = { 0 };

    return oxv_fields_decode(box->head.payload, &oxv_box_unseal_shape, &fields, NULL) == OXV_OK &&
           fields.seal_kind == OXV_SEAL_TOKEN;
}

/* The tokens that unwrap are told while the vault is open. */
static void
publish(struct oxv_keeper *k)
{
    struct oxv_err err = { 0 };

    if (oxv_keeper_publish(k, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: %s\n", err.text);
    }
}

void
oxv_admin_unseal(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_keeper_is_open(k)) {
        answer_state(k, request, "open");
        return;
    }
    if (k->has_to_stop_answering) {
        /* After a failed sync this process may read pages from the cache that no disk has. */
        oxv_answer_problem(k, &request->reply, "log_unavailable",
                           "the access log could not be written: mend the disk and restart "
                           "oxvaultd");
        return;
    }
    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_UNSEAL, &box, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_VAULT_UNSEAL, &err);
        return;
    }
    if (is_by_token(&box)) {
        oxv_admin_unseal_by_token(k, request, &box);
        return;
    }
    enum oxv_status st = unseal_by_box(k, request, &box, &err);

    if (st == OXV_E_LOCKED || st == OXV_E_FORMAT) {
        oxv_answer_error(k, &request->reply, &err);
        return;
    }
    if (st != OXV_OK) { /* nothing that another passphrase would mend */
        oxv_answer_problem(k, &request->reply, "internal", "%s", err.text);
        return;
    }
    oxv_state_tell(k, OXV_MSG_STATE);
    publish(k);
    answer_state(k, request, "open");
}

void
oxv_admin_lock(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_entry entry = { .type = OXV_ENTRY_VAULT_LOCK,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .uid_plus1 = request->uid + 1,
                               .door = oxv_view_text(oxv_door_name(request->door)) };
    struct oxv_err err = { 0 };

    oxv_tokens_lock(k); /* what waits for tokens ends, and says so before the vault is sealed */
    (void)oxv_event(k, &entry, NULL);
    answer_state(k, request, "sealed");
    oxv_answers_release(k); /* what was signed this turn goes out with its entries, then the keys */
    oxv_state_lock(k);
    if (oxv_log_pending_open(k->dir_fd, &k->pending, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: log/pending: %s\n", err.text);
    }
    oxv_state_tell(k, OXV_MSG_STATE);
    publish(k);
}
