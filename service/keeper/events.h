/*
 * events: what goes to the access log, or to log/pending while sealed, and how often refusals do
 * (design.md 7: one by one up to 10 a second and caller, 1 a second for all unknown peers together;
 * what is above is counted in one entry a second and cause).
 */
#ifndef OXV_SERVICE_KEEPER_EVENTS_H
#define OXV_SERVICE_KEEPER_EVENTS_H

#include "service/keeper/keeper.h"

#define OXV_DENIALS_PER_CALLER_AND_S 10u

OXV_MUST_USE enum oxv_status oxv_denials_new(struct oxv_denials **out);
void oxv_denials_free(struct oxv_denials *denials);

/*
 * Adds the entry to the open group, or to `pending` while sealed. *index (may be NULL) is its leaf
 * index. After a failure everything that this turn would answer becomes `log_unavailable`.
 */
enum oxv_status oxv_event(struct oxv_keeper *k, const struct oxv_entry *entry, uint64_t *index);

/* A refused request of a known peer, under the limit above. `entry->code` is the cause. */
void oxv_event_denied(struct oxv_keeper *k, uint64_t uid_plus1, const struct oxv_entry *entry);
/* A peer without rights came to a door. */
void oxv_event_peer(struct oxv_keeper *k, enum oxv_door door, const struct oxv_entry *entry);
/* A frontend broke the rules or ended. */
void oxv_event_frontend(struct oxv_keeper *k, enum oxv_door door, uint64_t uid_plus1,
                        const char *why);
/* Writes the summaries that are due. Call once a turn. */
void oxv_events_tick(struct oxv_keeper *k);
/* Boot-clock time at which tick has something to do; UINT64_MAX: never. */
uint64_t oxv_events_next_us(const struct oxv_keeper *k);

OXV_DEFINE_OWNER(oxv_denials);

#endif
