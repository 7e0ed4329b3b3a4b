#include "service/keeper/challenges.h"

#include <sodium.h>
#include <stdlib.h>

#define CHALLENGES_MAX         256u
#define CHALLENGES_PER_UID_MAX 16u
#define CHALLENGE_LIFE_US      60000000u

struct challenge {
    uint64_t uid_plus1; /* 0: free */
    uint64_t made_us;   /* boot clock */
    uint8_t bytes[OXV_CHALLENGE_BYTES];
};

struct oxv_challenges {
    struct challenge items[CHALLENGES_MAX];
};

enum oxv_status
oxv_challenges_new(struct oxv_challenges **out)
{
    struct oxv_challenges *challenges = calloc(1, sizeof *challenges);

    if (challenges == NULL) {
        return OXV_E_MEMORY;
    }
    *out = challenges;
    return OXV_OK;
}

void
oxv_challenges_free(struct oxv_challenges *challenges)
{
    free(challenges);
}

/*
 * A free place, else the oldest of this uid's own if it has CHALLENGES_PER_UID_MAX, else the oldest
 * of all: one admin cannot push out another's.
 */
static struct challenge *
find_slot(struct oxv_keeper *k, uint64_t uid)
{
    struct challenge *oldest = &k->challenges->items[0];
    struct challenge *own = NULL;
    struct challenge *unused = NULL;
    size_t own_count = 0;

    for (size_t i = 0; i < CHALLENGES_MAX; i++) {
        struct challenge *c = &k->challenges->items[i];

        if (c->uid_plus1 == 0) {
            unused = c;
        } else if (c->uid_plus1 == uid + 1) {
            own_count++;
            own = own == NULL || c->made_us < own->made_us ? c : own;
        }
        oldest = c->made_us < oldest->made_us ? c : oldest;
    }
    if (own_count >= CHALLENGES_PER_UID_MAX) {
        return own;
    }
    return unused != NULL ? unused : oldest;
}

void
oxv_challenge_make(struct oxv_keeper *k, uint64_t uid, uint8_t out[OXV_CHALLENGE_BYTES])
{
    struct challenge *slot = find_slot(k, uid);

    slot->uid_plus1 = uid + 1;
    slot->made_us = k->now_boot_us;
    randombytes_buf(slot->bytes, sizeof slot->bytes);
    memcpy(out, slot->bytes, sizeof slot->bytes);
}

static bool
burn(struct oxv_keeper *k, uint64_t uid, struct oxv_view wanted)
{
    for (size_t i = 0; i < CHALLENGES_MAX; i++) {
        struct challenge *c = &k->challenges->items[i];

        if (c->uid_plus1 != uid + 1 || wanted.len != sizeof c->bytes ||
            sodium_memcmp(c->bytes, wanted.data, sizeof c->bytes) != 0) {
            continue;
        }
        bool fresh = k->now_boot_us - c->made_us <= CHALLENGE_LIFE_US;

        *c = (struct challenge){ 0 };
        return fresh;
    }
    return false;
}

enum oxv_status
oxv_challenge_open_box(struct oxv_keeper *k, const struct oxv_request *request, struct oxv_view box,
                       enum oxv_box_purpose purpose, struct oxv_opened_box *out,
                       struct oxv_err *err)
{
    OXV_AUTO(oxv_opened_box_done) struct oxv_opened_box opened = { 0 };
    enum oxv_status st = oxv_box_open(box, k->box_public, k->box_private, purpose,
                                      oxv_vault_id(k->vault), &opened.plain, &opened.head, err);

    if (st != OXV_OK) {
        return st;
    }
    if (!burn(k, request->uid, opened.head.challenge)) {
        return oxv_fail(err, OXV_E_DENIED,
                        "the box was sent before, or its challenge is older than a minute: run the "
                        "command again");
    }
    *out = opened;
    opened = (struct oxv_opened_box){ 0 };
    return OXV_OK;
}

void
oxv_opened_box_done(struct oxv_opened_box *box)
{
    oxv_secret_freep(&box->plain);
    *box = (struct oxv_opened_box){ 0 };
}
