#include "service/keeper/policy.h"

#include "vault/match/match.h"

#define NS_PER_S UINT64_C(1000000000)

uint64_t
oxv_policy_kinds_now(const struct oxv_keeper *k, const struct oxv_grant *grant)
{
    const struct oxv_grant_record *r = &grant->record;
    bool now = (r->not_before_us == 0 || k->now_us >= r->not_before_us) &&
               (r->not_after_us == 0 || k->now_us < r->not_after_us);

    return now ? r->kinds : 0;
}

static bool
grant_covers(const struct oxv_keeper *k, const struct oxv_grant *grant, uint64_t kind)
{
    return (oxv_policy_kinds_now(k, grant) & kind) != 0;
}

bool
oxv_policy_has_grant(struct oxv_keeper *k, const struct oxv_policy_question *question)
{
    struct oxv_grant *grant;

    for (size_t i = 0; (grant = oxv_vault_pair_grant(k->vault, question->caller->id,
                                                     question->connection->id, i)) != NULL;
         i++) {
        if (grant_covers(k, grant, question->kind)) {
            return true;
        }
    }
    return false;
}

static bool
path_matches(struct oxv_view globs, struct oxv_view path)
{
    struct oxv_reader r = oxv_reader(globs);
    struct oxv_view glob;

    while (oxv_list_next(&r, &glob)) {
        if (oxv_path_glob_match(glob, path)) {
            return true;
        }
    }
    return false;
}

/* NULL where the request fits, else what does not. */
static const char *
url_mismatch(const struct oxv_grant *grant, const struct oxv_policy_question *question)
{
    const struct oxv_grant_record *r = &grant->record;

    if (r->methods.len > 0 && !oxv_method_match(r->methods, question->method)) {
        return "no grant of this caller covers that method";
    }
    if (!path_matches(r->paths, question->url->path)) {
        return "no grant of this caller covers that path";
    }
    if (!oxv_query_match(question->url, r->query)) {
        return "the grant fixes query parameters, and the URL does not have each exactly once";
    }
    if (!oxv_form_match(question->form, r->query)) {
        return "the grant fixes query parameters, and the form has one of the same name";
    }
    return NULL;
}

/*
 * Token bucket as GCRA: bucket_full_at_ns is when the bucket would be full again. The burst is one
 * second's worth of tokens, at least one.
 */
static uint64_t
wait_for_token_ns(struct oxv_grant *grant, uint64_t now_ns)
{
    const struct oxv_grant_record *r = &grant->record;

    if (r->rate_count == 0) {
        return 0;
    }
    uint64_t interval_ns = r->rate_period_s * NS_PER_S / r->rate_count;
    uint64_t burst = r->rate_count / r->rate_period_s;
    uint64_t allowance_ns = (burst > 1 ? burst - 1 : 0) * interval_ns;
    uint64_t full_at_ns = grant->bucket_full_at_ns > now_ns ? grant->bucket_full_at_ns : now_ns;

    if (full_at_ns - now_ns > allowance_ns) {
        return full_at_ns - now_ns - allowance_ns;
    }
    grant->bucket_full_at_ns = full_at_ns + interval_ns;
    return 0;
}

static void
refuse(struct oxv_policy_answer *answer, const char *code, const char *detail)
{
    answer->code = code;
    answer->detail = detail;
}

/* The connection's own limits, which no grant widens. */
static bool
refuse_foreign_url(const struct oxv_policy_question *question, struct oxv_policy_answer *answer)
{
    if (question->url == NULL) {
        return false;
    }
    if (!oxv_origin_match(question->connection->record.origins, question->url)) {
        refuse(answer, "url_not_allowed",
               "the connection does not sign for that scheme, host and port");
        return true;
    }
    if (oxv_path_check(question->url->path, NULL) != OXV_OK) {
        refuse(answer, "url_not_allowed",
               "the path has dot segments or a hidden NUL, which are never signed");
        return true;
    }
    return false;
}

void
oxv_policy_decide(struct oxv_keeper *k, const struct oxv_policy_question *question,
                  struct oxv_policy_answer *answer)
{
    struct oxv_grant *grant;
    uint64_t wait_ns = UINT64_MAX;

    *answer =
        (struct oxv_policy_answer){ .code = "no_grant", .detail = "there is no grant for this" };
    for (size_t i = 0; (grant = oxv_vault_pair_grant(k->vault, question->caller->id,
                                                     question->connection->id, i)) != NULL;
         i++) {
        if (!grant_covers(k, grant, question->kind)) {
            continue;
        }
        if (refuse_foreign_url(question, answer)) {
            return;
        }
        const char *mismatch = question->url != NULL ? url_mismatch(grant, question) : NULL;

        if (mismatch != NULL) {
            if (wait_ns == UINT64_MAX) {
                refuse(answer, "url_not_allowed", mismatch);
            }
            continue;
        }
        uint64_t this_wait_ns = wait_for_token_ns(grant, k->now_boot_us * 1000u);

        if (this_wait_ns == 0) {
            *answer = (struct oxv_policy_answer){ .grant = grant };
            return;
        }
        wait_ns = this_wait_ns < wait_ns ? this_wait_ns : wait_ns;
        refuse(answer, "rate_limited", "the grant's rate is used up");
        answer->retry_after_s = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    }
}
