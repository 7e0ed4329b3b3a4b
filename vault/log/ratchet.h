/*
 * ratchet: the keys that wrap epoch.key, and the seed of the log key. Both start from a subkey of
 * the vault that is wiped once the log is open: whoever reads the memory later gets the key of this
 * epoch's file, and none of an older file.
 *
 *   w(0) the start;  w(i + 1) = BLAKE2b-256(key: w(i), "audit-wrap");  epoch e uses w(e + 1)
 *   seed of the log key = BLAKE2b-256(key: w(0), "log-key" || origin)
 */
#ifndef OXV_VAULT_LOG_RATCHET_H
#define OXV_VAULT_LOG_RATCHET_H

#include "base/secret.h"

/* w(i + steps) from w(i). NULL: no locked memory. */
OXV_MUST_USE struct oxv_secret *oxv_ratchet(const struct oxv_secret *from, uint64_t steps);

/* 32 bytes from w(0). NULL: no locked memory. */
OXV_MUST_USE struct oxv_secret *oxv_log_key_seed(const struct oxv_secret *start,
                                                 const char *origin);

#endif
