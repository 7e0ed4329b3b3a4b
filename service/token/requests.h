/* requests: what the keeper may ask for, and what is done for it. */
#ifndef OXV_SERVICE_TOKEN_REQUESTS_H
#define OXV_SERVICE_TOKEN_REQUESTS_H

#include "service/token/helper.h"

struct oxv_request {
    uint8_t type;
    const struct oxv_shape *shape;
    size_t secret_place; /* 1 + the offset of the view that holds a secret; 0: there is none */
    void (*run)(struct oxv_helper *h, const struct oxv_job *job, const void *fields);
};

/* NULL: the keeper must not send this. */
const struct oxv_request *oxv_request_of(uint8_t type);

/*
 * Takes the secret, where there is one, out of a message that was just received: into *secret (NULL
 * where there is none), and wiped where it was. OXV_E_FORMAT, OXV_E_MEMORY.
 */
OXV_MUST_USE enum oxv_status oxv_request_take_secret(const struct oxv_request *request,
                                                     struct oxv_view payload,
                                                     struct oxv_secret **secret);
/* Does it and gathers and sends the answer. In a thread. */
void oxv_request_run(struct oxv_helper *h, const struct oxv_job *job);

/* A signature, by the caller's own thread; the answer is gathered, not sent. */
void oxv_request_sign(struct oxv_helper *h, uint64_t id, const struct oxv_msg_helper_sign *sign);
/* HELPER_OPEN: loads the module the first time. Main thread only. False: nothing was answered yet,
 * and the request is to be run as a job. */
OXV_MUST_USE bool oxv_request_open(struct oxv_helper *h, uint64_t id,
                                   const struct oxv_msg_helper_open *open);

#endif
