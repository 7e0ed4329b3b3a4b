/*
 * token_ops: requests of admins that wait for a token. The reply is kept; who asked may be gone, or
 * have no right any more, when the token answers.
 */
#ifndef OXV_SERVICE_KEEPER_TOKEN_OPS_H
#define OXV_SERVICE_KEEPER_TOKEN_OPS_H

#include "service/keeper/admin.h"
#include "service/keeper/challenges.h"
#include "service/keeper/token_keys.h"
#include "service/keeper/token_seal.h"

#define OXV_TOKEN_OPS_MAX 16u

typedef void (*oxv_token_op_fn)(struct oxv_keeper *k, struct oxv_token_op *op);

struct oxv_token_op {
    struct oxv_token_op *next;
    uint64_t frontend_serial;
    uint64_t request_id;
    uint64_t uid;
    enum oxv_door door;
    uint64_t entry_type;
    struct oxv_opened_box box; /* its views are good until the end */
    struct oxv_helper *helper; /* held; NULL: none yet */

    /* connections: what the box says, and the row that is replaced */
    struct oxv_connection_record record;
    struct oxv_connection_secret secret;
    uint64_t connection_id; /* 0: a new one */
    uint64_t connection_version;
    struct oxv_key_loaded loaded;
    bool is_made; /* the key object was made for this */

    /* tokens: the row, and whether it was there before */
    uint64_t row_id;
    bool was_there;

    /* seals */
    struct oxv_secret *existing;
    struct oxv_secret *added;
    struct oxv_token_sealed *sealed; /* on the heap */

    /* The answer waits until this vault.pub is written. */
    uint64_t published;
    uint64_t due_us;
    oxv_token_op_fn answer;
};

/* Keeps the request and takes the box. NULL: too many, and it is answered. */
struct oxv_token_op *oxv_token_op_new(struct oxv_keeper *k, const struct oxv_request *request,
                                      uint64_t entry_type, struct oxv_opened_box *box);
/* Wipes and frees. */
void oxv_token_op_done(struct oxv_keeper *k, struct oxv_token_op *op);
/* The helper stays as long as the request; one that was held before is let go. */
void oxv_token_op_hold(struct oxv_token_op *op, struct oxv_helper *h);

/* Whoever holds the one holds the other now. */
void oxv_token_ops_move(struct oxv_keeper *k, const struct oxv_helper *from, struct oxv_helper *to);

/* Holds the token of this URI, or a new one; NULL: too many, and the request is refused, and done.
 */
struct oxv_helper *oxv_token_op_find_or_make(struct oxv_keeper *k, struct oxv_token_op *op,
                                             struct oxv_view module, struct oxv_view uri);

/* The request as it would come now; its reply goes nowhere where who asked is gone. */
struct oxv_request oxv_token_op_request(struct oxv_keeper *k, const struct oxv_token_op *op);
/* Is the vault open and who asked an admin still? Else it is answered, and done. */
OXV_MUST_USE bool oxv_token_op_may_go_on(struct oxv_keeper *k, struct oxv_token_op *op);
/* Refuses with an entry, and is done. */
void oxv_token_op_refuse(struct oxv_keeper *k, struct oxv_token_op *op, const struct oxv_err *err);
void oxv_token_op_refuse_trouble(struct oxv_keeper *k, struct oxv_token_op *op, uint64_t trouble,
                                 struct oxv_view text);
/* Publishes vault.pub; `answer` is called once it is written. */
void oxv_token_op_publish(struct oxv_keeper *k, struct oxv_token_op *op, oxv_token_op_fn answer);

void oxv_token_ops_work(struct oxv_keeper *k);
uint64_t oxv_token_ops_next_us(const struct oxv_keeper *k);
/* Before the vault is locked: the rest is answered. */
void oxv_token_ops_drop(struct oxv_keeper *k);

#endif
