/* dispatch: which message may come in at which door and in which state, and who handles it. */
#ifndef OXV_SERVICE_KEEPER_DISPATCH_H
#define OXV_SERVICE_KEEPER_DISPATCH_H

#include "service/keeper/answers.h"
#include "service/keeper/frontends.h"

/* A request that was decoded by its shape; `fields` is the struct of messages.h. */
struct oxv_request {
    struct oxv_reply reply;
    enum oxv_door door;
    uint64_t uid; /* the kernel's word for who asks */
    const void *fields;
};

typedef void (*oxv_request_fn)(struct oxv_keeper *k, const struct oxv_request *request);

/* Answers, or breaks the frontend where the message is not one it may send. */
void oxv_dispatch(struct oxv_keeper *k, struct oxv_frontend *f, const struct oxv_message *message);

#endif
