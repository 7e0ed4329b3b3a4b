/*
 * helper: the token helper's state: one channel to the keeper, one token, threads that work on it.
 *
 * The main thread alone receives. It hands requests to the threads, but signs itself while the
 * token is so fast that handing over would cost more (a software token: 7 us a signature).
 */
#ifndef OXV_SERVICE_TOKEN_HELPER_H
#define OXV_SERVICE_TOKEN_HELPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/secret.h"
#include "pkcs11/token.h"
#include "service/wire/channel.h"
#include "service/wire/messages.h"

#define OXV_HELPER_JOBS_MAX 1024u /* waiting at once; the keeper's credit is far less */

/* A request that waits, or is worked on. */
struct oxv_job {
    STAILQ_ENTRY(oxv_job) next;
    const struct oxv_request *request; /* NULL: look for the token again */
    uint64_t id;
    struct oxv_secret *secret; /* a PIN or a key, taken out of the payload */
    size_t payload_len;
    uint8_t payload[];
};
STAILQ_HEAD(oxv_jobs, oxv_job);

struct oxv_helper {
    pthread_mutex_t channel_lock; /* over the channel and `announced` */
    struct oxv_channel *channel;
    uint64_t announced;    /* changes of the token that the keeper knows */
    int wake_fd;           /* wakes the main thread: unsent answers, a new time to try again */
    atomic_bool is_broken; /* the channel: the process ends */

    bool trusts_own;             /* modules of our own user are loaded too */
    bool has_loaded;             /* a module was tried: no other one is */
    struct oxv_p11_token *token; /* NULL until HELPER_OPEN; set by the main thread only */
    char module[OXV_TOKEN_MODULE_MAX_BYTES + 1];
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];
    atomic_uint_fast64_t sign_ns; /* how long a signature takes, about; 0: not known */

    pthread_mutex_t jobs_lock;
    pthread_cond_t jobs_cond; /* a job, or the end */
    pthread_cond_t idle_cond; /* a thread has nothing to do */
    struct oxv_jobs jobs;
    size_t job_count;
    size_t busy; /* threads that work */
    bool is_ending;
    atomic_bool is_trying; /* a job that looks for the token waits or runs */
    pthread_t threads[OXV_P11_WORKERS_MAX];
    size_t thread_count;
};

/*
 * Serves the channel `fd`, which it takes, until the keeper closes it. `trusts_own`: all of the
 * service runs as one user, whose modules are loaded beside root's; the supervisor says so by an
 * argument, and what comes over the channel has no say in it.
 *   OXV_E_FORMAT  the keeper sent what it must not
 */
OXV_MUST_USE enum oxv_status oxv_helper_serve(int fd, bool trusts_own, struct oxv_err *err);

#endif
