#include "signer/oauth1.h"

#include "base/fields.h"
#include "base/text.h"
#include "signer/percent.h"
#include "signer/sort.h"

/* A signature in base64. */
#define SIGNATURE_TEXT_MAX_BYTES ((OXV_OAUTH1_SIGNATURE_MAX_BYTES + 2u) / 3u * 4u)

static bool
begins_with_oauth(struct oxv_view name)
{
    return oxv_view_has_prefix(name, "oauth_");
}

/* The encoding of raw bytes: they themselves, where nothing needs an escape. */
static struct oxv_view
encode(struct oxv_oauth1_work *work, struct oxv_view raw)
{
    if (oxv_percent_is_plain(raw)) {
        return raw;
    }
    size_t begin = work->encoded.len;

    oxv_write_percent(&work->encoded, raw);
    return oxv_view(work->encoded_bytes + begin, work->encoded.len - begin);
}

/* The same for a piece of the query, which is encoded in some way already. */
static struct oxv_view
recode(struct oxv_oauth1_work *work, struct oxv_view piece)
{
    if (oxv_percent_is_plain(piece)) {
        return piece;
    }
    size_t begin = work->encoded.len;

    oxv_write_form_recoded(&work->encoded, piece);
    return oxv_view(work->encoded_bytes + begin, work->encoded.len - begin);
}

static enum oxv_status
add_encoded(struct oxv_oauth1_work *work, struct oxv_view name, struct oxv_view value,
            struct oxv_syntax_error *where)
{
    if (work->count == OXV_OAUTH1_MAX_PARAMETERS) {
        return oxv_refuse(where, OXV_E_LIMIT, 0, "too many parameters");
    }
    if (work->encoded.failed) {
        return oxv_refuse(where, OXV_E_LIMIT, 0, "the parameters are too long");
    }
    work->parameters[work->count++] = (struct oxv_oauth1_parameter){ .name = name, .value = value };
    return OXV_OK;
}

static struct oxv_view
timestamp_text(uint64_t timestamp, uint8_t *buffer, size_t size)
{
    struct oxv_writer w = oxv_writer(buffer, size);
    struct oxv_view text;

    oxv_write_decimal(&w, timestamp);
    if (oxv_writer_finish(&w, &text) != OXV_OK) {
        oxv_bug("a time stamp has at most 20 digits");
    }
    return text;
}

/* The parameters that the header carries, in order; in the base string they are sorted anyway. */
struct protocol {
    struct oxv_oauth1_parameter items[6];
    size_t count;
};

static void
add_protocol(struct protocol *out, bool wanted, const char *name, struct oxv_view value)
{
    if (wanted) {
        out->items[out->count++] =
            (struct oxv_oauth1_parameter){ .name = oxv_view_text(name), .value = value };
    }
}

static struct protocol
protocol_parameters(const struct oxv_oauth1_request *request, struct oxv_view timestamp)
{
    struct protocol out = { .count = 0 };
    const char *method = oxv_signature_method_name(request->signature_method);

    add_protocol(&out, true, "oauth_consumer_key", request->consumer_key);
    add_protocol(&out, request->token.len > 0, "oauth_token", request->token);
    add_protocol(&out, true, "oauth_signature_method", oxv_view_text(method));
    add_protocol(&out, true, "oauth_timestamp", timestamp);
    add_protocol(&out, true, "oauth_nonce", request->nonce);
    add_protocol(&out, !request->without_version, "oauth_version", oxv_view_text("1.0"));
    return out;
}

static enum oxv_status
collect_protocol(struct oxv_oauth1_work *work, const struct oxv_oauth1_request *request,
                 struct oxv_syntax_error *where)
{
    struct protocol protocol =
        protocol_parameters(request, timestamp_text(request->timestamp, work->timestamp,
                                                    sizeof work->timestamp));

    for (size_t i = 0; i < protocol.count; i++) {
        enum oxv_status st =
            add_encoded(work, protocol.items[i].name, encode(work, protocol.items[i].value), where);

        if (st != OXV_OK) {
            return st;
        }
    }
    return OXV_OK;
}

static enum oxv_status
collect_query(struct oxv_oauth1_work *work, struct oxv_view query, struct oxv_syntax_error *where)
{
    struct oxv_query_pair pair;

    while (oxv_query_next(&query, &pair)) {
        struct oxv_view name = recode(work, pair.name);
        enum oxv_status st = add_encoded(work, name, recode(work, pair.value), where);

        if (st != OXV_OK) {
            return st;
        }
    }
    return OXV_OK;
}

/* The next name and value of a LIST. At its end *more is false. */
static enum oxv_status
next_pair(struct oxv_reader *list, struct oxv_oauth1_parameter *out, bool *more)
{
    *more = !oxv_reader_at_end(list);
    if (!*more) {
        return OXV_OK;
    }
    if (!oxv_list_next(list, &out->name) || !oxv_list_next(list, &out->value) ||
        !oxv_is_utf8(out->name) || !oxv_is_utf8(out->value)) {
        return OXV_E_FORMAT;
    }
    return OXV_OK;
}

static enum oxv_status
collect_list(struct oxv_oauth1_work *work, struct oxv_view list, bool oauth_allowed,
             struct oxv_syntax_error *where)
{
    struct oxv_reader r = oxv_reader(list);
    struct oxv_oauth1_parameter raw;
    bool more;

    for (size_t n = 0;; n++) {
        if (next_pair(&r, &raw, &more) != OXV_OK) {
            return oxv_refuse(where, OXV_E_FORMAT, n,
                              "a parameter without a value, or that is not UTF-8");
        }
        if (!more) {
            return OXV_OK;
        }
        if (!oauth_allowed && begins_with_oauth(raw.name)) {
            return oxv_refuse(where, OXV_E_FORMAT, n, "a parameter name that begins with oauth_");
        }
        struct oxv_view name = encode(work, raw.name);
        enum oxv_status st = add_encoded(work, name, encode(work, raw.value), where);

        if (st != OXV_OK) {
            return st;
        }
    }
}

static enum oxv_status
collect(struct oxv_oauth1_work *work, const struct oxv_oauth1_request *request,
        struct oxv_syntax_error *where)
{
    enum oxv_status st;

    work->count = 0;
    work->encoded = oxv_writer(work->encoded_bytes, sizeof work->encoded_bytes);
    st = collect_protocol(work, request, where);
    if (st != OXV_OK) {
        return st;
    }
    st = collect_list(work, request->extra, true, where);
    if (st != OXV_OK) {
        return st;
    }
    st = collect_query(work, request->url->query, where);
    if (st != OXV_OK) {
        return st;
    }
    return collect_list(work, request->form, false, where);
}

/* RFC 5849 3.4.1.2; encoded once more as a part of the base string. */
static void
write_base_uri(struct oxv_writer *w, const struct oxv_url *url)
{
    uint8_t buffer[OXV_URL_ORIGIN_MAX_BYTES];
    struct oxv_writer origin = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;

    oxv_url_write_origin(&origin, url);
    if (oxv_writer_finish(&origin, &text) != OXV_OK) {
        oxv_bug("an origin is longer than any host");
    }
    oxv_write_percent(w, text);
    oxv_write_percent(w, url->path);
}

enum oxv_status
oxv_oauth1_prepare(struct oxv_oauth1_work *work, const struct oxv_oauth1_request *request,
                   struct oxv_view *base_string, struct oxv_syntax_error *where)
{
    enum oxv_status st = collect(work, request, where);

    if (st != OXV_OK) {
        return st;
    }
    oxv_sort_parameters(work->parameters, work->count);

    struct oxv_writer w = oxv_writer(work->base, sizeof work->base);

    oxv_write_percent(&w, request->method);
    oxv_write_u8(&w, '&');
    write_base_uri(&w, request->url);
    oxv_write_u8(&w, '&');
    for (size_t i = 0; i < work->count; i++) {
        oxv_write_view(&w, i == 0 ? oxv_view(NULL, 0) : oxv_view("%26", 3));
        oxv_write_percent_again(&w, work->parameters[i].name);
        oxv_write_view(&w, oxv_view("%3D", 3));
        oxv_write_percent_again(&w, work->parameters[i].value);
    }
    if (oxv_writer_finish(&w, base_string) != OXV_OK) {
        return oxv_refuse(where, OXV_E_LIMIT, 0, "the signature base string is too long");
    }
    return OXV_OK;
}

static void
write_field(struct oxv_writer *w, struct oxv_view name, struct oxv_view value)
{
    oxv_write_percent(w, name);
    oxv_write_view(w, oxv_view("=\"", 2));
    oxv_write_percent(w, value);
    oxv_write_view(w, oxv_view("\", ", 3));
}

static void
write_signature(struct oxv_writer *w, struct oxv_view signature)
{
    uint8_t buffer[SIGNATURE_TEXT_MAX_BYTES];
    struct oxv_writer base64 = oxv_writer(buffer, sizeof buffer);
    struct oxv_view text;

    if (signature.len > OXV_OAUTH1_SIGNATURE_MAX_BYTES) {
        w->failed = true;
        return;
    }
    oxv_write_base64(&base64, signature);
    if (oxv_writer_finish(&base64, &text) != OXV_OK) {
        oxv_bug("a signature is longer than its text");
    }
    oxv_write_text(w, "oauth_signature=\"");
    oxv_write_percent(w, text);
    oxv_write_u8(w, '"');
}

void
oxv_oauth1_write_header(struct oxv_writer *w, const struct oxv_oauth1_request *request,
                        struct oxv_view signature)
{
    uint8_t digits[20];
    struct protocol protocol =
        protocol_parameters(request, timestamp_text(request->timestamp, digits, sizeof digits));
    struct oxv_reader extra = oxv_reader(request->extra);
    struct oxv_view name;
    struct oxv_view value;

    oxv_write_text(w, "OAuth ");
    if (request->realm.len > 0) {
        write_field(w, oxv_view("realm", 5), request->realm);
    }
    for (size_t i = 0; i < protocol.count; i++) {
        write_field(w, protocol.items[i].name, protocol.items[i].value);
    }
    while (oxv_list_next(&extra, &name) && oxv_list_next(&extra, &value)) {
        write_field(w, name, value);
    }
    write_signature(w, signature);
}
