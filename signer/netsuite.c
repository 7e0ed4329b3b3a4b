#include "signer/netsuite.h"

#include "signer/chars.h"

static bool
is_alphanumeric(uint8_t byte)
{
    uint8_t lower = oxv_char_lower(byte);

    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9');
}

/* Puts one byte of the id, or its separator, in both forms. */
static void
put_both(struct oxv_account *account, size_t i, uint8_t byte)
{
    if (is_alphanumeric(byte)) {
        account->realm[i] = (char)oxv_char_upper(byte);
        account->host[i] = (char)oxv_char_lower(byte);
    } else {
        account->realm[i] = '_';
        account->host[i] = '-';
    }
}

enum oxv_status
oxv_account_parse(struct oxv_view text, struct oxv_account *out, struct oxv_syntax_error *where)
{
    struct oxv_account account = { 0 };
    bool separated = false;

    if (text.len > OXV_ACCOUNT_ID_MAX_BYTES) {
        return oxv_refuse(where, OXV_E_LIMIT, OXV_ACCOUNT_ID_MAX_BYTES,
                          "the account id is too long");
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        bool separator = byte == '_' || byte == '-';

        /* One separator at most, and never first or last. */
        if (!is_alphanumeric(byte) && (!separator || separated || i == 0 || i + 1 == text.len)) {
            return oxv_refuse(where, OXV_E_FORMAT, i,
                              "an account id looks like 1234567 or 1234567_SB1");
        }
        separated = separated || separator;
        put_both(&account, i, byte);
    }
    if (text.len == 0) {
        return oxv_refuse(where, OXV_E_FORMAT, 0, "the account id is empty");
    }
    *out = account;
    return OXV_OK;
}

void
oxv_account_write_origin(struct oxv_writer *w, const struct oxv_account *account, size_t n)
{
    static const char *const domains[OXV_ACCOUNT_ORIGINS] = { ".suitetalk.api.netsuite.com",
                                                              ".restlets.api.netsuite.com",
                                                              ".app.netsuite.com" };

    if (n >= OXV_ACCOUNT_ORIGINS) {
        oxv_bug("no such origin");
    }
    oxv_write_text(w, "https://");
    oxv_write_text(w, account->host);
    oxv_write_text(w, domains[n]);
}
