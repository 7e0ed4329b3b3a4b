/* What status, GET tokens and the metrics say of tokens. */
#include "base/text.h"
#include "base/token_names.h"
#include "service/keeper/admin.h"
#include "service/keeper/tokens.h"

static void
write_state(const struct oxv_helper *h, struct oxv_writer *doc)
{
    struct oxv_err err = { 0 };
    char ckr[OXV_CKR_NAME_MAX_BYTES];

    oxv_doc_cstring(doc, "state", oxv_token_word(h));
    if (h->trouble != OXV_TOKEN_FINE) {
        (void)oxv_token_fail_now(h, &err);
    }
    oxv_doc_cstring(doc, "detail", h->trouble != OXV_TOKEN_FINE ? err.text : "");
    if (h->ckr != 0) {
        oxv_doc_cstring(doc, "ckr", oxv_ckr_name(h->ckr, ckr));
    }
    oxv_doc_cstring(doc, "pin", oxv_token_pin_word(h));
}

static void
write_row(const struct oxv_keeper *k, const struct oxv_helper *h, struct oxv_writer *doc)
{
    const struct oxv_token *t =
        h->row_id != 0 && oxv_keeper_is_open(k) ? oxv_vault_token_by_id(k->vault, h->row_id) : NULL;

    if (t == NULL) {
        return;
    }
    bool has_pair = t->record.public_key.len > 0;

    oxv_doc_cstring(doc, "form", oxv_key_form_name(has_pair ? OXV_KEY_UNWRAP : OXV_KEY_TOKEN));
    if (has_pair) {
        oxv_doc_cstring(doc, "oaep", oxv_token_oaep_name(t->record.oaep));
    }
    oxv_doc_integer(doc, "connections", oxv_vault_connections_in_token(k->vault, t->id));
    oxv_doc_time(doc, "created", t->record.created_us);
}

static void
write_one(const struct oxv_keeper *k, const struct oxv_helper *h, struct oxv_writer *doc,
          bool is_short)
{
    oxv_doc_object(doc, NULL);
    if (h->row_id != 0) {
        oxv_doc_integer(doc, "id", h->row_id);
    }
    if (h->seal_id != 0) {
        oxv_doc_integer(doc, "seal_id", h->seal_id);
    }
    oxv_doc_cstring(doc, "uri", h->uri);
    oxv_doc_cstring(doc, "label", h->label);
    write_state(h, doc);
    if (!is_short) {
        oxv_doc_cstring(doc, "module", h->module);
        oxv_doc_bool(doc, "logged_in", h->is_logged_in);
        oxv_doc_bool(doc, "pin_pad", h->has_pin_pad);
        write_row(k, h, doc);
        oxv_doc_integer(doc, "in_flight", h->jobs.used);
        oxv_doc_integer(doc, "signatures", h->signatures);
        oxv_doc_integer(doc, "failures", h->failures);
        oxv_doc_integer(doc, "restarts", h->restarts);
        oxv_doc_time(doc, "since", h->since_us);
    }
    oxv_doc_end(doc);
}

/* Named by a seal or a row; while sealed only those that were asked for something. */
static bool
is_shown(const struct oxv_helper *h)
{
    return h != NULL && (h->row_id != 0 || h->seal_id != 0) && h->was_tried;
}

void
oxv_token_docs_write(const struct oxv_keeper *k, struct oxv_writer *doc, bool is_short)
{
    oxv_doc_list(doc, "tokens");
    for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
        if (is_shown(k->tokens->items[i])) {
            write_one(k, k->tokens->items[i], doc, is_short);
        }
    }
    oxv_doc_end(doc);
}

static void
write_label(struct oxv_writer *w, const char *label)
{
    for (const char *p = label; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            oxv_write_text(w, "\\");
        }
        oxv_write_view(w, oxv_view(p, 1));
    }
}

static uint64_t
metric_up(const struct oxv_helper *h)
{
    return h->phase == OXV_HELPER_READY && !h->is_open_circuit ? 1 : 0;
}

static uint64_t
metric_signatures(const struct oxv_helper *h)
{
    return h->signatures;
}

static uint64_t
metric_failures(const struct oxv_helper *h)
{
    return h->failures;
}

static uint64_t
metric_restarts(const struct oxv_helper *h)
{
    return h->restarts;
}

static uint64_t
metric_in_flight(const struct oxv_helper *h)
{
    return h->jobs.used;
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct oxv_helper *h);
} metrics[] = {
    { "oxvault_token_up", "gauge", "1 while the token signs.", metric_up },
    { "oxvault_token_signatures_total", "counter", "Signatures made in the token.",
      metric_signatures },
    { "oxvault_token_failures_total", "counter", "Requests that the token did not sign.",
      metric_failures },
    { "oxvault_token_restarts_total", "counter", "Times that its helper process ended.",
      metric_restarts },
    { "oxvault_token_in_flight", "gauge", "Signatures under way in the token.", metric_in_flight },
};

/* Two tokens may have one label: the row tells them apart. */
static void
write_sample(struct oxv_writer *w, const char *name, const struct oxv_helper *h, uint64_t value)
{
    oxv_write_text(w, name);
    oxv_write_text(w, "{token=\"");
    write_label(w, h->label);
    oxv_write_text(w, "\",id=\"");
    oxv_write_decimal(w, h->row_id);
    oxv_write_text(w, "\"} ");
    oxv_write_decimal(w, value);
    oxv_write_text(w, "\n");
}

void
oxv_token_metrics_write(const struct oxv_keeper *k, struct oxv_writer *w)
{
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        bool is_begun = false;

        for (size_t i = 0; i < OXV_HELPERS_MAX; i++) {
            const struct oxv_helper *h = k->tokens->items[i];

            if (!is_shown(h)) {
                continue;
            }
            if (!is_begun) {
                oxv_write_text(w, "# HELP ");
                oxv_write_text(w, metrics[m].name);
                oxv_write_text(w, " ");
                oxv_write_text(w, metrics[m].help);
                oxv_write_text(w, "\n# TYPE ");
                oxv_write_text(w, metrics[m].name);
                oxv_write_text(w, " ");
                oxv_write_text(w, metrics[m].type);
                oxv_write_text(w, "\n");
                is_begun = true;
            }
            write_sample(w, metrics[m].name, h, metrics[m].value(h));
        }
    }
}
