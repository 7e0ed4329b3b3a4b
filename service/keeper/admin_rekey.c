/* `oxvault rekey`: all that vault/rekey.h says, in its order. */
#include <stdio.h>

#include "service/keeper/admin.h"
#include "service/keeper/challenges.h"
#include "service/keeper/tokens.h"
#include "vault/rekey.h"

/* The candidates that open a seal; their materials are owned. */
struct kept {
    struct oxv_rekey_seal seals[OXV_SEALS_MAX];
    struct oxv_seal_input inputs[OXV_SEALS_MAX];
    struct oxv_secret *materials[OXV_SEALS_MAX];
    size_t count;
    uint64_t last_given; /* the candidates of one given secret follow each other */
    bool last_opens;
};

static void
kept_done(struct kept *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        oxv_secret_freep(&kept->materials[i]);
    }
}

static bool
is_kept(const struct kept *kept, uint64_t id)
{
    for (size_t i = 0; i < kept->count; i++) {
        if (kept->seals[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Keeps the candidate where it opens its seal; where it does not, another of the same secret may.
 */
static enum oxv_status
take_candidate(struct oxv_keeper *k, const struct oxv_box_rekey_seal *candidate, struct kept *kept,
               struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *material = oxv_secret_copy(candidate->material);
    size_t at = kept->count;

    if (material == NULL || at == OXV_SEALS_MAX) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
    }
    struct oxv_seal_input input =
        oxv_seal_input_of((enum oxv_seal_kind)candidate->seal_kind, material);
    enum oxv_status st = oxv_vault_check_seal(k->vault, &input, candidate->seal_id, err);

    if (st == OXV_E_LOCKED) {
        return OXV_OK;
    }
    if (st == OXV_OK) {
        kept->last_opens = true;
    }
    if (st == OXV_OK && !is_kept(kept, candidate->seal_id)) {
        kept->inputs[at] = input;
        kept->materials[at] = oxv_secret_take(&material);
        kept->seals[at] =
            (struct oxv_rekey_seal){ .id = candidate->seal_id, .input = &kept->inputs[at] };
        kept->count++;
    }
    return st;
}

static enum oxv_status
fail_given(uint64_t given, struct oxv_err *err)
{
    return oxv_fail(err, OXV_E_LOCKED, "what was given as number %llu opens no seal of this vault",
                    (unsigned long long)given);
}

/* A secret that opens nothing is a mistake: the seal that was meant would go. */
static enum oxv_status
take_all(struct oxv_keeper *k, struct oxv_view list, struct kept *kept, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view item;
    enum oxv_status st = OXV_OK;

    while (st == OXV_OK && oxv_list_next(&r, &item)) {
        struct oxv_box_rekey_seal candidate = { 0 };

        st = oxv_fields_decode(item, &oxv_box_rekey_seal_shape, &candidate, err);
        if (st == OXV_OK && candidate.given != kept->last_given) {
            if (kept->last_given != 0 && !kept->last_opens) {
                return fail_given(kept->last_given, err);
            }
            kept->last_given = candidate.given;
            kept->last_opens = false;
        }
        st = st == OXV_OK ? take_candidate(k, &candidate, kept, err) : st;
    }
    return st == OXV_OK && !kept->last_opens ? fail_given(kept->last_given, err) : st;
}

/* The log's key goes over to the new root key. Where that fails the next start does it. */
static bool
end_epoch(struct oxv_keeper *k)
{
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_log_rotate(k->log, oxv_vault_log_wrap_key(k->vault), &err);

    st = st == OXV_OK ? oxv_rekey_forget(k->dir_fd, &err) : st;
    if (st != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: the rekey ends at the next start: %s\n", err.text);
        k->has_to_end = true;
        return false;
    }
    oxv_vault_wipe_log_wrap_key(k->vault);
    return true;
}

static void
answer(struct oxv_keeper *k, const struct oxv_request *request, size_t removed)
{
    const struct oxv_seal *seals;
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_integer(&doc, "generation", oxv_vault_node(k->vault)->root_generation);
    oxv_doc_integer(&doc, "seals", oxv_vault_seals(k->vault, &seals));
    oxv_doc_integer(&doc, "removed", removed);
    oxv_doc_end(&doc);
    oxv_answer_doc(k, &request->reply, &doc);
}

static void
rekey(struct oxv_keeper *k, const struct oxv_request *request, const struct kept *kept,
      bool drop_others)
{
    struct oxv_entry entry = { .type = OXV_ENTRY_VAULT_REKEY };
    const struct oxv_rekey how = { .kept = kept->seals,
                                   .kept_count = kept->count,
                                   .drop_others = drop_others,
                                   .machine_id = oxv_view_text(k->machine_id),
                                   .dir_fd = k->dir_fd };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    const struct oxv_seal *seals;
    size_t before = oxv_vault_seals(k->vault, &seals);

    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_rekey(c.change, &how, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_VAULT_REKEY, &err);
        return;
    }
    if (!oxv_admin_change_finish(&c, &entry, 1) || !end_epoch(k)) {
        return;
    }
    oxv_tokens_adopt(k);
    answer(k, request, before - kept->count);
}

void
oxv_admin_rekey(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    OXV_AUTO(kept_done) struct kept kept = { 0 };
    struct oxv_box_rekey fields = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_REKEY, &box, &err) != OXV_OK ||
        oxv_fields_decode(box.head.payload, &oxv_box_rekey_shape, &fields, &err) != OXV_OK ||
        take_all(k, fields.seals, &kept, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_VAULT_REKEY, &err);
        return;
    }
    rekey(k, request, &kept, fields.drop_others != 0);
}
