/* jobs: the queue between the main thread and those that work. */
#ifndef OXV_SERVICE_TOKEN_JOBS_H
#define OXV_SERVICE_TOKEN_JOBS_H

#include "service/token/helper.h"

/*
 * Copies a payload into a new job; NULL without memory. `request` NULL: look for the token again.
 */
OXV_MUST_USE struct oxv_job *oxv_job_new(const struct oxv_request *request, uint64_t id,
                                         struct oxv_view payload);
/* Wipes. NULL is fine. */
void oxv_job_free(struct oxv_job *job);

/* Starts the threads where there are none. False where not even one starts. */
OXV_MUST_USE bool oxv_jobs_start(struct oxv_helper *h);
/* Takes the job. False, and the job stays the caller's, where too many wait. */
OXV_MUST_USE bool oxv_jobs_add(struct oxv_helper *h, struct oxv_job *job);
/* Does nobody work, and does nothing wait? */
bool oxv_jobs_are_idle(struct oxv_helper *h);
/*
 * Drops what waits, and waits a moment for what runs. False where a thread is stuck in a module:
 * then nothing may be freed, and the process has to end as it is.
 */
OXV_MUST_USE bool oxv_jobs_end(struct oxv_helper *h);

OXV_DEFINE_OWNER(oxv_job);

#endif
