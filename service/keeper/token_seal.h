/* token_seal: seals of kind token: opening one, making one. */
#ifndef OXV_SERVICE_KEEPER_TOKEN_SEAL_H
#define OXV_SERVICE_KEEPER_TOKEN_SEAL_H

#include "service/keeper/dispatch.h"
#include "service/keeper/tokens.h"

#define OXV_TOKEN_START_US 60000000u /* for all tokens together, before the doors open */

/* `value` (taken by the callee; NULL: none opened, *err says why) of the seal `seal_id`. */
typedef void (*oxv_seal_value_fn)(struct oxv_keeper *k, void *ctx, struct oxv_secret *value,
                                  uint64_t seal_id, const struct oxv_err *err);

/*
 * Tries the seals of kind token, or only `seal_id` where it is not 0, one after the other. The pin
 * of the wish is taken. `done` may be called before this returns.
 */
void oxv_seal_value(struct oxv_keeper *k, uint64_t seal_id, struct oxv_token_wish wish,
                    oxv_seal_value_fn done, void *ctx);
/* Is there a seal of kind token? */
bool oxv_token_seals_exist(const struct oxv_keeper *k);

/*
 * Opens the vault by a token, before the doors open. A keeper that replaces another waits for a
 * short while only; where tokens->start.is_wanted then, it is tried further.
 *   OXV_E_LOCKED  the PIN is wrong, was refused before, or is missing
 *   OXV_E_TOKEN   the token is not there
 */
OXV_MUST_USE enum oxv_status oxv_token_unseal_at_start(struct oxv_keeper *k, struct oxv_err *err);
/* Once a turn: a keeper that replaced another, and did not find its token, opens the vault when
 * that is back. */
void oxv_token_seal_work(struct oxv_keeper *k);

/* How a seal is to be made, as oxv_msg_helper_seal has it; and what was made. */
struct oxv_token_sealed {
    struct oxv_seal_record record; /* its views point into this struct and the helper */
    uint8_t key_id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    uint8_t key_hash[32];
    uint8_t blob[OXV_TOKEN_BLOB_MAX_BYTES];
};
/* `value` (taken by the callee) is NULL where it failed. */
typedef void (*oxv_seal_made_fn)(struct oxv_keeper *k, void *ctx, struct oxv_secret *value,
                                 const struct oxv_err *err);
struct oxv_seal_then {
    oxv_seal_made_fn done;
    void *ctx;
};
/*
 * Makes a seal in a token that is logged in, and opens it once to see that it does. *out is the
 * caller's, and must live until then, as must the helper.
 */
void oxv_seal_make(struct oxv_keeper *k, struct oxv_helper *h,
                   const struct oxv_msg_helper_seal *how, struct oxv_token_sealed *out,
                   struct oxv_seal_then then);

/* The parts of OXV_MSG_UNSEAL and OXV_MSG_SEAL_ADD that need a token. The box is taken. */
struct oxv_opened_box;
void oxv_admin_unseal_by_token(struct oxv_keeper *k, const struct oxv_request *request,
                               struct oxv_opened_box *box);
void oxv_admin_seal_add_by_token(struct oxv_keeper *k, const struct oxv_request *request,
                                 struct oxv_opened_box *box);

#endif
