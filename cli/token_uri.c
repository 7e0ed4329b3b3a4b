#include "cli/token_uri.h"

#include "base/text.h"
#include "base/token_terms.h"
#include "signer/percent.h"

#define SCHEME          "pkcs11:"
#define VALUE_MAX_BYTES 256u

/* One attribute as it stands. */
struct attribute {
    struct oxv_view name;
    struct oxv_view value; /* not decoded */
};

/* ';' parts the attributes of the path, '?' begins those of the query, '&' parts these. */
static size_t
next_mark(struct oxv_view text)
{
    size_t at = 0;

    while (at < text.len && text.data[at] != ';' && text.data[at] != '?' && text.data[at] != '&') {
        at++;
    }
    return at;
}

/* The next attribute; false at the end. */
static bool
next(struct oxv_view *left, struct attribute *out)
{
    if (left->len == 0) {
        return false;
    }
    size_t end = next_mark(*left);
    struct oxv_view whole = oxv_view_slice(*left, 0, end);
    size_t equals = oxv_view_find(whole, '=');

    out->name = oxv_view_slice(whole, 0, equals);
    out->value = oxv_view_from(whole, equals + 1);
    *left = oxv_view_from(*left, end + 1);
    return true;
}

/* Both decoded byte by byte. A malformed escape stands for itself. */
static bool
next_byte(struct oxv_view text, size_t *at, uint8_t *byte)
{
    if (*at >= text.len) {
        return false;
    }
    if (oxv_percent_escape(text, *at, byte)) {
        *at += 3;
    } else {
        *byte = text.data[(*at)++];
    }
    return true;
}

static bool
values_equal(struct oxv_view a, struct oxv_view b)
{
    size_t at_a = 0;
    size_t at_b = 0;

    for (;;) {
        uint8_t byte_a = 0;
        uint8_t byte_b = 0;
        bool more_a = next_byte(a, &at_a, &byte_a);
        bool more_b = next_byte(b, &at_b, &byte_b);

        if (more_a != more_b || byte_a != byte_b) {
            return false;
        }
        if (!more_a) {
            return true;
        }
    }
}

static struct oxv_view
attributes_of(struct oxv_view uri)
{
    return oxv_view_from(uri, sizeof SCHEME - 1);
}

static bool
find(struct oxv_view uri, struct oxv_view name, struct oxv_view *value)
{
    struct oxv_view left = attributes_of(uri);
    struct attribute attribute;

    while (next(&left, &attribute)) {
        if (oxv_view_equals(attribute.name, name)) {
            *value = attribute.value;
            return true;
        }
    }
    return false;
}

bool
oxv_token_uri_begins(const char *text)
{
    return oxv_view_has_prefix(oxv_view_text(text), SCHEME);
}

static enum oxv_exit
check_name(const struct oxv_cli *cli, struct oxv_view name)
{
    if (oxv_view_is(name, "pin-value") || oxv_view_is(name, "pin-source")) {
        return oxv_cli_usage(cli,
                             "%s in a URI is refused: every user of this machine can read a "
                             "command line, and the shell keeps it. If a PIN stood there, change "
                             "it. Use --pin-file, --pin-fd, or the prompt",
                             oxv_view_is(name, "pin-value") ? "pin-value" : "pin-source");
    }
    if (oxv_view_is(name, "module-path") || oxv_view_is(name, "module-name")) {
        return oxv_cli_usage(cli, "a module is named with --module, not in the URI: a URI that "
                                  "chooses what code is loaded is not wanted");
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_token_uri_check(const struct oxv_cli *cli, const char *text)
{
    struct oxv_view uri = oxv_view_text(text);
    struct oxv_view left = attributes_of(uri);
    struct attribute attribute;
    enum oxv_exit code = OXV_EXIT_DONE;

    if (!oxv_token_uri_begins(text)) {
        return oxv_cli_usage(cli, "a token is named by a URI like 'pkcs11:token=LABEL'");
    }
    while (code == OXV_EXIT_DONE && next(&left, &attribute)) {
        code = check_name(cli, attribute.name);
    }
    if (code == OXV_EXIT_DONE && (uri.len > OXV_TOKEN_URI_MAX_BYTES || !oxv_is_plain_ascii(uri))) {
        return oxv_cli_usage(cli,
                             "the URI of a token has at most %u bytes of plain ASCII: others are "
                             "written %%XX",
                             OXV_TOKEN_URI_MAX_BYTES);
    }
    if (code == OXV_EXIT_DONE && attributes_of(uri).len == 0) {
        return oxv_cli_usage(cli, "the URI names no token: 'pkcs11:token=LABEL' or "
                                  "'pkcs11:serial=...'");
    }
    return code;
}

bool
oxv_token_uri_fits(struct oxv_view wanted, struct oxv_view known)
{
    struct oxv_view left = attributes_of(wanted);
    struct attribute attribute;

    while (next(&left, &attribute)) {
        struct oxv_view value;

        if (!find(known, attribute.name, &value) || !values_equal(attribute.value, value)) {
            return false;
        }
    }
    return true;
}

void
oxv_token_uri_label(struct oxv_view uri, char *out, size_t out_size)
{
    char decoded[VALUE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(decoded, sizeof decoded);
    struct oxv_view value = { .data = NULL, .len = 0 };
    size_t at = 0;
    uint8_t byte;

    if (find(uri, oxv_view_text("token"), &value)) {
        while (w.len + 1 < out_size && w.len < w.max && next_byte(value, &at, &byte)) {
            oxv_write_u8(&w, byte);
        }
    }
    if (oxv_text_copy(oxv_view(decoded, w.len), out, out_size) != OXV_OK) {
        out[0] = '\0'; /* a NUL within */
    }
}
