#include "service/keeper/sign.h"

#include <sodium.h>

#include "base/text.h"
#include "service/keeper/events.h"
#include "service/keeper/policy.h"
#include "service/keeper/software_mac.h"
#include "service/keeper/token_mac.h"
#include "signer/token_passport.h"

#define PASSPORT_BASE_BYTES 4096u

static const struct oxv_mac_backend *
backend_of(const struct oxv_connection *connection)
{
    return connection->record.key_form == OXV_KEY_IN_VAULT ? &oxv_software_mac : &oxv_token_mac;
}

static struct oxv_view
job_nonce(const struct oxv_sign_job *job)
{
    return oxv_view(job->nonce, sizeof job->nonce);
}

/* The entry of a request that is refused; what of it is known goes in. */
static void
refuse(struct oxv_keeper *k, const struct oxv_request *request, const struct oxv_sign_job *job,
       const struct oxv_policy_answer *why)
{
    const struct oxv_msg_sign *sign = request->fields;
    const struct oxv_caller *caller = oxv_vault_caller_by_uid(k->vault, request->uid);
    bool known = oxv_vault_connection(k->vault, sign->connection) != NULL;
    struct oxv_entry entry = {
        .type = OXV_ENTRY_SIGN,
        .outcome = OXV_OUTCOME_DENIED,
        .uid_plus1 = request->uid + 1,
        .code = oxv_view_text(why->code),
        .caller = caller != NULL ? caller->record.name : oxv_view(NULL, 0),
        .door = oxv_view_text(oxv_door_name(request->door)),
        /* A name that is none would be the caller's free text in the log. */
        .connection = known ? sign->connection : oxv_view(NULL, 0),
    };
    const char *kind = oxv_kind_name(sign->kind);

    entry.kind = kind != NULL ? oxv_view_text(kind) : oxv_view(NULL, 0);
    if (job != NULL && job->url.host_len > 0) {
        entry.method = oxv_method_view(&job->method);
        entry.host = oxv_view(job->url.host, job->url.host_len);
        entry.path = job->url.path;
    }
    oxv_event_denied(k, request->uid + 1, &entry);
    oxv_answer_retry(k, &request->reply, why->code, why->retry_after_s, why->detail);
}

static void
refuse_syntax(struct oxv_keeper *k, const struct oxv_request *request, const char *what,
              const struct oxv_syntax_error *where)
{
    char detail[200];
    struct oxv_policy_answer why = { .code = "unprocessable", .detail = detail };

    if (oxv_format(detail, sizeof detail, "%s: %s (at byte %zu)", what, where->reason,
                   where->offset) != OXV_OK) {
        why.detail = what;
    }
    refuse(k, request, NULL, &why);
}

/* Method and URL into the job; false where they were refused. */
static bool
read_url(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_sign_job *job)
{
    const struct oxv_msg_sign *sign = request->fields;
    struct oxv_syntax_error where = { 0 };

    if (oxv_method_parse(sign->method, &job->method, &where) != OXV_OK) {
        refuse_syntax(k, request, "method", &where);
        return false;
    }
    memcpy(job->url_text, sign->url.data, sign->url.len);
    if (oxv_url_parse(oxv_view(job->url_text, sign->url.len), &job->url, &where) != OXV_OK) {
        job->url.host_len = 0;
        refuse_syntax(k, request, "url", &where);
        return false;
    }
    return true;
}

/* Does the message have just what its kind needs? The frontend checked this for honest peers. */
static bool
is_well_formed(const struct oxv_msg_sign *sign)
{
    if (sign->kind == OXV_KIND_OAUTH1) {
        return sign->method.len > 0 && sign->url.len > 0 && sign->url.len <= OXV_URL_MAX_BYTES &&
               sign->version.len == 0;
    }
    return (sign->kind == OXV_KIND_TOKEN_PASSPORT || sign->kind == OXV_KIND_CONNECT_PASSWORD) &&
           sign->method.len == 0 && sign->url.len == 0 && sign->form.len == 0;
}

static void
make_oauth1_request(const struct oxv_sign_job *job, const struct oxv_connection *connection,
                    struct oxv_view form, struct oxv_oauth1_request *out)
{
    const struct oxv_connection_record *r = &connection->record;

    *out = (struct oxv_oauth1_request){
        .method = oxv_method_view(&job->method),
        .url = &job->url,
        .form = form,
        .realm = r->system == OXV_SYSTEM_NETSUITE ? r->account_id : r->realm,
        .consumer_key = r->consumer_key,
        .token = r->token_id,
        .nonce = job_nonce(job),
        .timestamp = job->timestamp,
        .signature_method = (enum oxv_signature_method)r->signature_method,
    };
}

static void
make_passport(const struct oxv_sign_job *job, const struct oxv_connection *connection,
              struct oxv_token_passport *out)
{
    *out = (struct oxv_token_passport){
        .account = connection->record.account_id,
        .consumer_key = connection->record.consumer_key,
        .token = connection->record.token_id,
        .nonce = job_nonce(job),
        .timestamp = job->timestamp,
    };
}

/* What is to be signed goes to the connection's backend. */
static void
submit(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_sign_job *job,
       const struct oxv_connection *connection)
{
    const struct oxv_msg_sign *sign = request->fields;
    struct oxv_view message;

    if (job->kind == OXV_KIND_OAUTH1) {
        struct oxv_oauth1_request oauth1;
        struct oxv_syntax_error where = { 0 };

        make_oauth1_request(job, connection, sign->form, &oauth1);
        if (oxv_oauth1_prepare(k->work, &oauth1, &message, &where) != OXV_OK) {
            refuse_syntax(k, request, "form", &where);
            oxv_job_give_back(job);
            return;
        }
        backend_of(connection)->submit(k, job, message);
        return;
    }
    uint8_t base[PASSPORT_BASE_BYTES];
    struct oxv_writer w = oxv_writer(base, sizeof base);
    struct oxv_token_passport passport;

    make_passport(job, connection, &passport);
    oxv_token_passport_write_base(&w, &passport);
    if (oxv_writer_finish(&w, &message) != OXV_OK) {
        oxv_bug("a token passport's base string does not fit");
    }
    backend_of(connection)->submit(k, job, message);
}

/* The rules of kinds other than oauth1. */
static const char *
unfit_for_kind(const struct oxv_sign_job *job, const struct oxv_connection *connection)
{
    if (job->kind == OXV_KIND_OAUTH1) {
        return NULL;
    }
    if (connection->record.system != OXV_SYSTEM_NETSUITE) {
        return "this kind of signature exists for NetSuite connections only";
    }
    if (!oxv_token_passport_version_valid(oxv_view_text(job->version))) {
        return "version: a NetSuite SOAP version like 2025_2 is wanted";
    }
    return NULL;
}

static void
fill_job(struct oxv_keeper *k, const struct oxv_request *request,
         const struct oxv_policy_question *question, struct oxv_sign_job *job)
{
    job->frontend_serial = request->reply.generation;
    job->request_id = request->reply.id;
    job->uid = request->uid;
    job->caller_id = question->caller->id;
    job->caller_version = question->caller->version;
    job->connection_id = question->connection->id;
    job->connection_version = question->connection->version;
    job->timestamp = k->now_us / 1000000u;
    oxv_nonce_make(oxv_sign_random, k->jobs, job->nonce);
}

/* All decisions of one request; true where the job is on its way, and no longer ours. */
static bool
decide(struct oxv_keeper *k, const struct oxv_request *request,
       struct oxv_policy_question *question, struct oxv_sign_job *job)
{
    struct oxv_policy_answer answer;

    if (question->kind == OXV_KIND_OAUTH1) {
        if (!read_url(k, request, job)) {
            return false;
        }
        question->url = &job->url;
        question->method = oxv_method_view(&job->method);
        question->form = ((const struct oxv_msg_sign *)request->fields)->form;
    }
    const char *unfit = unfit_for_kind(job, question->connection);

    if (unfit != NULL) {
        answer = (struct oxv_policy_answer){ .code = "unprocessable", .detail = unfit };
        refuse(k, request, job, &answer);
        return false;
    }
    oxv_policy_decide(k, question, &answer);
    if (answer.code != NULL) {
        refuse(k, request, job, &answer);
        return false;
    }
    job->grant_id = answer.grant->id;
    job->grant_version = answer.grant->version;
    fill_job(k, request, question, job);
    submit(k, request, job, question->connection);
    return true;
}

/* NULL where there is none, and it is answered. */
static struct oxv_sign_job *
job_for(struct oxv_keeper *k, const struct oxv_request *request,
        const struct oxv_connection *connection)
{
    struct oxv_job_pool *pool = oxv_sign_pool(k->jobs);

    if (connection->record.key_form != OXV_KEY_IN_VAULT) {
        pool = oxv_token_job_pool(k, connection);
    }
    struct oxv_sign_job *job = pool != NULL ? oxv_job_take(pool) : NULL;

    if (pool == NULL) {
        oxv_answer_retry(k, &request->reply, "token_unavailable", 1,
                         "the token of this connection is not known");
    } else if (job == NULL) {
        oxv_answer_retry(k, &request->reply, "busy", 1, "too many signatures are under way");
    }
    return job;
}

void
oxv_sign_request(struct oxv_keeper *k, const struct oxv_request *request)
{
    const struct oxv_msg_sign *sign = request->fields;
    struct oxv_policy_question question = {
        .caller = oxv_vault_caller_by_uid(k->vault, request->uid),
        .connection = oxv_vault_connection(k->vault, sign->connection),
        .kind = sign->kind,
    };
    struct oxv_policy_answer no_grant = {
        .code = "no_grant",
        .detail = "this caller has no grant for such a connection and kind of signature",
    };

    if (!is_well_formed(sign)) {
        oxv_frontend_break(k, request->reply.frontend, "it sent a malformed sign request");
        return;
    }
    if (question.caller == NULL || question.connection == NULL ||
        !oxv_policy_has_grant(k, &question)) {
        refuse(k, request, NULL, &no_grant);
        return;
    }
    struct oxv_sign_job *job = job_for(k, request, question.connection);

    if (job == NULL) {
        return;
    }
    job->kind = sign->kind;
    job->wants_proof = sign->proof != 0;
    job->url.host_len = 0;
    if (oxv_text_copy(sign->version.len > 0 ? sign->version
                                            : oxv_view_text(OXV_TOKEN_PASSPORT_VERSION),
                      job->version, sizeof job->version) != OXV_OK) {
        job->version[0] = '\0'; /* too long to be one: refused with the others */
    }
    if (!decide(k, request, &question, job)) {
        oxv_job_give_back(job);
    }
}

/* Everything that decided, looked up again: between decision and MAC it may have changed. */
struct decided {
    const struct oxv_caller *caller;
    const struct oxv_connection *connection;
};

static bool
still_stands(struct oxv_keeper *k, const struct oxv_sign_job *job, struct decided *out)
{
    if (!oxv_keeper_is_open(k)) {
        return false;
    }
    const struct oxv_grant *grant = oxv_vault_grant_by_id(k->vault, job->grant_id);

    out->caller = oxv_vault_caller_by_id(k->vault, job->caller_id);
    out->connection = oxv_vault_connection_by_id(k->vault, job->connection_id);
    return out->caller != NULL && out->caller->version == job->caller_version &&
           out->connection != NULL && out->connection->version == job->connection_version &&
           grant != NULL && grant->version == job->grant_version;
}

static void
hash_hex(struct oxv_view bytes, char out[65])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct oxv_writer w = oxv_writer(out, 64);

    if (!oxv_sha256(bytes, hash)) {
        oxv_bug("SHA-256 failed");
    }
    oxv_write_hex(&w, oxv_view(hash, sizeof hash));
    out[64] = '\0';
}

static enum oxv_status
log_signature(struct oxv_keeper *k, const struct oxv_sign_job *job, const struct decided *decided,
              struct oxv_view signature, uint64_t *index)
{
    char sig_hash[65];
    char url_hash[65];
    struct oxv_entry entry = {
        .type = OXV_ENTRY_SIGN,
        .outcome = OXV_OUTCOME_ALLOWED,
        .uid_plus1 = job->uid + 1,
        .ts = job->timestamp,
        .key_version = job->connection_version,
        .grant = job->grant_id,
        .grant_version = job->grant_version,
        .caller = decided->caller->record.name,
        .door = oxv_view_text("sign"),
        .connection = decided->connection->record.name,
        .kind = oxv_view_text(oxv_kind_name(job->kind)),
        .nonce = job_nonce(job),
    };

    hash_hex(signature, sig_hash);
    entry.sig_hash = oxv_view(sig_hash, 64);
    if (job->kind == OXV_KIND_OAUTH1) {
        enum oxv_status st = oxv_vault_url_hash(k->vault, job->url.text, url_hash);

        if (st != OXV_OK) {
            return st;
        }
        entry.url_hash = oxv_view(url_hash, 64);
        entry.method = oxv_method_view(&job->method);
        entry.host = oxv_view(job->url.host, job->url.host_len);
        entry.path = job->url.path;
    }
    return oxv_event(k, &entry, index);
}

/* Not ended: a proof may follow. */
static void
begin_log_place(struct oxv_keeper *k, struct oxv_writer *doc, uint64_t index)
{
    oxv_doc_object(doc, "log");
    oxv_doc_cstring(doc, "origin", oxv_log_origin(k->log));
    oxv_doc_integer(doc, "index", index);
}

static void
write_oauth1(struct oxv_writer *doc, const struct oxv_sign_job *job,
             const struct oxv_connection *connection, struct oxv_view signature)
{
    struct oxv_oauth1_request oauth1;
    uint8_t header[8192];
    struct oxv_writer w = oxv_writer(header, sizeof header);
    struct oxv_view text;

    make_oauth1_request(job, connection, oxv_view(NULL, 0), &oauth1);
    oxv_oauth1_write_header(&w, &oauth1, signature);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        doc->failed = true;
        return;
    }
    oxv_doc_text(doc, "authorization", text);
    oxv_doc_integer(doc, "timestamp", job->timestamp);
    oxv_doc_text(doc, "nonce", job_nonce(job));
}

static void
write_passport(struct oxv_writer *doc, const struct oxv_sign_job *job,
               const struct oxv_connection *connection, struct oxv_view signature)
{
    struct oxv_token_passport passport;
    uint8_t text[8192];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_view view;

    make_passport(job, connection, &passport);
    oxv_doc_text(doc, "account", passport.account);
    oxv_doc_text(doc, "consumer_key", passport.consumer_key);
    oxv_doc_text(doc, "token", passport.token);
    oxv_doc_text(doc, "nonce", passport.nonce);
    oxv_doc_integer(doc, "timestamp", job->timestamp);
    oxv_write_base64(&w, signature);
    if (oxv_writer_finish(&w, &view) != OXV_OK) {
        doc->failed = true;
        return;
    }
    oxv_doc_object(doc, "signature");
    oxv_doc_cstring(doc, "algorithm", "HMAC-SHA256");
    oxv_doc_text(doc, "value", view);
    oxv_doc_end(doc);
    w = oxv_writer(text, sizeof text);
    oxv_token_passport_write_xml(&w, &passport, oxv_view_text(job->version), signature);
    if (oxv_writer_finish(&w, &view) != OXV_OK) {
        doc->failed = true;
        return;
    }
    oxv_doc_text(doc, "xml", view);
}

static void
write_connect(struct oxv_writer *doc, const struct oxv_sign_job *job,
              const struct oxv_connection *connection, struct oxv_view signature)
{
    struct oxv_token_passport passport;
    uint8_t text[4096];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_view view;

    make_passport(job, connection, &passport);
    oxv_connect_password_write(&w, &passport, signature);
    if (oxv_writer_finish(&w, &view) != OXV_OK) {
        doc->failed = true;
        return;
    }
    oxv_doc_cstring(doc, "user", OXV_CONNECT_USER);
    oxv_doc_text(doc, "password", view);
    oxv_wipe(text, sizeof text); /* it opens a session for five minutes */
}

static void
answer_signature(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_sign_job *job,
                 const struct decided *decided, struct oxv_view signature)
{
    uint64_t index = 0;
    size_t proof_max = 0;
    enum oxv_status st = log_signature(k, job, decided, signature, &index);

    if (st == OXV_OK && job->wants_proof) {
        st = oxv_log_want_proof(k->log, &proof_max);
    }
    if (st != OXV_OK) {
        k->counters.failed++;
        oxv_answer_problem(k, to, oxv_log_is_broken(k->log) ? "log_unavailable" : "internal",
                           "the signature could not be logged, or not proved, so it is not given "
                           "out");
        return;
    }
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_doc_object(&doc, NULL);
    if (job->kind == OXV_KIND_OAUTH1) {
        write_oauth1(&doc, job, decided->connection, signature);
    } else if (job->kind == OXV_KIND_TOKEN_PASSPORT) {
        write_passport(&doc, job, decided->connection, signature);
    } else {
        write_connect(&doc, job, decided->connection, signature);
    }
    begin_log_place(k, &doc, index);
    k->counters.signatures++;
    if (job->wants_proof) {
        oxv_answer_with_proof(k, to, &doc, index, proof_max);
        return;
    }
    oxv_doc_end(&doc);
    oxv_doc_end(&doc);
    oxv_answer_doc(k, to, &doc);
}

/* Whom and what it was about, as far as that is still there. */
static void
fill_subject(struct oxv_keeper *k, const struct oxv_sign_job *job, struct oxv_entry *entry)
{
    const struct oxv_caller *caller = oxv_vault_caller_by_id(k->vault, job->caller_id);
    const struct oxv_connection *c = oxv_vault_connection_by_id(k->vault, job->connection_id);

    entry->caller = caller != NULL ? caller->record.name : oxv_view(NULL, 0);
    entry->connection = c != NULL ? c->record.name : oxv_view(NULL, 0);
    if (job->kind == OXV_KIND_OAUTH1) {
        entry->method = oxv_method_view(&job->method);
        entry->host = oxv_view(job->url.host, job->url.host_len);
        entry->path = job->url.path;
    }
}

static const char *
failure_detail(const struct oxv_sign_job *job, const char *code)
{
    if (strcmp(code, "no_grant") == 0) {
        return "what allowed this request was changed before it was signed";
    }
    return job->detail[0] != '\0'
               ? job->detail
               : "the signature could not be made: look at the service's messages";
}

/* A decided request that ends without a signature: one entry that says why. */
static void
fail_job(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_sign_job *job,
         const char *code)
{
    struct oxv_entry entry = {
        .type = OXV_ENTRY_SIGN,
        .outcome = strcmp(code, "no_grant") == 0 ? OXV_OUTCOME_DENIED : OXV_OUTCOME_FAILED,
        .uid_plus1 = job->uid + 1,
        .code = oxv_view_text(code),
        .grant = job->grant_id,
        .door = oxv_view_text("sign"),
        .kind = oxv_view_text(oxv_kind_name(job->kind)),
        .nonce = job_nonce(job),
    };

    if (oxv_keeper_is_open(k)) {
        fill_subject(k, job, &entry);
    }
    k->counters.failed++;
    (void)oxv_event(k, &entry, NULL);
    if (to->frontend != NULL) {
        oxv_answer_retry(k, to, code, job->retry_after_s, failure_detail(job, code));
    }
}

void
oxv_sign_finish(struct oxv_keeper *k, struct oxv_sign_job *job, struct oxv_view signature,
                const char *problem)
{
    struct oxv_reply to = { .frontend = oxv_frontend_by_serial(k, job->frontend_serial),
                            .generation = job->frontend_serial,
                            .id = job->request_id };
    struct decided decided = { 0 };

    if (problem != NULL) {
        fail_job(k, &to, job, problem);
    } else if (!still_stands(k, job, &decided)) {
        fail_job(k, &to, job, "no_grant");
    } else if (to.frontend == NULL) {
        fail_job(k, &to, job, "busy"); /* nobody is there to take it: not released */
    } else {
        answer_signature(k, &to, job, &decided, signature);
    }
    oxv_job_give_back(job);
}
