/* Grants as design.md 9 has them, through the keeper's own decision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/keeper/policy.h"
#include "tests/support/test_vault.h"

#define HOST      "https://123456.suitetalk.api.netsuite.com"
#define SECOND_US 1000000u

static struct oxv_keeper keeper;

static int
open_vault(void **state)
{
    (void)state;
    test_vault_open(&keeper);
    return 0;
}

static int
close_vault(void **state)
{
    (void)state;
    test_vault_close(&keeper);
    return 0;
}

/* A LIST of one or two texts, in storage of the caller. */
static struct oxv_view
list(uint8_t storage[256], const char *first, const char *second)
{
    struct oxv_writer w = oxv_writer(storage, 256);

    oxv_list_add(&w, oxv_view_text(first));
    if (second != NULL) {
        oxv_list_add(&w, oxv_view_text(second));
    }
    assert_false(w.failed);
    return oxv_view(storage, w.len);
}

static struct oxv_policy_answer
ask_with_form(uint64_t kind, const char *method, const char *url_text, struct oxv_view form)
{
    struct oxv_url url;
    struct oxv_policy_answer answer = { 0 };
    struct oxv_policy_question question = {
        .caller = oxv_vault_caller_by_uid(keeper.vault, 1000),
        .connection = oxv_vault_connection(keeper.vault, oxv_view_text("acme")),
        .kind = kind,
        .form = form,
    };

    if (url_text != NULL) {
        assert_int_equal(oxv_url_parse(oxv_view_text(url_text), &url, NULL), OXV_OK);
        question.url = &url;
        question.method = oxv_view_text(method);
    }
    oxv_policy_decide(&keeper, &question, &answer);
    return answer;
}

static struct oxv_policy_answer
ask(uint64_t kind, const char *method, const char *url_text)
{
    return ask_with_form(kind, method, url_text, oxv_view(NULL, 0));
}

#define assert_code(answer, wanted) assert_string_equal((answer).code, (wanted))
#define assert_allowed(answer)      assert_null((answer).code)

static uint64_t
grant_services(struct oxv_grant_record extra)
{
    uint8_t paths[256];

    extra.kinds = extra.kinds != 0 ? extra.kinds : OXV_KIND_OAUTH1;
    extra.paths = list(paths, "/services/**", NULL);
    return test_vault_grant(&keeper, &extra);
}

static void
nothing_is_allowed_without_a_grant(void **state)
{
    (void)state;
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"), "no_grant");
    assert_code(ask(OXV_KIND_TOKEN_PASSPORT, NULL, NULL), "no_grant");
}

static void
a_grant_allows_its_kind_path_and_any_method(void **state)
{
    (void)state;
    uint64_t id = grant_services((struct oxv_grant_record){ 0 });
    struct oxv_policy_answer answer = ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x");

    assert_allowed(answer);
    assert_int_equal(answer.grant->id, id);
    assert_allowed(ask(OXV_KIND_OAUTH1, "DELETE", HOST "/services/a/b?c=d"));
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services"), "url_not_allowed");
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/app/x"), "url_not_allowed");
    assert_code(ask(OXV_KIND_TOKEN_PASSPORT, NULL, NULL), "no_grant");
    assert_code(ask(OXV_KIND_CONNECT_PASSWORD, NULL, NULL), "no_grant");
}

static void
methods_bind(void **state)
{
    (void)state;
    uint8_t methods[256];

    (void)grant_services((struct oxv_grant_record){ .methods = list(methods, "GET", "POST") });
    assert_allowed(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"));
    assert_allowed(ask(OXV_KIND_OAUTH1, "POST", HOST "/services/x"));
    assert_code(ask(OXV_KIND_OAUTH1, "PUT", HOST "/services/x"), "url_not_allowed");
}

static void
no_grant_reaches_beyond_the_connections_origins(void **state)
{
    static const char *const foreign[] = {
        "https://123457.suitetalk.api.netsuite.com/services/x",
        "https://123456.suitetalk.api.netsuite.com.evil.example/services/x",
        "http://123456.suitetalk.api.netsuite.com/services/x",
        "https://123456.suitetalk.api.netsuite.com:444/services/x",
        "https://netsuite.com/services/x",
    };

    (void)state;
    (void)grant_services((struct oxv_grant_record){ 0 });
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_code(ask(OXV_KIND_OAUTH1, "GET", foreign[i]), "url_not_allowed");
    }
    assert_allowed(ask(OXV_KIND_OAUTH1, "GET",
                       "HTTPS://123456.SuiteTalk.api.netsuite.com:443"
                       "/services/x"));
}

static void
dot_segments_and_encoded_slashes_do_not_cross_the_glob(void **state)
{
    static const char *const tricks[] = {
        HOST "/services/../rest/x",   HOST "/services/%2e%2e/app",  HOST "/services/.%2E/app",
        HOST "/services/x/%2F../app", HOST "/services/%5c..%5capp", HOST "/services/..;/app",
    };

    (void)state;
    (void)grant_services((struct oxv_grant_record){ 0 });
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        assert_code(ask(OXV_KIND_OAUTH1, "GET", tricks[i]), "url_not_allowed");
    }
    assert_allowed(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/a%2Fb"));
}

static void
query_parameters_are_fixed_by_the_grant(void **state)
{
    (void)state;
    uint8_t query[256];

    (void)grant_services((struct oxv_grant_record){ .query = list(query, "script", "508") });
    assert_allowed(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x?script=508&deploy=1"));
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x?script=509"), "url_not_allowed");
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"), "url_not_allowed");
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x?script=508&script=508"),
                "url_not_allowed");
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x?%73cript=1&script=508"),
                "url_not_allowed");
}

static void
neither_form_nor_semicolon_gets_around_what_the_grant_fixes(void **state)
{
    (void)state;
    static const char url[] = HOST "/services/x?script=508";
    uint8_t query[256];
    uint8_t form[256];

    (void)grant_services((struct oxv_grant_record){ .query = list(query, "script", "508") });
    assert_allowed(ask_with_form(OXV_KIND_OAUTH1, "POST", url, list(form, "x", "1")));
    assert_code(ask_with_form(OXV_KIND_OAUTH1, "POST", url, list(form, "script", "508")),
                "url_not_allowed");
    assert_code(ask_with_form(OXV_KIND_OAUTH1, "POST", url, list(form, "script", "999")),
                "url_not_allowed");
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x?x=1;script=999&script=508"),
                "url_not_allowed");
}

static void
a_grant_holds_between_its_times_only(void **state)
{
    (void)state;
    uint64_t now = keeper.now_us;

    (void)grant_services((struct oxv_grant_record){ .not_before_us = now + SECOND_US,
                                                    .not_after_us = now + 2 * SECOND_US });
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"), "no_grant");
    keeper.now_us = now + SECOND_US;
    assert_allowed(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"));
    keeper.now_us = now + 2 * SECOND_US;
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"), "no_grant");
}

static size_t
allowed_in_a_row(size_t tries)
{
    size_t allowed = 0;

    for (size_t i = 0; i < tries; i++) {
        allowed += ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x").code == NULL ? 1 : 0;
    }
    return allowed;
}

static void
a_rate_allows_one_seconds_worth_at_once_and_then_refills(void **state)
{
    (void)state;
    (void)grant_services((struct oxv_grant_record){ .rate_count = 5, .rate_period_s = 1 });
    assert_int_equal(allowed_in_a_row(20), 5);
    struct oxv_policy_answer answer = ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x");

    assert_code(answer, "rate_limited");
    assert_int_equal(answer.retry_after_s, 1);
    keeper.now_boot_us += SECOND_US / 5;
    assert_int_equal(allowed_in_a_row(20), 1);
    keeper.now_boot_us += 60 * SECOND_US;
    assert_int_equal(allowed_in_a_row(20), 5); /* no more than the burst is saved up */
}

static void
a_slow_rate_allows_one_and_says_how_long_to_wait(void **state)
{
    (void)state;
    (void)grant_services((struct oxv_grant_record){ .rate_count = 2, .rate_period_s = 3600 });
    assert_int_equal(allowed_in_a_row(3), 1);
    assert_int_equal(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x").retry_after_s, 1800);
}

static void
a_refused_url_takes_no_token(void **state)
{
    (void)state;
    (void)grant_services((struct oxv_grant_record){ .rate_count = 1, .rate_period_s = 1 });
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/app/x"), "url_not_allowed");
    assert_int_equal(allowed_in_a_row(2), 1);
}

static void
of_two_grants_the_one_with_tokens_left_allows(void **state)
{
    (void)state;
    (void)grant_services((struct oxv_grant_record){ .rate_count = 1, .rate_period_s = 3600 });
    (void)grant_services((struct oxv_grant_record){ .rate_count = 1, .rate_period_s = 60 });
    assert_int_equal(allowed_in_a_row(5), 2);
    assert_int_equal(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x").retry_after_s, 60);
}

static void
kinds_without_url_bind_rate_and_time(void **state)
{
    (void)state;
    (void)grant_services((struct oxv_grant_record){
        .kinds = OXV_KIND_TOKEN_PASSPORT, .rate_count = 1, .rate_period_s = 1 });
    assert_allowed(ask(OXV_KIND_TOKEN_PASSPORT, NULL, NULL));
    assert_code(ask(OXV_KIND_TOKEN_PASSPORT, NULL, NULL), "rate_limited");
    assert_code(ask(OXV_KIND_OAUTH1, "GET", HOST "/services/x"), "no_grant");
}

#define WITH_VAULT(test) cmocka_unit_test_setup_teardown(test, open_vault, close_vault)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_VAULT(nothing_is_allowed_without_a_grant),
        WITH_VAULT(a_grant_allows_its_kind_path_and_any_method),
        WITH_VAULT(methods_bind),
        WITH_VAULT(no_grant_reaches_beyond_the_connections_origins),
        WITH_VAULT(dot_segments_and_encoded_slashes_do_not_cross_the_glob),
        WITH_VAULT(query_parameters_are_fixed_by_the_grant),
        WITH_VAULT(neither_form_nor_semicolon_gets_around_what_the_grant_fixes),
        WITH_VAULT(a_grant_holds_between_its_times_only),
        WITH_VAULT(a_rate_allows_one_seconds_worth_at_once_and_then_refills),
        WITH_VAULT(a_slow_rate_allows_one_and_says_how_long_to_wait),
        WITH_VAULT(a_refused_url_takes_no_token),
        WITH_VAULT(of_two_grants_the_one_with_tokens_left_allows),
        WITH_VAULT(kinds_without_url_bind_rate_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
