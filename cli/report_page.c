#include "cli/report_page.h"

#include <string.h>

#include "base/io.h"
#include "base/shown.h"

#define ROWS_MAX 25u

/* Colours by what the reader's system wants; on paper always the light ones. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" "
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>Access log report</title>\n<style>\n"
    ":root{--ground:#f7f7f5;--card:#fff;--text:#1c2024;--soft:#5f6770;--line:#dfe2e5;"
    "--ok:#2f6fb3;--no:#d98a1f;--bad:#c23b3b;--good:#2c7a4b}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--ground:#15181c;--card:#1d2126;"
    "--text:#e6e8ea;--soft:#9aa3ac;--line:#333a42;--ok:#6aa9e9;--no:#e6a94e;--bad:#ec7070;"
    "--good:#63c08a}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:70rem;background:var(--ground);"
    "color:var(--text);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.7rem;margin:0}h2{font-size:1.15rem;margin:2.5rem 0 .6rem}\n"
    "p,figure{margin:.4rem 0}figcaption,.soft,th{color:var(--soft);font-weight:500}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;"
    "margin-top:1.25rem}\n"
    ".card,.panel{background:var(--card);border:1px solid var(--line);border-radius:10px;"
    "padding:.8rem 1rem}\n"
    ".card b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}\n"
    ".verdict{border-left:6px solid var(--no)}.verdict.good{border-left-color:var(--good)}"
    ".verdict.bad{border-left-color:var(--bad)}.verdict h2{margin:0}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:0 "
    "1.5rem}\n"
    "section{overflow-x:auto;min-width:0}table{width:100%;border-collapse:collapse;font-size:."
    "92rem}\n"
    "th,td{text-align:left;padding:.28rem .5rem;border-bottom:1px solid var(--line);"
    "vertical-align:top;overflow-wrap:anywhere}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "td.t{white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "pre{margin:.6rem 0 0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem}\n"
    "svg.chart{width:100%;height:auto;display:block}svg.bar{width:7rem;height:.7rem}\n"
    "svg text{fill:var(--soft);font:11px system-ui,sans-serif}.axis{stroke:var(--line);fill:none}\n"
    ".ok{fill:var(--ok)}.no{fill:var(--no)}.bad{fill:var(--bad)}"
    "td.denied{color:var(--no)}td.failed{color:var(--bad)}\n"
    "@media print{body{padding:0;font-size:11pt;max-width:none;background:none}"
    ".card,.panel,figure,tr{break-inside:avoid}h2{break-after:avoid}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n"
    "</style>\n</head>\n<body>\n";

static void
print_char(FILE *out, uint8_t c)
{
    switch (c) {
    case '<':
        (void)fputs("&lt;", out);
        break;
    case '>':
        (void)fputs("&gt;", out);
        break;
    case '&':
        (void)fputs("&amp;", out);
        break;
    case '"':
        (void)fputs("&quot;", out);
        break;
    case '\'':
        (void)fputs("&#39;", out);
        break;
    default:
        (void)fputc(c, out);
        break;
    }
}

static void
print_shown(FILE *out, struct oxv_view text)
{
    while (text.len > 0) {
        uint32_t c;
        size_t len;
        bool is_char = oxv_utf8_first(text, &c, &len);

        if (!is_char || oxv_char_is_hidden(c)) {
            (void)fprintf(out, is_char ? "\\u{%02X}" : "\\x{%02X}", (unsigned)c);
        } else if (c < 0x80) {
            print_char(out, (uint8_t)c);
        } else {
            (void)fwrite(text.data, 1, len, out);
        }
        text = oxv_view_from(text, len);
    }
}

void
oxv_page_text(FILE *out, const char *text)
{
    print_shown(out, oxv_view_text(text));
}

void
oxv_page_value(FILE *out, struct oxv_view value)
{
    while (value.len > 0) {
        size_t len = oxv_view_find(value, '\\');
        struct oxv_view escaped = oxv_view_slice(value, len + 1, 1); /* a quote or a backslash */

        print_shown(out, oxv_view_slice(value, 0, len));
        print_shown(out, escaped);
        value = oxv_view_from(value, len + 2);
    }
}

void
oxv_page_number(FILE *out, uint64_t number)
{
    char digits[24];
    size_t len;

    if (oxv_format(digits, sizeof digits, "%llu", (unsigned long long)number) != OXV_OK) {
        oxv_bug("a number that is too long");
    }
    len = strlen(digits);
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            (void)fputc(',', out);
        }
        (void)fputc(digits[i], out);
    }
}

void
oxv_page_time(FILE *out, uint64_t time_us)
{
    char text[OXV_TIMESTAMP_BYTES];

    oxv_format_timestamp(time_us, text);
    (void)fprintf(out, "%.10s %.8s", text, text + 11);
}

static void
print_card(FILE *out, const char *figure, uint64_t number, const char *what)
{
    (void)fprintf(out, "<div class=\"card\"><b data-figure=\"%s\">", figure);
    oxv_page_number(out, number);
    (void)fprintf(out, "</b><span class=\"soft\">%s</span></div>\n", what);
}

static void
print_cards(FILE *out, const struct oxv_report *r)
{
    (void)fputs("<div class=\"cards\">\n", out);
    print_card(out, "entries", r->entries, "entries");
    print_card(out, "signatures", r->signatures.allowed, "signatures");
    print_card(out, "denied", r->refusals.denied, "refusals");
    print_card(out, "failed", r->refusals.failed, "failures");
    print_card(out, "changes", r->changes.count, "changes by admins");
    print_card(out, "readings", r->readings, "readings of the log");
    print_card(out, "gaps", r->gap_count, "times without the service");
    print_card(out, "clocks", r->clocks.count, "steps of the clock");
    print_card(out, "missing", r->missing, "entries missing");
    (void)fputs("</div>\n", out);
}

static void
print_verdict(FILE *out, const struct oxv_report_verdict *v)
{
    static const char *const grades[] = { "good", "partly", "bad" };
    uint8_t root[64];
    struct oxv_writer w = oxv_writer(root, sizeof root);

    oxv_write_base64(&w, oxv_view(v->root, sizeof v->root));
    (void)fprintf(out, "<section class=\"panel verdict %s\" data-verdict=\"%s\">\n<h2>",
                  grades[v->grade], grades[v->grade]);
    oxv_page_text(out, v->title);
    (void)fputs("</h2>\n<p>", out);
    oxv_page_text(out, v->text);
    (void)fputs("</p>\n<p class=\"soft\">Log ", out);
    oxv_page_text(out, v->origin);
    (void)fprintf(out, "; %llu entries under the root %.*s", (unsigned long long)v->size,
                  (int)w.len, (const char *)w.data);
    if (v->fingerprint != NULL) {
        (void)fputs("; checked with the key ", out);
        oxv_page_text(out, v->fingerprint);
        (void)fputs(", which must be the one you were given", out);
    }
    (void)fputs(".</p>\n<details open><summary>The checkpoint: keep it</summary>\n<pre>", out);
    for (const char *line = v->checkpoint; *line != '\0';) {
        size_t len = strcspn(line, "\n");

        print_shown(out, oxv_view(line, len));
        (void)fputc('\n', out);
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    (void)fputs("</pre></details>\n</section>\n", out);
}

static void
print_bar(FILE *out, const struct oxv_counts *c, uint64_t most)
{
    double all = most == 0 ? 1 : (double)most;
    double ok = 100 * (double)c->allowed / all;
    double no = 100 * (double)c->denied / all;

    (void)fprintf(out,
                  "<svg class=\"bar\" aria-hidden=\"true\" viewBox=\"0 0 100 10\" "
                  "preserveAspectRatio=\"none\"><rect class=\"ok\" width=\"%.2f\" height=\"10\"/>"
                  "<rect class=\"no\" x=\"%.2f\" width=\"%.2f\" height=\"10\"/>"
                  "<rect class=\"bad\" x=\"%.2f\" width=\"%.2f\" height=\"10\"/></svg>",
                  ok, ok, no, ok + no, 100 * (double)c->failed / all);
}

static void
print_number_cell(FILE *out, uint64_t number)
{
    (void)fputs("<td class=\"n\">", out);
    oxv_page_number(out, number);
    (void)fputs("</td>", out);
}

static void
print_row(FILE *out, const char *name, bool is_name, const struct oxv_counts *c, uint64_t most)
{
    (void)fputs(is_name ? "<tr><td><bdi>" : "<tr class=\"soft\"><td><bdi>", out);
    oxv_page_text(out, name);
    (void)fputs("</bdi></td>", out);
    print_number_cell(out, c->allowed);
    print_number_cell(out, c->denied);
    print_number_cell(out, c->failed);
    (void)fputs("<td>", out);
    print_bar(out, c, most);
    (void)fputs("</td></tr>\n", out);
}

/* The names with the highest counts, and the rest in one row. */
static void
print_tally(FILE *out, struct oxv_tally *tally, const char *id, const char *title, const char *what)
{
    struct oxv_counts rest = tally->others;
    uint64_t most;

    oxv_tally_sort(tally);
    most = tally->count == 0 ? 0 : oxv_counts_sum(&tally->rows[0]->counts);
    (void)fprintf(out,
                  "<section>\n<h2>%s</h2>\n<table data-table=\"%s\"><thead><tr><th>%s</th>"
                  "<th class=\"n\">allowed</th><th class=\"n\">denied</th>"
                  "<th class=\"n\">failed</th><th></th></tr></thead><tbody>\n",
                  title, id, what);
    for (size_t i = 0; i < tally->count; i++) {
        const struct oxv_tally_row *row = tally->rows[i];

        if (i < ROWS_MAX) {
            print_row(out, row->name, true, &row->counts, most);
        } else {
            rest.allowed += row->counts.allowed;
            rest.denied += row->counts.denied;
            rest.failed += row->counts.failed;
        }
    }
    if (oxv_counts_sum(&rest) > 0) {
        print_row(out, "all others", false, &rest, most);
    }
    (void)fputs("</tbody></table>\n", out);
    if (tally->count == 0) {
        (void)fputs("<p class=\"soft\">None.</p>\n", out);
    }
    (void)fputs("</section>\n", out);
}

static void
print_detail(FILE *out, const char *label, struct oxv_view value)
{
    if (value.len > 0) {
        (void)fprintf(out, "%s <bdi>", label);
        oxv_page_value(out, value);
        (void)fputs("</bdi> ", out);
    }
}

static void
print_entry(FILE *out, struct oxv_view line)
{
    struct oxv_entry_line parsed;
    struct oxv_entry_fault fault;

    if (oxv_entry_check(line, &parsed, &fault) != OXV_OK) {
        oxv_bug("an entry that was one before");
    }
    const struct oxv_entry *e = &parsed.entry;
    const char *outcome = oxv_outcome_name(e->outcome);

    (void)fprintf(out, "<tr><td class=\"n\">%llu</td><td class=\"t\">",
                  (unsigned long long)parsed.seq);
    oxv_page_time(out, parsed.time_us);
    (void)fprintf(out, "</td><td>%s</td><td class=\"%s\">%s</td><td>", oxv_entry_type_name(e->type),
                  outcome == NULL ? "" : outcome, outcome == NULL ? "" : outcome);
    if (e->uid_plus1 > 0) {
        (void)fprintf(out, "uid %llu", (unsigned long long)(e->uid_plus1 - 1));
    }
    (void)fputs("</td><td>", out);
    print_detail(out, "connection", e->connection);
    print_detail(out, "caller", e->caller);
    if (e->grant > 0) {
        (void)fprintf(out, "grant %llu ", (unsigned long long)e->grant);
    }
    print_detail(out, "", e->code);
    print_detail(out, "", e->reason);
    print_detail(out, "while sealed, since", e->unsigned_since);
    (void)fputs("</td></tr>\n", out);
}

static void
print_kept(FILE *out, const struct oxv_kept *kept, const char *id, const char *title)
{
    uint64_t shown = kept->count < OXV_KEPT_LINES_MAX ? kept->count : OXV_KEPT_LINES_MAX;

    (void)fprintf(out, "<section>\n<h2>%s</h2>\n", title);
    if (kept->count == 0) {
        (void)fputs("<p class=\"soft\">None.</p>\n</section>\n", out);
        return;
    }
    (void)
        fprintf(out,
                "<table data-table=\"%s\"><thead><tr><th class=\"n\">entry</th><th>when (UTC)</th>"
                "<th>what</th><th>outcome</th><th>who</th><th>of what</th></tr></thead><tbody>\n",
                id);
    for (uint64_t i = kept->count - shown; i < kept->count; i++) {
        print_entry(out, kept->lines[i % OXV_KEPT_LINES_MAX]);
    }
    (void)fputs("</tbody></table>\n", out);
    if (shown < kept->count) {
        (void)fputs("<p class=\"soft\">", out);
        oxv_page_number(out, kept->count - shown);
        (void)fputs(" earlier ones are not shown.</p>\n", out);
    }
    (void)fputs("</section>\n", out);
}

static void
print_gaps(FILE *out, const struct oxv_report *r)
{
    uint64_t shown = r->gap_count < OXV_KEPT_GAPS_MAX ? r->gap_count : OXV_KEPT_GAPS_MAX;

    (void)fputs("<section>\n<h2>Times without the service</h2>\n", out);
    if (shown == 0) {
        (void)fputs("<p class=\"soft\">None.</p>\n</section>\n", out);
        return;
    }
    (void)fputs("<table data-table=\"gaps\"><thead><tr><th>last entry (UTC)</th>"
                "<th>next entry</th><th class=\"n\">seconds</th><th>how it ended</th></tr></thead>"
                "<tbody>\n",
                out);
    for (uint64_t i = r->gap_count - shown; i < r->gap_count; i++) {
        const struct oxv_gap *gap = &r->gaps[i % OXV_KEPT_GAPS_MAX];

        (void)fputs("<tr><td class=\"t\">", out);
        oxv_page_time(out, gap->from_us);
        (void)fputs("</td><td class=\"t\">", out);
        oxv_page_time(out, gap->to_us);
        (void)fputs("</td>", out);
        print_number_cell(out, (gap->to_us - gap->from_us) / 1000000u);
        (void)fprintf(out, "<td%s</td></tr>\n",
                      gap->was_stopped ? ">stopped"
                                       : " class=\"failed\">not stopped: killed, or the power "
                                         "failed");
    }
    (void)fputs("</tbody></table>\n</section>\n", out);
}

static void
print_range(FILE *out, const struct oxv_report *r, const char *from, const char *to)
{
    (void)fputs("<p class=\"soft\">", out);
    if (from == NULL && to == NULL) {
        (void)fputs("The whole log", out);
    } else {
        (void)fputs(from == NULL ? "From the beginning" : "From ", out);
        oxv_page_text(out, from == NULL ? "" : from);
        (void)fputs(to == NULL ? " on" : " to before ", out);
        oxv_page_text(out, to == NULL ? "" : to);
    }
    if (r->entries > 0) {
        (void)fputs(": entries of ", out);
        oxv_page_time(out, r->first_us);
        (void)fputs(" to ", out);
        oxv_page_time(out, r->last_us);
    }
    (void)fputs(" UTC. Made ", out);
    oxv_page_time(out, oxv_clock_wall_us());
    (void)fputs(" UTC by oxvault " OXV_VERSION ".</p>\n", out);
}

void
oxv_report_print(FILE *out, struct oxv_report *r, const struct oxv_report_verdict *verdict,
                 const char *from, const char *to)
{
    (void)fputs(head, out);
    (void)fputs("<header><h1>Access log report</h1>\n", out);
    print_range(out, r, from, to);
    (void)fputs("</header>\n", out);
    print_verdict(out, verdict);
    print_cards(out, r);
    (void)fputs("<section>\n<h2>Over time</h2>\n<div class=\"panel\">\n", out);
    oxv_page_chart(out, &r->span);
    (void)fputs("</div>\n</section>\n<div class=\"pair\">\n", out);
    print_tally(out, &r->by_connection, "connection", "Signatures by connection", "connection");
    print_tally(out, &r->by_caller, "caller", "Signatures by caller", "caller");
    print_tally(out, &r->by_kind, "kind", "Signatures by kind", "kind");
    print_tally(out, &r->by_code, "code", "Refusals and failures by cause", "code");
    print_tally(out, &r->by_type, "type", "Entries by type", "type");
    print_tally(out, &r->by_reader, "reader", "Readings of the log by user", "uid");
    (void)fputs("</div>\n", out);
    print_kept(out, &r->changes, "changes", "Changes by admins");
    print_kept(out, &r->unseals, "unseals", "Starts, stops, unseals and locks");
    print_gaps(out, r);
    print_kept(out, &r->clocks, "clocks", "Steps of the clock");
    print_kept(out, &r->repairs, "repairs", "What the log says of itself");
    (void)fputs("</body>\n</html>\n", out);
}
