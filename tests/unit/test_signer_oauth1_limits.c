/* What oxv_oauth1_prepare() refuses: malformed forms, and more than the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fields.h"
#include "signer/oauth1.h"

static struct oxv_oauth1_work *work;

static int
allocate_work(void **state)
{
    (void)state;
    work = malloc(sizeof *work);
    return work == NULL;
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

static struct oxv_url
url_of(const char *text)
{
    struct oxv_url url;

    assert_int_equal(oxv_url_parse(oxv_view_text(text), &url, NULL), OXV_OK);
    return url;
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

static void
assert_form_refused(struct oxv_view form, size_t offset, const char *reason)
{
    struct oxv_url url = url_of("https://h/");
    struct oxv_oauth1_request request = plain_request(&url);
    struct oxv_view base = oxv_view("x", 1);
    struct oxv_syntax_error where = { 0 };

    request.form = form;
    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, &where), OXV_E_FORMAT);
    assert_int_equal(where.offset, offset);
    assert_string_equal(where.reason, reason);
    assert_text(base, "x");
}

static void
form_names_of_the_protocol_and_broken_pairs_are_refused(void **state)
{
    (void)state;
    static const char broken[] = "a parameter without a value, or that is not UTF-8";
    struct list form;

    list_init(&form);
    list_add(&form, "a");
    assert_form_refused(list_view(&form), 0, broken);
    list_add(&form, "1");
    assert_form_refused(oxv_view(form.bytes, form.w.len - 1), 0, broken);
    list_add(&form, "oauth_x");
    list_add(&form, "1");
    assert_form_refused(list_view(&form), 1, "a parameter name that begins with oauth_");
    list_init(&form);
    list_add(&form, "OAUTH_x");
    list_add(&form, "\xff");
    assert_form_refused(list_view(&form), 0, broken);
    list_init(&form);
    list_add(&form, "a");
    list_add(&form, "1");
    list_add(&form, "\xc3");
    list_add(&form, "");
    assert_form_refused(list_view(&form), 1, broken);
}

static void
too_many_parameters_are_refused(void **state)
{
    (void)state;
    static char text[OXV_URL_MAX_BYTES + 1];
    static uint8_t bytes[OXV_OAUTH1_MAX_PARAMETERS * 6];
    struct oxv_writer w = oxv_writer(bytes, sizeof bytes);
    struct oxv_syntax_error where = { 0 };
    struct oxv_view base;

    memset(text, '&', OXV_URL_MAX_BYTES);
    memcpy(text, "https://h/?", 11);
    struct oxv_url url = url_of(text);
    struct oxv_oauth1_request request = plain_request(&url);

    for (size_t i = 0; i < OXV_OAUTH1_MAX_PARAMETERS - 6; i++) {
        oxv_list_add(&w, oxv_view("z", 1));
        oxv_list_add(&w, oxv_view("", 0));
    }
    request.form = oxv_view(bytes, w.len);
    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, &where), OXV_OK);
    oxv_list_add(&w, oxv_view("a", 1));
    oxv_list_add(&w, oxv_view("", 0));
    assert_false(w.failed);
    request.form = oxv_view(bytes, w.len);
    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, &where), OXV_E_LIMIT);
    assert_string_equal(where.reason, "too many parameters");
}

/* 64 KiB of the worst bytes still fit; twice of it does not. */
static void
too_many_bytes_are_refused(void **state)
{
    (void)state;
    static uint8_t bytes[140000];
    static uint8_t value[32000];
    struct oxv_url url = url_of("https://h/");
    struct oxv_oauth1_request request = plain_request(&url);
    struct oxv_writer w = oxv_writer(bytes, sizeof bytes);
    struct oxv_syntax_error where = { 0 };
    struct oxv_view base;

    memset(value, '=', sizeof value);
    for (int i = 0; i < 2; i++) {
        oxv_list_add(&w, oxv_view("a", 1));
        oxv_list_add(&w, oxv_view(value, sizeof value));
    }
    request.form = oxv_view(bytes, w.len);
    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, &where), OXV_OK);
    assert_true(base.len > 5 * 2 * sizeof value);
    for (int i = 0; i < 2; i++) {
        oxv_list_add(&w, oxv_view("a", 1));
        oxv_list_add(&w, oxv_view(value, sizeof value));
    }
    assert_false(w.failed);
    request.form = oxv_view(bytes, w.len);
    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, &where), OXV_E_LIMIT);
    assert_string_equal(where.reason, "the parameters are too long");
}

static void
a_base_string_beyond_its_limit_is_refused(void **state)
{
    (void)state;
    static uint8_t bytes[640000];
    static uint8_t value[60000];
    struct oxv_url url = url_of("https://h/");
    struct oxv_oauth1_request request = plain_request(&url);
    struct oxv_writer w = oxv_writer(bytes, sizeof bytes);
    struct oxv_syntax_error where = { 0 };
    struct oxv_view base = oxv_view("x", 1);

    memset(value, 'a', sizeof value); /* needs no escape, so only the last buffer is filled */
    for (int i = 0; i < 9; i++) {
        oxv_list_add(&w, oxv_view("a", 1));
        oxv_list_add(&w, oxv_view(value, sizeof value));
    }
    assert_false(w.failed);
    request.form = oxv_view(bytes, w.len);
    assert_int_equal(oxv_oauth1_prepare(work, &request, &base, &where), OXV_E_LIMIT);
    assert_string_equal(where.reason, "the signature base string is too long");
    assert_text(base, "x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_names_of_the_protocol_and_broken_pairs_are_refused),
        cmocka_unit_test(too_many_parameters_are_refused),
        cmocka_unit_test(too_many_bytes_are_refused),
        cmocka_unit_test(a_base_string_beyond_its_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, allocate_work, free_work);
}
