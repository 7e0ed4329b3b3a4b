/* token_login: a token on its way to be ready: opened, logged in, or known not to be. */
#ifndef OXV_SERVICE_KEEPER_TOKEN_LOGIN_H
#define OXV_SERVICE_KEEPER_TOKEN_LOGIN_H

#include "service/keeper/tokens.h"

/* Are its connections to be served, so that it is brought back whenever it can be? */
bool oxv_token_is_needed(const struct oxv_keeper *k, const struct oxv_helper *h);
/* Brings it on the way to be ready, from wherever it is. */
void oxv_token_begin(struct oxv_keeper *k, struct oxv_helper *h);

/* token_waiters.c */

/* Tells all who wait. FINE is for who typed no PIN, or the right one. */
void oxv_token_tell_waiters(struct oxv_keeper *k, struct oxv_helper *h, uint64_t trouble);
/* Ends the waiting of whoever is due. */
void oxv_token_waiters_expire(struct oxv_keeper *k, struct oxv_helper *h);
/* Persons wait so long; those who do not stand at the device keep their time. */
void oxv_token_waiters_give_time(struct oxv_helper *h, uint64_t due_us);
/* Without a word. */
void oxv_token_waiters_free(struct oxv_helper *h);

/* Does a seal or a row use this token through another module? `text` says so then. */
bool oxv_token_find_other_module(const struct oxv_keeper *k, const struct oxv_helper *h,
                                 char text[OXV_HELPER_TEXT_BYTES]);
/* Where it turned out to be a token that has a helper: whoever waits goes on there, and this one is
 * swept. */
bool oxv_token_give_way(struct oxv_keeper *k, struct oxv_helper *h);

#endif
