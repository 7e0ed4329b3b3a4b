#include "service/keeper/admin.h"

#define OVERFLOW_UID 65534u

void
oxv_admin_callers(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_page *page = request->fields;
    struct oxv_writer doc = oxv_answer_begin(k);
    struct oxv_caller *c = oxv_vault_next_caller(k->vault, page->after);
    uint64_t written = 0;
    uint64_t last = 0;

    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "callers");
    for (; c != NULL && oxv_page_has_room(&doc, written, page->limit); written++) {
        oxv_doc_object(&doc, NULL);
        oxv_doc_integer(&doc, "id", c->id);
        oxv_doc_integer(&doc, "version", c->version);
        oxv_doc_text(&doc, "name", c->record.name);
        oxv_doc_integer(&doc, "uid", c->record.uid_plus1 - 1);
        oxv_doc_bool(&doc, "disabled", c->record.disabled != 0);
        oxv_doc_time(&doc, "created", c->record.created_us);
        oxv_doc_end(&doc);
        last = c->id;
        c = oxv_vault_next_caller(k->vault, last);
    }
    oxv_doc_end(&doc);
    if (c != NULL) {
        oxv_doc_integer(&doc, "next", last);
    }
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

/* The kernel says the overflow uid for every user it has no mapping for: it names nobody. */
static bool
uid_is_usable(uint64_t uid, struct oxv_err *err)
{
    if (uid == OVERFLOW_UID || uid >= UINT32_MAX) {
        (void)oxv_fail(err, OXV_E_USAGE, "uid %llu names nobody: it cannot have rights",
                       (unsigned long long)uid);
        return false;
    }
    return true;
}

void
oxv_admin_caller_add(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_caller_add *msg = request->fields;
    struct oxv_caller_record record = { .uid_plus1 = msg->uid + 1,
                                        .created_us = k->now_us,
                                        .name = msg->name };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    if (!oxv_name_is_valid(msg->name)) {
        (void)oxv_fail(&err, OXV_E_USAGE,
                       "name: letters, digits, dot, dash and underscore, %u at most",
                       OXV_NAME_MAX_BYTES);
        oxv_admin_refuse(k, request, OXV_ENTRY_CALLER_ADD, &err);
        return;
    }
    if (!uid_is_usable(msg->uid, &err)) {
        oxv_admin_refuse(k, request, OXV_ENTRY_CALLER_ADD, &err);
        return;
    }
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_put(c.change, OXV_TABLE_CALLER, &id, &record, NULL, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_CALLER_ADD, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_CALLER_ADD, .caller = msg->name };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, msg->name);
    }
}

static struct oxv_caller *
find_or_answer(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_name *msg = request->fields;
    struct oxv_caller *caller = oxv_vault_caller(k->vault, msg->name);

    if (caller == NULL) {
        oxv_answer_problem(k, &request->reply, "not_found", "there is no caller of that name");
    }
    return caller;
}

static void
set_disabled(struct oxv_keeper *k, const struct oxv_request *request, bool disabled)
{
    const struct oxv_msg_name *msg = request->fields;
    uint64_t type = disabled ? OXV_ENTRY_CALLER_DISABLE : OXV_ENTRY_CALLER_ENABLE;
    const struct oxv_caller *caller = find_or_answer(k, request);
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (caller == NULL || !oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    struct oxv_caller_record record = caller->record;
    uint64_t id = caller->id;

    record.disabled = disabled ? 1 : 0;
    if (oxv_change_put(c.change, OXV_TABLE_CALLER, &id, &record, NULL, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, type, &err);
        return;
    }
    struct oxv_entry entry = { .type = type, .caller = msg->name };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, msg->name);
    }
}

void
oxv_admin_caller_disable(struct oxv_keeper *k, const struct oxv_request *request)
{
    set_disabled(k, request, true);
}

void
oxv_admin_caller_enable(struct oxv_keeper *k, const struct oxv_request *request)
{
    set_disabled(k, request, false);
}

void
oxv_admin_caller_remove(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_name *msg = request->fields;
    const struct oxv_caller *caller = find_or_answer(k, request);
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (caller == NULL || !oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    uint64_t id = caller->id;

    if (oxv_change_remove(c.change, OXV_TABLE_CALLER, id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_CALLER_REMOVE, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_CALLER_REMOVE, .caller = msg->name };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, msg->name);
    }
}

void
oxv_admin_admins(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "admins");
    for (struct oxv_admin *a = oxv_vault_next_admin(k->vault, 0); a != NULL;
         a = oxv_vault_next_admin(k->vault, a->id)) {
        oxv_doc_object(&doc, NULL);
        oxv_doc_integer(&doc, "id", a->id);
        oxv_doc_integer(&doc, "uid", a->record.uid_plus1 - 1);
        oxv_doc_time(&doc, "created", a->record.created_us);
        oxv_doc_end(&doc);
    }
    oxv_doc_end(&doc);
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

/* More would not fit the answer, and nobody needs them. */
#define ADMINS_MAX 256u

void
oxv_admin_admin_add(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_uid *msg = request->fields;
    struct oxv_admin_record record = { .uid_plus1 = msg->uid + 1, .created_us = k->now_us };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    if (!uid_is_usable(msg->uid, &err)) {
        oxv_admin_refuse(k, request, OXV_ENTRY_ADMIN_ADD, &err);
        return;
    }
    if (oxv_vault_count(k->vault, OXV_TABLE_ADMIN) >= ADMINS_MAX) {
        (void)oxv_fail(&err, OXV_E_LIMIT, "there are %u admins already", ADMINS_MAX);
        oxv_admin_refuse(k, request, OXV_ENTRY_ADMIN_ADD, &err);
        return;
    }
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_put(c.change, OXV_TABLE_ADMIN, &id, &record, NULL, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_ADMIN_ADD, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_ADMIN_ADD };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, oxv_view(NULL, 0));
    }
}

void
oxv_admin_admin_remove(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_uid *msg = request->fields;
    const struct oxv_admin *admin = oxv_vault_admin_by_uid(k->vault, msg->uid);
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (admin == NULL) {
        oxv_answer_problem(k, &request->reply, "not_found", "that uid is no admin");
        return;
    }
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    uint64_t id = admin->id;

    if (oxv_change_remove(c.change, OXV_TABLE_ADMIN, id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_ADMIN_REMOVE, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_ADMIN_REMOVE };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, oxv_view(NULL, 0));
    }
}
