/*
 * The text of RUN/vault.pub, see box.h. Rules:
 *  1. the first line is the key's; ids in lower-case hex, base64 with padding
 *  2. then lines about tokens alone, their rows ascending
 *  3. every line ends with a newline, and none is longer than it has to be
 */
#include "base/text.h"
#include "vault/box.h"

#define PUB_PREFIX     "oxvault-vault-pub/1 "
#define TOKEN_PREFIX   "token "
#define NO_PAIR        "none -"
#define LINE_MAX_BYTES 2560u

/* One line about a token. */
struct token_line {
    uint64_t id;
    struct oxv_pub_token token;
};

enum oxv_status
oxv_vault_pub_write(struct oxv_writer *w, const uint8_t *vault_id,
                    const uint8_t public_key[OXV_BOX_KEY_BYTES])
{
    struct oxv_view all;

    oxv_write_text(w, PUB_PREFIX);
    oxv_write_hex(w, oxv_view(vault_id, OXV_ID_BYTES));
    oxv_write_text(w, " ");
    oxv_write_base64(w, oxv_view(public_key, OXV_BOX_KEY_BYTES));
    oxv_write_text(w, "\n");
    return oxv_writer_finish(w, &all);
}

static const char *
oaep_name(uint64_t oaep)
{
    return oaep == OXV_TOKEN_OAEP_SHA1 ? "oaep-sha1" : "oaep-sha256";
}

static void
write_line(struct oxv_writer *w, uint64_t id, const struct oxv_token_record *token)
{
    oxv_write_text(w, TOKEN_PREFIX);
    oxv_write_decimal(w, id);
    oxv_write_text(w, " ");
    oxv_write_view(w, token->token_uri);
    oxv_write_text(w, " ");
    if (token->public_key.len == 0) {
        oxv_write_text(w, NO_PAIR);
    } else {
        oxv_write_text(w, oaep_name(token->oaep));
        oxv_write_text(w, " ");
        oxv_write_base64(w, token->public_key);
    }
    oxv_write_text(w, "\n");
}

/* Visible ASCII: it cannot be taken for more than one word of the line. */
static bool
is_one_word(struct oxv_view uri)
{
    for (size_t i = 0; i < uri.len; i++) {
        if (uri.data[i] <= ' ' || uri.data[i] > '~') {
            return false;
        }
    }
    return uri.len > 0 && uri.len <= OXV_TOKEN_URI_MAX_BYTES;
}

enum oxv_status
oxv_vault_pub_write_token(struct oxv_writer *w, uint64_t id, const struct oxv_token_record *token)
{
    struct oxv_view all;

    if (!is_one_word(token->token_uri)) {
        return OXV_E_USAGE;
    }
    write_line(w, id, token);
    return oxv_writer_finish(w, &all);
}

/* What stands before the next `end`, which is taken too. */
static bool
take_until(struct oxv_reader *r, uint8_t end, struct oxv_view *out)
{
    struct oxv_view mark;

    return oxv_read_view(r, oxv_view_find(r->left, end), out) && oxv_read_view(r, 1, &mark);
}

/* Lower-case hex only: a text has one spelling. */
static bool
parse_first(struct oxv_view line, uint8_t id[OXV_ID_BYTES], uint8_t key[OXV_BOX_KEY_BYTES])
{
    struct oxv_reader r = oxv_reader(line);
    uint8_t again[128];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_view prefix;
    struct oxv_view hex;
    size_t len = 0;

    if (!oxv_read_view(&r, sizeof PUB_PREFIX - 1, &prefix) || !oxv_view_is(prefix, PUB_PREFIX) ||
        !take_until(&r, ' ', &hex) || !oxv_parse_hex(hex, id, OXV_ID_BYTES) ||
        !oxv_parse_base64(r.left, key, OXV_BOX_KEY_BYTES, &len) || len != OXV_BOX_KEY_BYTES ||
        oxv_vault_pub_write(&w, id, key) != OXV_OK) {
        return false;
    }
    return oxv_view_equals(line, oxv_view(again, w.len - 1)); /* without its newline */
}

/* "none -", or the pair. */
static bool
parse_pair(struct oxv_view text, struct oxv_pub_token *out)
{
    struct oxv_reader r = oxv_reader(text);
    struct oxv_view oaep;

    out->key_len = 0;
    if (oxv_view_is(text, NO_PAIR)) {
        return true;
    }
    if (!take_until(&r, ' ', &oaep) ||
        !oxv_parse_base64(r.left, out->key, sizeof out->key, &out->key_len)) {
        return false;
    }
    out->oaep = oxv_view_is(oaep, oaep_name(OXV_TOKEN_OAEP_SHA1)) ? OXV_TOKEN_OAEP_SHA1
                                                                  : OXV_TOKEN_OAEP_SHA256;
    return out->key_len > 0;
}

/* What was read is written again: another spelling of the same is refused. */
static bool
parse_token(struct oxv_view line, struct token_line *out)
{
    struct oxv_reader r = oxv_reader(line);
    uint8_t again[LINE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_view prefix;
    struct oxv_view id;
    struct oxv_view uri;

    if (!oxv_read_view(&r, sizeof TOKEN_PREFIX - 1, &prefix) || !take_until(&r, ' ', &id) ||
        !take_until(&r, ' ', &uri) || !oxv_parse_decimal(id, UINT64_MAX, &out->id) ||
        out->id == 0 || !is_one_word(uri) ||
        oxv_text_copy(uri, out->token.uri, sizeof out->token.uri) != OXV_OK ||
        !parse_pair(r.left, &out->token)) {
        return false;
    }
    const struct oxv_token_record record = { .token_uri = uri,
                                             .public_key =
                                                 oxv_view(out->token.key, out->token.key_len),
                                             .oaep = out->token.oaep };

    write_line(&w, out->id, &record);
    return !w.failed && oxv_view_equals(line, oxv_view(again, w.len - 1));
}

/* What is looked for in a text: the key of its first line, and the line of one token. */
struct wanted {
    uint8_t vault_id[OXV_ID_BYTES];
    uint8_t key[OXV_BOX_KEY_BYTES];
    uint64_t id;
    bool found;
    struct oxv_pub_token token;
};

static bool
parse_text(struct oxv_view text, struct wanted *wanted)
{
    struct oxv_reader r = oxv_reader(text);
    struct oxv_view line;
    struct token_line token = { .id = 0 };
    uint64_t last = 0;

    if (text.len > OXV_VAULT_PUB_MAX_BYTES || !take_until(&r, '\n', &line) ||
        !parse_first(line, wanted->vault_id, wanted->key)) {
        return false;
    }
    while (!oxv_reader_at_end(&r)) {
        if (!take_until(&r, '\n', &line) || !parse_token(line, &token) || token.id <= last) {
            return false;
        }
        last = token.id;
        if (token.id == wanted->id) {
            wanted->found = true;
            wanted->token = token.token;
        }
    }
    return true;
}

static enum oxv_status
fail_text(struct oxv_err *err)
{
    return oxv_fail(err, OXV_E_FORMAT, "vault.pub does not hold a public key of a vault");
}

enum oxv_status
oxv_vault_pub_parse(struct oxv_view text, uint8_t *vault_id, uint8_t public_key[OXV_BOX_KEY_BYTES],
                    struct oxv_err *err)
{
    struct wanted wanted = { .id = 0 };

    if (!parse_text(text, &wanted)) {
        return fail_text(err);
    }
    memcpy(vault_id, wanted.vault_id, sizeof wanted.vault_id);
    memcpy(public_key, wanted.key, sizeof wanted.key);
    return OXV_OK;
}

enum oxv_status
oxv_vault_pub_find_token(struct oxv_view text, uint64_t id, struct oxv_pub_token *out,
                         struct oxv_err *err)
{
    struct wanted wanted = { .id = id };

    if (!parse_text(text, &wanted)) {
        return fail_text(err);
    }
    if (!wanted.found) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "vault.pub has no line of token %llu",
                        (unsigned long long)id);
    }
    *out = wanted.token;
    return OXV_OK;
}
