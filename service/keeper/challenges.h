/* challenges: one-time values that make a sealed box good once, for one admin, for one minute. */
#ifndef OXV_SERVICE_KEEPER_CHALLENGES_H
#define OXV_SERVICE_KEEPER_CHALLENGES_H

#include "service/keeper/dispatch.h"

OXV_MUST_USE enum oxv_status oxv_challenges_new(struct oxv_challenges **out);
void oxv_challenges_free(struct oxv_challenges *challenges);

/* A fresh one for this uid; the oldest goes where too many are open. */
void oxv_challenge_make(struct oxv_keeper *k, uint64_t uid, uint8_t out[OXV_CHALLENGE_BYTES]);

/* A box that was opened; release with oxv_opened_box_done(). */
struct oxv_opened_box {
    struct oxv_secret *plain;
    struct oxv_box head; /* borrows from plain */
};

/*
 * Opens a box of a request and burns its challenge, whatever comes after.
 *   OXV_E_DENIED  the challenge is unknown, used, another admin's or older than a minute
 *   and what oxv_box_open() returns
 */
OXV_MUST_USE enum oxv_status
oxv_challenge_open_box(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_view box,
                       enum oxv_box_purpose purpose, struct oxv_opened_box *out,
                       struct oxv_err *err);
/* Wipes. Safe on a zeroed one. */
void oxv_opened_box_done(struct oxv_opened_box *box);

OXV_DEFINE_OWNER(oxv_challenges);

#endif
