#include "vault/log/verify_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define JOBS_MAX 32u

/* In use by all segments together, but for the one that is joined next: 24 MiB. */
#define CHUNKS_MAX 128u

enum slot_state {
    SLOT_FREE,
    SLOT_BUSY,
    SLOT_SCANNED,
    SLOT_JOINED, /* its signatures are not verified yet */
};

struct slot {
    enum slot_state state;
    struct oxv_part part;
    struct oxv_verify_state before; /* of the joining */
};

/* What the threads share; all but `cfg` under the lock. */
struct run {
    const struct oxv_verify_pool *cfg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned jobs;
    size_t slot_count;
    struct slot *slots; /* segment n has slot n modulo slot_count */
    struct oxv_verify_state *state;
    struct oxv_verify_state failed; /* the state before segment `stop`, where that was joined */
    bool has_failed_state;
    bool joining;
    uint64_t next_scan;
    uint64_t stop; /* segments from this one on are of no more interest */
    struct oxv_part_chunk *spare;
    size_t chunk_count; /* in use */
};

struct worker {
    struct run *run;
    struct oxv_hasher *hasher;
    pthread_t thread;
    bool is_thread; /* else it is the caller's own */
    bool is_running;
};

static void
lock(struct run *run)
{
    if (pthread_mutex_lock(&run->lock) != 0) {
        oxv_bug("a lock that cannot be taken");
    }
}

static void
unlock(struct run *run)
{
    if (pthread_mutex_unlock(&run->lock) != 0) {
        oxv_bug("a lock that cannot be given back");
    }
}

static void
wait_for_change(struct run *run)
{
    if (pthread_cond_wait(&run->changed, &run->lock) != 0) {
        oxv_bug("a condition that cannot be waited for");
    }
}

static void
tell(struct run *run)
{
    (void)pthread_cond_broadcast(&run->changed); /* fails only for what is no condition */
}

/*
 * Memory is bounded: a segment waits for room, but for the one that is joined next, as it is that
 * one which makes room.
 */
static struct oxv_part_chunk *
more_chunks(void *ctx, uint64_t segment)
{
    struct run *run = ctx;
    struct oxv_part_chunk *chunk = NULL;

    lock(run);
    while (run->chunk_count >= CHUNKS_MAX && segment != run->state->segment &&
           segment < run->stop) {
        wait_for_change(run);
    }
    if (segment < run->stop) {
        chunk = run->spare;
        run->spare = chunk == NULL ? NULL : chunk->next;
        run->chunk_count++;
    }
    bool is_wanted = segment < run->stop;

    unlock(run);
    return chunk == NULL && is_wanted ? malloc(sizeof *chunk) : chunk;
}

/* Under the lock. */
static void
give_back(struct run *run, struct oxv_part *part)
{
    while (part->chunks != NULL) {
        struct oxv_part_chunk *chunk = part->chunks;

        part->chunks = chunk->next;
        chunk->next = run->spare;
        run->spare = chunk;
        run->chunk_count--;
    }
    part->newest = NULL;
}

/* Under the lock: segment `n` is not certainly good. */
static void
stop_at(struct run *run, uint64_t n, const struct oxv_verify_state *before)
{
    if (n >= run->stop) {
        return;
    }
    run->stop = n;
    run->has_failed_state = before != NULL;
    if (before != NULL) {
        run->failed = *before;
    }
}

/* The functions below are called with the lock held, and give it up while they work. */

static void
scan(struct worker *worker, struct slot *slot)
{
    struct run *run = worker->run;
    struct oxv_part *part = &slot->part;

    part->segment = run->next_scan++;
    part->is_last = run->cfg->ends_in_last && part->segment == run->cfg->end - 1;
    part->more = more_chunks;
    part->ctx = run;
    slot->state = SLOT_BUSY;
    unlock(run);
    oxv_part_scan(part, run->cfg->seg_fd, run->cfg->vkey, worker->hasher);
    lock(run);
    slot->state = SLOT_SCANNED;
}

static void
join(struct worker *worker, struct slot *slot)
{
    struct run *run = worker->run;
    struct oxv_verify_state next;
    uint64_t n = slot->part.segment;

    run->joining = true; /* nobody else touches run->state now */
    unlock(run);
    slot->before = *run->state;
    next = slot->before;
    next.chain.hasher = worker->hasher;
    bool is_good = oxv_part_join(&slot->part, &next.chain);

    next.chain.hasher = slot->before.chain.hasher;
    next.segment++;
    next.offset = slot->part.offset;
    next.signatures += oxv_part_signatures(&slot->part, run->cfg->finals_only);
    lock(run);
    run->joining = false;
    if (is_good) {
        *run->state = next;
        slot->state = SLOT_JOINED;
    } else {
        stop_at(run, n, NULL);
        give_back(run, &slot->part);
        slot->state = SLOT_FREE;
    }
}

static void
verify(struct worker *worker, struct slot *slot)
{
    struct run *run = worker->run;

    slot->state = SLOT_BUSY;
    unlock(run);
    bool is_good = oxv_part_verify(&slot->part, run->cfg->finals_only);

    lock(run);
    if (!is_good) {
        stop_at(run, slot->part.segment, &slot->before);
    }
    give_back(run, &slot->part);
    slot->state = SLOT_FREE;
}

static struct slot *
find_joined(struct run *run)
{
    struct slot *found = NULL;

    for (size_t i = 0; i < run->slot_count; i++) {
        struct slot *slot = &run->slots[i];

        if (slot->state == SLOT_JOINED &&
            (found == NULL || slot->part.segment < found->part.segment)) {
            found = slot;
        }
    }
    return found;
}

static bool
is_all_done(const struct run *run)
{
    for (size_t i = 0; i < run->slot_count; i++) {
        if (run->slots[i].state != SLOT_FREE && run->slots[i].part.segment < run->stop) {
            return false;
        }
    }
    return run->next_scan >= run->stop;
}

/* Does the most urgent thing; false where there is nothing to do right now. */
static bool
do_one(struct worker *worker)
{
    struct run *run = worker->run;
    struct slot *next = &run->slots[run->state->segment % run->slot_count];
    struct slot *joined = find_joined(run);
    struct slot *fresh = &run->slots[run->next_scan % run->slot_count];

    if (!run->joining && next->state == SLOT_SCANNED && run->state->segment < run->stop) {
        join(worker, next);
    } else if (joined != NULL && joined->part.segment < run->stop) {
        verify(worker, joined);
    } else if (run->next_scan < run->stop && fresh->state == SLOT_FREE) {
        scan(worker, fresh);
    } else {
        return false;
    }
    tell(run);
    return true;
}

static void *
work(void *argument)
{
    struct worker *worker = argument;
    struct run *run = worker->run;

    lock(run);
    while (!is_all_done(run)) {
        if (!do_one(worker)) {
            wait_for_change(run);
        }
        if (!worker->is_thread && run->cfg->progress != NULL) {
            run->cfg->progress(run->cfg->progress_ctx, oxv_chain_size(&run->state->chain),
                               run->cfg->total);
        }
    }
    tell(run);
    unlock(run);
    return NULL;
}

static unsigned
count_jobs(const struct oxv_verify_pool *cfg)
{
    cpu_set_t cores;
    unsigned jobs = cfg->jobs;

    if (jobs == 0) {
        jobs = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    }
    return jobs < JOBS_MAX ? jobs : JOBS_MAX;
}

/* The caller is the first worker; where no more threads can be had, fewer do it. */
static void
start(struct worker *workers, unsigned count)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return; /* signals belong to the caller's threads */
    }
    for (unsigned i = 1; i < count; i++) {
        workers[i].is_thread = true;
        workers[i].is_running = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    }
    if (pthread_sigmask(SIG_SETMASK, &before, NULL) != 0) {
        oxv_bug("a signal mask that was valid before");
    }
}

static void
run_done(struct run *run, struct worker *workers)
{
    for (unsigned i = 0; workers != NULL && i < run->jobs; i++) {
        if (workers[i].is_running && pthread_join(workers[i].thread, NULL) != 0) {
            oxv_bug("a thread that cannot be waited for");
        }
        oxv_hasher_free(workers[i].hasher);
    }
    for (size_t i = 0; run->slots != NULL && i < run->slot_count; i++) {
        give_back(run, &run->slots[i].part);
    }
    while (run->spare != NULL) {
        struct oxv_part_chunk *chunk = run->spare;

        run->spare = chunk->next;
        free(chunk);
    }
    free(run->slots);
    free(workers);
}

enum oxv_status
oxv_verify_pool_run(const struct oxv_verify_pool *pool, struct oxv_verify_state *state,
                    struct oxv_err *err)
{
    struct run run = { .cfg = pool,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .changed = PTHREAD_COND_INITIALIZER,
                       .jobs = count_jobs(pool),
                       .state = state,
                       .next_scan = state->segment,
                       .stop = pool->end };

    if (state->segment >= pool->end) {
        return OXV_OK;
    }
    if (run.jobs > pool->end - state->segment) {
        run.jobs = (unsigned)(pool->end - state->segment);
    }
    run.slot_count = run.jobs + 1;
    run.slots = calloc(run.slot_count, sizeof *run.slots);
    struct worker *workers = calloc(run.jobs, sizeof *workers);
    bool has_memory = run.slots != NULL && workers != NULL;

    for (unsigned i = 0; has_memory && i < run.jobs; i++) {
        workers[i].run = &run;
        workers[i].hasher = oxv_hasher_new();
        has_memory = workers[i].hasher != NULL;
    }
    if (has_memory) {
        start(workers, run.jobs);
        (void)work(&workers[0]);
    }
    run_done(&run, workers);
    if (run.has_failed_state) {
        *state = run.failed;
    }
    return has_memory ? OXV_OK : oxv_fail(err, OXV_E_MEMORY, "no memory to verify with");
}
