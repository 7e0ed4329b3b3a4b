/* audit: the handlers of the audit door: descriptors and sizes, never entries (design.md 3). */
#ifndef OXV_SERVICE_KEEPER_AUDIT_H
#define OXV_SERVICE_KEEPER_AUDIT_H

#include "service/keeper/dispatch.h"

void oxv_audit_info(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_audit_read(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_audit_segment(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_audit_wait(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_audit_close(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_audit_checkpoint(struct oxv_keeper *k, const struct oxv_request *request);

/* After a commit, and when time is up: answers the waits. */
void oxv_audit_tick(struct oxv_keeper *k);
/* Boot-clock time of the next wait that is up; UINT64_MAX: none. */
uint64_t oxv_audit_next_us(const struct oxv_keeper *k);
/* The log is being closed: waits end, reads are void. */
void oxv_audit_forget(struct oxv_keeper *k);

#endif
