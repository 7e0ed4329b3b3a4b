/* Jobs and where they come from: allocated once, handed out and given back. */
#include <sodium.h>
#include <stdlib.h>

#include "service/keeper/sign.h"

#define JOBS_MAX          OXV_TURN_REQUESTS_MAX
#define RANDOM_POOL_BYTES 4096u

struct oxv_sign_jobs {
    struct oxv_job_pool software;
    uint8_t pool[RANDOM_POOL_BYTES]; /* for nonces, which are public once used */
    size_t pool_left;
};

enum oxv_status
oxv_job_pool_init(struct oxv_job_pool *pool, size_t max)
{
    struct oxv_sign_job *storage = calloc(max, sizeof *storage);

    if (storage == NULL) {
        return OXV_E_MEMORY;
    }
    *pool = (struct oxv_job_pool){ .storage = storage, .max = max };
    for (size_t i = 0; i < max; i++) {
        storage[i].pool = pool;
        storage[i].next_free = pool->free_jobs;
        pool->free_jobs = &storage[i];
    }
    return OXV_OK;
}

void
oxv_job_pool_done(struct oxv_job_pool *pool)
{
    for (size_t i = 0; i < pool->max && pool->storage != NULL; i++) {
        free(pool->storage[i].message);
    }
    free(pool->storage);
    *pool = (struct oxv_job_pool){ 0 };
}

enum oxv_status
oxv_sign_jobs_new(struct oxv_sign_jobs **out)
{
    struct oxv_sign_jobs *jobs = calloc(1, sizeof *jobs);

    if (jobs == NULL || oxv_job_pool_init(&jobs->software, JOBS_MAX) != OXV_OK) {
        free(jobs);
        return OXV_E_MEMORY;
    }
    *out = jobs;
    return OXV_OK;
}

void
oxv_sign_jobs_free(struct oxv_sign_jobs *jobs)
{
    if (jobs != NULL) {
        oxv_job_pool_done(&jobs->software);
        free(jobs);
    }
}

void
oxv_sign_random(void *ctx, uint8_t *out, size_t len)
{
    struct oxv_sign_jobs *jobs = ctx;

    for (size_t i = 0; i < len; i++) {
        if (jobs->pool_left == 0) {
            randombytes_buf(jobs->pool, sizeof jobs->pool);
            jobs->pool_left = sizeof jobs->pool;
        }
        out[i] = jobs->pool[--jobs->pool_left];
        jobs->pool[jobs->pool_left] = 0;
    }
}

void
oxv_job_give_back(struct oxv_sign_job *job)
{
    struct oxv_job_pool *pool = job->pool;

    free(job->message);
    job->message = NULL;
    job->due_us = 0;
    job->next_free = pool->free_jobs;
    pool->free_jobs = job;
    pool->used--;
}

struct oxv_sign_job *
oxv_job_take(struct oxv_job_pool *pool)
{
    struct oxv_sign_job *job = pool->free_jobs;

    if (job != NULL) {
        pool->free_jobs = job->next_free;
        pool->used++;
        job->next_free = NULL;
        job->helper = NULL;
        job->is_retried = false;
        job->detail[0] = '\0';
        job->retry_after_s = 0;
    }
    return job;
}

struct oxv_job_pool *
oxv_sign_pool(struct oxv_sign_jobs *jobs)
{
    return &jobs->software;
}
