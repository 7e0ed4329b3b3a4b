/* connection_keys: connections whose key goes into a token, or leaves one. */
#ifndef OXV_SERVICE_KEEPER_CONNECTION_KEYS_H
#define OXV_SERVICE_KEEPER_CONNECTION_KEYS_H

#include "service/keeper/token_ops.h"

/*
 * Loads the key of op->record into its token, compares it, and only then makes the change. Answers
 * in any case, and is done with the request.
 */
void oxv_connection_put_in_token(struct oxv_keeper *k, struct oxv_token_op *op);

/* What is needed of a connection when its row is gone: the public part, and the check value of a
 * key that is an object of a token (else NULL). */
struct oxv_connection_copy {
    uint8_t bytes[OXV_RECORD_MAX_BYTES];
    struct oxv_connection_record record;
    struct oxv_secret *check;
};
OXV_MUST_USE bool oxv_connection_copy(struct oxv_keeper *k, uint64_t id,
                                      struct oxv_connection_copy *out);
/*
 * A key that was that of this connection is of no more use: a key object that we made is destroyed,
 * where its check value proves that it is ours; others are dropped. Nobody waits; what fails is
 * said in the log. Takes the check value of *old.
 */
void oxv_connection_give_up_key(struct oxv_keeper *k, struct oxv_connection_copy *old,
                                uint64_t connection_id);
void oxv_connection_copy_done(struct oxv_connection_copy *copy);

#endif
