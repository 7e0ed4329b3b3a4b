/* log explain: the entry behind a signature, a nonce or an index, and the grant that allowed it. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/door.h"
#include "cli/escape.h"
#include "cli/log_lines.h"
#include "vault/log/entry.h"

#define READ_PATH      "/v1/audit/log?purpose=show&format=jsonl"
#define SIGNATURE_MAX  2048u /* bytes; RSA with 16384 bits */
#define SIGNATURE_MARK "oauth_signature=\""

/* The entry that is looked for, by one of the three. */
struct wanted {
    struct oxv_view nonce;
    char sig_hash[65]; /* "": not by signature */
    uint64_t index;
    bool by_index;
};

struct search {
    const struct wanted *wanted;
    struct oxv_buffer found;
};

/* The changes of one grant. */
struct grant {
    uint64_t id;
    struct oxv_buffer added;
    struct oxv_buffer removed;
    bool no_memory;
};

static bool
keep(struct oxv_buffer *to, struct oxv_view line)
{
    oxv_buffer_clear(to);
    return oxv_buffer_add(to, line, OXV_LOG_ENTRY_MAX_BYTES);
}

static bool
is_wanted(const struct wanted *wanted, const struct oxv_entry_line *parsed)
{
    if (wanted->by_index) {
        return parsed->seq == wanted->index;
    }
    if (wanted->sig_hash[0] != '\0') {
        return oxv_view_is(parsed->entry.sig_hash, wanted->sig_hash);
    }
    return oxv_view_equals(parsed->entry.nonce, wanted->nonce);
}

/* Ends the read where it is found. */
static bool
look_at(void *context, struct oxv_view line)
{
    struct search *search = context;
    struct oxv_entry_line parsed;
    struct oxv_entry_fault fault;

    if (oxv_entry_check(line, &parsed, &fault) != OXV_OK || !is_wanted(search->wanted, &parsed)) {
        return true;
    }
    return !keep(&search->found, line);
}

static bool
look_at_grant(void *context, struct oxv_view line)
{
    struct grant *grant = context;
    struct oxv_entry_line parsed;
    struct oxv_entry_fault fault;

    if (oxv_entry_check(line, &parsed, &fault) != OXV_OK || parsed.entry.grant != grant->id ||
        parsed.entry.outcome != OXV_OUTCOME_ALLOWED) {
        return true;
    }
    if (parsed.entry.type == OXV_ENTRY_GRANT_ADD) {
        grant->no_memory = !keep(&grant->added, line);
    } else if (parsed.entry.type == OXV_ENTRY_GRANT_REMOVE) {
        grant->no_memory = !keep(&grant->removed, line);
    }
    return !grant->no_memory;
}

/* Base64, as in a header with %2B for +, or the header itself. */
static bool
read_signature(const char *text, char sig_hash[65])
{
    const char *mark = strstr(text, SIGNATURE_MARK);
    const char *begin = mark == NULL ? text : mark + strlen(SIGNATURE_MARK);
    size_t len = strcspn(begin, "\"");
    char plain[SIGNATURE_MAX * 2];
    struct oxv_writer w = oxv_writer(plain, sizeof plain);
    uint8_t signature[SIGNATURE_MAX];
    uint8_t hash[crypto_hash_sha256_BYTES];
    size_t signature_len = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)begin[i];

        if (c == '%') {
            if (!oxv_parse_hex(oxv_view_slice(oxv_view(begin, len), i + 1, 2), &c, 1)) {
                return false;
            }
            i += 2;
        }
        oxv_write_u8(&w, c);
    }
    if (w.failed || w.len == 0 ||
        !oxv_parse_base64(oxv_view(w.data, w.len), signature, sizeof signature, &signature_len)) {
        return false;
    }
    (void)crypto_hash_sha256(hash, signature, signature_len); /* cannot fail */
    w = oxv_writer(sig_hash, 64);
    oxv_write_hex(&w, oxv_view(hash, sizeof hash));
    sig_hash[64] = '\0';
    return true;
}

static enum oxv_exit
read_wanted(const struct oxv_cli *cli, struct wanted *wanted)
{
    const char *signature = oxv_cli_option(cli, "signature");
    const char *nonce = oxv_cli_option(cli, "nonce");
    const char *index = oxv_cli_option(cli, "index");

    if ((signature != NULL) + (nonce != NULL) + (index != NULL) != 1) {
        return oxv_cli_usage(cli, "one of --signature, --nonce and --index is needed");
    }
    if (signature != NULL && !read_signature(signature, wanted->sig_hash)) {
        return oxv_cli_usage(cli, "--signature wants a signature in base64, or the header with it");
    }
    if (nonce != NULL && nonce[0] == '\0') {
        return oxv_cli_usage(cli, "--nonce wants a nonce");
    }
    if (index != NULL &&
        !oxv_parse_decimal(oxv_view_text(index), OXV_LOG_INTEGER_MAX, &wanted->index)) {
        return oxv_cli_usage(cli, "--index wants the number of an entry, not: %s", index);
    }
    wanted->nonce = oxv_view_text(nonce == NULL ? "" : nonce);
    wanted->by_index = index != NULL;
    return OXV_EXIT_DONE;
}

static enum oxv_exit
find_entry(struct oxv_cli *cli, struct search *search)
{
    char path[256];
    enum oxv_status st;

    if (search->wanted->by_index) {
        st = oxv_format(path, sizeof path, READ_PATH "&from=%llu",
                        (unsigned long long)search->wanted->index);
    } else {
        st = oxv_format(path, sizeof path, READ_PATH "&type=sign");
    }
    if (st != OXV_OK) {
        oxv_bug("a path that is too long");
    }
    enum oxv_exit code = oxv_log_read(cli, path, OXV_LOG_IDLE_S, look_at, search);

    if (code == OXV_EXIT_DONE && search->found.len == 0) {
        return oxv_cli_fail(cli, OXV_EXIT_NOT_FOUND,
                            search->wanted->by_index
                                ? "the log has no such entry yet"
                                : "no entry of the log is about that: this vault did not sign it");
    }
    return code;
}

static enum oxv_exit
find_grant(struct oxv_cli *cli, struct grant *grant)
{
    enum oxv_exit code =
        oxv_log_read(cli, READ_PATH "&type=grant.add", OXV_LOG_IDLE_S, look_at_grant, grant);

    code = code == OXV_EXIT_DONE ? oxv_log_read(cli, READ_PATH "&type=grant.remove", OXV_LOG_IDLE_S,
                                                look_at_grant, grant)
                                 : code;
    return code == OXV_EXIT_DONE && grant->no_memory
               ? oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for the grant")
               : code;
}

static void
print_members(struct oxv_view line)
{
    struct oxv_json_items items = oxv_json_items(line);
    struct oxv_view name;
    struct oxv_view value;

    while (oxv_json_next(&items, &name, &value)) {
        uint8_t text[OXV_LOG_ENTRY_MAX_BYTES];
        struct oxv_writer w = oxv_writer(text, sizeof text);

        (void)printf("  %-14.*s ", (int)name.len, (const char *)name.data);
        if (oxv_json_write_string(&w, value)) {
            oxv_escape_print(stdout, oxv_view(w.data, w.len));
        } else {
            oxv_cli_print(value);
        }
        (void)putchar('\n');
    }
}

static void
print_grant(const struct grant *grant)
{
    if (grant->id == 0) {
        return;
    }
    if (grant->added.len == 0) {
        (void)printf("Grant %llu is not in this log: it was given before the log began.\n",
                     (unsigned long long)grant->id);
    } else {
        (void)printf("Grant %llu, which was looked at, was given by:\n",
                     (unsigned long long)grant->id);
        print_members(oxv_buffer_view(&grant->added));
    }
    if (grant->removed.len > 0) {
        (void)puts("It was taken away by:");
        print_members(oxv_buffer_view(&grant->removed));
    }
}

static void
print_or_null(const char *name, const struct oxv_buffer *line)
{
    (void)printf(",\"%s\":", name);
    oxv_cli_print(line->len == 0 ? oxv_view_text("null") : oxv_buffer_view(line));
}

static void
print_result(const struct oxv_cli *cli, struct oxv_view line, uint64_t seq,
             const struct grant *grant)
{
    if (cli->json) {
        (void)fputs("{\"entry\":", stdout);
        oxv_cli_print(line);
        print_or_null("grant_added", &grant->added);
        print_or_null("grant_removed", &grant->removed);
        (void)puts("}");
        return;
    }
    (void)printf("Entry %llu of the log:\n", (unsigned long long)seq);
    print_members(line);
    print_grant(grant);
    (void)printf("Its proof: oxvault log prove %llu\n", (unsigned long long)seq);
}

enum oxv_exit
oxv_cmd_log_explain(struct oxv_cli *cli)
{
    struct wanted wanted = { .index = 0 };
    struct search search = { .wanted = &wanted };
    struct grant grant = { .id = 0 };
    struct oxv_entry_line parsed;
    struct oxv_entry_fault fault;
    enum oxv_exit code = read_wanted(cli, &wanted);

    code = code == OXV_EXIT_DONE ? find_entry(cli, &search) : code;
    if (code == OXV_EXIT_DONE) {
        struct oxv_view line = oxv_buffer_view(&search.found);

        if (oxv_entry_check(line, &parsed, &fault) != OXV_OK) {
            oxv_bug("an entry that was one before");
        }
        grant.id = parsed.entry.grant;
        code = grant.id > 0 ? find_grant(cli, &grant) : code;
        if (code == OXV_EXIT_DONE) {
            print_result(cli, line, parsed.seq, &grant);
        }
    }
    oxv_buffer_done(&search.found);
    oxv_buffer_done(&grant.added);
    oxv_buffer_done(&grant.removed);
    return code;
}
