/*
 * verify_state: how far a verification came, kept by the auditor, so that the next one reads only
 * what is new. As a file: a line that names the format, the fields (base/fields.h), and the SHA-256
 * of both against accidents. Whoever can change it can hide what is before it: it belongs where the
 * log's holder cannot write.
 */
#ifndef OXV_VAULT_LOG_VERIFY_STATE_H
#define OXV_VAULT_LOG_VERIFY_STATE_H

#include "vault/log/verify_pool.h"

/* Appends the state; its chain has at least one entry and all are committed. */
void oxv_verify_state_write(struct oxv_writer *w, const struct oxv_verify_state *state,
                            const struct oxv_vkey *genesis, struct oxv_hasher *hasher);

/*
 * Reads a state. The chain borrows the hasher.
 *   OXV_E_USAGE  it is malformed, or of another log or key: *err says so
 */
OXV_MUST_USE enum oxv_status oxv_verify_state_parse(struct oxv_view bytes,
                                                    const struct oxv_vkey *genesis,
                                                    struct oxv_hasher *hasher,
                                                    struct oxv_verify_state *out,
                                                    struct oxv_err *err);

/*
 * Does the log still have the commit line at which the state stands? Else *finding says what is
 * wrong, as for a saved checkpoint.
 *   OXV_E_FORGED  it has not
 *   OXV_E_IO
 */
OXV_MUST_USE enum oxv_status oxv_verify_state_find(const struct oxv_verify_state *state, int seg_fd,
                                                   struct oxv_log_finding *finding,
                                                   struct oxv_err *err);

#endif
