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
#define LINE_MAX_BYTES 1536u

/* One line about a token. */
struct token_line {
    uint64_t id;
    enum oxv_token_oaep oaep;
    uint8_t key[OXV_TOKEN_PUBLIC_KEY_MAX_BYTES];
    size_t key_len;
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
write_line(struct oxv_writer *w, uint64_t id, uint64_t oaep, struct oxv_view key)
{
    oxv_write_text(w, TOKEN_PREFIX);
    oxv_write_decimal(w, id);
    oxv_write_text(w, " ");
    oxv_write_text(w, oaep_name(oaep));
    oxv_write_text(w, " ");
    oxv_write_base64(w, key);
    oxv_write_text(w, "\n");
}

enum oxv_status
oxv_vault_pub_write_token(struct oxv_writer *w, uint64_t id, const struct oxv_token_record *token)
{
    struct oxv_view all;

    if (token->public_key.len == 0) {
        return OXV_E_USAGE;
    }
    write_line(w, id, token->oaep, token->public_key);
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

static bool
parse_token(struct oxv_view line, struct token_line *out)
{
    struct oxv_reader r = oxv_reader(line);
    uint8_t again[LINE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_view prefix;
    struct oxv_view id;
    struct oxv_view oaep;

    if (!oxv_read_view(&r, sizeof TOKEN_PREFIX - 1, &prefix) || !take_until(&r, ' ', &id) ||
        !take_until(&r, ' ', &oaep) || !oxv_parse_decimal(id, UINT64_MAX, &out->id) ||
        !oxv_parse_base64(r.left, out->key, sizeof out->key, &out->key_len) || out->id == 0 ||
        out->key_len == 0) {
        return false;
    }
    out->oaep = oxv_view_is(oaep, oaep_name(OXV_TOKEN_OAEP_SHA1)) ? OXV_TOKEN_OAEP_SHA1
                                                                  : OXV_TOKEN_OAEP_SHA256;
    write_line(&w, out->id, out->oaep, oxv_view(out->key, out->key_len));
    return !w.failed && oxv_view_equals(line, oxv_view(again, w.len - 1));
}

/* What is looked for in a text: the key of its first line, and the line of one token. */
struct wanted {
    uint8_t vault_id[OXV_ID_BYTES];
    uint8_t key[OXV_BOX_KEY_BYTES];
    uint64_t id;
    bool found;
    struct token_line token;
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
            wanted->token = token;
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
oxv_vault_pub_find_token(struct oxv_view text, uint64_t id, enum oxv_token_oaep *oaep,
                         uint8_t *public_key, size_t *public_key_len, struct oxv_err *err)
{
    struct wanted wanted = { .id = id };

    if (!parse_text(text, &wanted)) {
        return fail_text(err);
    }
    if (!wanted.found) {
        return oxv_fail(err, OXV_E_NOT_FOUND, "vault.pub has no key of token %llu",
                        (unsigned long long)id);
    }
    *oaep = wanted.token.oaep;
    *public_key_len = wanted.token.key_len;
    memcpy(public_key, wanted.token.key, wanted.token.key_len);
    return OXV_OK;
}
