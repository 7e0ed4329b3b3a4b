#include "pkcs11/sessions.h"

void
oxv_p11_sessions_init(struct oxv_p11_pool *pool)
{
    if (pthread_mutex_init(&pool->lock, NULL) != 0 || pthread_cond_init(&pool->freed, NULL) != 0) {
        oxv_bug("a lock cannot be made");
    }
    pool->cap = 1;
}

void
oxv_p11_sessions_done(struct oxv_p11_pool *pool)
{
    (void)pthread_cond_destroy(&pool->freed); /* fails only where somebody still waits */
    (void)pthread_mutex_destroy(&pool->lock);
}

void
oxv_p11_sessions_reset(struct oxv_p11_pool *pool, size_t cap)
{
    oxv_p11_lock(&pool->lock);
    pool->idle_count = 0;
    pool->cap = cap;
    oxv_p11_unlock(&pool->lock);
}

/* Takes the right to one session, and an idle one where there is one. */
static bool
reserve(struct oxv_p11_pool *pool, CK_SESSION_HANDLE *out)
{
    bool found = false;

    oxv_p11_lock(&pool->lock);
    while (pool->in_use >= pool->cap) {
        if (pthread_cond_wait(&pool->freed, &pool->lock) != 0) {
            oxv_bug("waiting for a session failed");
        }
    }
    pool->in_use++;
    if (pool->idle_count > 0) {
        *out = pool->idle[--pool->idle_count];
        found = true;
    }
    oxv_p11_unlock(&pool->lock);
    return found;
}

/* Gives the right back; with a session that can be used again. */
static bool
give_back(struct oxv_p11_pool *pool, CK_SESSION_HANDLE session, bool is_good)
{
    bool kept = false;

    oxv_p11_lock(&pool->lock);
    pool->in_use--;
    if (is_good && pool->idle_count < OXV_P11_WORKERS_MAX) {
        pool->idle[pool->idle_count++] = session;
        kept = true;
    }
    (void)pthread_cond_signal(&pool->freed); /* never fails */
    oxv_p11_unlock(&pool->lock);
    return kept;
}

/* The token has no session left: from now on we do with those that are in use. */
static bool
shrink(struct oxv_p11_pool *pool)
{
    oxv_p11_lock(&pool->lock);
    bool others = pool->in_use > 1;

    if (others) {
        pool->cap = pool->in_use - 1;
    }
    oxv_p11_unlock(&pool->lock);
    return others;
}

CK_RV
oxv_p11_session_get(struct oxv_p11_token *token, CK_SESSION_HANDLE *out)
{
    for (;;) {
        if (reserve(&token->pool, out)) {
            return CKR_OK;
        }
        CK_RV rv = oxv_p11_try_session(token, false, out);

        if (rv == CKR_OK) {
            return CKR_OK;
        }
        bool wait = rv == CKR_SESSION_COUNT && shrink(&token->pool);

        (void)give_back(&token->pool, CK_INVALID_HANDLE, false);
        if (!wait) {
            return rv;
        }
    }
}

bool
oxv_p11_sessions_close_idle(struct oxv_p11_token *token)
{
    CK_SESSION_HANDLE idle[OXV_P11_WORKERS_MAX];
    struct oxv_p11_pool *pool = &token->pool;

    oxv_p11_lock(&pool->lock);
    size_t count = pool->idle_count;

    memcpy(idle, pool->idle, sizeof idle);
    pool->idle_count = 0;
    oxv_p11_unlock(&pool->lock);
    for (size_t i = 0; i < count; i++) {
        (void)token->calls->C_CloseSession(idle[i]); /* of no more use either way */
    }
    return count > 0;
}

void
oxv_p11_session_put(struct oxv_p11_token *token, CK_SESSION_HANDLE session, bool is_good)
{
    if (!is_good) {
        (void)token->calls->C_CloseSession(session); /* of no more use either way */
    }
    (void)give_back(&token->pool, session, is_good);
}
