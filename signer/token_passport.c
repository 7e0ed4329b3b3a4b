#include "signer/token_passport.h"

#include "base/text.h"
#include "signer/percent.h"

#define ALGORITHM "HMAC-SHA256"

void
oxv_token_passport_write_base(struct oxv_writer *w, const struct oxv_token_passport *passport)
{
    const struct oxv_view values[] = { passport->account, passport->consumer_key, passport->token,
                                       passport->nonce };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        oxv_write_percent(w, values[i]);
        oxv_write_u8(w, '&');
    }
    oxv_write_decimal(w, passport->timestamp);
}

bool
oxv_token_passport_version_valid(struct oxv_view version)
{
    return version.len == 6 && oxv_view_has_prefix(version, "20") && version.data[2] >= '0' &&
           version.data[2] <= '9' && version.data[3] >= '0' && version.data[3] <= '9' &&
           version.data[4] == '_' && (version.data[5] == '1' || version.data[5] == '2');
}

static const char *
xml_escape(uint8_t byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    default:
        return NULL;
    }
}

/* XML 1.0, 2.2: no controls, and of the rest of UTF-8 all but U+FFFE and U+FFFF. */
static bool
is_xml_text(struct oxv_view text)
{
    for (size_t i = 2; i < text.len; i++) {
        if (text.data[i - 2] == 0xef && text.data[i - 1] == 0xbf && text.data[i] >= 0xbe) {
            return false;
        }
    }
    return oxv_is_printable_utf8(text);
}

static void
write_xml_text(struct oxv_writer *w, struct oxv_view text)
{
    if (!is_xml_text(text)) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *escape = xml_escape(text.data[i]);

        if (escape != NULL) {
            oxv_write_text(w, escape);
        } else {
            oxv_write_u8(w, text.data[i]);
        }
    }
}

static void
write_element(struct oxv_writer *w, const char *name, struct oxv_view text)
{
    oxv_write_text(w, "<m:");
    oxv_write_text(w, name);
    oxv_write_u8(w, '>');
    write_xml_text(w, text);
    oxv_write_text(w, "</m:");
    oxv_write_text(w, name);
    oxv_write_u8(w, '>');
}

void
oxv_token_passport_write_xml(struct oxv_writer *w, const struct oxv_token_passport *passport,
                             struct oxv_view version, struct oxv_view signature)
{
    if (!oxv_token_passport_version_valid(version)) {
        w->failed = true;
        return;
    }
    oxv_write_text(w, "<m:tokenPassport xmlns:m=\"urn:messages_");
    oxv_write_view(w, version);
    oxv_write_text(w, ".platform.webservices.netsuite.com\""
                      " xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\""
                      " soap:actor=\"http://schemas.xmlsoap.org/soap/actor/next\""
                      " soap:mustUnderstand=\"0\">");
    write_element(w, "account", passport->account);
    write_element(w, "consumerKey", passport->consumer_key);
    write_element(w, "token", passport->token);
    write_element(w, "nonce", passport->nonce);
    oxv_write_text(w, "<m:timestamp>");
    oxv_write_decimal(w, passport->timestamp);
    oxv_write_text(w, "</m:timestamp><m:signature algorithm=\"" ALGORITHM "\">");
    oxv_write_base64(w, signature);
    oxv_write_text(w, "</m:signature></m:tokenPassport>");
}

void
oxv_connect_password_write(struct oxv_writer *w, const struct oxv_token_passport *passport,
                           struct oxv_view signature)
{
    oxv_token_passport_write_base(w, passport);
    oxv_write_u8(w, '&');
    oxv_write_base64(w, signature);
    oxv_write_text(w, "&" ALGORITHM);
}
