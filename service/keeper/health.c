#include "service/keeper/health.h"

#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/admin.h"
#include "service/keeper/tokens.h"

#define METRICS_MAX_BYTES 40960u /* five samples for each of OXV_HELPERS_MAX tokens */

static void
write_seals(const struct oxv_keeper *k, struct oxv_writer *doc)
{
    const struct oxv_seal *seals;
    size_t count = k->vault != NULL ? oxv_vault_seals(k->vault, &seals) : 0;

    oxv_doc_list(doc, "seals");
    for (size_t i = 0; i < count; i++) {
        const struct oxv_seal_record *r = &seals[i].record;

        oxv_doc_object(doc, NULL);
        oxv_doc_integer(doc, "id", seals[i].id);
        oxv_doc_cstring(doc, "kind", oxv_seal_kind_name(r->kind));
        if (r->kind == OXV_SEAL_PASSPHRASE) {
            oxv_doc_integer(doc, "kdf_ops", r->kdf_ops);
            oxv_doc_integer(doc, "kdf_memory_bytes", r->kdf_memory_bytes);
            oxv_doc_base64(doc, "kdf_salt", r->kdf_salt);
        }
        if (r->kind == OXV_SEAL_TOKEN) { /* whose PIN is wanted */
            oxv_doc_text(doc, "token_uri", r->token_uri);
        }
        oxv_doc_end(doc);
    }
    oxv_doc_end(doc);
}

/* Those that sign for connections. */
static bool
are_tokens_well(const struct oxv_keeper *k)
{
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        const struct oxv_helper *h = k->tokens->items[i];

        if (h != NULL && h->row_id != 0 && strcmp(oxv_token_word(h), "ready") != 0 &&
            strcmp(oxv_token_word(h), "starting") != 0) {
            return false;
        }
    }
    return true;
}

static const char *
health_detail(const struct oxv_keeper *k)
{
    if (!oxv_keeper_is_open(k)) {
        return "the vault is sealed: an operator must run `oxvault unseal`";
    }
    if (k->has_to_stop_answering) {
        return "the access log cannot be written, so nothing is signed: mend the disk and restart "
               "oxvaultd";
    }
    if (k->clock_steps > 0) {
        return "the wall clock jumped since the start: see clock.step in the log, and the time "
               "service";
    }
    return are_tokens_well(k) ? "signing"
                              : "signing, but not for connections whose token is in trouble: see "
                                "`oxvault token list`";
}

static const char *
state_word(const struct oxv_keeper *k)
{
    if (!oxv_keeper_is_open(k)) {
        return "sealed";
    }
    return k->has_to_stop_answering ? "failed" : "open";
}

void
oxv_health_write(const struct oxv_keeper *k, struct oxv_writer *doc)
{
    oxv_doc_object(doc, NULL);
    oxv_doc_cstring(doc, "state", state_word(k));
    oxv_doc_cstring(doc, "detail", health_detail(k));
    oxv_doc_cstring(doc, "version", OXV_VERSION);
    oxv_doc_cstring(doc, "clock", k->clock_steps > 0 ? "stepped" : "steady");
    if (k->vault != NULL && !oxv_keeper_is_open(k)) {
        oxv_doc_hex(doc, "vault_id", oxv_view(oxv_vault_id(k->vault), OXV_ID_BYTES));
        write_seals(k, doc);
    }
    oxv_doc_end(doc);
}

void
oxv_health_request(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_writer doc = oxv_answer_begin(k);

    oxv_health_write(k, &doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

static void
write_warnings(const struct oxv_keeper *k, struct oxv_writer *doc)
{
    const struct oxv_seal *seals;

    oxv_doc_list(doc, "warnings");
    if (oxv_vault_seals(k->vault, &seals) == 1) {
        oxv_doc_cstring(doc, NULL,
                        "the vault has one seal only: if it is lost, so is the vault; run `oxvault "
                        "seal add`");
    }
    if (k->options.source_beside_vault) {
        oxv_doc_cstring(doc, NULL,
                        "what opens the vault lies on the vault's own disk: who steals it has "
                        "both; see SECURITY.md");
    }
    if (k->options.single_uid) {
        oxv_doc_cstring(doc, NULL,
                        "all processes share one user: another process of that user is not kept "
                        "out; see SECURITY.md");
    }
    if (k->options.userns_allowed) {
        oxv_doc_cstring(doc, NULL, "the service runs in a user namespace: uids are not the host's");
    }
    if (k->options.memory_unlocked) {
        oxv_doc_cstring(doc, NULL, "memory for keys may be swapped out (--allow-unlocked-memory)");
    }
    if (!oxv_sandbox_is_complete(&k->sandbox)) {
        oxv_doc_cstring(doc, NULL, k->sandbox.detail);
    }
    if (oxv_keeper_is_open(k) && !oxv_vault_is_machine_bound(k->vault)) {
        oxv_doc_cstring(doc, NULL,
                        "the vault is bound to no machine (no machine-id when it was made): a copy "
                        "of it starts anywhere");
    }
    oxv_doc_end(doc);
}

static void
write_sandbox(const struct oxv_keeper *k, struct oxv_writer *doc)
{
    oxv_doc_object(doc, "sandbox");
    oxv_doc_bool(doc, "no_new_privs", k->sandbox.no_new_privs);
    oxv_doc_bool(doc, "not_dumpable", k->sandbox.not_dumpable);
    oxv_doc_bool(doc, "seccomp", k->sandbox.seccomp);
    oxv_doc_bool(doc, "landlock", k->sandbox.landlock);
    oxv_doc_end(doc);
}

/* What is known of the open vault only. */
static void
write_contents(const struct oxv_keeper *k, struct oxv_writer *doc)
{
    uint8_t root[32];

    oxv_log_root(k->log, root);
    oxv_doc_integer(doc, "change_counter", oxv_vault_counter(k->vault));
    oxv_doc_integer(doc, "connections", oxv_vault_count(k->vault, OXV_TABLE_CONNECTION));
    oxv_doc_integer(doc, "callers", oxv_vault_count(k->vault, OXV_TABLE_CALLER));
    oxv_doc_integer(doc, "grants", oxv_vault_count(k->vault, OXV_TABLE_GRANT));
    oxv_doc_integer(doc, "admins", oxv_vault_count(k->vault, OXV_TABLE_ADMIN));
    oxv_doc_bool(doc, "machine_bound", oxv_vault_is_machine_bound(k->vault));
    oxv_doc_object(doc, "log");
    oxv_doc_cstring(doc, "origin", oxv_log_origin(k->log));
    oxv_doc_integer(doc, "size", oxv_log_size(k->log));
    oxv_doc_integer(doc, "commits", oxv_log_commits(k->log));
    oxv_doc_integer(doc, "segment_bytes", oxv_log_segment_bytes(k->log));
    oxv_doc_base64(doc, "root", oxv_view(root, sizeof root));
    oxv_doc_bool(doc, "writable", !oxv_log_is_broken(k->log));
    oxv_doc_end(doc);
}

void
oxv_status_request(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_writer doc = oxv_answer_begin(k);
    const struct oxv_node_record *node = oxv_vault_node(k->vault);

    oxv_doc_object(&doc, NULL);
    oxv_doc_cstring(&doc, "state", state_word(k));
    oxv_doc_cstring(&doc, "detail", health_detail(k));
    oxv_doc_cstring(&doc, "version", OXV_VERSION);
    oxv_doc_hex(&doc, "vault_id", node->vault_id);
    oxv_doc_hex(&doc, "node_id", node->node_id);
    oxv_doc_text(&doc, "origin", node->origin);
    oxv_doc_integer(&doc, "pid", (uint64_t)getpid());
    oxv_doc_integer(&doc, "uptime_s", (k->now_boot_us - k->started_us) / 1000000u);
    oxv_doc_cstring(&doc, "secret_memory", oxv_secret_memory_name(oxv_secret_memory_used()));
    oxv_doc_cstring(&doc, "clock", k->clock_steps > 0 ? "stepped" : "steady");
    oxv_doc_cstring(&doc, "users", k->options.single_uid ? "none" : "roles");
    write_seals(k, &doc);
    oxv_token_docs_write(k, &doc, true);
    write_warnings(k, &doc);
    write_sandbox(k, &doc);
    if (oxv_keeper_is_open(k)) {
        write_contents(k, &doc);
    }
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}

static void
write_metric(struct oxv_writer *w, const char *name, const char *type, const char *help,
             uint64_t value)
{
    oxv_write_text(w, "# HELP ");
    oxv_write_text(w, name);
    oxv_write_text(w, " ");
    oxv_write_text(w, help);
    oxv_write_text(w, "\n# TYPE ");
    oxv_write_text(w, name);
    oxv_write_text(w, " ");
    oxv_write_text(w, type);
    oxv_write_text(w, "\n");
    oxv_write_text(w, name);
    oxv_write_text(w, " ");
    oxv_write_decimal(w, value);
    oxv_write_text(w, "\n");
}

static void
write_metrics(const struct oxv_keeper *k, struct oxv_writer *w)
{
    const struct oxv_counters *c = &k->counters;
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } metrics[] = {
        { "oxvault_open", "gauge", "1 while the vault is open.", oxv_keeper_is_open(k) ? 1 : 0 },
        { "oxvault_signatures_total", "counter", "Signatures given out.", c->signatures },
        { "oxvault_denied_total", "counter", "Requests refused.", c->denied },
        { "oxvault_failed_total", "counter", "Requests that failed after they were allowed.",
          c->failed },
        { "oxvault_requests_total", "counter", "Requests that reached the keeper.", c->requests },
        { "oxvault_datagrams_in_total", "counter", "Datagrams from frontends.", c->datagrams_in },
        { "oxvault_datagrams_out_total", "counter", "Datagrams to frontends.", c->datagrams_out },
        { "oxvault_log_commits_total", "counter", "Log commits, one sync each, since the start.",
          c->commits },
        { "oxvault_log_entries", "gauge", "Committed entries of the log.",
          k->log != NULL ? oxv_log_size(k->log) : 0 },
        { "oxvault_log_writable", "gauge", "0 after a failed write or sync.",
          k->log != NULL && !oxv_log_is_broken(k->log) ? 1 : 0 },
        { "oxvault_peers_total", "counter", "Peers that were served.", c->peers },
        { "oxvault_peers_refused_total", "counter", "Peers without rights, or beyond their share.",
          c->peers_refused },
        { "oxvault_frontends_started_total", "counter", "Frontends started.",
          c->frontends_started },
        { "oxvault_frontends_lost_total", "counter", "Frontends that ended or were closed.",
          c->frontends_lost },
        { "oxvault_clock_steps_total", "counter", "Jumps of the wall clock.", k->clock_steps },
        { "oxvault_connections", "gauge", "Connections in the vault.",
          oxv_keeper_is_open(k) ? oxv_vault_count(k->vault, OXV_TABLE_CONNECTION) : 0 },
        { "oxvault_start_time_seconds", "gauge", "Wall clock at the start.",
          (k->now_us - (k->now_boot_us - k->started_us)) / 1000000u },
    };

    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        write_metric(w, metrics[i].name, metrics[i].type, metrics[i].help, metrics[i].value);
    }
}

void
oxv_metrics_request(struct oxv_keeper *k, const struct oxv_request *request)
{
    uint8_t buffer[METRICS_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;
    struct oxv_writer doc = oxv_answer_begin(k);

    write_metrics(k, &w);
    oxv_token_metrics_write(k, &w);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_bug("the metrics do not fit");
    }
    oxv_doc_object(&doc, NULL);
    oxv_doc_text(&doc, "text", text);
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}
