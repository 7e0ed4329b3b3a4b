#include "signer/url.h"

#include <arpa/inet.h>

#include "base/text.h"
#include "signer/chars.h"
#include "signer/percent.h"

#define HTTP_PORT  80u
#define HTTPS_PORT 443u

/* The text, how far it is read, and what was found so far. */
struct parse {
    struct oxv_view text;
    size_t at;
    struct oxv_url url;
    struct oxv_syntax_error *where;
};

static enum oxv_status
refuse(struct parse *p, size_t offset, const char *reason)
{
    return oxv_refuse(p->where, OXV_E_FORMAT, offset, reason);
}

/* For a byte that has no business where it stands. */
static enum oxv_status
refuse_byte(struct parse *p, size_t offset)
{
    uint8_t byte = p->text.data[offset];

    if (byte < 0x20 || byte == 0x7f) {
        return refuse(p, offset, "a control character");
    }
    if (byte >= 0x80) {
        return refuse(p, offset, "a byte outside ASCII: percent-encode it");
    }
    if (byte == '#') {
        return refuse(p, offset, "a fragment is never sent to a server");
    }
    return refuse(p, offset, "a byte that a URL cannot have here: percent-encode it");
}

static bool
has_prefix_any_case(struct oxv_view text, const char *lower)
{
    size_t len = strlen(lower);

    if (text.len < len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (oxv_char_lower(text.data[i]) != (uint8_t)lower[i]) {
            return false;
        }
    }
    return true;
}

static enum oxv_status
parse_scheme(struct parse *p)
{
    static const char https[] = "https://";
    static const char http[] = "http://";

    if (has_prefix_any_case(p->text, https)) {
        p->url.https = true;
        p->at = sizeof https - 1;
        return OXV_OK;
    }
    if (has_prefix_any_case(p->text, http)) {
        p->at = sizeof http - 1;
        return OXV_OK;
    }
    return refuse(p, 0, "the URL must begin with https:// or http://");
}

/* Where the authority ends: at the path, query, fragment or end of the text. */
static size_t
authority_end(const struct parse *p)
{
    size_t end = p->at;

    while (end < p->text.len && p->text.data[end] != '/' && p->text.data[end] != '?' &&
           p->text.data[end] != '#') {
        end++;
    }
    return end;
}

static enum oxv_status
refuse_userinfo(struct parse *p, size_t end)
{
    for (size_t i = p->at; i < end; i++) {
        if (p->text.data[i] == '@') {
            return refuse(p, i, "a user name or password in the URL");
        }
    }
    return OXV_OK;
}

static void
put_host(struct parse *p, size_t end)
{
    p->url.host_len = end - p->at;
    for (size_t i = 0; i < p->url.host_len; i++) {
        p->url.host[i] = (char)oxv_char_lower(p->text.data[p->at + i]);
    }
    p->at = end;
}

static enum oxv_status
parse_ipv6(struct parse *p, size_t authority)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    size_t end = p->at + 1;

    while (end < authority && p->text.data[end] != ']') {
        end++;
    }
    if (end == authority) {
        return refuse(p, p->at, "a [ without its ]");
    }
    if (oxv_text_copy(oxv_view(p->text.data + p->at + 1, end - p->at - 1), address,
                      sizeof address) != OXV_OK ||
        inet_pton(AF_INET6, address, &binary) != 1) {
        return refuse(p, p->at + 1, "not an IPv6 address");
    }
    put_host(p, end + 1);
    return OXV_OK;
}

static enum oxv_status
parse_name(struct parse *p, size_t authority)
{
    size_t end = p->at;

    while (end < authority && oxv_char_is(p->text.data[end], OXV_CHAR_HOST)) {
        end++;
    }
    if (end < authority && p->text.data[end] != ':') {
        return refuse_byte(p, end);
    }
    if (end == p->at) {
        return refuse(p, p->at, "the host is missing");
    }
    if (end - p->at > OXV_URL_HOST_MAX_BYTES) {
        return oxv_refuse(p->where, OXV_E_LIMIT, p->at + OXV_URL_HOST_MAX_BYTES,
                          "the host is too long");
    }
    put_host(p, end);
    return OXV_OK;
}

static enum oxv_status
parse_port(struct parse *p, size_t authority)
{
    uint16_t standard = p->url.https ? HTTPS_PORT : HTTP_PORT;
    uint64_t port = standard;

    if (p->at < authority) {
        if (p->text.data[p->at] != ':') { /* after the ] */
            return refuse_byte(p, p->at);
        }
        p->at++;
    }
    if (p->at < authority) {
        struct oxv_view digits = oxv_view(p->text.data + p->at, authority - p->at);

        if (!oxv_parse_decimal(digits, UINT16_MAX, &port) || port == 0) {
            return refuse(p, p->at, "the port must be 1 to 65535");
        }
    }
    p->url.port = (uint16_t)port;
    p->url.default_port = port == standard;
    p->at = authority;
    return OXV_OK;
}

static enum oxv_status
parse_authority(struct parse *p)
{
    size_t end = authority_end(p);
    enum oxv_status st = refuse_userinfo(p, end);

    if (st != OXV_OK) {
        return st;
    }
    if (p->at < end && p->text.data[p->at] == '[') {
        st = parse_ipv6(p, end);
    } else {
        st = parse_name(p, end);
    }
    if (st != OXV_OK) {
        return st;
    }
    return parse_port(p, end);
}

static size_t
utf8_len(uint8_t lead)
{
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xe0) {
        return 2;
    }
    return lead < 0xf0 ? 3 : 4;
}

/* Reads the %XX at p->at, or the several of one UTF-8 character. */
static enum oxv_status
parse_escape(struct parse *p, bool in_path)
{
    uint8_t bytes[4];
    size_t begin = p->at;

    if (!oxv_percent_escape(p->text, p->at, &bytes[0])) {
        return refuse(p, p->at, "a % without two hex digits");
    }
    if (bytes[0] == 0 && in_path) {
        return refuse(p, p->at, "a zero byte in the path");
    }
    size_t len = utf8_len(bytes[0]);

    p->at += 3;
    for (size_t i = 1; i < len; i++) {
        if (!oxv_percent_escape(p->text, p->at, &bytes[i])) {
            return refuse(p, begin, "escapes that are not UTF-8");
        }
        p->at += 3;
    }
    if (len > 1 && !oxv_is_utf8(oxv_view(bytes, len))) {
        return refuse(p, begin, "escapes that are not UTF-8");
    }
    return OXV_OK;
}

/* Reads bytes of the class and escapes, up to the first other byte. */
static enum oxv_status
parse_component(struct parse *p, enum oxv_char_class wanted)
{
    while (p->at < p->text.len) {
        uint8_t byte = p->text.data[p->at];

        if (oxv_char_is(byte, wanted)) {
            p->at++;
        } else if (byte == '%') {
            enum oxv_status st = parse_escape(p, wanted == OXV_CHAR_PATH);

            if (st != OXV_OK) {
                return st;
            }
        } else {
            return OXV_OK;
        }
    }
    return OXV_OK;
}

static enum oxv_status
parse_path(struct parse *p)
{
    size_t begin = p->at;
    enum oxv_status st = parse_component(p, OXV_CHAR_PATH);

    if (st != OXV_OK) {
        return st;
    }
    if (p->at < p->text.len && p->text.data[p->at] != '?') {
        return refuse_byte(p, p->at);
    }
    p->url.path = p->at == begin ? oxv_view("/", 1) : oxv_view(p->text.data + begin, p->at - begin);
    return OXV_OK;
}

static bool
begins_with_oauth(struct oxv_view name)
{
    static const char prefix[] = "oauth_";
    uint8_t byte;
    size_t at = 0;

    for (size_t i = 0; i < sizeof prefix - 1; i++) {
        if (!oxv_form_next(name, &at, &byte) || byte != (uint8_t)prefix[i]) {
            return false;
        }
    }
    return true;
}

static void
skip_ampersands(struct oxv_view *left)
{
    while (left->len > 0 && left->data[0] == '&') {
        *left = oxv_view_from(*left, 1);
    }
}

static enum oxv_status
refuse_oauth_names(struct parse *p)
{
    struct oxv_view left = p->url.query;
    struct oxv_query_pair pair;

    for (;;) {
        skip_ampersands(&left);
        size_t offset = p->text.len - left.len; /* the query is the last part of the text */

        if (!oxv_query_next(&left, &pair)) {
            return OXV_OK;
        }
        if (begins_with_oauth(pair.name)) {
            return refuse(p, offset, "a parameter name that begins with oauth_");
        }
    }
}

static enum oxv_status
parse_query(struct parse *p)
{
    if (p->at == p->text.len) {
        return OXV_OK;
    }
    p->at++; /* the ? at which the path ended */
    p->url.has_query = true;
    p->url.query = oxv_view_from(p->text, p->at);
    enum oxv_status st = parse_component(p, OXV_CHAR_QUERY);

    if (st != OXV_OK) {
        return st;
    }
    if (p->at < p->text.len) {
        return refuse_byte(p, p->at);
    }
    return refuse_oauth_names(p);
}

enum oxv_status
oxv_url_parse(struct oxv_view text, struct oxv_url *out, struct oxv_syntax_error *where)
{
    static enum oxv_status (*const steps[])(struct parse *) = { parse_scheme, parse_authority,
                                                                parse_path, parse_query };
    struct parse p = { .text = text, .url = { .text = text }, .where = where };

    if (text.len > OXV_URL_MAX_BYTES) {
        return oxv_refuse(where, OXV_E_LIMIT, OXV_URL_MAX_BYTES, "the URL is too long");
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        enum oxv_status st = steps[i](&p);

        if (st != OXV_OK) {
            return st;
        }
    }
    *out = p.url;
    return OXV_OK;
}

void
oxv_url_write_origin(struct oxv_writer *w, const struct oxv_url *url)
{
    oxv_write_text(w, url->https ? "https://" : "http://");
    oxv_write_view(w, oxv_view(url->host, url->host_len));
    if (!url->default_port) {
        oxv_write_u8(w, ':');
        oxv_write_decimal(w, url->port);
    }
}

enum oxv_status
oxv_origin_normalise(struct oxv_view text, struct oxv_writer *w, struct oxv_syntax_error *where)
{
    struct oxv_url url;
    enum oxv_status st = oxv_url_parse(text, &url, where);

    if (st != OXV_OK) {
        return st;
    }
    if (url.has_query || !oxv_view_is(url.path, "/")) {
        return oxv_refuse(where, OXV_E_FORMAT, 0, "an origin has no path and no query");
    }
    if (!url.https && !oxv_url_is_loopback(&url)) {
        return oxv_refuse(where, OXV_E_FORMAT, 0, "http is for test servers on loopback only");
    }
    oxv_url_write_origin(w, &url);
    return OXV_OK;
}

bool
oxv_url_is_loopback(const struct oxv_url *url)
{
    struct oxv_view host = oxv_view(url->host, url->host_len);
    struct in_addr binary;

    if (oxv_view_is(host, "localhost") || oxv_view_is(host, "[::1]")) {
        return true;
    }
    /* The whole host must be an address: 127.example.com is a name like any other. */
    return oxv_view_has_prefix(host, "127.") && inet_pton(AF_INET, url->host, &binary) == 1;
}

/* Takes the bytes up to the separator, and drops it. */
static struct oxv_view
take_until(struct oxv_view *left, uint8_t separator)
{
    const uint8_t *found = left->len == 0 ? NULL : memchr(left->data, separator, left->len);
    struct oxv_view taken = *left;

    if (found == NULL) {
        *left = oxv_view(NULL, 0);
        return taken;
    }
    taken.len = (size_t)(found - left->data);
    *left = oxv_view_from(*left, taken.len + 1);
    return taken;
}

bool
oxv_query_next(struct oxv_view *left, struct oxv_query_pair *out)
{
    skip_ampersands(left);
    if (left->len == 0) {
        return false;
    }
    struct oxv_view part = take_until(left, '&');

    out->name = take_until(&part, '=');
    out->value = part;
    return true;
}
