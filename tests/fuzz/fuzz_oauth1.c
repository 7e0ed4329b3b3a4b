/*
 * fuzz_oauth1: the input is, each with a u16 length, method, URL, realm, consumer key, token, form
 * (LIST), and then raw bytes that stand for the signature.
 */
#include <stdlib.h>

#include "signer/chars.h"
#include "signer/method.h"
#include "signer/oauth1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Three parts joined by &, each encoded. */
static void
check_base(struct oxv_view base)
{
    size_t ampersands = 0;

    for (size_t i = 0; i < base.len; i++) {
        if (base.data[i] == '&') {
            ampersands++;
        } else {
            require(base.data[i] == '%' || oxv_char_is(base.data[i], OXV_CHAR_UNRESERVED));
        }
    }
    require(ampersands == 2);
}

/* One line of printable ASCII, whose quotes come in pairs. */
static void
check_header(struct oxv_view header)
{
    size_t quotes = 0;

    for (size_t i = 0; i < header.len; i++) {
        require(header.data[i] >= 0x20 && header.data[i] < 0x7f);
        quotes += header.data[i] == '"';
    }
    require(quotes % 2 == 0 && quotes >= 12 && header.data[header.len - 1] == '"');
    require(oxv_view_has_prefix(header, "OAuth "));
}

static bool
read_request(struct oxv_reader *r, struct oxv_oauth1_request *request, struct oxv_view *method,
             struct oxv_view *url)
{
    return oxv_read_view16(r, method) && oxv_read_view16(r, url) &&
           oxv_read_view16(r, &request->realm) && oxv_read_view16(r, &request->consumer_key) &&
           oxv_read_view16(r, &request->token) && oxv_read_view16(r, &request->form);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oxv_oauth1_work work;
    static uint8_t buffer[1u << 20];
    struct oxv_reader r = oxv_reader(oxv_view(data, size));
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_oauth1_request request = { .nonce = oxv_view("n", 1), .timestamp = size };
    struct oxv_view method_text;
    struct oxv_view url_text;
    struct oxv_method method;
    struct oxv_url url;
    struct oxv_view base;
    struct oxv_view header;

    if (!read_request(&r, &request, &method_text, &url_text) ||
        oxv_method_parse(method_text, &method, NULL) != OXV_OK ||
        oxv_url_parse(url_text, &url, NULL) != OXV_OK) {
        return 0;
    }
    request.method = oxv_method_view(&method);
    request.url = &url;
    request.signature_method = (enum oxv_signature_method)(1 + size % 6);
    if (oxv_oauth1_prepare(&work, &request, &base, NULL) != OXV_OK) {
        return 0;
    }
    check_base(base);
    oxv_oauth1_write_header(&w, &request, r.left);
    if (oxv_writer_finish(&w, &header) == OXV_OK) {
        check_header(header);
    } else {
        require(r.left.len > OXV_OAUTH1_SIGNATURE_MAX_BYTES);
    }
    return 0;
}
