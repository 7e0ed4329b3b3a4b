/* token_login: a token on its way to be ready: opened, logged in, or known not to be. */
#ifndef OXV_SERVICE_KEEPER_TOKEN_LOGIN_H
#define OXV_SERVICE_KEEPER_TOKEN_LOGIN_H

#include "service/keeper/tokens.h"

/* Are its connections to be served, so that it is brought back whenever it can be? */
bool oxv_token_is_needed(const struct oxv_keeper *k, const struct oxv_helper *h);
/* Brings it on the way to be ready, from wherever it is. */
void oxv_token_begin(struct oxv_keeper *k, struct oxv_helper *h);
/* Tells all who wait. */
void oxv_token_tell_waiters(struct oxv_keeper *k, struct oxv_helper *h, uint64_t trouble);

#endif
