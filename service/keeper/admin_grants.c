#include "base/text.h"
#include "service/keeper/admin.h"
#include "signer/method.h"

#define RATE_MAX          1000000u
#define METHODS_MAX_BYTES 1024u

/* "1000/s", "60/m", "5/h". */
static enum oxv_status
parse_rate(struct oxv_view text, struct oxv_grant_record *record, struct oxv_err *err)
{
    if (text.len == 0) {
        return OXV_OK;
    }
    struct oxv_view digits = oxv_view(text.data, text.len > 2 ? text.len - 2 : 0);
    struct oxv_view unit = oxv_view_from(text, digits.len);

    if (!oxv_parse_decimal(digits, RATE_MAX, &record->rate_count) || record->rate_count == 0) {
        record->rate_count = 0;
    } else if (oxv_view_is(unit, "/s")) {
        record->rate_period_s = 1;
    } else if (oxv_view_is(unit, "/m")) {
        record->rate_period_s = 60;
    } else if (oxv_view_is(unit, "/h")) {
        record->rate_period_s = 3600;
    }
    if (record->rate_count == 0 || record->rate_period_s == 0) {
        return oxv_fail(err, OXV_E_USAGE, "rate: N/s, N/m or N/h is wanted, N from 1 to %u",
                        RATE_MAX);
    }
    return OXV_OK;
}

static enum oxv_status
parse_time(struct oxv_view text, const char *name, uint64_t *out, struct oxv_err *err)
{
    if (text.len > 0 && !oxv_parse_timestamp(text, out)) {
        return oxv_fail(err, OXV_E_USAGE,
                        "%s: a date or a time like 2026-12-31T23:59:59Z is wanted", name);
    }
    return OXV_OK;
}

static enum oxv_status
parse_kinds(struct oxv_view list, uint64_t *kinds, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view name;

    while (oxv_list_next(&r, &name)) {
        uint64_t kind = oxv_kind_parse(name);

        if (kind == 0) {
            return oxv_fail(err, OXV_E_USAGE,
                            "kinds: oauth1, token-passport and connect-password are known");
        }
        *kinds |= kind;
    }
    return *kinds != 0 ? OXV_OK : oxv_fail(err, OXV_E_USAGE, "kinds: at least one is wanted");
}

/* Upper-cases into `w`, which backs the record's list. */
static enum oxv_status
parse_methods(struct oxv_view list, struct oxv_writer *w, struct oxv_view *out, struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_view text;

    while (oxv_list_next(&r, &text)) {
        struct oxv_method method;
        struct oxv_syntax_error where = { 0 };

        if (oxv_method_parse(text, &method, &where) != OXV_OK) {
            return oxv_fail(err, OXV_E_USAGE, "methods: %s", where.reason);
        }
        oxv_list_add(w, oxv_method_view(&method));
    }
    return oxv_writer_finish(w, out) == OXV_OK ? OXV_OK
                                               : oxv_fail(err, OXV_E_LIMIT, "methods: too many");
}

static enum oxv_status
find_pair(struct oxv_keeper *k, const struct oxv_msg_grant_add *msg,
          struct oxv_grant_record *record, struct oxv_err *err)
{
    const struct oxv_caller *caller = oxv_vault_caller(k->vault, msg->caller);
    const struct oxv_connection *connection = oxv_vault_connection(k->vault, msg->connection);

    if (caller == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no caller of that name");
    }
    if (connection == NULL) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "there is no connection of that name");
    }
    record->caller_id = caller->id;
    record->connection_id = connection->id;
    return OXV_OK;
}

static enum oxv_status
make_record(struct oxv_keeper *k, const struct oxv_msg_grant_add *msg, struct oxv_writer *methods,
            struct oxv_grant_record *record, struct oxv_err *err)
{
    enum oxv_status st = find_pair(k, msg, record, err);

    st = st != OXV_OK ? st : parse_kinds(msg->kinds, &record->kinds, err);
    st = st != OXV_OK ? st : parse_methods(msg->methods, methods, &record->methods, err);
    st = st != OXV_OK ? st : parse_rate(msg->rate, record, err);
    st = st != OXV_OK ? st : parse_time(msg->not_before, "not_before", &record->not_before_us, err);
    st = st != OXV_OK ? st : parse_time(msg->not_after, "not_after", &record->not_after_us, err);
    record->paths = msg->paths;
    record->query = msg->query;
    record->created_us = k->now_us;
    if (st == OXV_OK && (record->kinds & OXV_KIND_OAUTH1) != 0 && record->paths.len == 0) {
        return oxv_fail(err, OXV_E_USAGE,
                        "paths: kind oauth1 needs at least one, such as /services/**");
    }
    return st != OXV_OK ? st : oxv_grant_check(record, err);
}

void
oxv_admin_grant_add(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_grant_add *msg = request->fields;
    uint8_t methods[METHODS_MAX_BYTES];
    struct oxv_writer w = oxv_writer(methods, sizeof methods);
    struct oxv_grant_record record = { 0 };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };
    uint64_t id = 0;

    if (make_record(k, msg, &w, &record, &err) != OXV_OK) {
        oxv_admin_refuse(k, request, OXV_ENTRY_GRANT_ADD, &err);
        return;
    }
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_put(c.change, OXV_TABLE_GRANT, &id, &record, NULL, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_GRANT_ADD, &err);
        return;
    }
    struct oxv_entry entry = { .type = OXV_ENTRY_GRANT_ADD,
                               .caller = msg->caller,
                               .connection = msg->connection,
                               .grant = id };

    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, id, oxv_view(NULL, 0));
    }
}

void
oxv_admin_grant_remove(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_id *msg = request->fields;
    const struct oxv_grant *grant = oxv_vault_grant_by_id(k->vault, msg->id);
    struct oxv_entry entry = { .type = OXV_ENTRY_GRANT_REMOVE, .grant = msg->id };
    struct oxv_admin_change c;
    struct oxv_err err = { 0 };

    if (grant == NULL) {
        oxv_answer_problem(k, &request->reply, "not_found", "there is no grant of that id");
        return;
    }
    const struct oxv_caller *caller = oxv_vault_caller_by_id(k->vault, grant->record.caller_id);
    const struct oxv_connection *connection =
        oxv_vault_connection_by_id(k->vault, grant->record.connection_id);

    if (caller == NULL || connection == NULL) {
        oxv_bug("a grant without its caller or connection");
    }
    entry.caller = caller->record.name;
    entry.connection = connection->record.name;
    if (!oxv_admin_change_begin(&c, k, request)) {
        return;
    }
    if (oxv_change_remove(c.change, OXV_TABLE_GRANT, msg->id, &err) != OXV_OK) {
        oxv_admin_change_refuse(&c, OXV_ENTRY_GRANT_REMOVE, &err);
        return;
    }
    if (oxv_admin_change_finish(&c, &entry, 1)) {
        oxv_admin_answer_id(k, request, msg->id, oxv_view(NULL, 0));
    }
}

static void
write_rate(struct oxv_writer *doc, const struct oxv_grant_record *r)
{
    char text[32] = "";

    if (r->rate_count != 0 &&
        oxv_format(text, sizeof text, "%llu/%s", (unsigned long long)r->rate_count,
                   r->rate_period_s == 1    ? "s"
                   : r->rate_period_s == 60 ? "m"
                                            : "h") != OXV_OK) {
        oxv_bug("a rate does not fit");
    }
    oxv_doc_cstring(doc, "rate", text);
}

static void
write_query(struct oxv_writer *doc, struct oxv_view query)
{
    struct oxv_reader r = oxv_reader(query);
    struct oxv_view name;
    struct oxv_view value;

    oxv_doc_list(doc, "query");
    while (oxv_list_next(&r, &name) && oxv_list_next(&r, &value)) {
        oxv_doc_list(doc, NULL);
        oxv_doc_text(doc, NULL, name);
        oxv_doc_text(doc, NULL, value);
        oxv_doc_end(doc);
    }
    oxv_doc_end(doc);
}

static void
write_grant(struct oxv_keeper *k, struct oxv_writer *doc, const struct oxv_grant *grant)
{
    const struct oxv_grant_record *r = &grant->record;
    const struct oxv_caller *caller = oxv_vault_caller_by_id(k->vault, r->caller_id);
    const struct oxv_connection *connection =
        oxv_vault_connection_by_id(k->vault, r->connection_id);

    if (caller == NULL || connection == NULL) {
        oxv_bug("a grant without its caller or connection");
    }
    oxv_doc_object(doc, NULL);
    oxv_doc_integer(doc, "id", grant->id);
    oxv_doc_integer(doc, "version", grant->version);
    oxv_doc_text(doc, "caller", caller->record.name);
    oxv_doc_text(doc, "connection", connection->record.name);
    oxv_doc_kinds(doc, "kinds", r->kinds);
    oxv_doc_texts(doc, "methods", r->methods);
    oxv_doc_texts(doc, "paths", r->paths);
    write_query(doc, r->query);
    write_rate(doc, r);
    oxv_doc_time(doc, "not_before", r->not_before_us);
    oxv_doc_time(doc, "not_after", r->not_after_us);
    oxv_doc_time(doc, "created", r->created_us);
    oxv_doc_end(doc);
}

/* Ids of the names in the filter; 0: any, UINT64_MAX: a name that is none, so nothing matches. */
struct grant_filter {
    uint64_t caller_id;
    uint64_t connection_id;
};

static struct grant_filter
read_filter(struct oxv_keeper *k, const struct oxv_msg_grants *msg)
{
    struct grant_filter filter = { 0 };

    if (msg->caller.len > 0) {
        const struct oxv_caller *caller = oxv_vault_caller(k->vault, msg->caller);

        filter.caller_id = caller != NULL ? caller->id : UINT64_MAX;
    }
    if (msg->connection.len > 0) {
        const struct oxv_connection *c = oxv_vault_connection(k->vault, msg->connection);

        filter.connection_id = c != NULL ? c->id : UINT64_MAX;
    }
    return filter;
}

/* A filter that matches nothing does not walk all grants in one turn. */
#define ROWS_LOOKED_AT_MAX 2000u

static bool
passes(const struct grant_filter *filter, const struct oxv_grant *grant)
{
    return (filter->caller_id == 0 || filter->caller_id == grant->record.caller_id) &&
           (filter->connection_id == 0 || filter->connection_id == grant->record.connection_id);
}

void
oxv_admin_grants(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_grants *msg = request->fields;
    struct grant_filter filter = read_filter(k, msg);
    struct oxv_writer doc = oxv_answer_begin(k);
    struct oxv_grant *g = oxv_vault_next_grant(k->vault, msg->after);
    uint64_t written = 0;
    uint64_t last = 0;

    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "grants");
    for (size_t seen = 0;
         g != NULL && seen < ROWS_LOOKED_AT_MAX && oxv_page_has_room(&doc, written, msg->limit);
         seen++) {
        if (passes(&filter, g)) {
            write_grant(k, &doc, g);
            written++;
        }
        last = g->id;
        g = oxv_vault_next_grant(k->vault, last);
    }
    oxv_doc_end(&doc);
    if (g != NULL && last != 0) {
        oxv_doc_integer(&doc, "next", last);
    }
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}
