/* policy: may this caller have this signature now? (design.md 9, "Grants") */
#ifndef OXV_SERVICE_KEEPER_POLICY_H
#define OXV_SERVICE_KEEPER_POLICY_H

#include "service/keeper/keeper.h"

/* What is asked for; url and method are NULL for kinds that bind neither. */
struct oxv_policy_question {
    const struct oxv_caller *caller;
    const struct oxv_connection *connection;
    uint64_t kind;
    struct oxv_view method;
    const struct oxv_url *url;
    struct oxv_view form; /* LIST of name, value ...: parameters of the body that are signed */
};

struct oxv_policy_answer {
    struct oxv_grant *grant; /* what allows it */
    const char *code;        /* NULL: allowed; else a code of design 8 */
    const char *detail;      /* static text */
    uint64_t retry_after_s;  /* rate_limited */
};

/* The kinds that the grant covers at this moment: none before and after its times. */
uint64_t oxv_policy_kinds_now(const struct oxv_keeper *k, const struct oxv_grant *grant);
/* Is there any grant that could allow this kind now, whatever the URL? */
bool oxv_policy_has_grant(struct oxv_keeper *k, const struct oxv_policy_question *question);
/* Decides and takes one rate token of the grant that allows it. */
void oxv_policy_decide(struct oxv_keeper *k, const struct oxv_policy_question *question,
                       struct oxv_policy_answer *answer);

#endif
