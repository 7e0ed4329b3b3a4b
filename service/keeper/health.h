/* health: what the service says of itself: health, status, metrics, doctor. */
#ifndef OXV_SERVICE_KEEPER_HEALTH_H
#define OXV_SERVICE_KEEPER_HEALTH_H

#include "service/keeper/dispatch.h"

#define OXV_HEALTH_MAX_BYTES 8192u

/* The document of GET /v1/health. */
void oxv_health_write(const struct oxv_keeper *k, struct oxv_writer *doc);

void oxv_health_request(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_status_request(struct oxv_keeper *k, const struct oxv_request *request);
void oxv_metrics_request(struct oxv_keeper *k, const struct oxv_request *request);

/* doctor.c: proves what SECURITY.md claims of memory and sandbox, from the kernel's own words. */
void oxv_doctor_request(struct oxv_keeper *k, const struct oxv_request *request);

#endif
