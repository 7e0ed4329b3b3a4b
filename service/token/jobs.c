#include "service/token/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "service/token/requests.h"

#define END_WAIT_S 1

static void
lock(pthread_mutex_t *mutex)
{
    if (pthread_mutex_lock(mutex) != 0) {
        oxv_bug("a lock cannot be taken");
    }
}

static void
unlock(pthread_mutex_t *mutex)
{
    if (pthread_mutex_unlock(mutex) != 0) {
        oxv_bug("a lock cannot be released");
    }
}

struct oxv_job *
oxv_job_new(const struct oxv_request *request, uint64_t id, struct oxv_view payload)
{
    struct oxv_job *job = calloc(1, sizeof *job + payload.len);

    if (job == NULL) {
        return NULL;
    }
    job->request = request;
    job->id = id;
    job->payload_len = payload.len;
    if (payload.len > 0) {
        memcpy(job->payload, payload.data, payload.len);
    }
    return job;
}

void
oxv_job_free(struct oxv_job *job)
{
    if (job != NULL) {
        oxv_secret_free(job->secret);
        oxv_wipe(job->payload, job->payload_len);
        free(job);
    }
}

/* NULL: the end. */
static struct oxv_job *
next_job(struct oxv_helper *h)
{
    lock(&h->jobs_lock);
    while (!h->is_ending && STAILQ_EMPTY(&h->jobs)) {
        if (pthread_cond_wait(&h->jobs_cond, &h->jobs_lock) != 0) {
            oxv_bug("waiting for a job failed");
        }
    }
    struct oxv_job *job = h->is_ending ? NULL : STAILQ_FIRST(&h->jobs);

    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&h->jobs, next);
        h->job_count--;
        h->busy++;
    }
    unlock(&h->jobs_lock);
    return job;
}

static void
note_done(struct oxv_helper *h)
{
    lock(&h->jobs_lock);
    h->busy--;
    (void)pthread_cond_signal(&h->idle_cond); /* never fails */
    unlock(&h->jobs_lock);
}

static void *
work(void *ctx)
{
    struct oxv_helper *h = ctx;
    struct oxv_job *job;

    while ((job = next_job(h)) != NULL) {
        oxv_request_run(h, job);
        oxv_job_free(job);
        note_done(h);
    }
    return NULL;
}

bool
oxv_jobs_start(struct oxv_helper *h)
{
    while (h->thread_count < OXV_P11_WORKERS_MAX &&
           pthread_create(&h->threads[h->thread_count], NULL, work, h) == 0) {
        h->thread_count++;
    }
    return h->thread_count > 0;
}

bool
oxv_jobs_add(struct oxv_helper *h, struct oxv_job *job)
{
    lock(&h->jobs_lock);
    bool fits = h->job_count < OXV_HELPER_JOBS_MAX;

    if (fits) {
        STAILQ_INSERT_TAIL(&h->jobs, job, next);
        h->job_count++;
        (void)pthread_cond_signal(&h->jobs_cond); /* never fails */
    }
    unlock(&h->jobs_lock);
    return fits;
}

bool
oxv_jobs_are_idle(struct oxv_helper *h)
{
    lock(&h->jobs_lock);
    bool idle = h->busy == 0 && STAILQ_EMPTY(&h->jobs);

    unlock(&h->jobs_lock);
    return idle;
}

/* Under jobs_lock. */
static bool
wait_until_idle(struct oxv_helper *h)
{
    struct timespec until;

    if (clock_gettime(CLOCK_REALTIME, &until) != 0) {
        oxv_bug("there is no clock");
    }
    until.tv_sec += END_WAIT_S;
    while (h->busy > 0) {
        if (pthread_cond_timedwait(&h->idle_cond, &h->jobs_lock, &until) == ETIMEDOUT) {
            return false;
        }
    }
    return true;
}

bool
oxv_jobs_end(struct oxv_helper *h)
{
    struct oxv_job *job;

    lock(&h->jobs_lock);
    h->is_ending = true;
    while ((job = STAILQ_FIRST(&h->jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(&h->jobs, next);
        oxv_job_free(job);
    }
    (void)pthread_cond_broadcast(&h->jobs_cond); /* never fails */
    bool idle = wait_until_idle(h);

    unlock(&h->jobs_lock);
    for (size_t i = 0; idle && i < h->thread_count; i++) {
        if (pthread_join(h->threads[i], NULL) != 0) {
            oxv_bug("a thread cannot be joined");
        }
    }
    return idle;
}
