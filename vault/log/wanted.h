/*
 * wanted: the proofs that were asked for while their entries wait (oxv_log_want_proof()). Nothing
 * of it exists where nobody asked.
 */
#ifndef OXV_VAULT_LOG_WANTED_H
#define OXV_VAULT_LOG_WANTED_H

#include "vault/log/recent.h"

struct oxv_log;
struct oxv_wanted;

void oxv_wanted_free(struct oxv_wanted *wanted);
/* Takes the leaves of the group that is durable now, before its lines are dropped. */
void oxv_wanted_take_group(struct oxv_log *log);

OXV_DEFINE_OWNER(oxv_wanted);

#endif
