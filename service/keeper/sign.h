/*
 * sign: from a request to a signature. Asynchronous by construction: a job is begun, its MAC comes
 * back at once (software) or turns later (a token), and everything that decided is
 * checked again before the answer is composed.
 */
#ifndef OXV_SERVICE_KEEPER_SIGN_H
#define OXV_SERVICE_KEEPER_SIGN_H

#include "service/keeper/dispatch.h"
#include "signer/method.h"
#include "signer/nonce.h"

struct oxv_helper;
struct oxv_sign_job;

/* Where jobs come from. Each token has its own: one that hangs takes no other's. */
struct oxv_job_pool {
    struct oxv_sign_job *free_jobs;
    struct oxv_sign_job *storage;
    size_t max;
    size_t used;
};

/* One signature under way. Owns copies of what it needs: the datagram is gone when a MAC is late.
 */
struct oxv_sign_job {
    struct oxv_sign_job *next_free;
    struct oxv_job_pool *pool;
    /* What a token needs beside the rest; message is on the heap, NULL in software. */
    struct oxv_helper *helper;
    uint8_t *message;
    size_t message_len;
    size_t mac_len;
    uint64_t due_us; /* boot clock; 0: not under way */
    bool is_retried;
    char detail[256]; /* why it failed, for the answer; "": nothing special */
    uint64_t retry_after_s;
    uint64_t frontend_serial;
    uint64_t request_id;
    uint64_t uid;
    uint64_t caller_id, caller_version;
    uint64_t connection_id, connection_version;
    uint64_t grant_id, grant_version;
    uint64_t kind;
    bool wants_proof;
    uint64_t timestamp; /* seconds */
    uint8_t nonce[OXV_NONCE_BYTES];
    struct oxv_method method;
    struct oxv_url url; /* its views point into url_text */
    uint8_t url_text[OXV_URL_MAX_BYTES];
    char version[16]; /* token-passport */
};

/*
 * A way to get a MAC. `submit` either calls oxv_sign_finish() before it returns, or keeps the job
 * and calls it later. `message` is borrowed for the call.
 */
struct oxv_mac_backend {
    const char *name;
    void (*submit)(struct oxv_keeper *k, struct oxv_sign_job *job, struct oxv_view message);
};

/* `max` jobs, allocated once. Safe to call done on a zeroed pool. */
OXV_MUST_USE enum oxv_status oxv_job_pool_init(struct oxv_job_pool *pool, size_t max);
void oxv_job_pool_done(struct oxv_job_pool *pool);
/* One that is ready to be filled; NULL where all are under way. */
struct oxv_sign_job *oxv_job_take(struct oxv_job_pool *pool);
void oxv_job_give_back(struct oxv_sign_job *job);

OXV_MUST_USE enum oxv_status oxv_sign_jobs_new(struct oxv_sign_jobs **out);
void oxv_sign_jobs_free(struct oxv_sign_jobs *jobs);
/* The pool for keys in the vault. */
struct oxv_job_pool *oxv_sign_pool(struct oxv_sign_jobs *jobs);
/* For nonces: ctx is the struct oxv_sign_jobs. */
void oxv_sign_random(void *ctx, uint8_t *out, size_t len);

/* OXV_MSG_SIGN. */
void oxv_sign_request(struct oxv_keeper *k, const struct oxv_request *request);

/*
 * The MAC has come back, or `problem` says why not (a code of design 8, then signature is empty).
 * Composes entry and answer and gives the job back.
 */
void oxv_sign_finish(struct oxv_keeper *k, struct oxv_sign_job *job, struct oxv_view signature,
                     const char *problem);

#endif
