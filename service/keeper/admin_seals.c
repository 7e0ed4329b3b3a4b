#include "base/token_names.h"
#include "service/keeper/admin.h"
#include "service/keeper/challenges.h"
#include "service/keeper/token_seal.h"

void
oxv_admin_seals(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_seal *seals;
    size_t count = oxv_vault_seals(k->vault, &seals);
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "seals");
    for (size_t i = 0; i < count; i++) {
        const struct oxv_seal_record *r = &seals[i].record;

        oxv_doc_object(&doc, NULL);
        oxv_doc_integer(&doc, "id", seals[i].id);
        oxv_doc_integer(&doc, "version", seals[i].version);
        oxv_doc_cstring(&doc, "kind", oxv_seal_kind_name(r->kind));
        oxv_doc_time(&doc, "created", r->created_us);
        if (r->kind == OXV_SEAL_PASSPHRASE) {
            oxv_doc_integer(&doc, "kdf_ops", r->kdf_ops);
            oxv_doc_integer(&doc, "kdf_memory_bytes", r->kdf_memory_bytes);
            oxv_doc_base64(&doc, "kdf_salt", r->kdf_salt);
        }
        if (r->kind == OXV_SEAL_TOKEN) {
            oxv_doc_text(&doc, "token_uri", r->token_uri);
            oxv_doc_text(&doc, "module", r->module);
            oxv_doc_cstring(&doc, "mechanism", oxv_token_mechanism_name(r->mechanism));
        }
        oxv_doc_end(&doc);
    }
    oxv_doc_end(&doc);
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

/* Both materials of the box, as secrets that the vault takes. */
struct seal_materials {
    struct oxv_secret *existing;
    struct oxv_secret *added;
};

static void
materials_done(struct seal_materials *m)
{
    oxv_secret_freep(&m->existing);
    oxv_secret_freep(&m->added);
}

void
oxv_admin_seal_store(struct oxv_keeper *k, const struct oxv_request *request,
                     const struct oxv_seal_input *existing, const struct oxv_seal_input *added,
                     const struct oxv_seal_record *record)
{
    struct oxv_entry entry = { .type = OXV_ENTRY_SEAL_ADD,
                               .reason = oxv_view_text(oxv_seal_kind_name(record->kind)) };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_add_seal(c.change, existing, added, record, &id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_SEAL_ADD, &err);
        return;
    }
    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_tokens_adopt(k);
        oxv_admin_answer_id(k, request, id, oxv_view(NULL, 0));
    }
}

struct oxv_seal_record
oxv_seal_record_of(const struct oxv_keeper *k, const struct oxv_box_seal_add *box)
{
    return (struct oxv_seal_record){ .kind = box->kind,
                                     .created_us = k->now_us,
                                     .kdf_ops = box->kdf_ops,
                                     .kdf_memory_bytes = box->kdf_memory_bytes,
                                     .kdf_salt = box->kdf_salt };
}

static void
add_seal(struct oxv_keeper *k, const struct oxv_request *request,
         const struct oxv_box_seal_add *box)
{
    OXV_AUTO(materials_done)
    struct seal_materials m = {
        .existing = oxv_secret_copy(box->existing_material),
        .added = oxv_secret_copy(box->material),
    };
    struct oxv_seal_record record = oxv_seal_record_of(k, box);
    struct oxv_err err = { 0 };

    if (m.existing == NULL || m.added == NULL) {
        (void)oxv_fail(&err, OXV_E_MEMORY, "no locked memory left");
        oxv_admin_refuse(k, request, OXV_ENTRY_SEAL_ADD, &err);
        return;
    }
    struct oxv_seal_input existing =
        oxv_seal_input_of((enum oxv_seal_kind)box->existing_kind, m.existing);
    struct oxv_seal_input added = oxv_seal_input_of((enum oxv_seal_kind)box->kind, m.added);

    oxv_admin_seal_store(k, request, &existing, &added, &record);
}

void
oxv_admin_seal_add(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_box *msg = request->fields;
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box box = { 0 };
    struct oxv_box_seal_add fields = { 0 };
    struct oxv_err err = { 0 };

    if (oxv_challenge_open_box(k, request, msg->box, OXV_BOX_SEAL_ADD, &box, &err) != OXV_OK ||
        oxv_fields_decode(box.head.payload, &oxv_box_seal_add_shape, &fields, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_SEAL_ADD, &err);
    } else if (fields.kind == OXV_SEAL_TOKEN || fields.existing_kind == OXV_SEAL_TOKEN) {
        oxv_admin_seal_add_by_token(k, request, &box);
    } else {
        add_seal(k, request, &fields);
    }
}

void
oxv_admin_seal_remove(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_id *msg = request->fields;
    struct oxv_entry entry = { .type = OXV_ENTRY_SEAL_REMOVE };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_remove(c.change, OXV_TABLE_SEAL, msg->id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_SEAL_REMOVE, &err);
        return;
    }
    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_tokens_adopt(k);
        oxv_admin_answer_id(k, request, msg->id, oxv_view(NULL, 0));
    }
}
