/* token_mac: the backend whose keys are in tokens: a MAC comes back turns later, or never. */
#ifndef OXV_SERVICE_KEEPER_TOKEN_MAC_H
#define OXV_SERVICE_KEEPER_TOKEN_MAC_H

#include "service/keeper/token_keys.h"

#define OXV_TOKEN_JOB_US 5000000u /* from decision to MAC */

extern const struct oxv_mac_backend oxv_token_mac;

/* The pool of the token that has this connection's key; NULL: there is no such token. */
struct oxv_job_pool *oxv_token_job_pool(struct oxv_keeper *k,
                                        const struct oxv_connection *connection);

/* The token is ready: what waited for it goes on. */
void oxv_token_jobs_resume(struct oxv_keeper *k, struct oxv_helper *h);
/* The key of these jobs is known to be loaded, or failed. */
void oxv_token_jobs_go(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key);
/* What waits and is not being signed ends: the token cannot be used now. */
void oxv_token_jobs_fail_waiting(struct oxv_keeper *k, struct oxv_helper *h, const char *code);
/* Ends what is due, as far as there is room for answers. */
void oxv_token_jobs_expire(struct oxv_keeper *k, struct oxv_helper *h);

#endif
