#include "pkcs11/uri.h"

#include <stdlib.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "base/text.h"

struct oxv_p11_uri {
    P11KitUri *kit;
};

static const char *const allowed[] = { "token", "serial", "model", "manufacturer" };
#define ALLOWED_COUNT (sizeof allowed / sizeof allowed[0])

static const struct {
    const char *name;
    const char *reason;
} refused[] = {
    { "module-path", "the module is given by --module: a URI must not choose code" },
    { "module-name", "the module is given by --module: a URI must not choose code" },
    { "pin-value", "a PIN must not be in a URI, use --pin-file" },
    { "pin-source", "a PIN is given by --pin-file" },
    { "slot-id", "slot numbers change, name the token" },
    { "id", "a key is named by --key-id" },
    { "object", "a key is named by --key-id" },
    { "type", "a key is named by --key-id" },
};

static enum oxv_token_trouble
refuse(struct oxv_p11_fault *fault, const char *reason)
{
    return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "token URI: %s", reason);
}

static enum oxv_token_trouble
refuse_attribute(struct oxv_view name, struct oxv_p11_fault *fault)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (oxv_view_is(name, refused[i].name)) {
            return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "token URI: no %s: %s",
                                 refused[i].name, refused[i].reason);
        }
    }
    /* The value may be a PIN in the wrong place, so it is not repeated. */
    return refuse(fault, "only token, serial, model and manufacturer name a token");
}

/* One "name=value"; marks it in `seen`. */
static enum oxv_token_trouble
check_attribute(struct oxv_view part, bool seen[ALLOWED_COUNT], struct oxv_p11_fault *fault)
{
    size_t equals = oxv_view_find(part, '=');
    struct oxv_view name = oxv_view_slice(part, 0, equals);

    for (size_t i = 0; i < ALLOWED_COUNT; i++) {
        if (!oxv_view_is(name, allowed[i])) {
            continue;
        }
        if (equals + 1 >= part.len) {
            return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "token URI: %s is empty",
                                 allowed[i]);
        }
        if (seen[i]) {
            return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "token URI: %s is there twice",
                                 allowed[i]);
        }
        seen[i] = true;
        return OXV_TOKEN_FINE;
    }
    return refuse_attribute(name, fault);
}

/* Is there "%00" to "%1F" or "%7F" at this place? What is no hex at all p11-kit refuses. */
static bool
is_encoded_control(struct oxv_view text, size_t at)
{
    uint8_t byte;

    return text.data[at] == '%' && text.len - at > 2 &&
           oxv_parse_hex(oxv_view_slice(text, at + 1, 2), &byte, 1) && (byte < ' ' || byte == 0x7f);
}

/* tpm2-pkcs11 fills its model up with NULs, and that URI is the one that we write down ourselves.
 */
static bool
is_padding(struct oxv_view text, size_t at)
{
    static const char *const padded[] = { "model=", "manufacturer=" };
    size_t begin = at;

    while (begin > 0 && text.data[begin - 1] != ';' && text.data[begin - 1] != ':') {
        begin--;
    }
    struct oxv_view part = oxv_view_slice(text, begin, at - begin);

    for (size_t i = 0; i < sizeof padded / sizeof padded[0]; i++) {
        size_t head = strlen(padded[i]);

        if (oxv_view_has_prefix(part, padded[i]) && part.len > head && part.data[head] != '%') {
            return oxv_view_has_prefix(oxv_view_from(text, at), "%00");
        }
    }
    return false;
}

static enum oxv_token_trouble
check_text(struct oxv_view text, struct oxv_p11_fault *fault)
{
    bool seen[ALLOWED_COUNT] = { false };

    if (text.len > OXV_TOKEN_URI_MAX_BYTES || !oxv_view_has_prefix(text, "pkcs11:")) {
        return refuse(fault, "it must begin with pkcs11: (RFC 7512)");
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f) {
            return refuse(fault, "spaces and other bytes must be percent-encoded");
        }
        if (is_encoded_control(text, i) &&
            !is_padding(text, i)) { /* a NUL would end the value: it would fit any token */
            return refuse(fault, "a value has a control character");
        }
    }
    struct oxv_view left = oxv_view_from(text, sizeof "pkcs11:" - 1);

    if (left.len == 0) {
        return refuse(fault, "it names no token: give token= or serial=");
    }
    for (bool last = false; !last;) {
        size_t query = oxv_view_find(left, '?');
        size_t end = oxv_view_find(oxv_view_slice(left, 0, query), ';');
        enum oxv_token_trouble t = check_attribute(oxv_view_slice(left, 0, end), seen, fault);

        if (t != OXV_TOKEN_FINE) {
            return t;
        }
        last = end == left.len;
        left = oxv_view_from(left, end + 1);
    }
    return seen[0] || seen[1] ? OXV_TOKEN_FINE
                              : refuse(fault, "it names no token: give token= or serial=");
}

enum oxv_token_trouble
oxv_p11_uri_parse(struct oxv_view text, struct oxv_p11_uri **out, struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *uri = NULL;
    char string[OXV_TOKEN_URI_MAX_BYTES + 1];
    enum oxv_token_trouble t = check_text(text, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    if (oxv_text_copy(text, string, sizeof string) != OXV_OK) {
        return refuse(fault, "it is too long");
    }
    uri = calloc(1, sizeof *uri);
    if (uri == NULL || (uri->kit = p11_kit_uri_new()) == NULL) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory");
    }
    if (p11_kit_uri_parse(string, P11_KIT_URI_FOR_TOKEN, uri->kit) != P11_KIT_URI_OK) {
        return refuse(fault, "it is malformed");
    }
    /* p11-kit drops what it does not know, or finds too long, and reports success. */
    if (p11_kit_uri_any_unrecognized(uri->kit) != 0) {
        return refuse(fault, "a value is longer than any token's (label 32 bytes, serial and model "
                             "16, manufacturer 32)");
    }
    *out = oxv_p11_uri_take(&uri);
    return OXV_TOKEN_FINE;
}

bool
oxv_p11_uri_fits(const struct oxv_p11_uri *uri, const CK_TOKEN_INFO *info)
{
    return p11_kit_uri_match_token_info(uri->kit, info) == 1;
}

void
oxv_p11_uri_free(struct oxv_p11_uri *uri)
{
    if (uri != NULL) {
        p11_kit_uri_free(uri->kit);
        free(uri);
    }
}

const char *
oxv_p11_field(const unsigned char *field, size_t len, char *out, size_t out_size)
{
    size_t used = p11_kit_space_strlen(field, len);

    if (used >= out_size) {
        oxv_bug("a field of a token is longer than its buffer");
    }
    memcpy(out, field, used);
    out[used] = '\0';
    for (char *c = out; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    for (size_t good; (good = oxv_utf8_prefix_len(oxv_view_text(out))) < strlen(out);) {
        out[good] = '?';
    }
    return out;
}

/* RFC 7512 pk11-pchar, without the characters that shells or lists take for their own. */
static bool
is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && memchr("-._~:@+", c, 7) != NULL);
}

static void
write_attribute(struct oxv_writer *w, const char *name, const unsigned char *field, size_t len)
{
    size_t used = p11_kit_space_strlen(field, len);

    if (used == 0) {
        return;
    }
    oxv_write_text(w, w->len == sizeof "pkcs11:" - 1 ? "" : ";");
    oxv_write_text(w, name);
    oxv_write_u8(w, '=');
    for (size_t i = 0; i < used; i++) {
        if (is_plain(field[i])) {
            oxv_write_u8(w, field[i]);
        } else {
            oxv_write_u8(w, '%');
            oxv_write_hex(w, oxv_view(field + i, 1));
        }
    }
}

const char *
oxv_p11_uri_of(const CK_TOKEN_INFO *info, char out[OXV_TOKEN_URI_MAX_BYTES + 1])
{
    struct oxv_writer w = oxv_writer(out, OXV_TOKEN_URI_MAX_BYTES);
    struct oxv_view whole;

    oxv_write_text(&w, "pkcs11:");
    write_attribute(&w, "model", info->model, sizeof info->model);
    write_attribute(&w, "manufacturer", info->manufacturerID, sizeof info->manufacturerID);
    write_attribute(&w, "serial", info->serialNumber, sizeof info->serialNumber);
    write_attribute(&w, "token", info->label, sizeof info->label);
    out[oxv_writer_finish(&w, &whole) == OXV_OK ? whole.len : 0] = '\0';
    return out;
}
