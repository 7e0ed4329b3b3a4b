#include "signer/oauth1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <openssl/hmac.h>

#include "base/fields.h"
#include "base/secret.h"
#include "base/text.h"
#include "signer/hmac_key.h"
#include "signer/method.h"
#include "signer/percent.h"

#define VECTORS "tests/vectors/oauth1.json"

static struct oxv_oauth1_work *work;

static int
allocate_work(void **state)
{
    (void)state;
    struct oxv_err err;

    work = malloc(sizeof *work);
    if (work != NULL) {
        memset(work, 0xa5, sizeof *work); /* nobody promises zeros */
    }
    return work == NULL || oxv_secret_setup(OXV_SECRET_MEMORY_AUTO, true, &err) != OXV_OK;
}

static int
free_work(void **state)
{
    (void)state;
    free(work);
    return 0;
}

/* A LIST in a buffer. */
struct list {
    uint8_t bytes[1024];
    struct oxv_writer w;
};

static void
list_init(struct list *list)
{
    list->w = oxv_writer(list->bytes, sizeof list->bytes);
}

static void
list_add(struct list *list, const char *item)
{
    oxv_list_add(&list->w, oxv_view_text(item));
    assert_false(list->w.failed);
}

static struct oxv_view
list_view(const struct list *list)
{
    return oxv_view(list->bytes, list->w.len);
}

static void
assert_text(struct oxv_view view, const char *wanted)
{
    if (!oxv_view_is(view, wanted)) {
        fail_msg("\nwas    %.*s\nwanted %s", (int)view.len, (const char *)view.data, wanted);
    }
}

static struct oxv_view
hmac(enum oxv_signature_method method, struct oxv_view key, struct oxv_view text, uint8_t *out)
{
    unsigned len;
    const EVP_MD *md = method == OXV_HMAC_SHA256   ? EVP_sha256()
                       : method == OXV_HMAC_SHA512 ? EVP_sha512()
                                                   : EVP_sha1();

    assert_non_null(HMAC(md, key.data, (int)key.len, text.data, text.len, out, &len));
    assert_int_equal(len, oxv_hmac_len(method));
    return oxv_view(out, len);
}

/* Base string, signature in base64 and header, all as text, of a request that must be fine. */
struct signed_text {
    char base[4096];
    char signature[128];
    char header[2048];
};

static void
sign(const struct oxv_oauth1_request *request, const char *consumer_secret,
     const char *token_secret, struct signed_text *out)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = NULL;
    uint8_t mac[EVP_MAX_MD_SIZE];
    struct oxv_view base;
    struct oxv_view text;
    struct oxv_writer w = oxv_writer(out->signature, sizeof out->signature);

    assert_int_equal(oxv_oauth1_prepare(work, request, &base, NULL), OXV_OK);
    assert_int_equal(oxv_text_copy(base, out->base, sizeof out->base), OXV_OK);
    assert_int_equal(oxv_hmac_key_text(oxv_view_text(consumer_secret), oxv_view_text(token_secret),
                                       &key),
                     OXV_OK);
    struct oxv_view signature = hmac(request->signature_method, oxv_secret_view(key), base, mac);

    oxv_write_base64(&w, signature);
    oxv_write_u8(&w, 0);
    assert_int_equal(oxv_writer_finish(&w, &text), OXV_OK);
    w = oxv_writer(out->header, sizeof out->header);
    oxv_oauth1_write_header(&w, request, signature);
    oxv_write_u8(&w, 0);
    assert_int_equal(oxv_writer_finish(&w, &text), OXV_OK);
}

static struct oxv_url
url_of(const char *text)
{
    struct oxv_url url;

    assert_int_equal(oxv_url_parse(oxv_view_text(text), &url, NULL), OXV_OK);
    return url;
}

static void
the_photos_example_of_rfc_5849_1_2(void **state)
{
    (void)state;
    struct oxv_url url = url_of("http://photos.example.net/photos?file=vacation.jpg&size=original");
    const struct oxv_oauth1_request request = {
        .method = oxv_view_text("GET"),
        .url = &url,
        .realm = oxv_view_text("Photos"),
        .consumer_key = oxv_view_text("dpf43f3p2l4k3l03"),
        .token = oxv_view_text("nnch734d00sl2jdk"),
        .nonce = oxv_view_text("chapoH"),
        .timestamp = 137131202,
        .signature_method = OXV_HMAC_SHA1,
        .without_version = true,
    };
    struct signed_text out;

    sign(&request, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00", &out);
    assert_string_equal(out.header,
                        "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", "
                        "oauth_token=\"nnch734d00sl2jdk\", oauth_signature_method=\"HMAC-SHA1\", "
                        "oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", "
                        "oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"");
}

static void
the_base_string_of_rfc_5849_3_4_1_1(void **state)
{
    (void)state;
    struct oxv_url url = url_of("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b");
    struct list form;

    list_init(&form);
    list_add(&form, "c2");
    list_add(&form, "");
    list_add(&form, "a3");
    list_add(&form, "2 q");
    const struct oxv_oauth1_request request = {
        .method = oxv_view_text("POST"),
        .url = &url,
        .form = list_view(&form),
        .realm = oxv_view_text("Example"),
        .consumer_key = oxv_view_text("9djdj82h48djs9d2"),
        .token = oxv_view_text("kkk9d7dh3k39sjv7"),
        .nonce = oxv_view_text("7d8f3e4a"),
        .timestamp = 137131201,
        .signature_method = OXV_HMAC_SHA1,
        .without_version = true,
    };
    struct signed_text out;

    sign(&request, "j49sk3j29djd", "dh893hdasih9", &out);
    assert_string_equal(
        out.base, "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da"
                  "%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9"
                  "d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_times"
                  "tamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7");
    assert_string_equal(out.signature, "r6/TJjbCOr97/+UU0NsvSne7s5g=");
}

/* The rest of the file is one JSON text. */
static cJSON *
read_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    (void)fclose(file);
    cJSON *json = cJSON_Parse(text);

    free(text);
    assert_non_null(json);
    return json;
}

static const char *
text_at(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text == NULL ? "" : text;
}

/* base_url and the pairs of query, encoded. */
static void
write_url(const cJSON *vector, char *out, size_t size)
{
    struct oxv_writer w = oxv_writer(out, size);
    const cJSON *query = cJSON_GetObjectItemCaseSensitive(vector, "query");
    const cJSON *pair;
    const char *separator = "?";

    oxv_write_text(&w, text_at(vector, "base_url"));
    cJSON_ArrayForEach(pair, query)
    {
        oxv_write_text(&w, separator);
        oxv_write_percent(&w, oxv_view_text(cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0))));
        oxv_write_text(&w, "=");
        oxv_write_percent(&w, oxv_view_text(cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1))));
        separator = "&";
    }
    oxv_write_u8(&w, 0);
    assert_false(w.failed);
}

static void
check_plain_vector(const cJSON *vector)
{
    char text[1024];
    struct signed_text out;
    struct oxv_method method;
    struct oxv_oauth1_request request = {
        .consumer_key = oxv_view_text(text_at(vector, "consumer_key")),
        .token = oxv_view_text(text_at(vector, "token")),
        .nonce = oxv_view_text(text_at(vector, "nonce")),
        .timestamp = strtoull(text_at(vector, "timestamp"), NULL, 10),
    };

    write_url(vector, text, sizeof text);
    struct oxv_url url = url_of(text);

    request.url = &url;
    assert_int_equal(oxv_method_parse(oxv_view_text(text_at(vector, "method")), &method, NULL),
                     OXV_OK);
    request.method = oxv_method_view(&method);
    assert_int_equal(oxv_signature_method_parse(oxv_view_text(text_at(vector, "signature_method")),
                                                &request.signature_method, NULL),
                     OXV_OK);
    sign(&request, text_at(vector, "consumer_secret"), text_at(vector, "token_secret"), &out);
    assert_string_equal(out.base, text_at(vector, "base_string"));
    assert_string_equal(out.signature, text_at(vector, "signature"));
}

static bool
is_standard(const char *name)
{
    static const char *const names[] = { "oauth_consumer_key", "oauth_token",
                                         "oauth_nonce",        "oauth_signature_method",
                                         "oauth_timestamp",    "oauth_version" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A step of NetSuite's authorization flow: parameters beyond the usual ones, key as one text. */
static void
check_flow_vector(const cJSON *vector, const char *url_text)
{
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(vector, "params");
    const char *key = text_at(vector, "key");
    struct oxv_url url = url_of(url_text);
    struct list extra;
    const cJSON *param;
    uint8_t mac[EVP_MAX_MD_SIZE];
    char signature[64] = { 0 };
    struct oxv_writer w = oxv_writer(signature, sizeof signature - 1);
    struct oxv_view base;

    list_init(&extra);
    cJSON_ArrayForEach(param, params)
    {
        if (!is_standard(param->string)) {
            list_add(&extra, param->string);
            list_add(&extra, param->valuestring);
        }
    }
    const struct oxv_oauth1_request request = {
        .method = oxv_view_text("POST"),
        .url = &url,
        .consumer_key = oxv_view_text(text_at(params, "oauth_consumer_key")),
        .token = oxv_view_text(text_at(params, "oauth_token")),
        .nonce = oxv_view_text(text_at(params, "oauth_nonce")),
        .timestamp = strtoull(text_at(params, "oauth_timestamp"), NULL, 10),
        .signature_method = OXV_HMAC_SHA256,
        .extra = list_view(&extra),
    };

    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, NULL), OXV_OK);
    assert_text(base, text_at(vector, "base_string"));
    oxv_write_base64(&w, hmac(OXV_HMAC_SHA256, oxv_view_text(key), base, mac));
    assert_string_equal(signature, text_at(vector, "signature"));
}

static void
every_vector_of_the_file_reproduces(void **state)
{
    (void)state;
    cJSON *vectors = read_json(VECTORS);
    const cJSON *vector;
    size_t checked = 0;

    cJSON_ArrayForEach(vector, vectors)
    {
        const char *name = text_at(vector, "name");

        checked++;
        if (strcmp(name, "B1") == 0) {
            check_flow_vector(vector,
                              "https://1234567.restlets.api.netsuite.com/rest/requesttoken");
        } else if (strcmp(name, "B2") == 0) {
            check_flow_vector(vector, "https://1234567.restlets.api.netsuite.com/rest/accesstoken");
        } else {
            check_plain_vector(vector);
        }
    }
    cJSON_Delete(vectors);
    assert_int_equal(checked, 7);
}

/* The request that the small tests change. */
static struct oxv_oauth1_request
plain_request(const struct oxv_url *url)
{
    return (struct oxv_oauth1_request){
        .method = oxv_view_text("GET"),
        .url = url,
        .consumer_key = oxv_view_text("ck"),
        .token = oxv_view_text("tk"),
        .nonce = oxv_view_text("n"),
        .timestamp = 1,
        .signature_method = OXV_HMAC_SHA256,
    };
}

#define PLAIN_PARAMETERS                                                                           \
    "oauth_consumer_key%3Dck%26oauth_nonce%3Dn%26oauth_signature_method%3DHMAC-SHA256%26oauth_"    \
    "timestamp%3D1%26oauth_token%3Dtk%26oauth_version%3D1.0"

static void
assert_base(const char *url_text, const char *wanted)
{
    struct oxv_url url = url_of(url_text);
    struct oxv_oauth1_request request = plain_request(&url);
    struct oxv_view base;

    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, NULL), OXV_OK);
    assert_text(base, wanted);
}

static void
odd_urls_have_the_base_string_of_the_rfc(void **state)
{
    (void)state;
    assert_base("HTTPS://H.x", "GET&https%3A%2F%2Fh.x%2F&" PLAIN_PARAMETERS);
    assert_base("https://h:443?", "GET&https%3A%2F%2Fh%2F&" PLAIN_PARAMETERS);
    assert_base("https://h:8443/", "GET&https%3A%2F%2Fh%3A8443%2F&" PLAIN_PARAMETERS);
    assert_base("https://[::1]:444/", "GET&https%3A%2F%2F%5B%3A%3A1%5D%3A444%2F&" PLAIN_PARAMETERS);
    assert_base("https://h/!t/a%2Fb;", "GET&https%3A%2F%2Fh%2F%21t%2Fa%252Fb%3B&" PLAIN_PARAMETERS);
    assert_base("https://h/%c3%a9~", "GET&https%3A%2F%2Fh%2F%25c3%25a9~&" PLAIN_PARAMETERS);
    assert_base("https://h/?&z=~&&z&a=+%2b&a=%c3%a9",
                "GET&https%3A%2F%2Fh%2F&a%3D%2520%252B%26a%3D%25C3%25A9%26" PLAIN_PARAMETERS
                "%26z%3D%26z%3D~");
    assert_base("https://h/?=x&=&%00=1",
                "GET&https%3A%2F%2Fh%2F&%3D%26%3Dx%26%2500%3D1%26" PLAIN_PARAMETERS);
    /* By encoded bytes: "%" comes before digits, an escape of a space before "-". */
    assert_base("https://h/?a-=1&a%20=2&a=3",
                "GET&https%3A%2F%2Fh%2F&a%3D3%26a%2520%3D2%26a-%3D1%26" PLAIN_PARAMETERS);
}

static void
a_request_without_token_and_realm_has_neither(void **state)
{
    (void)state;
    struct oxv_url url = url_of("https://h/");
    struct oxv_oauth1_request request = plain_request(&url);
    struct signed_text out;

    request.token = oxv_view(NULL, 0);
    sign(&request, "cs", "", &out);
    assert_string_equal(out.base,
                        "GET&https%3A%2F%2Fh%2F&oauth_consumer_key%3Dck%26oauth_nonce%3Dn%26oauth_"
                        "signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1%26oauth_version"
                        "%3D1.0");
    static const char header[] =
        "OAuth oauth_consumer_key=\"ck\", oauth_signature_method=\"HMAC-SHA256\", "
        "oauth_timestamp=\"1\", oauth_nonce=\"n\", oauth_version=\"1.0\", oauth_signature=\"";

    assert_memory_equal(out.header, header, sizeof header - 1);
}

static void
the_header_encodes_and_quotes_every_value(void **state)
{
    (void)state;
    struct oxv_url url = url_of("https://h/?secret=1");
    struct oxv_oauth1_request request = plain_request(&url);
    struct list extra;
    uint8_t buffer[512];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view header;

    list_init(&extra);
    list_add(&extra, "oauth_callback");
    list_add(&extra, "https://c/?x=1");
    request.extra = list_view(&extra);
    request.realm = oxv_view_text("a\"b, c");
    request.consumer_key = oxv_view_text("c k\r\n");
    request.token = oxv_view_text("\xc3\xa9");
    request.nonce = oxv_view_text("n\"");
    request.timestamp = UINT64_MAX;
    oxv_oauth1_write_header(&w, &request, oxv_view("\xff\xff\xfe", 3));
    assert_int_equal(oxv_writer_finish(&w, &header), OXV_OK);
    assert_text(header, "OAuth realm=\"a%22b%2C%20c\", oauth_consumer_key=\"c%20k%0D%0A\", "
                        "oauth_token=\"%C3%A9\", oauth_signature_method=\"HMAC-SHA256\", "
                        "oauth_timestamp=\"18446744073709551615\", oauth_nonce=\"n%22\", "
                        "oauth_version=\"1.0\", oauth_callback=\"https%3A%2F%2Fc%2F%3Fx%3D1\", "
                        "oauth_signature=\"%2F%2F%2F%2B\"");
}

static void
a_header_that_does_not_fit_fails(void **state)
{
    (void)state;
    struct oxv_url url = url_of("https://h/");
    struct oxv_oauth1_request request = plain_request(&url);
    static uint8_t signature[OXV_OAUTH1_SIGNATURE_MAX_BYTES + 1];
    static uint8_t buffer[8192];
    size_t needed;

    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    oxv_oauth1_write_header(&w, &request, oxv_view(signature, 32));
    assert_false(w.failed);
    needed = w.len;
    for (size_t max = 0; max < needed; max++) {
        w = oxv_writer(buffer, max);
        oxv_oauth1_write_header(&w, &request, oxv_view(signature, 32));
        assert_true(w.failed);
    }
    w = oxv_writer(buffer, sizeof buffer);
    oxv_oauth1_write_header(&w, &request, oxv_view(signature, OXV_OAUTH1_SIGNATURE_MAX_BYTES));
    assert_false(w.failed);
    oxv_oauth1_write_header(&w, &request, oxv_view(signature, sizeof signature));
    assert_true(w.failed);
}

static void
the_work_area_keeps_nothing_of_the_last_request(void **state)
{
    (void)state;
    assert_base("https://h/?long=aaaaaaaaaaaaaaaaaaaaaaa+%20&b=1&c=2",
                "GET&https%3A%2F%2Fh%2F&b%3D1%26c%3D2%26long%3Daaaaaaaaaaaaaaaaaaaaaaa%2520%2520"
                "%26" PLAIN_PARAMETERS);
    assert_base("https://h/", "GET&https%3A%2F%2Fh%2F&" PLAIN_PARAMETERS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_photos_example_of_rfc_5849_1_2),
        cmocka_unit_test(the_base_string_of_rfc_5849_3_4_1_1),
        cmocka_unit_test(every_vector_of_the_file_reproduces),
        cmocka_unit_test(odd_urls_have_the_base_string_of_the_rfc),
        cmocka_unit_test(a_request_without_token_and_realm_has_neither),
        cmocka_unit_test(the_header_encodes_and_quotes_every_value),
        cmocka_unit_test(a_header_that_does_not_fit_fails),
        cmocka_unit_test(the_work_area_keeps_nothing_of_the_last_request),
    };

    return cmocka_run_group_tests(tests, allocate_work, free_work);
}
