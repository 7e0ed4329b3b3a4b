/* test_vault: an open vault with a log in a temporary directory, for tests of the keeper's parts.
 */
#ifndef OXV_TESTS_SUPPORT_TEST_VAULT_H
#define OXV_TESTS_SUPPORT_TEST_VAULT_H

#include "service/keeper/keeper.h"

/* Makes the vault, opens it in *k and adds caller "caller" (uid 1000), connection "acme" (NetSuite,
 * account 123456) and admin uid 0. Aborts where anything fails. */
void test_vault_open(struct oxv_keeper *k);
/* Opens it again after a lock. */
void test_vault_unseal(struct oxv_keeper *k);
/* Adds a grant on acme; returns its id. */
uint64_t test_vault_grant(struct oxv_keeper *k, const struct oxv_grant_record *grant);
/* Closes and removes the directory. */
void test_vault_close(struct oxv_keeper *k);

#endif
